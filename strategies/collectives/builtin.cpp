#include "strategies/collectives/algorithm.h"

namespace ascendsim {

namespace {

constexpr std::uint32_t kGathers =
    in_set(Primitive::kAllGather) | in_set(Primitive::kReduceScatter) | in_set(Primitive::kAllReduce);
constexpr std::uint32_t kMoe = in_set(Primitive::kDispatch) | in_set(Primitive::kCombine);

constexpr CollectiveAlgorithm kBuiltin[] = {
    {"mesh", "every pair at once; a broadcast scatters first", "any group", kGathers | in_set(Primitive::kBroadcast),
     any_group, mesh_schedule, mesh_plan},
    {"one-shot", "every rank reads all vectors in one step", "any group", in_set(Primitive::kAllReduce), any_group,
     one_shot_schedule, one_shot_plan},
    {"ring", "p - 1 steps between neighbours", "any group", kGathers, any_group, ring_schedule, ring_plan},
    {"halving-doubling", "log2(p) steps at distance 1, 2, 4 (HCCL: H-D_R)", "ranks are a power of two", kGathers,
     halving_doubling_defined, halving_doubling_schedule, halving_doubling_plan},
    {"nhr", "non-uniform hierarchical ring: ceil(log2 p) steps (HCCL: NHR)", "any group", kGathers, any_group,
     nhr_schedule, nhr_plan},
    {"hierarchical", "NHR between servers, mesh inside", "two servers or more, equally many ranks in each", kGathers,
     several_servers, hierarchical_schedule, hierarchical_plan},
    {"pipelined", "ring between servers beside the mesh inside (HCCL: pipeline)",
     "two servers or more, equally many ranks in each", kGathers, several_servers, pipelined_schedule, pipelined_plan},
    {"direct", "every pair at once", "any group", in_set(Primitive::kAllToAll), any_group, direct_schedule,
     direct_plan},
    {"pairwise", "p - 1 steps, one partner in each (HCCL: pairwise)", "any group", in_set(Primitive::kAllToAll),
     any_group, pairwise_schedule, pairwise_plan},
    {"hierarchical-exchange", "between dies of equal index, then inside servers",
     "two servers or more, equally many ranks in each", in_set(Primitive::kAllToAll), several_servers,
     hierarchical_exchange_schedule, hierarchical_exchange_plan},
    {"tree", "binomial tree", "any group", in_set(Primitive::kBroadcast), any_group, tree_schedule, tree_plan},
    {"neighbour", "every rank to the next one", "any group", in_set(Primitive::kShift), any_group, neighbour_schedule,
     neighbour_plan},
    {"mc2", "fused MoE kernels: every copy straight to its expert", "any group", kMoe, any_group, mc2_schedule,
     mc2_plan, true},
    {"all-to-all-v", "MoE rows pair by pair, as many as there are", "any group", kMoe, any_group, all_to_all_v_schedule,
     all_to_all_v_plan},
    {"padded", "MoE rows in blocks of equal capacity (--padding)", "any group", kMoe, any_group, padded_schedule,
     padded_plan},
    {"all-gather-ep", "MoE: all tokens to all ranks, reduce-scatter back", "any group", kMoe, any_group,
     all_gather_ep_schedule, all_gather_ep_plan},
    {"layered", "MoE: a token once to each server, then to its experts (comm_alg hierarchy)",
     "two servers or more, equally many ranks in each; on A2 16, 32 or 64 ranks", kMoe, layered_defined,
     layered_schedule, layered_plan},
};

}  // namespace

std::span<const CollectiveAlgorithm> builtin_collectives() { return kBuiltin; }

const CollectiveAlgorithm* find_collective(std::string_view name) {
  for (const CollectiveAlgorithm& a : kBuiltin)
    if (a.name == name) return &a;
  return nullptr;
}

}  // namespace ascendsim
