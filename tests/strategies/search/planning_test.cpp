#include "strategies/search/planning.h"

#include <gtest/gtest.h>

#include "tests/strategies/sites_under_test.h"

namespace ascendsim {
namespace {

PlanSite site(std::string_view server, std::int64_t most_servers, double memory_fraction = 0.92) {
  PlanSite s;
  s.question.stack = "mindie";
  s.question.model = "deepseek-r1";
  put(s.question, field::kMemoryFraction, memory_fraction, "test");
  s.stack = mindie_stack();
  s.question.deployment.set_engine(s.stack.engine, s.stack.version);
  Diagnostics diagnostics;
  resolve(s.question, shipped_models(), shipped_schemes(), diagnostics);
  EXPECT_EQ(rendered(diagnostics, Severity::kError), "");
  s.kernels = shipped_kernels();
  s.server = shipped_server(server);
  s.most_servers = most_servers;
  return s;
}

// The fewest servers and the best layout when everything that is legal and fits is priced exactly.
struct Best {
  int servers = 0;
  Layout layout;
  ExpertExchange exchange;
  Duration score{};
};
std::optional<Best> by_brute_force(const PlanSite& s, const Planner& planner, const Workload& load, Targets targets) {
  for (int servers = 1; servers <= s.most_servers; ++servers) {
    std::optional<Best> best;
    for (const LayoutChoice& layout : enumerate_layouts(s, servers * s.server.dies())) {
      if (!is_legal(layout, s, servers)) continue;
      const auto q = planner.with_load(layout, load);
      if (!q) continue;
      const Scenario scenario(q->deployment, s.stack, s.kernels, Cluster(s.server, servers));
      if (!scenario.memory(q->workload).fits()) continue;
      const Prediction p = predict(scenario, q->workload);
      if ((targets.ttft && p.ttft.p99 > *targets.ttft) || (targets.tpot && p.tpot.mean > *targets.tpot)) continue;
      if (!best || p.e2el.mean < best->score)
        best = {servers, q->deployment.layout, q->deployment.exchange(), p.e2el.mean};
    }
    if (best) return best;
  }
  return std::nullopt;
}

void expect_the_best(const PlanSite& s, const Workload& load, Targets targets) {
  const Planner planner(s, targets);
  const PlanCell cell = planner.plan(load);
  const auto best = by_brute_force(s, planner, load, targets);
  ASSERT_EQ(cell.choice.has_value(), best.has_value()) << cell.why;
  if (!best) return;
  const PlanChoice& c = *cell.choice;
  EXPECT_EQ(c.servers, best->servers);
  EXPECT_EQ(c.prediction.e2el.mean, best->score);
  EXPECT_TRUE(c.prediction.memory.fits());
  EXPECT_TRUE(is_legal(c.question, s, c.servers));
  EXPECT_EQ(c.question.deployment.layout.world(), std::int64_t{c.servers} * s.server.dies());
}

TEST(Plan, NoLayoutIsBetterByBruteForce) {
  const PlanSite s = site("atlas-800i-a3", 2);
  for (const std::int64_t input : {2048, 32'768})
    for (const std::int64_t batch : {1, 12})
      expect_the_best(s, {.input_tokens = input, .output_tokens = 128, .batch = batch}, {});
}

// Other engines, sparse attention, and what only they offer. Layouts with four-way expert parallelism or more, or
// everything would be priced twice here.
TEST(Plan, NoLayoutIsBetterByBruteForceInOtherEngines) {
  PlanSite vllm =
      site_of("vllm-ascend", "deepseek-v3.2", Role::kHybrid, {"experts.exchange=all-to-all", "layout.moe_tp=1"});
  PlanSite sglang = site_of("sglang", "deepseek-v3.2", Role::kPrefill);
  for (PlanSite* const s : {&vllm, &sglang}) {
    s->most_servers = 1;
    expect_the_best(*s, {.input_tokens = 8192, .output_tokens = 64, .batch = 4}, {});
  }
  EXPECT_TRUE(offers_flashcomm(vllm));
  EXPECT_FALSE(offers_flashcomm(sglang));
}

// The layout with the smallest TTFT of all that fit, where it halves it; else none.
TEST(Plan, TheSoonestFirstTokenIsThatOfBruteForce) {
  // W4A8: the q_b and o_proj that DSA-CP keeps whole on every rank fit beside the experts of one server.
  PlanSite s = site_of("vllm-ascend", "deepseek-v3.2", Role::kHybrid,
                       {"experts.exchange=all-to-all", "layout.moe_tp=1", "quantisation=w4a8"});
  s.most_servers = 1;
  const Planner planner(s, {});
  const Workload load{
      .input_tokens = 65'536, .output_tokens = 8192, .batch = 1};  // long enough for decode steps to decide
  const PlanCell cell = planner.plan(load);
  ASSERT_TRUE(cell.choice && cell.soonest);
  std::optional<Duration> soonest;
  for (const LayoutChoice& layout : enumerate_layouts(s, 16)) {
    if (!is_legal(layout, s, 1)) continue;
    const auto q = planner.with_load(layout, load);
    if (!q) continue;
    const Scenario scenario(q->deployment, s.stack, s.kernels, Cluster(s.server, 1));
    if (!scenario.memory(q->workload).fits()) continue;
    const Duration first = run_prefill(scenario, q->workload).end;
    if (!soonest || first < *soonest) soonest = first;
  }
  EXPECT_EQ(cell.soonest->prediction.ttft.p99, *soonest);
  EXPECT_LE(2 * *soonest, cell.choice->prediction.ttft.p99);
}

TEST(Plan, TargetsAreMetByExactTimes) {
  const PlanSite s = site("atlas-800i-a3", 2);
  const Workload load{.input_tokens = 8192, .output_tokens = 128, .batch = 8};
  const Duration unhurried = Planner(s, {}).plan(load).choice->prediction.ttft.p99;
  // Just reached, just missed, and far away.
  for (const double share : {1.0, 0.999999, 0.7, 0.1})
    expect_the_best(s, load, {Duration(static_cast<std::int64_t>(share * static_cast<double>(unhurried.count()))), {}});
}

TEST(Plan, WhereTheServersOfAMeshAreFewer) {
  expect_the_best(site("atlas-800i-a2", 3), {.input_tokens = 4096, .output_tokens = 64, .batch = 3}, {});
}

// 16 ranks = 2^4: (cp, tp) with a divisor of tp as sp: for every cp = 2^a the tp are 2^0 .. 2^(4-a), each with its
// divisors: 15 + 10 + 6 + 3 + 1 = 35. Five moe_tp: four with the two exchanges that MindIE has, moe_ep 1 with one: 9.
// Legal for MindIE: cp 1 with five tp, sp 1 or tp (9), and cp 2 x tp 8 with sp 8: 10. All-gather with five moe_tp,
// padded all-to-all with moe_tp 1: 6. The last three counts are what the search does today.
TEST(Plan, LooksAtAsManyLayoutsAsThereAre) {
  const PlanSite s = site("atlas-800i-a3", 1);
  const Planner planner(s, {});
  EXPECT_EQ(planner.layouts().enumerated, 35 * 9);
  EXPECT_EQ(planner.layouts().legal, 10 * 6);
  const PlanCell cell = planner.plan({.input_tokens = 8192, .output_tokens = 1024, .batch = 8});
  EXPECT_EQ(cell.counts.in_memory, 42);
  EXPECT_EQ(cell.counts.priced, 1);
}

// What cannot be is not priced: too little memory, and a TTFT that no die can reach.
TEST(Plan, PricesNothingThatCannotBe) {
  const PlanSite small = site("atlas-800i-a3", 1, 0.5);
  const Workload load{.input_tokens = 8192, .output_tokens = 1024, .batch = 1};
  const PlanCell cell = Planner(small, {}).plan(load);
  EXPECT_FALSE(cell.choice);
  EXPECT_EQ(cell.counts.in_memory + cell.counts.priced, 0);
  EXPECT_NE(cell.why.find("does not fit: "), std::string::npos) << cell.why;
  EXPECT_NE(cell.remedy.find("a memory fraction of 0."), std::string::npos) << cell.remedy;
  const PlanSite enough = site("atlas-800i-a3", 1);
  const PlanCell hurried = Planner(enough, {Duration(1'000'000), {}}).plan(load);
  EXPECT_EQ(hurried.counts.in_memory + hurried.counts.priced, 0);
}

// Memory reads a model of two MoE layers and counts one of them for the rest: no byte off.
TEST(MemoryOfAShortModel, IsThatOfTheWholeOne) {
  const PlanSite s = site("atlas-800i-a3", 2);
  const Planner planner(s, {});
  const KernelFacts facts = kernel_facts(s.stack, s.kernels);
  int looked_at = 0;
  for (const LayoutChoice& layout : enumerate_layouts(s, 32)) {
    if (!is_legal(layout, s, 2)) continue;
    Question q = *planner.with_load(layout, {.input_tokens = 3000, .output_tokens = 8, .batch = 3});
    q.deployment.role = Role::kPrefill;  // one program: the warm-up prefill
    q.deployment.features.speculative_tokens = looked_at++ % 2;
    const Deployment& d = q.deployment;
    const MemoryPerRank m = memory_per_rank(d, q.workload, s.stack, facts, s.server.die.hbm_visible.value);
    const Program whole = build_program(d, prefill_step(d.layout, d.layout.dp, d.limits.max_prefill_tokens), facts, 0);
    Bytes weights{};
    for (const TensorBytes& t : tensors(whole, BufferKind::kWeight)) weights += t.elements + t.extra;
    EXPECT_EQ(m.weights, weights);
    EXPECT_LE(*least_excess(d, q.workload, m.capacity), m.peak() - m.allowed);
    EXPECT_EQ(m.activations, activation_peak(whole).bytes);
  }
  EXPECT_GT(looked_at, 20);
}

}  // namespace
}  // namespace ascendsim
