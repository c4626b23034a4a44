#include "reports/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "reports/answers/comparison_tables.h"
#include "reports/answers/pairs.h"
#include "sim/parallel.h"
#include "strategies/engines/rules.h"
#include "strategies/engines/simulated.h"

namespace ascendsim {

namespace {

constexpr std::size_t kMostPoints = 10'000;
constexpr std::int64_t kUsualOutput = 1024;

// "cp=1,2".
struct Varied {
  std::string key;
  std::vector<std::string> values;
};

std::vector<Varied> read_vary(const std::vector<std::string>& written, const Question& base, Diagnostics& diagnostics) {
  std::vector<Varied> out;
  for (const std::string& text : written) {
    const std::size_t equals = text.find('=');
    SourceLocation where;
    where.file = fmt::format("--vary {}", text);
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      diagnostics.error("E0398", where, "--vary needs KEY=A,B,..", {}, "--vary cp=1,2");
      continue;
    }
    Varied v{text.substr(0, equals), split_list(std::string_view(text).substr(equals + 1))};
    const Field* const field = find_field(v.key, base.stack);
    if (std::ranges::any_of(
            out, [&](const Varied& o) { return field != nullptr && find_field(o.key, base.stack) == field; })) {
      diagnostics.error("E0398", where, fmt::format("{} is varied twice", v.key), {},
                        "write all its values in one list");
      continue;
    }
    // Each value is tried alone, so that everything wrong with any of them is said at once.
    std::vector<std::string> kept;
    for (const std::string& value : v.values) {
      Question scratch = base;
      Diagnostics wrong;
      set_field(fmt::format("{}={}", v.key, value), scratch, wrong);
      for (Diagnostic d : wrong.all()) {
        d.where = where;
        diagnostics.add(std::move(d));
      }
      if (field == nullptr) break;  // one unknown key is one mistake
      if (std::ranges::find(kept, value) == kept.end()) kept.push_back(value);
    }
    v.values = std::move(kept);
    out.push_back(std::move(v));
  }
  return out;
}

// All combinations, the last key fastest.
std::vector<Alternative> combine(const std::vector<Varied>& varied, const ListOptions& lists) {
  std::vector<Alternative> out{{}};
  const auto extend = [&](std::size_t count, const auto& add) {
    std::vector<Alternative> next;
    for (const Alternative& a : out)
      for (std::size_t i = 0; i < count; ++i) add(next.emplace_back(a), i);
    if (count > 0) out = std::move(next);
  };
  extend(lists.models.size(), [&](Alternative& a, std::size_t i) { a.model = lists.models[i]; });
  extend(lists.hardware.size(), [&](Alternative& a, std::size_t i) { a.hardware = lists.hardware[i]; });
  for (const Varied& v : varied)
    extend(v.values.size(), [&](Alternative& a, std::size_t i) { a.vary.push_back({v.key, v.values[i]}); });
  return out;
}

std::vector<Condition> conditions_of(const ListOptions& lists) {
  std::vector<Condition> out;
  const std::vector<std::int64_t> as_written{0};
  for (const std::int64_t batch : lists.batches.values.empty() ? as_written : lists.batches.values)
    for (const std::int64_t input : lists.inputs.values.empty() ? as_written : lists.inputs.values)
      out.push_back({input, batch});
  return out;
}

// What neither the file nor an option says.
void assume_load(Question& q, Diagnostics& diagnostics) {
  Workload& w = q.workload;
  const Limits& m = q.deployment.limits;
  if (q.hardware.server.empty()) {
    q.hardware.server = kUsualServer;
    diagnostics.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  }
  if (w.output_tokens == 0) {
    w.output_tokens = q.deployment.role == Role::kPrefill ? 1 : kUsualOutput;
    if (w.input_tokens == 0 && q.imported)
      w.output_tokens = std::min(w.output_tokens, std::max<std::int64_t>(1, m.max_seq_len - 1));
    diagnostics.note("A0125", {}, fmt::format("--output is not set: {} assumed", w.output_tokens));
  }
  if (w.input_tokens == 0) {
    const std::int64_t longest = std::min(m.max_seq_len, q.deployment.model.max_positions) - w.output_tokens;
    w.input_tokens = std::max<std::int64_t>(1, std::min(m.max_input_tokens, longest));
    diagnostics.note("A0125", {},
                     fmt::format("--input is not set: {} assumed, the longest prompt of the file", w.input_tokens));
  }
}

void check_lists(const ListOptions& lists, const std::vector<Varied>& varied, const std::string& stack,
                 Diagnostics& diagnostics) {
  const auto both = [&](bool listed, const char* path, const char* option) {
    const bool keyed = std::ranges::any_of(varied, [&](const Varied& v) {
      const Field* const f = find_field(v.key, stack);
      return f != nullptr && f->path == path;
    });
    if (listed && keyed)
      diagnostics.error("E0398", {}, fmt::format("{} and --vary {} say the same thing", option, path), {},
                        fmt::format("use {} alone", option));
  };
  both(!lists.inputs.values.empty(), "workload.input_tokens", "--input");
  both(!lists.batches.values.empty(), "workload.batch", "--batch");
  both(!lists.models.empty(), "model", "--model");
  both(!lists.hardware.empty(), "hardware.server", "--hardware");
}

using Pricers = std::vector<std::unique_ptr<AlternativePricer>>;

// One block of tokens is what bisection stops at.
std::optional<Crossover> crossing(const Pricers& pricers, std::size_t earlier, std::size_t later, std::int64_t batch,
                                  std::int64_t below, std::int64_t above, std::int64_t block) {
  const auto later_wins = [&](std::int64_t tokens) {
    const Point a = pricers[earlier]->point({tokens, batch}), b = pricers[later]->point({tokens, batch});
    return b.runs() && (!a.runs() || b.score() < a.score());
  };
  if (!later_wins(above)) return std::nullopt;  // a third one won there
  while (above - below > block) {
    const std::int64_t middle = below + std::max(block, (above - below) / 2 / block * block);
    (later_wins(middle) ? above : below) = middle;
  }
  return Crossover{earlier, later, batch, above, below};
}

void find_crossovers(Comparison& c, const Pricers& pricers) {
  struct Gap {
    std::size_t from, to;  // conditions
    std::size_t earlier, later;
  };
  std::vector<Gap> gaps;
  for (const auto& contest : c.contests())
    for (std::size_t i = 0; i + 1 < c.conditions.size(); ++i) {
      const Condition &a = c.conditions[i], &b = c.conditions[i + 1];
      if (a.batch != b.batch || a.input_tokens >= b.input_tokens) continue;
      const auto before = c.winner(i, contest), after = c.winner(i + 1, contest);
      if (before && after && *before != *after) gaps.push_back({i, i + 1, *before, *after});
    }
  std::vector<std::optional<Crossover>> found(gaps.size());
  for_each_index(gaps.size(), [&](std::size_t i) {
    const Gap& g = gaps[i];
    const Condition& a = c.conditions[g.from];
    found[i] = crossing(pricers, g.earlier, g.later, a.batch, a.input_tokens, c.conditions[g.to].input_tokens,
                        c.base.question.deployment.limits.block_tokens);
  });
  for (const auto& f : found)
    if (f) c.crossovers.push_back(*f);
}

// Texts that resolve() turns into parts of the deployment.
bool same_names(const Question& a, const Question& b) {
  const auto names = [](const Question& q) {
    return std::tie(q.model, q.quantisation, q.dtype, q.role, q.exchange, q.kv_dtype, q.prefill_attention,
                    q.cp_partition, q.cp_exchange, q.cp_cache, q.layer_sharding);
  };
  return names(a) == names(b);
}

// What several points say is said once, with the alternatives that it concerns.
void add_warnings(const Comparison& c, Diagnostics& diagnostics) {
  struct Said {
    Diagnostic what;
    std::vector<std::size_t> alternatives;
  };
  std::vector<Said> all;
  for (const Point& p : c.points)
    for (const Diagnostic& d : p.warned.all()) {
      auto same = std::ranges::find_if(
          all, [&](const Said& s) { return s.what.code == d.code && s.what.message == d.message; });
      if (same == all.end()) same = all.insert(all.end(), {d, {}});
      if (std::ranges::find(same->alternatives, p.alternative) == same->alternatives.end())
        same->alternatives.push_back(p.alternative);
    }
  for (Said& s : all) {
    if (s.alternatives.size() < c.alternatives.size()) {
      std::vector<std::string> labels;
      for (const std::size_t i : s.alternatives) labels.push_back(label(c, i));
      s.what.message += fmt::format(" (concerns {})", fmt::join(labels, "; "));
    }
    diagnostics.add(std::move(s.what));
  }
}

bool same_answer(const Point& a, const Point& b) {
  if (a.standing != b.standing) return false;
  if (!a.runs()) return true;
  const Prediction &p = a.prediction, &q = b.prediction;
  return p.ttft.mean == q.ttft.mean && p.tpot.mean == q.tpot.mean && p.memory.peak() == q.memory.peak() &&
         p.memory.allowed == q.memory.allowed;
}

// Alternatives that differ in one key only have the same answers, whatever the load.
bool has_no_effect(const Comparison& c, std::size_t key) {
  bool compared = false;
  for (std::size_t a = 0; a < c.alternatives.size(); ++a)
    for (std::size_t b = a + 1; b < c.alternatives.size(); ++b) {
      Alternative other = c.alternatives[b];
      if (other.vary[key].value == c.alternatives[a].vary[key].value) continue;
      other.vary[key].value = c.alternatives[a].vary[key].value;
      if (!(other == c.alternatives[a])) continue;
      for (std::size_t i = 0; i < c.conditions.size(); ++i) {
        if (!same_answer(c.at(i, a), c.at(i, b))) return false;
        compared = compared || c.at(i, a).runs();
      }
    }
  return compared;
}

}  // namespace

