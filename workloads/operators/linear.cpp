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
  StoredAs stored;
};

MatrixType matrix_type(Dtype weight) {
  switch (weight) {
    case Dtype::kInt8:
    case Dtype::kInt4:
      return MatrixType::kInt8;  // twice the rows (split_rows) at twice the rate
    case Dtype::kFp32:
      return MatrixType::kFp32;
    default:
      return MatrixType::k16Bit;
  }
}

Kernel dense_family(MatrixType t) {
  return t == MatrixType::kInt8 ? Kernel::kGemmInt8 : t == MatrixType::kFp32 ? Kernel::kGemmFp32 : Kernel::kGemm16;
}

Kernel grouped_family(Dtype weight) {
  return weight == Dtype::kInt4   ? Kernel::kGroupedGemmInt4
         : weight == Dtype::kInt8 ? Kernel::kGroupedGemmInt8
                                  : Kernel::kGroupedGemm16;
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
  const std::int64_t elements = std::int64_t{x.rows} * heads * w.rows;  // of x, as far as they count
  return {.family = family(Kernel::kGemm16),
          .matrix_type = MatrixType::k16Bit,
          .matrix = Flops(2 * elements * (w.columns / heads)),
          .read = Bytes(elements * bits(x.dtype) / 8) + w.bytes(),
          .written = v.out().bytes(),
          .m = x.rows,
          .n = w.columns / heads,
          .k = w.rows,
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
  const bool halves = w.dtype == Dtype::kInt4;
  return {.family = family(grouped_family(w.dtype)),
          .matrix_type = type,
          .matrix = Flops(2 * k * n * rows.copies_times_experts() / rows.experts),
          .read = x.bytes() + share(w.bytes() + v.slice(w).extra),
          .written = v.out().bytes(),
          .m = ceil_div(x.rows, groups) * (halves ? 2 : 1),
          .n = n,
          .k = k,
          .groups = groups,
          .bytes_a = element_bytes(x.dtype),
          .bytes_b = element_bytes(w.dtype)};
}

// Row by row: load, two conversions by masks and shifts, store; eight lane operations an element
// (grouped_matmul_antiquant_a8w4_msd_pre.h).
Work split_work(const OperatorView& v) {
  const Value& x = v.in(0);
  if (x.rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kQuantise),
          .vector = Flops(8 * x.elements()),
          .read = x.bytes(),
          .written = x.bytes(),
          .rows = x.rows};
}

// Two int4 halves say what the int8 row said.
template <class Scalar>
void keep(const OperatorView&, Tensors<Scalar>&) {}

// Quantised operands hold the numbers that their integers and scales stand for: dequantising is done already.
template <class Scalar>
void multiply(const OperatorView& op, Tensors<Scalar>& t) {
  t.multiply(t[op.out()], t[op.in(0)], t[op.in(1)]);
}

template <class Scalar>
void multiply_per_head(const OperatorView& op, Tensors<Scalar>& t) {
  const int heads = op.params<PerHead>().heads;
  const auto x = t[op.in(0)];
  auto y = t[op.out()];
  const auto& w = t.whole(op.in(1));
  const Eigen::Index stride = x.cols() / heads, k = op.in(1).rows, n = y.cols() / heads;
  const bool transposed = op.params<PerHead>().stored == StoredAs::kTransposed;
  for (Eigen::Index h = 0; h < heads; ++h) {
    auto out = y.middleCols(h * n, n);
    if (transposed)
      t.multiply(out, x.middleCols(h * stride, k), w.middleCols(h * k, k).transpose());
    else
      t.multiply(out, x.middleCols(h * stride, k), w.middleCols(h * n, n));
  }
}

