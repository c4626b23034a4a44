#include "sim/flows.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace ascendsim {
namespace {

using namespace std::chrono_literals;

constexpr BytesPerSecond gigabytes(double n) { return BytesPerSecond(n * 1e9); }

FlowNetwork network_of(std::initializer_list<double> gigabytes_per_second) {
  FlowNetwork network;
  for (const double bandwidth : gigabytes_per_second) network.add_link({gigabytes(bandwidth)});
  return network;
}
RouteIndex route(FlowNetwork& network, std::vector<LinkIndex> links) { return network.add_route(links); }

// Runs to the end: when each tag ended.
std::vector<Duration> ends(FlowSolver& solver, std::size_t tags) {
  std::vector<Duration> result(tags);
  while (solver.next_end() != kNever)
    for (const std::uint32_t tag : solver.advance(solver.next_end())) result[tag] = solver.now();
  return result;
}

// 1000 B at 1 GB/s are 1 us.
TEST(Flows, OneFlowHasItsNarrowestLink) {
  FlowNetwork network = network_of({4, 1, 2});
  FlowSolver solver(network);
  const FlowIndex flow = solver.start(route(network, {0, 1, 2}), 1000_B, 1, 0);
  EXPECT_EQ(solver.rate(flow), gigabytes(1));
  EXPECT_EQ(solver.next_end(), 1us);
  EXPECT_TRUE(solver.advance(400ns).empty());
  EXPECT_EQ(solver.advance(1us).size(), 1U);
  EXPECT_EQ(solver.next_end(), kNever);
  EXPECT_EQ(solver.use(0).carried, 1000_B);
  EXPECT_EQ(solver.use(0).busy, 1us);
}

// Bertsekas & Gallager's kind of example: a long flow over both links, one short flow on each. Link 0 (2 GB/s) gives
// 1 GB/s each; link 1 (4 GB/s) has 3 left for its own.
TEST(Flows, WhatOneLinkRefusesAnotherGives) {
  FlowNetwork network = network_of({2, 4});
  FlowSolver solver(network);
  const FlowIndex both = solver.start(route(network, {0, 1}), 1000_B, 1, 0);
  const FlowIndex first = solver.start(route(network, {0}), 1000_B, 1, 1);
  const FlowIndex second = solver.start(route(network, {1}), 9000_B, 1, 2);
  EXPECT_EQ(solver.rate(both), gigabytes(1));
  EXPECT_EQ(solver.rate(first), gigabytes(1));
  EXPECT_EQ(solver.rate(second), gigabytes(3));
  // At 1 us both flows of link 0 end; the other has moved 3000 B, and 6000 B at 4 GB/s take 1.5 us.
  EXPECT_EQ(ends(solver, 3), (std::vector<Duration>{1us, 1us, 2500ns}));
  EXPECT_EQ(solver.counts().solves, 3U);  // the start, 1 us, 2.5 us
  EXPECT_EQ(solver.counts().components, 2U);
  EXPECT_EQ(solver.counts().rates, 4U);
  EXPECT_EQ(solver.use(0).busy, 1us);
  EXPECT_EQ(solver.use(1).busy, 2500ns);
  EXPECT_EQ(solver.use(1).carried, 10000_B);
}

// A joins at 0, B at 1 us: A moves 1000 B alone and 1000 B at half speed until 3 us, when B has 2000 B left of 3000.
TEST(Flows, AFlowThatJoinsSlowsTheOthers) {
  FlowNetwork network = network_of({1});
  const RouteIndex r = route(network, {0});
  FlowSolver solver(network);
  solver.start(r, 2000_B, 1, 0);
  EXPECT_TRUE(solver.advance(1us).empty());
  solver.start(r, 3000_B, 1, 1);
  EXPECT_EQ(ends(solver, 2), (std::vector<Duration>{3us, 5us}));
}

TEST(Flows, OnlyWhatIsTouchedIsSolvedAgain) {
  FlowNetwork network = network_of({1, 1});
  FlowSolver solver(network);
  solver.start(route(network, {0}), 1000_B, 1, 0);
  solver.start(route(network, {1}), 2000_B, 1, 1);
  solver.start(route(network, {1}), 2000_B, 1, 2);
  EXPECT_EQ(ends(solver, 3), (std::vector<Duration>{1us, 4us, 4us}));
  EXPECT_EQ(solver.counts().components, 2U);  // the end of the first touches nothing
  EXPECT_EQ(solver.counts().rates, 3U);
}

// Four senders with a port of 1 GB/s each into one trunk of 2 GB/s, and as one flow of four copies.
TEST(Flows, CopiesShareALinkOfOneAndHaveLinksOfManyForThemselves) {
  FlowNetwork network;
  const LinkIndex port = network.add_link({.bandwidth = gigabytes(1), .count = 4});
  const LinkIndex trunk = network.add_link({.bandwidth = gigabytes(2)});
  FlowSolver solver(network);
  const FlowIndex flow = solver.start(route(network, {port, trunk}), 1000_B, 4, 0);
  EXPECT_EQ(solver.rate(flow), gigabytes(0.5));
  EXPECT_EQ(solver.next_end(), 2us);
  EXPECT_EQ(solver.use(port).carried, 1000_B);
  EXPECT_EQ(solver.use(trunk).carried, 4000_B);
}

// 1 B over 3e12 B/s is a third of a tick.
TEST(Flows, EveryFlowTakesATick) {
  FlowNetwork network = network_of({3000});
  FlowSolver solver(network);
  solver.start(route(network, {0}), 1_B, 1, 0);
  EXPECT_EQ(solver.next_end(), Duration(1));
}

TEST(Flows, WrongUseIsOurBug) {
  FlowNetwork network = network_of({1});
  EXPECT_THROW(network.add_link({gigabytes(0)}), InternalError);
  EXPECT_THROW(network.add_link({.bandwidth = gigabytes(1), .latency = -1ns}), InternalError);
  EXPECT_THROW(network.add_link({.bandwidth = gigabytes(1), .count = 0}), InternalError);
  EXPECT_THROW(route(network, {1}), InternalError);
  EXPECT_THROW(route(network, {0, 0}), InternalError);
  const RouteIndex r = route(network, {0});
  FlowSolver solver(network);
  EXPECT_THROW(solver.start(r, 0_B, 1, 0), InternalError);
  EXPECT_THROW(solver.start(r + 1, 1_B, 1, 0), InternalError);
  EXPECT_THROW(solver.start(route(network, {}), 1_B, 1, 0), InternalError);
  solver.start(r, 1000_B, 1, 0);
  EXPECT_THROW(solver.advance(2us), InternalError);                                  // past the end of the flow
  EXPECT_THROW(solver.start(r, Bytes(std::int64_t{1} << 62), 3, 0), InternalError);  // 3 x 2^62 B on one link
}

}  // namespace
}  // namespace ascendsim