std::string_view to_text(Standing standing) {
  switch (standing) {
    case Standing::kLegal:
      return "legal";
    case Standing::kWhatIf:
      return "what-if";
    default:
      return "cannot run";
  }
}

bool Alternative::operator==(const Alternative& other) const {
  return model == other.model && hardware == other.hardware &&
         std::ranges::equal(vary, other.vary, [](const Assignment& a, const Assignment& b) {
           return a.key == b.key && a.value == b.value;
         });
}

Duration Point::score() const {
  if (role() != Role::kDecode) return prediction.ttft.mean;
  return subject.workload.output_tokens > 1 ? prediction.tpot.mean : prediction.decode.total;
}

const Server& SharedParts::server(const HardwareChoice& choice, Diagnostics& diagnostics) {
  const std::pair key{choice.server, choice.die};
  const auto known = servers_.find(key);
  if (known != servers_.end()) return known->second;
  return servers_.emplace(key, libraries_.catalogue.server(choice.server, choice.die, diagnostics)).first->second;
}

const KernelTable& SharedParts::kernels(const std::string& name, Diagnostics& diagnostics) {
  const auto known = kernels_.find(name);
  if (known != kernels_.end()) return known->second;
  return kernels_.emplace(name, libraries_.catalogue.kernels(name, diagnostics)).first->second;
}

