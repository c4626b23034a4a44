// Degrees of parallelism as a reader knows them: vLLM calls context parallelism of prompts PCP and of the cache DCP,
// others cp and sp.
#pragma once

#include <string>
#include <string_view>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

enum class DegreeWords : std::uint8_t { kOurs, kVllm };
DegreeWords degree_words(std::string_view engine);

enum class Degrees : std::uint8_t { kAll, kAboveOne };
// "dp 1  pcp 2  dcp 8  tp 8  moe_ep 16  moe_tp 1"; pp where there is one.
std::string layout_words(const Layout& layout, DegreeWords words, Degrees which = Degrees::kAll,
                         std::string_view between = "  ");

}  // namespace ascendsim
