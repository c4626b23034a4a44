#include "sim/executor.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "tests/sim/small_programs.h"

namespace ascendsim {

static void PrintTo(const Interval& i, std::ostream* out) { *out << "[" << i.start << ", " << i.end << ")"; }

namespace {

constexpr OperatorType kLocal{"local", nullptr};
constexpr OperatorType kGather{"gather", nullptr, Primitive::kAllGather};
constexpr OperatorType kReduce{"reduce", nullptr, Primitive::kAllReduce};

constexpr StreamId kCompute0 = 0, kTalk0 = 1, kCompute1 = 2, kTalk1 = 3;

// One operator of a program by hand. shared: 0 = as ticks.
struct Op {
  const char* label;
  StreamId stream;
  std::int64_t ticks;
  std::int64_t shared = 0;
  std::uint32_t wait = kNoWait;
  const OperatorType* type = &kLocal;
  std::uint8_t group = 0;
  PortUse port{};
  std::uint32_t part = Contention::kWhole;
};

struct Job {
  std::vector<Program> programs;  // one per role
  std::vector<std::vector<Node>> nodes;
  std::vector<Contention> contention;
  std::vector<std::uint64_t> roles;  // per rank
  std::vector<GroupKind> kinds;
  HostModel host;

  void add_role(const std::vector<Op>& ops) {
    Program p;
    std::vector<Duration> ticks;
    Contention& c = contention.emplace_back();
    for (const Op& op : ops) {
      const std::uint8_t category = op.type == &kLocal ? op.stream : kCommunicationCategory;
      p.operators.push_back({.type = op.type,
                             .label = op.label,
                             .wait = op.wait,
                             .inputs = 1,
                             .stream = op.stream,
                             .category = category,
                             .group = op.group});
      ticks.emplace_back(op.ticks);
      c.shared.push_back(op.shared == 0 ? op.ticks : op.shared);
      c.part.push_back(op.part);
      c.ports.push_back(op.port);
    }
    nodes.push_back(lower(p, ticks));
    programs.push_back(std::move(p));
  }
};

// Ranks as classes of a folding, with the parts of the job that belong to them.
struct Cast {
  Cast(const Job& job, Folding f) : folding(std::move(f)) {
    for (const int rank : folding.representative) {
      const auto role = static_cast<std::size_t>(job.roles[static_cast<std::size_t>(rank)]);
      programs.push_back(&job.programs[role]);
      nodes.push_back(job.nodes[role]);
      contention.push_back(job.contention[role]);
    }
  }
  Folding folding;
  std::vector<const Program*> programs;
  std::vector<std::vector<Node>> nodes;
  std::vector<Contention> contention;
};

struct Played {
  SweepResult result;
  Timeline timeline;
  std::uint64_t events = 0, speed_changes = 0;
  FlowCounts flows;
};

Played play_swept(const Job& job, const Cast& cast) {
  Played out;
  out.result = sweep(cast.programs, cast.nodes, cast.folding, job.host, &out.timeline);
  return out;
}
Played play(const Job& job, const Cast& cast, std::span<const Contention> contention) {
  Played out;
  ExecutionTrace trace;
  out.result = execute(cast.programs, cast.nodes, cast.folding, job.host, contention, &trace);
  out.flows = trace.flows;
  out.timeline = std::move(trace.timeline);
  out.events = trace.events;
  out.speed_changes = trace.speed_changes;
  return out;
}
Cast every_rank(const Job& job) { return Cast(job, unfolded(job.roles.size(), job.kinds)); }
Played play(const Job& job) {
  const Cast cast = every_rank(job);
  return play(job, cast, cast.contention);
}

void expect_equal(const ClassTime& a, const ClassTime& b) {
  EXPECT_EQ(a.finish, b.finish);
  EXPECT_EQ(a.by_category, b.by_category);
  EXPECT_EQ(a.exposed_communication, b.exposed_communication);
  EXPECT_EQ(a.waiting, b.waiting);
  EXPECT_EQ(a.host, b.host);
}

Job one_rank(const std::vector<Op>& ops) {
  Job job;
  job.add_role(ops);
  job.roles = {0};
  return job;
}
Job two_ranks(const std::vector<Op>& first, const std::vector<Op>& second) {
  Job job;
  job.add_role(first);
  job.add_role(second);
  job.roles = {0, 1};
  job.kinds = {group_kind("pair", {{0, 1}})};
  return job;
}

// lane 0  |aaaaaaaaaaaaaaaaaa|aaaa|       120 alone, 180 on two thirds of the cores
// lane 1  |bbbbbbbbbbbbbbbbbb|             40 alone, 120 on one third
//         0                120  160       a has 60 of 180 left at 120: a third of its work, 40 alone
TEST(Executor, TheOtherLaneSpeedsUpWhenOneEnds) {
  const Played p = play(one_rank({{"a", kCompute0, 120, 180}, {"b", kCompute1, 40, 120}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 160}, {0, 120}}));
  EXPECT_EQ(p.result.finish, Duration(160));
  EXPECT_EQ(p.result.classes[0].by_category[kCompute0], Duration(160));
  EXPECT_EQ(p.result.classes[0].by_category[kCompute1], Duration(120));
  EXPECT_EQ(p.speed_changes, 3u);
  EXPECT_EQ(p.events, 2u);
}

// lane 0  |aaa|aaaaaaaaaaaa|a|            100 alone, 200 shared: 70 left at 30 take 140; 20 of them left at 150 take 10
// talk    |xxx|                           slows nobody
// lane 1      |bbbbbbbbbbbb|              waits for x; 60 alone, 120 shared all the while
//         0   30         150 160
TEST(Executor, AnOperatorSlowsDownWhenItIsJoined) {
  const Played p = play(one_rank({{"a", kCompute0, 100, 200}, {"x", kTalk0, 30}, {"b", kCompute1, 60, 120, 1}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 160}, {0, 30}, {30, 150}}));
}

