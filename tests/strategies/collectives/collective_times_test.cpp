// Times of collectives over sizes and groups, and what they do to others.
#include <gtest/gtest.h>

#include <numeric>

#include "sim/executor.h"
#include "strategies/collectives/collective_cost.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

constexpr Primitive kPrimitives[] = {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce,
                                     Primitive::kAllToAll,  Primitive::kBroadcast,     Primitive::kShift,
                                     Primitive::kDispatch,  Primitive::kCombine};

struct Group {
  const char* server;
  int servers, ranks;
};
constexpr Group kGroups[] = {{"atlas-800i-a2", 1, 2},     {"atlas-800i-a2", 1, 8},    {"atlas-800i-a2", 2, 16},
                             {"atlas-800i-a2", 4, 32},    {"atlas-800i-a2", 8, 64},   {"atlas-800i-a3", 1, 2},
                             {"atlas-800i-a3", 1, 8},     {"atlas-800i-a3", 1, 16},   {"cloudmatrix384", 2, 4},
                             {"cloudmatrix384", 2, 16},   {"cloudmatrix384", 2, 32},  {"cloudmatrix384", 8, 128},
                             {"cloudmatrix384", 20, 320}, {"cloudmatrix384", 48, 768}};

// The ranks are spread evenly over the servers.
struct Placed {
  explicit Placed(const Group& g) : cluster(shipped_server(g.server), g.servers, g.ranks / g.servers) {
    std::vector<int> members(static_cast<std::size_t>(g.ranks));
    std::iota(members.begin(), members.end(), 0);
    span = cluster.span_of(members);
  }
  [[nodiscard]] CollectiveTime time(Primitive primitive, std::int64_t bytes, bool moe_rows = false) const {
    return collective_time({.primitive = primitive, .bytes = Bytes(bytes), .span = span, .moe_rows = moe_rows},
                           cluster.server());
  }
  Cluster cluster;
  Cluster::Span span;
};

// From launch to the first byte by AI CPUs: 50 us on 8 dies, 30 us more for each doubling (servers/atlas-800i-a3.yaml,
// measured).
double aicpu_floor_us(int ranks) { return 50 + 30 * std::max(0.0, octaves(ranks) - 3); }

// Whatever HCCL selects at each size: twice the bytes never take less; and where it goes over to something else, time
// at most doubles, but for the start of AI CPUs, which is measured: on 8 dies an all-gather by vector cores takes 30 us
// at 465 KB, by AI CPUs 155 us from 596 KB on (msModeling profiling reports).
TEST(CollectiveTime, GrowsWithBytesAndDoesNotJumpWhereHcclSelectsAnother) {
  for (const Group& g : kGroups) {
    const Placed placed(g);
    for (const Primitive primitive : kPrimitives) {
      CollectiveTime before;
      for (std::int64_t bytes = std::int64_t{16} * g.ranks; bytes <= std::int64_t{8} << 30; bytes *= 2) {
        const CollectiveTime now = placed.time(primitive, bytes);
        if (before.time.count() > 0) {
          EXPECT_GE(now.time, before.time) << g.server << " " << g.ranks << " " << to_text(primitive) << " " << bytes;
          if (before.choice.algorithm == now.choice.algorithm && before.choice.expansion == now.choice.expansion) {
            before = now;
            continue;
          }
          std::int64_t low = bytes / 2, high = bytes;  // the last size of one choice, the first of the next
          while (high - low > 1) {
            const std::int64_t middle = low + (high - low) / 2;
            const CollectiveChoice c = placed.time(primitive, middle).choice;
            (c.algorithm == before.choice.algorithm && c.expansion == before.choice.expansion ? low : high) = middle;
          }
          const double below = microseconds(placed.time(primitive, low).time),
                       above = microseconds(placed.time(primitive, high).time);
          const bool to_aicpu = before.choice.expansion == Expansion::kAiv && now.choice.expansion == Expansion::kAiCpu;
          EXPECT_LE(above, 2 * below + (to_aicpu ? aicpu_floor_us(g.ranks) : 0))
              << g.server << " " << g.ranks << " " << to_text(primitive) << " at " << high;
        }
        before = now;
      }
    }
  }
}

