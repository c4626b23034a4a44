#include "workloads/requests/numpy_random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "sim/check.h"
#include "sim/elementary.h"

namespace ascendsim {
namespace {

// numpy.random.SeedSequence(seed).generate_state(8) with its pool of four words. Seeds of one or two 32-bit words do
// not fill the pool, so the rest of the entropy is zeros.
std::array<std::uint32_t, 8> seed_words(std::uint64_t seed) {
  constexpr std::uint32_t kInitA = 0x43b0d7e5, kMultA = 0x931e8875, kInitB = 0x8b51f9dd, kMultB = 0x58f38ded;
  constexpr std::uint32_t kMixLeft = 0xca01f9dd, kMixRight = 0x4973f715;
  constexpr std::size_t kPool = 4;

  std::uint32_t constant = kInitA;
  const auto hashed = [&constant](std::uint32_t value, std::uint32_t multiplier) {
    value ^= constant;
    constant *= multiplier;
    value *= constant;
    return value ^ value >> 16;
  };
  const auto mixed = [](std::uint32_t x, std::uint32_t y) {
    const std::uint32_t result = kMixLeft * x - kMixRight * y;
    return result ^ result >> 16;
  };

  std::array<std::uint32_t, kPool> pool{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), 0, 0};
  for (std::uint32_t& word : pool) word = hashed(word, kMultA);
  for (std::size_t from = 0; from < kPool; ++from)
    for (std::size_t to = 0; to < kPool; ++to)
      if (from != to) pool[to] = mixed(pool[to], hashed(pool[from], kMultA));

  constant = kInitB;
  std::array<std::uint32_t, 8> words{};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = hashed(pool[i % kPool], kMultB);
  return words;
}

constexpr unsigned __int128 wide(std::uint64_t high, std::uint64_t low) {
  return static_cast<unsigned __int128>(high) << 64 | low;
}
constexpr unsigned __int128 kPcgMultiplier = wide(2549297995355413924u, 4865540595714422341u);

double double_of(std::uint32_t a, std::uint32_t b) {
  return (static_cast<double>(a >> 5) * 67108864.0 + static_cast<double>(b >> 6)) / 9007199254740992.0;
}

double uniform_double(std::mt19937& engine) {
  const auto a = static_cast<std::uint32_t>(engine());
  return double_of(a, static_cast<std::uint32_t>(engine()));
}

// A C++ seed sequence that hands the state of MT19937's init_by_array over: std::mt19937 takes it word for word.
class ByArray {
 public:
  using result_type = std::uint32_t;
  explicit ByArray(std::uint64_t seed) {
    const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    const std::size_t length = key[1] != 0 ? 2 : 1;
    std::size_t i = 1, j = 0;
    const auto before = [this, &i] { return state_[i - 1] ^ state_[i - 1] >> 30; };
    const auto next = [this, &i] {
      if (++i < state_.size()) return;
      state_[0] = state_.back();
      i = 1;
    };
    state_[0] = 19650218u;
    for (; i < state_.size(); ++i) state_[i] = 1812433253u * before() + static_cast<std::uint32_t>(i);
    i = 1;
    for (std::size_t k = 0; k < state_.size(); ++k, next()) {
      state_[i] = (state_[i] ^ before() * 1664525u) + key[j] + static_cast<std::uint32_t>(j);
      j = (j + 1) % length;
    }
    for (std::size_t k = 1; k < state_.size(); ++k, next())
      state_[i] = (state_[i] ^ before() * 1566083941u) - static_cast<std::uint32_t>(i);
    state_[0] = 0x80000000u;
  }
  template <class Iterator>
  void generate(Iterator begin, Iterator end) {
    std::copy_n(state_.begin(), end - begin, begin);
  }

 private:
  std::array<std::uint32_t, 624> state_{};
};

std::mt19937 engine_by_array(std::uint64_t seed) {
  ByArray words(seed);
  return std::mt19937(words);
}

}  // namespace

NumpyGenerator::NumpyGenerator(std::uint64_t seed) {
  const std::array<std::uint32_t, 8> words = seed_words(seed);
  const auto word = [&words](std::size_t i) { return std::uint64_t{words[2 * i + 1]} << 32 | words[2 * i]; };
  increment_ = wide(word(2), word(3)) << 1 | 1;
  state_ = increment_;  // one step from 0
  state_ += wide(word(0), word(1));
  state_ = state_ * kPcgMultiplier + increment_;
}

std::uint64_t NumpyGenerator::next_uint64() {
  state_ = state_ * kPcgMultiplier + increment_;
  const auto high = static_cast<std::uint64_t>(state_ >> 64);
  return std::rotr(high ^ static_cast<std::uint64_t>(state_), static_cast<int>(high >> 58));
}

std::uint32_t NumpyGenerator::next_uint32() {
  if (has_waiting_) {
    has_waiting_ = false;
    return waiting_;
  }
  const std::uint64_t both = next_uint64();
  waiting_ = static_cast<std::uint32_t>(both >> 32);
  has_waiting_ = true;
  return static_cast<std::uint32_t>(both);
}

double NumpyGenerator::random() { return static_cast<double>(next_uint64() >> 11) / 9007199254740992.0; }

