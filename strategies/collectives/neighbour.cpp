// A ring step: every rank sends its buffer to the next one, the last to the first (ring attention, pipelines).
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule neighbour_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  for (int r = 0; r < shape.ranks; ++r)
    out.add({r, (r + 1) % shape.ranks, 0, Place::kVector, Place::kResult, false, 0, 0, shape.n()});
  return out;
}

StepPlan neighbour_plan(const CollectiveShape& shape) {
  return {1, {to_partners(shape, TransferKind::kGather, shape.n(), [&](int r) { return (r + 1) % shape.ranks; })}};
}

}  // namespace ascendsim
