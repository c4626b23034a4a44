// What programs can run of a deployment, until they know every strategy: rules judge what the user asked for, programs get
// this. Whatever differs is said.
#pragma once

#include "strategies/deployment.h"

namespace ascendsim {

Deployment simulated(const Deployment& asked, Diagnostics& diagnostics);

}  // namespace ascendsim
