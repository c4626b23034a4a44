#include "workloads/operators/elementwise.h"

#include <algorithm>

#include "sim/tensors.h"
#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct VectorParams {
  std::int32_t ops_per_element;        // of the first input
};

Work traffic(const OperatorView& v, Kernel kernel) {
  if (v.in(0).rows == 0) return {.launches = 0};
  Work work{.family = family(kernel), .rows = std::max<std::int64_t>(v.in(0).rows, v.out(0).rows)};
  for (std::size_t i = 0; i < v.op().inputs; ++i) work.read += v.in(i).bytes();
  for (std::size_t i = 0; i < v.op().outputs; ++i) work.written += v.out(i).bytes();
  return work;
}

// Element-wise kernels are cut by elements, not rows: a cast of one row of 129,280 takes 8.0 us, of 8 elements 1.3 us,
// an addition of one row of 7168 2.3 us and of 96 rows 9.9 us (cases trace-eager-add; fitted with t0 and core_start).
constexpr std::int64_t kBytesOfABlock = 5500;

template <Kernel kKernel>
Work row_work(const OperatorView& v) {
  Work work = traffic(v, kKernel);
  if (kKernel == Kernel::kVector) work.rows = ceil_div((work.read + work.written).count(), kBytesOfABlock);
  if (work.launches > 0) work.vector = Flops(v.in(0).elements() * v.params<VectorParams>().ops_per_element);
  return work;
}

Work movement_work(const OperatorView& v) { return traffic(v, Kernel::kDataMovement); }

Work gather_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement),
          .read = v.in(0).bytes() + v.out().bytes(),
          .written = v.out().bytes(),
          .rows = v.in(0).rows};
}

struct Heads {
  std::int32_t count;
};

struct Runs {
  std::int64_t count;
};

// Rows beyond the source's are padding: zeros.
template <class Scalar>
void copy_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t[op.in(0)];
  auto y = t[op.out()];
  y.topRows(x.rows()) = x;
  y.bottomRows(y.rows() - x.rows()).setZero();
}

template <class Scalar>
void select_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t[op.in(0)];
  auto y = t[op.out()];
  Eigen::Index at = 0;
  for (const RowRun& run : op.tail<Runs, RowRun>(static_cast<std::size_t>(op.params<Runs>().count))) {
    y.middleRows(at, run.rows) = x.middleRows(run.first, run.rows);
    at += run.rows;
  }
}

template <class Scalar>
void add_math(const OperatorView& op, Tensors<Scalar>& t) {
  t[op.out()] += t[op.in(0)];
}

// Per head [a of the head | b]: b is every head's own part, or one that all share.
template <class Scalar>
void concat_math(const OperatorView& op, Tensors<Scalar>& t) {
  const Eigen::Index heads = op.params<Heads>().count;
  const auto a = t[op.in(0)], b = t[op.in(1)];
  auto y = t[op.out()];
  const Eigen::Index width = y.cols() / heads, left = a.cols() / heads, right = width - left;
  for (Eigen::Index h = 0; h < heads; ++h) {
    y.middleCols(h * width, left) = a.middleCols(h * left, left);
    y.middleCols(h * width + left, right) = b.middleCols(b.cols() == right ? 0 : h * right, right);
  }
}

constexpr Compute kCopyMath{copy_math<double>, copy_math<float>};
constexpr Compute kSelectMath{select_math<double>, select_math<float>};
constexpr Compute kAddMath{add_math<double>, add_math<float>};
constexpr Compute kConcatMath{concat_math<double>, concat_math<float>};

constexpr OperatorType kRmsNorm{"rms_norm", row_work<Kernel::kNorm>};
constexpr OperatorType kAddRmsNorm{"add_rms_norm", row_work<Kernel::kNorm>};
constexpr OperatorType kRope{"rope", row_work<Kernel::kRope>};
constexpr OperatorType kKvNormRopeCache{"kv_norm_rope_cache", row_work<Kernel::kKvNormRopeCache>};
constexpr OperatorType kQuantise{"quantise", row_work<Kernel::kQuantise>};
constexpr OperatorType kSwiglu{"swiglu", row_work<Kernel::kActivation>};
constexpr OperatorType kCast{"cast", row_work<Kernel::kVector>, Primitive::kNone, kCopyMath};
constexpr OperatorType kAdd{"add", row_work<Kernel::kVector>, Primitive::kNone, kAddMath};
constexpr OperatorType kSample{"sample", row_work<Kernel::kVector>};
constexpr OperatorType kCopyRows{"copy_rows", movement_work, Primitive::kNone, kCopyMath};
constexpr OperatorType kSelectRows{"select_rows", movement_work, Primitive::kNone, kSelectMath};
constexpr OperatorType kConcatKey{"concat_key", movement_work, Primitive::kNone, kConcatMath};
constexpr OperatorType kTranspose{"transpose", movement_work, Primitive::kNone, kCopyMath};
constexpr OperatorType kEmbed{"embed", gather_work};

