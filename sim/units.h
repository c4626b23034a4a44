// Quantities with their unit in the type. Time is integer picoseconds (range +-106 days); bytes and FLOPs are exact
// integers (a 131,072-token prefill of a 671B model is 5.2e16 FLOP, far below 2^63); rates are doubles.
// A wrong sum (bytes + FLOPs) or a bare number where a quantity is meant does not compile.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/check.h"

namespace ascendsim {

using Duration = std::chrono::duration<std::int64_t, std::pico>;

template <class Tag, class Rep>
class Quantity {
 public:
  using rep = Rep;
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep count) : count_(count) {}
  [[nodiscard]] constexpr Rep count() const { return count_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) { return *this = *this + other; }
  constexpr Quantity& operator-=(Quantity other) { return *this = *this - other; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.count_ + b.count_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.count_ - b.count_); }
  friend constexpr Quantity operator*(Quantity a, Rep factor) { return Quantity(a.count_ * factor); }
  friend constexpr Quantity operator*(Rep factor, Quantity a) { return a * factor; }
  friend constexpr Quantity operator/(Quantity a, Rep divisor) { return Quantity(a.count_ / divisor); }

 private:
  Rep count_{};
};

using Bytes = Quantity<struct BytesTag, std::int64_t>;
using Flops = Quantity<struct FlopsTag, std::int64_t>;  // operations; a multiply-accumulate counts 2
using BytesPerSecond = Quantity<struct BytesPerSecondTag, double>;
using FlopsPerSecond = Quantity<struct FlopsPerSecondTag, double>;
using Hertz = Quantity<struct HertzTag, double>;
using Watts = Quantity<struct WattsTag, double>;
using Ratio = Quantity<struct RatioTag, double>;        // an efficiency, a fraction, a plain factor
using Count = Quantity<struct CountTag, std::int64_t>;  // cores, links, planes

constexpr double kPicosecondsPerSecond = 1e12;

// The only ways to obtain time; all of them end here: nearest tick, and positive work takes at least one tick.
// REQUIRES: seconds is finite, not negative and below 2^63 ticks.
Duration duration_from_seconds(double seconds);
inline Duration operator/(Bytes bytes, BytesPerSecond rate) {
  return duration_from_seconds(static_cast<double>(bytes.count()) / rate.count());
}
inline Duration operator/(Flops flops, FlopsPerSecond rate) {
  return duration_from_seconds(static_cast<double>(flops.count()) / rate.count());
}
constexpr double seconds(Duration d) { return static_cast<double>(d.count()) / kPicosecondsPerSecond; }
constexpr double milliseconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }
constexpr double microseconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }

constexpr BytesPerSecond operator*(BytesPerSecond rate, Ratio r) { return BytesPerSecond(rate.count() * r.count()); }
constexpr FlopsPerSecond operator*(FlopsPerSecond rate, Ratio r) { return FlopsPerSecond(rate.count() * r.count()); }

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t a, std::int64_t multiple) { return ceil_div(a, multiple) * multiple; }

inline namespace literals {
constexpr Bytes operator""_B(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n)); }
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n) << 10); }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n) << 20); }
constexpr Bytes operator""_GiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n) << 30); }
}  // namespace literals

// Text with a unit -> value: "1.6 TB/s", "64 GiB", "35 us", "353.9 TFLOP/s", "1800 MHz", "350 W". Decimal and binary
// prefixes differ (GB is 1e9, GiB is 2^30). Ratio and Count take a bare number. Empty when the text is not a number
// with a unit of that kind; `expected_unit<Q>()` says what would be.
template <class Q>
std::optional<Q> parse_quantity(std::string_view text);
template <class Q>
std::string_view expected_unit();

// A token count as users write it: 65536, 64K (K = 1024, as vLLM), 64k (k = 1000), 1M, 1m. Empty when it is not one.
std::optional<std::int64_t> parse_token_count(std::string_view text);

// For people: three or four significant digits with a fitting unit ("5.02 s", "41.3 GiB", "205 GB/s").
std::string to_text(Duration d);
std::string to_text(Bytes b);
std::string to_text(BytesPerSecond r);
std::string with_commas(std::int64_t n);

}  // namespace ascendsim
