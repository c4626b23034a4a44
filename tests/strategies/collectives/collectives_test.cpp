#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <cmath>
#include <numeric>

#include "strategies/collectives/collective_cost.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

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

// Dispatch and combine of 128 tokens a die on CloudMatrix384 (arXiv 2506.12708 v2, table 7). Tolerance 10 %.
TEST(MoeExchange, IsAsMeasuredFrom8To256Dies) {
  static const Cluster matrix(shipped_server("cloudmatrix384"), 16);
  const int dies[] = {8, 16, 32, 64, 128, 256};
  const double dispatch[] = {116, 131, 133, 141, 152, 152}, combine[] = {118, 132, 146, 150, 150, 149};
  for (std::size_t i = 0; i < std::size(dies); ++i) {
    std::vector<int> members(static_cast<std::size_t>(dies[i]));
    std::iota(members.begin(), members.end(), 0);
    const auto time = [&](Primitive primitive, std::int64_t row) {
      return microseconds(
          collective_time({primitive, Bytes(128 * 8 * row), matrix.span_of(members), true}, matrix.server()).time);
    };
    EXPECT_NEAR(time(Primitive::kDispatch, 7172) / dispatch[i], 1, 0.1) << dies[i];
    EXPECT_NEAR(time(Primitive::kCombine, 14336) / combine[i], 1, 0.1) << dies[i];
  }
}

// Exchange of 4096 tokens a die, GB/s received (sgl-kernel-npu at f425bdf1, README.md, normal mode). Tolerance 15 %.
TEST(MoeExchange, OfPrefillIsAsMeasuredFrom8To128Dies) {
  static const Cluster matrix(shipped_server("cloudmatrix384"), 8);
  const int dies[] = {8, 16, 32, 64, 128};
  const double dispatch[] = {146, 107, 102, 81, 57}, combine[] = {125, 103, 95, 91, 81};
  for (std::size_t i = 0; i < std::size(dies); ++i) {
    std::vector<int> members(static_cast<std::size_t>(dies[i]));
    std::iota(members.begin(), members.end(), 0);
    const auto rate = [&](std::int64_t row) {
      const CollectiveCall call{.primitive = Primitive::kAllToAll,
                                .bytes = Bytes(4096 * 8 * row),
                                .span = matrix.span_of(members),
                                .alone = true,
                                .moe_rows = true};
      return received_bytes(call) / seconds(collective_time(call, matrix.server()).time) / 1e9;
    };
    EXPECT_NEAR(rate(7172) / dispatch[i], 1, 0.15) << dies[i];
    EXPECT_NEAR(rate(14336) / combine[i], 1, 0.15) << dies[i];
  }
}

// Small collectives by vector cores, alone (msModeling profiling reports). Tolerance 20 %.
TEST(UnifiedBus, SmallCollectivesAreAsMeasured) {
  const auto alone = [](Primitive primitive, double shard, int ranks) {
    const Cluster& cluster = two_servers("a3");
    std::vector<int> members(static_cast<std::size_t>(ranks));
    std::iota(members.begin(), members.end(), 0);
    const double n = primitive == Primitive::kAllReduce ? shard : shard * ranks;
    return microseconds(
        collective_time({primitive, Bytes(std::llround(n)), cluster.span_of(members), true}, cluster.server()).time);
  };
  EXPECT_NEAR(alone(Primitive::kAllReduce, 160e3, 16), 12.1, 0.2 * 12.1);
  EXPECT_NEAR(alone(Primitive::kAllGather, 74e3, 16), 12.5, 0.2 * 12.5);
  EXPECT_NEAR(alone(Primitive::kAllGather, 278e3, 16), 31.3, 0.2 * 31.3);
  EXPECT_NEAR(alone(Primitive::kAllGather, 7e3, 8), 5.5, 0.2 * 5.5);
  EXPECT_NEAR(alone(Primitive::kReduceScatter, 14e3, 8), 6.1, 0.2 * 6.1);
  EXPECT_NEAR(alone(Primitive::kAllGather, 465e3, 8), 30.4, 0.2 * 30.4);
}

