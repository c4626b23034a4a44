#include "workloads/operators/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/elementary.h"
#include "sim/tensors.h"
#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct Merge {
  std::int32_t parts;
};

// ---- mathematics ----------------------------------------------------------------------------------------------------

// Queries against keys in FlashAttention-2 form (Dao 2023, algorithm 1), tile by tile: the running maximum m, sum l and
// unnormalised output are rescaled by exp(m - m') for every tile of keys, and divided once at the end. Goes on from
// (out, lse): that is how partial results over disjoint keys accumulate. `visible(i)`: how many keys row i sees.
template <class Scalar, class Visible>
void attend_online(Tensors<Scalar>& t, const typename Tensors<Scalar>::View& q, const typename Tensors<Scalar>::View& k,
                   const typename Tensors<Scalar>::View& v, Scalar scale, Visible visible,
                   typename Tensors<Scalar>::View out, typename Tensors<Scalar>::View lse) {
  using Matrix = typename Tensors<Scalar>::Matrix;
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
  constexpr Eigen::Index kRows = 128, kKeys = 256;
  constexpr Scalar kNothing = -std::numeric_limits<Scalar>::infinity();
  Matrix scores, acc;
  for (Eigen::Index first = 0; first < q.rows(); first += kRows) {
    const Eigen::Index rows = std::min(kRows, q.rows() - first);
    acc = out.middleRows(first, rows);
    Vector m = lse.middleRows(first, rows), l = (m.array() == kNothing).select(Vector::Zero(rows), Vector::Ones(rows));
    const Eigen::Index last = visible(first + rows - 1);  // rows see ever more keys
    for (Eigen::Index key = 0; key < last; key += kKeys) {
      const Eigen::Index keys = std::min(kKeys, last - key);
      scores.resize(rows, keys);
      t.multiply(scores, q.middleRows(first, rows), k.middleRows(key, keys).transpose());
      scores *= scale;
      const auto hidden = [&](Eigen::Index i) {
        return keys - std::clamp<Eigen::Index>(visible(first + i) - key, 0, keys);
      };
      for (Eigen::Index i = 0; i < rows; ++i) scores.row(i).tail(hidden(i)).setConstant(kNothing);
      const Vector m_new = m.cwiseMax(scores.rowwise().maxCoeff());
      const Vector base = (m_new.array() == kNothing).select(Vector::Zero(rows), m_new);  // avoids -inf - -inf
      scores.colwise() -= base;
      exponentiate(scores);  // 0 where hidden
      for (Eigen::Index i = 0; i < rows; ++i) t.ledger().masked_flops += 2 * hidden(i) * (k.cols() + v.cols());
      Vector rescale = m - base;
      exponentiate(rescale);
      l = l.cwiseProduct(rescale) + scores.rowwise().sum();
      acc.array().colwise() *= rescale.array();
      t.multiply(acc, scores, v.middleRows(key, keys), true);
      m = m_new;
    }
    const auto empty = (l.array() == 0).eval();
    acc.array().colwise() /= empty.select(Vector::Ones(rows), l).array();
    out.middleRows(first, rows) = acc;
    lse.middleRows(first, rows) =
        empty.select(Vector::Constant(rows, kNothing), m + l.unaryExpr([](Scalar x) { return portable_log(x); }));
  }
}

template <class Scalar>
void start_empty(Tensors<Scalar>& t, const OperatorView& v) {
  t[v.out(0)].setZero();
  t[v.out(1)].setConstant(-std::numeric_limits<Scalar>::infinity());
}

template <class Scalar>
void attend_prefill(const OperatorView& op, Tensors<Scalar>& t) {
  const auto& core = op.params<PrefillCore>();
  if (!core.accumulate) start_empty(t, op);
  const double scale = core.scale != 0 ? core.scale : 1 / std::sqrt(static_cast<double>(core.key_width));
  for (const AttentionBlock& b : op.tail<PrefillCore, AttentionBlock>(static_cast<std::size_t>(core.blocks)))
    for (int h = 0; h < core.heads; ++h) {
      const auto part = [&](const Value& x, int row, int rows, int width) {
        return t[x.row_slice(row, rows).column_slice(h * width, width)];
      };
      attend_online<Scalar>(
          t, part(op.in(0), b.q_row, b.q_rows, core.key_width), part(op.in(1), b.k_row, b.k_rows, core.key_width),
          part(op.in(2), b.k_row, b.k_rows, core.value_width), static_cast<Scalar>(scale),
          [&](Eigen::Index i) { return b.visible(i); }, part(op.out(0), b.q_row, b.q_rows, core.value_width),
          part(op.out(1), b.q_row, b.q_rows, 1));
    }
}

