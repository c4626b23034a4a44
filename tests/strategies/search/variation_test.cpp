#include "strategies/search/variation.h"

#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

Question base(const Example& e) { return import_text(config_json(e)).import.question; }

bool legal(const Question& q) {
  const Server server = shipped_server("atlas-800i-a3");
  Diagnostics found;
  check_deployment({q.deployment, q.declared_world, server,
                    static_cast<int>(ceil_div(q.deployment.layout.world(), server.dies())), false},
                   found);
  return !found.has_errors();
}

std::string varied(const Example& e, std::vector<Assignment> assignments) {
  Diagnostics diagnostics;
  const Layout l = vary(base(e), assignments, legal, diagnostics).question.deployment.layout;
  EXPECT_EQ(rendered(diagnostics, Severity::kError), "");
  return fmt::format("dp {} cp {} sp {} tp {} ep {} moe_tp {}", l.dp, l.cp, l.sp, l.tp, l.moe_ep, l.moe_tp);
}

// 16 ranks: cp 2 x tp 8 with sp 8.
TEST(Variation, TensorParallelismFollowsContextParallelism) {
  EXPECT_EQ(varied(kContextExample, {{"cp", "1"}}), "dp 1 cp 1 sp 16 tp 16 ep 16 moe_tp 1");
  EXPECT_EQ(varied(kContextExample, {{"cp", "2"}}), "dp 1 cp 2 sp 8 tp 8 ep 16 moe_tp 1");
  EXPECT_EQ(varied(kContextExample, {{"layout.cp", "8"}}), "dp 1 cp 8 sp 2 tp 2 ep 16 moe_tp 1");
}

TEST(Variation, WhatWasUsedTakesTheSlackOfAVariedTensorDegree) {
  EXPECT_EQ(varied(kContextExample, {{"tp", "16"}}), "dp 1 cp 1 sp 16 tp 16 ep 16 moe_tp 1");
  EXPECT_EQ(varied(kSequenceExample, {{"tp", "4"}}), "dp 4 cp 1 sp 4 tp 4 ep 16 moe_tp 1");
  EXPECT_EQ(varied(kSequenceExample, {{"tp", "4"}, {"dp", "2"}}), "dp 2 cp 2 sp 4 tp 4 ep 16 moe_tp 1");
}

// Without SP in the file, cp 2 demands it: the engine's rule decides.
TEST(Variation, SequenceParallelismIsWhatTheEngineDemands) {
  Example plain = kSequenceExample;
  plain.sp = 1;
  EXPECT_EQ(varied(plain, {{"dp", "1"}}), "dp 1 cp 1 sp 1 tp 16 ep 16 moe_tp 1");
  EXPECT_EQ(varied(plain, {{"dp", "1"}, {"cp", "2"}}), "dp 1 cp 2 sp 8 tp 8 ep 16 moe_tp 1");
}

TEST(Variation, ExpertDegreesFillTheRanks) {
  EXPECT_EQ(varied(kContextExample, {{"moe_ep", "4"}}), "dp 1 cp 2 sp 8 tp 8 ep 4 moe_tp 4");
  EXPECT_EQ(varied(kContextExample, {{"moe_tp", "2"}}), "dp 1 cp 2 sp 8 tp 8 ep 8 moe_tp 2");
  EXPECT_EQ(varied(kContextExample, {{"worldSize", "32"}}), "dp 1 cp 2 sp 16 tp 16 ep 32 moe_tp 1");
}

TEST(Variation, SaysWhatFollowed) {
  Diagnostics diagnostics;
  const std::vector<Assignment> one{{"cp", "1"}};
  EXPECT_EQ(vary(base(kContextExample), one, legal, diagnostics).derived, (std::vector<std::string>{"sp 16", "tp 16"}));
}

TEST(Variation, RaisesOnlyTheLimitsThatAreTooLow) {
  Question q = base(kContextExample);  // 65,536 tokens in, 66,560 together
  std::vector<std::string> derived;
  raise_limits(q, {.input_tokens = 4096, .output_tokens = 1024}, derived);
  EXPECT_TRUE(derived.empty());
  raise_limits(q, {.input_tokens = 131'072, .output_tokens = 1024}, derived);
  EXPECT_EQ(derived,
            (std::vector<std::string>{"maxSeqLen 132,096", "maxInputTokenLen 131,072", "maxPrefillTokens 131,072"}));
  // A fixed pool too: prompt and output in blocks of 128 on each of 16 shards, two requests.
  derived.clear();
  q.deployment.pool_tokens = 10'240;
  raise_limits(q, {.input_tokens = 65'536, .output_tokens = 1000, .batch = 2}, derived);
  EXPECT_EQ(q.deployment.pool_tokens, 2 * 33 * 128 * 16);  // 65,536 / 2,048 = 32 blocks a shard and one that is begun
  EXPECT_EQ(derived, (std::vector<std::string>{"kv_cache.pool_tokens 135,168"}));
}

}  // namespace
}  // namespace ascendsim
