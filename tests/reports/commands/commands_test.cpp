// Answers and exit codes of the commands; no times, those belong to validation.
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;
using Commands = ApplicationTest;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(Commands, RunAnswersOnStdoutAndFits) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92"}), kDone);
  EXPECT_EQ(err, "");
  for (const char* part :
       {"model     DeepSeek-R1, W8A8, float16\n", "1 server / 8 cards / 16 dies (one rank = one die)\n",
        "dp 1  cp 2  sp 8  tp 8  moe_ep 16  moe_tp 1  ep_level 1\n",
        "65,536 tokens in, 1,024 out, 1 request side by side\n", "\nTTFT ", "\nTPOT ", "\nthroughput ", ": BORDERLINE, ",
        "\nprefill bottleneck ", "\ndecode speed of light ", "Operators of a prefill step (10 of ",
        "Collectives of a decode step\n", "Assumptions\n", "Notes on the input\n", "(cp.json:9)\n"})
    EXPECT_TRUE(contains(out, part)) << part;
}

TEST_F(Commands, RunThatDoesNotFitSaysWhatWouldAndExitsOne) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.8"}), kAnswerIsNo);
  for (const char* part :
       {"\nTTFT ", "(does not fit: if there were memory enough)\n", "DOES NOT FIT, ", "It does not fit\n  need ",
        "\n  have ", "\n  largest  weights, 41.36 GiB\n", "What would fit\n", "NPU_MEMORY_FRACTION=0."})
    EXPECT_TRUE(contains(out, part)) << part;
}

TEST_F(Commands, RunRefusesWhatTheEngineRefuses) {
  write("bad.json", context_parallel_fragment("4"));
  EXPECT_EQ(run({"run", "bad.json", "--hardware", "atlas-800i-a3", "--input", "64K", "--output", "1K"}), kWrongInput);
  EXPECT_EQ(out, "");
  EXPECT_TRUE(contains(err, "error[E0301]: sp must be 1 or equal to tp: sp is 4, tp is 8\n  --> bad.json:18:19"));
  EXPECT_EQ(run_fragment({"--input", "65537"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0340]"));
  EXPECT_EQ(run_fragment({"--output", "1025"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0341]"));
}

TEST_F(Commands, StrictTurnsWarningsIntoErrors) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--env", "FOO=1"}), kDone);
  EXPECT_EQ(err,
            "warning[W0006]: environment variable FOO has no effect here\n  = help: known: NPU_MEMORY_FRACTION, "
            "MINDIE_ASYNC_SCHEDULING_ENABLE\n");
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--env", "FOO=1", "--strict"}), kWrongInput);
  EXPECT_EQ(out, "");
}

TEST_F(Commands, ServersBeyondTheFabric) {
  write("cp.json", context_parallel_fragment());
  EXPECT_EQ(
      run({"run", "cp.json", "--hardware", "cloudmatrix384", "--servers", "49", "--input", "1K", "--output", "1K"}),
      kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0007]: --servers must be at most 48 for ")) << err;
}

TEST_F(Commands, InconsistentExpertsOfSeveralNodesAreRefused) {
  write(
      "nodes.json",
      R"({"BackendConfig": {"multiNodesInferEnabled": true, "ModelDeployConfig": {"maxSeqLen": 4096, "maxInputTokenLen": 2048,
    "ModelConfig": [{"modelName": "DeepSeek-R1_w8a8", "dp": 4, "tp": 8, "moe_ep": 8, "moe_tp": 2}]}}})");
  EXPECT_EQ(run({"check", "nodes.json"}), kWrongInput);
  EXPECT_TRUE(contains(out, "E0306")) << out;
}

