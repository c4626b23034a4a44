// MindIE's calls over zigzag chunks (ring_attention.cpp): in ring order, each chunk of keys on its own. Keys lie chunk
// after chunk, in each chunk sequence after sequence, as queries do.
#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

void attend_chunk_by_chunk(PromptAttention& a, Value latent, Value cache) {
  const Expanded kv = expand(a.s, a.gather(latent, cache).ordered, "kv_b_k", "kv_b_v");
  for (std::int64_t part = 0; part < 2; ++part) {
    const std::int64_t own = a.s.rows.split.first(a.s.at.cp, part) / a.chunk();  // which chunk of the prompt it is
    for (std::int64_t j = 0; j <= own; ++j) {
      PromptAttention::Blocks blocks;
      for (std::int32_t first = 0; first < a.part_rows(); first += a.chunk())
        blocks.push_back(
            {.q_row = first, .q_rows = a.chunk(), .k_row = first, .k_rows = a.chunk(), .causal = j == own});
      const auto keys = [&](Value x) { return x.row_slice(j * a.part_rows(), a.part_rows()); };
      a.call("ring_mla", blocks, part, a.part_rows(), {keys(kv.k), keys(kv.v)});
    }
  }
}

}  // namespace ascendsim
