#include "hardware/link_graph.h"

#include <algorithm>
#include <map>
#include <vector>

#include "hardware/link_graph_storage.h"

namespace ascendsim {
namespace {

using VertexId = LinkGraphStorage::vertex_descriptor;

class ClusterBuilder {
 public:
  ClusterBuilder(const Server& server, int servers, std::span<const LinkFault> faults)
      : server_(server), servers_(servers), faults_(faults) {}

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
    for (const LinkFault& fault : faults_) apply(fault);
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
    up.bandwidth = down.bandwidth * server_.dies() / server_.uplink_oversubscription.value.count();
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

  // The latency of a RoCE path is that between two NICs of one leaf; a die sits beside its own. The spine vertex stands
  // for all its switches: traffic spreads over them evenly.
  void add_nics() {
    Link port = link_of(LinkKind::kRoce, server_.nic);
    Link cable = port;
    port.latency = Duration{};
    cable.latency = cable.latency / 2;
    const int dies = servers_ * server_.dies();
    const int per_leaf = static_cast<int>(server_.roce.dies_per_leaf.value.count());
    std::vector<VertexId> leaves;
    for (int d = 0; d < dies; ++d) {
      if (d % per_leaf == 0) leaves.push_back(add(VertexKind::kRoceLeaf, 0, d / per_leaf));
      const VertexId nic = add(VertexKind::kNic, d / server_.dies(), d % server_.dies());
      join(die(0, d), nic, port);
      join(nic, leaves.back(), cable);
    }
    if (leaves.size() == 1) return;
    Link up = port;
    up.bandwidth = port.bandwidth * per_leaf / server_.roce.oversubscription.value.count();
    up.latency = server_.roce.spine_latency.value;
    const VertexId spine = add(VertexKind::kRoceSpine, 0, 0);
    for (const VertexId leaf : leaves) join(leaf, spine, up);
  }

  void add_hosts() {
    const Link link = link_of(LinkKind::kHostLink, server_.host_link);
    for (int s = 0; s < servers_; ++s) {
      const VertexId host = add(VertexKind::kHost, s, 0);
      for (int d = 0; d < server_.dies(); ++d) join(die(s, d), host, link);
    }
  }

  [[nodiscard]] VertexId find(VertexKind kind, int server, int index) const {
    for (VertexId v = 0; v < boost::num_vertices(graph_); ++v)
      if (graph_[v].kind == kind && graph_[v].server == server && graph_[v].index == index) return v;
    check(false, "a fault names what is not in the cluster");
    return 0;
  }

  void apply(const LinkFault& fault) {
    const double remaining = fault.remaining.count();
    check(remaining >= 0 && remaining < 1, "a fault takes bandwidth away");
    VertexId a = fault.first < 0 ? 0 : find(VertexKind::kDie, fault.server, fault.first), b = 0;
    switch (fault.kind) {
      case LinkKind::kHccs:
      case LinkKind::kSio:
        b = find(VertexKind::kDie, fault.server, fault.second);
        break;
      case LinkKind::kUbPlane:
        b = find(VertexKind::kUbSwitchL1, fault.server, fault.second);
        if (fault.first < 0) a = find(VertexKind::kUbSwitchL2, 0, fault.second);
        break;
      case LinkKind::kRoce:
        if (fault.first < 0) {
          a = find(VertexKind::kRoceLeaf, 0, fault.second);
          b = find(VertexKind::kRoceSpine, 0, 0);
        } else {
          b = find(VertexKind::kNic, fault.server, fault.first);
        }
        break;
      case LinkKind::kHostLink:
        b = find(VertexKind::kHost, fault.server, 0);
        break;
    }
    degrade(a, b, fault);
    degrade(b, a, fault);
  }

  void degrade(VertexId a, VertexId b, const LinkFault& fault) {
    const auto [edge, found] = boost::edge(a, b, graph_);
    check(found && graph_[edge].kind == fault.kind,
          "a fault names a link that is not in the cluster, or names it twice");
    if (fault.remaining.count() > 0)
      graph_[edge].bandwidth = graph_[edge].bandwidth * fault.remaining;
    else
      boost::remove_edge(edge, graph_);
  }

  const Server& server_;
  int servers_;
  std::span<const LinkFault> faults_;
  LinkGraphStorage graph_;
};

LinkGraphStorage build_graph(const Server& server, int servers, std::span<const LinkFault> faults) {
  check(servers >= 1, "a cluster has at least one server");
  check(server.cards >= 1 && server.dies_per_card >= 1 && server.die_links >= 1, "a server has dies and links");
  check(server.roce.dies_per_leaf.value.count() >= 1, "a leaf switch has dies");
  return ClusterBuilder(server, servers, faults).build();
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

Cluster::Cluster(Server server, int servers) : Cluster(server, servers, server.dies()) {}

Cluster::Cluster(Server server, int servers, int ranks_per_server, std::vector<LinkFault> faults)
    : server_(std::move(server)),
      servers_(servers),
      ranks_per_server_(ranks_per_server),
      faults_(std::move(faults)),
      graph_(std::make_shared<const LinkGraphStorage>(build_graph(server_, servers, faults_))) {
  check(ranks_per_server >= 1 && ranks_per_server <= server_.dies(), "a server has at least as many dies as ranks");
}

int Cluster::leaves() const { return static_cast<int>(ceil_div(servers_ * server_.dies(), dies_per_leaf())); }

Cluster::Span Cluster::span_of(std::span<const int> ranks) const {
  check(!ranks.empty(), "a group has at least one rank");
  const auto die = [&](int rank) { return static_cast<VertexId>(die_of(rank)); };
  std::vector<bool> in_group(static_cast<std::size_t>(servers_ * server_.dies()));
  std::map<int, int> ranks_in_server;
  for (const int rank : ranks) {
    check(rank >= 0 && rank < this->ranks(), "a rank of the group is not in the cluster");
    check(!in_group[die(rank)], "a rank is twice in the group");
    in_group[die(rank)] = true;
    ++ranks_in_server[graph()[die(rank)].server];
  }
  Span span;
  span.ranks = static_cast<int>(ranks.size());
  span.servers = static_cast<int>(ranks_in_server.size());
  for (const auto& [server, share] : ranks_in_server) span.ranks_per_server = std::max(span.ranks_per_server, share);

  Ports common = ports_of(graph(), die(ranks.front()), in_group);
  for (const int rank : ranks.subspan(1)) {
    const Ports ports = ports_of(graph(), die(rank), in_group);
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
