// Vector operators: every row on its own, memory-bound. Each reads its inputs and writes its outputs once; the lane
// operations per element are algorithmic counts (an FMA counts 2).
#pragma once

#include <span>
#include <utility>

#include "sim/program.h"

namespace ascendsim {

// y = x / rms(x) * w, rms(x)^2 = mean(x^2) + 1e-6. add_rms_norm first adds x to the residual in place and norms the
// sum. An int8 result is quantised with a static scale.
Value rms_norm(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out);
Value add_rms_norm(ProgramBuilder& p, const char* label, Value x, Value residual, Value w, Dtype out);
// The same, with the normed rows in FP32 besides (AddRmsNormCast).
std::pair<Value, Value> add_rms_norm_cast(ProgramBuilder& p, const char* label, Value x, Value residual, Value w,
                                          Dtype out);
// The rotary embedding of DeepSeek (interleaved pairs): columns 2i and 2i+1 of the last `width` columns of each head
// turn by position * 10000^(-2i / width), in place. positions: int32 [rows, 1]. YaRN changes the angles, not the
// operator: left out.
void rope(ProgramBuilder& p, const char* label, Value x, Value positions, int heads, int width);

using Moves = ProgramBuilder::Moves;

// Latent norm of the first columns (as many as w has), rope on the rest; in the second form rows of the result go to
// the cache as well, which may be int8: then the latent is quantised with a static scale and the rope key stays behind
// it in 16 bit.
Value kv_norm_rope(ProgramBuilder& p, const char* label, Value latent, Value w, Value positions);
Value kv_norm_rope_cache(ProgramBuilder& p, const char* label, Value latent, Value w, Value positions, Value cache,
                         Moves writes);
// Writes rows that are normed and rotated already; `latent_width` columns of them are the latent.
void write_cache(ProgramBuilder& p, const char* label, Value latent, Value cache, int latent_width, Moves writes);

enum class QuantisationScale : std::int32_t { kStatic, kPerToken };
// int8 with a scale for the whole tensor, known before, or one for each row.
Value quantise(ProgramBuilder& p, const char* label, Value x, QuantisationScale scale);
// [m, 2n] -> [m, n]: silu(gate) * up with the gate in the first half; an int8 result is quantised per token.
Value swiglu(ProgramBuilder& p, const char* label, Value x, Dtype out, std::int64_t capacity = 0);
Value cast(ProgramBuilder& p, const char* label, Value x, Dtype out);
void add(ProgramBuilder& p, const char* label, Value into, Value x);
// Copies the first rows; what is more than x has is zero (padding): pure data movement.
Value copy_rows(ProgramBuilder& p, const char* label, Value x, std::int64_t rows);
// Moves rows to other places; rows that no move fills are zero.
Value place_rows(ProgramBuilder& p, const char* label, Value x, std::int64_t rows, Moves moves);
// Padding that travels is zero.
void zero_rows(ProgramBuilder& p, const char* label, Value x);
// The same for any runs of rows, one after another: reorders what a gather brought in rank order.
struct RowRun {
  std::int32_t first = 0, rows = 0;
};
Value select_rows(ProgramBuilder& p, const char* label, Value x, std::span<const RowRun> runs);
// The shared rope key [m, 64] repeated to all heads beside k_nope [m, heads * 128] -> [m, heads * 192].
Value concat_key(ProgramBuilder& p, const char* label, Value k_nope, Value k_rope, int heads);
// a [m, heads * x] and the last `width` columns of every head of b [m, heads * y] -> [m, heads * (x + width)], head by
// head; width = 0: all of b.
Value concat_heads(ProgramBuilder& p, const char* label, Value a, Value b, int heads, int width = 0);
// Rearranges a weight on the fly (MindIE transposes W_UK and W_UV in every prefill).
Value transpose(ProgramBuilder& p, const char* label, Value w);
// Token ids [m, 1] -> rows of the embedding table [vocabulary, n]; zero where the table is a part that lacks them.
Value embed(ProgramBuilder& p, const char* label, Value ids, Value table);
// Over logits [m, vocabulary] -> ids [m, 1]. The calculator takes the largest (greedy).
Value sample(ProgramBuilder& p, const char* label, Value logits);

}  // namespace ascendsim
