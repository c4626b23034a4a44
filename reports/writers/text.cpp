// Tables for terminals and as Markdown: what people read.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "reports/writers/writers.h"

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

std::string markdown_cell(const Cell& cell) {
  std::string out;
  for (const char c : printable(cell.text)) {
    if (c == '|' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

class Text {
 public:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
  }
  [[nodiscard]] std::string take() const { return fmt::to_string(buffer_); }
  [[nodiscard]] bool empty() const { return buffer_.size() == 0; }

 private:
  fmt::memory_buffer buffer_;
};

// Columns that people see.
std::vector<std::size_t> shown(const Table& t) {
  std::vector<std::size_t> out;
  for (std::size_t c = 0; c < t.columns.size(); ++c)
    if (t.columns[c].readers != Readers::kMachines) out.push_back(c);
  return out;
}

class Terminal {
 public:
  void table(const Table& t) {
    if (!t.title.empty()) out.put("{}\n", t.title);
    if (t.shape == Table::Shape::kList) {
      for (const auto& row : t.rows) out.put("  * {}\n", printable(row[0].text));
      return;
    }
    columns_ = shown(t);
    widths_.assign(t.columns.size(), 0);
    for (const std::size_t c : columns_) {
      if (t.shape == Table::Shape::kGrid) widths_[c] = display_width(t.columns[c].title);
      for (const auto& row : t.rows) widths_[c] = std::max(widths_[c], display_width(row[c].text));
    }
    if (t.shape == Table::Shape::kGrid) line(t, [&](std::size_t c) { return std::string_view(t.columns[c].title); });
    for (const auto& row : t.rows) line(t, [&](std::size_t c) { return std::string_view(row[c].text); });
  }

  Text out;

 private:
  template <class TextOf>
  void line(const Table& t, TextOf text_in) {
    std::string line = t.title.empty() ? "" : "  ";
    for (const std::size_t c : columns_) {
      const std::string_view whole = text_in(c);
      const std::string pad(widths_[c] - std::min(widths_[c], display_width(whole)), ' ');
      const std::string text = printable(whole);
      if (c != columns_.front()) line += "  ";
      line += t.columns[c].is_number ? pad + text : text + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out.put("{}\n", line);
  }

  std::vector<std::size_t> columns_, widths_;
};

class Markdown {
 public:
  void table(const Table& t) {
    if (!t.title.empty()) out.put("### {}\n\n", t.title);
    if (t.shape == Table::Shape::kList) {
      for (const auto& row : t.rows) out.put("* {}\n", printable(row[0].text));
      return;
    }
    const std::vector<std::size_t> columns = shown(t);
    for (const std::size_t c : columns) out.put("| {} ", t.columns[c].title);
    out.put("|\n");
    for (const std::size_t c : columns) out.put("| {} ", t.columns[c].is_number ? "---:" : "---");
    out.put("|\n");
    for (const auto& row : t.rows) {
      for (const std::size_t c : columns) out.put("| {} ", markdown_cell(row[c]));
      out.put("|\n");
    }
  }

  Text out;
};

template <class Writer>
std::string for_people(std::span<const Table> tables) {
  Writer writer;
  for (const Table& t : tables) {
    if (t.rows.empty() || t.readers == Readers::kMachines) continue;
    if (!writer.out.empty()) writer.out.put("\n");
    writer.table(t);
  }
  return writer.out.take();
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
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

std::string text_of(std::span<const Table> tables) { return for_people<Terminal>(tables); }
std::string markdown_of(std::span<const Table> tables) { return for_people<Markdown>(tables); }

}  // namespace ascendsim
