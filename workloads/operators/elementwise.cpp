#include "workloads/operators/elementwise.h"

#include <algorithm>

#include "workloads/kernels.h"
#include "workloads/operators/row_math.h"

namespace ascendsim {

namespace {

struct VectorParams {
  std::int32_t ops_per_element;  // of the first input
};

struct Heads {
  std::int32_t count;
  std::int32_t width;  // columns that count, of each head of the operand; 0 = all
};

Work traffic(const OperatorView& v, Kernel kernel) {
  if (v.in(0).rows == 0) return {.launches = 0};
  Work work{.family = family(kernel), .rows = std::max<std::int64_t>(v.in(0).rows, v.out(0).rows)};
  for (std::size_t i = 0; i < v.op().inputs; ++i) work.read += v.in(i).bytes();
  for (std::size_t i = 0; i < v.op().outputs; ++i) work.written += v.out(i).bytes();
  return work;
}

template <Kernel kKernel>
Work row_work(const OperatorView& v) {
  Work work = traffic(v, kKernel);
  if (work.launches > 0) work.vector = Flops(v.in(0).elements() * v.params<VectorParams>().ops_per_element);
  return work;
}

// Of the second operand only the columns that are copied.
Work concat_work(const OperatorView& v) {
  Work work = traffic(v, Kernel::kDataMovement);
  const auto& heads = v.params<Heads>();
  const Value& b = v.in(1);
  if (heads.width > 0 && work.launches > 0)
    work.read += Bytes((std::int64_t{heads.count} * heads.width - b.columns) * b.rows * bits(b.dtype) / 8);
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

struct Runs {
  std::int64_t count;
};

struct MovedRows {
  std::int64_t count;
};

struct CacheWrites {
  std::int64_t latent_width, rows;
};

struct Quantising {
  std::int32_t ops_per_element;
  QuantisationScale scale;
};

// Positions are read, rotated columns are read and written.
Work rope_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  const auto& heads = v.params<Heads>();
  const std::int64_t elements = std::int64_t{v.in(0).rows} * heads.count * heads.width;
  const Bytes rotated(elements * bits(v.in(0).dtype) / 8);
  return {.family = family(Kernel::kRope),
          .vector = Flops(6 * elements),  // a complex multiplication of a pair
          .read = rotated + v.in(1).bytes(),
          .written = rotated,
          .rows = v.in(0).rows};
}

Bytes written_rows(const OperatorView& v, const Value& cache) {
  return Bytes(v.params<CacheWrites>().rows * cache.columns * bits(cache.dtype) / 8);
}

// inputs: latent, w, positions; outputs: the rows, and the cache where they are written to it at once
Work latent_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  Work work{.family = family(Kernel::kKvNormRopeCache),
            .vector = Flops(5 * v.in(0).elements()),  // as a norm, and one for the rotated few
            .read = v.in(0).bytes() + v.in(1).bytes() + v.in(2).bytes(),
            .written = v.out(0).bytes(),
            .rows = v.in(0).rows};
  if (v.op().outputs > 1) work.written += written_rows(v, v.out(1));
  return work;
}

// inputs: rows; outputs: cache
Work cache_work(const OperatorView& v) {
  const Bytes written = written_rows(v, v.out());
  if (written.count() == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement),
          .read = written,
          .written = written,
          .rows = v.params<CacheWrites>().rows};
}

// Of the source only the rows that are moved.
Work placed_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  const Value& x = v.in(0);
  return {.family = family(Kernel::kDataMovement),
          .read = Bytes(v.params<MovedRows>().count * x.columns * bits(x.dtype) / 8),
          .written = v.out().bytes(),
          .rows = v.out().rows};
}

Work zero_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement), .written = v.out().bytes(), .rows = v.out().rows};
}

// Rows beyond the source's are padding: zeros.
template <class Scalar>
void copy_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t.real(op.in(0));
  auto y = t.follow(op.out(), op.in(0));
  y.topRows(x.rows()) = x;
  y.bottomRows(y.rows() - x.rows()).setZero();
}

template <class Scalar>
void place_math(const OperatorView& op, Tensors<Scalar>& t) {
  auto y = t[op.out()];
  y.setZero();
  move_rows<Scalar>(op.moves(), t[op.in(0)], y);
}

