// DeepSeek-V3.2: whole layers with the indexer compute what one dense rank computes, whatever divides them; mistakes
// are caught; and what a TP group does not divide is counted.
#include <gtest/gtest.h>

#include "strategies/prediction/memory.h"
#include "strategies/reference/layer_check.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"
#include "workloads/operators/sparse_attention.h"

namespace ascendsim {
namespace {

KernelFacts facts() { return kernel_facts(mindie_stack(), shipped_kernels()); }
KernelFacts without_prolog() {
  KernelFacts f = facts();
  f.prolog_max_tokens = 0;
  return f;
}

Deployment v32(const Example& e, std::int64_t drafts = 0) {
  Deployment d = deployment(e);
  d.model = shipped_model("deepseek-v3.2");
  d.features.speculative_tokens = drafts;
  return d;
}
Deployment tiny(const Example& e, std::int64_t drafts = 0) {
  std::vector<std::string> rules;
  return tiny_deployment(v32(e, drafts), rules);
}
Deployment token_split(Deployment d) {
  d.layout.ep_level = 2;
  d.token_split_prefill = true;
  d.experts.exact_all_to_all = true;
  return d;
}

constexpr Phase kBoth[] = {Phase::kPrefill, Phase::kDecode};

void expect_exact(const char* what, const Deployment& d, const Step& step, const KernelFacts& f) {
  const LayerReport r = check_layers(d, step, f, LayerType::kFp64);
  EXPECT_TRUE(r.close()) << what << ": hidden " << r.error.hidden << ", logits " << r.error.logits << ", cache "
                         << r.error.cache;
  EXPECT_TRUE(r.ledger_agrees()) << what << ": " << r.flops_performed << " of " << r.flops_charged << " FLOP, "
                                 << r.bytes_moved << " of " << r.bytes_charged << " bytes";
}
void expect_exact(const char* what, const Deployment& d, const KernelFacts& f = facts()) {
  for (const Phase phase : kBoth) {
    SCOPED_TRACE(phase == Phase::kPrefill ? "prefill" : "decode");
    for (const std::uint64_t seed : {0, 1}) expect_exact(what, d, tiny_step(d, phase, 0, seed), f);
  }
}

TEST(SparseLayers, TensorDataAndExpertParallel) {
  expect_exact("one rank", tiny({}));
  expect_exact("tp4", tiny({.tp = 4}));
  expect_exact("dp3, the last idle", tiny({.dp = 3}));
  expect_exact("dp2 tp2", tiny({.dp = 2, .tp = 2}));
  expect_exact("separate operators", tiny({.dp = 2, .tp = 2}), without_prolog());
  expect_exact("experts exchanged", tiny({.dp = 2, .tp = 2, .ep_level = 2}));
}

// Tokens, not heads, are divided: all-gather of latent and index key over the CP group, or over the TP group.
TEST(SparseLayers, SplitTokens) {
  expect_exact("cp2", tiny({.cp = 2}));
  expect_exact("cp4 tp2", tiny({.cp = 4, .tp = 2}));
  expect_exact("token split over tp", token_split(tiny({.dp = 2, .tp = 4})));
}

Deployment dealt(Deployment d) {
  d.layout.cp_partition = PromptPartition::kRoundRobin;
  return d;
}
// Token t on rank t mod cp, as SGLang's round-robin-split: the same gather, keys put back in order, queries cp
// positions apart.
TEST(SparseLayers, DealtTokens) {
  expect_exact("cp2", dealt(tiny({.cp = 2})));
  expect_exact("cp3 tp2, a draft", dealt(tiny({.cp = 3, .tp = 2}, 1)));
  const Deployment d = dealt(tiny({.cp = 4, .tp = 2}));
  expect_exact("history", d, tiny_step(d, Phase::kPrefill, 21, 3, true), facts());
}

// FlashComm1 with an indexer is DSA-CP of vLLM-Ascend: own rows and all heads in both phases, o_proj cut over the TP
// group.
Deployment dsa_cp(Deployment d, std::int64_t ep_level = 2) {
  d.features.flashcomm1 = true;
  d.layout.ep_level = ep_level;
  d.experts.exact_all_to_all = ep_level == 2;
  return d;
}

TEST(SparseLayers, DsaCp) {
  expect_exact("dsa-cp", dsa_cp(tiny({.tp = 4})));
  expect_exact("dsa-cp, dp2", dsa_cp(tiny({.dp = 2, .tp = 2}, 2)));
  expect_exact("dsa-cp, dp3, the last idle", dsa_cp(tiny({.dp = 3, .tp = 2})));
  expect_exact("dsa-cp, experts gathered", dsa_cp(tiny({.dp = 2, .tp = 2}), 1));
  expect_exact("dsa-cp and dcp", dsa_cp(tiny({.sp = 2, .tp = 2}, 1)));
  Deployment prefill = dsa_cp(tiny({.tp = 4}));
  prefill.role = Role::kPrefill;
  expect_exact("dsa-cp, whole o_proj", prefill, tiny_step(prefill, Phase::kPrefill, 21, 3, true), facts());
}

// vLLM-Ascend layer_sharding: each rank has q_b and o_proj of every world-th layer, whose weights are broadcast a layer
// ahead.
Deployment sharded(Deployment d, LayerSharding what = {.o_proj = true, .q_b = true}) {
  d = dsa_cp(std::move(d));
  d.role = Role::kPrefill;
  d.layer_sharding = what;
  return d;
}

TEST(SparseLayers, ShardedLayers) {
  for (const LayerSharding what : {LayerSharding{true, false}, LayerSharding{false, true}, LayerSharding{true, true}})
    for (const Example& e : {Example{.tp = 2}, Example{.tp = 4}, Example{.dp = 2, .tp = 2}})
      for (const std::int64_t drafts : {0, 1}) {
        const Deployment d = sharded(tiny(e, drafts), what);
        expect_exact("layers over the instance", d, tiny_step(d, Phase::kPrefill, 0, 0), facts());
        expect_exact("after a cached half", d, tiny_step(d, Phase::kPrefill, 21, 3, true), facts());
      }
  // Elsewhere the weights are cut over the TP group: nothing is broadcast.
  Deployment mixed = sharded(tiny({.tp = 2}));
  mixed.role = Role::kHybrid;
  const Program p = build_program(mixed, tiny_step(mixed, Phase::kPrefill, 0, 0), facts(), 0);
  EXPECT_TRUE(std::ranges::none_of(p.operators,
                                   [](const Operator& op) { return op.type->primitive == Primitive::kBroadcast; }));
}

// A stage's layers over the stage's ranks; 61 layers over 16 ranks: 4 on the first 13 of them. q_b 37,748,736 B, o_proj
// 117,440,512 B; two windows of each are buffers of a step. The draft layer's are whole on every rank.
TEST(SparseLayers, ShardedLayersInMemory) {
  const auto memory = [](LayerSharding what, std::int64_t drafts) {
    const Deployment d = sharded(v32({.tp = 16}, drafts), what);
    return memory_per_rank(d, {.input_tokens = 4096, .output_tokens = 1}, mindie_stack(), facts(), 64_GiB);
  };
  const auto bytes = [](const MemoryPerRank& m, const char* name) {
    for (const MemoryPerRank::Component& c : m.weight_components)
      if (c.name == name) return c.bytes.count();
    return std::int64_t{-1};
  };
  constexpr std::int64_t kQb = 37'748'736, kOProj = 117'440'512;
  const MemoryPerRank whole = memory({}, 0), both = memory({true, true}, 0), drafting = memory({true, true}, 1);
  EXPECT_EQ(bytes(whole, "q_b"), 61 * kQb);
  EXPECT_EQ(bytes(whole, "o_proj"), 61 * kOProj);
  EXPECT_EQ(bytes(both, "q_b"), 4 * kQb);
  EXPECT_EQ(bytes(both, "o_proj"), 4 * kOProj);
  EXPECT_EQ(bytes(drafting, "q_b"), 5 * kQb);
  EXPECT_EQ((whole.weights_without_scales - both.weights_without_scales).count(), 57 * (kQb + kOProj));
  EXPECT_EQ((whole.weights - both.weights).count(), 57 * (kQb + kOProj));  // scales stay beside every layer
  EXPECT_EQ((both.activations - whole.activations).count(), 2 * (kQb + kOProj));
  EXPECT_EQ(bytes(memory({true, false}, 0), "q_b"), 61 * kQb);
}

TEST(SparseLayers, CutCaches) {
  expect_exact("sp4", tiny({.sp = 4, .tp = 4}));
  expect_exact("cp2 sp2", tiny({.cp = 2, .sp = 2, .tp = 2}));
}

TEST(SparseLayers, Drafts) {
  for (const std::int64_t drafts : {1, 2, 3}) expect_exact("drafts", tiny({.dp = 2, .tp = 2}, drafts));
  expect_exact("drafts, cut cache", tiny({.sp = 2, .tp = 2}, 2), without_prolog());
  expect_exact("drafts, cp2", tiny({.cp = 2, .tp = 1}, 1));
}

TEST(SparseLayers, NormsThatAddAndCast) {
  for (KernelFacts f : {facts(), without_prolog()}) {
    f.adds_residual_in_norm = f.casts_for_router_in_norm = true;
    for (const bool recipes : {false, true}) {
      Deployment d = tiny({.dp = 2, .tp = 2, .ep_level = 2}, 2);
      if (recipes) d.set_engine("cann-recipes");
      expect_exact("drafts", d, f);
    }
    expect_exact("cp2", tiny({.cp = 2, .tp = 2}), f);
    expect_exact("token split", token_split(tiny({.tp = 4})), f);
  }
}

TEST(SparseLayers, CachedHistory) {
  for (const Example& e :
       {Example{.tp = 2}, Example{.cp = 2}, Example{.cp = 2, .sp = 2, .tp = 2}, Example{.sp = 2, .tp = 2}}) {
    const Deployment d = tiny(e);
    expect_exact("history", d, tiny_step(d, Phase::kPrefill, 21, 3, true), facts());
  }
  const Deployment split = token_split(tiny({.tp = 4}));
  expect_exact("history, token split", split, tiny_step(split, Phase::kPrefill, 21, 3, true), facts());
}

TEST(SparseLayers, Int8Caches) {
  Deployment d = tiny({.dp = 2, .tp = 2});
  d.kv_int8 = true;
  expect_exact("int8 cache", d);
}

// Rounding swaps keys of nearly equal scores; the reference follows, as it follows the router.
TEST(SparseLayers, RoundedTypesStayWithinTheDerivedTolerance) {
  for (const Example& e : {Example{.dp = 2, .tp = 2, .ep_level = 2}, Example{.cp = 2, .tp = 2}})
    for (const Phase phase : kBoth)
      for (const LayerType type : {LayerType::kFp16, LayerType::kBf16, LayerType::kDeployed}) {
        const Deployment d = tiny(e);
        const LayerReport r = check_layers(d, tiny_step(d, phase, 0, 0), facts(), type);
        double keys = 0, experts = 0;
        for (const Flip& f : r.flips)
          (f.of == Flip::Of::kKeys ? keys : experts) = std::max(f.of == Flip::Of::kKeys ? keys : experts, f.margin);
        EXPECT_TRUE(r.close()) << to_text(type) << ": " << r.error.relative << " of " << r.tolerance
                               << "; flips of keys up to " << keys << " of " << r.key_flip_margin
                               << ", of experts up to " << experts << " of " << r.flip_margin;
        EXPECT_TRUE(r.ledger_agrees());
      }
}

// Ranks of one role do the same work, although their rows lie elsewhere.
TEST(SparseLayers, EqualRolesAreEqualWork) {
  for (const Deployment& d :
       {tiny({.cp = 2, .sp = 2, .tp = 2}, 2), tiny({.dp = 3, .tp = 2}, 2), token_split(tiny({.tp = 4})),
        dsa_cp(tiny({.dp = 2, .tp = 2}, 2)), sharded(tiny({.dp = 2, .tp = 2}))})
    for (const Phase phase : kBoth) {
      const Step step = tiny_step(d, phase, 0, 0);
      for (std::int64_t a = 0; a < d.layout.world(); ++a)
        for (std::int64_t b = 0; b < a; ++b)
          if (role_of(d, step, a) == role_of(d, step, b)) {
            EXPECT_TRUE(build_program(d, step, facts(), a).same_work(build_program(d, step, facts(), b)))
                << a << " " << b;
          }
    }
}

// ---- mistakes are caught --------------------------------------------------------------------------------------------

template <class Change>
void expect_caught(const char* label, const Deployment& d, Phase phase, Change change) {
  const Step step = tiny_step(d, phase, 13, 0);
  ASSERT_TRUE(check_layers(d, step, without_prolog(), LayerType::kFp64).ok()) << label;
  bool found = false;
  const LayerMutation mutation = [&](std::vector<Program>& programs) {
    for (Program& p : programs)
      for (Operator& op : p.operators)
        if (std::string_view(op.label) == label) change(p, op), found = true;
  };
  try {
    EXPECT_FALSE(check_layers(d, step, without_prolog(), LayerType::kFp64, mutation).close()) << label;
  } catch (const InternalError&) {
  }
  EXPECT_TRUE(found) << label;
}
void skip(Program&, Operator& op) {
  static constexpr OperatorType kNothing{"nothing", [](const OperatorView&) { return Work{.launches = 0}; }};
  op = Operator{};
  op.type = &kNothing;
}

TEST(SparseMutations, SkippedOperators) {
  const Deployment d = tiny({.dp = 2, .tp = 2}), context = tiny({.cp = 2, .tp = 2});
  for (const char* label :
       {"index_q_rope", "index_k_norm_rope_cache", "index_weights", "lightning_indexer", "sparse_attention", "q_rope"})
    for (const Phase phase : kBoth) expect_caught(label, d, phase, skip);
  for (const char* label : {"latent_index_gather", "latent_reorder", "index_key_reorder", "index_cache_write"})
    expect_caught(label, context, Phase::kPrefill, skip);
  for (const char* label : {"latent_index_gather", "latent_reorder", "index_key_reorder", "index_cache_write"})
    expect_caught(label, dealt(context), Phase::kPrefill, skip);
  for (const char* label : {"index_cache_gather", "cache_reorder"}) expect_caught(label, context, Phase::kDecode, skip);
  const Deployment own_rows = dsa_cp(tiny({.tp = 2}));
  expect_caught("o_proj_weight_gather", own_rows, Phase::kPrefill, skip);
  expect_caught("attention_exchange", own_rows, Phase::kDecode, skip);
  for (const char* label : {"q_b_broadcast", "o_proj_broadcast"}) {
    const Deployment layers = sharded(tiny({.tp = 2}));
    expect_caught(label, layers, Phase::kPrefill, skip);
    expect_caught(label, layers, Phase::kPrefill, [](Program& p, Operator& op) {  // from a rank that does not have it
      auto& root = reinterpret_cast<CollectiveParams*>(p.params.data() + op.params)->detail;
      root = 1 - root;
    });
  }
}

// Attention to all keys is not attention to the best of them, and the best of fewer are others.
TEST(SparseMutations, WrongChoices) {
  const Deployment d = tiny({.tp = 2});
  for (const Phase phase : kBoth) {
    // The first four keys instead of the best four.
    expect_caught("lightning_indexer", d, phase, [](Program& p, Operator& op) {
      static constexpr auto kFirstKeys = [](const OperatorView& v, Tensors<double>& t) {
        auto chosen = t[v.out()];
        for (Eigen::Index c = 0; c < chosen.cols(); ++c) chosen.col(c).setConstant(static_cast<double>(c));
      };
      static constexpr OperatorType kFirst{"first_keys",
                                           [](const OperatorView&) { return Work{.launches = 0}; },
                                           Primitive::kNone,
                                           {kFirstKeys, nullptr}};
      (void)p;
      op.type = &kFirst;
    });
    if (phase == Phase::kPrefill)
      expect_caught(
          "lightning_indexer", dealt(tiny({.cp = 2})), phase,
          [](Program& p, Operator& op) {  // queries that stand side by side
            reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<IndexerCore>())->step =
                1;
          });
    expect_caught("lightning_indexer", d, phase, [](Program& p, Operator& op) {  // a mask that is a token late
      auto* block = reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<IndexerCore>());
      --block->shift;
    });
    expect_caught("sparse_attention", d, phase, [](Program& p, Operator& op) {  // one key fewer than chosen
      --reinterpret_cast<SparseCore*>(p.params.data() + op.params)->sequences.top_k;
    });
  }
}

