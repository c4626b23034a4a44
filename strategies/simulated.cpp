#include "strategies/simulated.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

std::optional<Deployment> simulated(const Deployment& asked, Severity refusal, Diagnostics& diagnostics) {
  Deployment d = asked;
  Layout& l = d.layout;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  const auto left_out = [&](std::string_view path, std::string message) { diagnostics.note("A0136", at(path), std::move(message)); };
  if (l.pp > 1) {
    Diagnostic refused{refusal, refusal == Severity::kError ? "E0246" : "W0331", fmt::format("pipeline parallelism is not modelled: pp is {}", l.pp), at("layout.pp"), {}, "--set layout.pp=1"};
    diagnostics.add(std::move(refused));
    return std::nullopt;
  }
  if (d.model.sparse() && l.cp > 1) {
    // Queries of the sparse kernels are following rows, and pick among all keys of their sequence.
    if (l.cp_partition == PromptPartition::kRoundRobin) left_out("layout.cp_partition", "sparse attention over round-robin prompts is simulated over zigzag ones: as many tokens and pairs a rank");
    if (l.cp_exchange == LatentExchange::kRing) left_out("layout.cp_exchange", "sparse attention picks among all keys: latents and index keys are gathered, there is no ring");
    l.cp_partition = PromptPartition::kZigzag;
    l.cp_exchange = LatentExchange::kAllGather;
  }
  if (l.cp > 1 && l.cp_exchange == LatentExchange::kRing)
    diagnostics.note("A0142", at("layout.cp_exchange"), fmt::format("a what-if: {} gathers the latent of a prompt, it has no ring", d.engine));
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
