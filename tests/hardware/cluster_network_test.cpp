#include "hardware/cluster_network.h"

#include <numeric>

#include "sim/messages.h"
#include "tests/hardware/catalogue_under_test.h"

namespace ascendsim {
namespace {

std::vector<std::string> path(ClusterNetwork& network, int from, int to, Plane plane = Plane::kFastest) {
  std::vector<std::string> names;
  const RouteIndex route = network.route(from, to, plane);
  for (const LinkIndex l : network.flows().route(route)) names.push_back(to_text(network.link(l)));
  return names;
}
double gigabytes(ClusterNetwork& network, int from, int to, std::size_t hop) {
  return network.flows().links()[network.flows().route(network.route(from, to))[hop]].bandwidth.count() / 1e9;
}
using Names = std::vector<std::string>;

LinkShares nominal() {
  LinkShares shares;
  shares.fill(Ratio(1));
  return shares;
}

MessageSchedule all_to_all(ClusterNetwork& network, std::span<const int> ranks, Bytes bytes) {
  MessageSchedule schedule{.ranks = static_cast<std::uint32_t>(ranks.size()), .messages = {}};
  for (std::uint32_t a = 0; a < ranks.size(); ++a)
    for (std::uint32_t b = 0; b < ranks.size(); ++b)
      if (a != b) schedule.messages.push_back({a, b, 0, network.route(ranks[a], ranks[b]), bytes});
  return schedule;
}

std::vector<int> first_ranks(int count) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

TEST(ClusterNetwork, RoutesOfA2AreHccsInsideAndLeafAndSpineOutside) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 5);  // four servers on leaf 0, the fifth on leaf 1
  ClusterNetwork network(cluster);
  EXPECT_EQ(path(network, 3, 3), Names{});
  EXPECT_EQ(path(network, 3, 5), Names{"die 0.3 -> die 0.5"});
  EXPECT_EQ(path(network, 3, 11), (Names{"die 0.3 -> leaf 0", "leaf 0 -> die 1.3"}));
  EXPECT_EQ(path(network, 3, 32),
            (Names{"die 0.3 -> leaf 0", "leaf 0 -> spine", "spine -> leaf 1", "leaf 1 -> die 4.0"}));
  EXPECT_EQ(path(network, 3, 5, Plane::kRoce), (Names{"die 0.3 -> leaf 0", "leaf 0 -> die 0.5"}));
  EXPECT_EQ(network.route(3, 5), network.route(3, 5));
  // Sustained: 28 x 0.69, 25 x 0.8 GB/s. A leaf is not oversubscribed: 32 ports.
  EXPECT_DOUBLE_EQ(gigabytes(network, 3, 5, 0), 28 * 0.69);
  EXPECT_DOUBLE_EQ(gigabytes(network, 3, 32, 0), 20);
  EXPECT_DOUBLE_EQ(gigabytes(network, 3, 32, 1), 32 * 20);
  // Two halves of the 4 us of a path inside a leaf, and twice 0.6 us to the spine.
  EXPECT_EQ(network.flows().latency(network.route(3, 11)), std::chrono::microseconds(4));
  EXPECT_EQ(network.flows().latency(network.route(3, 32)), std::chrono::nanoseconds(5200));
}

TEST(ClusterNetwork, RoutesOfA3AreSioThenUnifiedBus) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  ClusterNetwork network(cluster, nominal());
  EXPECT_EQ(path(network, 4, 5), Names{"die 0.4 -> die 0.5"});
  EXPECT_EQ(path(network, 4, 6), (Names{"die 0.4 -> server 0 UB L1", "server 0 UB L1 -> die 0.6"}));
  EXPECT_EQ(path(network, 4, 16), (Names{"die 0.4 -> server 0 UB L1", "server 0 UB L1 -> UB L2",
                                         "UB L2 -> server 1 UB L1", "server 1 UB L1 -> die 1.0"}));
  EXPECT_EQ(path(network, 4, 16, Plane::kRoce), (Names{"die 0.4 -> leaf 0", "leaf 0 -> die 1.0"}));
  EXPECT_DOUBLE_EQ(gigabytes(network, 4, 5, 0), 240);
  EXPECT_DOUBLE_EQ(gigabytes(network, 4, 16, 0), 196);  // seven planes
  EXPECT_DOUBLE_EQ(gigabytes(network, 4, 16, 1), 16 * 196);
  EXPECT_EQ(network.flows().latency(network.route(4, 16)), std::chrono::nanoseconds(1900));
  EXPECT_THROW(network.route(0, 32), InternalError);
}

