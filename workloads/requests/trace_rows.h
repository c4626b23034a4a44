// A row of a trace as its reader understands it, before the rules that all layouts have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/requests/request.h"
#include "workloads/requests/trace_lines.h"
#include "workloads/requests/traces.h"

namespace ascendsim {

using TraceTime = __int128;  // picoseconds; a date is counted from 1970

struct TraceRow {
  TraceTime time = 0;
  Request request{};  // all but the arrival
  std::int64_t line = 0;
  std::size_t time_offset = 0, input_offset = 0;  // bytes in the line
};

// What a file calls the things that are read. The first names are those that messages use; own has several for the
// time, each with its clock.
struct TraceNames {
  struct Time {
    std::string name;
    TraceClock clock;
  };
  TraceLayout layout = TraceLayout::kOwn;
  std::vector<Time> time;  // empty: rows have no times
  std::string input, output, hash_ids, priority;
  bool needs_hash_ids = false;
};

// Where the names stand in a header, or nothing after E0610, E0611 or E0621. `has`: the columns or keys of the file.
struct TraceChoice {
  TraceNames names;
  std::string time_name;  // the one that the file has
  TraceClock clock = TraceClock::kNone;
};
std::optional<TraceChoice> choose_names(std::span<const std::string> has, std::string_view what,
                                        const TraceOptions& options, TraceLines& lines, TraceProblems& problems);
// Column names are compared without regard to case and to blanks around them.
bool same_name(std::string_view a, std::string_view b);

class TraceRows {
 public:
  virtual ~TraceRows() = default;
  enum class Got : std::uint8_t { kRow, kWrong, kEnd };
  virtual Got next(TraceRow& row) = 0;  // kWrong: a diagnostic was added
};
// The header, or the first row, is the current line of `lines`. Nothing after a diagnostic.
std::unique_ptr<TraceRows> read_csv(TraceLines& lines, const TraceOptions& options, TraceProblems& problems);
std::unique_ptr<TraceRows> read_jsonl(TraceLines& lines, const TraceOptions& options, TraceProblems& problems);

// A number of tokens as it is written: digits; a fraction or an exponent only if the value is whole ("374.0"). Empty
// after E0613.
std::optional<std::int64_t> read_tokens(std::string_view text, std::string_view name, std::size_t offset,
                                        const TraceLines& lines, TraceProblems& problems);
// A whole number that may be negative.
std::optional<std::int64_t> read_priority(std::string_view text, std::string_view name, std::size_t offset,
                                          const TraceLines& lines, TraceProblems& problems);
// A time of that clock, exact to a picosecond. Empty after E0614.
std::optional<TraceTime> read_time(std::string_view text, TraceClock clock, std::string_view name, std::size_t offset,
                                   const TraceLines& lines, TraceProblems& problems);

}  // namespace ascendsim
