// As hierarchical, but with a ring between servers whose steps overlap with the mesh inside: while a part goes on to
// the next server, the one that came before is spread among the dies of this one. m steps of max(between, inside).
// HCCL: pipeline (A2, several servers).
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule pipelined_schedule(const CollectiveShape& shape) {
  const int servers = shape.servers, inside = shape.ranks_per_server;
  Schedule gather(shape.ranks);
  for (int step = 0; step < servers; ++step)
    for (int s = 0; s < servers; ++s)
      for (int i = 0; i < inside; ++i) {
        const int rank = s * inside + i;
        const Range range = part(shape.n(), shape.ranks, (s - step + servers) % servers * inside + i);
        if (step < servers - 1) gather.send(rank, (rank + inside) % shape.ranks, step, range);
        for (int j = 0; j < inside; ++j)
          if (j != i) gather.send(rank, s * inside + j, step, range);
      }
  return gather_schedule(shape, std::move(gather));
}

StepPlan pipelined_plan(const CollectiveShape& shape) {
  const StepLoad within = to_all_of_server(shape, TransferKind::kGather, shape.block());
  StepLoad both = within;
  both.count = shape.servers - 1;
  const StepLoad between = to_partners(shape, TransferKind::kGather, shape.block(),
                                       [&](int r) { return (r + shape.ranks_per_server) % shape.ranks; });
  for (std::size_t c = 0; c < kLinkClasses; ++c) both.bytes[c] += between.bytes[c];
  both.messages += 1;
  both.of_a_rank += between.of_a_rank;
  if (shape.ranks_per_server == 1) return gather_plan(shape, {both});
  return gather_plan(shape, {both, within});
}

}  // namespace ascendsim
