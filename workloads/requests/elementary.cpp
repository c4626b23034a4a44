#include "workloads/requests/elementary.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "sim/check.h"

namespace ascendsim {
namespace {

// A number of about 106 bits: the exact sum of two doubles, |low| <= half a unit in the last place of high. The
// arithmetic is that of T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
struct Wide {
  double high = 0, low = 0;
};

Wide quick_sum(double a, double b) {  // |a| >= |b|
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

Wide sum(double a, double b) {
  const double s = a + b, b_part = s - a;
  return {s, (a - (s - b_part)) + (b - b_part)};
}

Wide product(double a, double b) {
  constexpr double kSplit = 134217729;  // 2^27 + 1 cuts 53 bits in two halves
  const double a_high = kSplit * a - (kSplit * a - a), a_low = a - a_high;
  const double b_high = kSplit * b - (kSplit * b - b), b_low = b - b_high;
  const double p = a * b;
  return {p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

Wide operator+(Wide a, Wide b) {
  const Wide s = sum(a.high, b.high), t = sum(a.low, b.low);
  const Wide u = quick_sum(s.high, s.low + t.high);
  return quick_sum(u.high, u.low + t.low);
}

Wide operator*(Wide a, Wide b) {
  const Wide p = product(a.high, b.high);
  return quick_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

Wide operator/(Wide a, Wide b) {
  const double first = a.high / b.high;
  const Wide rest = a + Wide{-first, 0} * b;
  return quick_sum(first, rest.high / b.high);
}

// 2 atanh(s) = 2 (s + s^3/3 + s^5/5 + ...), to all bits.
Wide twice_atanh(Wide s) {
  const Wide square = s * s;
  Wide power = s, result = s;
  for (int n = 3; std::abs(power.high) > 1e-36; n += 2) {
    power = power * square;
    result = result + power / Wide{static_cast<double>(n), 0};
  }
  return result * Wide{2, 0};
}

constexpr int kGrid = 64, kFirst = 45, kLast = 91;  // 45/64 < sqrt(1/2), sqrt(2) < 91/64

struct Logarithms {
  Wide of_two;
  std::array<Wide, kLast - kFirst + 1> of_grid;  // of kFirst/64, (kFirst + 1)/64, ...
  Logarithms() {
    of_two = twice_atanh(Wide{1, 0} / Wide{3, 0});
    for (int i = kFirst; i <= kLast; ++i)
      of_grid[static_cast<std::size_t>(i - kFirst)] =
          twice_atanh(Wide{double(i - kGrid), 0} / Wide{double(i + kGrid), 0});
  }
};

const Logarithms& logarithms() {
  static const Logarithms table;
  return table;
}

// x = 2^exponent m, m within [sqrt(1/2), sqrt(2)] and near c = i/64: log(x) = exponent log(2) + log(c) + log(m/c), the
// last of which is 2 atanh(s) with s = (m - c) / (m + c) below 1/178.
Wide wide_log(double x) {
  const Logarithms& table = logarithms();
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m * m < 0.5) {
    m *= 2;
    --exponent;
  }
  const int i = static_cast<int>(m * kGrid + 0.5);
  const double c = static_cast<double>(i) / kGrid;
  const Wide s = Wide{m - c, 0} / sum(m, c);
  const double q = s.high * s.high;
  const double tail = s.high * q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9))));  // below 2^-15 of s
  const Wide fraction = quick_sum(2 * s.high, 2 * (s.low + tail));
  return Wide{static_cast<double>(exponent), 0} * table.of_two +
         (table.of_grid[static_cast<std::size_t>(i - kFirst)] + fraction);
}

// e^x = 2^k (e^(r/256))^256 with x = k log(2) + r.
double rounded_exp(Wide x) {
  if (x.high > 710) return std::numeric_limits<double>::infinity();
  if (x.high < -746) return 0;
  constexpr int kHalvings = 8;
  const Wide log_two = logarithms().of_two;
  const double k = std::floor(x.high / log_two.high + 0.5);
  Wide r = x + Wide{-k, 0} * log_two;
  r = r * Wide{1.0 / (1 << kHalvings), 0};
  Wide term{1, 0}, result{1, 0};
  for (int n = 1; n <= 11; ++n) {
    term = term * r / Wide{static_cast<double>(n), 0};
    result = result + term;
  }
  for (int n = 0; n < kHalvings; ++n) result = result * result;
  return std::ldexp(result.high, static_cast<int>(k));
}

}  // namespace

double portable_log(double x) {
  check(x >= 0 && std::isfinite(x), "a logarithm of a number that is not negative");
  return x == 0 ? -std::numeric_limits<double>::infinity() : wide_log(x).high;
}

double portable_pow(double base, double exponent) {
  check(base >= 0 && std::isfinite(base) && std::isfinite(exponent), "a power of a number that is not negative");
  if (exponent == 0 || base == 1) return 1;
  if (base == 0) return exponent > 0 ? 0 : std::numeric_limits<double>::infinity();
  return rounded_exp(Wide{exponent, 0} * wide_log(base));
}

}  // namespace ascendsim
