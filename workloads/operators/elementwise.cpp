#include "workloads/operators/elementwise.h"

#include <algorithm>

#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct VectorParams {
  std::int32_t ops_per_element;        // of the first input
};

Work traffic(const OperatorView& v, Kernel kernel) {
  if (v.in(0).rows == 0) return {.launches = 0};
  Work work{.family = family(kernel)};
  for (std::size_t i = 0; i < v.op().inputs; ++i) work.read += v.in(i).bytes();
  for (std::size_t i = 0; i < v.op().outputs; ++i) work.written += v.out(i).bytes();
  return work;
}

Work vector_work(const OperatorView& v) {
  Work work = traffic(v, Kernel::kVector);
  if (work.launches > 0) work.vector = Flops(v.in(0).elements() * v.params<VectorParams>().ops_per_element);
  return work;
}

Work movement_work(const OperatorView& v) { return traffic(v, Kernel::kDataMovement); }

Work gather_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement), .read = v.in(0).bytes() + v.out().bytes(), .written = v.out().bytes()};
}

constexpr OperatorType kRmsNorm{"rms_norm", vector_work};
constexpr OperatorType kAddRmsNorm{"add_rms_norm", vector_work};
constexpr OperatorType kRope{"rope", vector_work};
constexpr OperatorType kKvNormRopeCache{"kv_norm_rope_cache", vector_work};
constexpr OperatorType kQuantise{"quantise", vector_work};
constexpr OperatorType kSwiglu{"swiglu", vector_work};
constexpr OperatorType kCast{"cast", vector_work};
constexpr OperatorType kAdd{"add", vector_work};
constexpr OperatorType kSample{"sample", vector_work};
constexpr OperatorType kCopyRows{"copy_rows", movement_work};
constexpr OperatorType kConcatKey{"concat_key", movement_work};
constexpr OperatorType kTranspose{"transpose", movement_work};
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

Value concat_key(ProgramBuilder& p, const char* label, Value k_nope, Value k_rope, int heads) {
  const Value y = p.activation(k_nope.dtype, k_nope.rows, k_nope.columns + std::int64_t{k_rope.columns} * heads);
  p.apply(kConcatKey, label, kOneOp, {k_nope, k_rope}, {y});
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
