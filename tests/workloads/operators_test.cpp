// The Work of every operator on shapes small enough to count by hand. FLOPs: 2 per multiply-accumulate.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <array>

#include "workloads/kernels.h"
#include "workloads/operators/attention.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/mla_prolog.h"
#include "workloads/operators/routing.h"

namespace ascendsim {
namespace {

// The work of the last operator that `build` puts into a program.
template <class Build>
Work work_of(Build build) {
  ProgramBuilder p;
  build(p);
  const Program program = p.take();
  const OperatorView v = program.view(program.operators.size() - 1);
  return v.op().type->work(v);
}

using Shape = std::array<std::int64_t, 4>;  // groups x [m, k] x [k, n] as m, k, n, groups
Shape shape(const Work& w) { return {w.m, w.k, w.n, w.groups}; }

void expect_family(const Work& w, Kernel kernel) { EXPECT_EQ(w.family, family(kernel)); }

// ---- linear ---------------------------------------------------------------------------------------------------------

TEST(Linear, Int8) {
  const Work w = work_of([](ProgramBuilder& p) {
    const Value x = p.input(Dtype::kInt8, 4, 7168);
    linear(p, "qkv_a", x, p.weight(Dtype::kInt8, 7168, 2112, {.key = "qkv_a", .extra = Bytes(16 * 2112)}));
  });
  expect_family(w, Kernel::kGemmInt8);
  EXPECT_EQ(w.matrix_type, MatrixType::kInt8);
  EXPECT_EQ(w.matrix.count(), 121'110'528);                 // 2 * 4 * 7168 * 2112
  EXPECT_EQ(w.read.count(), 28'672 + 15'138'816 + 33'792);  // x, w, 16 B of scales a channel
  EXPECT_EQ(w.written.count(), 4 * 2112 * 2);               // dequantised to 16 bits
  EXPECT_EQ(shape(w), (Shape{4, 7168, 2112, 1}));
  EXPECT_EQ(w.bytes_a + w.bytes_b, 1 + 1);
  EXPECT_EQ(w.launches, 1);
}

TEST(Linear, SixteenBitsAndFp32) {
  const auto gemm = [](Dtype x, Dtype weight) {
    return work_of([=](ProgramBuilder& p) { linear(p, "l", p.input(x, 3, 8), p.weight(weight, 8, 5, {}), x); });
  };
  const Work half = gemm(Dtype::kBf16, Dtype::kBf16);
  expect_family(half, Kernel::kGemm16);
  EXPECT_EQ(half.matrix_type, MatrixType::k16Bit);
  EXPECT_EQ(half.read.count(), (3 * 8 + 8 * 5) * 2);
  const Work full = gemm(Dtype::kFp32, Dtype::kFp32);
  expect_family(full, Kernel::kGemmFp32);
  EXPECT_EQ(full.matrix_type, MatrixType::kFp32);
  EXPECT_EQ(full.read.count(), (3 * 8 + 8 * 5) * 4);
  EXPECT_EQ(full.written.count(), 3 * 5 * 4);
  EXPECT_EQ(full.matrix, Flops(2 * 3 * 8 * 5));
}

TEST(Linear, OfNoRowsStartsNothing) {
  const Work w =
      work_of([](ProgramBuilder& p) { linear(p, "l", p.input(Dtype::kFp16, 0, 8), p.weight(Dtype::kFp16, 8, 5, {})); });
  EXPECT_EQ(w.launches, 0);
  EXPECT_EQ(w.matrix, Flops(0));
  EXPECT_EQ(w.read, Bytes(0));
}

TEST(Linear, WidthsMustFit) {
  ProgramBuilder p;
  EXPECT_THROW(linear(p, "l", p.input(Dtype::kFp16, 3, 8), p.weight(Dtype::kFp16, 9, 5, {})), InternalError);
  EXPECT_THROW(per_head_linear(p, "l", p.input(Dtype::kFp16, 3, 8), p.weight(Dtype::kFp16, 8, 6, {}), 2),
               InternalError);
}

// 16 heads of [b, 128] x [128, 512] each: 2 b * 16 * 128 * 512.
TEST(PerHeadLinear, AbsorbsHeadByHead) {
  const Work w = work_of([](ProgramBuilder& p) {
    per_head_linear(p, "q_absorb", p.input(Dtype::kFp16, 3, 16 * 128), p.weight(Dtype::kFp16, 128, 16 * 512, {}), 16);
  });
  expect_family(w, Kernel::kGemm16);
  EXPECT_EQ(w.matrix.count(), 2 * 3 * 16 * 128 * 512);
  EXPECT_EQ(w.read.count(), 2 * (3 * 2048 + 128 * 8192));
  EXPECT_EQ(w.written.count(), 2 * 3 * 8192);
  EXPECT_EQ(shape(w), (Shape{3, 128, 512, 16}));
}

// ---- routed experts -------------------------------------------------------------------------------------------------

// 16 local experts of 256, 8 copies a token: 16 (1 - (1 - 1/32)^n).
TEST(RoutedRows, ExpertsHit) {
  EXPECT_DOUBLE_EQ(RoutedRows{.tokens = 1}.experts_hit(), 0.5);
  EXPECT_NEAR(RoutedRows{.tokens = 8}.experts_hit(), 3.58880, 5e-6);
  EXPECT_NEAR(RoutedRows{.tokens = 64}.experts_hit(), 13.90266, 5e-6);
  EXPECT_DOUBLE_EQ(RoutedRows{.tokens = 131'072}.experts_hit(), 16.0);
  EXPECT_EQ(RoutedRows{}.experts_hit(), 0.0);
}

// 131072 tokens * 8 copies / 16 ranks = 65536; 3 tokens: 1.5 copies are expected, 2 rows are reserved.
TEST(RoutedRows, ExpectedCopies) {
  EXPECT_EQ(RoutedRows{.tokens = 131'072}.expected(), 65'536);
  EXPECT_EQ(RoutedRows{.tokens = 3}.expected(), 2);
}

RC_GTEST_PROP(RoutedRows, CopiesOfAllRanksAreEightATokenAndNoMoreExpertsThanThereAreAreHit, ()) {
  const auto tokens = *rc::gen::inRange<std::int64_t>(0, 1 << 20);
  const auto ep = *rc::gen::element(1, 2, 4, 8, 16, 32, 64);
  const RoutedRows r{.tokens = tokens, .local_experts = 256 / ep};
  RC_ASSERT(r.copies_times_experts() * ep == 8 * tokens * 256);
  RC_ASSERT(r.experts_hit() <= r.local_experts);
  RC_ASSERT(r.experts_hit() <= static_cast<double>(8 * tokens));
}

Work grouped(std::int64_t tokens, Dtype weight, Dtype x = Dtype::kInt8) {
  return work_of([=](ProgramBuilder& p) {
    const RoutedRows rows{.tokens = tokens};
    const Value w = p.weight(weight, 7168, 4096, {.key = "gate_up", .experts = 16, .extra = Bytes(16 * 8 * 4096)});
    grouped_linear(p, "gate_up", p.input(x, rows.expected(), 7168), w, rows, 0);
  });
}

// 8 tokens: 8 * 8 / 16 = 4 copies on 3.58880 of 16 experts. Experts are int8 [7168, 4096] with 8 B of scales a channel:
// 29,360,128 + 32,768 = 29,392,896 B each; 3.5888 of them, 16 (1 - (31/32)^8) exactly.
TEST(GroupedLinear, StreamsTheExpertsThatAreHit) {
  const Work w = grouped(8, Dtype::kInt8);
  expect_family(w, Kernel::kGroupedGemmInt8);
  EXPECT_EQ(w.matrix.count(), 2LL * 4 * 7168 * 4096);
  EXPECT_NEAR(static_cast<double>(w.read.count() - 4 * 7168), 3.58880 * 29'392'896, 5e-6 * 29'392'896);
  EXPECT_EQ(w.written.count(), 4 * 4096 * 2);
  EXPECT_EQ(shape(w), (Shape{1, 7168, 4096, 4}));  // 4 hit, a row each
}

// 131072 tokens hit every expert: 65536 copies over 16 groups.
TEST(GroupedLinear, OfALongPrefillStreamsAllExperts) {
  const Work w = grouped(131'072, Dtype::kInt8);
  EXPECT_EQ(w.matrix.count(), 2LL * 65'536 * 7168 * 4096);
  EXPECT_EQ(w.read.count(), 65'536LL * 7168 + 16LL * 29'392'896);
  EXPECT_EQ(shape(w), (Shape{4096, 7168, 4096, 16}));
}

// Half the bytes; twice the rows at twice the rate, which is the int8 FLOPs of the rows that there are.
TEST(GroupedLinear, Int4HalvesTheWeightsAndMultipliesTwoHalvesOfEveryRow) {
  const Work w = grouped(131'072, Dtype::kInt4);
  expect_family(w, Kernel::kGroupedGemmInt4);
  EXPECT_EQ(w.matrix_type, MatrixType::kInt8);
  EXPECT_EQ(w.matrix.count(), 2LL * 65'536 * 7168 * 4096);
  EXPECT_EQ(w.read.count(), 65'536LL * 7168 + 16LL * (14'680'064 + 32'768));
  EXPECT_EQ(shape(w), (Shape{2 * 4096, 7168, 4096, 16}));
}

TEST(SplitRows, ReadsAndWritesAsManyBytes) {
  const auto split = [](std::int64_t rows) {
    return work_of([=](ProgramBuilder& p) { split_rows(p, "split", p.input(Dtype::kInt8, rows, 64)); });
  };
  EXPECT_EQ(split(3).read.count(), 3 * 64);
  EXPECT_EQ(split(3).written.count(), 3 * 64);  // two rows of half a byte an element
  EXPECT_EQ(split(3).vector.count(), 8 * 3 * 64);
  EXPECT_EQ(split(0).launches, 0);
  ProgramBuilder p;
  EXPECT_THROW(split_rows(p, "split", p.input(Dtype::kBf16, 3, 64)), InternalError);
}

TEST(GroupedLinear, SixteenBits) {
  const Work w = grouped(16, Dtype::kBf16, Dtype::kBf16);
  expect_family(w, Kernel::kGroupedGemm16);
  EXPECT_EQ(w.matrix_type, MatrixType::k16Bit);
}

// An expected number of copies may be a fraction: 3 tokens are 1.5 copies of 2 k n FLOP, although 2 rows are reserved.
TEST(GroupedLinear, CountsTheFlopsOfFractionalCopiesExactly) {
  EXPECT_EQ(grouped(3, Dtype::kInt8).matrix.count(), 3LL * 7168 * 4096);
}

TEST(GroupedLinear, OfNoTokensStartsNothing) { EXPECT_EQ(grouped(0, Dtype::kInt8).launches, 0); }

// ---- attention blocks -----------------------------------------------------------------------------------------------

std::int64_t pairs(std::int32_t q, std::int32_t k, bool causal, std::int32_t shift = 0) {
  return AttentionBlock{.q_rows = q, .k_rows = k, .causal = causal, .shift = shift}.pairs();
}

TEST(AttentionBlock, PairsByHand) {
  EXPECT_EQ(pairs(4, 10, false), 40);
  EXPECT_EQ(pairs(5, 5, true), 15);      // 1 + 2 + 3 + 4 + 5
  EXPECT_EQ(pairs(3, 10, true, 4), 18);  // 5 + 6 + 7: a prefix of 4 keys
  EXPECT_EQ(pairs(5, 6, true, 3), 27);   // 4 + 5 + 6 + 6 + 6: the keys run out
  EXPECT_EQ(pairs(5, 3, true), 12);      // 1 + 2 + 3 + 3 + 3
  EXPECT_EQ(pairs(5, 3, true, 9), 15);   // every query sees all keys
  EXPECT_EQ(pairs(0, 3, true), 0);
  EXPECT_EQ(pairs(131'072, 131'072, true), 8'590'000'128);
}

// Keys in order, queries every `step`-th position: query i sees 1 + shift + i step keys, and no more than there are.
RC_GTEST_PROP(AttentionBlock, PairsAreWhatTheRowsSee, ()) {
  const AttentionBlock b{.q_rows = *rc::gen::inRange(1, 60),
                         .k_rows = *rc::gen::inRange(1, 300),
                         .causal = 1,
                         .shift = *rc::gen::inRange(0, 400),
                         .step = *rc::gen::inRange(1, 20)};
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < b.q_rows; ++i) {
    RC_ASSERT(b.visible(i) == std::min<std::int64_t>(b.k_rows, 1 + b.shift + i * b.step));
    seen += b.visible(i);
  }
  RC_ASSERT(b.pairs() == seen);
}

RC_GTEST_PROP(AttentionBlock, PairsEqualACount, (bool causal)) {
  const auto q = *rc::gen::inRange(0, 60), k = *rc::gen::inRange(0, 60), shift = *rc::gen::inRange(0, 70);
  std::int64_t count = 0;
  for (int i = 0; i < q; ++i)
    for (int j = 0; j < k; ++j) count += !causal || j <= i + shift;
  RC_ASSERT(pairs(q, k, causal, shift) == count);
}

Work prefill(std::vector<AttentionBlock> blocks, bool accumulate = false) {
  return work_of([&](ProgramBuilder& p) {
    PrefillCore core{.heads = 2,
                     .key_width = 192,
                     .value_width = 128,
                     .tile = 4,
                     .softmax_ops_per_score = 10,
                     .softmax_ops_per_row = 100,
                     .accumulate = accumulate};
    attend(p, "attention", core, blocks, p.input(Dtype::kFp16, 5, 384), p.input(Dtype::kFp16, 7, 384),
           p.input(Dtype::kFp16, 7, 256), p.activation(Dtype::kFp16, 5, 256), p.activation(Dtype::kFp32, 5, 2));
  });
}

// A pair costs 2 * 2 heads * (192 + 128) = 1280 FLOP.
TEST(Attention, FullBlock) {
  const Work w = prefill({{.q_rows = 5, .k_rows = 7}});
  expect_family(w, Kernel::kAttentionPrefill);
  EXPECT_EQ(w.matrix.count(), 35 * 1280);
  EXPECT_EQ(w.matrix_rounding.count(), 0);
  EXPECT_EQ(w.vector.count(), 2 * (35 * 10 + 5 * 100));  // heads * (scores + rows)
  EXPECT_EQ(w.read.count(), 2 * (5 * 384 + 7 * 384 + 7 * 256));
  EXPECT_EQ(w.written.count(), 2 * 5 * 256 + 4 * 5 * 2);
}

// 5 causal rows in mask tiles of 4: each row computes (4 - 1) / 2 pairs too many on average, 7 in whole pairs.
TEST(Attention, TheDiagonalIsComputedInWholeTiles) {
  const Work w = prefill({{.q_rows = 5, .k_rows = 5, .causal = 1}});
  EXPECT_EQ(w.matrix.count(), 15 * 1280);
  EXPECT_EQ(w.matrix_rounding.count(), 7 * 1280);
  EXPECT_EQ(w.vector.count(), 2 * ((15 + 7) * 10 + 5 * 100));
}

TEST(Attention, BlocksAddUpAndAccumulatingReadsTheResultsAgain) {
  const AttentionBlock triangle{.q_rows = 3, .k_rows = 3, .causal = 1},
      full{.q_row = 3, .q_rows = 2, .k_row = 3, .k_rows = 4};
  const Work first = prefill({triangle, full}), later = prefill({triangle, full}, true);
  EXPECT_EQ(first.matrix.count(), (6 + 8) * 1280);
  EXPECT_EQ(later.matrix, first.matrix);
  EXPECT_EQ(later.read, first.read + first.written);
}

TEST(Attention, WithoutPairsStartsNothing) { EXPECT_EQ(prefill({{.q_rows = 0, .k_rows = 0}}).launches, 0); }

// 3 queries of 16 heads, each over 1000 cached rows of 576 columns, 512 of which are values:
// 2 * 16 * (576 + 512) * 3000 FLOP; the cache is read once: 3000 rows of 1152 B.
TEST(AbsorbedAttention, ByHand) {
  const Work w = work_of([](ProgramBuilder& p) {
    attend_absorbed(p, "mla_decode",
                    {.heads = 16, .key_width = 576, .latent_width = 512, .context = 3000, .cache_rows = 3000},
                    p.input(Dtype::kFp16, 3, 16 * 576), p.state(Dtype::kFp16, 3000, 576, {}), Dtype::kFp32);
  });
  expect_family(w, Kernel::kMlaDecode);
  EXPECT_EQ(w.matrix.count(), 2LL * 16 * 1088 * 3000);
  EXPECT_EQ(w.read.count(), 3000 * 1152 + 3 * 16 * 576 * 2);
  EXPECT_EQ(w.written.count(), 3 * 16 * 512 * 2 + 3 * 16 * 4);
}

// The 512 latent columns of an int8 cache are multiplied in int8 on both sides, the 64 rope columns in 16 bit: at the
// int8 rate they count twice.
TEST(AbsorbedAttention, OfAnInt8LatentRunsAtTheInt8Rate) {
  const Work w = work_of([](ProgramBuilder& p) {
    attend_absorbed(p, "mla_decode",
                    {.heads = 16, .key_width = 576, .latent_width = 512, .context = 3000, .cache_rows = 3000},
                    p.input(Dtype::kFp16, 3, 16 * 576), p.state(Dtype::kInt8, 3000, 640, {}), Dtype::kFp32);
  });
  EXPECT_EQ(w.matrix_type, MatrixType::kInt8);
  EXPECT_EQ(w.matrix.count(), 2LL * 16 * 1088 * 3000);
  EXPECT_EQ(w.matrix_rounding.count(), 2LL * 16 * 64 * 3000);
  EXPECT_EQ(w.read.count(), 3000 * 640 + 3 * 16 * 576 * 2);
}

// At 131,072 tokens, one query of TP8's 16 heads: 4,563,402,752 FLOP over 150,994,944 B of cache.
TEST(AbsorbedAttention, AtALongContext) {
  const Work w = work_of([](ProgramBuilder& p) {
    attend_absorbed(p, "mla_decode",
                    {.heads = 16, .key_width = 576, .latent_width = 512, .context = 131'072, .cache_rows = 131'072},
                    p.input(Dtype::kFp16, 1, 16 * 576), p.state(Dtype::kFp16, 131'072, 576, {}), Dtype::kFp32);
  });
  EXPECT_EQ(w.matrix.count(), 4'563'402'752);
  EXPECT_EQ(w.read.count() - 16 * 576 * 2, 150'994'944);
}

TEST(AbsorbedAttention, OfAnEmptyShardStartsNothing) {
  const Work w = work_of([](ProgramBuilder& p) {
    attend_absorbed(p, "mla_decode", {.heads = 1, .key_width = 576, .latent_width = 512}, p.input(Dtype::kFp16, 1, 576),
                    p.state(Dtype::kFp16, 0, 576, {}), Dtype::kFp32);
  });
  EXPECT_EQ(w.launches, 0);
}

// 8 partial results of [2, 16 * 513] stacked -> [2, 16 * 512]: 4 lane operations an element.
TEST(MergePartials, ByHand) {
  const Work w = work_of([](ProgramBuilder& p) {
    merge_partials(p, "fa_update", p.input(Dtype::kFp16, 8 * 2, 16 * 513), 8, 2, 16 * 512, Dtype::kFp16);
  });
  expect_family(w, Kernel::kMerge);
  EXPECT_EQ(w.vector.count(), 4 * 16 * 16 * 513);
  EXPECT_EQ(w.read.count(), 2 * 16 * 16 * 513);
  EXPECT_EQ(w.written.count(), 2 * 2 * 16 * 512);
}

TEST(PackPartial, MovesOutputAndLogSumExp) {
  const Work w = work_of([](ProgramBuilder& p) {
    const Partial partial{p.input(Dtype::kFp16, 2, 16 * 512), p.input(Dtype::kFp32, 2, 16)};
    pack_partial(p, "pack", partial, Dtype::kFp16);
  });
  expect_family(w, Kernel::kDataMovement);
  EXPECT_EQ(w.read.count(), 2 * 2 * 16 * 512 + 4 * 2 * 16);
  EXPECT_EQ(w.written.count(), 2 * 2 * 16 * 513);
}

// ---- the fused decode prolog ----------------------------------------------------------------------------------------

// b = 2 rows, hidden 64, q rank 16, latent 8 + rope 4, 2 heads of nope 8:
//   qkv_a [64, 28], q_b [16, 2 * (8 + 4)], w_uk [8, 2 * 8]
TEST(MlaProlog, ByHand) {
  const auto prolog = [](Dtype weight, bool norms = true) {
    return work_of([=](ProgramBuilder& p) {
      std::optional<Value> norm;
      if (norms) norm = p.weight(Dtype::kFp16, 1, 64, {});
      const MlaPrologWeights w{norm,
                               p.weight(weight, 64, 28, {}),
                               p.weight(Dtype::kFp16, 1, 16, {}),
                               p.weight(Dtype::kFp16, 1, 8, {}),
                               p.weight(weight, 16, 24, {}),
                               p.weight(Dtype::kFp16, 8, 16, {})};
      const RowMove write{.rows = 2};
      mla_prolog(p, "mla_prolog", p.input(Dtype::kFp16, 2, 64), w, p.input(Dtype::kInt32, 2, 1),
                 p.state(Dtype::kFp16, 9, 12, {}), p.add_moves({&write, 1}), 2, 8, 4, Dtype::kFp16);
    });
  };
  const std::int64_t projections = 2 * 2 * (64 * 28 + 16 * 24), absorb = 2 * 2 * 8 * 16;
  const Work int8 = prolog(Dtype::kInt8);
  expect_family(int8, Kernel::kMlaProlog);
  EXPECT_EQ(int8.matrix_type, MatrixType::kInt8);
  EXPECT_EQ(int8.matrix.count(), projections + absorb);
  EXPECT_EQ(int8.matrix_rounding.count(), absorb);  // a 16-bit product at the int8 rate takes twice the time
  EXPECT_EQ(int8.read.count(), 2 * 2 * 64 + 2 * (64 + 16 + 8) + 64 * 28 + 16 * 24 + 2 * 8 * 16 + 2 * 4);
  EXPECT_EQ(int8.written.count(), 2 * 2 * (2 * 12) + 2 * 2 * 12);  // q of both heads, new cache rows
  const Work half = prolog(Dtype::kFp16);
  EXPECT_EQ(half.matrix_type, MatrixType::k16Bit);
  EXPECT_EQ(half.matrix, int8.matrix);
  EXPECT_EQ(half.matrix_rounding.count(), 0);
  EXPECT_EQ(prolog(Dtype::kInt8, false).read, int8.read - Bytes(2 * 64));  // of rows that a norm before has put out
}

// ---- routing and vector operators -----------------------------------------------------------------------------------

TEST(Routing, TopKDealOutAndSumUp) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 3, 64), scores = p.input(Dtype::kFp32, 3, 256);
  const Routing r = grouped_top_k(p, "top_k", scores, p.input(Dtype::kFp32, 1, 256), {});
  const Value dealt = deal_out_all(p, "deal", x, r, 256, 24, 40, Dtype::kInt8);
  sum_up(p, "sum", p.input(Dtype::kFp16, 24, 64), r, 3, 5, Dtype::kFp16);
  sum_up(p, "sum", p.input(Dtype::kFp16, 24, 64), r, 3, 5, Dtype::kFp16, SummedBy::kCombine);
  const Program program = p.take();
  const auto work = [&](std::size_t i) { return program.view(i).op().type->work(program.view(i)); };

  EXPECT_EQ(work(0).vector.count(), 3 * 256 * 10);          // sigmoid, bias, 8 selections
  EXPECT_EQ(work(0).read.count(), 3 * 256 * 4 + 256 * 4);   // scores and bias
  EXPECT_EQ(work(0).written.count(), 3 * 8 * (4 + 4));      // ids and weights
  EXPECT_EQ(work(1).read.count(), 3 * 64 * 2 + 3 * 8 * 4);  // rows and ids
  EXPECT_EQ(work(1).written.count(), 24 * 64);              // int8 copies
  EXPECT_EQ(program.buffers[dealt.buffer].allocated(), Bytes(40 * 64));
  EXPECT_EQ(work(2).vector.count(), 2 * 24 * 64);
  EXPECT_EQ(work(2).read.count(), 24 * 64 * 2 + 3 * 8 * 4);
  EXPECT_EQ(work(2).written.count(), 5 * 64 * 2);  // zeros in the padding rows
  EXPECT_EQ(work(3).launches, 0);                  // part of the kernel before
}

TEST(VectorOperators, ReadAndWriteTheirOperandsOnce) {
  const Work norm = work_of([](ProgramBuilder& p) {
    add_rms_norm(p, "norm", p.input(Dtype::kFp16, 3, 64), p.input(Dtype::kFp16, 3, 64),
                 p.weight(Dtype::kFp16, 1, 64, {}), Dtype::kInt8);
  });
  expect_family(norm, Kernel::kNorm);
  EXPECT_EQ(norm.rows, 3);
  EXPECT_EQ(norm.read.count(), 2 * (3 * 64 + 3 * 64 + 64));
  EXPECT_EQ(norm.written.count(), 3 * 64 + 2 * 3 * 64);  // int8 rows and the residual
  EXPECT_EQ(norm.vector.count(), 5 * 3 * 64);
  const Work wide = work_of([](ProgramBuilder& p) {
    add_rms_norm_cast(p, "norm", p.input(Dtype::kFp16, 3, 64), p.input(Dtype::kFp16, 3, 64),
                      p.weight(Dtype::kFp16, 1, 64, {}), Dtype::kFp16);
  });
  EXPECT_EQ(wide.launches, 1);
  EXPECT_EQ(wide.written.count(), (2 + 2 + 4) * 3 * 64);  // rows, the residual, rows in FP32
  const Work gated =
      work_of([](ProgramBuilder& p) { swiglu(p, "swiglu", p.input(Dtype::kFp16, 3, 64), Dtype::kInt8); });
  EXPECT_EQ(gated.read.count(), 2 * 3 * 64);
  EXPECT_EQ(gated.written.count(), 3 * 32);
  const Work copied = work_of([](ProgramBuilder& p) { copy_rows(p, "copy", p.input(Dtype::kFp16, 3, 64), 2); });
  expect_family(copied, Kernel::kDataMovement);
  EXPECT_EQ(copied.read.count(), 2 * 2 * 64);
  EXPECT_EQ(copied.written.count(), 2 * 2 * 64);
  EXPECT_EQ(copied.vector.count(), 0);
}

TEST(VectorOperators, ConcatenatingKeysRepeatsTheRopeColumnsForEveryHead) {
  const Work w = work_of([](ProgramBuilder& p) {
    concat_key(p, "k", p.input(Dtype::kFp16, 3, 4 * 128), p.input(Dtype::kFp16, 3, 64), 4);
  });
  EXPECT_EQ(w.read.count(), 2 * 3 * (512 + 64));
  EXPECT_EQ(w.written.count(), 2 * 3 * 4 * 192);
}

// Only the rows that are looked up are read, not the table.
TEST(VectorOperators, AnEmbeddingReadsItsRows) {
  const Work w = work_of([](ProgramBuilder& p) {
    embed(p, "embed", p.input(Dtype::kInt32, 3, 1), p.weight(Dtype::kFp16, 129'280, 64, {}));
  });
  EXPECT_EQ(w.read.count(), 3 * 4 + 3 * 64 * 2);
  EXPECT_EQ(w.written.count(), 3 * 64 * 2);
}

TEST(VectorOperators, OfNoRowsStartNothing) {
  EXPECT_EQ(work_of([](ProgramBuilder& p) {
              quantise(p, "q", p.input(Dtype::kFp16, 0, 64), QuantisationScale::kPerToken);
            }).launches,
            0);
  EXPECT_EQ(work_of([](ProgramBuilder& p) { copy_rows(p, "c", p.input(Dtype::kFp16, 5, 64), 0); }).launches, 0);
  EXPECT_EQ(work_of([](ProgramBuilder& p) {
              grouped_top_k(p, "t", p.input(Dtype::kFp32, 0, 256), p.input(Dtype::kFp32, 1, 256), {});
            }).launches,
            0);
}

}  // namespace
}  // namespace ascendsim
