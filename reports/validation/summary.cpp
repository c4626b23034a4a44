#include "reports/validation/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>

namespace ascendsim {

namespace {

constexpr std::int64_t kValuesToJudge = 5;
constexpr double kShareWithin = 0.9;

constexpr std::array<Bar, 7> kBars = {{{"kernel time", 0.08, 0.20},
                                       {"collective and link time", 0.08, 0.15},
                                       {"memory per rank", 0.03, 0.08},
                                       {"decode step, TPOT without queues", 0.06, 0.15},
                                       {"prefill, single-request TTFT", 0.08, 0.20},
                                       {"throughput of a closed loop", 0.0, 0.0},  // no bar was set
                                       {"other", 0.0, 0.0}}};

std::string group_name(const Result& r, SummaryBy by) {
  const Bar& bar = bar_of(r.of.metric->group);
  const bool kernel = r.of.metric->group == MetricGroup::kKernel;
  return kernel && by == SummaryBy::kMetric ? fmt::format("{}: {}", bar.name, r.family) : std::string(bar.name);
}

std::string table_of(const Result& r) { return r.of.table_rows > 1 ? r.of.id.substr(0, r.of.id.find('/')) : r.of.id; }

void judge(SummaryRow& row, const std::vector<const Result*>& members) {
  std::vector<Weighted> errors;
  std::set<std::string> tables;
  double within = 0, whole = 0;
  for (const Result* r : members) {
    const double weight = 1.0 / static_cast<double>(r->of.table_rows);
    errors.push_back({std::abs(*r->error), weight});
    tables.insert(table_of(*r));
    whole += weight;
    if (errors.back().value <= row.bar->within) within += weight;
  }
  row.values = static_cast<std::int64_t>(members.size());
  row.tables = static_cast<std::int64_t>(tables.size());
  row.median = weighted_median(std::move(errors));
  row.share_within = within / whole;
  if (row.split != Split::kTest || row.values < kValuesToJudge || row.bar->within == 0) return;
  constexpr double kRounding = 1e-9;  // of the sum of weights
  row.verdict =
      row.median <= row.bar->median && row.share_within >= kShareWithin - kRounding ? CaseVerdict::kMet : CaseVerdict::kMissed;
}

void count_in(ConfigNode node, FigureCounts& counts) {
  if (const ConfigNode kind = node.find("kind"); kind && node.find("value")) {
    ++counts.all;
    if (kind.text() == to_text(FigureKind::kFitted)) ++counts.fitted;
    if (kind.text() == to_text(FigureKind::kAssumed)) ++counts.assumed;
    return;
  }
  if (node.is_map())
    for (std::size_t i = 0; i < node.size(); ++i) count_in(node.at(i), counts);
}

}  // namespace

const Bar& bar_of(MetricGroup group) { return kBars[static_cast<std::size_t>(group)]; }

double weighted_median(std::vector<Weighted> values) {
  std::ranges::sort(values, {}, &Weighted::value);
  double whole = 0, reached = 0;
  for (const Weighted& v : values) whole += v.weight;
  constexpr double kRounding = 1e-9;
  for (std::size_t i = 0; i < values.size(); ++i) {
    reached += values[i].weight;
    // Exactly half: the middle lies between this value and the next.
    if (std::abs(reached - whole / 2) < kRounding * whole && i + 1 < values.size())
      return (values[i].value + values[i + 1].value) / 2;
    if (reached > whole / 2) return values[i].value;
  }
  return values.back().value;
}

std::vector<SummaryRow> summarise(std::span<const Result> results, SummaryBy by) {
  std::vector<SummaryRow> rows;
  std::vector<std::vector<const Result*>> members;
  for (const Result& r : results) {
    if (!r.error || (by == SummaryBy::kStack && r.of.stack == "none")) continue;
    const std::string name = group_name(r, by), stack = by == SummaryBy::kStack ? r.of.stack : "";
    const auto at = std::ranges::find_if(
        rows, [&](const SummaryRow& row) { return row.name == name && row.split == r.of.split && row.stack == stack; });
    const auto index = static_cast<std::size_t>(at - rows.begin());
    if (at == rows.end()) {
      rows.push_back({.name = name, .split = r.of.split, .stack = stack, .bar = &bar_of(r.of.metric->group)});
      members.emplace_back();
    }
    members[index].push_back(&r);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) judge(rows[i], members[i]);
  // Bars in their order, and the scored cases first.
  std::ranges::stable_sort(
      rows, {}, [](const SummaryRow& r) { return std::pair(r.stack, std::pair(r.split, r.bar - kBars.data())); });
  return rows;
}

FigureCounts count_figures(const std::string& folder) {
  FigureCounts counts;
  Diagnostics ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".yaml")
      if (const auto document = Document::load(entry.path().string(), ignored)) count_in(document->root(), counts);
  return counts;
}

}  // namespace ascendsim
