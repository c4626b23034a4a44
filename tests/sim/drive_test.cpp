// Orders in which streams may run: what all of them respect, and that each stream is once the last.
#include "sim/drive.h"

#include <set>

#include "tests/sim/overlapped_program.h"

namespace ascendsim {
namespace {

TEST(StreamOrders, RespectStreamsAndWaits) {
  Orders o;
  std::set<std::vector<std::pair<int, std::size_t>>> seen;
  for (std::uint64_t order = 0; order < 50; ++order) {
    const Recorder r = o.run(order);
    ASSERT_EQ(r.events.size(), 8U);
    for (const int rank : {0, 1}) {
      EXPECT_LT(r.at(rank, 0), r.at(rank, 1));
      EXPECT_LT(r.at(rank, 0), r.at(rank, 2));
      EXPECT_LT(r.at(rank, 1), r.at(rank, 3));
      EXPECT_LT(r.at(rank, 2), r.at(rank, 3));
    }
    seen.insert(r.events);
  }
  EXPECT_GT(seen.size(), 8U);
  EXPECT_EQ(o.run(7).events, o.run(7).events);
}

// Lines: compute and communication of rank 0, then of rank 1.
TEST(StreamOrders, EachHoldsOneStreamBack) {
  Orders o;
  EXPECT_EQ(stream_lines(pointers(o.programs)).size(), 4U);
  for (const int rank : {0, 1}) {
    const Recorder computes_late = o.run(static_cast<std::uint64_t>(2 * rank));
    EXPECT_EQ(computes_late.events.back(), std::pair(rank, std::size_t{3}));
    EXPECT_GT(computes_late.at(rank, 0), computes_late.at(1 - rank, 2));  // all that the other rank can do without it
    const Recorder sends_late = o.run(static_cast<std::uint64_t>(2 * rank + 1));
    EXPECT_GT(sends_late.at(rank, 1), sends_late.at(rank, 2));
  }
}

// Rank 1 does without the wait of "use" for what it receives: some order reads too early.
TEST(StreamOrders, ShowAMissingWait) {
  Orders o;
  o.programs[1].operators[3].wait = kNoWait;
  int early = 0;
  for (std::uint64_t order = 0; order < 4; ++order) {
    const Recorder r = o.run(order);
    early += r.at(1, 3) < r.at(1, 1);
    EXPECT_GT(r.at(0, 3), r.at(0, 1));
  }
  EXPECT_GE(early, 1);
}

TEST(StreamOrders, NameWhoIsStuck) {
  Orders o;
  o.programs[1].operators.erase(o.programs[1].operators.begin() + 1);
  o.programs[1].operators.back().wait = kNoWait;
  EXPECT_EQ(
      internal_error([&] { o.run(0); }),
      "the programs of the ranks do not match: rank 0 waits in 'use' (operator 3, layer -1); rank 0 waits in 'shift' "
      "(operator 1, layer -1); rank 1 has finished; ");
}

}  // namespace
}  // namespace ascendsim
