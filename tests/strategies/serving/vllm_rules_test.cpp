// The rules of vLLM's scheduler one by one, on loads small enough to be followed by hand.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {
namespace {

VllmConfig settings(std::int64_t budget, std::int64_t usable_blocks) {
  VllmConfig c;
  c.max_num_batched_tokens = budget;
  c.max_model_len = 512;
  c.block_size = 16;
  c.num_gpu_blocks = usable_blocks + 1;
  return c;
}

Request asking(std::int64_t input, std::int64_t output, std::vector<PromptSegment> shared = {}) {
  return {.arrival = {}, .input_tokens = input, .output_tokens = output, .shared = std::move(shared)};
}

// "0:64+4 1:1+0": request, tokens and new blocks in order; what else was decided behind it.
std::string decided(VllmScheduler& s, VllmHold hold = {}) {
  std::string text;
  const auto& parts = s.schedule(hold).requests;
  const VllmDecisions& d = s.decisions();
  for (std::size_t i = 0; i < parts.size(); ++i)
    text += fmt::format("{}{}:{}+{}", i > 0 ? " " : "", parts[i].request, parts[i].tokens, d.new_blocks[i]);
  for (const auto& a : d.admitted)
    if (a.cached > 0) text += fmt::format(" hit {} of {}", a.cached, a.request);
  for (const auto& l : d.loads) text += fmt::format(" load {} of {}+{}", l.pulled, l.request, l.new_blocks);
  for (const RequestIndex r : d.preempted) text += fmt::format(" out {}", r);
  for (const RequestIndex r : d.recomputed) text += fmt::format(" back {}", r);
  if (d.blocked) text += fmt::format(" blocked {}", *d.blocked);
  return text;
}

// The result of the oldest step: each request that samples emits one token and `accepted` more. Requests that ended.
std::string results(VllmScheduler& s, std::size_t batch, std::int64_t accepted = 0) {
  std::string text;
  for (const auto& e : s.complete(std::vector<std::int64_t>(batch, 1 + accepted)).ended)
    text += fmt::format("{} ", e.request);
  return text;
}

// One step and its result, where only one is under way.
std::string stepped(VllmScheduler& s) {
  std::string text = decided(s);
  const std::string ends = results(s, s.step().requests.size());
  return ends.empty() ? text : text + " ends " + ends;
}

TEST(VllmScheduler, GivesRunningRequestsTheBudgetFirstAndChunksWhatIsLeft) {
  VllmScheduler s(settings(64, 40));
  s.add(asking(100, 3));
  s.add(asking(50, 3));
  EXPECT_EQ(stepped(s), "0:64+4");
  EXPECT_EQ(stepped(s), "0:36+3 1:28+2") << "36 of the budget for the running one";
  EXPECT_EQ(stepped(s), "0:1+0 1:22+2") << "101 tokens in 7 blocks of 16; 50 in 4";
  EXPECT_EQ(stepped(s), "0:1+0 1:1+0 ends 0 ");
}

TEST(VllmScheduler, LeavesWholePromptsWaitingWhereChunksAreOff) {
  VllmConfig c = settings(64, 40);
  c.enable_chunked_prefill = false;
  VllmScheduler s(c);
  s.add(asking(40, 3));
  s.add(asking(30, 3));
  s.add(asking(10, 3));
  EXPECT_EQ(stepped(s), "0:40+3") << "30 > 24 left; the third does not overtake";
  EXPECT_EQ(s.decisions().left, VllmDecisions::Left::kNoChunk);
  EXPECT_EQ(stepped(s), "0:1+0 1:30+2 2:10+1") << "beside a decode they are taken";
}

// Full blocks of the first N - 1 tokens are found: of 48 tokens two blocks, of 49 three.
TEST(VllmScheduler, FindsWholeBlocksButNeverTheLastToken) {
  for (const auto& [prompt, cached] : {std::pair(48, 32), std::pair(49, 48)}) {
    VllmScheduler s(settings(512, 40));
    s.add(asking(49, 1, {{49, 1}}));
    EXPECT_EQ(stepped(s), "0:49+4 ends 0 ");
    s.add(asking(prompt, 1, {{49, 1}}));
    EXPECT_EQ(stepped(s), fmt::format("0:{}+1 hit {} of 0 ends 0 ", prompt - cached, cached));
  }
}

// A block enters the cache when it is allocated: the second request of one step finds those of the first.
TEST(VllmScheduler, FindsBlocksOfItsOwnStep) {
  VllmScheduler s(settings(512, 40));
  s.add(asking(64, 2, {{64, 1}}));
  s.add(asking(64, 2, {{64, 1}}));
  EXPECT_EQ(stepped(s), "0:64+4 1:16+1 hit 48 of 1");
}

// With drafts the last block that is found is computed again.
TEST(VllmScheduler, DropsTheLastHitWithDrafts) {
  VllmConfig c = settings(512, 40);
  c.num_speculative_tokens = 1;
  VllmScheduler s(c);
  s.add(asking(64, 2, {{64, 1}}));
  s.add(asking(64, 2, {{64, 1}}));
  EXPECT_EQ(stepped(s), "0:64+5 1:32+3 hit 32 of 1") << "a slot ahead for the draft: 65 slots are 5 blocks";
}

// Three prompts of 31 tokens fill 6 blocks. Their 33rd tokens need one more each: the last is thrown out for the first,
// its two blocks serve the first two; it stands in front of the newcomer, and nobody is admitted in this step.
TEST(VllmScheduler, ThrowsOutTheLastAndAdmitsNobodyBeside) {
  VllmScheduler s(settings(512, 6));
  for (int i = 0; i < 3; ++i) s.add(asking(31, 4));
  EXPECT_EQ(stepped(s), "0:31+2 1:31+2 2:31+2");
  s.add(asking(1, 1));
  EXPECT_EQ(stepped(s), "0:1+0 1:1+0 2:1+0 blocked 3");
  EXPECT_EQ(stepped(s), "0:1+1 1:1+1 out 2");
  EXPECT_EQ(s.decisions().left, VllmDecisions::Left::kPreempted);
  EXPECT_EQ(stepped(s), "0:1+0 1:1+0 blocked 2 ends 0 1 ") << "31 + 2 tokens are 3 blocks";
  EXPECT_EQ(stepped(s).substr(0, 2), "2:");
}

// The third request has the smallest priority number; the victim is the second although it is not the last.
TEST(VllmScheduler, ThrowsOutTheLeastPreferred) {
  VllmConfig c = settings(512, 6);
  c.policy = VllmPolicy::kPriority;
  VllmScheduler s(c);
  for (const std::int64_t priority : {1, 2, 0})
    s.add({.arrival = {}, .input_tokens = 31, .output_tokens = 4, .priority = priority});
  EXPECT_EQ(stepped(s), "2:31+2 0:31+2 1:31+2");
  EXPECT_EQ(stepped(s), "2:1+0 0:1+0 1:1+0");
  EXPECT_EQ(stepped(s), "2:1+1 0:1+1 out 1");
}

// vLLM-Ascend's recompute scheduler ends the victim; the result of the step says so.
TEST(VllmScheduler, GivesVictimsBackToTheProxy) {
  VllmConfig c = settings(512, 4);
  c.recompute_scheduler = true;
  VllmScheduler s(c);
  for (int i = 0; i < 2; ++i) s.add(asking(31, 4));
  stepped(s);
  stepped(s);
  EXPECT_EQ(decided(s), "0:1+1 back 1");
  const VllmResult& result = s.complete(std::vector<std::int64_t>{1});
  ASSERT_EQ(result.ended.size(), 1U);
  EXPECT_TRUE(result.ended[0].recomputed);
  EXPECT_EQ(s.waiting(), 0U);
}

// A decode with 3 drafts asks for 4 tokens and has room for 3 more: 30 + 4 + 3 slots are 3 blocks.
TEST(VllmScheduler, LooksAheadForDrafts) {
  VllmConfig c = settings(512, 40);
  c.num_speculative_tokens = 3;
  VllmScheduler s(c);
  s.add(asking(30, 20));
  EXPECT_EQ(stepped(s), "0:30+3") << "33 slots";
  EXPECT_EQ(decided(s), "0:4+0");
  results(s, 1, 3);
  EXPECT_EQ(decided(s), "0:4+0") << "34 + 4 + 3 = 41 slots";
  results(s, 1, 3);
  EXPECT_EQ(decided(s), "0:4+0") << "38 + 4 + 3 = 45 slots";
  results(s, 1, 3);
  EXPECT_EQ(decided(s), "0:4+1") << "42 + 4 + 3 = 49 slots";
  results(s, 1, 0);
  EXPECT_EQ(decided(s), "0:4+0") << "43 + 4 + 3 = 50: the block of the rejected drafts stays";
}

// The next step is decided before the result; the request stops when its outputs under way make up its length.
TEST(VllmScheduler, DecidesAheadOfResultsAndStopsInTime) {
  VllmConfig c = settings(512, 40);
  c.async_scheduling = true;
  VllmScheduler s(c);
  s.add(asking(20, 3));
  EXPECT_EQ(decided(s), "0:20+2");
  EXPECT_EQ(decided(s), "0:1+0");
  EXPECT_EQ(results(s, 1), "");
  EXPECT_EQ(decided(s), "0:1+0");
  EXPECT_EQ(results(s, 1), "");
  EXPECT_EQ(decided(s), "") << "two tokens told, the third is under way";
  EXPECT_EQ(results(s, 1), "0 ");
}

// A pull takes the prompt's blocks and no budget; then the last token is computed.
TEST(VllmScheduler, PullsAndComputesTheLastTokenAgain) {
  VllmConfig c = settings(64, 40);
  c.kv_role = VllmRole::kConsumer;
  VllmScheduler s(c);
  const RequestIndex pulled = s.add(asking(100, 3), VllmTransfer::kPull);
  s.add(asking(60, 3));
  EXPECT_EQ(stepped(s), "1:60+4 load 100 of 0+7");
  EXPECT_EQ(stepped(s), "1:1+0");
  s.kv_received(pulled);
  EXPECT_EQ(stepped(s), "1:1+0 0:1+0 ends 1 ");
  EXPECT_EQ(s.decisions().admitted[0].loaded, 99);
}

// A prefill instance keeps the blocks of what ended until they are sent.
TEST(VllmScheduler, HoldsBlocksUntilTheyAreSent) {
  VllmConfig c = settings(64, 6);
  c.kv_role = VllmRole::kProducer;
  VllmScheduler s(c);
  const RequestIndex sent = s.add(asking(64, 1), VllmTransfer::kSend);
  EXPECT_EQ(stepped(s), "0:64+4 ends 0 ");
  EXPECT_EQ(s.free_blocks(), 2);
  s.add(asking(40, 1), VllmTransfer::kSend);
  EXPECT_EQ(stepped(s), " blocked 1");
  s.kv_sent(sent);
  EXPECT_EQ(stepped(s), "1:40+3 ends 1 ");
}

// In throttled steps prompts wait beside a decode, and join without one.
TEST(VllmScheduler, ThrottlesPromptsBesideDecodes) {
  VllmConfig c = settings(64, 40);
  c.prefill_schedule_interval = 4;
  VllmScheduler s(c);
  s.add(asking(20, 9));
  EXPECT_EQ(decided(s, {.prompts = true}), "0:20+2");
  results(s, 1);
  s.add(asking(20, 9));
  EXPECT_EQ(decided(s, {.prompts = true}), "0:1+0");
  results(s, 1);
  EXPECT_EQ(decided(s), "0:1+0 1:20+2");
  results(s, 2);
}

// Where another rank is full, balance scheduling admits nobody.
TEST(VllmScheduler, AdmitsNobodyWhereOtherRanksAreFull) {
  VllmScheduler s(settings(64, 40));
  s.add(asking(20, 9));
  EXPECT_EQ(decided(s, {.admissions = true}), "");
  results(s, 0);
  EXPECT_EQ(decided(s), "0:20+2");
}

// ---- Runs ----------------------------------------------------------------------------------------------------------

// Request 0 has 30 tokens and ends with its 40th output, request 1 has 20 and runs on: 38 more steps end nobody.
TEST(VllmScheduler, KnowsHowLongNothingChanges) {
  VllmScheduler s(settings(512, 40));
  s.add(asking(30, 40));
  s.add(asking(20, 80));
  EXPECT_EQ(s.steady_steps(), 0) << "nobody runs";
  EXPECT_EQ(stepped(s), "0:30+2 1:20+2");
  EXPECT_EQ(s.steady_steps(), 38);
  s.take_steady_steps(38);
  EXPECT_EQ(s.request(0).output, 39);
  EXPECT_EQ(s.free_blocks(), 40 - 5 - 4) << "68 and 58 tokens are computed";
  EXPECT_EQ(s.steady_steps(), 0);
  EXPECT_EQ(stepped(s), "0:1+0 1:1+0 ends 0 ");
}

// Both take a block in the same step, in the order of the running list; then request 1, at its 33rd token, before 0.
TEST(VllmScheduler, TakesBlocksOfARunInTheOrderOfItsSteps) {
  VllmScheduler s(settings(512, 40));
  s.add(asking(24, 40));
  s.add(asking(30, 40));
  stepped(s);  // blocks 0, 1 and 2, 3
  ASSERT_GE(s.steady_steps(), 30);
  s.take_steady_steps(30);
  EXPECT_EQ(s.request(0).blocks, (std::vector<BlockIndex>{0, 1, 5, 7}))
      << "its 33rd token comes in step 9, its 49th in step 25";
  EXPECT_EQ(s.request(1).blocks, (std::vector<BlockIndex>{2, 3, 4, 6})) << "steps 3 and 19";
}

TEST(VllmScheduler, EndsRunsBeforeBlocksLack) {
  VllmScheduler s(settings(512, 3));
  s.add(asking(16, 100));
  stepped(s);
  EXPECT_EQ(s.steady_steps(), 32) << "2 blocks more";
  s.add(asking(40, 1));
  EXPECT_EQ(s.steady_steps(), 32) << "3 blocks are not to be had meanwhile";
}

TEST(VllmScheduler, HasNoRunWhereSomebodyWouldBeAdmitted) {
  VllmScheduler s(settings(512, 10));
  s.add(asking(16, 100));
  stepped(s);
  s.add(asking(40, 1));
  EXPECT_EQ(s.steady_steps(), 0);
}

}  // namespace
}  // namespace ascendsim
