// The rules of SGLang's scheduler one by one, each with numbers derived by hand; the recordings show that the rules are
// SGLang's.
#include "strategies/serving/schedulers/sglang.h"

#include <gtest/gtest.h>

#include <vector>

#include "strategies/serving/schedulers/sglang_ranks.h"

namespace ascendsim {
namespace {

using Rows = std::vector<std::vector<std::int64_t>>;  // request, context, tokens
using List = std::vector<RequestIndex>;

SglangConfig small(std::int64_t pool) {
  SglangConfig c;
  c.pool_tokens = pool;
  c.disable_overlap_schedule = true;
  return c;
}

Request asks(std::int64_t input, std::int64_t output, std::int64_t priority = 0) {
  return {.arrival = {}, .input_tokens = input, .output_tokens = output, .priority = priority};
}

Rows rows(const ScheduledStep& step) {
  Rows all;
  for (const ScheduledRequest& r : step.requests) all.push_back({r.request, r.context, r.tokens});
  return all;
}

Rows pass(SglangScheduler& scheduler) {
  Rows all = rows(scheduler.schedule());
  scheduler.complete();
  return all;
}

List list(std::span<const RequestIndex> requests) { return {requests.begin(), requests.end()}; }

// 8,192 hold the first prompt and 3,192 tokens of the second, whose rest of 1,808 leaves room for the third: prompts
// first, decodes when none is left.
TEST(Sglang, AChunkIsFilledAcrossPrompts) {
  SglangScheduler s(small(40'000));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(s.add(asks(5000, 3)));
  EXPECT_EQ(pass(s), (Rows{{0, 0, 5000}, {1, 0, 3192}}));
  EXPECT_EQ(s.open_chunk(), 1U);
  EXPECT_EQ(pass(s), (Rows{{1, 3192, 1808}, {2, 0, 5000}}));
  EXPECT_EQ(s.open_chunk(), std::nullopt);
  EXPECT_EQ(pass(s), (Rows{{0, 5000, 1}, {1, 5000, 1}, {2, 5000, 1}}));
  EXPECT_EQ(s.free_tokens(), 40'000 - 3 * 5001);
}

// Pages of 128: each piece is charged whole pages, and a piece that is cut off ends on one. 5,000 tokens are 40 pages,
// of 64 pages 24 are left: 3,072 tokens.
TEST(Sglang, PiecesAreChargedWholePages) {
  SglangConfig c = small(128 * 300);
  c.page_size = 128;
  SglangScheduler s(c);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(s.add(asks(5000, 3)));
  EXPECT_EQ(pass(s), (Rows{{0, 0, 5000}, {1, 0, 3072}}));
}

// Two may run. When the first ends, the latch stands for one more decode pass, in which it leaves the batch.
TEST(Sglang, TheLatchDelaysAdmissionByADecodePass) {
  SglangConfig c = small(1000);
  c.max_running_requests = 2;
  SglangScheduler s(c);
  for (const std::int64_t output : {2, 4, 2}) ASSERT_TRUE(s.add(asks(10, output)));
  EXPECT_EQ(pass(s), (Rows{{0, 0, 10}, {1, 0, 10}}));
  EXPECT_TRUE(s.batch_is_full());
  // The merge of the first batch into an empty one has lost the latch; the pass sets it again, for lack of slots.
  EXPECT_EQ(pass(s), (Rows{{0, 10, 1}, {1, 10, 1}}));
  EXPECT_EQ(s.pass().finished, (List{0}));
  EXPECT_EQ(s.running().size(), 2U);
  EXPECT_TRUE(s.batch_is_full());
  EXPECT_EQ(pass(s), (Rows{{1, 11, 1}}));
  EXPECT_EQ(pass(s), (Rows{{2, 0, 10}}));
}

// From 0.7, a six-hundredth of the way to 0.14 of it with every decode pass; back to 0.7 when nothing is left to do.
TEST(Sglang, TheRatioDecaysWithDecodePasses) {
  SglangScheduler s(small(1000));
  ASSERT_TRUE(s.add(asks(10, 3)));
  pass(s);
  EXPECT_EQ(s.new_token_ratio(), 0.7);
  pass(s);
  EXPECT_DOUBLE_EQ(s.new_token_ratio(), 0.7 - (0.7 - 0.098) / 600);
  pass(s);
  EXPECT_DOUBLE_EQ(s.new_token_ratio(), 0.7 - 2 * (0.7 - 0.098) / 600);
  EXPECT_TRUE(s.schedule().empty());
  s.complete();
  EXPECT_EQ(s.new_token_ratio(), 0.7);
  EXPECT_TRUE(s.done());
}

// Nothing is reserved for output (conservativeness 0). The prompts take 35 of 60 slots, twelve decode passes 24 more, for
// the thirteenth one slot is left. Both have 13 tokens out, so the longer prompt goes: its 12 decoded tokens are freed,
// which with the one are less than the 20 that are wanted free, so its prompt is evicted as well. 33 are free, the other
// one takes one. The ratio is (13 + 20) / (15 + 1), at most 1.
TEST(Sglang, RetractionTakesTheLongestPromptOfEqualOutputs) {
  SglangConfig c = small(60);
  c.schedule_conservativeness = 0;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(20, 15)));
  pass(s);
  ASSERT_TRUE(s.add(asks(15, 15)));
  EXPECT_EQ(pass(s), (Rows{{1, 0, 15}}));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(pass(s).size(), 2U);
  EXPECT_EQ(s.free_tokens(), 1);
  EXPECT_EQ(pass(s), (Rows{{1, 27, 1}}));
  EXPECT_EQ(s.pass().retracted, (List{0}));
  EXPECT_EQ(s.pass().evicted, 20);
  EXPECT_EQ(s.free_tokens(), 32);
  EXPECT_EQ(s.new_token_ratio(), 1.0);
  EXPECT_EQ(list(s.waiting()), (List{0}));
  // It comes back with its 13 tokens of output, when the other one, which ends after 14 and 15, has left.
  EXPECT_EQ(s.output_tokens(0), 13);
  EXPECT_EQ(s.retractions(0), 1);
}

// 30 running tokens to come count 0.7 each; a prompt of 10 that asks for 30 fits into 62 only without them.
TEST(Sglang, RunningRequestsReserveByTheRatio) {
  SglangConfig c = small(74);
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(10, 31)));
  pass(s);
  // 64 are free, 0.7 x 30 = 21 are reserved: 10 + 31 + 1 = 42 is below 43, and 10 + 32 + 1 is not.
  ASSERT_TRUE(s.add(asks(10, 32)));
  EXPECT_EQ(pass(s), (Rows{{0, 10, 1}}));
  EXPECT_TRUE(s.batch_is_full());
  SglangScheduler t(c);
  ASSERT_TRUE(t.add(asks(10, 31)));
  pass(t);
  ASSERT_TRUE(t.add(asks(10, 31)));
  EXPECT_EQ(pass(t), (Rows{{1, 0, 10}}));
}

// Launched before the results of the step before are known: the first request is in one decode more than it needs.
TEST(Sglang, OverlapNoticesAnEndOnePassLate) {
  SglangConfig c = small(1000);
  c.disable_overlap_schedule = false;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(10, 2)));
  EXPECT_EQ(pass(s), (Rows{{0, 0, 10}}));
  EXPECT_EQ(s.output_tokens(0), 0);
  EXPECT_EQ(pass(s), (Rows{{0, 10, 1}}));
  EXPECT_EQ(s.output_tokens(0), 1);
  EXPECT_EQ(pass(s), (Rows{{0, 11, 1}}));
  EXPECT_EQ(s.pass().finished, (List{0}));
  EXPECT_FALSE(s.done());
  EXPECT_EQ(pass(s), Rows{});
  EXPECT_TRUE(s.done());
  // The surplus token stays in the cache with the others: 12 of input and output.
  EXPECT_EQ(s.evictable_tokens(), 12);
}

