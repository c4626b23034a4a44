// Inputs that once broke or misled a command: each is said with its rule and exit 2, or read as it was meant.
#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

class HostileInput : public ApplicationTest {
 protected:
  void SetUp() override {
    ApplicationTest::SetUp();
    write(
        "base.yaml",
        "stack: mindie-2026-04\nmodel: DeepSeek-R1\nlayout: {cp: 2, sp: 8, tp: 8, moe_ep: 16}\n"
        "limits: {max_seq_len: 65K, max_input_tokens: 64K, max_prefill_tokens: 64K, max_prefill_batch: 1, max_batch: "
        "200}\n"
        "memory_fraction: 0.92\nhardware: {server: atlas-800i-a3}\nworkload: {input_tokens: 64K, output_tokens: 1K}\n");
  }
  void expect_error(std::vector<std::string> args, const char* code) {
    EXPECT_EQ(run(std::move(args)), kWrongInput) << err;
    EXPECT_NE(err.find(std::string("error[") + code + "]"), std::string::npos) << err;
  }
};

TEST_F(HostileInput, LoadsOfABenchmarkHaveARange) {
  for (const char* load : {"vllm bench serve --random-input-len 100 --random-output-len 9223372036854775807",
                           "vllm bench serve --random-input-len -1"})
    expect_error({"run", "base.yaml", "--workload", load}, "E0422");
}

TEST_F(HostileInput, MemoryHasARange) {
  expect_error({"run", "base.yaml", "--set", "communication.buffer=4096 PiB"}, "E0361");
  EXPECT_EQ(run({"run", "base.yaml", "--set", "communication.buffer=256 MiB"}), kDone) << err;
}

TEST_F(HostileInput, ExpertLoadsAreCheckedForEveryEngine) {
  for (const char* set : {"experts.imbalance=6", "experts.loads=[0]", "experts.loads=[1]"})
    expect_error({"run", "base.yaml", "--set", set}, "E0378");
}

TEST_F(HostileInput, ExportNamesAnUnknownServer) {
  expect_error({"export", "base.yaml", "--to", "vllm", "--hardware", "atlas-800-a3", "-o", "out"}, "E0201");
}

TEST_F(HostileInput, AModelHasPairsOfRopeColumnsAndABoundOfLayers) {
  const auto model = [](const char* layers, const char* rope) {
    return std::string("{\"hidden_size\":7168,\"vocab_size\":129280,\"num_hidden_layers\":") + layers +
           ",\"first_k_dense_replace\":3,\"num_attention_heads\":128,\"q_lora_rank\":1536,\"kv_lora_rank\":512,"
           "\"qk_nope_head_dim\":128,\"qk_rope_head_dim\":" +
           rope +
           ",\"v_head_dim\":128,\"intermediate_size\":18432,\"moe_intermediate_size\":2048,\"n_routed_experts\":256,"
           "\"n_shared_experts\":1,\"num_experts_per_tok\":8,\"n_group\":8,\"topk_group\":4,"
           "\"num_nextn_predict_layers\":1,\"max_position_embeddings\":163840,\"torch_dtype\":\"float16\","
           "\"model_type\":\"deepseek_v3\"}";
  };
  write("odd.json", model("61", "7"));
  write("deep.json", model("1000000", "64"));
  expect_error({"run", "base.yaml", "--model", "odd.json"}, "E0223");
  expect_error({"run", "base.yaml", "--model", "deep.json"}, "E0223");
}

TEST_F(HostileInput, NothingQuotedReachesATerminalAsAnEscape) {
  write("names.yaml", "stack: mindie\nmodel: \"\\u001b]0;T\\u0007x\"\n\"\\u001b[31mkey\": 1\n");
  EXPECT_EQ(run({"check", "names.yaml"}), kWrongInput);
  for (const std::string* text : {&out, &err}) {
    EXPECT_EQ(text->find('\x1b'), std::string::npos) << *text;
    EXPECT_EQ(text->find('\x07'), std::string::npos) << *text;
  }
  write("lines.yaml", "stack: mindie\nmodel: \"x\\n::warning file=a::injected\\rz\"\n");
  EXPECT_EQ(run({"check", "lines.yaml", "--format", "short"}), kWrongInput);
  EXPECT_EQ((out + err).find("\n::warning"), std::string::npos) << out << err;
}

TEST_F(HostileInput, NoSpreadsheetComputesACell) {
  write(
      "formula.json",
      R"({"BackendConfig":{"ModelDeployConfig":{"maxSeqLen":2560,"ModelConfig":[{"modelName":"DeepSeek-R1_w8a8","worldSize":16,"=1+2":"=1+2"}]}}})");
  run({"check", "formula.json", "--format", "csv"});
  EXPECT_EQ(out.find(",=1+2"), std::string::npos) << out;
  EXPECT_NE(out.find(",'=1+2"), std::string::npos) << out;
}

