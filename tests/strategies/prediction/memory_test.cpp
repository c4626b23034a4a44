#include "strategies/prediction/memory.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

const Workload kWorkload{.input_tokens = 65'536, .output_tokens = 1024, .batch = 1};

MemoryPerRank memory(const Example& e, const Workload& w = kWorkload, const std::string& fraction = "0.92") {
  return scenario(deployment(e, fraction))->memory(w);
}
Example varied(Example e, const std::string& model, std::int64_t ep_level) {
  e.model = model;
  e.ep_level = ep_level;
  return e;
}
std::int64_t weights(const Example& e, const std::string& model, std::int64_t ep_level) {
  return memory(varied(e, model, ep_level)).weights_without_scales.count();
}

// ---- weights --------------------------------------------------------------------------------------------------------

// Attention over tp8, 16 of 256 experts a rank, head over 16; neither DP nor CP divides them.
TEST(Weights, OfBothExamplesAreTheSame) {
  for (const Example& e : {kContextExample, kSequenceExample}) {
    EXPECT_EQ(weights(e, "DeepSeek-R1_w8a8", 1), 44'315'516'928);
    EXPECT_EQ(weights(e, "DeepSeek-R1_w8a8", 2), 46'710'202'368);  // shared expert whole: + 2,554,331,136 * 15/16
    // int4 experts: 44,315,516,928 - 58 * 16 * 44,040,192 / 2
    EXPECT_EQ(weights(e, "DeepSeek-R1_w4a8", 1), 23'880'867'840);
  }
}

TEST(Weights, DoNotDependOnSequenceParallelism) {
  Example whole = kSequenceExample;
  whole.sp = 1;
  EXPECT_EQ(memory(whole).weights, memory(kSequenceExample).weights);
}

TEST(Weights, ByComponent) {
  std::map<std::string, std::int64_t> bytes;
  for (const auto& c : memory(kSequenceExample).weight_components) bytes[c.name] = c.bytes.count();
  EXPECT_EQ(bytes["qkv_a"], 923'467'776);                                       // 61 * 15,138,816, replicated
  EXPECT_EQ(bytes["q_b"], 287'834'112);                                         // 61 * 37,748,736 / 8
  EXPECT_EQ(bytes["o_proj"], 895'483'904);                                      // 61 * 117,440,512 / 8
  EXPECT_EQ(bytes["w_uk"] + bytes["w_uv"], 255'852'544);                        // 61 * 2 * 16,777,216 / 8
  EXPECT_EQ(bytes["mlp_gate_up"] + bytes["mlp_down"], 148'635'648);             // 3 * 396,361,728 / 8
  EXPECT_EQ(bytes["experts_gate_up"] + bytes["experts_down"], 40'869'298'176);  // 58 * 16 * 44,040,192
  EXPECT_EQ(bytes["shared_gate_up"] + bytes["shared_down"], 159'645'696);       // 58 * 44,040,192 / 16
  EXPECT_EQ(bytes["gate"], 425'781'248);                                        // 58 * 4 * 1,835,264
  EXPECT_EQ(bytes["embedding"], 231'669'760);                                   // 2 * 926,679,040 / 8
  EXPECT_EQ(bytes["lm_head"], 115'834'880);                                     // 2 * 926,679,040 / 16
  EXPECT_EQ(
      bytes["input_norm"] + bytes["post_attention_norm"] + bytes["q_a_norm"] + bytes["kv_a_norm"] + bytes["final_norm"],
      2'013'184);  // 2 * (61 * (2 * 7168 + 1536 + 512) + 7168)
}

// An output channel of a static int8 linear has 16 B beside it, of a dynamic one 8 B.
TEST(Weights, ScalesByComponent) {
  std::map<std::string, std::int64_t> scales;
  for (const auto& c : memory(kSequenceExample).weight_components) scales[c.name] = c.scales.count();
  EXPECT_EQ(scales["qkv_a"], 61 * 16 * 2112);
  EXPECT_EQ(scales["q_b"], 61 * 16 * 24'576 / 8);
  EXPECT_EQ(scales["o_proj"], 61 * 16 * 7168);  // cut by rows: every rank has all channels
  EXPECT_EQ(scales["experts_gate_up"], 58 * 16 * 8 * 4096);
  EXPECT_EQ(scales["experts_down"], 58 * 16 * 8 * 7168);
  EXPECT_EQ(scales["gate"], 0);
  std::int64_t sum = 0;
  for (const auto& [name, bytes] : scales) sum += bytes;
  EXPECT_EQ(memory(kSequenceExample).weights, memory(kSequenceExample).weights_without_scales + Bytes(sum));
}

// The programs of the 16 ranks together hold the model: every routed expert once, what is replicated as often as it is.
TEST(Weights, OfAllRanksAreTheModel) {
  const auto s = scenario(kSequenceExample);
  std::map<std::string, std::int64_t> bytes;
  for (std::int64_t rank = 0; rank < 16; ++rank)
    for (const TensorBytes& t :
         tensors(build_program(s->deployment, prefill_step(s->deployment.layout, 2, 128), s->facts, rank),
                 BufferKind::kWeight))
      bytes[t.slice.key] += t.elements.count();
  EXPECT_EQ(bytes["experts_gate_up"] + bytes["experts_down"], 653'908'770'816);  // 58 * 256 * 44,040,192
  EXPECT_EQ(bytes["shared_gate_up"] + bytes["shared_down"], 2'554'331'136);
  EXPECT_EQ(bytes["lm_head"], 2 * 926'679'040LL);
  EXPECT_EQ(bytes["q_b"], 2 * 2'302'672'896);     // once in each DP group
  EXPECT_EQ(bytes["qkv_a"], 16 * 923'467'776LL);  // on every rank
}

// ---- KV cache -------------------------------------------------------------------------------------------------------

// 61 layers * 576 columns * 2 B = 70,272 B a token, over 8 or 16 shards.
TEST(KvCache, BytesPerTokenAndRank) {
  Example whole = kSequenceExample;
  whole.sp = 1;
  EXPECT_EQ(memory(whole).kv_bytes_per_token, Bytes(70'272));
  EXPECT_EQ(memory(kSequenceExample).kv_bytes_per_token, Bytes(8'784));
  EXPECT_EQ(memory(kContextExample).kv_bytes_per_token, Bytes(4'392));
  EXPECT_EQ(memory(kContextExample).block, Bytes(8'994'816));  // 128 * 70,272
}

// 131,072 tokens: 9,210,691,584 B whole, 1,151,336,448 over 8 shards, 575,668,224 over 16.
TEST(KvCache, OfOneLongSequence) {
  const Workload w{.input_tokens = 131'072, .output_tokens = 0, .batch = 1};
  Example whole = kSequenceExample;
  whole.sp = 1;
  EXPECT_EQ(memory(whole, w).kv_cache, Bytes(9'210'691'584));
  EXPECT_EQ(memory(kSequenceExample, w).kv_cache, Bytes(1'151'336'448));
  EXPECT_EQ(memory(kContextExample, w).kv_cache, Bytes(575'668'224));
}

// 65,536 tokens are 32 blocks on each of 16 shards; 1,024 more fill one block of 8 of them.
TEST(KvCache, OfTheWorkloadOnTheFullestShard) {
  EXPECT_EQ(memory(kContextExample).kv_blocks_needed, 33);
  EXPECT_EQ(memory(kContextExample).kv_cache, Bytes(33 * 8'994'816));
}

// Three requests on two DP groups: one group has two.
TEST(KvCache, CountsTheFullestDpGroup) {
  Workload w = kWorkload;
  w.batch = 3;
  EXPECT_EQ(memory(kSequenceExample, w).kv_blocks_needed, 2 * memory(kSequenceExample).kv_blocks_needed);
}

// ---- what fits ------------------------------------------------------------------------------------------------------

TEST(MemoryPerRank, TheContextExampleFitsAt92PercentAndNotAt80) {
  const MemoryPerRank fits = memory(kContextExample), not_fits = memory(kContextExample, kWorkload, "0.8");
  EXPECT_TRUE(fits.fits());
  EXPECT_FALSE(not_fits.fits());
  EXPECT_EQ(fits.peak(), not_fits.peak());
  EXPECT_STREQ(not_fits.largest().name, "weights");
  EXPECT_EQ(not_fits.kv_blocks, 0);
}

TEST(MemoryPerRank, TheSmallestFractionStartsAndAnotherPercentLessDoesNot) {
  const double smallest = memory(kContextExample).smallest_fraction();
  EXPECT_TRUE(memory(kContextExample, kWorkload, fmt::format("{:.2f}", smallest)).fits());
  EXPECT_FALSE(memory(kContextExample, kWorkload, fmt::format("{:.2f}", smallest - 0.01)).fits());
}

// At the peak, while the last routed product is written: its output, its int8 input [524288, 2048], the shared expert's
// output [65536, 7168], the residual rows [32768, 7168], the weights of the 8 choices, and the
// int32 positions of the rank's 32,768 rows, which every layer reads (in the first one to rotate the key).
TEST(MemoryPerRank, ActivationsPeakInTheRoutedExperts) {
  const MemoryPerRank m = memory(kContextExample);
  std::vector<std::pair<std::string, std::int64_t>> live;
  for (const auto& l : m.activation_peak.live) live.emplace_back(l.label, l.bytes.count());
  const std::vector<std::pair<std::string, std::int64_t>> expected{
      {"experts_down", 7'516'192'768},   {"experts_swiglu", 1'073'741'824}, {"shared_down", 939'524'096},
      {"embedding_gather", 469'762'048}, {"gate_top_k", 2'097'152},         {"kv_norm_rope", 4 * 32'768}};
  EXPECT_EQ(live, expected);
  EXPECT_EQ(m.activations, Bytes(7'516'192'768 + 1'073'741'824 + 939'524'096 + 469'762'048 + 2'097'152 + 4 * 32'768));
}

// Two buffers a communicator: 128 MiB for attn_tp, attn_sp, attn_cp (or attn_dp) and the world, 512 MiB for moe_ep.
TEST(MemoryPerRank, CommunicationBuffersOfEveryGroup) {
  EXPECT_EQ(memory(kContextExample).communication, 2 * (4 * 128_MiB + 512_MiB));
  EXPECT_EQ(memory(kSequenceExample).communication, 2 * (4 * 128_MiB + 512_MiB));
  const Example pure{.tp = 16, .moe_tp = 16};
  EXPECT_EQ(memory(pure).communication, 2 * (2 * 128_MiB + 64_MiB));  // attn_tp, world, moe_tp
}

TEST(MemoryPerRank, IsTheSumOfItsParts) {
  const MemoryPerRank m = memory(kContextExample);
  EXPECT_EQ(m.peak(), m.weights + m.kv_cache + m.activations + m.communication + m.runtime);
  EXPECT_EQ(m.kv_blocks, (m.allowed - m.fixed()).count() / m.block.count());
  EXPECT_EQ(m.kv_capacity_tokens, m.kv_blocks * 128 * 16);
}

// ---- the longest context, concurrency, remedies ---------------------------------------------------------------------

TEST(LongestContext, FitsAndOneTokenMoreDoesNot) {
  const auto s = scenario(kContextExample);
  const MemoryPerRank m = s->memory(kWorkload);
  const std::int64_t longest = longest_context(m, s->deployment);
  EXPECT_GE(sequences_of(m, s->deployment, longest), 1);
  EXPECT_EQ(sequences_of(m, s->deployment, longest + 1), 0);
}

// npuMemSize fixes the KV memory by hand: 1 GiB is 119 blocks of 8,994,816 B.
TEST(KvCache, OfAFixedSize) {
  Deployment d = deployment(kContextExample);
  d.kv_memory = 1_GiB;
  EXPECT_EQ(scenario(d)->memory(kWorkload).kv_blocks, 119);
}

TEST(Remedies, AllMakeItFitAndTheNearestComesFirst) {
  const auto s = scenario(deployment(kContextExample, "0.8"));
  const auto found = remedies(s->deployment, kWorkload, s->stack, s->facts, s->capacity(), shipped_schemes());
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].change, "NPU_MEMORY_FRACTION=0.89");
  for (const Remedy& r : found) EXPECT_LE(r.peak, r.allowed) << r.change;
}

// vLLM reserves for a step of max-num-batched-tokens; the busiest rank's experts fill the largest buffers. Both leave
// less for the KV pool.
TEST(Activations, GrowWithBatchedTokensAndWithTheBusiestRank) {
  const auto of = [](std::int64_t tokens, double imbalance) {
    Deployment d = deployment({.dp = 2, .tp = 8, .ep_level = 2, .input = 4096});
    d.set_engine("vllm-ascend");
    d.experts.exact_all_to_all = true;
    d.experts.imbalance = imbalance;
    d.limits.max_batched_tokens = tokens;
    return scenario(d)->memory({.input_tokens = 4096, .output_tokens = 16, .batch = 2});
  };
  const MemoryPerRank small = of(4096, 1), large = of(16'384, 1), uneven = of(16'384, 2), more_uneven = of(16'384, 3.5);
  EXPECT_NEAR(static_cast<double>(large.activations.count()), 4 * static_cast<double>(small.activations.count()),
              0.05 * static_cast<double>(large.activations.count()))
      << "rows, and little else";
  EXPECT_LT(large.kv_capacity_tokens, small.kv_capacity_tokens);
  EXPECT_GT(uneven.activations, large.activations);
  EXPECT_GT(more_uneven.activations, uneven.activations);
  EXPECT_LT(more_uneven.kv_capacity_tokens, large.kv_capacity_tokens);
  EXPECT_EQ(more_uneven.weights, large.weights);
}

}  // namespace
}  // namespace ascendsim
