#include "sim/memory.h"

#include <gtest/gtest.h>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

// A value of `bytes` int8 elements.
Value bytes_of(ProgramBuilder& p, std::int64_t bytes) { return p.activation(Dtype::kInt8, bytes, 1); }

std::vector<std::pair<std::string, std::int64_t>> live(const ActivationPeak& peak) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const auto& l : peak.live) out.emplace_back(l.label, l.bytes.count());
  return out;
}
using Live = std::vector<std::pair<std::string, std::int64_t>>;

//  operator     0 make a   1 a -> b   2 b -> c   3 c -> d
//  a 100        |==================|
//  b  10                   |==================|
//  c  95                              |==================|
//  d  30                                         |=======|
//  sum          100        110        105        125
TEST(ActivationPeak, OverlappingLifetimesAddUp) {
  ProgramBuilder p;
  const Value a = bytes_of(p, 100), b = bytes_of(p, 10), c = bytes_of(p, 95), d = bytes_of(p, 30);
  touch(p, "make a", {}, {a});
  touch(p, "make b", {a}, {b});
  touch(p, "make c", {b}, {c});
  touch(p, "make d", {c}, {d});
  const ActivationPeak peak = activation_peak(p.take());
  EXPECT_EQ(peak.bytes, Bytes(125));
  EXPECT_EQ(peak.at, 3u);
  EXPECT_EQ(live(peak), (Live{{"make c", 95}, {"make d", 30}}));
}

// The same, with a still read by the last operator: 100 + 95 + 30 there.
TEST(ActivationPeak, ALateReaderKeepsAValueAlive) {
  ProgramBuilder p;
  const Value a = bytes_of(p, 100), b = bytes_of(p, 10), c = bytes_of(p, 95), d = bytes_of(p, 30);
  touch(p, "make a", {}, {a});
  touch(p, "make b", {a}, {b});
  touch(p, "make c", {b}, {c});
  touch(p, "make d", {c, a}, {d});
  const ActivationPeak peak = activation_peak(p.take());
  EXPECT_EQ(peak.bytes, Bytes(225));
  EXPECT_EQ(live(peak), (Live{{"make a", 100}, {"make c", 95}, {"make d", 30}}));
}

TEST(ActivationPeak, ANeverReadValueLivesForItsOperator) {
  ProgramBuilder p;
  const Value a = bytes_of(p, 100), b = bytes_of(p, 60);
  touch(p, "make a", {}, {a});
  touch(p, "make b", {}, {b});
  EXPECT_EQ(activation_peak(p.take()).bytes, Bytes(100));
}

TEST(ActivationPeak, CountsTheCapacityAndNotTheExpectedRows) {
  ProgramBuilder p;
  const Value routed = p.activation(Dtype::kInt8, 10, 4, 80);
  touch(p, "route", {}, {routed});
  EXPECT_EQ(activation_peak(p.take()).bytes, Bytes(80 * 4));
}

TEST(ActivationPeak, AViewKeepsItsWholeBufferAlive) {
  ProgramBuilder p;
  const Value a = bytes_of(p, 100), b = bytes_of(p, 60);
  touch(p, "make a", {}, {a});
  touch(p, "make b", {a.row_slice(0, 1)}, {b});
  EXPECT_EQ(activation_peak(p.take()).bytes, Bytes(160));
}

TEST(ActivationPeak, CountsInputsButNoWeightsNorStates) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kInt32, 5, 1);
  touch(p, "use", {x, p.weight(Dtype::kFp16, 1000, 1, {}), p.state(Dtype::kFp16, 1000, 1, {})}, {});
  EXPECT_EQ(activation_peak(p.take()).bytes, Bytes(20));
}

TEST(ActivationPeak, OfAnEmptyProgramIsNothing) {
  EXPECT_EQ(activation_peak(Program{}).bytes, Bytes(0));
  EXPECT_TRUE(activation_peak(Program{}).live.empty());
}

// Weights and states stay for good: also what no operator of this program reads.
TEST(Tensors, ListsEveryResidentOnce) {
  ProgramBuilder p;
  const Value used = p.weight(Dtype::kInt8, 10, 4, {.key = "used", .extra = Bytes(16)});
  p.weight(Dtype::kFp16, 3, 4, {.key = "unused"});
  const Value cache = p.state(Dtype::kFp16, 8, 2, {.key = "cache"});
  touch(p, "use", {used, cache}, {});
  touch(p, "use again", {used, cache}, {});
  const Program program = p.take();
  const auto weights = tensors(program, BufferKind::kWeight);
  ASSERT_EQ(weights.size(), 2u);
  EXPECT_STREQ(weights[0].slice.key, "used");
  EXPECT_EQ(weights[0].elements, Bytes(40));
  EXPECT_EQ(weights[0].extra, Bytes(16));
  EXPECT_STREQ(weights[1].slice.key, "unused");
  EXPECT_EQ(weights[1].elements, Bytes(24));
  const auto states = tensors(program, BufferKind::kState);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].elements, Bytes(32));
}

}  // namespace
}  // namespace ascendsim
