#include "strategies/reference/attention_check.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <mutex>
#include <tuple>

#include "sim/calculator.h"
#include "sim/data_flow.h"
#include "sim/drive.h"
#include "sim/elementary.h"

namespace ascendsim {

namespace {

using Matrix = Tensors<double>::Matrix;

constexpr double kOutOfBounds = std::numeric_limits<double>::infinity();

bool emulated(NumberType type) { return type == NumberType::kFp16 || type == NumberType::kBf16; }

}  // namespace

struct DenseAttention {
  std::vector<Matrix> out, lse;  // of each sequence: [queries, heads * value], [queries, heads]
  double largest_lse = 0;
  double score_bound = 0;  // scale |q| |k| of the longest query and key
  // Of sparse attention what a choice of keys leads to, instead of out and lse.
  struct Choosing {
    std::vector<Matrix> q, k, v;  // of each head
    Matrix scores;                // of the indexer: [queries, tokens]
  };
  std::vector<Choosing> choosing;
  double index_bound = 0;  // sum over heads of |weight| |q| |k|, of the longest query and key
  [[nodiscard]] std::int64_t first_query(std::size_t s, const AttentionCase& c) const {
    return c.total(s) - out[s].rows();
  }
};

namespace {

Matrix global_part(const AttentionCase& c, BufferKind kind, const char* key, std::int64_t first, std::int64_t rows,
                   std::int64_t columns, bool round, std::int32_t fan_in = 0) {
  Matrix m(rows, columns);
  for (std::int64_t r = 0; r < rows; ++r)
    hashed_row({.key = key, .fan_in = fan_in}, kind, first + r, 0, 0, round ? std::optional(c.input) : std::nullopt,
               std::span<double>(m.row(r).data(), static_cast<std::size_t>(columns)));
  return m;
}

// softmax(scale Q K^T + causal mask) V and its log-sum-exp, one head, a panel of queries at a time.
void dense_head(const Matrix& q, const Matrix& k, const Matrix& v, std::int64_t first_query, Eigen::Ref<Matrix> out,
                Eigen::Ref<Matrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> lse) {
  constexpr Eigen::Index kPanel = 256;
  const double scale = 1 / std::sqrt(static_cast<double>(k.cols()));
  for (Eigen::Index at = 0; at < q.rows(); at += kPanel) {
    const Eigen::Index rows = std::min(kPanel, q.rows() - at), keys = first_query + at + rows;
    Matrix p = scale * product(q.middleRows(at, rows), k.topRows(keys).transpose());
    for (Eigen::Index i = 0; i < rows; ++i) {
      const Eigen::Index seen = first_query + at + i + 1;
      auto row = p.row(i).head(seen);
      const double m = row.maxCoeff();
      row.array() -= m;
      exponentiate(row);
      const double sum = row.sum();
      row /= sum;
      p.row(i).tail(keys - seen).setZero();
      lse(at + i, 0) = m + portable_log(sum);
    }
    multiply(out.middleRows(at, rows), p, v.topRows(keys));
  }
}

// Rows of the latent divided by their root mean square, times the norm's weight (RMSNorm, rms_norm_eps 1e-6).
void normalise(Eigen::Ref<Matrix> latent, const Matrix& weight) {
  for (Eigen::Index r = 0; r < latent.rows(); ++r) {
    const double rms = std::sqrt(latent.row(r).array().square().mean() + 1e-6);
    latent.row(r).array() *= weight.row(0).array() / rms;
  }
}

// Columns in pairs (x, y) as x + iy: pair j of the row at position t turns by t theta^(-j / pairs), theta 10000 (rotary
// embedding, Su et al. 2021; interleaved pairs as in DeepSeek-V3's inference/model.py).
void rotate(Eigen::Ref<Matrix> columns, std::int64_t first_position) {
  const Eigen::Index pairs = columns.cols() / 2;
  for (Eigen::Index j = 0; j < pairs; ++j) {
    const double turn = portable_pow(10000, -static_cast<double>(j) / static_cast<double>(pairs));
    for (Eigen::Index r = 0; r < columns.rows(); ++r) {
      const auto [sine, cosine] = portable_sine_cosine(static_cast<double>(first_position + r) * turn);
      const std::complex<double> z =
          std::complex<double>(columns(r, 2 * j), columns(r, 2 * j + 1)) * std::complex<double>(cosine, sine);
      columns(r, 2 * j) = z.real();
      columns(r, 2 * j + 1) = z.imag();
    }
  }
}

// The same for columns i and i + width / 2 (the indexer's rotary embedding, inference/model.py of DeepSeek-V3.2-Exp).
void rotate_halves(Eigen::Ref<Matrix> columns, std::int64_t first_position) {
  const Eigen::Index pairs = columns.cols() / 2;
  Matrix side_by_side(columns.rows(), columns.cols());
  for (Eigen::Index j = 0; j < pairs; ++j)
    side_by_side.col(2 * j) = columns.col(j), side_by_side.col(2 * j + 1) = columns.col(j + pairs);
  rotate(side_by_side, first_position);
  for (Eigen::Index j = 0; j < pairs; ++j)
    columns.col(j) = side_by_side.col(2 * j), columns.col(j + pairs) = side_by_side.col(2 * j + 1);
}

// Scores of the indexer, sum over heads of w ReLU(q k): of queries from `first` on, of all keys of a sequence.
Matrix index_scores(const AttentionCase& c, std::int32_t base, std::int64_t first, std::int64_t rows, bool round,
                    double& bound) {
  const std::int64_t tokens = first + rows;
  Matrix q = global_part(c, BufferKind::kInput, "index_q", base + first, rows, c.index_heads * c.index_width, round);
  Matrix k = global_part(c, BufferKind::kInput, "index_k", base, tokens, c.index_width, round);
  const Matrix affine = global_part(c, BufferKind::kWeight, "index_k_norm", 0, 2, c.index_width, round, 1);
  const Matrix weights = global_part(c, BufferKind::kInput, "index_weights", base + first, rows, c.index_heads, round);
  for (Eigen::Index r = 0; r < tokens; ++r) {  // LayerNorm, epsilon 1e-6
    k.row(r).array() -= k.row(r).mean();
    k.row(r).array() /= std::sqrt(k.row(r).array().square().mean() + 1e-6);
    k.row(r).array() = k.row(r).array() * affine.row(0).array() + affine.row(1).array();
  }
  rotate_halves(k.leftCols(c.rope), 0);
  Matrix scores = Matrix::Zero(rows, tokens), lengths = Matrix::Zero(rows, 1);
  for (std::int64_t h = 0; h < c.index_heads; ++h) {
    auto head = q.middleCols(h * c.index_width, c.index_width);
    rotate_halves(head.leftCols(c.rope), first);
    scores += (product(head, k.transpose()).cwiseMax(0.0).array().colwise() * weights.col(h).array()).matrix();
    lengths.array() += head.rowwise().norm().array() * weights.col(h).array().abs();
  }
  bound = std::max(bound, lengths.maxCoeff() * std::sqrt(k.rowwise().squaredNorm().maxCoeff()));
  return scores;
}

DenseAttention dense_attention(const AttentionCase& c, bool decode, bool round) {
  DenseAttention dense;
  const Matrix w_uk = global_part(c, BufferKind::kWeight, "w_uk", 0, c.kv_rank, c.heads * c.nope, round);
  const Matrix w_uv = global_part(c, BufferKind::kWeight, "w_uv", 0, c.kv_rank, c.heads * c.value, round);
  const Matrix norm = global_part(c, BufferKind::kWeight, "kv_a_layernorm", 0, 1, c.kv_rank, round, 1);
  for (std::size_t s = 0; s < c.tokens.size(); ++s) {
    const std::int64_t tokens = c.total(s), first = decode ? tokens - 1 : c.history_of(s), rows = tokens - first;
    const std::int32_t base = global_row(static_cast<std::int32_t>(s), 0);
    Matrix latent = global_part(c, BufferKind::kInput, "latent", base, tokens, c.latent_width(), round);
    normalise(latent.leftCols(c.kv_rank), norm);
    rotate(latent.rightCols(c.rope), 0);
    const Matrix q_nope = global_part(c, BufferKind::kInput, "q_nope", base + first, rows, c.heads * c.nope, round);
    Matrix q_rope = global_part(c, BufferKind::kInput, "q_rope", base + first, rows, c.heads * c.rope, round);
    for (std::int64_t h = 0; h < c.heads; ++h) rotate(q_rope.middleCols(h * c.rope, c.rope), first);
    Matrix out(rows, c.heads * c.value), lse = Matrix::Zero(rows, c.heads), q(rows, c.key_width()),
                                         k(tokens, c.key_width());
    DenseAttention::Choosing choosing;
    if (c.sparse()) {
      choosing.scores = index_scores(c, base, first, rows, round, dense.index_bound);
    }
    for (std::int64_t h = 0; h < c.heads; ++h) {
      q << q_nope.middleCols(h * c.nope, c.nope), q_rope.middleCols(h * c.rope, c.rope);
      multiply(k.leftCols(c.nope), latent.leftCols(c.kv_rank), w_uk.middleCols(h * c.nope, c.nope));
      k.rightCols(c.rope) = latent.rightCols(c.rope);
      const Matrix v = product(latent.leftCols(c.kv_rank), w_uv.middleCols(h * c.value, c.value));
      if (c.sparse()) {
        choosing.q.push_back(q);
        choosing.k.push_back(k);
        choosing.v.push_back(v);
      } else {
        dense_head(q, k, v, first, out.middleCols(h * c.value, c.value), lse.col(h));
      }
      dense.score_bound = std::max(
          dense.score_bound, std::sqrt(q.rowwise().squaredNorm().maxCoeff() * k.rowwise().squaredNorm().maxCoeff() /
                                       static_cast<double>(c.key_width())));
    }
    dense.largest_lse = std::max(dense.largest_lse, lse.cwiseAbs().maxCoeff());
    dense.out.push_back(std::move(out));
    dense.lse.push_back(std::move(lse));
    if (c.sparse()) dense.choosing.push_back(std::move(choosing));
  }
  return dense;
}

// The larger of the two, infinite when the difference is not a number.
void raise(double& error, double difference) {
  error = std::max(error, std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::abs(difference));
}

// How far the worst chosen key of a query lies behind the best that it might have had instead.
double shortfall(const std::vector<Eigen::Index>& chosen, const Matrix& scores, Eigen::Index row, std::int64_t visible,
                 std::int64_t top_k) {
  std::vector<bool> taken(static_cast<std::size_t>(visible));
  double worst = kOutOfBounds, best_left = -kOutOfBounds;
  if (static_cast<std::int64_t>(chosen.size()) != std::min(visible, top_k)) return kOutOfBounds;
  for (const Eigen::Index key : chosen) {
    if (key < 0 || key >= visible || taken[static_cast<std::size_t>(key)]) return kOutOfBounds;
    taken[static_cast<std::size_t>(key)] = true;
    worst = std::min(worst, scores(row, key));
  }
  for (Eigen::Index key = 0; key < visible; ++key)
    if (!taken[static_cast<std::size_t>(key)]) best_left = std::max(best_left, scores(row, key));
  return std::max(0.0, best_left - worst);
}

// A query of a rank, and the keys that the rank chose for it.
struct Asked {
  Eigen::Index row = 0;  // of the rank's output
  Eigen::Index query = 0;
  std::vector<Eigen::Index> chosen;
};

// Attention of one head's queries to those keys: softmax over all keys, of which the others have no weight.
Matrix attend_to_chosen(std::span<const Asked> asked, const Matrix& q, const Matrix& k, const Matrix& v) {
  Matrix rows(static_cast<Eigen::Index>(asked.size()), q.cols());
  for (Eigen::Index i = 0; i < rows.rows(); ++i) rows.row(i) = q.row(asked[static_cast<std::size_t>(i)].query);
  Matrix p = product(rows, k.transpose()) / std::sqrt(static_cast<double>(k.cols()));
  for (Eigen::Index i = 0; i < p.rows(); ++i) {
    const std::vector<Eigen::Index>& chosen = asked[static_cast<std::size_t>(i)].chosen;
    Eigen::RowVectorXd weights = p(i, chosen);
    weights.array() -= weights.maxCoeff();
    exponentiate(weights);
    p.row(i).setZero();
    p(i, chosen) = weights / weights.sum();
  }
  return product(p, v);
}

template <class Scalar>
AttentionError compare_sparse(const AttentionCase& c, const DenseAttention& dense, const RankAttention& r,
                              Tensors<Scalar>& tensors) {
  constexpr std::size_t kPanel = 256;
  AttentionError error;
  double largest = 0;
  const auto out = tensors[r.out], picked = tensors[r.chosen];
  std::vector<std::vector<Asked>> asked(c.tokens.size());  // by sequence
  for (const Run& run : r.runs)
    for (std::int32_t i = 0; i < run.rows; ++i) {
      const auto s = static_cast<std::size_t>(run.sequence);
      const std::int64_t position = run.first + std::int64_t{i} * run.stride;
      Asked& a = asked[s].emplace_back(Asked{run.row + i, position - dense.first_query(s, c), {}});
      for (Eigen::Index col = 0; col < picked.cols() && picked(a.row, col) >= 0; ++col)
        a.chosen.push_back(static_cast<Eigen::Index>(picked(a.row, col)));
      error.keys = std::max(error.keys, shortfall(a.chosen, dense.choosing[s].scores, a.query, position + 1, c.top_k));
      if (error.keys == kOutOfBounds) return {kOutOfBounds, kOutOfBounds, 0, kOutOfBounds};
    }
  for (std::size_t s = 0; s < asked.size(); ++s)
    for (std::int64_t h = 0; h < out.cols() / c.value; ++h)
      for (std::size_t at = 0; at < asked[s].size(); at += kPanel) {
        const auto panel = std::span<const Asked>(asked[s]).subspan(at, std::min(kPanel, asked[s].size() - at));
        const DenseAttention::Choosing& of = dense.choosing[s];
        const auto head = static_cast<std::size_t>(r.first_head + h);
        const Matrix expected = attend_to_chosen(panel, of.q[head], of.k[head], of.v[head]);
        for (std::size_t i = 0; i < panel.size(); ++i)
          for (Eigen::Index col = 0; col < c.value; ++col)
            raise(error.out, static_cast<double>(out(panel[i].row, h * c.value + col)) -
                                 expected(static_cast<Eigen::Index>(i), col));
        largest = std::max(largest, expected.cwiseAbs().maxCoeff());
      }
  error.relative = largest > 0 ? error.out / largest : error.out;
  return error;
}

template <class Scalar>
AttentionError compare(const AttentionCase& c, const DenseAttention& dense, const RankAttention& r,
                       Tensors<Scalar>& tensors) {
  if (c.sparse()) return compare_sparse(c, dense, r, tensors);
  AttentionError error;
  double largest = 0;
  const auto out = tensors[r.out], lse = tensors[r.lse];
  for (const Run& run : r.runs)
    for (std::int32_t i = 0; i < run.rows; ++i) {
      const auto s = static_cast<std::size_t>(run.sequence);
      const std::int64_t position = run.first + std::int64_t{i} * run.stride;
      if (position >= c.total(s)) continue;  // padding
      const Eigen::Index row = position - dense.first_query(s, c);
      for (Eigen::Index h = 0; h < lse.cols(); ++h)
        raise(error.lse, static_cast<double>(lse(run.row + i, h)) - dense.lse[s](row, r.first_head + h));
      for (Eigen::Index col = 0; col < out.cols(); ++col) {
        const double expected = dense.out[s](row, r.first_head * c.value + col);
        raise(error.out, static_cast<double>(out(run.row + i, col)) - expected);
        largest = std::max(largest, std::abs(expected));
      }
    }
  error.relative = largest > 0 ? error.out / largest : error.out;
  return error;
}

void add_charges(const Program& program, AttentionReport& report) {
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    const OperatorType& type = *v.op().type;
    if (type.primitive != Primitive::kNone)
      report.bytes_charged += bytes_sent(type.primitive, v.params<CollectiveParams>()).count();
    else
      report.flops_charged += type.work(v).matrix.count();
  }
}

// Output and lse, or choice of keys, of a rank, bit by bit.
template <class Scalar>
std::vector<Scalar> numbers_of(const RankAttention& r, Tensors<Scalar>& tensors) {
  std::vector<Scalar> out;
  for (const Value& v : {r.out, r.chosen.rows > 0 ? r.chosen : r.lse}) {
    const auto view = tensors[v];
    for (Eigen::Index i = 0; i < view.rows(); ++i)
      for (Eigen::Index j = 0; j < view.cols(); ++j) out.push_back(view(i, j));
  }
  return out;
}

template <class Scalar>
AttentionReport calculate(const AttentionCase& c, const std::vector<RankAttention>& ranks, const DenseAttention& dense,
                          NumberFormats formats, int orders, bool compute_orders) {
  std::vector<const Program*> programs;
  for (const RankAttention& r : ranks) programs.push_back(&r.program);
  const std::vector<GroupKind> groups = attention_groups(c);
  AttentionReport report;
  report.ranks.resize(ranks.size());
  if (stream_lines(programs).size() == ranks.size()) orders = 0;  // one stream a rank: nothing to reorder
  report.orders = orders;
  const auto compare_all = [&](Calculator<Scalar>& calculator) {
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      report.ranks[r] |= compare(c, dense, ranks[r], calculator.rank(r));
      report.error |= report.ranks[r];
    }
  };
  std::vector<std::vector<Scalar>> numbers;
  {
    Calculator<Scalar> calculator(programs, groups, formats);
    calculator.run();
    compare_all(calculator);
    Ledger ledger;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      ledger += calculator.rank(r).ledger();
      add_charges(ranks[r].program, report);
      if (orders > 0) numbers.push_back(numbers_of(ranks[r], calculator.rank(r)));
    }
    report.flops_performed = ledger.useful_flops();
    report.flops_masked = ledger.masked_flops;
    report.bytes_moved = ledger.bytes_sent;
  }
  const DataFlow flow(programs, groups);
  for (int order = 0; order < orders; ++order) {
    if (!compute_orders && flow.same_in(static_cast<std::uint64_t>(order))) continue;
    ++report.orders_computed;
    Calculator<Scalar> calculator(programs, groups, formats);
    calculator.run(static_cast<std::uint64_t>(order));
    bool same = true;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const std::vector<Scalar> now = numbers_of(ranks[r], calculator.rank(r));
      same = same && std::memcmp(now.data(), numbers[r].data(), now.size() * sizeof(Scalar)) == 0;
    }
    if (same) continue;
    ++report.orders_that_differ;
    compare_all(calculator);
  }
  return report;
}

}  // namespace

