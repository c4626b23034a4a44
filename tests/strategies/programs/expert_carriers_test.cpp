// What carries rows to experts, and what fused MC2 costs beside its parts.
#include "strategies/programs/expert_carriers.h"

#include "tests/strategies/reference/layers_under_test.h"

namespace ascendsim {
namespace {

Deployment asked(ExpertCommunication communication, std::int64_t dp = 2) {
  Deployment d = deployment({.dp = dp, .tp = 8, .ep_level = 2, .input = 4096});
  d.set_engine("vllm-ascend");
  d.experts.exact_all_to_all = true;
  d.experts.communication = communication;
  d.limits.max_batch = 32;
  return d;
}

// vllm_ascend/ascend_forward_context.py, v0.15.0rc1; the capacity is 32 requests, a multiple of tp 8.
TEST(ExpertCarriers, FollowSizeAndWhatWasAskedFor) {
  using enum ExpertCarrier;
  const auto carrier = [](ExpertCommunication c, std::int64_t rows, bool drafting = false) {
    return expert_carrier(asked(c), Phase::kPrefill, rows, drafting);
  };
  EXPECT_EQ(carrier(ExpertCommunication::kAuto, 32), kMc2);
  EXPECT_EQ(carrier(ExpertCommunication::kAuto, 33), kAllToAllV);
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2, 32), kFusedMc2);
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2, 4096), kFusedMc2);
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2, 32, true), kMc2) << "not the draft layer";
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2Decode, 32), kFusedMc2);
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2Decode, 33), kAllToAllV);
  EXPECT_EQ(carrier(ExpertCommunication::kFusedMc2Decode, 32, true), kFusedMc2);
  const Deployment wide = asked(ExpertCommunication::kFusedMc2, 8);  // 64 ranks
  EXPECT_EQ(expert_carrier(wide, Phase::kDecode, 32, false), kMc2);
  EXPECT_EQ(fused_mc2_refusal(wide), "dispatch_ffn_combine serves at most 32 ranks of expert parallelism, here are 64");
  EXPECT_EQ(fused_mc2_refusal(asked(ExpertCommunication::kFusedMc2Decode, 8)), "");
  Deployment wider = asked(ExpertCommunication::kFusedMc2);
  Diagnostics diagnostics;
  wider.quantisation = shipped_schemes().load("w4a8", Dtype::kBf16, diagnostics);
  EXPECT_NE(fused_mc2_refusal(wider), "");
  Deployment mindie = asked(ExpertCommunication::kFusedMc2);
  mindie.set_engine("mindie");
  EXPECT_EQ(expert_carrier(mindie, Phase::kDecode, 32, false), kMc2);
}

Duration time_of(const StepTime& step, std::initializer_list<std::string_view> labels) {
  Duration sum{};
  for (const OperatorRow& r : step.operator_rows)
    for (const std::string_view label : labels)
      if (r.label == label) sum += r.time;
  return sum;
}

// exchange X, products P of a layer, overlap 0.75: X + P - 0.75 min(X, P). Products are as long as in MC2; what is
// hidden is taken from the exchange. 58 layers, roundings of a tick each.
TEST(ExpertCarriers, FusedMc2HidesAShareOfTheShorter) {
  Stack stack = mindie_stack();
  Figure<Ratio> overlap;
  overlap.value = Ratio(0.75);
  stack.figures.add("fused_moe_overlap", overlap);
  const auto price = [&](ExpertCommunication c, std::int64_t requests) {
    Deployment d = asked(c);
    const Server server = shipped_server("atlas-800i-a3");
    return Scenario(std::move(d), stack, shipped_kernels(), Cluster(server, 1))
        .pricer.price(decode_step({.dp = 2, .tp = 8}, requests, 4096, 4097, 1));
  };
  for (const std::int64_t requests : {2, 64}) {
    const StepTime parts = price(ExpertCommunication::kMc2, requests),
                   fused = price(ExpertCommunication::kFusedMc2, requests);
    const std::initializer_list<std::string_view> products{"experts_gate_up", "experts_swiglu", "experts_down"};
    const Duration p = time_of(parts, products), x = time_of(parts, {"moe_dispatch", "moe_combine"});
    EXPECT_EQ(time_of(fused, products), p);
    const Duration hidden = x - time_of(fused, {"fused_dispatch", "fused_combine"});
    EXPECT_NEAR(static_cast<double>(hidden.count()), 0.75 * static_cast<double>(std::min(x, p).count()), 2 * 58);
    EXPECT_EQ(parts.total - fused.total, hidden);
    EXPECT_EQ(time_of(fused, {"moe_dispatch"}), Duration{});
  }
}

// The numbers are those of MC2: the programs differ in nothing else.
TEST(ExpertCarriers, FusedMc2ComputesTheSame) {
  Deployment d = level_2(tiny({.dp = 2, .tp = 2}));
  d.set_engine("vllm-ascend");
  d.experts.exact_all_to_all = true;
  for (const ExpertCommunication c : {ExpertCommunication::kFusedMc2, ExpertCommunication::kFusedMc2Decode}) {
    d.experts.communication = c;
    expect_exact("fused", d);
    d.features.speculative_tokens = 1;
    expect_exact("fused, drafts", d, without_prolog());
  }
}

}  // namespace
}  // namespace ascendsim