// On the links of the catalogue: closed form = flows to 1e-6, whatever HCCL would select.
TEST(CollectiveTime, ClosedFormIsTheFlowSimulationOnTheLinkGraph) {
  LinkShares nominal;
  nominal.fill(Ratio(1.0));
  for (const auto& [name, servers] : {std::pair{"atlas-800i-a2", 1}, std::pair{"atlas-800i-a2", 2},
                                      std::pair{"atlas-800i-a3", 1}, std::pair{"cloudmatrix384", 2}}) {
    const Cluster cluster(shipped_server(name), servers);
    ClusterNetwork links(cluster, nominal);
    std::vector<int> members(static_cast<std::size_t>(cluster.ranks()));
    std::iota(members.begin(), members.end(), 0);
    for (const Primitive primitive :
         {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce, Primitive::kAllToAll,
          Primitive::kDispatch, Primitive::kCombine, Primitive::kBroadcast, Primitive::kShift})
      for (const std::int64_t bytes : {64LL << 10, 1LL << 20, 256LL << 20}) {
        const CollectiveCall call{primitive, Bytes(bytes), cluster.span_of(members), true};
        const CollectiveTime time = collective_time(call, cluster.server());
        const CollectiveShape shape = shape_of(call, cluster.server(), *time.choice.algorithm);
        const StepPlan plan = time.choice.algorithm->plan(shape);
        const PlayedCollective played = play_collective(shape, time.choice.algorithm->schedule(shape), plan,
                                                        costs_of(call, cluster.server(), time.choice, plan), 1, &links);
        // Flows move whole bytes: half a byte for each of 15 messages of a port is below 100 ps a step.
        EXPECT_NEAR(seconds(played.time), seconds(time.time),
                    1e-6 * seconds(time.time) + 100e-12 * static_cast<double>(plan.steps()))
            << name << " x " << servers << ", " << to_text(primitive) << " of " << bytes << ": "
            << to_text(time.choice);
      }
  }
}

// ---- copies ---------------------------------------------------------------------------------------------------------

struct MeasuredCopy {
  double bytes, gigabytes_per_second;
};
void expect_copies(std::string_view server, CopyCall call, std::initializer_list<MeasuredCopy> measured) {
  for (const MeasuredCopy& m : measured) {
    call.bytes = Bytes(std::llround(m.bytes));
    const auto time = copy_time(call, two_servers(server).server());
    ASSERT_TRUE(time.has_value());
    EXPECT_NEAR(m.bytes / seconds(*time) / 1e9 / m.gigabytes_per_second, 1, 0.15) << server << " " << m.bytes;
  }
}

// 32 copies an operation, Ascend/memfabric_hybrid at 7171ad35, example/trans/perf/README.md. Tolerance 15 %.
TEST(Copies, OfTheCopyEnginesOnA3AreAsMeasured) {
  constexpr double kMiB = 1 << 20;
  expect_copies("a3", {CopyRoute::kPackage, false, true, {}, 32},
                {{1 * kMiB, 9.7},
                 {2 * kMiB, 19.33},
                 {4 * kMiB, 39.98},
                 {8 * kMiB, 76.26},
                 {16 * kMiB, 151.83},
                 {32 * kMiB, 179.72},
                 {64 * kMiB, 179.87},
                 {128 * kMiB, 184.24},
                 {256 * kMiB, 183.11},
                 {512 * kMiB, 186.61}});
  expect_copies("a3", {CopyRoute::kServer, false, true, {}, 32},
                {{1 * kMiB, 9.79},
                 {2 * kMiB, 18.96},
                 {4 * kMiB, 37.72},
                 {8 * kMiB, 71.15},
                 {16 * kMiB, 93.1},
                 {32 * kMiB, 110.23},
                 {64 * kMiB, 122.04},
                 {128 * kMiB, 118.61},
                 {256 * kMiB, 130.72},
                 {512 * kMiB, 133.87}});
}
// 1 GB between two A3 servers, Ascend/memfabric_hybrid at 7171ad35, README.md: device read and write, host read and
// write.
TEST(Copies, BetweenA3ServersAreAsMeasured) {
  expect_copies("a3", {CopyRoute::kOtherServer, false, false}, {{1e9, 166.47}});
  expect_copies("a3", {CopyRoute::kOtherServer, false, true}, {{1e9, 138.01}});
  expect_copies("a3", {CopyRoute::kOtherServer, true, false}, {{1e9, 110.2}});
  expect_copies("a3", {CopyRoute::kOtherServer, true, true}, {{1e9, 74.54}});
}
// Two A2 servers over RoCE, Ascend/memfabric_hybrid at 7171ad35, doc/source/a2_bandwidth.png.
TEST(Copies, BetweenA2ServersAreAsMeasured) {
  expect_copies(
      "a2", {CopyRoute::kOtherServer, false, false},
      {{1e6, 3.89}, {2e6, 7.57}, {4e6, 10.2}, {8e6, 13.8}, {16e6, 17.64}, {32e6, 19.9}, {64e6, 21.02}, {128e6, 21.55}});
  expect_copies("a2", {CopyRoute::kOtherServer, true, false},
                {{1e6, 3.86},
                 {2e6, 7.46},
                 {4e6, 10.23},
                 {8e6, 12.66},
                 {16e6, 15.55},
                 {32e6, 17.91},
                 {64e6, 18.67},
                 {128e6, 19.72}});
  expect_copies(
      "a2", {CopyRoute::kOtherServer, true, true},
      {{1e6, 1.31}, {2e6, 2.15}, {4e6, 4.4}, {8e6, 7.28}, {16e6, 10.97}, {32e6, 14.04}, {64e6, 17.43}, {128e6, 19.55}});
  EXPECT_EQ(copy_time({CopyRoute::kOtherServer, false, true, Bytes(1)}, two_servers("a2").server()),
            std::nullopt);  // nobody measured it
}

