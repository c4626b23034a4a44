// Schedules as flows over the links of a cluster (hardware/cluster_network.h), or, without one, over the ports of a
// group: a package link, a UB port or HCCS links and a NIC of each die, one direction each. The engine that moves a
// die's bytes is a link too.
//
// An efficiency below 1 is bandwidth that is lost while a transfer runs: it occupies its links for bytes / efficiency.
// Step costs stand in for the latencies of routes, which measured step costs contain.
#include <algorithm>
#include <cmath>

#include "sim/messages.h"
#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

constexpr std::size_t number_of(LinkClass c) { return static_cast<std::size_t>(c); }

const char* name_of(const NetworkLink& l) {
  const bool out = l.from.kind == VertexKind::kDie, in = l.to.kind == VertexKind::kDie;
  switch (l.kind) {
    case LinkKind::kHccs:
      return "HCCS link of a pair";
    case LinkKind::kSio:
      return "SIO link of a package";
    case LinkKind::kUbPlane:
      return out ? "UB port of a die, out" : in ? "UB port of a die, in" : "UB between L1 and L2";
    case LinkKind::kRoce:
      return out ? "RoCE NIC of a die, out" : in ? "RoCE NIC of a die, in" : "RoCE between leaf and spine";
    case LinkKind::kHostLink:
      return "host link";
  }
  return "";
}

LinkClass class_of(LinkKind kind) {
  return kind == LinkKind::kSio ? LinkClass::kPackage : kind == LinkKind::kRoce ? LinkClass::kNic : LinkClass::kDie;
}

// A route as messages need it.
struct Path {
  RouteIndex route = 0;
  LinkClass link = LinkClass::kDie;
};

class Links {
 public:
  Links(const CollectiveShape& shape, const CollectiveCosts& costs, ClusterNetwork* cluster,
        std::span<const int> members)
      : shape_(shape), costs_(costs), cluster_(cluster), members_(members), p_(static_cast<std::size_t>(shape.ranks)) {
    paths_.assign(p_ * p_, {kNone, LinkClass::kDie});
    for (auto* group : {&package_, &die_out_, &die_in_, &nic_out_, &nic_in_, &engine_out_, &engine_in_})
      group->assign(p_, kNone);
    if (cluster != nullptr) known_.assign(cluster->flows().links().size(), kNone);
  }

  const Path& path(int from, int to) {
    Path& known = paths_[static_cast<std::size_t>(from) * p_ + static_cast<std::size_t>(to)];
    if (known.route != kNone) return known;
    std::vector<LinkIndex> links;
    known.link = cluster_ != nullptr ? through_cluster(from, to, links) : through_ports(from, to, links);
    if (costs_.engine.count() > 0) {
      links.push_back(
          link(engine_out_[static_cast<std::size_t>(from)], costs_.engine, {}, "vector cores of a die, out"));
      links.push_back(link(engine_in_[static_cast<std::size_t>(to)], costs_.engine, {}, "vector cores of a die, in"));
    }
    known.route = network.add_route(links);
    return known;
  }

  struct Named {
    const char* name;
    BytesPerSecond bandwidth;
    std::int64_t carried = 0;
  };
  FlowNetwork network;
  std::vector<Named> named;  // by link

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  LinkIndex link(LinkIndex& known, BytesPerSecond bandwidth, Duration latency, const char* name) {
    if (known == kNone) {
      known = network.add_link({bandwidth, latency});
      named.push_back({name, bandwidth});
    }
    return known;
  }
  // The first link of a route is of one class alone: it has the step cost.
  [[nodiscard]] Duration step(LinkClass c, bool first) const { return first ? costs_.step[number_of(c)] : Duration{}; }

  LinkClass through_cluster(int from, int to, std::vector<LinkIndex>& links) {
    LinkClass c = LinkClass::kDie;
    const auto route = cluster_->flows().route(
        cluster_->route(member(from), member(to), shape_.all_rdma ? Plane::kRoce : Plane::kFastest));
    for (const LinkIndex l : route) {
      if (links.empty()) c = class_of(cluster_->link(l).kind);
      links.push_back(
          link(known_[l], cluster_->flows().links()[l].bandwidth, step(c, links.empty()), name_of(cluster_->link(l))));
    }
    return c;
  }

