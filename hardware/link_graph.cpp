#include "hardware/link_graph.h"

#include <algorithm>
#include <map>
#include <vector>

namespace ascendsim {
namespace {

using VertexId = LinkGraphStorage::vertex_descriptor;

class ClusterBuilder {
 public:
  ClusterBuilder(const Server& server, int servers) : server_(server), servers_(servers) {}

  LinkGraphStorage build() {
    for (int s = 0; s < servers_; ++s) {
      for (int d = 0; d < server_.dies(); ++d)
        add(VertexKind::kDie, s, d);  // first of all, so that a rank is its vertex
    }
    add_packages();
    if (server_.fabric == Fabric::kHccsMesh)
      add_mesh();
    else
      add_planes();
    add_nics();
    add_hosts();
    return std::move(graph_);
  }

 private:
  VertexId add(VertexKind kind, int server, int index) { return boost::add_vertex({kind, server, index}, graph_); }
  [[nodiscard]] VertexId die(int server, int index) const {
    return static_cast<VertexId>(server) * static_cast<VertexId>(server_.dies()) + static_cast<VertexId>(index);
  }
  void join(VertexId a, VertexId b, const Link& link) {
    boost::add_edge(a, b, link, graph_);
    boost::add_edge(b, a, link, graph_);
  }
  static Link link_of(LinkKind kind, const LinkType& type) {
    return {kind, type.bandwidth.value, type.efficiency.value, type.latency.value};
  }

  void add_packages() {
    if (!server_.package_link) return;
    const Link sio = link_of(LinkKind::kSio, *server_.package_link);
    for (int s = 0; s < servers_; ++s) {
      for (int d = 0; d < server_.dies(); ++d) {
        for (int peer = d + 1; peer / server_.dies_per_card == d / server_.dies_per_card; ++peer) {
          join(die(s, d), die(s, peer), sio);
        }
      }
    }
  }

  void add_mesh() {
    const Link hccs = link_of(LinkKind::kHccs, server_.die_link);
    for (int s = 0; s < servers_; ++s) {
      for (int d = 0; d < server_.dies(); ++d) {
        for (int peer = d + 1; peer < server_.dies(); ++peer) join(die(s, d), die(s, peer), hccs);
      }
    }
  }

  // A plane of a die carries its share of the port; a path inside a server is two links, one between servers four, and
  // the latencies of the links add up to the measured ones. An L2 vertex stands for all switches of its non-blocking
  // sub-plane.
  void add_planes() {
    Link down = link_of(LinkKind::kUbPlane, server_.die_link);
    down.bandwidth = down.bandwidth / server_.die_links;
    down.latency = server_.collectives.duration("p2p_latency_same_server") / 2;
    Link up = down;
    up.bandwidth = down.bandwidth * server_.dies();
    up.latency = server_.collectives.duration("p2p_latency_other_server") / 2 - down.latency;
    for (int plane = 0; plane < server_.die_links; ++plane) {
      std::vector<VertexId> switches;
      for (int s = 0; s < servers_; ++s) {
        switches.push_back(add(VertexKind::kUbSwitchL1, s, plane));
        for (int d = 0; d < server_.dies(); ++d) join(die(s, d), switches.back(), down);
      }
      if (servers_ == 1) continue;  // nothing above the switches of a single server
      const VertexId spine = add(VertexKind::kUbSwitchL2, 0, plane);
      for (const VertexId leaf : switches) join(leaf, spine, up);
    }
  }

  // The latency of a RoCE path lies between its two NICs; a die sits beside its own.
  void add_nics() {
    Link port = link_of(LinkKind::kRoce, server_.nic);
    const VertexId network = add(VertexKind::kRoceSwitch, 0, 0);
    Link cable = port;
    port.latency = Duration{};
    cable.latency = cable.latency / 2;
    for (int s = 0; s < servers_; ++s) {
      for (int d = 0; d < server_.dies(); ++d) {
        const VertexId nic = add(VertexKind::kNic, s, d);
        join(die(s, d), nic, port);
        join(nic, network, cable);
      }
    }
  }

