#include "sim/program.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <array>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

constexpr ProgramBuilder::Group kPair{0, 2};

std::vector<std::uint32_t> waits(const Program& program) {
  std::vector<std::uint32_t> out;
  for (const Operator& op : program.operators) out.push_back(op.wait);
  return out;
}

std::vector<std::string> labels(const Program& program) {
  std::vector<std::string> out;
  for (const Operator& op : program.operators) out.emplace_back(op.label);
  return out;
}

using Waits = std::vector<std::uint32_t>;

// ---- waits between streams ------------------------------------------------------------------------------------------

//  compute:        0 write x          2 read x
//  communication:            1 sum x
TEST(ProgramBuilder, AReaderWaitsForTheWriterOnAnotherStream) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x});
  p.all_reduce("sum", x, kPair);
  touch(p, "read", {x}, {});
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0, 1}));
}

TEST(ProgramBuilder, OneStreamRunsInOrderAndNeedsNoWaits) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x});
  touch(p, "update", {x}, {x});
  touch(p, "read", {x}, {});
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, kNoWait, kNoWait}));
}

//  compute:        0 write x              2 overwrite x
//  communication:            1 gather x
TEST(ProgramBuilder, AWriterWaitsForTheReaderOnAnotherStream) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x});
  p.all_gather("gather", x, kPair);
  touch(p, "overwrite", {}, {x});
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0, 1}));
}

TEST(ProgramBuilder, TwoReadersOnDifferentStreamsDoNotWaitForEachOther) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x});
  p.all_gather("gather", x, kPair);
  touch(p, "read", {x}, {});
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0, kNoWait}));
}

// The second reader comes after the first in its stream, which has waited already.
TEST(ProgramBuilder, WhatAStreamHasWaitedForIsNotWaitedForAgain) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x});
  p.all_reduce("sum", x, kPair);
  touch(p, "read", {x}, {});
  touch(p, "read again", {x}, {});
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0, 1, kNoWait}));
}

TEST(ProgramBuilder, ASliceSharesTheWaitsOfItsBuffer) {
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write", {}, {x.row_slice(0, 1)});
  p.all_reduce("sum", x.row_slice(2, 2), kPair);
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0}));
}

//  lane 0 compute:       0 write x
//  lane 1 compute:                  1 write y
//  lane 0 communication:                       2 fence (0)  3 exchange x -> y (1)
// An operator has one wait; a fence in front of it takes the other.
TEST(ProgramBuilder, AFenceCarriesTheSecondWait) {
  constexpr OperatorType kExchange{"exchange", nullptr, Primitive::kDispatch};
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8), y = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "write x", {}, {x});
  p.set_lane(1);
  touch(p, "write y", {}, {y});
  p.set_lane(0);
  p.exchange(kExchange, "exchange", {x}, y, kPair, x.bytes());
  const Program program = p.take();
  EXPECT_EQ(labels(program), (std::vector<std::string>{"write x", "write y", "fence", "exchange"}));
  EXPECT_EQ(waits(program), (Waits{kNoWait, kNoWait, 0, 1}));
  EXPECT_EQ(program.operators[2].stream, kCommunicationStream);
  EXPECT_EQ(program.operators[2].inputs + program.operators[2].outputs, 0);
  EXPECT_EQ(program.operators[1].stream, 2);
}

//  Streams 0, 2 and 1 touch x, y and z in turn; stream 3 (communication of lane 1) needs all three.
TEST(ProgramBuilder, ThreeWaitsNeedTwoFences) {
  constexpr OperatorType kExchange{"exchange", nullptr, Primitive::kDispatch};
  ProgramBuilder p;
  const Value x = p.activation(Dtype::kFp16, 4, 8), y = p.activation(Dtype::kFp16, 4, 8);
  touch(p, "0: write x", {}, {x});
  p.all_gather("1: gather x", x, kPair);
  p.set_lane(1);
  touch(p, "2: write y", {}, {y});
  p.exchange(kExchange, "3: exchange y -> x", {y}, x, kPair, x.bytes());
  // Writing x: after its writer (operator 0) and its reader (1); reading y: after its writer (2).
  EXPECT_EQ(waits(p.take()), (Waits{kNoWait, 0, kNoWait, 0, 1, 2}));
}

