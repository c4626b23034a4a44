// `run` of a load over time, of one kind of instance or of a prefill and a decode side.
#pragma once

#include <optional>

#include "reports/answers/answer.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

// What is written of a run beside its tables.
struct ServiceOutput {
  std::int64_t top = 10;      // operators shown per phase
  std::string requests_file;  // empty: none
};

// Whether a deployment has to be simulated over time: because that is asked, or because a batch does not fit at once
// although a single request of it does.
bool needs_service(const Subject& subject, const FileChoice& choice, const Settings& settings,
                   const ServiceOutput& output);
bool needs_service(const PairOfSubjects& pair, const PairOfChoices& choices, const Settings& settings,
                   const ServiceOutput& output);

// Nothing when not even one request can run: whoever asked says so as of one request. Throws ConfigError.
std::optional<Answer> answer_service(Subject& subject, const FileChoice& choice, const Settings& settings,
                                     const ServiceOutput& output, Diagnostics& diagnostics);
std::optional<Answer> answer_service(PairOfSubjects& pair, const PairOfChoices& choices, const Settings& settings,
                                     const ServiceOutput& output, Diagnostics& diagnostics);

}  // namespace ascendsim
