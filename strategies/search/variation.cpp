#include "strategies/search/variation.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/units.h"
#include "strategies/deployment/words.h"
#include "strategies/prediction/memory.h"

namespace ascendsim {

namespace {

class Follow {
 public:
  Follow(Question& question, const Question& base, std::vector<const Field*> varied)
      : q_(question), base_(base), varied_(std::move(varied)) {}

  // REQUIRES: no degree is zero, which the field table ensures.
  void degrees() {
    const Layout& before = base_.deployment.layout;
    const std::int64_t was = base_.declared_world > 0 ? base_.declared_world : before.world();
    const std::int64_t ranks = varies("world_size") && q_.declared_world > 0 ? q_.declared_world : was;
    Layout& l = q_.deployment.layout;
    const auto fill = [&](std::int64_t& degree, const char* path) {
      if (l.world() == ranks || varies(path)) return;
      const std::int64_t others = l.world() / degree;
      if (ranks % others == 0) degree = ranks / others;  // else the rules say what does not fit
    };
    if (!varies("layout.tp")) fill(l.tp, "layout.tp");
    if (before.cp > 1) fill(l.cp, "layout.cp");
    fill(l.dp, "layout.dp");
    fill(l.cp, "layout.cp");
    // Each stage of a pipeline holds all experts of its layers.
    const std::int64_t of_stage = ranks % l.pp == 0 ? ranks / l.pp : ranks;
    if (varies("layout.moe_ep") && !varies("layout.moe_tp") && of_stage % l.moe_ep == 0) l.moe_tp = of_stage / l.moe_ep;
    if (!varies("layout.moe_ep") && of_stage % l.moe_tp == 0) l.moe_ep = of_stage / l.moe_tp;
  }

  void sequence_degree(const std::function<bool(const Question&)>& legal) {
    if (varies("layout.sp")) return;
    const Layout& before = base_.deployment.layout;
    Layout& l = q_.deployment.layout;
    const bool over_tp = before.sp > 1 && before.sp == before.tp;
    std::vector<std::int64_t> candidates;
    if (over_tp)
      candidates = {l.tp, 1};
    else
      candidates = {l.sp, l.tp, 1};
    for (const std::int64_t sp : candidates) {
      l.sp = sp;
      Question tried = q_;
      follow_cut_cache(tried, base_.deployment.layout.kv_shards() > 1);
      if (legal(tried)) return;
    }
    l.sp = candidates.front();
  }

  [[nodiscard]] std::vector<std::string> said() const {
    std::vector<std::string> out;
    for (const Field& f : question_fields()) {
      if (!f.path.starts_with("layout.") || varies(f.path)) continue;
      const std::string now = field_text(f, q_);
      if (now != field_text(f, base_)) out.push_back(fmt::format("{} {}", word_for(f), now));
    }
    return out;
  }

 private:
  // The option where its value is that of the field: a switch ("--enable-expert-parallel") has none.
  [[nodiscard]] std::string word_for(const Field& f) const {
    const EngineWords& words = base_.deployment.engine->words;
    if (base_.launched && words.has_options())
      if (const std::string_view option = words.option_of(f.path); !option.empty() && words.field_of(option) == f.path)
        return fmt::format("--{}", option);
    return std::string(f.alias.empty() ? f.path : f.alias);
  }
  [[nodiscard]] bool varies(std::string_view path) const {
    return std::ranges::any_of(varied_, [&](const Field* f) { return f->path == path; });
  }
  Question& q_;
  const Question& base_;
  std::vector<const Field*> varied_;
};

}  // namespace

Variation vary(const Question& base, std::span<const Assignment> assignments,
               const std::function<bool(const Question&)>& legal, Diagnostics& diagnostics) {
  Variation out{base, {}};
  std::vector<const Field*> varied;
  Diagnostics wrong;
  for (const Assignment& a : assignments) {
    set_field(fmt::format("{}={}", a.key, a.value), out.question, wrong);
    if (const Field* const f = find_field(a.key, base.stack)) varied.push_back(f);
  }
  diagnostics.append(wrong);
  // Degrees follow degrees; what else is varied leaves the layout as it is written.
  const bool of_layout = std::ranges::any_of(
      varied, [](const Field* f) { return f->path.starts_with("layout.") || f->path == "world_size"; });
  if (wrong.has_errors() || !of_layout) return out;
  Follow follow(out.question, base, std::move(varied));
  follow.degrees();
  follow.sequence_degree(legal);
  out.derived = follow.said();
  if (follow_cut_cache(out.question, base.deployment.layout.kv_shards() > 1))
    out.derived.push_back(fmt::format("{} {}", key_name(out.question.deployment, "kv_cache.interleave"),
                                      out.question.deployment.limits.kv_interleave));
  return out;
}

void raise_limits(Question& q, const Workload& w, std::vector<std::string>& derived) {
  Limits& m = q.deployment.limits;
  const auto raise = [&](std::int64_t& limit, std::int64_t need, std::string_view path) {
    if (limit >= need) return;
    limit = need;
    // One word of an engine may be several of our limits: the first one, the largest, says it.
    const std::string word = fmt::format("{} ", key_name(q.deployment, path));
    if (std::ranges::none_of(derived, [&](const std::string& d) { return d.starts_with(word); }))
      derived.push_back(word + with_commas(need));
  };
  const std::int64_t output = q.deployment.role == Role::kPrefill ? 1 : std::max<std::int64_t>(1, w.output_tokens);
  raise(m.max_seq_len, w.input_tokens + output, "limits.max_seq_len");
  const bool longer = m.max_input_tokens < w.input_tokens;
  raise(m.max_input_tokens, w.input_tokens, "limits.max_input_tokens");
  if (longer) raise(m.max_prefill_tokens, w.input_tokens, "limits.max_prefill_tokens");
  if (q.deployment.role != Role::kPrefill)
    raise(m.max_batch, ceil_div(w.batch, q.deployment.layout.dp), "limits.max_batch");
  if (q.deployment.pool_tokens > 0)
    raise(q.deployment.pool_tokens, pool_needed(q.deployment, w), "kv_cache.pool_tokens");
}

}  // namespace ascendsim