// ---- what operators carry -------------------------------------------------------------------------------------------

TEST(ProgramBuilder, OperatorsCarryLayerCategoryStreamAndGroup) {
  ProgramBuilder p;
  p.set_layer(7);
  const ProgramBuilder::Section all(p, 3);
  const Value x = p.input(Dtype::kFp16, 4, 8);
  touch(p, "local", {x}, {x});
  p.all_reduce("sum", x, {.kind = 5, .ranks = 2});
  const Program program = p.take();
  EXPECT_EQ(program.operators[0].layer, 7);
  EXPECT_EQ(program.operators[0].category, 3);
  EXPECT_EQ(program.operators[0].stream, kComputeStream);
  EXPECT_EQ(program.operators[1].layer, 7);
  EXPECT_EQ(program.operators[1].category, kCommunicationCategory);
  EXPECT_EQ(program.operators[1].stream, kCommunicationStream);
  EXPECT_EQ(program.operators[1].group, 5);
}

// Sections lie inside each other; outside of all the type says it.
TEST(ProgramBuilder, OperatorsHaveTheCategoryOfTheirTypeOrSection) {
  static constexpr OperatorType kOfNine{"of_nine", nullptr, Primitive::kNone, {}, 9};
  struct None {};
  ProgramBuilder p;
  const auto apply = [&] { p.apply(kOfNine, "x", None{}, {}, {}); };
  apply();
  {
    const ProgramBuilder::Section outer(p, 1);
    apply();
    {
      const ProgramBuilder::Section inner(p, 2);
      apply();
    }
    apply();
  }
  apply();
  const Program program = p.take();
  std::vector<int> categories;
  for (const Operator& op : program.operators) categories.push_back(op.category);
  EXPECT_EQ(categories, (std::vector<int>{9, 1, 2, 1, 9}));
}

TEST(ProgramBuilder, ParametersAndTheirTailComeBackUnchanged) {
  struct Three {
    std::int32_t a, b, c;
  };
  const std::array<std::int64_t, 2> tail{11, 12};
  ProgramBuilder p;
  p.apply(kTouch, "one", Three{1, 2, 3}, {}, {});
  p.apply(kTouch, "two", Three{4, 5, 6}, std::span<const std::int64_t>(tail), {}, {});
  const Program program = p.take();
  EXPECT_EQ(program.view(0).params<Three>().c, 3);
  EXPECT_EQ(program.view(1).params<Three>().a, 4);
  const auto read = program.view(1).tail<Three, std::int64_t>(2);
  EXPECT_EQ(read[0], 11);
  EXPECT_EQ(read[1], 12);
}

TEST(ProgramBuilder, AWeightStacksItsExpertsAndTakesTheLayerThatIsSet) {
  ProgramBuilder p;
  p.set_layer(4);
  const Value w = p.weight(Dtype::kInt8, 10, 6, {.key = "down", .experts = 3, .extra = Bytes(48)});
  touch(p, "use", {w}, {});
  const Program program = p.take();
  EXPECT_EQ(w.rows, 30);  // 3 experts of 10 inputs
  EXPECT_EQ(w.columns, 6);
  EXPECT_EQ(program.view(0).slice(w).layer, 4);
  EXPECT_EQ(program.view(0).slice(w).extra, Bytes(48));
  EXPECT_EQ(program.view(0).buffer(w).kind, BufferKind::kWeight);
}

TEST(ProgramBuilder, CapacityIsAtLeastTheRows) {
  ProgramBuilder p;
  const Value some = p.activation(Dtype::kFp16, 10, 4), more = p.activation(Dtype::kFp16, 10, 4, 30);
  const Program program = p.take();
  EXPECT_EQ(program.buffers[some.buffer].allocated(), Bytes(10 * 4 * 2));
  EXPECT_EQ(program.buffers[more.buffer].allocated(), Bytes(30 * 4 * 2));
  EXPECT_EQ(more.rows, 10);
}

