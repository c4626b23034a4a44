// What one kernel does, in terms of a generic accelerator: a matrix engine, a vector engine, a memory. Operators say
// their Work, hardware turns it into time. Nothing here knows a model or a vendor.
#pragma once

#include <cstdint>

#include "sim/units.h"

namespace ascendsim {

enum class MatrixType : std::uint8_t { kNone, k16Bit, kInt8, kFp32 };

struct Work {
  std::uint8_t family = 0;  // index of a kernel family (its t0 and efficiencies); the names belong to workloads/
  MatrixType matrix_type = MatrixType::kNone;
  std::uint8_t launches = 1;  // kernels started; 0 = nothing runs (zero rows): no time at all
  Flops matrix{};             // exact, as the mathematics needs it (causal pairs, real rows)
  Flops matrix_rounding{};    // extra work because kernels compute whole tiles; charged to time, named apart
  Flops vector{};             // lane operations (FMA = 2) on 32-bit lanes
  Bytes read{}, written{};    // device memory
  // Shape of the (grouped) matrix product for tiling over cores: groups x [m, k] x [k, n]; 0 when it is not a GEMM.
  std::int64_t m = 0, n = 0, k = 0, groups = 0;
  std::uint8_t bytes_a = 0, bytes_b = 0;  // of an element of [m,k] and [k,n]
  std::int64_t rows = 0;                  // of a vector kernel: what its cores share out
};

}  // namespace ascendsim
