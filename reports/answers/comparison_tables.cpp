#include "reports/answers/comparison_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "reports/answers/headings.h"
#include "reports/answers/json_parts.h"
#include "reports/answers/steps.h"
#include "strategies/engines/rules.h"
#include "strategies/programs/groups.h"

namespace ascendsim {

namespace {

template <class Amount>
double ratio(Amount a, Amount b) {
  return static_cast<double>(a.count()) / static_cast<double>(std::max<std::int64_t>(1, b.count()));
}

// "65,536 tokens", with the batch where it varies.
std::string load_in_words(const Comparison& c, std::size_t condition) {
  const Workload& w = c.at(condition, 0).subject.workload;
  const bool batches =
      std::ranges::any_of(c.conditions, [&](const Condition& o) { return o.batch != c.conditions[0].batch; });
  std::string text = fmt::format("{} tokens", with_commas(w.input_tokens));
  if (batches) text += fmt::format(" and {} request{}", with_commas(w.batch), w.batch == 1 ? "" : "s");
  return text;
}

// "cp 1 (tp 16, sp 16)": with the degrees that follow.
std::string full_label(const Comparison& c, const Point& p) {
  std::string text = label(c, p.alternative);
  if (!p.derived.empty()) text += fmt::format(" ({})", fmt::join(p.derived, ", "));
  if (p.standing == Standing::kWhatIf) text += " [what-if]";
  return text;
}

std::vector<std::string> followed(const Point& p) {
  std::vector<std::string> out = p.derived;
  out.insert(out.end(), p.raised.begin(), p.raised.end());
  return out;
}

const StepTime& main_step(const Point& p) {
  return p.role() == Role::kDecode ? p.prediction.decode : p.prediction.prefill;
}

const char* metric_of(const Point& p) {
  if (p.role() != Role::kDecode) return "TTFT";
  return p.subject.workload.output_tokens > 1 ? "TPOT" : "decode step";
}

constexpr double kWorthNaming = 0.1;  // of the whole difference of two steps

// Operators that take a rank of the slower one longer because it has more of that work to do: what the other layout
// divides and this one does not.
std::string undivided(const StepTime& faster, const StepTime& slower, Duration whole) {
  constexpr double kMore = 2;  // times the FLOP or the bytes
  std::vector<std::string> out;
  for (const OperatorRow& s : slower.operator_rows) {
    const auto f = std::ranges::find(faster.operator_rows, s.label, &OperatorRow::label);
    if (f == faster.operator_rows.end() || s.flops.count() == 0) continue;
    const Duration more = s.time - f->time;
    if (milliseconds(more) < kWorthNaming * milliseconds(whole)) continue;
    const double flops = ratio(s.flops, f->flops);
    const double bytes = ratio(s.bytes, f->bytes);
    if (std::max(flops, bytes) < kMore) continue;
    out.push_back(fmt::format("{} {} ({:.3g} times the {})", s.label, to_text(more), std::max(flops, bytes),
                              flops >= bytes ? "FLOP" : "bytes"));
  }
  return out.empty() ? ""
                     : fmt::format("; work of a rank that only the faster layout divides: {}", fmt::join(out, ", "));
}

// The links behind a difference in communication: those between A2 servers where most of it is in collectives that
// cross them, whose ranks have nothing but RoCE there.
std::string_view link_behind(const Point& winner, const Point& second) {
  struct Collectives {
    Duration all{}, between_servers{};
  };
  const auto collectives = [](const Point& p) {
    Collectives out;
    const Scenario& s = *p.subject.scenario;
    const std::vector<GroupKind> groups = rank_groups(s.deployment.layout, s.cluster);
    for (const CollectiveRow& row : main_step(p).collective_rows) {
      const auto kind = std::ranges::find(groups, row.group, &GroupKind::name);
      out.all += row.time;
      if (kind != groups.end() && s.cluster.span_of(kind->groups.front()).servers > 1) out.between_servers += row.time;
    }
    return out;
  };
  const Fabric fabric = winner.subject.scenario->cluster.server().fabric;
  if (fabric == Fabric::kUnifiedBus) return "UB";
  const Collectives w = collectives(winner), s = collectives(second);
  const double all = milliseconds(s.all - w.all), between = milliseconds(s.between_servers - w.between_servers);
  return all != 0 && between / all >= 0.5 ? "RoCE between servers" : "HCCS inside a server";
}

// The parts of a step whose difference makes the winner win, and those that cost it something.
std::string because(const Point& winner, const Point& second) {
  const StepTime &w = main_step(winner), &s = main_step(second);
  const auto mine = parts_of(w), others = parts_of(s);
  std::vector<std::pair<Duration, const Part*>> gains, costs;
  const Duration whole = std::max(s.total, w.total) - std::min(s.total, w.total);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const Duration less = others[i].time - mine[i].time;
    if (std::abs(milliseconds(less)) < kWorthNaming * milliseconds(whole) || less.count() == 0) continue;
    (less.count() > 0 ? gains : costs).emplace_back(less.count() > 0 ? less : -less, &mine[i]);
  }
  const auto in_words = [&](std::vector<std::pair<Duration, const Part*>>& parts) {
    std::ranges::stable_sort(parts, [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::string> out;
    for (const auto& [time, part] : parts) {
      out.push_back(fmt::format("{} {}", part->name, to_text(time)));
      if (part->category == kCommunicationCategory) out.back() += fmt::format(" ({})", link_behind(winner, second));
    }
    return fmt::format("{}", fmt::join(out, ", "));
  };
  const char* const phase = winner.role() == Role::kDecode ? "decode" : "prefill";
  std::string text =
      fmt::format("a {} step is {} {}: ", phase, to_text(whole), s.total >= w.total ? "shorter" : "longer");
  text += gains.empty() ? std::string("no part is shorter by a tenth of that") : "less " + in_words(gains);
  if (!costs.empty()) text += "; more " + in_words(costs);
  return text + (s.total >= w.total ? undivided(w, s, whole) : "");
}

std::string memory_remark(const Point& p) {
  const MemoryPerRank& m = p.prediction.memory;
  return m.fits() ? "" : fmt::format(" (does not fit: {} of {} per rank)", to_text(m.peak()), to_text(m.allowed));
}

std::optional<std::size_t> runner_up(const Comparison& c, std::size_t condition, std::vector<std::size_t> contest,
                                     std::size_t winner) {
  std::erase(contest, winner);
  return c.winner(condition, contest);
}

bool can_be_started(const Point& p) { return p.runs() && p.standing == Standing::kLegal && p.prediction.memory.fits(); }

// The fastest one that the engine takes and that fits, where that is not the fastest of all.
std::string fastest_to_start(const Comparison& c, std::size_t condition, std::vector<std::size_t> contest,
                             std::size_t winner) {
  if (can_be_started(c.at(condition, winner))) return {};
  std::erase_if(contest, [&](std::size_t a) { return !can_be_started(c.at(condition, a)); });
  const auto best = c.winner(condition, contest);
  if (!best) return {};
  const Point& p = c.at(condition, *best);
  return fmt::format("; of those that can be started {} is the fastest with {}", full_label(c, p), to_text(p.score()));
}

std::string reason(const Comparison& c, std::size_t condition, const std::vector<std::size_t>& contest) {
  const auto first = c.winner(condition, contest);
  if (!first) return fmt::format("{}: none of these can run", load_in_words(c, condition));
  const Point& w = c.at(condition, *first);
  std::string text = fmt::format("{}: {} has {} {}{}", load_in_words(c, condition), full_label(c, w), metric_of(w),
                                 to_text(w.score()), memory_remark(w));
  const auto second = runner_up(c, condition, contest, *first);
  if (!second) return text;
  const Point& s = c.at(condition, *second);
  if (s.score() == w.score()) return fmt::format("{}, and so has {}{}", text, full_label(c, s), memory_remark(s));
  return fmt::format("{}, {:.2f} times as fast as {} with {}{}; {}{}", text, ratio(s.score(), w.score()),
                     full_label(c, s), to_text(s.score()), memory_remark(s), because(w, s),
                     fastest_to_start(c, condition, contest, *first));
}

// The slowest that runs, where that is neither the winner nor the runner-up.
std::optional<std::size_t> last_of(const Comparison& c, std::size_t condition, std::vector<std::size_t> contest) {
  std::erase_if(contest, [&](std::size_t a) { return !c.at(condition, a).runs(); });
  if (contest.size() < 3) return std::nullopt;
  return *std::ranges::max_element(contest, {}, [&](std::size_t a) { return c.at(condition, a).score(); });
}

std::string first_against_last(const Comparison& c, std::size_t condition, const std::vector<std::size_t>& contest) {
  const auto first = c.winner(condition, contest), last = last_of(c, condition, contest);
  if (!first || !last) return {};
  const Point &w = c.at(condition, *first), &l = c.at(condition, *last);
  if (l.score() <= w.score()) return {};
  return fmt::format("{}, first against last: {:.2f} times as fast as {} with {}{}; {}", load_in_words(c, condition),
                     ratio(l.score(), w.score()), full_label(c, l), to_text(l.score()), memory_remark(l),
                     because(w, l));
}

std::string headline(const Comparison& c, const std::vector<std::size_t>& contest) {
  std::vector<std::size_t> winners;
  std::vector<double> leads;
  for (std::size_t i = 0; i < c.conditions.size(); ++i) {
    const auto w = c.winner(i, contest);
    if (!w) continue;
    if (std::ranges::find(winners, *w) == winners.end()) winners.push_back(*w);
    if (const auto second = runner_up(c, i, contest, *w))
      leads.push_back(ratio(c.at(i, *second).score(), c.at(i, *w).score()));
  }
  if (winners.empty()) {
    std::vector<std::string> servers;
    for (std::size_t i = 0; i < c.conditions.size(); ++i)
      for (const std::size_t a : contest)
        if (const std::string& name = c.at(i, a).subject.question.hardware.server;
            std::ranges::find(servers, name) == servers.end())
          servers.push_back(name);
    return fmt::format("None of the alternatives can run on {}.", fmt::join(servers, " or "));
  }
  if (leads.empty()) return {};
  const auto [least, most] = std::ranges::minmax(leads);
  if (most < 1.0005) return "All alternatives are equally fast.";
  const std::string lead = c.conditions.size() == 1 || most - least < 0.005
                               ? fmt::format("{:.2f} times as fast as the next one", most)
                               : fmt::format("{:.2f} to {:.2f} times as fast as the next one", least, most);
  const auto named = [&](std::size_t w) {
    return label(c, w) + (c.at(0, w).standing == Standing::kWhatIf ? " [what-if]" : "");
  };
  if (winners.size() > 1) {
    std::vector<std::string> names;
    for (const std::size_t w : winners) names.push_back(named(w));
    return fmt::format("Which is faster depends on the load: {} win in turn, {}.", fmt::join(names, " and "), lead);
  }
  return c.conditions.size() == 1
             ? fmt::format("{} wins, {}.", named(winners[0]), lead)
             : fmt::format("{} wins under all {} loads, {}.", named(winners[0]), c.conditions.size(), lead);
}

// Times are compared whether or not memory is there; where it never is, that comes first.
std::string if_none_fits(const Comparison& c) {
  double least = std::numeric_limits<double>::infinity();
  const Deployment* d = nullptr;
  for (const Point& p : c.points) {
    if (!p.runs()) continue;
    if (p.prediction.memory.fits()) return {};
    if (p.prediction.memory.smallest_fraction() >= least) continue;
    least = p.prediction.memory.smallest_fraction();
    d = &p.subject.deployment();
  }
  if (d == nullptr) return {};
  constexpr const char* kWhat = "None of these fits into memory: times are those if there were memory enough";
  // A fraction of weights and cache leaves activations aside.
  if (least > 1 || d->traits().fraction_of == FractionOf::kWeightsAndCache) return fmt::format("{}.", kWhat);
  return fmt::format("{}. The first fits from {} {:.2f} on.", kWhat, key_name(*d, "NPU_MEMORY_FRACTION"), least);
}

bool has_lengths(const Comparison& c) {
  return std::ranges::any_of(c.conditions,
                             [&](const Condition& o) { return o.input_tokens != c.conditions[0].input_tokens; });
}

void add_crossovers(const Comparison& c, std::vector<std::string>& out) {
  for (const Crossover& x : c.crossovers)
    out.push_back(fmt::format("Crossover: {} is faster up to {} tokens, {} from {} tokens on{}.", label(c, x.earlier),
                              with_commas(x.below), label(c, x.later), with_commas(x.tokens),
                              x.batch > 0 ? fmt::format(" with {} requests", x.batch) : ""));
  if (!has_lengths(c) || c.alternatives.size() < 2 || !c.crossovers.empty()) return;
  if (std::ranges::none_of(c.points, [](const Point& p) { return p.runs(); })) return;
  const auto [least, most] = std::ranges::minmax_element(c.conditions, {}, &Condition::input_tokens);
  out.push_back(
      fmt::format("No crossover between {} and {} tokens: the same alternative is the fastest at each length.",
                  with_commas(least->input_tokens), with_commas(most->input_tokens)));
}

// Columns that say which point a row is about.
std::vector<Column> point_columns() {
  return {{"alternative", "alternative"}, {"input", "input_tokens", true}, {"batch", "batch", true}};
}
std::vector<Cell> point_cells(const Comparison& c, const Point& p) {
  return {label(c, p.alternative), count_cell(p.subject.workload.input_tokens), count_cell(p.subject.workload.batch)};
}
Table point_table(std::string title, std::string key, std::vector<Column> more) {
  Table t{std::move(title), std::move(key), Table::Shape::kGrid, point_columns(), {}};
  for (Column& column : more) t.columns.push_back(std::move(column));
  return t;
}

Cell time_cell(Duration d, bool known) { return known ? milliseconds_cell(d) : Cell("-", ""); }

bool prefills(const Point& p) { return p.runs() && p.role() != Role::kDecode; }
bool decodes(const Point& p) { return p.runs() && p.role() != Role::kPrefill; }
bool has_tpot(const Point& p) { return decodes(p) && p.subject.workload.output_tokens > 1; }

Table overview(const Comparison& c) {
  Table t = point_table("Alternatives", "alternatives",
                        {{"follows", "derived"},
                         {"engine", "standing"},
                         {"TTFT ms", "ttft_ms", true},
                         {"TPOT ms", "tpot_ms", true},
                         {"prefill step ms", "prefill_step_ms", true},
                         {"mean decode step ms", "decode_step_ms", true},
                         {"memory per rank", "memory_peak_bytes", true},
                         {"fits", "fits"}});
  for (const Point& p : c.points) {
    std::vector<Cell> row = point_cells(c, p);
    row.emplace_back(fmt::format("{}", fmt::join(followed(p), ", ")));
    row.emplace_back(to_text(p.standing));
    row.push_back(time_cell(p.prediction.ttft.mean, prefills(p)));
    row.push_back(time_cell(p.prediction.tpot.mean, has_tpot(p)));
    row.push_back(time_cell(p.prediction.prefill.total, prefills(p)));
    row.push_back(time_cell(p.prediction.decode.total, decodes(p)));
    row.push_back(p.runs() ? bytes_cell(p.prediction.memory.peak()) : Cell("-", ""));
    row.emplace_back(!p.runs() ? "-" : p.prediction.memory.fits() ? "yes" : "no");
    t.rows.push_back(std::move(row));
  }
  return t;
}

// A phase of all points: its step, the points that have it, and its work done once.
struct PhaseOf {
  const char* name;
  StepTime Prediction::*step;
  bool (*has)(const Point&);
  Flops Point::*once;
};
constexpr PhaseOf kPhases[] = {{"prefill", &Prediction::prefill, prefills, &Point::prefill_once},
                               {"decode", &Prediction::decode, decodes, &Point::decode_once}};

Table time_table(const Comparison& c, const PhaseOf& phase) {
  Table t = point_table(fmt::format("Where the time of a {} step goes, ms", phase.name),
                        fmt::format("{}_breakdown", phase.name), {});
  static const StepTime kNone;
  for (const Part& part : parts_of(kNone)) {
    if (part.category == kCommunicationCategory) t.columns.push_back({"communication", "communication_ms", true});
    t.columns.push_back({part.category == kCommunicationCategory ? "exposed" : part.name, part.key, true});
  }
  t.columns.push_back({"step", "step_ms", true});
  for (const Point& p : c.points) {
    if (!phase.has(p)) continue;
    const StepTime& step = p.prediction.*phase.step;
    std::vector<Cell> row = point_cells(c, p);
    for (const Part& part : parts_of(step)) {
      if (part.category == kCommunicationCategory) row.push_back(milliseconds_cell(step.communication));
      row.push_back(milliseconds_cell(part.time));
    }
    row.push_back(milliseconds_cell(step.total));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Flops redundant(const Point& p, const PhaseOf& phase) { return (p.prediction.*phase.step).performed - p.*phase.once; }

Cell percent_cell(double part, double whole) {
  const double percent = whole == 0 ? 0 : 100 * part / whole;
  return {fmt::format("{:.1f} %", percent), fmt::to_string(percent)};
}

Table work_table(const Comparison& c) {
  Table t = point_table("Work and distance from the speed of light", "work",
                        {{"phase", "phase"},
                         {"all ranks", "performed_flop", true},
                         {"work once", "once_flop", true},
                         {"redundant", "redundant_flop", true},
                         {"share", "redundant_share_percent", true},
                         {"speed of light ms", "speed_of_light_ms", true},
                         {"step / light", "step_over_light", true}});
  for (const Point& p : c.points)
    for (const PhaseOf& phase : kPhases) {
      if (!phase.has(p)) continue;
      const StepTime& step = p.prediction.*phase.step;
      std::vector<Cell> row = point_cells(c, p);
      const Flops extra = redundant(p, phase);
      row.emplace_back(phase.name);
      row.push_back(flops_cell(step.performed));
      row.push_back(flops_cell(p.*phase.once));
      row.push_back(flops_cell(extra));
      row.push_back(percent_cell(static_cast<double>(extra.count()), static_cast<double>(step.performed.count())));
      row.push_back(milliseconds_cell(step.speed_of_light));
      row.push_back(number_cell(ratio(step.total, step.speed_of_light), 2));
      t.rows.push_back(std::move(row));
    }
  return t;
}

// For people, one load is enough: the last one, which is the longest of a range.
Table collective_sums(const Comparison& c, Readers readers) {
  const auto shown = [&](const Point& p) {
    return readers != Readers::kPeople ||
           p.subject.workload.input_tokens == c.points.back().subject.workload.input_tokens;
  };
  const std::string at = readers != Readers::kPeople
                             ? ""
                             : fmt::format(" at {} tokens (--format csv or json has all)",
                                           with_commas(c.points.back().subject.workload.input_tokens));
  Table t = point_table("Collectives, per rank" + at, "communication",
                        {{"phase", "phase"},
                         {"primitive", "primitive"},
                         {"group", "group"},
                         {"count", "count", true},
                         {"per layer", "count_per_layer", true},
                         {"bytes of one", "bytes", true},
                         {"sent per layer", "sent_bytes_per_layer", true},
                         {"sent", "sent_bytes", true},
                         {"time ms", "time_ms", true}});
  t.readers = readers;
  for (const Point& p : c.points)
    for (const PhaseOf& phase : kPhases) {
      if (!phase.has(p) || !shown(p)) continue;
      const std::int64_t layers = std::max<std::int64_t>(1, p.subject.deployment().model.layers);
      for (const CollectiveSum& s : collectives_of(p.prediction.*phase.step)) {
        std::vector<Cell> row = point_cells(c, p);
        row.emplace_back(phase.name);
        row.emplace_back(s.primitive);
        row.emplace_back(s.group);
        row.push_back(count_cell(s.count));
        row.push_back(number_cell(static_cast<double>(s.count) / static_cast<double>(layers), 2));
        row.push_back(bytes_cell(s.bytes));
        row.push_back(bytes_cell(s.sent / layers));
        row.push_back(bytes_cell(s.sent));
        row.push_back(milliseconds_cell(s.time));
        t.rows.push_back(std::move(row));
      }
    }
  return t;
}

Table memory_columns(const Comparison& c) {
  Table t = point_table("Memory per rank", "memory_per_rank",
                        {{"weights", "weights_bytes", true},
                         {"KV cache", "kv_cache_bytes", true},
                         {"activations", "activations_bytes", true},
                         {"communication", "communication_bytes", true},
                         {"runtime", "runtime_bytes", true},
                         {"peak", "peak_bytes", true},
                         {"allowed", "allowed_bytes", true},
                         {"KV capacity, tokens", "kv_capacity_tokens", true}});
  for (const Point& p : c.points) {
    if (!p.runs()) continue;
    const MemoryPerRank& m = p.prediction.memory;
    std::vector<Cell> row = point_cells(c, p);
    for (const Bytes b : {m.weights, m.kv_cache, m.activations, m.communication, m.runtime, m.peak(), m.allowed})
      row.push_back(bytes_cell(b));
    row.push_back(count_cell(m.kv_capacity_tokens));
    t.rows.push_back(std::move(row));
  }
  return t;
}

// Each rule once, with the alternatives that break it, however many loads they were asked under.
Table refusals(const Comparison& c) {
  Table t{
      "What the engine refuses",
      "refused",
      Table::Shape::kGrid,
      {{"alternative", "alternative"}, {"engine", "standing"}, {"code", "code"}, {"what", "message"}, {"rule", "rule"}},
      {}};
  struct Refusal {
    const Diagnostic* what;
    Standing standing;
    std::vector<std::size_t> alternatives;
  };
  std::vector<Refusal> all;
  for (const Point& p : c.points)
    for (const Diagnostic& d : p.broken.all()) {
      auto same = std::ranges::find_if(all, [&](const Refusal& r) {
        return r.standing == p.standing && r.what->code == d.code && r.what->message == d.message;
      });
      if (same == all.end()) same = all.insert(all.end(), {&d, p.standing, {}});
      if (std::ranges::find(same->alternatives, p.alternative) == same->alternatives.end())
        same->alternatives.push_back(p.alternative);
    }
  for (const Refusal& r : all) {
    std::vector<std::string> labels;
    for (const std::size_t i : r.alternatives) labels.push_back(label(c, i));
    t.rows.push_back(
        {fmt::format("{}", fmt::join(labels, "; ")), to_text(r.standing), r.what->code, r.what->message, r.what->rule});
  }
  return t;
}

Table subject_of(const Comparison& c) {
  Table t = facts("", "deployment");
  const Question& q = c.base.question;
  const Deployment& d = q.deployment;
  t.rows.push_back({"file", fmt::format("{} ({} {})", d.file, d.engine_name, d.engine_version)});
  t.rows.push_back({"ranks", fmt::format("{} in every alternative, unless world_size is varied (file: {})",
                                         d.layout.world(), layout_words(d.layout, degree_words(q)))});
  t.rows.push_back({"output", fmt::format("{} tokens", with_commas(q.workload.output_tokens))});
  for (const Point& p : c.points) {
    if (!p.runs()) continue;
    const Server& server = p.subject.scenario->cluster.server();
    const std::string hardware = fmt::format("{} ({}, die {})", server.product, server.name, server.die.name);
    const std::string model =
        fmt::format("{}, {}", p.subject.deployment().model.name, p.subject.deployment().quantisation.name);
    for (const auto& [fact, value] : {std::pair{"model", &model}, {"hardware", &hardware}})
      if (std::ranges::none_of(t.rows, [&](const auto& row) { return row[1].text == *value; }))
        t.rows.push_back({fact, *value});
  }
  return t;
}

std::vector<std::string> assumed(const Comparison& c) {
  std::vector<std::string> out;
  for (const Point& p : c.points)
    for (const std::string& text : p.prediction.assumptions)
      if (std::ranges::find(out, text) == out.end()) out.push_back(text);
  return out;
}

Json communication_json(const Point& p) {
  Json out = Json::array();
  for (const PhaseOf& phase : kPhases) {
    if (!phase.has(p)) continue;
    const auto layers = static_cast<double>(std::max<std::int64_t>(1, p.subject.deployment().model.layers));
    for (const CollectiveSum& s : collectives_of(p.prediction.*phase.step))
      out.push_back({{"phase", phase.name},
                     {"primitive", s.primitive},
                     {"group", s.group},
                     {"count", s.count},
                     {"bytes_per_rank", s.sent.count()},
                     {"count_per_layer", static_cast<double>(s.count) / layers},
                     {"bytes_per_layer_per_rank", static_cast<double>(s.sent.count()) / layers},
                     {"bytes", s.bytes.count()},
                     {"time_ms", milliseconds(s.time)}});
  }
  return out;
}

Json value_json(const std::string& text) {
  const Json v = Json::parse(text, nullptr, false);
  return v.is_discarded() ? Json(text) : v;
}

Json point_json(const Comparison& c, const Point& p) {
  const Alternative& a = c.alternatives[p.alternative];
  const Deployment& d = p.subject.question.deployment;
  const Prediction& r = p.prediction;
  Json vary = Json::object();
  for (const Assignment& v : a.vary) vary[v.key] = value_json(v.value);
  Json out = {{"vary", vary},
              {"model", d.model.name},
              {"hardware", p.subject.question.hardware.server},
              {"input_tokens", p.subject.workload.input_tokens},
              {"output_tokens", p.subject.workload.output_tokens},
              {"concurrency", p.subject.workload.batch},
              {"standing", to_text(p.standing)},
              {"refused", findings(p.broken)},
              {"derived", followed(p)},
              {"layout", layout_json(d.layout)}};
  out["ttft_ms"] = percentiles(r.ttft, prefills(p));
  out["tpot_ms"] = percentiles(r.tpot, has_tpot(p));
  out["prefill_step_ms"] = number_or_null(milliseconds(r.prefill.total), prefills(p));
  out["decode_step_ms"] = number_or_null(milliseconds(has_tpot(p) ? r.decode_step : r.decode.total), decodes(p));
  Json breakdown = Json::object(), flops = Json::object(), light = Json::object();
  for (const PhaseOf& phase : kPhases) {
    if (!phase.has(p)) continue;
    const StepTime& step = r.*phase.step;
    breakdown[phase.name] = breakdown_json(step);
    flops[phase.name] = {{"performed", step.performed.count()},
                         {"once", (p.*phase.once).count()},
                         {"redundant", redundant(p, phase).count()}};
    light[std::string(phase.name) + "_ms"] = milliseconds(step.speed_of_light);
  }
  out["breakdown"] = breakdown;
  out["communication"] = communication_json(p);
  out["memory_per_rank_bytes"] = p.runs() ? memory_json(r.memory) : Json(nullptr);
  out["fits"] = p.runs() ? Json(r.memory.fits()) : Json(nullptr);
  out["kv_capacity_tokens"] = p.runs() ? Json(r.memory.kv_capacity_tokens) : Json(nullptr);
  out["flop"] = flops;
  out["speed_of_light"] = light;
  return out;
}

}  // namespace

std::vector<CollectiveSum> collectives_of(const StepTime& step) {
  std::vector<CollectiveSum> out;
  for (const CollectiveRow& r : step.collective_rows) {
    auto known = std::ranges::find_if(out, [&](const CollectiveSum& s) {
      return s.primitive == r.primitive && s.group == r.group && s.bytes == r.bytes;
    });
    if (known == out.end()) known = out.insert(out.end(), CollectiveSum{r.primitive, r.group, 0, r.bytes, {}, {}});
    known->count += r.count;
    known->sent += r.sent;
    known->time += r.time;
  }
  return out;
}

std::vector<std::string> verdict(const Comparison& c) {
  std::vector<std::string> out;
  const auto contests = c.contests();
  if (std::string none = if_none_fits(c); !none.empty()) out.push_back(std::move(none));
  for (const auto& contest : contests) {
    std::string text = headline(c, contest);
    if (!text.empty()) out.push_back(std::move(text));
  }
  add_crossovers(c, out);
  for (std::size_t i = 0; i < c.conditions.size(); ++i)
    for (const auto& contest : contests) {
      out.push_back(reason(c, i, contest));
      if (std::string widest = first_against_last(c, i, contest); !widest.empty()) out.push_back(std::move(widest));
    }
  for (const std::string& key : c.without_effect)
    out.push_back(fmt::format("{} changes nothing here: equal times and memory for all of its values.", key));
  return out;
}

std::vector<Table> comparison_tables(const Comparison& c) {
  std::vector<Table> tables;
  tables.push_back(list_of("Verdict", "verdict", verdict(c)));
  tables.push_back(subject_of(c));
  tables.push_back(overview(c));
  tables.push_back(refusals(c));
  for (const PhaseOf& phase : kPhases) tables.push_back(time_table(c, phase));
  if (has_lengths(c)) {
    tables.push_back(collective_sums(c, Readers::kPeople));
    tables.push_back(collective_sums(c, Readers::kMachines));
  } else {
    tables.push_back(collective_sums(c, Readers::kAll));
  }
  tables.push_back(memory_columns(c));
  tables.push_back(work_table(c));
  tables.push_back(list_of("Assumptions", "assumptions", assumed(c)));
  return tables;
}

JsonDocument comparison_json(const Comparison& c, const Diagnostics& diagnostics) {
  Json out = {{"verdict", verdict(c)}, {"points", Json::array()}, {"crossovers", Json::array()}};
  for (const Point& p : c.points) out["points"].push_back(point_json(c, p));
  for (const Crossover& x : c.crossovers)
    out["crossovers"].push_back({{"from", label(c, x.earlier)},
                                 {"to", label(c, x.later)},
                                 {"input_tokens", x.tokens},
                                 {"concurrency", x.batch > 0 ? x.batch : c.base.question.workload.batch}});
  out["without_effect"] = c.without_effect;
  out["assumptions"] = assumptions_json(assumed(c), diagnostics);
  return std::make_shared<Json>(std::move(out));
}

}  // namespace ascendsim
