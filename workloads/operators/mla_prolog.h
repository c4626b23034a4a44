// The fused decode prolog (MindIE MlaPreprocess, MLAPO in vLLM-Ascend): RMSNorm, quantise, q_a / kv_a, latent
// norms, q_b, rope, q W_UK and the cache write in one kernel; weights streamed once. At most 1024 tokens.
#pragma once

#include "sim/program.h"

namespace ascendsim {

struct MlaPrologWeights {
  Value input_norm, qkv_a, q_norm, kv_norm, q_b, w_uk;
};
// x [b, hidden] -> absorbed queries [b, heads * (latent + rope)]; `cache_rows` receive this rank's new rows.
Value mla_prolog(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w, Value cache_rows, int heads,
                 std::int64_t latent_width, std::int64_t rope_width);

}  // namespace ascendsim
