// The mathematics of the operators of a layer, each against numbers by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "sim/tensors.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/mla_prolog.h"
#include "workloads/operators/routing.h"

namespace ascendsim {
namespace {

using Matrix = Tensors<double>::Matrix;

struct Computed {
  explicit Computed(ProgramBuilder& p) : program(p.take()), tensors(program, false) {}
  void run() {
    for (std::size_t i = 0; i < program.operators.size(); ++i)
      program.operators[i].type->compute.in_double(program.view(i), tensors);
  }
  Program program;
  Tensors<double> tensors;
};

void expect_rows(const Eigen::Ref<const Matrix>& got, const Matrix& expected, double within = 1e-12) {
  ASSERT_EQ(got.rows(), expected.rows());
  ASSERT_EQ(got.cols(), expected.cols());
  EXPECT_LE((got - expected).cwiseAbs().maxCoeff(), within) << got;
}

// (3, 4): mean of squares 12.5. The epsilon 1e-6 moves the eighth digit.
TEST(NormMath, DividesByTheRootMeanSquare) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 1, 2), r = p.input(Dtype::kFp32, 1, 2), w = p.weight(Dtype::kFp32, 1, 2, {});
  const Value y = rms_norm(p, "norm", x, w, Dtype::kFp32), z = add_rms_norm(p, "add_norm", x, r, w, Dtype::kFp32);
  Computed c(p);
  c.tensors[x] << 3, 4;
  c.tensors[r] << 1, -1;
  c.tensors[w] << 10, 1;
  c.run();
  const double rms = std::sqrt(12.5 + 1e-6);
  expect_rows(c.tensors[y], (Matrix(1, 2) << 30 / rms, 4 / rms).finished());
  expect_rows(c.tensors[r], (Matrix(1, 2) << 4, 3).finished());
  expect_rows(c.tensors[z], (Matrix(1, 2) << 40 / rms, 3 / rms).finished());
}

// Two heads of [1 plain | 4 rotated]; frequencies 1 and 10000^(-2/4) = 0.01; positions 0 and 2.
TEST(RopeMath, TurnsInterleavedPairsOfTheLastColumns) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 2, 10), at = p.input(Dtype::kInt32, 2, 1);
  rope(p, "rope", x, at, 2, 4);
  Computed c(p);
  c.tensors[at] << 0, 2;
  c.tensors[x] << 9, 1, 0, 0, 1, 8, 2, 0, 0, 0, 9, 1, 0, 0, 1, 8, 0, 2, 0, 0;
  c.run();
  const double a = std::cos(2), b = std::sin(2), e = std::cos(0.02), f = std::sin(0.02);
  expect_rows(c.tensors[x],
              (Matrix(2, 10) << 9, 1, 0, 0, 1, 8, 2, 0, 0, 0, 9, a, b, -f, e, 8, -2 * b, 2 * a, 0, 0).finished());
}

TEST(LatentMath, NormsRotatesAndWritesTheRowsThatAreNamed) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 2, 4), w = p.weight(Dtype::kFp32, 1, 2, {}), at = p.input(Dtype::kInt32, 2, 1);
  const Value cache = p.state(Dtype::kFp32, 3, 4, {.key = "cache"});
  const RowMove second_to_last{.from = 1, .to = 2, .rows = 1};
  const Value y = kv_norm_rope_cache(p, "kv", x, w, at, cache, p.add_moves({&second_to_last, 1}));
  const Value again = p.state(Dtype::kFp32, 2, 4, {.key = "other"});
  const RowMove both{.from = 0, .to = 1, .rows = 1, .repeats = 2, .from_stride = 1, .to_stride = -1};
  write_cache(p, "write", y, again, 2, p.add_moves({&both, 1}));
  Computed c(p);
  c.tensors[x] << 3, 4, 1, 0, 5, 5, 1, 0;
  c.tensors[w] << 1, 1;
  c.tensors[at] << 0, 2;
  c.tensors[cache].setConstant(7);
  c.run();
  const double rms = std::sqrt(12.5 + 1e-6), one = 5 / std::sqrt(25 + 1e-6);
  const Matrix rows = (Matrix(2, 4) << 3 / rms, 4 / rms, 1, 0, one, one, std::cos(2), std::sin(2)).finished();
  expect_rows(c.tensors[y], rows);
  expect_rows(c.tensors[cache].topRows(2), Matrix::Constant(2, 4, 7));
  expect_rows(c.tensors[cache].bottomRows(1), rows.bottomRows(1));
  expect_rows(c.tensors[again].topRows(1), rows.bottomRows(1));
  expect_rows(c.tensors[again].bottomRows(1), rows.topRows(1));
}

