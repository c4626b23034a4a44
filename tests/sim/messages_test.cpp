#include "sim/messages.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/sim/small_fabrics.h"

namespace ascendsim {
namespace {

using namespace std::chrono_literals;

constexpr BytesPerSecond gigabytes(double n) { return BytesPerSecond(n * 1e9); }

// Rank r has one link to rank r + 1.
struct Ring {
  Ring(std::uint32_t ranks, FlowLink link) {
    for (std::uint32_t r = 0; r < ranks; ++r) {
      const std::array hop{network.add_link(link)};
      routes.push_back(network.add_route(hop));
    }
  }
  FlowNetwork network;
  std::vector<RouteIndex> routes;
};

MessageSchedule ring_steps(const Ring& ring, std::uint32_t steps, Bytes bytes) {
  const auto ranks = static_cast<std::uint32_t>(ring.routes.size());
  MessageSchedule schedule{.ranks = ranks, .messages = {}};
  for (std::uint32_t s = 0; s < steps; ++s)
    for (std::uint32_t r = 0; r < ranks; ++r)
      schedule.messages.push_back(
          {.from = r, .to = (r + 1) % ranks, .step = s, .route = ring.routes[r], .bytes = bytes});
  return schedule;
}

MessagesResult play_one(const FlowNetwork& network, const MessageSchedule& schedule) {
  return play(network, std::span(&schedule, 1));
}

// 3 steps of 10 ns per step + 5 ns per message + 100 ns latency + 1000 B at 1 GB/s.
TEST(Messages, ARingStepPaysSoftwareLatencyAndBytes) {
  const Ring ring(4, {.bandwidth = gigabytes(1), .latency = 100ns});
  MessageSchedule schedule = ring_steps(ring, 3, 1000_B);
  schedule.costs = {.per_message = 5ns, .per_step = 10ns};
  const MessagesResult result = play_one(ring.network, schedule);
  EXPECT_EQ(result.finish, 3 * 1115ns);
  EXPECT_EQ(result.schedules[0].steps, 3U);
  EXPECT_EQ(result.schedules[0].rank_finish, std::vector<Duration>(4, 3 * 1115ns));
  EXPECT_EQ(result.links[2].carried, 3000_B);
  EXPECT_EQ(result.links[2].busy, 3us);
  EXPECT_EQ(result.counts.messages, 12U);
  EXPECT_EQ(result.counts.events, 4U + 2 * 12U);
  EXPECT_EQ(result.counts.flows.solves, 6U);
}

// Steps only order: the numbers have gaps, and messages come in any order.
TEST(Messages, OrderAndNumbersOfStepsDoNotMatter) {
  const Ring ring(4, {.bandwidth = gigabytes(1), .latency = 100ns});
  MessageSchedule schedule = ring_steps(ring, 3, 1000_B);
  for (Message& m : schedule.messages) m.step = 7 * m.step + 3;
  std::reverse(schedule.messages.begin(), schedule.messages.end());
  EXPECT_EQ(play_one(ring.network, schedule).finish, 3 * 1100ns);
}

// Rank 0 begins at 500 ns. Rank 1 has its first message at 500 + 1000 and only then sends on; rank 2 likewise.
TEST(Messages, AStragglerDelaysWhoWaitsForIt) {
  const Ring ring(3, {.bandwidth = gigabytes(1)});
  MessageSchedule schedule = ring_steps(ring, 2, 1000_B);
  schedule.starts = {500ns, 0ns, 0ns};
  const MessagesResult result = play_one(ring.network, schedule);
  // Step 0: 0 -> 1 ends at 1500, 1 -> 2 and 2 -> 0 at 1000. Step 1: 0 sends at 1500 (own message), 1 at 1500, 2 at
  // 1000.
  EXPECT_EQ(result.schedules[0].rank_finish, (std::vector<Duration>{2500ns, 2500ns, 2500ns}));
  schedule.messages.resize(3);  // one step
  EXPECT_EQ(play_one(ring.network, schedule).schedules[0].rank_finish, (std::vector<Duration>{1500ns, 1500ns, 1000ns}));
}

// Two jobs over one link: each has half of it.
TEST(Messages, SchedulesAtOnceShareLinks) {
  const Ring ring(2, {.bandwidth = gigabytes(1)});
  const std::array jobs{ring_steps(ring, 1, 1000_B), ring_steps(ring, 2, 1000_B)};
  const MessagesResult result = play(ring.network, jobs);
  EXPECT_EQ(result.schedules[0].finish, 2us);
  EXPECT_EQ(result.schedules[1].finish, 3us);
  EXPECT_EQ(result.finish, 3us);
}

// A ring of four as one rank that stands for all: same time, same use, a quarter of the messages.
TEST(Messages, ARingFoldsIntoOneRank) {
  FlowNetwork network;
  const std::array hop{network.add_link({.bandwidth = gigabytes(1), .latency = 100ns, .count = 4})};
  const RouteIndex r = network.add_route(hop);
  MessageSchedule schedule{.ranks = 1, .messages = {}};
  for (std::uint32_t s = 0; s < 3; ++s) schedule.messages.push_back({0, 0, s, r, 1000_B, 4});
  const MessagesResult result = play_one(network, schedule);
  EXPECT_EQ(result.finish, 3 * 1100ns);
  EXPECT_EQ(result.links[0].carried, 3000_B);
  EXPECT_EQ(result.counts.messages, 3U);
}

// A copy inside a device takes the software costs, a message of no bytes the latency too.
TEST(Messages, LocalAndEmptyMessages) {
  Ring ring(2, {.bandwidth = gigabytes(1), .latency = 100ns});
  MessageSchedule schedule{.ranks = 2, .messages = {}, .costs = {.per_message = 5ns, .per_step = 10ns}};
  schedule.messages.push_back({0, 0, 0, ring.network.add_route({}), 1000_B});
  EXPECT_EQ(play_one(ring.network, schedule).finish, 15ns);
  schedule.messages.push_back({0, 1, 1, ring.routes[0], 0_B});
  EXPECT_EQ(play_one(ring.network, schedule).finish, 15ns + 115ns);
  schedule.messages.clear();
  EXPECT_EQ(play_one(ring.network, schedule).finish, 0ns);
  EXPECT_EQ(play(ring.network, {}).finish, 0ns);
}

TEST(Messages, WrongSchedulesAreOurBug) {
  const Ring ring(2, {.bandwidth = gigabytes(1)});
  const auto with = [&](Message m) { return MessageSchedule{.ranks = 2, .messages = {m}}; };
  EXPECT_THROW(play_one(ring.network, with({.from = 2})), InternalError);
  EXPECT_THROW(play_one(ring.network, with({.to = 2})), InternalError);
  EXPECT_THROW(play_one(ring.network, with({.route = 2})), InternalError);
  EXPECT_THROW(play_one(ring.network, with({.bytes = Bytes(-1)})), InternalError);
  EXPECT_THROW(play_one(ring.network, with({.copies = 0})), InternalError);
  MessageSchedule schedule = with({.bytes = 1_B});
  schedule.starts = {0ns};
  EXPECT_THROW(play_one(ring.network, schedule), InternalError);
  schedule.starts = {0ns, -1ns};
  EXPECT_THROW(play_one(ring.network, schedule), InternalError);
}

// ASTRA-sim 2.0 (commit 518bd51, analytical congestion-aware backend, bundled Ring_4chunks.json, measured): ring
// all-reduce of 10^6 B in four chunks one after another, 50 GB/s, 500 ns links, 10 ns per message. By hand a step takes
// 10 + 500 ns + 250,000 / p / 50 GB/s, and there are 4 x 2 (p - 1).
TEST(Messages, RingAllReduceAsInAstraSim) {
  const std::array<std::pair<std::uint32_t, double>, 4> measured{{{16, 99.6}, {64, 296.9}, {256, 1079}, {512, 2122}}};
  for (const auto& [ranks, microseconds_measured] : measured) {
    const Ring ring(ranks, {.bandwidth = gigabytes(50), .latency = 500ns});
    MessageSchedule schedule = ring_steps(ring, 4 * 2 * (ranks - 1), Bytes(250'000 / ranks));
    schedule.costs.per_message = 10ns;
    const MessagesResult result = play_one(ring.network, schedule);
    EXPECT_NEAR(microseconds(result.finish), microseconds_measured, 0.01 * microseconds_measured) << ranks;
    EXPECT_EQ(result.counts.flows.starts, std::uint64_t{ranks} * 8 * (ranks - 1));
    EXPECT_EQ(result.counts.flows.solves, std::uint64_t{16} * (ranks - 1));  // a start and an end of each step
  }
}

// What the work is, pinned: a start and an end of every step of a ring are one solve each, and every rate is computed
// once; a direct exchange is two solves. In groups it is one flow a step.
TEST(Messages, CountsOfTheBenchmark) {
  constexpr BytesPerSecond kPort(50e9);
  constexpr Duration kLatency = 1us;
  const auto expect = [](const MessagesResult& r, std::uint64_t messages, std::uint64_t solves, std::uint64_t rates,
                         Duration finish) {
    EXPECT_EQ(r.counts.messages, messages);
    EXPECT_EQ(r.counts.flows.starts, messages);
    EXPECT_EQ(r.counts.flows.solves, solves);
    EXPECT_EQ(r.counts.flows.rates, rates);
    EXPECT_EQ(r.finish, finish);
  };
  // 255 steps of 1 us + 10^6 B / 50 GB/s = 20 us; 127 messages on every port at once: 1 us + 127 x 20 us.
  const SmallFabric ring = star(256, kPort, kLatency);
  expect(play_one(ring.network, ring_schedule(ring, 255, Bytes(1'000'000))), 65'280, 510, 65'280, 255 * 21us);
  expect(play_one(FoldedStar(256, kPort, kLatency).network, folded_ring(256, 255, Bytes(1'000'000))), 255, 510, 255,
         255 * 21us);
  const SmallFabric direct = star(128, kPort, kLatency);
  expect(play_one(direct.network, all_to_all_schedule(direct, Bytes(1'000'000), true)), 16'256, 2, 16'256, 2541us);
  expect(play_one(FoldedStar(128, kPort, kLatency).network, folded_all_to_all(128, Bytes(1'000'000))), 1, 2, 1, 2541us);
}

}  // namespace
}  // namespace ascendsim
