// Servers and clusters as graphs (Boost.Graph): vertices are dies, switches and NICs, edges are one-directional links
// with bandwidth, efficiency and latency. A2: full HCCS mesh inside a server, a RoCE NIC per die into leaf switches,
// which a spine joins. A3: two dies of a package joined by SIO, every die into 7 UB plane switches (L1 in the server,
// L2 between servers), and a RoCE NIC per die on a network of its own. Faults slow links or take them away.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hardware/catalogue.h"

namespace ascendsim {

enum class VertexKind : std::uint8_t { kDie, kHost, kUbSwitchL1, kUbSwitchL2, kNic, kRoceLeaf, kRoceSpine };
enum class LinkKind : std::uint8_t { kHccs, kSio, kUbPlane, kRoce, kHostLink };

struct Vertex {
  VertexKind kind = VertexKind::kDie;
  int server = 0;
  int index = 0;  // of its kind inside the server (die 0..15, plane 0..6)
};
struct Link {
  LinkKind kind = LinkKind::kHccs;
  BytesPerSecond bandwidth;  // nominal, one direction
  Ratio efficiency;
  Duration latency{};
};

struct LinkGraphStorage;  // link_graph_storage.h

// A link that is slow or down, both directions alike. Which one: by kind,
//   kHccs, kSio   between dies `first` and `second` of a server
//   kUbPlane      between die `first` and the L1 switch of plane `second`; or, first = -1, of that switch to L2
//   kRoce         the NIC of die `first`; or, first = -1, of leaf switch `second` to the spine
struct LinkFault {
  LinkKind kind = LinkKind::kHccs;
  int server = 0;
  int first = 0, second = 0;
  Ratio remaining;  // of the bandwidth; 0 = down
};

// REQUIRES: servers >= 1, 1 <= ranks_per_server <= dies, faults of links that exist (faults.h reads such from a file).
// Rank r is die r mod ranks_per_server of server r / ranks_per_server: engines spread their ranks evenly when there are
// more dies than ranks.
class Cluster {
 public:
  Cluster(Server server, int servers);  // a rank on every die
  Cluster(Server server, int servers, int ranks_per_server, std::vector<LinkFault> faults = {});

  [[nodiscard]] const Server& server() const { return server_; }
  [[nodiscard]] int servers() const { return servers_; }
  [[nodiscard]] int ranks() const { return servers_ * ranks_per_server_; }
  [[nodiscard]] int ranks_per_server() const { return ranks_per_server_; }
  [[nodiscard]] const LinkGraphStorage& graph() const { return *graph_; }
  [[nodiscard]] const std::vector<LinkFault>& faults() const { return faults_; }
  [[nodiscard]] int leaves() const;  // RoCE leaf switches
  [[nodiscard]] int leaf_of_die(int die) const { return die / dies_per_leaf(); }
  [[nodiscard]] int server_of(int rank) const { return rank / ranks_per_server_; }
  [[nodiscard]] int die_of(int rank) const { return server_of(rank) * server_.dies() + rank % ranks_per_server_; }
  [[nodiscard]] int card_of(int rank) const { return die_of(rank) / server_.dies_per_card; }

  // What a group of ranks can use, from the links of the graph: how many servers it spans, how many of its ranks sit in
  // each server, whether each rank shares its package with another one of the group, and the nominal one-direction
  // bandwidth of a rank's ports of each kind towards the group. Shares are unequal when
  // ranks != servers * ranks_per_server.
  // REQUIRES: at least one rank, none twice, all in the cluster.
  struct Span {
    int ranks = 0;
    int servers = 0;
    int ranks_per_server = 0;  // the largest share
    int package_peers = 0;     // ranks of the group that share every rank's package: 0, 1
    BytesPerSecond mesh_link, package_link, switched_port, nic;  // 0 where the fabric, or the group, has none
  };
  [[nodiscard]] Span span_of(std::span<const int> ranks) const;

 private:
  [[nodiscard]] int dies_per_leaf() const { return static_cast<int>(server_.roce.dies_per_leaf.value.count()); }

  Server server_;
  int servers_, ranks_per_server_;
  std::vector<LinkFault> faults_;
  std::shared_ptr<const LinkGraphStorage> graph_;  // never changed: copies of a cluster share it
};

}  // namespace ascendsim