TEST(ClusterNetwork, OversubscriptionNarrowsTheLeaves) {
  Server server = shipped_server("atlas-800i-a2");
  server.roce.oversubscription.value = Ratio(2);
  server.roce.dies_per_leaf.value = Count(8);
  const Cluster cluster(server, 2);
  ClusterNetwork network(cluster, nominal());
  EXPECT_DOUBLE_EQ(gigabytes(network, 0, 8, 1), 8 * 25 / 2.0);
  // Eight pairs of equal index at once: 12.5 GB/s each, 1 MB in 80 us (and 5.2 us of latency).
  MessageSchedule schedule{.ranks = 16, .messages = {}};
  for (std::uint32_t d = 0; d < 8; ++d)
    schedule.messages.push_back(
        {d, d + 8, 0, network.route(static_cast<int>(d), static_cast<int>(d) + 8), Bytes(1'000'000)});
  EXPECT_EQ(play(network.flows(), std::span(&schedule, 1)).finish, std::chrono::nanoseconds(85'200));
}

TEST(ClusterNetwork, WhatIsDownIsAvoidedAndWhatIsSlowIsNot) {
  const Server a2 = shipped_server("atlas-800i-a2");
  const Cluster down(a2, 1, 8, {{LinkKind::kHccs, 0, 3, 5, Ratio(0)}});
  ClusterNetwork detour(down);
  EXPECT_EQ(path(detour, 3, 5), (Names{"die 0.3 -> leaf 0", "leaf 0 -> die 0.5"}));
  EXPECT_EQ(path(detour, 5, 3), (Names{"die 0.5 -> leaf 0", "leaf 0 -> die 0.3"}));
  EXPECT_EQ(path(detour, 3, 4), Names{"die 0.3 -> die 0.4"});
  const Cluster slow(a2, 1, 8, {{LinkKind::kHccs, 0, 3, 5, Ratio(0.5)}});
  ClusterNetwork same(slow, nominal());
  EXPECT_EQ(path(same, 3, 5), Names{"die 0.3 -> die 0.5"});
  EXPECT_DOUBLE_EQ(gigabytes(same, 3, 5, 0), 14);

  const Server a3 = shipped_server("atlas-800i-a3");
  const Cluster planes(a3, 2, 16, {{LinkKind::kUbPlane, 0, 4, 2, Ratio(0)}, {LinkKind::kUbPlane, 1, -1, 0, Ratio(0)}});
  ClusterNetwork six(planes, nominal());
  EXPECT_DOUBLE_EQ(gigabytes(six, 4, 16, 0), 6 * 28);
  EXPECT_DOUBLE_EQ(gigabytes(six, 4, 16, 1), 7 * 448);
  EXPECT_DOUBLE_EQ(gigabytes(six, 4, 16, 2), 6 * 448);
}

TEST(ClusterNetwork, ALostNicCutsAnA2DieOffFromOtherServers) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 2, 8, {{LinkKind::kRoce, 0, 7, 0, Ratio(0)}});
  ClusterNetwork network(cluster);
  EXPECT_TRUE(network.connected(7, 0));
  EXPECT_FALSE(network.connected(7, 8));
  EXPECT_FALSE(network.connected(0, 7, Plane::kRoce));
  Diagnostics diagnostics;
  say_disconnected(cluster, network, {}, diagnostics);
  ASSERT_EQ(diagnostics.all().size(), 1U);
  EXPECT_EQ(diagnostics.all()[0].code, "E0216");
  EXPECT_EQ(diagnostics.all()[0].message,
            "rank 7 (die 0.7) has no route to 8 other ranks, the first is rank 8 (die 1.0)");
  EXPECT_THROW(network.route(7, 8), InternalError);
}

// A3 dies whose UB port is down go over RoCE.
TEST(ClusterNetwork, RoceStandsInForTheUnifiedBus) {
  std::vector<LinkFault> faults;
  for (int plane = 0; plane < 7; ++plane) faults.push_back({LinkKind::kUbPlane, 0, 4, plane, Ratio(0)});
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2, 16, faults);
  ClusterNetwork network(cluster);
  EXPECT_EQ(path(network, 4, 6), (Names{"die 0.4 -> leaf 0", "leaf 0 -> die 0.6"}));
  Diagnostics diagnostics;
  say_disconnected(cluster, network, {}, diagnostics);
  EXPECT_TRUE(diagnostics.all().empty());
}