// lane 0  |aaaaaaaa|cccccc|dd             c follows a without a gap, so b never notices; d finds the rank to itself
// lane 1  |bbbbbbbbbbbbbbb|
//         0        20    50 60
TEST(Executor, OneOperatorAfterAnotherIsNoChange) {
  const Played p = play(one_rank(
      {{"a", kCompute0, 10, 20}, {"b", kCompute1, 25, 50}, {"c", kCompute0, 15, 30}, {"d", kCompute0, 10, 20}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 20}, {0, 50}, {20, 50}, {50, 60}}));
  EXPECT_EQ(p.speed_changes, 3u);  // a, b and c begin below full speed; d begins at it
}

// lane 0  a: 10 alone, 15 shared. b leaves after 1 tick: 14/15 of the work are left, 9.33 ticks alone, rounded up.
TEST(Executor, AChangeOfSpeedRoundsUp) {
  const Played p = play(one_rank({{"a", kCompute0, 10, 15}, {"b", kCompute1, 1}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 11}, {0, 1}}));
}

// 4 s against 6 s in picoseconds: the products need 86 bits. b leaves at 3 s: half of a is left, 2 s alone.
TEST(Executor, LongOperatorsKeepEveryTick) {
  constexpr std::int64_t kSecond = 1'000'000'000'000;
  const Played p = play(one_rank({{"a", kCompute0, 4 * kSecond, 6 * kSecond}, {"b", kCompute1, kSecond, 3 * kSecond}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 5 * kSecond}, {0, 3 * kSecond}}));
}

TEST(Executor, ASlowedOperatorThatTakesLongerThanTimeLastsIsRefused) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 61;
  const Job job = one_rank({{"a", kCompute0, kHuge}, {"x", kTalk0, 1, 8}});
  EXPECT_THROW(play(job), InternalError);
}

// The collective X takes 60 and leaves compute 60/75 of its speed.
// rank 0  compute |aaa|aaaaaaaaaaaa|aa|   80 alone: 60 left at 20 take 75, of which 15 are left at 80: 12 alone
//         talk    .wait|XXXXXXXXXXX|
// rank 1  compute |ppp|qqqqqqqqq|         p 20; q 40, slowed to 50 all the while
//         talk        |XXXXXXXXXXX|       exposed from 70
//                 0  20        70 80 92
TEST(Executor, ACollectiveThatTakesCoresSlowsCompute) {
  const Played p = play(two_ranks({{"a", kCompute0, 80}, {"X", kTalk0, 60, 75, kNoWait, &kGather}},
                                  {{"p", kCompute0, 20}, {"X", kTalk0, 60, 75, 0, &kGather}, {"q", kCompute0, 40}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 92}, {20, 80}}));
  EXPECT_EQ(p.timeline[1], (std::vector<Interval>{{0, 20}, {20, 80}, {20, 70}}));
  EXPECT_EQ(p.result.classes[0].waiting, Duration(20));
  EXPECT_EQ(p.result.classes[1].waiting, Duration(0));
  EXPECT_EQ(p.result.classes[0].exposed_communication, Duration(0));
  EXPECT_EQ(p.result.classes[1].exposed_communication, Duration(10));
  EXPECT_EQ(p.result.classes[1].by_category[kCommunicationCategory], Duration(60));
}

