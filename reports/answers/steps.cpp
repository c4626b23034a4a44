#include "reports/answers/steps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "workloads/kernels.h"

namespace ascendsim {

namespace {

constexpr int category_of(Category c) { return static_cast<int>(c); }

double percent(Duration part, Duration whole) {
  return whole.count() == 0 ? 0 : 100.0 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
}

// "HBM 50 %, start-up 41 %": the terms of a kernel's time, largest first, that are a tenth of it or more. They overlap:
// what is left to 100 % is where none of them rests behind another.
std::string limits_in_words(const OperatorRow& row) {
  constexpr std::string_view kWords[] = {"start-up", "HBM", "matrix engine", "vector cores", "L2"};
  constexpr double kWorthNaming = 0.1;
  std::vector<std::pair<double, std::string_view>> shares;
  for (std::size_t i = 0; i < row.terms.size(); ++i)
    if (row.terms[i] >= kWorthNaming) shares.emplace_back(row.terms[i], kWords[i]);
  std::ranges::stable_sort(shares, std::ranges::greater{}, &std::pair<double, std::string_view>::first);
  std::vector<std::string> out;
  for (const auto& [share, word] : shares) out.push_back(fmt::format("{} {:.0f} %", word, 100 * share));
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string limit_in_words(const OperatorRow& row) {
  return row.category == kCommunicationCategory ? fmt::format("a collective by {}", row.limit)
                                                : fmt::format("limited by {}", limits_in_words(row));
}

}  // namespace

std::string with_spread(const Percentiles& p) {
  const std::string mean = to_text(p.mean), median = to_text(p.p50), p90 = to_text(p.p90), p99 = to_text(p.p99);
  if (mean == median && median == p99) return mean;
  return fmt::format("{} mean, {} p50, {} p90, {} p99", mean, median, p90, p99);
}

std::vector<PhaseStep> phases_of(Role role, const Prediction& p) {
  std::vector<PhaseStep> phases;
  if (role != Role::kDecode) phases.push_back({"prefill", &p.prefill});
  if (role != Role::kPrefill) phases.push_back({"decode", &p.decode});
  return phases;
}

std::string_view to_text(Role role) {
  switch (role) {
    case Role::kPrefill:
      return "prefill";
    case Role::kDecode:
      return "decode";
    default:
      return "hybrid";
  }
}

std::string_view category_name(std::uint8_t category) {
  if (category == kCommunicationCategory) return "communication";
  switch (static_cast<Category>(category)) {
    case Category::kAttention:
      return "attention";
    case Category::kLinear:
      return "linear";
    case Category::kMoe:
      return "moe";
    default:
      return "vector";
  }
}

std::array<Part, 7> parts_of(const StepTime& s) {
  return {{{"attention", "attention_ms", s.attention, category_of(Category::kAttention)},
           {"linear", "linear_ms", s.linear, category_of(Category::kLinear)},
           {"moe", "moe_ms", s.moe, category_of(Category::kMoe)},
           {"vector", "vector_ms", s.vector, category_of(Category::kVector)},
           {"exposed communication", "exposed_communication_ms", s.exposed_communication, kCommunicationCategory},
           {"host", "host_ms", s.host, -1},
           {"idle", "idle_ms", s.idle, -1}}};
}

std::string bottleneck(const StepTime& step) {
  const auto parts = parts_of(step);
  const Part& first = *std::ranges::max_element(parts, {}, &Part::time);
  std::string text = fmt::format("{}, {:.0f} % of the step", first.name, percent(first.time, step.total));
  // Rows come with the largest time first.
  const auto row =
      std::ranges::find_if(step.operator_rows, [&](const OperatorRow& r) { return r.category == first.category; });
  if (row != step.operator_rows.end())
    return fmt::format("{}; most of it {} ({}), {}", text, row->label, to_text(row->time), limit_in_words(*row));
  return text + (std::string_view(first.name) == "host" ? "; between steps, and issuing kernels"
                                                        : "; waiting for other ranks or streams");
}

std::string distance_to_light(const StepTime& step) {
  return fmt::format("{} at the die's peaks; {} is {:.1f} times that", to_text(step.speed_of_light),
                     to_text(step.total),
                     static_cast<double>(step.total.count()) /
                         static_cast<double>(std::max<std::int64_t>(1, step.speed_of_light.count())));
}

Table reasons_table(const std::vector<PhaseStep>& phases, std::int64_t prompts, std::int64_t decode_context) {
  Table t = facts("", "reasons");
  for (const auto& [name, step] : phases) {
    t.rows.push_back({fmt::format("{} step", name),
                      std::string_view(name) == "prefill"
                          ? fmt::format("{} for {} prompt{}", to_text(step->total), prompts, prompts == 1 ? "" : "s")
                          : fmt::format("{} at a context of {} tokens, the middle of the output", to_text(step->total),
                                        with_commas(decode_context))});
    t.rows.push_back({fmt::format("{} bottleneck", name), bottleneck(*step)});
    t.rows.push_back({fmt::format("{} speed of light", name), distance_to_light(*step)});
  }
  return t;
}

Table breakdown_table(const std::vector<PhaseStep>& phases) {
  Table t{"Where the time of a step goes (slowest rank)", "breakdown", Table::Shape::kGrid, {{"part", "part"}}, {}};
  for (const PhaseStep& p : phases) {
    t.columns.push_back({fmt::format("{} ms", p.name), fmt::format("{}_ms", p.name), true});
    t.columns.push_back({"share", fmt::format("{}_share_percent", p.name), true});
  }
  for (std::size_t part = 0; part < 7; ++part) {
    std::vector<Cell> row{phases.empty() ? "" : parts_of(*phases[0].step)[part].name};
    for (const PhaseStep& p : phases) {
      const Duration time = parts_of(*p.step)[part].time;
      row.push_back(milliseconds_cell(time));
      row.push_back(share_cell(time, p.step->total));
    }
    t.rows.push_back(std::move(row));
  }
  std::vector<Cell> total{"step"}, hidden{"hidden communication"};
  for (const PhaseStep& p : phases) {
    total.push_back(milliseconds_cell(p.step->total));
    total.push_back(share_cell(p.step->total, p.step->total));
    const Duration under_compute = p.step->communication - p.step->exposed_communication;
    hidden.push_back(milliseconds_cell(under_compute));
    hidden.push_back(share_cell(under_compute, p.step->total));
  }
  t.rows.push_back(std::move(total));
  t.rows.push_back(std::move(hidden));
  // Alike ranks wait for nobody: a row only where some compute longer than others.
  constexpr double kWorthARow = 0.01;
  if (std::ranges::none_of(phases, [](const PhaseStep& p) {
        return seconds(p.step->longest_wait) > kWorthARow * seconds(p.step->total);
      }))
    return t;
  std::vector<Cell> waits{"longest wait of a rank for others"};
  for (const PhaseStep& p : phases) {
    waits.push_back(milliseconds_cell(p.step->longest_wait));
    waits.push_back(share_cell(p.step->longest_wait, p.step->total));
  }
  t.rows.push_back(std::move(waits));
  return t;
}

namespace {

// For machines the largest term alone.
Cell limit_cell(const OperatorRow& row) {
  Cell cell(row.category == kCommunicationCategory ? row.limit : limits_in_words(row));
  cell.raw = row.limit;
  return cell;
}

}  // namespace

Table operator_table(const PhaseStep& phase, std::int64_t top) {
  const auto& rows = phase.step->operator_rows;
  const auto shown = std::min(static_cast<std::size_t>(top), rows.size());
  Table t{fmt::format("Operators of a {} step ({} of {}, largest first)", phase.name, shown, rows.size()),
          fmt::format("{}_operators", phase.name),
          Table::Shape::kGrid,
          {{"operator", "operator"},
           {"category", "category"},
           {"count", "count", true},
           {"time ms", "time_ms", true},
           {"share", "share_percent", true},
           {"FLOP", "flop", true},
           {"bytes", "bytes", true},
           {"limit", "limit"},
           {"source", "source"}},
          {}};
  for (const OperatorRow& r : std::span(rows).first(shown))
    t.rows.push_back({r.label, category_name(r.category), count_cell(r.count), milliseconds_cell(r.time),
                      share_cell(r.time, phase.step->total), flops_cell(r.flops), bytes_cell(r.bytes), limit_cell(r),
                      r.source});
  return t;
}

Table collective_table(const PhaseStep& phase) {
  Table t{fmt::format("Collectives of a {} step", phase.name),
          fmt::format("{}_collectives", phase.name),
          Table::Shape::kGrid,
          {{"collective", "collective"},
           {"primitive", "primitive"},
           {"group", "group"},
           {"algorithm", "algorithm"},
           {"count", "count", true},
           {"bytes of one", "bytes", true},
           {"sent per rank", "sent_bytes", true},
           {"time ms", "time_ms", true}},
          {}};
  for (const CollectiveRow& r : phase.step->collective_rows)
    t.rows.push_back({r.label, r.primitive, r.group, r.algorithm, count_cell(r.count), bytes_cell(r.bytes),
                      bytes_cell(r.sent), milliseconds_cell(r.time)});
  return t;
}

}  // namespace ascendsim
