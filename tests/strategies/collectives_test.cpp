#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <cmath>
#include <numeric>

#include "strategies/collectives/collective_cost.h"
#include "tests/strategies/mindie_under_test.h"

namespace ascendsim {
namespace {

const Cluster& two_servers(std::string_view name) {
  static const Cluster a2(shipped_server("atlas-800i-a2"), 2), a3(shipped_server("atlas-800i-a3"), 2);
  return name == "a2" ? a2 : a3;
}

// The first `ranks` dies of two servers.
CollectiveTime priced(std::string_view server, Primitive primitive, std::int64_t bytes, int ranks) {
  const Cluster& cluster = two_servers(server);
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  return collective_time({primitive, Bytes(bytes), cluster.span_of(members)}, cluster.server());
}
double us(std::string_view server, Primitive primitive, std::int64_t bytes, int ranks) {
  return microseconds(priced(server, primitive, bytes, ranks).time);
}

// ---- against published measurements ---------------------------------------------------------------------------------

// The vendor's fit of the all-reduce over the 8 dies of an A2 server, x in MiB: -0.9698 x^2 + 27.062 x + 14.77 us below
// 8 MiB and 13.585 x + 61.5 us from there on. Tolerance 10 %.
TEST(Hccs, AllReduceOfEightDiesFollowsTheVendorFormula) {
  for (int x = 1; x <= 16; ++x) {
    const double formula = x < 8 ? -0.9698 * x * x + 27.062 * x + 14.77 : 13.585 * x + 61.5;
    EXPECT_NEAR(us("a2", Primitive::kAllReduce, std::int64_t{x} << 20, 8), formula, 0.1 * formula) << x << " MiB";
  }
}

Cluster::Span span_of(int ranks) {
  Cluster::Span span;
  span.ranks = ranks;
  return span;
}

struct Measured {
  double megabytes, us;  // shard of a rank, decimal MB
};

void expect_measured(Primitive primitive, std::initializer_list<Measured> measured) {
  for (const Measured& m : measured)
    EXPECT_NEAR(us("a3", primitive, std::llround(m.megabytes * 1e6 * 16), 16), m.us, 0.1 * m.us)
        << m.megabytes << " MB";
}

// 16 dies of an A3 server, time against the shard of a rank. Tolerance 10 %.
TEST(UnifiedBus, AllGatherOfSixteenDiesIsAsMeasured) {
  expect_measured(Primitive::kAllGather, {{1.3, 177}, {3.8, 367}, {5.0, 435}, {8.8, 679}, {21.4, 1628}, {40, 3080}});
}
TEST(UnifiedBus, ReduceScatterOfSixteenDiesIsAsMeasured) {
  expect_measured(Primitive::kReduceScatter, {{1.3, 216}, {3.8, 441}, {8.8, 808}, {21.4, 2044}, {40, 3665}});
}

// ---- which algorithm ------------------------------------------------------------------------------------------------

std::string algorithm(std::string_view server, Primitive primitive, std::int64_t bytes, int ranks) {
  return priced(server, primitive, bytes, ranks).algorithm->name;
}

TEST(CollectiveTime, TakesTheAlgorithmOfTheFabricAndTheSize) {
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 1 << 20, 8), "hccs-mesh");
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 1 << 20, 16), "hccs-roce");
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, 1 << 10, 16), "ub-aiv");
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, 1 << 30, 16), "ub-aicpu");
  EXPECT_EQ(algorithm("a3", Primitive::kDispatch, 1 << 20, 16), "mc2");
  EXPECT_EQ(algorithm("a2", Primitive::kCombine, 1 << 20, 16), "mc2");
}

TEST(CollectiveTime, NeedsTwoRanks) { EXPECT_THROW(priced("a3", Primitive::kAllReduce, 1 << 20, 1), InternalError); }

TEST(Octaves, AreExactAtPowersOfTwoAndLinearBetween) {
  EXPECT_EQ(octaves(1), 0);
  EXPECT_EQ(octaves(8), 3);
  EXPECT_EQ(octaves(16), 4);
  EXPECT_EQ(octaves(12), 3.5);  // half-way between 8 and 16
}

TEST(ReceivedBytes, ByHand) {
  EXPECT_EQ(received_bytes({Primitive::kAllGather, Bytes(1000), span_of(4)}), 750);
  EXPECT_EQ(received_bytes({Primitive::kAllReduce, Bytes(1000), span_of(4)}), 1500);
}

// ---- properties -----------------------------------------------------------------------------------------------------

constexpr Primitive kAll[] = {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce,
                              Primitive::kAllToAll,  Primitive::kDispatch,      Primitive::kCombine};

// At the switch from one algorithm to another the time may jump up, never down.
RC_GTEST_PROP(CollectiveTime, MoreBytesAreNeverFaster, ()) {
  const std::string server = *rc::gen::element<std::string>("a2", "a3");
  const Primitive primitive = kAll[*rc::gen::inRange<std::size_t>(0, std::size(kAll))];
  const int ranks = *rc::gen::element(2, 4, 8, 16);
  const auto octave = *rc::gen::inRange(0, 33);
  const auto bytes = *rc::gen::inRange<std::int64_t>(std::int64_t{1} << octave, std::int64_t{2} << octave);
  const auto more = *rc::gen::inRange<std::int64_t>(0, (std::int64_t{1} << octave) + 1);
  RC_ASSERT(priced(server, primitive, bytes, ranks).time <= priced(server, primitive, bytes + more, ranks).time);
}

// Around every power of two in particular, where the thresholds lie.
TEST(CollectiveTime, NeverDropsAtAThreshold) {
  const auto never_drops = [](std::string_view server, Primitive primitive, int ranks) {
    for (int octave = 4; octave < 33; ++octave)
      for (const std::int64_t threshold : {std::int64_t{1} << octave, ranks * (std::int64_t{1} << octave)})
        EXPECT_LE(priced(server, primitive, threshold, ranks).time,
                  priced(server, primitive, threshold + ranks, ranks).time)
            << server << " " << to_text(primitive) << " " << ranks << " ranks, " << threshold << " B";
  };
  for (const Primitive primitive : kAll) {
    for (const int ranks : {2, 4, 8, 16}) never_drops("a2", primitive, ranks);
    for (const int ranks : {2, 4, 8, 16, 32}) never_drops("a3", primitive, ranks);
  }
}

// No rank receives faster than all its nominal links together: 7 HCCS links (A2), UB port and SIO (A3).
RC_GTEST_PROP(CollectiveTime, IsNotFasterThanTheLinksOfADie, ()) {
  const std::string server = *rc::gen::element<std::string>("a2", "a3");
  const Primitive primitive = kAll[*rc::gen::inRange<std::size_t>(0, 4)];
  const int ranks = *rc::gen::element(2, 4, 8);
  const auto bytes = *rc::gen::inRange<std::int64_t>(1, std::int64_t{1} << 33);
  const Server& s = two_servers(server).server();
  const double links = server == "a2" ? s.die_link.bandwidth.value.count() * (ranks - 1)
                                      : s.die_link.bandwidth.value.count() + s.package_link->bandwidth.value.count();
  const double received = received_bytes({primitive, Bytes(bytes), span_of(ranks)});
  RC_ASSERT(seconds(priced(server, primitive, bytes, ranks).time) >= received / links * (1 - 1e-9));
}

}  // namespace
}  // namespace ascendsim
