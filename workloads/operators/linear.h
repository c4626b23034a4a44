// Dense and grouped linear layers: y[m, n] = x[m, k] w[k, n], 2 m k n FLOP, weights streamed once.
#pragma once

#include "sim/program.h"

namespace ascendsim {

// The product runs in the weight's type: int8 weights need int8 activations (dequantised on the way out), fp32 weights
// run as fp32. x: [m, k]; w: [k, n] from ProgramBuilder::weight.
Value linear(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out = Dtype::kFp16);
// The same into existing rows y [m, n].
void linear_into(ProgramBuilder& p, const char* label, Value x, Value w, Value y);

// A batch of per-head products: x [m, heads * k] and w [k, heads * n] with the heads side by side -> [m, heads * n].
// 2 m heads k n FLOP. Used for W_UK and W_UV of absorbed MLA. Heads of x may be wider than k: their first k columns
// count. A transposed weight lies as [n, heads * k] under the reshaped w: W_UK, made for expanding keys, absorbs
// queries.
enum class StoredAs : std::int32_t { kUsed, kTransposed };
Value per_head_linear(ProgramBuilder& p, const char* label, Value x, Value w, int heads,
                      StoredAs stored = StoredAs::kUsed);

// Routed copies as the router of `tokens` tokens deals them out with uniform routing.
struct RoutedRows {
  std::int64_t tokens = 0;  // tokens of the whole expert-parallel group, each with `top_k` copies
  std::int32_t top_k = 8;
  std::int32_t experts = 256;       // of the layer
  std::int64_t local_experts = 16;  // held by this rank
  std::int64_t load = kEven;        // of these against the mean, in 1 / kEven: unequal routing
  static constexpr std::int64_t kEven = 1 << 20;
  // Copies that this rank computes, times `experts`: while the expected number itself may be a fraction.
  [[nodiscard]] std::int64_t copies_times_experts() const;
  [[nodiscard]] std::int64_t expected() const { return ceil_div(copies_times_experts(), experts); }
  // Expected number of local experts that receive at least one copy: El (1 - (1 - load k/E)^n).
  [[nodiscard]] double experts_hit() const;
};
// int8 rows into two int4 ones each, in place, before int4 weights multiply them: the part of the kernel that runs on
// the vector cores alone while the others wait (CANN GroupedMatmul A8W4, grouped_matmul_antiquant_a8w4_msd_pre.h).
void split_rows(ProgramBuilder& p, const char* label, Value x);
// w: [experts * k, n] from ProgramBuilder::weight with slice.experts = local experts; only the experts hit are
// streamed.
Value grouped_linear(ProgramBuilder& p, const char* label, Value x, Value w, const RoutedRows& rows,
                     std::int64_t capacity, Dtype out = Dtype::kFp16);

}  // namespace ascendsim
