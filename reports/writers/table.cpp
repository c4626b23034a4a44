#include "reports/writers/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "sim/check.h"

namespace ascendsim {

namespace {

// First and last code points that terminals draw two columns wide (Unicode TR 11, the blocks that occur in practice).
constexpr std::pair<char32_t, char32_t> kWide[] = {
    {0x1100, 0x115F}, {0x2E80, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr std::pair<char32_t, char32_t> kNoWidth[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}};

bool is_in(char32_t c, std::span<const std::pair<char32_t, char32_t>> ranges) {
  return std::ranges::any_of(ranges, [c](const auto& r) { return c >= r.first && c <= r.second; });
}

// Input files reach the terminal through cells: no escape sequences, no line breaks.
std::string printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::string markdown_cell(const Cell& cell) {
  std::string out;
  for (const char c : printable(cell.text)) {
    if (c == '|' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

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

class Writer {
 public:
  explicit Writer(Format format) : format_(format) {}

  void table(const Table& t) {
    if (t.rows.empty()) return;
    if (buffer_.size() > 0) put("\n");
    switch (format_) {
      case Format::kMarkdown:
        return markdown(t);
      case Format::kCsv:
        return csv(t);
      default:
        return terminal(t);
    }
  }
  [[nodiscard]] std::string take() const { return fmt::to_string(buffer_); }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
  }

  void terminal(const Table& t) {
    if (!t.title.empty()) put("{}\n", t.title);
    if (t.shape == Table::Shape::kList) {
      for (const auto& row : t.rows) put("  * {}\n", printable(row[0].text));
      return;
    }
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < t.columns.size(); ++c) {
      widths.push_back(t.shape == Table::Shape::kGrid ? display_width(t.columns[c].title) : 0);
      for (const auto& row : t.rows) widths[c] = std::max(widths[c], display_width(row[c].text));
    }
    if (t.shape == Table::Shape::kGrid) {
      std::vector<Cell> header;
      for (const Column& c : t.columns) header.emplace_back(c.title);
      terminal_row(t, header, widths);
    }
    for (const auto& row : t.rows) terminal_row(t, row, widths);
  }

  void terminal_row(const Table& t, const std::vector<Cell>& row, const std::vector<std::size_t>& widths) {
    std::string line = t.title.empty() ? "" : "  ";
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(widths[c] - std::min(widths[c], display_width(row[c].text)), ' ');
      const std::string text = printable(row[c].text);
      if (c > 0) line += "  ";
      line += t.columns[c].is_number ? pad + text : text + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    put("{}\n", line);
  }

  void markdown(const Table& t) {
    if (!t.title.empty()) put("### {}\n\n", t.title);
    if (t.shape == Table::Shape::kList) {
      for (const auto& row : t.rows) put("* {}\n", printable(row[0].text));
      return;
    }
    for (const Column& c : t.columns) put("| {} ", c.title);
    put("|\n");
    for (const Column& c : t.columns) put("| {} ", c.is_number ? "---:" : "---");
    put("|\n");
    for (const auto& row : t.rows) {
      for (const Cell& cell : row) put("| {} ", markdown_cell(cell));
      put("|\n");
    }
  }

  void csv(const Table& t) {
    put("# {}\n", t.key);
    for (std::size_t c = 0; c < t.columns.size(); ++c) put("{}{}", c > 0 ? "," : "", t.columns[c].key);
    put("\n");
    for (const auto& row : t.rows) {
      for (std::size_t c = 0; c < row.size(); ++c) put("{}{}", c > 0 ? "," : "", csv_field(row[c].value()));
      put("\n");
    }
  }

  Format format_;
  fmt::memory_buffer buffer_;
};

}  // namespace

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

Table facts(std::string title, std::string key) {
  return {std::move(title), std::move(key), Table::Shape::kFacts, {{"fact", "fact"}, {"value", "value"}}, {}};
}

Table list_of(std::string title, std::string key, std::vector<std::string> lines) {
  Table t{std::move(title), std::move(key), Table::Shape::kList, {{"text", "text"}}, {}};
  for (std::string& line : lines) t.rows.push_back({Cell(std::move(line))});
  return t;
}

std::size_t display_width(std::string_view utf8) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i++]);
    char32_t c = lead;
    if (lead >= 0xC0) c = lead >= 0xF0 ? lead & 0x07u : lead >= 0xE0 ? lead & 0x0Fu : lead & 0x1Fu;
    for (; i < utf8.size() && (static_cast<unsigned char>(utf8[i]) & 0xC0u) == 0x80u; ++i)
      c = (c << 6) | (static_cast<unsigned char>(utf8[i]) & 0x3Fu);
    width += is_in(c, kNoWidth) ? 0 : is_in(c, kWide) ? 2 : 1;
  }
  return width;
}

std::string render(std::span<const Table> tables, Format format) {
  check(format == Format::kTable || format == Format::kMarkdown || format == Format::kCsv, "a format without tables");
  Writer writer(format);
  for (const Table& t : tables) writer.table(t);
  return writer.take();
}

std::string scaled_text(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 7> kPrefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t prefix = 0;
  for (; std::abs(value) >= 999.5 && prefix + 1 < kPrefixes.size(); ++prefix) value /= 1000;
  return fmt::format("{:.4g} {}{}", value, kPrefixes[prefix], unit);
}

}  // namespace ascendsim
