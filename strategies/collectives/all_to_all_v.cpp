// MoE dispatch and combine as an all-to-all of unequal blocks: rows are sorted by target rank (a kernel of its own),
// then go pair by pair as many as there are. Bytes of a link are those of MC2; steps are p - 1.
#include <algorithm>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule all_to_all_v_schedule(const TokenRouting& routing, Primitive primitive) {
  Schedule out(routing.ranks);
  const Schedule at_once = mc2_schedule(routing, primitive);
  for (Transfer t : at_once.transfers()) {
    t.step = std::max(0, (t.to - t.from + routing.ranks) % routing.ranks - 1);
    out.add(t);
  }
  return out;
}

Schedule all_to_all_v_schedule(const CollectiveShape& shape) {
  return all_to_all_v_schedule(balanced_routing(shape), shape.primitive);
}

StepPlan all_to_all_v_plan(const CollectiveShape& shape) { return pairwise_plan(shape); }

}  // namespace ascendsim
