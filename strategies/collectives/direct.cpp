// All-to-all in one step: every pair at once.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule direct_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  for (int from = 0; from < shape.ranks; ++from)
    for (int to = 0; to < shape.ranks; ++to) {
      const Range block = part(shape.n(), shape.ranks, to);
      out.add({from, to, 0, Place::kVector, Place::kResult, false, block.begin, from * block.bytes, block.bytes});
    }
  return out;
}

StepPlan direct_plan(const CollectiveShape& shape) {
  return {1, {to_all(shape, kind_of(shape.primitive), shape.block())}};
}

}  // namespace ascendsim
