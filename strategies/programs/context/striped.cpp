// Round-robin shares, gathered (SGLang): no dense kernel here takes their queries in one call, so there is one for the
// keys of each rank. Keys lie as ranks sent them. The rank's own come first: every row sees one of them.
#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

void attend_striped(PromptAttention& a, Value latent, Value cache) {
  const Expanded kv = expand(a.s, a.gather(latent, cache).by_rank, "kv_b_k", "kv_b_v");
  for (std::int64_t step = 0; step < a.s.l.cp; ++step) {
    const std::int64_t rank = (a.s.at.cp - step + a.s.l.cp) % a.s.l.cp;
    const auto keys = [&](Value x) { return x.row_slice(rank * a.part_rows(), a.part_rows()); };
    a.call("striped_attention", a.triangle_with(rank), 0, a.part_rows(), {keys(kv.k), keys(kv.v)});
  }
}

}  // namespace ascendsim