// a: 40 alone, 60 beside b, 90 beside b and x (x leaves 2/3). x ends at 30: a third of a is done, 40 of 60 are left.
TEST(Executor, BothCausesOfSlownessMultiply) {
  const Played p = play(one_rank({{"a", kCompute0, 40, 60}, {"b", kCompute1, 100, 200}, {"x", kTalk1, 30, 45}}));
  EXPECT_EQ(p.timeline[0][0], (Interval{0, 70}));
  // b: 300 beside both; 30 gone, 270 left are 180 of 200; 40 gone at 70, 140 left are 70 alone.
  EXPECT_EQ(p.timeline[0][1], (Interval{0, 140}));
}

// x takes two thirds of some cores: what needs them takes three times as long. A quarter of a does: 40 are 60 beside x,
// none of b does. a: 30 done at 45, a quarter of a is left.
TEST(Executor, OnlyThePartThatNeedsTheTakenCoresIsSlowed) {
  const Op x{"x", kTalk0, 45, 135};
  Op a{"a", kCompute0, 40}, b{"b", kCompute1, 40};
  a.part = Contention::kWhole / 4;
  b.part = 0;
  EXPECT_EQ(play(one_rank({x, a})).timeline[0], (std::vector<Interval>{{0, 45}, {0, 55}}));
  EXPECT_EQ(play(one_rank({x, b})).timeline[0], (std::vector<Interval>{{0, 45}, {0, 40}}));
}

// A collective on a compute stream keeps the duration that its members agreed on, and is no computation that b would
// share with.
TEST(Executor, ACollectiveIsNotSlowed) {
  const Played p = play(two_ranks({{"X", kCompute0, 40, 99, kNoWait, &kGather}, {"b", kCompute1, 30, 60}},
                                  {{"X", kCompute0, 40, 99, kNoWait, &kGather}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 40}, {0, 30}}));
  EXPECT_EQ(p.timeline[1], (std::vector<Interval>{{0, 40}}));
}

// rank 0  lane 0  |a|....wait...|XXXXXX|       waits for rank 1 and occupies nothing: b is alone from 10 on
//         lane 1  |bbbbbbbbbbbbbbbbb|          50 alone, 100 beside a: at 20 a ends, 80 of 100 left, 40 alone
// rank 1  lane 0  |aaaaaaaaaaaaa|XXXXXX|
//                 0 20           70   100
// X and Y take 100 each, the last 80 of them on port 0. Both fill it from 20 on at half speed.
// lane 0 talk  |..XXXXXXXXXXXXXXXX|
// lane 1 talk  |..YYYYYYYYYYYYYYYY|
//              0 20             180
TEST(Executor, CollectivesOnOnePortShareIt) {
  const auto op = [](const char* label, StreamId stream, std::uint8_t port) {
    return Op{label, stream, 100, 0, kNoWait, &kGather, 0, {80, port}};
  };
  const auto job = [&](std::uint8_t port) {
    return two_ranks({op("X", kTalk0, 0), op("Y", kTalk1, port)}, {op("X", kTalk0, 0), op("Y", kTalk1, port)});
  };
  const Played one = play(job(0));
  EXPECT_EQ(one.timeline[0], (std::vector<Interval>{{0, 180}, {0, 180}}));
  EXPECT_EQ(one.timeline[1], one.timeline[0]);
  EXPECT_EQ(one.flows.starts, 2U);
  EXPECT_EQ(one.flows.solves, 2U);
  EXPECT_EQ(play(job(1)).timeline[0], (std::vector<Interval>{{0, 100}, {0, 100}}));  // another kind of port
}

// X fills the port from 20 on. Y begins at 50, its 20 of software end at 70: X has 30 left, both go on at half speed
// until 130. Y then has 30 of its 60 left and the port for itself until 160.
TEST(Executor, ACollectiveThatJoinsOnAPortSlowsTheOther) {
  const std::vector<Op> ops{{"X", kTalk0, 100, 0, kNoWait, &kGather, 0, {80, 2}},
                            {"a", kCompute1, 50},
                            {"Y", kTalk1, 80, 0, 1, &kReduce, 0, {60, 2}}};
  const Played p = play(two_ranks(ops, ops));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 130}, {0, 50}, {50, 160}}));
}

// X and Y would take three quarters of the port each, 90 of their 100: both fill it, at two thirds of their speed,
// until 145. Y alone takes what it needs; with half a port each nobody notices.
TEST(Executor, CollectivesThatLeaveRoomOnAPortShareOnlyWhatIsScarce) {
  const auto job = [](std::uint8_t load, std::int64_t ticks) {
    const std::vector<Op> ops{{"X", kTalk0, ticks, 0, kNoWait, &kGather, 0, {90, 1, load}},
                              {"Y", kTalk1, ticks, 0, kNoWait, &kGather, 0, {90, 1, load}}};
    return two_ranks(ops, ops);
  };
  EXPECT_EQ(play(job(48, 100)).timeline[0], (std::vector<Interval>{{0, 145}, {0, 145}}));
  EXPECT_EQ(play(job(32, 100)).timeline[0], (std::vector<Interval>{{0, 100}, {0, 100}}));
}

