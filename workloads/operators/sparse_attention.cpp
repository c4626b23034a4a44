#include "workloads/operators/sparse_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "workloads/kernels.h"
#include "workloads/operators/row_math.h"

namespace ascendsim {

namespace {

constexpr double kLayerNormEpsilon = 1e-6;  // of the indexer's LayerNorm, inference/model.py of DeepSeek-V3.2-Exp

struct IndexKey {
  std::int64_t rope_width, written_rows;
};

struct IndexHeads {
  std::int32_t count, rope_width;
};

// ---- mathematics ----------------------------------------------------------------------------------------------------

// inputs: x, norm, positions; outputs: the keys, and the cache where they are written to it at once
template <class Scalar>
void key_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t[op.in(0)], norm = t[op.in(1)];
  auto y = t[op.out(0)];
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const Scalar mean = x.row(r).mean();
    const auto centred = (x.row(r).array() - mean).eval();
    const Scalar variance = centred.square().mean();
    y.row(r) = (centred / std::sqrt(variance + static_cast<Scalar>(kLayerNormEpsilon)) * norm.row(0).array() +
                norm.row(1).array())
                   .matrix();
  }
  const Eigen::Index turned = op.params<IndexKey>().rope_width;
  Rotation<Scalar>(t[op.in(2)], turned).turn_halves(y.leftCols(turned));
  if (op.op().outputs > 1) store_latent<Scalar>(t, op, 0, y, y.cols(), op.out(1), op.moves());
}

template <class Scalar>
void query_rope_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto& heads = op.params<IndexHeads>();
  auto q = t[op.out()];
  const Eigen::Index width = q.cols() / heads.count;
  const Rotation<Scalar> rotation(t[op.in(1)], heads.rope_width);
  for (Eigen::Index h = 0; h < heads.count; ++h) rotation.turn_halves(q.middleCols(h * width, heads.rope_width));
}

// Every query row with the first row and the number of the keys that it may see.
template <class Visit>
void for_each_query(const QuerySequences& s, std::span<const AttentionBlock> blocks, Visit visit) {
  for (std::int32_t repeat = 0; repeat < s.repeats; ++repeat)
    for (const AttentionBlock& b : blocks)
      for (std::int32_t i = 0; i < b.q_rows; ++i)
        visit(b.q_row + i + repeat * s.q_stride, b.k_row + repeat * s.k_stride, b.visible(i));
}

template <class Scalar>
void indexer_math(const OperatorView& op, Tensors<Scalar>& t) {
  using View = typename Tensors<Scalar>::View;
  const auto& core = op.params<IndexerCore>();
  const auto weights = t[op.in(2)];
  auto chosen = t[op.out()];
  chosen.setConstant(-1);
  typename Tensors<Scalar>::Matrix scores;
  std::vector<Eigen::Index> order;
  for_each_query(core.sequences, op.tail<IndexerCore, AttentionBlock>(static_cast<std::size_t>(core.sequences.blocks)),
                 [&](std::int64_t row, std::int64_t first, std::int64_t keys) {
                   const View heads(t[op.in(0).row_slice(row, 1)].data(), core.heads, core.width,
                                    Eigen::OuterStride<>(core.width));
                   scores.resize(core.heads, keys);
                   t.multiply(scores, heads,
                              t[op.in(1).row_slice(first, keys).column_slice(0, core.width)].transpose());
                   scores = scores.cwiseMax(Scalar{0});
                   const auto sum = product(weights.row(row), scores);
                   order.resize(static_cast<std::size_t>(keys));
                   std::iota(order.begin(), order.end(), Eigen::Index{0});
                   std::ranges::stable_sort(order, std::greater{}, [&](Eigen::Index i) { return sum(0, i); });
                   const auto kept = std::min<std::int64_t>(keys, core.sequences.top_k);
                   for (std::int64_t i = 0; i < kept; ++i)
                     chosen(row, i) = static_cast<Scalar>(order[static_cast<std::size_t>(i)]);
                 });
}

template <class Scalar>
void sparse_math(const OperatorView& op, Tensors<Scalar>& t) {
  using View = typename Tensors<Scalar>::View;
  const auto& core = op.params<SparseCore>();
  const auto all = t[op.in(1)], chosen = t[op.in(2)];
  typename Tensors<Scalar>::Matrix keys, scores;
  for_each_query(core.sequences, op.tail<SparseCore, AttentionBlock>(static_cast<std::size_t>(core.sequences.blocks)),
                 [&](std::int64_t row, std::int64_t first, std::int64_t visible) {
                   const Eigen::Index count = std::min<std::int64_t>(visible, core.sequences.top_k);
                   keys.resize(count, core.key_width);
                   for (Eigen::Index i = 0; i < count; ++i) {
                     const auto position = static_cast<Eigen::Index>(chosen(row, i));
                     check(position >= 0 && position < visible,
                           "sparse attention was handed a key that its query must not see");
                     keys.row(i) = all.row(first + position).leftCols(core.key_width);
                   }
                   const auto heads = [&](const Value& x, Eigen::Index width) {
                     return View(t[x.row_slice(row, 1)].data(), core.heads, width, Eigen::OuterStride<>(width));
                   };
                   auto out = heads(op.out(), core.latent_width);
                   if (count == 0) {
                     out.setZero();
                     return;
                   }
                   scores.resize(core.heads, count);
                   t.multiply(scores, heads(op.in(0), core.key_width), keys.transpose());
                   scores *= static_cast<Scalar>(core.scale);
                   scores.colwise() -= scores.rowwise().maxCoeff().eval();
                   exponentiate(scores);
                   scores.array().colwise() /= scores.rowwise().sum().array().eval();
                   t.multiply(out, scores, keys.leftCols(core.latent_width));
                 });
}

