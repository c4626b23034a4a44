// Schedules as flows over the ports of a group: a package link, a UB port or HCCS links, and a NIC of each die, one direction
// each, and the engine that moves its bytes. The seven planes of a UB port carry every transfer together, and what is above
// them does not block (CloudMatrix384), so a port stands for them.
//
// An efficiency below 1 is bandwidth that is lost while a transfer runs: it occupies its link for bytes / efficiency.
#include <algorithm>
#include <cmath>
#include <map>

#include "sim/messages.h"
#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

constexpr std::size_t index(LinkClass c) { return static_cast<std::size_t>(c); }

class PortNetwork {
 public:
  PortNetwork(const CollectiveShape& shape, const CollectiveCosts& costs) : shape_(shape), costs_(costs), p_(static_cast<std::size_t>(shape.ranks)) {
    routes_.assign(p_ * p_, kNone);
    for (auto& group : {&package_, &die_out_, &die_in_, &nic_out_, &nic_in_, &engine_out_, &engine_in_}) group->assign(p_, kNone);
  }

  RouteIndex route(int from, int to) {
    RouteIndex& known = routes_[static_cast<std::size_t>(from) * p_ + static_cast<std::size_t>(to)];
    if (known != kNone) return known;
    std::vector<LinkIndex> links;
    const LinkClass c = link_between(shape_, from, to);
    const auto f = static_cast<std::size_t>(from), t = static_cast<std::size_t>(to);
    switch (c) {
      case LinkClass::kPackage: links.push_back(link(package_[f], c, "SIO link of a package")); break;
      case LinkClass::kDie:
        if (shape_.fabric == Fabric::kHccsMesh) {
          LinkIndex own = kNone;
          links.push_back(link(own, c, "HCCS link of a pair"));
        } else {
          links.push_back(link(die_out_[f], c, "UB port of a die, out"));
          links.push_back(link(die_in_[t], c, "UB port of a die, in", false));
        }
        break;
      case LinkClass::kNic:
        links.push_back(link(nic_out_[f], c, "RoCE NIC of a die, out"));
        links.push_back(link(nic_in_[t], c, "RoCE NIC of a die, in", false));
        break;
    }
    if (costs_.engine.count() > 0) {
      links.push_back(engine(engine_out_[f], "vector cores of a die, out"));
      links.push_back(engine(engine_in_[t], "vector cores of a die, in"));
    }
    return known = network.add_route(links);
  }

  struct Named {
    const char* name;
    BytesPerSecond bandwidth;
    std::int64_t carried = 0;
  };
  FlowNetwork network;
  std::vector<Named> named;            // by link

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // The step cost of a class is the latency of the first link of a route.
  LinkIndex link(LinkIndex& known, LinkClass c, const char* name, bool first = true) {
    if (known == kNone) {
      known = network.add_link({costs_.bandwidth[index(c)], first ? costs_.step[index(c)] : Duration{}});
      named.push_back({name, costs_.bandwidth[index(c)]});
    }
    return known;
  }
  LinkIndex engine(LinkIndex& known, const char* name) {
    if (known == kNone) {
      known = network.add_link({costs_.engine});
      named.push_back({name, costs_.engine});
    }
    return known;
  }

  const CollectiveShape& shape_;
  const CollectiveCosts& costs_;
  std::size_t p_;
  std::vector<RouteIndex> routes_;
  std::vector<LinkIndex> package_, die_out_, die_in_, nic_out_, nic_in_, engine_out_, engine_in_;
};

double setup_seconds(const StepPlan& plan, const CollectiveCosts& costs) {
  CollectiveCosts free = costs;        // what is left of the closed form without setup and posting is in the messages
  free.setup = {};
  free.message = {};
  return seconds(time_of(plan, costs)) - seconds(time_of(plan, free));
}

}  // namespace