// Scale 254 / 127 = 2: 3 -> 2 steps (ties to even is not used: 1.5 rounds away to 2) -> 4.
TEST(QuantiseMath, KeepsMultiplesOfTheScale) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 2, 3);
  const Value dynamic = quantise(p, "dynamic", x, QuantisationScale::kPerToken);
  const Value fixed = quantise(p, "fixed", x, QuantisationScale::kStatic);
  Computed c(p);
  c.tensors[x] << 254, 3, -0.9, 1.27, 0.5, 0.014;
  c.run();
  expect_rows(c.tensors[dynamic], c.tensors[x]);  // without a calibration nothing is quantised
  Calibration calibration;
  c.tensors.set_calibration(&calibration);
  c.run();
  expect_rows(c.tensors[fixed], c.tensors[x]);  // recording
  calibration.use();
  c.run();
  expect_rows(c.tensors[dynamic], (Matrix(2, 3) << 254, 4, 0, 1.27, 0.5, 0.01).finished());
  expect_rows(c.tensors[fixed], (Matrix(2, 3) << 254, 4, 0, 2, 0, 0).finished());
  c.tensors[x](0, 0) = 1000;  // beyond the range that was seen
  c.run();
  EXPECT_DOUBLE_EQ(c.tensors[fixed](0, 0), 254);
}

TEST(SwigluMath, GatesTheSecondHalfByTheFirst) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 1, 4);
  const Value y = swiglu(p, "swiglu", x, Dtype::kFp32);
  Computed c(p);
  c.tensors[x] << 0, 1, 5, 3;
  c.run();
  expect_rows(c.tensors[y], (Matrix(1, 2) << 0, 3 / (1 + std::exp(-1.0))).finished());
}

TEST(MovementMath, CopiesPlacesAndClears) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 3, 1), z = p.input(Dtype::kFp32, 2, 1);
  const Value padded = copy_rows(p, "pad", x, 4);
  const RowMove turn{.from = 0, .to = 3, .rows = 1, .repeats = 3, .from_stride = 1, .to_stride = -1};
  const Value placed = place_rows(p, "place", x, 5, p.add_moves({&turn, 1}));
  zero_rows(p, "clear", z.row_slice(1, 1));
  const Value turned = transpose(p, "transpose", x), cast_up = cast(p, "cast", x, Dtype::kFp32);
  add(p, "add", z, x.row_slice(1, 2));
  Computed c(p);
  c.tensors[x] << 1, 2, 3;
  c.tensors[z] << 5, 5;
  c.run();
  expect_rows(c.tensors[padded], (Matrix(4, 1) << 1, 2, 3, 0).finished());
  expect_rows(c.tensors[placed], (Matrix(5, 1) << 0, 3, 2, 1, 0).finished());
  expect_rows(c.tensors[z], (Matrix(2, 1) << 7, 3).finished());
  expect_rows(c.tensors[turned], c.tensors[x]);
  expect_rows(c.tensors[cast_up], c.tensors[x]);
}

TEST(HeadMath, LooksUpAndSamples) {
  ProgramBuilder p;
  const Value ids = p.input(Dtype::kInt32, 2, 1), table = p.weight(Dtype::kFp32, 3, 2, {.fan_in = 3});
  const Value part = p.weight(Dtype::kFp32, 1, 2, {.row = 2, .fan_in = 3});  // the third row of it
  const Value rows = embed(p, "embed", ids, table), some = embed(p, "embed", ids, part),
              best = sample(p, "sample", rows);
  Computed c(p);
  c.tensors[ids] << 2, 0;
  c.tensors[table] << 1, 2, 3, 4, 6, 5;
  c.tensors[part] << 6, 5;
  c.run();
  expect_rows(c.tensors[some], (Matrix(2, 2) << 6, 5, 0, 0).finished());
  expect_rows(c.tensors[rows], (Matrix(2, 2) << 6, 5, 1, 2).finished());
  expect_rows(c.tensors[best], (Matrix(2, 1) << 0, 1).finished());
}

