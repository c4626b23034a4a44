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

bool stored_as_integer(BufferKind kind, Dtype type) {
  return kind == BufferKind::kWeight && (type == Dtype::kInt8 || type == Dtype::kInt4);
}

template <class Scalar, class Stored>
void fill_row(std::uint64_t tensor, double deviation, std::int64_t row, std::int64_t column, std::span<Scalar> out,
              Stored stored) {
  const std::uint64_t row_hash = mix(tensor ^ static_cast<std::uint64_t>(row));
  for (Scalar& x : out) {
    const std::uint64_t h = mix(row_hash ^ static_cast<std::uint64_t>(column++));
    const double uniform = static_cast<double>(static_cast<std::int64_t>(h >> 11)) * 0x1p-52 - 1;  // [-1, 1)
    x = static_cast<Scalar>(stored(uniform * std::numbers::sqrt3 * deviation));
  }
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
  double x = 0;
  hashed_row(slice, kind, row, column, expert, {}, std::span(&x, 1));
  return x;
}

double stored_element(double element, const TensorSlice& slice, BufferKind kind, Dtype type) {
  if (!stored_as_integer(kind, type)) return rounded(element, type);
  const double steps = type == Dtype::kInt8 ? 127 : 7, range = std::numbers::sqrt3 * deviation(slice, kind);
  return std::round(element / range * steps) * range / steps;
}

template <class Scalar>
void hashed_row(const TensorSlice& slice, BufferKind kind, std::int64_t row, std::int64_t column, std::int64_t expert,
                std::optional<Dtype> stored_as, std::span<Scalar> out) {
  const std::uint64_t tensor = hash_of_tensor(slice, expert);
  const double spread = deviation(slice, kind);
  if (stored_as && stored_as_integer(kind, *stored_as))
    return fill_row(tensor, spread, row, column, out,
                    [&](double x) { return stored_element(x, slice, kind, *stored_as); });
  fill_row(tensor, spread, row, column, out, [](double x) { return x; });
  if (stored_as) round_all(out, *stored_as);
}

double Calibration::scale(const OperatorView& op, int tensor, double largest) {
  double& known = largest_[{op.op().label, op.op().layer, tensor}];
  if (!recording_) return known / 127;
  known = std::max(known, largest);
  return 0;
}

template <class Scalar>
Tensors<Scalar>::Tensors(const Program& program, bool round_inputs)
    : program_(&program),
      buffers_(program.buffers.size()),
      deals_(program.buffers.size()),
      dealt_(program.buffers.size()) {
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    buffers_[b].resize(buffer.capacity, buffer.columns);
    Eigen::Index filled = 0;
    if (buffer.kind != BufferKind::kActivation)
      filled = fill(buffer, program.slices[buffer.slice], buffers_[b], round_inputs);
    buffers_[b].bottomRows(buffer.capacity - filled).setConstant(std::numeric_limits<Scalar>::quiet_NaN());
    no_rows_.resize(std::max(no_rows_.size(), static_cast<std::size_t>(buffer.columns)));
  }
}

template <class Scalar>
Eigen::Index Tensors<Scalar>::fill(const Buffer& buffer, const TensorSlice& slice, Matrix& matrix,
                                   bool round_inputs) const {
  const std::vector<std::int64_t> names = program_->row_names(buffer);
  const std::int64_t rows = buffer.rows / slice.experts;
  const auto columns = static_cast<std::size_t>(buffer.columns);
  const std::size_t left = slice.second_column > 0 ? columns / 2 : columns;  // the rest begins at second_column
  const std::optional<Dtype> stored_as = round_inputs ? std::optional(buffer.dtype) : std::nullopt;
  for (std::int64_t e = 0; e < slice.experts; ++e)
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t name = names[static_cast<std::size_t>(r)], expert = slice.first_expert + e;
      const std::span<Scalar> row(matrix.row(e * rows + r).data(), columns);
      if (name == Program::kPaddingRow) {
        std::ranges::fill(row, Scalar{0});
      } else if (buffer.dtype == Dtype::kInt32) {
        std::ranges::fill(row, static_cast<Scalar>(name));
      } else {
        hashed_row(slice, buffer.kind, name, slice.column, expert, stored_as, row.first(left));
        if (left < columns)
          hashed_row(slice, buffer.kind, name, slice.second_column, expert, stored_as, row.subspan(left));
      }
    }
  return slice.experts * rows;
}

template <class Scalar>
typename Tensors<Scalar>::Matrix& Tensors<Scalar>::reach(const Value& v) {
  check(operands_.empty() || std::ranges::find(operands_, v.buffer, &Value::buffer) != operands_.end(),
        "an operator reaches a buffer that is none of its operands");
  return buffers_[v.buffer];
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::operator[](const Value& v) {
  Matrix& m = reach(v);
  check(v.row + v.rows <= m.rows() && v.column + v.columns <= m.cols(), "a value leaves its buffer");
  return part(m, v.row, v.column, v.rows, v.columns);
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::part(Matrix& m, Eigen::Index row, Eigen::Index column,
                                                     Eigen::Index rows, Eigen::Index columns) {
  Scalar* const first = m.size() > 0 ? m.data() + row * m.cols() : no_rows_.data();
  return View(first + column, rows, columns, Eigen::OuterStride<>(m.cols()));
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::whole_view(const Value& v) {
  Matrix& m = reach(v);
  return part(m, 0, 0, m.rows(), m.cols());
}

template <class Scalar>
typename Tensors<Scalar>::View Tensors<Scalar>::deal(const Value& v, std::vector<Deal> deals) {
  Matrix& m = reach(v);
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
    round_all(std::span<Scalar>(view.row(r).data(), static_cast<std::size_t>(view.cols())), v.dtype);
}

template void hashed_row(const TensorSlice&, BufferKind, std::int64_t, std::int64_t, std::int64_t, std::optional<Dtype>,
                         std::span<double>);
template void hashed_row(const TensorSlice&, BufferKind, std::int64_t, std::int64_t, std::int64_t, std::optional<Dtype>,
                         std::span<float>);
template class Tensors<double>;
template class Tensors<float>;

}  // namespace ascendsim
