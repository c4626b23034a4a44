// MoE dispatch and combine in two layers: a token crosses to another server once, to the die of equal index there,
// which hands it to the ranks of its experts; on the way back that die adds their results first. HCCS inside, RDMA
// between (vllm-ascend pull requests 2752 and 5300: comm_alg "hierarchy"; on A2 for 16, 32 or 64 ranks).
#include <algorithm>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

bool layered_defined(const CollectiveShape& shape) {
  const bool a2 = shape.fabric == Fabric::kHccsMesh;
  return several_servers(shape) && (!a2 || shape.ranks == 16 || shape.ranks == 32 || shape.ranks == 64);
}

// Scratch of a die: the tokens of the dies of equal index (or what the experts of its server made of them), by source
// server.
Schedule layered_schedule(const TokenRouting& routing, Primitive primitive) {
  const int inside = routing.ranks_per_server, servers = routing.ranks / inside;
  const bool dispatch = primitive == Primitive::kDispatch;
  Schedule out(routing.ranks);
  // Where each copy lies in the result (dispatch) or the vector (combine) of its rank.
  const auto slots = slots_of(routing);
  for (int rank = 0; rank < routing.ranks; ++rank)
    for (std::size_t i = 0; i < slots[static_cast<std::size_t>(rank)].size(); ++i) {
      const Slot& s = slots[static_cast<std::size_t>(rank)][i];
      const int relay = rank / inside * inside + s.from % inside;
      const std::int64_t slot = static_cast<std::int64_t>(i) * routing.row;
      const std::int64_t kept = (std::int64_t{s.from / inside} * routing.tokens + s.token) * routing.row;
      if (dispatch)
        out.add({relay, rank, 1, Place::kScratch, Place::kResult, false, kept, slot, routing.row});
      else
        out.add({rank, relay, 0, Place::kVector, Place::kScratch, true, slot, kept, routing.row});
    }
  for (int home = 0; home < routing.ranks; ++home)
    for (int token = 0; token < routing.tokens; ++token)
      for (int server = 0; server < servers; ++server) {
        bool goes = false;
        for (int copy = 0; copy < routing.copies; ++copy)
          goes |= routing.server_of(routing.target(home, token, copy)) == server;
        if (!goes) continue;
        const int relay = server * inside + home % inside;
        const std::int64_t kept = (std::int64_t{home / inside} * routing.tokens + token) * routing.row;
        if (dispatch)
          out.add({home, relay, 0, Place::kVector, Place::kScratch, false, token * routing.row, kept, routing.row});
        else
          out.add({relay, home, 1, Place::kScratch, Place::kResult, true, kept, token * routing.row, routing.row});
      }
  return out;
}

Schedule layered_schedule(const CollectiveShape& shape) {
  return layered_schedule(balanced_routing(shape), shape.primitive);
}

StepPlan layered_plan(const CollectiveShape& shape) {
  const TransferKind kind = kind_of(shape.primitive);
  const std::int64_t m = shape.servers;
  // Copies spread evenly reach min(copies, m) servers, of which all are the token's own equally often.
  const std::int64_t reached = std::min<std::int64_t>(shape.copies, m);
  const std::int64_t to_a_server = ceil_div(checked_product(ceil_div(shape.n(), shape.copies), reached), m);
  StepLoad between = to_partners(shape, kind, (m - 1) * to_a_server,
                                 [&](int r) { return (r + shape.ranks_per_server) % shape.ranks; });
  between.messages = m - 1;
  std::vector<StepLoad> loads{between};
  if (shape.ranks_per_server > 1)
    loads.push_back(to_all_of_server(shape, kind, ceil_div(shape.n(), shape.ranks_per_server)));
  if (shape.primitive == Primitive::kCombine) std::ranges::reverse(loads);
  return {1, std::move(loads)};
}

}  // namespace ascendsim
