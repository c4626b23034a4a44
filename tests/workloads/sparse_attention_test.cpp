// The operators of DeepSeek sparse attention: numbers by hand, and their Work on shapes small enough to count.
#include "workloads/operators/sparse_attention.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/tensors.h"
#include "workloads/kernels.h"

namespace ascendsim {
namespace {

using Matrix = Tensors<double>::Matrix;

struct Computed {
  explicit Computed(ProgramBuilder& p) : program(p.take()), tensors(program, false) {}
  void run() {
    for (std::size_t i = 0; i < program.operators.size(); ++i)
      program.operators[i].type->compute.in_double(program.view(i), tensors);
  }
  [[nodiscard]] Work work(std::size_t i = 0) const { return program.view(i).op().type->work(program.view(i)); }
  Program program;
  Tensors<double> tensors;
};

void expect_rows(const Eigen::Ref<const Matrix>& got, const Matrix& expected, double within = 1e-12) {
  ASSERT_EQ(got.rows(), expected.rows());
  ASSERT_EQ(got.cols(), expected.cols());
  EXPECT_LE((got - expected).cwiseAbs().maxCoeff(), within) << got;
}

// ---- keys and queries of the indexer --------------------------------------------------------------------------------

// (1, 3, 5, 7): mean 4, variance 5. Weight 2, bias 1, and the first two columns turned by 3 radians as one pair.
TEST(IndexKey, IsLayerNormedAndRotatedInFront) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 1, 4), norm = p.weight(Dtype::kFp32, 2, 4, {}),
              at = p.input(Dtype::kInt32, 1, 1);
  const Value cache = p.state(Dtype::kFp32, 3, 4, {.key = "c"});
  const RowMove write{.to = 2, .rows = 1};
  const Value y = index_key_cache(p, "key", x, norm, at, 2, cache, p.add_moves({&write, 1}));
  Computed c(p);
  c.tensors[x] << 1, 3, 5, 7;
  c.tensors[norm] << 2, 2, 2, 2, 1, 1, 1, 1;
  c.tensors[at] << 3;
  c.run();
  const double d = std::sqrt(5 + 1e-6), a = 1 - 6 / d, b = 1 - 2 / d, cosine = std::cos(3), sine = std::sin(3);
  const Matrix expected =
      (Matrix(1, 4) << a * cosine - b * sine, a * sine + b * cosine, 1 + 2 / d, 1 + 6 / d).finished();
  expect_rows(c.tensors[y], expected);
  expect_rows(c.tensors[cache].row(2), expected);
}

// Pairs of four columns are (0, 2) and (1, 3): halves, not neighbours. Frequencies 1 and 10000^(-2/4) = 0.01;
// position 2.
TEST(IndexQueryRope, TurnsHalvesOfTheFirstColumnsOfEachHead) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, 1, 10), at = p.input(Dtype::kInt32, 1, 1);
  index_query_rope(p, "rope", q, at, 2, 4);
  Computed c(p);
  c.tensors[q] << 1, 0, 0, 1, 9, 0, 1, 1, 0, 8;
  c.tensors[at] << 2;
  c.run();
  const double a = std::cos(2), b = std::sin(2), e = std::cos(0.02), f = std::sin(0.02);
  expect_rows(c.tensors[q], (Matrix(1, 10) << a, -f, b, e, 9, -b, e, a, f, 8).finished());
}

// ---- choosing and attending -----------------------------------------------------------------------------------------

// One query of two heads, width 1: scores 2 ReLU(k) - ReLU(-k).
//   keys     3   -1    1   -4    1         (the last one lies after the query)
//   scores   6   -1    2   -4
// A negative score is worse than none, but still chosen where keys are few.
TEST(LightningIndexer, KeepsTheBestVisibleKeys) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, 2, 2), k = p.input(Dtype::kFp32, 5, 1), w = p.input(Dtype::kFp32, 2, 2);
  const AttentionBlock block{.q_rows = 2, .k_rows = 5, .causal = 1, .shift = 2};  // rows see 3 and 4 keys
  const Value chosen = lightning_indexer(
      p, "indexer", {.sequences = {.top_k = 3, .key_rows = 5}, .heads = 2, .width = 1}, {&block, 1}, q, k, w);
  Computed c(p);
  c.tensors[q] << 1, -1, 1, -1;
  c.tensors[k] << 3, -1, 1, -4, 1;
  c.tensors[w] << 2, -1, 2, -1;
  c.run();
  expect_rows(c.tensors[chosen], (Matrix(2, 3) << 0, 2, 1, 0, 2, 1).finished());
}

