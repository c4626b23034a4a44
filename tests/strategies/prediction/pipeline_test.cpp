// Pipeline stages and chunks of prompts.
#include "strategies/prediction/pipeline.h"

#include "strategies/reference/layer_check.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

Deployment staged(Example e, std::int64_t pp) {
  Deployment d = deployment(e);
  d.layout.pp = pp;
  return d;
}
Deployment chunked(Deployment d, std::int64_t tokens) {
  d.features.splitfuse = true;
  d.limits.max_batched_tokens = tokens;
  return d;
}
std::vector<std::pair<std::int64_t, std::int64_t>> layers(const Deployment& d) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const Deployment& stage : stages_of(d)) out.emplace_back(stage.first_layer(), stage.end_layer());
  return out;
}

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

// 61 = 2 x 30 + 1: the layer left over goes to the last stage but one. 61 = 4 x 15 + 1; 61 = 8 x 7 + 5.
TEST(Stages, LayersLeftOverGoBeforeTheLastStage) {
  EXPECT_EQ(layers(staged({.tp = 8}, 1)), (Ranges{{0, 61}}));
  EXPECT_EQ(layers(staged({.tp = 8}, 2)), (Ranges{{0, 31}, {31, 61}}));
  EXPECT_EQ(layers(staged({.tp = 8}, 4)), (Ranges{{0, 15}, {15, 30}, {30, 46}, {46, 61}}));
  EXPECT_EQ(layers(staged({.tp = 2}, 8)),
            (Ranges{{0, 7}, {7, 14}, {14, 22}, {22, 30}, {30, 38}, {38, 46}, {46, 54}, {54, 61}}));
}

