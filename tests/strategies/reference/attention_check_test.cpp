// Every attention strategy computes what dense attention on one rank computes, the ledger is what the clock charges,
// and a program with a mistake is caught.
#include "strategies/reference/attention_check.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <cstring>
#include <numeric>
#include <string_view>

#include "sim/calculator.h"
#include "sim/check.h"
#include "sim/drive.h"
#include "strategies/deployment/partitions.h"
#include "tests/strategies/reference/attention_cases_under_test.h"

namespace ascendsim {
namespace {

const AttentionStrategy& strategy(std::string_view name) { return strategy_of(attention_strategies(), name); }

AttentionCase small(std::int64_t cp, std::int64_t tp, std::vector<std::int64_t> tokens, std::int64_t dcp = 0) {
  AttentionCase c = narrow_case(cp, tp, std::move(tokens));
  c.dcp = dcp > 0 ? dcp : tp;  // REQUIRES of rings and tp: 1
  return c;
}

AttentionReport check(std::string_view name, const AttentionCase& c, const CheckOptions& options = {}) {
  return checked(strategy(name), c, options);
}

void expect_exact(std::string_view name, const AttentionCase& c) {
  const std::vector<BrokenRule> broken = strategy(name).broken_rules(c);
  ASSERT_TRUE(broken.empty()) << name << ": " << broken[0].what;
  const AttentionReport r = check(name, c);
  EXPECT_LT(r.error.out, 1e-12) << name;
  EXPECT_LT(r.error.lse, 1e-12) << name;
  EXPECT_EQ(r.flops_performed, r.flops_charged) << name;
  EXPECT_EQ(r.bytes_moved, r.bytes_charged) << name;
  EXPECT_EQ(r.ranks.size(), static_cast<std::size_t>(c.world()));
}

TEST(Attention, EveryStrategyIsDenseAttention) {
  for (const AttentionStrategy& s : attention_strategies()) expect_exact(s.name, small(1, 1, {300}));
  expect_exact("tp", small(1, 4, {300, 77}, 1));
  for (const char* name : {"mindie-cp", "vllm-pcp", "mindie-sp", "vllm-dcp", "ring"}) {
    expect_exact(name, small(2, 1, {300}));
    expect_exact(name, small(2, 4, {1305, 77}, name == std::string_view("ring") ? 1 : 4));
  }
  expect_exact("vllm-pcp", small(3, 2, {100}));
}

TEST(Attention, RingUnderEveryPartitionAndRaggedLengths) {
  for (const Partition partition : {Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin})
    for (const std::int64_t ranks : {1, 2, 3, 7}) {
      AttentionCase c = small(ranks, 1, {1003, 7, 64});
      c.partition = partition;
      expect_exact("ring", c);
      c.history = {130, 0, 5};
      expect_exact("ring", c);
    }
}

TEST(Attention, LatentRingAndSglangUnderTheirPartitions) {
  for (const char* name : {"latent-ring", "sglang-cp"})
    for (const Partition partition : {Partition::kZigzag, Partition::kRoundRobin})
      for (const std::int64_t cp : {2, 3, 7}) {
        AttentionCase c = small(cp, 2, {1003, 7, 64}, 1);
        c.partition = partition;
        expect_exact(name, c);
        c.history = {130, 0, 5};
        expect_exact(name, c);
      }
}

// domain.md 5.5: below 1e-12 up to 4096 tokens at the model's widths.
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

// Cached history lies where the engine puts it: with the ring's partition, in MindIE's blocks over all ranks, in vLLM's
// turns over pcp x dcp; copies where tp > dcp.
TEST(Attention, NewTokensSeeCachedHistory) {
  AttentionCase c = small(2, 4, {100, 33, 7}, 1);
  c.history = {256, 0, 640};
  expect_exact("ring", c);
  c.dcp = 4;
  expect_exact("mindie-cp", c);
  c.history = {300, 1, 0};
  for (const std::int64_t interleave : {1, 16, 128})
    for (const std::int64_t dcp : {1, 2, 4}) {
      c.interleave = interleave;
      c.dcp = dcp;
      expect_exact("vllm-pcp", c);
    }
  c.cp = c.dcp = 1;
  expect_exact("tp", c);
}

// Every DCP group of a TP group has a copy of the cache and the heads of its own ranks.
TEST(Attention, DecodeSharesTheCacheOverPartOfTp) {
  for (const std::int64_t pcp : {1, 2, 3})
    for (const std::int64_t dcp : {1, 2, 4, 8}) {
      AttentionCase c = small(pcp, 8, {300, 77, 1}, dcp);
      c.interleave = 16;
      expect_exact("vllm-dcp", c);
    }
}

TEST(Attention, SixteenBitTypesStayWithinTheirTolerance) {
  DenseReferences references;
  for (const AttentionStrategy& s : attention_strategies())
    for (const NumberType type : {NumberType::kFp16, NumberType::kBf16}) {
      AttentionCase c;
      c.heads = 4;
      c.cp = std::string_view(s.name) == "tp" ? 1 : 2;
      c.tp = 2;
      c.dcp = s.decode || s.fp16_only != nullptr ? 2 : 1;
      c.tokens = {257};
      c.input = c.block_output = type == NumberType::kFp16 ? Dtype::kFp16 : Dtype::kBf16;
      c.lse = s.lse == Dtype::kFp32 ? Dtype::kFp32 : c.input;
      const AttentionReport r = check_attention(s, c, references, {.type = type});
      EXPECT_TRUE(r.within_tolerance()) << s.name << to_text(type) << " " << r.error.out << " " << r.error.lse << " of "
                                        << r.allowed.lse;
      EXPECT_GT(r.error.out, 1e-6) << s.name << to_text(type);  // numbers were rounded
      EXPECT_LT(r.allowed.lse, type == NumberType::kFp16 ? 0.01 : 0.1);
    }
}

// MindIE sends lse in the model's type: in BF16 that costs more than FP16 arithmetic and an FP16 lse can explain.
TEST(Attention, ABf16LogSumExpIsOutOfTolerance) {
  AttentionCase c;
  c.cp = 2;
  c.tp = c.dcp = 4;
  c.lse = Dtype::kFp16;
  EXPECT_TRUE(check("mindie-sp", c, {.type = NumberType::kFp16}).within_tolerance());
  c.lse = Dtype::kBf16;
  EXPECT_FALSE(check("mindie-sp", c, {.type = NumberType::kFp16}).within_tolerance());
}

// The estimate covers the buffers of all ranks and is no more than six times as much: the reference and copies that are
// under way come on top of them.
TEST(MemoryEstimate, CoversTheBuffers) {
  for (const AttentionStrategy& s : attention_strategies())
    for (const std::int64_t history : {0, 1280}) {
      AttentionCase c;
      c.cp = s.words.size() == 1 ? 1 : 2;
      c.tp = 2;
      c.dcp = s.decode || s.fp16_only != nullptr ? 2 : 1;
      c.tokens = {1000, 300};
      if (!s.decode) c.history = {history};
      std::int64_t bytes = 0;
      for (std::int64_t r = 0; r < c.world(); ++r)
        for (const Buffer& b : s.build(c, r).program.buffers) bytes += 8 * b.capacity * b.columns;
      EXPECT_GE(memory_estimate(c, s.decode), bytes) << s.name;
      EXPECT_LE(memory_estimate(c, s.decode), 6 * bytes) << s.name;
    }
}

// domain.md 5.6: half a unit in the last place of lse in [16, 32).
TEST(MergeWeights, SufferFromBf16LogSumExp) {
  EXPECT_GT(merge_weight_error(Dtype::kBf16), 0.03);
  EXPECT_LT(merge_weight_error(Dtype::kBf16), 0.065);
  EXPECT_LT(merge_weight_error(Dtype::kFp16), 0.008);
  EXPECT_LT(merge_weight_error(Dtype::kFp32), 1e-5);
}

// ---- orders of the streams
// -------------------------------------------------------------------------------------------

// A case of each strategy in which every wait has a reader: at least five ranks in the ring, so that its two buffers
// are used again; all shards of a history hold something.
AttentionCase busy(const AttentionStrategy& s) {
  AttentionCase c = !s.partitions.empty() ? small(5, 1, {100})
                    : s.words.size() == 1 ? small(1, 2, {100}, 1)
                                          : small(2, 2, {100, 600});
  if (!s.decode) c.history = {640};
  c.interleave = 16;
  return c;
}

TEST(Orders, GiveTheSameBits) {
  for (const AttentionStrategy& s : attention_strategies()) {
    const AttentionCase c = busy(s);
    for (const NumberType type : {NumberType::kFp64, NumberType::kFp16}) {
      const int orders = std::string_view(s.name) == "tp" ? 0 : 2 * stream_count(s, c);
      const AttentionReport r =
          check(s.name, c, {.type = type, .orders = 2 * stream_count(s, c), .compute_orders = true});
      EXPECT_EQ(r.orders_that_differ, 0) << s.name;
      EXPECT_EQ(r.orders, orders) << s.name;
      EXPECT_EQ(r.orders_computed, orders) << s.name;
      // The flow of data says so without computing one.
      const AttentionReport by_flow = check(s.name, c, {.type = type, .orders = 2 * stream_count(s, c)});
      EXPECT_EQ(by_flow.orders, orders) << s.name;
      EXPECT_EQ(by_flow.orders_that_differ, 0) << s.name;
      EXPECT_EQ(by_flow.orders_computed, 0) << s.name;
    }
  }
}

// Each wait of a program, dropped on one rank, shows in at least one of as many orders as there are streams. The first
// rank has all kinds of waits, the last one other shares.
TEST(Orders, ShowEveryDroppedWait) {
  for (const AttentionStrategy& s : attention_strategies()) {
    const AttentionCase c = busy(s);
    DenseReferences references;
    int waits = 0;
    for (const std::int64_t rank : {std::int64_t{0}, c.world() - 1}) {
      const Program program = s.build(c, rank).program;
      for (std::size_t i = 0; i < program.operators.size(); ++i) {
        const Operator& op = program.operators[i];
        if (op.wait == kNoWait) continue;
        ++waits;
        const Mutation drop = [&](std::vector<RankAttention>& ranks) {
          ranks[static_cast<std::size_t>(rank)].program.operators[i].wait = kNoWait;
        };
        const AttentionReport r = check_attention(s, c, references, {.orders = stream_count(s, c), .mutate = drop});
        const AttentionReport computed =
            check_attention(s, c, references, {.orders = stream_count(s, c), .compute_orders = true, .mutate = drop});
        EXPECT_EQ(r.orders_that_differ, computed.orders_that_differ) << s.name << ": rank " << rank << ", " << op.label;
        EXPECT_LE(r.orders_computed, computed.orders_computed);
        EXPECT_GT(r.orders_that_differ, 0) << s.name << ": rank " << rank << ", " << op.label;
        EXPECT_FALSE(r.within_tolerance()) << s.name << ": rank " << rank << ", " << op.label;
      }
    }
    EXPECT_EQ(waits > 0, std::string_view(s.name) != "tp") << s.name;
  }
}

// What the flow of data builds on: an operator changes nothing but its outputs. What it reaches is checked always.
struct Audit {
  Calculator<double>& calculator;
  std::span<const Program* const> programs;

