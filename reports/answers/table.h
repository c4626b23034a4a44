// Tables, lists and facts with named columns, before they have a format. Every cell has the text that people read and
// the value that machines read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

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
Cell ms_cell(double ms);
Cell error_cell(double error);  // its order of magnitude for people

// Who reads a table or a column: where all rows are alike or are too many for a screen, people get less.
enum class Readers : std::uint8_t { kAll, kPeople, kMachines };

// key: snake_case and ends with its unit ("time_ms", "peak_bytes"), the column of CSV and the member of JSON.
struct Column {
  std::string title, key;
  bool is_number = false;
  Readers readers = Readers::kAll;
};

struct Table {
  // Facts are two columns without a header; a list is one column of sentences.
  enum class Shape : std::uint8_t { kGrid, kFacts, kList };
  std::string title, key;
  Shape shape = Shape::kGrid;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // as many cells as columns
  Readers readers = Readers::kAll;
};
Table facts(std::string title, std::string key);
Table list_of(std::string title, std::string key, std::vector<std::string> lines);

// Three significant digits and a decimal prefix: "353.9 TFLOP/s".
std::string scaled_text(double value, std::string_view unit);

}  // namespace ascendsim
