#include "hardware/kernel_cost.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace ascendsim {
namespace {

// Time per unit of what the catalogue gives no rate for: a total is then not finite, and duration_from_seconds refuses
// it.
constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Output tiles as powers of two, so that counting them takes shifts. The large ones fill the accumulator of a cube core
// (128 x 256 x 4 B = 128 KiB, the size of L0C); kernels leave them only for products that would give some cores no tile
// at all (assumed: no tiling table is published; the small ones come from the m = 1 and n = 256 cases of the tests).
struct TileShape {
  int log2_m, log2_n;
};
constexpr std::array kLargeTiles{TileShape{7, 8}, TileShape{8, 7}};
constexpr std::array kSmallTiles{TileShape{7, 6}, TileShape{6, 6}};
constexpr std::int64_t kCubeRows =
    16;  // the cube multiplies 16 x 16 x 16 (CANN platform_config), rows are padded to it

constexpr std::int64_t count_tiles(std::int64_t extent, int log2_tile) {
  return (extent + (std::int64_t{1} << log2_tile) - 1) >> log2_tile;
}

// The quotient is exact for counts below 2^53 wherever it is a whole number, and a division of doubles is several times
// faster than one of 64-bit integers.
double count_waves(std::int64_t tiles, std::int64_t cores) {
  const double quotient = static_cast<double>(tiles) / static_cast<double>(cores);
  const auto whole = static_cast<double>(static_cast<std::int64_t>(quotient));
  return whole < quotient ? whole + 1.0 : whole;
}

double power(double a, double p) {
  if (p == 1.5) return a * std::sqrt(a);
  return p == 2.0 ? a * a : a;
}

// Cube root of a positive normal number: a third of the bit pattern, with two thirds of the exponent's bias put back,
// is within 6 %; each Halley step cubes the error, so three of them leave only rounding. The library's cbrt() may
// differ between systems in the last bit.
double cube_root(double x) {
  constexpr std::uint64_t kBias = 0x2A9F'7893'0000'0000;  // of W. Kahan's and FreeBSD's first guess
  double root = std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) / 3 + kBias);
  for (int step = 0; step < 3; ++step) {
    const double cube = root * root * root;
    root *= (cube + x + x) / (cube + cube + x);
  }
  return root;
}

double inverse_power(double a, double p) {
  if (a < std::numeric_limits<double>::min()) return 0.0;
  if (p == 1.5) {
    const double root = cube_root(a);
    return root * root;
  }
  return p == 2.0 ? std::sqrt(a) : a;
}

}  // namespace

std::string_view to_text(Bound bound) {
  switch (bound) {
    case Bound::kLaunch:
      return "launch";
    case Bound::kMemory:
      return "memory";
    case Bound::kMatrix:
      return "matrix";
    case Bound::kVector:
      return "vector";
    case Bound::kL2:
      return "L2";
  }
  return "";
}

double combine(double a, double b, double p) {
  if (a == 0.0 || b == 0.0) return a + b;
  return inverse_power(power(a, p) + power(b, p), p);
}

