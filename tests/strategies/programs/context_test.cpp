// Context parallelism as vLLM-Ascend (PCP, DCP inside the TP group) and SGLang (whole caches) run it, and the ring that
// none of them has: where tokens lie, what whole layers compute, what is charged and sent.
#include "strategies/programs/context.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>

#include "strategies/engines/rules.h"
#include "strategies/prediction/disaggregated.h"
#include "strategies/programs/context/attention.h"
#include "tests/strategies/reference/layers_under_test.h"

namespace ascendsim {
namespace {

using Tokens = std::vector<std::int64_t>;

// Two partitions, two exchanges, two ways to call: for each of the eight one way to attend, and no row is for none.
TEST(ContextAttention, OneFitsEveryScheme) {
  using Calls = ContextScheme::Calls;
  std::vector<std::int64_t> used(context_attentions().size());
  for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin})
    for (const LatentExchange exchange : {LatentExchange::kAllGather, LatentExchange::kRing})
      for (const Calls calls : {Calls::kChunkByChunk, Calls::kMaskedFirst}) {
        std::int64_t fitting = 0;
        for (std::size_t i = 0; i < used.size(); ++i)
          if (context_attentions()[i].fits({.partition = partition, .exchange = exchange, .cache = {}, .calls = calls}))
            ++fitting, ++used[i];
        EXPECT_EQ(fitting, 1);
      }
  EXPECT_EQ(used, (Tokens{1, 1, 2, 2, 2}));  // only gathered zigzag chunks are called in two ways
}

// ---- where tokens lie
// ---------------------------------------------------------------------------------------------------

Tokens local_lengths(std::int64_t tokens, std::int64_t turn, std::int64_t shards) {
  const CachePlacement cache{.shards = shards, .turn = turn};
  Tokens out;
  for (std::int64_t r = 0; r < shards; ++r) out.push_back(cache.local_tokens(tokens, 0, r));
  return out;
}

