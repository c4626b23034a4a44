#include "strategies/serving/sample.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/check.h"

namespace ascendsim {

namespace {

constexpr int kOctaves = 64;
constexpr std::size_t kInOctave = std::size_t{1} << Sample::kBits;
constexpr double kPicosecondsPerMillisecond = 1e9;

}  // namespace

void Sample::settle() const {
  std::ranges::sort(kept_, {}, &Kept::value);
  std::size_t last = 0;
  for (std::size_t i = 1; i < kept_.size(); ++i) {
    if (kept_[i].value == kept_[last].value)
      kept_[last].count += kept_[i].count;
    else
      kept_[++last] = kept_[i];
  }
  if (!kept_.empty()) kept_.resize(last + 1);
  if (kept_.size() <= kMostDistinct) return;
  buckets_.resize(kOctaves);
  for (const Kept& k : kept_) put(Duration(k.value), k.count);
  kept_ = {};
}

void Sample::put(Duration value, std::int64_t count) const {
  const auto v = static_cast<std::uint64_t>(value.count());
  const int octave = static_cast<int>(std::bit_width(v));
  const int shift = std::max(0, octave - 1 - kBits);
  Octave& of = buckets_[static_cast<std::size_t>(octave)];
  if (!of) of = std::make_unique<Bucket[]>(kInOctave);
  Bucket& bucket = of[(v >> shift) & (kInOctave - 1)];
  bucket.count += count;
  bucket.sum += static_cast<__int128>(value.count()) * count;
}

double Sample::mean_ms() const {
  if (number_ == 0) return 0;
  return static_cast<double>(sum_) / static_cast<double>(number_) / kPicosecondsPerMillisecond;
}

double Sample::deviation_ms() const {
  if (number_ == 0) return 0;
  // Around the whole part of the mean, so that nothing is lost before the numbers are small.
  const auto n = static_cast<unsigned __int128>(number_);
  const unsigned __int128 mean = units_ / n, rest = units_ % n;
  const auto around = static_cast<double>(squares_ - mean * (units_ + rest)) / static_cast<double>(number_);
  const double beyond = static_cast<double>(rest) / static_cast<double>(number_);
  constexpr double kUnit = 1 << kUnitBits;
  return std::sqrt(std::max(0.0, around - beyond * beyond)) * kUnit / kPicosecondsPerMillisecond;
}

std::int64_t Sample::at_rank(std::int64_t rank) const {
  if (rank == number_ - 1) return largest_.count();
  std::int64_t before = 0;
  for (const Kept& k : kept_)
    if ((before += k.count) > rank) return k.value;
  for (const Octave& octave : buckets_)
    for (std::size_t i = 0; octave && i < kInOctave; ++i)
      if ((before += octave[i].count) > rank) return static_cast<std::int64_t>(octave[i].sum / octave[i].count);
  check(false, "a rank within the sample");
  return 0;
}

Duration Sample::percentile(int per_mille) const {
  if (number_ == 0) return {};
  if (buckets_.empty()) settle();
  constexpr std::int64_t kWhole = 1000;
  const __int128 at = static_cast<__int128>(number_ - 1) * per_mille;
  const auto rank = static_cast<std::int64_t>(at / kWhole);
  const auto part = static_cast<std::int64_t>(at % kWhole);
  const std::int64_t low = at_rank(rank);
  if (part == 0) return Duration(low);
  const __int128 between = static_cast<__int128>(at_rank(rank + 1) - low) * part;
  return Duration(low + static_cast<std::int64_t>((between + kWhole / 2) / kWhole));
}

}  // namespace ascendsim
