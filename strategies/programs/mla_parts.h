// The parts of latent attention that its programs share: mla.cpp, context/, sparse_mla.cpp. Internal to programs/.
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

}  // namespace ascendsim