std::string_view to_text(NumberType type) {
  switch (type) {
    case NumberType::kFp64:
      return "fp64";
    case NumberType::kFp32:
      return "fp32";
    case NumberType::kFp16:
      return "fp16";
    case NumberType::kBf16:
      return "bf16";
  }
  return "?";
}

struct DenseReferences::Entries {
  struct Entry {
    AttentionCase c;
    bool decode, round;
    std::once_flag once;
    DenseAttention dense;
    [[nodiscard]] bool answers(const AttentionCase& other, bool other_decode, bool other_round) const {
      const auto shape = [](const AttentionCase& x) {
        return std::tie(x.heads, x.nope, x.rope, x.value, x.kv_rank, x.tokens, x.history, x.index_heads, x.index_width,
                        x.top_k);
      };
      return decode == other_decode && round == other_round && (!round || c.input == other.input) &&
             shape(c) == shape(other);
    }
  };
  std::mutex mutex;
  std::vector<std::unique_ptr<Entry>> all;
};

DenseReferences::DenseReferences() : entries_(std::make_unique<Entries>()) {}
DenseReferences::~DenseReferences() = default;

const DenseAttention& DenseReferences::of(const AttentionCase& c, bool decode, NumberType type) {
  const bool round = emulated(type);
  Entries::Entry* entry = nullptr;
  {
    const std::scoped_lock lock(entries_->mutex);
    const auto known = std::ranges::find_if(entries_->all, [&](const auto& e) { return e->answers(c, decode, round); });
    if (known != entries_->all.end())
      entry = known->get();
    else {
      entries_->all.push_back(std::make_unique<Entries::Entry>());
      entry = entries_->all.back().get();
      entry->c = c;
      entry->decode = decode;
      entry->round = round;
    }
  }
  std::call_once(entry->once, [&] { entry->dense = dense_attention(c, decode, round); });
  return entry->dense;
}

