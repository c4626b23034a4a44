// The fused decode prolog (MindIE MlaPreprocess, MLAPO in vLLM-Ascend): RMSNorm, quantise, q_a / kv_a, latent
// norms, q_b, rope, q W_UK and the cache write in one kernel; weights streamed once. At most 1024 tokens.
#pragma once

#include <optional>

#include "workloads/operators/elementwise.h"

namespace ascendsim {

struct MlaPrologWeights {
  std::optional<Value> input_norm;  // none: x is normed already
  Value qkv_a, q_norm, kv_norm, q_b, w_uk;
};
// x [b, hidden] -> absorbed queries [b, heads * (latent + rope)] of type `out`; rows of the latent go to the cache.
// int8 inputs of qkv_a and q_b are quantised with static scales.
Value mla_prolog(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w, Value positions, Value cache,
                 Moves writes, int heads, std::int64_t latent_width, std::int64_t rope_width, Dtype out);

// The same without the input norm (w.input_norm is not used), for sparse attention: its indexer needs the normed x and
// the compressed queries [b, q rank] as well.
struct PrologQueries {
  Value absorbed, compressed;
};
PrologQueries mla_prolog_of_normed(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w,
                                   Value positions, Value cache, Moves writes, int heads, std::int64_t latent_width,
                                   std::int64_t rope_width, Dtype out);

}  // namespace ascendsim
