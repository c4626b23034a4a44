#include "reports/answers/explanations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/collectives/collective_cost.h"
#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/engines/keys.h"
#include "strategies/engines/launch/options.h"

namespace ascendsim {

namespace {

bool same(std::string_view a, std::string_view b) {
  const auto plain = [](char c) {
    return c == '-' || c == ' ' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(a, b, {}, plain, plain);
}

Table explain_code(const CodeText& c) {
  Table t = facts(fmt::format("{}: {}", c.code, c.meaning), "code");
  t.rows = {{"kind", c.code[0] == 'E'   ? "error: nothing is computed, exit code 2"
                     : c.code[0] == 'W' ? "warning: counts as an error with --strict"
                                        : "note: what was assumed"},
            {"cause", c.cause},
            {"what to do", c.remedy}};
  return t;
}

Table explain_metric(const MetricText& m) {
  Table t = facts(fmt::format("{}: {}", m.name, m.meaning), "metric");
  t.rows = {{"in JSON", m.key}, {"formula", m.formula}, {"source", m.source}};
  return t;
}

std::string values_of(const Field& f) {
  if (!f.choices.empty()) return fmt::format("{}", fmt::join(f.choices, ", "));
  if (f.least != f.most) return fmt::format("{} to {}", f.least, f.most);
  return std::holds_alternative<FieldKey<bool>>(f.access) ? "true, false" : "";
}

std::string default_of(const Field& f) {
  const std::string text = field_text(f, Question{});
  const bool follows =
      (f.path.starts_with("limits") || f.path.starts_with("workload") || f.path == "memory_fraction") && text == "0";
  return follows ? "from the rest" : text;
}

Table explain_field(const Field& f) {
  Table t = facts(fmt::format("{}: {}", f.path, f.meaning), "key");
  t.rows = {{"in our file", f.path}};
  if (!f.alias.empty()) t.rows.push_back({fmt::format("in {}", usual_engine().product), f.alias});
  if (const std::string values = values_of(f); !values.empty()) t.rows.push_back({"values", values});
  t.rows.push_back({"default", default_of(f)});
  t.rows.push_back({"override", fmt::format("--set {}=VALUE", f.path)});
  return t;
}

Table explain_engine_key(const KeySpec& key, std::string_view section, const Engine& engine) {
  Table t = facts(fmt::format("{}: a key of {}'s config.json", key.key, engine.product), "key");
  t.rows = {{"section", section}, {"what happens to it", to_text(key.use)}};
  if (!key.remark.empty()) t.rows.push_back({"remark", key.remark});
  if (key.least != INT64_MIN && key.most != INT64_MAX)
    t.rows.push_back({"range", fmt::format("{} to {}", key.least, key.most)});
  return t;
}

Table explain_option(const EngineOption& o, std::string_view engine) {
  Table t = facts(fmt::format("--{}: an option of {}", o.name, engine), "option");
  if (!o.aliases.empty()) t.rows.push_back({"also", o.aliases});
  t.rows.push_back({"what happens to it", to_text(o.use)});
  if (!o.field.empty()) t.rows.push_back({"in our file", o.field});
  if (o.least != o.most) t.rows.push_back({"range", fmt::format("{} to {}", o.least, o.most)});
  if (!o.remark.empty()) t.rows.push_back({"remark", o.remark});
  if (!o.source.empty()) t.rows.push_back({"source", o.source});
  return t;
}

Table explain_variable(const EnvironmentSpec& e, std::string_view engine) {
  Table t = facts(fmt::format("{}: environment of {}", e.name, engine), "variable");
  t.rows.push_back({"what happens to it", to_text(e.use)});
  if (!e.remark.empty()) t.rows.push_back({"remark", e.remark});
  if (!e.source.empty()) t.rows.push_back({"source", e.source});
  return t;
}

void explain_launch(std::string_view word, std::vector<Table>& out) {
  std::string_view name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  for (const OptionTable* const table : option_tables()) {
    for (const EngineOption& o : table->options)
      if (same(o.name, name)) out.push_back(explain_option(o, table->engine));
    for (const EnvironmentSpec& e : table->environment)
      if (e.name == name) out.push_back(explain_variable(e, table->engine));
  }
}

Table all_fields() {
  Table t{"Keys of a deployment file",
          "keys",
          Table::Shape::kGrid,
          {{"key", "key"},
           {fmt::format("in {}", usual_engine().product), std::string(usual_engine().called)},
           {"values", "values"},
           {"default", "default"},
           {"meaning", "meaning"}},
          {}};
  for (const Field& f : question_fields()) t.rows.push_back({f.path, f.alias, values_of(f), default_of(f), f.meaning});
  return t;
}

// Words of the tables that `run` and its siblings print.
constexpr WordText kTerms[] = {
    {"throughput", "output tokens of all requests in a second, the same per card, and requests in a second",
     "see output_throughput, request_throughput"},
    {"attention", "time in attention kernels", "one part of a step's breakdown"},
    {"linear", "time in dense matrix products: projections, dense MLP, LM head", "one part of a step's breakdown"},
    {"moe", "time in gate, experts and what deals rows out to them", "one part of a step's breakdown"},
    {"vector", "time in norms, activations, quantisation, copies", "one part of a step's breakdown"},
    {"exposed communication", "time in collectives while nothing computes", "one part of a step's breakdown"},
    {"hidden communication", "time in collectives while a kernel computes: no part of the step's time",
     "communication = exposed + hidden"},
    {"host", "gap before a step, and issuing kernels where graphs are not replayed",
     "step_gap, kernel_issue of the stack"},
    {"idle", "nothing runs on the slowest rank: it waits for others", "one part of a step's breakdown"},
    {"step", "one forward pass of all ranks", "the sum of the parts above"},
    {"prefill step", "time of one prefill step, with the prompts that it takes",
     "limits.max_prefill_tokens, limits.max_prefill_batch"},
    {"decode step", "time of one decode step; TPOT = decode step / tokens a step", "rows: 1 and the drafts of MTP"},
    {"prefill bottleneck", "the largest part of a prefill step, and its largest operator", "a step's breakdown"},
    {"decode bottleneck", "the largest part of a decode step, and its largest operator", "a step's breakdown"},
    {"prefill speed of light", "see speed of light", "of the prefill step"},
    {"decode speed of light", "see speed of light", "of the decode step"},
    {"speed of light",
     "this placement's work at the catalogue's cube peaks and HBM bandwidth, no communication, no host",
     "max(FLOP / peak, bytes / bandwidth)"},
    {"memory per rank", "weights, KV cache, activations, buffers and runtime of one die", "see peak, capacity"},
    {"kv capacity", "see kv_capacity_tokens", "per DP group"},
    {"limit",
     "the terms of an operator's time, as shares of it: start-up, HBM, matrix engine, vector cores, L2; in CSV and "
     "JSON "
     "the largest one: launch, memory, matrix, vector, L2; of a collective its algorithm. Terms overlap, so shares "
     "need "
     "not add up to 100 %",
     "hardware/kernel_cost.h"},
    {"start-up", "limit: starting the kernel and its cores; `launch` in CSV and JSON",
     "t0 and core_start of the kernel family"},
    {"matrix", "limit: the cube cores", "hardware/kernel_cost.h"},
    {"memory", "limit: HBM bandwidth", "hardware/kernel_cost.h"},
    {"launch", "limit: starting the kernel and its cores", "t0 and core_start of the kernel family"},
    {"L2", "limit: what tiles pull through the L2 cache again", "hardware/kernel_cost.h"},
    {"mtp", "multi-token prediction: drafts that the next step verifies", "features.speculative_tokens"},
    {"bus bandwidth",
     "of a collective: bytes that a rank receives in a second, to compare with the bandwidth of its port",
     "(p - 1) / p of the algorithm bandwidth for all-gather, reduce-scatter and all-to-all, 2 (p - 1) / p for "
     "all-reduce"},
    {"algorithm bandwidth", "of a collective: its size in bytes by its time", "see bus bandwidth"},
    {"straggler", "a rank that reaches a collective later than others: they wait for it",
     "see compute_skew, experts.loads"},
    {"rank", "one die: a 910B chip, or half of a 910C package", "an A3 card has two"},
};

Table explain_word(const WordText& w) {
  Table t = facts(fmt::format("{}: {}", w.word, w.meaning), "word");
  t.rows = {{"more", w.more}};
  return t;
}

Table explain_expansion(const ExpansionText& e) {
  Table t = facts(fmt::format("{}: who carries a collective out", to_text(e.expansion)), "expansion");
  t.rows = {{"cores that it takes", e.cores},
            {"option", fmt::format("--expansion {}, HCCL_OP_EXPANSION_MODE", e.name)}};
  return t;
}

Table explain_algorithm(const CollectiveAlgorithm& a) {
  Table t = facts(fmt::format("{}: a collective algorithm", a.name), "algorithm");
  t.rows = {{"what it does", a.summary}};
  return t;
}

// Keys of configuration files.
template <class Say>
void for_each_key(const Say& say) {
  for (const Engine* const e : engines()) {
    if (e->keys == nullptr) continue;
    for (const KeySection& section : e->keys())
      for (const KeySpec& key : section.keys) say(*e, section, key);
  }
}

std::vector<std::string_view> known_words() {
  std::vector<std::string_view> words{"file"};
  for (const CodeText& c : code_texts()) words.push_back(c.code);
  for (const MetricText& m : metric_texts()) words.push_back(m.name);
  for (const WordText& w : kTerms) words.push_back(w.word);
  for (const WordText& w : operator_words()) words.push_back(w.word);
  for (const CollectiveAlgorithm& a : builtin_collectives()) words.push_back(a.name);
  for (const ExpansionText& e : expansions()) words.push_back(e.name);
  for (const Field& f : question_fields()) {
    words.push_back(f.path);
    words.push_back(f.path.substr(f.path.rfind('.') + 1));
    if (!f.alias.empty()) words.push_back(f.alias);
  }
  for_each_key([&](const Engine&, const KeySection&, const KeySpec& key) { words.push_back(key.key); });
  for (const OptionTable* const table : option_tables())
    for (const EngineOption& o : table->options) words.push_back(o.name);
  return words;
}

const Field* field_of(std::string_view word) {
  if (const Field* f = find_field(word)) return f;
  const auto fields = question_fields();
  const auto at = std::ranges::find_if(
      fields, [&](const Field& f) { return same(f.path.substr(f.path.rfind('.') + 1), word) || same(f.alias, word); });
  return at == fields.end() ? nullptr : &*at;
}

}  // namespace

std::vector<Table> explain(std::string_view word, Diagnostics& diagnostics) {
  if (word == "file") return {all_fields()};
  std::vector<Table> out;
  for (const CodeText& c : code_texts())
    if (same(c.code, word)) out.push_back(explain_code(c));
  for (const MetricText& m : metric_texts())
    if (same(m.name, word) || same(m.key, word)) out.push_back(explain_metric(m));
  for (const WordText& w : kTerms)
    if (same(w.word, word)) out.push_back(explain_word(w));
  for (const WordText& w : operator_words())
    if (same(w.word, word)) out.push_back(explain_word(w));
  for (const CollectiveAlgorithm& a : builtin_collectives())
    if (same(a.name, word) || word.starts_with(std::string(a.name) + " (")) out.push_back(explain_algorithm(a));
  for (const ExpansionText& e : expansions())
    if (same(e.name, word) || same(to_text(e.expansion), word) ||
        word.ends_with(fmt::format(" ({})", to_text(e.expansion))))
      out.push_back(explain_expansion(e));
  if (const Field* f = field_of(word)) out.push_back(explain_field(*f));
  const std::string_view last = word.substr(word.rfind('.') + 1);
  for_each_key([&](const Engine& engine, const KeySection& section, const KeySpec& key) {
    if (key.key == last) out.push_back(explain_engine_key(key, section.name, engine));
  });
  explain_launch(word, out);
  if (!out.empty()) return out;
  const std::vector<std::string_view> known = known_words();
  const std::string_view near = nearest(word, known);
  diagnostics.error("E0010", {}, fmt::format("'{}' is no diagnostic code, key, metric or word of a table", word), {},
                    near.empty() ? "`ascendsim explain file` lists all keys" : fmt::format("did you mean '{}'?", near));
  return {};
}

}  // namespace ascendsim