AttentionError& AttentionError::operator|=(const AttentionError& other) {
  out = std::max(out, other.out);
  relative = std::max(relative, other.relative);
  lse = std::max(lse, other.lse);
  keys = std::max(keys, other.keys);
  return *this;
}

// Output: domain.md section 5.5 (double 1e-12 up to S = 4096; float accumulation 2e-5; FP16 inputs 1e-3; BF16 block
// outputs 2e-2), lse in fp64 and fp32 likewise.
//
// lse of 16-bit types is the sum of two roundings, u being half a unit in the last place relative to a power of two
// (2^-11 in FP16, 2^-8 in BF16):
// 1. Scores. A score is scale times a sum of d products; each factor was rounded at most twice (norm or rotation, then
//    projection) by a relative error that is uniform in +-u, variance u^2/3. Independent errors over products of equal
//    share give a standard deviation of B u sqrt(4 / (3 d)), B = scale |q| |k| >= |score|. lse moves at most as far as
//    the score that moves furthest; 5 deviations leave one in 3 million scores outside.
// 2. Storage. Where the engine keeps lse in a 16-bit type, each partial lse is off by up to half a unit in the last
// place at
//    its magnitude, u 2^floor(log2 |lse|) or less, and so is their merge, a weighted mean of these errors. A merge that
//    starts from a stored merge rounds again: as often as there are calls.
//
// Keys of sparse attention: two scores of the indexer change places when they are closer than their errors. A score is
// a sum of products of `index_width` factors, of which query and key were rounded once each: as under 1, with half the
// variance, for the sum over heads as if these erred together. In fp64 and fp32 the sums themselves round: no more than
// once a product (Higham, 3.1), and some eight times before in norm and rotation.
Tolerance tolerance(const AttentionStrategy& strategy, const AttentionCase& c, NumberType type,
                    const DenseAttention& dense) {
  const double index_width = static_cast<double>(c.index_width);
  const auto of_sums = [&](double u) { return 2 * (index_width + 8) * u * dense.index_bound; };
  if (type == NumberType::kFp64) return {1e-12, 1e-12, of_sums(0x1p-53)};
  if (type == NumberType::kFp32) return {2e-5, 1e-5, of_sums(0x1p-24)};
  const double u = type == NumberType::kFp16 ? 0x1p-11 : 0x1p-8;
  const double width = static_cast<double>(strategy.decode ? c.latent_width() : c.key_width());
  const double scores = 5 * dense.score_bound * u * std::sqrt(4 / (3 * width));
  const double roundings = strategy.lse == Dtype::kFp32 ? 0 : strategy.decode ? 1 : static_cast<double>(2 * c.cp + 1);
  const double storage = roundings * u * std::ldexp(1, std::ilogb(std::max(dense.largest_lse, 1.0)));
  const double keys = 5 * std::sqrt(2.0) * dense.index_bound * u * std::sqrt(2 / (3 * index_width));
  return {type == NumberType::kFp16 ? 1e-3 : 2e-2, scores + storage, keys};
}

