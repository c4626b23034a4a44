// FlashComm1 of vLLM-Ascend in numbers: work and bytes of one rank of the long-sequence tutorial's prefill nodes (cp2
// tp16 ep32, V3.1 W8A8, S = 131,072). T = S / 2 rows of an attention stream, t = T / 16 rows of a rank outside
// attention, H = 7168.
#include <gtest/gtest.h>

#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kLong = 131'072, kStream = kLong / 2, kOwn = kStream / 16;

Deployment tutorial() {
  Example e{.cp = 2, .sp = 16, .tp = 16};
  e.input = kLong;
  Deployment d = deployment(e);
  d.layout.ep_level = 2;
  d.experts.exact_all_to_all = true;
  d.features.flashcomm1 = true;
  return d;
}
const StepTime& prefill() {
  static const StepTime step = [] {
    const auto s = scenario(tutorial());
    return s->pricer.price(prefill_step(s->deployment.layout, 1, kLong));
  }();
  return step;
}

TEST(FlashComm, FlopsOfARank) {
  EXPECT_EQ(flops(prefill(), {"ring_mla"}), 1'341'414'419'988'480);             // 42,925,261,439,631,360 / 32
  EXPECT_EQ(flops(prefill(), {"qkv_a"}), 7'565'048'020'992);                    // 2 t * 61 * 15,138,816
  EXPECT_EQ(flops(prefill(), {"q_b"}), 18'863'496'364'032);                     // 2 T * 61 * 37,748,736 / 16
  EXPECT_EQ(flops(prefill(), {"kv_b_k", "kv_b_v"}), 16'767'552'323'584);        // 2 S * 61 * 16,777,216 / 16
  EXPECT_EQ(flops(prefill(), {"o_proj"}), 58'686'433'132'544);                  // 2 T * 61 * 117,440,512 / 16
  EXPECT_EQ(flops(prefill(), {"mlp_gate_up", "mlp_down"}), 9'740'985'827'328);  // 2 T * 3 * 396,361,728 / 16
  EXPECT_EQ(flops(prefill(), {"experts_gate_up", "experts_down"}),
            167'400'645'328'896);                                                      // 2 S * 58 * 8 * 44,040,192 / 32
  EXPECT_EQ(flops(prefill(), {"shared_gate_up", "shared_down"}), 20'925'080'666'112);  // 2 t * 58 * 44,040,192
  EXPECT_EQ(flops(prefill(), {"gate"}), 871'878'361'088);                              // 2 t * 58 * 256 * 7168
}

TEST(FlashComm, BytesSentOfAnExpertLayer) {
  EXPECT_EQ(sent_once(prefill(), "q_c_gather"), 15 * 2 * kOwn * 1536);  // 188,743,680
  EXPECT_EQ(sent_once(prefill(), "kv_gather"), 15 * 2 * kOwn * 576);    // 70,778,880
  EXPECT_EQ(sent_once(prefill(), "latent_gather"), 2 * kStream * 576);  // 75,497,472: the other half of the prompt
  EXPECT_EQ(sent_once(prefill(), "attention_reduce_scatter"), 15 * 2 * kOwn * 7168);  // 880,803,840
  // 31 of 32 rows leave: 8 copies a token, int8 with an fp32 scale each, and 16 bit on the way back.
  EXPECT_EQ(sent_once(prefill(), "moe_dispatch"), 31 * kOwn / 32 * 8 * (7168 + 4));
  EXPECT_EQ(sent_once(prefill(), "moe_combine"), 31 * kOwn / 32 * 8 * 2 * 7168);
  std::int64_t sum = 0;
  for (const char* label :
       {"q_c_gather", "kv_gather", "latent_gather", "attention_reduce_scatter", "moe_dispatch", "moe_combine"})
    sum += sent_once(prefill(), label);
  EXPECT_EQ(sum, 1'898'573'824);
  // 61 layers gather queries and latents; only the three dense layers gather hidden rows besides.
  EXPECT_EQ(collective(prefill(), "q_c_gather").count, 61);
  EXPECT_EQ(collective(prefill(), "ffn_all_gather").count, 3);
  EXPECT_EQ(sent_once(prefill(), "ffn_all_gather"), 15 * 2 * kOwn * 7168);
  EXPECT_EQ(sent_once(prefill(), "head_cp_all_gather"), 939'524'096);  // S / 2 rows of H in 16 bit
}

// Per token 9,280 columns instead of 28,672 = 2 all-reduces x 2 x 7168.
TEST(FlashComm, MovesAThirdOfTheBytesOfTwoAllReduces) {
  const std::int64_t moved = sent_once(prefill(), "q_c_gather") + sent_once(prefill(), "kv_gather") +
                             sent_once(prefill(), "attention_reduce_scatter");
  EXPECT_EQ(moved, 15 * kOwn * 2 * 9280);
  EXPECT_EQ(2 * bytes_sent(Primitive::kAllReduce, {Bytes(2 * kStream * 7168), 16}).count(), 15 * kOwn * 2 * 28'672);
}

// The shared expert is whole on every rank (58 x 44,040,192 B of int8), embedding and LM head are cut over the TP
// group.
TEST(FlashComm, WeightsOfARank) {
  const auto s = scenario(tutorial());
  const auto bytes = [&](std::string_view name) {
    const MemoryPerRank m = s->memory({.input_tokens = kLong, .output_tokens = 1});
    for (const MemoryPerRank::Component& c : m.weight_components)
      if (c.name == name) return c.bytes.count();
    return std::int64_t{0};
  };
  EXPECT_EQ(bytes("shared_gate_up") + bytes("shared_down"), 58 * 44'040'192LL);
  EXPECT_EQ(bytes("embedding"), 2 * 926'679'040LL / 16);
  EXPECT_EQ(bytes("lm_head"), 2 * 926'679'040LL / 16);
}

// Fewer rows than ranks: every rank carries one, real or not.
TEST(FlashComm, DecodeGathersHiddenRowsForTheFusedProlog) {
  const auto s = scenario(tutorial());
  const StepTime step = s->pricer.price(decode_step(s->deployment.layout, 1, kLong, kLong));
  EXPECT_EQ(sent_once(step, "hidden_gather"), 15 * 2 * 7168);
  EXPECT_EQ(sent_once(step, "attention_reduce_scatter"), 15 * 2 * 7168);
  const auto folded = step.total,
             unfolded = s->pricer.price(decode_step(s->deployment.layout, 1, kLong, kLong), false).total;
  EXPECT_EQ(folded, unfolded);
}

// Without it the residual stream is whole: two all-reduces and a gather a layer, the shared expert cut over the TP
// group.
TEST(WholeRows, GatherAndSumOverTheTpGroup) {
  Deployment d = tutorial();
  d.features.flashcomm1 = false;
  d.set_engine("vllm-ascend");
  const auto s = scenario(d);
  const StepTime step = s->pricer.price(decode_step(d.layout, 1, kLong, kLong, 4));  // 4 rows, padded to 16
  EXPECT_EQ(sent_once(step, "attention_all_reduce"), 2 * 15 * 2 * 7168);
  EXPECT_EQ(sent_once(step, "shared_all_reduce"), 2 * 15 * 2 * 7168);
  EXPECT_EQ(sent_once(step, "layer_all_gather"), 15 * 2 * 7168);
  EXPECT_EQ(collective(step, "shared_all_reduce").count, 58);
  const MemoryPerRank m = s->memory({.input_tokens = kLong, .output_tokens = 1});
  std::int64_t shared = 0;
  for (const MemoryPerRank::Component& c : m.weight_components)
    if (c.name.starts_with("shared_")) shared += c.bytes.count();
  EXPECT_EQ(shared, 58 * 44'040'192LL / 16);
}

}  // namespace
}  // namespace ascendsim
