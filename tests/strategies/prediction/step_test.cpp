// Whole steps: folded equals unfolded, programs of all legal layouts match, and what all ranks do together is the
// model's work. Small models (five layers, one of them dense) where every rank's program is built.
#include "strategies/programs/step.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "sim/verifier.h"
#include "strategies/deployment/partitions.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"
#include "workloads/kernels.h"

namespace ascendsim {
namespace {

// ---- the documented examples ----------------------------------------------------------------------------------------

void expect_folding_changes_nothing(const Example& e, const Step& step) {
  const auto s = scenario(e);
  const StepTime folded = s->pricer.price(step), unfolded = s->pricer.price(step, false);
  EXPECT_EQ(folded.total, unfolded.total);
  EXPECT_EQ(folded.flops.total(), unfolded.flops.total());
  EXPECT_LT(folded.classes, unfolded.classes);
}

TEST(Folding, ChangesNoTickOfTheExamples) {
  for (const Example& e : {kContextExample, kSequenceExample}) {
    const Layout l = deployment(e).layout;
    expect_folding_changes_nothing(e, prefill_step(l, 2, 65'536));
    expect_folding_changes_nothing(e, decode_step(l, 2, 65'536, 66'000));
  }
}

// 1305 tokens leave the KV shards unequal, and three prompts the DP groups.
TEST(Folding, ChangesNoTickOfRaggedLoads) {
  for (const Example& e : {kContextExample, kSequenceExample}) {
    const Layout l = deployment(e).layout;
    expect_folding_changes_nothing(e, prefill_step(l, 3, 1305));
    expect_folding_changes_nothing(e, decode_step(l, 3, 1305, 1400));
  }
}

TEST(Folding, FindsTheClassesOfTheExamples) {
  const auto classes = [](const Example& e, std::int64_t prompts, std::int64_t tokens) {
    const auto s = scenario(e);
    return s->pricer.price(prefill_step(s->deployment.layout, prompts, tokens)).classes;
  };
  EXPECT_EQ(classes(kSequenceExample, 2, 65'536), 1);
  EXPECT_EQ(classes(kSequenceExample, 1, 65'536), 2);  // a busy and an idle DP group
  EXPECT_EQ(classes(kContextExample, 1, 65'536), 2);   // chunks {0, 3} and {1, 2}
  EXPECT_EQ(classes(kSequenceExample, 2, 1305), 3);    // shards of 256, 128 and 153 tokens
}

TEST(Spread, GivesTheFirstGroupsOneMore) {
  const Step step = prefill_step({.dp = 4}, 6, 100);
  std::vector<std::int64_t> sequences;
  for (const GroupLoad& g : step.load) sequences.push_back(g.sequences);
  EXPECT_EQ(sequences, (std::vector<std::int64_t>{2, 2, 1, 1}));
  EXPECT_EQ(prefill_step({.dp = 2}, 1, 100).load[1], GroupLoad{});
}

// ---- times ----------------------------------------------------------------------------------------------------------

Prediction predicted(const Example& e) {
  return predict(*scenario(e), {.input_tokens = 65'536, .output_tokens = 1024, .batch = 1});
}

// 2.31 s is what the placement's FLOPs take at 376 TFLOP/s (16 bits) and 752 TOP/s (int8) with nothing else.
TEST(TimeToFirstToken, OfTheContextExampleLiesWithinThreeTimesItsBound) {
  const double ttft = seconds(predicted(kContextExample).ttft.mean);
  EXPECT_GT(ttft, 2.31);
  EXPECT_LT(ttft, 3 * 2.31);
}

// CP halves attention and projections of a prompt; the experts and the expansion of the latent stay.
TEST(TimeToFirstToken, ContextParallelismWinsLessThanTwice) {
  const double ratio = seconds(predicted(kSequenceExample).ttft.mean) / seconds(predicted(kContextExample).ttft.mean);
  EXPECT_GT(ratio, 1.3);
  EXPECT_LT(ratio, 2.0);
}

TEST(StepTime, PartsSumToTheTotal) {
  for (const Example& e : {kContextExample, kSequenceExample}) {
    const Prediction p = predicted(e);
    for (const StepTime& t : {p.prefill, p.decode}) {
      EXPECT_EQ(t.total, t.attention + t.linear + t.moe + t.vector + t.exposed_communication + t.host + t.idle);
      EXPECT_GE(t.idle.count(), 0);
      EXPECT_GE(t.total, t.speed_of_light);
      EXPECT_LE(t.exposed_communication, t.communication);
    }
  }
}

TEST(Prediction, MeasuresFromTheFirstToTheLastToken) {
  const Prediction p = predicted(kContextExample);
  // end to end = first token + 1023 gaps, to the rounding of 1023 gaps
  EXPECT_NEAR(seconds(p.e2el.mean), seconds(p.ttft.mean) + 1023 * seconds(p.tpot.mean), 1e-8);
  EXPECT_EQ(p.ttft.mean, p.prefill.total);
}

// maxPrefillBatchSize 1 and one DP group: the second request's prompt follows the first one's.
TEST(Prediction, PromptsQueueForPrefill) {
  const auto s = scenario(kContextExample);
  const Prediction p = predict(*s, {.input_tokens = 4096, .output_tokens = 8, .batch = 3});
  EXPECT_EQ(p.ttft.p50, 2 * p.prefill.total);
  EXPECT_EQ(p.ttft.p99, 3 * p.prefill.total);
  EXPECT_EQ(p.ttft.mean, 2 * p.prefill.total);
}

// ---- every legal layout ---------------------------------------------------------------------------------------------

struct Case {
  Deployment d;
  Step step;
};

Deployment small_deployment() {
  static const Deployment kBase = [] {
    Deployment d = deployment(kSequenceExample);
    d.model.layers = 5;
    d.model.dense_layers = 1;
    return d;
  }();
  return kBase;
}

// A layout that MindIE allows on up to two A3 servers.
Layout any_layout() {
  Layout l;
  l.tp = *rc::gen::element<std::int64_t>(1, 2, 4, 8, 16);
  l.cp = *rc::gen::element<std::int64_t>(1, 2);
  l.dp = l.cp == 2 ? 1 : *rc::gen::element<std::int64_t>(1, 2, 4);
  if (l.world() > 32) l.dp = 32 / l.tp;
  l.sp = l.cp == 2 || *rc::gen::arbitrary<bool>() ? l.tp : 1;
  l.ep_level = *rc::gen::element<std::int64_t>(1, 2);
  l.moe_tp = l.ep_level == 2 ? 1 : *rc::gen::element<std::int64_t>(1, 2, 4);
  if (l.world() % l.moe_tp != 0) l.moe_tp = 1;
  l.moe_ep = l.world() / l.moe_tp;
  return l;
}

// Every DP group with a load of its own; at least the first is busy.
Step any_step(const Layout& l, Phase phase) {
  Step step{phase, {}};
  for (std::int64_t g = 0; g < l.dp; ++g) {
    GroupLoad load;
    load.sequences = *rc::gen::inRange<std::int64_t>(g == 0 ? 1 : 0, 4);
    const auto tokens = *rc::gen::inRange<std::int64_t>(1, 3000);
    if (phase == Phase::kPrefill) {
      load.new_tokens = load.prompt = tokens;
    } else {
      load.new_tokens = 1;
      load.prompt = tokens;
      load.context = tokens + *rc::gen::inRange<std::int64_t>(1, 400);
    }
    step.load.push_back(load.sequences > 0 ? load : GroupLoad{});
  }
  return step;
}

Case any_case(Phase phase) {
  Case c{small_deployment(), {}};
  c.d.layout = any_layout();
  c.step = any_step(c.d.layout, phase);
  return c;
}
Case any_case() { return any_case(*rc::gen::element(Phase::kPrefill, Phase::kDecode)); }

void report(const Case& c) {
  const Layout& l = c.d.layout;
  RC_LOG() << fmt::format("dp {} cp {} sp {} tp {} moe_ep {} moe_tp {} ep_level {}", l.dp, l.cp, l.sp, l.tp, l.moe_ep,
                          l.moe_tp, l.ep_level)
           << std::endl;
}

const KernelFacts& facts() {
  static const KernelFacts kFacts = kernel_facts(mindie_stack(), shipped_kernels());
  return kFacts;
}

std::vector<Program> all_programs(const Case& c) {
  std::vector<Program> programs;
  for (std::int64_t rank = 0; rank < c.d.layout.world(); ++rank)
    programs.push_back(build_program(c.d, c.step, facts(), rank));
  return programs;
}

RC_GTEST_PROP(Programs, OfEveryLegalLayoutMatch, ()) {
  const Case c = any_case();
  report(c);
  const std::vector<Program> programs = all_programs(c);
  std::vector<const Program*> pointers;
  for (const Program& p : programs) pointers.push_back(&p);
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  verify(pointers, unfolded(programs.size(), rank_groups(c.d.layout, cluster)));
}

RC_GTEST_PROP(Programs, OfEqualRolesAreEqual, ()) {
  const Case c = any_case();
  report(c);
  const std::vector<Program> programs = all_programs(c);
  for (std::size_t a = 0; a < programs.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      if (role_of(c.d, c.step, static_cast<std::int64_t>(a)) == role_of(c.d, c.step, static_cast<std::int64_t>(b)))
        RC_ASSERT(programs[a].same_work(programs[b]));
}

RC_GTEST_PROP(Folding, ChangesNoTickOfAnyLayout, ()) {
  const Case c = any_case();
  report(c);
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  const KernelCost cost(cluster.server().die, shipped_kernels(), kKernelNames),
      half(cluster.server().die, shipped_kernels(), kKernelNames, 1, 0.5);
  const StepPricer pricer(c.d, facts(), cluster, cost, {cost, cost, half},
                          {.before_step = Duration(1'000'000), .issue = Duration(5'000'000)});
  const StepTime folded = pricer.price(c.step), unfolded = pricer.price(c.step, false);
  RC_ASSERT(folded.total == unfolded.total);
}

// A timer remembers what steps share: steps of one instance in any order, each twice, with all its parts or without.
RC_GTEST_PROP(StepTimer, SaysTheTotalOfEveryStep, ()) {
  Case c = any_case();
  if (*rc::gen::arbitrary<bool>()) c.d.features.speculative_tokens = *rc::gen::inRange(1, 3);
  report(c);
  const auto s = scenario(c.d);
  PipelineTimer timer(s->pricer);
  std::vector<Step> steps{c.step};
  for (int i = 0; i < 3; ++i) steps.push_back(any_step(c.d.layout, *rc::gen::element(Phase::kPrefill, Phase::kDecode)));
  for (Step& step : steps)
    for (GroupLoad& load : step.load)
      if (step.phase == Phase::kDecode && load.sequences > 0)
        load.new_tokens = std::min<std::int64_t>(load.context, 1 + c.d.features.speculative_tokens);
  steps.insert(steps.end(), {steps[1], steps[0]});
  for (const Step& step : steps) RC_ASSERT(timer.time(step) == s->pricer.price(step).total);
}

TEST(StepTimer, PassesStagesOneAfterAnother) {
  Deployment d = deployment({.tp = 8});
  d.layout.pp = 2;
  const auto s = scenario(d);
  PipelineTimer timer(s->pricer);
  for (const Step& step : {prefill_step(d.layout, 1, 4096), decode_step(d.layout, 3, 4096, 4100),
                           decode_step(d.layout, 3, 4096, 4101), decode_step(d.layout, 4, 4096, 4101)})
    EXPECT_EQ(timer.time(step), s->pricer.price(step).total);
}

// Matrix FLOPs of all ranks together, of the operators with these labels.
std::int64_t flops_of_all(const std::vector<Program>& programs, std::initializer_list<std::string_view> labels) {
  std::int64_t sum = 0;
  for (const Program& p : programs)
    for (std::size_t i = 0; i < p.operators.size(); ++i)
      for (const std::string_view label : labels)
        if (p.operators[i].label == label) sum += p.operators[i].type->work(p.view(i)).matrix.count();
  return sum;
}

// Tokens of a prompt as they are computed: CP pads it to whole chunks.
std::int64_t computed_tokens(const Layout& l, std::int64_t tokens) {
  return l.cp == 1 ? tokens : 2 * l.cp * zigzag(tokens, l.cp, 0).chunk;
}

// 2 * 128 heads * (192 + 128) FLOP a pair, once in each layer, whoever computes it.
RC_GTEST_PROP(Programs, ComputeEveryCausalPairOnce, ()) {
  const Case c = any_case(Phase::kPrefill);
  report(c);
  std::int64_t pairs = 0;
  for (const GroupLoad& g : c.step.load) {
    const std::int64_t tokens = g.sequences > 0 ? computed_tokens(c.d.layout, g.new_tokens) : 0;
    pairs += g.sequences * tokens * (tokens + 1) / 2;
  }
  RC_ASSERT(flops_of_all(all_programs(c), {"attention", "ring_mla"}) == 5 * 81'920 * pairs);
}

// 8 copies of a token, 88,080,384 FLOP each, in each of 4 MoE layers; decode rows are doubled by CP, as assumed.
RC_GTEST_PROP(Programs, RouteEveryTokenToEightExperts, ()) {
  const Case c = any_case();
  report(c);
  std::int64_t rows = 0;
  for (const GroupLoad& g : c.step.load)
    rows += g.sequences * (c.step.phase == Phase::kDecode ? c.d.layout.cp
                           : g.sequences > 0              ? computed_tokens(c.d.layout, g.new_tokens)
                                                          : 0);
  RC_ASSERT(flops_of_all(all_programs(c), {"experts_gate_up", "experts_down"}) == 4 * 8 * 88'080'384LL * rows);
}

// Every query of 128 heads meets every cached token of its sequence once: 278,528 FLOP a token in each of 5 layers.
// With SP or CP the shards hold different tokens; without, the heads are divided.
RC_GTEST_PROP(Programs, AttendToEveryCachedTokenOnce, ()) {
  const Case c = any_case(Phase::kDecode);
  report(c);
  std::int64_t tokens = 0;
  for (const GroupLoad& g : c.step.load) tokens += g.sequences * g.context;
  RC_ASSERT(flops_of_all(all_programs(c), {"mla_decode"}) == 5 * 278'528 * tokens);
}

// ---- longer, larger, faster -----------------------------------------------------------------------------------------

// Everything that prices steps of a small deployment on two A3 servers, with a host that issues kernels.
struct Pricing {
  explicit Pricing(const Deployment& d, const KernelFacts& f = facts())
      : cluster(shipped_server("atlas-800i-a3"), 2),
        cost(cluster.server().die, shipped_kernels(), kKernelNames),
        half(cluster.server().die, shipped_kernels(), kKernelNames, 1, 0.5),
        attention(cluster.server().die, shipped_kernels(), kKernelNames, 2.0 / 3, 2.0 / 3),
        experts(cluster.server().die, shipped_kernels(), kKernelNames, 1.0 / 3, 1.0 / 3),
        pricer(d, f, cluster, cost, {attention, experts, half}, {}) {}
  Cluster cluster;
  KernelCost cost, half, attention, experts;
  StepPricer pricer;
};

// By length, of one prompt: two chunks of ceil(tokens / 4) rows on each of two CP ranks, padded to a multiple of tp 4.
// MindIE's graph pads and picks rows in every step, so lengths that need no padding (those with even chunks) run the
// same kernels as others.
TEST(StepTime, OfPromptsThatNeedPaddingIsNoLonger) {
  Deployment d = small_deployment();
  d.layout = {.cp = 2, .sp = 4, .tp = 4, .moe_ep = 2, .moe_tp = 4};
  const Pricing p(d);
  std::vector<Duration> times;
  for (std::int64_t tokens = 77; tokens <= 93; ++tokens)
    times.push_back(p.pricer.price(prefill_step(d.layout, 1, tokens)).total);
  EXPECT_TRUE(std::ranges::is_sorted(times));
}

TEST(Programs, RunTheSameKernelsWhereRowsNeedPadding) {
  const auto labels = [](const Layout& l, std::int64_t tokens) {
    Deployment d = small_deployment();
    d.layout = l;
    std::vector<std::string> out;
    for (const Operator& op : build_program(d, prefill_step(l, 1, tokens), facts(), 0).operators)
      out.emplace_back(op.label);
    return out;
  };
  for (const Layout& l :
       {Layout{.cp = 2, .sp = 4, .tp = 4, .moe_ep = 2, .moe_tp = 4}, Layout{.dp = 2, .tp = 4, .moe_ep = 8},
        Layout{.tp = 8, .moe_ep = 8, .ep_level = 2}, Layout{.dp = 2, .tp = 4, .moe_ep = 8, .ep_level = 2}})
    for (std::int64_t tokens = 65; tokens <= 80; ++tokens) EXPECT_EQ(labels(l, tokens), labels(l, 64)) << tokens;
}

RC_GTEST_PROP(StepTime, LongerPromptsAreNeverFaster, ()) {
  Case c = any_case(Phase::kPrefill);
  c.step = prefill_step(c.d.layout, 1, *rc::gen::inRange<std::int64_t>(1, 8192));
  report(c);
  const Pricing p(c.d);
  const Step longer = prefill_step(c.d.layout, 1, c.step.load[0].new_tokens + *rc::gen::inRange<std::int64_t>(1, 4096));
  // Padded all-to-all buffers of ep_level 2 shrink where MindIE's factor table steps down.
  RC_PRE(c.d.layout.ep_level == 1);
  RC_ASSERT(p.pricer.price(c.step).total <= p.pricer.price(longer).total);
}

// What plan takes as a bound (run_decode_at_least): a step without its writes to the cache, against one that attends to
// as much or more. Collectives in line with compute, or beside it and on vector cores.
RC_GTEST_PROP(StepTime, WithoutCacheWritesIsABoundOfLongerContexts, ()) {
  Case c = any_case(Phase::kDecode);
  c.d.expansion = *rc::gen::element(Expansion::kAiv, Expansion::kAiCpu);
  c.d.features.speculative_tokens = *rc::gen::inRange<std::int64_t>(0, 3);
  for (GroupLoad& g : c.step.load) {
    g.context += g.sequences > 0 ? c.d.features.speculative_tokens : 0;
    g.new_tokens += g.sequences > 0 ? c.d.features.speculative_tokens : 0;
  }
  report(c);
  KernelFacts f = facts();
  f.communication_stream = *rc::gen::arbitrary<bool>();
  const Pricing p(c.d, f);
  Step longer = c.step;
  const auto more = *rc::gen::inRange<std::int64_t>(0, 4096);
  for (GroupLoad& g : longer.load)
    if (g.sequences > 0) g.context += more;
  c.step.writes_cache = false;
  RC_ASSERT(p.pricer.price(c.step).total <= p.pricer.price(longer).total);
}

// One prompt of 1,225 tokens over 32 KV shards, 40 and 824 tokens later: no rank reads more than one token of a shard
// more, but the shard that takes the new token is another.
TEST(StepTime, OfALongerContextMayBeShorterByAWrite) {
  Deployment d = small_deployment();
  d.layout = {.cp = 2, .sp = 16, .tp = 16, .moe_ep = 16, .moe_tp = 2};
  const Pricing p(d);
  Step shorter = decode_step(d.layout, 2, 1225, 1265);
  const Duration longer = p.pricer.price(decode_step(d.layout, 2, 1225, 2049)).total;
  EXPECT_GT(p.pricer.price(shorter).total, longer);
  shorter.writes_cache = false;
  EXPECT_LE(p.pricer.price(shorter).total, longer);
}

}  // namespace
}  // namespace ascendsim
