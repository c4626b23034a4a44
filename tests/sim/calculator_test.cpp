// Collectives on numbers: what arrives where, and what is counted.
#include "sim/calculator.h"

#include <optional>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

constexpr ProgramBuilder::Group kPair{0, 2};
using Matrix = Tensors<double>::Matrix;

// Two ranks with an input each, rows [first, first + rows) of one global tensor; body(p, input) returns what is looked
// at.
template <class Body>
struct Pair {
  Pair(std::vector<std::int32_t> rows, std::int64_t columns, Body body) {
    std::int32_t first = 0;
    for (std::size_t r = 0; r < 2; ++r) {
      ProgramBuilder p;
      std::vector<std::int32_t> mine;
      for (std::int32_t i = 0; i < rows[r]; ++i) mine.push_back(first++);
      inputs.push_back(p.input(Dtype::kFp16, columns, {.key = "x"}, mine));
      results.push_back(body(p, inputs.back(), rows[1 - r]));
      programs.push_back(p.take());
    }
    views = pointers(programs);
    calculator.emplace(views, groups, NumberFormats{});
    calculator->run();
  }
  Matrix in(std::size_t r) { return calculator->rank(r)[inputs[r]]; }
  Matrix out(std::size_t r) { return calculator->rank(r)[results[r]]; }
  std::int64_t sent(std::size_t r) { return calculator->rank(r).ledger().bytes_sent; }

  std::vector<Program> programs;
  std::vector<Value> inputs, results;
  std::vector<const Program*> views;
  std::vector<GroupKind> groups{group_kind("pair", {{0, 1}})};
  std::optional<Calculator<double>> calculator;
};

Matrix stacked(const Matrix& a, const Matrix& b) {
  Matrix m(a.rows() + b.rows(), a.cols());
  m << a, b;
  return m;
}

TEST(Calculator, GathersUnequalRows) {
  Pair pair({3, 1}, 4,
            [](ProgramBuilder& p, Value x, std::int32_t) { return p.all_gather("g", x, kPair, Axis::kRows, 4); });
  for (const std::size_t r : {0, 1}) EXPECT_EQ(pair.out(r), stacked(pair.in(0), pair.in(1)));
  EXPECT_EQ(pair.sent(0), 3 * 4 * 2);
  EXPECT_EQ(pair.sent(1), 1 * 4 * 2);
}

TEST(Calculator, GathersColumns) {
  Pair pair({2, 2}, 3,
            [](ProgramBuilder& p, Value x, std::int32_t) { return p.all_gather("g", x, kPair, Axis::kColumns); });
  Matrix expected(2, 6);
  expected << pair.in(0), pair.in(1);
  for (const std::size_t r : {0, 1}) EXPECT_EQ(pair.out(r), expected);
}

// Three rows over two ranks: the second share is padded with a row of zeros.
TEST(Calculator, ScattersSums) {
  Pair pair({3, 3}, 2, [](ProgramBuilder& p, Value x, std::int32_t) { return p.reduce_scatter("r", x, kPair); });
  const Matrix sum = pair.in(0) + pair.in(1);
  EXPECT_EQ(pair.out(0), sum.topRows(2));
  EXPECT_EQ(pair.out(1), stacked(sum.bottomRows(1), Matrix::Zero(1, 2)));
  EXPECT_EQ(pair.sent(0), 2 * 2 * 2);
}

TEST(Calculator, ReducesInPlace) {
  Pair pair({3, 3}, 4, [](ProgramBuilder& p, Value x, std::int32_t) {
    const Value y = p.activation(x.dtype, 6, x.columns);
    p.shift("fill", x, y.row_slice(0, 3), kPair);
    return p.all_reduce("sum", y.row_slice(0, 3), kPair);
  });
  for (const std::size_t r : {0, 1}) EXPECT_EQ(pair.out(r), pair.in(0) + pair.in(1));
  EXPECT_EQ(pair.sent(0), 3 * 4 * 2 + 3 * 4 * 2);
}

TEST(Calculator, ShiftsToTheNextRank) {
  Pair pair({3, 1}, 4, [](ProgramBuilder& p, Value x, std::int32_t other) {
    const Value y = p.activation(x.dtype, other, x.columns);
    p.shift("s", x, y, kPair);
    return y;
  });
  EXPECT_EQ(pair.out(0), pair.in(1));
  EXPECT_EQ(pair.out(1), pair.in(0));
  EXPECT_EQ(pair.sent(0), 3 * 4 * 2);
}

TEST(Calculator, ExchangesColumnsForRowsAndBack) {
  Pair pair({2, 2}, 4, [](ProgramBuilder& p, Value x, std::int32_t) {
    return p.all_to_all("back", p.all_to_all("there", x, kPair, 4, 2), kPair, 2, 4);
  });
  for (const std::size_t r : {0, 1}) EXPECT_EQ(pair.out(r), pair.in(r));
  EXPECT_EQ(pair.sent(0), 2 * 2 * 2 * 2);
}

TEST(Calculator, NamesAnOperatorWithoutMathematics) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 2, 2);
  touch(p, "nobody knows", {x}, {x});
  const std::vector<Program> programs{p.take()};
  const std::vector<const Program*> views = pointers(programs);
  EXPECT_EQ(internal_error([&] { Calculator<float>(views, {}, {}).run(); }),
            "the calculator cannot execute 'touch' yet ('nobody knows', operator 0 of rank 0, layer -1)");
}

TEST(Tensors, SlicesOfOneTensorAgree) {
  ProgramBuilder p;
  const Value whole = p.weight(Dtype::kFp16, 4, 6, {.key = "w"});
  const Value part = p.weight(Dtype::kFp16, 2, 3, {.key = "w", .row = 2, .column = 3});
  const Value other = p.weight(Dtype::kFp16, 2, 3, {.key = "v", .row = 2, .column = 3});
  const Program program = p.take();
  Tensors<double> t(program, false);
  EXPECT_EQ(Matrix(t[part]), Matrix(t[whole]).bottomRightCorner(2, 3));
  EXPECT_NE(Matrix(t[part]), Matrix(t[other]));
}

TEST(Tensors, RoundToTheirTypes) {
  EXPECT_EQ(rounded(1.0 + 0x1p-11, Dtype::kFp16), 1.0);  // a tie goes to the even neighbour
  EXPECT_EQ(rounded(1.0 + 0x1p-10, Dtype::kFp16), 1.0 + 0x1p-10);
  EXPECT_EQ(rounded(1.0 + 0x1p-8, Dtype::kBf16), 1.0);
  EXPECT_EQ(rounded(1.0 + 0x1p-30, Dtype::kFp32), 1.0);
}

}  // namespace
}  // namespace ascendsim