// A row of queries is a matrix with a row per head; all heads share the keys, and the values are the keys' first
// columns.
template <class Scalar>
void attend_decode(const OperatorView& op, Tensors<Scalar>& t) {
  using View = typename Tensors<Scalar>::View;
  const auto& core = op.params<DecodeCore>();
  const auto blocks = op.tail<DecodeCore, AttentionBlock>(static_cast<std::size_t>(core.blocks));
  std::int64_t pairs = 0;
  for (const AttentionBlock& b : blocks) pairs += b.pairs();
  check(pairs * core.repeats == core.context,
        "the blocks of an attention core are not the context that it is charged for");
  start_empty(t, op);
  for (std::int32_t repeat = 0; repeat < core.repeats; ++repeat)
    for (AttentionBlock b : blocks) {
      b.q_row += repeat * core.q_stride;
      b.k_row += static_cast<std::int32_t>(repeat * core.k_stride);
      for (int i = 0; i < b.q_rows; ++i) {
        const auto heads = [&](const Value& x, Eigen::Index width) {
          return View(t[x.row_slice(b.q_row + i, 1)].data(), core.heads, width, Eigen::OuterStride<>(width));
        };
        // An int8 cache has a wider row than its keys.
        const Value keys = op.in(1).row_slice(b.k_row, b.visible(i)).column_slice(0, core.key_width);
        attend_online<Scalar>(
            t, heads(op.in(0), core.key_width), t[keys], t[keys.column_slice(0, core.latent_width)],
            static_cast<Scalar>(core.scale), [&](Eigen::Index) { return Eigen::Index{keys.rows}; },
            heads(op.out(0), core.latent_width), heads(op.out(1), 1));
      }
    }
}

template <class Scalar>
void pack(const OperatorView& op, Tensors<Scalar>& t) {
  const auto out = t[op.in(0)], lse = t[op.in(1)];
  auto packed = t[op.out()];
  const Eigen::Index heads = lse.cols(), width = out.cols() / heads;
  for (Eigen::Index h = 0; h < heads; ++h) {
    packed.middleCols(h * (width + 1), width) = out.middleCols(h * width, width);
    packed.col(h * (width + 1) + width) = lse.col(h);
  }
}

template <class Scalar>
void merge(const OperatorView& op, Tensors<Scalar>& t) {
  constexpr Scalar kNothing = -std::numeric_limits<Scalar>::infinity();
  const int parts = op.params<Merge>().parts;
  const auto stacked = t[op.in(0)];
  auto out = t[op.out()];
  const Eigen::Index heads = stacked.cols() - out.cols(), width = out.cols() / heads, rows = out.rows();
  out.setZero();
  for (Eigen::Index r = 0; r < rows; ++r)
    for (Eigen::Index h = 0; h < heads; ++h) {
      const auto lse = [&](int part) { return stacked(part * rows + r, h * (width + 1) + width); };
      Scalar m = kNothing, sum = 0;
      for (int i = 0; i < parts; ++i) m = std::max(m, lse(i));
      const Scalar base = m == kNothing ? 0 : m;
      for (int i = 0; i < parts; ++i) sum += portable_exp(lse(i) - base);
      for (int i = 0; i < parts && sum > 0; ++i)
        out.row(r).segment(h * width, width) +=
            portable_exp(lse(i) - base) / sum * stacked.row(i * rows + r).segment(h * (width + 1), width);
      if (op.op().outputs > 1) t[op.out(1)](r, h) = sum > 0 ? base + portable_log(sum) : kNothing;
    }
}

