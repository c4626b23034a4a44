// Against long double of this machine, which has 11 bits more (x86), and digits computed to 60 places.
#include "sim/elementary.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <vector>

namespace ascendsim {
namespace {

// How far `got` is from `exact`, in units in the last place of the latter.
template <class Scalar>
double ulps(Scalar got, long double exact) {
  const Scalar size = std::abs(static_cast<Scalar>(exact));
  const Scalar unit = std::nextafter(size, std::numeric_limits<Scalar>::infinity()) - size;
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact) / static_cast<long double>(unit));
}

constexpr double kRoundedOnce = 0.505;  // where the exact number lies in the middle, either neighbour will do

// Uniform in [least, most), to all bits of a double.
double within(double least, double most) {
  return least + (most - least) * std::ldexp(static_cast<double>(*rc::gen::arbitrary<std::uint64_t>() >> 11), -53);
}

RC_GTEST_PROP(Elementary, ExponentialsAreWithinAnUlp, ()) {
  for (const double most : {0.4, 20.0, 740.0}) {
    const double x = within(-most, std::min(most, 709.0));
    RC_ASSERT(ulps(portable_exp(x), std::exp(static_cast<long double>(x))) < 1);
    const auto y = static_cast<float>(within(-std::min(most, 103.0), std::min(most, 88.0)));
    RC_ASSERT(ulps(portable_exp(y), std::exp(static_cast<long double>(y))) < 1);
  }
}

RC_GTEST_PROP(Elementary, ExponentialsAreTheSameInVectorsOfAnyWidth, ()) {
  const auto same = [](auto scalar) {
    using Scalar = decltype(scalar);
    std::vector<Scalar> numbers(*rc::gen::inRange<std::size_t>(0, 40));
    for (Scalar& x : numbers) x = static_cast<Scalar>(within(-800, 800));
    std::vector<Scalar> expected = numbers;
    for (Scalar& x : expected) x = portable_exp(x);
    std::vector<Scalar> portable = numbers, widest = numbers;
    portable_exp(std::span(portable), Vectors::kPortable);
    portable_exp(std::span(widest), widest_vectors());
    RC_ASSERT(portable == expected);
    RC_ASSERT(widest == expected);
  };
  same(float{});
  same(double{});
}

RC_GTEST_PROP(Elementary, SinesAndCosinesAreWithinAnUlp, ()) {
  const double turn = 2 * std::acos(-1.0);
  // Any angle, and one next to whole quarters, where most digits cancel.
  for (const double x : {within(-4, 4), within(-1e6, 1e6), within(-0x1p30, 0x1p30),
                         static_cast<double>(*rc::gen::inRange(-600'000'000, 600'000'000)) * (turn / 4)}) {
    const auto [sine, cosine] = portable_sine_cosine(x);
    RC_ASSERT(ulps(sine, std::sin(static_cast<long double>(x))) < 1);
    RC_ASSERT(ulps(cosine, std::cos(static_cast<long double>(x))) < 1);
    RC_ASSERT(std::abs(sine * sine + cosine * cosine - 1) < 4 * 0x1p-53);
  }
}

RC_GTEST_PROP(Elementary, LogarithmsAndPowersAreRoundedOnce, ()) {
  for (int i = 0; i < 20; ++i) {
    const double x = (i % 3 == 0 ? 1000 : 1) * (1 - within(0, 1)), y = within(-10, 10);
    RC_ASSERT(ulps(portable_log(x), std::log(static_cast<long double>(x))) < kRoundedOnce);
    RC_ASSERT(ulps(portable_pow(x, y), std::pow(static_cast<long double>(x), static_cast<long double>(y))) <
              kRoundedOnce);
    const double small = std::ldexp(x, -static_cast<int>(y * y));
    RC_ASSERT(ulps(portable_log1p(small), std::log1p(static_cast<long double>(small))) < kRoundedOnce);
    const auto f = static_cast<float>(x);
    RC_ASSERT(ulps(portable_log(f), std::log(static_cast<long double>(f))) <= 0.5);
    RC_ASSERT(ulps(portable_log1p(f), std::log1p(static_cast<long double>(f))) <= 0.5);
  }
}

