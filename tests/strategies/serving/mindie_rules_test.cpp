// The rules of MindIE's scheduler one by one, each derived by hand. That they are MindIE's is what the recordings show.
#include <gtest/gtest.h>

#include "strategies/serving/schedulers/mindie_ranks.h"
#include "tests/strategies/serving/mindie_loop_under_test.h"

namespace ascendsim {
namespace {

using mindie_test::ms;
using mindie_test::request;
using Numbers = std::vector<RequestIndex>;

Numbers batch_of(const MindieStep& step) {
  Numbers out;
  for (const ScheduledRequest& r : step.batch.requests) out.push_back(r.request);
  return out;
}

Numbers in_order(const RingQueue<RequestIndex>& queue) {
  Numbers out;
  for (std::size_t i = 0; i < queue.size(); ++i) out.push_back(queue[i]);
  return out;
}

// A scheduler whose steps bring a token for each request; those named in `ending` end with it.
struct Served {
  explicit Served(const MindieConfig& config) : scheduler(config) {}
  const MindieStep& round(Duration now, const Numbers& ending = {}) {
    const MindieStep& step = scheduler.schedule(now);
    std::vector<MindieResult> results;
    for (const ScheduledRequest& r : step.batch.requests)
      if (r.samples) results.push_back({r.request, 1, std::ranges::find(ending, r.request) != ending.end()});
    scheduler.complete(results, now);
    return step;
  }
  MindieScheduler scheduler;
};

MindieConfig at_once() {  // without the delay, which most rules are not about
  MindieConfig config;
  config.max_queue_delay = ms(0);
  return config;
}

TEST(MindieRules, APrefillWaitsOutTheDelayAndAnIdleEngineToo) {
  Served s{MindieConfig{}};
  s.scheduler.add(request(100, 4));
  EXPECT_TRUE(s.round(ms(4)).empty());
  EXPECT_TRUE(s.round(ms(5)).prefill);
  // The next one is young: decode goes on.
  s.scheduler.add(request(100, 4, ms(20)));
  EXPECT_EQ(batch_of(s.round(ms(24))), (Numbers{0}));
  EXPECT_EQ(batch_of(s.round(ms(25))), (Numbers{1}));
}

TEST(MindieRules, AFullBatchStartsEarlyOnlyWithADelayAboveTheDefault) {
  MindieConfig config;
  config.max_prefill_batch = 2;
  for (const auto& [delay, starts] : {std::pair{ms(5), false}, std::pair{ms(6), true}}) {
    config.max_queue_delay = delay;
    Served s{config};
    s.scheduler.add(request(100, 4));
    s.scheduler.add(request(100, 4));
    EXPECT_EQ(s.round(ms(1)).prefill, starts);
  }
}

TEST(MindieRules, TheBudgetIsTheLargerLimitAndNobodyOvertakes) {
  MindieConfig config = at_once();
  config.max_seq_len = 1000;
  config.max_prefill_tokens = 600;
  Served s{config};
  for (const std::int64_t input : {600, 400, 1, 1}) s.scheduler.add(request(input, 4));
  EXPECT_EQ(batch_of(s.round(ms(0))), (Numbers{0, 1}));  // exactly 1000
  Served t{config};
  for (const std::int64_t input : {600, 401, 1, 1}) t.scheduler.add(request(input, 4));
  EXPECT_EQ(batch_of(t.round(ms(0))), (Numbers{0}));
  EXPECT_EQ(in_order(t.scheduler.waiting()), (Numbers{1, 2, 3}));
}

TEST(MindieRules, APromptAboveTheLimitIsIgnoredAndItsNumberIsFreeAgain) {
  Served s{at_once()};
  EXPECT_EQ(s.scheduler.add(request(8000, 4)), 0U);  // the limit is min(maxSeqLen 2560, budget 8192)
  const MindieStep& step = s.round(ms(0));
  EXPECT_EQ(step.ignored, (Numbers{0}));
  EXPECT_EQ(step.left, (Numbers{0}));
  EXPECT_EQ(s.scheduler.add(request(10, 4)), 0U);
}

TEST(MindieRules, MoreRunningThanTheBatchAreDecodedInTurn) {
  MindieConfig config = at_once();
  config.max_batch = 2;
  Served s{config};
  for (int i = 0; i < 3; ++i) s.scheduler.add(request(10, 9));
  s.round(ms(0));
  EXPECT_EQ(batch_of(s.round(ms(1))), (Numbers{0, 1}));
  EXPECT_EQ(in_order(s.scheduler.running()), (Numbers{2, 0, 1}));  // who was left out goes to the front
  EXPECT_EQ(batch_of(s.round(ms(2))), (Numbers{0, 2}));            // the batch is by arrival, the queue was 2, 0, 1
  EXPECT_EQ(in_order(s.scheduler.running()), (Numbers{1, 0, 2}));
}

TEST(MindieRules, AFinishedRequestKeepsItsBlocksUntilADecodeRoundReachesIt) {
  Served s{at_once()};
  s.scheduler.add(request(200, 1));
  s.round(ms(0), {0});
  EXPECT_EQ(s.scheduler.blocks().free(), 998);
  s.scheduler.add(request(100, 4, ms(1)));
  EXPECT_TRUE(s.round(ms(1)).left.empty());  // a prefill round
  EXPECT_EQ(s.scheduler.running().size(), 2U);
  EXPECT_EQ(s.round(ms(2)).left, (Numbers{0}));
  EXPECT_EQ(s.scheduler.blocks().free(), 999);
}

TEST(MindieRules, TheYoungestIsComputedAgainWhenBlocksRunOut) {
  // 127 and 128 tokens of prompt hold a block each, one more is free.
  MindieConfig config = at_once();
  config.npu_blocks = 3;
  Served s{config};
  s.scheduler.add(request(127, 9));
  s.scheduler.add(request(128, 9));
  s.round(ms(0));
  EXPECT_EQ(batch_of(s.round(ms(1))), (Numbers{0, 1}));  // 128 and 129 tokens: three blocks
  const MindieStep& step = s.round(ms(2));               // 129 and 130 tokens: a fourth one
  EXPECT_EQ(batch_of(step), (Numbers{0}));
  EXPECT_EQ(step.recomputed, (Numbers{1}));
  EXPECT_EQ(in_order(s.scheduler.waiting()), (Numbers{1}));
  EXPECT_EQ(s.scheduler.blocks().free(), 1);
  // Prompt and the two known outputs are prefilled again once the other is done; 130 tokens are 2 blocks.
  s.round(ms(3));
  s.round(ms(4), {0});  // after an empty round a decode round
  s.round(ms(5));
  const MindieStep& again = s.round(ms(6));
  ASSERT_EQ(batch_of(again), (Numbers{})) << "0 ends here";
  EXPECT_EQ(again.left, (Numbers{0}));
  const MindieStep& prefill = s.round(ms(7));
  ASSERT_EQ(batch_of(prefill), (Numbers{1}));
  EXPECT_EQ(prefill.handed, (std::vector<std::int64_t>{130}));
  EXPECT_TRUE(prefill.batch.requests[0].prompt);
}

TEST(MindieRules, SwappingOutIsLimitedByRoundAndHost) {
  MindieConfig config = at_once();
  config.npu_blocks = 3;
  config.max_preempt_count = 1;
  for (const std::int64_t host : {1, 2}) {  // the 130 tokens of the victim need two blocks of the host
    config.host_blocks = host;
    Served s{config};
    s.scheduler.add(request(127, 9));
    s.scheduler.add(request(128, 9));
    s.round(ms(0));
    s.round(ms(1));
    const MindieStep& step = s.round(ms(2));
    EXPECT_EQ(step.swapped_out.size(), host == 2 ? 1U : 0U);
    EXPECT_EQ(step.recomputed.size(), host == 2 ? 0U : 1U);
    EXPECT_EQ(step.blocks_swapped_out, host == 2 ? 2 : 0);
    // While somebody is swapped out, nobody new gets in.
    s.scheduler.add(request(10, 2, ms(2)));
    if (host == 2) {
      EXPECT_FALSE(s.round(ms(3)).prefill);
    }
  }
}

TEST(MindieRules, WhoWaitedTooLongForBlocksPreemptsOne) {
  MindieConfig config = at_once();
  config.npu_blocks = 4;
  config.max_first_token_wait = ms(100);
  Served s{config};
  s.scheduler.add(request(200, 90));
  s.scheduler.add(request(200, 90));
  s.round(ms(0));
  s.scheduler.add(request(200, 9, ms(0)));
  EXPECT_TRUE(s.round(ms(100)).empty());  // 100 ms are not more than 100 ms
  EXPECT_FALSE(s.scheduler.new_request_first());
  EXPECT_EQ(batch_of(s.round(ms(101))), (Numbers{0, 1}));
  EXPECT_TRUE(s.round(ms(121)).empty());
  EXPECT_TRUE(s.scheduler.new_request_first());
  EXPECT_EQ(s.round(ms(122)).recomputed, (Numbers{1}));
  EXPECT_FALSE(s.scheduler.new_request_first());
  EXPECT_EQ(batch_of(s.round(ms(142))), (Numbers{2}));
}

TEST(MindieRules, SelectBatchWeighsRunningRequestsAgainstFreePlaces) {
  // 150 ms x 9 running = 1350 against 50 ms x (10 - 9) = 50 a decision: the 27th decision prefills.
  MindieConfig config;
  MindieSelectBatch policy(config);
  for (int i = 1; i < 27; ++i) EXPECT_FALSE(policy.prefill_now(1, 9, 10)) << i;
  EXPECT_TRUE(policy.prefill_now(1, 9, 10));
  EXPECT_FALSE(policy.prefill_now(1, 9, 10));  // it starts anew
  // 50 running of 200: 7500 against 7500, at once.
  EXPECT_TRUE(MindieSelectBatch(config).prefill_now(1, 50, 200));
}

TEST(MindieRules, SplitFuseServesDecodesThenTheNewestHalfDonePrompt) {
  MindieConfig config;
  config.split_fuse = true;
  config.max_prefill_tokens = 256;
  Served s{config};
  s.scheduler.add(request(100, 9));
  s.scheduler.add(request(600, 9));
  const MindieStep& first = s.round(ms(0));
  EXPECT_EQ(first.handed, (std::vector<std::int64_t>{100, 156}));
  EXPECT_FALSE(first.batch.requests[1].samples);
  s.scheduler.add(request(50, 9, ms(1)));
  const MindieStep& second = s.round(ms(1));  // one decode, then the rest of the budget for the half-done prompt
  EXPECT_EQ(batch_of(second), (Numbers{0, 1}));
  EXPECT_EQ(second.handed, (std::vector<std::int64_t>{1, 255}));
  const MindieStep& third = s.round(ms(2));  // 189 are left of it, so the new one gets in, and stands before it
  EXPECT_EQ(batch_of(third), (Numbers{0, 2, 1}));
  EXPECT_EQ(third.handed, (std::vector<std::int64_t>{1, 50, 189}));
}

TEST(MindieRules, ALongPromptIsOvertakenWhileAnotherIsHalfDone) {
  MindieConfig config;
  config.split_fuse = true;
  config.max_prefill_tokens = 512;
  config.prefill_chunk = 100;
  config.long_prefill_threshold = 200;
  config.max_long_partial_prefills = 1;
  Served s{config};
  for (const std::int64_t input : {500, 500, 50}) s.scheduler.add(request(input, 9));
  EXPECT_EQ(batch_of(s.round(ms(0))), (Numbers{0, 2}));
  EXPECT_EQ(in_order(s.scheduler.waiting()), (Numbers{1}));
}

TEST(MindieRules, ThePrefillSideHoldsACacheUntilItIsPulled) {
  MindieConfig config;
  config.role = MindieRole::kPrefill;
  config.npu_blocks = 4;
  Served s{config};
  s.scheduler.add(request(500, 5));
  s.scheduler.add(request(500, 5));
  EXPECT_EQ(batch_of(s.round(ms(0))), (Numbers{0}));  // without delay
  EXPECT_EQ(s.scheduler.transferring(), 1);
  EXPECT_TRUE(s.round(ms(50)).empty());
  s.scheduler.kv_pulled(0);
  EXPECT_EQ(s.scheduler.transfer().released, (Numbers{0}));
  EXPECT_EQ(batch_of(s.round(ms(60))), (Numbers{1}));
  // One that ends with its first token is released without anybody's pull.
  s.scheduler.complete(std::vector<MindieResult>{{1, 0, true}}, ms(61));
  EXPECT_EQ(s.scheduler.transfer().released, (Numbers{1}));
}

TEST(MindieRules, TheDecodeSidePullsWhileBlocksAndTheReserveLast) {
  // 20 blocks, prompts of 3: two pulls a pass, until fewer than 3 are free. A twentieth of 20 is 1 block.
  MindieConfig config;
  config.role = MindieRole::kDecode;
  config.npu_blocks = 20;
  config.max_prefill_batch = 2;
  config.max_batch = 4;
  Served s{config};
  for (int i = 0; i < 7; ++i) s.scheduler.add(request(380, 6));
  EXPECT_EQ(s.scheduler.transfer().pulls_started, (Numbers{0, 1}));
  EXPECT_EQ(s.scheduler.transfer().pulls_started, (Numbers{2, 3}));
  EXPECT_EQ(s.scheduler.transfer().pulls_started, (Numbers{4, 5}));
  EXPECT_TRUE(s.scheduler.transfer().pulls_started.empty());
  EXPECT_EQ(s.scheduler.blocks().free(), 2);
  for (RequestIndex r = 0; r < 6; ++r) s.scheduler.kv_arrived(r);
  s.scheduler.transfer();
  EXPECT_EQ(batch_of(s.round(ms(5))), (Numbers{0, 1, 2, 3}));  // maxBatchSize of the six
  EXPECT_EQ(s.scheduler.running().size(), 6U);
}

TEST(MindieRules, ATieOfRanksIsAPrefillAndOneOfFourWaits) {
  for (const auto& [newcomers, prefills] : {std::pair{1, false}, std::pair{2, true}}) {
    MindieRanks ranks(at_once(), 4);
    for (int i = 0; i < 4; ++i) ranks.add(request(100, 50));
    ranks.schedule(ms(0));
    for (int i = 0; i < newcomers; ++i) ranks.add(request(100, 50, ms(20)));
    ranks.schedule(ms(20));
    EXPECT_EQ(ranks.step(0).prefill, prefills);
    EXPECT_EQ(batch_of(ranks.step(3)).empty(), prefills);  // ranks without new requests run along
  }
}

TEST(MindieRules, AStretchOfDecodeStepsEndsBeforeSomebodyFinishesOrMayGetIn) {
  Served s{MindieConfig{}};
  s.scheduler.add(request(100, 12));
  s.round(ms(5));
  EXPECT_EQ(s.scheduler.decode_run().steps, 10);  // one token is there, the twelfth ends it
  EXPECT_EQ(s.scheduler.decode_run().until, Duration::max());
  s.scheduler.add(request(100, 9, ms(7)));
  EXPECT_EQ(s.scheduler.decode_run().until, ms(12));
  // The tokens of 28 steps fill the only block; the step after them would have to preempt.
  MindieConfig one;
  one.npu_blocks = 1;
  Served t{one};
  t.scheduler.add(request(100, 60));
  t.round(ms(5));
  EXPECT_EQ(t.scheduler.decode_run().steps, 28);
}

TEST(MindieStages, MeanOfTheNewestValuesOnceThereAreEnough) {
  RecentMean mean;
  for (std::size_t i = 1; i < RecentMean::kEnough; ++i) mean.add(7);
  EXPECT_EQ(mean.mean(), 0);
  mean.add(7);
  EXPECT_EQ(mean.mean(), 7);
  for (std::size_t i = 0; i < RecentMean::kWindow; ++i) mean.add(9);
  EXPECT_EQ(mean.mean(), 9);
}

TEST(MindieStages, PrefillTimesAreALineThroughThePoints) {
  MindieTimes times;
  EXPECT_NEAR(times.prefill_ms(1000), 131.7 + 25.797, 1e-3);
  times.measure_prefill(300, 25);
  EXPECT_NEAR(times.prefill_ms(1000), 131.7 + 25.797, 1e-3);  // one point is no line
  times.measure_prefill(3300, 175);                           // 0.05 ms a token, and 10 ms
  EXPECT_NEAR(times.prefill_ms(600), 40, 1e-3);
  times.measure_prefill(6000, 1);  // would fall: dropped
  EXPECT_NEAR(times.prefill_ms(600), 40, 1e-3);
}

TEST(MindieStages, DecodeTimesAreAPlaneFromTheFourHundredthStepOn) {
  MindieTimes times;
  EXPECT_NEAR(times.decode_ms(10, 500), 29.961 + 2.181, 1e-4);
  for (int i = 0; i < 400; ++i)
    times.measure_decode(1 + i % 7, 10 + i % 11, static_cast<float>(20 + 2 * (1 + i % 7) + (10 + i % 11)));
  EXPECT_NEAR(times.decode_ms(10, 500), 29.961 + 2.181, 1e-4);
  times.measure_decode(1, 10, 32);  // the next point has them fitted first: 20 + 2 a request + 1 a block
  EXPECT_NEAR(times.decode_ms(10, 500), 20 + 20 + 500, 1e-3);
}

TEST(MindieStages, TheStageWithLessOfItsTimeLeftGoesFirst) {
  // From the recording of policy 2: 3300 tokens wait, 460.4 ms by MindIE's first numbers; two requests decode, 30.4 ms
  // of 50: 0.392 of the time is left. Prefill has (1500 - 433 - 460.4) / 1500 = 0.404 left after 433 ms, and
  // (1500 - 465 - 460.4) / 1500 = 0.383 after 465 ms.
  const MindieConfig config;
  const MindieTimes times;
  MindieQueues queues{.waiting_tokens = 3300, .first_wait_ms = 433, .decode_requests = 2};
  EXPECT_FALSE(mindie_prefill_is_urgent(config, times, queues));
  queues.first_wait_ms = 465;
  EXPECT_TRUE(mindie_prefill_is_urgent(config, times, queues));
}

TEST(MindieStages, DynamicBatchStartsAtThreeAndSearchesEverySecondRound) {
  MindieConfig config;
  config.max_batch = 16;
  MindieDynamicBatch dynamic(config);
  MindieDynamicBatch::Sizes sizes{16, 8};
  dynamic.after_round(true, true, 0, 1, 0, sizes);  // an empty round changes nothing
  EXPECT_EQ(sizes.max_batch, 16U);
  dynamic.after_round(false, false, 0, 0, 1, sizes);  // nothing measured yet: 3
  EXPECT_EQ(sizes.max_batch, 3U);
  EXPECT_EQ(sizes.max_prefill_batch, 8U);
  dynamic.after_round(false, true, 1, 0, 1, sizes);  // searched: 3, of which one is taken
  EXPECT_EQ(sizes.max_batch, 3U);
  EXPECT_EQ(sizes.max_prefill_batch, 2U);
  // Slow steps (80 ms of 50): every second round holds prefill back altogether.
  for (std::size_t i = 0; i < RecentMean::kEnough; ++i) dynamic.measure_token(80);
  dynamic.after_round(false, true, 3, 2, 3, sizes);
  EXPECT_EQ(sizes.max_batch, 3U);
  EXPECT_EQ(sizes.max_prefill_batch, 0U);
}

TEST(MindieStages, MeasuredTimesChangeTheDecision) {
  // With learning, two prefills of 300 and 3300 tokens that took 25 and 175 ms make the next one look cheap.
  MindieConfig config = at_once();
  config.stage_policy = MindieStagePolicy::kLatency;
  config.max_seq_len = 8000;
  for (const bool learns : {false, true}) {
    config.measures_times = learns;
    MindieScheduler scheduler(config);
    Duration now{};
    for (const auto& [input, took] : {std::pair{300, 25}, std::pair{3300, 175}}) {
      const RequestIndex r = scheduler.add(request(input, 50, now));
      const MindieStep& step = scheduler.schedule(now, MindieStage::kPrefill);
      ASSERT_EQ(batch_of(step), (Numbers{r}));
      now += ms(took);
      scheduler.complete(std::vector<MindieResult>{{r, 1, false}}, now);
    }
    // Five decode: (50 - 31.05) / 50 = 0.379 of their time is left. 600 tokens after 880 ms: by the first numbers
    // (1500 - 880 - 104.8) / 1500 = 0.343, by the measured ones (1500 - 880 - 40) / 1500 = 0.387.
    for (int i = 0; i < 3; ++i) {
      scheduler.add(request(10, 50, now));
      scheduler.schedule(now, MindieStage::kPrefill);
    }
    scheduler.add(request(600, 50, now));
    EXPECT_EQ(scheduler.choose(now + ms(880)), learns ? MindieStage::kDecode : MindieStage::kPrefill);
  }
}

}  // namespace
}  // namespace ascendsim