// Expert by expert over the rows that were dealt to it, wherever they lie.
template <class Scalar>
void multiply_grouped(const OperatorView& op, Tensors<Scalar>& t) {
  using Matrix = typename Tensors<Scalar>::Matrix;
  const auto* deals = t.deals(op.in(0));
  check(deals != nullptr, "a grouped linear layer needs routed rows");
  const auto x = t.real(op.in(0)), w = t[op.in(1)];
  auto y = t.follow(op.out(), op.in(0));
  const TensorSlice& held = op.slice(op.in(1));
  const Eigen::Index k = x.cols(), experts = held.experts;
  std::vector<std::vector<Eigen::Index>> rows_of(static_cast<std::size_t>(experts));
  for (std::size_t r = 0; r < deals->size(); ++r) {
    const std::int32_t expert = (*deals)[r].bin - held.first_expert;
    check(expert >= 0 && expert < experts, "a routed row came to a rank that does not hold its expert");
    rows_of[static_cast<std::size_t>(expert)].push_back(static_cast<Eigen::Index>(r));
  }
  const std::int64_t before = t.ledger().matrix_flops;
  Matrix in, out;
  for (Eigen::Index e = 0; e < experts; ++e) {
    const auto& rows = rows_of[static_cast<std::size_t>(e)];
    if (rows.empty()) continue;
    in.resize(static_cast<Eigen::Index>(rows.size()), k);
    out.resize(in.rows(), y.cols());
    for (std::size_t i = 0; i < rows.size(); ++i) in.row(static_cast<Eigen::Index>(i)) = x.row(rows[i]);
    t.multiply(out, in, w.middleRows(e * k, k));
    for (std::size_t i = 0; i < rows.size(); ++i) y.row(rows[i]) = out.row(static_cast<Eigen::Index>(i));
  }
  t.ledger().routed_flops += t.ledger().matrix_flops - before;
}

constexpr Compute kGroupedMath{multiply_grouped<double>, multiply_grouped<float>};
constexpr Compute kLinearMath{multiply<double>, multiply<float>};
constexpr Compute kPerHeadMath{multiply_per_head<double>, multiply_per_head<float>};

constexpr Compute kSplitMath{keep<double>, keep<float>};

constexpr OperatorType kSplitRows{"split_rows", split_work, Primitive::kNone, kSplitMath, category(Category::kMoe)};
constexpr OperatorType kLinear{"linear", linear_work, Primitive::kNone, kLinearMath, category(Category::kLinear)};
constexpr OperatorType kPerHeadLinear{"per_head_linear", per_head_work, Primitive::kNone, kPerHeadMath,
                                      category(Category::kLinear)};
constexpr OperatorType kGroupedLinear{"grouped_linear", grouped_work, Primitive::kNone, kGroupedMath,
                                      category(Category::kMoe)};

// Exact squaring instead of libm's pow, whose last bits differ between processors.
double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

}  // namespace

std::int64_t RoutedRows::copies_times_experts() const {
  const std::int64_t even = tokens * top_k * local_experts;
  if (load == kEven) return even;
  return std::llround(static_cast<double>(even) * (static_cast<double>(load) / kEven));
}

double RoutedRows::experts_hit() const {
  const double chosen = static_cast<double>(top_k) / experts * (static_cast<double>(load) / kEven);
  return static_cast<double>(local_experts) * (1 - power(1 - std::min(1.0, chosen), tokens));
}

Value linear(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out) {
  const Value y = p.activation(out, x.rows, w.columns);
  linear_into(p, label, x, w, y);
  return y;
}

void linear_into(ProgramBuilder& p, const char* label, Value x, Value w, Value y) {
  check(x.columns == w.rows && y.rows == x.rows && y.columns == w.columns,
        "a linear layer's widths do not fit together");
  p.apply(kLinear, label, NoParams{}, {x, w}, {y});
}

Value per_head_linear(ProgramBuilder& p, const char* label, Value x, Value w, int heads, StoredAs stored) {
  check(x.columns % heads == 0 && x.columns >= w.rows * heads && w.columns % heads == 0,
        "per-head widths do not fit together");
  const Value y = p.activation(x.dtype, x.rows, w.columns);
  p.apply(kPerHeadLinear, label, PerHead{heads, stored}, {x, w}, {y});
  return y;
}

void split_rows(ProgramBuilder& p, const char* label, Value x) {
  check(x.dtype == Dtype::kInt8, "rows of int8 are split into int4 ones");
  p.apply(kSplitRows, label, NoParams{}, {x}, {x});
}

Value grouped_linear(ProgramBuilder& p, const char* label, Value x, Value w, const RoutedRows& rows,
                     std::int64_t capacity, Dtype out) {
  check(std::int64_t{x.columns} * rows.local_experts == w.rows,
        "a grouped linear layer's input width differs from its weight's");
  const Value y = p.activation(out, x.rows, w.columns, capacity);
  p.apply(kGroupedLinear, label, rows, {x, w}, {y});
  return y;
}

}  // namespace ascendsim
