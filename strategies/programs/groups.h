// Which ranks talk to which. MindIE numbers ranks with tp fastest, then cp, then dp (Ascend/MindIE-LLM
// examples/atb_models/atb_llm/utils/mapping.py).
#pragma once

#include <cstdint>
#include <vector>

#include "hardware/link_graph.h"
#include "sim/fold.h"
#include "strategies/deployment/deployment.h"

namespace ascendsim {

enum class Group : std::uint8_t {
  kAttnTp,
  kAttnSp,
  kAttnDp,
  kAttnCp,
  kMoeTp,
  kMoeEp,
  kWorld,
  kKvShards,
  kOProjTp,
  kLmHeadTp,
  kEmbeddingTp,
  kMlpTp
};
constexpr std::uint8_t kind(Group g) { return static_cast<std::uint8_t>(g); }

// The groups of every engine, indexed by Group. attn_tp: contiguous blocks of tp. attn_sp: parts of these (MindIE: all of
// them; vLLM: dcp neighbours, tp / dcp copies). attn_cp: stride tp inside a DP group. attn_dp: stride cp * tp. moe_tp:
// contiguous blocks; moe_ep: stride moe_tp. kv_shards: the ranks that hold the shards of one sequence's KV cache.
// o_proj_tp and lm_head_tp: contiguous blocks of the local degrees. embedding_tp and mlp_tp: neighbours of attn_dp
// (vllm_ascend/distributed/parallel_state.py, _create_or_get_group).
std::vector<GroupKind> rank_groups(const Layout& layout, const Cluster& cluster);
// Without hardware, where nothing is priced.
std::vector<GroupKind> rank_groups(const Layout& layout);

struct RankCoordinates {
  std::int64_t dp = 0, cp = 0, tp = 0;
  std::int64_t moe_ep = 0, moe_tp = 0;
  [[nodiscard]] std::int64_t kv_shard(const Layout& l) const { return (l.cp_whole_cache ? 0 : cp * l.sp) + tp % l.sp; }
};
RankCoordinates coordinates(const Layout& layout, std::int64_t rank);

}  // namespace ascendsim