template <class Scalar>
void zero_math(const OperatorView& op, Tensors<Scalar>& t) {
  t[op.out()].setZero();
}

template <class Scalar>
void rms_norm_math(const OperatorView& op, Tensors<Scalar>& t) {
  auto y = t[op.out()];
  norm_rows<Scalar>(t[op.in(0)], t[op.in(1)], y);
  if (op.out().dtype == Dtype::kInt8) quantise_static(t, op, 0, y);
}

template <class Scalar>
void add_rms_norm_math(const OperatorView& op, Tensors<Scalar>& t) {
  t[op.in(1)] += t[op.in(0)];
  auto y = t[op.out()];
  norm_rows<Scalar>(t[op.in(1)], t[op.in(2)], y);
  if (op.op().outputs > 2) t[op.out(2)] = y;
  if (op.out().dtype == Dtype::kInt8) quantise_static(t, op, 0, y);
}

template <class Scalar>
void rope_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto& heads = op.params<Heads>();
  auto x = t[op.out()];
  const Eigen::Index width = x.cols() / heads.count;
  const Rotation<Scalar> rotation(t[op.in(1)], heads.width);
  for (int h = 0; h < heads.count; ++h) rotation.turn_pairs(x.middleCols((h + 1) * width - heads.width, heads.width));
}

template <class Scalar>
void latent_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t[op.in(0)];
  auto y = t[op.out(0)];
  const Eigen::Index latent = op.in(1).columns;
  norm_rows<Scalar>(x.leftCols(latent), t[op.in(1)], y.leftCols(latent));
  y.rightCols(y.cols() - latent) = x.rightCols(x.cols() - latent);
  Rotation<Scalar>(t[op.in(2)], y.cols() - latent).turn_pairs(y.rightCols(y.cols() - latent));
  if (op.op().outputs < 2) return;
  store_latent<Scalar>(t, op, 0, y, latent, op.out(1), op.moves());
}

template <class Scalar>
void cache_math(const OperatorView& op, Tensors<Scalar>& t) {
  store_latent<Scalar>(t, op, 0, t[op.in(0)], op.params<CacheWrites>().latent_width, op.out(), op.moves());
}

template <class Scalar>
void quantise_math(const OperatorView& op, Tensors<Scalar>& t) {
  auto y = t.follow(op.out(), op.in(0));
  y = t.real(op.in(0));
  if (op.params<Quantising>().scale == QuantisationScale::kStatic)
    quantise_static(t, op, 0, y);
  else
    quantise_rows(t, y);
}

template <class Scalar>
void swiglu_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t.real(op.in(0));
  auto y = t.follow(op.out(), op.in(0));
  if (y.rows() == 0) return;
  const auto gate = x.leftCols(y.cols()).array(), up = x.rightCols(y.cols()).array();
  typename Tensors<Scalar>::Matrix decay = -x.leftCols(y.cols());
  exponentiate(decay);
  y = gate / (1 + decay.array()) * up;
  if (op.out().dtype == Dtype::kInt8) quantise_rows(t, y);
}

template <class Scalar>
void embed_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto ids = t[op.in(0)], table = t[op.in(1)];
  const TensorSlice& part = op.slice(op.in(1));
  auto y = t[op.out()];
  for (Eigen::Index r = 0; r < y.rows(); ++r) {
    const auto id = static_cast<Eigen::Index>(ids(r, 0));
    check(id >= 0 && id < part.fan_in, "a token id is outside the vocabulary");
    const Eigen::Index row = id - part.row;
    if (row >= 0 && row < table.rows())
      y.row(r) = table.row(row);
    else
      y.row(r).setZero();
  }
}

template <class Scalar>
void sample_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto logits = t[op.in(0)];
  auto ids = t[op.out()];
  for (Eigen::Index r = 0; r < ids.rows(); ++r) {
    Eigen::Index best = 0;
    logits.row(r).maxCoeff(&best);
    ids(r, 0) = static_cast<Scalar>(best);
  }
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

