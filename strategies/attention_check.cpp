#include "strategies/attention_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/calculator.h"

namespace ascendsim {

namespace {

using Matrix = Tensors<double>::Matrix;

bool emulated(NumberType type) { return type == NumberType::kFp16 || type == NumberType::kBf16; }

}  // namespace

struct DenseAttention {
  std::vector<Matrix> out, lse;   // of each sequence: [queries, heads * value], [queries, heads]
  std::int64_t first_query(std::size_t s, const AttentionCase& c) const { return c.tokens[s] - out[s].rows(); }
};

namespace {

Matrix global_part(const AttentionCase& c, BufferKind kind, const char* key, std::int64_t first, std::int64_t rows,
                   std::int64_t columns, bool round) {
  Matrix m(rows, columns);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t col = 0; col < columns; ++col) {
      const double x = hashed_element({.key = key}, kind, first + r, col, 0);
      m(r, col) = round ? rounded(x, c.input) : x;
    }
  return m;
}

// softmax(scale Q K^T + causal mask) V and its log-sum-exp, one head, a panel of queries at a time.
void dense_head(const Matrix& q, const Matrix& k, const Matrix& v, std::int64_t first_query, Eigen::Ref<Matrix> out,
                Eigen::Ref<Matrix> lse) {
  constexpr Eigen::Index kPanel = 256;
  const double scale = 1 / std::sqrt(static_cast<double>(k.cols()));
  for (Eigen::Index at = 0; at < q.rows(); at += kPanel) {
    const Eigen::Index rows = std::min(kPanel, q.rows() - at), keys = first_query + at + rows;
    Matrix p = scale * q.middleRows(at, rows) * k.topRows(keys).transpose();
    for (Eigen::Index i = 0; i < rows; ++i) {
      const Eigen::Index seen = first_query + at + i + 1;
      auto row = p.row(i).head(seen);
      const double m = row.maxCoeff();
      row = (row.array() - m).exp();
      const double sum = row.sum();
      row /= sum;
      p.row(i).tail(keys - seen).setZero();
      lse(at + i, 0) = m + std::log(sum);
    }
    out.middleRows(at, rows).noalias() = p * v.topRows(keys);
  }
}

DenseAttention dense_attention(const AttentionCase& c, bool decode, bool round) {
  DenseAttention dense;
  const Matrix w_uk = global_part(c, BufferKind::kWeight, "w_uk", 0, c.kv_rank, c.heads * c.nope, round);
  const Matrix w_uv = global_part(c, BufferKind::kWeight, "w_uv", 0, c.kv_rank, c.heads * c.value, round);
  for (std::size_t s = 0; s < c.tokens.size(); ++s) {
    const std::int64_t tokens = c.tokens[s], first = decode ? tokens - 1 : 0, rows = tokens - first;
    const std::int32_t base = global_row(static_cast<std::int32_t>(s), 0);
    const Matrix latent = global_part(c, BufferKind::kInput, "latent", base, tokens, c.latent_width(), round);
    const Matrix q_nope = global_part(c, BufferKind::kInput, "q_nope", base + first, rows, c.heads * c.nope, round);
    const Matrix q_rope = global_part(c, BufferKind::kInput, "q_rope", base + first, rows, c.heads * c.rope, round);
    Matrix out(rows, c.heads * c.value), lse(rows, c.heads), q(rows, c.key_width()), k(tokens, c.key_width());
    for (std::int64_t h = 0; h < c.heads; ++h) {
      q << q_nope.middleCols(h * c.nope, c.nope), q_rope.middleCols(h * c.rope, c.rope);
      k.leftCols(c.nope).noalias() = latent.leftCols(c.kv_rank) * w_uk.middleCols(h * c.nope, c.nope);
      k.rightCols(c.rope) = latent.rightCols(c.rope);
      const Matrix v = latent.leftCols(c.kv_rank) * w_uv.middleCols(h * c.value, c.value);
      Matrix head_out(rows, c.value), head_lse(rows, 1);
      dense_head(q, k, v, first, head_out, head_lse);
      out.middleCols(h * c.value, c.value) = head_out;
      lse.col(h) = head_lse;
    }
    dense.out.push_back(std::move(out));
    dense.lse.push_back(std::move(lse));
  }
  return dense;
}

// The larger of the two, infinite when the difference is not a number.
void raise(double& error, double difference) {
  error = std::max(error, std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::abs(difference));
}

template <class Scalar>
AttentionError compare(const AttentionCase& c, const DenseAttention& dense, const RankAttention& r, Tensors<Scalar>& tensors) {
  AttentionError error;
  double largest = 0;
  const auto out = tensors[r.out], lse = tensors[r.lse];
  for (const Run& run : r.runs)
    for (std::int32_t i = 0; i < run.rows; ++i) {
      const auto s = static_cast<std::size_t>(run.sequence);
      const std::int64_t position = run.first + std::int64_t{i} * run.stride;
      if (position >= c.tokens[s]) continue;   // padding
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

template <class Scalar>
AttentionReport calculate(const AttentionCase& c, const std::vector<RankAttention>& ranks, const DenseAttention& dense,
                          NumberFormats formats) {
  std::vector<const Program*> programs;
  for (const RankAttention& r : ranks) programs.push_back(&r.program);
  const std::vector<GroupKind> groups = attention_groups(c);
  Calculator<Scalar> calculator(programs, groups, formats);
  calculator.run();
  AttentionReport report;
  Ledger ledger;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    report.ranks.push_back(compare(c, dense, ranks[r], calculator.rank(r)));
    report.error.out = std::max(report.error.out, report.ranks.back().out);
    report.error.relative = std::max(report.error.relative, report.ranks.back().relative);
    report.error.lse = std::max(report.error.lse, report.ranks.back().lse);
    ledger += calculator.rank(r).ledger();
    add_charges(ranks[r].program, report);
  }
  report.flops_performed = ledger.useful_flops();
  report.flops_masked = ledger.masked_flops;
  report.bytes_moved = ledger.bytes_sent;
  return report;
}

}  // namespace

std::string_view to_text(NumberType type) {
  switch (type) {
    case NumberType::kFp64: return "fp64";
    case NumberType::kFp32: return "fp32";
    case NumberType::kFp16: return "fp16";
    case NumberType::kBf16: return "bf16";
  }
  return "?";
}

Tolerance tolerance(NumberType type) {
  switch (type) {
    case NumberType::kFp64: return {1e-12, 1e-12};
    case NumberType::kFp32: return {2e-5, 1e-5};
    case NumberType::kFp16: return {1e-3, 4e-3};
    case NumberType::kBf16: return {2e-2, 3.2e-2};
  }
  return {};
}

AttentionReport check_attention(const AttentionStrategy& strategy, const AttentionCase& c, NumberType type,
                                const Mutation& mutate) {
  std::vector<RankAttention> ranks;
  for (std::int64_t r = 0; r < c.world(); ++r) ranks.push_back(strategy.build(c, r));
  if (mutate) mutate(ranks);
  const bool round = emulated(type);
  const DenseAttention dense = dense_attention(c, strategy.decode, round);
  const NumberFormats formats{.round_inputs = round, .round_results = round};
  return type == NumberType::kFp64 ? calculate<double>(c, ranks, dense, formats) : calculate<float>(c, ranks, dense, formats);
}

std::int64_t memory_estimate(const AttentionCase& c) {
  std::int64_t tokens = 0;
  for (const std::int64_t t : c.tokens) tokens += t;
  // Queries, keys, values and outputs of all ranks and of the reference; keys exist on every rank of a CP group, three times.
  const std::int64_t per_token = c.heads * (c.key_width() * (2 + 4 * c.cp) + c.value * (4 + 4 * c.cp)) + 3 * c.world() * c.latent_width();
  return 8 * (tokens * per_token + 2 * c.cp * c.kv_rank * c.heads * (c.nope + c.value));
}

double merge_weight_error(Dtype type) {
  double worst = 0;
  for (double lse = 16; lse < 32; lse += 0.00037) worst = std::max(worst, std::abs(std::expm1(rounded(lse, type) - lse)));
  return worst;
}

}  // namespace ascendsim
