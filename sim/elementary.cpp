#include "sim/elementary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "sim/check.h"

namespace ascendsim {
namespace {

constexpr int kLastFactorial = 18;  // 18! is a double
// 1/n!, rounded once: coefficients of Taylor's polynomials.
constexpr auto kInverseFactorial = [] {
  std::array<double, kLastFactorial + 1> inverse{1};
  double factorial = 1;
  for (std::size_t n = 1; n < inverse.size(); ++n) inverse[n] = 1 / (factorial *= static_cast<double>(n));
  return inverse;
}();

// ---- exponential ----------------------------------------------------------------------------------------------------

// How exp is computed in a type.
template <class Scalar>
struct Exponential;
template <>
struct Exponential<double> {
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kRound = 0x1.8p52;           // added to a number: no bits are left for its fraction
  static constexpr double kLeast = -746, kMost = 710;  // e^-746 is 0, e^710 infinite
  // log(2) in two parts, the first of 33 bits: its products with whole numbers below 2^20 are exact (fdlibm, e_exp.c).
  static constexpr double kLogTwoHigh = 0x1.62e42feep-1, kLogTwoLow = 0x1.a39ef35793c76p-33;
  // Taylor's remainder on |r| <= log(2)/2: r^14/14! < 5e-18, 0.05 ulp.
  static constexpr int kDegree = 13;
};
template <>
struct Exponential<float> {
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr float kRound = 0x1.8p23F;
  static constexpr float kLeast = -104, kMost = 89;
  // The first part has 10 bits (S. L. Moshier, Cephes, expf.c).
  static constexpr float kLogTwoHigh = 0.693359375F, kLogTwoLow = -2.12194440e-4F;
  static constexpr int kDegree = 7;  // r^8/8! < 6e-9, 0.1 ulp
};

// x 2^whole, for whole numbers that are exponents of normal numbers: the last bits of `whole` added to a large number are
// the exponent, and go to where exponents are.
template <class Scalar, class Vector>
ASCENDSIM_INLINE void multiply_by_power_of_two(Vector& x, const Vector& whole) {
  using E = Exponential<Scalar>;
  using Integers = decltype(x < x);
  const Vector biased = whole + (E::kRound + E::kBias);
  x *= (Vector)((Integers)biased << E::kMantissa);  // of vectors a cast keeps the bits
}

// e^x = 2^k e^r, x = k log(2) + r, |r| <= log(2)/2, k and r by the reduction of W. J. Cody and W. Waite, "Software Manual
// for the Elementary Functions", 1980: x - k high is exact, so only k low and the difference are rounded, and what the
// difference loses is added back (`lost`). e^r = 1 + (r + (lost + r^2 p(r))): half an ulp for the last sum, at most a
// quarter for the one before, and 0.2 for all the others and Taylor's remainder.
// Vectors go by reference: how wide ones are returned depends on the target.
template <class Scalar, class Vector>
ASCENDSIM_INLINE void exponentiate(Vector& x) {
  using E = Exponential<Scalar>;
  constexpr Scalar kLog2E = static_cast<Scalar>(1.4426950408889634);
  const Vector least = Vector{} + E::kLeast, most = Vector{} + E::kMost;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Vector k = (x * kLog2E + E::kRound) - E::kRound;
  const Vector high = x - k * E::kLogTwoHigh, low = k * E::kLogTwoLow, r = high - low, lost = (high - r) - low;
  Vector p = Vector{} + static_cast<Scalar>(kInverseFactorial[E::kDegree]);
#pragma GCC unroll 16
  for (std::size_t n = E::kDegree - 1; n >= 2; --n) p = p * r + static_cast<Scalar>(kInverseFactorial[n]);
  x = 1 + (r + (lost + r * r * p));
  const Vector half = (k * Scalar{0.5} + E::kRound) - E::kRound;  // twice 2^(k/2): each is a normal number
  multiply_by_power_of_two<Scalar>(x, half);
  multiply_by_power_of_two<Scalar>(x, k - half);
}

template <class Vector, class Scalar>
ASCENDSIM_INLINE void exponentials(std::span<Scalar> x) {
  constexpr std::size_t kLanes = sizeof(Vector) / sizeof(Scalar);
  Vector lanes{};
  std::size_t at = 0;
  for (; at + kLanes <= x.size(); at += kLanes) {
    std::memcpy(&lanes, &x[at], sizeof lanes);
    exponentiate<Scalar>(lanes);
    std::memcpy(&x[at], &lanes, sizeof lanes);
  }
  if (at == x.size()) return;
  std::memcpy(&lanes, &x[at], (x.size() - at) * sizeof(Scalar));
  exponentiate<Scalar>(lanes);
  std::memcpy(&x[at], &lanes, (x.size() - at) * sizeof(Scalar));
}

template <class Scalar>
void portable_exponentials(std::span<Scalar> x) {
  exponentials<typename VectorOf<Scalar, 16>::Type>(x);
}

template <class Scalar>
ASCENDSIM_WIDE void wide_exponentials(std::span<Scalar> x) {
  exponentials<typename VectorOf<Scalar, 32>::Type>(x);
}

template <class Scalar>
void exponentials_by(std::span<Scalar> x, Vectors vectors) {
  if (vectors == Vectors::kWide)
    wide_exponentials(x);
  else
    portable_exponentials(x);
}

// ---- logarithms and powers ------------------------------------------------------------------------------------------

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

// ---- sine and cosine ------------------------------------------------------------------------------------------------

// pi/2 in three parts: 159 bits, so that for any double of magnitude up to 2^30 what is left after whole quarters is
// right to more than twice the bits of a double.
constexpr double kQuarter[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};

// x = k pi/2 + r, |r| <= pi/4 and a little.
struct Reduced {
  Wide r;
  std::int64_t quarters;
};

Reduced reduce(double x) {
  const double k = std::floor(x / kQuarter[0] + 0.5);
  Wide r{x, 0};
  for (const double part : kQuarter) r = r + product(-k, part);
  return {r, static_cast<std::int64_t>(k)};
}

// Taylor's polynomial from the term of power `first` to that of `last` (remainder below r^(last + 2)/(last + 2)!),
// without the first's power: 1/first! - r^2/(first + 2)! + ...
double alternating(double square, int first, int last) {
  double sum = 0;
  for (int n = last; n >= first; n -= 2) sum = kInverseFactorial[static_cast<std::size_t>(n)] - square * sum;
  return sum;
}

// The large term is added last, so that its sum alone is rounded to half an ulp. Remainders: 1e-19 and 4e-21 of the
// result.
double sine(Wide r) {
  const double square = r.high * r.high;
  return r.high + (r.low * (1 - 0.5 * square) - r.high * square * alternating(square, 3, 17));
}

// What 1 - r^2/2 loses when it is rounded is added back; r^2 itself is rounded to a quarter of an ulp of the result.
double cosine(Wide r) {
  const double square = r.high * r.high, half = 0.5 * square, less = 1 - half;
  return less + (((1 - less) - half) + (square * square * alternating(square, 4, 18) - r.high * r.low));
}

}  // namespace

double portable_exp(double x) {
  portable_exponentials(std::span(&x, 1));
  return x;
}
float portable_exp(float x) {
  portable_exponentials(std::span(&x, 1));
  return x;
}
void portable_exp(std::span<double> x, Vectors vectors) { exponentials_by(x, vectors); }
void portable_exp(std::span<float> x, Vectors vectors) { exponentials_by(x, vectors); }

double portable_log(double x) {
  check(!(x < 0), "a logarithm of a negative number");
  if (!std::isfinite(x)) return x;
  return x == 0 ? -std::numeric_limits<double>::infinity() : wide_log(x).high;
}

float portable_log(float x) { return static_cast<float>(portable_log(static_cast<double>(x))); }

// log(h + l) = log(h) + log(1 + l/h), where l is what 1 + x loses when it is rounded: the series of the latter ends after
// its second term.
double portable_log1p(double x) {
  check(!(x < 0), "a logarithm of a number below 1");
  if (!std::isfinite(x)) return x;
  const Wide s = sum(1, x);
  const Wide missed = Wide{s.low, 0} / Wide{s.high, 0};
  return (wide_log(s.high) + (missed + Wide{-0.5 * missed.high * missed.high, 0})).high;
}

float portable_log1p(float x) { return static_cast<float>(portable_log1p(static_cast<double>(x))); }

double portable_pow(double base, double exponent) {
  check(base >= 0 && std::isfinite(base) && std::isfinite(exponent), "a power of a number that is not negative");
  if (exponent == 0 || base == 1) return 1;
  if (base == 0) return exponent > 0 ? 0 : std::numeric_limits<double>::infinity();
  return rounded_exp(Wide{exponent, 0} * wide_log(base));
}

SineCosine portable_sine_cosine(double x) {
  if (std::isnan(x)) return {x, x};
  check(std::abs(x) <= 0x1p30, "an angle of more turns than are reduced exactly");
  const auto [r, quarters] = reduce(x);
  const double s = sine(r), c = cosine(r);
  switch (quarters & 3) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

}  // namespace ascendsim
