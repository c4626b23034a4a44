#include "reports/answers/served_comparison.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

namespace {

std::string name_of(const Comparison& c, std::size_t point) { return label(c, c.points[point].alternative); }

// "TTFT 1.21 s (p99 2.3 s), TPOT 41 ms, stable"
std::string in_words(const ServiceReport& r) {
  const auto time = [](double ms) { return to_text(duration_from_seconds(ms / 1e3)); };
  return fmt::format("TTFT {} (p99 {}), TPOT {} (p99 {}), {}", time(r.ttft.mean_ms), time(r.ttft.p99_ms),
                     time(r.tpot.mean_ms), time(r.tpot.p99_ms), to_text(r.verdict));
}

// Points of one load that were served, the lowest mean TTFT first.
std::vector<std::size_t> ranked(const Comparison& c, std::size_t condition) {
  std::vector<std::size_t> out;
  for (std::size_t a = 0; a < c.alternatives.size(); ++a)
    if (c.at(condition, a).served) out.push_back(condition * c.alternatives.size() + a);
  std::ranges::stable_sort(out, {}, [&](std::size_t i) { return c.points[i].served->report.ttft.mean_ms; });
  return out;
}

}  // namespace

ServiceAnswer service_of(const Comparison& c, std::size_t point) {
  const Point& p = c.points[point];
  return {c.loads[point / c.alternatives.size()], p.served->report, p.subject.cards() * c.instances,
          p.subject.deployment().model.name, false};
}

std::vector<std::string> served_verdict(const Comparison& c) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < c.loads.size(); ++i) {
    const std::vector<std::size_t> order = ranked(c, i);
    if (order.empty()) {
      out.push_back(fmt::format("{}: no alternative can be served", c.loads[i].what));
      continue;
    }
    const ServiceReport& best = c.points[order.front()].served->report;
    std::string text =
        fmt::format("{}: {} has the lowest mean TTFT: {}", c.loads[i].what, name_of(c, order.front()), in_words(best));
    for (const std::size_t other : order)
      if (other != order.front())
        text += fmt::format("; {}: {}", name_of(c, other), in_words(c.points[other].served->report));
    out.push_back(text + ".");
  }
  return out;
}

Table served_table(const Comparison& c) {
  Table t{"Alternatives under the load",
          "served",
          Table::Shape::kGrid,
          {{"alternative", "alternative"},
           {"load", "load", false, Readers::kMachines},
           {"input", "input_tokens", true},
           {"engine", "standing"},
           {"verdict", "verdict"},
           {"TTFT ms", "ttft_ms", true},
           {"p99", "ttft_p99_ms", true},
           {"queue", "queue_ms", true},
           {"TPOT ms", "tpot_ms", true},
           {"p99", "tpot_p99_ms", true},
           {"stall", "longest_stall_ms", true},
           {"tok/s", "output_throughput_tok_s", true},
           {"goodput/s", "goodput_req_s", true},
           {"busy %", "utilisation_percent", true},
           {"KV %", "kv_use_percent", true}},
          {}};
  for (std::size_t i = 0; i < c.points.size(); ++i) {
    const Point& p = c.points[i];
    const LoadOverTime& load = c.loads[i / c.alternatives.size()];
    std::vector<Cell> row{name_of(c, i), load.what, count_cell(load.input_tokens), to_text(p.standing)};
    if (p.served) {
      const ServiceReport& r = p.served->report;
      row.emplace_back(to_text(r.verdict));
      for (const double ms :
           {r.ttft.mean_ms, r.ttft.p99_ms, r.ttft_terms_ms[2], r.tpot.mean_ms, r.tpot.p99_ms, r.stall.max_ms})
        row.push_back(ms_cell(ms));
      row.push_back(number_cell(r.output_tokens_per_second, 1));
      row.push_back(load.slo.any() ? number_cell(r.goodput_per_second, 3) : Cell("-", ""));
      row.push_back(number_cell(r.pools.empty() ? 0 : 100 * r.pools.front().utilisation, 1));
      row.push_back(number_cell(r.pools.empty() ? 0 : 100 * r.pools.front().kv_use, 1));
    } else {
      row.emplace_back(p.runs() ? "does not fit" : "-");
    }
    while (row.size() < t.columns.size()) row.emplace_back("-", "");
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace ascendsim