TEST(LightningIndexer, OfEqualScoresTakesTheEarlierKeyAndLeavesEmptyPlaces) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, 3, 1), k = p.input(Dtype::kFp32, 3, 1), w = p.input(Dtype::kFp32, 3, 1);
  const AttentionBlock block{.q_rows = 3, .k_rows = 3, .causal = 1};
  const Value chosen = lightning_indexer(
      p, "indexer", {.sequences = {.top_k = 2, .key_rows = 3}, .heads = 1, .width = 1}, {&block, 1}, q, k, w);
  Computed c(p);
  c.tensors[q] << 1, 1, 1;
  c.tensors[k] << -1, -2, 0;  // all scores are ReLU = 0
  c.tensors[w] << 1, 1, 1;
  c.run();
  expect_rows(c.tensors[chosen], (Matrix(3, 2) << 0, -1, 0, 1, 0, 1).finished());
}

// Two sequences of two queries and three keys, four rows apart; the second row of each sees all three.
TEST(SparseAttention, GathersTheChosenRowsOfItsOwnSequence) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, 4, 2), k = p.input(Dtype::kFp32, 7, 2), chosen = p.input(Dtype::kInt32, 4, 2);
  const AttentionBlock block{.q_rows = 2, .k_rows = 3, .causal = 1, .shift = 1};  // rows see 2 and 3 keys
  const Value out = sparse_attention(p, "sparse",
                                     {.sequences = {.repeats = 2, .q_stride = 2, .top_k = 2, .k_stride = 4},
                                      .heads = 1,
                                      .key_width = 2,
                                      .latent_width = 1,
                                      .scale = 0.5},
                                     {&block, 1}, q, k, chosen);
  Computed c(p);
  c.tensors[q] << 0, 2, 0, 2, 0, 2, 0, 2;
  c.tensors[k] << 1, 0, 2, std::log(3), 5, 0, 99, 99, 10, 0, 20, 0, 30, std::log(4);
  c.tensors[chosen] << 0, 1, 1, 2, 1, 0, 2, 0;
  c.run();
  // weights are exp(0.5 * 2 * rope key): 1 : 3, 3 : 1, 1 : 1, 4 : 1
  expect_rows(c.tensors[out],
              (Matrix(4, 1) << (1 + 3 * 2) / 4.0, (3 * 2 + 5) / 4.0, 15, (4 * 30 + 10) / 5.0).finished());
  EXPECT_EQ(c.tensors.ledger().matrix_flops, 8 * 2 * (2 + 1));  // 8 selected rows, one head, key and value columns
  EXPECT_EQ(c.work().matrix.count(), 8 * 2 * (2 + 1));
}

// ---- work -----------------------------------------------------------------------------------------------------------

