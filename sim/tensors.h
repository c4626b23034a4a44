// What one rank owns while the calculator carries its program out: a matrix per buffer, and a ledger of what was done.
// Buffers start as NaN. Weights, inputs and state come from a counter hash of (key, layer, global row, global column,
// expert), so every rank finds in its slice what the others have in theirs, and no rank needs the global tensor.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "sim/program.h"

namespace ascendsim {

// Counted where it happens: matrix products from the sizes of their operands, bytes from what is copied between ranks.
struct Ledger {
  std::int64_t matrix_flops = 0;
  std::int64_t masked_flops = 0;   // of these: spent on scores that a mask then hides (whole tiles are multiplied)
  std::int64_t bytes_sent = 0;
  [[nodiscard]] std::int64_t useful_flops() const { return matrix_flops - masked_flops; }
  Ledger& operator+=(const Ledger& other);
};

// The element of a global tensor: uniform with mean 0 and variance 1; weights of matrices have a variance of 1/64^2, so
// that products over hundreds of elements stay of order 1.
double hashed_element(const TensorSlice& slice, BufferKind kind, std::int64_t row, std::int64_t column, std::int64_t expert);

// x as the type holds it. Integer types are left alone: their scales belong to operators.
template <class Scalar>
Scalar rounded(Scalar x, Dtype type);

template <class Scalar>
class Tensors {
 public:
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using View = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;

  // round_inputs: weights, inputs and state hold what their types can.
  Tensors(const Program& program, bool round_inputs);

  // REQUIRES: `v` has the shape of its buffer's rows and columns, or is a part of it.
  View operator[](const Value& v);
  // The buffer under a value, for operators that read it in another shape.
  Matrix& whole(const Value& v) { return buffers_[v.buffer]; }
  void round(const Value& v);

  // out = a b, or with `accumulate` out += a b.
  template <class Out, class A, class B>
  void multiply(Out&& out, const A& a, const B& b, bool accumulate = false) {
    ledger_.matrix_flops += 2 * static_cast<std::int64_t>(a.rows()) * a.cols() * b.cols();
    if (accumulate) out.noalias() += a * b;
    else out.noalias() = a * b;
  }
  Ledger& ledger() { return ledger_; }

 private:
  void fill(const Buffer& buffer, const TensorSlice& slice, Matrix& matrix, bool round_inputs) const;

  const Program* program_;
  std::vector<Matrix> buffers_;
  Ledger ledger_;
};

}  // namespace ascendsim