// ---- what divides the work ------------------------------------------------------------------------------------------

struct IndexerWork {
  std::int64_t scores = 0, linears = 0, gathered = 0, attention = 0, scored_beyond = 0;
};
IndexerWork indexer_work(const Deployment& d, const Step& step, std::int64_t rank = 0) {
  const Program p = build_program(d, step, facts(), rank);
  IndexerWork sum;
  for (std::size_t i = 0; i < p.operators.size(); ++i) {
    const OperatorView v = p.view(i);
    if (v.op().type->primitive != Primitive::kNone) continue;
    const std::string_view label = v.op().label;
    const Work w = v.op().type->work(v);
    if (label == "lightning_indexer") sum.scores += w.matrix.count(), sum.scored_beyond += w.matrix_rounding.count();
    if (label == "sparse_attention") sum.attention += w.matrix.count();
    if (label == "sparse_attention") sum.gathered += w.read.count() - v.in(0).bytes().count() - v.in(2).bytes().count();
    if (label == "index_k" || label == "index_q" || label == "index_weights") sum.linears += w.matrix.count();
  }
  return sum;
}

// 131,072 tokens on one rank: the sums of the model card. TP divides the attention by its heads and nothing else; CP
// divides all (two zigzag chunks a rank: the pairs of 16 ranks are equal).
TEST(SparseLayers, OnlySplittingTokensDividesTheIndexer) {
  const auto work = [](const Example& e) {
    const Deployment d = v32(e);
    return indexer_work(d, prefill_step(d.layout, 1, 131'072));
  };
  const IndexerWork one = work({}), tp = work({.tp = 16}), cp = work({.cp = 16});
  EXPECT_EQ(one.scores, 8'585'052'287'926'272);
  EXPECT_EQ(one.linears, 223'218'040'307'712);
  EXPECT_EQ(one.attention, 4'525'160'581'300'224);
  EXPECT_EQ(one.gathered, 61LL * 1152 * 266'339'328);
  EXPECT_EQ(tp.scores, one.scores);
  EXPECT_EQ(tp.linears, one.linears);
  EXPECT_EQ(tp.gathered, one.gathered);
  EXPECT_EQ(tp.attention * 16, one.attention);
  EXPECT_EQ(cp.scores * 16, one.scores);
  EXPECT_EQ(cp.linears * 16, one.linears);
  // Rank 0 has the first of 32 chunks, whose first 2048 queries see fewer than 2048 keys: 2048 * 2049 / 2 + 3 * 2048 *
  // 2048 pairs, where the other ranks have 4 * 2048 * 2048; together 266,339,328.
  EXPECT_EQ(cp.attention, 61LL * 2 * 128 * 1088 * (2048 * 2049 / 2 + 3 * 2048 * 2048));
}

// Rank r of 16 has tokens r, r + 16, ...: 8192 queries, the i-th of which sees r + 16 i + 1 keys and picks min(2048,
// that) of them. With i < 128 all of them see fewer than 2048, or 2048 where r = 15 and i = 127.
TEST(SparseLayers, PairsOfDealtTokens) {
  const Deployment d = dealt(v32({.cp = 16}));
  const Step step = prefill_step(d.layout, 1, 131'072);
  std::int64_t scores = 0, gathered = 0;
  for (std::int64_t r = 0; r < 16; ++r) {
    const IndexerWork w = indexer_work(d, step, r);
    EXPECT_EQ(w.scores, 61LL * 2 * 64 * 128 * (8192 * (r + 1) + 16LL * (8192 * 8191 / 2))) << r;
    EXPECT_EQ(w.gathered, 61LL * 1152 * (128 * (r + 1) + 16 * (128 * 127 / 2) + 2048 * (8192 - 128))) << r;
    // Tiles of 512 keys: ends of rows come to lie on every 16th key of a tile, the first on key r + 1, so the last tile
    // of a query has 15 - r, 31 - r, ... 511 - r keys too many, 263 - r on the mean.
    EXPECT_EQ(facts().indexer_key_tile, 512);
    EXPECT_EQ(w.scored_beyond, 61LL * 2 * 64 * 128 * 8192 * (2 * (15 - r) + 512 - 16) / 2) << r;
    scores += w.scores;
    gathered += w.gathered;
  }
  EXPECT_EQ(scores, 8'585'052'287'926'272);
  EXPECT_EQ(gathered, 61LL * 1152 * 266'339'328);
}

// Index key 128 beside latent 512 and rope key 64: 1,408 B a token and layer, 180,224 B a block of 128. C8: 512 + 4
// fp32 scales + 128 B of rope key, 128 + a 16-bit scale of index key.
TEST(SparseLayers, CacheBytes) {
  Deployment d = v32({});
  EXPECT_EQ(d.cached_token_layer().count(), 1408);
  EXPECT_EQ((d.cached_token_layer() * d.limits.block_tokens).count(), 180'224);
  d.kv_int8 = true;
  EXPECT_EQ(d.cached_token_layer().count(), 512 + 16 + 128 + 128 + 2);
  d.model = shipped_model("deepseek-v3");
  EXPECT_EQ(d.cached_token_layer().count(), 640);  // static scales stand beside the weights
}

// What of the weights is not divided by TP: the indexer, 13,959,424 parameters a layer in 16 bit (its LayerNorm counts
// with norms), and the A projections in int8. q_b, o_proj, W_UK and W_UV are.
TEST(SparseLayers, WeightsByComponent) {
  const auto weights = [](std::int64_t tp, const char* name) {
    const Deployment d = v32({.tp = tp});
    const MemoryPerRank m =
        memory_per_rank(d, {.input_tokens = 4096, .output_tokens = 1}, mindie_stack(), facts(), 64_GiB);
    for (const MemoryPerRank::Component& c : m.weight_components)
      if (c.name == name) return c.bytes.count();
    return std::int64_t{-1};
  };
  for (const std::int64_t tp : {1, 8}) {
    EXPECT_EQ(weights(tp, "index_q"), 61 * 2 * 12'582'912LL) << tp;
    EXPECT_EQ(weights(tp, "index_k"), 61 * 2 * 917'504) << tp;
    EXPECT_EQ(weights(tp, "index_weights"), 61 * 2 * 458'752) << tp;
    EXPECT_EQ(weights(tp, "index_k_norm"), 61 * 2 * 256) << tp;
    EXPECT_EQ(weights(tp, "qkv_a"), 61 * (11'010'048 + 4'128'768)) << tp;
    EXPECT_EQ(weights(tp, "q_b") * tp, 61 * 37'748'736LL) << tp;
    EXPECT_EQ(weights(tp, "w_uk") * tp, 61 * 2 * 8'388'608LL) << tp;
  }
}

}  // namespace
}  // namespace ascendsim