TEST_F(HostileInput, AByteOrderMarkBeforeAScriptIsSkipped) {
  write(
      "bom.sh",
      "\xEF\xBB\xBFvllm serve /d/DeepSeek-R1-W8A8 --tensor-parallel-size 16 --quantization ascend --max-model-len 8192 "
      "--enable-expert-parallel\n");
  EXPECT_EQ(run({"run", "bom.sh", "--hardware", "atlas-800i-a3", "--input", "4096", "--output", "16", "--set",
                 "memory_fraction=0.95"}),
            kDone)
      << err;
}

// What convert writes is read again, whatever a name holds.
TEST_F(HostileInput, AConvertedFileIsReadAgain) {
  write("connector.yaml",
        "stack: mindie\nmodel: deepseek-r1\nlayout: {tp: 16, moe_ep: 16}\n"
        "kv_transfer: {connector: \"a\\u001b[31m\\n\\\\ \\\"b\"}\n");
  ASSERT_EQ(run({"convert", "connector.yaml"}), kDone) << err;
  const std::string once = out;
  write("converted.yaml", once);
  ASSERT_EQ(run({"convert", "converted.yaml"}), kDone) << err;
  EXPECT_EQ(out, once);
}

// An option with an empty value is no option that is not there.
TEST_F(HostileInput, AnEmptyValueIsSaid) {
  for (const char* option : {"--hardware", "--model", "--set", "--env", "--define", "--die", "--quantisation",
                             "--input", "--acceptance", "--prefix-hit", "--engine-version", "--role", "--from", "-o"}) {
    expect_error({"run", "base.yaml", option, ""}, "E0004");
    EXPECT_NE(err.find(std::string(option) + " has an empty value"), std::string::npos) << err;
  }
  expect_error({"run", "base.yaml", "--hardware="}, "E0004");
  expect_error({"compare", "base.yaml", "--vary", ""}, "E0004");
  expect_error({"explain", "ttft", "--format", ""}, "E0004");
}

TEST_F(HostileInput, BehindTwoDashesAreWords) {
  write("-odd.yaml", read("base.yaml"));
  EXPECT_EQ(run({"check", "--", "-odd.yaml"}), kDone) << err;
  EXPECT_EQ(run({"check", "base.yaml", "--"}), kDone) << err;
}

TEST_F(HostileInput, AUnitBehindABlankIsNoFile) {
  expect_error({"run", "base.yaml", "--input", "64", "K"}, "E0004");
  EXPECT_NE(err.find("without a blank: 64K"), std::string::npos) << err;
}

TEST_F(HostileInput, AMissingFolderIsNamed) {
  expect_error({"explain", "ttft", "-o", "nowhere/answer.txt"}, "E0005");
  EXPECT_NE(err.find("the folder 'nowhere' does not exist"), std::string::npos) << err;
}

TEST_F(HostileInput, ACollectiveIsAnOption) {
  expect_error({"collective", "all-gather"}, "E0003");
  EXPECT_NE(err.find("use --op all-gather"), std::string::npos) << err;
}

// What would take hours or more than memory is refused with the limit, at once.
TEST_F(HostileInput, CommandsHaveALimit) {
  const std::vector<std::string> plan{"plan", "--model",    "deepseek-r1",  "--quantisation",
                                      "w8a8", "--hardware", "atlas-800i-a3"};
  auto servers = plan, cells = plan;
  servers.insert(servers.end(), {"--context", "4K", "--concurrency", "1", "--servers", "4096"});
  expect_error(servers, "E0007");
  std::string many = "1";
  for (int i = 2; i <= 100; ++i) many += "," + std::to_string(i);
  cells.insert(cells.end(), {"--context", many, "--concurrency", many});
  expect_error(cells, "E0398");
  std::vector<std::string> compare{"compare", "base.yaml"};
  for (const char* key : {"limits.max_batch", "limits.max_prefill_batch", "layout.tp", "layout.dp", "layout.moe_ep"})
    compare.insert(compare.end(), {"--vary", std::string(key) + "=" + many});
  expect_error(compare, "E0398");
}

// 32,768 requests of 64K: their work on one rank is counted request by request.
TEST_F(HostileInput, ManyRequestsAreCompared) {
  for (const char* batch : {"32768", "1000000"}) {
    const int code = run({"compare", "base.yaml", "--batch", batch});
    EXPECT_TRUE(code == kDone || code == kAnswerIsNo) << code << err;
  }
  expect_error({"run", "base.yaml", "--batch", "32768"}, "E0342");
}

}  // namespace
}  // namespace ascendsim
