// Shared by the readers of values and of mappings; not for use outside sim/config*.cpp and sim/section.cpp.
#pragma once

#include <string>
#include <string_view>

#include "sim/config.h"

namespace ascendsim {

// Fit for a message: shortened, control characters blanked.
std::string shown(std::string_view text);
// What stands there, in words: `"8" (a string)`, `a mapping`, `nothing`.
std::string got(const ConfigNode& node);
void report_unexpected(const ConfigNode& node, std::string_view expected, Diagnostics& diagnostics);
void report_does_not_fit(const ConfigNode& node, std::string_view expected, std::string_view where,
                         Diagnostics& diagnostics);

}  // namespace ascendsim