TEST(ProgramBuilder, NegativeRowsAreOurBug) {
  ProgramBuilder p;
  EXPECT_EQ(internal_error([&] { p.activation(Dtype::kFp16, -1, 4); }), "a buffer needs 0 <= rows, columns < 2^31");
  EXPECT_EQ(internal_error([&] { p.activation(Dtype::kFp16, std::int64_t{1} << 31, 4); }),
            "a buffer needs 0 <= rows, columns < 2^31");
}

// ---- collectives ----------------------------------------------------------------------------------------------------

TEST(Collectives, OfOneRankDoNothing) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 5, 8);
  EXPECT_EQ(p.all_gather("ag", x, {0, 1}).buffer, x.buffer);
  EXPECT_EQ(p.reduce_scatter("rs", x, {0, 1}).buffer, x.buffer);
  EXPECT_EQ(p.all_reduce("ar", x, {0, 1}).buffer, x.buffer);
  EXPECT_EQ(p.all_to_all("a2a", x, {0, 1}, 5, 8).buffer, x.buffer);
  EXPECT_TRUE(p.take().operators.empty());
}

TEST(Collectives, ShapesAndBytes) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 10, 8);  // 160 B
  const Value rows = p.all_gather("rows", x, {0, 4});
  const Value columns = p.all_gather("columns", x, {0, 4}, Axis::kColumns);
  const Value unequal = p.all_gather("unequal", x, {0, 4}, Axis::kRows, 25);
  const Value scattered = p.reduce_scatter("scattered", x, {0, 4});
  const Value summed = p.all_reduce("summed", x, {0, 4});
  const Value exchanged = p.all_to_all("exchanged", x, {0, 4}, 40, 2);
  const auto shape = [](Value v) { return std::pair(v.rows, v.columns); };
  EXPECT_EQ(shape(rows), std::pair(40, 8));
  EXPECT_EQ(shape(columns), std::pair(10, 32));
  EXPECT_EQ(shape(unequal), std::pair(25, 8));
  EXPECT_EQ(shape(scattered), std::pair(3, 8));  // ceil(10 / 4)
  EXPECT_EQ(summed.buffer, x.buffer);
  EXPECT_EQ(shape(exchanged), std::pair(40, 2));

  const Program program = p.take();
  const auto bytes = [&](std::size_t i) { return program.view(i).params<CollectiveParams>().bytes; };
  EXPECT_EQ(bytes(0), Bytes(640));  // full output 40 x 8 x 2
  EXPECT_EQ(bytes(1), Bytes(640));
  EXPECT_EQ(bytes(2), Bytes(400));            // 25 x 8 x 2
  EXPECT_EQ(bytes(3), Bytes(4 * 3 * 8 * 2));  // full input, padded to 12 rows
  EXPECT_EQ(bytes(4), Bytes(160));
  EXPECT_EQ(bytes(5), Bytes(160));  // the local buffer
}

TEST(Collectives, AnExchangeNeedsPeersAndAPrimitive) {
  constexpr OperatorType kDispatch{"dispatch", nullptr, Primitive::kDispatch};
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 1, 8);
  const char* const message = "an exchange needs peers and a collective type";
  EXPECT_EQ(internal_error([&] { p.exchange(kDispatch, "d", {x}, x, {0, 1}, Bytes(1)); }), message);
  EXPECT_EQ(internal_error([&] { p.exchange(kTouch, "d", {x}, x, {0, 2}, Bytes(1)); }), message);
}

// n = 1000 B over 4 ranks: (p-1)/p n = 750; an all-reduce is a reduce-scatter and an all-gather.
TEST(BytesSent, ByHand) {
  const CollectiveParams c{.bytes = Bytes(1000), .ranks = 4};
  EXPECT_EQ(bytes_sent(Primitive::kAllGather, c), Bytes(750));
  EXPECT_EQ(bytes_sent(Primitive::kReduceScatter, c), Bytes(750));
  EXPECT_EQ(bytes_sent(Primitive::kAllToAll, c), Bytes(750));
  EXPECT_EQ(bytes_sent(Primitive::kAllReduce, c), Bytes(1500));
}

