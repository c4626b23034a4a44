// Collective algorithms: one file each, listed in builtin.cpp. An algorithm says for which groups it is defined, which
// messages it sends (schedule) and, in closed form, what the busiest links carry in each of its steps (plan). The two
// agree to 1e-6 wherever nothing else uses the links; a property test holds them together.
//
// Bytes are n as in sim/program.h: the full output of an all-gather, the full input of a reduce-scatter, the vector of
// an all-reduce or a broadcast, the local buffer of an all-to-all, a shift, or a MoE dispatch or combine (tokens x
// copies x row). Rank r is die r mod ranks_per_server of server r / ranks_per_server.
//
// Sources: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005 (ring,
// halving-doubling, pairwise, scatter and gather); HCCL's documentation of its algorithms (CANN 8.5, hcclug_000114:
// mesh, ring, RHD, NHR, pipeline, pairwise) and of HCCL_ALGO (envref_07_0079).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/link_graph.h"
#include "sim/program.h"
#include "strategies/collectives/schedule.h"

namespace ascendsim {

struct CollectiveShape {
  Primitive primitive = Primitive::kNone;
  Bytes bytes{};
  int ranks = 0, servers = 1, ranks_per_server = 0;
  int package_peers = 0;  // 1: neighbours 2i, 2i+1 share a package
  Fabric fabric = Fabric::kHccsMesh;
  int copies = 8;         // MoE: experts of a token
  Ratio padding{1.0};     // MoE: rows that a padded exchange sends / rows that are routed
  bool all_rdma = false;  // A2: over NICs inside a server too

  [[nodiscard]] std::int64_t n() const { return bytes.count(); }
  [[nodiscard]] bool even() const { return ranks == servers * ranks_per_server; }
  [[nodiscard]] std::int64_t block() const { return part(n(), ranks, 0).bytes; }  // the largest
};
struct CollectiveAlgorithm;
CollectiveShape shape_of(Primitive primitive, Bytes bytes, const Cluster::Span& span, Fabric fabric);

// Where two ranks meet: inside a package (SIO); at their die links (A2: an HCCS link of this pair alone; A3: the UB
// port of each); at their NICs (A2 between servers).
enum class LinkClass : std::uint8_t { kPackage, kDie, kNic };
constexpr std::size_t kLinkClasses = 3;
LinkClass link_between(const CollectiveShape& shape, int a, int b);

// What a link has to do: efficiencies differ (hardware/catalogue/links, `transfers`).
enum class TransferKind : std::uint8_t { kGather, kReduce, kExchange, kDispatch, kCombine };
std::string_view to_text(TransferKind kind);
TransferKind kind_of(Primitive primitive);  // of an all-reduce: of its second half

// `count` equal steps one after another. bytes: of the busiest link of each class, one direction: of one pair on a
// mesh, of a port elsewhere. of_a_rank: that the busiest rank sends over all its links. messages: that a rank posts in
// a step.
struct StepLoad {
  std::int64_t count = 1;
  TransferKind kind = TransferKind::kGather;
  std::int64_t bytes[kLinkClasses] = {};
  std::int64_t of_a_rank = 0;
  std::int64_t messages = 1;
  std::int64_t& operator[](LinkClass c) { return bytes[static_cast<std::size_t>(c)]; }
  std::int64_t operator[](LinkClass c) const { return bytes[static_cast<std::size_t>(c)]; }
};
struct StepPlan {
  int phases = 1;  // parts that are set up on their own: 2 for reduce-scatter and all-gather
  std::vector<StepLoad> loads;
  [[nodiscard]] std::int64_t steps() const;
};

struct CollectiveAlgorithm {
  const char* name;
  const char* summary;
  const char* rule;          // when it is defined, in words
  std::uint32_t primitives;  // bits of in_set()
  bool (*defined)(const CollectiveShape&);
  Schedule (*schedule)(const CollectiveShape&);  // REQUIRES, as plan: covers and defined
  StepPlan (*plan)(const CollectiveShape&);
  bool rdma = false;  // on A2 across servers, everything goes over NICs

