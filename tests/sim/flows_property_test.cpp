// Properties of max-min fair flows and of schedules over them, on random networks.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <map>
#include <numeric>

#include "tests/sim/small_fabrics.h"

namespace ascendsim {
namespace {

struct Transfer {
  std::vector<LinkIndex> links;
  Duration start;
  Bytes bytes;
  std::uint32_t copies = 1;
};
struct Case {
  std::vector<FlowLink> links;
  std::vector<Transfer> transfers;
};

// Few different bandwidths, sizes and instants, so that things coincide.
Case random_case() {
  Case c;
  const auto links = *rc::gen::inRange<std::size_t>(1, 9);
  for (std::size_t l = 0; l < links; ++l)
    c.links.push_back({BytesPerSecond(1e9 * *rc::gen::element(1.0, 1.0, 2.0, 3.0, 7.3)), Duration{}, 1});
  const auto transfers = *rc::gen::inRange<std::size_t>(1, 25);
  for (std::size_t t = 0; t < transfers; ++t) {
    std::vector<LinkIndex> path;
    for (LinkIndex l = 0; l < links; ++l)
      if (*rc::gen::inRange(0, 3) == 0) path.push_back(l);
    if (path.empty()) path.push_back(static_cast<LinkIndex>(*rc::gen::inRange<std::size_t>(0, links)));
    c.transfers.push_back({path, std::chrono::nanoseconds(*rc::gen::element(0, 0, 500, 1000, 1777)),
                           Bytes(*rc::gen::element(1, 1000, 1000, 2500, 7777)),
                           *rc::gen::element<std::uint32_t>(1, 1, 1, 3)});
  }
  return c;
}

struct Running {
  FlowIndex flow;
  std::size_t transfer;
};

// Plays a case. see(solver, running) after each instant's starts and ends.
template <class See>
std::vector<Duration> play_case(const Case& c, Resolve resolve, See see) {
  FlowNetwork network;
  for (const FlowLink& link : c.links) network.add_link(link);
  FlowSolver solver(network, resolve);
  std::vector<std::size_t> order(c.transfers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, {}, [&](std::size_t t) { return c.transfers[t].start; });
  std::vector<Duration> ends(c.transfers.size());
  std::vector<Running> running;
  std::size_t next = 0;
  for (;;) {
    const Duration start = next < order.size() ? c.transfers[order[next]].start : kNever;
    const Duration now = std::min(start, solver.next_end());
    if (now == kNever) break;
    for (const std::uint32_t tag : solver.advance(now)) {
      ends[tag] = now;
      std::erase_if(running, [&](const Running& r) { return r.transfer == tag; });
    }
    for (; next < order.size() && c.transfers[order[next]].start == now; ++next) {
      const Transfer& t = c.transfers[order[next]];
      running.push_back(
          {solver.start(network.add_route(t.links), t.bytes, t.copies, static_cast<std::uint32_t>(order[next])),
           order[next]});
    }
    see(solver, running);
  }
  for (LinkIndex l = 0; l < c.links.size(); ++l) {
    Bytes carried{};
    for (const Transfer& t : c.transfers)
      if (std::ranges::find(t.links, l) != t.links.end()) carried += t.bytes * (t.copies / c.links[l].count);
    RC_ASSERT(solver.use(l).carried == carried);
  }
  return ends;
}
std::vector<Duration> play_case(const Case& c, Resolve resolve = Resolve::kTouched) {
  return play_case(c, resolve, [](FlowSolver&, const std::vector<Running>&) {});
}

constexpr double kRateUnit = 1.0 / (1 << 16);

// Every instant: no link carries more than it can, and every flow crosses a link that is full and on which nobody is
// faster, which is what max-min fairness means (Bertsekas & Gallager, 6.5.2). Rates are rounded down to 2^-16 B/s each.
RC_GTEST_PROP(FlowProperties, RatesAreMaxMinFair, ()) {
  const Case c = random_case();
  play_case(c, Resolve::kTouched, [&](FlowSolver& solver, const std::vector<Running>& running) {
    std::vector<double> load(c.links.size()), fastest(c.links.size()), flows(c.links.size());
    for (const Running& r : running) {
      const Transfer& t = c.transfers[r.transfer];
      for (const LinkIndex l : t.links) {
        load[l] += solver.rate(r.flow).count() * t.copies;
        fastest[l] = std::max(fastest[l], solver.rate(r.flow).count());
        flows[l] += t.copies;
      }
    }
    for (std::size_t l = 0; l < c.links.size(); ++l) RC_ASSERT(load[l] <= c.links[l].bandwidth.count() * (1 + 1e-12));
    for (const Running& r : running) {
      const auto is_bottleneck = [&](LinkIndex l) {
        const double slack = (flows[l] + 1) * kRateUnit + 1e-12 * c.links[l].bandwidth.count();
        return load[l] >= c.links[l].bandwidth.count() - slack && solver.rate(r.flow).count() >= fastest[l] - slack;
      };
      RC_ASSERT(std::ranges::any_of(c.transfers[r.transfer].links, is_bottleneck));
    }
  });
}

// What the rates move until a flow ends is what it had to move, to half a tick.
RC_GTEST_PROP(FlowProperties, BytesAreConserved, ()) {
  const Case c = random_case();
  std::map<std::size_t, std::pair<double, Duration>> rate_since;
  std::vector<double> moved(c.transfers.size()), last_rate(c.transfers.size());
  const auto ends = play_case(c, Resolve::kTouched, [&](FlowSolver& solver, const std::vector<Running>& running) {
    for (auto& [transfer, entry] : rate_since) moved[transfer] += entry.first * seconds(solver.now() - entry.second);
    rate_since.clear();
    for (const Running& r : running) {
      rate_since[r.transfer] = {solver.rate(r.flow).count(), solver.now()};
      last_rate[r.transfer] = solver.rate(r.flow).count();
    }
  });
  for (std::size_t t = 0; t < c.transfers.size(); ++t) {
    RC_ASSERT(ends[t] > c.transfers[t].start);
    const double bytes = static_cast<double>(c.transfers[t].bytes.count());
    RC_ASSERT(std::abs(moved[t] - bytes) <= 1e-9 * bytes + last_rate[t] * 1e-12);
  }
}

RC_GTEST_PROP(FlowProperties, WhatIsTouchedIsAllThatChanges, ()) {
  const Case c = random_case();
  RC_ASSERT(play_case(c, Resolve::kTouched) == play_case(c, Resolve::kAll));
}

// Other numbers for links, other order of flows: the same instants exactly.
RC_GTEST_PROP(FlowProperties, LabelsAndOrderDoNotMatter, ()) {
  const Case c = random_case();
  std::vector<LinkIndex> place(c.links.size());
  std::iota(place.begin(), place.end(), 0U);
  const auto turn = *rc::gen::inRange<std::size_t>(0, c.links.size());
  std::rotate(place.begin(), place.begin() + static_cast<std::ptrdiff_t>(turn), place.end());
  if (*rc::gen::arbitrary<bool>()) std::reverse(place.begin(), place.end());
  Case other{.links = c.links, .transfers = c.transfers};
  for (std::size_t l = 0; l < place.size(); ++l) other.links[place[l]] = c.links[l];
  for (Transfer& t : other.transfers) {
    for (LinkIndex& l : t.links) l = place[l];
    if (*rc::gen::arbitrary<bool>()) std::reverse(t.links.begin(), t.links.end());
  }
  std::reverse(other.transfers.begin(), other.transfers.end());
  auto ends = play_case(other);
  std::reverse(ends.begin(), ends.end());
  RC_ASSERT(ends == play_case(c));
}

// n equal jobs, each with links of its own and all with some links in common, as n jobs and as one group.
RC_GTEST_PROP(FlowProperties, GroupedIsUngrouped, ()) {
  const Case job = random_case();
  const auto n = *rc::gen::inRange<std::uint32_t>(2, 6);
  std::vector<bool> common;
  for (std::size_t l = 0; l < job.links.size(); ++l) common.push_back(*rc::gen::arbitrary<bool>());
  Case grouped = job, ungrouped{.links = job.links, .transfers = {}};
  for (std::size_t l = 0; l < job.links.size(); ++l)
    if (!common[l]) grouped.links[l].count = n;
  for (Transfer& t : grouped.transfers) t.copies *= n;
  for (std::uint32_t i = 1; i < n; ++i)
    ungrouped.links.insert(ungrouped.links.end(), job.links.begin(), job.links.end());
  for (std::uint32_t i = 0; i < n; ++i)
    for (Transfer t : job.transfers) {
      for (LinkIndex& l : t.links)
        if (!common[l]) l += i * static_cast<LinkIndex>(job.links.size());
      ungrouped.transfers.push_back(t);
    }
  const auto together = play_case(grouped), apart = play_case(ungrouped);
  for (std::size_t t = 0; t < apart.size(); ++t) RC_ASSERT(apart[t] == together[t % together.size()]);
}

// Copies of a flow are as many flows.
RC_GTEST_PROP(FlowProperties, CopiesAreFlows, ()) {
  const Case c = random_case();
  Case single{.links = c.links, .transfers = {}};
  std::vector<std::size_t> of;
  for (std::size_t t = 0; t < c.transfers.size(); ++t)
    for (std::uint32_t i = 0; i < c.transfers[t].copies; ++i) {
      single.transfers.push_back(c.transfers[t]);
      single.transfers.back().copies = 1;
      of.push_back(t);
    }
  const auto together = play_case(c), apart = play_case(single);
  for (std::size_t t = 0; t < apart.size(); ++t) RC_ASSERT(apart[t] == together[of[t]]);
}

// More bandwidth on one link can slow a flow: when link 0 has 2 instead of 1 GB/s, the flow over both links takes more
// of link 1. So what holds is about all links at once (below) and about single links where everybody waits for
// everybody.
TEST(FlowProperties, MoreBandwidthOnOneLinkCanSlowAFlow) {
  const auto end_of_second = [](double first_link) {
    const Case c{{{BytesPerSecond(first_link)}, {BytesPerSecond(3e9)}},
                 {{{0, 1}, Duration{}, 9000_B, 1}, {{1}, Duration{}, 1000_B, 1}}};
    return play_case(c)[1];
  };
  EXPECT_EQ(end_of_second(1e9), std::chrono::nanoseconds(500));  // 2 of 3 GB/s
  EXPECT_EQ(end_of_second(2e9), Duration(666'667));              // 1.5 of 3 GB/s
}

// k times the bandwidth everywhere and everything starts at zero: a k-th of the time.
RC_GTEST_PROP(FlowProperties, TimeScalesWithBandwidth, ()) {
  Case c = random_case();
  for (Transfer& t : c.transfers) t.start = Duration{};
  const auto slow = play_case(c);
  const auto factor = *rc::gen::inRange(2, 9);
  for (FlowLink& link : c.links) link.bandwidth = link.bandwidth * factor;
  const auto fast = play_case(c);
  const auto rounding = static_cast<std::int64_t>(c.transfers.size());  // at most half a tick per end before
  for (std::size_t t = 0; t < slow.size(); ++t)
    RC_ASSERT(std::abs(fast[t].count() * factor - slow[t].count()) <= rounding * factor);
}

SmallFabric random_fabric(std::uint32_t ranks) {
  const BytesPerSecond port(1e9 * *rc::gen::inRange(1, 200)), uplink(1e9 * *rc::gen::inRange(1, 400));
  const Duration latency = std::chrono::nanoseconds(2 * *rc::gen::inRange(0, 1000));
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return star(ranks, port, latency);
    case 1:
      return mesh(ranks, port, latency);
    default:
      return two_levels(ranks, 2, port, uplink, latency);
  }
}

MessageSchedule random_exchange(const SmallFabric& fabric) {
  const Bytes bytes(*rc::gen::inRange(1, 1'000'000));
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return ring_schedule(fabric, *rc::gen::inRange<std::uint32_t>(1, 8), bytes);
    case 1:
      return all_to_all_schedule(fabric, bytes, false);
    default:
      return all_to_all_schedule(fabric, bytes, true);
  }
}

FlowNetwork with_bandwidth(const FlowNetwork& network, double factor) {
  FlowNetwork other;
  for (FlowLink link : network.links()) {
    link.bandwidth = link.bandwidth * Ratio(factor);
    other.add_link(link);
  }
  for (RouteIndex r = 0; r < network.routes(); ++r) other.add_route(network.route(r));
  return other;
}

// Symmetric exchanges: all ranks are always in the same step, so more bandwidth for all is never slower.
RC_GTEST_PROP(MessageProperties, MoreBandwidthIsNotSlower, ()) {
  const SmallFabric fabric = random_fabric(*rc::gen::element<std::uint32_t>(4, 8, 12));
  const auto schedule = random_exchange(fabric);
  const FlowNetwork wider = with_bandwidth(fabric.network, 1 + *rc::gen::inRange(0, 300) / 100.0);
  RC_ASSERT(play(wider, std::span(&schedule, 1)).finish <= play(fabric.network, std::span(&schedule, 1)).finish);
}

// No rank is done before its bytes can have passed the narrowest of its links.
RC_GTEST_PROP(MessageProperties, NothingIsFasterThanItsLinks, ()) {
  const SmallFabric fabric = random_fabric(8);
  const auto schedule = random_exchange(fabric);
  const MessagesResult result = play(fabric.network, std::span(&schedule, 1));
  for (LinkIndex l = 0; l < result.links.size(); ++l) {
    const double least =
        static_cast<double>(result.links[l].carried.count()) / fabric.network.links()[l].bandwidth.count();
    RC_ASSERT(seconds(result.links[l].busy) >=
              least * (1 - 1e-9) - 1e-12 * static_cast<double>(schedule.messages.size()));
    RC_ASSERT(result.links[l].busy <= result.finish);
  }
}

// Ranks by other names on the same devices.
RC_GTEST_PROP(MessageProperties, RelabellingRanksChangesNothing, ()) {
  const SmallFabric fabric = random_fabric(8);
  auto schedule = random_exchange(fabric);
  schedule.costs = {Duration(*rc::gen::inRange(0, 100'000)), Duration(*rc::gen::inRange(0, 100'000))};
  for (std::uint32_t r = 0; r < schedule.ranks; ++r)
    schedule.starts.push_back(Duration(*rc::gen::inRange(0, 50'000'000)));
  for (Message& m : schedule.messages) m.bytes = Bytes(*rc::gen::inRange(0, 100'000));
  const auto turn = *rc::gen::inRange<std::uint32_t>(0, 8);
  const auto rename = [&](std::uint32_t r) { return (5 * r + turn) % 8; };  // 5 is coprime to 8
  MessageSchedule other = schedule;
  for (Message& m : other.messages) m.from = rename(m.from), m.to = rename(m.to);
  for (std::uint32_t r = 0; r < 8; ++r) other.starts[rename(r)] = schedule.starts[r];
  std::reverse(other.messages.begin(), other.messages.end());
  const auto a = play(fabric.network, std::span(&schedule, 1)), b = play(fabric.network, std::span(&other, 1));
  for (std::uint32_t r = 0; r < 8; ++r)
    RC_ASSERT(a.schedules[0].rank_finish[r] == b.schedules[0].rank_finish[rename(r)]);
}

RC_GTEST_PROP(MessageProperties, FoldedIsUnfolded, ()) {
  const auto ranks = *rc::gen::inRange<std::uint32_t>(2, 40);
  const BytesPerSecond port(1e9 * *rc::gen::inRange(1, 200));
  const Duration latency = std::chrono::nanoseconds(2 * *rc::gen::inRange(0, 1000));
  const Bytes bytes(*rc::gen::inRange(1, 1'000'000));
  const SmallFabric fabric = star(ranks, port, latency);
  const FoldedStar folded(ranks, port, latency);
  const auto same = [&](const MessageSchedule& all, const MessageSchedule& one) {
    return play(fabric.network, std::span(&all, 1)).finish == play(folded.network, std::span(&one, 1)).finish;
  };
  RC_ASSERT(same(ring_schedule(fabric, 3, bytes), folded_ring(ranks, 3, bytes)));
  RC_ASSERT(same(all_to_all_schedule(fabric, bytes, true), folded_all_to_all(ranks, bytes)));
}

}  // namespace
}  // namespace ascendsim
