// Broadcast from rank 0 along a binomial tree: ceil(log2 p) steps of n bytes. Short for small vectors.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

namespace {

int child(int rank, int distance, int ranks) {
  return rank % (2 * distance) == 0 && rank + distance < ranks ? rank + distance : rank;
}

}  // namespace

Schedule tree_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  const int levels = nhr_levels(shape.ranks);
  for (int step = 0; step < levels; ++step)
    for (int r = 0; r < shape.ranks; ++r) {
      const int to = child(r, 1 << (levels - 1 - step), shape.ranks);
      if (to != r) out.send(r, to, step, {0, shape.n()});
    }
  return out;
}

StepPlan tree_plan(const CollectiveShape& shape) {
  StepPlan plan;
  for (int level = nhr_levels(shape.ranks) - 1; level >= 0; --level)
    plan.loads.push_back(
        to_partners(shape, TransferKind::kGather, shape.n(), [&](int r) { return child(r, 1 << level, shape.ranks); }));
  return plan;
}

}  // namespace ascendsim
