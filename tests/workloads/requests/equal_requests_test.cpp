#include "workloads/requests/equal_requests.h"

#include "tests/workloads/requests/recorded.h"
#include "workloads/requests/generators.h"

namespace ascendsim {

namespace {

// The instants are those of the tool with the same numbers, and so recorded ones.
TEST(EqualRequests, AreSentWhenVllmBenchWouldSendThem) {
  for (const double burstiness : {1.0, 0.5}) {
    Diagnostics diagnostics;
    VllmBenchOptions tool;
    tool.num_prompts = 50;
    tool.request_rate = 4;
    tool.burstiness = burstiness;
    tool.seed = 7;
    tool.random_input_len = 3500;
    tool.random_output_len = 1500;
    const auto theirs = all_of(*make_vllm_bench(tool, {}, diagnostics));
    const auto ours = all_of(*make_equal_requests({.requests = 50,
                                                   .input_tokens = 3500,
                                                   .output_tokens = 1500,
                                                   .common_tokens = 100,
                                                   .pacing = {.request_rate = 4, .burstiness = burstiness},
                                                   .seed = 7}));
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i].arrival, theirs[i].arrival);
      EXPECT_EQ(ours[i].input_tokens, 3500);
      EXPECT_EQ(ours[i].output_tokens, 1500);
      ASSERT_EQ(ours[i].shared.size(), 1);
      EXPECT_EQ(ours[i].shared[0], ours[0].shared[0]);
    }
    EXPECT_EQ(seconds(ours.back().arrival), 50 / 4.0) << "the last one is sent exactly at n / rate";
  }
}

TEST(EqualRequests, EndWithTheTime) {
  const auto some = all_of(
      *sent_before(make_equal_requests({.requests = 100, .pacing = {.request_rate = 10}}), std::chrono::seconds(5)));
  EXPECT_GT(some.size(), 30);
  EXPECT_LT(some.size(), 70);
  EXPECT_LT(some.back().arrival, std::chrono::seconds(5));
  EXPECT_EQ(all_of(*make_equal_requests({.requests = 3})).back().arrival, Duration{}) << "all at once";
}

}  // namespace

}  // namespace ascendsim