// base = floor(floor(L / J) / C) J, local = base + clip(L - base C - r J, 0, J).
TEST(CachePlacement, TurnsOfVllm) {
  EXPECT_EQ(local_lengths(10, 1, 4), (Tokens{3, 3, 2, 2}));
  EXPECT_EQ(local_lengths(10, 4, 2), (Tokens{6, 4}));
  EXPECT_EQ(local_lengths(300, 128, 2), (Tokens{172, 128}));
  EXPECT_EQ(local_lengths(1305, 128, 8), (Tokens{256, 256, 153, 128, 128, 128, 128, 128}));
  Tokens long_one(16, 8192);
  long_one[0] = 8195;
  EXPECT_EQ(local_lengths(131'075, 128, 16), long_one);
}

RC_GTEST_PROP(CachePlacement, EveryTokenLiesOnceAndIsCounted, ()) {
  const auto shards = *rc::gen::inRange<std::int64_t>(1, 9), turn = *rc::gen::element<std::int64_t>(0, 1, 2, 8, 128);
  const auto prompt = *rc::gen::inRange<std::int64_t>(1, 700), generated = *rc::gen::inRange<std::int64_t>(0, 300);
  const CachePlacement cache{.shards = shards, .block_tokens = 16, .turn = turn};
  std::vector<int> seen(static_cast<std::size_t>(prompt + generated));
  std::int64_t most_blocks = 0;
  for (std::int64_t r = 0; r < shards; ++r) {
    std::int64_t row = 0;
    for (const PlacedTokens& p : cache.placed(prompt, generated, r)) {
      RC_ASSERT(p.row == row);
      row += p.tokens;
      for (std::int64_t i = 0; i < p.tokens; ++i) ++seen[static_cast<std::size_t>(p.first + i)];
      if (turn > 0 && shards > 1) RC_ASSERT(p.first / turn % shards == r);
    }
    RC_ASSERT(row == cache.local_tokens(prompt, generated, r));
    most_blocks = std::max(most_blocks, ceil_div(row, std::int64_t{16}));
  }
  RC_ASSERT(std::ranges::all_of(seen, [](int n) { return n == 1; }));
  RC_ASSERT(cache.blocks_of_fullest(prompt, generated) == most_blocks);
}

RC_GTEST_PROP(PromptSplit, PlacesAndPartsAgree, ()) {
  const auto cp = *rc::gen::inRange<std::int64_t>(1, 9), tokens = *rc::gen::inRange<std::int64_t>(1, 500);
  const auto partition = *rc::gen::element(PromptPartition::kZigzag, PromptPartition::kRoundRobin);
  const PromptSplit split = prompt_split(partition, tokens, cp);
  std::vector<int> seen(static_cast<std::size_t>(split.padded()));
  RC_ASSERT(split.padded() >= tokens && split.padded() < tokens + 2 * cp);
  for (std::int64_t rank = 0; rank < cp; ++rank)
    for (std::int64_t part = 0; part < split.parts; ++part)
      for (std::int64_t row = 0; row < split.chunk; ++row) {
        const std::int64_t token = split.first(rank, part) + row * split.stride;
        ++seen[static_cast<std::size_t>(token)];
        const PromptSplit::Place place = split.place_of(token);
        RC_ASSERT(place.rank == rank && place.part == part && place.row == row);
      }
  RC_ASSERT(std::ranges::all_of(seen, [](int n) { return n == 1; }));
}

// tokens [5, 8] over pcp 2: positions [0, 1, 6, 7] of both on rank 0, [2, 3, 4, 5] on rank 1 (pcp_utils.py, docstring).
TEST(PromptSplit, HeadAndTailOfVllm) {
  for (const std::int64_t tokens : {5, 8}) {
    const PromptSplit split = prompt_split(PromptPartition::kZigzag, tokens, 2);
    EXPECT_EQ(split.padded(), 8);
    EXPECT_EQ((Tokens{split.first(0, 0), split.first(0, 1), split.first(1, 0), split.first(1, 1)}),
              (Tokens{0, 6, 2, 4}));
  }
}

// ---- groups
// -------------------------------------------------------------------------------------------------------------

// pcp 2, tp 4, dcp 2: DCP groups are halves of the TP groups; a cache lies on one half of both TP groups, twice.
TEST(ContextGroups, OfDcpInsideTp) {
  using Groups = std::vector<std::vector<int>>;
  const Layout l{.cp = 2, .sp = 2, .tp = 4, .moe_ep = 8};
  const auto kinds = rank_groups(l);
  EXPECT_EQ(kinds[kind(Group::kAttnSp)].groups, (Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(kinds[kind(Group::kAttnCp)].groups, (Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}}));
  EXPECT_EQ(kinds[kind(Group::kKvShards)].groups, (Groups{{0, 1, 4, 5}, {2, 3, 6, 7}}));
  EXPECT_EQ(coordinates(l, 5).kv_shard(l), 3);  // pcp rank 1, dcp rank 1
  EXPECT_EQ(coordinates(l, 6).kv_shard(l), 2);
  EXPECT_EQ(l.cache_copies(), 2);
}

TEST(ContextGroups, WholeCachesAreOneShard) {
  const Layout l{.cp = 4, .tp = 2, .cp_whole_cache = true, .moe_ep = 8};
  EXPECT_EQ(l.kv_shards(), 1);
  EXPECT_EQ(l.cache_copies(), 8);
  for (std::int64_t r = 0; r < 8; ++r) EXPECT_EQ(coordinates(l, r).kv_shard(l), 0);
}

// ---- whole layers
// -------------------------------------------------------------------------------------------------------

Deployment by_vllm(const Example& e, std::int64_t interleave) {
  Deployment d = level_2(tiny(e));
  d.set_engine("vllm-ascend");
  d.limits.kv_interleave = interleave;
  return d;
}
Deployment by_sglang(const Example& e, PromptPartition partition = PromptPartition::kZigzag) {
  Deployment d = level_2(tiny(e));
  d.set_engine("sglang");
  d.role = Role::kPrefill;
  d.layout.cp_whole_cache = true;
  d.layout.cp_partition = partition;
  return d;
}
Deployment with_ring(Deployment d) {
  d.layout.cp_exchange = LatentExchange::kRing;
  return d;
}

// Prompts from nothing and after a cached half, decode where the engine has it; one length and another.
void expect_all_exact(const char* what, const Deployment& d) {
  for (const std::uint64_t seed : {0, 1}) {
    SCOPED_TRACE(seed);
    expect_exact(what, d, tiny_step(d, Phase::kPrefill, 0, seed), facts());
    expect_exact(what, d, tiny_step(d, Phase::kPrefill, 29, seed, true), facts());
    if (d.role != Role::kPrefill) expect_exact(what, d, tiny_step(d, Phase::kDecode, 0, seed), without_prolog());
  }
}

TEST(ContextLayers, VllmPrefillAndDecode) {
  expect_all_exact("pcp2", by_vllm({.cp = 2}, 2));
  expect_all_exact("pcp2 tp2", by_vllm({.cp = 2, .tp = 2}, 1));
  expect_all_exact("pcp3 tp2 dcp2", by_vllm({.cp = 3, .sp = 2, .tp = 2}, 2));
  expect_all_exact("dcp2 of tp4", by_vllm({.sp = 2, .tp = 4}, 1));
  expect_all_exact("pcp2, dcp2 of tp4", by_vllm({.cp = 2, .sp = 2, .tp = 4}, 2));
  expect_all_exact("dp2, dcp2 of tp4", by_vllm({.dp = 2, .sp = 2, .tp = 4}, 1));
  Deployment drafts = by_vllm({.cp = 2, .sp = 2, .tp = 4}, 1);
  drafts.features.speculative_tokens = 3;
  expect_all_exact("pcp2, dcp2 of tp4, three drafts", drafts);
}

TEST(ContextLayers, SglangPrefill) {
  for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin}) {
    SCOPED_TRACE(static_cast<int>(partition));
    expect_all_exact("cp4", by_sglang({.cp = 4}, partition));
    expect_all_exact("cp3 tp2", by_sglang({.cp = 3, .tp = 2}, partition));
    expect_all_exact("cp2 tp4", by_sglang({.cp = 2, .tp = 4}, partition));
  }
}