RC_GTEST_PROP(BytesSent, AllReduceIsReduceScatterAndAllGather, ()) {
  const auto n = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 60);
  const auto ranks = *rc::gen::inRange(1, 100'000);
  const CollectiveParams c{.bytes = Bytes(n), .ranks = ranks};
  RC_ASSERT(bytes_sent(Primitive::kAllReduce, c) ==
            bytes_sent(Primitive::kReduceScatter, c) + bytes_sent(Primitive::kAllGather, c));
  // floor(n (p-1) / p) = n - ceil(n / p), without a product that could overflow
  RC_ASSERT(bytes_sent(Primitive::kAllGather, c) == Bytes(n - ceil_div(n, ranks)));
}

// ---- values ---------------------------------------------------------------------------------------------------------

TEST(Value, SlicesOfSlicesAddUp) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 10, 8);
  const Value s = x.row_slice(2, 6).row_slice(1, 3).column_slice(4, 4).column_slice(1, 2);
  EXPECT_EQ(s.row, 3);
  EXPECT_EQ(s.rows, 3);
  EXPECT_EQ(s.column, 5);
  EXPECT_EQ(s.columns, 2);
  EXPECT_EQ(s.bytes(), Bytes(3 * 2 * 2));
}

TEST(Value, SlicesStayInside) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 10, 8);
  EXPECT_EQ(internal_error([&] { (void)x.row_slice(5, 6); }), "a row slice leaves its value");
  EXPECT_EQ(internal_error([&] { (void)x.row_slice(-1, 2); }), "a row slice leaves its value");
  EXPECT_EQ(internal_error([&] { (void)x.row_slice(0, -1); }), "a row slice leaves its value");
  EXPECT_EQ(internal_error([&] { (void)x.column_slice(1, 8); }), "a column slice leaves its value");
  EXPECT_EQ(internal_error([&] { (void)x.column_slice(-1, 1); }), "a column slice leaves its value");
  EXPECT_EQ(x.row_slice(10, 0).rows, 0);  // empty at the end is inside
}

TEST(Value, ReshapingKeepsTheElements) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 10, 8);
  EXPECT_EQ(x.reshaped(4, 20).bytes(), x.bytes());
  EXPECT_EQ(x.reshaped(4, 20).columns, 20);
  EXPECT_EQ(internal_error([&] { (void)x.reshaped(4, 21); }), "a reshaped value has other elements");
}

TEST(Value, HalfBytesAreRoundedUp) {
  ProgramBuilder p;
  EXPECT_EQ(p.input(Dtype::kInt4, 1, 3).bytes(), Bytes(2));  // 12 bits
  EXPECT_EQ(p.input(Dtype::kInt4, 2, 3).bytes(), Bytes(3));
}

// ---- equal programs -------------------------------------------------------------------------------------------------

Program one_operator(const char* label, std::int64_t first_row, std::int64_t rows, std::int32_t slice_column) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 10, 8);
  const Value w = p.weight(Dtype::kInt8, 8, 4, {.key = "w", .column = slice_column});
  touch(p, label, {x.row_slice(first_row, rows), w}, {});
  return p.take();
}

TEST(SameWork, DoesNotDependOnWhereAViewOrASliceStarts) {
  EXPECT_TRUE(one_operator("a", 0, 5, 0).same_work(one_operator("a", 3, 5, 4)));
}

TEST(SameWork, DependsOnShapesLabelsAndParameters) {
  EXPECT_FALSE(one_operator("a", 0, 5, 0).same_work(one_operator("a", 0, 6, 0)));
  EXPECT_FALSE(one_operator("a", 0, 5, 0).same_work(one_operator("b", 0, 5, 0)));
  ProgramBuilder p, q;
  p.apply(kTouch, "a", 1, {}, {});
  q.apply(kTouch, "a", 2, {}, {});
  EXPECT_FALSE(p.take().same_work(q.take()));
}

}  // namespace
}  // namespace ascendsim
