// Properties of the vLLM scheduler on 10,000 random loads: nothing is lost, nothing overtakes, and runs of steps that are
// taken at once end where they end one by one.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <set>

#include "tests/strategies/serving/vllm_loads_under_test.h"

namespace ascendsim::vllm_loads {
namespace {

// "" when all holds after a step, else what does not.
std::string broken(const Load& load, const Service& service) {
  const VllmConfig& c = load.config;
  const VllmScheduler& s = service.scheduler;
  std::int64_t tokens = 0;
  std::vector<RequestIndex> scheduled;
  for (const ScheduledRequest& part : s.step().requests) {
    tokens += part.tokens;
    scheduled.push_back(part.request);
    if (part.drafts >= part.tokens) return "drafts without the token they follow";
  }
  if (tokens > c.budget()) return "more tokens than the budget";
  if (std::ssize(s.running()) > c.max_num_seqs) return "more requests than max_num_seqs";
  if (std::set(scheduled.begin(), scheduled.end()).size() != scheduled.size()) return "a request twice in a step";

  // Every block is free or has a user; requests have blocks for what they computed.
  std::vector<bool> used(static_cast<std::size_t>(c.usable_blocks()));
  const auto look_at = [&](RequestIndex request) {
    const VllmRequest& r = s.request(request);
    for (const BlockIndex block : r.blocks) used[block] = true;
    return std::ssize(r.blocks) * c.block_tokens() >= r.computed;
  };
  bool enough = true;
  for (const RequestIndex request : s.running()) enough &= look_at(request);
  s.for_each_waiting([&](RequestIndex request) { enough &= look_at(request); });
  if (!enough) return "a request without blocks for what it computed";
  const std::int64_t in_use = std::ranges::count(used, true);
  // Blocks that are sent or parked belong to requests that have left these lists.
  const bool all_seen = c.kv_role == VllmRole::kNone;
  if (in_use + s.free_blocks() > c.usable_blocks()) return "a block that is free and in use";
  if (all_seen && in_use + s.free_blocks() != c.usable_blocks()) return "a block that is neither free nor in use";
  return "";
}

// Serves the load twice, step by step in both at once, the second time taking runs together. "" when all is well.
std::string serve(const Load& load, std::int64_t& taken_at_once) {
  Service single(load), runs(load);
  while (!single.has_ended()) {
    // A prompt that never fits: such loads exist, and say nothing.
    if (single.now > 50'000) return "";
    std::int64_t steps = std::min(runs.scheduler.steady_steps(), runs.until_told());
    if (steps > 0) {
      runs.jump(steps);
      taken_at_once += steps;
    } else {
      runs.step();
      steps = 1;
    }
    for (; steps > 0; --steps) {
      single.step();
      if (std::string what = broken(load, single); !what.empty()) return what;
    }
    if (single.scheduler.fingerprint() != runs.scheduler.fingerprint())
      return fmt::format("another state at {}", single.now);
    if (single.outputs != runs.outputs || single.ended != runs.ended) return "other tokens";
  }
  if (single.scheduler.free_blocks() != load.config.usable_blocks()) return "blocks are lost";
  if (single.ended.size() != load.items.size()) return "requests are lost";
  for (std::size_t i = 0; i < load.items.size(); ++i) {
    const Request& r = load.items[i].request;
    const std::int64_t whole = std::min(r.output_tokens, load.config.max_model_len - r.input_tokens);
    if (load.config.recompute_scheduler ? single.outputs[i] > whole : single.outputs[i] != whole)
      return "tokens are lost";
  }
  // First come first served, where nobody waits for a transfer.
  if (load.config.policy == VllmPolicy::kFcfs && load.config.kv_role == VllmRole::kNone) {
    std::vector<std::size_t> first;
    for (const std::size_t item : single.admitted)
      if (std::ranges::find(first, item) == first.end()) first.push_back(item);
    if (!std::ranges::is_sorted(first)) return "somebody overtook";
  }
  return "";
}

class VllmLoads : public testing::TestWithParam<const char*> {};

TEST_P(VllmLoads, AreServedWhollyAndTheSameInRuns) {
  std::int64_t taken_at_once = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Load load = random_load(GetParam(), seed);
    ASSERT_EQ(serve(load, taken_at_once), "") << "seed " << seed;
  }
  if (std::string(GetParam()) == "pipeline" || std::string(GetParam()) == "prefill") {
    EXPECT_EQ(taken_at_once, 0);
  } else {
    EXPECT_GT(taken_at_once, 500 * 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, VllmLoads, testing::ValuesIn(kKinds), [](const auto& kind) {
  std::string word = kind.param;
  std::ranges::replace_if(
      word, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return word;
});

// The same with loads that shrink to the smallest one that fails.
RC_GTEST_PROP(VllmLoads, OfAnyShapeAreServedTheSameInRuns, ()) {
  Load load{.config = config_of(*rc::gen::elementOf(std::vector<std::string>(std::begin(kKinds), std::end(kKinds))))};
  load.config.num_gpu_blocks = *rc::gen::inRange(26, 80);
  load.config.block_size = *rc::gen::element(16, 16, 32);
  std::int64_t step = 0;
  for (const auto& [wait, input, output, accepted] :
       *rc::gen::container<std::vector<std::tuple<int, int, int, int>>>(rc::gen::tuple(
           rc::gen::inRange(0, 20), rc::gen::inRange(1, 300), rc::gen::inRange(1, 100), rc::gen::inRange(0, 4)))) {
    step += wait;
    load.items.push_back({.step = step,
                          .request = {.arrival = {}, .input_tokens = input, .output_tokens = output},
                          .accepted = {accepted}});
  }
  std::int64_t taken_at_once = 0;
  RC_ASSERT(serve(load, taken_at_once) == "");
}

}  // namespace
}  // namespace ascendsim::vllm_loads