  [[nodiscard]] bool covers(Primitive p) const { return (primitives >> static_cast<unsigned>(p) & 1U) != 0; }
};
constexpr std::uint32_t in_set(Primitive p) { return 1U << static_cast<unsigned>(p); }

std::span<const CollectiveAlgorithm> builtin_collectives();
// Null when there is none of this name.
const CollectiveAlgorithm* find_collective(std::string_view name);

// ---- what algorithms are made of ------------------------------------------------------------------------------------

// What each rank sends to one partner at once. partner(r) = r: it sends nothing.
template <class Partner>
StepLoad to_partners(const CollectiveShape& shape, TransferKind kind, std::int64_t bytes, Partner partner) {
  StepLoad load{.kind = kind, .of_a_rank = bytes};
  for (int r = 0; r < shape.ranks; ++r)
    if (const int peer = partner(r); peer != r) load[link_between(shape, r, peer)] = bytes;
  return load;
}
// What each rank sends to every other one of `group` at once; the group holds all ranks, or those of a server.
StepLoad to_all(const CollectiveShape& shape, TransferKind kind, std::int64_t bytes);
StepLoad to_all_of_server(const CollectiveShape& shape, TransferKind kind, std::int64_t bytes);

// All-gathers are written once, over members that hold parts of the vector; reduce-scatters are their reverse, and an
// all-reduce is both. A gather adds its messages from `first` on and returns the step behind its last one.
struct Members {
  std::vector<int> ranks;
  std::vector<std::vector<Range>> parts;  // of each member
};
Members whole_group(const CollectiveShape& shape);

using Gather = int (*)(const Members&, int first, Schedule&);
Schedule gather_schedule(const CollectiveShape& shape, Schedule all_gather);
// loads: of the all-gather.
StepPlan gather_plan(const CollectiveShape& shape, std::vector<StepLoad> loads);

int mesh_gather(const Members& members, int first, Schedule& out);
int nhr_gather(const Members& members, int first, Schedule& out);
// Level s of the non-uniform hierarchical ring among p: how many of the p - 1 other parts cross a distance of 2^s.
int nhr_levels(int p);
std::int64_t nhr_parts(int p, int level);

// ---- MoE dispatch and combine ---------------------------------------------------------------------------------------

// Which ranks the copies of each token go to (repeats: two experts of one rank).
struct TokenRouting {
  int ranks = 0, ranks_per_server = 0;
  int tokens = 0, copies = 0;           // of a rank; of a token
  std::int64_t row = 1;                 // bytes
  std::vector<std::int32_t> targets{};  // [rank][token][copy]

  [[nodiscard]] std::int32_t target(int rank, int token, int copy) const {
    return targets[(static_cast<std::size_t>(rank) * static_cast<std::size_t>(tokens) +
                    static_cast<std::size_t>(token)) *
                       static_cast<std::size_t>(copies) +
                   static_cast<std::size_t>(copy)];
  }
  [[nodiscard]] int server_of(int rank) const { return rank / ranks_per_server; }
};
// The routing that a closed form stands for: every rank sends equally much to every rank, and the copies of a token are
// spread evenly over the group. Rows are scaled so that a rank's rows make up the bytes.
TokenRouting balanced_routing(const CollectiveShape& shape);
// Rows that arrive at a rank, by source, token and copy: where each lies in the result of a dispatch.
struct Slot {
  std::int32_t from = 0, token = 0, copy = 0;
};
std::vector<std::vector<Slot>> slots_of(const TokenRouting& routing);

// Dispatch: vector = tokens x row, result = slots x row. Combine: vector = slots x row, result = tokens x row, where
// the copies of a token are added. Scratch as large as scratch_rows() says.
using MoeSchedule = Schedule (*)(const TokenRouting&, Primitive);
Schedule mc2_schedule(const TokenRouting& routing, Primitive primitive);
Schedule all_to_all_v_schedule(const TokenRouting& routing, Primitive primitive);
Schedule padded_schedule(const TokenRouting& routing, Primitive primitive,
                         int capacity);  // REQUIRES: no pair has more rows
Schedule all_gather_ep_schedule(const TokenRouting& routing, Primitive primitive);
Schedule layered_schedule(const TokenRouting& routing, Primitive primitive);
int padded_capacity(const TokenRouting& routing, Ratio padding);
std::int64_t scratch_rows(const TokenRouting& routing, int capacity);

// ---- the algorithms, one file each ----------------------------------------------------------------------------------

bool any_group(const CollectiveShape& shape);
bool several_servers(const CollectiveShape& shape);
#define ASCENDSIM_COLLECTIVE(name)                  \
  Schedule name##_schedule(const CollectiveShape&); \
  StepPlan name##_plan(const CollectiveShape&)
ASCENDSIM_COLLECTIVE(ring);
ASCENDSIM_COLLECTIVE(mesh);
ASCENDSIM_COLLECTIVE(one_shot);
ASCENDSIM_COLLECTIVE(halving_doubling);
ASCENDSIM_COLLECTIVE(nhr);
ASCENDSIM_COLLECTIVE(hierarchical);
ASCENDSIM_COLLECTIVE(pipelined);
ASCENDSIM_COLLECTIVE(direct);
ASCENDSIM_COLLECTIVE(pairwise);
ASCENDSIM_COLLECTIVE(hierarchical_exchange);
ASCENDSIM_COLLECTIVE(tree);
ASCENDSIM_COLLECTIVE(neighbour);
ASCENDSIM_COLLECTIVE(mc2);
ASCENDSIM_COLLECTIVE(all_to_all_v);
ASCENDSIM_COLLECTIVE(padded);
ASCENDSIM_COLLECTIVE(all_gather_ep);
ASCENDSIM_COLLECTIVE(layered);
#undef ASCENDSIM_COLLECTIVE
bool halving_doubling_defined(const CollectiveShape& shape);
bool layered_defined(const CollectiveShape& shape);

}  // namespace ascendsim
