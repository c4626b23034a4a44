// All-to-all in p - 1 steps; in step s every rank sends to the one s further. Never two senders for one receiver.
// HCCL: pairwise.
#include <algorithm>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule pairwise_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  for (int distance = 0; distance < shape.ranks; ++distance)
    for (int from = 0; from < shape.ranks; ++from) {
      const int to = (from + distance) % shape.ranks;
      const Range block = part(shape.n(), shape.ranks, to);
      out.add({from, to, std::max(0, distance - 1), Place::kVector, Place::kResult, false, block.begin,
               from * block.bytes, block.bytes});
    }
  return out;
}

StepPlan pairwise_plan(const CollectiveShape& shape) {
  StepPlan plan;
  for (int distance = 1; distance < shape.ranks; ++distance)
    plan.loads.push_back(to_partners(shape, kind_of(shape.primitive), shape.block(),
                                     [&](int r) { return (r + distance) % shape.ranks; }));
  return plan;
}

}  // namespace ascendsim
