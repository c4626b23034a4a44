// What the flow of data says about orders of the streams, beside who ran when.
#include "sim/data_flow.h"

#include "tests/sim/overlapped_program.h"

namespace ascendsim {
namespace {

TEST(DataFlow, IsTheSameInEveryOrderThatTheWaitsAllow) {
  const Orders o;
  const std::vector<const Program*> programs = pointers(o.programs);
  const DataFlow flow(programs, o.groups);
  for (std::uint64_t order = 0; order < 50; ++order) EXPECT_TRUE(flow.same_in(order)) << order;
}

// Rank 1 does without the wait of "use" for what it receives: the flow differs where it reads too early, and only there.
TEST(DataFlow, ShowsAReadThatComesTooEarly) {
  Orders o;
  o.programs[1].operators[3].wait = kNoWait;
  const std::vector<const Program*> programs = pointers(o.programs);
  const DataFlow flow(programs, o.groups);
  int early = 0;
  for (std::uint64_t order = 0; order < 50; ++order) {
    const Recorder r = o.run(order);
    EXPECT_EQ(flow.same_in(order), r.at(1, 3) > r.at(1, 1)) << order;
    early += flow.same_in(order) ? 0 : 1;
  }
  EXPECT_GT(early, 0);
  EXPECT_LT(early, 50);
}

// x is written again while it still travels: the shift, operator 1, finds another x.
TEST(DataFlow, ShowsAWriteThatComesTooEarly) {
  Orders o;
  for (Program& program : o.programs) {
    ProgramBuilder p;
    const Value in = p.input(Dtype::kFp16, 2, 2), x = p.activation(Dtype::kFp16, 2, 2),
                received = p.activation(Dtype::kFp16, 2, 2);
    touch(p, "x", {in}, {x});
    p.shift("shift", x, received, kPair);
    touch(p, "x again", {in}, {x});
    program = p.take();
  }
  const std::vector<const Program*> programs = pointers(o.programs);
  {
    const DataFlow flow(programs, o.groups);
    for (std::uint64_t order = 0; order < 20; ++order) EXPECT_TRUE(flow.same_in(order)) << order;
  }
  o.programs[0].operators[2].wait = kNoWait;
  const DataFlow flow(programs, o.groups);
  int early = 0;
  for (std::uint64_t order = 0; order < 20; ++order) {
    const Recorder r = o.run(order);
    EXPECT_EQ(flow.same_in(order), r.at(0, 2) > r.at(0, 1)) << order;
    early += flow.same_in(order) ? 0 : 1;
  }
  EXPECT_GT(early, 0);
}

}  // namespace
}  // namespace ascendsim
