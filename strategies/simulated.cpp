#include "strategies/simulated.h"

#include <fmt/format.h>

#include <algorithm>

#include "strategies/programs/placement.h"

namespace ascendsim {

std::optional<Deployment> simulated(const Deployment& asked, [[maybe_unused]] Severity refusal, Diagnostics& diagnostics) {
  Deployment d = asked;
  Layout& l = d.layout;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  const auto left_out = [&](std::string_view path, std::string message) { diagnostics.note("A0136", at(path), std::move(message)); };
  if (d.model.sparse() && l.cp > 1) {
    // Queries of the sparse kernels are following rows, and pick among all keys of their sequence.
    if (l.cp_partition == PromptPartition::kRoundRobin) left_out("layout.cp_partition", "sparse attention over round-robin prompts is simulated over zigzag ones: as many tokens and pairs a rank");
    if (l.cp_exchange == LatentExchange::kRing) left_out("layout.cp_exchange", "sparse attention picks among all keys: latents and index keys are gathered, there is no ring");
    l.cp_partition = PromptPartition::kZigzag;
    l.cp_exchange = LatentExchange::kAllGather;
  }
  if (l.cp > 1 && l.cp_exchange == LatentExchange::kRing)
    diagnostics.note("A0142", at("layout.cp_exchange"), fmt::format("a what-if: {} gathers the latent of a prompt, it has no ring", d.engine));
  if (asked.model.sparse() && runs_flashcomm(asked) && asked.role == Role::kPrefill)
    left_out("features.flashcomm1", "DSA-CP keeps q_b, kv_b and o_proj whole on every rank of a prefill node; layer sharding, which broadcasts them layer by layer, is not modelled");
  return d;
}

}  // namespace ascendsim
