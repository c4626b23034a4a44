#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "reports/writers/writers.h"

namespace ascendsim {

namespace {

// RFC 4180.
// Spreadsheets compute what begins like a formula: a quote in front makes it a text. Numbers stay numbers.
std::string csv_field(std::string text) {
  const bool formula = text.size() > 1 && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
  double number = 0;
  const char* const end = text.data() + text.size();
  if (formula && std::from_chars(text.data(), end, number).ptr != end) text.insert(text.begin(), '\'');
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string csv_of(std::span<const Table> tables) {
  fmt::memory_buffer out;
  const auto put = std::back_inserter(out);
  for (const Table& t : tables) {
    if (t.rows.empty() || t.readers == Readers::kPeople) continue;
    fmt::format_to(put, "{}# {}\n", out.size() > 0 ? "\n" : "", t.key);
    for (std::size_t c = 0; c < t.columns.size(); ++c) fmt::format_to(put, "{}{}", c > 0 ? "," : "", t.columns[c].key);
    fmt::format_to(put, "\n");
    for (const auto& row : t.rows) {
      for (std::size_t c = 0; c < row.size(); ++c)
        fmt::format_to(put, "{}{}", c > 0 ? "," : "", csv_field(row[c].value()));
      fmt::format_to(put, "\n");
    }
  }
  return fmt::to_string(out);
}

}  // namespace ascendsim