// Per head [a of the head | b]: b is the end of every head's own part, or one that all share.
template <class Scalar>
void concat_math(const OperatorView& op, Tensors<Scalar>& t) {
  const Eigen::Index heads = op.params<Heads>().count;
  const auto a = t[op.in(0)], b = t[op.in(1)];
  auto y = t[op.out()];
  const Eigen::Index width = y.cols() / heads, left = a.cols() / heads, right = width - left;
  const Eigen::Index own = b.cols() == right ? 0 : b.cols() / heads;
  for (Eigen::Index h = 0; h < heads; ++h) {
    y.middleCols(h * width, left) = a.middleCols(h * left, left);
    y.middleCols(h * width + left, right) = b.middleCols(own > 0 ? (h + 1) * own - right : 0, right);
  }
}

constexpr Compute kCopyMath{copy_math<double>, copy_math<float>};
constexpr Compute kSelectMath{select_math<double>, select_math<float>};
constexpr Compute kPlaceMath{place_math<double>, place_math<float>};
constexpr Compute kZeroMath{zero_math<double>, zero_math<float>};
constexpr Compute kAddMath{add_math<double>, add_math<float>};
constexpr Compute kConcatMath{concat_math<double>, concat_math<float>};
constexpr Compute kNormMath{rms_norm_math<double>, rms_norm_math<float>};
constexpr Compute kAddNormMath{add_rms_norm_math<double>, add_rms_norm_math<float>};
constexpr Compute kRopeMath{rope_math<double>, rope_math<float>};
constexpr Compute kLatentMath{latent_math<double>, latent_math<float>};
constexpr Compute kCacheMath{cache_math<double>, cache_math<float>};
constexpr Compute kQuantiseMath{quantise_math<double>, quantise_math<float>};
constexpr Compute kSwigluMath{swiglu_math<double>, swiglu_math<float>};
constexpr Compute kEmbedMath{embed_math<double>, embed_math<float>};
constexpr Compute kSampleMath{sample_math<double>, sample_math<float>};

constexpr OperatorType kRmsNorm{"rms_norm", row_work<Kernel::kNorm>, Primitive::kNone, kNormMath,
                                category(Category::kVector)};
constexpr OperatorType kAddRmsNorm{"add_rms_norm", row_work<Kernel::kNorm>, Primitive::kNone, kAddNormMath,
                                   category(Category::kVector)};
constexpr OperatorType kRope{"rope", rope_work, Primitive::kNone, kRopeMath, category(Category::kVector)};
constexpr OperatorType kKvNormRope{"kv_norm_rope", latent_work, Primitive::kNone, kLatentMath,
                                   category(Category::kVector)};
constexpr OperatorType kKvNormRopeCache{"kv_norm_rope_cache", latent_work, Primitive::kNone, kLatentMath,
                                        category(Category::kVector)};
constexpr OperatorType kWriteCache{"write_cache", cache_work, Primitive::kNone, kCacheMath,
                                   category(Category::kVector)};
constexpr OperatorType kQuantise{"quantise", row_work<Kernel::kQuantise>, Primitive::kNone, kQuantiseMath,
                                 category(Category::kVector)};
constexpr OperatorType kSwiglu{"swiglu", row_work<Kernel::kActivation>, Primitive::kNone, kSwigluMath,
                               category(Category::kVector)};
constexpr OperatorType kCast{"cast", row_work<Kernel::kVector>, Primitive::kNone, kCopyMath,
                             category(Category::kVector)};
constexpr OperatorType kAdd{"add", row_work<Kernel::kVector>, Primitive::kNone, kAddMath, category(Category::kVector)};
constexpr OperatorType kSample{"sample", row_work<Kernel::kVector>, Primitive::kNone, kSampleMath,
                               category(Category::kVector)};
constexpr OperatorType kCopyRows{"copy_rows", movement_work, Primitive::kNone, kCopyMath, category(Category::kVector)};
constexpr OperatorType kSelectRows{"select_rows", movement_work, Primitive::kNone, kSelectMath,
                                   category(Category::kVector)};