TEST(ContextLayers, RingOfLatents) {
  expect_all_exact("MindIE", with_ring(tiny({.cp = 2, .sp = 2, .tp = 2})));
  expect_all_exact("pcp4, dcp2 of tp4", with_ring(by_vllm({.cp = 4, .sp = 2, .tp = 4}, 1)));
  for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin})
    expect_all_exact("whole caches", with_ring(by_sglang({.cp = 5}, partition)));
}

TEST(ContextLayers, FlashCommOverCutPrompts) {
  for (Deployment d : {by_vllm({.cp = 2, .sp = 2, .tp = 4}, 1), by_vllm({.cp = 3, .tp = 2}, 2)}) {
    d.features.flashcomm1 = d.experts.exact_all_to_all = true;
    expect_all_exact("FlashComm1", d);
  }
}

// DeepSeek-V3.2: latents and index keys are gathered; the cache is whole, or cut inside the TP group.
TEST(ContextLayers, SparseAttention) {
  const auto sparse = [](const Example& e) {
    Deployment d = deployment(e);
    d.model = shipped_model("deepseek-v3.2");
    std::vector<std::string> rules;
    return level_2(tiny_deployment(d, rules));
  };
  for (const Example& e : {Example{.cp = 4, .tp = 2}, Example{.cp = 3}})
    for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin}) {
      Deployment whole = sparse(e);
      whole.set_engine("sglang");
      whole.role = Role::kPrefill;
      whole.layout.cp_whole_cache = true;
      whole.layout.cp_partition = partition;
      expect_all_exact(partition == PromptPartition::kZigzag ? "zigzag, whole caches" : "round-robin, whole caches",
                       whole);
    }
  Deployment cut = sparse({.cp = 2, .sp = 2, .tp = 4});
  cut.set_engine("vllm-ascend");
  cut.limits.kv_interleave = 1;
  expect_all_exact("cut caches", cut);
  cut.layout.cp_partition = PromptPartition::kRoundRobin;
  expect_all_exact("round-robin, cut caches", cut);
  cut.features.flashcomm1 = cut.experts.exact_all_to_all = true;
  expect_all_exact("round-robin, shares scattered over the TP group", cut);
}

