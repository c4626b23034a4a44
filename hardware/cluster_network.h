// The links of a cluster as transfers see them (sim/flows.h), and the routes between its ranks.
//
// Parallel planes between the same ends are one link: a transfer is striped over all planes that live. A die, a NIC and
// the cable behind it are one port. So a link has the nominal bandwidth of its planes times the share that transfers
// reach. Dies do not forward for each other: a route is a direct link (HCCS, SIO) or a way through switches, the one of
// least latency. Where HCCS, SIO or UB are lost this is RoCE.
//
// Ignores: links to host memory, uneven striping (ECMP collisions in the RoCE spine), PCIe between die and NIC.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hardware/link_graph.h"
#include "sim/flows.h"

namespace ascendsim {

constexpr std::size_t kLinkKinds = 5;
using LinkShares = std::array<Ratio, kLinkKinds>;  // of the nominal bandwidth, by LinkKind

// What the links of the server sustain by its catalogue files.
LinkShares sustained_shares(const Server& server);

enum class Plane : std::uint8_t {
  kFastest,  // the route of least latency
  kRoce,     // the RoCE network only, e.g. for the KV cache
};

// One direction of a link of the network, for reports. A switch vertex stands for those of all its planes.
struct NetworkLink {
  LinkKind kind = LinkKind::kHccs;
  Vertex from, to;
};
std::string to_text(const NetworkLink& link);  // "die 0.3 -> die 0.5", "server 2 UB L1 -> UB L2"

class ClusterNetwork {
 public:
  // The cluster is not needed afterwards.
  explicit ClusterNetwork(const Cluster& cluster) : ClusterNetwork(cluster, sustained_shares(cluster.server())) {}
  ClusterNetwork(const Cluster& cluster, const LinkShares& shares);

  [[nodiscard]] const FlowNetwork& flows() const { return flows_; }
  [[nodiscard]] const NetworkLink& link(LinkIndex l) const { return links_[l]; }
  [[nodiscard]] int ranks() const { return ranks_; }

  // From rank to rank; worked out when first asked for, the same index ever after. Empty between a rank and itself.
  // REQUIRES: ranks of the cluster that are connected (see say_disconnected).
  RouteIndex route(int from, int to, Plane plane = Plane::kFastest);
  bool connected(int from, int to, Plane plane = Plane::kFastest);

 private:
  struct Port {  // of a die into a switch; kNoLink where it has none
    std::uint32_t network_switch = 0;
    LinkIndex up = 0, down = 0;
  };
  struct Direct {
    std::uint32_t peer = 0;
    LinkIndex link = 0;
  };
  struct Die {
    std::optional<Port> unified_bus, roce;
    std::vector<Direct> direct;
  };
  struct Hop {
    LinkIndex link = 0;
    std::int64_t weight = 0;  // latency in ticks, + 1 so that fewer hops win
  };
  struct Switches;              // how they are joined: a graph that only cluster_network.cpp walks
  struct Way {                  // from one switch to another
    std::int64_t latency = -1;  // -1: there is none
    std::vector<LinkIndex> links;
  };
  struct Choice {
    std::int64_t latency = -1;
    const Direct* direct = nullptr;
    const Port* up = nullptr;
    const Port* down = nullptr;
  };

  const Way& way(std::uint32_t from, std::uint32_t to);
  Choice choose(int from, int to, Plane plane);

  FlowNetwork flows_;
  std::vector<NetworkLink> links_;
  std::vector<Die> dies_;
  std::vector<int> die_of_;  // by rank
  int ranks_ = 0;
  std::shared_ptr<const Switches> switches_;                    // never changed: copies of a network share it
  std::vector<std::vector<Way>> ways_;                          // by switch from, to; a row when first asked for
  std::array<std::vector<std::vector<RouteIndex>>, 2> routes_;  // by plane, from, to; a row when first asked for
  std::vector<LinkIndex> scratch_;
};

// A group of ranks that are all alike, as one rank: for traffic in which each of them sends the same to all others of a
// class. Links stand for as many as the group uses (flows.h); messages go from rank 0 to itself.
struct FoldedPeers {
  RouteIndex route = 0;
  std::uint32_t peers = 0;  // of each rank; a message to all of them has ranks * peers copies
};
struct FoldedNetwork {
  FlowNetwork flows;
  std::uint32_t ranks = 0;
  std::vector<FoldedPeers> classes;
};
// Empty when ranks are not alike: unequal shares of servers, packages or leaf switches, or a cluster with faults.
std::optional<FoldedNetwork> fold(const Cluster& cluster, ClusterNetwork& network, std::span<const int> ranks);

// E0216 for ranks without a route to some others, of which faults are the only cause.
void say_disconnected(const Cluster& cluster, ClusterNetwork& network, const SourceLocation& where,
                      Diagnostics& diagnostics);

}  // namespace ascendsim