// Heads of queries [2 plain | 1 rotated]: the first two columns are multiplied, the last one is copied.
TEST(HeadMath, AbsorbsAndJoinsParts) {
  ProgramBuilder p;
  const Value q = p.input(Dtype::kFp32, 1, 6), w = p.weight(Dtype::kFp32, 1, 4, {});  // [latent 1, 2 heads * 2]
  const Value absorbed = per_head_linear(p, "absorb", q, w.reshaped(2, 2), 2, StoredAs::kTransposed);
  const Value joined = concat_heads(p, "join", absorbed, q, 2, 1);
  Computed c(p);
  c.tensors[q] << 1, 2, 3, 4, 5, 6;
  c.tensors[w] << 10, 1, 1, 100;
  c.run();
  expect_rows(c.tensors[joined], (Matrix(1, 4) << 12, 3, 504, 6).finished());
}

double gate(double score) { return 1 / (1 + std::exp(-score)); }

// 6 experts in 3 groups, the 2 best groups stay, 2 experts a token. Biased scores (sigmoid + bias) of the token:
//   group 0: .5, .5 -> 1.0     group 1: .7311, .2689 -> 1.0     group 2: .8808, .0180 -> .8988 without bias
// A bias of .2 on expert 5 lifts group 2 to 1.0988; group 0 and 1 tie, the first stays. Chosen of {0, 1, 4, 5}: 4
// (.8808), then 0 (.5, before 1). Weights are sigmoid without bias: .8808 and .5, over their sum, times 2.
TEST(RouterMath, KeepsTheBestGroupsThenTheBestExperts) {
  ProgramBuilder p;
  const Value scores = p.input(Dtype::kFp32, 1, 6), bias = p.input(Dtype::kFp32, 1, 6);
  const Routing r = grouped_top_k(p, "top_k", scores, bias, {.top_k = 2, .groups = 3, .kept_groups = 2, .scale = 2});
  Computed c(p);
  c.tensors[scores] << 0, 0, 1, -1, 2, -4;
  c.tensors[bias] << 0, 0, 0, 0, 0, 0.2;
  c.run();
  expect_rows(c.tensors[r.experts], (Matrix(1, 2) << 4, 0).finished());
  const double sum = gate(2) + 0.5;
  expect_rows(c.tensors[r.weights], (Matrix(1, 2) << 2 * gate(2) / sum, 1 / sum).finished());
}

// Two tokens with two experts each; the rank holds experts 2 and 3.
TEST(RoutedMath, DealsMultipliesAndSumsUp) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 2, 1);
  const Routing r{p.input(Dtype::kInt32, 2, 2), p.input(Dtype::kFp32, 2, 2)};
  const Value w = p.weight(Dtype::kFp32, 1, 1, {.key = "w", .first_expert = 2, .experts = 2});
  const Value dealt = deal_out(p, "deal", x, r, w, 1, 4, Dtype::kFp32);
  const Value y = grouped_linear(p, "experts", dealt, w, {2, 2, 4, 2}, 4, Dtype::kFp32);
  const Value sum = sum_up(p, "sum", y, r, 2, 3, Dtype::kFp32);
  Computed c(p);
  c.tensors[x] << 10, 20;
  c.tensors[r.experts] << 3, 0, 2, 3;
  c.tensors[r.weights] << 0.5, 9, 0.25, 1;
  c.tensors[w] << 1, 2;
  c.run();
  expect_rows(c.tensors.real(dealt), (Matrix(3, 1) << 20, 10, 20).finished());  // expert 2: token 1; expert 3: both
  expect_rows(c.tensors.real(y), (Matrix(3, 1) << 20, 20, 40).finished());
  expect_rows(c.tensors[sum], (Matrix(3, 1) << 10, 45, 0).finished());  // .5 * 20; .25 * 20 + 40; padding
  EXPECT_EQ(c.tensors.ledger().matrix_flops, 2 * 3);
}

