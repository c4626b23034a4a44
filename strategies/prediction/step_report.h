// What a swept step says: parts of the slowest rank's time, its operators and collectives in rows.
#pragma once

#include <span>

#include "sim/clock.h"
#include "strategies/prediction/program_price.h"
#include "strategies/prediction/step_time.h"

namespace ascendsim {

struct SweptStep {
  std::span<const PricedProgram> programs;  // of each class
  const Folding& folding;
  const SweepResult& swept;
  const Timeline* timeline = nullptr;  // when the ends of attention are asked for
};
// All of it but what the host does of the step (`launched`) and what faults add (`slowed`).
StepTime report(const SweptStep& step, const ProgramPricer& pricer, std::span<const GroupKind> groups,
                const KernelCost& kernels);

}  // namespace ascendsim
