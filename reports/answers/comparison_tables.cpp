#include "reports/answers/comparison_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "reports/answers/comparison_verdict.h"
#include "reports/answers/findings.h"
#include "reports/answers/headings.h"
#include "reports/answers/json_parts.h"
#include "reports/answers/memory_tables.h"
#include "reports/answers/served_comparison.h"
#include "reports/answers/steps.h"
#include "strategies/engines/rules.h"
#include "strategies/programs/groups.h"

namespace ascendsim {

namespace {

std::vector<std::string> followed(const Point& p) {
  std::vector<std::string> out = p.derived;
  out.insert(out.end(), p.raised.begin(), p.raised.end());
  return out;
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
Duration mean_decode_step(const Point& p) {
  return has_tpot(p) ? p.prediction.decode_step : p.prediction.decode.total;
}

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
    row.push_back(time_cell(mean_decode_step(p), decodes(p)));
    row.push_back(p.runs() ? bytes_cell(p.prediction.memory.peak()) : Cell("-", ""));
    row.emplace_back(p.runs() ? fit_word(p.prediction.memory) : "-");
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
      row.push_back(number_cell(seconds(step.total) / seconds(std::max(step.speed_of_light, Duration(1))), 2));
      t.rows.push_back(std::move(row));
    }
  return t;
}

// For people, one load is enough: the last one, which is the longest of a range.
bool shown(const Comparison& c, const Point& p, Readers readers) {
  return readers != Readers::kPeople ||
         p.subject.workload.input_tokens == c.points.back().subject.workload.input_tokens;
}

Table collective_sums(const Comparison& c, Readers readers) {
  const bool all = readers != Readers::kPeople || !c.varies_length();
  const std::string at = all ? ""
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
      if (!phase.has(p) || !shown(c, p, readers)) continue;
      const std::int64_t layers = std::max<std::int64_t>(1, p.subject.deployment().model.layers);
      for (const CollectiveSum& s : collectives_of(p.prediction.*phase.step)) {
        std::vector<Cell> row = point_cells(c, p);
        row.emplace_back(phase.name);
        row.emplace_back(s.primitive);
        row.emplace_back(s.group);
        row.push_back(count_cell(s.count));
        row.push_back(number_cell(static_cast<double>(s.count) / static_cast<double>(layers), 2));
        row.push_back(bytes_cell(s.bytes));
        row.push_back(Cell(bytes_cell(s.sent / layers).text,
                           fmt::to_string(static_cast<double>(s.sent.count()) / static_cast<double>(layers))));
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

// The ranks that alternatives have, not those that the file says: a setting may have changed them.
std::string ranks_in_words(const Comparison& c) {
  std::vector<std::int64_t> ranks;
  for (const Point& p : c.points)
    if (p.runs() && std::ranges::find(ranks, p.subject.deployment().layout.world()) == ranks.end())
      ranks.push_back(p.subject.deployment().layout.world());
  const Question& q = c.base.question;
  if (ranks.empty()) ranks.push_back(q.deployment.layout.world());
  return fmt::format("{} (as asked: {})",
                     ranks.size() == 1 ? fmt::format("{} in every alternative", ranks[0])
                                       : fmt::format("{}, by alternative", fmt::join(ranks, ", ")),
                     layout_words(q.deployment.layout, degree_words(q)));
}

Table subject_of(const Comparison& c) {
  Table t = facts("", "deployment");
  const Question& q = c.base.question;
  const Deployment& d = q.deployment;
  t.rows.push_back({"file", fmt::format("{} ({} {})", d.file, d.engine_name, d.engine_version)});
  t.rows.push_back({"ranks", ranks_in_words(c)});
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
  out["decode_step_ms"] = number_or_null(milliseconds(mean_decode_step(p)), decodes(p));
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
  out["borderline"] = p.runs() ? Json(r.memory.borderline()) : Json(nullptr);
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

std::vector<Table> comparison_tables(const Comparison& c) {
  if (!c.loads.empty())
    return {list_of("Verdict", "verdict", served_verdict(c)),
            subject_of(c),
            served_table(c),
            refusals(c),
            memory_columns(c),
            list_of("Assumptions", "assumptions", assumed(c))};
  std::vector<Table> tables;
  tables.push_back(list_of("Verdict", "verdict", verdict(c)));
  tables.push_back(subject_of(c));
  tables.push_back(overview(c));
  tables.push_back(refusals(c));
  for (const PhaseOf& phase : kPhases) tables.push_back(time_table(c, phase));
  if (c.varies_length()) {
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
  Json out = {{"verdict", c.loads.empty() ? verdict(c) : served_verdict(c)},
              {"level_margin", kLevelMargin},
              {"winners", c.loads.empty() ? winners_json(c) : Json::array()},
              {"points", Json::array()},
              {"crossovers", Json::array()}};
  for (std::size_t i = 0; i < c.points.size(); ++i) {
    Json& point = out["points"].emplace_back(point_json(c, c.points[i]));
    if (c.points[i].served) put_service(service_of(c, i), point);
  }
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