TEST(Sglang, AWholePromptThatIsCachedComputesItsLastToken) {
  SglangScheduler s(small(1000));
  Request r = asks(100, 1);
  r.shared = {{.tokens = 100, .content = 7}};
  ASSERT_TRUE(s.add(r));
  EXPECT_EQ(pass(s), (Rows{{0, 0, 100}}));
  const auto again = s.add(r);
  EXPECT_EQ(pass(s), (Rows{{*again, 99, 1}}));
}

// The prompt of the second takes the decodes' tokens out of the chunk: 64 - 1.
TEST(Sglang, MixedChunksCarryDecodes) {
  SglangConfig c = small(1000);
  c.enable_mixed_chunk = true;
  c.chunked_prefill_size = 64;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(10, 9)));
  pass(s);
  ASSERT_TRUE(s.add(asks(100, 9)));
  EXPECT_EQ(pass(s), (Rows{{1, 0, 63}, {0, 10, 1}}));
  EXPECT_EQ(s.pass().kind, SglangPassKind::kMixed);
  EXPECT_EQ(pass(s), (Rows{{1, 63, 37}, {0, 11, 1}}));
  EXPECT_EQ(pass(s), (Rows{{1, 100, 1}, {0, 12, 1}}));
}

// The only slot goes to the request with the higher priority, if it is higher by more than 10.
TEST(Sglang, AHigherPriorityTakesTheSlot) {
  SglangConfig c = small(1000);
  c.max_running_requests = 1;
  c.enable_priority_scheduling = true;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(10, 9, 0)));
  pass(s);
  ASSERT_TRUE(s.add(asks(20, 9, 10)));
  EXPECT_EQ(pass(s), (Rows{{0, 10, 1}}));
  ASSERT_TRUE(s.add(asks(30, 9, 11)));
  EXPECT_EQ(pass(s), (Rows{{2, 0, 30}}));
  EXPECT_EQ(s.pass().preempted, (List{0}));
  EXPECT_EQ(list(s.waiting()), (List{1, 0}));
}

