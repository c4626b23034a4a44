#include "strategies/intake/settings.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

void say_missing(const Needed& needed, Diagnostics& diagnostics) {
  diagnostics.error("E0003", {}, fmt::format("{} {} is missing", needed.option, needed.value), {},
                    std::string(needed.meaning));
}

bool refused(const Diagnostics& diagnostics, bool strict) {
  return diagnostics.has_errors() || (strict && std::ranges::any_of(diagnostics.all(), [](const Diagnostic& d) {
                                        return d.severity == Severity::kWarning;
                                      }));
}

}  // namespace ascendsim
