// p - 1 steps; in each, every rank passes a part to its neighbour. Patarasuk & Yuan, JPDC 2009.
//   all-gather: (p-1) (latency + n/p / bandwidth).
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule ring_schedule(const CollectiveShape& shape) {
  Schedule gather(shape.ranks);
  const int p = shape.ranks;
  for (int step = 0; step < p - 1; ++step)
    for (int r = 0; r < p; ++r) gather.send(r, (r + 1) % p, step, part(shape.n(), p, (r - step + p) % p));
  return gather_schedule(shape, std::move(gather));
}

StepPlan ring_plan(const CollectiveShape& shape) {
  StepLoad step =
      to_partners(shape, TransferKind::kGather, shape.block(), [&](int r) { return (r + 1) % shape.ranks; });
  step.count = shape.ranks - 1;
  return gather_plan(shape, {step});
}

}  // namespace ascendsim
