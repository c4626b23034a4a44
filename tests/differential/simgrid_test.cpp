// Ours against SimGrid: finish times within 0.1 %.
#include <gtest/gtest.h>

#include "tests/differential/simgrid_play.h"
#include "tests/sim/small_fabrics.h"

namespace ascendsim {
namespace {

constexpr BytesPerSecond kPort(50e9), kUplink(75e9);
constexpr Duration kLatency = std::chrono::microseconds(2);
constexpr Bytes kMessage(1'234'567);

void expect_equal(const FlowNetwork& network, std::span<const MessageSchedule> schedules) {
  const double ours = seconds(play(network, schedules).finish);
  const double theirs = simgrid_play(network, schedules).finish;
  EXPECT_NEAR(ours, theirs, 0.001 * theirs);
}

SmallFabric fabric(const std::string& name, std::uint32_t ranks) {
  if (name == "star") return star(ranks, kPort, kLatency);
  if (name == "mesh") return mesh(ranks, kPort, kLatency);
  return two_levels(ranks, ranks / 4, kPort, kUplink, kLatency);  // 4 x 50 into 75 GB/s
}

class SimGrid : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Fabrics, SimGrid, ::testing::Values("star", "mesh", "two_levels"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST_P(SimGrid, RingAllGather) {
  const SmallFabric f = fabric(GetParam(), 16);
  const auto job = ring_schedule(f, 15, kMessage);
  expect_equal(f.network, std::span(&job, 1));
}

TEST_P(SimGrid, PairwiseAllToAll) {
  const SmallFabric f = fabric(GetParam(), 16);
  const auto job = all_to_all_schedule(f, kMessage, false);
  expect_equal(f.network, std::span(&job, 1));
}

TEST_P(SimGrid, DirectAllToAll) {
  const SmallFabric f = fabric(GetParam(), 16);
  const auto job = all_to_all_schedule(f, kMessage, true);
  expect_equal(f.network, std::span(&job, 1));
}

// Messages of other sizes for every pair, so that rates change thousands of times.
TEST_P(SimGrid, UnequalAllToAll) {
  const SmallFabric f = fabric(GetParam(), 16);
  for (const bool direct : {false, true}) {
    auto job = all_to_all_schedule(f, kMessage, direct);
    for (Message& m : job.messages) m.bytes = Bytes(100'000 + 7'919 * ((m.from * 37 + m.to * 101) % 257));
    expect_equal(f.network, std::span(&job, 1));
  }
}

// Two jobs on the same ports and uplinks, one of them with larger messages.
TEST_P(SimGrid, TwoJobsShareUplinks) {
  const SmallFabric f = fabric(GetParam(), 16);
  const std::array jobs{all_to_all_schedule(f, kMessage, false), ring_schedule(f, 30, kMessage * 3)};
  expect_equal(f.network, jobs);
  const std::array more{all_to_all_schedule(f, kMessage, true), all_to_all_schedule(f, kMessage * 2, false)};
  expect_equal(f.network, more);
}

}  // namespace
}  // namespace ascendsim