TEST_F(Commands, RunJsonHasTheStableKeys) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--json"}), kDone);
  const Json json = Json::parse(out);
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_EQ(json.at("deployment").at("engine"), "mindie");
  EXPECT_EQ(json.at("deployment").at("cards"), 8);
  EXPECT_EQ(json.at("deployment").at("dies"), 16);
  for (const char* phase : {"prefill", "decode"}) {
    const Json layout = {{"dp", 1}, {"cp", 2}, {"sp", 8}, {"tp", 8}, {"moe_ep", 16}, {"moe_tp", 1}, {"ep_level", 1}};
    EXPECT_EQ(json.at("deployment").at("phases").at(phase), layout);
    double sum = 0;
    for (const char* part :
         {"attention_ms", "linear_ms", "moe_ms", "vector_ms", "exposed_communication_ms", "host_ms", "idle_ms"})
      sum += json.at("breakdown").at(phase).at(part).get<double>();
    EXPECT_GE(json.at("breakdown").at(phase).at("communication_ms"),
              json.at("breakdown").at(phase).at("exposed_communication_ms"));
    if (std::string(phase) == "prefill") {
      EXPECT_NEAR(sum, json.at("prefill_step_ms").get<double>(), 1e-6);
    }
    EXPECT_FALSE(json.at("operators").at(phase).empty());
    EXPECT_FALSE(json.at("collectives").at(phase).empty());
    EXPECT_GE(json.at("classes").at(phase), 1);
  }
  const Json load = {{"input_tokens", 65536}, {"output_tokens", 1024}, {"concurrency", 1}};
  EXPECT_EQ(json.at("workload"), load);
  for (const char* metric : {"ttft_ms", "tpot_ms", "itl_ms", "e2el_ms"})
    for (const char* statistic : {"mean", "p50", "p90", "p99"}) EXPECT_GT(json.at(metric).at(statistic), 0) << metric;
  for (const char* key : {"output_throughput_tok_s", "output_throughput_per_card_tok_s", "request_throughput_req_s",
                          "prefill_step_ms", "decode_step_ms", "tokens_per_step", "kv_bytes_per_token_per_rank",
                          "kv_capacity_tokens", "kv_blocks", "smallest_memory_fraction"})
    EXPECT_GT(json.at(key), 0) << key;
  for (const char* key : {"weights", "weights_without_scales", "kv_cache", "activations", "communication", "runtime",
                          "peak", "capacity", "allowed"})
    EXPECT_GT(json.at("memory_per_rank_bytes").at(key), 0) << key;
  for (const char* key : {"prefill_ms", "decode_ms"}) EXPECT_GT(json.at("speed_of_light").at(key), 0);
  EXPECT_EQ(json.at("fits"), true);
  EXPECT_FALSE(json.at("memory_components").at("weights").empty());
  EXPECT_FALSE(json.at("assumptions").empty());
  for (const char* key : {"code", "severity", "message", "file", "line", "column", "rule", "help"})
    EXPECT_TRUE(json.at("diagnostics").at(0).contains(key)) << key;
}

TEST_F(Commands, OneSideOfADisaggregatedPairAnswersForItself) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--json", "--role", "prefill"}), kDone);
  const Json json = Json::parse(out);
  EXPECT_GT(json.at("ttft_ms").at("mean"), 0);
  EXPECT_TRUE(json.at("tpot_ms").at("mean").is_null());
  EXPECT_EQ(json.at("fits").at("prefill"), true);
  EXPECT_FALSE(json.at("breakdown").contains("decode"));
  EXPECT_EQ(run_fragment({"--role", "prefill", "--env", "NPU_MEMORY_FRACTION=0.92"}), kDone);
  EXPECT_FALSE(contains(out, "TPOT"));
}

TEST_F(Commands, OneOutputTokenHasNoTpot) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--json", "--output", "1"}), kDone);
  EXPECT_TRUE(Json::parse(out).at("tpot_ms").at("p99").is_null());
}

TEST_F(Commands, AMillionRequestsAreAnAnswerToo) {
  std::string text = context_parallel_fragment();
  text.replace(text.find("\"maxPrefillBatchSize\""), 0, "\"maxBatchSize\": 819200, ");
  write("many.json", text);
  EXPECT_EQ(
      run({"run", "many.json", "--hardware", "atlas-800i-a3", "--input", "64", "--output", "1K", "--batch", "800000"}),
      kAnswerIsNo);
  EXPECT_TRUE(contains(out, "  largest         KV cache, ")) << err;
}

TEST_F(Commands, CsvAndMarkdownOfRun) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--format", "csv"}), kDone);
  EXPECT_TRUE(contains(out, "# breakdown\npart,prefill_ms,prefill_share_percent,decode_ms,decode_share_percent\n"));
  EXPECT_TRUE(
      contains(out, "# decode_operators\noperator,category,count,time_ms,share_percent,flop,bytes,limit,source\n"));
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--format", "md"}), kDone);
  EXPECT_TRUE(contains(out, "### Collectives of a prefill step\n\n| collective | primitive |"));
}