// square, accumulate, scale by 1/rms, scale by the weight; one more for the residual sum
constexpr VectorParams kNormOps{4}, kAddNormOps{5};
constexpr VectorParams kRopeOps{6};       // a complex multiplication of a pair
constexpr VectorParams kQuantOps{3};      // |max|, scale, round
constexpr VectorParams kSwigluOps{4};     // per input column: exp, add, divide, multiply shared by gate and up
constexpr VectorParams kOneOp{1};
constexpr VectorParams kSampleOps{4};     // max, compare, exp, sum

}  // namespace

Value rms_norm(ProgramBuilder& p, const char* label, Value x, Value w, Dtype out) {
  const Value y = p.activation(out, x.rows, x.columns);
  p.apply(kRmsNorm, label, kNormOps, {x, w}, {y});
  return y;
}

Value add_rms_norm(ProgramBuilder& p, const char* label, Value x, Value residual, Value w, Dtype out) {
  const Value y = p.activation(out, x.rows, x.columns);
  p.apply(kAddRmsNorm, label, kAddNormOps, {x, residual, w}, {y, residual});
  return y;
}

void rope(ProgramBuilder& p, const char* label, Value x) { p.apply(kRope, label, kRopeOps, {x}, {x}); }

Value kv_norm_rope_cache(ProgramBuilder& p, const char* label, Value latent, Value w, Value cache_rows) {
  const Value y = p.activation(latent.dtype, latent.rows, latent.columns);
  p.apply(kKvNormRopeCache, label, kAddNormOps, {latent, w}, {y, cache_rows});
  return y;
}

Value quantise(ProgramBuilder& p, const char* label, Value x) {
  const Value y = p.activation(Dtype::kInt8, x.rows, x.columns);
  p.apply(kQuantise, label, kQuantOps, {x}, {y});
  return y;
}

Value swiglu(ProgramBuilder& p, const char* label, Value x, Dtype out, std::int64_t capacity) {
  const Value y = p.activation(out, x.rows, x.columns / 2, capacity);
  p.apply(kSwiglu, label, kSwigluOps, {x}, {y});
  return y;
}

Value cast(ProgramBuilder& p, const char* label, Value x, Dtype out) {
  const Value y = p.activation(out, x.rows, x.columns);
  p.apply(kCast, label, kOneOp, {x}, {y});
  return y;
}

void add(ProgramBuilder& p, const char* label, Value into, Value x) { p.apply(kAdd, label, kOneOp, {x, into}, {into}); }

Value copy_rows(ProgramBuilder& p, const char* label, Value x, std::int64_t rows) {
  const Value y = p.activation(x.dtype, rows, x.columns);
  p.apply(kCopyRows, label, kOneOp, {x.row_slice(0, std::min<std::int64_t>(x.rows, rows))}, {y});
  return y;
}

Value select_rows(ProgramBuilder& p, const char* label, Value x, std::span<const RowRun> runs) {
  std::int64_t rows = 0;
  for (const RowRun& run : runs) rows += run.rows;
  const Value y = p.activation(x.dtype, rows, x.columns);
  p.apply(kSelectRows, label, Runs{static_cast<std::int64_t>(runs.size())}, runs, {x}, {y});
  return y;
}

Value concat_key(ProgramBuilder& p, const char* label, Value k_nope, Value k_rope, int heads) {
  const Value y = p.activation(k_nope.dtype, k_nope.rows, k_nope.columns + std::int64_t{k_rope.columns} * heads);
  p.apply(kConcatKey, label, Heads{heads}, {k_nope, k_rope}, {y});
  return y;
}

Value concat_heads(ProgramBuilder& p, const char* label, Value a, Value b, int heads) {
  const Value y = p.activation(a.dtype, a.rows, std::int64_t{a.columns} + b.columns);
  p.apply(kConcatKey, label, Heads{heads}, {a, b}, {y});
  return y;
}

Value transpose(ProgramBuilder& p, const char* label, Value w) {
  const Value y = p.activation(w.dtype, w.rows, w.columns);
  p.apply(kTranspose, label, kOneOp, {w}, {y});
  return y;
}

Value embed(ProgramBuilder& p, const char* label, Value ids, Value table) {
  const Value y = p.activation(table.dtype, ids.rows, table.columns);
  p.apply(kEmbed, label, kOneOp, {ids, table}, {y});
  return y;
}

Value sample(ProgramBuilder& p, const char* label, Value logits) {
  const Value y = p.activation(Dtype::kInt32, logits.rows, 1);
  p.apply(kSample, label, kSampleOps, {logits}, {y});
  return y;
}

}  // namespace ascendsim
