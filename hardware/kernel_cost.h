// Work -> time on one die:  t0 + core_start * cores with work + (t_mem^p + t_compute^p)^(1/p).
//   t_mem     = (read + written + b_share) / (HBM bandwidth * hbm_efficiency)
//   b_share   = bytes of B * (1 / fed cores - 1): a core streams at its own rate, and a product of n columns feeds
//               n / columns_per_core of them
//   t_compute = (t_matrix'^p + t_vector^p)^(1/p)   (softmax on the vector cores beside the cube)
//   t_matrix' = max( t_matrix, t_l2 )
//   t_matrix  = (matrix + matrix_rounding) / (cube peak of the type * matrix_efficiency) * tile rounding over the cores
//   t_l2      = bytes that tiles pull through L2 again (each A panel once per further column of tiles, each B panel
//               once per further row; the first pull is the HBM traffic of t_mem; results that vector cores scale,
//               l2_bytes_per_result each) / L2 bandwidth
//   t_vector  = vector / (fp32 vector peak * vector_efficiency)
// A product gives work to m * n / results_per_core cores, a vector kernel to as many as it has rows, or blocks of bytes
// where its family states a block. Vector kernels that
// take rows one by one (families with an l2_efficiency), overlapping what they wait for:
//   t = t0 + core_start * cores + max( row_time * rows / cores + bytes / (L2 bandwidth * l2_efficiency),
//                                      spilled / (HBM bandwidth * hbm_efficiency), t_vector )
//   spilled = bytes * bytes / (bytes + L2 capacity): what the kernel before left in L2 is not read from HBM
// p is a figure of the kernel table (1.5). Deterministic: sqrt and our own cube root only.
// Tile rounding: output tiles of 128x256 or 256x128 (they fill L0C), m padded to 16 where it is less than a tile, and
// ceil(tiles / cores) waves over the real core count; products with fewer such tiles than cores may also use 128x64 and
// 64x64. The fastest choice counts. Larger products choose among fewer tiles, so more rows or columns are never faster.
// FP32 products are charged against the 16-bit peak: the efficiency of their family carries the slower mode.
// Ignored: splitting k and its reduction.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hardware/catalogue.h"
#include "sim/work.h"

namespace ascendsim {

enum class Bound : std::uint8_t { kLaunch, kMemory, kMatrix, kVector, kL2 };  // the largest term: "which limit"
std::string_view to_text(Bound bound);

// Seconds of each term by Bound: what the time is made of. They overlap, so together they are more than the time.
using KernelTerms = std::array<double, 5>;

struct KernelTime {
  Duration total{};
  Bound bound = Bound::kLaunch;
};

// Prices work without allocation or virtual calls: figures are copied into plain doubles at construction.
// REQUIRES: family index < families; matrix work only for families with a matrix efficiency; m, n, k >= 1 when
// groups >= 1.
class KernelCost {
 public:
  // families: the order in which Work::family indexes them.
  // share: of the die's cores, its HBM and its L2 bandwidth, when kernels of another lane have the rest.
  // vector_share: of those vector cores, when collectives have the rest.
  KernelCost(const Die& die, const KernelTable& table, std::span<const std::string_view> families, double share = 1,
             double vector_share = 1);
  [[nodiscard]] KernelTime price(const Work& work) const;
  [[nodiscard]] KernelTerms terms(const Work& work) const;  // of price(); for explanations
  // Nothing but the die's peaks: matrix / peak per type; bytes / HBM bandwidth. For the speed of light.
  [[nodiscard]] Duration matrix_at_peak(const Work& work) const;
  [[nodiscard]] Duration memory_at_peak(Bytes bytes) const;

 private:
  struct Terms {
    double t0, core_start, seconds_per_byte, inverse_matrix_efficiency, seconds_per_vector_flop;
    double l2_seconds_per_result;           // of a matrix product
    double row_time, row_seconds_per_byte;  // the second one is 0 where rows do not go one by one
    std::int64_t block;                     // 0: cut by rows
  };
  struct MatrixTime {
    double seconds;
    Bound bound;
  };
  // max(t_matrix, t_l2) of the best tiling; flop_seconds: t_matrix without tile rounding.
  [[nodiscard]] MatrixTime matrix_time(const Work& work, double flop_seconds, double result_seconds) const;
  // The terms of a kernel, launch apart.
  struct Parts {
    double launch, memory;
    MatrixTime matrix;
    double vector;
  };
  [[nodiscard]] Parts parts(const Work& work, const Terms& family) const;
  [[nodiscard]] Parts parts_by_rows(const Work& work, const Terms& family) const;
  [[nodiscard]] double cores_with_work(const Work& work) const;

  std::vector<Terms> families_;
  double exponent_, seconds_per_flop_[4], seconds_per_hbm_byte_, seconds_per_l2_byte_;
  double l2_capacity_, columns_per_core_, inverse_results_per_core_, vector_cores_;
  std::int64_t cores_;
};

// (a^p + b^p)^(1/p): by sqrt and cube root at p = 1.5, sum at 1, sqrt at 2; other p are refused when a table is read.
double combine(double a, double b, double p);

}  // namespace ascendsim
