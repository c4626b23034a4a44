// Percentiles of times over requests or tokens. Requests of one size share most of their gaps, so a value stands with
// how often it occurs instead of once per token.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

// p50, p90, p99 by nearest rank: the smallest value that at least so many of a hundred do not exceed, always one that
// occurred. mean: rounded down to a tick. All zero where there are no values.
struct Percentiles {
  Duration mean{}, p50{}, p90{}, p99{};
};

struct Repeated {
  Duration value{};
  std::int64_t times = 1;
};

Percentiles percentiles(std::vector<Repeated> values);
Percentiles percentiles(const std::vector<Duration>& values);

}  // namespace ascendsim
