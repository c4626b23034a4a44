#include "sim/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>

namespace ascendsim {
namespace {

constexpr double kTwoToThe63 = 9223372036854775808.0;

// A unit and the scale of its symbol as 10^decimal * 2^binary; `prefixes` are the decimal ones it may carry.
struct Unit {
  std::string_view symbol;
  std::string_view prefixes;
  bool binary_prefixes = false;
  int decimal = 0;
  int binary = 0;
};

struct Scale {
  int decimal = 0;
  int binary = 0;
};

constexpr Unit kSizeUnits[] = {{.symbol = "B", .prefixes = "kMGTP", .binary_prefixes = true}};
constexpr Unit kRateUnits[] = {{.symbol = "B/s", .prefixes = "kMGT", .binary_prefixes = true},
                               {.symbol = "bit/s", .prefixes = "kMGT", .binary = -3}};
constexpr Unit kWorkUnits[] = {{.symbol = "FLOP", .prefixes = "kMGTP"}, {.symbol = "OP", .prefixes = "kMGTP"}};
constexpr Unit kSpeedUnits[] = {{.symbol = "FLOP/s", .prefixes = "kMGTP"}, {.symbol = "OP/s", .prefixes = "kMGTP"}};
constexpr Unit kTimeUnits[] = {{.symbol = "s", .prefixes = "munp", .decimal = 12}};
constexpr Unit kFrequencyUnits[] = {{.symbol = "Hz", .prefixes = "kMG"}};
constexpr Unit kPowerUnits[] = {{.symbol = "W", .prefixes = "mkM"}};
constexpr Unit kBareNumber[] = {{}};

struct QuantityKind {
  std::span<const Unit> units;
  std::string_view expected;
};

template <class Q>
constexpr QuantityKind kind_of() {
  if constexpr (std::is_same_v<Q, Duration>) return {kTimeUnits, "a duration such as 35 us"};
  if constexpr (std::is_same_v<Q, Bytes>) return {kSizeUnits, "a size such as 64 GiB"};
  if constexpr (std::is_same_v<Q, BytesPerSecond>) return {kRateUnits, "a data rate such as 1.6 TB/s"};
  if constexpr (std::is_same_v<Q, Flops>) return {kWorkUnits, "an amount of work such as 2.5 GFLOP"};
  if constexpr (std::is_same_v<Q, FlopsPerSecond>) return {kSpeedUnits, "a compute rate such as 353.9 TFLOP/s"};
  if constexpr (std::is_same_v<Q, Hertz>) return {kFrequencyUnits, "a frequency such as 1800 MHz"};
  if constexpr (std::is_same_v<Q, Watts>) return {kPowerUnits, "a power such as 350 W"};
  if constexpr (std::is_same_v<Q, Ratio>) return {kBareNumber, "a ratio such as 0.85"};
  if constexpr (std::is_same_v<Q, Count>) return {kBareNumber, "a count such as 24"};
}

constexpr int decimal_exponent(char prefix) {
  switch (prefix) {
    case 'p':
      return -12;
    case 'n':
      return -9;
    case 'u':
      return -6;
    case 'm':
      return -3;
    case 'k':
      return 3;
    case 'M':
      return 6;
    case 'G':
      return 9;
    case 'T':
      return 12;
    default:
      return 15;  // P, the only other letter in the tables above
  }
}

std::optional<Scale> scale_of(std::string_view text, const Unit& unit) {
  if (!text.ends_with(unit.symbol)) return std::nullopt;
  const std::string_view prefix = text.substr(0, text.size() - unit.symbol.size());
  if (prefix.empty()) return Scale{unit.decimal, unit.binary};
  if (prefix.size() == 1 && unit.prefixes.find(prefix[0]) != std::string_view::npos)
    return Scale{unit.decimal + decimal_exponent(prefix[0]), unit.binary};
  constexpr std::string_view kBinary = "KMGTP";
  if (unit.binary_prefixes && prefix.size() == 2 && prefix[1] == 'i') {
    const std::size_t power = kBinary.find(prefix[0]);
    if (power != std::string_view::npos) return Scale{unit.decimal, unit.binary + 10 * (static_cast<int>(power) + 1)};
  }
  return std::nullopt;
}

constexpr bool is_decimal(char c) { return c >= '0' && c <= '9'; }

// The length of "12" or "12.5" at the start; 0 when there is none. No sign and no exponent: people do not write them
// in front of a unit, and a negative size or time has no meaning anywhere.
std::size_t number_length(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && is_decimal(text[end])) ++end;
  if (end == 0 || end == text.size() || text[end] != '.') return end;
  const std::size_t point = end++;
  while (end < text.size() && is_decimal(text[end])) ++end;
  return end == point + 1 ? 0 : end;
}

struct ScaledNumber {
  std::string_view digits;
  Scale scale;
};

std::optional<ScaledNumber> split_number(std::string_view text, std::span<const Unit> units) {
  const std::size_t length = number_length(text);
  if (length == 0) return std::nullopt;
  std::string_view unit_text = text.substr(length);
  if (unit_text.size() > 1 && unit_text.front() == ' ') unit_text.remove_prefix(1);
  for (const Unit& unit : units)
    if (const auto scale = scale_of(unit_text, unit)) return ScaledNumber{text.substr(0, length), *scale};
  return std::nullopt;
}

// The decimal prefix becomes an exponent of the text, so that 353.9 TFLOP/s is rounded once, not twice.
std::optional<double> to_double(const ScaledNumber& number) {
  const std::string text = fmt::format("{}e{}", number.digits, number.scale.decimal);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  value = std::ldexp(value, number.scale.binary);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> checked_multiply(std::int64_t value, std::int64_t factor) {
  if (value > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
  return value * factor;
}

std::optional<std::int64_t> parse_whole(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

// Whole numbers stay exact up to 2^63; a double would lose them above 2^53.
std::optional<std::int64_t> to_exact_integer(const ScaledNumber& number) {
  auto value = parse_whole(number.digits);
  if (value) value = checked_multiply(*value, std::int64_t{1} << number.scale.binary);
  for (int i = 0; value && i < number.scale.decimal; ++i) value = checked_multiply(*value, 10);
  return value;
}

std::optional<std::int64_t> to_integer(const ScaledNumber& number) {
  if (number.digits.find('.') == std::string_view::npos) return to_exact_integer(number);
  const auto value = to_double(number);
  if (!value || *value >= kTwoToThe63) return std::nullopt;
  return std::llround(*value);
}

// Three significant digits; a value that is whole says so by having no fraction at all.
std::string three_digits(double value) {
  if (value == std::floor(value) || std::abs(value) >= 99.95) return fmt::format("{:.0f}", value);
  return std::abs(value) >= 9.995 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

// Steps up while the digits that would be printed reach `step`, so that 999.96 us reads 1.00 ms and not 1000 us.
std::string with_unit(double value, double step, std::span<const std::string_view> units) {
  std::size_t i = 0;
  while (i + 1 < units.size() && std::round(std::abs(value)) >= step) {
    value /= step;
    ++i;
  }
  return fmt::format("{} {}", three_digits(value), units[i]);
}

}  // namespace

Duration duration_from_seconds(double seconds) {
  check(seconds >= 0, "a duration must be a number that is not negative");
  const double ticks = seconds * kPicosecondsPerSecond;
  check(ticks < kTwoToThe63, "a duration must be below 2^63 picoseconds (106 days)");
  const auto nearest_tick = std::llround(ticks);
  return Duration(nearest_tick == 0 && seconds > 0 ? 1 : nearest_tick);
}

template <class Q>
std::optional<Q> parse_quantity(std::string_view text) {
  const auto number = split_number(text, kind_of<Q>().units);
  if (!number) return std::nullopt;
  if constexpr (std::is_same_v<Q, Count>) {
    if (number->digits.find('.') != std::string_view::npos) return std::nullopt;
  }
  const auto value = [&] {
    if constexpr (std::floating_point<typename Q::rep>)
      return to_double(*number);
    else
      return to_integer(*number);
  }();
  return value ? std::optional<Q>(Q(*value)) : std::nullopt;
}

template <class Q>
std::string_view expected_unit() {
  return kind_of<Q>().expected;
}

template std::optional<Duration> parse_quantity(std::string_view);
template std::optional<Bytes> parse_quantity(std::string_view);
template std::optional<BytesPerSecond> parse_quantity(std::string_view);
template std::optional<Flops> parse_quantity(std::string_view);
template std::optional<FlopsPerSecond> parse_quantity(std::string_view);
template std::optional<Hertz> parse_quantity(std::string_view);
template std::optional<Watts> parse_quantity(std::string_view);
template std::optional<Ratio> parse_quantity(std::string_view);
template std::optional<Count> parse_quantity(std::string_view);
template std::string_view expected_unit<Duration>();
template std::string_view expected_unit<Bytes>();
template std::string_view expected_unit<BytesPerSecond>();
template std::string_view expected_unit<Flops>();
template std::string_view expected_unit<FlopsPerSecond>();
template std::string_view expected_unit<Hertz>();
template std::string_view expected_unit<Watts>();
template std::string_view expected_unit<Ratio>();
template std::string_view expected_unit<Count>();

namespace {

// "64,000": groups of three digits behind a first one of up to three.
std::optional<std::int64_t> parse_grouped(std::string_view text) {
  constexpr std::size_t kGroup = 3;
  std::string digits;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size()), length = comma - at;
    if (at == 0 ? length < 1 || length > kGroup : length != kGroup) return std::nullopt;
    digits += text.substr(at, length);
    at = comma + 1;
  }
  return parse_whole(digits);
}

// "3.5" times the factor, where that is a whole number.
std::optional<std::int64_t> parse_multiple(std::string_view text, std::int64_t factor) {
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto whole = parse_whole(text.substr(0, point));
  auto out = whole ? checked_multiply(*whole, factor) : std::nullopt;
  if (!out || point == text.size()) return out;
  const std::string_view behind = text.substr(point + 1);
  auto part = parse_whole(behind);
  if (part) part = checked_multiply(*part, factor);
  for (std::size_t i = 0; part && i < behind.size(); ++i)
    part = *part % 10 == 0 ? std::optional(*part / 10) : std::nullopt;
  if (!part || *part > std::numeric_limits<std::int64_t>::max() - *out) return std::nullopt;
  return *out + *part;
}

}  // namespace

std::optional<std::int64_t> parse_token_count(std::string_view text) {
  struct Suffix {
    char letter;
    std::int64_t factor;
  };
  constexpr Suffix kSuffixes[] = {{'k', 1000},      {'m', 1000'000},  {'g', 1000'000'000},
                                  {'K', 1LL << 10}, {'M', 1LL << 20}, {'G', 1LL << 30}};
  for (const auto [letter, factor] : kSuffixes)
    if (text.ends_with(letter)) return parse_multiple(text.substr(0, text.size() - 1), factor);
  return text.find(',') != std::string_view::npos ? parse_grouped(text) : parse_whole(text);
}

std::string to_text(Duration d) {
  constexpr std::array<std::string_view, 5> kUnits{"ps", "ns", "us", "ms", "s"};
  if (d == Duration::zero()) return "0 s";
  return with_unit(static_cast<double>(d.count()), 1000, kUnits);
}

std::string to_text(Bytes b) {
  constexpr std::array<std::string_view, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  return with_unit(static_cast<double>(b.count()), 1024, kUnits);
}

std::string to_text(BytesPerSecond r) {
  constexpr std::array<std::string_view, 6> kUnits{"B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"};
  return with_unit(r.count(), 1000, kUnits);
}

std::string with_commas(std::int64_t n) {
  std::string text = fmt::format("{}", n);
  const std::size_t first_digit = n < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first_digit + 3;) text.insert(i -= 3, 1, ',');
  return text;
}

}  // namespace ascendsim