constexpr OperatorType kPlaceRows{"place_rows", placed_work, Primitive::kNone, kPlaceMath, category(Category::kVector)};
constexpr OperatorType kZeroRows{"zero_rows", zero_work, Primitive::kNone, kZeroMath, category(Category::kVector)};
constexpr OperatorType kConcatKey{"concat_key", concat_work, Primitive::kNone, kConcatMath,
                                  category(Category::kVector)};
constexpr OperatorType kTranspose{"transpose", movement_work, Primitive::kNone, kCopyMath, category(Category::kLinear)};
constexpr OperatorType kEmbed{"embed", gather_work, Primitive::kNone, kEmbedMath, category(Category::kVector)};

// square, accumulate, scale by 1/rms, scale by the weight; one more for the residual sum
constexpr VectorParams kNormOps{4}, kAddNormOps{5};
constexpr std::int32_t kQuantOps = 3;  // |max|, scale, round
constexpr VectorParams kSwigluOps{4};  // per input column: exp, add, divide, multiply shared by gate and up
constexpr VectorParams kOneOp{1};
constexpr VectorParams kSampleOps{4};  // max, compare, exp, sum

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

std::pair<Value, Value> add_rms_norm_cast(ProgramBuilder& p, const char* label, Value x, Value residual, Value w,
                                          Dtype out) {
  const Value y = p.activation(out, x.rows, x.columns), wide = p.activation(Dtype::kFp32, x.rows, x.columns);
  p.apply(kAddRmsNorm, label, kAddNormOps, {x, residual, w}, {y, residual, wide});
  return {y, wide};
}

void rope(ProgramBuilder& p, const char* label, Value x, Value positions, int heads, int width) {
  check(x.columns % heads == 0 && width <= x.columns / heads && width % 2 == 0,
        "a rotary embedding turns pairs of a head's columns");
  p.apply(kRope, label, Heads{heads, width}, {x, positions}, {x});
}

Value kv_norm_rope(ProgramBuilder& p, const char* label, Value latent, Value w, Value positions) {
  const Value y = p.activation(latent.dtype, latent.rows, latent.columns);
  p.apply(kKvNormRope, label, CacheWrites{w.columns, 0}, {latent, w, positions}, {y});
  return y;
}

Value kv_norm_rope_cache(ProgramBuilder& p, const char* label, Value latent, Value w, Value positions, Value cache,
                         Moves writes) {
  const Value y = p.activation(latent.dtype, latent.rows, latent.columns);
  p.apply(kKvNormRopeCache, label, CacheWrites{w.columns, writes.rows}, {latent, w, positions}, {y, cache});
  p.moving(writes);
  return y;
}

void write_cache(ProgramBuilder& p, const char* label, Value latent, Value cache, int latent_width, Moves writes) {
  p.apply(kWriteCache, label, CacheWrites{latent_width, writes.rows}, {latent}, {cache});
  p.moving(writes);
}

Value quantise(ProgramBuilder& p, const char* label, Value x, QuantisationScale scale) {
  const Value y = p.activation(Dtype::kInt8, x.rows, x.columns);
  p.apply(kQuantise, label, Quantising{kQuantOps, scale}, {x}, {y});
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

Value place_rows(ProgramBuilder& p, const char* label, Value x, std::int64_t rows, Moves moves) {
  const Value y = p.activation(x.dtype, rows, x.columns);
  p.apply(kPlaceRows, label, MovedRows{moves.rows}, {x}, {y});
  p.moving(moves);
  return y;
}

void zero_rows(ProgramBuilder& p, const char* label, Value x) { p.apply(kZeroRows, label, kOneOp, {}, {x}); }

Value concat_key(ProgramBuilder& p, const char* label, Value k_nope, Value k_rope, int heads) {
  const Value y = p.activation(k_nope.dtype, k_nope.rows, k_nope.columns + std::int64_t{k_rope.columns} * heads);
  p.apply(kConcatKey, label, Heads{heads, 0}, {k_nope, k_rope}, {y});
  return y;
}

Value concat_heads(ProgramBuilder& p, const char* label, Value a, Value b, int heads, int width) {
  const Value y = p.activation(a.dtype, a.rows, a.columns + (width > 0 ? std::int64_t{width} * heads : b.columns));
  p.apply(kConcatKey, label, Heads{heads, width}, {a, b}, {y});
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
