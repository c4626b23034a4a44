#include "strategies/programs/context.h"

#include <algorithm>

namespace ascendsim {

namespace {

// vllm_ascend/worker/pcp_utils.py (v0.15.0rc1): keys without mask are split into lists of 16K for npu_ring_mla.
constexpr std::int64_t kUnmaskedSegment = 16'384;

// vllm/v1/attention/backends/mla/common.py, determine_chunked_prefill_workspace_size: eight longest requests or four
// blocks a request, at most 64K tokens; at least a block a request.
std::int64_t chunked_prefill_workspace(const Limits& m) {
  constexpr std::int64_t kMost = 64 * 1024;
  const std::int64_t wanted = std::max(8 * m.max_seq_len, 4 * m.max_batch * m.block_tokens);
  return std::max(std::min(wanted, kMost), m.max_batch * m.block_tokens);
}

}  // namespace

ContextScheme context_scheme(const Deployment& d) {
  const Limits& m = d.limits;
  ContextScheme s{.partition = d.layout.cp_partition,
                  .exchange = d.layout.cp_exchange,
                  .cache = {.shards = d.layout.kv_shards(), .block_tokens = m.block_tokens, .turn = m.kv_interleave}};
  if (d.engine == "vllm-ascend") {
    // vllm_ascend/attention/context_parallel/mla_cp.py, common_cp.py (v0.15.0rc1).
    if (s.cache.turn == 0) s.cache.turn = m.block_tokens;
    s.unmasked_segment = kUnmaskedSegment;
    s.history_workspace = chunked_prefill_workspace(m);
    s.history_in_two_gathers = s.merges_in_32_bit = s.head_gathers_by_group = true;
  } else if (d.engine == "sglang") {
    // sgl-project/sglang#12207; python/sglang/srt/layers/utils/cp_utils.py. The cache is whole on every cp rank.
    s.merges_in_32_bit = s.head_gathers_by_group = true;
  } else {
    // MindIE operation/ring_attention.cpp, fa_update.cpp.
    s.chunk_major = !d.model.sparse();  // sparse attention picks among the keys of a sequence, so they lie in order
    s.calls = ContextScheme::Calls::kChunkByChunk;
  }
  return s;
}

}  // namespace ascendsim