TEST_F(Commands, CheckShowsFindingsKeysAndVerdict) {
  write("good.json", context_parallel_fragment());
  write("bad.json", context_parallel_fragment("4", "            \"moe-ep\": 16,\n"));
  EXPECT_EQ(run({"check", "good.json", "--hardware", "atlas-800i-a3"}), kDone);
  EXPECT_EQ(err, "");
  EXPECT_TRUE(contains(out, "Keys of good.json\n"));
  EXPECT_TRUE(contains(
      out,
      "Verdict\n  good.json  legal; memory per rank at its own limits (65,536 tokens in, 1,024 out, one request): "));
  EXPECT_TRUE(contains(out, "DOES NOT FIT")) << "the default fraction is too small, and check still says legal";
  EXPECT_EQ(run({"check", "bad.json", "good.json", "--hardware", "atlas-800i-a3"}), kWrongInput);
  EXPECT_TRUE(contains(out, "did you mean \"moe_ep\"?"));
  EXPECT_TRUE(contains(out, "  bad.json   NOT LEGAL: 1 error, 1 warning\n"));
}

TEST_F(Commands, CheckForMachines) {
  write("bad.json", context_parallel_fragment("4"));
  EXPECT_EQ(run({"check", "bad.json", "--hardware", "atlas-800i-a3", "--format", "short"}), kWrongInput);
  EXPECT_TRUE(contains(out, "bad.json:18:19: error[E0301]: sp must be 1 or equal to tp: sp is 4, tp is 8\n"));
  EXPECT_EQ(run({"check", "bad.json", "--hardware", "atlas-800i-a3", "--format", "github"}), kWrongInput);
  EXPECT_TRUE(contains(
      out, "::error file=bad.json,line=18,col=19,title=E0301::sp must be 1 or equal to tp: sp is 4, tp is 8%0Arule: "));
  EXPECT_EQ(run({"check", "bad.json", "--hardware", "atlas-800i-a3", "--json"}), kWrongInput);
  const Json json = Json::parse(out);
  EXPECT_EQ(json.at("files").at(0).at("legal"), false);
  EXPECT_EQ(json.at("files").at(0).at("keys").at(0).at("path"), "ModelDeployConfig");
}

TEST_F(Commands, MemShowsComponentsAndConcurrency) {
  write("cp.json", context_parallel_fragment());
  EXPECT_EQ(run({"mem", "cp.json", "--hardware", "atlas-800i-a3"}), kAnswerIsNo);
  EXPECT_EQ(run({"mem", "cp.json", "--hardware", "atlas-800i-a3", "--env", "NPU_MEMORY_FRACTION=0.92"}), kDone);
  for (const char* part : {"65,536 tokens in, 1,024 out, 1 request", "Weights per rank by module\n",
                           "Activations alive at the peak\n", "Communication buffers by group\n",
                           "smallest NPU_MEMORY_FRACTION that starts", "Sequences that fit side by side"})
    EXPECT_TRUE(contains(out, part)) << part;
  EXPECT_EQ(run({"mem", "cp.json", "--hardware", "atlas-800i-a3", "--env", "NPU_MEMORY_FRACTION=0.92", "--json"}),
            kDone);
  const Json json = Json::parse(out);
  EXPECT_GT(json.at("longest_context_tokens"), 65536);
  EXPECT_EQ(json.at("concurrency").at(0).at("context_tokens"), 4096);
}

TEST_F(Commands, ListKnowsHardwareModelsAndEngines) {
  EXPECT_EQ(run({"list"}), kDone);
  for (const char* part : {"atlas-800i-a2", "cloudmatrix384", "DeepSeek-R1", "mindie"})
    EXPECT_TRUE(contains(out, part)) << part;
  EXPECT_EQ(run({"list", "hardware", "atlas-800i-a3", "--format", "csv"}), kDone);
  EXPECT_TRUE(contains(out, "# figures\npart,figure,value,unit,kind,range,source\n"));
  EXPECT_EQ(run({"list", "hardware", "a3-376t", "--json"}), kDone);
  EXPECT_FALSE(Json::parse(out).at("figures").empty());
  EXPECT_EQ(run({"list", "engines", "mindie"}), kDone);
  EXPECT_EQ(run({"list", "hardwre"}), kWrongInput);
  EXPECT_EQ(err, "error[E0009]: there is no list of 'hardwre'\n  = help: did you mean 'hardware'?\n1 error\n");
}

}  // namespace
}  // namespace ascendsim