// Room for one more token and five besides; what is asked is cut to what the pool holds.
TEST(Sglang, LongPromptsAreRefusedAndOutputsCut) {
  SglangScheduler s(small(100));
  EXPECT_FALSE(s.add(asks(94, 4)));
  const auto longest = s.add(asks(93, 50));
  ASSERT_TRUE(longest);
  EXPECT_EQ(s.max_new_tokens(*longest), 5);  // 100 - 2 - 93
  SglangConfig c = small(1000);
  c.context_len = 60;
  SglangScheduler t(c);
  EXPECT_FALSE(t.add(asks(54, 4)));
  EXPECT_EQ(t.max_new_tokens(*t.add(asks(50, 50))), 8);  // 60 - 2 - 50
}

// A verify of 4 holds the slots of two: 100 tokens of prompt and 8. It gains 2, so the next one needs 2 more.
TEST(Sglang, DraftsHoldSlotsOfTwoVerifies) {
  SglangConfig c = small(1000);
  c.num_draft_tokens = 4;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(100, 12)));
  pass(s);
  EXPECT_EQ(rows(s.schedule()), (Rows{{0, 100, 4}}));
  EXPECT_EQ(s.step().requests[0].drafts, 3);
  EXPECT_EQ(s.free_tokens(), 1000 - 108);
  s.complete(std::vector<std::int32_t>{2});
  EXPECT_EQ(s.output_tokens(0), 3);
  EXPECT_EQ(rows(s.schedule()), (Rows{{0, 102, 4}}));
  EXPECT_EQ(s.free_tokens(), 1000 - 110);
}

// Without drafts a rank decodes while another prefills; with drafts it takes part without tokens.
TEST(Sglang, RanksWithDraftsWaitForPrefills) {
  for (const std::int64_t drafts : {0, 4}) {
    SglangConfig c = small(1000);
    c.num_draft_tokens = drafts;
    SglangRanks ranks(c, 3);
    const auto step = [&] {
      ranks.schedule();
      std::vector<SglangPassKind> kinds;
      for (std::size_t i = 0; i < 3; ++i) {
        kinds.push_back(ranks.rank(i).pass().kind);
        ranks.rank(i).complete(std::vector<std::int32_t>(ranks.rank(i).results_due().size(), 1));
      }
      return kinds;
    };
    using enum SglangPassKind;
    ASSERT_TRUE(ranks.rank(0).add(asks(10, 9)));
    EXPECT_EQ(step(), (std::vector{kExtend, kIdleBatch, kIdleBatch}));
    ASSERT_TRUE(ranks.rank(1).add(asks(10, 9)));
    EXPECT_EQ(step(), (std::vector{drafts > 0 ? kIdleBatch : kDecode, kExtend, kIdleBatch}));
    EXPECT_TRUE(ranks.prefills());
    EXPECT_EQ(step(), (std::vector{kDecode, kDecode, kIdleBatch}));
    EXPECT_EQ(ranks.gathered_tokens(0), 1);
  }
}

