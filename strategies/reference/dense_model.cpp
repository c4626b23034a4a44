#include "strategies/reference/dense_model.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>

#include "sim/elementary.h"
#include "strategies/programs/pass_rows.h"

namespace ascendsim {

namespace {

using Matrix = DenseMatrix;
using Row = Eigen::RowVectorXd;

constexpr double kEpsilon = 1e-6, kRopeBase = 10000;

class DenseModel {
 public:
  DenseModel(const Deployment& d, bool stored, const Choices* chosen, std::vector<Flip>& flips, DenseStep& out)
      : d_(d), m_(d.model), stored_(stored), chosen_(chosen), flips_(flips), out_(out) {}

  // Tokens [first, first + count) of a sequence, after `first` cached ones; then drafts of the next-token layer.
  void sequence(std::int64_t number, std::int64_t first, std::int64_t count, std::int64_t draft_passes) {
    sequence_ = number;
    Matrix x = embedding(first, count, 0);
    for (std::int32_t layer = 0; layer < m_.layers; ++layer) x = decoder_layer(x, first, layer, 0);
    head(x, first, 0, "final_norm");
    for (std::int32_t pass = 1; pass <= draft_passes; ++pass) {
      if (pass == 2 && !d_.traits().drafts_all_rows) x = x.bottomRows(1).eval();
      const std::int64_t at = first + count - x.rows() + pass - 1;  // the last row one later every time
      const auto next_layer = static_cast<std::int32_t>(m_.layers);
      Matrix joined(x.rows(), 2 * m_.hidden);
      joined << norm(embedding(at, x.rows(), 1), "mtp_enorm", next_layer), norm(x, "mtp_hnorm", next_layer);
      x = decoder_layer(product(joined, weight(Module::kLmHead, "eh_proj", next_layer, 2 * m_.hidden, m_.hidden)), at,
                        next_layer, pass);
      head(x, at, pass, "mtp_head_norm");
    }
  }

 private:
  std::int64_t name(std::int64_t position) const { return token_name(sequence_, position); }

  Dtype type_of(Module module, std::int32_t layer) const {
    const Dtype type = d_.quantisation.of(module).weight;
    const bool next_token_layer = layer == m_.layers;
    return module == Module::kRoutedExpert && next_token_layer && type == Dtype::kInt4
               ? d_.quantisation.of(Module::kSharedExpert).weight
               : type;
  }

  std::optional<Dtype> stored_as(Dtype type) const { return stored_ ? std::optional(type) : std::nullopt; }
  static std::span<double> span_of(auto&& row) { return {row.data(), static_cast<std::size_t>(row.cols())}; }

  const Matrix& weight(Module module, const char* key, std::int32_t layer, std::int64_t rows, std::int64_t columns,
                       std::int64_t expert = 0) {
    Matrix& w = weights_[{key, layer, expert}];
    if (w.size() > 0) return w;
    const TensorSlice slice{.key = key, .layer = layer, .fan_in = static_cast<std::int32_t>(rows)};
    w.resize(rows, columns);
    for (Eigen::Index r = 0; r < rows; ++r)
      hashed_row(slice, BufferKind::kWeight, r, 0, expert, stored_as(type_of(module, layer)), span_of(w.row(r)));
    return w;
  }

  Matrix norm(const Matrix& x, const char* key, std::int32_t layer) {
    const Matrix& w = weight(Module::kNorm, key, layer, 1, x.cols());
    Matrix y = x;
    for (Eigen::Index r = 0; r < x.rows(); ++r)
      y.row(r) = x.row(r).cwiseProduct(w.row(0)) /
                 std::sqrt(x.row(r).squaredNorm() / static_cast<double>(x.cols()) + kEpsilon);
    return y;
  }