AlternativePricer::AlternativePricer(const LoadedQuestion& base, const Alternative& alternative, std::size_t index,
                                     SharedParts& parts, Diagnostics& diagnostics)
    : index_(index), question_(base.question), stack_(base.stack) {
  Diagnostics found;
  if (!alternative.model.empty() && alternative.model != question_.model)
    put<std::string>(question_, "model", alternative.model, "--model " + alternative.model);
  if (!alternative.hardware.empty())
    put<std::string>(question_, "hardware.server", alternative.hardware, "--hardware " + alternative.hardware);
  Question varied = question_;
  for (const Assignment& a : alternative.vary) set_field(fmt::format("{}={}", a.key, a.value), varied, found);
  if (varied.stack != base.question.stack) stack_ = parts.libraries().stacks.load(varied.stack, "", found);
  server_ = parts.server(varied.hardware, found);
  if (!stack_.engine.empty()) kernels_ = parts.kernels(stack_.kernels, found);
  const auto settle = [&](Question& q) {
    q.deployment.engine = stack_.engine;
    q.deployment.engine_version = stack_.version;
    if (!same_names(q, base.question)) resolve(q, parts.libraries().models, parts.libraries().schemes, found);
  };
  settle(varied);
  // Names are read once: an alternative after the first with a wrong one finds no server, and the first has said why.
  if (!found.has_errors() && server_.dies() > 0) {
    settle(question_);
    const auto legal = [&](const Question& asked) {
      // Rules look at resolved names: only the layout is the candidate's.
      Question q = varied;
      q.deployment.layout = asked.deployment.layout;
      q.deployment.layout.ep_level = varied.deployment.layout.ep_level;
      q.declared_world = asked.declared_world;
      return judge(q, nullptr).standing == Standing::kLegal;
    };
    Variation v = vary(question_, alternative.vary, legal, found);
    question_ = std::move(v.question);
    derived_ = std::move(v.derived);
    settle(question_);
  }
  for (const Diagnostic& d : found.all())
    if (d.severity == Severity::kError) diagnostics.add(d);
}

