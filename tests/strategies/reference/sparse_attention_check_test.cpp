// Sparse attention of one layer, however its queries and heads are divided, picks the keys that one dense rank picks
// and attends to them; and a program with a mistake is caught.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "sim/check.h"
#include "tests/strategies/reference/attention_cases_under_test.h"
#include "workloads/operators/sparse_attention.h"

namespace ascendsim {
namespace {

const AttentionStrategy& strategy(std::string_view name) { return strategy_of(sparse_attention_strategies(), name); }

AttentionCase small(std::int64_t cp, std::int64_t tp, std::vector<std::int64_t> tokens, std::int64_t top_k = 16) {
  AttentionCase c = narrow_case(cp, tp, std::move(tokens));
  c.index_heads = 3;
  c.index_width = 12;
  c.top_k = top_k;
  return c;
}

AttentionReport check(std::string_view name, const AttentionCase& c, const CheckOptions& options = {}) {
  return checked(strategy(name), c, options);
}

void expect_exact(std::string_view name, const AttentionCase& c) {
  SCOPED_TRACE(name);
  ASSERT_TRUE(strategy(name).broken_rules(c).empty());
  const AttentionReport r = check(name, c);
  EXPECT_LT(r.error.out, 1e-12);
  EXPECT_EQ(r.error.keys, 0);
  EXPECT_EQ(r.flops_performed, r.flops_charged);
  EXPECT_EQ(r.bytes_moved, r.bytes_charged);
}

TEST(SparseAttentionCases, PickAndAttendLikeOneRank) {
  for (const AttentionStrategy& s : sparse_attention_strategies()) expect_exact(s.name, small(1, 1, {70}));
  for (const std::vector<std::int64_t>& history : {std::vector<std::int64_t>{}, {30, 0, 5}}) {
    const auto with = [&](std::int64_t cp, std::int64_t tp) {
      AttentionCase c = small(cp, tp, {101, 7, 64});
      c.history = history;
      return c;
    };
    expect_exact("sparse-tp", with(1, 4));
    for (const std::int64_t ranks : {2, 3, 7}) {
      expect_exact("dsa-cp", with(1, ranks));
      for (const Partition partition : {Partition::kZigzag, Partition::kRoundRobin}) {
        AttentionCase c = with(ranks, 2);
        c.partition = partition;
        expect_exact("sparse-cp", c);
      }
    }
  }
}

// With as many keys as there are it is attention to all of them, absorbed: what the dense strategies compute.
TEST(SparseAttentionCases, AllKeysAreDenseAttention) {
  AttentionCase c = small(1, 1, {60}, 60);
  DenseReferences references;
  const AttentionReport sparse = check_attention(strategy("sparse-tp"), c, references);
  EXPECT_LT(sparse.error.out, 1e-12);
  c.top_k = 0;
  for (const AttentionStrategy& s : attention_strategies())
    if (std::string_view(s.name) == "tp") {
      EXPECT_LT(check_attention(s, c, references).error.out, 1e-12);
    }
}

RC_GTEST_PROP(SparseAttentionCases, OfAnyShape, ()) {
  AttentionCase c = small(*rc::gen::inRange(1, 6), *rc::gen::inRange(1, 4),
                          {*rc::gen::inRange(8, 90), *rc::gen::inRange(8, 40)}, *rc::gen::inRange(1, 50));
  c.history = {*rc::gen::inRange(0, 40), *rc::gen::inRange(0, 20)};
  c.partition = *rc::gen::element(Partition::kZigzag, Partition::kRoundRobin);
  for (const AttentionStrategy& s : sparse_attention_strategies()) {
    AttentionCase own = c;
    if (s.words.size() == 1) own.cp = 1;
    const AttentionReport r = check(s.name, own, {.orders = 2});
    RC_ASSERT(r.error.out < 1e-12);
    RC_ASSERT(r.error.keys == 0);
    RC_ASSERT(r.ledger_agrees());
    RC_ASSERT(r.orders_that_differ == 0);
  }
}

TEST(SparseAttentionCases, RoundedTypesStayWithinTheTolerance) {
  DenseReferences references;
  for (const AttentionStrategy& s : sparse_attention_strategies())
    for (const NumberType type : {NumberType::kFp32, NumberType::kFp16, NumberType::kBf16}) {
      AttentionCase c;
      c.heads = 4;
      c.cp = s.words.size() == 1 ? 1 : 2;
      c.tp = 2;
      c.tokens = {257};
      c.top_k = 64;
      c.input = c.block_output = type == NumberType::kFp16 ? Dtype::kFp16 : Dtype::kBf16;
      const AttentionReport r = check_attention(s, c, references, {.type = type});
      EXPECT_TRUE(r.within_tolerance()) << s.name << to_text(type) << " " << r.error.out << ", keys " << r.error.keys
                                        << " of " << r.allowed.keys;
      EXPECT_GT(r.error.out, 1e-8) << s.name << to_text(type);  // numbers were rounded
    }
}

TEST(SparseAttentionCases, TheEstimateCoversTheBuffers) {
  for (const AttentionStrategy& s : sparse_attention_strategies())
    for (const std::int64_t history : {0, 1280}) {
      AttentionCase c;
      c.cp = s.words.size() == 1 ? 1 : 2;
      c.tp = 2;
      c.tokens = {1000, 300};
      c.history = {history};
      c.top_k = 250;
      std::int64_t bytes = 0;
      for (std::int64_t r = 0; r < c.world(); ++r)
        for (const Buffer& b : s.build(c, r).program.buffers) bytes += 8 * b.capacity * b.columns;
      EXPECT_GE(memory_estimate(c, s.decode), bytes) << s.name;
      EXPECT_LE(memory_estimate(c, s.decode), 6 * bytes) << s.name;
    }
}

// ---- mistakes are caught
// ----------------------------------------------------------------------------------------------

template <class Change>
void expect_caught(std::string_view name, const AttentionCase& c, const char* label, Change change) {
  SCOPED_TRACE(name);
  SCOPED_TRACE(label);
  bool found = false;
  const Mutation mutation = [&](std::vector<RankAttention>& ranks) {
    for (RankAttention& r : ranks)
      for (Operator& op : r.program.operators)
        if (std::string_view(op.label) == label) change(r.program, op), found = true;
  };
  try {
    EXPECT_FALSE(check(name, c, {.mutate = mutation}).within_tolerance());
  } catch (const InternalError&) {
  }
  EXPECT_TRUE(found);
}
constexpr auto kSkip = [](Program&, Operator& op) {
  static constexpr OperatorType kNothing{"nothing", [](const OperatorView&) { return Work{.launches = 0}; }};
  op = Operator{};
  op.type = &kNothing;
};

TEST(SparseAttentionCases, MistakesAreCaught) {
  for (const Partition partition : {Partition::kZigzag, Partition::kRoundRobin}) {
    AttentionCase c = small(3, 2, {50});
    c.partition = partition;
    for (const char* label :
         {"latent_index_gather", "kv_cache_write", "index_cache_write", "index_q_rope", "q_rope", "lightning_indexer"})
      expect_caught("sparse-cp", c, label, kSkip);
    expect_caught("sparse-cp", c, "lightning_indexer", [](Program& p, Operator& op) {  // a mask that is a token late
      --reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<IndexerCore>())->shift;
    });
    expect_caught("sparse-cp", c, "sparse_attention", [](Program& p, Operator& op) {  // one key fewer than chosen
      --reinterpret_cast<SparseCore*>(p.params.data() + op.params)->sequences.top_k;
    });
  }
  expect_caught("dsa-cp", small(1, 3, {50}), "latent_index_gather", kSkip);
}

}  // namespace
}  // namespace ascendsim
