// What one rank owns while the calculator carries its program out: a matrix per buffer, and a ledger of what was done.
// Buffers start as NaN. Weights, inputs and state come from a counter hash of (key, layer, global row, global column,
// expert), so every rank finds in its slice what the others have in theirs, and no rank needs the global tensor.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "sim/products.h"
#include "sim/program.h"
#include "sim/rounding.h"

namespace ascendsim {

// Counted where it happens: matrix products from the sizes of their operands, bytes from what is copied between ranks.
struct Ledger {
  std::int64_t matrix_flops = 0;
  std::int64_t masked_flops = 0;  // of these: spent on scores that a mask then hides (whole tiles are multiplied)
  std::int64_t bytes_sent = 0;
  // Of these: what depends on how data decided (grouped products, addressed rows).
  std::int64_t routed_flops = 0, routed_bytes = 0;
  std::int64_t routed_buffers = 0;  // addressed rows, those that stay on their rank included
  [[nodiscard]] std::int64_t useful_flops() const { return matrix_flops - masked_flops; }
  Ledger& operator+=(const Ledger& other);
};

// The element of a global tensor: uniform with mean 0 and variance 1; weights have a variance of 1 / fan_in, 1/64^2
// where none is given, so that products stay of order 1. int32: the number of the row itself.
double hashed_element(const TensorSlice& slice, BufferKind kind, std::int64_t row, std::int64_t column,
                      std::int64_t expert);

// A hashed element as a buffer of the type holds it. Integer weights: a multiple of the channel's scale; all channels
// have the same range, hence the same scale.
double stored_element(double element, const TensorSlice& slice, BufferKind kind, Dtype type);

// Elements of a row of a global tensor, from `column` on; as a buffer of the type holds them, where one is named.
template <class Scalar>
void hashed_row(const TensorSlice& slice, BufferKind kind, std::int64_t row, std::int64_t column, std::int64_t expert,
                std::optional<Dtype> stored_as, std::span<Scalar> out);

// Rows that data decided (routed tokens): each says what it is for, where it goes next and which row it answers.
struct Deal {
  std::int32_t bin = -1;     // of the receiver's choosing among its weights (an expert); -1: a row of padding
  std::int32_t member = -1;  // of the group that exchanges the rows: to whom; after the exchange: from whom
  std::int32_t row = -1;     // of the rank that dealt it, opaque
};

// Ranges of tensors that are quantised with a fixed scale. Recorded by a run in floating point, as engines calibrate;
// then used. Integer tensors hold the numbers that their integers and scales stand for.
class Calibration {
 public:
  void record() { recording_ = true; }
  void use() { recording_ = false; }
  // The scale to quantise with, of a tensor whose largest element is `largest` now; 0 = not at all.
  double scale(const OperatorView& op, int tensor, double largest);

 private:
  bool recording_ = true;
  std::map<std::tuple<std::string, int, int>, double> largest_;
};

template <class Scalar>
class Tensors {
 public:
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using View = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;

  // round_inputs: weights, inputs and state hold what their types can.
  Tensors(const Program& program, bool round_inputs);

  // From now on only the buffers of these values can be reached, the operands of the operator that runs (data_flow.h
  // builds on it); anything else is an InternalError. Empty: all.
  void restrict_to(std::span<const Value> operands) { operands_ = operands; }

  // REQUIRES: `v` has the shape of its buffer's rows and columns, or is a part of it.
  View operator[](const Value& v);
  // The buffer under a value, for operators that read it in another shape.
  Matrix& whole(const Value& v) { return reach(v); }
  void round(const Value& v);

  // ---- rows that data decided: their number is known only now, whatever the program expects ----
  // Makes room for the rows, in place of the buffer's.
  View deal(const Value& v, std::vector<Deal> deals);
  // Null when the rows of the buffer are the program's.
  [[nodiscard]] const std::vector<Deal>* deals(const Value& v) const;
  // The rows that are there.
  View real(const Value& v) { return deals(v) == nullptr ? (*this)[v] : whole_view(v); }
  // Room in `out` for a result a row of `in`.
  View follow(const Value& out, const Value& in);
  // What a rank is about to send in an exchange of addressed rows: packed by the collective's compute function.
  struct Outbox {
    Matrix rows;
    std::vector<Deal> deals;
    std::int64_t extra_bytes_a_row = 0;
  };
  Outbox outbox;

  // Null: integer types stand for plain numbers (nothing is quantised).
  void set_calibration(Calibration* calibration) { calibration_ = calibration; }
  [[nodiscard]] Calibration* calibration() const { return calibration_; }

  // out = a b, or with `accumulate` out += a b (products.h).
  template <class Out, class A, class B>
  void multiply(Out&& out, const A& a, const B& b, bool accumulate = false) {
    ledger_.matrix_flops += 2 * static_cast<std::int64_t>(a.rows()) * a.cols() * b.cols();
    ascendsim::multiply(out, a, b, accumulate);
  }
  Ledger& ledger() { return ledger_; }

 private:
  // Returns how many rows it filled.
  Eigen::Index fill(const Buffer& buffer, const TensorSlice& slice, Matrix& matrix, bool round_inputs) const;

  Matrix& reach(const Value& v);
  View part(Matrix& m, Eigen::Index row, Eigen::Index column, Eigen::Index rows, Eigen::Index columns);
  View whole_view(const Value& v);

  const Program* program_;
  std::span<const Value> operands_;
  std::vector<Matrix> buffers_;
  std::vector<Scalar> no_rows_;  // where views of buffers without rows point: columns of them are addressed all the same
  std::vector<std::vector<Deal>> deals_;  // per buffer
  std::vector<bool> dealt_;
  Calibration* calibration_ = nullptr;
  Ledger ledger_;
};

}  // namespace ascendsim