// ---- cost -----------------------------------------------------------------------------------------------------------

Work key_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  Work work{.family = family(Kernel::kKvNormRopeCache),
            .vector = Flops(7 * v.in(0).elements()),  // as an RMS norm, and the mean, the bias, the rotated few
            .read = v.in(0).bytes() + v.in(1).bytes() + v.in(2).bytes(),
            .written = v.out(0).bytes(),
            .rows = v.in(0).rows};
  if (v.op().outputs > 1) {
    const Value& cache = v.out(1);
    work.written += Bytes(v.params<IndexKey>().written_rows * cache.columns * bits(cache.dtype) / 8);
  }
  return work;
}

// Halves are whole runs of columns: an element-wise kernel, without the strided copies that turning neighbours takes.
Work query_rope_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  const auto& heads = v.params<IndexHeads>();
  const std::int64_t elements = std::int64_t{v.in(0).rows} * heads.count * heads.rope_width;
  const Bytes rotated(elements * bits(v.in(0).dtype) / 8);
  return {.family = family(Kernel::kVector),
          .vector = Flops(6 * elements),  // a complex multiplication of a pair
          .read = rotated + v.in(1).bytes(),
          .written = rotated,
          .rows = v.in(0).rows};
}

// Scores beyond what the queries of a block see, up to the end of their last tile of keys.
std::int64_t beyond_visible(const AttentionBlock& b, std::int64_t tile) {
  // The ends of many following rows are spread evenly over a tile, or over every so many of its keys.
  const std::int64_t apart = std::gcd(std::int64_t{b.step}, tile);
  if (b.causal && b.q_rows >= tile / apart) {
    const std::int64_t nearest = (tile - 1 - b.shift % tile) % apart;
    return std::int64_t{b.q_rows} * (2 * nearest + tile - apart) / 2;
  }
  std::int64_t extra = 0;
  for (std::int32_t i = 0; i < (b.causal ? b.q_rows : 1); ++i) extra += round_up(b.visible(i), tile) - b.visible(i);
  return b.causal ? extra : extra * b.q_rows;
}

Work indexer_work(const OperatorView& v) {
  const auto& core = v.params<IndexerCore>();
  const QuerySequences& s = core.sequences;
  const auto blocks = v.tail<IndexerCore, AttentionBlock>(static_cast<std::size_t>(s.blocks));
  const std::int64_t pairs = visible_pairs(s, blocks);
  if (pairs == 0) return {.launches = 0};
  std::int64_t beyond = 0, queries = 0;
  for (const AttentionBlock& b : blocks) {
    beyond += beyond_visible(b, core.key_tile) * s.repeats;
    queries += std::int64_t{b.q_rows} * s.repeats;
  }
  const Value& keys = v.in(1);
  const bool int8 = keys.dtype == Dtype::kInt8;
  const std::int64_t flop_per_pair = 2 * std::int64_t{core.heads} * core.width;
  // 16 bit: the vector cores weigh and sum the heads (ReLU comes free on the way out of the cube). int8: the cube sums
  // them in a second product of one padded row, which runs in 16 bit, at half the rate.
  const std::int64_t head_sum = int8 ? 2 * 2 * core.cube_rows * core.heads : 0;
  const double sort = static_cast<double>(pairs + beyond) * core.top_k_ops_per_key +
                      static_cast<double>(queries * s.top_k) * core.top_k_ops_per_choice;
  return {.family = family(Kernel::kLightningIndexer),
          .matrix_type = int8 ? MatrixType::kInt8 : MatrixType::k16Bit,
          .matrix = Flops(flop_per_pair * pairs),
          .matrix_rounding = Flops(flop_per_pair * beyond + head_sum * (pairs + beyond)),
          .vector = Flops((int8 ? 0 : 2 * core.heads * (pairs + beyond)) + std::llround(sort)),
          .read = Bytes(s.key_rows * keys.columns * bits(keys.dtype) / 8) + v.in(0).bytes() + v.in(2).bytes(),
          .written = v.out().bytes()};
}

