// All-reduce in one step: every rank sends its whole vector to all others. Shortest in steps, longest in bytes.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule one_shot_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  for (int from = 0; from < shape.ranks; ++from)
    for (int to = 0; to < shape.ranks; ++to)
      out.add({from, to, 0, Place::kVector, Place::kResult, true, 0, 0, shape.n()});
  return out;
}

StepPlan one_shot_plan(const CollectiveShape& shape) { return {1, {to_all(shape, TransferKind::kReduce, shape.n())}}; }

}  // namespace ascendsim
