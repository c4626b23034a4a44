#include "workloads/requests/traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/check.h"
#include "workloads/requests/trace_lines.h"
#include "workloads/requests/trace_rows.h"

namespace ascendsim {
namespace {

constexpr TraceTime kLongest = std::numeric_limits<std::int64_t>::max() / 2;  // 53 days in picoseconds

const std::vector<TraceNames>& layouts() {
  using Time = TraceNames::Time;
  static const std::vector<TraceNames> all{
      {.layout = TraceLayout::kMooncake,
       .time = {Time{"timestamp", TraceClock::kMilliseconds}},
       .input = "input_length",
       .output = "output_length",
       .hash_ids = "hash_ids",
       .priority = {},
       .needs_hash_ids = true},
      {.layout = TraceLayout::kAzure,
       .time = {Time{"TIMESTAMP", TraceClock::kCalendar}},
       .input = "ContextTokens",
       .output = "GeneratedTokens",
       .hash_ids = {},
       .priority = {}},
      {.layout = TraceLayout::kBurstGpt,
       .time = {Time{"Timestamp", TraceClock::kSeconds}},
       .input = "Request tokens",
       .output = "Response tokens",
       .hash_ids = {},
       .priority = {}},
      {.layout = TraceLayout::kOwn,
       .time = {Time{"arrival_s", TraceClock::kSeconds}, Time{"arrival", TraceClock::kSeconds},
                Time{"arrival_ms", TraceClock::kMilliseconds}},
       .input = "input",
       .output = "output",
       .hash_ids = "hash_ids",
       .priority = "priority"},
      {.layout = TraceLayout::kLengths,
       .time = {},
       .input = "prompt_len",
       .output = "output_len",
       .hash_ids = {},
       .priority = {}},
  };
  return all;
}

bool holds(std::span<const std::string> has, std::string_view name) {
  return std::any_of(has.begin(), has.end(), [name](const std::string& h) { return same_name(h, name); });
}

std::string described(const TraceNames& n) {
  const std::string time = n.time.empty() ? "" : n.time.front().name + ", ";
  return fmt::format("{} ({}{}, {}{})", to_text(n.layout), time, n.input, n.output,
                     n.needs_hash_ids ? ", hash_ids" : "");
}

TraceNames named_by_user(const TraceColumns& c) {
  TraceNames names;
  names.layout = TraceLayout::kOwn;
  if (!c.time.empty()) names.time = {{c.time, c.clock}};
  names.input = c.input;
  names.output = c.output;
  names.hash_ids = "hash_ids";
  names.priority = "priority";
  return names;
}

// How many of the names that a layout needs the file has.
int matches(const TraceNames& n, std::span<const std::string> has) {
  const bool time = std::any_of(n.time.begin(), n.time.end(), [&](const auto& t) { return holds(has, t.name); });
  return int{time} + int{holds(has, n.input)} + int{holds(has, n.output)};
}

// The rules that all layouts have in common.
class TraceSource : public RequestSource {
 public:
  TraceSource(std::unique_ptr<TraceBytes> bytes, const std::string& name, const TraceOptions& options,
              Diagnostics& diagnostics)
      : options_(options), problems_(diagnostics, name), lines_(std::move(bytes), problems_) {}

  // False after a diagnostic. Every source but an empty one has looked at its first row.
  bool open() {
    if (!(options_.time_scale > 0) || std::isinf(options_.time_scale)) {
      problems_.error("E0602", 0, {}, 0, fmt::format("a time scale of {}, it must be above 0", options_.time_scale), {},
                      "0.5 sends twice as fast");
      return false;
    }
    check(options_.block_tokens > 0, "a block has tokens");
    if (!lines_.next()) {
      if (!problems_.any()) no_request("the file has no row");
      return false;
    }
    const std::string_view line = lines_.text();
    const char first = line[line.find_first_not_of(" \t")];
    if (first == '[') {
      problems_.error(
          "E0610", lines_.number(), line, 0, "a list is no trace: one JSON object a line is expected", {},
          "jq -c '.[]' FILE > FILE.jsonl writes its entries one a line; texts have no lengths without a tokenizer");
      return false;
    }
    rows_ = first == '{' ? read_jsonl(lines_, options_, problems_) : read_csv(lines_, options_, problems_);
    return rows_ != nullptr;
  }

