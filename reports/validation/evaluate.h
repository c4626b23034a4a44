// Predicts what a case measured, by the same functions as run and mem; nothing here knows a published value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/validation/cases.h"
#include "reports/answers/table.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

struct Term {
  std::string what;
  Duration time{};
};
struct Outcome {
  double predicted = 0;  // in the unit of the case's metric
  std::string family;    // of a kernel; the primitive of a collective; empty otherwise
  std::vector<Table> breakdown;
  std::vector<Term> terms{};  // what the time is made of; none of memory
};
// Empty after diagnostics. REQUIRES: the case names what to predict.
std::optional<Outcome> evaluate(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics);

// One file of evaluate each.
std::optional<Outcome> evaluate_kernel(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics);
std::optional<Outcome> evaluate_collective(const ValidationCase& c, const Libraries& libraries,
                                           Diagnostics& diagnostics);
std::optional<Outcome> evaluate_copy(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics);
std::optional<Outcome> evaluate_deployment(const ValidationCase& c, const Libraries& libraries,
                                           Diagnostics& diagnostics);

}  // namespace ascendsim
