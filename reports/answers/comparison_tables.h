// What a comparison says: its verdict (comparison_verdict.h), then tables; the same as JSON.
#pragma once

#include <string>
#include <vector>

#include "reports/answers/answer.h"
#include "strategies/search/comparison.h"

namespace ascendsim {

std::vector<Table> comparison_tables(const Comparison& comparison);
JsonDocument comparison_json(const Comparison& comparison, const Diagnostics& diagnostics);

// Collectives of a step by what they are: primitive, group and size of one call.
struct CollectiveSum {
  std::string primitive, group;
  std::int64_t count = 0;
  Bytes bytes{}, sent{};  // of one call; by one rank, all calls
  Duration time{};
};
std::vector<CollectiveSum> collectives_of(const StepTime& step);

}  // namespace ascendsim