  bool next(Request& request) override {
    if (options_.max_requests && given_ >= *options_.max_requests) {
      finish();
      return false;
    }
    if (options_.sort ? !next_sorted() : !fetch(row_)) {
      finish();
      return false;
    }
    ++given_;
    request.shared.swap(row_.request.shared);
    request.arrival = row_.request.arrival;
    request.input_tokens = row_.request.input_tokens;
    request.output_tokens = row_.request.output_tokens;
    request.priority = row_.request.priority;
    return true;
  }

 private:
  // The next row with its arrival; wrong ones are read to the end of the file, so that all are known.
  bool fetch(TraceRow& row) {
    for (;;) {
      const TraceRows::Got got = rows_->next(row);
      if (got == TraceRows::Got::kEnd) return false;
      if (got == TraceRows::Got::kWrong || is_empty(row)) continue;
      if (!options_.sort && !in_order(row)) continue;
      if (!options_.sort && !set_arrival(row)) continue;
      if (!problems_.any()) return true;
    }
  }

  bool is_empty(const TraceRow& row) {
    const bool prompt = row.request.input_tokens == 0, output = row.request.output_tokens == 0;
    if (!prompt && !output) return false;
    if (empty_prompts_ + empty_outputs_ == 0) first_empty_ = row.line;
    ++(prompt ? empty_prompts_ : empty_outputs_);
    return true;
  }

  bool in_order(const TraceRow& row) {
    if (latest_ && row.time < *latest_) {
      problems_.error("E0615", row.line, lines_.text(), row.time_offset,
                      fmt::format("this row is {:.9g} s before line {}", seconds_of(*latest_ - row.time), latest_line_),
                      "a trace is sent in the order of its rows; equal times are allowed",
                      "sort the file by its time, or have it sorted, which holds all of it in memory");
      return false;
    }
    latest_ = row.time;
    latest_line_ = row.line;
    return true;
  }

  bool set_arrival(TraceRow& row) {
    if (!start_) start_ = options_.keep_start ? 0 : row.time;
    TraceTime after = row.time - *start_;
    if (options_.time_scale != 1) {
      const double scaled = static_cast<double>(after) * options_.time_scale;
      after = std::abs(scaled) < static_cast<double>(kLongest) ? static_cast<TraceTime>(std::floor(scaled + 0.5))
                                                               : kLongest + 1;
    }
    if (after < 0 || after > kLongest) {
      problems_.error("E0623", row.line, lines_.text(), row.time_offset,
                      after < 0 ? "the row is before the start of the trace"
                                : "the row is more than 53 days behind the start of the trace",
                      "instants are picoseconds in 63 bits", "is the unit of the times right?");
      return false;
    }
    row.request.arrival = Duration(static_cast<std::int64_t>(after));
    return true;
  }