// ---- which algorithm ------------------------------------------------------------------------------------------------

std::string algorithm(std::string_view server, Primitive primitive, std::int64_t bytes, int ranks) {
  return to_text(priced(server, primitive, bytes, ranks).choice);
}

TEST(CollectiveTime, TakesTheAlgorithmOfTheFabricAndTheSize) {
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 1 << 20, 8), "mesh (host)");
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 8 << 20, 16), "pipelined (host)");  // 1 MiB for each die of a server
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 1 << 20, 16), "hierarchical (host)");
  EXPECT_EQ(algorithm("a2", Primitive::kAllGather, 1 << 19, 16), "pipelined (host)");  // 32 KiB a rank
  EXPECT_EQ(algorithm("a2", Primitive::kAllGather, 1 << 18, 16), "hierarchical (host)");
  EXPECT_EQ(algorithm("a2", Primitive::kAllToAll, 1 << 20, 16), "direct (host)");
  EXPECT_EQ(algorithm("a2", Primitive::kAllReduce, 1 << 20, 9), "nhr (host)");  // 8 ranks and 1
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, 1 << 10, 16), "mesh (AIV)");
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, 1 << 30, 16), "mesh (AI CPU)");
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, 16 << 20, 16), "mesh (AIV)");  // 1 MiB of each rank
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, (16 << 20) + 16, 16), "mesh (AI CPU)");
  EXPECT_EQ(algorithm("a3", Primitive::kAllReduce, (8 << 20) + 1, 32), "mesh (AI CPU)");  // two servers: 8 MiB in all
  EXPECT_EQ(algorithm("a3", Primitive::kAllGather, 32 * (32 << 10), 32), "mesh (AIV)");   // two servers: 32 KiB a rank
  EXPECT_EQ(algorithm("a3", Primitive::kAllGather, 32 * (32 << 10) + 32, 32), "mesh (AI CPU)");
  EXPECT_EQ(algorithm("a3", Primitive::kReduceScatter, 32 * (128 << 10), 32), "mesh (AIV)");
  EXPECT_EQ(algorithm("a3", Primitive::kAllToAll, 16 * (512 << 10), 16), "direct (AIV)");  // 512 KiB for each peer
  EXPECT_EQ(algorithm("a3", Primitive::kAllToAll, 16 * (512 << 10) + 16, 16), "direct (AI CPU)");
  EXPECT_EQ(algorithm("a3", Primitive::kAllToAll, 1 << 30, 32), "direct (AIV)");  // two servers: any size
  EXPECT_EQ(algorithm("a3", Primitive::kAllToAll, 1 << 30, 16), "direct (AI CPU)");
  EXPECT_EQ(algorithm("a3", Primitive::kBroadcast, 1 << 10, 16), "mesh (AIV)");
  EXPECT_EQ(algorithm("a3", Primitive::kDispatch, 1 << 20, 16), "mc2 (fused kernel)");
  EXPECT_EQ(algorithm("a2", Primitive::kCombine, 1 << 20, 16), "mc2 (fused kernel)");
}

