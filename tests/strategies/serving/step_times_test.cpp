#include "strategies/serving/step_times.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "tests/strategies/serving/service_under_test.h"

namespace ascendsim {
namespace {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : random_(seed) {}
  std::int64_t from(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  // All orders of magnitude alike.
  std::int64_t wide(std::int64_t low, std::int64_t high) {
    const double u = static_cast<double>(random_() >> 11) * 0x1p-53;
    const double ratio = static_cast<double>(high) / static_cast<double>(low);
    return std::clamp(static_cast<std::int64_t>(static_cast<double>(low) * std::pow(ratio, u)), low, high);
  }

 private:
  std::mt19937_64 random_;
};

GroupRows decodes(std::int64_t sequences, std::int64_t per_sequence, std::int64_t mean_context) {
  return {.sequences = sequences, .rows = sequences * per_sequence, .context = sequences * mean_context};
}
GroupRows equal_prompts(std::int64_t count, std::int64_t tokens, std::int64_t cached) {
  GroupRows g;
  for (std::int64_t i = 0; i < count; ++i) g.add({.context = cached, .tokens = tokens, .prompt = true});
  return g;
}

// The largest deviation of 1,000 random steps from their exact prices.
struct Deviation {
  double largest = 0;
  std::string worst;
};

Deviation deviation(const Scenario& s, std::uint64_t seed) {
  const std::int64_t groups = s.deployment.layout.dp, per_sequence = 1 + s.deployment.features.speculative_tokens;
  Draws draw(seed);
  StepTimes times(s);
  Deviation out;
  for (int i = 0; i < 1000; ++i) {
    std::vector<GroupRows> step;
    std::string what;
    const bool decode = draw.from(0, 1) == 0;
    // Loads of groups as a router leaves them: about the same, or some idle.
    const std::int64_t most = decode ? draw.wide(1, s.deployment.limits.max_batch) : draw.from(1, 8);
    const std::int64_t tokens = draw.wide(16, 4096 / most), cached = draw.from(0, 2) == 0 ? 128 * draw.wide(1, 60) : 0;
    const std::int64_t context = draw.wide(64, 15000);
    const bool some_idle = draw.from(0, 3) == 0;
    for (std::int64_t g = 0; g < groups; ++g) {
      const bool idle = g > 0 && some_idle && draw.from(0, 1) == 0;
      if (idle) {
        step.emplace_back();
      } else if (decode) {
        const std::int64_t sequences = g == 0 ? most : draw.from(std::max<std::int64_t>(1, most * 3 / 4), most);
        step.push_back(decodes(sequences, per_sequence,
                               g == 0 ? context : draw.from(std::max<std::int64_t>(1, context * 3 / 4), context)));
      } else {
        step.push_back(
            equal_prompts(most, g == 0 ? tokens : draw.from(std::max<std::int64_t>(1, tokens / 2), tokens), cached));
      }
    }
    const auto exact = static_cast<double>(times.exact(step).count());
    const auto told = static_cast<double>(times.time(step).count());
    const double off = std::abs(told / exact - 1);
    if (off > out.largest) {
      out.largest = off;
      out.worst = fmt::format("{} most {} tokens {} cached {} context {} idle {}: {} told, {} exact",
                              decode ? "decode" : "prefill", most, tokens, cached, context, some_idle, told, exact);
    }
  }
  return out;
}

void expect_within(double bound, std::span<const std::pair<const char*, Subject>> subjects) {
  std::uint64_t seed = 1;
  for (const auto& [name, subject] : subjects) {
    const Deviation found = deviation(*subject.scenario, seed++);
    EXPECT_LE(found.largest, bound) << name << ": " << found.worst;
  }
}

// The bar of the project: half a percent on 1,000 random steps an engine.
TEST(StepTimes, AThousandRandomStepsOfAnEngineAreWithinHalfAPercentOfTheirExactPrices) {
  std::vector<std::pair<const char*, Subject>> subjects;
  subjects.emplace_back("vllm", vllm_subject("-tp 16"));
  subjects.emplace_back(
      "vllm, DP groups, graphs, drafts",
      vllm_subject(R"(-tp 4 -dp 4 --max-num-seqs 64 --compilation-config '{"cudagraph_mode": "FULL_DECODE_ONLY"}' )"
                   R"(--speculative-config '{"num_speculative_tokens": 1, "method": "mtp"}')"));
  subjects.emplace_back("sglang", sglang_subject("--tp-size 16"));
  subjects.emplace_back("sglang, DP attention", sglang_subject("--tp-size 16 --dp-size 4 --enable-dp-attention"));
  subjects.emplace_back("mindie", mindie_subject());
  subjects.emplace_back("mindie, DP groups", mindie_subject(R"("tp": 4, "dp": 4, "moe_ep": 16, "moe_tp": 1)"));
  expect_within(0.005, subjects);
}

// Not at the bar yet: 1.14 and 1.26 % off at most. Presumably because a cache that is cut into blocks over ranks, and keys
// that an indexer scores in tiles, make steps over the context, on which a straight line is drawn; that was not isolated.
TEST(StepTimes, ContextsThatCountInBlocksAreWithinOneAndAHalfPercentOfEqualSequences) {
  std::vector<std::pair<const char*, Subject>> subjects;
  subjects.emplace_back("mindie, prompts and cache cut",
                        mindie_subject(R"("tp": 8, "dp": 1, "cp": 2, "sp": 8, "moe_ep": 16, "moe_tp": 1)"));
  subjects.emplace_back("vllm, sparse attention",
                        served_subject("serve.sh",
                                       "vllm serve /data/DeepSeek-V3.2 --enable-expert-parallel "
                                       "--quantization ascend --max-model-len 16K -tp 16\n"));
  expect_within(0.015, subjects);
}

// Nothing bounds these: multiples of 64 / 3, rounded down, are edges however many rows there are.
TEST(RowLadder, EdgesWithoutABoundEndStretchesToo) {
  RowLadder ladder(8, 4, 1);
  ladder.edge_every(64, 3);
  EXPECT_EQ(ladder.around(41).high, 42);
  EXPECT_EQ(ladder.around(43).low, 43);
  EXPECT_EQ(ladder.around(20'000).high, 20'010);  // 64 x 938 / 3 = 20,010.7
}

TEST(RowLadder, StretchesEndAtEdges) {
  RowLadder ladder(8, 4, 1);
  ladder.edge(20);
  ladder.edge_every(64, 3, 100);  // 21, 42, 64, 85
  const auto around = [&](std::int64_t rows) {
    const RowLadder::Span s = ladder.around(rows);
    return std::pair{s.low, s.high};
  };
  EXPECT_EQ(around(8), std::pair(std::int64_t{8}, std::int64_t{8}));
  EXPECT_EQ(around(9), std::pair(std::int64_t{8}, std::int64_t{10}));
  EXPECT_EQ(around(20), std::pair(std::int64_t{20}, std::int64_t{20}));
  EXPECT_EQ(around(21), std::pair(std::int64_t{21}, std::int64_t{21}));
  EXPECT_EQ(around(23), std::pair(std::int64_t{22}, std::int64_t{24}));
  EXPECT_EQ(around(41), std::pair(std::int64_t{40}, std::int64_t{42}));
  EXPECT_EQ(around(43), std::pair(std::int64_t{43}, std::int64_t{48}));
  EXPECT_EQ(around(150), std::pair(std::int64_t{128}, std::int64_t{160}));
  for (std::int64_t rows = 1; rows < 5000; ++rows) {
    const RowLadder::Span s = ladder.around(rows);
    ASSERT_LE(s.low, rows);
    ASSERT_GE(s.high, rows);
    ASSERT_EQ(ladder.around(s.high).high, s.high);
  }
}

}  // namespace
}  // namespace ascendsim