  bool next_sorted() {
    if (!std::exchange(loaded_, true)) {
      std::int64_t moved = 0;
      for (TraceRow row; fetch(row);) {
        if (latest_ && row.time < *latest_) ++moved;
        latest_ = std::max(latest_.value_or(row.time), row.time);
        sorted_.push_back(std::move(row));
        row = {};
      }
      std::stable_sort(sorted_.begin(), sorted_.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
      if (moved > 0)
        problems_.warning("W0602", 0,
                          fmt::format("the rows were sorted by time: {} came before one that stood earlier", moved));
    }
    if (problems_.any() || at_ == sorted_.size()) return false;
    row_ = std::move(sorted_[at_++]);
    return set_arrival(row_);
  }

  void finish() {
    if (std::exchange(finished_, true)) return;
    problems_.finish();
    if (empty_prompts_ + empty_outputs_ > 0)
      problems_.warning(
          "W0601", first_empty_,
          fmt::format("{} rows without tokens are left out: {} with an empty prompt, {} with an empty output",
                      empty_prompts_ + empty_outputs_, empty_prompts_, empty_outputs_),
          "BurstGPT writes failed requests with 0 response tokens");
    if (given_ == 0 && !problems_.any()) no_request("the file has no request");
  }
  void no_request(std::string message) {
    problems_.error("E0617", 0, {}, 0, std::move(message), {}, "was the file written completely?");
  }
  static double seconds_of(TraceTime time) { return static_cast<double>(time) / kPicosecondsPerSecond; }

  TraceOptions options_;
  TraceProblems problems_;
  TraceLines lines_;
  std::unique_ptr<TraceRows> rows_;
  TraceRow row_;
  std::optional<TraceTime> start_, latest_;
  std::int64_t latest_line_ = 0, given_ = 0, empty_prompts_ = 0, empty_outputs_ = 0, first_empty_ = 0;
  std::vector<TraceRow> sorted_;
  std::size_t at_ = 0;
  bool loaded_ = false, finished_ = false;
};

std::unique_ptr<RequestSource> source_of(std::unique_ptr<TraceBytes> bytes, const std::string& name,
                                         const TraceOptions& options, Diagnostics& diagnostics) {
  auto source = std::make_unique<TraceSource>(std::move(bytes), name, options, diagnostics);
  return source->open() ? std::move(source) : nullptr;
}

}  // namespace

std::string_view to_text(TraceLayout layout) {
  switch (layout) {
    case TraceLayout::kMooncake:
      return "Mooncake";
    case TraceLayout::kAzure:
      return "Azure";
    case TraceLayout::kBurstGpt:
      return "BurstGPT";
    case TraceLayout::kLengths:
      return "lengths";
    case TraceLayout::kOwn:
      break;
  }
  return "own";
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

std::optional<TraceChoice> choose_names(std::span<const std::string> has, std::string_view what,
                                        const TraceOptions& options, TraceLines& lines, TraceProblems& problems) {
  if (holds(has, "conversations") || holds(has, "conversation")) {
    problems.error("E0621", lines.number(), {}, 0, "the rows hold texts, and how long they are only a tokenizer knows",
                   "ShareGPT", "write the lengths that your tokenizer counts, one row each: prompt_len, output_len");
    return std::nullopt;
  }
  TraceChoice choice;
  const auto fits = [&](const TraceNames& n) { return matches(n, has) == (n.time.empty() ? 2 : 3); };
  if (options.columns) {
    choice.names = named_by_user(*options.columns);
  } else if (options.layout) {
    choice.names = *std::find_if(layouts().begin(), layouts().end(),
                                 [&](const TraceNames& n) { return n.layout == *options.layout; });
  } else {
    // The one that fits, else the nearest, whose missing name is then said.
    const auto nearest_layout =
        std::max_element(layouts().begin(), layouts().end(), [&](const TraceNames& a, const TraceNames& b) {
          return std::pair(fits(a), matches(a, has)) < std::pair(fits(b), matches(b, has));
        });
    if (matches(*nearest_layout, has) == 0 || (!fits(*nearest_layout) && matches(*nearest_layout, has) < 2)) {
      std::string known;
      for (const TraceNames& n : layouts()) known += (known.empty() ? "" : "; ") + described(n);
      problems.error("E0610", lines.number(), lines.text(), 0, fmt::format("no known layout has these {}s", what), {},
                     "known are " + known);
      return std::nullopt;
    }
    choice.names = *nearest_layout;
  }
  std::vector<std::string_view> candidates(has.begin(), has.end());
  const auto need = [&](std::string_view name) {
    if (holds(has, name)) return;
    const std::string_view suggestion = nearest(name, candidates);
    problems.error("E0611", lines.number(), lines.text(), 0, fmt::format("there is no {} {}", what, name),
                   "layout " + described(choice.names),
                   suggestion.empty() ? "name the columns of this file, or rename them"
                                      : fmt::format("is it {}? then rename it", suggestion));
  };
  for (const TraceNames::Time& t : choice.names.time) {
    if (!choice.time_name.empty() || !holds(has, t.name)) continue;
    choice.time_name = t.name;
    choice.clock = t.clock;
  }
  if (choice.time_name.empty() && !choice.names.time.empty()) need(choice.names.time.front().name);
  need(choice.names.input);
  need(choice.names.output);
  if (choice.names.needs_hash_ids) need(choice.names.hash_ids);
  if (problems.any()) return std::nullopt;
  if (holds(has, "NumImages"))
    problems.warning("W0603", lines.number(), "the column NumImages is not read: images are not simulated",
                     "prompts are taken as ContextTokens of text");
  return choice;
}

std::unique_ptr<RequestSource> open_trace(const std::string& path, const TraceOptions& options,
                                          Diagnostics& diagnostics) {
  std::unique_ptr<TraceBytes> bytes = open_bytes(path, diagnostics);
  if (!bytes) return nullptr;
  return source_of(std::move(bytes), path == "-" ? "<standard input>" : path, options, diagnostics);
}

std::unique_ptr<RequestSource> read_trace(std::string text, const std::string& name, const TraceOptions& options,
                                          Diagnostics& diagnostics) {
  return source_of(bytes_of(std::move(text)), name, options, diagnostics);
}

}  // namespace ascendsim
