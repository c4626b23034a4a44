// Prefill attention over prefixes that the cache holds.
#include <vector>

#include "strategies/programs/context/attention.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

void attend_history(RankStep& s, Value q, Value out, Value lse, Value cache, bool accumulate) {
  PrefillCore core = prefill_core(s);
  core.accumulate = accumulate;
  for (const RowMoves::HistoryPiece& piece : s.moves.history()) {
    Value latent = place_rows(s.p, "history_load", cache, s.rows.load.sequences * piece.local_rows, piece.load);
    if (s.context.history_in_two_gathers) {
      latent = s.p.all_gather("history_gather_sp", latent, s.group(Group::kAttnSp));
      if (!s.l.cp_whole_cache) latent = s.p.all_gather("history_gather", latent, s.group(Group::kAttnCp));
    } else {
      latent = s.p.all_gather("history_gather", latent, s.group(Group::kKvShards));
    }
    if (s.l.kv_shards() > 1)
      latent = place_rows(s.p, "history_reorder", latent, s.rows.load.sequences * piece.tokens, piece.order);
    const Expanded kv = expand(s, latent, "history_kv_b_k", "history_kv_b_v");

    // Queries lie part after part, in each part sequence after sequence.
    std::vector<AttentionBlock> blocks;
    for (std::int64_t first = 0; first < s.rows.real; first += s.rows.split.chunk)
      blocks.push_back(
          {.q_row = static_cast<std::int32_t>(first),
           .q_rows = static_cast<std::int32_t>(s.rows.split.chunk),
           .k_row = static_cast<std::int32_t>(first / s.rows.split.chunk % s.rows.load.sequences * piece.tokens),
           .k_rows = static_cast<std::int32_t>(piece.tokens)});
    attend(s.p, "history_attention", core, blocks, q, kv.k, kv.v, out, lse);
    core.accumulate = 1;
  }
}

}  // namespace ascendsim