// All pairs of two A3 servers at once. The port of a die carries 30 of its 31 messages (one goes over SIO): 30 x 1 MB
// at 196 GB/s are 153.06 us, behind the longest latency.
TEST(ClusterNetwork, AllPairsOfTwoServersFillThePorts) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  ClusterNetwork network(cluster, nominal());
  const std::vector<int> ranks = first_ranks(32);
  const MessageSchedule schedule = all_to_all(network, ranks, Bytes(1'000'000));
  const MessagesResult result = play(network.flows(), std::span(&schedule, 1));
  // Messages inside a server enter 0.7 us earlier and have the port for themselves until then.
  EXPECT_NEAR(microseconds(result.finish), 30e6 / 196e9 * 1e6 + 1.2, 0.7);
  EXPECT_EQ(result.counts.messages, 32U * 31);
}

TEST(ClusterNetwork, FoldedIsUnfolded) {
  for (const auto& [name, servers, share] :
       {std::tuple("atlas-800i-a2", 1, 8), std::tuple("atlas-800i-a2", 4, 8), std::tuple("atlas-800i-a2", 8, 8),
        std::tuple("atlas-800i-a3", 1, 16), std::tuple("atlas-800i-a3", 3, 16), std::tuple("atlas-800i-a3", 4, 4)}) {
    const Cluster cluster(shipped_server(name), servers, share);
    ClusterNetwork network(cluster);
    const std::vector<int> ranks = first_ranks(cluster.ranks());
    const auto folded = fold(cluster, network, ranks);
    ASSERT_TRUE(folded.has_value()) << name << servers;
    const MessageSchedule all = all_to_all(network, ranks, Bytes(123'457));
    MessageSchedule one{.ranks = 1, .messages = {}};
    for (const FoldedPeers& c : folded->classes)
      one.messages.push_back({0, 0, 0, c.route, Bytes(123'457), folded->ranks * c.peers});
    const Duration unfolded = play(network.flows(), std::span(&all, 1)).finish;
    EXPECT_EQ(play(folded->flows, std::span(&one, 1)).finish, unfolded) << name << servers;
  }
}

// All 589,056 pairs of CloudMatrix384. Six instants: messages enter after the latencies of SIO, L1 and L2, and end over
// SIO, inside the servers, and between them. Every rate but those of SIO is computed when the latter enter, and again
// for those that are left when the ends inside the servers come.
TEST(ClusterNetwork, AllPairsOfCloudMatrix384) {
  const Cluster cluster(shipped_server("cloudmatrix384"), 48);
  ClusterNetwork network(cluster);
  const std::vector<int> ranks = first_ranks(768);
  const MessageSchedule all = all_to_all(network, ranks, Bytes(1'000'000));
  const MessagesResult unfolded = play(network.flows(), std::span(&all, 1));
  EXPECT_EQ(unfolded.counts.messages, 589'056U);
  EXPECT_EQ(unfolded.counts.flows.solves, 6U);
  EXPECT_EQ(unfolded.counts.flows.rates, 768U + 768 * 14 + (768 * 766) + 768 * 752);
  const auto folded = fold(cluster, network, ranks);
  ASSERT_TRUE(folded.has_value());
  ASSERT_EQ(folded->classes.size(), 3U);
  MessageSchedule one{.ranks = 1, .messages = {}};
  for (const FoldedPeers& c : folded->classes)
    one.messages.push_back({0, 0, 0, c.route, Bytes(1'000'000), 768 * c.peers});
  const MessagesResult grouped = play(folded->flows, std::span(&one, 1));
  EXPECT_EQ(grouped.finish, unfolded.finish);
  EXPECT_EQ(grouped.counts.flows.solves, 6U);
  EXPECT_EQ(grouped.counts.flows.rates, 5U);
  // The ports are busy from the first message inside a server: 766 x 1 MB at 164.64 GB/s and 1.2 us at the least.
  EXPECT_NEAR(microseconds(grouped.finish), 766e6 / (196e9 * 0.84) * 1e6 + 1.2, 0.1);
}

TEST(ClusterNetwork, UnequalRanksDoNotFold) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  ClusterNetwork network(cluster);
  EXPECT_FALSE(fold(cluster, network, std::vector<int>{0, 1, 16}));             // a server has two, one has one
  EXPECT_FALSE(fold(cluster, network, std::vector<int>{0, 1, 2, 16, 17, 18}));  // a package has two, one has one
  const Cluster faulty(shipped_server("atlas-800i-a3"), 2, 16, {{LinkKind::kRoce, 0, 7, 0, Ratio(0.5)}});
  EXPECT_FALSE(fold(faulty, network, first_ranks(32)));
}

}  // namespace
}  // namespace ascendsim