  // Pairs as complex numbers, each multiplied by exp(i position base^(-2 pair / width)).
  static void rotate(Eigen::Ref<Matrix> x, std::int64_t first) {
    for (Eigen::Index i = 0; i < x.cols() / 2; ++i) {
      const double frequency = portable_pow(kRopeBase, -2.0 * static_cast<double>(i) / static_cast<double>(x.cols()));
      for (Eigen::Index r = 0; r < x.rows(); ++r) {
        const auto [sine, cosine] = portable_sine_cosine(static_cast<double>(first + r) * frequency);
        const std::complex<double> turned =
            std::complex<double>(x(r, 2 * i), x(r, 2 * i + 1)) * std::complex<double>(cosine, sine);
        x(r, 2 * i) = turned.real();
        x(r, 2 * i + 1) = turned.imag();
      }
    }
  }

  Matrix embedding(std::int64_t first, std::int64_t count, std::int64_t later) {
    const Matrix& table = weight(Module::kEmbedding, "embedding", -1, m_.vocabulary, m_.hidden);
    Matrix x(count, m_.hidden);
    for (std::int64_t i = 0; i < count; ++i) x.row(i) = table.row(token_id(name(first + i + later), m_.vocabulary));
    return x;
  }

  // Pairs of the first columns of an index head: i and i + width / 2.
  static void rotate_halves(Eigen::Ref<Matrix> x, std::int64_t first) {
    const Eigen::Index half = x.cols() / 2;
    Matrix pairs(x.rows(), x.cols());
    for (Eigen::Index i = 0; i < half; ++i) pairs.col(2 * i) = x.col(i), pairs.col(2 * i + 1) = x.col(i + half);
    rotate(pairs, first);
    for (Eigen::Index i = 0; i < half; ++i) x.col(i) = pairs.col(2 * i), x.col(i + half) = pairs.col(2 * i + 1);
  }

  using Cached = std::map<std::pair<std::int32_t, std::int64_t>, Matrix>;
  // Rows of positions [0, end): those before the step lie in the cache.
  Matrix cached(const Matrix& fresh, std::int64_t first, std::int32_t layer, const char* key, Cached& cache) {
    Matrix all(first + fresh.rows(), fresh.cols());
    all.bottomRows(fresh.rows()) = fresh;
    const Dtype type = d_.kv_int8 ? Dtype::kInt8 : d_.dtype;
    for (std::int64_t p = 0; p < all.rows(); ++p) {
      Matrix& known = cache[{layer, name(p)}];
      if (p >= first)
        known = all.row(p);
      else if (known.size() == 0) {
        known.resize(1, fresh.cols());
        hashed_row({.key = key, .layer = layer}, BufferKind::kState, name(p), 0, 0, stored_as(type),
                   span_of(known.row(0)));
      }
      all.row(p) = known;
    }
    return all;
  }

