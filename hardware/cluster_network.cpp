#include "hardware/cluster_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <map>
#include <set>
#include <tuple>

#include "hardware/link_graph_storage.h"

namespace ascendsim {
namespace {

constexpr RouteIndex kNoRoute = std::numeric_limits<RouteIndex>::max();
constexpr int kMostNamed = 8;

bool is_die(const Vertex& v) { return v.kind == VertexKind::kDie; }

// The switches of parallel planes have the same index of plane 0.
Vertex without_plane(Vertex v) {
  if (v.kind == VertexKind::kUbSwitchL1 || v.kind == VertexKind::kUbSwitchL2) v.index = 0;
  return v;
}
using VertexKey = std::tuple<VertexKind, int, int>;
VertexKey key(const Vertex& v) { return {v.kind, v.server, v.index}; }

std::string to_text(const Vertex& v) {
  switch (v.kind) {
    case VertexKind::kDie:
      return fmt::format("die {}.{}", v.server, v.index);
    case VertexKind::kHost:
      return fmt::format("host {}", v.server);
    case VertexKind::kUbSwitchL1:
      return fmt::format("server {} UB L1", v.server);
    case VertexKind::kUbSwitchL2:
      return "UB L2";
    case VertexKind::kNic:
      return fmt::format("NIC {}.{}", v.server, v.index);
    case VertexKind::kRoceLeaf:
      return fmt::format("leaf {}", v.index);
    case VertexKind::kRoceSpine:
      return "spine";
  }
  return "";
}

// All planes of a link between two ends, one direction.
struct Bundle {
  Vertex from, to;
  Link link;  // its bandwidth is that of all of them together
};

// A NIC is no end of its own: its die takes its place, and die - NIC - leaf are one link as wide as the narrower.
void contract_nics(const LinkGraphStorage& graph, std::vector<Bundle>& bundles) {
  for (std::size_t nic = 0; nic < boost::num_vertices(graph); ++nic) {
    if (graph[nic].kind != VertexKind::kNic) continue;
    const auto narrower = [](const Link& a, const Link& b) {
      return Link{a.kind, std::min(a.bandwidth, b.bandwidth), a.efficiency, a.latency + b.latency};
    };
    const auto [in, in_end] = boost::in_edges(nic, graph);
    const auto [out, out_end] = boost::out_edges(nic, graph);
    for (auto a = in; a != in_end; ++a) {
      for (auto b = out; b != out_end; ++b) {
        const Vertex &from = graph[boost::source(*a, graph)], &to = graph[boost::target(*b, graph)];
        if (is_die(from) != is_die(to)) bundles.push_back({from, to, narrower(graph[*a], graph[*b])});
      }
    }
  }
}

std::vector<Bundle> bundles_of(const LinkGraphStorage& graph) {
  std::vector<Bundle> bundles;
  std::map<std::pair<VertexKey, VertexKey>, std::size_t> known;
  const auto [first, last] = boost::edges(graph);
  for (auto edge = first; edge != last; ++edge) {
    const Vertex from = without_plane(graph[boost::source(*edge, graph)]);
    const Vertex to = without_plane(graph[boost::target(*edge, graph)]);
    const Link& link = graph[*edge];
    if (link.kind == LinkKind::kHostLink || from.kind == VertexKind::kNic || to.kind == VertexKind::kNic) continue;
    const auto [at, is_new] = known.try_emplace({key(from), key(to)}, bundles.size());
    if (is_new)
      bundles.push_back({from, to, link});
    else
      bundles[at->second].link.bandwidth += link.bandwidth;
  }
  contract_nics(graph, bundles);
  return bundles;
}

}  // namespace

LinkShares sustained_shares(const Server& server) {
  LinkShares shares;
  shares.fill(Ratio(1));
  const auto set = [&](LinkKind kind, const LinkType& link) {
    shares[static_cast<std::size_t>(kind)] = link.efficiency.value;
  };
  set(server.fabric == Fabric::kHccsMesh ? LinkKind::kHccs : LinkKind::kUbPlane, server.die_link);
  if (server.package_link) set(LinkKind::kSio, *server.package_link);
  set(LinkKind::kRoce, server.nic);
  set(LinkKind::kHostLink, server.host_link);
  return shares;
}

std::string to_text(const NetworkLink& link) { return fmt::format("{} -> {}", to_text(link.from), to_text(link.to)); }

struct ClusterNetwork::Switches {
  boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Hop> graph;
};

ClusterNetwork::ClusterNetwork(const Cluster& cluster, const LinkShares& shares)
    : dies_(static_cast<std::size_t>(cluster.servers() * cluster.server().dies())), ranks_(cluster.ranks()) {
  for (int r = 0; r < ranks_; ++r) die_of_.push_back(cluster.die_of(r));
  for (auto& plane : routes_) plane.resize(static_cast<std::size_t>(ranks_));
  const auto switches = std::make_shared<Switches>();
  std::map<VertexKey, std::uint32_t> switch_of;
  const auto number = [&](const Vertex& v) {
    return switch_of.try_emplace(key(v), static_cast<std::uint32_t>(switch_of.size())).first->second;
  };
  const auto die = [&](const Vertex& v) -> Die& {
    return dies_[static_cast<std::size_t>(v.server * cluster.server().dies() + v.index)];
  };
  const auto port = [&](const Vertex& of, const Vertex& network_switch, LinkKind kind) -> Port& {
    std::optional<Port>& p = kind == LinkKind::kRoce ? die(of).roce : die(of).unified_bus;
    if (!p) p = Port{number(network_switch), 0, 0};
    return *p;
  };
  for (const auto& [from, to, link] : bundles_of(cluster.graph())) {
    links_.push_back({link.kind, from, to});
    const LinkIndex l = flows_.add_link({link.bandwidth * shares[static_cast<std::size_t>(link.kind)], link.latency});
    if (is_die(from) && is_die(to))
      die(from).direct.push_back({static_cast<std::uint32_t>(&die(to) - dies_.data()), l});
    else if (is_die(from))
      port(from, to, link.kind).up = l;
    else if (is_die(to))
      port(to, from, link.kind).down = l;
    else
      boost::add_edge(number(from), number(to), Hop{l, link.latency.count() + 1}, switches->graph);
  }
  while (boost::num_vertices(switches->graph) < switch_of.size()) boost::add_vertex(switches->graph);
  switches_ = switches;
  ways_.resize(switch_of.size());
}

const ClusterNetwork::Way& ClusterNetwork::way(std::uint32_t from, std::uint32_t to) {
  std::vector<Way>& ways = ways_[from];
  if (!ways.empty()) return ways[to];
  const auto& graph = switches_->graph;
  const std::size_t switches = ways_.size();
  std::vector<std::int64_t> distance(switches);
  std::vector<std::size_t> before(switches);
  const auto index = boost::get(boost::vertex_index, graph);
  boost::dijkstra_shortest_paths(graph, from,
                                 boost::weight_map(boost::get(&Hop::weight, graph))
                                     .distance_map(boost::make_iterator_property_map(distance.begin(), index))
                                     .predecessor_map(boost::make_iterator_property_map(before.begin(), index)));
  ways.resize(switches);
  for (std::size_t end = 0; end < switches; ++end) {
    if (end != from && before[end] == end) continue;  // not reached
    ways[end].latency = distance[end];
    for (std::size_t at = end; at != from; at = before[at])
      ways[end].links.push_back(graph[boost::edge(before[at], at, graph).first].link);
    std::ranges::reverse(ways[end].links);
  }
  return ways[to];
}

ClusterNetwork::Choice ClusterNetwork::choose(int from, int to, Plane plane) {
  const Die& a = dies_[static_cast<std::size_t>(die_of_[static_cast<std::size_t>(from)])];
  const auto peer = static_cast<std::uint32_t>(die_of_[static_cast<std::size_t>(to)]);
  const Die& b = dies_[peer];
  Choice best;
  if (plane == Plane::kFastest) {
    for (const Direct& d : a.direct)
      if (d.peer == peer) best = {flows_.links()[d.link].latency.count() + 1, &d, nullptr, nullptr};
  }
  const auto through = [&](const std::optional<Port>& up, const std::optional<Port>& down) {
    if (!up || !down) return;
    const Way& inner = way(up->network_switch, down->network_switch);
    if (inner.latency < 0) return;
    const std::int64_t latency =
        inner.latency + flows_.links()[up->up].latency.count() + flows_.links()[down->down].latency.count() + 2;
    if (best.latency < 0 || latency < best.latency) best = {latency, nullptr, &*up, &*down};
  };
  if (plane == Plane::kFastest) through(a.unified_bus, b.unified_bus);
  through(a.roce, b.roce);
  return best;
}

bool ClusterNetwork::connected(int from, int to, Plane plane) {
  return from == to || choose(from, to, plane).latency >= 0;
}

RouteIndex ClusterNetwork::route(int from, int to, Plane plane) {
  check(from >= 0 && from < ranks_ && to >= 0 && to < ranks_, "a route starts or ends outside of the cluster");
  std::vector<RouteIndex>& row = routes_[static_cast<std::size_t>(plane)][static_cast<std::size_t>(from)];
  if (row.empty()) row.assign(static_cast<std::size_t>(ranks_), kNoRoute);
  RouteIndex& known = row[static_cast<std::size_t>(to)];
  if (known != kNoRoute) return known;
  scratch_.clear();
  if (from != to) {
    const Choice c = choose(from, to, plane);
    check(c.latency >= 0, "two ranks are not connected");
    if (c.direct != nullptr) {
      scratch_.push_back(c.direct->link);
    } else {
      const std::vector<LinkIndex>& inner = way(c.up->network_switch, c.down->network_switch).links;
      scratch_.push_back(c.up->up);
      scratch_.insert(scratch_.end(), inner.begin(), inner.end());
      scratch_.push_back(c.down->down);
    }
  }
  return known = flows_.add_route(scratch_);
}

namespace {

// How many ranks each server, package and leaf has; alike when those that have any have equally many.
bool spread_evenly(std::span<const int> ranks, auto&& place) {
  std::map<int, int> share;
  for (const int rank : ranks) ++share[place(rank)];
  return std::ranges::all_of(share, [&](const auto& s) { return s.second == share.begin()->second; });
}

int places(std::span<const int> ranks, auto&& place) {
  std::set<int> seen;
  for (const int rank : ranks) seen.insert(place(rank));
  return static_cast<int>(seen.size());
}

}  // namespace

std::optional<FoldedNetwork> fold(const Cluster& cluster, ClusterNetwork& network, std::span<const int> ranks) {
  const auto server = [&](int rank) { return cluster.server_of(rank); };
  const auto card = [&](int rank) { return cluster.card_of(rank); };
  const auto leaf = [&](int rank) { return cluster.leaf_of_die(cluster.die_of(rank)); };
  if (ranks.empty() || !cluster.faults().empty() || !spread_evenly(ranks, server) || !spread_evenly(ranks, card) ||
      !spread_evenly(ranks, leaf))
    return std::nullopt;
  FoldedNetwork folded{.flows = {}, .ranks = static_cast<std::uint32_t>(ranks.size()), .classes = {}};
  // Routes of one rank to all others; those over links of the same kinds between the same kinds of ends are a class.
  using LinkClass = std::tuple<LinkKind, VertexKind, VertexKind>;
  std::map<std::vector<LinkClass>, std::uint32_t> peers;
  std::map<LinkClass, std::set<LinkIndex>> used;
  for (const int peer : ranks) {
    if (peer == ranks.front()) continue;
    std::vector<LinkClass> path;
    for (const LinkIndex l : network.flows().route(network.route(ranks.front(), peer))) {
      const NetworkLink& link = network.link(l);
      path.emplace_back(link.kind, link.from.kind, link.to.kind);
      used[path.back()].insert(l);
    }
    ++peers[path];
  }
  std::map<LinkClass, LinkIndex> index;
  for (const auto& [link_class, links] : used) {
    const auto& [kind, from, to] = link_class;
    const int servers = places(ranks, server), leaves = places(ranks, leaf);
    const std::size_t count = from == VertexKind::kDie  ? ranks.size() * links.size()
                              : to == VertexKind::kDie  ? ranks.size()
                              : kind == LinkKind::kRoce ? static_cast<std::size_t>(leaves)
                                                        : static_cast<std::size_t>(servers);
    FlowLink link = network.flows().links()[*links.begin()];
    link.count = static_cast<std::uint32_t>(count);
    index[link_class] = folded.flows.add_link(link);
  }
  for (const auto& [path, count] : peers) {
    std::vector<LinkIndex> links;
    for (const LinkClass& link_class : path) links.push_back(index[link_class]);
    folded.classes.push_back({folded.flows.add_route(links), count});
  }
  return folded;
}

void say_disconnected(const Cluster& cluster, ClusterNetwork& network, const SourceLocation& where,
                      Diagnostics& diagnostics) {
  if (cluster.faults().empty()) return;
  const auto place = [&](int rank) {
    return fmt::format("rank {} (die {}.{})", rank, cluster.server_of(rank),
                       cluster.die_of(rank) % cluster.server().dies());
  };
  // Few dies are usually the cause of many pairs: those with most pairs come first and take theirs with them.
  std::map<int, std::set<int>> cut_off;
  for (int a = 0; a < network.ranks(); ++a)
    for (int b = a + 1; b < network.ranks(); ++b)
      if (!network.connected(a, b) || !network.connected(b, a)) cut_off[a].insert(b), cut_off[b].insert(a);
  for (int said = 0; !cut_off.empty(); ++said) {
    const auto most = std::ranges::max_element(cut_off, {}, [](const auto& c) { return c.second.size(); });
    const auto& [rank, peers] = *most;
    if (said == kMostNamed)
      return diagnostics.error("E0216", where, fmt::format("... and {} more ranks lack routes", cut_off.size()));
    diagnostics.error("E0216", where,
                      fmt::format("{} has no route to {} other ranks, the first is {}", place(rank), peers.size(),
                                  place(*peers.begin())),
                      "every two ranks need a route: a direct link, UB switches or the RoCE network",
                      "leave it a NIC or another link, or leave its server out");
    for (const int peer : peers)
      if (cut_off[peer].erase(rank); cut_off[peer].empty()) cut_off.erase(peer);
    cut_off.erase(most);
  }
}

}  // namespace ascendsim
