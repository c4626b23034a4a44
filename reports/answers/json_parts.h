// Members that several answers have in common, so that they look alike everywhere.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reports/answers/answer.h"
#include "sim/diagnostics.h"
#include "strategies/prediction/predict.h"

namespace ascendsim {

Json number_or_null(double value, bool known);
Json percentiles(const Percentiles& p, bool known);  // milliseconds
Json findings(const Diagnostics& diagnostics);
// With the notes on the input.
Json assumptions_json(std::span<const std::string> assumed, const Diagnostics& diagnostics);
Json layout_json(const Layout& l);
Json memory_json(const MemoryPerRank& m);   // bytes
Json breakdown_json(const StepTime& step);  // milliseconds

}  // namespace ascendsim
