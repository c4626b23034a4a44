// The first step of the intake: what a file says, with settings in. Internal to intake/.
#pragma once

#include "strategies/intake/subject.h"

namespace ascendsim {

// A deployment in our own format.
AskedQuestion read_own(ConfigNode root, const Libraries& libraries, const Settings& settings, Diagnostics& diagnostics);

}  // namespace ascendsim