KernelCost::KernelCost(const Die& die, const KernelTable& table, std::span<const std::string_view> families,
                       double share, double vector_share)
    : exponent_(table.combine_exponent.value.count()),
      // The cube has no FP32 peak of its own here: the efficiency of the FP32 family carries its slower mode.
      seconds_per_flop_{kInfinite, 1.0 / (share * die.matrix_16bit.value.count()),
                        1.0 / (share * die.matrix_int8.value.count()), 1.0 / (share * die.matrix_16bit.value.count())},
      seconds_per_hbm_byte_(1.0 / (share * die.hbm_bandwidth.value.count())),
      seconds_per_l2_byte_(1.0 / (share * die.l2_bandwidth.value.count())),
      l2_capacity_(static_cast<double>(die.l2_capacity.value.count())),
      columns_per_core_(table.shared.ratio("columns_per_core").count()),
      inverse_results_per_core_(1.0 / table.shared.ratio("results_per_core").count()),
      vector_cores_(share * vector_share * static_cast<double>(die.vector_cores.value.count())),
      cores_(std::llround(share * static_cast<double>(die.cube_cores.value.count()))) {
  check(exponent_ == 1.0 || exponent_ == 1.5 || exponent_ == 2.0, "combine exponent of the kernel table");
  check(cores_ > 0, "a die has matrix cores");
  for (const std::string_view name : families) {
    const KernelFamily& family = table.family(name);
    const bool by_rows = family.l2_efficiency.value > Ratio{};
    families_.push_back(
        {.t0 = seconds(family.t0.value),
         .core_start = seconds(family.core_start.value),
         .seconds_per_byte = seconds_per_hbm_byte_ / family.hbm_efficiency.value.count(),
         .inverse_matrix_efficiency = 1.0 / family.matrix_efficiency.value.count(),
         .seconds_per_vector_flop =
             1.0 / (share * vector_share * die.vector_fp32.value.count() * family.vector_efficiency.value.count()),
         .l2_seconds_per_result = static_cast<double>(family.l2_bytes_per_result.value.count()) * seconds_per_l2_byte_,
         .row_time = seconds(family.row_time.value),
         .row_seconds_per_byte = by_rows ? seconds_per_l2_byte_ / family.l2_efficiency.value.count() : 0.0,
         .block = family.block.value.count()});
  }
}

double KernelCost::cores_with_work(const Work& work) const {
  if (work.groups > 0)
    return std::min(static_cast<double>(cores_),
                    static_cast<double>(work.groups * work.m * work.n) * inverse_results_per_core_);
  return std::min(vector_cores_, static_cast<double>(work.rows));
}

KernelCost::MatrixTime KernelCost::matrix_time(const Work& work, double flop_seconds, double result_seconds) const {
  if (work.groups == 0) return {flop_seconds, Bound::kMatrix};
  MatrixTime best{kInfinite, Bound::kMatrix};
  const std::int64_t elements = work.groups * work.m * work.n;
  const double seconds_per_element = flop_seconds / static_cast<double>(elements);
  const double a_seconds = static_cast<double>(work.groups * work.m * work.k * work.bytes_a) * seconds_per_l2_byte_;
  const double results = static_cast<double>(elements) * result_seconds;
  const double b_seconds = static_cast<double>(work.groups * work.k * work.n * work.bytes_b) * seconds_per_l2_byte_;
  const std::int64_t padded_m = round_up(work.m, kCubeRows);
  const auto try_tile = [&](TileShape tile) {
    const std::int64_t rows = count_tiles(work.m, tile.log2_m);
    const std::int64_t columns = count_tiles(work.n, tile.log2_n);
    const std::int64_t tiles = work.groups * rows * columns;
    const std::int64_t tile_elements = std::min(std::int64_t{1} << tile.log2_m, padded_m) << tile.log2_n;
    const double on_cores =
        count_waves(tiles, cores_) * static_cast<double>(cores_ * tile_elements) * seconds_per_element;
    const double through_l2 =
        a_seconds * static_cast<double>(columns - 1) + b_seconds * static_cast<double>(rows - 1) + results;
    const double slower = std::max(on_cores, through_l2);
    if (slower < best.seconds) best = {slower, through_l2 > on_cores ? Bound::kL2 : Bound::kMatrix};
    return tiles;
  };
  const std::int64_t whole_tiles = try_tile(kLargeTiles[0]);
  try_tile(kLargeTiles[1]);
  if (whole_tiles < cores_) {
    for (const TileShape tile : kSmallTiles) try_tile(tile);
  }
  return best;
}

