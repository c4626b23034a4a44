// What programs can run of a deployment, until they know every strategy: rules judge what the user asked for, programs
// get this. Whatever differs is said.
#pragma once

#include "strategies/deployment/deployment.h"

namespace ascendsim {

// Empty (after an error) when nothing near enough can be run. `refusal`: how that is said; `check` only warns.
std::optional<Deployment> simulated(const Deployment& asked, Severity refusal, Diagnostics& diagnostics);

}  // namespace ascendsim