  // Keys that each row attends to: all up to its own, or those that the indexer scores best.
  std::vector<std::vector<std::int32_t>> attended(const Matrix& h, const Matrix& q_c, std::int64_t first,
                                                  std::int32_t layer, std::int32_t pass) {
    std::vector<std::vector<std::int32_t>> keys(static_cast<std::size_t>(h.rows()));
    if (!m_.sparse()) {
      for (std::size_t r = 0; r < keys.size(); ++r) {
        keys[r].resize(static_cast<std::size_t>(first) + r + 1);
        std::iota(keys[r].begin(), keys[r].end(), 0);
      }
      return keys;
    }
    Matrix q = product(q_c, weight(Module::kIndexQ, "index_q", layer, m_.q_rank, m_.index_heads * m_.index_width));
    for (Eigen::Index i = 0; i < m_.index_heads; ++i) rotate_halves(q.middleCols(i * m_.index_width, m_.rope), first);
    Matrix k = product(h, weight(Module::kIndexK, "index_k", layer, m_.hidden, m_.index_width));
    const Matrix& affine = weight(Module::kNorm, "index_k_norm", layer, 2, m_.index_width);
    for (Eigen::Index r = 0; r < k.rows(); ++r) {
      const Row centred = k.row(r).array() - k.row(r).mean();
      k.row(r) = centred.cwiseProduct(affine.row(0)) /
                     std::sqrt(centred.squaredNorm() / static_cast<double>(k.cols()) + kEpsilon) +
                 affine.row(1);
    }
    rotate_halves(k.leftCols(m_.rope), first);
    const Matrix all = cached(k, first, layer, "index_cache", out_.index_cache);
    const Matrix of_heads = product(h, weight(Module::kIndexK, "index_weights", layer, m_.hidden, m_.index_heads));
    for (Eigen::Index r = 0; r < h.rows(); ++r) {
      const Eigen::Index seen = first + r + 1;
      std::vector<double> scores(static_cast<std::size_t>(seen), 0);
      for (Eigen::Index j = 0; j < seen; ++j)
        for (Eigen::Index i = 0; i < m_.index_heads; ++i)
          scores[static_cast<std::size_t>(j)] +=
              of_heads(r, i) * std::max(0.0, q.row(r).segment(i * m_.index_width, m_.index_width).dot(all.row(j)));
      std::vector<std::int32_t>& chosen = keys[static_cast<std::size_t>(r)];
      chosen = best(scores, std::min<std::int64_t>(seen, m_.index_top_k));
      double squares = 0;
      for (const double x : scores) squares += x * x;
      const double size = std::sqrt(squares / static_cast<double>(seen));
      if (chosen_ != nullptr)
        follow(chosen_->keys, Flip::Of::kKeys, chosen, scores, {pass, layer, name(first + r)}, size > 0 ? 1 / size : 1,
               1e300);
    }
    return keys;
  }

  Matrix attention(const Matrix& x, std::int64_t first, std::int32_t layer, std::int32_t pass) {
    const Matrix h = norm(x, "input_norm", layer);
    const Matrix a = product(h, weight(Module::kAttentionA, "qkv_a", layer, m_.hidden, m_.q_rank + m_.cache_width()));
    const Matrix q_c = norm(a.leftCols(m_.q_rank), "q_a_norm", layer);
    const Matrix q = product(q_c, weight(Module::kQB, "q_b", layer, m_.q_rank, m_.heads * m_.qk_width()));
    Matrix fresh(x.rows(), m_.cache_width());
    fresh << norm(a.middleCols(m_.q_rank, m_.kv_rank), "kv_a_norm", layer), a.rightCols(m_.rope);
    rotate(fresh.rightCols(m_.rope), first);
    const Matrix latents = cached(fresh, first, layer, "kv_cache", out_.cache);
    const auto seen_by = attended(h, q_c, first, layer, pass);
    const Matrix keys =
        product(latents.leftCols(m_.kv_rank), weight(Module::kKvB, "w_uk", layer, m_.kv_rank, m_.heads * m_.nope));
    const Matrix values =
        product(latents.leftCols(m_.kv_rank), weight(Module::kKvB, "w_uv", layer, m_.kv_rank, m_.heads * m_.value));
    Matrix out(x.rows(), m_.heads * m_.value);
    for (Eigen::Index head = 0; head < m_.heads; ++head) {
      Matrix q_h = q.middleCols(head * m_.qk_width(), m_.qk_width()), k_h(latents.rows(), m_.qk_width());
      rotate(q_h.rightCols(m_.rope), first);
      k_h << keys.middleCols(head * m_.nope, m_.nope), latents.rightCols(m_.rope);
      for (Eigen::Index r = 0; r < x.rows(); ++r) {
        const std::vector<std::int32_t>& seen = seen_by[static_cast<std::size_t>(r)];
        const Matrix k_seen = k_h(seen, Eigen::all), v_seen = values(seen, Eigen::seqN(head * m_.value, m_.value));
        Row p = product(q_h.row(r), k_seen.transpose()) / std::sqrt(static_cast<double>(m_.qk_width()));
        p.array() -= p.maxCoeff();
        exponentiate(p);
        p /= p.sum();
        out.row(r).segment(head * m_.value, m_.value) = product(p, v_seen);
      }
    }
    return product(out, weight(Module::kOProj, "o_proj", layer, m_.heads * m_.value, m_.hidden));
  }

