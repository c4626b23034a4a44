#include "sim/verifier.h"

#include <gtest/gtest.h>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

constexpr ProgramBuilder::Group kPair{0, 2};

// What the verifier says about two ranks that form one pair.
template <class First, class Second>
std::string verdict(First first, Second second) {
  std::vector<Program> programs;
  ProgramBuilder p, q;
  p.set_layer(3);
  q.set_layer(3);
  first(p);
  second(q);
  programs.push_back(p.take());
  programs.push_back(q.take());
  const Folding folding = unfolded(2, std::vector{group_kind("pair", {{0, 1}}), group_kind("again", {{0, 1}})});
  return internal_error([&] { verify(pointers(programs), folding); });
}

Value written(ProgramBuilder& p, Dtype dtype = Dtype::kFp16, std::int64_t rows = 4, std::int64_t columns = 8) {
  const Value x = p.activation(dtype, rows, columns);
  touch(p, "write", {}, {x});
  return x;
}

TEST(Verifier, AcceptsMatchingPrograms) {
  const auto rank = [](ProgramBuilder& p) {
    Value x = p.all_reduce("sum", written(p), kPair);
    x = p.reduce_scatter("scatter", x, kPair);
    x = p.all_gather("gather", x, kPair);
    x = p.all_gather("widen", x, kPair, Axis::kColumns);
    x = p.all_to_all("swap", x, kPair, 8, 4);
    touch(p, "read", {x}, {});
  };
  EXPECT_EQ(verdict(rank, rank), "");
}

TEST(Verifier, RanksMayDoDifferentLocalWork) {
  EXPECT_EQ(verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); },
                    [](ProgramBuilder& p) {
                      const Value x = written(p);
                      touch(p, "more", {x}, {x});
                      p.all_reduce("sum", x, kPair);
                    }),
            "");
}

TEST(Verifier, NamesARankThatDroppedACollective) {
  EXPECT_EQ(
      verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); }, [](ProgramBuilder& p) { written(p); }),
      "the programs of the ranks do not match: rank 0 waits in 'sum' (operator 1, layer 3); rank 1 has finished; ");
}

TEST(Verifier, NamesRanksThatWaitForEachOtherInDifferentGroups) {
  const auto rank = [](std::uint8_t first, const char* first_label, std::uint8_t second, const char* second_label) {
    return [=](ProgramBuilder& p) {
      const Value x = p.all_reduce(first_label, written(p), {first, 2});
      p.all_reduce(second_label, x, {second, 2});
    };
  };
  EXPECT_EQ(verdict(rank(0, "one", 1, "two"), rank(1, "two", 0, "one")),
            "the programs of the ranks do not match: rank 0 waits in 'one' (operator 1, layer 3); "
            "rank 1 waits in 'two' (operator 1, layer 3); ");
}

TEST(Verifier, NamesARankThatSwappedTwoStepsOfOneGroup) {
  const auto rank = [](const char* first, const char* second) {
    return [=](ProgramBuilder& p) { p.all_reduce(second, p.all_reduce(first, written(p), kPair), kPair); };
  };
  EXPECT_EQ(verdict(rank("one", "two"), rank("two", "one")),
            "rank 1 enters 'two' (operator 1, layer 3) with a different step than its peers");
}

TEST(Verifier, NamesARankWithAnotherPrimitive) {
  EXPECT_EQ(verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); },
                    [](ProgramBuilder& p) { p.reduce_scatter("sum", written(p), kPair); }),
            "rank 1 enters 'sum' (operator 1, layer 3) with a different collective than its peers");
}

TEST(Verifier, NamesARankOnAnotherStream) {
  EXPECT_EQ(verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); },
                    [](ProgramBuilder& p) {
                      p.set_lane(1);
                      p.all_reduce("sum", written(p), kPair);
                    }),
            "rank 1 enters 'sum' (operator 1, layer 3) with another stream than its peers");
}

// Two all-reduces of 4 x 8 elements, but for one property.
std::string all_reduce_against(Dtype dtype, std::int64_t rows, std::int64_t columns) {
  return verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); },
                 [=](ProgramBuilder& p) { p.all_reduce("sum", written(p, dtype, rows, columns), kPair); });
}

TEST(Verifier, NamesARankWithAnotherElementType) {
  EXPECT_EQ(all_reduce_against(Dtype::kBf16, 4, 8),
            "rank 1 enters 'sum' (operator 1, layer 3) with another element type");
}

TEST(Verifier, NamesARankWithAnotherWidth) {
  EXPECT_EQ(all_reduce_against(Dtype::kFp16, 4, 7), "rank 1 enters 'sum' (operator 1, layer 3) with another width");
}

