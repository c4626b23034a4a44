// What the generic engine is put together from, for engines that share it.
#pragma once

#include <string_view>

namespace ascendsim {

// Whoever names no other engine writes vLLM's options ("dcp").
std::string_view generic_field_of(std::string_view option);

}  // namespace ascendsim