KernelCost::Parts KernelCost::parts_by_rows(const Work& work, const Terms& family) const {
  check(work.matrix == Flops{} && work.matrix_rounding == Flops{}, "kernels of rows have no matrix work");
  const auto bytes = static_cast<double>((work.read + work.written).count());
  const double cores =
      family.block == 0
          ? cores_with_work(work)
          : std::min(vector_cores_, static_cast<double>(ceil_div((work.read + work.written).count(), family.block)));
  const double rows =
      family.row_time * static_cast<double>(work.rows) / vector_cores_ + bytes * family.row_seconds_per_byte;
  return {family.t0 * work.launches + family.core_start * cores,
          bytes * bytes / (bytes + l2_capacity_) * family.seconds_per_byte,
          {0.0, Bound::kMatrix},
          std::max(rows, static_cast<double>(work.vector.count()) * family.seconds_per_vector_flop)};
}

KernelCost::Parts KernelCost::parts(const Work& work, const Terms& family) const {
  auto bytes = static_cast<double>((work.read + work.written).count());
  if (work.groups > 0) {
    // groups * k * n * (1 / fed - 1), fed = groups * n / (cores * columns_per_core): B as if the whole die drew it.
    const double fed = static_cast<double>(work.groups * work.n),
                 whole = static_cast<double>(cores_) * columns_per_core_;
    bytes += static_cast<double>(work.k * work.bytes_b) * std::max(0.0, whole - fed);
  }
  Parts out{family.t0 * work.launches + family.core_start * cores_with_work(work),
            bytes * family.seconds_per_byte,
            {0.0, Bound::kMatrix},
            static_cast<double>(work.vector.count()) * family.seconds_per_vector_flop};
  const Flops flops = work.matrix + work.matrix_rounding;
  if (flops > Flops{})
    out.matrix =
        matrix_time(work,
                    static_cast<double>(flops.count()) * seconds_per_flop_[static_cast<std::size_t>(work.matrix_type)] *
                        family.inverse_matrix_efficiency,
                    family.l2_seconds_per_result);
  return out;
}

KernelTime KernelCost::price(const Work& work) const {
  if (work.launches == 0) return {};
  const Terms& family = families_[work.family];
  if (family.row_seconds_per_byte > 0.0) {
    const Parts p = parts_by_rows(work, family);
    const double longest = std::max(p.memory, p.vector);
    KernelTime time{duration_from_seconds(p.launch + longest), Bound::kLaunch};
    if (longest > p.launch) time.bound = p.memory > p.vector ? Bound::kMemory : Bound::kVector;
    return time;
  }
  const Parts p = parts(work, family);
  // combine(combine(matrix, vector), memory) with one root only.
  const double together = inverse_power(
      power(p.memory, exponent_) + power(p.matrix.seconds, exponent_) + power(p.vector, exponent_), exponent_);

  KernelTime time{duration_from_seconds(p.launch + together), Bound::kLaunch};
  double largest = p.launch;
  const auto consider = [&](double term, Bound bound) {
    if (term > largest) largest = term, time.bound = bound;
  };
  consider(p.memory, Bound::kMemory);
  consider(p.matrix.seconds, p.matrix.bound);
  consider(p.vector, Bound::kVector);
  return time;
}

KernelTerms KernelCost::terms(const Work& work) const {
  KernelTerms out{};
  if (work.launches == 0) return out;
  const Terms& family = families_[work.family];
  const Parts p = family.row_seconds_per_byte > 0.0 ? parts_by_rows(work, family) : parts(work, family);
  const auto at = [&](Bound bound) -> double& { return out[static_cast<std::size_t>(bound)]; };
  at(Bound::kLaunch) = p.launch;
  at(Bound::kMemory) = p.memory;
  at(p.matrix.bound) = p.matrix.seconds;
  at(Bound::kVector) = p.vector;
  return out;
}

Duration KernelCost::matrix_at_peak(const Work& work) const {
  if (work.matrix == Flops{}) return {};
  return duration_from_seconds(static_cast<double>(work.matrix.count()) *
                               seconds_per_flop_[static_cast<std::size_t>(work.matrix_type)]);
}

Duration KernelCost::memory_at_peak(Bytes bytes) const {
  return duration_from_seconds(static_cast<double>(bytes.count()) * seconds_per_hbm_byte_);
}

}  // namespace ascendsim
