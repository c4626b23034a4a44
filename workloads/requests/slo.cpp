#include "workloads/requests/slo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "sim/diagnostics.h"

namespace ascendsim {

namespace {

constexpr std::string_view kStatistics[] = {"mean", "p50", "p90", "p95", "p99", "max"};
constexpr std::string_view kMetrics[Slo::kMetrics] = {"ttft", "tpot", "e2el"};
constexpr const char* kExample = "ttft=2s,tpot=50ms:p95";

std::string known(std::string_view word, std::span<const std::string_view> words) {
  const std::string_view near = nearest(word, words);
  return near.empty() ? fmt::format("one of: {}", fmt::join(words, ", ")) : fmt::format("did you mean '{}'?", near);
}

template <class T>
std::optional<T> among(std::string_view word, std::span<const std::string_view> words) {
  const auto at = std::ranges::find(words, word);
  if (at == words.end()) return std::nullopt;
  return static_cast<T>(at - words.begin());
}

SloText wrong(std::string what, std::string help) { return {std::nullopt, std::move(what), std::move(help)}; }

// "tpot=50ms:p95"
SloText add(std::string_view term, Slo& slo) {
  const std::size_t equals = term.find('=');
  if (equals == std::string_view::npos)
    return wrong(fmt::format("'{}' has no limit", term), fmt::format("for example {}", kExample));
  const std::string_view name = term.substr(0, equals);
  const std::string_view value = term.substr(equals + 1);
  const std::size_t colon = std::min(value.find(':'), value.size());
  const auto metric = among<Slo::Metric>(name, kMetrics);
  if (!metric)
    return wrong(fmt::format("unknown metric '{}'", name),
                 name == "itl" ? "gaps between chunks are no figure of a request: tpot" : known(name, kMetrics));
  Slo::Limit limit;
  const auto at_most = parse_quantity<Duration>(std::string(value.substr(0, colon)));
  if (!at_most || at_most->count() <= 0)
    return wrong(fmt::format("the limit of {} must be a time above 0, got '{}'", name, value.substr(0, colon)),
                 "for example 2s, 500ms");
  limit.at_most = *at_most;
  if (colon < value.size()) {
    const std::string_view word = value.substr(colon + 1);
    const auto statistic = among<Statistic>(word, kStatistics);
    if (!statistic) return wrong(fmt::format("unknown statistic '{}' of {}", word, name), known(word, kStatistics));
    limit.judged_by = *statistic;
  }
  if (slo.of(*metric)) return wrong(fmt::format("{} has two limits", name), "one is enough");
  slo.of(*metric) = limit;
  return {slo, {}, {}};
}

}  // namespace

std::string_view to_text(Statistic statistic) { return kStatistics[static_cast<std::size_t>(statistic)]; }
std::string_view to_text(Slo::Metric metric) { return kMetrics[static_cast<std::size_t>(metric)]; }

bool Slo::any() const {
  return std::ranges::any_of(limits, [](const auto& l) { return l.has_value(); });
}

SloText parse_slo(std::string_view text) {
  Slo slo;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    SloText added = add(text.substr(at, comma - at), slo);
    if (!added.slo) return added;
    at = comma + 1;
  }
  return {slo, {}, {}};
}

}  // namespace ascendsim
