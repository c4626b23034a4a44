#include "sim/tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "sim/check.h"

namespace ascendsim {

namespace {

// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::uint64_t hash_of_tensor(const TensorSlice& slice, std::int64_t expert) {
  std::uint64_t h = 0xcbf29ce484222325;  // FNV-1a
  for (const char* c = slice.key; *c != '\0'; ++c) h = (h ^ static_cast<unsigned char>(*c)) * 0x100000001b3;
  return mix(mix(h ^ static_cast<std::uint64_t>(slice.layer + 1)) ^ static_cast<std::uint64_t>(expert));
}

double deviation(const TensorSlice& slice, BufferKind kind) {
  if (kind != BufferKind::kWeight) return 1;
  return slice.fan_in > 0 ? 1 / std::sqrt(static_cast<double>(slice.fan_in)) : 1.0 / 64;
}

double element_of(std::uint64_t tensor, double deviation, std::int64_t row, std::int64_t column) {
  const std::uint64_t h = mix(mix(tensor ^ static_cast<std::uint64_t>(row)) ^ static_cast<std::uint64_t>(column));
  const double uniform = static_cast<double>(h >> 11) * 0x1p-52 - 1;  // [-1, 1)
  return uniform * std::numbers::sqrt3 * deviation;
}

}  // namespace

Ledger& Ledger::operator+=(const Ledger& other) {
  matrix_flops += other.matrix_flops;
  masked_flops += other.masked_flops;
  bytes_sent += other.bytes_sent;
  routed_flops += other.routed_flops;
  routed_bytes += other.routed_bytes;
  routed_buffers += other.routed_buffers;
  return *this;
}

double hashed_element(const TensorSlice& slice, BufferKind kind, std::int64_t row, std::int64_t column,
                      std::int64_t expert) {
  return element_of(hash_of_tensor(slice, expert), deviation(slice, kind), row, column);
}

double stored_element(double element, const TensorSlice& slice, BufferKind kind, Dtype type) {
  if (kind != BufferKind::kWeight || (type != Dtype::kInt8 && type != Dtype::kInt4)) return rounded(element, type);
  const double steps = type == Dtype::kInt8 ? 127 : 7, range = std::numbers::sqrt3 * deviation(slice, kind);
  return std::round(element / range * steps) * range / steps;
}

double Calibration::scale(const OperatorView& op, int tensor, double largest) {
  double& known = largest_[{op.op().label, op.op().layer, tensor}];
  if (!recording_) return known / 127;
  known = std::max(known, largest);
  return 0;
}

template <class Scalar>
Scalar rounded(Scalar x, Dtype type) {
  switch (type) {
    case Dtype::kFp16:
      return static_cast<Scalar>(static_cast<float>(Eigen::half(static_cast<float>(x))));
    case Dtype::kBf16:
      return static_cast<Scalar>(static_cast<float>(Eigen::bfloat16(static_cast<float>(x))));
    case Dtype::kFp32:
      return static_cast<Scalar>(static_cast<float>(x));
    case Dtype::kInt8:
    case Dtype::kInt4:
    case Dtype::kInt32:
      return x;
  }
  return x;
}

template <class Scalar>
Tensors<Scalar>::Tensors(const Program& program, bool round_inputs)
    : program_(&program),
      buffers_(program.buffers.size()),
      deals_(program.buffers.size()),
      dealt_(program.buffers.size()) {
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    buffers_[b].setConstant(buffer.capacity, buffer.columns, std::numeric_limits<Scalar>::quiet_NaN());
    if (buffer.kind != BufferKind::kActivation) fill(buffer, program.slices[buffer.slice], buffers_[b], round_inputs);
  }
}

template <class Scalar>
void Tensors<Scalar>::fill(const Buffer& buffer, const TensorSlice& slice, Matrix& matrix, bool round_inputs) const {
  const std::vector<std::int64_t> names = program_->row_names(buffer);
  const std::int64_t rows = buffer.rows / slice.experts;
  const double spread = deviation(slice, buffer.kind);
  for (std::int64_t e = 0; e < slice.experts; ++e) {
    const std::uint64_t tensor = hash_of_tensor(slice, slice.first_expert + e);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t name = names[static_cast<std::size_t>(r)];
      auto row = matrix.row(e * rows + r);
      if (name == Program::kPaddingRow) {
        row.setZero();
      } else if (buffer.dtype == Dtype::kInt32) {
        row.setConstant(static_cast<Scalar>(name));
      } else {
        for (std::int64_t c = 0; c < buffer.columns; ++c) {
          const std::int64_t half = buffer.columns / 2;
          const std::int64_t column =
              slice.second_column > 0 && c >= half ? slice.second_column + c - half : slice.column + c;
          const double x = element_of(tensor, spread, name, column);
          row(c) = static_cast<Scalar>(round_inputs ? stored_element(x, slice, buffer.kind, buffer.dtype) : x);
        }
      }
    }
  }
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::operator[](const Value& v) {
  Matrix& m = buffers_[v.buffer];
  check(v.row + v.rows <= m.rows() && v.column + v.columns <= m.cols(), "a value leaves its buffer");
  return View(m.data() + v.row * m.cols() + v.column, v.rows, v.columns, Eigen::OuterStride<>(m.cols()));
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::whole_view(const Value& v) {
  Matrix& m = buffers_[v.buffer];
  return View(m.data(), m.rows(), m.cols(), Eigen::OuterStride<>(m.cols()));
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::deal(const Value& v, std::vector<Deal> deals) {
  Matrix& m = buffers_[v.buffer];
  check(v.row == 0 && v.column == 0 && v.columns == m.cols(), "rows are dealt into a part of a buffer");
  m = Matrix::Constant(static_cast<Eigen::Index>(deals.size()), m.cols(), std::numeric_limits<Scalar>::quiet_NaN());
  deals_[v.buffer] = std::move(deals);
  dealt_[v.buffer] = true;
  return whole_view(v);
}

template <class Scalar>
const std::vector<Deal>* Tensors<Scalar>::deals(const Value& v) const {
  return dealt_[v.buffer] ? &deals_[v.buffer] : nullptr;
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::follow(const Value& out, const Value& in) {
  return dealt_[in.buffer] ? deal(out, deals_[in.buffer]) : (*this)[out];
}

template <class Scalar>
void Tensors<Scalar>::round(const Value& v) {
  View view = real(v);
  for (Eigen::Index r = 0; r < view.rows(); ++r)
    for (Eigen::Index c = 0; c < view.cols(); ++c) view(r, c) = rounded(view(r, c), v.dtype);
}

template double rounded(double, Dtype);
template float rounded(float, Dtype);
template class Tensors<double>;
template class Tensors<float>;

}  // namespace ascendsim