// 768 dies, 512 KiB of a rank and one byte more: 682 and 683 bytes for each peer, by vector cores on either side.
TEST(CollectiveTime, OfAPlainAllToAllOverASupernodeHasNoCliff) {
  const Placed matrix({"cloudmatrix384", 48, 768});
  const CollectiveTime below = matrix.time(Primitive::kAllToAll, 512 << 10),
                       above = matrix.time(Primitive::kAllToAll, (512 << 10) + 1);
  EXPECT_EQ(below.choice.expansion, Expansion::kAiv);
  EXPECT_EQ(above.choice.expansion, Expansion::kAiv);
  EXPECT_LE(microseconds(above.time - below.time), 0.01);
  // 48 cores serve 767 peers in 16 rounds of aiv_step (2 us), the first of which is in the floor (5.5 us on 8 dies, 0.2
  // us for each doubling: 6.8 us); the bytes take 5.9 us at 118 GB/s less a 768th; a running network adds 14.6 us to
  // AIV only in gathers.
  EXPECT_NEAR(microseconds(matrix.time(Primitive::kAllToAll, 512 << 10).time), 6.82 + 30 + 4.43 + 14.6, 0.1);
  // Rows of an exchange cost 13 us a peer and 80 us and more to start, as normal mode does on 8 to 128 dies.
  EXPECT_GT(microseconds(matrix.time(Primitive::kAllToAll, 512 << 10, true).time), 767 * 13);
}

// What the executor is told of a collective: alone it takes its closed form to the tick.
TEST(CollectiveTime, IsThatOfTheExecutorWhenNothingElseRuns) {
  for (const Group& g : kGroups) {
    const Placed placed(g);
    for (const Primitive primitive : kPrimitives)
      for (const std::int64_t bytes : {std::int64_t{1} << 16, std::int64_t{300} << 20}) {
        const CollectiveTime t = placed.time(primitive, bytes);
        ASSERT_GT(t.transfer, Duration{});
        ASSERT_LE(t.transfer, t.time);
        ASSERT_GT(t.load, Ratio{});
        ASSERT_LE(t.load, Ratio(1));
        const OperatorType type{"collective", nullptr, primitive};
        Program program;
        program.operators.push_back(
            {.type = &type, .label = "collective", .inputs = 1, .stream = kCommunicationStream});
        const std::vector<Duration> ticks{t.time};
        const GroupKind pair{.name = "pair", .groups = {{0, 1}}, .signature = {}};
        const std::vector<const Program*> programs{&program, &program};
        const std::vector<std::vector<Node>> nodes(2, lower(program, ticks));
        Contention contention;
        contention.ports.push_back({t.transfer.count(), static_cast<std::uint8_t>(t.port),
                                    static_cast<std::uint8_t>(std::max(1.0, t.load.count() * PortUse::kFull))});
        EXPECT_EQ(execute(programs, nodes, unfolded(2, {&pair, 1}), {}, std::vector<Contention>(2, contention)).finish,
                  t.time)
            << g.server << " " << g.ranks << " " << to_text(primitive) << " " << bytes;
      }
  }
}

// 40 MB of each of 16 dies: 80 us of AI CPUs, then 14 shards over the UB port of 196 GB/s at 0.976 of it, more than
// copies sustain.
TEST(CollectiveTime, SaysHowLongAPortIsFull) {
  const CollectiveTime gather = Placed({"atlas-800i-a3", 1, 16}).time(Primitive::kAllGather, 640'000'000);
  EXPECT_EQ(gather.port, LinkClass::kDie);
  EXPECT_NEAR(microseconds(gather.transfer), 14 * 40e6 / (196e9 * 0.976) * 1e6, 0.01);
  EXPECT_NEAR(microseconds(gather.time - gather.transfer), 80, 0.01);
  EXPECT_NEAR(gather.load.count(), 1, 1e-6);
  EXPECT_EQ(gather.vector_cores, Ratio{});
  // Fused dispatch moves rows at 0.3 of the port, which sustains 0.84: it leaves room.
  const CollectiveTime dispatch = Placed({"cloudmatrix384", 20, 320}).time(Primitive::kDispatch, 128 * 8 * 7172);
  EXPECT_NEAR(dispatch.load.count(), 0.3 / 0.84 / 1.1, 1e-3);
  EXPECT_EQ(dispatch.vector_cores, Ratio(0.333));
  // AIV on 16 dies: 16 of 48 vector cores.
  EXPECT_NEAR(Placed({"atlas-800i-a3", 1, 16}).time(Primitive::kAllGather, 1 << 20).vector_cores.count(), 16.0 / 48,
              1e-9);
}

}  // namespace
}  // namespace ascendsim
