// What a collective costs: expansion (who issues it: vector cores, AI CPUs, the host, a fused kernel) x algorithm
// (algorithm.h) x links (hardware/catalogue/links). In closed form where nothing else uses the links:
//
//   setup + sum over steps of max over links (step cost + bytes / (bandwidth x efficiency))
//
// with the step cost of the expansion over die links (covered by the measured setup in the first step of each phase)
// and that of the NIC between A2 servers. Efficiencies belong to a link and to what is done over it; software costs to
// the server and the expansion. play_collective() sends the same messages as flows, and so knows contention.
//
// Which algorithm and expansion: as HCCL selects by product, size and scale (CANN 8.5: HCCL_OP_EXPANSION_MODE
// envref_07_0096, HCCL_ALGO envref_07_0079, thresholds from HCCL's source), unless asked for by name.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "hardware/cluster_network.h"
#include "sim/program.h"
#include "strategies/collectives/algorithm.h"
#include "strategies/collectives/expansion.h"

namespace ascendsim {

std::string_view to_text(Expansion expansion);  // "AIV", "AI CPU", "host", "fused kernel"
struct ExpansionText {
  Expansion expansion;
  const char* name;   // on the command line
  const char* cores;  // which it takes from computation
};
std::span<const ExpansionText> expansions();

struct CollectiveCall {
  Primitive primitive = Primitive::kNone;
  Bytes bytes{};
  Cluster::Span span;
  bool alone = false;               // as in a benchmark: without what a running network adds
  bool moe_rows = false;            // an all-to-all of MoE rows in unequal shares, which kernels sort and count
  std::span<const double> loads{};  // of exchanges: rows of each rank's experts against the mean; empty = all alike
  int copies = 8;                   // MoE: experts of a token
  Ratio padding{1.0};               // MoE, padded exchange
};

// Nothing asked for: as HCCL selects.
struct CollectivePreference {
  const CollectiveAlgorithm* algorithm = nullptr;
  std::optional<Expansion> expansion{};
};
struct CollectiveChoice {
  const CollectiveAlgorithm* algorithm = nullptr;
  Expansion expansion = Expansion::kAiCpu;
  const char* reason = "";
  const char* source = "";
  bool fell_back = false;  // from the expansion that was asked for
};
std::string to_text(const CollectiveChoice& choice);  // "mesh (AIV)"

// Whether MoE rows travel, in shares that kernels count and sort.
bool moves_rows(const CollectiveCall& call);
// Why the preference cannot be met, as a rule; empty when it can. REQUIRES: at least two ranks.
std::string refusal(const CollectiveCall& call, const Server& server, const CollectivePreference& preference);
// REQUIRES: no refusal.
CollectiveChoice select_collective(const CollectiveCall& call, const Server& server,
                                   const CollectivePreference& preference = {});

struct CollectiveTime {
  Duration time{};
  CollectiveChoice choice;
  // How long of it bytes move over each rank's busiest kind of port, and which part of what the port sustains they
  // take. The rest is software and latency.
  LinkClass port = LinkClass::kDie;
  Duration transfer{};
  Ratio load{};
  Ratio vector_cores{};  // taken from computation meanwhile: share of the die's
};
// REQUIRES: at least two ranks, no refusal.
CollectiveTime collective_time(const CollectiveCall& call, const Server& server,
                               const CollectivePreference& preference = {});

CollectiveShape shape_of(const CollectiveCall& call, const Server& server, const CollectiveAlgorithm& algorithm);

// ---- what times are made of -----------------------------------------------------------------------------------------

// Of one collective: software costs and what links reach. Plain numbers, so that tests can set them.
struct CollectiveCosts {
  Duration setup{};                         // before the first step
  Duration step[kLinkClasses] = {};         // before the bytes of each step
  BytesPerSecond bandwidth[kLinkClasses];   // nominal; 0: no such link
  double efficiency[kLinkClasses][5] = {};  // by TransferKind
  double sustained[kLinkClasses] = {};      // share of the bandwidth that large copies reach, whoever issues them
  // Peers of a step are served so many at a time; each time costs this. What is beyond the step cost is added to it.
  Duration message{};
  std::int64_t messages_at_once = 1;
  bool exchanges_only = true;  // steps of gathers and reductions post all at once
  BytesPerSecond engine{};     // what one die moves over all its links together; 0: no limit of its own
};
CollectiveCosts costs_of(const CollectiveCall& call, const Server& server, const CollectiveChoice& choice,
                         const StepPlan& plan);
Duration time_of(const StepPlan& plan, const CollectiveCosts& costs);
// What it does to links: for how long bytes move at all, and for how long they would fill the links of each class, at
// the sustained rate or at the collective's own where that is higher.
struct LinkTimes {
  Duration moving{};
  Duration full[kLinkClasses] = {};
  [[nodiscard]] LinkClass longest() const;
};
LinkTimes link_times(const StepPlan& plan, const CollectiveCosts& costs);

// One kind of links after the collective. carried: bytes of the busiest of them.
struct LinkClassUse {
  const char* name = "";
  int links = 0;  // that carried something
  BytesPerSecond bandwidth{};
  Bytes carried{};
  Duration busy{};
};
struct PlayedCollective {
  Duration time{};
  std::int64_t steps = 0, messages = 0;
  std::uint64_t events = 0, solves = 0;
  std::vector<LinkClassUse> links;
};
// The messages of `concurrent` equal collectives of the same ranks, started together. cluster: its links, at their
// nominal bandwidth (LinkShares of 1), rank r of the shape being its rank members[r], or r; without one every class has
// a port of its own.
PlayedCollective play_collective(const CollectiveShape& shape, const Schedule& schedule, const StepPlan& plan,
                                 const CollectiveCosts& costs, int concurrent = 1, ClusterNetwork* cluster = nullptr,
                                 std::span<const int> members = {});
// How much longer the collective takes on the links of a cluster with faults than without any. REQUIRES: the ranks are
// connected.
Duration added_by_faults(const CollectiveCall& call, const Server& server, ClusterNetwork& degraded,
                         std::span<const int> members);

// ---- MoE exchange of unequal loads ----------------------------------------------------------------------------------

// Time of an exchange from what each port carries: max over ports of (bytes in, bytes out) / rate, per link class.
// Large groups need no pair. rows[from * ranks + to] of `row` bytes each.
Duration port_load_time(const CollectiveShape& shape, std::span<const std::int64_t> rows, std::int64_t row,
                        TransferKind kind, const CollectiveCosts& costs);

// ---- copies between two devices -------------------------------------------------------------------------------------

enum class CopyRoute : std::uint8_t { kPackage, kServer, kOtherServer };
// By the copy engines, one after another: max(copies x issue, setup + bytes / (bandwidth x efficiency)).
struct CopyCall {
  CopyRoute route = CopyRoute::kServer;
  bool host = false, write = false;  // memory of the other side: of its host; written instead of read
  Bytes bytes{};                     // of all copies
  std::int64_t copies = 1;
};
// Empty when the catalogue has no figure for such a copy.
std::optional<Duration> copy_time(const CopyCall& call, const Server& server);

// log2 of p, linear between powers of two: exact there and the same on every machine.
double octaves(double p);
// What each rank receives in all: (p-1)/p n, twice that for an all-reduce; n for a broadcast or a shift.
double received_bytes(const CollectiveCall& call);

}  // namespace ascendsim