template <class Scalar>
void merge_two(const OperatorView& op, Tensors<Scalar>& t) {
  constexpr Scalar kNothing = -std::numeric_limits<Scalar>::infinity();
  const auto block = t[op.in(0)], block_lse = t[op.in(1)];
  auto out = t[op.out(0)], lse = t[op.out(1)];
  const Eigen::Index width = out.cols() / lse.cols();
  for (Eigen::Index r = 0; r < out.rows(); ++r)
    for (Eigen::Index h = 0; h < lse.cols(); ++h) {
      if (block_lse(r, h) == kNothing) continue;
      auto o = out.row(r).segment(h * width, width);
      const auto o_b = block.row(r).segment(h * width, width);
      if (lse(r, h) == kNothing) {
        o = o_b;
        lse(r, h) = block_lse(r, h);
        continue;
      }
      const Scalar x = block_lse(r, h) - lse(r, h);
      o -= 1 / (1 + portable_exp(-x)) * (o - o_b);
      lse(r, h) += std::max<Scalar>(x, 0) + portable_log1p(portable_exp(-std::abs(x)));  // -log sigmoid(-x)
    }
}

// ---- cost -----------------------------------------------------------------------------------------------------------

Work prefill_work(const OperatorView& v) {
  const auto& core = v.params<PrefillCore>();
  const auto blocks = v.tail<PrefillCore, AttentionBlock>(static_cast<std::size_t>(core.blocks));
  std::int64_t pairs = 0, masked_pairs = 0, rows = 0;
  for (const AttentionBlock& b : blocks) {
    pairs += b.pairs();
    rows += b.q_rows;
    // Each mask tile on the diagonal is computed whole: t (t - 1) / 2 pairs too many for t rows.
    if (b.causal) masked_pairs += std::int64_t{b.q_rows} * (std::min(core.tile, b.q_rows) - 1) / 2;
  }
  if (pairs == 0) return {.launches = 0};
  const std::int64_t flop_per_pair = 2 * std::int64_t{core.heads} * (core.key_width + core.value_width);
  const double softmax_ops = static_cast<double>(pairs + masked_pairs) * core.softmax_ops_per_score +
                             static_cast<double>(rows) * core.softmax_ops_per_row;
  Work work{.family = family(Kernel::kAttentionPrefill),
            .matrix_type = MatrixType::k16Bit,
            .matrix = Flops(flop_per_pair * pairs),
            .matrix_rounding = Flops(flop_per_pair * masked_pairs),
            .vector = Flops(std::llround(core.heads * softmax_ops)),
            .read = v.in(0).bytes() + v.in(1).bytes() + v.in(2).bytes(),
            .written = v.out(0).bytes() + v.out(1).bytes()};
  if (core.accumulate) work.read += work.written;
  return work;
}

Work decode_work(const OperatorView& v) {
  const auto& core = v.params<DecodeCore>();
  const Value &q = v.in(0), &cache = v.in(1);
  if (q.rows == 0 || core.context == 0) return {.launches = 0};
  const bool int8 = cache.dtype == Dtype::kInt8;
  const std::int64_t rope_flops = 2 * core.heads * (core.key_width - core.latent_width) * core.context;
  return {.family = family(Kernel::kMlaDecode),
          .matrix_type = int8 ? MatrixType::kInt8 : MatrixType::k16Bit,
          .matrix = Flops(2 * std::int64_t{core.heads} * (core.key_width + core.latent_width) * core.context),
          // Queries are quantised for an int8 latent; the rope key stays in 16 bit: at the int8 rate each of its FLOPs
          // takes twice the time.
          .matrix_rounding = Flops(int8 ? rope_flops : 0),
          .read = Bytes(core.cache_rows * cache.columns * bits(cache.dtype) / 8) + q.bytes(),
          .written = v.out(0).bytes() + v.out(1).bytes()};
}

Work merge_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kMerge),
          .vector = Flops(4 * v.in(0).elements()),  // subtract, exp shared by a head, multiply, add
          .read = v.in(0).bytes(),
          .written = v.out().bytes() + (v.op().outputs > 1 ? v.out(1).bytes() : Bytes(0)),
          .rows = v.out().rows};
}

Work merge_into_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kMerge),
          .vector = Flops(3 * v.in(0).elements()),  // subtract, multiply by the head's sigmoid, subtract
          .read = v.in(0).bytes() + v.in(1).bytes() + v.out(0).bytes() + v.out(1).bytes(),
          .written = v.out(0).bytes() + v.out(1).bytes(),
          .rows = v.out(0).rows};
}