  Matrix gated_mlp(const Matrix& x, Module module, const char* up_key, const char* down_key, std::int32_t layer,
                   std::int64_t width, std::int64_t expert = 0) {
    const Matrix both = product(x, weight(module, up_key, layer, m_.hidden, 2 * width, expert));
    const auto gate = both.leftCols(width).array(), up = both.rightCols(width).array();
    Matrix decay = -both.leftCols(width);
    exponentiate(decay);
    const Matrix act = gate / (1 + decay.array()) * up;
    return product(act, weight(module, down_key, layer, width, m_.hidden, expert));
  }

  static std::vector<std::int32_t> best(const std::vector<double>& scores, std::int64_t count) {
    std::vector<std::int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater{},
                             [&](std::int32_t i) { return scores[static_cast<std::size_t>(i)]; });
    order.resize(static_cast<std::size_t>(count));
    return order;
  }

  struct Choice {
    std::vector<std::int32_t> experts;
    std::vector<double> selection;  // of all experts; those of groups that were not kept too
    double group_gap = 0;           // between the last group kept and the first that was not
  };
  Choice choose(const Row& scores, const Row& bias) const {
    Choice c;
    const std::int64_t in_group = m_.experts / m_.expert_groups;
    std::vector<double> group_scores;
    for (std::int64_t e = 0; e < m_.experts; ++e) c.selection.push_back(scores(e) + bias(e));
    for (std::int64_t g = 0; g < m_.expert_groups; ++g) {
      std::vector<double> members(c.selection.begin() + g * in_group, c.selection.begin() + (g + 1) * in_group);
      std::ranges::sort(members, std::greater{});
      group_scores.push_back(members[0] + (in_group > 1 ? members[1] : 0));
    }
    const std::vector<std::int32_t> kept = best(group_scores, m_.kept_groups);
    std::vector<double> open(c.selection.size(), -1e300);
    for (const std::int32_t g : kept)
      std::copy_n(c.selection.begin() + g * in_group, in_group, open.begin() + g * in_group);
    c.experts = best(open, m_.top_k);
    std::ranges::sort(group_scores, std::greater{});
    c.group_gap = m_.kept_groups < m_.expert_groups ? group_scores[static_cast<std::size_t>(m_.kept_groups - 1)] -
                                                          group_scores[static_cast<std::size_t>(m_.kept_groups)]
                                                    : 1e300;
    return c;
  }

  // Replaces own choices by those that were made elsewhere; notes where they differ. scale: of scores, so that margins
  // compare; gap: a smaller distance that may have decided.
  void follow(const Chosen& elsewhere, Flip::Of of, std::vector<std::int32_t>& own, const std::vector<double>& scores,
              const Chosen::key_type& where, double scale, double gap) {
    const auto known = elsewhere.find(where);
    if (known == elsewhere.end()) return;
    double lowest_left = 1e300, highest_taken = -1e300;
    for (const std::int32_t i : own)
      if (std::ranges::find(known->second, i) == known->second.end())
        lowest_left = std::min(lowest_left, scores[static_cast<std::size_t>(i)]);
    for (const std::int32_t i : known->second)
      if (std::ranges::find(own, i) == own.end())
        highest_taken = std::max(highest_taken, scores[static_cast<std::size_t>(i)]);
    if (highest_taken > -1e300) {
      const auto& [pass, layer, token] = where;
      flips_.push_back({of, pass, layer, token, std::min(gap, scale * std::abs(lowest_left - highest_taken))});
    }
    own = known->second;
  }

