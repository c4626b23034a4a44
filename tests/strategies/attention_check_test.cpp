// Every attention strategy computes what dense attention on one rank computes, the ledger is what the clock charges, and a
// program with a mistake is caught.
#include "strategies/attention_check.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <string_view>

#include "sim/check.h"
#include "strategies/partitions.h"

namespace ascendsim {
namespace {

const AttentionStrategy& strategy(std::string_view name) {
  for (const AttentionStrategy& s : attention_strategies())
    if (name == s.name) return s;
  throw std::invalid_argument(std::string(name));
}

// Two heads a rank, narrow: what matters is who holds what.
AttentionCase small(std::int64_t cp, std::int64_t tp, std::vector<std::int64_t> tokens) {
  AttentionCase c;
  c.heads = 2 * tp;
  c.nope = 16;
  c.rope = 8;
  c.value = 16;
  c.kv_rank = 32;
  c.cp = cp;
  c.tp = tp;
  c.tokens = std::move(tokens);
  return c;
}

void expect_exact(std::string_view name, const AttentionCase& c) {
  ASSERT_EQ(strategy(name).broken_rules(c), std::vector<std::string>{}) << name;
  const AttentionReport r = check_attention(strategy(name), c, NumberType::kFp64);
  EXPECT_LT(r.error.out, 1e-12) << name;
  EXPECT_LT(r.error.lse, 1e-12) << name;
  EXPECT_EQ(r.flops_performed, r.flops_charged) << name;
  EXPECT_EQ(r.bytes_moved, r.bytes_charged) << name;
  EXPECT_EQ(r.ranks.size(), static_cast<std::size_t>(c.world()));
}

TEST(Attention, EveryStrategyIsDenseAttention) {
  for (const AttentionStrategy& s : attention_strategies()) expect_exact(s.name, small(1, 1, {300}));
  expect_exact("tp", small(1, 4, {300, 77}));
  for (const char* name : {"mindie-cp", "vllm-pcp", "mindie-sp", "vllm-dcp", "ring"}) {
    expect_exact(name, small(2, 1, {300}));
    expect_exact(name, small(2, 4, {1305, 77}));
  }
  expect_exact("vllm-pcp", small(3, 2, {100}));
}

TEST(Attention, RingUnderEveryPartitionAndRaggedLengths) {
  for (const Partition partition : {Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin})
    for (const std::int64_t ranks : {1, 2, 3, 7}) {
      AttentionCase c = small(ranks, 1, {1003, 7, 64});
      c.partition = partition;
      expect_exact("ring", c);
    }
}

TEST(Attention, LongAndAtTheModelsWidths) {
  AttentionCase c;
  c.heads = 1;
  c.cp = 4;
  c.tokens = {4096};
  expect_exact("ring", c);
}

// Shards without any cached token put out = 0 and lse = -inf into the exchange.
TEST(Attention, EmptyShardsAreNeutral) {
  expect_exact("mindie-sp", small(2, 8, {5}));
  expect_exact("vllm-dcp", small(1, 8, {130, 1}));
}

TEST(Attention, SixteenBitTypesStayWithinTheirTolerance) {
  for (const AttentionStrategy& s : attention_strategies())
    for (const NumberType type : {NumberType::kFp16, NumberType::kBf16}) {
      AttentionCase c;
      c.heads = 4;
      c.cp = std::string_view(s.name) == "tp" ? 1 : 2;
      c.tp = 2;
      c.tokens = {257};
      c.lse = s.lse;
      c.input = c.block_output = type == NumberType::kFp16 ? Dtype::kFp16 : Dtype::kBf16;
      const AttentionReport r = check_attention(s, c, type);
      EXPECT_LT(r.error.out, tolerance(type).out) << s.name << to_text(type);
      EXPECT_LT(r.error.lse, tolerance(type).lse) << s.name << to_text(type);
      EXPECT_GT(r.error.out, 1e-6) << s.name << to_text(type);   // numbers were rounded
    }
}

// domain.md 5.6: half a unit in the last place of lse in [16, 32).
TEST(MergeWeights, SufferFromBf16LogSumExp) {
  EXPECT_GT(merge_weight_error(Dtype::kBf16), 0.03);
  EXPECT_LT(merge_weight_error(Dtype::kBf16), 0.065);
  EXPECT_LT(merge_weight_error(Dtype::kFp16), 0.008);
  EXPECT_LT(merge_weight_error(Dtype::kFp32), 1e-5);
}

// ---- mistakes are caught --------------------------------------------------------------------------------------------

// Either the numbers are far off, or the verifier stops the program before it runs.
void expect_caught(std::string_view name, const AttentionCase& c, const Mutation& mutation) {
  try {
    const AttentionReport r = check_attention(strategy(name), c, NumberType::kFp64, mutation);
    EXPECT_FALSE(r.within(tolerance(NumberType::kFp32))) << name;
  } catch (const InternalError&) {
  }
}

// Changes every operator with the label; returns whether there was one.
template <class Change>
Mutation on(std::string_view label, Change change) {
  return [=](std::vector<RankAttention>& ranks) {
    bool found = false;
    for (RankAttention& r : ranks)
      for (Operator& op : r.program.operators)
        if (op.label == label) {
          change(r.program, op);
          found = true;
        }
    EXPECT_TRUE(found) << label;
  };
}
constexpr auto kSkip = [](Program&, Operator& op) {
  static constexpr OperatorType kNothing{"nothing", [](const OperatorView&) { return Work{.launches = 0}; }};
  op = Operator{};
  op.type = &kNothing;
};
AttentionBlock* blocks_of(Program& p, const Operator& op) {
  return reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<PrefillCore>());
}

TEST(Mutations, DroppedCollectivesAreCaught) {
  expect_caught("ring", small(3, 1, {96}), on("ring_keys", kSkip));
  expect_caught("ring", small(3, 1, {96}), on("ring_values", kSkip));
  for (const char* name : {"mindie-cp", "vllm-pcp"}) expect_caught(name, small(2, 2, {96}), on("latent_gather", kSkip));
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    for (const char* collective : {"q_gather", "out_lse_exchange", "out_lse_gather"})
      expect_caught(name, small(2, 2, {600}), on(collective, kSkip));
}

TEST(Mutations, WrongMasksAreCaught) {
  const auto unmask = [](Program& p, Operator& op) { blocks_of(p, op)->causal = 0; };
  const auto late = [](Program& p, Operator& op) { ++blocks_of(p, op)->shift; };
  expect_caught("tp", small(1, 2, {96}), on("attention", unmask));
  expect_caught("tp", small(1, 2, {96}), on("attention", late));
  expect_caught("ring", small(2, 1, {96}), on("ring_attention", unmask));
  expect_caught("mindie-cp", small(2, 1, {96}), on("ring_mla", unmask));
  expect_caught("vllm-pcp", small(2, 1, {96}), on("masked_attention", late));
}

TEST(Mutations, SkippedBlocksAreCaught) {
  expect_caught("ring", small(2, 1, {96}), on("ring_update", kSkip));
  expect_caught("vllm-pcp", small(2, 1, {96}), on("unmasked_attention", kSkip));
  expect_caught("vllm-pcp", small(2, 1, {96}), on("attention_update", kSkip));
  expect_caught("mindie-cp", small(2, 1, {96}), [](std::vector<RankAttention>& ranks) {
    for (RankAttention& r : ranks)
      for (Operator& op : r.program.operators)
        if (std::string_view(op.label) == "ring_mla" && OperatorView(r.program, op).params<PrefillCore>().accumulate)
          kSkip(r.program, op);
  });
}

TEST(Mutations, SwappedChunksAreCaught) {
  const auto swap = [](Program& p, Operator& op) {
    auto* runs = reinterpret_cast<std::int32_t*>(p.params.data() + op.params + 1);
    std::swap(runs[0], runs[2]);
  };
  for (const char* name : {"mindie-cp", "vllm-pcp"}) expect_caught(name, small(2, 1, {96}), on("latent_reorder", swap));
  expect_caught("ring", small(2, 1, {96}), [](std::vector<RankAttention>& ranks) {
    std::swap(ranks[0].program.rows[0], ranks[1].program.rows[0]);
  });
}

TEST(Mutations, WrongShardsAreCaught) {
  for (const AttentionStrategy& s : attention_strategies())
    expect_caught(s.name, small(1, 2, {200}), [](std::vector<RankAttention>& ranks) {
      for (TensorSlice& slice : ranks[1].program.slices)
        if (std::string_view(slice.key) == "w_uv") slice.column = 0;
    });
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    expect_caught(name, small(1, 2, {200}), [](std::vector<RankAttention>& ranks) { ++ranks[1].program.rows.back()[3]; });
}

// ---- partitions -----------------------------------------------------------------------------------------------------

std::int64_t pairs_of(const AttentionCase& c, std::int64_t rank) {
  Runs q, all;
  for (std::size_t s = 0; s < c.tokens.size(); ++s) {
    const auto sequence = static_cast<std::int32_t>(s);
    for (const Run& r : partition_runs(c.partition, sequence, c.tokens[s], c.cp, rank)) q.push_back(r);
  }
  std::int64_t pairs = 0;
  for (std::int64_t other = 0; other < c.cp; ++other) {
    Runs k;
    for (std::size_t s = 0; s < c.tokens.size(); ++s)
      for (const Run& r : partition_runs(c.partition, static_cast<std::int32_t>(s), c.tokens[s], c.cp, other)) k.push_back(r);
    for (const AttentionBlock& b : causal_blocks(laid_out(q), laid_out(k))) pairs += b.pairs();
  }
  return pairs;
}

TEST(Runs, ZigzagBalancesTheCausalTriangle) {
  AttentionCase c = small(2, 1, {131'072});
  EXPECT_EQ(pairs_of(c, 0), 4'295'000'064);
  EXPECT_EQ(pairs_of(c, 1), 4'295'000'064);
}

TEST(Runs, OfPlacementsAreTheCountsOfTheEngines) {
  const auto counts = [](auto runs, std::int64_t shards) {
    std::vector<std::int64_t> out;
    for (std::int64_t r = 0; r < shards; ++r) out.push_back(rows_of(runs(r)));
    return out;
  };
  using Counts = std::vector<std::int64_t>;
  const auto interleaved = [&](std::int64_t tokens, std::int64_t j, std::int64_t shards) {
    return counts([&](std::int64_t r) { return interleaved_runs(0, tokens, shards, j, r); }, shards);
  };
  EXPECT_EQ(interleaved(10, 1, 4), (Counts{3, 3, 2, 2}));
  EXPECT_EQ(interleaved(10, 4, 2), (Counts{6, 4}));
  EXPECT_EQ(interleaved(1305, 128, 8), (Counts{256, 256, 153, 128, 128, 128, 128, 128}));
  for (const std::int64_t tokens : {1305, 380, 1152, 4100, 1, 128})
    EXPECT_EQ(counts([&](std::int64_t r) { return block_runs(0, tokens, 8, 128, r); }, 8), place_blocks(tokens, 0, 8, 128).tokens);
}

RC_GTEST_PROP(Runs, PairsOfAllRanksAreTheCausalTriangle, ()) {
  AttentionCase c = small(*rc::gen::inRange<std::int64_t>(1, 9), 1, {});
  c.tokens = *rc::gen::container<std::vector<std::int64_t>>(3, rc::gen::inRange<std::int64_t>(1, 600));
  c.partition = *rc::gen::element(Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin);
  std::int64_t sum = 0, expected = 0;
  for (std::int64_t r = 0; r < c.cp; ++r) sum += pairs_of(c, r);
  for (const std::int64_t t : c.tokens) expected += t * (t + 1) / 2;
  RC_ASSERT(sum == expected);
}

RC_GTEST_PROP(Attention, AnyCaseIsDenseAttention, ()) {
  AttentionCase c = small(*rc::gen::inRange<std::int64_t>(1, 5), *rc::gen::inRange<std::int64_t>(1, 4), {});
  c.tokens = *rc::gen::container<std::vector<std::int64_t>>(2, rc::gen::inRange<std::int64_t>(5, 300));
  c.partition = *rc::gen::element(Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin);
  c.interleave = *rc::gen::element<std::int64_t>(1, 16, 128);
  for (const AttentionStrategy& s : attention_strategies()) {
    if (!s.broken_rules(c).empty()) continue;
    const AttentionReport r = check_attention(s, c, NumberType::kFp64);
    RC_LOG() << s.name << " " << r.error.out << " " << r.error.lse << std::endl;
    RC_ASSERT(r.within(tolerance(NumberType::kFp64)));
    RC_ASSERT(r.flops_performed == r.flops_charged);
  }
}

}  // namespace
}  // namespace ascendsim