// Four ranks, rows {0, 1} and {2, 3} and columns {0, 2} and {1, 3}: X over rows and Y over columns meet in every port.
TEST(Executor, GroupsOfOtherRanksMeetInPorts) {
  Job job;
  job.add_role(
      {{"X", kTalk0, 90, 0, kNoWait, &kGather, 0, {90, 0}}, {"Y", kTalk1, 90, 0, kNoWait, &kGather, 1, {90, 0}}});
  job.roles = {0, 0, 0, 0};
  job.kinds = {group_kind("row", {{0, 1}, {2, 3}}), group_kind("column", {{0, 2}, {1, 3}})};
  const Played apart = play(job);
  for (const auto& rank : apart.timeline) EXPECT_EQ(rank, (std::vector<Interval>{{0, 180}, {0, 180}}));
  const Cast folded(job, fold(job.roles, job.kinds));
  EXPECT_EQ(folded.programs.size(), 1U);
  EXPECT_EQ(play(job, folded, folded.contention).timeline[0], apart.timeline[0]);
}

TEST(Executor, RefusesToFillAPortForLongerThanACollectiveTakes) {
  const std::vector<Op> ops{{"X", kTalk0, 100, 0, kNoWait, &kGather, 0, {101, 0}}};
  EXPECT_THROW(play(two_ranks(ops, ops)), InternalError);
}

TEST(Executor, ARankThatWaitsInOneLaneGoesOnInTheOther) {
  const Played p =
      play(two_ranks({{"a", kCompute0, 10, 20}, {"X", kTalk0, 30, 0, 0, &kGather}, {"b", kCompute1, 50, 100}},
                     {{"a", kCompute0, 70, 99}, {"X", kTalk0, 20, 0, 0, &kGather}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 20}, {70, 100}, {0, 60}}));
  EXPECT_EQ(p.timeline[1], (std::vector<Interval>{{0, 70}, {70, 100}}));
  EXPECT_EQ(p.result.classes[0].waiting, Duration(50));
}

// The lanes of rank 1 stand in the other order in its program; collectives meet by stream.
TEST(Executor, CollectivesOfTwoLanesMeetByStream) {
  const Played p = play(two_ranks({{"X", kTalk0, 10, 0, kNoWait, &kGather}, {"Y", kTalk1, 30, 0, kNoWait, &kReduce}},
                                  {{"Y", kTalk1, 30, 0, kNoWait, &kReduce}, {"X", kTalk0, 10, 0, kNoWait, &kGather}}));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 10}, {0, 30}}));
  EXPECT_EQ(p.timeline[1], (std::vector<Interval>{{0, 30}, {0, 10}}));
  EXPECT_EQ(p.result.classes[0].exposed_communication, Duration(30));  // time, not the sum over collectives
}

// host    |before step 100|10|10|10|          a, b, c are issued at 110, 120, 130
// lane 0                     |a |  |ccccc|    starved for 10, then c is behind a
// lane 1                        |bbbbbb|      starved for 20
TEST(Executor, TheHostIssuesInProgramOrder) {
  Job job = one_rank({{"a", kCompute0, 25}, {"b", kCompute1, 40}, {"c", kCompute0, 5}});
  job.host = {Duration(100), Duration(10)};
  const Played p = play(job);
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{110, 135}, {120, 160}, {135, 140}}));
  EXPECT_EQ(p.result.classes[0].host, Duration(100 + 10 + 20));
  EXPECT_EQ(p.events, 5u);  // three ends, two awaited issues
}

// An operator that the host has not issued yet slows nobody.
TEST(Executor, AnUnissuedOperatorOccupiesNothing) {
  Job job = one_rank({{"a", kCompute0, 50, 100}, {"b", kCompute1, 50, 100}});
  job.host.issue = Duration(40);
  // a alone from 40 to 80, 10 left are 20 shared; b from 80: 80 of 100 left at 100 are 40 alone.
  EXPECT_EQ(play(job).timeline[0], (std::vector<Interval>{{40, 100}, {80, 140}}));
}

