// Round-robin shares round a ring (striped attention, Brandon et al. 2023): every rank has half of what there is to do
// with each of the others' keys.
#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

void attend_striped_ring(PromptAttention& a, Value latent, Value cache) {
  TransposedExpansion weights;
  a.round_the_ring(latent, cache, [&](std::int64_t rank, Value now) {
    const Expanded kv = expand(a.s, now, "kv_b_k", "kv_b_v", &weights);
    a.call("ring_attention", a.triangle_with(rank), 0, a.part_rows(), kv);
  });
}

}  // namespace ascendsim