std::string refused(std::string_view server, Primitive primitive, int ranks, const char* name,
                    std::optional<Expansion> expansion = {}) {
  const Cluster& cluster = two_servers(server);
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  return refusal({primitive, Bytes(1 << 20), cluster.span_of(members)}, cluster.server(),
                 {find_collective(name), expansion});
}

TEST(CollectiveChoice, SaysTheRuleWhereAnAlgorithmIsNotDefined) {
  EXPECT_EQ(refused("a2", Primitive::kAllReduce, 6, "halving-doubling"),
            "'halving-doubling' is not defined for 6 ranks on 1 server: ranks are a power of two");
  EXPECT_EQ(refused("a2", Primitive::kDispatch, 8, "layered"),
            "'layered' is not defined for 8 ranks on 1 server: two servers or more, equally many ranks in each; on A2 "
            "16, 32 or 64 ranks");
  EXPECT_EQ(refused("a2", Primitive::kDispatch, 16, "layered"), "");
  EXPECT_EQ(refused("a2", Primitive::kAllGather, 8, "pairwise"), "'pairwise' is no algorithm for all-gather");
  EXPECT_EQ(refused("a3", Primitive::kAllGather, 16, "", Expansion::kHost),
            "HCCL on A3 expands on AI CPUs (its default) or on vector cores, not on the host");
  EXPECT_EQ(refused("a2", Primitive::kAllGather, 8, "", Expansion::kAiv),
            "HCCL on A2 can expand on vector cores inside a server, but no measurement is known to price that by; its "
            "default is the host");
  EXPECT_EQ(refused("a3", Primitive::kDispatch, 16, "", Expansion::kAiv), "mc2 and layered are fused kernels");
  EXPECT_EQ(refused("a3", Primitive::kAllGather, 16, "", Expansion::kFused),
            "fused kernels exist for dispatch and combine, as mc2 or layered");
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

// At the switch from one algorithm to another the time may jump up. Down only between A2 servers, where HCCL's
// threshold of 32 KiB a rank begins to overlap stages: by what the stages inside a server take then, of two phases 2 x
// (5 us + 64 KiB / 19 GB/s).
Duration saved(std::string_view server, int ranks) {
  return server == "a2" && ranks > 8 ? std::chrono::microseconds(17) : Duration{};
}
RC_GTEST_PROP(CollectiveTime, MoreBytesAreNeverFaster, ()) {
  const std::string server = *rc::gen::element<std::string>("a2", "a3");
  const Primitive primitive = kAll[*rc::gen::inRange<std::size_t>(0, std::size(kAll))];
  const int ranks = *rc::gen::element(2, 4, 8, 16);
  const auto octave = *rc::gen::inRange(0, 33);
  const auto bytes = *rc::gen::inRange<std::int64_t>(std::int64_t{1} << octave, std::int64_t{2} << octave);
  const auto more = *rc::gen::inRange<std::int64_t>(0, (std::int64_t{1} << octave) + 1);
  RC_ASSERT(priced(server, primitive, bytes, ranks).time <=
            priced(server, primitive, bytes + more, ranks).time + saved(server, ranks));
}

// Around every power of two in particular, where the thresholds lie.
TEST(CollectiveTime, NeverDropsAtAThreshold) {
  const auto never_drops = [](std::string_view server, Primitive primitive, int ranks) {
    for (int octave = 4; octave < 33; ++octave)
      for (const std::int64_t threshold : {std::int64_t{1} << octave, ranks * (std::int64_t{1} << octave)})
        EXPECT_LE(priced(server, primitive, threshold, ranks).time,
                  priced(server, primitive, threshold + ranks, ranks).time + saved(server, ranks))
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
