// Between servers first, among dies of equal index (NHR), then inside each server over the mesh; a reduce-scatter the
// other way round. So a NIC carries (m-1)/m n/k of an all-gather over m servers of k dies. HCCL between A2 servers.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule hierarchical_schedule(const CollectiveShape& shape) {
  const int inside = shape.ranks_per_server;
  Schedule gather(shape.ranks);
  int behind = 0;
  for (int i = 0; i < inside; ++i) {
    Members column;
    for (int s = 0; s < shape.servers; ++s) {
      column.ranks.push_back(s * inside + i);
      column.parts.push_back({part(shape.n(), shape.ranks, s * inside + i)});
    }
    behind = nhr_gather(column, 0, gather);
  }
  for (int s = 0; s < shape.servers; ++s) {
    Members server;
    for (int i = 0; i < inside; ++i) {
      server.ranks.push_back(s * inside + i);
      std::vector<Range>& parts = server.parts.emplace_back();
      for (int other = 0; other < shape.servers; ++other)
        parts.push_back(part(shape.n(), shape.ranks, other * inside + i));
    }
    mesh_gather(server, behind, gather);
  }
  return gather_schedule(shape, std::move(gather));
}

StepPlan hierarchical_plan(const CollectiveShape& shape) {
  std::vector<StepLoad> loads;
  for (int level = nhr_levels(shape.servers) - 1; level >= 0; --level)
    loads.push_back(to_partners(shape, TransferKind::kGather, nhr_parts(shape.servers, level) * shape.block(),
                                [&](int r) { return (r + (shape.ranks_per_server << level)) % shape.ranks; }));
  if (shape.ranks_per_server > 1)
    loads.push_back(to_all_of_server(shape, TransferKind::kGather, shape.servers * shape.block()));
  return gather_plan(shape, std::move(loads));
}

}  // namespace ascendsim
