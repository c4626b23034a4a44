// What a command answers with, before it has a format: facts, tables and lists with named columns. Every cell has the
// text that people read and the value that machines read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

enum class Format : std::uint8_t { kTable, kMarkdown, kCsv, kJson, kShort, kGithub };

struct Cell {
  Cell(std::string shown) : text(std::move(shown)) {}
  Cell(const char* shown) : text(shown) {}
  Cell(std::string_view shown) : text(shown) {}
  Cell(std::string shown, std::string number) : text(std::move(shown)), raw(std::move(number)), is_number(true) {}
  [[nodiscard]] const std::string& value() const { return raw.empty() ? text : raw; }

  std::string text;
  std::string raw;  // full precision, in the unit that the column's key names
  bool is_number = false;
};
Cell count_cell(std::int64_t n);
Cell milliseconds_cell(Duration d);
Cell bytes_cell(Bytes b);
Cell flops_cell(Flops f);
Cell share_cell(Duration part, Duration whole);  // percent
Cell number_cell(double value, int decimals);

// key: snake_case with its unit ("time_ms"), the column of CSV and the member of JSON.
struct Column {
  std::string title, key;
  bool is_number = false;
};

struct Table {
  // Facts are two columns without a header; a list is one column of sentences.
  enum class Shape : std::uint8_t { kGrid, kFacts, kList };
  std::string title, key;
  Shape shape = Shape::kGrid;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};
Table facts(std::string title, std::string key);
Table list_of(std::string title, std::string key, std::vector<std::string> lines);

// Columns of a terminal: East Asian wide characters take two, combining ones none.
std::size_t display_width(std::string_view utf8);

// REQUIRES: format is kTable, kMarkdown or kCsv. Tables without rows are left out.
std::string render(std::span<const Table> tables, Format format);

// Three significant digits and a decimal prefix: "353.9 TFLOP/s".
std::string scaled_text(double value, std::string_view unit);

}  // namespace ascendsim
