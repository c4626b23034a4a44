#include "strategies/simulated.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

std::optional<Deployment> simulated(const Deployment& asked, Severity refusal, Diagnostics& diagnostics) {
  Deployment d = asked;
  Layout& l = d.layout;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  const auto differs = [&](std::string_view path, std::string message) { diagnostics.warning("W0331", at(path), std::move(message), "not modelled yet", ""); };
  const auto left_out = [&](std::string_view path, std::string message) { diagnostics.note("A0136", at(path), std::move(message)); };
  if (l.pp > 1) {
    Diagnostic refused{refusal, refusal == Severity::kError ? "E0246" : "W0331", fmt::format("pipeline parallelism is not modelled: pp is {}", l.pp), at("layout.pp"), {}, "--set layout.pp=1"};
    diagnostics.add(std::move(refused));
    return std::nullopt;
  }
  const bool vllm = d.engine == "vllm-ascend", sglang = d.engine == "sglang";
  // Programs cut the cache over the whole TP group or not at all, and with cp always over it.
  const std::int64_t sp = l.cp > 1 ? l.tp : l.sp == l.tp ? l.sp : 1;
  if (sp != l.sp && vllm)
    differs(l.sp > 1 ? "layout.sp" : "layout.cp",
            fmt::format("{} is not modelled: the cache is simulated as cut over {} ranks instead of {}, KV memory per rank is {} of what it would be",
                        l.sp > 1 ? fmt::format("decode context parallelism over {} of {} TP ranks", l.sp, l.tp) : "context parallelism with whole caches in the TP group",
                        l.cp * sp, l.kv_shards(), sp > l.sp ? fmt::format("1/{}", sp / l.sp) : fmt::format("{} times", l.sp / sp)));
  if (sglang && l.cp > 1)
    differs("layout.cp", fmt::format("SGLang keeps the whole cache on every CP rank; it is simulated as cut over {} ranks: KV memory per rank is 1/{} of what it would be", l.cp * sp, l.cp * sp));
  l.sp = sp;
  if (vllm && l.kv_shards() > 1)
    left_out("layout.cp", "context parallelism is simulated with the exchanges of MindIE: latent gathered, partial results merged in 16 bit; vLLM-Ascend merges in 32 bit and cuts prompts into head and tail");
  if (vllm && l.kv_shards() > 1 && asked.limits.kv_interleave != 0 && asked.limits.kv_interleave != asked.limits.block_tokens)
    left_out("kv_cache.interleave", fmt::format("the cache is placed in whole blocks, not in turns of {} tokens", asked.limits.kv_interleave));
  if (asked.graph.mode == GraphMode::kEager)
    left_out("graph.mode", "eager mode is not modelled: kernels are launched as the stack's figures assume, without the host time of issuing each");
  if (asked.graph.mode == GraphMode::kPiecewise)
    left_out("graph.mode", "piecewise graphs are not modelled: kernels are launched as the stack's figures assume");
  if (!asked.graph.capture_sizes.empty()) left_out("graph.capture_sizes", "padding to captured sizes is not modelled");
  if (asked.kv_b_copies > 1)
    left_out("weights.kv_b_copies", fmt::format("the second copy of kv_b is not in the weights: {:.2f} GiB a rank are missing",
                                                static_cast<double>(2 * asked.model.layers * asked.model.kv_rank * asked.model.heads * (asked.model.nope + asked.model.value) / std::max<std::int64_t>(1, l.tp)) / (1LL << 30)));
  if (asked.kv_transfer.layer_wise) left_out("kv_transfer.mode", "the layer-wise push is not modelled: caches are pulled after prefill");
  if (asked.limits.max_batched_tokens > 0 && asked.limits.max_batched_tokens != asked.limits.max_prefill_tokens && asked.role != Role::kDecode)
    left_out("limits.max_batched_tokens", fmt::format("activation memory is that of {} tokens a step, the longest prompt; the engine profiles {}", asked.limits.max_prefill_tokens, asked.limits.max_batched_tokens));
  return d;
}

}  // namespace ascendsim
