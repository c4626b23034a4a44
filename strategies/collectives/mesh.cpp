// Every rank sends its part to all others at once; a broadcast scatters first.
//   all-gather: latency + n/p / link on a full mesh, latency + (p-1)/p n / port behind a switch.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

int mesh_gather(const Members& members, int first, Schedule& out) {
  for (std::size_t i = 0; i < members.ranks.size(); ++i)
    for (std::size_t j = 0; j < members.ranks.size(); ++j)
      if (i != j)
        for (const Range& range : members.parts[i]) out.send(members.ranks[i], members.ranks[j], first, range);
  return first + 1;
}

Schedule mesh_schedule(const CollectiveShape& shape) {
  Schedule out(shape.ranks);
  if (shape.primitive != Primitive::kBroadcast) {
    mesh_gather(whole_group(shape), 0, out);
    return gather_schedule(shape, std::move(out));
  }
  for (int r = 1; r < shape.ranks; ++r) out.send(0, r, 0, part(shape.n(), shape.ranks, r));
  // The root has everything: nobody needs to send it its part back.
  for (int r = 0; r < shape.ranks; ++r)
    for (int to = 1; to < shape.ranks; ++to)
      if (to != r) out.send(r, to, 1, part(shape.n(), shape.ranks, r));
  return out;
}

StepPlan mesh_plan(const CollectiveShape& shape) {
  const StepLoad all = to_all(shape, TransferKind::kGather, shape.block());
  if (shape.primitive == Primitive::kBroadcast) return {1, {all, all}};
  return gather_plan(shape, {all});
}

}  // namespace ascendsim