PlayedCollective play_collective(const CollectiveShape& shape, const Schedule& schedule, const StepPlan& plan, const CollectiveCosts& costs,
                                 int concurrent) {
  const std::vector<Crossing> crossings = traffic(schedule);
  PortNetwork ports(shape, costs);
  MessageSchedule one;
  one.ranks = static_cast<std::uint32_t>(shape.ranks);
  one.starts.assign(static_cast<std::size_t>(shape.ranks), duration_from_seconds(setup_seconds(plan, costs)));
  const bool gathers = shape.primitive == Primitive::kAllGather || shape.primitive == Primitive::kReduceScatter ||
                       shape.primitive == Primitive::kAllReduce || plan.loads.front().kind == TransferKind::kGather ||
                       plan.loads.front().kind == TransferKind::kReduce;
  for (const Crossing& c : crossings) {
    const TransferKind kind = !gathers ? kind_of(shape.primitive) : c.adds ? TransferKind::kReduce : TransferKind::kGather;
    const double efficiency = costs.efficiency[index(link_between(shape, c.from, c.to))][static_cast<std::size_t>(kind)];
    const RouteIndex route = ports.route(c.from, c.to);
    for (const LinkIndex l : ports.network.route(route)) ports.named[l].carried += c.bytes * concurrent;
    const auto occupied = Bytes(std::llround(static_cast<double>(c.bytes) / efficiency));
    one.messages.push_back({static_cast<std::uint32_t>(c.from), static_cast<std::uint32_t>(c.to),
                            static_cast<std::uint32_t>(c.step), route, occupied});
  }
  const std::vector<MessageSchedule> all(static_cast<std::size_t>(concurrent), one);
  const MessagesResult result = play(ports.network, all);
  PlayedCollective out{.time = result.finish,
                       .steps = result.schedules.front().steps,
                       .messages = std::ssize(one.messages) * concurrent,
                       .events = result.counts.events,
                       .solves = result.counts.flows.solves,
                       .links = {}};
  for (std::size_t l = 0; l < ports.named.size(); ++l) {
    const PortNetwork::Named& n = ports.named[l];
    auto known = std::ranges::find_if(out.links, [&](const LinkClassUse& u) { return std::string_view(u.name) == n.name; });
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

Duration port_load_time(const CollectiveShape& shape, std::span<const std::int64_t> rows, std::int64_t row, TransferKind kind,
                        const CollectiveCosts& costs) {
  const auto p = static_cast<std::size_t>(shape.ranks);
  check(rows.size() == p * p, "a matrix of rows from each rank to each");
  const bool mesh = shape.fabric == Fabric::kHccsMesh;
  double longest = 0;
  for (std::size_t r = 0; r < p; ++r) {
    std::int64_t in[kLinkClasses] = {}, out[kLinkClasses] = {}, all_in = 0, all_out = 0;
    for (std::size_t other = 0; other < p; ++other) {
      if (other == r) continue;
      const LinkClass c = link_between(shape, static_cast<int>(r), static_cast<int>(other));
      const std::int64_t sent = checked_product(rows[r * p + other], row), got = checked_product(rows[other * p + r], row);
      const bool pair = mesh && c == LinkClass::kDie;   // a link for each pair
      out[index(c)] = pair ? std::max(out[index(c)], sent) : checked_sum(out[index(c)], sent);
      in[index(c)] = pair ? std::max(in[index(c)], got) : checked_sum(in[index(c)], got);
      all_out = checked_sum(all_out, sent);
      all_in = checked_sum(all_in, got);
    }
    for (std::size_t c = 0; c < kLinkClasses; ++c) {
      const auto bytes = static_cast<double>(std::max(in[c], out[c]));
      if (bytes == 0) continue;
      longest = std::max(longest, seconds(costs.step[c]) + bytes / (costs.bandwidth[c].count() * costs.efficiency[c][static_cast<std::size_t>(kind)]));
    }
    if (costs.engine.count() > 0)
      longest = std::max(longest, seconds(costs.step[index(LinkClass::kDie)]) + static_cast<double>(std::max(all_in, all_out)) / costs.engine.count());
  }
  return costs.setup + duration_from_seconds(longest);
}

}  // namespace ascendsim
