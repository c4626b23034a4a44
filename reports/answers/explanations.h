// What `explain` knows: diagnostic codes, keys, metrics.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "reports/answers/table.h"
#include "sim/diagnostics.h"

namespace ascendsim {

struct CodeText {
  std::string_view code, meaning, cause, remedy;
};
std::span<const CodeText> code_texts();

struct MetricText {
  std::string_view name;  // "ttft"
  std::string_view key;   // of JSON
  std::string_view meaning, formula, source;
};
std::span<const MetricText> metric_texts();

// Words of tables: operators, groups of ranks, primitives, columns.
struct WordText {
  std::string_view word, meaning, more;
};
std::span<const WordText> operator_words();

// A code, a key (ours or MindIE's), a metric, or `file` for all keys of our deployment file. Empty after E0010.
std::vector<Table> explain(std::string_view word, Diagnostics& diagnostics);

}  // namespace ascendsim