Work pack_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement),
          .read = v.in(0).bytes() + v.in(1).bytes(),
          .written = v.out().bytes(),
          .rows = v.out().rows};
}

constexpr Compute kPrefillMath{attend_prefill<double>, attend_prefill<float>};
constexpr Compute kDecodeMath{attend_decode<double>, attend_decode<float>};
constexpr Compute kPackMath{pack<double>, pack<float>};
constexpr Compute kMergeMath{merge<double>, merge<float>};
constexpr Compute kMergeIntoMath{merge_two<double>, merge_two<float>};

constexpr OperatorType kAttention{"attention_prefill", prefill_work, Primitive::kNone, kPrefillMath,
                                  category(Category::kAttention)};
constexpr OperatorType kAbsorbedAttention{"attention_decode", decode_work, Primitive::kNone, kDecodeMath,
                                          category(Category::kAttention)};
constexpr OperatorType kPackPartial{"pack_partial", pack_work, Primitive::kNone, kPackMath,
                                    category(Category::kVector)};
constexpr OperatorType kMerge{"merge_partials", merge_work, Primitive::kNone, kMergeMath,
                              category(Category::kAttention)};
constexpr OperatorType kMergeInto{"merge_into", merge_into_work, Primitive::kNone, kMergeIntoMath,
                                  category(Category::kAttention)};

}  // namespace

std::int64_t AttentionBlock::visible(std::int64_t row) const {
  return causal ? std::clamp<std::int64_t>(row * step + 1 + shift, 0, k_rows) : k_rows;
}

std::int64_t AttentionBlock::pairs() const {
  if (!causal) return std::int64_t{q_rows} * k_rows;
  // Rows see 1 + shift, 1 + shift + step, ... keys, until the block's keys are exhausted.
  const std::int64_t rising = k_rows > shift ? std::min<std::int64_t>((k_rows - shift - 1) / step + 1, q_rows) : 0;
  return rising * (1 + shift) + rising * (rising - 1) / 2 * step + (q_rows - rising) * k_rows;
}

void attend(ProgramBuilder& p, const char* label, PrefillCore core, std::span<const AttentionBlock> blocks, Value q,
            Value k, Value v, Value out, Value lse) {
  core.blocks = static_cast<std::int32_t>(blocks.size());
  p.apply(kAttention, label, core, blocks, {q, k, v}, {out, lse});
}

Partial attend_absorbed(ProgramBuilder& p, const char* label, DecodeCore core, Value q, Value cache, Dtype lse_type,
                        std::span<const AttentionBlock> blocks) {
  check(q.columns == core.heads * core.key_width, "absorbed queries need the width of a cached key for every head");
  const Partial partial{p.activation(q.dtype, q.rows, std::int64_t{core.heads} * core.latent_width),
                        p.activation(lse_type, q.rows, core.heads)};
  core.blocks = static_cast<std::int64_t>(blocks.size());
  p.apply(kAbsorbedAttention, label, core, blocks, {q, cache}, {partial.out, partial.lse});
  return partial;
}

Value pack_partial(ProgramBuilder& p, const char* label, const Partial& partial, Dtype type) {
  const Value y = p.activation(type, partial.out.rows, std::int64_t{partial.out.columns} + partial.lse.columns);
  p.apply(kPackPartial, label, Merge{1}, {partial.out, partial.lse}, {y});
  return y;
}

Partial merge_with_lse(ProgramBuilder& p, const char* label, Value stacked, int parts, std::int64_t rows,
                       std::int64_t columns) {
  const Partial y{p.activation(stacked.dtype, rows, columns),
                  p.activation(Dtype::kFp32, rows, stacked.columns - columns)};
  p.apply(kMerge, label, Merge{parts}, {stacked}, {y.out, y.lse});
  return y;
}

void merge_into(ProgramBuilder& p, const char* label, const Partial& block, const Partial& into) {
  p.apply(kMergeInto, label, Merge{2}, {block.out, block.lse}, {into.out, into.lse});
}

Value merge_partials(ProgramBuilder& p, const char* label, Value stacked, int parts, std::int64_t rows,
                     std::int64_t columns, Dtype out) {
  const Value y = p.activation(out, rows, columns);
  p.apply(kMerge, label, Merge{parts}, {stacked}, {y});
  return y;
}

}  // namespace ascendsim