TEST(Verifier, NamesARankWithOtherRows) {
  EXPECT_EQ(all_reduce_against(Dtype::kFp16, 5, 8),
            "rank 1 enters 'sum' (operator 1, layer 3) with other rows than its peers");
}

TEST(Verifier, NamesARankThatScattersOtherRows) {
  EXPECT_EQ(verdict([](ProgramBuilder& p) { p.reduce_scatter("scatter", written(p), kPair); },
                    [](ProgramBuilder& p) { p.reduce_scatter("scatter", written(p, Dtype::kFp16, 6), kPair); }),
            "rank 1 enters 'scatter' (operator 1, layer 3) with other rows than its peers");
}

TEST(Verifier, NamesARankWithAnotherGroupSize) {
  EXPECT_EQ(verdict([](ProgramBuilder& p) { p.all_reduce("sum", written(p), kPair); },
                    [](ProgramBuilder& p) {
                      p.all_reduce("sum", written(p), {0, 3});
                    }),
            "rank 1 enters 'sum' (operator 1, layer 3) with another group size");
}

// Shares of 4 and 6 rows: both must make room for 10.
TEST(Verifier, AnAllGatherMayHaveUnequalShares) {
  const auto rank = [](std::int64_t rows, std::int64_t room) {
    return [=](ProgramBuilder& p) { p.all_gather("gather", written(p, Dtype::kFp16, rows), kPair, Axis::kRows, room); };
  };
  EXPECT_EQ(verdict(rank(4, 10), rank(6, 10)), "");
  EXPECT_EQ(verdict(rank(4, 10), rank(6, 12)),
            "rank 1 enters 'gather' (operator 1, layer 3) with room for other rows than its peers send");
}

TEST(Verifier, NamesARankThatGathersColumnsOfOtherRows) {
  const auto rank = [](std::int64_t rows) {
    return [=](ProgramBuilder& p) { p.all_gather("gather", written(p, Dtype::kFp16, rows), kPair, Axis::kColumns); };
  };
  EXPECT_EQ(verdict(rank(4), rank(6)), "rank 1 enters 'gather' (operator 1, layer 3) with other rows than its peers");
}

TEST(Verifier, NamesAReadBeforeTheWrite) {
  const auto read_first = [](ProgramBuilder& p) {
    const Value x = p.activation(Dtype::kFp16, 4, 8);
    touch(p, "read", {x}, {});
    touch(p, "write", {}, {x});
  };
  EXPECT_EQ(verdict(read_first, [](ProgramBuilder&) {}),
            "rank 0 enters 'read' (operator 0, layer 3) with a value that nothing has written");
  EXPECT_EQ(verdict([](ProgramBuilder&) {},
                    [](ProgramBuilder& p) {
                      p.all_gather("gather", p.activation(Dtype::kFp16, 4, 8), {1, 2});
                    }),
            "the programs of the ranks do not match: rank 0 has finished; "
            "rank 1 waits in 'gather' (operator 0, layer 3); ");
}

TEST(Verifier, InputsWeightsAndStatesAreWrittenFromTheStart) {
  EXPECT_EQ(verdict(
                [](ProgramBuilder& p) {
                  touch(
                      p, "read",
                      {p.input(Dtype::kInt32, 1, 1), p.weight(Dtype::kInt8, 1, 1, {}), p.state(Dtype::kFp16, 1, 1, {})},
                      {});
                },
                [](ProgramBuilder&) {}),
            "");
}

TEST(Verifier, ACollectiveNeedsAGroupOfItsKind) {
  const std::vector<GroupKind> kinds{group_kind("pair", {{0, 1}})};
  std::vector<Program> programs;
  for (int rank = 0; rank < 3; ++rank) {
    ProgramBuilder p;
    p.all_reduce("sum", p.input(Dtype::kFp16, 1, 1), kPair);
    programs.push_back(p.take());
  }
  EXPECT_EQ(internal_error([&] { verify(pointers(programs), unfolded(3, kinds)); }),
            "a collective names a group kind that its rank is not in");
}

// A class of two ranks is verified by one of them: the group still counts two.
TEST(Verifier, FoldedClassesCountAllTheirRanks) {
  const std::vector<GroupKind> kinds{group_kind("all", {{0, 1, 2, 3}})};
  std::vector<Program> programs;
  for (const std::int64_t rows : {2, 3}) {
    ProgramBuilder p;
    p.all_gather("gather", p.input(Dtype::kFp16, rows, 1), {0, 4}, Axis::kRows, 2 + 3 + 3 + 3);
    programs.push_back(p.take());
  }
  const Folding folding = fold(std::vector<std::uint64_t>{0, 1, 1, 1}, kinds);
  EXPECT_EQ(internal_error([&] { verify(pointers(programs), folding); }), "");
}

}  // namespace
}  // namespace ascendsim
