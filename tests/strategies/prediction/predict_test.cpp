// Requests over time from the times of steps, by numbers small enough to follow by hand (ticks).
#include "strategies/prediction/predict.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace ascendsim {
namespace {

std::vector<std::int64_t> ticks(const std::vector<Duration>& durations) {
  std::vector<std::int64_t> out;
  for (const Duration d : durations) out.push_back(d.count());
  return out;
}
std::vector<std::int64_t> ticks(const Percentiles& p) { return ticks(std::vector{p.mean, p.p50, p.p90, p.p99}); }
using Ticks = std::vector<std::int64_t>;

// Ten values, 10 seven times, 20 twice, 30 once. Mean (70 + 40 + 30) / 10. Nearest rank: the 5th, 9th and 10th (of 9.9).
TEST(Percentile, CountsEachValueAsOftenAsItOccurs) {
  EXPECT_EQ(ticks(percentiles({{Duration(30), 1}, {Duration(10), 7}, {Duration(20), 2}})), (Ticks{14, 10, 20, 30}));
}

// Of 100 values the 99th: 5 is the 100th there, here the 99th and 100th.
TEST(Percentile, IsTheNearestRank) {
  EXPECT_EQ(percentiles({{Duration(5), 1}, {Duration(1), 99}}).p99.count(), 1);
  EXPECT_EQ(percentiles({{Duration(5), 2}, {Duration(1), 98}}).p99.count(), 5);
}

// One value is every percentile; of two the 1st is the median (rank 1 of 2 x 0.5) and the mean 3 / 2 is rounded down.
TEST(Percentile, OfFewValues) {
  EXPECT_EQ(ticks(percentiles(std::vector<Duration>{})), (Ticks{0, 0, 0, 0}));
  EXPECT_EQ(ticks(percentiles(std::vector{Duration(7)})), (Ticks{7, 7, 7, 7}));
  EXPECT_EQ(ticks(percentiles(std::vector{Duration(2), Duration(1)})), (Ticks{1, 1, 2, 2}));
}

// A thousand million gaps of ten seconds are 10^22 ticks together, more than 64 bits hold.
TEST(Percentile, MeanOfMoreTicksThanFitInto64Bits) {
  const Duration gap(10'000'000'000'000);
  EXPECT_EQ(percentiles({{gap, 1'000'000'000}}).mean, gap);
}

// 100 to 200 tokens: 1 tick a token; 200 to 400: 400 ticks over 200 tokens, 2 a token.
TEST(DecodeCurve, IsStraightBetweenThreeContexts) {
  const DecodeCurve curve{.context = {100, 200, 400}, .time = {Duration(1000), Duration(1100), Duration(1500)}};
  for (const auto& [tokens, time] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {100, 1000}, {150, 1050}, {200, 1100}, {250, 1200}, {400, 1500}})
    EXPECT_EQ(curve.at(tokens).count(), time) << tokens;
}

// 10 ticks over 3 tokens: 3.3 and 6.7 are rounded towards the first context, also where longer contexts are faster.
TEST(DecodeCurve, RoundsTowardsItsFirstContext) {
  const DecodeCurve up{.context = {0, 3, 3}, .time = {Duration(0), Duration(10), Duration(10)}};
  EXPECT_EQ((Ticks{up.at(1).count(), up.at(2).count()}), (Ticks{3, 6}));
  const DecodeCurve down{.context = {0, 3, 3}, .time = {Duration(10), Duration(0), Duration(0)}};
  EXPECT_EQ((Ticks{down.at(1).count(), down.at(2).count()}), (Ticks{7, 4}));
}

// Two generated tokens: the first context is the middle one. One: all three are the same.
TEST(DecodeCurve, OfOneOrTwoContexts) {
  const DecodeCurve two{.context = {5, 5, 6}, .time = {Duration(10), Duration(10), Duration(12)}};
  EXPECT_EQ((Ticks{two.at(5).count(), two.at(6).count()}), (Ticks{10, 12}));
  const DecodeCurve one{.context = {5, 5, 5}, .time = {Duration(10), Duration(10), Duration(10)}};
  EXPECT_EQ(one.at(5).count(), 10);
}

// A prompt of 10, 5 tokens: 4 steps at contexts 11, 12, 13, 14; 13 lies between 110 and 154.
TEST(DecodeSteps, FollowTheCurve) {
  const DecodeCurve curve{.context = {11, 12, 14}, .time = {Duration(100), Duration(110), Duration(154)}};
  const DecodeRun run = decode_along(curve, {.input_tokens = 10, .output_tokens = 5});
  EXPECT_EQ(ticks(run.gaps), (Ticks{100, 110, 132, 154}));
  EXPECT_EQ(run.mean_step.count(), 124);  // 496 / 4
  EXPECT_EQ(run.duration.count(), 496);
  EXPECT_EQ(run.context, 12);
}

// One draft, accepted half the time: 1.5 tokens a step. 4 tokens to go: steps that have yielded 0, 1.5 and 3 tokens
// before, at contexts 11, 12 and 14. Their mean of 120 lasts 4 / 1.5 steps: the third is shared with what follows.
TEST(DecodeSteps, YieldSeveralTokensWithDrafts) {
  const DecodeCurve curve{.context = {11, 12, 14}, .time = {Duration(100), Duration(110), Duration(150)}};
  const DecodeRun run = decode_along(curve, {.input_tokens = 10, .output_tokens = 5, .acceptance = {0.5}});
  EXPECT_EQ(run.tokens_per_step, 1.5);
  EXPECT_EQ(ticks(run.gaps), (Ticks{100, 110, 150}));
  EXPECT_EQ(run.mean_step.count(), 120);
  EXPECT_EQ(run.duration.count(), 320);
}

TEST(DecodeSteps, OfOneTokenAreNone) {
  const DecodeRun run = decode_along({.context = {11, 11, 11}, .time = {Duration(100), Duration(100), Duration(100)}},
                                     {.input_tokens = 10, .output_tokens = 1});
  EXPECT_TRUE(run.gaps.empty());
  EXPECT_EQ(run.duration.count(), 0);
}

// Times by [step][stage], hand-overs between stages by step.
PipelinePricer::Steps steps(const std::vector<Ticks>& times, const Ticks& hand_overs) {
  PipelinePricer::Steps out;
  for (const Ticks& of_step : times) {
    out.times.emplace_back();
    for (const std::int64_t t : of_step) out.times.back().push_back({.total = Duration(t)});
  }
  for (const std::int64_t t : hand_overs) out.hand_over.emplace_back(t);
  return out;
}

// Five prompts, two a step of 10, the last one alone in a step of 4.
TEST(FirstTokens, OfAQueueOfPrefillSteps) {
  EXPECT_EQ(ticks(first_tokens(5, 2, steps({{10}}, {0}), steps({{4}}, {0}))), (Ticks{10, 10, 20, 20, 24}));
  EXPECT_EQ(ticks(first_tokens(4, 2, steps({{10}}, {0}), {})), (Ticks{10, 10, 20, 20}));
}

// Prompts in two chunks, 3 and 4: both before the next prompt's.
TEST(FirstTokens, OfChunkedPrompts) {
  EXPECT_EQ(ticks(first_tokens(2, 1, steps({{3}, {4}}, {0, 0}), {})), (Ticks{7, 14}));
}

// Two stages of 3 and 5, 2 between them: 3 + 2 + 5 = 10; the second step is there at 6 + 2, but the second stage is busy
// until 10: 15. The last, of 1 and 1 with 1 between, is there at 7 + 1 and waits until 15: 16.
// Where the first stage is the slow one (5, then 1) a step ends 3 after it: 8, 13.
TEST(FirstTokens, ThroughTwoStages) {
  EXPECT_EQ(ticks(first_tokens(5, 2, steps({{3, 5}}, {2}), steps({{1, 1}}, {1}))), (Ticks{10, 10, 15, 15, 16}));
  EXPECT_EQ(ticks(first_tokens(2, 1, steps({{5, 1}}, {2}), {})), (Ticks{8, 13}));
}

// Two requests with first tokens at 10 and 20, then gaps of 4 and 6.
struct Requests {
  PrefillRun prefill;
  DecodeRun decode;
  Workload load{.input_tokens = 1, .output_tokens = 3, .batch = 2};
  Requests() {
    prefill.first_token = {Duration(10), Duration(20)};
    prefill.end = Duration(20);
    decode.gaps = {Duration(4), Duration(6)};
    decode.duration = Duration(10);
    decode.mean_step = Duration(5);
  }
};

// Prefills go first: the first request waits 10 for the second. Both end at 20 + 10. TPOT (30 - 10) / 2 and
// (30 - 20) / 2; gaps 4 + 10 and 4, then 6 twice: 30 / 4 on average, the 2nd of 4 in the middle.
TEST(Terms, OfRequestsThatWaitForTheLastPrefill) {
  const Requests r;
  Prediction p;
  add_requests(p, r.prefill, r.decode, r.load, Duration{}, true);
  EXPECT_EQ(ticks(p.ttft), (Ticks{15, 10, 20, 20}));
  EXPECT_EQ(ticks(p.tpot), (Ticks{7, 5, 10, 10}));
  EXPECT_EQ(ticks(p.itl), (Ticks{7, 6, 14, 14}));
  EXPECT_EQ(ticks(p.e2el), (Ticks{30, 30, 30, 30}));
  EXPECT_EQ(p.decode_step.count(), 5);
  EXPECT_DOUBLE_EQ(p.requests_per_second, 2 / 30e-12);
  EXPECT_DOUBLE_EQ(p.output_tokens_per_second, 6 / 30e-12);
}

// Each leaves with its first token, 3 on the way: ends 10 + 3 + 10 and 20 + 3 + 10; first gaps of 3 + 4.
TEST(Terms, OfRequestsThatMoveOn) {
  const Requests r;
  Prediction p;
  add_requests(p, r.prefill, r.decode, r.load, Duration(3), false);
  EXPECT_EQ(ticks(p.ttft), (Ticks{15, 10, 20, 20}));
  EXPECT_EQ(ticks(p.tpot), (Ticks{6, 6, 6, 6}));  // 13 / 2
  EXPECT_EQ(ticks(p.itl), (Ticks{6, 6, 7, 7}));   // 7, 7, 6, 6
  EXPECT_EQ(ticks(p.e2el), (Ticks{28, 23, 33, 33}));
  EXPECT_DOUBLE_EQ(p.requests_per_second, 2 / 33e-12);
}

}  // namespace
}  // namespace ascendsim