// A prompt's memory is kept until the decode side has it; its chunks are sent when the next one is formed.
TEST(Sglang, ThePrefillSideHoldsMemoryUntilTheTransferIsOver) {
  SglangConfig c = small(1000);
  c.role = SglangRole::kPrefill;
  c.chunked_prefill_size = 64;
  SglangScheduler s(c);
  const auto r = s.add(asks(100, 50));
  ASSERT_TRUE(r);
  EXPECT_EQ(pass(s), Rows{});
  s.handshake_done(*r);
  EXPECT_EQ(pass(s), (Rows{{0, 0, 64}}));
  EXPECT_TRUE(s.pass().sent.empty());
  EXPECT_EQ(pass(s), (Rows{{0, 64, 36}}));
  ASSERT_EQ(s.pass().sent.size(), 2U);
  EXPECT_EQ(s.pass().sent[0].tokens, 64);
  EXPECT_EQ(s.pass().sent[1].tokens, 36);
  EXPECT_TRUE(s.pass().sent[1].last);
  EXPECT_EQ(pass(s), Rows{});
  EXPECT_EQ(s.evictable_tokens(), 0);
  EXPECT_FALSE(s.done());
  s.transfer_done(*r);
  pass(s);
  EXPECT_EQ(s.pass().finished, (List{*r}));
  EXPECT_EQ(s.evictable_tokens(), 100);
}

// 40 are to stay free for each active request: the first leaves 100 - 30 - 40, below 30 + 40.
TEST(Sglang, TheDecodeSideReservesForActiveRequests) {
  SglangConfig c = small(100);
  c.role = SglangRole::kDecode;
  c.num_reserved_decode_tokens = 40;
  SglangScheduler s(c);
  for (int i = 0; i < 2; ++i) s.handshake_done(*s.add(asks(30, 3)));
  EXPECT_EQ(pass(s), Rows{});
  EXPECT_EQ(s.pass().allocated, (List{0}));
  s.transfer_done(0);
  EXPECT_EQ(pass(s), (Rows{{0, 30, 1}}));  // its first token came with the transfer
  EXPECT_EQ(pass(s), (Rows{{0, 31, 1}}));
  EXPECT_EQ(s.pass().finished, (List{0}));
  // The memory is free now, but the request still counts as running until it leaves the batch.
  EXPECT_EQ(pass(s), Rows{});
  EXPECT_TRUE(s.pass().allocated.empty());
  EXPECT_EQ(pass(s), Rows{});
  EXPECT_EQ(s.pass().allocated, (List{1}));
}

// Ten tokens: the first with the prompt, one with the decode, so seven more passes until the one in which it ends.
TEST(Sglang, SteadyPassesEndBeforeTheFirstEnd) {
  SglangScheduler s(small(1000));
  ASSERT_TRUE(s.add(asks(10, 10)));
  EXPECT_EQ(s.steady_passes(), 0);
  pass(s);
  EXPECT_EQ(s.steady_passes(), 0);  // the prompt is yet to be merged
  pass(s);
  EXPECT_EQ(s.steady_passes(), 7);
  s.advance(7);
  EXPECT_EQ(s.output_tokens(0), 9);
  EXPECT_EQ(s.free_tokens(), 1000 - 18);
  EXPECT_EQ(s.steady_passes(), 0);
  EXPECT_EQ(pass(s), (Rows{{0, 18, 1}}));
  EXPECT_EQ(s.pass().finished, (List{0}));
}

// 60 slots, two requests of 20 and 15: twelve decode passes until memory is short.
TEST(Sglang, SteadyPassesEndBeforeARetraction) {
  SglangConfig c = small(60);
  c.schedule_conservativeness = 0;
  SglangScheduler s(c);
  ASSERT_TRUE(s.add(asks(20, 15)));
  pass(s);
  ASSERT_TRUE(s.add(asks(15, 15)));
  pass(s);
  pass(s);
  EXPECT_EQ(s.steady_passes(), 11);
}

// A request that has left gives its index to another: as many indices as requests in flight.
TEST(Sglang, MemoryIsBoundedByRequestsInFlight) {
  SglangScheduler s(small(2000));
  for (int i = 0; i < 500; ++i) {
    const auto r = s.add(asks(50, 2));
    ASSERT_TRUE(r);
    EXPECT_LT(*r, 4U);
    while (!s.done()) pass(s);
  }
  EXPECT_EQ(s.accounted_tokens(), 2000);
}

}  // namespace
}  // namespace ascendsim