  void local(int rank, std::size_t op) {
    const auto r = static_cast<std::size_t>(rank);
    const Program& p = *programs[r];
    const Operator& o = p.operators[op];
    const auto operands = std::span(p.values).subspan(o.operands, std::size_t{o.inputs} + o.outputs);
    std::vector<std::pair<Value, Tensors<double>::Matrix>> inputs;
    for (const Value& v : operands.first(o.inputs))
      if (std::ranges::find(operands.subspan(o.inputs), v.buffer, &Value::buffer) == operands.end())
        inputs.emplace_back(v, calculator.rank(r).whole(v));
    calculator.local(rank, op);
    for (const auto& [v, before] : inputs)
      EXPECT_EQ(std::memcmp(calculator.rank(r).whole(v).data(), before.data(),
                            static_cast<std::size_t>(before.size()) * sizeof(double)),
                0)
          << o.label;
    operators += static_cast<int>(inputs.size());
  }
  void exchange(const Folding::Meeting& meeting, std::span<const Arrival> arrivals) {
    calculator.exchange(meeting, arrivals);
  }
  int operators = 0;
};

TEST(Orders, OperatorsChangeNothingButTheirOutputs) {
  for (const auto& strategies : {attention_strategies(), sparse_attention_strategies()})
    for (const AttentionStrategy& s : strategies) {
      AttentionCase c = busy(s);
      if (s.sparse) c.index_width = 16, c.top_k = 30;
      if (!s.broken_rules(c).empty()) c.dcp = 1, c.cp = std::string_view(s.name) == "sparse-cp" ? c.cp : 1;
      ASSERT_TRUE(s.broken_rules(c).empty()) << s.name;
      std::vector<RankAttention> ranks;
      std::vector<const Program*> programs;
      for (std::int64_t r = 0; r < c.world(); ++r) ranks.push_back(s.build(c, r));
      for (const RankAttention& r : ranks) programs.push_back(&r.program);
      const std::vector<GroupKind> groups = attention_groups(c);
      Calculator<double> calculator(programs, groups, {});
      Audit audit{calculator, programs};
      drive(programs, unfolded(programs.size(), groups), audit);
      EXPECT_GT(audit.operators, 0) << s.name;
    }
}

// ---- mistakes are caught --------------------------------------------------------------------------------------------

// Numbers that are far off: the program runs, its result is wrong.
void expect_wrong_numbers(std::string_view name, const AttentionCase& c, const Mutation& mutation) {
  const AttentionReport r = check(name, c, {.mutate = mutation});
  EXPECT_TRUE(r.error.out > 1e-4 || r.error.lse > 1e-4) << name << " " << r.error.out << " " << r.error.lse;
}
// The verifier stops the programs before they run, and says why.
void expect_refused(std::string_view name, const AttentionCase& c, const Mutation& mutation, std::string_view why) {
  try {
    check(name, c, {.mutate = mutation});
    ADD_FAILURE() << name << " is not refused";
  } catch (const InternalError& e) {
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  }
}

// Changes every operator with the label; there must be one.
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
AttentionCase with_history(AttentionCase c, std::vector<std::int64_t> history) {
  c.history = std::move(history);
  return c;
}

TEST(Mutations, DroppedCollectivesAreRefused) {
  constexpr std::string_view kUnwritten = "with a value that nothing has written";
  expect_refused("ring", small(3, 1, {96}), on("ring_keys", kSkip), kUnwritten);
  expect_refused("ring", small(3, 1, {96}), on("ring_values", kSkip), kUnwritten);
  expect_refused("latent-ring", small(3, 1, {96}), on("latent_shift", kSkip), kUnwritten);
  expect_refused("sglang-cp", small(3, 1, {96}), on("latent_gather", kSkip), kUnwritten);
  for (const char* name : {"mindie-cp", "vllm-pcp"}) {
    const AttentionCase c = with_history(small(2, 2, {96}), {512});
    expect_refused(name, c, on("latent_gather", kSkip), kUnwritten);
    expect_refused(name, c, on("history_gather", kSkip), kUnwritten);
  }
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    for (const char* collective : {"q_gather", "out_lse_exchange", "out_lse_gather"})
      expect_refused(name, small(2, 2, {600}), on(collective, kSkip), kUnwritten);
}

// Left out by one rank only: the others wait for it.
TEST(Mutations, CollectivesThatOneRankLeavesOutAreRefused) {
  for (const AttentionStrategy& s : attention_strategies()) {
    if (s.words.size() == 1) continue;  // tp alone exchanges nothing
    expect_refused(
        s.name, busy(s),
        [](std::vector<RankAttention>& ranks) {
          std::vector<Operator>& ops = ranks[1].program.operators;
          const auto last = std::ranges::find_if(
              ops.rbegin(), ops.rend(), [](const Operator& op) { return op.type->primitive != Primitive::kNone; });
          ASSERT_NE(last, ops.rend());
          kSkip(ranks[1].program, *last);
        },
        "rank 1 ");
  }
}

TEST(Mutations, WrongMasksAreCaught) {
  const auto unmask = [](Program& p, Operator& op) { blocks_of(p, op)->causal = 0; };
  const auto late = [](Program& p, Operator& op) { ++blocks_of(p, op)->shift; };
  AttentionCase stripes = small(3, 1, {96});
  stripes.partition = Partition::kRoundRobin;
  using Change = void (*)(Program&, Operator&);
  for (const Change change : {Change(unmask), Change(late)}) {
    expect_wrong_numbers("latent-ring", stripes, on("ring_attention", change));
    expect_wrong_numbers("sglang-cp", small(3, 1, {96}), on("attention", change));
    expect_wrong_numbers("sglang-cp", stripes, on("striped_attention", change));
  }
  for (const auto& mutation : {on("attention", unmask), on("attention", late)})
    expect_wrong_numbers("tp", small(1, 2, {96}, 1), mutation);
  for (const auto& mutation : {on("ring_attention", unmask), on("ring_attention", late)})
    expect_wrong_numbers("ring", small(2, 1, {96}), mutation);
  for (const auto& mutation : {on("ring_mla", unmask), on("ring_mla", late)})
    expect_wrong_numbers("mindie-cp", small(2, 1, {96}), mutation);
  for (const auto& mutation : {on("masked_attention", unmask), on("masked_attention", late)})
    expect_wrong_numbers("vllm-pcp", small(2, 1, {96}), mutation);
  // A decode step masks nothing; a block that leaves out cached tokens contradicts what it is charged for.
  const auto shorter = [](Program& p, Operator& op) {
    --reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<DecodeCore>())->k_rows;
  };
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    expect_refused(name, small(1, 2, {200}), on("decode_attention", shorter),
                   "are not the context that it is charged for");
}

TEST(Mutations, SkippedBlocksAreCaught) {
  expect_wrong_numbers("ring", small(2, 1, {96}), on("ring_update", kSkip));
  const AttentionCase c = with_history(small(2, 2, {96}), {256});
  for (const char* label : {"masked_attention", "unmasked_attention", "history_attention"})
    expect_refused("vllm-pcp", c, on(label, kSkip), "with a value that nothing has written");
  expect_wrong_numbers("vllm-pcp", c, on("attention_update", kSkip));
  expect_wrong_numbers("mindie-cp", c, on("history_attention", kSkip));
  const auto skip_later = [](std::vector<RankAttention>& ranks) {
    for (RankAttention& r : ranks)
      for (Operator& op : r.program.operators)
        if (std::string_view(op.label) == "ring_mla" && OperatorView(r.program, op).params<PrefillCore>().accumulate)
          kSkip(r.program, op);
  };
  expect_wrong_numbers("mindie-cp", c, skip_later);
  expect_wrong_numbers("tp", small(1, 2, {96, 40}, 1),
                       on("attention", [](Program& p, Operator& op) { blocks_of(p, op)->q_rows = 0; }));
  // Of a decode step: the cached tokens of one rank do not count.
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    expect_wrong_numbers(name, small(1, 2, {600}), [](std::vector<RankAttention>& ranks) {
      for (Operator& op : ranks[1].program.operators)
        if (std::string_view(op.label) == "decode_attention") {
          auto* words = ranks[1].program.params.data() + op.params;
          auto* core = reinterpret_cast<DecodeCore*>(words);
          core->blocks = core->context = 0;
        }
    });
}

TEST(Mutations, SwappedChunksAreCaught) {
  const auto swap = [](Program& p, Operator& op) {
    auto* runs = reinterpret_cast<RowRun*>(p.params.data() + op.params + 1);
    std::swap(runs[0], runs[1]);
  };
  for (const char* name : {"mindie-cp", "vllm-pcp"})
    expect_wrong_numbers(name, small(2, 1, {96}), on("latent_reorder", swap));
  // Two ranks hold each other's tokens, positions and all; the ring believes that they hold their own.
  expect_wrong_numbers("ring", small(2, 1, {96}), [](std::vector<RankAttention>& ranks) {
    std::swap(ranks[0].program.rows, ranks[1].program.rows);
  });
  for (const char* name : {"mindie-sp", "vllm-dcp"})
    expect_wrong_numbers(name, small(1, 2, {200}), [](std::vector<RankAttention>& ranks) {
      for (std::vector<std::int32_t>& rows : ranks[1].program.rows)
        if (rows.size() > 3) ++rows[3];
    });
}

// Rows count from 0 on every rank, as if each had a sequence of its own.
TEST(Mutations, ForgottenPositionsAreCaught) {
  for (const AttentionStrategy& s : attention_strategies())
    for (const Partition partition : {Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin}) {
      AttentionCase c = busy(s);
      c.partition = partition;
      expect_wrong_numbers(s.name, c, [](std::vector<RankAttention>& ranks) {
        int lists = 0;
        for (RankAttention& r : ranks)
          for (const TensorSlice& slice : r.program.slices) {
            if (std::string_view(slice.key) != "positions") continue;
            ++lists;
            std::vector<std::int32_t>& rows = r.program.rows[slice.row_list - 1];
            std::iota(rows.begin(), rows.end(), 0);
          }
        EXPECT_GE(lists, 2 * static_cast<int>(ranks.size()));  // of queries and of keys
      });
    }
}

// A latent that is used as it comes from the projection, and queries that are not rotated.
TEST(Mutations, SkippedNormOrRotationIsCaught) {
  for (const AttentionStrategy& s : attention_strategies()) {
    expect_refused(s.name, busy(s), on("kv_norm_rope", kSkip), "with a value that nothing has written");
    expect_wrong_numbers(s.name, busy(s), on("q_rope", kSkip));
  }
}

TEST(Mutations, WrongShardsAreCaught) {
  for (const AttentionStrategy& s : attention_strategies())
    for (const std::string_view key : {"w_uk", "w_uv", "kv_a_layernorm"})
      expect_wrong_numbers(s.name, small(1, 2, {200}, s.fp16_only != nullptr || s.decode ? 2 : 1),
                           [=](std::vector<RankAttention>& ranks) {
                             for (TensorSlice& slice : ranks[1].program.slices)
                               if (slice.key == key) slice.column = slice.column == 0 ? 1 : 0;
                           });
}

// ---- partitions -----------------------------------------------------------------------------------------------------

// Query-key pairs of the attention cores of the first tp rank of every cp rank.
std::int64_t pairs_of(const AttentionStrategy& s, const AttentionCase& c, std::int64_t cp_rank) {
  const Program program = s.build(c, cp_rank * c.tp).program;
  std::int64_t pairs = 0;
  for (const Operator& op : program.operators) {
    if (std::string_view(op.type->name) != "attention_prefill") continue;
    const OperatorView v(program, op);
    for (const AttentionBlock& b :
         v.tail<PrefillCore, AttentionBlock>(static_cast<std::size_t>(v.params<PrefillCore>().blocks)))
      pairs += b.pairs();
  }
  return pairs;
}

TEST(Runs, ZigzagBalancesTheCausalTriangle) {
  for (const std::int64_t rank : {0, 1}) {
    Runs q = laid_out(partition_runs(Partition::kZigzag, 0, 131'072, 2, rank)), k{{.rows = 131'072}};
    std::int64_t pairs = 0;
    for (const AttentionBlock& b : causal_blocks(q, k)) pairs += b.pairs();
    EXPECT_EQ(pairs, 4'295'000'064);
  }
}

// domain.md 10. Chunks of one token: rows are chunk numbers.
TEST(Runs, ZigzagChunks) {
  const auto chunks = [](std::int64_t cp, std::int64_t rank) {
    return global_rows(partition_runs(Partition::kZigzag, 0, 2 * cp, cp, rank));
  };
  using Chunks = std::vector<std::int32_t>;
  EXPECT_EQ(chunks(2, 0), (Chunks{0, 3}));
  EXPECT_EQ(chunks(2, 1), (Chunks{1, 2}));
  for (const std::int32_t r : {0, 1, 2, 3}) EXPECT_EQ(chunks(4, r), (Chunks{r, 7 - r}));
}

// RingMLA calls of a rank: 2 cp + 1, of which 2 are triangular (domain.md 10).
TEST(Runs, RingMlaCalls) {
  for (const std::int64_t cp : {1, 2}) {
    const Program program = strategy("mindie-cp").build(small(cp, 1, {64}), 0).program;
    int calls = 0, triangular = 0;
    for (const Operator& op : program.operators) {
      if (std::string_view(op.label) != "ring_mla") continue;
      const OperatorView v(program, op);
      ++calls;
      triangular += v.tail<PrefillCore, AttentionBlock>(1)[0].causal;
    }
    EXPECT_EQ(calls, 2 * cp + 1);
    EXPECT_EQ(triangular, 2);
  }
}

// The docstring of vLLM-Ascend's PCP manager (vllm_ascend/worker/pcp_utils.py, v0.15.0rc1): tokens [1, 5, 8], the first
// a decode that all ranks compute, pcp 2.
TEST(Runs, OfThePcpManagersDocstring) {
  std::vector<Runs> ranks;
  for (const std::int64_t r : {0, 1}) {
    Runs runs{{.sequence = 0, .rows = 1}};
    for (const std::int32_t s : {1, 2})
      for (const ascendsim::Run& run : partition_runs(Partition::kZigzag, s, s == 1 ? 5 : 8, 2, r, true))
        runs.push_back(run);
    ranks.push_back(laid_out(std::move(runs)));
  }
  const auto positions = [&](std::size_t r) {
    std::vector<std::int32_t> out;
    for (const std::int32_t row : global_rows(ranks[r])) out.push_back(row & ((1 << 20) - 1));
    return out;
  };
  EXPECT_EQ(positions(0), (std::vector<std::int32_t>{0, 0, 1, 6, 7, 0, 1, 6, 7}));
  EXPECT_EQ(positions(1), (std::vector<std::int32_t>{0, 2, 3, 4, 5, 2, 3, 4, 5}));
  for (const Runs& rank : ranks) EXPECT_EQ(rows_of(rank), 1 + 4 + 4);
  // In order, both copies of the decode token, prefills padded to 8 and 8.
  const Runs wanted{
      {.sequence = 0, .rows = 1}, {.sequence = 0, .rows = 1}, {.sequence = 1, .rows = 8}, {.sequence = 2, .rows = 8}};
  std::vector<std::int32_t> restore;
  for (const RowRun& run : rows_holding(wanted, ranks, 9))
    for (std::int32_t i = 0; i < run.rows; ++i) restore.push_back(run.first + i);
  EXPECT_EQ(restore, (std::vector<std::int32_t>{0, 9, 1, 2, 10, 11, 12, 13, 3, 4, 5, 6, 14, 15, 16, 17, 7, 8}));
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
  EXPECT_EQ(interleaved(300, 128, 2), (Counts{172, 128}));
  Counts of_16(16, 8192);
  of_16[0] = 8195;
  EXPECT_EQ(interleaved(131'075, 128, 16), of_16);
  EXPECT_EQ(interleaved(1305, 128, 8), (Counts{256, 256, 153, 128, 128, 128, 128, 128}));
  for (const std::int64_t tokens : {1305, 380, 1152, 4100, 1, 128})
    EXPECT_EQ(counts([&](std::int64_t r) { return block_runs(0, tokens, 8, 128, r); }, 8),
              place_blocks(tokens, 0, 8, 128).tokens);
}

// ---- properties
// ------------------------------------------------------------------------------------------------------

AttentionCase any_case() {
  AttentionCase c = small(*rc::gen::inRange<std::int64_t>(1, 5), *rc::gen::element<std::int64_t>(1, 2, 3, 4), {});
  c.heads = c.tp * *rc::gen::inRange<std::int64_t>(1, 4);
  c.nope = *rc::gen::inRange<std::int64_t>(1, 20);
  c.rope = 2 * *rc::gen::inRange<std::int64_t>(1, 6);
  c.value = *rc::gen::inRange<std::int64_t>(1, 20);
  c.kv_rank = *rc::gen::inRange<std::int64_t>(1, 40);
  c.dcp = *rc::gen::element<std::int64_t>(1, 2, c.tp);
  c.tokens = *rc::gen::container<std::vector<std::int64_t>>(2, rc::gen::inRange<std::int64_t>(5, 300));
  c.history =
      *rc::gen::oneOf(rc::gen::just(std::vector<std::int64_t>{}), rc::gen::just(std::vector<std::int64_t>{128, 384}),
                      rc::gen::container<std::vector<std::int64_t>>(2, rc::gen::inRange<std::int64_t>(0, 300)));
  c.partition = *rc::gen::element(Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin);
  c.interleave = *rc::gen::element<std::int64_t>(1, 16, 128);
  return c;
}

// Padded chunks count as what they are: the engine computes them.
RC_GTEST_PROP(Attention, PairsOfAllRanksAreTheCausalTriangle, ()) {
  AttentionCase c = any_case();
  c.dcp = 1;
  for (const AttentionStrategy& s : attention_strategies()) {
    if (s.decode) continue;
    if (s.fp16_only != nullptr) c.dcp = c.tp;
    if (!s.broken_rules(c).empty()) continue;
    std::int64_t sum = 0, expected = 0;
    for (std::int64_t r = 0; r < c.cp; ++r) sum += pairs_of(s, c, r);
    for (std::size_t i = 0; i < c.tokens.size(); ++i) {
      const bool padded = s.words.size() == 3;
      const std::int64_t tokens = padded ? 2 * c.cp * ceil_div(c.tokens[i], 2 * c.cp) : c.tokens[i];
      expected += tokens * (tokens + 1) / 2 + c.history_of(i) * tokens;
    }
    RC_ASSERT(sum == expected);
    c.dcp = 1;
  }
}

RC_GTEST_PROP(Attention, AnyCaseIsDenseAttention, ()) {
  const AttentionCase any = any_case();
  const auto order = *rc::gen::inRange(0, 4);
  for (const AttentionStrategy& s : attention_strategies()) {
    AttentionCase c = any;
    if (s.fp16_only != nullptr) c.dcp = c.tp;
    if (!s.partitions.empty()) c.dcp = 1;
    if (s.decode) c.history.clear();
    if (!s.broken_rules(c).empty()) continue;
    RC_CLASSIFY(true, std::string(s.name) + (c.has_history() ? " with history" : ""));
    const AttentionReport r = check(s.name, c, {.orders = order});
    RC_LOG() << s.name << " " << r.error.out << " " << r.error.lse << std::endl;
    RC_ASSERT(r.error.out < 1e-12);
    RC_ASSERT(r.error.lse < 1e-12);
    RC_ASSERT(r.flops_performed == r.flops_charged);
    RC_ASSERT(r.bytes_moved == r.bytes_charged);
    RC_ASSERT(r.orders_that_differ == 0);
  }
}

}  // namespace
}  // namespace ascendsim
