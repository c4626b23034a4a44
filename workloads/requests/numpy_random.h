// The random numbers of Python's tools, bit for bit: load generators draw lengths and gaps from NumPy and from Python's
// `random`, so the same seed must give the same requests here.
//
//   NumPy 1.24.2, numpy/random: _pcg64.pyx, bit_generator.pyx (SeedSequence), src/distributions, src/legacy
//   M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
//     Generation", HMC-CS-2014-0905 (PCG64 is XSL-RR 128/64); "Developing a seed_seq Alternative", 2015
//   D. Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019)
//   M. Matsumoto, T. Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998)
//   G. Marsaglia, W. W. Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26 (2000)
//   CPython 3.11, Lib/random.py, Modules/_randommodule.c
//
// Integers and uniform doubles are equal to the last bit. What goes through a logarithm or a power (gamma, exponential,
// normal) is equal to the last bit or differs in it, as it does between two machines with NumPy (sim/elementary.h); a
// decision that hangs on it can differ once in about 10^15 draws. NumPy keeps the stream of RandomState for ever and
// that of Generator "as far as possible"; integers() and random() are unchanged from 1.17 to 2.x.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace ascendsim {

// numpy.random.default_rng(seed): PCG64 behind a SeedSequence.
class NumpyGenerator {
 public:
  explicit NumpyGenerator(std::uint64_t seed);
  std::uint64_t next_uint64();
  std::uint32_t next_uint32();  // halves of 64 bits, the lower first; the upper one waits for the next call
  double random();              // [0, 1)
  // integers(low, high + 1): both ends included. An interval of one value draws nothing. REQUIRES: low <= high.
  std::int64_t integers(std::int64_t low, std::int64_t high);

 private:
  unsigned __int128 state_ = 0, increment_ = 0;
  std::uint32_t waiting_ = 0;
  bool has_waiting_ = false;
};

// numpy.random.seed(seed) and the functions of the module: the legacy RandomState over MT19937.
class NumpyRandomState {
 public:
  explicit NumpyRandomState(std::uint32_t seed) : engine_(seed) {}
  std::uint32_t next_uint32() { return static_cast<std::uint32_t>(engine_()); }
  double random();  // rand(), random_sample(): [0, 1)
  // randint(low, high): high is excluded. An interval of one value draws nothing. REQUIRES: low < high.
  std::int64_t randint(std::int64_t low, std::int64_t high);
  double uniform(double low, double high) { return low + (high - low) * random(); }
  double exponential(double scale) { return scale * standard_exponential(); }
  double gamma(double shape, double scale) { return scale * standard_gamma(shape); }  // REQUIRES: shape >= 0
  double normal(double mean, double deviation) { return mean + deviation * standard_normal(); }
  std::int64_t zipf(double exponent);  // REQUIRES: exponent > 1

 private:
  double standard_exponential();
  double standard_normal();
  double standard_gamma(double shape);

  std::mt19937 engine_;
  double waiting_normal_ = 0;  // of the pair that the polar method makes
  bool has_waiting_normal_ = false;
};

// Python's random.seed(seed) and the functions of the module.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint64_t seed);
  double random();                         // [0, 1)
  std::uint64_t below(std::uint64_t end);  // randrange(end). REQUIRES: 1 <= end <= 2^32
  void discard_choices(std::uint64_t k);   // what choices(population, k=k) takes from the stream

  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i-- > 1;) std::swap(items[i], items[static_cast<std::size_t>(below(i + 1))]);
  }

 private:
  std::mt19937 engine_;
};

}  // namespace ascendsim
