#include "sim/products.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/check.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kBlockColumns = 128;  // of the right factor, packed at a time
constexpr int kSums = 8;                     // vectors in registers at a time
constexpr std::int64_t kFewRows = 8;

// Columns from `first` on of a panel of the right factor, cut into strips of `kWidth` columns: a strip is a row of kWidth
// elements for every inner index. The last strip is filled up with zeros.
template <int kWidth, class Scalar>
ASCENDSIM_INLINE void pack(const Operand<const Scalar>& b, std::int64_t first, Scalar* packed) {
  for (; first < b.columns; first += kWidth) {
    const std::int64_t width = std::min<std::int64_t>(kWidth, b.columns - first);
    const Scalar* from = b.data + first * b.column_step;
    Scalar* to = packed + first * b.rows;
    if (width < kWidth) std::fill_n(to, b.rows * kWidth, Scalar{0});
    for (std::int64_t k = 0; k < b.rows; ++k, from += b.row_step, to += kWidth)
      if (width < kWidth) {
        for (std::int64_t c = 0; c < width; ++c) to[c] = from[c * b.column_step];
      } else if (b.column_step == 1) {
        std::memcpy(to, from, kWidth * sizeof(Scalar));
      } else {
#pragma GCC unroll 16
        for (int c = 0; c < kWidth; ++c) to[c] = from[c * b.column_step];
      }
  }
}

// kRows rows of `a` by a strip of kVectors vectors whose rows lie `step` apart, added to `out` or put there.
template <class Vector, int kRows, int kVectors, class Scalar>
ASCENDSIM_INLINE void multiply_strip(const Operand<const Scalar>& a, const Scalar* strip, std::int64_t step,
                                     const Operand<Scalar>& out, bool add) {
  constexpr int kLanes = static_cast<int>(sizeof(Vector) / sizeof(Scalar)), kWidth = kVectors * kLanes;
  Vector sums[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < a.columns; ++k, strip += step) {
    Vector right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) std::memcpy(&right[v], strip + v * kLanes, sizeof(Vector));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Scalar x = a.data[r * a.row_step + k * a.column_step];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] += x * right[v];
    }
  }
  const std::int64_t columns = std::min<std::int64_t>(kWidth, out.columns);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    Scalar* const to = out.data + r * out.row_step;
    Scalar lanes[kWidth];
    std::memcpy(lanes, &sums[r], sizeof lanes);
    if (add)
      for (std::int64_t c = 0; c < columns; ++c) to[c * out.column_step] += lanes[c];
    else
      for (std::int64_t c = 0; c < columns; ++c) to[c * out.column_step] = lanes[c];
  }
}

// All rows of `a` by a strip. Eight sums hide how long an addition takes, and fit into registers.
template <class Vector, int kVectors, class Scalar>
ASCENDSIM_INLINE void multiply_rows(Operand<const Scalar> a, const Scalar* strip, std::int64_t step,
                                    Operand<Scalar> out, bool add) {
  constexpr int kRows = kSums / kVectors;
  for (; a.rows >= kRows; a.rows -= kRows) {
    multiply_strip<Vector, kRows, kVectors>(a, strip, step, out, add);
    a.data += kRows * a.row_step;
    out.data += kRows * out.row_step;
  }
  for (; a.rows > 0; --a.rows) {
    multiply_strip<Vector, 1, kVectors>(a, strip, step, out, add);
    a.data += a.row_step;
    out.data += out.row_step;
  }
}

// Panels are visited in order for every element; all else may be in any order.
template <class Vector, int kVectors, class Scalar>
ASCENDSIM_INLINE void multiply_by_strips(const Operand<Scalar>& out, const Operand<const Scalar>& a,
                                         const Operand<const Scalar>& b, bool accumulate, Scalar* packed) {
  constexpr int kWidth = kVectors * static_cast<int>(sizeof(Vector) / sizeof(Scalar));
  const bool lie_there = b.column_step == 1 && a.rows <= kFewRows;  // packing strips costs more than it brings
  for (std::int64_t column = 0; column < b.columns; column += kBlockColumns)
    for (std::int64_t inner = 0; inner < b.rows; inner += kPanelDepth) {
      const Operand<const Scalar> panel{b.data + inner * b.row_step + column * b.column_step,
                                        std::min(kPanelDepth, b.rows - inner),
                                        std::min(kBlockColumns, b.columns - column), b.row_step, b.column_step};
      const std::int64_t first_packed = lie_there ? panel.columns / kWidth * kWidth : 0;
      pack<kWidth>(panel, first_packed, packed);
      for (std::int64_t at = 0; at < panel.columns; at += kWidth) {
        const bool there = at < first_packed;
        multiply_rows<Vector, kVectors, Scalar>(
            {a.data + inner * a.column_step, a.rows, panel.rows, a.row_step, a.column_step},
            there ? panel.data + at : packed + at * panel.rows, there ? panel.row_step : kWidth,
            {out.data + (column + at) * out.column_step, out.rows, panel.columns - at, out.row_step, out.column_step},
            accumulate || inner > 0);
      }
    }
}

template <class Scalar>
constexpr Operand<Scalar> transposed(const Operand<Scalar>& m) {
  return {m.data, m.columns, m.rows, m.column_step, m.row_step};
}

// Few rows by a factor whose columns lie apart, as queries of one token by keys: the rows become the strips, so that
// the many keys need not be packed.
template <class Vector, class Scalar>
ASCENDSIM_INLINE void multiply_with(const Operand<Scalar>& out, const Operand<const Scalar>& a,
                                    const Operand<const Scalar>& b, bool accumulate, Scalar* packed) {
  if (b.column_step != 1 && a.rows <= kFewRows)
    multiply_by_strips<Vector, 1, Scalar>(transposed(out), transposed(b), transposed(a), accumulate, packed);
  else
    multiply_by_strips<Vector, 2, Scalar>(out, a, b, accumulate, packed);
}

template <class Scalar>
void multiply_portable(const Operand<Scalar>& out, const Operand<const Scalar>& a, const Operand<const Scalar>& b,
                       bool accumulate, Scalar* packed) {
  multiply_with<typename VectorOf<Scalar, 16>::Type>(out, a, b, accumulate, packed);
}

template <class Scalar>
ASCENDSIM_WIDE void multiply_wide(const Operand<Scalar>& out, const Operand<const Scalar>& a,
                                  const Operand<const Scalar>& b, bool accumulate, Scalar* packed) {
  multiply_with<typename VectorOf<Scalar, 32>::Type>(out, a, b, accumulate, packed);
}

}  // namespace

template <class Scalar>
void multiply(Operand<Scalar> out, Operand<const Scalar> a, Operand<const Scalar> b, bool accumulate, Vectors vectors) {
  check(a.columns == b.rows && out.rows == a.rows && out.columns == b.columns && out.column_step == 1,
        "a matrix product of shapes that do not fit");
  if (out.rows == 0 || out.columns == 0) return;
  thread_local std::vector<Scalar> packed(static_cast<std::size_t>(kPanelDepth * kBlockColumns));
  if (b.rows == 0 && !accumulate)
    for (std::int64_t r = 0; r < out.rows; ++r) std::fill_n(out.data + r * out.row_step, out.columns, Scalar{0});
  if (vectors == Vectors::kWide)
    multiply_wide(out, a, b, accumulate, packed.data());
  else
    multiply_portable(out, a, b, accumulate, packed.data());
}

template void multiply(Operand<double>, Operand<const double>, Operand<const double>, bool, Vectors);
template void multiply(Operand<float>, Operand<const float>, Operand<const float>, bool, Vectors);

}  // namespace ascendsim
