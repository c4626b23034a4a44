// The verdict of a comparison: sentences, and the same as JSON.
#include "reports/answers/comparison_verdict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "reports/answers/steps.h"
#include "reports/answers/table.h"
#include "strategies/deployment/words.h"
#include "strategies/programs/groups.h"

namespace ascendsim {

namespace {

using Contest = std::vector<std::size_t>;  // alternatives

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

// The step that a time is made of.
const StepTime& step_of(const Point& p, RankedTime metric) {
  return metric == RankedTime::kTtft ? p.prediction.prefill : p.prediction.decode;
}

constexpr std::string_view kMetricNames[] = {"TTFT", "TPOT", "decode step"};
constexpr std::string_view kMetricKeys[] = {"ttft", "tpot", "decode_step"};
std::string_view name_of(RankedTime metric) { return kMetricNames[static_cast<std::size_t>(metric)]; }

constexpr double kShareWorthNaming = 0.1;  // of the whole difference of two steps

// Operators that take a rank of the slower one longer because it has more of that work to do: what the other layout
// divides and this one does not.
std::string undivided(const StepTime& faster, const StepTime& slower, Duration whole) {
  constexpr double kMore = 2;  // times the FLOP or the bytes
  std::vector<std::string> out;
  for (const OperatorRow& s : slower.operator_rows) {
    const auto f = std::ranges::find(faster.operator_rows, s.label, &OperatorRow::label);
    if (f == faster.operator_rows.end() || s.flops.count() == 0) continue;
    const Duration more = s.time - f->time;
    if (milliseconds(more) < kShareWorthNaming * milliseconds(whole)) continue;
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
std::string_view link_behind(const Point& winner, const Point& second, RankedTime metric) {
  struct Collectives {
    Duration all{}, between_servers{};
  };
  const auto collectives = [&](const Point& p) {
    Collectives out;
    const Scenario& s = *p.subject.scenario;
    const std::vector<GroupKind> groups = rank_groups(s.deployment.layout, s.cluster);
    for (const CollectiveRow& row : step_of(p, metric).collective_rows) {
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
std::string because(const Point& winner, const Point& second, RankedTime metric) {
  const StepTime &w = step_of(winner, metric), &s = step_of(second, metric);
  const auto mine = parts_of(w), others = parts_of(s);
  std::vector<std::pair<Duration, const Part*>> gains, costs;
  const Duration whole = std::max(s.total, w.total) - std::min(s.total, w.total);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const Duration less = others[i].time - mine[i].time;
    if (std::abs(milliseconds(less)) < kShareWorthNaming * milliseconds(whole) || less.count() == 0) continue;
    (less.count() > 0 ? gains : costs).emplace_back(less.count() > 0 ? less : -less, &mine[i]);
  }
  const auto in_words = [&](std::vector<std::pair<Duration, const Part*>>& parts) {
    std::ranges::stable_sort(parts, [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::string> out;
    for (const auto& [time, part] : parts) {
      out.push_back(fmt::format("{} {}", part->name, to_text(time)));
      if (part->category == kCommunicationCategory)
        out.back() += fmt::format(" ({})", link_behind(winner, second, metric));
    }
    return fmt::format("{}", fmt::join(out, ", "));
  };
  const char* const phase = metric == RankedTime::kTtft ? "prefill" : "decode";
  std::string text =
      fmt::format("a {} step is {} {}: ", phase, to_text(whole), s.total >= w.total ? "shorter" : "longer");
  text += gains.empty() ? std::string("no part is shorter by a tenth of that") : "less " + in_words(gains);
  if (!costs.empty()) text += "; more " + in_words(costs);
  return text + (s.total >= w.total ? undivided(w, s, whole) : "");
}

std::string memory_remark(const Point& p) {
  const MemoryPerRank& m = p.prediction.memory;
  if (m.borderline()) return " (memory: borderline)";
  return m.fits() ? "" : fmt::format(" (does not fit: {} of {} per rank)", to_text(m.peak()), to_text(m.allowed));
}

const std::string& level_words() {
  static const std::string words = fmt::format("less than {:.0f} % apart", 100 * kLevelMargin);
  return words;
}

// "cp 4 [what-if] would have TTFT 5.1 s, but cannot be started": what is faster than all that can.
std::string faster_on_paper(const Comparison& c, std::size_t condition, const Contest& contest, const Ranking& r,
                            RankedTime metric) {
  if (!r.starts) return {};
  std::optional<std::size_t> best;
  for (const std::size_t a : contest) {
    const auto time = c.at(condition, a).time(metric);
    if (time && *time < *c.at(condition, best.value_or(r.best[0])).time(metric)) best = a;
  }
  if (!best || c.at(condition, *best).starts()) return {};
  const Point& p = c.at(condition, *best);
  return fmt::format("; {}{} would have {}, but cannot be started", full_label(c, p), memory_remark(p),
                     to_text(*p.time(metric)));
}

std::string reason(const Comparison& c, std::size_t condition, const Contest& contest, RankedTime metric) {
  const auto r = c.ranking(condition, contest, metric);
  if (!r) return fmt::format("{}: none of these can run", load_in_words(c, condition));
  const Point& w = c.at(condition, r->best[0]);
  std::string text = fmt::format("{}: {} has {} {}{}", load_in_words(c, condition), full_label(c, w), name_of(metric),
                                 to_text(*w.time(metric)), memory_remark(w));
  for (std::size_t i = 1; i < r->best.size(); ++i) {
    const Point& p = c.at(condition, r->best[i]);
    text += fmt::format("{} {} ({}){}", i == 1 ? ", level with" : ",", full_label(c, p), to_text(*p.time(metric)),
                        memory_remark(p));
  }
  if (r->next) {
    const Point& s = c.at(condition, *r->next);
    text += fmt::format(", {:.2f} times as fast as {} with {}{}; {}", ratio(*s.time(metric), *w.time(metric)),
                        full_label(c, s), to_text(*s.time(metric)), memory_remark(s), because(w, s, metric));
  }
  return text + faster_on_paper(c, condition, contest, *r, metric);
}

// The slowest that runs, where three or more do and it is not the next one already.
std::string first_against_last(const Comparison& c, std::size_t condition, Contest contest, RankedTime metric) {
  const auto r = c.ranking(condition, contest, metric);
  std::erase_if(contest, [&](std::size_t a) { return !c.at(condition, a).time(metric); });
  if (!r || contest.size() < 3) return {};
  const auto time = [&](std::size_t a) { return *c.at(condition, a).time(metric); };
  const std::size_t last = *std::ranges::max_element(contest, {}, time), first = r->best[0];
  if (last == r->next || seconds(time(last)) <= seconds(time(first)) * (1 + kLevelMargin)) return {};
  const Point &w = c.at(condition, first), &l = c.at(condition, last);
  return fmt::format("{}, first against last: {:.2f} times as fast as {} with {}{}; {}", load_in_words(c, condition),
                     ratio(time(last), time(first)), full_label(c, l), to_text(time(last)), memory_remark(l),
                     because(w, l, metric));
}

// What a headline sums up: the rankings under those loads under which something can be started, or under all where
// nothing ever can.
struct Rankings {
  std::vector<std::pair<std::size_t, Ranking>> of;  // by condition
  bool starts = false;
  std::size_t left_out = 0;  // loads under which nothing can be started
};

Rankings rankings_of(const Comparison& c, const Contest& contest, RankedTime metric) {
  Rankings out;
  for (std::size_t i = 0; i < c.conditions.size(); ++i)
    if (auto r = c.ranking(i, contest, metric)) {
      out.starts = out.starts || r->starts;
      out.of.emplace_back(i, *std::move(r));
    }
  if (out.starts) out.left_out = std::erase_if(out.of, [](const auto& r) { return !r.second.starts; });
  return out;
}

// ", 1.06 to 1.17 times as fast as the next one"; nothing where there is no next one.
std::string lead(const Comparison& c, const Rankings& rankings, RankedTime metric) {
  std::vector<double> leads;
  for (const auto& [i, r] : rankings.of)
    if (r.next) leads.push_back(ratio(*c.at(i, *r.next).time(metric), *c.at(i, r.best[0]).time(metric)));
  if (leads.empty()) return {};
  const auto [least, most] = std::ranges::minmax(leads);
  return most - least < 0.005 ? fmt::format(", {:.2f} times as fast as the next one", most)
                              : fmt::format(", {:.2f} to {:.2f} times as fast as the next one", least, most);
}

std::string names(const Comparison& c, Contest alternatives) {
  std::ranges::sort(alternatives);
  std::vector<std::string> out;
  for (const std::size_t a : alternatives)
    out.push_back(label(c, a) + (c.at(0, a).standing == Standing::kWhatIf ? " [what-if]" : ""));
  if (out.size() < 2) return out.empty() ? "" : out[0];
  const std::string last = out.back();
  out.pop_back();
  return fmt::format("{} and {}", fmt::join(out, ", "), last);
}

// Without its metric's name: "cp 2 wins under all 6 loads, 1.06 to 1.17 times as fast as the next one".
std::string who_wins(const Comparison& c, const Rankings& rankings, RankedTime metric) {
  const char* const would = rankings.starts ? "" : "would ";
  Contest winners;  // each the only one at the top of some load
  std::size_t clear = 0;
  bool same = true;
  Contest first = rankings.of[0].second.best;
  std::ranges::sort(first);
  for (const auto& [i, r] : rankings.of) {
    Contest best = r.best;
    std::ranges::sort(best);
    same = same && best == first;
    if (best.size() > 1) continue;
    ++clear;
    if (std::ranges::find(winners, best[0]) == winners.end()) winners.push_back(best[0]);
  }
  const std::size_t loads = rankings.of.size();
  const std::string all = loads == 1 ? "" : fmt::format(" under all {} loads", loads);
  const std::string ahead = lead(c, rankings, metric);
  if (same && first.size() > 1) return fmt::format("{} are level{} ({}){}", names(c, first), all, level_words(), ahead);
  if (same) return fmt::format("{} {}{}{}{}", names(c, first), would, *would == 0 ? "wins" : "win", all, ahead);
  if (winners.empty()) return fmt::format("the best are level under each load ({}){}", level_words(), ahead);
  const std::string level_under = clear == loads ? ""
                                                 : fmt::format("; under {} of {} loads the best are level ({})",
                                                               loads - clear, loads, level_words());
  if (winners.size() == 1)
    return fmt::format("{} {}{} under {} of {} loads{}{}", names(c, winners), would, *would == 0 ? "wins" : "win",
                       clear, loads, ahead, level_under);
  return fmt::format("which is faster depends on the load: {} {}win in turn{}{}", names(c, winners), would, ahead,
                     level_under);
}

void add_headlines(const Comparison& c, const Contest& contest, std::vector<std::string>& out) {
  const std::vector<RankedTime> metrics = c.metrics(contest);
  if (metrics.empty()) {
    std::vector<std::string> servers;
    for (std::size_t i = 0; i < c.conditions.size(); ++i)
      for (const std::size_t a : contest)
        if (const std::string& name = c.at(i, a).subject.question.hardware.server;
            std::ranges::find(servers, name) == servers.end())
          servers.push_back(name);
    out.push_back(fmt::format("None of the alternatives can run on {}.", fmt::join(servers, " or ")));
    return;
  }
  for (const RankedTime metric : metrics) {
    const Rankings rankings = rankings_of(c, contest, metric);
    const auto alone = [](const auto& r) { return r.second.best.size() == 1 && !r.second.next; };
    const std::size_t only = rankings.of[0].second.best[0];
    if (std::ranges::all_of(rankings.of, [&](const auto& r) { return alone(r) && r.second.best[0] == only; })) {
      if (contest.size() == 1) return;
      std::string text =
          fmt::format("Of these {} alone can {}", names(c, {only}), rankings.starts ? "be started" : "run");
      if (rankings.left_out > 0) text += fmt::format(", under {} of {} loads", rankings.of.size(), c.conditions.size());
      out.push_back(text + ".");
      return;
    }
    std::string text = fmt::format("{}: {}", name_of(metric), who_wins(c, rankings, metric));
    if (rankings.left_out > 0)
      text += fmt::format("; under {} of {} loads none can be started", rankings.left_out, c.conditions.size());
    out.push_back(text + ".");
  }
}

// Times are compared whether or not it can be started; where nothing ever can, that comes first.
std::string if_none_starts(const Comparison& c) {
  double least = std::numeric_limits<double>::infinity();
  const Deployment* d = nullptr;
  bool fits = false;
  for (const Point& p : c.points) {
    if (!p.runs()) continue;
    if (p.starts()) return {};
    fits = fits || p.prediction.memory.fits();
    if (d != nullptr && p.prediction.memory.smallest_fraction() >= least) continue;
    least = p.prediction.memory.smallest_fraction();
    d = &p.subject.deployment();
  }
  if (d == nullptr) return {};
  if (fits) return "None of these can be started: the engine refuses what fits; times are those if it took them.";
  constexpr const char* kWhat = "None of these fits into memory: times are those if there were memory enough";
  // A fraction of weights and cache leaves activations aside.
  if (least > 1 || d->traits().fraction_of == FractionOf::kWeightsAndCache) return fmt::format("{}.", kWhat);
  return fmt::format("{}. The first fits from {} {:.2f} on.", kWhat, key_name(*d, "NPU_MEMORY_FRACTION"), least);
}

void add_crossovers(const Comparison& c, std::vector<std::string>& out) {
  for (const Crossover& x : c.crossovers) {
    const std::string batch = x.batch > 0 ? fmt::format(" with {} requests", x.batch) : "";
    out.push_back(
        x.stops
            ? fmt::format("Crossover: {} wins up to {} tokens; from {} tokens on it cannot be started, and "
                          "{} wins{}.",
                          label(c, x.earlier), with_commas(x.below), with_commas(x.tokens), label(c, x.later), batch)
            : fmt::format("Crossover: {} is faster up to {} tokens, {} from {} tokens on{}.", label(c, x.earlier),
                          with_commas(x.below), label(c, x.later), with_commas(x.tokens), batch));
  }
  if (!c.varies_length() || c.alternatives.size() < 2 || !c.crossovers.empty()) return;
  if (std::ranges::none_of(c.points, [](const Point& p) { return p.runs(); })) return;
  const auto [least, most] = std::ranges::minmax_element(c.conditions, {}, &Condition::input_tokens);
  out.push_back(fmt::format(
      "No crossover between {} and {} tokens: the same alternative is the fastest, or level with it, at each length.",
      with_commas(least->input_tokens), with_commas(most->input_tokens)));
}

}  // namespace

std::vector<std::string> verdict(const Comparison& c) {
  std::vector<std::string> out;
  const auto contests = c.contests();
  if (std::string none = if_none_starts(c); !none.empty()) out.push_back(std::move(none));
  for (const Contest& contest : contests) add_headlines(c, contest, out);
  add_crossovers(c, out);
  // Under several loads only what winners win by is given reasons.
  for (std::size_t i = 0; i < c.conditions.size(); ++i)
    for (const Contest& contest : contests) {
      std::vector<RankedTime> metrics = c.metrics(contest);
      if (metrics.empty()) metrics = {RankedTime::kTtft};
      if (c.conditions.size() > 1) metrics.resize(1);
      for (const RankedTime metric : metrics) {
        out.push_back(reason(c, i, contest, metric));
        if (std::string widest = first_against_last(c, i, contest, metric); !widest.empty())
          out.push_back(std::move(widest));
      }
    }
  for (const std::string& key : c.without_effect)
    out.push_back(fmt::format("{} changes nothing here: equal times and memory for all of its values.", key));
  return out;
}

Json winners_json(const Comparison& c) {
  Json out = Json::array();
  for (const Contest& contest : c.contests())
    for (std::size_t i = 0; i < c.conditions.size(); ++i)
      for (const RankedTime metric : c.metrics(contest)) {
        const auto r = c.ranking(i, contest, metric);
        if (!r) continue;
        const Workload& w = c.at(i, contest[0]).subject.workload;
        Json best = Json::array();
        for (const std::size_t a : r->best) best.push_back(label(c, a));
        out.push_back({{"metric", kMetricKeys[static_cast<std::size_t>(metric)]},
                       {"input_tokens", w.input_tokens},
                       {"concurrency", w.batch},
                       {"best", best},
                       {"can_be_started", r->starts}});
      }
  return out;
}

}  // namespace ascendsim
