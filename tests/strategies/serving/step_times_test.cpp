#include "strategies/serving/step_times.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

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
  std::int64_t beyond = 0;  // more than half a percent
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
    if (off > 0.005) ++out.beyond;
    if (off > out.largest) {
      out.largest = off;
      out.worst = fmt::format("{} most {} tokens {} cached {} context {} idle {}: {} told, {} exact",
                              decode ? "decode" : "prefill", most, tokens, cached, context, some_idle, told, exact);
    }
  }
  return out;
}

// The aim is half a percent; short ragged prompts and few sequences over several DP groups are not there yet
// (docs/serving.md). What holds today is pinned, so that it gets no worse.
TEST(StepTimes, AThousandRandomStepsAreWithinFifteenPercentOfTheirExactPrices) {
  const std::vector<std::pair<const char*, Subject>> subjects = [] {
    std::vector<std::pair<const char*, Subject>> out;
    out.emplace_back("vllm", vllm_subject("-tp 16"));
    out.emplace_back(
        "vllm graphs",
        vllm_subject(R"(-tp 4 -dp 4 --max-num-seqs 64 --compilation-config '{"cudagraph_mode": "FULL_DECODE_ONLY"}')"));
    out.emplace_back("sglang", sglang_subject("--tp-size 16"));
    out.emplace_back("mindie", mindie_subject());
    out.emplace_back("mindie groups", mindie_subject(R"("tp": 4, "dp": 4, "moe_ep": 16, "moe_tp": 1)"));
    return out;
  }();
  std::uint64_t seed = 1;
  for (const auto& [name, subject] : subjects) {
    const Deviation found = deviation(*subject.scenario, seed++);
    EXPECT_LE(found.largest, 0.15) << name << ", " << found.beyond << " beyond: " << found.worst;
  }
}

}  // namespace
}  // namespace ascendsim
