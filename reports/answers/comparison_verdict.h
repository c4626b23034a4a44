// Which alternative wins, in TTFT and in TPOT, by how much and because of what. What cannot be started (the engine
// refuses it, or it does not fit) never wins where something can; times less than kLevelMargin apart are level.
#pragma once

#include <string>
#include <vector>

#include "reports/answers/json_parts.h"
#include "strategies/search/comparison.h"

namespace ascendsim {

// Sentences: headlines by metric, where the winner changes, reasons by load, which keys change nothing.
std::vector<std::string> verdict(const Comparison& comparison);

// [{metric, input_tokens, concurrency, best: [labels of the level ones, the fastest first], can_be_started}]
Json winners_json(const Comparison& comparison);

}  // namespace ascendsim
