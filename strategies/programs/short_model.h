// A model with fewer layers: those after the dense ones are alike, so a few of them stand for all. What is read from a
// short program counts one of its layers several times.
#pragma once

#include <cstdint>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

// kept: layers after the dense ones; one more differs in what it waits for (the first) and in what it gathers (the
// last), so of three or more the last but one is like all that were dropped.
struct ShortModel {
  ShortModel(const Deployment& full, std::int64_t kept);
  Deployment deployment;
  std::int64_t first = 0;  // the first layer that is kept after the dense ones; of a pipeline stage
  std::int64_t dropped = 0;
};

}  // namespace ascendsim
