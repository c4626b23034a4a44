#include "reports/writers/requests_file.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string_view>

namespace ascendsim {

namespace {

// A column is text of numbers, or a word. All values are written before the row is put together, so that the names
// stand once.
constexpr std::array<std::string_view, 24> kColumns{"id",
                                                    "status",
                                                    "arrival_s",
                                                    "sent_s",
                                                    "first_scheduled_s",
                                                    "first_token_s",
                                                    "last_token_s",
                                                    "input_tokens",
                                                    "output_tokens",
                                                    "cached_tokens",
                                                    "ttft_ms",
                                                    "tpot_ms",
                                                    "e2el_ms",
                                                    "longest_stall_ms",
                                                    "client_ms",
                                                    "admission_ms",
                                                    "queue_ms",
                                                    "prefill_ms",
                                                    "decode_between_ms",
                                                    "transfer_ms",
                                                    "first_decode_ms",
                                                    "host_ms",
                                                    "preemptions",
                                                    "rejection"};
constexpr std::size_t kStatus = 1, kRejectionColumn = kColumns.size() - 1;

// Exact, without zeros at the end: 1234500000 picoseconds are 1.2345 ms.
std::string decimal(Duration time, int digits) {
  std::int64_t unit = 1;
  for (int i = 0; i < digits; ++i) unit *= 10;
  std::string text = fmt::format("{}", time.count() / unit);
  if (const std::int64_t rest = time.count() % unit; rest != 0) {
    text += fmt::format(".{:0{}}", rest, digits);
    text.resize(text.find_last_not_of('0') + 1);
  }
  return text;
}
std::string in_seconds(Duration time) { return decimal(time, 12); }
std::string in_milliseconds(Duration time) { return decimal(time, 9); }

using Values = std::array<std::string, kColumns.size()>;

Values values_of(const RequestOutcome& o) {
  Values v;
  std::size_t at = 0;
  const auto put = [&](std::string text) { v[at++] = std::move(text); };
  put(fmt::format("{}", o.id));
  put(o.completed() ? "completed" : "rejected");
  put(in_seconds(o.arrival));
  put(in_seconds(o.sent));
  const bool done = o.completed();
  for (const Duration time : {o.first_scheduled, o.first_token, o.last_token}) put(done ? in_seconds(time) : "");
  for (const std::int64_t n : {o.input_tokens, o.output_tokens, o.cached_tokens}) put(fmt::format("{}", n));
  put(done ? in_milliseconds(o.ttft()) : "");
  put(done && o.output_tokens > 1 ? in_milliseconds((o.last_token - o.first_token) / (o.output_tokens - 1)) : "");
  put(done ? in_milliseconds(o.last_token - o.sent) : "");
  put(done ? in_milliseconds(o.longest_stall) : "");
  for (const Duration term : o.terms.in_order()) put(done ? in_milliseconds(term) : "");
  put(fmt::format("{}", o.preemptions));
  put(done ? "" : std::string(to_text(o.rejection)));
  return v;
}

}  // namespace

RequestsFile::RequestsFile(const std::string& path)
    : file_(std::fopen(path.c_str(), "wb"), &std::fclose), json_(path.ends_with(".jsonl")) {
  if (!file_ || json_) return;
  for (std::size_t i = 0; i < kColumns.size(); ++i) line_ += fmt::format("{}{}", i > 0 ? "," : "", kColumns[i]);
  line_ += '\n';
}

void RequestsFile::write(const RequestOutcome& outcome) {
  const Values values = values_of(outcome);
  const auto out = std::back_inserter(line_);
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    const bool word = i == kStatus || i == kRejectionColumn;
    if (!json_)
      fmt::format_to(out, "{}{}", i > 0 ? "," : "", values[i]);
    else if (values[i].empty())
      fmt::format_to(out, "{}\"{}\":null", i > 0 ? "," : "{", kColumns[i]);
    else
      fmt::format_to(out, "{0}\"{1}\":{3}{2}{3}", i > 0 ? "," : "{", kColumns[i], values[i], word ? "\"" : "");
  }
  line_ += json_ ? "}\n" : "\n";
  constexpr std::size_t kBuffer = std::size_t{1} << 16;
  if (line_.size() < kBuffer) return;
  failed_ = failed_ || !file_ || std::fwrite(line_.data(), 1, line_.size(), file_.get()) != line_.size();
  line_.clear();
}

bool RequestsFile::close() {
  failed_ = failed_ || !file_ || std::fwrite(line_.data(), 1, line_.size(), file_.get()) != line_.size() ||
            std::fflush(file_.get()) != 0;
  line_.clear();
  return !failed_;
}

}  // namespace ascendsim
