// Whole layers: the programs that are timed compute what one dense rank computes, the ledger is what the clock charges,
// and a program with a mistake is caught.
#include <algorithm>

#include "tests/strategies/reference/layers_under_test.h"

namespace ascendsim {
namespace {

TEST(Layers, OneRankIsTheReference) { expect_exact("one rank", tiny({})); }

TEST(Layers, TensorAndDataParallel) {
  expect_exact("tp4", tiny({.tp = 4}));
  expect_exact("dp2 tp2", tiny({.dp = 2, .tp = 2}));
  expect_exact("dp4", tiny({.dp = 4}));
  expect_exact("dp3, the last idle", tiny({.dp = 3}));
  expect_exact("separate operators", tiny({.dp = 2, .tp = 2}), without_prolog());
}

TEST(Layers, SequenceAndContextParallel) {
  expect_exact("sp4", tiny({.sp = 4, .tp = 4}));
  expect_exact("dp2 sp2", tiny({.dp = 2, .sp = 2, .tp = 2}));
  expect_exact("cp2", tiny({.cp = 2}));
  expect_exact("cp2 tp2", tiny({.cp = 2, .tp = 2}));
  expect_exact("cp2 sp4", tiny({.cp = 2, .sp = 4, .tp = 4}));
  expect_exact("cp2 sp2, separate operators", tiny({.cp = 2, .sp = 2, .tp = 2}), without_prolog());
}

TEST(Layers, ExpertsByEveryExchange) {
  expect_exact("all-gather, experts cut", tiny({.dp = 2, .tp = 2, .moe_tp = 2}));
  expect_exact("experts over tensor parallelism alone", tiny({.dp = 2, .tp = 2, .moe_tp = 4}));
  expect_exact("padded and fused", level_2(tiny({.dp = 2, .tp = 2})));
  expect_exact("padded and fused, tp1, the last idle", level_2(tiny({.dp = 4})));
  expect_exact("padded and fused, cp2", level_2(tiny({.cp = 2, .sp = 2, .tp = 2})));
  Deployment exact = level_2(tiny({.dp = 2, .tp = 2}));
  exact.experts.exact_all_to_all = true;
  expect_exact("all-to-all-v", exact);
  Deployment cut_off = tiny({.dp = 2, .tp = 2});
  cut_off.init_routing_cutoff = true;
  cut_off.topk_scaling_factor = 0.5;
  expect_exact("cut-off buffers", cut_off);
}

// Where every rank has equally many rows, no buffer of an exchange has padding: every dealt row is charged, and no
// other.
TEST(Layers, EvenLoadsFillTheBuffersThatAreCharged) {
  Deployment d = level_2(tiny({.dp = 4}));
  d.experts.exact_all_to_all = true;
  for (const Step& step : {prefill_step(d.layout, 4, 13), decode_step(d.layout, 8, 12, 13)}) {
    const LayerReport r = check_layers(d, step, facts(), LayerType::kFp64);
    EXPECT_TRUE(r.ok());
    EXPECT_GT(r.routed_buffers_filled, 0);
    EXPECT_EQ(r.routed_buffers_filled, r.routed_buffers_charged);
    EXPECT_LT(r.routed_bytes_moved, r.routed_buffers_filled);  // rows of a rank's own experts stay
  }
}

TEST(Layers, SplitTokens) {
  Deployment d = level_2(tiny({.dp = 2, .tp = 4}));
  d.token_split_prefill = true;
  d.experts.exact_all_to_all = true;
  expect_exact("token split", d);
}

// FlashComm1: rows stay scattered from the embedding to the head, in prefill and in decode, with every exchange of the
// experts.
Deployment flashcomm(Deployment d) {
  d.features.flashcomm1 = true;
  return d;
}

TEST(Layers, FlashComm) {
  Deployment exact = flashcomm(level_2(tiny({.tp = 4})));
  exact.experts.exact_all_to_all = true;
  expect_exact("all-to-all-v", exact);
  expect_exact("all-to-all-v, separate operators", exact, without_prolog());
  Deployment groups = flashcomm(level_2(tiny({.dp = 3, .tp = 2})));
  groups.experts.exact_all_to_all = true;
  expect_exact("three groups, the last idle", groups);
  expect_exact("all-gather", flashcomm(tiny({.dp = 2, .tp = 2})));
  expect_exact("experts cut by columns", flashcomm(tiny({.dp = 2, .tp = 2, .moe_tp = 4})));
  for (const std::int64_t drafts : {1, 3}) {
    exact.features.speculative_tokens = groups.features.speculative_tokens = drafts;
    expect_exact("drafts", exact);
    expect_exact("drafts, groups", groups, without_prolog());
  }
}

// vLLM-Ascend without FlashComm1: rows are whole in the TP group, and each rank's share of them travels to the experts.
TEST(Layers, WholeRowsWhoseSharesTravelToExperts) {
  for (Deployment d :
       {level_2(tiny({.tp = 4})), level_2(tiny({.dp = 3, .tp = 2})), level_2(tiny({.cp = 2, .sp = 2, .tp = 2}))}) {
    d.set_engine("vllm-ascend");
    d.experts.exact_all_to_all = true;
    expect_exact("no drafts", d);
    d.features.speculative_tokens = 2;
    expect_exact("drafts", d, without_prolog());
  }
}

TEST(Layers, FlashCommWithContextParallelism) {
  Deployment d = flashcomm(level_2(tiny({.cp = 2, .sp = 2, .tp = 2})));
  d.experts.exact_all_to_all = true;
  expect_exact("cp2", d);
  d.features.speculative_tokens = 2;
  expect_exact("cp2, drafts", d, without_prolog());
  expect_exact("history", d, tiny_step(d, Phase::kPrefill, 21, 3, true), facts());
}

TEST(Layers, LocalGroups) {
  Deployment d = level_2(tiny({.dp = 4}));
  d.layout.o_proj_local_tp = 2;
  d.layout.lm_head_local_tp = 2;
  std::vector<std::string> rules;
  d = tiny_deployment(d, rules);
  expect_exact("o_proj and head local", d);
  d.layout.ep_level = 1;
  expect_exact("o_proj and head local, all-gather", d);
}

// Fine-grained TP of vLLM-Ascend: a DP group's tokens go through other groups' parts of the embedding and of the dense
// MLP.
TEST(Layers, PartsSharedByDpGroups) {
  Deployment d = level_2(tiny({.dp = 4}));
  d.set_engine("vllm-ascend");
  d.experts.exact_all_to_all = true;
  expect_exact("whole parts, whole head", d);
  std::vector<std::string> rules;
  for (const auto& [embedding, mlp] : {std::pair{2, -1}, {-1, 2}, {2, 4}, {4, 2}}) {
    d.layout.embedding_local_tp = embedding;
    d.layout.mlp_local_tp = mlp;
    d = tiny_deployment(d, rules);
    expect_exact("embedding and MLP shared", d);
  }
  d.layout.o_proj_local_tp = d.layout.lm_head_local_tp = 2;
  d = tiny_deployment(d, rules);
  d.features.speculative_tokens = 2;
  expect_exact("all four, drafts", d);
  Deployment groups = tiny({.dp = 2, .tp = 2});  // an embedding may be shared across TP groups
  groups.layout.embedding_local_tp = 2;
  groups = tiny_deployment(groups, rules);
  expect_exact("embedding over groups of tp 2", groups);
  expect_exact("embedding over groups of tp 2, scattered", flashcomm(groups));
}

TEST(Layers, Drafts) {
  for (const std::int64_t tokens : {1, 2, 3}) {
    Deployment d = tiny({.dp = 2, .sp = 2, .tp = 2});
    d.features.speculative_tokens = tokens;
    expect_exact("drafts", d);
    expect_exact("drafts, all-to-all", level_2(d), without_prolog());
  }
  Deployment d = tiny({.cp = 2, .sp = 2, .tp = 2});
  d.features.speculative_tokens = 1;
  expect_exact("drafts, cp2", d);
}

// cann-recipes: every draft pass takes all rows that were verified, the others the last row of a sequence.
TEST(Layers, DraftsOfAllRows) {
  Deployment d = tiny({.dp = 2, .tp = 2});
  d.features.speculative_tokens = 3;
  const auto draft_rows = [](const Deployment& of) {
    const Program p = build_program(of, tiny_step(of, Phase::kDecode, 0, 0), facts(), 0);
    std::vector<std::int64_t> rows;
    for (const Operator& op : p.operators)
      if (op.label == std::string_view("mtp_hnorm"))
        rows.push_back(p.view(static_cast<std::size_t>(&op - p.operators.data())).in(0).rows);
    return rows;
  };
  const std::vector<std::int64_t> last = draft_rows(d);
  d.set_engine("cann-recipes");
  const std::vector<std::int64_t> all = draft_rows(d);
  ASSERT_EQ(last.size(), 3U);
  EXPECT_EQ(last, (std::vector{all[0], round_up(all[0] / 4, 2), round_up(all[0] / 4, 2)}));  // of tp 2
  EXPECT_EQ(all, (std::vector{all[0], all[0], all[0]}));
  for (const std::int64_t drafts : {1, 2, 3}) {
    d.features.speculative_tokens = drafts;
    expect_exact("drafts", d);
    expect_exact("drafts, all-to-all", level_2(d), without_prolog());
  }
}

KernelFacts fused(bool prolog) {
  KernelFacts f = prolog ? facts() : without_prolog();
  f.adds_residual_in_norm = f.casts_for_router_in_norm = true;
  return f;
}

TEST(Layers, NormsThatAddAndCast) {
  for (const bool prolog : {true, false}) {
    expect_exact("tp4", tiny({.tp = 4}), fused(prolog));
    expect_exact("sp2 cp2", tiny({.cp = 2, .sp = 2, .tp = 2}), fused(prolog));
    expect_exact("experts exchanged", level_2(tiny({.dp = 3, .tp = 2})), fused(prolog));
    Deployment scattered = flashcomm(level_2(tiny({.dp = 2, .tp = 2})));
    scattered.experts.exact_all_to_all = true;
    scattered.features.speculative_tokens = 2;
    expect_exact("scattered, drafts", scattered, fused(prolog));
    Deployment split = level_2(tiny({.dp = 2, .tp = 4}));
    split.token_split_prefill = split.experts.exact_all_to_all = true;
    expect_exact("token split", split, fused(prolog));
    split.micro_batches = 2;
    expect_exact("two micro-batches", split, fused(prolog));
  }
}

// A layer has one norm and sum fewer, and one cast fewer where the router is of FP32.
TEST(Layers, FusedNormsAreFewerKernels) {
  Deployment d = level_2(tiny({.dp = 4}));
  const auto count = [&](const KernelFacts& f, std::string_view label) {
    const Program p = build_program(d, tiny_step(d, Phase::kDecode, 0, 0), f, 0);
    return std::ranges::count_if(p.operators, [&](const Operator& op) { return op.label == label; });
  };
  EXPECT_EQ(count(without_prolog(), "residual_add"), d.model.layers);
  EXPECT_EQ(count(fused(false), "residual_add"), 1);  // of the last layer, whose norm is the head's
  EXPECT_GT(count(without_prolog(), "gate_cast"), 0);
  EXPECT_EQ(count(fused(false), "gate_cast"), 0);
  EXPECT_EQ(count(facts(), "input_norm"), 0);
  EXPECT_EQ(count(fused(true), "input_norm"), d.model.layers);  // none is left in the prolog
}

// int4 experts are the numbers that their steps stand for; their rows are split before both products.
TEST(Layers, Int4Experts) {
  const Deployment d = level_2(tiny({.dp = 2, .tp = 2, .model = "DeepSeek-R1_w4a8"}));
  const Program p = build_program(d, tiny_step(d, Phase::kDecode, 0, 0), facts(), 0);
  EXPECT_EQ(std::ranges::count_if(p.operators,
                                  [](const Operator& op) { return op.label == std::string_view("experts_split"); }),
            2 * (d.model.moe_layers()));
  expect_exact("w4a8", d);
}

TEST(Layers, CachedHistory) {
  for (const Example& e :
       {Example{.tp = 2}, Example{.sp = 4, .tp = 4}, Example{.cp = 2, .tp = 2}, Example{.cp = 2, .sp = 2, .tp = 2}}) {
    const Deployment d = tiny(e);
    expect_exact("history", d, tiny_step(d, Phase::kPrefill, 21, 3, true), facts());
  }
}

TEST(Layers, MicroBatchesAndInt8Caches) {
  Deployment d = level_2(tiny({.dp = 2, .tp = 2}));
  d.micro_batches = 2;
  d.experts.exact_all_to_all = true;
  expect_exact("two micro-batches", d);
  Deployment c8 = tiny({.dp = 2, .tp = 2});
  c8.kv_int8 = true;
  expect_exact("int8 cache", c8);
}

// ---- rounded numbers ------------------------------------------------------------------------------------------------

TEST(Layers, RoundedTypesStayWithinTheDerivedTolerance) {
  for (const Example& e : {Example{.cp = 2, .sp = 2, .tp = 2}, Example{.dp = 2, .tp = 2, .ep_level = 2}})
    for (const Phase phase : kBoth)
      for (const LayerType type : {LayerType::kFp16, LayerType::kBf16, LayerType::kDeployed}) {
        const Deployment d = tiny(e);
        const LayerReport r = check_layers(d, tiny_step(d, phase, 0, 0), facts(), type);
        EXPECT_TRUE(r.close()) << to_text(type) << ": " << r.error.relative << " of " << r.tolerance << ", "
                               << r.flips.size() << " flips";
        EXPECT_TRUE(r.ledger_agrees());
        EXPECT_GT(r.error.relative, r.tolerance / 100)
            << to_text(type);  // numbers were rounded, and the bar is no wall
      }
}

TEST(Layers, AreTheSameTwice) {
  const Deployment d = tiny({.dp = 2, .tp = 2, .ep_level = 2});
  const Step step = tiny_step(d, Phase::kPrefill, 0, 0);
  EXPECT_EQ(check_layers(d, step, facts(), LayerType::kDeployed).error.relative,
            check_layers(d, step, facts(), LayerType::kDeployed).error.relative);
}

// Asking for outputs changes nothing of the program.
TEST(Layers, OutputsAreNoWork) {
  const Deployment d = tiny({.cp = 2, .sp = 2, .tp = 2});
  for (const Phase phase : kBoth) {
    const Step step = tiny_step(d, phase, 0, 0);
    std::vector<StepOutput> outputs;
    EXPECT_TRUE(build_program(d, step, facts(), 1).same_work(build_program(d, step, facts(), 1, &outputs)));
    EXPECT_FALSE(outputs.empty());
  }
}

// Ranks of one role do the same work, although their rows lie elsewhere.
TEST(Layers, EqualRolesAreEqualWork) {
  for (Deployment d : {tiny({.cp = 2, .sp = 4, .tp = 4}), level_2(tiny({.dp = 3, .tp = 4})),
                       flashcomm(level_2(tiny({.dp = 3, .tp = 4})))}) {
    d.features.speculative_tokens = 2;
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
}

// ---- mistakes are caught --------------------------------------------------------------------------------------------

LayerMutation slice_of(std::string_view key, void (*change)(TensorSlice&)) {
  return [=](std::vector<Program>& programs) {
    bool found = false;
    for (TensorSlice& s : programs.back().slices)
      if (s.key != nullptr && std::string_view(s.key) == key) {
        change(s);
        found = true;
      }
    EXPECT_TRUE(found) << key;
  };
}

TEST(LayerMutations, DroppedCollectives) {
  const Deployment gathered = tiny({.dp = 2, .sp = 2, .tp = 2}), exchanged = level_2(gathered),
                   context = tiny({.cp = 2, .sp = 2, .tp = 2});
  const auto drop = [](const char* label, const Deployment& d, Phase phase) {
    expect_caught(label, d, phase, on(label, kSkip));
  };
  for (const char* label :
       {"embedding_gather", "attention_all_reduce", "attention_reduce_scatter", "ffn_all_gather", "ffn_all_reduce",
        "ffn_reduce_scatter", "layer_all_gather", "head_all_gather", "logits_gather"})
    drop(label, gathered, Phase::kPrefill);
  for (const char* label : {"moe_dispatch", "moe_combine"})
    for (const Phase phase : kBoth) drop(label, exchanged, phase);
  for (const char* label : {"q_gather", "out_lse_exchange"}) drop(label, gathered, Phase::kDecode);
  drop("out_lse_gather", context, Phase::kDecode);
  drop("latent_gather", context, Phase::kPrefill);
  Deployment local = level_2(tiny({.dp = 4}));
  local.layout.o_proj_local_tp = local.layout.lm_head_local_tp = 2;
  local.layout.embedding_local_tp = local.layout.mlp_local_tp = 2;
  for (const char* label :
       {"o_proj_exchange", "o_proj_reduce_scatter", "head_rows_gather", "logits_exchange", "embedding_ids_gather",
        "embedding_reduce_scatter", "mlp_rows_gather", "mlp_reduce_scatter"})
    drop(label, local, Phase::kDecode);
}

TEST(LayerMutations, WrongMasksAndSkippedBlocks) {
  const Deployment heads = tiny({.tp = 2}), context = tiny({.cp = 2, .sp = 2, .tp = 2});
  const auto unmask = [](Program& p, Operator& op) { blocks_of(p, op)->causal = 0; };
  const auto late = [](Program& p, Operator& op) { ++blocks_of(p, op)->shift; };
  expect_caught("no mask", heads, Phase::kPrefill, on("attention", unmask));
  expect_caught("late mask", heads, Phase::kPrefill, on("attention", late));
  expect_caught("no mask, cp", context, Phase::kPrefill, on("ring_mla", unmask));
  expect_caught("skipped block", context, Phase::kPrefill, [](std::vector<Program>& programs) {
    for (Program& p : programs)
      for (Operator& op : p.operators)
        if (std::string_view(op.label) == "ring_mla" && OperatorView(p, op).params<PrefillCore>().accumulate)
          kSkip(p, op);
  });
  expect_caught("a token of the cache unseen", heads, Phase::kDecode, on("mla_decode", [](Program& p, Operator& op) {
                  auto* core = reinterpret_cast<DecodeCore*>(p.params.data() + op.params);
                  auto* block = reinterpret_cast<AttentionBlock*>(p.params.data() + op.params +
                                                                  OperatorView::words<DecodeCore>());
                  --block->k_rows;
                  core->context -= core->repeats;
                }));
}

TEST(LayerMutations, RowsInWrongPlaces) {
  const Deployment context = tiny({.cp = 2, .sp = 2, .tp = 2}), uneven = tiny({.dp = 2, .tp = 2});
  const auto swap = [](std::span<RowMove> moves) {
    if (moves.size() > 1)
      std::swap(moves[0].from, moves[1].from);
    else if (!moves.empty())
      ++moves[0].from;
  };
  expect_caught("chunks swapped", context, Phase::kPrefill, on_moves("latent_reorder", swap));
  expect_caught("no cache rows", context, Phase::kPrefill, on("kv_cache_write", kSkip));
  expect_caught("other cache rows", uneven, Phase::kDecode,
                on_moves("kv_norm_rope_cache", [](std::span<RowMove> moves) {
                  for (RowMove& m : moves) --m.to;
                }));
  expect_caught("sampled rows", uneven, Phase::kPrefill, on_moves("last_rows", swap));
  expect_caught("padding left in", uneven, Phase::kPrefill, on_moves("ffn_unpad", swap));
  expect_caught("positions", uneven, Phase::kPrefill, on("q_rope", kSkip));
}

TEST(LayerMutations, WrongShardsAndOwners) {
  const auto first_columns = [](TensorSlice& s) { s.column = 0; };
  const auto first_rows = [](TensorSlice& s) { s.row = 0; };
  const Deployment d = tiny({.dp = 2, .tp = 2});
  for (const char* key : {"q_b", "w_uk", "w_uv", "mlp_gate_up", "shared_gate_up", "lm_head", "embedding"})
    expect_caught(key, d, Phase::kPrefill, slice_of(key, first_columns));
  for (const char* key : {"o_proj", "mlp_down", "shared_down"})
    expect_caught(key, d, Phase::kPrefill, slice_of(key, first_rows));
  expect_caught("experts_down", tiny({.dp = 2, .tp = 2, .moe_tp = 4}), Phase::kPrefill,
                slice_of("experts_down", first_rows));
  // Experts of the neighbour's, in every exchange.
  for (const Deployment& exchange : {d, level_2(d)})
    for (const Phase phase : kBoth)
      for (const char* key : {"experts_gate_up", "experts_down"})
        expect_caught(key, exchange, phase, slice_of(key, [](TensorSlice& s) { s.first_expert -= s.experts; }));
}

}  // namespace
}  // namespace ascendsim
