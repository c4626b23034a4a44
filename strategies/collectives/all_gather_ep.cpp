// MoE without routing on the wire: all ranks gather all tokens, compute their own experts' share, and a reduce-scatter
// adds what the experts of all ranks made of each token (vllm-ascend's all-gather expert parallelism). Bytes do not
// depend on the copies.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

// Scratch of a dispatch: all tokens. Of a combine: a partial sum for each token of the group.
Schedule all_gather_ep_schedule(const TokenRouting& routing, Primitive primitive) {
  const int p = routing.ranks;
  const std::int64_t share = routing.tokens * routing.row;
  Schedule out(p);
  const auto slots = slots_of(routing);
  const bool dispatch = primitive == Primitive::kDispatch;
  for (int from = 0; from < p; ++from)
    for (int to = 0; to < p; ++to) {
      if (dispatch)
        out.add({from, to, 0, Place::kVector, Place::kScratch, false, 0, from * share, share});
      else
        out.add({from, to, 1, Place::kScratch, Place::kResult, true, to * share, 0, share});
    }
  for (int rank = 0; rank < p; ++rank)
    for (std::size_t i = 0; i < slots[static_cast<std::size_t>(rank)].size(); ++i) {
      const Slot& s = slots[static_cast<std::size_t>(rank)][i];
      const std::int64_t slot = static_cast<std::int64_t>(i) * routing.row,
                         token = s.from * share + s.token * routing.row;
      if (dispatch)
        out.add({rank, rank, 1, Place::kScratch, Place::kResult, false, token, slot, routing.row});
      else
        out.add({rank, rank, 0, Place::kVector, Place::kScratch, true, slot, token, routing.row});
    }
  return out;
}

Schedule all_gather_ep_schedule(const CollectiveShape& shape) {
  return all_gather_ep_schedule(balanced_routing(shape), shape.primitive);
}

StepPlan all_gather_ep_plan(const CollectiveShape& shape) {
  const std::int64_t tokens = ceil_div(shape.n(), shape.copies);
  const TransferKind kind = shape.primitive == Primitive::kDispatch ? TransferKind::kGather : TransferKind::kReduce;
  return {1, {to_all(shape, kind, tokens)}};
}

}  // namespace ascendsim
