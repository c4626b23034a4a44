#pragma once

#include <ctime>

namespace ascendsim {

// Of this process, in seconds.
inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace ascendsim