Work sparse_work(const OperatorView& v) {
  const auto& core = v.params<SparseCore>();
  const std::int64_t rows = selected_pairs(
      core.sequences, v.tail<SparseCore, AttentionBlock>(static_cast<std::size_t>(core.sequences.blocks)));
  if (rows == 0) return {.launches = 0};
  const Value& keys = v.in(1);
  const std::int64_t flop_per_head = 2 * std::int64_t{core.key_width + core.latent_width} * rows;
  return {.family = family(Kernel::kSparseAttention),
          .matrix_type = MatrixType::k16Bit,
          .matrix = Flops(flop_per_head * core.heads),
          .matrix_rounding = Flops(flop_per_head * (round_up(core.heads, core.cube_rows) - core.heads)),
          .read = Bytes(rows * keys.columns * bits(keys.dtype) / 8) + v.in(0).bytes() + v.in(2).bytes(),
          .written = v.out().bytes()};
}

constexpr Compute kKeyMath{key_math<double>, key_math<float>};
constexpr Compute kQueryRopeMath{query_rope_math<double>, query_rope_math<float>};
constexpr Compute kIndexerMath{indexer_math<double>, indexer_math<float>};
constexpr Compute kSparseMath{sparse_math<double>, sparse_math<float>};

constexpr OperatorType kIndexKey{"index_key", key_work, Primitive::kNone, kKeyMath, category(Category::kVector)};
constexpr OperatorType kIndexQueryRope{"index_query_rope", query_rope_work, Primitive::kNone, kQueryRopeMath,
                                       category(Category::kVector)};
constexpr OperatorType kLightningIndexer{"lightning_indexer", indexer_work, Primitive::kNone, kIndexerMath,
                                         category(Category::kAttention)};
constexpr OperatorType kSparseAttention{"sparse_attention", sparse_work, Primitive::kNone, kSparseMath,
                                        category(Category::kAttention)};

}  // namespace

std::int64_t visible_pairs(const QuerySequences& s, std::span<const AttentionBlock> blocks) {
  std::int64_t pairs = 0;
  for (const AttentionBlock& b : blocks) pairs += b.pairs() * s.repeats;
  return pairs;
}

std::int64_t selected_pairs(const QuerySequences& s, std::span<const AttentionBlock> blocks) {
  std::int64_t pairs = 0;
  for (AttentionBlock b : blocks) {
    // min(top_k, keys up to the query's own, keys there are): as if there were no more than top_k.
    b.k_rows = std::min(b.k_rows, s.top_k);
    pairs += b.pairs() * s.repeats;
  }
  return pairs;
}

Value index_key(ProgramBuilder& p, const char* label, Value x, Value norm, Value positions, int rope_width) {
  const Value y = p.activation(x.dtype, x.rows, x.columns);
  p.apply(kIndexKey, label, IndexKey{rope_width, 0}, {x, norm, positions}, {y});
  return y;
}

Value index_key_cache(ProgramBuilder& p, const char* label, Value x, Value norm, Value positions, int rope_width,
                      Value cache, Moves writes) {
  const Value y = p.activation(x.dtype, x.rows, x.columns);
  p.apply(kIndexKey, label, IndexKey{rope_width, writes.rows}, {x, norm, positions}, {y, cache});
  p.moving(writes);
  return y;
}

void index_query_rope(ProgramBuilder& p, const char* label, Value q, Value positions, int heads, int rope_width) {
  check(q.columns % heads == 0 && rope_width <= q.columns / heads && rope_width % 2 == 0,
        "an index query's rotation takes pairs of its columns");
  p.apply(kIndexQueryRope, label, IndexHeads{heads, rope_width}, {q, positions}, {q});
}

Value lightning_indexer(ProgramBuilder& p, const char* label, IndexerCore core, std::span<const AttentionBlock> blocks,
                        Value q, Value keys, Value weights) {
  check(q.columns == core.heads * core.width && weights.columns == core.heads && keys.columns >= core.width,
        "an indexer's queries, keys and weights do not fit together");
  core.sequences.blocks = static_cast<std::int32_t>(blocks.size());
  const Value chosen = p.activation(Dtype::kInt32, q.rows, core.sequences.top_k);
  p.apply(kLightningIndexer, label, core, blocks, {q, keys, weights}, {chosen});
  return chosen;
}

Value sparse_attention(ProgramBuilder& p, const char* label, SparseCore core, std::span<const AttentionBlock> blocks,
                       Value q, Value keys, Value chosen) {
  check(q.columns == core.heads * core.key_width && keys.columns >= core.key_width &&
            chosen.columns == core.sequences.top_k,
        "sparse attention's queries, keys and choices do not fit together");
  core.sequences.blocks = static_cast<std::int32_t>(blocks.size());
  const Value out = p.activation(q.dtype, q.rows, core.heads * core.latent_width);
  p.apply(kSparseAttention, label, core, blocks, {q, keys, chosen}, {out});
  return out;
}

}  // namespace ascendsim
