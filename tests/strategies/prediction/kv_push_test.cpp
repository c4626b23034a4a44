// Caches that are pushed layer by layer while prefill runs: the queue of calls by hand, and what a pair gains.
#include "strategies/prediction/kv_push.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <numeric>

#include "strategies/prediction/disaggregated.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

constexpr Duration kMicrosecond = std::chrono::microseconds(1);

// A block of a layer takes 1 us, a call 1 us before it.
PushRate rate(std::int64_t block_tokens) {
  return {.setup = kMicrosecond,
          .latency = 5 * kMicrosecond,
          .block_layer = Bytes(1000),
          .block_tokens = block_tokens,
          .rate = BytesPerSecond(1e9)};
}

// Two layers, two chunks of a prompt of 7 tokens, blocks of 2:
//   chunk [0, 4): 2 blocks, ready at 10 and 11: sent 10 to 13 and, after it, 13 to 16
//   chunk [4, 7): 2 blocks, the last one not full, ready at 100 and 101: 100 to 103, 103 to 106; the last byte arrives
//   5 later
TEST(KvPush, CallsFollowOneAnother) {
  const std::vector<CachedPiece> pieces{
      {0, 4, 10 * kMicrosecond}, {0, 4, 11 * kMicrosecond}, {4, 7, 100 * kMicrosecond}, {4, 7, 101 * kMicrosecond}};
  const Pushed p = push(pieces, 7, rate(2));
  EXPECT_EQ(p.calls, 4);
  EXPECT_EQ(p.end, 111 * kMicrosecond);
}

// Only blocks that a chunk completes leave with it: of [0, 3), [3, 4), [4, 5) and blocks of 4 the first and the last
// but one call have nothing to send, and nothing is lost.
TEST(KvPush, BlocksLeaveWhenTheyAreFull) {
  const std::vector<CachedPiece> pieces{{0, 3, kMicrosecond}, {3, 4, 2 * kMicrosecond}, {4, 5, 20 * kMicrosecond}};
  const Pushed p = push(pieces, 5, rate(4));
  EXPECT_EQ(p.calls, 2);
  EXPECT_EQ(p.end, 27 * kMicrosecond);  // 20 + 1 + 1 + 5
}

// However a prompt is cut, as many blocks travel, and the end is never before the last piece, nor before all calls one
// after another from the first one on.
RC_GTEST_PROP(KvPush, EndsNoSoonerThanItsWork, ()) {
  const auto block = *rc::gen::inRange<std::int64_t>(1, 9), layers = *rc::gen::inRange<std::int64_t>(1, 5);
  const auto cuts = *rc::gen::container<std::vector<std::int64_t>>(*rc::gen::inRange<std::size_t>(1, 5),
                                                                   rc::gen::inRange<std::int64_t>(1, 30));
  const std::int64_t prompt = std::accumulate(cuts.begin(), cuts.end(), std::int64_t{0});
  std::vector<CachedPiece> pieces;
  std::int64_t done = 0, now = 0;
  for (const std::int64_t tokens : cuts) {
    for (std::int64_t l = 0; l < layers; ++l)
      pieces.push_back({done, done + tokens, (now += *rc::gen::inRange<std::int64_t>(0, 20)) * kMicrosecond});
    done += tokens;
  }
  const Pushed p = push(pieces, prompt, rate(block));
  const std::int64_t blocks = ceil_div(prompt, block) * layers;
  RC_ASSERT(p.calls >= layers && p.calls <= static_cast<std::int64_t>(pieces.size()));
  RC_ASSERT(p.end >= pieces.back().ready + 7 * kMicrosecond);  // its own call, at least a block of it
  RC_ASSERT(p.end >= pieces.front().ready + (p.calls + blocks + 5) * kMicrosecond);
  RC_ASSERT(p.end <= pieces.back().ready + (p.calls + blocks + 5) * kMicrosecond);
}

DisaggregatedPrediction pair(bool layer_wise, std::int64_t chunk, const char* engine = "vllm-ascend") {
  Deployment p = deployment({.dp = 2, .tp = 8, .input = 16'384}), d = p;
  p.set_engine(engine), d.set_engine(engine);
  p.role = Role::kPrefill;
  d.role = Role::kDecode;
  p.kv_transfer.layer_wise = d.kv_transfer.layer_wise = layer_wise;
  p.features.splitfuse = chunk > 0;
  p.limits.max_batched_tokens = chunk;
  return predict_disaggregated(*scenario(p), *scenario(d), {.input_tokens = 16'384, .output_tokens = 64});
}

// A pulled cache is exposed whole. Pushed, only what the last layers leave: here prefill ends later than the network.
TEST(KvPush, HidesBehindPrefill) {
  const DisaggregatedPrediction pull = pair(false, 0), push = pair(true, 0), chunked = pair(true, 4096);
  EXPECT_EQ(pull.transfer.exposed, pull.transfer.time);
  EXPECT_EQ(push.transfer.time, pull.transfer.time);
  EXPECT_LT(push.transfer.exposed, pull.transfer.exposed / 10);
  EXPECT_EQ(pull.prefill.prefill.total, push.prefill.prefill.total) << "nothing of the prefill changes";
  EXPECT_EQ(pull.requests.ttft.mean - push.requests.ttft.mean, pull.transfer.exposed - push.transfer.exposed);
  EXPECT_EQ(pull.transfer.pieces, 61 * pull.transfer.sources);  // a run a source and layer
  EXPECT_EQ(push.transfer.pieces, 61 * push.transfer.sources);
  EXPECT_EQ(chunked.transfer.pieces, 4 * 61 * chunked.transfer.sources);  // 16,384 tokens in chunks of 4,096
  EXPECT_EQ(push.prefill.prefill.attention_ends.size(), 61U);
  EXPECT_TRUE(std::ranges::is_sorted(push.prefill.prefill.attention_ends));
  EXPECT_LT(push.prefill.prefill.attention_ends.back(), push.prefill.prefill.total);
  EXPECT_TRUE(pull.prefill.prefill.attention_ends.empty());
}

// Who answers first: vLLM's decode side, after the transfer and a step of its own; elsewhere the prefill side.
TEST(KvPush, TheFirstTokenIsTheDecodeSidesInVllm) {
  const DisaggregatedPrediction vllm = pair(false, 0), other = pair(false, 0, "mindie");
  EXPECT_TRUE(vllm.decode_answers);
  EXPECT_GT(vllm.first_step, Duration{});
  EXPECT_EQ(vllm.requests.ttft.mean, vllm.prefill.prefill.total + vllm.transfer.exposed + vllm.first_step);
  EXPECT_EQ(vllm.queue, Duration{});
  EXPECT_FALSE(other.decode_answers);
  EXPECT_EQ(other.requests.ttft.mean, other.prefill.prefill.total);
}

}  // namespace
}  // namespace ascendsim
