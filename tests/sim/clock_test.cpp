#include "sim/clock.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

constexpr ProgramBuilder::Group kPair{0, 2};
constexpr std::uint8_t kCategory = 7;

// The ranks of one pair, each a program with the ticks of its operators.
class Pair {
 public:
  template <class Build>
  void rank(std::vector<std::int64_t> ticks, Build build) {
    ProgramBuilder p;
    const ProgramBuilder::Section all(p, kCategory);
    build(p);
    programs_.push_back(p.take());
    std::vector<Duration> durations;
    for (const std::int64_t t : ticks) durations.emplace_back(t);
    nodes_.push_back(lower(programs_.back(), durations));
  }
  SweepResult sweep(HostModel host = {}) const {
    const Folding folding = programs_.size() == 2
                                ? unfolded(2, std::vector{group_kind("pair", {{0, 1}})})
                                : fold(std::vector<std::uint64_t>{0, 0}, std::vector{group_kind("pair", {{0, 1}})});
    return ascendsim::sweep(pointers(programs_), nodes_, folding, host);
  }

 private:
  std::vector<Program> programs_;
  std::vector<std::vector<Node>> nodes_;
};

Duration busy(const ClassTime& t, std::uint8_t category) { return t.by_category[category]; }

//  compute:        |-A 10-|            |-B 5-|
//  communication:         |-gather 20-|
TEST(Clock, AChainAddsUp) {
  Pair pair;
  pair.rank({10, 20, 5}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    touch(p, "B", {p.all_gather("gather", x, kPair)}, {});
  });
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.finish, Duration(35));
  EXPECT_EQ(busy(r.classes[0], kCategory), Duration(15));
  EXPECT_EQ(busy(r.classes[0], kCommunicationCategory), Duration(20));
  EXPECT_EQ(r.classes[0].exposed_communication, Duration(20));
  EXPECT_EQ(r.classes[0].waiting, Duration(0));
  EXPECT_EQ(r.classes[0].host, Duration(0));
}

//  compute:        |-A 10-|--B 15--|     |-C 5-|      C needs the gathered rows and B
//  communication:         |-gather 20----|
//                         10      25     30    35     exposed: 25 .. 30
TEST(Clock, StreamsOverlap) {
  Pair pair;
  pair.rank({10, 15, 20, 5}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1), y = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    touch(p, "B", {}, {y});
    touch(p, "C", {p.all_gather("gather", x, kPair), y}, {});
  });
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.finish, Duration(35));
  EXPECT_EQ(r.classes[0].exposed_communication, Duration(5));
}

// The same graph with the gather issued before B: the same times.
TEST(Clock, WhatIsExposedDoesNotDependOnTheOrderOfIssue) {
  Pair pair;
  pair.rank({10, 20, 15, 5}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1), y = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    const Value gathered = p.all_gather("gather", x, kPair);
    touch(p, "B", {}, {y});
    touch(p, "C", {gathered, y}, {});
  });
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.finish, Duration(35));
  EXPECT_EQ(r.classes[0].exposed_communication, Duration(5));
}

//  compute:        |-A 10-|          |---B 30---|       B waits for the first gather only
//  communication:         |-first 5-|--second 20--|
//                         10        15            35    exposed: 10 .. 15; B 15 .. 45
TEST(Clock, ComputeHidesACollectiveThatWasIssuedBeforeIt) {
  Pair pair;
  pair.rank({10, 5, 20, 30}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    const Value first = p.all_gather("first", x, kPair);
    p.all_gather("second", x, kPair);
    touch(p, "B", {first}, {});
  });
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.finish, Duration(45));
  EXPECT_EQ(r.classes[0].exposed_communication, Duration(5));
  EXPECT_EQ(busy(r.classes[0], kCommunicationCategory), Duration(25));
}

//  lane 0:  |-A 10-|       |-C 3-|
//  lane 1:  |--B 18--------|              C reads what both wrote: fence for A (none: same stream), wait for B
TEST(Clock, TwoLanesMeet) {
  Pair pair;
  pair.rank({10, 18, 3}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1), y = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    p.set_lane(1);
    touch(p, "B", {}, {y});
    p.set_lane(0);
    touch(p, "C", {x, y}, {});
  });
  EXPECT_EQ(pair.sweep().finish, Duration(21));
}

//  rank 0:  |-A 10-|...waits 15...|-sum 5-|-C 1-|
//  rank 1:  |--------A 25---------|-sum 5-|-C 4-|
TEST(Clock, ACollectiveStartsWithItsLastMember) {
  Pair pair;
  const auto build = [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    touch(p, "C", {p.all_reduce("sum", x, kPair)}, {});
  };
  pair.rank({10, 5, 1}, build);
  pair.rank({25, 5, 4}, build);
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.finish, Duration(34));
  EXPECT_EQ(r.classes[0].finish, Duration(31));
  EXPECT_EQ(r.classes[1].finish, Duration(34));
  EXPECT_EQ(r.classes[0].waiting, Duration(15));
  EXPECT_EQ(r.classes[1].waiting, Duration(0));
  EXPECT_EQ(r.classes[0].exposed_communication, Duration(5));
}

