// The parts of latent attention that its programs share: mla.cpp, context_parallel.cpp, sparse_mla.cpp. Internal to
// programs/.
#pragma once

#include <optional>

#include "strategies/programs/rank_step.h"
#include "workloads/operators/attention.h"

namespace ascendsim {

RankStep::Cut by_heads(const RankStep& s);
Value kv_cache(RankStep& s);  // of the latents; of draft passes always the first one's
Value qkv_a_weight(RankStep& s);
Value q_b_weight(RankStep& s);
Value w_uk_weight(RankStep& s);
Value w_uv_weight(RankStep& s);
// [rows, q_rank] -> queries of this rank's heads [rows, heads * (nope + rope)], rotated; -> the same with W_UK absorbed
// [rows, heads * (kv_rank + rope)].
Value queries_of_heads(RankStep& s, Value q_c, Value positions);
Value absorbed_queries(RankStep& s, Value q);

// The norm before attention of the first rows of the residual stream, x; where norms add, all of the stream gets what
// the layer before has computed.
Value input_norm(RankStep& s, Value residual, Value x, Dtype out);

// Rows that several ranks computed go to the cache when they have been gathered: the rank's shard needs some of all.
void write_gathered(RankStep& s, Value latent, Value cache, Moves moves);

struct Expanded {
  Value k, v;  // [rows, heads * (nope + rope)], [rows, heads * value]
};
// W_UK and W_UV as linears take them.
struct TransposedExpansion {
  std::optional<Value> w_uk, w_uv;
};
// Keys and values of this rank's heads from latent rows. MindIE transposes W_UK and W_UV each time; `kept`: only once.
Expanded expand(RankStep& s, Value latent, const char* label_k, const char* label_v,
                TransposedExpansion* kept = nullptr);
PrefillCore prefill_core(const RankStep& s);

// ---- context_parallel.cpp
// ---------------------------------------------------------------------------------------------

// Rows that every cp rank computed of a prompt, in the columns that attention needs of other ranks' tokens (the latent;
// an index key beside it would be one more call), as ranks sent them and in order.
struct GatheredRows {
  Value by_rank, ordered;
};
GatheredRows gather_over_cp(RankStep& s, const char* gather, const char* reorder, Value own);
// Attention of the rank's queries over their whole prompts and cached prefixes, cache writes included. `latent`: of the
// rank's own rows.
void attend_context_parallel(RankStep& s, Value q, Value latent, Value cache, Value out, Value lse);
// Attention over the cached prefix, all of it visible: its shards are gathered, padded to the longest, and expanded
// whole on every rank. `accumulate`: (out, lse) hold something already. Nothing where there is no prefix.
void attend_history(RankStep& s, Value q, Value out, Value lse, Value cache, bool accumulate);

}  // namespace ascendsim
