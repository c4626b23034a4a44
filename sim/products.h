// Matrix products whose bytes are the same on any machine.
//
// The sum of an element is defined here and nowhere else: the inner dimension is cut into panels of kPanelDepth; within
// a panel products are added one after the other, from the first to the last; panels are added to the element in order.
// Every product is rounded before it is added (no fused multiply-add). Lanes of a vector are different elements of a
// row, so how wide vectors are, and in which order a machine visits blocks of the output, does not change an element.
// Libraries decide otherwise: Eigen 3.4 cuts the inner dimension by the cache sizes that the processor reports.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "sim/vectors.h"

namespace ascendsim {

inline constexpr std::int64_t kPanelDepth = 256;

// A matrix where it lies: element (r, c) at data[r * row_step + c * column_step].
template <class Scalar>
struct Operand {
  Scalar* data;
  std::int64_t rows, columns, row_step, column_step;
};

// out = a b, or with `accumulate` out += a b. REQUIRES: shapes fit; columns of `out` lie side by side; `out` overlaps
// neither factor. Scalar: float, double.
template <class Scalar>
void multiply(Operand<Scalar> out, Operand<const Scalar> a, Operand<const Scalar> b, bool accumulate, Vectors vectors);

// Eigen's matrices, maps, blocks of them and their transposes.
template <class Derived>
auto operand_of(const Eigen::DenseBase<Derived>& matrix) {
  const Derived& m = matrix.derived();
  const std::int64_t outer = m.outerStride(), inner = m.innerStride();
  return Operand<const typename Derived::Scalar>{m.data(), m.rows(), m.cols(), Derived::IsRowMajor ? outer : inner,
                                                 Derived::IsRowMajor ? inner : outer};
}

template <class Out, class A, class B>
void multiply(Out&& out, const A& a, const B& b, bool accumulate = false) {
  using Scalar = typename A::Scalar;
  const Operand<const Scalar> o = operand_of(out);
  multiply<Scalar>({out.data(), o.rows, o.columns, o.row_step, o.column_step}, operand_of(a), operand_of(b), accumulate,
                   widest_vectors());
}

template <class A, class B>
auto product(const A& a, const B& b) {
  Eigen::Matrix<typename A::Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> out(a.rows(), b.cols());
  multiply(out, a, b);
  return out;
}

}  // namespace ascendsim
