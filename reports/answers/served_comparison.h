// What a comparison under a load over time says: every point is a service that was simulated.
#pragma once

#include <string>
#include <vector>

#include "reports/answers/service.h"
#include "strategies/search/comparison.h"

namespace ascendsim {

// Of a point that was served.
ServiceAnswer service_of(const Comparison& comparison, std::size_t point);

// Under each load: the lowest mean TTFT against the others, and who keeps up.
std::vector<std::string> served_verdict(const Comparison& comparison);
Table served_table(const Comparison& comparison);

}  // namespace ascendsim
