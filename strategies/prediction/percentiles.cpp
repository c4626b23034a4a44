#include "strategies/prediction/percentiles.h"

#include <algorithm>

namespace ascendsim {

namespace {

// Nearest-rank percentile of ascending values.
Duration percentile(const std::vector<Repeated>& sorted, std::int64_t total, int percent) {
  std::int64_t rank = std::max<std::int64_t>(1, ceil_div(total * percent, 100));
  for (const Repeated& r : sorted)
    if ((rank -= r.times) <= 0) return r.value;
  return sorted.back().value;
}

}  // namespace

Percentiles percentiles(std::vector<Repeated> values) {
  if (values.empty()) return {};
  std::ranges::sort(values, {}, &Repeated::value);
  std::int64_t total = 0;
  __int128 sum = 0;  // a million requests of thousands of tokens exceed 64 bits of picoseconds
  for (const Repeated& r : values) {
    total += r.times;
    sum += static_cast<__int128>(r.value.count()) * r.times;
  }
  return {Duration(static_cast<std::int64_t>(sum / total)), percentile(values, total, 50),
          percentile(values, total, 90), percentile(values, total, 99)};
}

Percentiles percentiles(const std::vector<Duration>& values) {
  std::vector<Repeated> once;
  for (const Duration v : values) once.push_back({v});
  return percentiles(std::move(once));
}

}  // namespace ascendsim