TEST(Chunks, GrowTheirHistory) {
  const Deployment d = chunked(deployment({.tp = 8}), 8192);
  const std::vector<Step> steps = prefill_steps(d, 1, 20'000, 0);
  ASSERT_EQ(steps.size(), 3U);  // 8192, 8192, 3616
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(steps[i].load[0].history, static_cast<std::int64_t>(i) * 8192);
    EXPECT_EQ(steps[i].load[0].new_tokens, i < 2 ? 8192 : 3616);
    EXPECT_EQ(steps[i].load[0].context, std::min<std::int64_t>(20'000, (static_cast<std::int64_t>(i) + 1) * 8192));
  }
  EXPECT_EQ(prefill_steps(d, 1, 20'000, 16'384).size(), 1U);  // the rest after a prefix hit
  EXPECT_EQ(prefill_steps(d, 1, 8192, 0).size(), 1U);
  EXPECT_EQ(prefill_steps(deployment({.tp = 8}), 1, 20'000, 0).size(), 1U);  // no chunking
}

// Attention pairs of a prompt do not depend on how it is cut; its keys are expanded again for every later chunk: with n
// equal chunks (n + 1) / 2 times over.
TEST(Chunks, DoTheSameAttentionAndExpandHistoryAgain) {
  const Deployment whole = deployment({.tp = 8});
  const auto s = scenario(whole), c = scenario(chunked(whole, 4096));
  const StepTime once = s->pricer.price(prefill_step(whole.layout, 1, 16'384));
  const StepTime four = c->pricer.together(c->pricer.price_each(prefill_steps(c->deployment, 1, 16'384, 0)));
  EXPECT_EQ(flops(four, {"attention", "history_attention"}), flops(once, {"attention"}));
  const std::int64_t expanded = flops(once, {"kv_b_k", "kv_b_v"});
  EXPECT_EQ(flops(four, {"kv_b_k", "kv_b_v"}), expanded);
  EXPECT_EQ(flops(four, {"history_kv_b_k", "history_kv_b_v"}), expanded * (1 + 2 + 3) / 4);
  EXPECT_EQ(flops(four, {"o_proj"}), flops(once, {"o_proj"}));
  EXPECT_GT(four.total, once.total);
}

// By hand, stages of 2 and 3 and chunks of the same length: 2, then the second stage is never idle: 2 + 3 + 3 + 3 = 11.
// A hand-over of 1 delays only the first.
TEST(Pipeline, ChunksFollowOneAnother) {
  const auto s = scenario(staged({.tp = 8}, 2));
  PipelinePricer::Steps steps;
  for (int chunk = 0; chunk < 3; ++chunk) {
    steps.times.push_back({StepTime{.total = Duration(2)}, StepTime{.total = Duration(3)}});
    steps.hand_over.emplace_back(0);
    steps.handed_over.emplace_back(0);
  }
  std::vector<Duration> busy;
  EXPECT_EQ(s->pricer.play(steps, busy), Duration(11));
  EXPECT_EQ(busy, (std::vector{Duration(6), Duration(11)}));
  EXPECT_EQ(s->pricer.play(steps, busy),
            Duration(20));  // the next prompt finds the second stage busy: three more times 3
  for (Duration& h : steps.hand_over) h = Duration(1);
  busy.clear();
  EXPECT_EQ(s->pricer.play(steps, busy), Duration(12));
}

// One step passes the stages one after another: its time is theirs and what is handed over.
TEST(Pipeline, AStepPassesEveryStage) {
  const Deployment d = staged({.tp = 8}, 2);
  const auto s = scenario(d);
  for (const Step& step : {prefill_step(d.layout, 1, 8192), decode_step(d.layout, 4, 8192, 8193)}) {
    const PipelinePricer::Steps parts = s->pricer.price_each({&step, 1});
    ASSERT_EQ(parts.times[0].size(), 2U);
    const StepTime all = s->pricer.price(step);
    EXPECT_EQ(all.total, parts.times[0][0].total + parts.times[0][1].total + parts.hand_over[0]);
    EXPECT_GT(parts.hand_over[0], Duration(0));
    const Duration accounted = all.computing + all.exposed_communication + all.host + all.idle;
    EXPECT_EQ(accounted, all.total);
    EXPECT_EQ(all.performed, parts.times[0][0].performed + parts.times[0][1].performed);
  }
}

// Both stages together multiply what one stage does.
TEST(Pipeline, CutsTheWorkAndNothingElse) {
  const Deployment d = staged({.tp = 8}, 2), one = deployment({.tp = 8});
  const Step step = prefill_step(one.layout, 1, 8192);
  EXPECT_EQ(scenario(d)->pricer.price(step).performed, scenario(one)->pricer.price(step).performed);
}

// Hidden states and residual, 1/8 of 8192 rows of 7168 in 16 bit each.
TEST(Pipeline, HandsOnHiddenStatesAndResidual) {
  const Deployment d = staged({.tp = 8}, 2);
  const auto s = scenario(d);
  const Step step = prefill_step(d.layout, 1, 8192);
  EXPECT_EQ(s->pricer.price_each({&step, 1}).handed_over[0], Bytes(2 * 2 * 7168 * 1024));
}

TEST(PipelineMemory, IsThatOfTheStageWithLeastToSpare) {
  Deployment d = staged({.tp = 8}, 2);
  d.limits.max_prefill_tokens = d.limits.max_input_tokens = 8192;
  const Deployment one = [&] {
    Deployment o = d;
    o.layout.pp = 1;
    return o;
  }();
  const Workload w{.input_tokens = 8192, .output_tokens = 16};
  const auto weights = [&](const Deployment& x) { return scenario(x)->memory(w).weights; };
  const std::vector<Deployment> stages = stages_of(d);
  // Layers are in one stage each; embedding in the first, norm and head in the last.
  EXPECT_EQ(weights(stages[0]) + weights(stages[1]), weights(one));
  const MemoryPerRank m = scenario(d)->memory(w);
  EXPECT_EQ(m.stages, 2);
  EXPECT_EQ(m.peak(), std::max(scenario(stages[0])->memory(w).peak(), scenario(stages[1])->memory(w).peak()));
  EXPECT_EQ(m.kv_blocks, std::min(scenario(stages[0])->memory(w).kv_blocks, scenario(stages[1])->memory(w).kv_blocks));
  // 30 layers of 1,152 B a token, not 31: the last stage has 30 layers of experts, the first 28, and three dense ones.
  EXPECT_EQ(m.stage, 1);
  EXPECT_EQ(m.kv_bytes_per_token, Bytes(30 * 1152));
}

// The last stage drafts: the layer for it, its cache and an embedding of its own.
TEST(PipelineMemory, DraftsAreTheLastStages) {
  Deployment d = staged({.tp = 8}, 2);
  d.limits.max_prefill_tokens = d.limits.max_input_tokens = 8192;
  d.features.speculative_tokens = 1;
  const std::vector<Deployment> stages = stages_of(d);
  const Workload w{.input_tokens = 8192, .output_tokens = 16};
  EXPECT_EQ(scenario(stages[0])->memory(w).kv_bytes_per_token, Bytes(31 * 1152));
  EXPECT_EQ(scenario(stages[1])->memory(w).kv_bytes_per_token, Bytes(31 * 1152));
}

// ---- on real numbers ------------------------------------------------------------------------------------------------

void expect_exact(const char* what, Deployment d, Phase phase, bool history) {
  std::vector<std::string> rules;
  d = tiny_deployment(d, rules);
  const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  const LayerReport r = check_layers(d, tiny_step(d, phase, 0, 1, history), facts, LayerType::kFp64);
  EXPECT_TRUE(r.close()) << what << ": hidden " << r.error.hidden << ", logits " << r.error.logits << ", cache "
                         << r.error.cache;
  EXPECT_TRUE(r.ledger_agrees()) << what;
}

TEST(Pipeline, ComputesWhatOneRankComputes) {
  for (const bool drafts : {false, true})
    for (Deployment d : {staged({.tp = 2}, 2), staged({.dp = 2, .tp = 2}, 3), staged({.sp = 2, .tp = 2}, 2)}) {
      d.features.speculative_tokens = drafts ? 2 : 0;
      expect_exact("prefill", d, Phase::kPrefill, false);
      expect_exact("a later chunk", d, Phase::kPrefill, true);
      expect_exact("decode", d, Phase::kDecode, false);
      d.layout.ep_level = 2;
      d.experts.exact_all_to_all = true;
      d.features.flashcomm1 = true;
      expect_exact("scattered rows", d, Phase::kPrefill, true);
      expect_exact("scattered rows, decode", d, Phase::kDecode, false);
    }
}

// What lies between the stages is in the ledger: 2 stages of 2 ranks; a prompt of 13 tokens (and one of as many: two
// sequences), 64 columns of 2 bytes. Whole rows: half of them to each rank, the other half gathered. Scattered: 26 rows
// on 2 ranks are 13 each.
TEST(Pipeline, TheLedgerHasWhatIsHandedOn) {
  std::vector<std::string> rules;
  Deployment d = tiny_deployment(staged({.tp = 2}, 2), rules);
  const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  const Step step = prefill_step(d.layout, 2, 13);
  const LayerReport whole = check_layers(d, step, facts, LayerType::kFp64);
  EXPECT_EQ(whole.handed_on_moved, 2 * 26 * 64 * 2);
  EXPECT_TRUE(whole.ok());
  d.layout.ep_level = 2;
  d.experts.exact_all_to_all = true;
  d.features.flashcomm1 = true;
  const LayerReport scattered = check_layers(d, step, facts, LayerType::kFp64);
  EXPECT_EQ(scattered.handed_on_moved, 2 * 13 * 64 * 2);
  EXPECT_TRUE(scattered.ok());
  EXPECT_EQ(hand_over(stages_of(d)[0], step).sent, Bytes(13 * 64 * 2));
}

// Rows that are handed to the wrong rank, or not at all.
TEST(Pipeline, MistakesAreCaught) {
  std::vector<std::string> rules;
  const Deployment d = tiny_deployment(staged({.tp = 2}, 2), rules);
  const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  const Step step = tiny_step(d, Phase::kPrefill, 13, 0);
  const auto forget_a_layer = [](std::vector<Program>& programs) {
    for (Program& p : programs)
      for (Operator& op : p.operators)
        if (std::string_view(op.label) == "residual_add" && op.layer == 1) op.inputs = op.outputs = 0;
  };
  ASSERT_TRUE(check_layers(d, step, facts, LayerType::kFp64).ok());
  try {
    EXPECT_FALSE(check_layers(d, step, facts, LayerType::kFp64, forget_a_layer).close());
  } catch (const InternalError&) {
  }
}

}  // namespace
}  // namespace ascendsim