// The ranks price a collective alike as a rule; where they do not, the longest price holds for all.
TEST(Clock, ACollectiveTakesItsLongestPrice) {
  Pair pair;
  const auto build = [](ProgramBuilder& p) { p.all_reduce("sum", p.input(Dtype::kFp16, 1, 1), kPair); };
  pair.rank({5}, build);
  pair.rank({8}, build);
  const SweepResult r = pair.sweep();
  EXPECT_EQ(r.classes[0].finish, Duration(8));
  EXPECT_EQ(busy(r.classes[0], kCommunicationCategory), Duration(8));
}

//  host:     0 .. 100 before the step, then a kernel every 3 ticks: issued at 103, 106, 109
//  compute:                       |A 1|    |B 1|    |C 1|      idle 103-100, 106-104, 109-107
TEST(Clock, ASlowHostStarvesTheDevice) {
  Pair pair;
  pair.rank({1, 1, 1}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1);
    for (int i = 0; i < 3; ++i) touch(p, "kernel", {x}, {x});
  });
  const SweepResult r = pair.sweep({.before_step = Duration(100), .issue = Duration(3)});
  EXPECT_EQ(r.finish, Duration(110));
  EXPECT_EQ(r.classes[0].host, Duration(100 + 3 + 2 + 2));
}

//  Kernels of 10 ticks: only the first one waits for its issue (103), the others are issued while the device is busy.
TEST(Clock, AFastHostIsHiddenBehindTheDevice) {
  Pair pair;
  pair.rank({10, 10, 10}, [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1);
    for (int i = 0; i < 3; ++i) touch(p, "kernel", {x}, {x});
  });
  const SweepResult r = pair.sweep({.before_step = Duration(100), .issue = Duration(3)});
  EXPECT_EQ(r.finish, Duration(133));
  EXPECT_EQ(r.classes[0].host, Duration(103));
}

// A fence is no kernel: the host does not issue it.
//  lane 0: A 1;  lane 1: B 1;  lane 0 communication: fence (A), exchange (B).  Issued at 5, 10, -, 15.
TEST(Clock, AFenceCostsNoIssue) {
  constexpr OperatorType kExchange{"exchange", nullptr, Primitive::kDispatch};
  Pair pair;
  pair.rank({1, 1, 0, 2}, [&](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 1, 1), y = p.activation(Dtype::kFp16, 1, 1);
    touch(p, "A", {}, {x});
    p.set_lane(1);
    touch(p, "B", {}, {y});
    p.set_lane(0);
    p.exchange(kExchange, "exchange", {x}, y, kPair, x.bytes());
  });
  EXPECT_EQ(pair.sweep({.issue = Duration(5)}).finish, Duration(17));
}

TEST(Lower, NeedsAPriceForEveryOperator) {
  ProgramBuilder p;
  touch(p, "A", {}, {});
  const Program program = p.take();
  EXPECT_EQ(internal_error([&] { lower(program, {}); }), "every operator needs a price");
}

// ---- folded = unfolded ----------------------------------------------------------------------------------------------

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct World {
  std::vector<GroupKind> kinds;
  std::vector<std::uint64_t> roles;
  std::uint64_t seed = 0;
  int events = 0;

  [[nodiscard]] std::size_t pick(int event, std::uint64_t salt, std::size_t below) const {
    return mixed(seed ^ mixed(static_cast<std::uint64_t>(event) * 64 + salt)) % below;
  }
};

// Every rank meets the same collectives in the same order (SPMD); what it computes in between, for how long, in which
// lane and on which buffers depends on its role. Roles are the only thing a program is made from.
Program spmd_program(const World& world, std::uint64_t role) {
  ProgramBuilder p;
  std::vector<Value> buffers;
  for (int b = 0; b < 4; ++b) buffers.push_back(p.input(Dtype::kFp16, 8, 8));
  for (int e = 0; e < world.events; ++e) {
    const auto mine = [&](std::uint64_t salt, std::size_t below) {
      return world.pick(e, salt + 8 * (role + 1), below);
    };
    const ProgramBuilder::Section all(p, static_cast<std::uint8_t>(world.pick(e, 0, 3)));
    if (world.pick(e, 1, 3) > 0) {
      for (std::size_t n = mine(2, 3); n > 0; --n) {
        p.set_lane(static_cast<int>(mine(3, 2)));
        touch(p, "local", {buffers[mine(4, 4)]}, {buffers[mine(5, 4)]});
      }
    } else {
      const std::size_t kind = world.pick(e, 2, world.kinds.size());
      const auto ranks = static_cast<int>(world.kinds[kind].groups[0].size());
      p.set_lane(static_cast<int>(world.pick(e, 3, 2)));
      p.all_reduce("sum", buffers[world.pick(e, 4, 4)], {static_cast<std::uint8_t>(kind), ranks});
    }
  }
  return p.take();
}

