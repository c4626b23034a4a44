#include "strategies/engines/simulated.h"

#include <fmt/format.h>

#include <algorithm>

#include "strategies/programs/placement.h"

namespace ascendsim {

std::optional<Deployment> simulated(const Deployment& asked, [[maybe_unused]] Severity refusal,
                                    Diagnostics& diagnostics) {
  Deployment d = asked;
  Layout& l = d.layout;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  if (d.model.sparse() && l.cp > 1 && l.cp_exchange == LatentExchange::kRing) {
    diagnostics.error(
        "E0444", at("layout.cp_exchange"), "sparse attention cannot go round a ring of cp ranks",
        "a query picks among the keys of all ranks: npu_lightning_indexer returns neither scores nor lse to merge "
        "parts by, so latents and index keys are gathered (vllm-project/vllm-ascend#6588; SGLang nsa_indexer.py)",
        "layout.cp_exchange: all-gather");
    return std::nullopt;
  }
  if (l.cp > 1 && l.cp_exchange == LatentExchange::kRing)
    diagnostics.note("A0142", at("layout.cp_exchange"),
                     fmt::format("a what-if: {} gathers the latent of a prompt, it has no ring", d.engine));
  return d;
}

}  // namespace ascendsim