// There is no program for it, and no other one in its place; with dense attention a ring is a what-if.
TEST(ContextLayers, SparseAttentionGoesRoundNoRing) {
  Deployment d = with_ring(deployment({.cp = 4}));
  const auto said = [&] {
    Diagnostics found;
    check_generic({d, 0, shipped_server("atlas-800i-a3"), 1}, found);
    std::string out;
    for (const Diagnostic& x : found.all())
      if (x.code == "E0444" || x.code == "A0142") out += render(x);
    return out;
  };
  EXPECT_TRUE(said().starts_with("note[A0142]: a what-if: ")) << said();
  d.model = shipped_model("deepseek-v3.2");
  EXPECT_EQ(said(),
            "error[E0444]: sparse attention cannot go round a ring of cp ranks\n"
            "  = rule: a query picks among the keys of all ranks: npu_lightning_indexer returns neither scores nor lse "
            "to merge parts by, so latents and index keys are "
            "gathered (vllm-project/vllm-ascend#6588; SGLang nsa_indexer.py)\n"
            "  = help: layout.cp_exchange: all-gather\n");
}

// The cached prefix of these steps does not fit into one workspace, so the checks above cover several.
TEST(ContextLayers, LongPrefixesComeInPieces) {
  const Deployment d = by_vllm({.sp = 2, .tp = 2}, 1);
  const Step step = tiny_step(d, Phase::kPrefill, 29, 0, true);
  const Program p = build_program(d, step, facts(), 0);
  // One request of 1 token at most: a workspace of max(min(8 x 1, 64K), 1 x 2) = 8 tokens, 4 a sequence; 14 and more
  // are cached.
  EXPECT_GE(std::ranges::count(p.operators, std::string_view("history_attention"),
                               [](const Operator& o) { return std::string_view(o.label); }),
            3 * d.model.layers);
}

// ---- mistakes that must be caught
// ---------------------------------------------------------------------------------------

constexpr auto kSwap = [](std::span<RowMove> moves) {
  if (moves.size() > 1)
    std::swap(moves[0].from, moves[1].from);
  else if (!moves.empty())
    ++moves[0].from;
};
constexpr auto kUnmask = [](Program& p, Operator& op) {
  if (OperatorView(p, op).params<PrefillCore>().blocks > 0) blocks_of(p, op)->causal = 0;
};

TEST(ContextMutations, Vllm) {
  const Deployment d = by_vllm({.cp = 2, .sp = 2, .tp = 4}, 1);
  for (const char* label :
       {"latent_gather", "layer_all_gather", "head_cp_all_gather", "unmasked_attention", "kv_cache_write"})
    expect_caught(label, d, Phase::kPrefill, on(label, kSkip));
  expect_caught("no mask", d, Phase::kPrefill, on("masked_attention", kUnmask));
  expect_caught("wrong order", d, Phase::kPrefill, on_moves("latent_reorder", kSwap));
  for (const char* label : {"q_gather", "out_lse_exchange", "out_lse_gather"})
    expect_caught(label, d, Phase::kDecode, on(label, kSkip));
  // A merge that takes one part for another's: shards of the same token twice.
  expect_caught("wrong merge", d, Phase::kDecode, on("fa_update", [](Program& p, Operator& op) {
                  p.values[op.operands].row += p.values[op.operands + op.inputs].rows;
                }));
}

TEST(ContextMutations, Sglang) {
  const Deployment zigzag = by_sglang({.cp = 3, .tp = 2}),
                   stripes = by_sglang({.cp = 3, .tp = 2}, PromptPartition::kRoundRobin);
  for (const Deployment* d : {&zigzag, &stripes}) {
    for (const char* label : {"latent_gather", "kv_cache_write", "head_cp_all_gather"})
      expect_caught(label, *d, Phase::kPrefill, on(label, kSkip));
    expect_caught("wrong order", *d, Phase::kPrefill, on_moves("latent_reorder", kSwap));
  }
  expect_caught("no mask", stripes, Phase::kPrefill, on("striped_attention", kUnmask));
  expect_caught("late mask", stripes, Phase::kPrefill,
                on("striped_attention", [](Program& p, Operator& op) { ++blocks_of(p, op)->shift; }));
  expect_caught("no mask", zigzag, Phase::kPrefill, on("masked_attention", kUnmask));
}

TEST(ContextMutations, Ring) {
  for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin}) {
    const Deployment d = with_ring(by_sglang({.cp = 3}, partition));
    expect_caught("no shift", d, Phase::kPrefill, on("latent_shift", kSkip));
    expect_caught("no write", d, Phase::kPrefill, on("kv_cache_write", kSkip));
    expect_caught("no mask", d, Phase::kPrefill, on("ring_attention", kUnmask));
    expect_caught("other rows", d, Phase::kPrefill, on_moves("kv_cache_write", kSwap));
  }
}