TEST(Executor, OperatorsWithoutTimeDoNotPileUp) {
  std::vector<Op> ops(50'000, {"fence", kCompute0, 0});
  ops.push_back({"a", kCompute0, 7});
  const Played p = play(one_rank(ops));
  EXPECT_EQ(p.result.finish, Duration(7));
  EXPECT_EQ(p.events, 50'001u);
}

TEST(Executor, AnEmptyProgramTakesWhatTheHostTakes) {
  Job job = one_rank({});
  job.host.before_step = Duration(42);
  EXPECT_EQ(play(job).result.finish, Duration(42));
}

// Compute that stands after a collective in the program may still run under it.
// compute |aa|bbbb|    |c|
// talk       |XXXXXXXX|            exposed 40 of 80
//         0  20   60  100 110
TEST(Sweep, ExposedCommunicationIsWhatComputeDoesNotCover) {
  const Job job = two_ranks(
      {{"a", kCompute0, 20}, {"X", kTalk0, 80, 0, 0, &kGather}, {"b", kCompute0, 40}, {"c", kCompute0, 10, 0, 1}},
      {{"a", kCompute0, 20}, {"X", kTalk0, 80, 0, 0, &kGather}});
  const Played p = play_swept(job, every_rank(job));
  EXPECT_EQ(p.timeline[0], (std::vector<Interval>{{0, 20}, {20, 100}, {20, 60}, {100, 110}}));
  EXPECT_EQ(p.result.classes[0].exposed_communication, Duration(40));
  EXPECT_EQ(p.result.classes[1].exposed_communication, Duration(80));
}

std::string message_of(const Job& job) {
  return internal_error([&] { play(job); });
}

TEST(Executor, NamesWhoWaitsForAPeerThatHasFinished) {
  EXPECT_EQ(
      message_of(two_ranks({{"X", kTalk0, 1, 0, kNoWait, &kGather}, {"b", kCompute0, 5, 0, 0}}, {{"a", kCompute0, 5}})),
      "the programs of the ranks do not match: rank 0 waits in 'b' (operator 1, layer -1); rank 0 waits in 'X' "
      "(operator 0, layer -1); rank 1 has finished; ");
}

TEST(Executor, NamesCollectivesThatDoNotMatch) {
  EXPECT_EQ(message_of(two_ranks({{"X", kTalk0, 1, 0, kNoWait, &kGather}}, {{"Y", kTalk0, 1, 0, kNoWait, &kReduce}})),
            "the programs of the ranks do not match: rank 0 waits in 'X' (operator 0, layer -1); rank 1 waits in 'Y' "
            "(operator 0, layer -1); ");
}

TEST(Executor, RefusesAGroupThatTheRankIsNotIn) {
  Job job = one_rank({{"X", kTalk0, 1, 0, kNoWait, &kGather}});
  job.kinds = {group_kind("pair", {})};
  EXPECT_EQ(message_of(job), "a collective names a group kind that its rank is not in");
}

TEST(Executor, RefusesToBeFasterWhenShared) {
  EXPECT_EQ(message_of(one_rank({{"a", kCompute0, 10, 9}})), "sharing a processor cannot make an operator faster");
  EXPECT_EQ(message_of(one_rank({{"a", kCompute0, 0, 9}})), "sharing a processor cannot make an operator faster");
}

// ---- random programs ----

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::int64_t below(std::int64_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>((state_ >> 33) % static_cast<std::uint64_t>(n));
  }
  bool one_in(std::int64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

GroupKind random_groups(Random& random, int ranks) {
  std::vector<int> order(static_cast<std::size_t>(ranks));
  std::iota(order.begin(), order.end(), 0);
  if (random.one_in(3))
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  const auto size = static_cast<std::size_t>(1 << random.below(4));
  GroupKind kind = group_kind("group", {});
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i % size == 0) kind.groups.emplace_back();
    kind.groups.back().push_back(order[i]);
  }
  return kind;
}

// One line of the common script. Ranks of different roles need different time for it, or skip it when it is local.
struct Line {
  const OperatorType* type;
  StreamId stream;
  std::uint8_t group;
  std::int64_t ticks;
  std::optional<std::size_t> wait;
};

std::vector<Line> random_script(Random& random, int lines, std::int64_t kinds) {
  std::vector<Line> script;
  for (int i = 0; i < lines; ++i) {
    const bool collective = random.one_in(4);
    auto stream = static_cast<StreamId>(2 * random.below(2) + (collective || random.one_in(9) ? 1 : 0));
    Line line{collective ? (random.one_in(2) ? &kGather : &kReduce) : &kLocal,
              stream,
              static_cast<std::uint8_t>(random.below(kinds)),
              random.one_in(8) ? 0 : 1 + random.below(1000),
              {}};
    if (i > 0 && random.one_in(3)) {
      const auto earlier = static_cast<std::size_t>(i - 1 - random.below(std::min(i, 6)));
      if (script[earlier].stream != stream) line.wait = earlier;
    }
    script.push_back(line);
  }
  return script;
}

void add_role(Job& job, const std::vector<Line>& script, Random& random, bool with_ports) {
  std::vector<Op> ops;
  std::vector<std::uint32_t> place;  // of each line in this program
  for (const Line& line : script) {
    const bool skipped = line.type == &kLocal && random.one_in(10);
    place.push_back(skipped ? kNoWait : static_cast<std::uint32_t>(ops.size()));
    const std::int64_t ticks = line.ticks == 0 ? 0 : line.ticks + random.below(200);
    const std::int64_t shared = random.one_in(4) ? ticks : ticks + random.below(2 * ticks + 1);
    if (skipped) continue;
    ops.push_back({"op", line.stream, ticks, shared, line.wait ? place[*line.wait] : kNoWait, line.type, line.group});
    // Members of a collective may fill their ports for unequal times, but ports of one kind.
    ops.back().part = static_cast<std::uint32_t>(random.below(Contention::kWhole + 1));
    if (with_ports && line.type != &kLocal)
      ops.back().port = {random.below(ticks + 1), static_cast<std::uint8_t>(line.group % 2),
                         static_cast<std::uint8_t>(1 + random.below(PortUse::kFull))};
  }
  job.add_role(ops);
}

Job random_job(bool with_ports = false) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const int ranks = *rc::gen::inRange(1, 9);
  Job job;
  for (int k = 0; k < 3; ++k) job.kinds.push_back(random_groups(random, ranks));
  const auto script = random_script(random, *rc::gen::inRange(0, 80), 3);
  const std::int64_t roles = 1 + random.below(4);
  for (std::int64_t r = 0; r < roles; ++r) add_role(job, script, random, with_ports);
  const std::int64_t stretch = 1 + random.below(2);
  for (int r = 0; r < ranks; ++r) job.roles.push_back(static_cast<std::uint64_t>(r / stretch % roles));
  if (random.one_in(2)) job.host = {Duration(random.below(100)), Duration(random.below(300))};
  return job;
}