  Matrix experts(const Matrix& x, std::int64_t first, std::int32_t layer, std::int32_t pass) {
    const Matrix& gate = weight(Module::kGate, "gate", layer, m_.hidden + 1, m_.experts);
    Matrix scores = -product(x, gate.topRows(m_.hidden));
    exponentiate(scores);
    scores = (1 + scores.array()).inverse();
    Matrix out = gated_mlp(x, Module::kSharedExpert, "shared_gate_up", "shared_down", layer,
                           m_.expert_width * m_.shared_experts);
    for (Eigen::Index r = 0; r < x.rows(); ++r) {
      Choice c = choose(scores.row(r), gate.row(m_.hidden));
      if (chosen_ != nullptr)
        follow(chosen_->experts, Flip::Of::kExperts, c.experts, c.selection, {pass, layer, name(first + r)}, 1,
               c.group_gap);
      double sum = 0;
      for (const std::int32_t e : c.experts) sum += scores(r, e);
      for (const std::int32_t e : c.experts)
        out.row(r) +=
            m_.routed_scale * scores(r, e) / sum *
            gated_mlp(x.row(r), Module::kRoutedExpert, "experts_gate_up", "experts_down", layer, m_.expert_width, e);
    }
    return out;
  }

  Matrix decoder_layer(Matrix x, std::int64_t first, std::int32_t layer, std::int32_t pass) {
    x += attention(x, first, layer, pass);
    const Matrix h = norm(x, "post_attention_norm", layer);
    if (layer >= m_.dense_layers)
      x += experts(h, first, layer, pass);
    else
      x += gated_mlp(h, Module::kDenseMlp, "mlp_gate_up", "mlp_down", layer, m_.dense_width);
    return x;
  }

  void head(const Matrix& x, std::int64_t first, std::int32_t pass, const char* key) {
    const auto p = static_cast<std::size_t>(pass);
    out_.hidden.resize(std::max(out_.hidden.size(), p + 1));
    out_.logits.resize(out_.hidden.size());
    const Matrix logits = product(norm(x, key, -1), weight(Module::kLmHead, "lm_head", -1, m_.hidden, m_.vocabulary));
    for (Eigen::Index r = 0; r < x.rows(); ++r) {
      out_.hidden[p][name(first + r)] = x.row(r);
      out_.logits[p][name(first + r)] = logits.row(r);
    }
  }

  const Deployment& d_;
  const Model& m_;
  bool stored_;
  const Choices* chosen_;
  std::vector<Flip>& flips_;
  DenseStep& out_;
  std::int64_t sequence_ = 0;
  std::map<std::tuple<std::string, std::int32_t, std::int64_t>, Matrix> weights_;
};

}  // namespace

std::int64_t token_id(std::int64_t name, std::int64_t vocabulary) {
  const double x = hashed_element({.key = "token_ids"}, BufferKind::kInput, name, 0, 0);  // uniform in sqrt(3) [-1, 1)
  return std::clamp<std::int64_t>(
      static_cast<std::int64_t>((x / std::sqrt(3.0) + 1) / 2 * static_cast<double>(vocabulary)), 0, vocabulary - 1);
}

DenseStep dense_step(const Deployment& d, const Step& step, bool stored, const Choices* chosen,
                     std::vector<Flip>& flips) {
  DenseStep out;
  DenseModel model(d, stored, chosen, flips, out);
  const std::int64_t drafts =
      step.phase == Phase::kDecode ? d.features.speculative_tokens : d.features.speculative_tokens > 0;
  const bool halves = splits_into_micro_batches(d, step);
  for (int lane = 0; lane < (halves ? 2 : 1); ++lane) {
    std::int64_t number = lane * kLaneSequences;
    for (const GroupLoad& g : step.load) {
      const std::int64_t sequences = !halves ? g.sequences : lane == 0 ? (g.sequences + 1) / 2 : g.sequences / 2;
      const std::int64_t first = step.phase == Phase::kPrefill ? g.history : g.context - g.new_tokens;
      for (std::int64_t s = 0; s < sequences; ++s) model.sequence(number++, first, g.new_tokens, drafts);
    }
  }
  return out;
}

}  // namespace ascendsim
