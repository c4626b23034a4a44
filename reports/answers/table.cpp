#include "reports/answers/table.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace ascendsim {

Cell count_cell(std::int64_t n) { return {with_commas(n), fmt::to_string(n)}; }
Cell milliseconds_cell(Duration d) { return {fmt::format("{:.3f}", milliseconds(d)), fmt::to_string(milliseconds(d))}; }
Cell bytes_cell(Bytes b) { return {to_text(b), fmt::to_string(b.count())}; }
Cell flops_cell(Flops f) {
  return {f.count() == 0 ? "" : scaled_text(static_cast<double>(f.count()), "FLOP"), fmt::to_string(f.count())};
}
Cell share_cell(Duration part, Duration whole) {
  if (whole.count() == 0) return {"", "0"};
  const double percent = 100.0 * static_cast<double>(part.count()) / static_cast<double>(whole.count());
  return {fmt::format("{:.1f} %", percent), fmt::to_string(percent)};
}
Cell number_cell(double value, int decimals) {
  return {fmt::format("{:.{}f}", value, decimals), fmt::to_string(value)};
}

Cell ms_cell(double ms) { return number_cell(ms, 3); }

Cell error_cell(double error) { return {fmt::format("{:.1e}", error), fmt::to_string(error)}; }

Table facts(std::string title, std::string key) {
  return {std::move(title), std::move(key), Table::Shape::kFacts, {{"fact", "fact"}, {"value", "value"}}, {}};
}

Table list_of(std::string title, std::string key, std::vector<std::string> lines) {
  Table t{std::move(title), std::move(key), Table::Shape::kList, {{"text", "text"}}, {}};
  for (std::string& line : lines) t.rows.push_back({Cell(std::move(line))});
  return t;
}

std::string scaled_text(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 7> kPrefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t prefix = 0;
  for (; std::abs(value) >= 999.5 && prefix + 1 < kPrefixes.size(); ++prefix) value /= 1000;
  return fmt::format("{:.4g} {}{}", value, kPrefixes[prefix], unit);
}

}  // namespace ascendsim
