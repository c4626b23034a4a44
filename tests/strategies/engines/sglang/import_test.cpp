// SGLang's command lines as deployments: tp-size counts all ranks, limits are global there and per DP rank here.
#include "strategies/engines/sglang/import.h"

#include <set>

#include "tests/source_path.h"
#include "tests/strategies/engines/launch_under_test.h"

namespace ascendsim {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
LaunchedUnderTest start(const std::string& options,
                        const LaunchOptions& o = {.defines = {}, .model = {}, .version = "0.5.18"}) {
  return launch(
      "python3 -m sglang.launch_server --model-path /w/DeepSeek-V3.1 --quantization w8a8_int8 " + options + "\n", o);
}
std::string example(const std::string& name) {
  std::ifstream file(source_path("examples/sglang-cp32/") + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Sglang, TpSizeCountsAllRanks) {
  const auto r = start(
      "--tp 32 --dp-size 4 --enable-dp-attention --max-running-requests 64 --chunked-prefill-size 65536 "
      "--max-prefill-tokens 100000 --moe-a2a-backend deepep");
  EXPECT_EQ(r.said, "");
  const Deployment& d = r.question().deployment;
  EXPECT_EQ(d.layout.dp, 4);
  EXPECT_EQ(d.layout.tp, 8);
  EXPECT_EQ(d.layout.world(), 32);
  EXPECT_EQ(d.layout.moe_ep, 32) << "deepep: ep-size = tp-size";
  EXPECT_EQ(d.limits.max_batch, 16);               // 64 / 4
  EXPECT_EQ(d.limits.max_batched_tokens, 16'384);  // min(100000, 65536 / 4)
}

TEST(Sglang, OldAndNewContextParallelism) {
  EXPECT_EQ(start("--tp 16 --cp-size 8 --disaggregation-mode prefill").question().deployment.layout.tp, 2);
  const auto merged = start("--tp 8 --enable-prefill-cp --cp-strategy zigzag --disaggregation-mode prefill");
  EXPECT_EQ(merged.said, "");
  EXPECT_EQ(merged.question().deployment.layout.cp, 8);
  EXPECT_EQ(merged.question().deployment.layout.tp, 1);
  EXPECT_TRUE(has(start("--tp 16 --cp-size 8 --dp-size 2 --enable-dp-attention").said, "error[E0441]"));
  EXPECT_TRUE(has(start("--tp 16 --cp-size 3").said, "error[E0440]: tp-size 16 must be a multiple of dp 1 x cp 3"));
  EXPECT_TRUE(has(ruled(start("--tp 16 --cp-size 8"), "atlas-800i-a3", "0.5.18"), "error[E0442]"));
  EXPECT_EQ(start("--tp 8 --enable-prefill-cp --cp-strategy interleave --disaggregation-mode prefill")
                .question()
                .deployment.layout.cp_partition,
            PromptPartition::kRoundRobin);
  const auto v32 = start("--tp 8 --enable-prefill-cp --cp-strategy interleave --disaggregation-mode prefill",
                         {.defines = {}, .model = "deepseek-v3.2", .version = {}});
  EXPECT_TRUE(has(ruled(v32, "atlas-800i-a3", "0.5.18"),
                  "warning[W0418]: SGLang's indexer on Ascend takes the two chunks of a zigzag"));
  EXPECT_TRUE(has(ruled(v32, "atlas-800i-a3", "0.5.5"),
                  "error[E0425]: SGLang 0.5.5 has no context parallelism with sparse attention"));
  EXPECT_FALSE(has(ruled(merged, "atlas-800i-a3", "0.5.18"), "W0418"));
  EXPECT_TRUE(has(start("--tp 8 --enable-prefill-cp --cp-strategy stripes").said,
                  "error[E0422]: unknown --cp-strategy 'stripes'"));
}

TEST(Sglang, FeaturesAndWrongInput) {
  const auto r = start(
      "--tp 16 --disable-radix-cache --disable-overlap-schedule --disable-cuda-graph --speculative-algorithm NEXTN "
      "--speculative-num-steps 2 --speculative-num-draft-tokens 3");
  const Question& q = r.question();
  EXPECT_FALSE(q.deployment.features.prefix_cache);
  EXPECT_FALSE(q.deployment.features.async_scheduling);
  EXPECT_EQ(q.deployment.graph.mode, GraphMode::kEager);
  EXPECT_EQ(q.deployment.features.speculative_tokens, 2);
  EXPECT_EQ(q.deployment.layout.moe_ep, 1) << "without DeepEP the experts are cut by columns";
  EXPECT_TRUE(has(start("--tp-sze 8").said, "error[E0420]: unknown option --tp-sze"));
  EXPECT_TRUE(has(start("--tp x").said, "error[E0422]: --tp-size must be an integer, got 'x'"));
  EXPECT_TRUE(has(start("--disaggregation-mode both").said, "error[E0426]: --disaggregation-mode has no 'both'"));
}

TEST(Sglang, ThePullRequestsScripts) {
  const LaunchOptions named{.defines = {{"MODEL_PATH", "/w/DeepSeek-V3.1"}}, .model = {}, .version = "0.5.18"};
  const auto r = launch(
      {{"prefill.sh", example("prefill.sh")}, {"decode.sh", example("decode.sh")}, {"router.sh", example("router.sh")}},
      named);
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.instances.size(), 2u);
  const Deployment& p = r.instances[0].question.deployment;
  EXPECT_EQ(p.layout.cp, 32);  // two addresses x 16
  EXPECT_EQ(p.layout.tp, 1);
  EXPECT_EQ(r.instances[0].question.hardware.servers, 2);
  EXPECT_EQ(p.pool_tokens, 66'560);
  const Deployment& d = r.instances[1].question.deployment;
  EXPECT_EQ(d.layout.tp, 16);
  EXPECT_EQ(d.layout.moe_ep, 1);
  for (const LaunchedInstance& i : r.instances)
    for (const KeyReport& k : i.keys) EXPECT_NE(k.use, KeyUse::kUnknown) << k.path;
  // A router that sends elsewhere; its host cannot be compared.
  std::string router = example("router.sh");
  router.replace(router.find("${d0}:30002"), 11, "${d0}:30009");
  EXPECT_TRUE(has(
      launch({{"prefill.sh", example("prefill.sh")}, {"decode.sh", example("decode.sh")}, {"router.sh", router}}, named)
          .said,
      "warning[W0431]: the router sends to http://192.0.2.3:30009"));
  // As printed: one address, 8 CP x 2 TP.
  const auto printed = launch(example("prefill-as-printed.sh"), named);
  EXPECT_EQ(printed.said, "");
  EXPECT_EQ(printed.question().deployment.layout.cp, 8);
  EXPECT_EQ(printed.question().deployment.layout.tp, 2);
  EXPECT_EQ(printed.question().deployment.pool_tokens, 10'240);
  EXPECT_TRUE(has(launch(example("prefill-as-printed.sh"), {.defines = {}, .model = {}, .version = "0.5.18"}).said,
                  "the model is the value of MODEL_PATH"));
}

}  // namespace
}  // namespace ascendsim