// Shares of two rows for each of two members that hold two experts each: the third copy for the second member is lost.
TEST(RoutedMath, FixedSharesHaveRoomForSoMany) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 2, 1);
  const Routing r{p.input(Dtype::kInt32, 2, 2), p.input(Dtype::kFp32, 2, 2)};
  const Value dealt = deal_out_all(p, "deal", x, r, 2, 4, 4, Dtype::kFp32);
  const Value padded = pad_shares(p, "pad", dealt, 4, 2), back = collect_copies(p, "collect", padded, 4, 4);
  const Value returned = return_copies(p, "return", back, padded);
  Computed c(p);
  c.tensors[x] << 10, 20;
  c.tensors[r.experts] << 3, 0, 2, 3;
  c.run();
  expect_rows(c.tensors.real(padded), (Matrix(4, 1) << 10, 0, 20, 10).finished());
  expect_rows(c.tensors.real(back), (Matrix(3, 1) << 10, 20, 10).finished());
  expect_rows(c.tensors.real(returned), c.tensors.real(padded));
}

// The fused prolog is the separate operators.
TEST(PrologMath, IsTheOperatorsThatItReplaces) {
  constexpr int kHeads = 2, kNope = 3, kRope = 2, kLatent = 4, kRank = 5, kHidden = 6, kRows = 3;
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, kRows, kHidden), at = p.input(Dtype::kInt32, kRows, 1);
  const auto weight = [&](const char* key, int in, int out) {
    return p.weight(Dtype::kFp32, in, out, {.key = key, .fan_in = in});
  };
  const MlaPrologWeights w{
      weight("n", 1, kHidden),  weight("a", kHidden, kRank + kLatent + kRope), weight("qn", 1, kRank),
      weight("kn", 1, kLatent), weight("b", kRank, kHeads * (kNope + kRope)),  weight("uk", kLatent, kHeads * kNope)};
  const Value fused_cache = p.state(Dtype::kFp32, kRows, kLatent + kRope, {.key = "c"});
  const Value cache = p.state(Dtype::kFp32, kRows, kLatent + kRope, {.key = "c"});
  const RowMove all{.rows = kRows};
  const Moves writes = p.add_moves({&all, 1});
  const Value fused = mla_prolog(p, "prolog", x, w, at, fused_cache, writes, kHeads, kLatent, kRope, Dtype::kFp32);

  const Value a = linear(p, "a", rms_norm(p, "n", x, *w.input_norm, Dtype::kFp32), w.qkv_a, Dtype::kFp32);
  const Value q_c = rms_norm(p, "qn", a.column_slice(0, kRank), w.q_norm, Dtype::kFp32);
  kv_norm_rope_cache(p, "kv", a.column_slice(kRank, kLatent + kRope), w.kv_norm, at, cache, writes);
  const Value q = linear(p, "b", q_c, w.q_b, Dtype::kFp32);
  rope(p, "rope", q, at, kHeads, kRope);
  const Value absorbed =
      per_head_linear(p, "uk", q, w.w_uk.reshaped(kNope, kHeads * kLatent), kHeads, StoredAs::kTransposed);
  const Value joined = concat_heads(p, "join", absorbed, q, kHeads, kRope);
  Computed c(p);
  c.run();
  expect_rows(c.tensors[fused], c.tensors[joined]);
  expect_rows(c.tensors[fused_cache], c.tensors[cache]);
}

// A weight of 127 steps: every stored element is a whole number of steps of the channel's range sqrt(3 / fan_in).
TEST(StoredElements, OfInt8WeightsAreStepsOfTheirRange) {
  const TensorSlice slice{.key = "w", .fan_in = 12};
  for (int i = 0; i < 20; ++i) {
    const double x = hashed_element(slice, BufferKind::kWeight, i, 3, 0), range = std::sqrt(3.0 / 12);
    EXPECT_LE(std::abs(x), range);
    const double steps = stored_element(x, slice, BufferKind::kWeight, Dtype::kInt8) / (range / 127);
    EXPECT_NEAR(steps, std::round(steps), 1e-9);
    EXPECT_NEAR(steps, x / range * 127, 0.5 + 1e-9);
  }
}

}  // namespace
}  // namespace ascendsim