// A prefill of 131,072 tokens of one sequence, one layer: domain figures of DeepSeek-V3.2.
TEST(SparsePairs, OfALongPrompt) {
  const AttentionBlock block{.q_rows = 131'072, .k_rows = 131'072, .causal = 1};
  const QuerySequences s{.top_k = 2048};
  EXPECT_EQ(visible_pairs(s, {&block, 1}), 8'590'000'128);
  EXPECT_EQ(selected_pairs(s, {&block, 1}), 266'339'328);  // 2048 * 2049 / 2 + 129,024 * 2048
}

// Pairs in closed form are those counted query by query.
RC_GTEST_PROP(SparsePairs, AreCounted, ()) {
  const auto number = [](int from, int to) { return *rc::gen::inRange(from, to); };
  const AttentionBlock block{
      .q_rows = number(0, 40), .k_rows = number(0, 60), .causal = number(0, 2), .shift = number(0, 30)};
  const QuerySequences s{.repeats = number(1, 4), .top_k = number(1, 50)};
  std::int64_t visible = 0, selected = 0;
  for (int i = 0; i < block.q_rows; ++i) {
    visible += block.visible(i) * s.repeats;
    selected += std::min<std::int64_t>(block.visible(i), s.top_k) * s.repeats;
  }
  RC_ASSERT(visible_pairs(s, {&block, 1}) == visible);
  RC_ASSERT(selected_pairs(s, {&block, 1}) == selected);
}

Work indexer_work(Dtype keys, int columns, AttentionBlock block) {
  ProgramBuilder p;
  lightning_indexer(p, "indexer",
                    {.sequences = {.repeats = 2,
                                   .q_stride = block.q_rows,
                                   .top_k = 2048,
                                   .k_stride = block.k_rows,
                                   .key_rows = 2 * std::int64_t{block.k_rows}},
                     .heads = 64,
                     .width = 128,
                     .key_tile = 512,
                     .cube_rows = 16,
                     .top_k_ops_per_key = 4,
                     .top_k_ops_per_choice = 3},
                    {&block, 1}, p.input(Dtype::kBf16, 2 * block.q_rows, 64 * 128),
                    p.state(keys, 2 * block.k_rows, columns, {.key = "c"}),
                    p.input(Dtype::kBf16, 2 * block.q_rows, 64));
  return Computed(p).work();
}

// Decode of two sequences of 65,000 tokens: 16,384 FLOP a pair, keys up to the end of the last tile of 512 (65,024),
// and for each of those weighing and summing 64 heads and sorting.
TEST(LightningIndexer, WorkOfADecodeStep) {
  const AttentionBlock block{.q_rows = 1, .k_rows = 65'000, .causal = 1, .shift = 64'999};
  const Work w = indexer_work(Dtype::kBf16, 128, block);
  EXPECT_EQ(w.family, family(Kernel::kLightningIndexer));
  EXPECT_EQ(w.matrix_type, MatrixType::k16Bit);
  EXPECT_EQ(w.matrix.count(), 16'384LL * 2 * 65'000);
  EXPECT_EQ(w.matrix_rounding.count(), 16'384LL * 2 * 24);
  EXPECT_EQ(w.vector.count(), 2LL * 65'024 * (2 * 64 + 4) + 2 * 2048 * 3);
  EXPECT_EQ(w.read.count(), 2LL * 65'000 * 256 + 2 * 64 * 128 * 2 + 2 * 64 * 2);
  EXPECT_EQ(w.written.count(), 2 * 2048 * 4);
  // int8: half the bytes and a 2-byte scale a key; heads are summed by the cube, one row of 16 in 16 bit: 2 * 2 * 16 *
  // 64 a pair.
  const Work int8 = indexer_work(Dtype::kInt8, 130, block);
  EXPECT_EQ(int8.matrix_type, MatrixType::kInt8);
  EXPECT_EQ(int8.matrix, w.matrix);
  EXPECT_EQ(int8.matrix_rounding.count(), 16'384LL * 2 * 24 + 2LL * 65'024 * 4096);
  EXPECT_EQ(int8.vector.count(), 2LL * 65'024 * 4 + 2 * 2048 * 3);
  EXPECT_EQ(int8.read.count(), 2LL * 65'000 * 130 + 2 * 64 * 128 * 2 + 2 * 64 * 2);
}

// A prefill ends its rows anywhere in a tile: half a tile a row on average.
TEST(LightningIndexer, WorkOfAPrefill) {
  const AttentionBlock block{.q_rows = 4096, .k_rows = 4096, .causal = 1};
  const Work w = indexer_work(Dtype::kBf16, 128, block);
  const std::int64_t pairs = 2 * (4096LL * 4097 / 2);
  EXPECT_EQ(w.matrix.count(), 16'384 * pairs);
  EXPECT_EQ(w.matrix_rounding.count(), 16'384LL * 2 * (4096LL * 511 / 2));
}

// 1152 B a selected row and query, whatever the number of heads; four heads are multiplied as sixteen.
TEST(SparseAttention, WorkThatTensorParallelismDoesNotDivide) {
  const auto work = [](int heads) {
    ProgramBuilder p;
    const AttentionBlock block{.q_rows = 3000, .k_rows = 3000, .causal = 1};
    sparse_attention(
        p, "sparse",
        {.sequences = {.top_k = 2048}, .heads = heads, .key_width = 576, .latent_width = 512, .cube_rows = 16},
        {&block, 1}, p.input(Dtype::kBf16, 3000, heads * 576), p.state(Dtype::kBf16, 3000, 576, {.key = "c"}),
        p.input(Dtype::kInt32, 3000, 2048));
    return Computed(p).work();
  };
  const std::int64_t rows = 2048LL * 2049 / 2 + 952 * 2048;
  const Work all = work(128), few = work(4);
  EXPECT_EQ(all.family, family(Kernel::kSparseAttention));
  EXPECT_EQ(all.matrix.count(), 2 * 128 * 1088 * rows);
  EXPECT_EQ(all.matrix_rounding.count(), 0);
  EXPECT_EQ(few.matrix.count(), 2 * 4 * 1088 * rows);
  EXPECT_EQ(few.matrix_rounding.count(), 2 * 12 * 1088 * rows);
  const auto gathered = [](const Work& w, int heads) {
    return w.read.count() - 2 * 3000 * heads * 576 - 4 * 3000 * 2048;
  };
  EXPECT_EQ(gathered(all, 128), 1152 * rows);
  EXPECT_EQ(gathered(few, 4), 1152 * rows);
}

}  // namespace
}  // namespace ascendsim
