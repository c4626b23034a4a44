// Published measurements as data: reports/validation/*.yaml, or a user's own file in the same format, which
// docs/validation-cases.md describes. Reading is strict: whatever is wrong is said with its line, all at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/config.h"
#include "strategies/deployment/stack.h"

namespace ascendsim {

// fit: cited as a source of a catalogue or stack figure. weak: press, figures read off, ambiguous sources; not scored.
enum class Split : std::uint8_t { kTest, kFit, kWeak };
std::string_view to_text(Split split);

// What is judged together, by a bar of its own.
enum class MetricGroup : std::uint8_t { kKernel, kCollective, kMemory, kDecode, kPrefill, kThroughput, kOther };
enum class Unit : std::uint8_t { kTime, kBytes, kFlopRate, kByteRate, kTokenRate, kRequestRate, kText };

struct Metric {
  std::string_view name;  // "decode_step"
  MetricGroup group;
  Unit unit;
};

struct ValidationCase {
  std::string id;                  // of a row of a table: "table-id/row"
  std::vector<std::string> aka{};  // other names that --case knows it by: of a table or figure of the source
  std::string source;              // the primary one
  std::string stack;               // "none" for measurements without an engine
  std::string definition, needs, note;
  std::vector<std::string>
      cited_by{};  // figures that rest on it, "servers/atlas-800i-a3 aiv_floor_16", or what it steered
  Split split = Split::kTest;
  const Metric* metric = nullptr;
  double published = 0;  // s, B, FLOP/s or B/s; tok/s, req/s; 0 for text
  std::string value_text;
  std::int64_t table_rows = 1;  // a table counts once: each of its rows by 1 / rows
  std::string what;             // "kernel", "collective", "copy", "deployment"; empty where nothing is predicted
  ConfigNode subject;
  std::vector<std::pair<std::string, ConfigNode>> row;  // of a table: what differs from `subject`
  std::vector<std::string> instead_of;                  // memory_saved: the deployment before, as key=value
  SourceLocation where;
};

struct CaseFile {
  std::shared_ptr<const Document> document;
  std::vector<ValidationCase> cases;
  std::vector<ValidationCase>
      misread;  // of which something outside of `what` was wrong: only what is in there is worth checking
  std::vector<std::string> findings;  // what we think is missing, in words
};
CaseFile load_cases(const std::string& path, const StackLibrary& stacks, Diagnostics& diagnostics);

// Keys of a kernel or collective, read by whoever predicts it. finish() reports what nobody asked for.
class Parameters {
 public:
  Parameters(const ValidationCase& c, Diagnostics& diagnostics);
  std::int64_t count(std::string_view name, std::optional<std::int64_t> fallback = {});
  std::string word(std::string_view name, std::string_view fallback = {});
  Bytes bytes(std::string_view name);
  void finish();
  void error(std::string message, std::string help);

 private:
  ConfigNode find(std::string_view name);
  void missing(std::string_view name);
  const ValidationCase& case_;
  Diagnostics& diagnostics_;
  std::vector<std::string> asked_;
};

}  // namespace ascendsim
