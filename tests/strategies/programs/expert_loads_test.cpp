// Unequal experts and stragglers: who has more to do takes longer, the others wait.
#include "strategies/programs/expert_loads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "sim/check.h"
#include "tests/source_path.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"
#include "workloads/operators/linear.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kEven = RoutedRows::kEven;

Deployment four_experts(std::vector<double> loads) {
  Deployment d;
  d.model.experts = std::ssize(loads);
  d.layout.dp = d.layout.moe_ep = 2;
  d.experts.loads = std::move(loads);
  return d;
}

// Ranks hold experts 0, 1 and 2, 3: 2 and 6 of a mean of 4.
TEST(ExpertLoads, OfARankAreThoseOfItsExperts) {
  EXPECT_EQ(routed_loads(four_experts({1, 1, 2, 4})), (std::vector<std::int64_t>{kEven / 2, 3 * kEven / 2}));
  EXPECT_EQ(routed_loads(four_experts({})), std::vector<std::int64_t>{});
  EXPECT_EQ(routed_loads(four_experts({3, 3, 3, 3})), (std::vector<std::int64_t>{kEven, kEven}));
}

// One decode step of DeepSeek-R1 on CloudMatrix384, as in docs/validation.md: 288 ranks with one physical expert each,
// 32 with the shared one.
struct Decode {
  explicit Decode(double imbalance = 1, double skew = 0, std::int64_t micro_batches = 1) {
    Diagnostics diagnostics;
    Stack stack = StackLibrary(source_path("strategies/engines/stacks")).load("cloudmatrix", "", diagnostics);
    Deployment d;
    d.set_engine(stack.engine);
    d.model = ModelLibrary(source_path("workloads/models")).load("DeepSeek-R1", {}, diagnostics);
    d.dtype = Dtype::kBf16;
    d.quantisation = QuantisationLibrary(source_path("workloads/quantisation")).load("w8a8", d.dtype, diagnostics);
    d.role = Role::kDecode;
    d.layout = {.dp = 320, .moe_ep = 320, .ep_level = 2, .lm_head_local_tp = 8};
    d.experts.exact_all_to_all = true;
    d.experts.redundant = 32;
    d.experts.shared_ranks = 32;
    d.experts.imbalance = imbalance;
    d.compute_skew = skew;
    d.micro_batches = micro_batches;
    d.limits.max_prefill_tokens = 8192;
    EXPECT_EQ(rendered(diagnostics), "");
    scenario = std::make_unique<Scenario>(std::move(d), std::move(stack), shipped_kernels(),
                                          Cluster(shipped_server("cloudmatrix384"), 20));
  }
  [[nodiscard]] Step step() const { return decode_step(scenario->deployment.layout, 320 * 48, 4096, 4224, 1); }
  [[nodiscard]] StepTime price(bool fold = true) const { return scenario->pricer.price(step(), fold); }
  std::unique_ptr<Scenario> scenario;
};

TEST(ExpertLoads, OfASeededRouterHaveTheWantedImbalance) {
  const Decode d(1.8);
  const std::vector<std::int64_t>& loads = d.scenario->deployment.experts.rank_loads;
  ASSERT_EQ(loads.size(), 320U);
  for (std::size_t r = 0; r < 32; ++r) EXPECT_EQ(loads[r], kEven);  // hold the shared expert
  EXPECT_NEAR(static_cast<double>(std::ranges::max(loads)) / kEven, 1.8, 1e-6);
  EXPECT_NEAR(std::accumulate(loads.begin() + 32, loads.end(), 0.0) / (288.0 * kEven), 1, 1e-6);
  EXPECT_GE(std::ranges::min(loads), 0);
  Deployment other = d.scenario->deployment;
  other.experts.seed = 2;
  EXPECT_NE(routed_loads(other), loads);
  other.experts.seed = 1;
  EXPECT_EQ(routed_loads(other), loads);
}

// 288 experts of popularity 1/k on as many ranks: the first has 288 / H_288 = 46.1 times the mean.
TEST(ExpertLoads, HaveALimit) {
  Deployment d = Decode().scenario->deployment;
  d.experts.imbalance = 46;
  EXPECT_EQ(loads_refusal(d), "");
  d.experts.imbalance = 47;
  EXPECT_NE(loads_refusal(d).find("46.1"), std::string::npos) << loads_refusal(d);
  d.experts.loads = {1, 2};
  EXPECT_EQ(loads_refusal(d), "experts.loads has 2 loads for 288 physical experts");
}

// What rules refuse (E0378) never reaches a program: negative, missing and endless loads would be rows.
TEST(ExpertLoads, ThatAreRefusedMakeNoProgram) {
  for (const std::vector<double>& loads :
       {std::vector<double>{0, 0, 0, 0}, {-1, 1, 1, 1}, {1, 2, 3, std::numeric_limits<double>::infinity()}}) {
    EXPECT_NE(loads_refusal(four_experts(loads)), "");
    EXPECT_THROW(static_cast<void>(routed_loads(four_experts(loads))), InternalError);
  }
  Deployment d = four_experts({1, 1, 1, 1});
  d.experts.loads = {1};
  EXPECT_THROW(static_cast<void>(routed_loads(d)), InternalError);
  d.experts.loads.clear();
  d.experts.imbalance = 6;
  EXPECT_THROW(static_cast<void>(routed_loads(d)), InternalError);
}

