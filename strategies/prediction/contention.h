// What the operators of a step do to each other where they run at once (sim/executor.h).
#pragma once

#include <span>
#include <vector>

#include "hardware/kernel_cost.h"
#include "sim/executor.h"
#include "strategies/prediction/program_price.h"

namespace ascendsim {

// Kernels while something else has a part of the die.
struct SharedKernels {
  const KernelCost& attention;    // the other lane: attention and everything else beside experts
  const KernelCost& experts;      // the other lane: experts
  const KernelCost& half_vector;  // a probe: what of a kernel vector cores limit shows in its time with half of them
};

struct Sharing {
  const SharedKernels& kernels;
  Duration kernel_gap;
  Phase phase;
  bool two_lanes;  // collectives of two lanes, or weights that are broadcast beside others, share ports
};
// One for each program, of the operators that were built; none where nothing slows anything down, so that streams in
// order say it all. REQUIRES: programs of all classes, not yet repeated.
std::vector<Contention> contention_of(std::span<const PricedProgram> programs, const ProgramPricer& pricer,
                                      const Sharing& sharing);

}  // namespace ascendsim
