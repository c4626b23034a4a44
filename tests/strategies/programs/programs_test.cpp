// Readings of the programs of the two documented deployments: FLOPs, collective bytes, buffers. R1 W8A8 on 16 dies; T
// are the rows of an attention stream, S the prompt, H = 7168.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/memory.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/pass_rows.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

Example with_input(Example e, std::int64_t tokens) {
  e.input = tokens;
  return e;
}
Example with_level(Example e, std::int64_t ep_level) {
  e.ep_level = ep_level;
  return e;
}
Example without_sp(Example e) {
  e.sp = 1;
  return e;
}

StepTime prefill(const Example& e, std::int64_t prompts, std::int64_t tokens) {
  const auto s = scenario(with_input(e, tokens));
  return s->pricer.price(prefill_step(s->deployment.layout, prompts, tokens));
}
StepTime decode(const Example& e, std::int64_t rows, std::int64_t context) {
  const auto s = scenario(e);
  return s->pricer.price(decode_step(s->deployment.layout, rows, context - 1, context));
}

// ---- FLOPs of one rank, one prompt of 131,072 tokens ----------------------------------------------------------------

constexpr std::int64_t kLong = 131'072;

// dp2 tp8: one DP group computes the whole prompt, its 8 ranks a share of heads and widths.
TEST(PrefillFlopsPerRank, OfTheSequenceExample) {
  const StepTime step = prefill(kSequenceExample, 1, kLong);
  EXPECT_EQ(flops(step, {"attention"}), 5'365'657'679'953'920);             // 42,925,261,439,631,360 / 8
  EXPECT_EQ(flops(step, {"qkv_a"}), 242'081'536'671'744);                   // 2 S * 61 * 15,138,816: replicated
  EXPECT_EQ(flops(step, {"q_b"}), 75'453'985'456'128);                      // 2 S * 61 * 37,748,736 / 8
  EXPECT_EQ(flops(step, {"kv_b_k", "kv_b_v"}), 33'535'104'647'168);         // 2 S * 61 * 16,777,216 / 8
  EXPECT_EQ(flops(step, {"o_proj"}), 234'745'732'530'176);                  // 2 S * 61 * 117,440,512 / 8
  EXPECT_EQ(flops(step, {"mlp_gate_up", "mlp_down"}), 38'963'943'309'312);  // 2 S * 3 * 396,361,728 / 8
  EXPECT_EQ(flops(step, {"experts_gate_up", "experts_down"}), 334'801'290'657'792);  // 2 S * 58 * 8 * 44,040,192 / 16
  EXPECT_EQ(flops(step, {"shared_gate_up", "shared_down"}), 41'850'161'332'224);     // 2 S * 58 * 44,040,192 / 16
  EXPECT_EQ(flops(step, {"gate"}), 27'900'107'554'816);  // 2 S * 58 * 256 * 7168: all tokens
  EXPECT_EQ(flops(step, {"lm_head"}), 115'834'880);      // 2 * 926,679,040 / 16: one row
}

// cp2 tp8: half the queries a rank, but the keys and values of the whole prompt.
TEST(PrefillFlopsPerRank, OfTheContextExample) {
  const StepTime step = prefill(kContextExample, 1, kLong);
  EXPECT_EQ(flops(step, {"ring_mla"}), 2'682'828'839'976'960);
  EXPECT_EQ(flops(step, {"qkv_a"}), 121'040'768'335'872);
  EXPECT_EQ(flops(step, {"q_b"}), 37'726'992'728'064);
  EXPECT_EQ(flops(step, {"kv_b_k", "kv_b_v"}), 33'535'104'647'168);
  EXPECT_EQ(flops(step, {"o_proj"}), 117'372'866'265'088);
  EXPECT_EQ(flops(step, {"mlp_gate_up", "mlp_down"}), 19'481'971'654'656);
  EXPECT_EQ(flops(step, {"experts_gate_up", "experts_down"}), 334'801'290'657'792);
  EXPECT_EQ(flops(step, {"shared_gate_up", "shared_down"}), 41'850'161'332'224);
  EXPECT_EQ(flops(step, {"gate"}), 27'900'107'554'816);
}

TEST(PrefillFlopsPerRank, AreWhatTheRowsSumTo) {
  const StepTime step = prefill(kContextExample, 1, 4096);
  std::int64_t rows = 0;
  for (const OperatorRow& r : step.operator_rows) rows += r.flops.count();
  EXPECT_EQ(step.flops.total().count(), rows);
}

TEST(PrefillFlopsPerRank, DoNotDependOnSequenceParallelism) {
  const StepTime split = prefill(kSequenceExample, 2, 8192), whole = prefill(without_sp(kSequenceExample), 2, 8192);
  EXPECT_EQ(split.flops.bits16, whole.flops.bits16);
  EXPECT_EQ(split.flops.int8, whole.flops.int8);
  EXPECT_EQ(split.flops.fp32, whole.flops.fp32);
  EXPECT_LT(split.total, whole.total);  // a rank writes an eighth of the rows into its cache
}

// Context parallelism halves the attention core and the projections, not the expansion of keys and values.
TEST(PrefillFlopsPerRank, ContextParallelismHalvesAttentionButNotKvB) {
  const StepTime cut = prefill(kContextExample, 1, 8192), whole = prefill(kSequenceExample, 1, 8192);
  EXPECT_EQ(2 * flops(cut, {"ring_mla"}), flops(whole, {"attention"}));
  EXPECT_EQ(2 * flops(cut, {"o_proj"}), flops(whole, {"o_proj"}));
  EXPECT_EQ(flops(cut, {"kv_b_k", "kv_b_v"}), flops(whole, {"kv_b_k", "kv_b_v"}));
}

// Ring order: rank 0 has chunks 0 and 3, rank 1 chunks 1 and 2: 1 + 4 and 2 + 3 kernel calls in each of 61 layers.
TEST(PrefillFlopsPerRank, RingMlaIsCalledFiveTimesALayer) {
  const StepTime step = prefill(kContextExample, 1, 8192);
  const auto row = std::ranges::find(step.operator_rows, "ring_mla", &OperatorRow::label);
  ASSERT_NE(row, step.operator_rows.end());
  EXPECT_EQ(row->count, 5 * 61);
}

// ---- FLOPs and bytes of a decode step -------------------------------------------------------------------------------

// 2 * heads * 1088 FLOP a cached token of 1152 B: TP8 has 16 heads over all 131,072 tokens, SP8 all 128 heads over an
// eighth of them, CP2 x SP8 over a sixteenth.
TEST(DecodeCorePerRank, ShardsTheCacheAndNotTheWork) {
  const auto core = [](const Example& e, std::int64_t prompts) {
    const auto s = scenario(with_input(e, kLong));
    const Program p =
        build_program(s->deployment, decode_step(s->deployment.layout, prompts, kLong, kLong), s->facts, 0);
    for (std::size_t i = 0; i < p.operators.size(); ++i)
      if (std::string_view(p.operators[i].label) == "mla_decode") {
        const Work w = p.operators[i].type->work(p.view(i));
        return std::pair(w.matrix.count(), w.read.count() - p.view(i).in(0).bytes().count());
      }
    return std::pair<std::int64_t, std::int64_t>{};
  };
  using Core = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(core(without_sp(kSequenceExample), 2), (Core{4'563'402'752, 150'994'944}));
  EXPECT_EQ(core(kSequenceExample, 2), (Core{4'563'402'752, 18'874'368}));
  EXPECT_EQ(core(kContextExample, 1), (Core{2'281'701'376, 9'437'184}));
}

// ---- bytes sent by one rank -----------------------------------------------------------------------------------------

// Both DP groups prefill S each: T = S, 2 S rows in the world. RS, AG over tp8: 7/8 * 2 T H; over 16: 15/16 * 2 * 2 T
// H.
TEST(BytesSentPerLayer, OfTheSequenceExample) {
  const StepTime step = prefill(kSequenceExample, 2, kLong);
  EXPECT_EQ(sent_once(step, "attention_reduce_scatter"), 1'644'167'168);
  EXPECT_EQ(sent_once(step, "ffn_all_gather"), 3'523'215'360);
  EXPECT_EQ(sent_once(step, "ffn_reduce_scatter"), 3'523'215'360);
  EXPECT_EQ(sent_once(step, "layer_all_gather"), 1'644'167'168);
  EXPECT_EQ(collective(step, "attention_reduce_scatter").count, 58);
  EXPECT_EQ(collective(step, "layer_all_gather").count, 57);  // the last layer gathers the world for the head
  EXPECT_EQ(sent_once(step, "head_all_gather"), 3'523'215'360);
  // dense layers: two all-reduces, 2 * 7/8 * 2 T H each
  EXPECT_EQ(sent_once(step, "attention_all_reduce") + sent_once(step, "ffn_all_reduce"), 6'576'668'672);
  EXPECT_EQ(collective(step, "attention_all_reduce").count, 3);
}

TEST(BytesSentPerLayer, OfTheContextExample) {
  const StepTime step = prefill(kContextExample, 1, kLong);
  EXPECT_EQ(sent_once(step, "latent_gather"), 75'497'472);  // 1/2 * 1152 S
  EXPECT_EQ(collective(step, "latent_gather").count, 61);
  EXPECT_EQ(sent_once(step, "attention_reduce_scatter"), 822'083'584);
  EXPECT_EQ(sent_once(step, "ffn_all_gather"), 1'761'607'680);
  EXPECT_EQ(sent_once(step, "ffn_reduce_scatter"), 1'761'607'680);
  EXPECT_EQ(sent_once(step, "layer_all_gather"), 822'083'584);
  EXPECT_EQ(sent_once(step, "attention_all_reduce") + sent_once(step, "ffn_all_reduce"), 3'288'334'336);
}

TEST(BytesSentPerLayer, TheLatentOfAPromptIsGatheredOnce) {
  EXPECT_EQ(collective(prefill(kContextExample, 1, 65'536), "latent_gather").bytes.count(),
            75'497'472);  // 1152 * 65536
  EXPECT_EQ(collective(prefill(kContextExample, 1, 65'536), "latent_gather").group, "attn_cp");
}

// Padded all-to-all of t = T / 8 rows, factor 3: 2 directions * 15/16 * 2 H * 3 * 8 t.
TEST(BytesSentPerLayer, OfLevelTwo) {
  const auto both_ways = [](const Example& e, std::int64_t prompts) {
    const StepTime step = prefill(with_level(e, 2), prompts, kLong);
    return sent_once(step, "moe_dispatch") + sent_once(step, "moe_combine");
  };
  EXPECT_EQ(both_ways(kSequenceExample, 2), 10'569'646'080);
  EXPECT_EQ(both_ways(kContextExample, 1), 5'284'823'040);
}

// B rows of a DP group: every rank gathers the absorbed queries of all heads and returns (output, log-sum-exp) of them.
TEST(BytesSentPerLayer, OfTheDecodeExchange) {
  for (const std::int64_t b : {1, 3}) {
    const StepTime step = decode(kSequenceExample, 2 * b, 4096);
    EXPECT_EQ(collective(step, "q_gather").bytes.count(), 147'456 * b);  // 2 * 128 * 576; 18,432 of them its own
    EXPECT_EQ(sent_once(step, "q_gather"), 7 * 18'432 * b);
    EXPECT_EQ(collective(step, "out_lse_exchange").bytes.count(), 131'328 * b);  // 2 * 128 * 513
    EXPECT_EQ(sent_once(step, "out_lse_exchange"), 114'912 * b);                 // 7/8 of it
    EXPECT_EQ(collective(step, "q_gather").count, 61);
  }
}

// With CP the partial results of both halves meet: 2 * cp * b * sp * 16 heads * 513 gathered over the CP pair.
TEST(BytesSentPerLayer, OfTheDecodeExchangeWithContextParallelism) {
  const StepTime step = decode(kContextExample, 1, 4096);
  EXPECT_EQ(collective(step, "out_lse_gather").bytes.count(), 2 * 2 * 8 * 16 * 513);
  EXPECT_EQ(collective(step, "out_lse_gather").group, "attn_cp");
}

TEST(BytesSentPerLayer, WithoutSequenceParallelismNothingIsExchanged) {
  for (const CollectiveRow& r : decode(without_sp(kSequenceExample), 2, 4096).collective_rows) {
    EXPECT_NE(r.label, "q_gather");
    EXPECT_NE(r.label, "out_lse_exchange");
  }
}

// MC2 of level 2: 1 row * 8 copies of 7168 int8 and an fp32 scale out, of 16 bits back; a rank's share of 16 rows is
// one.
TEST(BytesSentPerLayer, OfFusedDispatchAndCombine) {
  const Example e{.dp = 16, .ep_level = 2};
  const StepTime step = decode(e, 16, 4096);
  EXPECT_EQ(collective(step, "moe_dispatch").bytes.count(), 8 * (7168 + 4));
  EXPECT_EQ(collective(step, "moe_combine").bytes.count(), 8 * 7168 * 2);
}

TEST(BytesSent, OneRankSendsNothing) {
  Example e{.tp = 1};
  e.input = 4096;
  EXPECT_TRUE(prefill(e, 1, 4096).collective_rows.empty());
}

// ---- the shared expert on ranks of its own
// ---------------------------------------------------------------------------

// 16 ranks, 4 of them with the shared expert: the other 12 hold 264 slots, 256 experts and 8 replicas, 22 each.
std::unique_ptr<Scenario> with_shared_ranks() {
  auto s = scenario(Example{.dp = 16, .ep_level = 2});
  s->deployment.experts = {.redundant = 8, .shared_ranks = 4, .exact_all_to_all = true};
  return s;
}
std::int64_t held(const Program& program, std::string_view key) {
  std::int64_t most = 0;
  for (const TensorBytes& t : tensors(program, BufferKind::kWeight))
    if (t.slice.key == key) most = std::max<std::int64_t>(1, t.slice.experts);
  return most;
}

TEST(SharedRanks, HoldTheSharedExpertAndNoOther) {
  const auto s = with_shared_ranks();
  const Step step = decode_step(s->deployment.layout, 64, 1023, 1024);
  const Program first = build_program(s->deployment, step, s->facts, 3),
                second = build_program(s->deployment, step, s->facts, 4);
  EXPECT_EQ(held(first, "shared_gate_up"), 1);
  EXPECT_EQ(held(first, "experts_gate_up"), 0);
  EXPECT_EQ(held(second, "shared_gate_up"), 0);
  EXPECT_EQ(held(second, "experts_gate_up"), 22);
  EXPECT_NE(role_of(s->deployment, step, 3), role_of(s->deployment, step, 4));
}

// 64 rows of the world: 16 on each of 4 ranks; 2 x 44,040,192 FLOP a row and layer, 58 layers. Every row travels 9
// times.
TEST(SharedRanks, ComputeEveryRowOnce) {
  const auto s = with_shared_ranks();
  const Step step = decode_step(s->deployment.layout, 64, 1023, 1024);
  const Program program = build_program(s->deployment, step, s->facts, 0);
  std::int64_t flops = 0, dispatched = 0;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    const std::string_view label = v.op().label;
    if (label == "shared_gate_up" || label == "shared_down") flops += v.op().type->work(v).matrix.count();
    if (label == "moe_dispatch") dispatched = v.params<CollectiveParams>().bytes.count();
  }
  EXPECT_EQ(flops, 2 * 44'040'192LL * 16 * 58);
  EXPECT_EQ(dispatched, 4 * 9 * (7168 + 4));  // 4 rows a rank, int8 with an fp32 scale
}

TEST(SharedRanks, FoldedEqualsUnfolded) {
  const auto s = with_shared_ranks();
  const Step step = decode_step(s->deployment.layout, 64, 1023, 1024);
  const StepTime folded = s->pricer.price(step), unfolded = s->pricer.price(step, false);
  EXPECT_EQ(folded.total, unfolded.total);
  EXPECT_EQ(folded.classes, 2);
  EXPECT_EQ(unfolded.classes, 16);
}

// ---- buffers of the context example at 65,536 tokens, ep_level 1 without cutoff
// --------------------------------------

// Rows that init-routing allocates: 8 copies of 65,536 tokens, whoever their expert is.
TEST(RoutedBuffers, AreAllocatedForEveryCopy) {
  const auto s = scenario(kContextExample);
  const Program p = build_program(s->deployment, prefill_step(s->deployment.layout, 1, 65'536), s->facts, 0);
  const auto allocated = [&](std::string_view label) {
    for (std::size_t i = 0; i < p.operators.size(); ++i)
      if (p.operators[i].label == label) return p.view(i).buffer(p.view(i).out());
    return Buffer{};
  };
  EXPECT_EQ(allocated("init_routing").capacity, 524'288);
  EXPECT_EQ(allocated("init_routing").rows, 524'288 / 16);                    // this rank computes its share
  EXPECT_EQ(allocated("init_routing").allocated(), Bytes(3'758'096'384));     // int8, H wide
  EXPECT_EQ(allocated("experts_gate_up").allocated(), Bytes(4'294'967'296));  // 16 bits, 4096 wide
  EXPECT_EQ(allocated("experts_down").allocated(), Bytes(7'516'192'768));     // 16 bits, H wide
}

// One prompt on two DP groups: the idle one's padding rows are gathered and given room, though nothing computes them.
TEST(RoutedBuffers, HaveRoomForThePaddingOfAnIdleGroup) {
  const auto s = scenario(kSequenceExample);
  const Program p = build_program(s->deployment, prefill_step(s->deployment.layout, 1, 65'536), s->facts, 0);
  std::int64_t most = 0;
  for (const Buffer& b : p.buffers)
    if (b.kind == BufferKind::kActivation) most = std::max(most, b.capacity);
  EXPECT_EQ(most, 8 * 2 * 65'536);
}

TEST(RoutedBuffers, ShrinkWithTheCutoff) {
  Deployment d = deployment(kContextExample);
  d.init_routing_cutoff = true;
  d.topk_scaling_factor = 0.25;
  const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  const Program p = build_program(d, prefill_step(d.layout, 1, 65'536), facts, 0);
  std::int64_t most = 0;
  for (const Buffer& b : p.buffers)
    if (b.kind == BufferKind::kActivation) most = std::max(most, b.capacity);
  EXPECT_EQ(most, 2 * 65'536);  // int(8 * 0.25) copies
}

// ---- padded all-to-all ----------------------------------------------------------------------------------------------

std::int64_t padded_rows(std::int64_t t, bool prefill,
                         const Deployment& d = deployment(with_level(kSequenceExample, 2))) {
  return padded_all_to_all_rows(d, t, prefill);
}

// 16 ranks, 8 copies a row: rows = 8 t * factor, rounded up to a multiple of 16.
//   t = 16    factor 2 * 16 = 32 in prefill       -> 4096
//   t = 64    2 + 2 / (1 + e^(6 - 4)) = 2.23841   -> 1146 -> 1152
//   t = 256   2 + 2 / (1 + e^(8 - 4)) = 2.03597   -> 4169 -> 4176
//   t = 8192  factor 3 from 65536 / 16 rows on    -> 196,608
//   t = 32    as 16: 8192 rows, and from 33 on 2 + 2 / (1 + e^(5.04 - 4)) = 2.521 -> 665 -> 672: the engine's own cliff
TEST(PaddedAllToAll, RowsOfSixteenRanks) {
  EXPECT_EQ(padded_rows(16, true), 4096);
  EXPECT_EQ(padded_rows(32, true), 8192);
  EXPECT_EQ(padded_rows(33, true), 672);
  EXPECT_EQ(padded_rows(64, true), 1152);
  EXPECT_EQ(padded_rows(256, true), 4176);
  EXPECT_EQ(padded_rows(8192, true), 196'608);
  EXPECT_EQ(padded_rows(16'384, true), 393'216);
  EXPECT_EQ(padded_rows(0, true), 0);
}

// alltoall_ep_buffer_scale_factors: the first entry that the rows reach.
TEST(PaddedAllToAll, FollowsTheFactorsOfTheFile) {
  Deployment d = deployment(with_level(kSequenceExample, 2));
  d.all_to_all_scale = {{32'768, 3.0}, {8192, 5.2}, {0, 8.0}};
  EXPECT_EQ(padded_rows(32'768, true, d), 8 * 32'768 * 3);
  EXPECT_EQ(padded_rows(8192, true, d), 340'800);  // 8 * 8192 * 5.2 = 340,787.2
  EXPECT_EQ(padded_rows(10, true, d), 640);
  // Fewer rows than the last line names: the size of the group.
  d.all_to_all_scale = {{8192, 5.2}};
  EXPECT_EQ(padded_rows(10, true, d), 8 * 10 * 16);
}

TEST(PaddedAllToAll, OfShortPromptsIsSaid) {
  Deployment d = deployment(with_level({.tp = 16}, 2));
  const auto notes = [&](std::int64_t tokens) {
    Diagnostics diagnostics;
    check_workload(d, {.input_tokens = tokens, .output_tokens = 2, .batch = 1}, diagnostics);
    return rendered(diagnostics, Severity::kNote);
  };
  EXPECT_NE(notes(512).find("A0145"), std::string::npos) << notes(512);  // 32 rows a rank
  EXPECT_NE(notes(512).find("2 x moe_ep = 32 times its copies; beyond 32 rows a rank 4 times at most"),
            std::string::npos)
      << notes(512);
  EXPECT_EQ(notes(513), "");
  d.all_to_all_scale = {{0, 8.0}};
  EXPECT_EQ(notes(512), "");
  d = deployment({.tp = 16});  // experts see all rows
  EXPECT_EQ(notes(512), "");
}

}  // namespace
}  // namespace ascendsim
