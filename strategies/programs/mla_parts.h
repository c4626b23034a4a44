// What dense and sparse multi-head latent attention share. Internal to programs/.
#pragma once

#include "strategies/programs/rank_step.h"

namespace ascendsim {

RankStep::Cut by_heads(const RankStep& s);
Value kv_cache(RankStep& s);                     // of the latents; of draft passes always the first one's
Value qkv_a_weight(RankStep& s);
Value q_b_weight(RankStep& s);
Value w_uk_weight(RankStep& s);
Value w_uv_weight(RankStep& s);
// [rows, q_rank] -> queries of this rank's heads [rows, heads * (nope + rope)], rotated; -> the same with W_UK absorbed
// [rows, heads * (kv_rank + rope)].
Value queries_of_heads(RankStep& s, Value q_c, Value positions);
Value absorbed_queries(RankStep& s, Value q);

}  // namespace ascendsim