// Lemire's multiplication with rejection; 32 bits where the interval allows it.
std::int64_t NumpyGenerator::integers(std::int64_t low, std::int64_t high) {
  check(low <= high, "an interval of integers");
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  const auto result = [low](std::uint64_t offset) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset);
  };
  if (range == 0) return low;
  if (range == std::numeric_limits<std::uint32_t>::max()) return result(next_uint32());
  if (range == std::numeric_limits<std::uint64_t>::max()) return result(next_uint64());
  if (range < std::numeric_limits<std::uint32_t>::max()) {
    const std::uint32_t count = static_cast<std::uint32_t>(range) + 1;
    std::uint64_t scaled = std::uint64_t{next_uint32()} * count;
    if (static_cast<std::uint32_t>(scaled) < count) {
      const std::uint32_t threshold = -count % count;
      while (static_cast<std::uint32_t>(scaled) < threshold) scaled = std::uint64_t{next_uint32()} * count;
    }
    return result(scaled >> 32);
  }
  const std::uint64_t count = range + 1;
  unsigned __int128 scaled = static_cast<unsigned __int128>(next_uint64()) * count;
  if (static_cast<std::uint64_t>(scaled) < count) {
    const std::uint64_t threshold = -count % count;
    while (static_cast<std::uint64_t>(scaled) < threshold)
      scaled = static_cast<unsigned __int128>(next_uint64()) * count;
  }
  return result(static_cast<std::uint64_t>(scaled >> 64));
}

double NumpyRandomState::random() { return uniform_double(engine_); }

// Masks with rejection: RandomState never changes its streams.
std::int64_t NumpyRandomState::randint(std::int64_t low, std::int64_t high) {
  check(low < high, "an interval of integers");
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) - 1;
  if (range == 0) return low;
  const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(range);
  std::uint64_t offset = 0;
  do {
    offset = next_uint32();
    if (range > std::numeric_limits<std::uint32_t>::max()) offset = offset << 32 | next_uint32();
    offset &= mask;
  } while (offset > range);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset);
}

double NumpyRandomState::standard_exponential() { return -portable_log(1.0 - random()); }

// Marsaglia's polar method; the second of a pair waits.
double NumpyRandomState::standard_normal() {
  if (has_waiting_normal_) {
    has_waiting_normal_ = false;
    return waiting_normal_;
  }
  double x = 0, y = 0, square = 0;
  do {
    x = 2.0 * random() - 1.0;
    y = 2.0 * random() - 1.0;
    square = x * x + y * y;
  } while (square >= 1.0 || square == 0.0);
  const double factor = std::sqrt(-2.0 * portable_log(square) / square);
  waiting_normal_ = factor * x;
  has_waiting_normal_ = true;
  return factor * y;
}

double NumpyRandomState::standard_gamma(double shape) {
  check(shape >= 0, "the shape of a gamma distribution");
  if (shape == 1.0) return standard_exponential();
  if (shape == 0.0) return 0.0;
  if (shape < 1.0) {
    for (;;) {
      const double u = random(), v = standard_exponential();
      if (u <= 1.0 - shape) {
        const double x = portable_pow(u, 1.0 / shape);
        if (x <= v) return x;
      } else {
        const double y = -portable_log((1.0 - u) / shape);
        const double x = portable_pow(1.0 - shape + shape * y, 1.0 / shape);
        if (x <= v + y) return x;
      }
    }
  }
  const double b = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * b);
  for (;;) {
    double x = 0, v = 0;
    do {
      x = standard_normal();
      v = 1.0 + c * x;
    } while (v <= 0.0);
    v = v * v * v;
    const double u = random();
    if (u < 1.0 - 0.0331 * (x * x) * (x * x)) return b * v;
    if (portable_log(u) < 0.5 * x * x + b * (1.0 - v + portable_log(v))) return b * v;
  }
}

// L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter X.6.1.
std::int64_t NumpyRandomState::zipf(double exponent) {
  check(exponent > 1, "the exponent of a zeta distribution");
  const double less_one = exponent - 1.0, b = portable_pow(2.0, less_one);
  for (;;) {
    const double u = 1.0 - random(), v = random();
    const double x = std::floor(portable_pow(u, -1.0 / less_one));
    if (x > static_cast<double>(std::numeric_limits<std::int64_t>::max()) || x < 1.0) continue;
    const double t = portable_pow(1.0 + 1.0 / x, less_one);
    // 2^63 itself passes the first comparison in NumPy too, and is cut by the caller's bounds.
    if (v * x * (t - 1.0) / (b - 1.0) <= t / b)
      return x < 9223372036854775807.0 ? static_cast<std::int64_t>(x) : std::numeric_limits<std::int64_t>::max();
  }
}

PythonRandom::PythonRandom(std::uint64_t seed) : engine_(engine_by_array(seed)) {}

double PythonRandom::random() { return uniform_double(engine_); }

std::uint64_t PythonRandom::below(std::uint64_t end) {
  check(end >= 1 && end <= std::uint64_t{1} << 32, "a range of Python's random");
  const int bits = static_cast<int>(std::bit_width(end));
  std::uint64_t result = 0;
  do {
    // getrandbits(k) of more than 32 bits takes two words, the lower first.
    const std::uint64_t first = engine_();
    result = bits <= 32 ? first >> (32 - bits) : (engine_() >> (64 - bits)) << 32 | first;
  } while (result >= end);
  return result;
}

void PythonRandom::discard_choices(std::uint64_t k) { engine_.discard(2 * k); }

}  // namespace ascendsim
