// Vector operators: every row on its own, memory-bound. Each reads its inputs and writes its outputs once; the lane
// operations per element are algorithmic counts (an FMA counts 2).
#pragma once

#include <span>

#include "sim/program.h"

namespace ascendsim {

// y = norm(x + residual) * w, residual updated in place; y may be quantised on the way out (dtype of `out`).
Value rms_norm(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out);
Value add_rms_norm(ProgramBuilder& p, const char* label, Value x, Value residual, Value w, Dtype out);
// Rotates pairs of the given columns of x in place.
void rope(ProgramBuilder& p, const char* label, Value x);
// Latent norm of the first `rank` columns, rope on the rest, rows of `own` written to the cache.
Value kv_norm_rope_cache(ProgramBuilder& p, const char* label, Value latent, Value w, Value cache_rows);
// Per-tensor static or per-token dynamic int8 quantisation.
Value quantise(ProgramBuilder& p, const char* label, Value x);
// [m, 2n] -> [m, n]: silu(gate) * up; quantised on the way out when `out` is int8.
Value swiglu(ProgramBuilder& p, const char* label, Value x, Dtype out, std::int64_t capacity = 0);
Value cast(ProgramBuilder& p, const char* label, Value x, Dtype out);
void add(ProgramBuilder& p, const char* label, Value into, Value x);
// Copies rows (index_select, gather of last tokens, padding): pure data movement.
Value copy_rows(ProgramBuilder& p, const char* label, Value x, std::int64_t rows);
// The same for any runs of rows, one after another: reorders what a gather brought in rank order.
struct RowRun {
  std::int32_t first = 0, rows = 0;
};
Value select_rows(ProgramBuilder& p, const char* label, Value x, std::span<const RowRun> runs);
// The shared rope key [m, 64] repeated to all heads beside k_nope [m, heads * 128] -> [m, heads * 192].
Value concat_key(ProgramBuilder& p, const char* label, Value k_nope, Value k_rope, int heads);
// a [m, heads * x] and b [m, heads * y] -> [m, heads * (x + y)], head by head.
Value concat_heads(ProgramBuilder& p, const char* label, Value a, Value b, int heads);
// Rearranges a weight on the fly (MindIE transposes W_UK and W_UV in every prefill).
Value transpose(ProgramBuilder& p, const char* label, Value w);
// Token ids [m, 1] -> rows of the embedding table [vocabulary, n].
Value embed(ProgramBuilder& p, const char* label, Value ids, Value table);
// argmax / top-k / top-p over logits [m, vocabulary] -> ids [m, 1].
Value sample(ProgramBuilder& p, const char* label, Value logits);

}  // namespace ascendsim