AlternativePricer::Verdict AlternativePricer::judge(const Question& q, const Workload* workload) const {
  Verdict out;
  Diagnostics placement;
  const int servers = server_count(q, server_, placement);
  const RuleInput input{q.deployment, q.declared_world, server_, servers, !q.imported};
  const auto rules = [&](auto check) {
    Diagnostics found = placement;
    check(input, found);
    return found;
  };
  const auto keep = [&](const Diagnostics& found) {
    for (const Diagnostic& d : found.all())
      if (d.severity == Severity::kError)
        out.broken.add(d);
      else if (d.severity == Severity::kWarning)
        out.warned.add(d);
  };
  const Diagnostics engine = rules(check_deployment);
  keep(engine);
  if (engine.has_errors()) {
    // What every engine needs is what programs need to be built.
    const bool buildable = !rules(check_generic).has_errors();
    out.standing = buildable ? Standing::kWhatIf : Standing::kCannotRun;
  }
  if (workload != nullptr && out.standing != Standing::kCannotRun) {
    Diagnostics load;
    Workload w = *workload;
    complete_workload(q.deployment, stack_, w, load);
    check_workload(q.deployment, w, !q.imported, load);
    keep(load);
    if (load.has_errors()) out.standing = Standing::kCannotRun;
  }
  return out;
}

Point AlternativePricer::point(const Condition& condition) const {
  Point out;
  out.alternative = index_;
  out.derived = derived_;
  out.subject.file = question_.deployment.file;
  Question& q = out.subject.question = question_;
  if (condition.input_tokens > 0) q.workload.input_tokens = condition.input_tokens;
  if (condition.batch > 0) q.workload.batch = condition.batch;
  Diagnostics said;
  if (!q.imported) complete(q, stack_, said);
  raise_limits(q, q.workload, out.raised);
  Workload& w = out.subject.workload = q.workload;
  Verdict verdict = judge(q, &w);
  out.standing = verdict.standing;
  out.broken = std::move(verdict.broken);
  out.warned = std::move(verdict.warned);
  if (!out.runs()) return out;
  complete_workload(q.deployment, stack_, w, said);
  const int servers = server_count(q, server_, said);
  Diagnostics differences;
  std::optional<Deployment> programs_run = simulated(q.deployment, Severity::kError, differences);
  for (const Diagnostic& d : differences.all())
    if (d.severity != Severity::kError)
      out.warned.add(d);
    else
      out.broken.add(d);
  if (!programs_run) {
    out.standing = Standing::kCannotRun;
    return out;
  }
  const Layout l = programs_run->layout;
  out.subject.scenario = std::make_unique<Scenario>(std::move(*programs_run), stack_, kernels_,
                                                    Cluster(server_, servers, static_cast<int>(l.world() / servers)));
  const Scenario& s = *out.subject.scenario;
  out.prediction = predict(s, w);
  const Prediction& p = out.prediction;
  if (q.deployment.role != Role::kDecode)
    out.prefill_once =
        work_once(s.deployment, prefill_step(l, p.prefill_sequences, w.input_tokens, w.prefix_hit), s.facts);
  if (q.deployment.role != Role::kPrefill)
    out.decode_once = work_once(
        s.deployment,
        decode_step(l, w.batch, w.input_tokens, p.decode_context, 1 + s.deployment.features.speculative_tokens),
        s.facts);
  return out;
}

