#include "workloads/requests/numpy_random.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/workloads/requests/recorded.h"

namespace ascendsim {
namespace {

std::int64_t integer(const Json& text) { return std::stoll(text.get<std::string>()); }
std::uint64_t unsigned_integer(const Json& text) { return std::stoull(text.get<std::string>()); }
double exact(const Json& hexadecimal) { return std::strtod(hexadecimal.get<std::string>().c_str(), nullptr); }

// Recorded with NumPy 1.24.2: equal to the last bit, or one unit of it where a logarithm or a power takes part, which
// NumPy takes from the machine's libm.
void expect_neighbour(double value, double expected) {
  if (value == expected) return;
  EXPECT_TRUE(value == std::nextafter(expected, INFINITY) || value == std::nextafter(expected, -INFINITY))
      << value << " for " << expected;
}

TEST(NumpyRandom, GeneratorDrawsTheRecordedNumbers) {
  for (const Json& row : recorded("numpy.json").at("default_rng")) {
    SCOPED_TRACE("seed " + row.at("seed").get<std::string>());
    NumpyGenerator random(unsigned_integer(row.at("seed")));
    for (const Json& v : row.at("raw")) EXPECT_EQ(random.next_uint64(), unsigned_integer(v));
    for (const Json& v : row.at("random")) EXPECT_EQ(random.random(), exact(v));
    for (const Json& draws : row.at("integers"))
      for (const Json& v : draws.at("values"))
        EXPECT_EQ(random.integers(integer(draws.at("low")), integer(draws.at("high"))), integer(v)) << draws;
    EXPECT_EQ(random.random(), exact(row.at("random_after")));
  }
}

TEST(NumpyRandom, LegacyStateDrawsTheRecordedNumbers) {
  for (const Json& row : recorded("numpy.json").at("legacy_seed")) {
    SCOPED_TRACE("seed " + row.at("seed").dump());
    NumpyRandomState random(row.at("seed").get<std::uint32_t>());
    for (const Json& v : row.at("random")) EXPECT_EQ(random.random(), exact(v));
    for (const Json& draws : row.at("randint"))
      for (const Json& v : draws.at("values"))
        EXPECT_EQ(random.randint(integer(draws.at("low")), integer(draws.at("high"))), integer(v)) << draws;
    for (const Json& v : row.at("exponential_0.25")) expect_neighbour(random.exponential(0.25), exact(v));
    for (const Json& draws : row.at("gamma"))
      for (const Json& v : draws.at("values"))
        expect_neighbour(random.gamma(draws.at("shape").get<double>(), draws.at("scale").get<double>()), exact(v));
    for (const Json& v : row.at("normal_10_3")) expect_neighbour(random.normal(10, 3), exact(v));
    for (const Json& v : row.at("uniform_500_1500")) EXPECT_EQ(random.uniform(500, 1500), exact(v));
    for (const Json& draws : row.at("zipf"))
      for (const Json& v : draws.at("values"))
        EXPECT_EQ(random.zipf(draws.at("exponent").get<double>()), integer(v)) << draws;
    EXPECT_EQ(random.random(), exact(row.at("random_after")));
  }
}

TEST(NumpyRandom, PythonDrawsTheRecordedNumbers) {
  for (const Json& row : recorded("numpy.json").at("python_random")) {
    SCOPED_TRACE("seed " + row.at("seed").get<std::string>());
    PythonRandom random(unsigned_integer(row.at("seed")));
    for (const Json& v : row.at("random")) EXPECT_EQ(random.random(), exact(v));
    for (const Json& draws : row.at("below"))
      for (const Json& v : draws.at("values"))
        EXPECT_EQ(random.below(unsigned_integer(draws.at("end"))), v.get<std::uint64_t>()) << draws;
    random.discard_choices(7);
    std::vector<int> items(25);
    std::iota(items.begin(), items.end(), 0);
    random.shuffle(std::span<int>(items));
    EXPECT_EQ(items, row.at("shuffle_25_after_7_choices").get<std::vector<int>>());
    EXPECT_EQ(random.random(), exact(row.at("random_after")));
  }
}

// Published, ISO C++ [rand.predef]: the 10,000th number of std::mt19937 with its default seed, 5489.
TEST(NumpyRandom, MersenneTwisterIsTheStandards) {
  NumpyRandomState random(5489);
  for (int i = 1; i < 10'000; ++i) random.next_uint32();
  EXPECT_EQ(random.next_uint32(), 4'123'659'995u);
}

RC_GTEST_PROP(NumpyRandom, IntegersStayInTheirInterval, (std::uint64_t seed, std::int64_t a, std::int64_t b)) {
  const std::int64_t low = std::min(a, b), high = std::max(a, b);
  NumpyGenerator generator(seed);
  NumpyRandomState state(static_cast<std::uint32_t>(seed));
  for (int i = 0; i < 20; ++i) {
    const std::int64_t drawn = generator.integers(low, high);
    RC_ASSERT(low <= drawn && drawn <= high);
    if (low < high) {
      const std::int64_t other = state.randint(low, high);
      RC_ASSERT(low <= other && other < high);
    }
  }
}

// Mean and variance of 200,000 draws within six standard errors of what the distributions have (Marsaglia, Tsang).
TEST(NumpyRandom, GammaHasItsMoments) {
  constexpr int kDraws = 200'000;
  for (const double shape : {0.3, 0.5, 1.0, 2.0, 7.5}) {
    NumpyRandomState random(2026);
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = random.gamma(shape, 2.0);
      sum += x;
      squares += x * x;
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    EXPECT_NEAR(mean, 2 * shape, 6 * std::sqrt(4 * shape / kDraws)) << shape;
    // Var(S^2) = (mu4 - sigma^4) / n with mu4 = 3 sigma^4 (1 + 2 / shape)
    EXPECT_NEAR(variance, 4 * shape, 6 * 4 * shape * std::sqrt((2 + 6 / shape) / kDraws)) << shape;
  }
}

}  // namespace
}  // namespace ascendsim
