#include "strategies/deployment/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "strategies/deployment/field_text.h"

namespace ascendsim {

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

}  // namespace

void derive_layout(Question& q) {
  Layout& l = q.deployment.layout;
  const auto parts = [](std::int64_t whole, std::int64_t part) { return std::max<std::int64_t>(1, whole / part); };
  if (q.named("world_size") && q.declared_world > 0) {
    if (!q.named("layout.tp")) l.tp = parts(q.declared_world, l.pp * l.cp * (q.named("layout.dp") ? l.dp : 1));
    if (!q.named("layout.dp")) l.dp = parts(q.declared_world, l.pp * l.cp * l.tp);
  } else {
    q.declared_world = 0;
  }
  // Experts are spread over the ranks of a pipeline stage.
  const std::int64_t ranks = parts(q.declared_world > 0 ? q.declared_world : l.world(), l.pp);
  if (!q.named("layout.moe_ep")) {
    l.moe_ep = q.named("layout.moe_tp") ? parts(ranks, l.moe_tp) : engine_of(q.stack).traits.cuts_experts ? 1 : ranks;
  }
  if (!q.named("layout.moe_tp")) l.moe_tp = parts(ranks, l.moe_ep);
}

namespace {

// Sets what nobody named and says so.
class Completion {
 public:
  Completion(Question& question, Diagnostics& diagnostics) : question_(question), diagnostics_(diagnostics) {}

  template <class T>
  void assume(const FieldKey<T>& key, std::type_identity_t<T> value, std::string_view why) {
    if (question_.named(key.path)) return;
    key.set(question_, value);
    diagnostics_.note("A0110", file(), fmt::format("{} is not set: {} assumed ({})", key.path, value, why));
    said_.push_back(key.path);
  }
  // Everything else that is not named, in one note.
  void rest() {
    std::vector<std::string> defaults;
    for (const Field& f : question_fields())
      if (!question_.named(f.path) && std::ranges::find(said_, f.path) == said_.end() &&
          !f.path.starts_with("hardware") && !f.path.starts_with("workload"))
        defaults.push_back(fmt::format("{} {}", f.path, field_text(f, question_)));
    if (!defaults.empty())
      diagnostics_.note("A0111", file(), fmt::format("not set, at their defaults: {}", fmt::join(defaults, ", ")));
  }

 private:
  [[nodiscard]] SourceLocation file() const {
    SourceLocation where;
    where.file = question_.deployment.file;
    return where;
  }
  Question& question_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> said_;
};

}  // namespace

void complete(Question& q, const Stack& stack, Diagnostics& diagnostics) {
  const Workload& w = q.workload;
  const Limits& m = q.deployment.limits;
  Completion c(q, diagnostics);
  const std::int64_t usual_prefill = q.deployment.traits().usual_prefill_tokens,
                     usual_prompts = q.deployment.traits().usual_prompts;
  if (w.input_tokens > 0) {
    c.assume(field::kMaxSeqLen, w.input_tokens + std::max<std::int64_t>(1, w.output_tokens),
             "the workload's prompt and output");
    c.assume(field::kMaxInputTokens, std::min(w.input_tokens, m.max_seq_len), "the workload's prompt");
  } else {
    c.assume(field::kMaxSeqLen, q.deployment.model.max_positions, "what the model takes");
    c.assume(field::kMaxInputTokens, std::max<std::int64_t>(1, m.max_seq_len - 1), "limits.max_seq_len and one token");
  }
  c.assume(field::kMaxPrefillTokens, std::max(usual_prefill, m.max_input_tokens),
           fmt::format("{}, or one longest prompt", usual_prefill));
  c.assume(field::kMaxBatch, ceil_div(std::max<std::int64_t>(1, w.batch), q.deployment.layout.dp),
           "the workload's requests");
  c.assume(field::kMaxPrefillBatch, std::min(usual_prompts, m.max_batch),
           fmt::format("{}, or limits.max_batch", usual_prompts));
  c.assume(field::kMemoryFraction, stack.figures.ratio("memory_fraction").count(), "the stack's default");
  c.rest();
}