std::vector<std::vector<std::size_t>> Comparison::contests() const {
  std::vector<std::vector<std::size_t>> out;
  const bool varied = !keys.empty() && std::ranges::any_of(alternatives, [&](const Alternative& a) {
    return a.model == alternatives[0].model && a.hardware == alternatives[0].hardware && !(a == alternatives[0]);
  });
  for (std::size_t i = 0; i < alternatives.size(); ++i) {
    auto home = std::ranges::find_if(out, [&](const std::vector<std::size_t>& group) {
      const Alternative& first = alternatives[group.front()];
      return !varied || (first.model == alternatives[i].model && first.hardware == alternatives[i].hardware);
    });
    if (home == out.end()) home = out.insert(out.end(), std::vector<std::size_t>{});
    home->push_back(i);
  }
  return out;
}

std::optional<std::size_t> Comparison::winner(std::size_t condition, const std::vector<std::size_t>& contest) const {
  std::optional<std::size_t> best;
  for (const std::size_t i : contest)
    if (at(condition, i).runs() && (!best || at(condition, i).score() < at(condition, *best).score())) best = i;
  return best;
}

namespace {

// Of a pair one side is compared: the one that --vary names ("decode.dcp=1,8"), which loses that word.
FileChoice compared_side(const PairOfChoices& pair, std::vector<std::string>& vary, Diagnostics& diagnostics) {
  bool of[2] = {}, bare = vary.empty();
  for (std::string& v : vary) {
    bool named = false;
    for (const auto& [side, prefix] : {std::pair{0, std::string_view("prefill.")}, {1, std::string_view("decode.")}})
      if (v.starts_with(prefix) && !v.starts_with("prefill.attention")) {
        v.erase(0, prefix.size());
        of[side] = named = true;
      }
    bare = bare || !named;
  }
  if (bare || of[0] == of[1])
    diagnostics.error("E0398", {}, "of a pair one side is compared at a time",
                      "the sides meet in the transfer of the cache only",
                      "name it in every --vary: --vary decode.dcp=1,8 or --vary prefill.tp=8,16");
  const FileChoice& side = of[1] ? pair.decode : pair.prefill;
  diagnostics.note("A0126", {},
                   fmt::format("the {} side is compared alone: {}; what it waits for (the other side, the transfer of "
                               "the cache) is in `run` of the pair",
                               of[1] ? "decode" : "prefill", side.file));
  return side;
}

}  // namespace

Comparison compare(const Libraries& libraries, const Options& asked, Diagnostics& diagnostics) {
  Comparison c;
  Options options = asked;
  const std::vector<FileChoice> inputs =
      options.pair() ? std::vector<FileChoice>{} : read_inputs(options.words, libraries, options, diagnostics);
  const auto pair = options.pair() ? asked_pair(options, libraries, diagnostics) : asked_pair(inputs, options);
  const FileChoice choice =
      pair ? compared_side(*pair, options.lists.vary, diagnostics) : only_choice(inputs, diagnostics);
  c.base = load_question(choice, libraries, options, diagnostics);
  // Keys are checked even where the file is not readable: everything at once.
  const std::vector<Varied> varied = read_vary(options.lists.vary, c.base.question, diagnostics);
  check_lists(options.lists, varied, c.base.question.stack, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  assume_load(c.base.question, diagnostics);
  for (const Varied& v : varied) c.keys.push_back(v.key);
  c.alternatives = combine(varied, options.lists);
  c.conditions = conditions_of(options.lists);
  if (c.alternatives.size() * c.conditions.size() > kMostPoints)
    diagnostics.error("E0398", {},
                      fmt::format("{} alternatives under {} loads are more than {} points", c.alternatives.size(),
                                  c.conditions.size(), kMostPoints),
                      {}, "fewer values");
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);

  Pricers pricers;
  SharedParts parts(libraries);
  for (std::size_t i = 0; i < c.alternatives.size(); ++i)
    pricers.push_back(std::make_unique<AlternativePricer>(c.base, c.alternatives[i], i, parts, diagnostics));
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  c.points.resize(c.alternatives.size() * c.conditions.size());
  for_each_index(c.points.size(), [&](std::size_t i) {
    c.points[i] = pricers[i % pricers.size()]->point(c.conditions[i / pricers.size()]);
  });
  add_warnings(c, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  find_crossovers(c, pricers);
  for (std::size_t k = 0; k < c.keys.size(); ++k)
    if (varied[k].values.size() > 1 && has_no_effect(c, k)) c.without_effect.push_back(c.keys[k]);
  return c;
}

}  // namespace ascendsim
