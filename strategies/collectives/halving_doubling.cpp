// log2(p) exchanges with partners at distance 1, 2, 4 ...: what a rank has doubles with each (all-gather), or halves
// (reduce-scatter, which starts with the largest distance). Thakur et al. 2005; HCCL: H-D_R.
#include <bit>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

bool halving_doubling_defined(const CollectiveShape& shape) {
  return std::has_single_bit(static_cast<unsigned>(shape.ranks));
}

Schedule halving_doubling_schedule(const CollectiveShape& shape) {
  Schedule gather(shape.ranks);
  for (int distance = 1, step = 0; distance < shape.ranks; distance *= 2, ++step)
    for (int r = 0; r < shape.ranks; ++r)
      for (int i = 0; i < distance; ++i)
        gather.send(r, r ^ distance, step, part(shape.n(), shape.ranks, r / distance * distance + i));
  return gather_schedule(shape, std::move(gather));
}

StepPlan halving_doubling_plan(const CollectiveShape& shape) {
  std::vector<StepLoad> loads;
  for (int distance = 1; distance < shape.ranks; distance *= 2) {
    const std::int64_t bytes = part(shape.n(), shape.ranks, distance).begin;  // the first parts are the largest
    loads.push_back(to_partners(shape, TransferKind::kGather, bytes, [&](int r) { return r ^ distance; }));
  }
  return gather_plan(shape, std::move(loads));
}

}  // namespace ascendsim
