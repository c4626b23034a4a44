#include "workloads/operators/linear.h"

#include <algorithm>
#include <cmath>

#include "sim/tensors.h"
#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct NoParams {};

struct PerHead {
  std::int32_t heads;
};

MatrixType matrix_type(Dtype weight) {
  switch (weight) {
    case Dtype::kInt8:
    case Dtype::kInt4: return MatrixType::kInt8;   // int4 weights are widened on load; the cube multiplies int8
    case Dtype::kFp32: return MatrixType::kFp32;
    default: return MatrixType::k16Bit;
  }
}

Kernel dense_family(MatrixType t) {
  return t == MatrixType::kInt8 ? Kernel::kGemmInt8 : t == MatrixType::kFp32 ? Kernel::kGemmFp32 : Kernel::kGemm16;
}

std::uint8_t element_bytes(Dtype d) { return static_cast<std::uint8_t>(std::max(1, bits(d) / 8)); }

Work linear_work(const OperatorView& v) {
  const Value &x = v.in(0), &w = v.in(1);
  if (x.rows == 0) return {.launches = 0};
  const MatrixType type = matrix_type(w.dtype);
  return {.family = family(dense_family(type)),
          .matrix_type = type,
          .matrix = Flops(2 * x.elements() * w.columns),
          .read = x.bytes() + w.bytes() + v.slice(w).extra,
          .written = v.out().bytes(),
          .m = x.rows,
          .n = w.columns,
          .k = x.columns,
          .groups = 1,
          .bytes_a = element_bytes(x.dtype),
          .bytes_b = element_bytes(w.dtype)};
}

Work per_head_work(const OperatorView& v) {
  const Value &x = v.in(0), &w = v.in(1);
  if (x.rows == 0) return {.launches = 0};
  const int heads = v.params<PerHead>().heads;
  return {.family = family(Kernel::kGemm16),
          .matrix_type = MatrixType::k16Bit,
          .matrix = Flops(2 * x.elements() * (w.columns / heads)),
          .read = x.bytes() + w.bytes(),
          .written = v.out().bytes(),
          .m = x.rows,
          .n = w.columns / heads,
          .k = x.columns / heads,
          .groups = heads,
          .bytes_a = element_bytes(x.dtype),
          .bytes_b = element_bytes(w.dtype)};
}

Work grouped_work(const OperatorView& v) {
  const Value &x = v.in(0), &w = v.in(1);
  const auto& rows = v.params<RoutedRows>();
  if (rows.tokens == 0) return {.launches = 0};
  const MatrixType type = matrix_type(w.dtype);
  const std::int64_t k = x.columns, n = w.columns;
  const double hit = rows.experts_hit();
  const auto share = [&](Bytes whole) {
    return Bytes(std::llround(static_cast<double>(whole.count()) * hit / static_cast<double>(rows.local_experts)));
  };
  const auto groups = std::max<std::int64_t>(1, std::llround(hit));
  return {.family = family(type == MatrixType::kInt8 ? Kernel::kGroupedGemmInt8 : Kernel::kGroupedGemm16),
          .matrix_type = type,
          .matrix = Flops(2 * k * n * rows.copies_times_experts() / rows.experts),
          .read = x.bytes() + share(w.bytes() + v.slice(w).extra),
          .written = v.out().bytes(),
          .m = ceil_div(x.rows, groups),
          .n = n,
          .k = k,
          .groups = groups,
          .bytes_a = element_bytes(x.dtype),
          .bytes_b = element_bytes(w.dtype)};
}

template <class Scalar>
void multiply(const OperatorView& op, Tensors<Scalar>& t) {
  check(bits(op.in(1).dtype) >= 16, "the calculator multiplies no quantised weights yet");
  t.multiply(t[op.out()], t[op.in(0)], t[op.in(1)]);
}

// A weight that keeps its buffer's shape is [k, heads * n]. One that was reshaped lies as [n, heads * k] and is read
// transposed: W_UK, made for expanding keys, absorbs queries.
template <class Scalar>
void multiply_per_head(const OperatorView& op, Tensors<Scalar>& t) {
  const int heads = op.params<PerHead>().heads;
  const auto x = t[op.in(0)];
  auto y = t[op.out()];
  const auto& w = t.whole(op.in(1));
  const Eigen::Index k = x.cols() / heads, n = y.cols() / heads;
  const bool transposed = op.in(1).columns != w.cols();
  for (Eigen::Index h = 0; h < heads; ++h) {
    auto out = y.middleCols(h * n, n);
    if (transposed) t.multiply(out, x.middleCols(h * k, k), w.middleCols(h * k, k).transpose());
    else t.multiply(out, x.middleCols(h * k, k), w.middleCols(h * n, n));
  }
}

constexpr Compute kLinearMath{multiply<double>, multiply<float>};
constexpr Compute kPerHeadMath{multiply_per_head<double>, multiply_per_head<float>};

constexpr OperatorType kLinear{"linear", linear_work, Primitive::kNone, kLinearMath};
constexpr OperatorType kPerHeadLinear{"per_head_linear", per_head_work, Primitive::kNone, kPerHeadMath};
constexpr OperatorType kGroupedLinear{"grouped_linear", grouped_work};

// Exact squaring instead of libm's pow, whose last bits differ between processors.
double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

}  // namespace

double RoutedRows::experts_hit() const {
  return static_cast<double>(local_experts) * (1 - power(1 - static_cast<double>(top_k) / experts, tokens));
}

Value linear(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out) {
  const Value y = p.activation(out, x.rows, w.columns);
  linear_into(p, label, x, w, y);
  return y;
}

void linear_into(ProgramBuilder& p, const char* label, Value x, Value w, Value y) {
  check(x.columns == w.rows && y.rows == x.rows && y.columns == w.columns, "a linear layer's widths do not fit together");
  p.apply(kLinear, label, NoParams{}, {x, w}, {y});
}

Value per_head_linear(ProgramBuilder& p, const char* label, Value x, Value w, int heads) {
  check(x.columns == w.rows * heads && w.columns % heads == 0, "per-head widths do not fit together");
  const Value y = p.activation(x.dtype, x.rows, w.columns);
  p.apply(kPerHeadLinear, label, PerHead{heads}, {x, w}, {y});
  return y;
}

Value grouped_linear(ProgramBuilder& p, const char* label, Value x, Value w, const RoutedRows& rows, std::int64_t capacity,
                     Dtype out) {
  check(std::int64_t{x.columns} * rows.local_experts == w.rows, "a grouped linear layer's input width differs from its weight's");
  const Value y = p.activation(out, x.rows, w.columns, capacity);
  p.apply(kGroupedLinear, label, rows, {x, w}, {y});
  return y;
}

}  // namespace ascendsim
