// Durations with their multiplicity, and their statistics: in bounded memory for any number of them, and the same
// whatever the order and the grouping in which they were added.
//
// Exact while there are at most kMostDistinct different values. Then percentiles, maximum excepted, are within one part
// in 2^kBits of a value that was added; number, sum, mean and maximum stay exact. The deviation is that of values in
// units of 64 ps, so that squares fit: a million values of 11 days each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

class Sample {
 public:
  static constexpr std::size_t kMostDistinct = std::size_t{1} << 16;
  static constexpr int kBits = 12, kUnitBits = 6;

  // REQUIRES: value >= 0, count >= 0.
  void add(Duration value, std::int64_t count = 1) {
    if (count == 0) return;
    number_ += count;
    sum_ += static_cast<__int128>(value.count()) * count;
    const auto units = static_cast<std::uint64_t>(value.count()) >> kUnitBits;
    units_ += static_cast<unsigned __int128>(units) * static_cast<std::uint64_t>(count);
    squares_ += static_cast<unsigned __int128>(units) * units * static_cast<std::uint64_t>(count);
    if (value > largest_) largest_ = value;
    if (!buckets_.empty())
      put(value, count);
    else
      keep(value, count);
  }

  [[nodiscard]] std::int64_t count() const { return number_; }
  [[nodiscard]] __int128 sum() const { return sum_; }  // picoseconds
  [[nodiscard]] Duration max() const { return largest_; }
  // Statistics of no value are 0, as the tools print them.
  [[nodiscard]] double mean_ms() const;
  [[nodiscard]] double deviation_ms() const;  // of the population
  // Between neighbours in order of size, linearly, as NumPy does by default; `per_mille` from 0 to 1000.
  [[nodiscard]] Duration percentile(int per_mille) const;
  [[nodiscard]] bool exact() const { return buckets_.empty(); }

 private:
  struct Kept {
    std::int64_t value, count;
  };
  struct Bucket {
    std::int64_t count = 0;
    __int128 sum = 0;
  };
  using Octave = std::unique_ptr<Bucket[]>;

  void keep(Duration value, std::int64_t count) {
    if (!kept_.empty() && kept_.back().value == value.count()) {  // runs of equal gaps
      kept_.back().count += count;
      return;
    }
    kept_.push_back({value.count(), count});
    if (kept_.size() >= 2 * kMostDistinct) settle();
  }
  // Sorts and joins what was kept; hands it to the buckets when there are too many different values. So the end
  // depends on the number of different values only.
  void settle() const;
  void put(Duration value, std::int64_t count) const;
  [[nodiscard]] std::int64_t at_rank(std::int64_t rank) const;  // 0-based

  std::int64_t number_ = 0;
  __int128 sum_ = 0;
  unsigned __int128 units_ = 0, squares_ = 0;
  Duration largest_{};
  mutable std::vector<Kept> kept_;
  // By the position of the highest bit, then by the next kBits: the bucket's mean stands for its values.
  mutable std::vector<Octave> buckets_;
};

}  // namespace ascendsim