TEST(ExpertLoads, ThatAreAlikeChangeNoTick) {
  const Decode even, alike;
  alike.scenario->deployment.experts.rank_loads.assign(320, kEven);
  EXPECT_EQ(even.price().total, alike.price().total);
}

// The busiest rank has 1.8 times the rows: its experts take longer, and so do dispatch and combine at its port. All
// else is as before, so the step grows by just that; the mean rank waits.
TEST(ExpertLoads, LengthenAStepByWaiting) {
  const Decode even, uneven(1.8);
  const StepTime a = even.price(), b = uneven.price();
  EXPECT_GT(b.total, a.total);
  EXPECT_LT(b.total, a.total * 2);
  EXPECT_GT(b.moe, a.moe);  // of the rank that computes longest
  EXPECT_LE(b.total - a.total, (b.moe - a.moe) + (b.communication - a.communication) + Duration(b.operators));
  EXPECT_EQ(b.attention, a.attention);
  EXPECT_EQ(uneven.price(false).total, b.total);  // folded = unfolded
  EXPECT_EQ(uneven.price(false).classes, 320);
  // Two lanes on split cores.
  EXPECT_GT(Decode(1.8, 0, 2).price().total, Decode(1, 0, 2).price().total);
}

// From 0.9 to 1.1 of the mean: whatever of the step is neither collective nor host takes at most 1.1 times as long, and
// the slowest rank's computation (of either class) does; collectives are as they were.
TEST(Stragglers, AreWaitedFor) {
  const Decode even, skewed(1, 0.2);
  const StepTime a = even.price(), b = skewed.price();
  EXPECT_GT(b.total, a.total);
  EXPECT_LE(seconds(b.total - a.total), 0.1 * seconds(a.total - a.exposed_communication - a.host) + 1e-9);
  EXPECT_GE(seconds(b.total - a.total), 0.05 * seconds(a.computing));
  EXPECT_EQ(b.classes, 320);
  const std::vector<double> slowness = compute_slowness(5, 0.2, 1);
  std::vector<double> sorted = slowness;
  std::ranges::sort(sorted);
  const std::vector<double> expected{0.9, 0.95, 1.0, 1.05, 1.1};
  for (std::size_t i = 0; i < sorted.size(); ++i) EXPECT_NEAR(sorted[i], expected[i], 1e-12);
}

// What the bars on speed rest on (tests/bench/step_bench.cpp has the times): balanced, two classes are built for 320
// ranks; unequal experts need every rank's program.
TEST(ExpertLoads, BuildOneProgramAClass) {
  const StepTime folded = Decode().price();
  EXPECT_EQ(folded.classes, 2);
  EXPECT_LT(folded.operators, 2200U);
  EXPECT_EQ(Decode(1.5).price().classes, 1 + 288);  // the holders of the shared expert are alike
}

// A UB port of a die that is down in six of seven planes: exchanges of all ranks wait for it.
TEST(Faults, SlowTheStepThatUsesTheirLinks) {
  const Decode healthy;
  const Scenario& s = *healthy.scenario;
  std::vector<LinkFault> faults;
  for (int plane = 0; plane < 6; ++plane)
    faults.push_back({.kind = LinkKind::kUbPlane, .server = 1, .first = 3, .second = plane, .remaining = Ratio(0)});
  Deployment d = s.deployment;
  d.layout.dp = d.layout.moe_ep = 32;
  d.experts.redundant = 0;
  d.experts.shared_ranks = 0;
  const Step step = decode_step(d.layout, 32 * 48, 4096, 4224, 1);
  const Scenario whole(d, s.stack, s.kernels, Cluster(shipped_server("cloudmatrix384"), 2));
  const Scenario broken(d, s.stack, s.kernels, Cluster(shipped_server("cloudmatrix384"), 2, 16, faults));
  const StepTime a = whole.pricer.price(step), b = broken.pricer.price(step);
  EXPECT_TRUE(a.slowed.empty());
  EXPECT_GT(b.total, a.total);
  ASSERT_FALSE(b.slowed.empty());
  for (const SlowedCollective& c : b.slowed) EXPECT_GT(c.time, c.without_faults) << c.label;
  EXPECT_TRUE(std::ranges::any_of(b.slowed, [](const SlowedCollective& c) { return c.label == "moe_dispatch"; }));
  // A fault elsewhere, in a link that no rank needs, slows nothing: a NIC.
  const Scenario spare(
      d, s.stack, s.kernels,
      Cluster(shipped_server("cloudmatrix384"), 2, 16,
              {{.kind = LinkKind::kRoce, .server = 0, .first = 3, .second = 0, .remaining = Ratio(0)}}));
  EXPECT_EQ(spare.pricer.price(step).total, a.total);
  EXPECT_TRUE(spare.pricer.price(step).slowed.empty());
}

}  // namespace
}  // namespace ascendsim