  LinkClass through_ports(int from, int to, std::vector<LinkIndex>& links) {
    const LinkClass c = link_between(shape_, from, to);
    const auto f = static_cast<std::size_t>(from), t = static_cast<std::size_t>(to);
    const BytesPerSecond bandwidth = costs_.bandwidth[number_of(c)];
    const bool pair = c == LinkClass::kDie && shape_.fabric == Fabric::kHccsMesh;
    LinkIndex own = kNone;
    if (c == LinkClass::kPackage)
      links = {link(package_[f], bandwidth, step(c, true), "SIO link of a package")};
    else if (pair)
      links = {link(own, bandwidth, step(c, true), "HCCS link of a pair")};
    else if (c == LinkClass::kDie)
      links = {link(die_out_[f], bandwidth, step(c, true), "UB port of a die, out"),
               link(die_in_[t], bandwidth, {}, "UB port of a die, in")};
    else
      links = {link(nic_out_[f], bandwidth, step(c, true), "RoCE NIC of a die, out"),
               link(nic_in_[t], bandwidth, {}, "RoCE NIC of a die, in")};
    return c;
  }

  [[nodiscard]] int member(int rank) const {
    return members_.empty() ? rank : members_[static_cast<std::size_t>(rank)];
  }

  const CollectiveShape& shape_;
  const CollectiveCosts& costs_;
  ClusterNetwork* cluster_;
  std::span<const int> members_;
  std::size_t p_;
  std::vector<Path> paths_;
  std::vector<LinkIndex> package_, die_out_, die_in_, nic_out_, nic_in_, engine_out_, engine_in_;
  std::vector<LinkIndex> known_;  // by link of the cluster
};

double setup_seconds(const StepPlan& plan, const CollectiveCosts& costs) {
  CollectiveCosts free = costs;  // what is left of the closed form without setup and posting is in the messages
  free.setup = {};
  free.message = {};
  return seconds(time_of(plan, costs)) - seconds(time_of(plan, free));
}

}  // namespace

PlayedCollective play_collective(const CollectiveShape& shape, const Schedule& schedule, const StepPlan& plan,
                                 const CollectiveCosts& costs, int concurrent, ClusterNetwork* cluster,
                                 std::span<const int> members) {
  const std::vector<Crossing> crossings = traffic(schedule);
  check(members.empty() || std::ssize(members) == shape.ranks, "members of another group");
  Links links(shape, costs, cluster, members);
  MessageSchedule one;
  one.ranks = static_cast<std::uint32_t>(shape.ranks);
  one.starts.assign(static_cast<std::size_t>(shape.ranks), duration_from_seconds(setup_seconds(plan, costs)));
  const bool gathers = shape.primitive == Primitive::kAllGather || shape.primitive == Primitive::kReduceScatter ||
                       shape.primitive == Primitive::kAllReduce || plan.loads.front().kind == TransferKind::kGather ||
                       plan.loads.front().kind == TransferKind::kReduce;
  for (const Crossing& c : crossings) {
    const TransferKind kind = !gathers ? kind_of(shape.primitive)
                              : c.adds ? TransferKind::kReduce
                                       : TransferKind::kGather;
    const Path& path = links.path(c.from, c.to);
    const double efficiency = costs.efficiency[number_of(path.link)][static_cast<std::size_t>(kind)];
    check(efficiency > 0, "a collective uses links that it has no efficiency for");
    for (const LinkIndex l : links.network.route(path.route)) links.named[l].carried += c.bytes * concurrent;
    const auto occupied = Bytes(std::llround(static_cast<double>(c.bytes) / efficiency));
    one.messages.push_back({static_cast<std::uint32_t>(c.from), static_cast<std::uint32_t>(c.to),
                            static_cast<std::uint32_t>(c.step), path.route, occupied});
  }
  const std::vector<MessageSchedule> all(static_cast<std::size_t>(concurrent), one);
  const MessagesResult result = play(links.network, all);
  PlayedCollective out{.time = result.finish,
                       .steps = result.schedules.front().steps,
                       .messages = std::ssize(one.messages) * concurrent,
                       .events = result.counts.events,
                       .solves = result.counts.flows.solves,
                       .links = {}};
  for (std::size_t l = 0; l < links.named.size(); ++l) {
    const Links::Named& n = links.named[l];
    auto known =
        std::ranges::find_if(out.links, [&](const LinkClassUse& u) { return std::string_view(u.name) == n.name; });
    if (known == out.links.end()) {
      out.links.push_back({.name = n.name, .bandwidth = n.bandwidth});
      known = out.links.end() - 1;
    }
    ++known->links;
    if (Bytes(n.carried) >= known->carried) known->carried = Bytes(n.carried);
    known->busy = std::max(known->busy, result.links[l].busy);
  }
  return out;
}

