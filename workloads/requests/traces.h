// Traces of services as streams of requests. Any size passes in the memory of its longest line (docs/loads.md has the
// layouts, each with its source):
//
//   Mooncake   JSONL  timestamp (ms), input_length, output_length, hash_ids (one for each 512 tokens of the prompt)
//   Azure      CSV    TIMESTAMP (date and time), ContextTokens, GeneratedTokens; 2023 and 2024
//   BurstGPT   CSV    Timestamp (s), Request tokens, Response tokens
//   own        both   arrival or arrival_s (s) or arrival_ms, input, output; priority, in JSONL hash_ids
//   lengths    both   prompt_len, output_len and no times: what remains of ShareGPT once a tokenizer has counted
//
// Files may be compressed with gzip, "-" is the standard input. A line ends with LF, CRLF or CR, also mixed; a UTF-8
// BOM and blank lines are skipped; other columns and keys are not read. The first request is sent at 0. Rows of equal
// time are sent in the order of the file. Nothing is lost in silence: rows of 0 tokens are left out and counted
// (W0601).
//
// Diagnostics have file, line and column, five of a kind at most and then how many more there are:
//   E0610 layout not known              E0615 rows not in order of time
//   E0611 column or key missing         E0616 hash_ids do not match the length of the prompt
//   E0612 no JSON object on a line      E0617 no request in the file
//   E0613 not a number of tokens        E0618 line too long
//   E0614 time not readable             E0619 gzip damaged or cut
//   E0620 CSV: quotes, number of fields E0621 texts, which need a tokenizer
//   E0622 a key twice in a row          E0623 time out of range
//   W0601 rows of 0 tokens left out     W0602 rows were sorted
//   W0603 a column that matters is not read
// and of files as such E0101, E0102, E0103, E0106, E0107.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sim/diagnostics.h"
#include "workloads/requests/request_source.h"

namespace ascendsim {

enum class TraceLayout : std::uint8_t { kMooncake, kAzure, kBurstGpt, kOwn, kLengths };
std::string_view to_text(TraceLayout layout);

enum class TraceClock : std::uint8_t { kSeconds, kMilliseconds, kCalendar, kNone };

// Names of another file: what its columns or keys are called. `time` empty: it has none.
struct TraceColumns {
  std::string time, input, output;
  TraceClock clock = TraceClock::kSeconds;
};

struct TraceOptions {
  std::optional<TraceLayout> layout{};         // else by the keys of the first row or the header
  std::optional<TraceColumns> columns{};       // instead of a layout
  double time_scale = 1;                       // instants are multiplied: 0.5 sends twice as fast. > 0
  bool keep_start = false;                     // the first request is sent at its own time and not at 0; not of dates
  bool sort = false;                           // by time, equal times in the order of the file; holds the whole trace
  std::optional<std::int64_t> max_requests{};  // the first so many
  std::int64_t block_tokens = 512;             // of a hash id: Mooncake's
};

// Nothing after an error of the file or of its first row. Whoever reads on must look at the diagnostics at the end: a
// wrong row ends the source, and the rest of the file is only read for what else is wrong. `diagnostics` must outlive
// the source.
std::unique_ptr<RequestSource> open_trace(const std::string& path, const TraceOptions& options,
                                          Diagnostics& diagnostics);
// The same of a text in memory; `name` is what diagnostics call it.
std::unique_ptr<RequestSource> read_trace(std::string text, const std::string& name, const TraceOptions& options,
                                          Diagnostics& diagnostics);

}  // namespace ascendsim