// Digits by arithmetic of 200 bits.
TEST(Elementary, KnowsDigits) {
  EXPECT_NEAR(portable_exp(1.0), 0x1.5bf0a8b145769p+1, 0x1p-51);
  EXPECT_NEAR(portable_exp(1.0F), 0x1.5bf0a8p+1F, 0x1p-22F);
  EXPECT_EQ(portable_log1p(1e-10), 0x1.b7cdfd9d1d693p-34);
  EXPECT_NEAR(portable_sine_cosine(1e9).sine, 0x1.1778cae83c69bp-1, 0x1p-53);
  EXPECT_NEAR(portable_sine_cosine(1e9).cosine, 0x1.acff8c7364234p-1, 0x1p-53);
  EXPECT_LT(ulps(portable_sine_cosine(355).sine, -0x1.f9bd0307d1de3p-16L), 1);  // 113 pi and 3e-5
}

template <class Scalar>
void expect_ends_of_exp() {
  constexpr Scalar kInfinity = std::numeric_limits<Scalar>::infinity();
  EXPECT_EQ(portable_exp(Scalar{0}), 1);
  EXPECT_EQ(portable_exp(-kInfinity), 0);
  EXPECT_EQ(portable_exp(kInfinity), kInfinity);
  EXPECT_EQ(portable_exp(std::numeric_limits<Scalar>::lowest()), 0);
  EXPECT_TRUE(std::isnan(portable_exp(std::numeric_limits<Scalar>::quiet_NaN())));
  // Below the smallest normal number in one rounding more, of the smallest unit.
  for (const double x : {-87.5, -95.0, -103.2, -708.5, -730.0, -744.4})
    EXPECT_LE(ulps(portable_exp(static_cast<Scalar>(x)), std::exp(static_cast<long double>(static_cast<Scalar>(x)))),
              1);
}

TEST(Elementary, KnowsItsEnds) {
  expect_ends_of_exp<float>();
  expect_ends_of_exp<double>();
  EXPECT_EQ(portable_exp(709.79), INFINITY);
  EXPECT_EQ(portable_exp(88.73F), std::numeric_limits<float>::infinity());

  EXPECT_EQ(portable_log(1.0), 0);
  EXPECT_EQ(portable_log(0.0), -INFINITY);
  EXPECT_EQ(portable_log(0x1p-53), std::log(0x1p-53));
  EXPECT_TRUE(std::isnan(portable_log(std::nan(""))));
  EXPECT_THROW(portable_log(-1.0), InternalError);
  EXPECT_EQ(portable_log1p(0.0), 0);
  EXPECT_EQ(portable_log1p(1e-300), 1e-300);

  EXPECT_EQ(portable_pow(2, 10), 1024);
  EXPECT_EQ(portable_pow(0, 0.5), 0);
  EXPECT_EQ(portable_pow(7, 0), 1);
  EXPECT_EQ(portable_pow(2, 2000), INFINITY);
  EXPECT_EQ(portable_pow(2, -2000), 0);
  EXPECT_EQ(portable_pow(4, -0.5), 0.5);

  EXPECT_EQ(portable_sine_cosine(0).sine, 0);
  EXPECT_EQ(portable_sine_cosine(0).cosine, 1);
  EXPECT_TRUE(std::isnan(portable_sine_cosine(std::nan("")).sine));
  EXPECT_THROW(portable_sine_cosine(1e10), InternalError);
}

TEST(Elementary, TakesTheElementsOfAMatrixWithoutGaps) {
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> m(2, 3);
  m << 0, 1, 2, 3, 4, 5;
  exponentiate(m.row(1).tail(2));
  EXPECT_EQ(m(1, 0), 3);
  EXPECT_EQ(m(1, 2), portable_exp(5.0));
  exponentiate(m);
  EXPECT_EQ(m(1, 0), portable_exp(3.0));
  EXPECT_THROW(exponentiate(m.leftCols(2)), InternalError);
  EXPECT_THROW(exponentiate(m.col(0)), InternalError);
}

}  // namespace
}  // namespace ascendsim