Duration added_by_faults(const CollectiveCall& call, const Server& server, ClusterNetwork& degraded,
                         std::span<const int> members) {
  const CollectiveChoice choice = select_collective(call, server);
  const CollectiveShape shape = shape_of(call, server, *choice.algorithm);
  const StepPlan plan = choice.algorithm->plan(shape);
  const CollectiveCosts costs = costs_of(call, server, choice, plan);
  const Schedule schedule = choice.algorithm->schedule(shape);
  const Duration with = play_collective(shape, schedule, plan, costs, 1, &degraded, members).time;
  const Duration closed = time_of(plan, costs);
  // Flows move whole bytes; closed forms agree with them to 1e-6, between A2 servers not always.
  constexpr double kAlike = 1e-5;
  if (seconds(with) <= seconds(closed) * (1 + kAlike)) return {};
  return std::max(Duration{}, with - std::max(closed, play_collective(shape, schedule, plan, costs).time));
}

Duration port_load_time(const CollectiveShape& shape, std::span<const std::int64_t> rows, std::int64_t row,
                        TransferKind kind, const CollectiveCosts& costs) {
  const auto p = static_cast<std::size_t>(shape.ranks);
  check(rows.size() == p * p, "a matrix of rows from each rank to each");
  const bool mesh = shape.fabric == Fabric::kHccsMesh;
  double longest = 0;
  for (std::size_t r = 0; r < p; ++r) {
    std::int64_t in[kLinkClasses] = {}, out[kLinkClasses] = {}, all_in = 0, all_out = 0;
    for (std::size_t other = 0; other < p; ++other) {
      if (other == r) continue;
      const LinkClass c = link_between(shape, static_cast<int>(r), static_cast<int>(other));
      const std::int64_t sent = checked_product(rows[r * p + other], row),
                         got = checked_product(rows[other * p + r], row);
      const bool pair = mesh && c == LinkClass::kDie;  // a link for each pair
      out[number_of(c)] = pair ? std::max(out[number_of(c)], sent) : checked_sum(out[number_of(c)], sent);
      in[number_of(c)] = pair ? std::max(in[number_of(c)], got) : checked_sum(in[number_of(c)], got);
      all_out = checked_sum(all_out, sent);
      all_in = checked_sum(all_in, got);
    }
    for (std::size_t c = 0; c < kLinkClasses; ++c) {
      const auto bytes = static_cast<double>(std::max(in[c], out[c]));
      if (bytes == 0) continue;
      longest = std::max(
          longest, seconds(costs.step[c]) +
                       bytes / (costs.bandwidth[c].count() * costs.efficiency[c][static_cast<std::size_t>(kind)]));
    }
    if (costs.engine.count() > 0)
      longest = std::max(longest, seconds(costs.step[number_of(LinkClass::kDie)]) +
                                      static_cast<double>(std::max(all_in, all_out)) / costs.engine.count());
  }
  return costs.setup + duration_from_seconds(longest);
}

}  // namespace ascendsim
