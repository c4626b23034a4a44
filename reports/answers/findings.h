// What was said about the input, counted and as assumptions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"

namespace ascendsim {

std::string_view to_text(Severity severity);

// "2 errors, 1 warning"; empty when there is neither.
std::string count_in_words(const Diagnostics& diagnostics);
// What predictions rest on beside the numbers: every note with its place.
std::vector<std::string> notes(const Diagnostics& diagnostics);

}  // namespace ascendsim