// ---- what is charged and sent
// -------------------------------------------------------------------------------------------

constexpr std::int64_t kLong = 131'072;

// The 128K guide's prefill node: pcp 2, tp 16, dcp 8 on 32 dies of two servers; R1.
Deployment long_prefill(std::int64_t dcp = 8) {
  Deployment d = deployment({.cp = 2, .sp = 16, .tp = 16, .input = kLong});
  d.set_engine("vllm-ascend");
  d.role = Role::kPrefill;
  d.layout.sp = dcp;
  d.layout.ep_level = 2;
  d.experts.exact_all_to_all = true;
  d.limits.kv_interleave = 128;
  return d;
}
StepTime priced(const Deployment& d, std::int64_t tokens) {
  const auto servers = static_cast<int>(ceil_div(d.layout.world(), std::int64_t{16}));
  static std::vector<std::unique_ptr<Scenario>> kept;
  kept.push_back(std::make_unique<Scenario>(d, mindie_stack(), shipped_kernels(),
                                            Cluster(shipped_server("atlas-800i-a3"), servers)));
  return kept.back()->pricer.price(prefill_step(d.layout, 1, tokens));
}

TEST(ContextCharges, OfTheLongPrefillNode) {
  const StepTime step = priced(long_prefill(), kLong);
  // 42,925,261,439,631,360 of the core over 2 x 16 ranks: zigzag is exact.
  EXPECT_EQ(flops(step, {"masked_attention", "unmasked_attention"}), 1'341'414'419'988'480);
  EXPECT_EQ(flops(step, {"q_b"}), 18'863'496'364'032);  // 2 S/2 * 61 * 37,748,736 / 16
  EXPECT_EQ(flops(step, {"kv_b_k", "kv_b_v"}),
            16'767'552'323'584);                            // 2 S * 61 * 16,777,216 / 16: all keys on every cp rank
  EXPECT_EQ(flops(step, {"o_proj"}), 58'686'433'132'544);   // 2 S/2 * 61 * 117,440,512 / 16
  EXPECT_EQ(sent_once(step, "latent_gather"), 75'497'472);  // half of S * 1,152 B
  EXPECT_EQ(sent_once(step, "attention_all_reduce"),
            1'761'607'680);  // 2 * 15/16 of S/2 * 14,336 B: rows are whole in the TP group
  EXPECT_EQ(sent_once(step, "head_cp_all_gather"), 939'524'096);  // half of S * 14,336 B
}

// With FlashComm1 an expert layer sends, per rank: q_c 188,743,680, kv 70,778,880 and o_proj 880,803,840 over TP, the
// latent over PCP 75,497,472, dispatch 227,667,968 and combine 455,081,984 over EP.
TEST(ContextCharges, OfTheLongPrefillNodeWithFlashComm) {
  Deployment d = long_prefill();
  d.features.flashcomm1 = true;
  const StepTime step = priced(d, kLong);
  std::int64_t sum = 0;
  for (const char* label :
       {"q_c_gather", "kv_gather", "latent_gather", "attention_reduce_scatter", "moe_dispatch", "moe_combine"})
    sum += sent_once(step, label);
  EXPECT_EQ(sum, 1'898'573'824);
  EXPECT_EQ(sent_once(step, "head_cp_all_gather"), 939'524'096);
}

// Calls without mask read at most 16,384 keys: chunks of 32,768 have 0 to 3 chunks before them, 0 + 6 calls on rank 0
// and 2 + 4 on rank 1.
TEST(ContextCharges, UnmaskedKeysComeInSegments) {
  const Deployment d = long_prefill();
  for (const std::int64_t rank : {0, 16}) {
    const Program p = build_program(d, prefill_step(d.layout, 1, kLong), facts(), rank);
    std::int64_t calls = 0;
    for (const Operator& op : p.operators)
      if (op.layer == 0 && std::string_view(op.label) == "unmasked_attention") {
        ++calls;
        EXPECT_EQ(OperatorView(p, op).in(1).rows, 16'384);
      }
    EXPECT_EQ(calls, 6);
  }
}

// One all-gather and cp - 1 steps send as much; the ring expands what some query sees: of its own chunks both, of an
// earlier rank's the first, of a later rank's both.
TEST(ContextCharges, RingSendsAsMuchAndExpandsLess) {
  for (const std::int64_t cp : {2, 4, 8}) {
    Deployment d = deployment({.cp = cp, .sp = 1, .tp = 2, .input = 4096});
    d.set_engine("sglang");
    d.layout.cp_whole_cache = true;
    const StepTime gathered = priced(d, 4096);
    const StepTime ring = priced(with_ring(d), 4096);
    EXPECT_EQ(collective(ring, "latent_shift").sent, collective(gathered, "latent_gather").sent);
    EXPECT_EQ(flops(ring, {"ring_attention"}), flops(gathered, {"masked_attention", "unmasked_attention"}));
    for (std::int64_t rank = 0; rank < cp; ++rank) {
      const Deployment exchanged = with_ring(d);
      const Program p = build_program(exchanged, prefill_step(d.layout, 1, 4096), facts(), 2 * rank);
      std::int64_t rows = 0;
      for (const Operator& op : p.operators)
        if (op.layer == 0 && std::string_view(op.label) == "kv_b_k") rows += OperatorView(p, op).in(0).rows;
      EXPECT_EQ(rows, 4096 / (2 * cp) * (2 + rank + 2 * (cp - 1 - rank)));
    }
  }
}

// Round-robin shares of 4,096 tokens over 4 ranks, exact causal pairs summed over ranks: S (S + 1) / 2.
TEST(ContextCharges, EveryPartitionHasTheSamePairs) {
  for (const PromptPartition partition : {PromptPartition::kZigzag, PromptPartition::kRoundRobin})
    for (const LatentExchange exchange : {LatentExchange::kAllGather, LatentExchange::kRing}) {
      Deployment d = deployment({.cp = 4, .sp = 1, .tp = 1, .input = 4096});
      d.set_engine("sglang");
      d.layout.cp_whole_cache = true;
      d.layout.cp_partition = partition;
      d.layout.cp_exchange = exchange;
      std::int64_t pairs = 0;
      for (std::int64_t rank = 0; rank < 4; ++rank) {
        const Program p = build_program(d, prefill_step(d.layout, 1, 4096), facts(), rank);
        for (const Operator& op : p.operators) {
          if (op.layer != 0 || std::string_view(op.type->name) != "attention_prefill") continue;
          const OperatorView v(p, op);
          for (const AttentionBlock& b :
               v.tail<PrefillCore, AttentionBlock>(static_cast<std::size_t>(v.params<PrefillCore>().blocks)))
            pairs += b.pairs();
        }
      }
      EXPECT_EQ(pairs, std::int64_t{4096} * 4097 / 2);
    }
}

// ---- memory and transfer
// ------------------------------------------------------------------------------------------------

// vllm_ascend worker.py: block = 128 tokens x 1,152 B a layer; a pool holds blocks x 128 x dcp x pcp tokens.
TEST(ContextMemory, BlocksAndPoolsOfCutCaches) {
  Deployment d = long_prefill();
  d.features.speculative_tokens = 1;
  const Scenario s(d, mindie_stack(), shipped_kernels(), Cluster(shipped_server("atlas-800i-a3"), 2));
  const MemoryPerRank m = s.memory({.input_tokens = kLong, .output_tokens = 1});
  EXPECT_EQ(m.block.count() / d.cached_layers(), 147'456);
  EXPECT_EQ(m.kv_capacity_tokens, m.kv_blocks * 128 * 16);
  EXPECT_EQ(m.kv_blocks_needed, 64);                            // 131,072 / 128 / 16
  EXPECT_EQ((std::int64_t{10} << 30) / m.block.count(), 1174);  // 10 GiB: 150,272 tokens, 2,404,352 over 16 shards
}

TEST(ContextMemory, SglangHoldsEverythingOnEveryRank) {
  Deployment d = deployment({.cp = 16, .sp = 1, .tp = 1, .input = 65'536});
  d.set_engine("sglang");
  d.role = Role::kPrefill;
  d.layout.cp_whole_cache = true;
  Deployment tp = deployment({.tp = 16, .input = 65'536});
  tp.set_engine("sglang");
  tp.role = Role::kPrefill;
  const Workload w{.input_tokens = 65'536, .output_tokens = 1};
  const MemoryPerRank with_cp = scenario(d)->memory(w), with_tp = scenario(tp)->memory(w);
  EXPECT_EQ(with_cp.kv_bytes_per_token, with_tp.kv_bytes_per_token);
  EXPECT_EQ(with_cp.kv_cache, with_tp.kv_cache);
  // Whole attention on every cp rank: q_b, kv_b and o_proj of 61 layers, 15/16 more than with tp 16.
  const auto component = [](const MemoryPerRank& m, std::string_view key) {
    return std::ranges::find(m.weight_components, key, &MemoryPerRank::Component::name)->bytes.count();
  };
  for (const char* key : {"q_b", "w_uk", "w_uv", "o_proj"})
    EXPECT_EQ(component(with_cp, key), 16 * component(with_tp, key)) << key;
}

// Domain figures of the 128K pair: every D rank pulls S x 71,424 B from 16 shards of one of two copies.
TEST(ContextTransfer, OfTheLongPair) {
  Deployment p = long_prefill();
  Deployment d = deployment({.tp = 16, .input = kLong});
  d.set_engine("vllm-ascend");
  d.role = Role::kDecode;
  p.features.speculative_tokens = d.features.speculative_tokens = 3;
  const Cluster two(shipped_server("atlas-800i-a3"), 2), one(shipped_server("atlas-800i-a3"), 1);
  const Workload w{.input_tokens = kLong, .output_tokens = 1024};
  const KvTransfer whole =
      kv_transfer({p, mindie_stack(), shipped_kernels(), two}, {d, mindie_stack(), shipped_kernels(), one}, w);
  EXPECT_EQ(whole.per_decode_rank.count(), 9'361'686'528);
  EXPECT_EQ(whole.total.count(), 16 * 9'361'686'528);
  EXPECT_EQ(whole.per_prefill_rank.count(), 9'361'686'528 / 2);  // 8 D ranks, 1/16 each
  d.layout.sp = 8;  // DCP on the decode side: each rank pulls its own tokens
  const KvTransfer cut =
      kv_transfer({p, mindie_stack(), shipped_kernels(), two}, {d, mindie_stack(), shipped_kernels(), one}, w);
  EXPECT_EQ(cut.per_decode_rank.count(), 9'361'686'528 / 8);
  EXPECT_EQ(whole.sources, 16);
  EXPECT_EQ(whole.mapping, "all 16 shards of a prompt; decode ranks take its 2 copies in turn");
}

// SGLang (sglang/srt/disaggregation/common/conn.py, _resolve_rank_mapping, MLA): decode TP rank i of D pulls the whole
// cache from prefill TP rank i P / D of P of CP rank 0; with more decode ranks than prefill ranks several share one,
// with fewer some send nothing.
TEST(ContextTransfer, OfSglangPairs) {
  const auto transfer = [](Example prefill, std::int64_t decode_tp) {
    prefill.input = 65'536;
    Deployment p = deployment(prefill), d = deployment({.tp = decode_tp, .input = 65'536});
    p.set_engine("sglang"), d.set_engine("sglang");
    p.role = Role::kPrefill, d.role = Role::kDecode;
    p.layout.cp_whole_cache = d.layout.cp_whole_cache = true;
    const Cluster two(shipped_server("atlas-800i-a3"), 2);
    return kv_transfer({p, mindie_stack(), shipped_kernels(), two}, {d, mindie_stack(), shipped_kernels(), two},
                       {.input_tokens = 65'536, .output_tokens = 1});
  };
  struct Case {
    Example prefill;
    std::int64_t decode_tp, receivers;  // decode ranks that one sending rank serves
    const char* mapping;
  };
  for (const Case& c : {Case{{.cp = 32}, 16, 16, "decode TP rank i: TP rank 0 of CP rank 0"},
                        Case{{.cp = 4, .tp = 8}, 8, 1, "decode TP rank i: TP rank i of CP rank 0"},
                        Case{{.tp = 16}, 4, 1, "decode TP rank i: TP rank 4 i"},
                        Case{{.dp = 4, .tp = 4}, 16, 4, "decode TP rank i: TP rank i div 4"}}) {
    const KvTransfer t = transfer(c.prefill, c.decode_tp);
    EXPECT_EQ(t.mapping, c.mapping);
    EXPECT_EQ(t.sources, 1);
    EXPECT_EQ(t.per_prefill_rank, t.per_decode_rank * c.receivers) << c.mapping;
    EXPECT_EQ(t.total, t.per_decode_rank * c.decode_tp);
  }
}

}  // namespace
}  // namespace ascendsim
