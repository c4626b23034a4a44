// MoE dispatch and combine as fused kernels do it (MoeDistributeDispatch / Combine, DeepEP low-latency): every copy of
// a token goes straight to the rank of its expert and back, all pairs at once. On A2 all of it is RDMA unless the
// layered algorithm is chosen (vllm-ascend pull request 2752).
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule mc2_schedule(const TokenRouting& routing, Primitive primitive) {
  Schedule out(routing.ranks);
  const auto slots = slots_of(routing);
  for (int rank = 0; rank < routing.ranks; ++rank)
    for (std::size_t i = 0; i < slots[static_cast<std::size_t>(rank)].size(); ++i) {
      const Slot& s = slots[static_cast<std::size_t>(rank)][i];
      const std::int64_t slot = static_cast<std::int64_t>(i) * routing.row, token = s.token * routing.row;
      if (primitive == Primitive::kDispatch)
        out.add({s.from, rank, 0, Place::kVector, Place::kResult, false, token, slot, routing.row});
      else
        out.add({rank, s.from, 0, Place::kVector, Place::kResult, true, slot, token, routing.row});
    }
  return out;
}

Schedule mc2_schedule(const CollectiveShape& shape) { return mc2_schedule(balanced_routing(shape), shape.primitive); }

StepPlan mc2_plan(const CollectiveShape& shape) {
  return {1, {to_all(shape, kind_of(shape.primitive), shape.block())}};
}

}  // namespace ascendsim
