// `export` as it answers: every deployment of the examples goes out and comes back, refusals name their rule, nobody's
// file is written over.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::ordered_json;

class Export : public ApplicationTest {
 protected:
  static std::string example(const std::string& name) { return source_path("examples/") + name; }
  int export_to(const std::string& engine, std::vector<std::string> more) {
    std::vector<std::string> args{"export", "--to", engine, "-o", "out", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return run(std::move(args));
  }
  // The exported files of that ending, in the order in which they were listed.
  [[nodiscard]] std::vector<std::string> files(const std::string& ending) const {
    std::vector<std::string> found;
    const Json answer = Json::parse(out);
    for (const auto& f : answer.at("files"))
      if (const std::string name = f.get<std::string>(); name.ends_with(ending) &&
                                                         name.find("benchmark") == std::string::npos &&
                                                         name.find("env.sh") == std::string::npos)
        found.push_back(name);
    return found;
  }
};

struct Case {
  std::string engine, ending;
  std::vector<std::string> words;
};

// By hand: nothing that was read may be lost on the way back, and what was written is legal.
TEST_F(Export, EveryExampleComesBackToItsOwnEngine) {
  const std::vector<Case> cases = {
      {"mindie", ".json", {example("mindie-context-parallel/config.json")}},
      {"mindie", ".json", {example("mindie-context-parallel/as-printed.json")}},
      {"mindie", ".json", {example("mindie-sequence-parallel/config.json")}},
      {"mindie", ".json", {example("mindie-tensor-parallel/config.json"), "--env", "NPU_MEMORY_FRACTION=0.92"}},
      {"mindie",
       ".json",
       {example("mindie-mtp/config.json"), "--role", "decode", "--env", "MINDIE_ASYNC_SCHEDULING_ENABLE=1"}},
      {"mindie", ".json", {example("mindie-prefix-cache/config.json")}},
      {"mindie", ".json", {example("mindie-local-tp/config.json"), "--role", "decode"}},
      {"mindie",
       ".json",
       {example("mindie-low-latency-decode/config.json"), "--role", "decode", "--set", "tp=2", "--set", "dp=8"}},
      {"mindie", ".json", {example("mindie-full-config/config.json")}},
      {"vllm", ".sh", {example("vllm-ascend-128k-1p1d/decode.sh"), "--hardware", "atlas-800t-a3"}},
      {"sglang", ".sh", {example("sglang-cp32/decode.sh"), "--model", "deepseek-v3.1"}},
      {"sglang", ".sh", {example("sglang-cp32/prefill.sh"), "--model", "deepseek-v3.1"}},
      {"vllm",
       ".sh",
       {example("vllm-ascend-128k-1p1d/prefill0.sh"), example("vllm-ascend-128k-1p1d/prefill1.sh"),
        example("vllm-ascend-128k-1p1d/decode.sh"), "--hardware", "atlas-800t-a3"}},
      {"sglang",
       ".sh",
       {example("sglang-cp32/prefill.sh"), example("sglang-cp32/decode.sh"), "--model", "deepseek-v3.1"}},
      {"mindie",
       ".json",
       {"--prefill", example("mindie-disaggregated/prefill.json"), "--decode",
        example("mindie-disaggregated/decode.json")}}};
  for (const Case& c : cases) {
    std::filesystem::remove_all("out");
    SCOPED_TRACE(c.words.front() + " to " + c.engine);
    ASSERT_EQ(export_to(c.engine, c.words), kDone) << err << out;
    EXPECT_EQ(Json::parse(out).at("differences"), Json::array());
    std::vector<std::string> check{"check"};
    for (const std::string& f : files(c.ending)) check.push_back(f);
    if (const auto hardware = std::ranges::find(c.words, "--hardware"); hardware != c.words.end())
      check.insert(check.end(), {"--hardware", *(hardware + 1)});
    if (std::ranges::find(c.words, "--role") != c.words.end()) check.insert(check.end(), {"--role", "decode"});
    EXPECT_EQ(run(check), kDone) << out << err;
  }
}

TEST_F(Export, MindieToVllmSaysWhatChanges) {
  ASSERT_EQ(export_to("vllm", {example("mindie-context-parallel/config.json"), "--env", "NPU_MEMORY_FRACTION=0.92"}),
            kDone)
      << err;
  const std::string script = read("out/serve.sh");
  for (const char* option :
       {"--tensor-parallel-size 8", "--prefill-context-parallel-size 2", "--decode-context-parallel-size 8",
        "--enable-expert-parallel", "--max-model-len 66560", "--quantization ascend"})
    EXPECT_NE(script.find(option), std::string::npos) << option << "\n" << script;
  std::vector<std::string> keys;
  const Json answer = Json::parse(out);
  for (const auto& d : answer.at("differences"))
    if (d.at("named")) keys.push_back(d.at("key"));
  // vLLM has no limit of prompts alone, and none of prompts in a step.
  EXPECT_EQ(keys, (std::vector<std::string>{"limits.max_input_tokens", "limits.max_prefill_batch"}));
  EXPECT_NE(read("out/benchmark.sh").find("vllm bench serve"), std::string::npos);
  EXPECT_EQ(run({"run", "out/serve.sh", "out/benchmark.sh", "--hardware", "atlas-800i-a3"}), kDone) << err << out;
}

TEST_F(Export, WhatTheEngineCannotRunIsRefusedAndNothingIsWritten) {
  EXPECT_EQ(export_to("sglang", {example("mindie-context-parallel/config.json")}), kWrongInput);
  EXPECT_NE(err.find("error[E0450]: layout.sp 8 becomes 1 in SGLang"), std::string::npos) << err;
  EXPECT_NE(err.find("error[E0442]"), std::string::npos) << "both at once: " << err;
  EXPECT_FALSE(std::filesystem::exists("out"));
  // Context parallelism of vLLM-Ascend 0.15 is for A3.
  EXPECT_EQ(export_to("vllm", {example("mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a2"}),
            kWrongInput);
  EXPECT_NE(err.find("error[E0416]"), std::string::npos) << err;
  // cp 4 is not MindIE's.
  write("cp4.yaml",
        "ascendsim: 1\nstack: cann-recipes-2026-08\nmodel: DeepSeek-R1\nlayout: {cp: 4, sp: 4, tp: 4, moe_ep: 16, "
        "moe_tp: 1}\nlimits: {max_seq_len: 8192, max_input_tokens: 4096}\n");
  EXPECT_EQ(export_to("mindie", {"cp4.yaml"}), kWrongInput);
  EXPECT_NE(err.find("error[E0302]: cp must be 1 or 2, got 4"), std::string::npos) << err;
  EXPECT_EQ(export_to("vlm", {example("mindie-mtp/config.json")}), kWrongInput);
  EXPECT_NE(err.find("did you mean 'vllm'?"), std::string::npos) << err;
}

TEST_F(Export, AMixOfExpertDegreesIsNotVllms) {
  EXPECT_EQ(
      export_to("vllm", {example("mindie-tensor-parallel/config.json"), "--set", "moe_ep=4", "--set", "moe_tp=4"}),
      kWrongInput);
  EXPECT_NE(err.find("error[E0450]: layout.moe_ep 4 becomes"), std::string::npos) << err;
  EXPECT_NE(err.find("pure EP"), std::string::npos) << err;
}

TEST_F(Export, ABaseKeepsWhatIsNotTheDeployment) {
  ASSERT_EQ(export_to("mindie",
                      {example("own-file/context-parallel.yaml"), "--base", example("mindie-full-config/config.json")}),
            kDone)
      << err;
  std::ifstream base(example("mindie-full-config/config.json"));
  std::ifstream made("out/config.json");
  std::vector<std::string> changed;
  std::vector<std::string> before, after;
  for (std::string line; std::getline(base, line);) before.push_back(line);
  for (std::string line; std::getline(made, line);) after.push_back(line);
  for (const std::string& line : before)
    if (std::ranges::find(after, line) == after.end())
      changed.push_back(line.substr(line.find('"'), line.find(" :") - line.find('"')));
  // By hand, from the two files: everything else stands as it stood, TLS included.
  EXPECT_EQ(changed, (std::vector<std::string>{"\"maxSeqLen\"", "\"maxInputTokenLen\"", "\"dp\"", "\"moe_tp\"",
                                               "\"maxPrefillBatchSize\"", "\"maxPrefillTokens\""}));
  EXPECT_EQ(run({"check", "out/config.json"}), kDone) << out;
}

TEST_F(Export, NeverOverWhatIsRead) {
  std::filesystem::copy_file(example("mindie-full-config/config.json"), "config.json");
  EXPECT_EQ(run({"export", "config.json", "--to", "mindie", "-o", "."}), kWrongInput);
  EXPECT_NE(err.find("error[E0453]"), std::string::npos) << err;
  EXPECT_EQ(run({"export", "config.json", "--to", "mindie"}), kWrongInput);
  EXPECT_NE(err.find("--output-file DIR is missing"), std::string::npos) << err;
}

TEST_F(Export, OptionsThatAreOnlyListedAreNamedWhenTheyAreLost) {
  ASSERT_EQ(run({"export", "--launch",
                 "vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 --max-model-len 8K --enable-dbo", "--to",
                 "vllm", "-o", "out"}),
            kDone)
      << err;
  EXPECT_NE(err.find("warning[W0450]: not carried over: --enable-dbo"), std::string::npos) << err;
}

}  // namespace
}  // namespace ascendsim