std::vector<Node> priced(const World& world, const Program& program, int rank, std::uint64_t role) {
  std::vector<Duration> ticks;
  std::uint64_t collectives = 0;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const Operator& op = program.operators[i];
    if (op.type->primitive != Primitive::kNone) {
      const GroupKind& kind = world.kinds[op.group];
      std::uint64_t signature = 0;
      for (std::size_t g = 0; g < kind.groups.size(); ++g)
        if (std::ranges::find(kind.groups[g], rank) != kind.groups[g].end()) signature = kind.signature[g];
      ticks.emplace_back(static_cast<std::int64_t>(mixed(world.seed + 3 * collectives++ + signature) % 100));
    } else {
      ticks.emplace_back(op.inputs == 0 ? 0 : static_cast<std::int64_t>(mixed(world.seed + (role << 32) + i) % 100));
    }
  }
  return lower(program, ticks);
}

SweepResult swept(const World& world, const Folding& folding, HostModel host) {
  std::vector<Program> programs;
  std::vector<std::vector<Node>> nodes;
  for (const int rank : folding.representative) {
    const std::uint64_t role = world.roles[static_cast<std::size_t>(rank)];
    programs.push_back(spmd_program(world, role));
    nodes.push_back(priced(world, programs.back(), rank, role));
  }
  return sweep(pointers(programs), nodes, folding, host);
}

// Groups of `size` ranks at `stride`, each of one of two costs.
GroupKind random_groups(const char* name, int world, int size, int stride) {
  GroupKind kind = group_kind(name, {});
  const bool one_cost = *rc::gen::arbitrary<bool>();
  for (int base = 0; base < world; base += size * stride)
    for (int offset = 0; offset < stride; ++offset) {
      kind.groups.emplace_back();
      for (int i = 0; i < size; ++i) kind.groups.back().push_back(base + offset + i * stride);
      kind.signature.push_back(one_cost ? 0 : *rc::gen::inRange<std::uint64_t>(0, 2));
    }
  return kind;
}

RC_GTEST_PROP(Clock, FoldedEqualsUnfoldedToTheTick, ()) {
  World world;
  world.seed = *rc::gen::arbitrary<std::uint64_t>();
  world.events = *rc::gen::inRange(0, 40);
  const int a = *rc::gen::inRange(1, 4), b = *rc::gen::inRange(1, 4), c = *rc::gen::inRange(1, 3), ranks = a * b * c;
  world.kinds = {random_groups("inner", ranks, a, 1), random_groups("middle", ranks, b, a),
                 random_groups("outer", ranks, c, a * b), random_groups("world", ranks, ranks, 1)};
  world.roles = *rc::gen::container<std::vector<std::uint64_t>>(static_cast<std::size_t>(ranks),
                                                                rc::gen::inRange<std::uint64_t>(0, 3));
  const HostModel host{.before_step = Duration(50), .issue = Duration(*rc::gen::inRange(0, 40))};

  const Folding folding = fold(world.roles, world.kinds);
  RC_CLASSIFY(folding.classes() < ranks, "folds");
  const SweepResult one_each = swept(world, folding, host);
  const SweepResult all = swept(world, unfolded(static_cast<std::size_t>(ranks), world.kinds), host);
  RC_ASSERT(one_each.finish == all.finish);
  for (std::size_t rank = 0; rank < all.classes.size(); ++rank) {
    const ClassTime& folded = one_each.classes[static_cast<std::size_t>(folding.class_of[rank])];
    RC_ASSERT(folded.finish == all.classes[rank].finish);
    RC_ASSERT(folded.by_category == all.classes[rank].by_category);
    RC_ASSERT(folded.exposed_communication == all.classes[rank].exposed_communication);
    RC_ASSERT(folded.waiting == all.classes[rank].waiting);
    RC_ASSERT(folded.host == all.classes[rank].host);
  }
}

// Of every rank: no more communication is exposed than there is, and a step is at least as long as its busiest stream.
RC_GTEST_PROP(Clock, PartsFitIntoTheStep, ()) {
  World world;
  world.seed = *rc::gen::arbitrary<std::uint64_t>();
  world.events = *rc::gen::inRange(0, 40);
  world.kinds = {random_groups("pair", 4, 2, 1), random_groups("world", 4, 4, 1)};
  world.roles = *rc::gen::container<std::vector<std::uint64_t>>(4, rc::gen::inRange<std::uint64_t>(0, 3));
  for (const ClassTime& t : swept(world, unfolded(4, world.kinds), {}).classes) {
    RC_ASSERT(t.exposed_communication >= Duration(0));
    RC_ASSERT(t.exposed_communication <= busy(t, kCommunicationCategory));
    RC_ASSERT(t.exposed_communication <= t.finish);
    RC_ASSERT(t.host == Duration(0));
  }
}

}  // namespace
}  // namespace ascendsim
