// Non-uniform hierarchical ring: ceil(log2 p) steps for any p, (p-1)/p n bytes. Part j spreads from its owner along a
// binomial tree: who is k ranks behind the owner passes it on by 2^s, where 2^(s+1) divides k. HCCL: NHR.
#include <algorithm>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

int nhr_levels(int p) {
  int levels = 0;
  while ((1 << levels) < p) ++levels;
  return levels;
}

// Numbers in [1, p) whose lowest set bit is 2^level.
std::int64_t nhr_parts(int p, int level) {
  const std::int64_t distance = std::int64_t{1} << level;
  return (p - 1 + distance) / (2 * distance);
}

int nhr_gather(const Members& members, int first, Schedule& out) {
  const int p = static_cast<int>(members.ranks.size()), levels = nhr_levels(p);
  const auto rank = [&](int i) { return members.ranks[static_cast<std::size_t>(i % p)]; };
  for (int level = levels - 1; level >= 0; --level) {
    const int distance = 1 << level, step = first + levels - 1 - level;
    for (int owner = 0; owner < p; ++owner)
      for (int behind = 0; behind + distance < p; behind += 2 * distance)
        for (const Range& range : members.parts[static_cast<std::size_t>(owner)])
          out.send(rank(owner + behind), rank(owner + behind + distance), step, range);
  }
  return first + levels;
}

Schedule nhr_schedule(const CollectiveShape& shape) {
  Schedule gather(shape.ranks);
  nhr_gather(whole_group(shape), 0, gather);
  return gather_schedule(shape, std::move(gather));
}

StepPlan nhr_plan(const CollectiveShape& shape) {
  const int p = shape.ranks;
  const Range largest = part(shape.n(), p, 0);
  const std::int64_t rest = shape.n() % p;
  std::vector<StepLoad> loads;
  for (int level = nhr_levels(p) - 1; level >= 0; --level) {
    const std::int64_t parts = nhr_parts(p, level);
    // Parts that travel together lie 2^(level+1) ranks apart; at most so many of them have the odd byte.
    const std::int64_t odd = rest == 0 ? parts : std::min(parts, ceil_div(rest, std::int64_t{2} << level));
    const std::int64_t bytes = parts * largest.bytes - (rest == 0 ? 0 : parts - odd);
    loads.push_back(to_partners(shape, TransferKind::kGather, bytes, [&](int r) { return (r + (1 << level)) % p; }));
  }
  return gather_plan(shape, std::move(loads));
}

}  // namespace ascendsim
