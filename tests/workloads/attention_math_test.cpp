// Merging of partial results, with the vectors of hand calculation, and blocks against softmax written out.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/tensors.h"
#include "workloads/operators/attention.h"

namespace ascendsim {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

struct Point {
  double o, lse;
};

void compute_all(const Program& program, Tensors<double>& t, std::size_t first = 0) {
  for (std::size_t i = first; i < program.operators.size(); ++i)
    program.operators[i].type->compute.in_double(program.view(i), t);
}

Point merged_in_one(Point a, Point b) {
  ProgramBuilder p;
  const Value stacked = p.input(Dtype::kFp32, 2, 2);
  const Partial y = merge_with_lse(p, "merge", stacked, 2, 1, 1);
  const Program program = p.take();
  Tensors<double> t(program, false);
  t[stacked] << a.o, a.lse, b.o, b.lse;
  compute_all(program, t);
  return {t[y.out](0, 0), t[y.lse](0, 0)};
}

Point merged_by_sigmoid(Point a, Point b) {
  ProgramBuilder p;
  const Partial into{p.input(Dtype::kFp32, 1, 1), p.input(Dtype::kFp32, 1, 1)};
  const Partial block{p.input(Dtype::kFp32, 1, 1), p.input(Dtype::kFp32, 1, 1)};
  merge_into(p, "merge", block, into);
  const Program program = p.take();
  Tensors<double> t(program, false);
  t[into.out](0, 0) = a.o;
  t[into.lse](0, 0) = a.lse;
  t[block.out](0, 0) = b.o;
  t[block.lse](0, 0) = b.lse;
  compute_all(program, t);
  return {t[into.out](0, 0), t[into.lse](0, 0)};
}

void expect_merge(Point a, Point b, Point expected) {
  for (const Point got : {merged_in_one(a, b), merged_in_one(b, a), merged_by_sigmoid(a, b), merged_by_sigmoid(b, a)}) {
    EXPECT_NEAR(got.o, expected.o, 1e-14);
    if (expected.lse == kNothing)
      EXPECT_EQ(got.lse, kNothing);
    else
      EXPECT_NEAR(got.lse, expected.lse, 1e-14);
  }
}

TEST(MergeMath, OfTwoSets) {
  expect_merge({1, 0}, {5, std::log(3)}, {4, 1.3862943611198906});
  expect_merge({2, 10}, {-1, 8}, {1.642391233933647, 10.126928011042972});
}

TEST(MergeMath, OfEmptySets) {
  expect_merge({0, kNothing}, {7, 3}, {7, 3});
  expect_merge({0, kNothing}, {0, kNothing}, {0, kNothing});
}

TEST(MergeMath, DoesNotOverflow) { expect_merge({1, 5000}, {2, -5000}, {1, 5000}); }

struct Attended {
  Tensors<double>::Matrix out, lse;
  Ledger ledger;
};

// One head of width 1 over keys of zeros: every visible key counts alike, so out = mean of visible values, lse = log
// count.
Attended attend_alike(const AttentionBlock& block, std::int64_t queries, std::int64_t keys) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, queries, 1), k = p.input(Dtype::kFp32, keys, 1),
              v = p.input(Dtype::kFp32, keys, 1);
  const Value out = p.activation(Dtype::kFp32, queries, 1), lse = p.activation(Dtype::kFp32, queries, 1);
  const AttentionBlock blocks[] = {block};
  attend(p, "attention", {.heads = 1, .key_width = 1, .value_width = 1}, blocks, q, k, v, out, lse);
  const Program program = p.take();
  Tensors<double> t(program, false);
  t[k].setZero();
  for (std::int64_t i = 0; i < keys; ++i) t[v](i, 0) = static_cast<double>(i);
  compute_all(program, t);
  return {t[out], t[lse], t.ledger()};
}

// 300 rows and 700 keys cross the tiles of the kernel.
TEST(AttentionMath, MasksRelativeToTheBlock) {
  for (const std::int32_t shift : {0, 1, 200, 650, 699}) {
    const AttentionBlock block{.q_row = 0, .q_rows = 300, .k_row = 0, .k_rows = 700, .causal = 1, .shift = shift};
    const Attended a = attend_alike(block, 300, 700);
    for (int i = 0; i < 300; ++i) {
      const double seen = std::min(i + 1 + shift, 700);
      ASSERT_NEAR(a.lse(i, 0), std::log(seen), 1e-13) << shift << " " << i;
      ASSERT_NEAR(a.out(i, 0), (seen - 1) / 2, 1e-11) << shift << " " << i;
    }
    EXPECT_EQ(a.ledger.useful_flops(), 2 * 2 * block.pairs());
  }
}

TEST(AttentionMath, RowsWithoutKeysAreEmpty) {
  const Attended a = attend_alike({.q_row = 1, .q_rows = 1, .k_row = 0, .k_rows = 2}, 3, 2);
  EXPECT_EQ(a.out(0, 0), 0);
  EXPECT_EQ(a.lse(0, 0), kNothing);
  EXPECT_NEAR(a.out(1, 0), 0.5, 1e-15);
  EXPECT_EQ(a.lse(2, 0), kNothing);
}

}  // namespace
}  // namespace ascendsim
