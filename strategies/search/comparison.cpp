#include "strategies/search/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "sim/parallel.h"
#include "strategies/engines/rules.h"

namespace ascendsim {

namespace {

// A point costs some 10 ms and 100 KB: a minute and a few hundred MB at most.
constexpr std::size_t kMostPoints = 2'000;
constexpr std::int64_t kUsualOutput = 1024;

// Each value is tried alone, so that everything wrong with any of them is said at once; repeated ones are dropped.
std::vector<Varied> checked(const std::vector<Varied>& asked, const Question& base, Diagnostics& diagnostics) {
  std::vector<Varied> out;
  for (const Varied& v : asked) {
    SourceLocation where;
    where.file = v.values.empty() ? fmt::format("--vary {}", v.key)
                                  : fmt::format("--vary {}={}", v.key, fmt::join(v.values, ","));
    if (v.key.empty() || v.values.empty()) {
      diagnostics.error("E0398", where, "--vary needs KEY=A,B,..", {}, "--vary cp=1,2");
      continue;
    }
    const Field* const field = find_field(v.key, base.stack);
    if (std::ranges::any_of(
            out, [&](const Varied& o) { return field != nullptr && find_field(o.key, base.stack) == field; })) {
      diagnostics.error("E0398", where, fmt::format("{} is varied twice", v.key), {},
                        "write all its values in one list");
      continue;
    }
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
    out.push_back({v.key, std::move(kept)});
  }
  return out;
}

// All combinations, the last key fastest.
std::vector<Alternative> combine(const std::vector<Varied>& varied, const ComparisonRequest& lists) {
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

std::vector<Condition> conditions_of(const ComparisonRequest& lists) {
  std::vector<Condition> out;
  const std::vector<std::int64_t> as_written{0};
  for (const std::int64_t batch : lists.batches.empty() ? as_written : lists.batches)
    for (const std::int64_t input : lists.inputs.empty() ? as_written : lists.inputs) out.push_back({input, batch});
  return out;
}

// What neither the file nor an option says.
// `settled`: with the limits that follow from it.
void assume_load(Question& q, const Question& settled, Diagnostics& diagnostics) {
  Workload& w = q.workload;
  const Limits& m = settled.deployment.limits;
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
    const std::int64_t longest = std::min(m.max_seq_len, settled.deployment.model.max_positions) - w.output_tokens;
    w.input_tokens = std::max<std::int64_t>(1, std::min(m.max_input_tokens, longest));
    diagnostics.note("A0125", {},
                     fmt::format("--input is not set: {} assumed, the longest prompt of the file", w.input_tokens));
  }
}

void check_lists(const ComparisonRequest& lists, const std::vector<Varied>& varied, const std::string& stack,
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
  both(!lists.inputs.empty(), "workload.input_tokens", "--input");
  both(!lists.batches.empty(), "workload.batch", "--batch");
  both(!lists.models.empty(), "model", "--model");
  both(!lists.hardware.empty(), "hardware.server", "--hardware");
}

// Before anything is combined: a few lists make more combinations than memory holds.
void check_size(const ComparisonRequest& lists, const std::vector<Varied>& varied, Diagnostics& diagnostics) {
  std::vector<std::size_t> factors{lists.inputs.size(), lists.batches.size(), lists.models.size(),
                                   lists.hardware.size()};
  for (const Varied& v : varied) factors.push_back(v.values.size());
  std::size_t points = 1;
  for (const std::size_t f : factors) {
    points *= std::max<std::size_t>(1, f);
    if (points <= kMostPoints) continue;
    return diagnostics.error("E0398", {},
                             fmt::format("the lists combine to more than {} points, which is the most that one call "
                                         "compares",
                                         with_commas(static_cast<std::int64_t>(kMostPoints))),
                             {}, "fewer values, or several calls");
  }
}

using Pricers = std::vector<std::unique_ptr<AlternativePricer>>;

// What can be started comes before what cannot, then what is faster.
bool ahead(const Point& a, const Point& b, RankedTime metric) {
  if (a.starts() != b.starts()) return a.starts();
  const auto mine = a.time(metric), others = b.time(metric);
  return mine && (!others || *mine < *others);
}

// Between two conditions of one batch: who is first under each, by what.
struct Gap {
  const Condition *from, *to;
  std::size_t earlier, later;
  RankedTime metric;
};

// One block of tokens is what bisection stops at.
std::optional<Crossover> crossing(const Pricers& pricers, const Gap& gap, std::int64_t block) {
  const std::int64_t batch = gap.from->batch;
  std::int64_t below = gap.from->input_tokens, above = gap.to->input_tokens;
  const auto later_wins = [&](std::int64_t tokens) {
    return ahead(pricers[gap.later]->point({tokens, batch}), pricers[gap.earlier]->point({tokens, batch}), gap.metric);
  };
  if (!later_wins(above)) return std::nullopt;  // a third one won there
  while (above - below > block) {
    const std::int64_t middle = below + std::max(block, (above - below) / 2 / block * block);
    (later_wins(middle) ? above : below) = middle;
  }
  const bool stops =
      pricers[gap.earlier]->point({below, batch}).starts() && !pricers[gap.earlier]->point({above, batch}).starts();
  return Crossover{gap.earlier, gap.later, batch, above, below, stops};
}

bool level(const Ranking& r, std::size_t alternative) { return std::ranges::find(r.best, alternative) != r.best.end(); }

// Winners that are level with each other at both ends have no crossover worth a number.
void find_crossovers(Comparison& c, const Pricers& pricers) {
  std::vector<Gap> gaps;
  for (const auto& contest : c.contests()) {
    const std::vector<RankedTime> metrics = c.metrics(contest);
    for (std::size_t i = 0; i + 1 < c.conditions.size() && !metrics.empty(); ++i) {
      const Condition &a = c.conditions[i], &b = c.conditions[i + 1];
      if (a.batch != b.batch || a.input_tokens >= b.input_tokens) continue;
      const auto before = c.ranking(i, contest, metrics[0]), after = c.ranking(i + 1, contest, metrics[0]);
      if (!before || !after) continue;
      const std::size_t earlier = before->best[0], later = after->best[0];
      if (earlier != later && !(level(*before, later) && level(*after, earlier)))
        gaps.push_back({&a, &b, earlier, later, metrics[0]});
    }
  }
  std::vector<std::optional<Crossover>> found(gaps.size());
  for_each_index(gaps.size(), [&](std::size_t i) {
    found[i] = crossing(pricers, gaps[i], c.base.question.deployment.limits.block_tokens);
  });
  for (const auto& f : found)
    if (f) c.crossovers.push_back(*f);
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
  if (a.served && b.served)
    return a.served->report.ttft.mean_ms == b.served->report.ttft.mean_ms &&
           a.served->report.tpot.mean_ms == b.served->report.tpot.mean_ms;
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

bool Alternative::operator==(const Alternative& other) const {
  return model == other.model && hardware == other.hardware &&
         std::ranges::equal(vary, other.vary, [](const Assignment& a, const Assignment& b) {
           return a.key == b.key && a.value == b.value;
         });
}

std::optional<Duration> Point::time(RankedTime metric) const {
  if (!runs()) return std::nullopt;
  if (served) {
    const ServiceReport& r = served->report;
    const double ms = metric == RankedTime::kTtft ? r.ttft.mean_ms : metric == RankedTime::kTpot ? r.tpot.mean_ms : 0;
    return ms > 0 ? std::optional(duration_from_seconds(ms / 1e3)) : std::nullopt;
  }
  const bool answers = subject.workload.output_tokens > 1 && role() != Role::kPrefill;
  switch (metric) {
    case RankedTime::kTtft:
      return role() == Role::kDecode ? std::nullopt : std::optional(prediction.ttft.mean);
    case RankedTime::kTpot:
      return answers ? std::optional(prediction.tpot.mean) : std::nullopt;
    default:
      return role() == Role::kDecode && !answers ? std::optional(prediction.decode.total) : std::nullopt;
  }
}

AlternativePricer::AlternativePricer(const AskedQuestion& base, const Alternative& alternative, std::size_t index,
                                     const Libraries& libraries, const Settings& settings, Diagnostics& diagnostics)
    : index_(index), question_(base.question), stack_(base.stack) {
  Diagnostics found;
  if (!alternative.model.empty() && alternative.model != question_.model)
    put(question_, field::kModel, alternative.model, "--model " + alternative.model);
  if (!alternative.hardware.empty())
    put(question_, field::kServer, alternative.hardware, "--hardware " + alternative.hardware);
  Question varied = question_;
  for (const Assignment& a : alternative.vary) set_field(fmt::format("{}={}", a.key, a.value), varied, found);
  if (varied.stack != question_.stack) {
    if (question_.imported)
      say_foreign_stack(question_, varied, found);
    else
      stack_ = load_stack(varied.stack, libraries, settings, found);
  }
  platform_ = load_platform(varied, stack_, kUsualServer, libraries, found);
  if (!found.has_errors()) {
    const auto legal = [&](const Question& tried) {
      Question q = tried;
      Diagnostics said;
      settle(q, stack_, libraries, said);
      return judge(q, platform_, said).standing == Standing::kLegal;
    };
    derive_layout(question_);
    Variation v = vary(question_, alternative.vary, legal, found);
    question_ = std::move(v.question);
    derived_ = std::move(v.derived);
    settle(question_, stack_, libraries, found);
  }
  for (const Diagnostic& d : found.all())
    if (d.severity == Severity::kError && std::ranges::none_of(diagnostics.all(), [&](const Diagnostic& o) {
          return o.code == d.code && o.message == d.message;
        }))
      diagnostics.add(d);
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
  Diagnostics found;
  const Judgement judgement = judge(q, platform_, found);
  out.standing = judgement.standing;
  if (out.runs()) {
    Diagnostics load;
    complete_workload(q.deployment, stack_, w, load);
    check_workload(q.deployment, w, !q.imported, load);
    if (load.has_errors()) out.standing = Standing::kCannotRun;
    found.append(load);
  }
  for (const Diagnostic& d : found.all())
    if (d.severity == Severity::kError)
      out.broken.add(d);
    else if (d.severity == Severity::kWarning || d.code == "A0142")  // a what-if is said of its alternative
      out.warned.add(d);
  if (!out.runs()) return out;
  const Layout& l = q.deployment.layout;
  out.subject.scenario = std::make_unique<Scenario>(
      q.deployment, stack_, platform_.kernels,
      Cluster(platform_.server, judgement.servers, static_cast<int>(l.world() / judgement.servers)));
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

Point AlternativePricer::point(const Condition& condition, const LoadOverTime& load, std::int64_t instances) const {
  Condition one = condition;
  one.batch = 1;
  Point out = point(one);
  if (!out.runs() || !out.prediction.memory.fits()) return out;
  Diagnostics found;
  out.served = measure({.first = out.subject.scenario.get(), .instances = instances}, load,
                       out.subject.workload.acceptance, {}, found);
  if (!out.served) out.standing = Standing::kCannotRun;
  for (const Diagnostic& d : found.all())
    if (d.severity == Severity::kError)
      out.broken.add(d);
    else if (d.severity == Severity::kWarning)
      out.warned.add(d);
  return out;
}

std::string label(const Comparison& c, std::size_t alternative) {
  const Alternative& a = c.alternatives[alternative];
  const auto differs = [&](std::string Alternative::*part) {
    return std::ranges::any_of(c.alternatives, [&](const Alternative& o) { return o.*part != a.*part; });
  };
  std::vector<std::string> parts;
  if (differs(&Alternative::model)) parts.push_back(a.model);
  if (differs(&Alternative::hardware)) parts.push_back(a.hardware);
  for (const Assignment& v : a.vary) parts.push_back(fmt::format("{} {}", v.key, v.value));
  return parts.empty() ? "as in the file" : fmt::format("{}", fmt::join(parts, ", "));
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

std::vector<RankedTime> Comparison::metrics(const std::vector<std::size_t>& contest) const {
  std::vector<RankedTime> out;
  for (const RankedTime m : {RankedTime::kTtft, RankedTime::kTpot, RankedTime::kDecodeStep})
    if (std::ranges::any_of(contest, [&](std::size_t a) {
          for (std::size_t i = 0; i < conditions.size(); ++i)
            if (at(i, a).time(m)) return true;
          return false;
        }))
      out.push_back(m);
  return out;
}

std::optional<Ranking> Comparison::ranking(std::size_t condition, const std::vector<std::size_t>& contest,
                                           RankedTime metric) const {
  std::vector<std::size_t> order;
  for (const std::size_t a : contest)
    if (at(condition, a).time(metric)) order.push_back(a);
  if (order.empty()) return std::nullopt;
  Ranking out;
  out.starts = std::ranges::any_of(order, [&](std::size_t a) { return at(condition, a).starts(); });
  if (out.starts) std::erase_if(order, [&](std::size_t a) { return !at(condition, a).starts(); });
  const auto time = [&](std::size_t a) { return *at(condition, a).time(metric); };
  std::ranges::stable_sort(order, {}, time);
  const double most = seconds(time(order.front())) * (1 + kLevelMargin);
  const auto others = std::ranges::find_if(order, [&](std::size_t a) { return seconds(time(a)) > most; });
  out.best.assign(order.begin(), others);
  if (others != order.end()) out.next = *others;
  return out;
}

bool Comparison::varies_length() const {
  return std::ranges::any_of(conditions,
                             [&](const Condition& o) { return o.input_tokens != conditions[0].input_tokens; });
}

namespace {

// Of a pair one side is compared: the one that --vary names ("decode.dcp=1,8"), which loses that word.
FileChoice compared_side(const PairOfChoices& pair, std::vector<Varied>& vary, Diagnostics& diagnostics) {
  bool of[2] = {}, bare = vary.empty();
  for (Varied& v : vary) {
    bool named = false;
    for (const auto& [side, prefix] : {std::pair{0, std::string_view("prefill.")}, {1, std::string_view("decode.")}})
      if (v.key.starts_with(prefix) && v.key != field::kPrefillAttention.path) {
        v.key.erase(0, prefix.size());
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

// Over time, one a condition.
std::vector<LoadOverTime> loads_of(const Comparison& c, const FileChoice& choice, const Settings& settings,
                                   Diagnostics& diagnostics) {
  std::vector<LoadOverTime> out;
  for (const Condition& condition : c.conditions) {
    Workload w = c.base.question.workload;
    Settings of_condition = settings;
    if (condition.input_tokens > 0) of_condition.input = w.input_tokens = condition.input_tokens;
    if (condition.batch > 0)
      diagnostics.error("E0640", {}, "--batch is a batch at once, not a load over time", {},
                        "--max-concurrency is what a client keeps in flight");
    if (auto load = load_over_time(of_condition, choice.load, w, diagnostics)) out.push_back(*std::move(load));
    if (diagnostics.has_errors()) break;
  }
  return out;
}

}  // namespace

Comparison compare(const ComparisonRequest& request, const Libraries& libraries, const Settings& settings,
                   Diagnostics& diagnostics) {
  Comparison c;
  const Inputs inputs = gather_inputs(request.files, libraries, settings, diagnostics);
  std::vector<Varied> vary = request.vary;
  const FileChoice choice =
      inputs.pair ? compared_side(*inputs.pair, vary, diagnostics) : only_choice(inputs.choices, diagnostics);
  // Alternatives settle what was asked, each for itself; the base is what the file comes to as it is written.
  AskedQuestion asked = read_asked(choice, libraries, settings, diagnostics);
  c.base = asked;
  if (asked.readable) settle(c.base.question, c.base.stack, libraries, diagnostics);
  // Keys are checked even where the file is not readable: everything at once.
  const std::vector<Varied> varied = checked(vary, c.base.question, diagnostics);
  check_lists(request, varied, c.base.question.stack, diagnostics);
  if (refused(diagnostics, settings.strict)) throw ConfigError(diagnostics);
  assume_load(asked.question, c.base.question, diagnostics);
  c.base.question.hardware = asked.question.hardware;
  c.base.question.workload = asked.question.workload;
  for (const Varied& v : varied) c.keys.push_back(v.key);
  check_size(request, varied, diagnostics);
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  c.alternatives = combine(varied, request);
  c.conditions = conditions_of(request);
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);

  Pricers pricers;
  for (std::size_t i = 0; i < c.alternatives.size(); ++i)
    pricers.push_back(
        std::make_unique<AlternativePricer>(asked, c.alternatives[i], i, libraries, settings, diagnostics));
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  if (asks_for_service(settings.service, choice.load)) {
    c.loads = loads_of(c, choice, settings, diagnostics);
    c.instances = settings.service.instances.value_or(1);
    if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  }
  c.points.resize(c.alternatives.size() * c.conditions.size());
  for_each_index(c.points.size(), [&](std::size_t i) {
    const AlternativePricer& pricer = *pricers[i % pricers.size()];
    const std::size_t condition = i / pricers.size();
    c.points[i] = c.loads.empty() ? pricer.point(c.conditions[condition])
                                  : pricer.point(c.conditions[condition], c.loads[condition], c.instances);
  });
  add_warnings(c, diagnostics);
  if (refused(diagnostics, settings.strict)) throw ConfigError(diagnostics);
  if (c.loads.empty()) find_crossovers(c, pricers);
  for (std::size_t k = 0; k < c.keys.size(); ++k)
    if (varied[k].values.size() > 1 && has_no_effect(c, k)) c.without_effect.push_back(c.keys[k]);
  return c;
}

}  // namespace ascendsim
