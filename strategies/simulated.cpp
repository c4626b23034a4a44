#include "strategies/simulated.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

Deployment simulated(const Deployment& asked, Diagnostics& diagnostics) {
  Deployment d = asked;
  Layout& l = d.layout;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  const auto differs = [&](std::string_view path, std::string message) { diagnostics.warning("W0331", at(path), std::move(message), "not modelled yet", ""); };
  const auto left_out = [&](std::string_view path, std::string message) { diagnostics.note("A0136", at(path), std::move(message)); };
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
  if (asked.kv_transfer.layer_wise) left_out("kv_transfer.mode", "the layer-wise push is not modelled: caches are pulled after prefill");
  return d;
}

}  // namespace ascendsim