AttentionReport check_attention(const AttentionStrategy& strategy, const AttentionCase& c, DenseReferences& references,
                                const CheckOptions& options) {
  std::vector<RankAttention> ranks;
  for (std::int64_t r = 0; r < c.world(); ++r) ranks.push_back(strategy.build(c, r));
  if (options.mutate) options.mutate(ranks);
  const bool round = emulated(options.type);
  const DenseAttention& dense = references.of(c, strategy.decode, options.type);
  const NumberFormats formats{.round_inputs = round, .round_results = round};
  AttentionReport report = options.type == NumberType::kFp64
                               ? calculate<double>(c, ranks, dense, formats, options.orders, options.compute_orders)
                               : calculate<float>(c, ranks, dense, formats, options.orders, options.compute_orders);
  report.allowed = tolerance(strategy, c, options.type, dense);
  return report;
}

int stream_count(const AttentionStrategy& strategy, const AttentionCase& c) {
  std::size_t streams = 0;
  for (std::int64_t r = 0; r < c.world(); ++r) {
    const RankAttention rank = strategy.build(c, r);
    const Program* const program = &rank.program;
    streams += stream_lines({&program, 1}).size();
  }
  return static_cast<int>(streams);
}

std::int64_t memory_estimate(const AttentionCase& c, bool decode) {
  std::int64_t queries = 0, keys = 0;
  for (std::size_t s = 0; s < c.tokens.size(); ++s) {
    queries += decode ? 1 : c.tokens[s];
    keys += c.total(s);
  }
  if (c.sparse()) {
    // Raw and ready rows of latents and index keys, side by side, gathered, and in the cache; queries in parts and
    // absorbed, results before and after they are expanded, index queries and choices; the reference keeps keys and
    // values of all heads and scores of all pairs.
    const std::int64_t row = c.latent_width() + c.index_width;
    const std::int64_t of_keys = keys * row * c.tp * (3 * c.cp + 2),
                       of_queries = queries * c.heads * (3 * c.key_width() + 3 * c.latent_width() + c.value);
    const std::int64_t of_choice = queries * c.tp * (c.index_heads * c.index_width + c.top_k);
    const std::int64_t reference =
        keys * c.heads * (c.key_width() + c.value) + queries * (keys + c.heads * c.key_width());
    return static_cast<std::int64_t>(sizeof(double)) *
           (of_keys + of_queries + of_choice + reference + c.world() * c.kv_rank * c.heads * (c.nope + c.value));
  }
  // Latents, raw and ready: where they are cached; where a prefill gathers them, received and in order besides. Keys
  // and values: on every rank that expands them, or travelling through two buffers and one that is sent.
  const std::int64_t latents = 2 * c.latent_width() * (decode ? c.tp / c.dcp : c.tp * (1 + c.cp));
  const std::int64_t expanded = decode ? 0 : c.heads * (c.nope + c.key_width() + c.value) * (c.cp + 2);
  // Parts and whole of a query, absorbed and gathered ones in decode; a result a call, and their sum.
  const std::int64_t asked =
      decode ? 8 * c.heads * c.latent_width() * c.shards() : c.heads * (3 * c.key_width() + c.value * (c.cp + 4));
  const std::int64_t reference = keys * (2 * c.latent_width() + c.key_width() + c.value) + 256 * keys +
                                 queries * c.heads * (2 * c.key_width() + c.value);
  const std::int64_t weights = (1 + c.cp) * c.kv_rank * c.heads * (c.nope + c.value);
  return static_cast<std::int64_t>(sizeof(double)) *
         (keys * (latents + expanded) + queries * asked + reference + weights);
}

double merge_weight_error(Dtype type) {
  double worst = 0;
  for (double lse = 16; lse < 32; lse += 0.00037)
    worst = std::max(worst, std::abs(portable_exp(rounded(lse, type) - lse) - 1));
  return worst;
}

}  // namespace ascendsim
