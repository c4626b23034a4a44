// Members that several answers have in common, so that they look alike everywhere.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/diagnostics.h"
#include "strategies/prediction/predict.h"

namespace ascendsim {

using Json = nlohmann::ordered_json;

// File names may be anything; what is not UTF-8 is replaced, so the document always is.
std::string finish(const Json& json);
Json number_or_null(double value, bool known);
Json percentiles(const Percentiles& p, bool known);  // milliseconds
Json findings(const Diagnostics& diagnostics);
Json layout_json(const Layout& l);
Json memory_json(const MemoryPerRank& m);   // bytes
Json breakdown_json(const StepTime& step);  // milliseconds

}  // namespace ascendsim
