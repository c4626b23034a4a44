// How steps are launched: sizes of captured graphs, padding to them, and what the host issues.
#include "strategies/programs/launching.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "sim/verifier.h"
#include "strategies/programs/pass_rows.h"
#include "strategies/reference/layer_check.h"
#include "tests/strategies/sites_under_test.h"
#include "workloads/kernels.h"

namespace ascendsim {
namespace {

Deployment captured(GraphMode mode, std::vector<std::int64_t> sizes, std::int64_t drafts = 0) {
  Deployment d = deployment({.tp = 4});
  d.graph = {mode, std::move(sizes)};
  d.features.speculative_tokens = drafts;
  d.limits.max_batch = 4;
  return d;
}
using How = Launching::How;

TEST(CapturedSizes, AreRequestsAndTheirDrafts) {
  using Sizes = std::vector<std::int64_t>;
  EXPECT_EQ(captured_sizes(captured(GraphMode::kFullDecode, {1, 2, 4})), (Sizes{1, 2, 4}));
  EXPECT_EQ(captured_sizes(captured(GraphMode::kFullDecode, {1, 2, 4}, 3)),
            Sizes{4});  // the tutorial's decode node: one request
  EXPECT_EQ(captured_sizes(captured(GraphMode::kPiecewise, {1, 2, 4}, 3)), (Sizes{1, 2, 4}));
  EXPECT_EQ(captured_sizes(captured(GraphMode::kFullDecode, {})),
            (Sizes{1, 2, 4, 8}));  // up to twice the largest batch
  Deployment scattered = captured(GraphMode::kFullDecode, {1, 2, 6});
  scattered.features.flashcomm1 = true;
  EXPECT_EQ(captured_sizes(scattered), (Sizes{4, 8}));  // multiples of tp
}

TEST(Launching, PadsUpOrRunsEagerly) {
  const Deployment d = captured(GraphMode::kFullDecode, {1, 2, 4});
  EXPECT_EQ(launching(d, Phase::kDecode, 3).rows, 4);
  EXPECT_EQ(launching(d, Phase::kDecode, 3).how, How::kGraph);
  EXPECT_EQ(launching(d, Phase::kDecode, 5).how, How::kEager);
  EXPECT_EQ(launching(d, Phase::kPrefill, 3).how, How::kEager);
  EXPECT_EQ(launching(captured(GraphMode::kPiecewise, {1, 2, 4}), Phase::kPrefill, 3).how, How::kPieces);
  EXPECT_EQ(launching(captured(GraphMode::kEager, {}), Phase::kDecode, 1).how, How::kEager);
  EXPECT_EQ(launching(captured(GraphMode::kStack, {1}), Phase::kDecode, 3).how, How::kStack);
}

// The tutorial's decode node with 3 drafts: a request is inside the graph, two are not.
TEST(Launching, SaysWhatItDoes) {
  const Deployment d = captured(GraphMode::kFullDecode, {1, 2, 4}, 3);
  const Step one = decode_step(d.layout, 1, 100, 104, 4), two = decode_step(d.layout, 2, 100, 104, 4);
  EXPECT_EQ(to_text(launching(d, one), d, one), "4 rows replay the graph that was captured for 4");
  EXPECT_EQ(to_text(launching(d, two), d, two), "kernels are issued one by one: 8 rows, captured graphs end at 4");
}

// Padding travels: an all-reduce of 3 rows carries 4. Experts are not given it.
TEST(Launching, PaddingTravels) {
  Deployment d = captured(GraphMode::kFullDecode, {1, 2, 4});
  d.layout.ep_level = 2;
  const auto s = scenario(d);
  const StepTime step = s->pricer.price(decode_step(d.layout, 3, 100, 101));
  EXPECT_EQ(sent_once(step, "attention_all_reduce"), 2 * 3 * 4 * 7168 * 2 / 4);
  Deployment plain = d;
  plain.graph = {};
  const StepTime unpadded = scenario(plain)->pricer.price(decode_step(d.layout, 3, 100, 101));
  EXPECT_EQ(sent_once(step, "moe_dispatch"), sent_once(unpadded, "moe_dispatch"));
}

TEST(Launching, EveryModeComputesTheSame) {
  std::vector<std::string> rules;
  for (const bool scattered : {false, true}) {
    Deployment d = captured(GraphMode::kFullDecode, {64}, 1);
    d.layout.ep_level = 2;
    d.experts.exact_all_to_all = true;
    d.features.flashcomm1 = scattered;
    d = tiny_deployment(d, rules);
    const LayerReport r = check_layers(d, tiny_step(d, Phase::kDecode, 0, 0),
                                       kernel_facts(mindie_stack(), shipped_kernels()), LayerType::kFp64);
    EXPECT_TRUE(r.close());
    EXPECT_EQ(r.flops_performed, r.flops_charged);
    EXPECT_EQ(r.bytes_moved, r.bytes_charged);
  }
}

// By hand: operators outside graphs are issued one by one, each stretch between them once.
TEST(Lowering, CountsAStretchInsideAGraphOnce) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp16, 1, 1);
  static constexpr OperatorType kType{"op", [](const OperatorView&) { return Work{}; }};
  for (const bool outside : {false, false, true, true, false, false, false}) {
    p.set_outside_graph(outside);
    p.apply(kType, "op", std::int64_t{0}, {x}, {p.activation(Dtype::kFp16, 1, 1)});
  }
  const Program program = p.take();
  const std::vector<Duration> ticks(program.operators.size(), Duration(1));
  const auto launches = [&](Issued issued) {
    std::vector<int> out;
    for (const Node& n : lower(program, ticks, issued)) out.push_back(n.launches);
    return out;
  };
  EXPECT_EQ(launches(Issued::kEveryKernel), (std::vector{1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(launches(Issued::kOutsideGraphs), (std::vector{1, 0, 1, 1, 1, 0, 0}));
}

// A tiny batch eagerly is as slow as the host; piecewise lies between.
TEST(Launching, SmallStepsAreTheHosts) {
  const auto price = [](GraphMode mode) {
    Deployment d = captured(mode, {1, 2, 4});
    const Server s = shipped_server("atlas-800i-a3");
    const Cluster cluster(s, 1, 4);
    const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
    const KernelCost cost(s.die, shipped_kernels(), kKernelNames);
    const StepPricer pricer(d, facts, cluster, cost, {cost, cost, cost},
                            {.issue = Duration(0), .eager_issue = Duration(35'000'000)});
    return pricer.price(decode_step(d.layout, 1, 100, 101));
  };
  const StepTime graph = price(GraphMode::kFullDecode), pieces = price(GraphMode::kPiecewise),
                 eager = price(GraphMode::kEager);
  EXPECT_LT(graph.total, pieces.total);
  EXPECT_LT(pieces.total, eager.total);
  EXPECT_GE(eager.total, Duration(35'000'000) * static_cast<std::int64_t>(eager.operators) * 9 / 10);  // but fences
}

// Requests of 1 + drafts rows are captured, shares of a TP group are alike: 15 rows of the graph travel as 16 over tp 4.
// Rows are looked up as they are, not as they travel: 15 replay the graph of 15.
TEST(StreamRows, AreMultiplesOfTheGroupThatSharesThem) {
  Deployment d = captured(GraphMode::kFullDecode, {5, 10, 15, 20}, 4);
  d.layout = {.dp = 4, .tp = 4, .moe_ep = 16, .ep_level = 2};
  d.limits.max_batch = 16;
  const Step step = decode_step(d.layout, 12, 100, 105, 5);
  const StreamRows r = stream_rows(d, Phase::kDecode, step.load, 0);
  EXPECT_EQ(r.real, 15);
  EXPECT_EQ(r.padded, 16);
  EXPECT_EQ(r.routed, 16);
  EXPECT_EQ(r.scattered, 4);
}

// Captured sizes, drafts and layouts of all kinds: every rank's program is built, and they match.
RC_GTEST_PROP(Launching, CapturedGraphsWithDraftsHavePrograms, ()) {
  Deployment d = deployment({.tp = 4});
  d.model.layers = 5;
  d.model.dense_layers = 1;
  Layout& l = d.layout;
  l.tp = *rc::gen::element<std::int64_t>(1, 2, 4, 8);
  l.cp = *rc::gen::element<std::int64_t>(1, 2);
  l.dp = *rc::gen::element<std::int64_t>(1, 2, 4);
  l.sp = *rc::gen::element<std::int64_t>(1, l.tp);
  l.ep_level = *rc::gen::element<std::int64_t>(1, 2);
  l.moe_ep = l.world();
  const char* const engine = *rc::gen::element("mindie", "vllm-ascend", "cann-recipes", "sglang");
  d.set_engine(engine);
  d.features.speculative_tokens = *rc::gen::inRange<std::int64_t>(0, 6);
  d.features.flashcomm1 = std::string_view(engine) == "vllm-ascend" && *rc::gen::arbitrary<bool>();
  d.graph.mode = *rc::gen::element(GraphMode::kFullDecode, GraphMode::kPiecewise);
  d.graph.capture_sizes = *rc::gen::unique<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(1, 64));
  d.limits.max_batch = 16;
  const std::int64_t rows = 1 + d.features.speculative_tokens;
  const Step step = decode_step(l, *rc::gen::inRange<std::int64_t>(1, 16 * l.dp + 1), 100, 100 + rows, rows);
  const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  std::vector<Program> programs;
  for (std::int64_t rank = 0; rank < l.world(); ++rank) programs.push_back(build_program(d, step, facts, rank));
  std::vector<const Program*> pointers;
  for (const Program& p : programs) pointers.push_back(&p);
  verify(pointers, unfolded(programs.size(), rank_groups(l)));
}

}  // namespace
}  // namespace ascendsim
