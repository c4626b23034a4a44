// Zigzag chunks round a ring (zhuzilin/ring-flash-attention): only the keys that some query sees are expanded. All
// queries see the first chunk of an earlier rank and none of its second; of a later rank the second chunk of queries
// sees both.
#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

void attend_ring(PromptAttention& a, Value latent, Value cache) {
  TransposedExpansion weights;
  a.round_the_ring(latent, cache, [&](std::int64_t rank, Value now) {
    const bool own = rank == a.s.at.cp, earlier = rank < a.s.at.cp;
    const Value seen = own || !earlier ? now : now.row_slice(0, a.part_rows());
    const Expanded kv = expand(a.s, seen, "kv_b_k", "kv_b_v", &weights);
    PromptAttention::Blocks blocks;
    const std::int64_t first_part = own || earlier ? 0 : 1;
    for (std::int64_t part = first_part; part < 2; ++part)
      for (std::int64_t keys = 0; keys < (own ? part + 1 : seen.rows / a.part_rows()); ++keys)
        for (std::int64_t i = 0; i < a.s.rows.load.sequences; ++i)
          blocks.push_back({.q_row = static_cast<std::int32_t>((part - first_part) * a.part_rows() + i * a.chunk()),
                            .q_rows = a.chunk(),
                            .k_row = static_cast<std::int32_t>(keys * a.part_rows() + i * a.chunk()),
                            .k_rows = a.chunk(),
                            .causal = own && keys == part});
    a.call("ring_attention", blocks, first_part, (2 - first_part) * a.part_rows(), kv);
  });
}

}  // namespace ascendsim
