// vLLM-Ascend's calls over zigzag chunks: of head and tail chunk each one over its own keys, masked, and others for the
// keys before it, which need no mask (npu_ring_mla goes on from out and lse). Keys lie sequence after sequence.
#include <algorithm>

#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

namespace {

// Queries of a part against keys [first, first + rows) of the prompt. The kernel reads the keys of its call only; of
// several sequences they lie apart, so it is given all.
void call_over(PromptAttention& a, const char* label, std::int64_t part, std::int64_t first, std::int64_t rows,
               bool causal, const Expanded& kv) {
  PromptAttention::Blocks blocks;
  for (std::int64_t i = 0; i < a.s.rows.load.sequences; ++i)
    blocks.push_back({.q_row = static_cast<std::int32_t>(i * a.chunk()),
                      .q_rows = a.chunk(),
                      .k_row = static_cast<std::int32_t>(a.s.rows.gathered_row(i, first)),
                      .k_rows = static_cast<std::int32_t>(rows),
                      .causal = causal});
  if (a.s.rows.load.sequences > 1) return a.call(label, blocks, part, a.part_rows(), kv);
  const std::int64_t at = blocks[0].k_row;
  blocks[0].k_row = 0;
  a.call(label, blocks, part, a.part_rows(), {kv.k.row_slice(at, rows), kv.v.row_slice(at, rows)});
}

}  // namespace

void attend_masked_first(PromptAttention& a, Value latent, Value cache) {
  const Expanded kv = expand(a.s, a.gather(latent, cache).ordered, "kv_b_k", "kv_b_v");
  for (std::int64_t part = 0; part < 2; ++part) {
    const std::int64_t before = a.s.rows.split.first(a.s.at.cp, part);
    call_over(a, "masked_attention", part, before, a.chunk(), true, kv);
    const std::int64_t longest = a.s.context.unmasked_segment,
                       segment = longest > 0 ? longest : std::max<std::int64_t>(before, 1);
    for (std::int64_t first = 0; first < before; first += segment)
      call_over(a, "unmasked_attention", part, first, std::min(segment, before - first), false, kv);
  }
}

}  // namespace ascendsim