  void add_hosts() {
    const Link link = link_of(LinkKind::kHostLink, server_.host_link);
    for (int s = 0; s < servers_; ++s) {
      const VertexId host = add(VertexKind::kHost, s, 0);
      for (int d = 0; d < server_.dies(); ++d) join(die(s, d), host, link);
    }
  }

  const Server& server_;
  int servers_;
  LinkGraphStorage graph_;
};

LinkGraphStorage build_graph(const Server& server, int servers) {
  check(servers >= 1, "a cluster has at least one server");
  check(server.cards >= 1 && server.dies_per_card >= 1 && server.die_links >= 1, "a server has dies and links");
  return ClusterBuilder(server, servers).build();
}

// The links of one rank that lead towards the group.
struct Ports {
  BytesPerSecond mesh_link, package_link, switched_port, nic;
  int package_peers = 0;
};

Ports ports_of(const LinkGraphStorage& graph, VertexId rank, const std::vector<bool>& in_group) {
  Ports ports;
  const auto [first, last] = boost::out_edges(rank, graph);
  for (auto edge = first; edge != last; ++edge) {
    const VertexId end = boost::target(*edge, graph);
    const bool reaches_group = end < in_group.size() && in_group[end];
    const Link& link = graph[*edge];
    switch (link.kind) {
      case LinkKind::kHccs:
        if (reaches_group) ports.mesh_link = link.bandwidth;
        break;
      case LinkKind::kSio:
        if (reaches_group) ports.package_link = link.bandwidth, ++ports.package_peers;
        break;
      case LinkKind::kUbPlane:
        ports.switched_port += link.bandwidth;
        break;  // a switch reaches every rank
      case LinkKind::kRoce:
        ports.nic += link.bandwidth;
        break;
      case LinkKind::kHostLink:
        break;
    }
  }
  return ports;
}

}  // namespace

Cluster::Cluster(Server server, int servers)
    : server_(std::move(server)),
      servers_(servers),
      ranks_per_server_(server_.dies()),
      graph_(build_graph(server_, servers)) {}

Cluster::Cluster(Server server, int servers, int ranks_per_server) : Cluster(std::move(server), servers) {
  check(ranks_per_server >= 1 && ranks_per_server <= server_.dies(), "a server has at least as many dies as ranks");
  ranks_per_server_ = ranks_per_server;
}

Cluster::Span Cluster::span_of(std::span<const int> ranks) const {
  check(!ranks.empty(), "a group has at least one rank");
  const auto die = [&](int rank) { return static_cast<VertexId>(die_of(rank)); };
  std::vector<bool> in_group(static_cast<std::size_t>(servers_ * server_.dies()));
  std::map<int, int> ranks_in_server;
  for (const int rank : ranks) {
    check(rank >= 0 && rank < this->ranks(), "a rank of the group is not in the cluster");
    check(!in_group[die(rank)], "a rank is twice in the group");
    in_group[die(rank)] = true;
    ++ranks_in_server[graph_[die(rank)].server];
  }
  Span span;
  span.ranks = static_cast<int>(ranks.size());
  span.servers = static_cast<int>(ranks_in_server.size());
  for (const auto& [server, share] : ranks_in_server) span.ranks_per_server = std::max(span.ranks_per_server, share);

  Ports common = ports_of(graph_, die(ranks.front()), in_group);
  for (const int rank : ranks.subspan(1)) {
    const Ports ports = ports_of(graph_, die(rank), in_group);
    common.mesh_link = std::max(common.mesh_link, ports.mesh_link);           // a rank alone in its server has none
    common.package_link = std::min(common.package_link, ports.package_link);  // only of use where every rank has it
    common.package_peers = std::min(common.package_peers, ports.package_peers);
  }
  span.package_peers = common.package_peers;
  span.mesh_link = common.mesh_link;
  span.package_link = common.package_link;
  span.switched_port = common.switched_port;
  span.nic = common.nic;
  return span;
}

}  // namespace ascendsim