void complete_workload(const Deployment& d, const Stack& stack, Workload& w, Diagnostics& diagnostics) {
  const auto at = [&](std::string_view path) { return d.origin(path).where; };
  if (w.prefix_hit > 0 && w.prefix_hit >= w.input_tokens)
    diagnostics.error("E0376", at("workload.prefix_hit"),
                      fmt::format("a prefix hit of {} tokens leaves nothing of a prompt of {} tokens to compute",
                                  w.prefix_hit, w.input_tokens),
                      "the engine computes at least one token of a prompt",
                      fmt::format("at most {}", w.input_tokens - 1));
  if (const std::int64_t partial = w.prefix_hit % d.limits.block_tokens; partial > 0) {
    diagnostics.note("A0113", at("workload.prefix_hit"),
                     fmt::format("a prefix hit of {} tokens counts as {}: whole blocks of {} tokens", w.prefix_hit,
                                 w.prefix_hit - partial, d.limits.block_tokens));
    w.prefix_hit -= partial;
  }
  if (w.prefix_hit > 0 && !d.features.prefix_cache && d.role != Role::kDecode) {
    diagnostics.warning("W0333", at("workload.prefix_hit"),
                        "prefix hits are asked for, but the prefix cache is not switched on: none are counted",
                        std::string(d.engine->texts.prefix_cache), "--set features.prefix_cache=true, or in the file");
    w.prefix_hit = 0;
  }
  const std::int64_t drafts = d.role == Role::kPrefill ? 0 : d.features.speculative_tokens;
  const auto given = static_cast<std::int64_t>(w.acceptance.size());
  if (given > 0 && d.role == Role::kPrefill) {
    w.acceptance.clear();  // a prefill side verifies no drafts
  } else if (given > 0 && drafts == 0) {
    diagnostics.warning("W0334", at("workload.acceptance"), "an acceptance is given, but MTP is not switched on", {},
                        "--set features.speculative_tokens=1, or in the file");
    w.acceptance.clear();
  } else if (given > 0 && given != drafts) {
    diagnostics.error("E0377", at("workload.acceptance"),
                      fmt::format("an acceptance is needed for each of {} draft tokens, got {}", drafts, given), {},
                      "one number for each draft position, for example --acceptance 0.9,0.7");
  } else if (given == 0 && drafts > 0) {
    const double usual = stack.figures.ratio("mtp_acceptance").count();
    w.acceptance.assign(static_cast<std::size_t>(drafts), usual);
    diagnostics.note("A0112", {},
                     fmt::format("--acceptance is not set: {} assumed for each of {} draft tokens (the stack's figure)",
                                 usual, drafts));
  }
}

Diagnostics with_current_assumptions(const Diagnostics& notes, const Question& before, const Question& after) {
  static constexpr std::pair<std::string_view, std::string_view> kSubjects[] = {{"A0102", "role"},
                                                                                {"A0103", "memory_fraction"},
                                                                                {"A0104", "quantisation"},
                                                                                {"A0105", "model"},
                                                                                {"A0106", "dtype"}};
  Diagnostics out;
  for (const Diagnostic& d : notes.all()) {
    const auto subject = std::ranges::find(kSubjects, d.code, &std::pair<std::string_view, std::string_view>::first);
    const bool is_assumption = d.code == "A0100";
    const auto field = std::ranges::find_if(question_fields(), [&](const Field& f) {
      if (is_assumption) return !f.alias.empty() && d.message.starts_with(fmt::format("{} is not set:", f.alias));
      return subject != std::end(kSubjects) && f.path == subject->second;
    });
    const bool changed = field != question_fields().end() && field_text(*field, before) != field_text(*field, after);
    const bool overridden = field != question_fields().end() && after.named(field->path) && !before.named(field->path);
    if (is_assumption && changed && !overridden)
      out.note("A0100", d.where,
               fmt::format("{} is not set: {} assumed (follows from the other degrees)", field->alias,
                           field_text(*field, after)));
    else if (!overridden && !(changed && subject != std::end(kSubjects)))
      out.add(d);
  }
  return out;
}

void resolve(Question& q, const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics) {
  Deployment& d = q.deployment;
  const auto at = [&](std::string_view path) { return d.origin(path).where; };
  std::error_code ignored;
  if (q.model.empty() && !q.imported)  // an import that failed has said which name it does not know
    diagnostics.error("E0366", at("model"), "no model is named", {}, "model: DeepSeek-R1");
  else if (q.model.empty())
    d.model = {};
  else if (d.model.name != q.model && d.model.origin != q.model)
    d.model = std::filesystem::is_regular_file(q.model, ignored) ? read_model(q.model, diagnostics)
                                                                 : models.load(q.model, at("model"), diagnostics);
  if (d.model.dtype && !q.named("dtype")) d.dtype = *d.model.dtype;
  const auto known = schemes.names();
  const bool refused = q.imported && q.quantisation.empty();  // the import has said that it does not know the scheme
  if (!refused && std::ranges::find(known, lower(q.quantisation)) == known.end())
    diagnostics.error("E0244", at("quantisation"), fmt::format("unknown quantisation '{}'", q.quantisation), {},
                      fmt::format("one of: {}", fmt::join(known, ", ")));
  else if (!refused)
    d.quantisation = schemes.load(lower(q.quantisation), d.dtype, diagnostics);
  // The router in the model's 16-bit type keeps an FP32 correction bias, 4 B an expert.
  if (d.traits().gate_in_activation_type && !refused)
    d.quantisation.modules[static_cast<std::size_t>(Module::kGate)] = {.weight = d.dtype,
                                                                       .scale_per_channel = Bytes(2)};
  if (d.traits().cp_keeps_whole_cache && !q.named("layout.cp_cache")) d.layout.cp_whole_cache = true;
}

bool follow_cut_cache(Question& q, bool was_cut) {
  Limits& m = q.deployment.limits;
  if (was_cut || q.deployment.layout.kv_shards() == 1 || q.deployment.kv_transfer.connector.empty() ||
      q.named("kv_cache.interleave") || m.kv_interleave == m.block_tokens)
    return false;
  m.kv_interleave = m.block_tokens;
  return true;
}

}  // namespace ascendsim