void expect_equal(const Played& a, const Played& b) {
  EXPECT_EQ(a.result.finish, b.result.finish);
  ASSERT_EQ(a.result.classes.size(), b.result.classes.size());
  for (std::size_t c = 0; c < a.result.classes.size(); ++c) expect_equal(a.result.classes[c], b.result.classes[c]);
  EXPECT_EQ(a.timeline, b.timeline);
}

RC_GTEST_PROP(Executor, EqualsTheSweepWhereNothingIsShared, ()) {
  const Job job = random_job();
  const Cast cast = every_rank(job);
  const Played swept = play_swept(job, cast);
  expect_equal(play(job, cast, {}), swept);
  // The machinery of sharing, switched on without effect.
  std::vector<Contention> as_alone;
  for (const auto& nodes : cast.nodes) {
    as_alone.emplace_back();
    for (const Node& n : nodes) as_alone.back().shared.push_back(n.ticks);
  }
  const Played idle = play(job, cast, as_alone);
  expect_equal(idle, swept);
  RC_ASSERT(idle.speed_changes == 0u);
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Executor, FoldedEqualsUnfolded, ()) {
  const Job job = random_job(true);
  const Cast folded(job, fold(job.roles, job.kinds));
  RC_CLASSIFY(folded.folding.representative.size() < job.roles.size());
  const Played of_classes = play(job, folded, folded.contention), of_ranks = play(job);
  RC_ASSERT(of_classes.result.finish == of_ranks.result.finish);
  for (std::size_t r = 0; r < job.roles.size(); ++r) {
    const auto c = static_cast<std::size_t>(folded.folding.class_of[r]);
    expect_equal(of_classes.result.classes[c], of_ranks.result.classes[r]);
    EXPECT_EQ(of_classes.timeline[c], of_ranks.timeline[r]);
  }
  RC_ASSERT(!::testing::Test::HasFailure());
}

