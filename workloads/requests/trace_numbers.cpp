#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "workloads/requests/trace_rows.h"

namespace ascendsim {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A decimal number times 10^shift, rounded to the nearest integer, halves away from zero. Empty when it is no number or
// does not fit 38 digits.
std::optional<__int128> scaled_decimal(std::string_view text, int shift, bool* exact) {
  constexpr int kMostDigits = 37;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  __int128 value = 0;
  int digits = 0, point = 0;  // of the significant ones; digits behind the point
  bool any = false, behind = false;
  std::size_t i = 0;
  for (; i < text.size() && (is_digit(text[i]) || (text[i] == '.' && !behind)); ++i) {
    if (text[i] == '.') {
      behind = true;
      continue;
    }
    any = true;
    if (digits == kMostDigits) {
      if (!behind) return std::nullopt;
      if (text[i] != '0') *exact = false;
      continue;
    }
    value = value * 10 + (text[i] - '0');
    digits += value != 0;
    point += behind;
  }
  if (!any) return std::nullopt;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    int exponent = 0;
    std::size_t at = i + 1;
    const bool down = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (at == text.size()) return std::nullopt;
    for (; at < text.size() && is_digit(text[at]); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), 10'000);
    i = at;
    point += down ? exponent : -exponent;
  }
  if (i != text.size()) return std::nullopt;
  int power = shift - point;
  for (; power > 0 && value != 0; --power) {
    if (++digits > kMostDigits) return std::nullopt;
    value *= 10;
  }
  if (power < 0 && value != 0) {
    int last = 0;
    bool rest = false;
    for (; power < 0 && (value != 0 || last != 0); ++power) {
      rest = rest || last != 0;
      last = static_cast<int>(value % 10);
      value /= 10;
    }
    if (power < 0) {  // all digits are far behind the point
      rest = true;
      last = 0;
    }
    if (last != 0 || rest) *exact = false;
    if (last >= 5) ++value;
  }
  return negative ? -value : value;
}

// "2023-11-16 18:17:03.9799600", "2024-05-10 00:00:00.009930+00:00", "2024-05-10T00:00:00Z".
class CalendarReader {
 public:
  explicit CalendarReader(std::string_view text) : rest_(text) {}

  std::optional<TraceTime> read() {
    const auto year = number(4, 4), month = after('-'), day = after('-');
    if (!year || !month || !day) return std::nullopt;
    if (rest_.empty() || (rest_[0] != ' ' && rest_[0] != 'T')) return std::nullopt;
    rest_.remove_prefix(1);
    const auto hour = number(1, 2), minute = after(':');
    if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    TraceTime time =
        std::chrono::sys_days{date}.time_since_epoch().count() * std::int64_t{86'400} + *hour * 3600 + *minute * 60;
    time *= 1'000'000'000'000;
    if (rest_.starts_with(':')) {
      rest_.remove_prefix(1);
      const std::size_t length = std::min(rest_.find_first_not_of("0123456789."), rest_.size());
      bool exact = true;
      const auto fraction = scaled_decimal(rest_.substr(0, length), 12, &exact);
      if (length < 2 || !is_digit(rest_[0]) || !is_digit(rest_[1]) || !fraction ||
          *fraction >= TraceTime{61} * 1'000'000'000'000)
        return std::nullopt;
      time += *fraction;
      rest_.remove_prefix(length);
    }
    const auto zone = offset_seconds();
    if (!zone || !rest_.empty()) return std::nullopt;
    return time - TraceTime{*zone} * 1'000'000'000'000;
  }

 private:
  std::optional<int> number(std::size_t least, std::size_t most) {
    std::size_t n = 0;
    int value = 0;
    while (n < most && n < rest_.size() && is_digit(rest_[n])) value = value * 10 + (rest_[n++] - '0');
    if (n < least) return std::nullopt;
    rest_.remove_prefix(n);
    return value;
  }
  std::optional<int> after(char separator) {
    if (!rest_.starts_with(separator)) return std::nullopt;
    rest_.remove_prefix(1);
    return number(1, 2);
  }
  std::optional<int> offset_seconds() {
    if (rest_.starts_with(' ')) rest_.remove_prefix(1);
    if (rest_ == "UTC" || rest_ == "Z") rest_ = {};
    if (rest_.empty()) return 0;
    const int sign = rest_[0] == '-' ? -1 : 1;
    if (rest_[0] != '+' && rest_[0] != '-') return std::nullopt;
    rest_.remove_prefix(1);
    const auto hours = number(2, 2);
    if (rest_.starts_with(':')) rest_.remove_prefix(1);
    const auto minutes = rest_.empty() ? std::optional<int>(0) : number(2, 2);
    if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
    return sign * (*hours * 3600 + *minutes * 60);
  }

  std::string_view rest_;
};

// A long value is cut in messages.
std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  if (text.size() <= kLongest) return fmt::format("\"{}\"", text);
  std::size_t n = kLongest;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0u) == 0x80u) --n;
  return fmt::format("\"{}...\"", text.substr(0, n));
}

constexpr std::int64_t kMostOfANumber = 1'000'000'000;  // of whole numbers

std::optional<std::int64_t> read_whole(std::string_view text, std::string_view name, std::int64_t least,
                                       std::string_view what, std::size_t offset, const TraceLines& lines,
                                       TraceProblems& problems) {
  bool exact = true;
  const auto value = scaled_decimal(text, 0, &exact);
  if (value && exact && *value >= least && *value <= kMostOfANumber) return static_cast<std::int64_t>(*value);
  problems.error("E0613", lines.number(), lines.text(), offset,
                 text.empty()
                     ? fmt::format("{} is empty", name)
                     : fmt::format("{} is {}, which is no {}", name, quoted(text), value ? "such number" : "number"),
                 {}, fmt::format("{}: a whole number from {} to {}", what, least, kMostOfANumber));
  return std::nullopt;
}

std::string_view example(TraceClock clock) {
  return clock == TraceClock::kCalendar       ? "a date and a time: 2023-11-16 18:17:03.9799600"
         : clock == TraceClock::kMilliseconds ? "milliseconds as a plain number: 27482"
                                              : "seconds as a plain number: 27.482";
}

}  // namespace

std::optional<std::int64_t> read_tokens(std::string_view text, std::string_view name, std::size_t offset,
                                        const TraceLines& lines, TraceProblems& problems) {
  std::int64_t plain = 0;
  std::size_t i = 0;
  for (; i < text.size() && i < 9 && is_digit(text[i]); ++i) plain = plain * 10 + (text[i] - '0');
  if (i == text.size() && i > 0) return plain;
  return read_whole(text, name, 0, "tokens", offset, lines, problems);
}

std::optional<std::int64_t> read_priority(std::string_view text, std::string_view name, std::size_t offset,
                                          const TraceLines& lines, TraceProblems& problems) {
  return read_whole(text, name, -kMostOfANumber, "a priority", offset, lines, problems);
}

std::optional<TraceTime> read_time(std::string_view text, TraceClock clock, std::string_view name, std::size_t offset,
                                   const TraceLines& lines, TraceProblems& problems) {
  bool exact = true;  // a fraction of a picosecond is rounded
  const auto time = clock == TraceClock::kCalendar
                        ? CalendarReader(text).read()
                        : scaled_decimal(text, clock == TraceClock::kSeconds ? 12 : 9, &exact);
  if (!time)
    problems.error("E0614", lines.number(), lines.text(), offset,
                   fmt::format("{} is {}, which is no time", name, quoted(text)), {}, std::string(example(clock)));
  return time;
}

}  // namespace ascendsim
