// Steps whose equal layers are built once take what they take when every layer is built: to the tick, in every part.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "tests/strategies/sites_under_test.h"

namespace ascendsim {
namespace {

void expect_same(const StepTime& a, const StepTime& b, const std::string& what) {
  SCOPED_TRACE(what);
  for (const Duration StepTime::*part :
       {&StepTime::total, &StepTime::computing, &StepTime::attention, &StepTime::linear, &StepTime::moe,
        &StepTime::vector, &StepTime::communication, &StepTime::exposed_communication, &StepTime::waiting,
        &StepTime::host, &StepTime::idle, &StepTime::speed_of_light})
    EXPECT_EQ(a.*part, b.*part);
  EXPECT_EQ(a.operators, b.operators);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.performed, b.performed);
  EXPECT_EQ(a.flops.total(), b.flops.total());
  ASSERT_EQ(a.operator_rows.size(), b.operator_rows.size());
  for (std::size_t i = 0; i < a.operator_rows.size(); ++i) {
    EXPECT_EQ(a.operator_rows[i].label, b.operator_rows[i].label);
    EXPECT_EQ(a.operator_rows[i].count, b.operator_rows[i].count);
    EXPECT_EQ(a.operator_rows[i].time, b.operator_rows[i].time);
    EXPECT_EQ(a.operator_rows[i].bytes, b.operator_rows[i].bytes);
  }
  ASSERT_EQ(a.collective_rows.size(), b.collective_rows.size());
  for (std::size_t i = 0; i < a.collective_rows.size(); ++i) {
    EXPECT_EQ(a.collective_rows[i].count, b.collective_rows[i].count);
    EXPECT_EQ(a.collective_rows[i].sent, b.collective_rows[i].sent);
    EXPECT_EQ(a.collective_rows[i].time, b.collective_rows[i].time);
  }
}

// Every nth legal layout of 16 ranks; 1,305 tokens leave shards, chunks and groups unequal.
void expect_layers_repeat(const PlanSite& s, std::size_t stride, std::size_t at_least) {
  std::size_t legal = 0, compared = 0;
  const Planner planner(s, {});
  for (const LayoutChoice& layout : enumerate_layouts(s, 16)) {
    if (!is_legal(layout, s, 1) || legal++ % stride != 0) continue;
    const auto q = planner.with_load(layout, {.input_tokens = 1305, .output_tokens = 16, .batch = 3});
    if (!q) continue;
    const Scenario scenario(q->deployment, s.stack, s.kernels, Cluster(s.server, 1));
    const Layout& l = q->deployment.layout;
    std::vector<Step> steps;
    if (q->deployment.role != Role::kDecode) steps.push_back(prefill_step(l, 3, 1305));
    if (q->deployment.role != Role::kPrefill)
      steps.push_back(decode_step(l, 3, 1305, 1311, 1 + q->deployment.features.speculative_tokens));
    for (const Step& step : steps)
      expect_same(scenario.pricer.price(step), scenario.pricer.price(step, true, false),
                  fmt::format("dp {} cp {} sp {} tp {} moe_ep {} {} {} {}", l.dp, l.cp, l.sp, l.tp, l.moe_ep,
                              word_of(q->deployment.exchange()), q->deployment.features.flashcomm1 ? "flashcomm1" : "",
                              step.phase == Phase::kPrefill ? "prefill" : "decode"));
    ++compared;
  }
  EXPECT_GE(compared, at_least);
}

TEST(EqualLayers, TakeWhatTheyTakeOneByOneInMindie) {
  expect_layers_repeat(site_of("mindie", "deepseek-r1", Role::kHybrid, {"features.speculative_tokens=1"}), 4, 10);
}
TEST(EqualLayers, TakeWhatTheyTakeOneByOneInVllm) {
  expect_layers_repeat(site_of("vllm-ascend", "deepseek-v3.2", Role::kHybrid), 4, 5);
}
TEST(EqualLayers, TakeWhatTheyTakeOneByOneInSglang) {
  expect_layers_repeat(site_of("sglang", "deepseek-v3.2", Role::kPrefill), 5, 4);
}
// Two lanes of streams that slow each other down, and ranks that compute at different speeds.
TEST(EqualLayers, TakeWhatTheyTakeOneByOneInTwoLanes) {
  expect_layers_repeat(
      site_of("cann-recipes", "deepseek-r1", Role::kDecode, {"micro_batches=2", "layout.dp=1", "compute_skew=0.1"}), 3,
      4);
}

// Norms that add what the layer before has left, int4 experts, drafts of all rows.
TEST(EqualLayers, TakeWhatTheyTakeOneByOneWithFusedNorms) {
  expect_layers_repeat(site_of("cann-recipes", "deepseek-r1", Role::kDecode,
                               {"quantisation=w4a8", "features.speculative_tokens=2", "layout.cp=1"}),
                       5, 3);
}

TEST(EqualLayers, TakeWhatTheyTakeOneByOneInAPipeline) {
  Deployment d = deployment({.tp = 8});
  d.layout.pp = 2;
  const auto s = scenario(std::move(d));
  for (const Step& step :
       {prefill_step(s->deployment.layout, 1, 1305), decode_step(s->deployment.layout, 1, 1305, 1306)})
    expect_same(s->pricer.price(step), s->pricer.price(step, true, false), "pp 2");
}

// R1 on 16 ranks: 58 MoE layers, of which 4 are built. The count is that of the whole step, and of one that was built
// layer by layer.
TEST(EqualLayers, AreCountedAsTheyRun) {
  const auto s = scenario(kContextExample);
  const StepTime step = s->pricer.price(prefill_step(s->deployment.layout, 1, 65'536));
  const auto experts = std::ranges::find(step.operator_rows, std::string("experts_gate_up"), &OperatorRow::label);
  ASSERT_NE(experts, step.operator_rows.end());
  EXPECT_EQ(experts->count, 58);
}

// What the planner prunes by: a decode step at a longer context never takes less.
RC_GTEST_PROP(DecodeSteps, LongerContextsAreNeverFaster, ()) {
  static const PlanSite kSites[] = {site_of("mindie", "deepseek-r1", Role::kHybrid),
                                    site_of("vllm-ascend", "deepseek-v3.2", Role::kHybrid),
                                    site_of("sglang", "deepseek-v3.1", Role::kHybrid)};
  static const std::vector<std::vector<LayoutChoice>> kLegal = [] {
    std::vector<std::vector<LayoutChoice>> out;
    for (const PlanSite& s : kSites) {
      std::vector<LayoutChoice>& legal = out.emplace_back();
      for (const LayoutChoice& q : enumerate_layouts(s, 16))
        if (is_legal(q, s, 1)) legal.push_back(q);
    }
    return out;
  }();
  const auto which = *rc::gen::inRange<std::size_t>(0, std::size(kSites));
  const PlanSite& s = kSites[which];
  const auto batch = *rc::gen::inRange<std::int64_t>(1, 65), prompt = *rc::gen::inRange<std::int64_t>(1, 70'000),
             context = prompt + *rc::gen::inRange<std::int64_t>(1, 2000);
  const LayoutChoice layout = kLegal[which][*rc::gen::inRange<std::size_t>(0, kLegal[which].size())];
  const auto q = Planner(PlanSite{s.question, s.stack, s.kernels, s.server, 0}, {})
                     .with_load(layout, {.input_tokens = prompt, .output_tokens = 4096, .batch = batch});
  RC_PRE(q.has_value());
  const Scenario scenario(q->deployment, s.stack, s.kernels, Cluster(s.server, 1));
  const Layout& l = q->deployment.layout;
  const auto at = [&](std::int64_t c) { return scenario.pricer.price(decode_step(l, batch, prompt, c)).total; };
  RC_ASSERT(at(context) <= at(context + *rc::gen::inRange<std::int64_t>(1, 2000)));
}

}  // namespace
}  // namespace ascendsim