// Ports that are shared cost time, unless only one lane talks; and no collective takes less than alone.
RC_GTEST_PROP(Executor, CollectivesNeverTakeLessThanAlone, ()) {
  const Job job = random_job(true);
  const Played p = play(job);
  for (std::size_t r = 0; r < job.roles.size(); ++r) {
    const auto role = static_cast<std::size_t>(job.roles[r]);
    for (std::size_t i = 0; i < p.timeline[r].size(); ++i)
      if (job.programs[role].operators[i].type != &kLocal)
        RC_ASSERT(p.timeline[r][i].end - p.timeline[r][i].start >= job.nodes[role][i].ticks);
  }
  Job one_lane = job;
  for (Program& program : one_lane.programs)
    for (Operator& op : program.operators) op.stream %= 2;
  for (auto& nodes : one_lane.nodes)
    for (Node& node : nodes) node.stream %= 2;
  Job alone = one_lane;
  for (Contention& c : alone.contention) c.ports.clear();
  expect_equal(play(one_lane), play(alone));
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Executor, NumbersOfRanksDoNotMatter, ()) {
  const Job job = random_job(true);
  const std::size_t ranks = job.roles.size();
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<std::size_t> name(ranks);
  std::iota(name.begin(), name.end(), std::size_t{0});
  for (std::size_t i = ranks; i > 1; --i)
    std::swap(name[i - 1], name[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  Job renamed = job;
  for (std::size_t r = 0; r < ranks; ++r) renamed.roles[name[r]] = job.roles[r];
  for (GroupKind& kind : renamed.kinds)
    for (auto& group : kind.groups)
      for (int& rank : group) rank = static_cast<int>(name[static_cast<std::size_t>(rank)]);
  const Played a = play(job), b = play(renamed);
  for (std::size_t r = 0; r < ranks; ++r) {
    expect_equal(a.result.classes[r], b.result.classes[name[r]]);
    EXPECT_EQ(a.timeline[r], b.timeline[name[r]]);
  }
  RC_ASSERT(!::testing::Test::HasFailure());
}

// Longer operators, without sharing: nothing ends earlier. (With sharing that would be false: an operator that begins
// later may leave another one alone.)
RC_GTEST_PROP(Executor, LongerOperatorsNeverEndEarlier, ()) {
  const Job job = random_job();
  Cast cast = every_rank(job);
  const Played before = play(job, cast, {});
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  for (auto& nodes : cast.nodes)
    for (Node& n : nodes)
      if (random.one_in(3)) n.ticks += random.below(300);
  const Played after = play(job, cast, {});
  for (std::size_t c = 0; c < before.timeline.size(); ++c)
    for (std::size_t i = 0; i < before.timeline[c].size(); ++i)
      RC_ASSERT(after.timeline[c][i].end >= before.timeline[c][i].end);
}

// What one rank's timeline must fulfil, said without events.
class RankCheck {
 public:
  RankCheck(const Job& job, const Cast& cast, const Timeline& timeline, std::size_t rank)
      : host_(job.host),
        program_(*cast.programs[rank]),
        nodes_(cast.nodes[rank]),
        contention_(cast.contention[rank]),
        ran_(timeline[rank]) {}

  // From when the operator could have begun, as far as its own rank is concerned.
  std::int64_t ready(std::size_t op) const {
    std::int64_t ready = host_.before_step.count();
    for (std::size_t i = 0; i <= op; ++i) {
      ready = std::max(ready, host_.before_step.count());
      if (i < op && nodes_[i].stream == nodes_[op].stream) ready = std::max(ready, ran_[i].end);
    }
    std::int64_t launches = 0;
    for (std::size_t i = 0; i <= op; ++i) launches += nodes_[i].launches;
    if (nodes_[op].wait != kNoWait) ready = std::max(ready, ran_[nodes_[op].wait].end);
    return std::max(ready, host_.before_step.count() + launches * host_.issue.count());
  }

  // Work done between start and end, as a multiple of the operator, and how much of that may be rounding.
  std::pair<long double, long double> work(std::size_t op) const {
    std::vector<std::int64_t> cuts{ran_[op].start, ran_[op].end};
    for (const Interval& other : ran_)
      for (const std::int64_t cut : {other.start, other.end})
        if (cut > ran_[op].start && cut < ran_[op].end) cuts.push_back(cut);
    std::ranges::sort(cuts);
    long double done = 0, rounding = 1e-12L;
    std::int64_t last_pace = nodes_[op].ticks;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      const std::int64_t now = pace(op, cuts[i]);
      done += static_cast<long double>(cuts[i + 1] - cuts[i]) / static_cast<long double>(now);
      if (now != last_pace && i > 0) rounding += 1 / static_cast<long double>(now);
      last_pace = now;
    }
    return {done, rounding};
  }

  bool slowed(std::size_t op) const { return program_.operators[op].type == &kLocal && is_compute(nodes_[op].stream); }

 private:
  std::int64_t pace(std::size_t op, std::int64_t at) const {
    std::int64_t pace = nodes_[op].ticks;
    const auto running = [&](std::size_t i) { return ran_[i].start <= at && at < ran_[i].end; };
    for (std::size_t i = 0; i < ran_.size(); ++i)
      if (running(i) && program_.operators[i].type == &kLocal && is_compute(nodes_[i].stream) &&
          nodes_[i].stream != nodes_[op].stream)
        pace = contention_.shared[op];
    for (StreamId talk = kTalk0; talk < kMaxStreams; talk += 2)
      for (std::size_t i = 0; i < ran_.size(); ++i)
        if (running(i) && nodes_[i].stream == talk && nodes_[i].ticks > 0)
          pace += ceil_div(
              ceil_div(pace * (contention_.shared[i] - nodes_[i].ticks), nodes_[i].ticks) * contention_.part[op],
              Contention::kWhole);
    return pace;
  }

  HostModel host_;
  const Program& program_;
  const std::vector<Node>& nodes_;
  const Contention& contention_;
  const std::vector<Interval>& ran_;
};

// The n-th collective of each member, on one stream or another: the scripts agree.
void check_collectives(const Job& job, const Cast& cast, const Timeline& timeline,
                       const std::vector<std::vector<std::size_t>>& collectives) {
  for (const Folding::Meeting& meeting : cast.folding.meetings) {
    const auto first = static_cast<std::size_t>(meeting.members.front().rank_class);
    for (std::size_t n = 0; n < collectives[first].size(); ++n) {
      if (cast.programs[first]->operators[collectives[first][n]].group != meeting.kind) continue;
      std::int64_t start = 0, ticks = 0;
      for (const Folding::Member& m : meeting.members) {
        const auto r = static_cast<std::size_t>(m.rank_class);
        start = std::max(start, RankCheck(job, cast, timeline, r).ready(collectives[r][n]));
        ticks = std::max(ticks, cast.nodes[r][collectives[r][n]].ticks);
      }
      for (const Folding::Member& m : meeting.members) {
        const auto r = static_cast<std::size_t>(m.rank_class);
        RC_ASSERT(timeline[r][collectives[r][n]] == (Interval{start, start + ticks}));
      }
    }
  }
}

// Every operator begins as soon as it can, and between its start and its end exactly its work is done.
RC_GTEST_PROP(Executor, DoesTheWorkThatIsGivenAndIsNeverIdleWithoutReason, ()) {
  const Job job = random_job();
  const Cast cast = every_rank(job);
  const Played p = play(job, cast, cast.contention);
  std::vector<std::vector<std::size_t>> collectives(cast.programs.size());
  for (std::size_t r = 0; r < cast.programs.size(); ++r) {
    const RankCheck rank(job, cast, p.timeline, r);
    for (std::size_t i = 0; i < cast.nodes[r].size(); ++i) {
      const Interval ran = p.timeline[r][i];
      if (cast.programs[r]->operators[i].type != &kLocal) {
        collectives[r].push_back(i);
        continue;
      }
      RC_ASSERT(ran.start == rank.ready(i));
      if (!rank.slowed(i) || cast.nodes[r][i].ticks == 0) {
        RC_ASSERT(ran.end - ran.start == cast.nodes[r][i].ticks);
      } else {
        const auto [done, rounding] = rank.work(i);
        RC_ASSERT(done >= 1 - 1e-12L);
        RC_ASSERT(done < 1 + rounding);
      }
    }
  }
  check_collectives(job, cast, p.timeline, collectives);
}

RC_GTEST_PROP(Executor, ExposedCommunicationIsWhatTheTimelineShows, ()) {
  const Job job = random_job();
  const Cast cast = every_rank(job);
  const Played p = play(job, cast, cast.contention);
  for (std::size_t r = 0; r < cast.programs.size(); ++r) {
    const std::vector<Interval>& ran = p.timeline[r];
    std::vector<std::int64_t> cuts;
    for (const Interval& i : ran) cuts.insert(cuts.end(), {i.start, i.end});
    std::ranges::sort(cuts);
    std::int64_t exposed = 0;
    for (std::size_t cut = 0; cut + 1 < cuts.size(); ++cut) {
      bool talks = false, computes = false;
      for (std::size_t i = 0; i < ran.size(); ++i) {
        if (cuts[cut] < ran[i].start || cuts[cut] >= ran[i].end) continue;
        const bool local = cast.programs[r]->operators[i].type == &kLocal;
        talks = talks || !local;
        computes = computes || (local && is_compute(cast.nodes[r][i].stream));
      }
      if (talks && !computes) exposed += cuts[cut + 1] - cuts[cut];
    }
    RC_ASSERT(p.result.classes[r].exposed_communication == Duration(exposed));
  }
}

// Counts, where the benchmark has times: one event an operator when the host is not awaited.
TEST(Executor, CountsItsEvents) {
  Random random(1);
  Job job;
  for (int k = 0; k < 3; ++k) job.kinds.push_back(random_groups(random, 8));
  const auto script = random_script(random, 500, 3);
  for (int r = 0; r < 4; ++r) add_role(job, script, random, false);
  job.roles = {0, 1, 2, 3, 0, 1, 2, 3};
  const Played p = play(job);
  std::size_t operators = 0;
  for (const std::uint64_t role : job.roles) operators += job.nodes[static_cast<std::size_t>(role)].size();
  EXPECT_EQ(operators, 3648u);
  EXPECT_EQ(p.events, 3648u);
  EXPECT_EQ(p.speed_changes, 3218u);
}

}  // namespace
}  // namespace ascendsim
