// Our own file, --set, convert, explain and disaggregated pairs on the command line.
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "reports/answers/explanations.h"
#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;
using DeploymentFile = ApplicationTest;

const std::filesystem::path kRoot = source_path();

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

constexpr const char* kOwn = R"(ascendsim: 1
stack: mindie-2026-04
model: DeepSeek-R1
layout: {cp: 2, sp: 8, tp: 8, moe_ep: 16}
memory_fraction: 0.92
limits: {max_seq_len: 66560, max_input_tokens: 64K, max_prefill_tokens: 64K, max_prefill_batch: 1, max_batch: 200}
hardware: {server: atlas-800i-a3}
workload: {input_tokens: 64K, output_tokens: 1K}
)";

// Two sides without SP and CP on the decode side.
std::string side(std::int64_t dp, std::int64_t sp, std::int64_t tp, int block = 128, int drafts = 1) {
  return "stack: cann-recipes\nmodel: DeepSeek-R1\nlayout: {dp: " + std::to_string(dp) + ", sp: " + std::to_string(sp) +
         ", tp: " + std::to_string(tp) + "}\nfeatures: {speculative_tokens: " + std::to_string(drafts) +
         "}\nkv_cache: {block_tokens: " + std::to_string(block) +
         "}\nworkload: {input_tokens: 4000, output_tokens: 512, batch: 64}\n";
}

// ---- one path for every file ----------------------------------------------------------------------------------------

TEST_F(DeploymentFile, CarriesHardwareAndLoadAndEqualsTheImport) {
  write("own.yaml", kOwn);
  EXPECT_EQ(run({"run", "own.yaml", "--json"}), kDone) << err;
  const Json own = Json::parse(out);
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--json"}), kDone);
  const Json imported = Json::parse(out);
  for (const char* key : {"ttft_ms", "tpot_ms", "memory_per_rank_bytes", "breakdown", "workload"})
    EXPECT_EQ(own.at(key), imported.at(key)) << key;
  EXPECT_EQ(own.at("deployment").at("engine_version"), "2026-04");
  EXPECT_EQ(run({"check", "own.yaml"}), kDone);
  EXPECT_TRUE(contains(out, "  layout.cp ")) << out;
  EXPECT_EQ(run({"mem", "own.yaml"}), kDone);
}

TEST_F(DeploymentFile, OptionsOverrideTheFile) {
  write("own.yaml", kOwn);
  EXPECT_EQ(run({"run", "own.yaml", "--input", "1K", "--output", "10", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out).at("workload").at("input_tokens"), 1024);
  EXPECT_EQ(run({"run", "own.yaml", "--from", "mindie"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0251]"));
  EXPECT_EQ(run({"run", "own.yaml", "--engine-version", "2030-01"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0211]: unknown software stack 'mindie-2030-01'")) << err;
}

TEST_F(DeploymentFile, NeedsAStack) {
  write("own.yaml", "layout: {tp: 8}\nmodel: DeepSeek-R1\n");
  EXPECT_EQ(run({"check", "own.yaml"}), kWrongInput);
  EXPECT_TRUE(contains(out, "error[E0369]: no software stack is named\n --> own.yaml:1:1\n")) << out;
  EXPECT_TRUE(contains(out, "  = help: stack: cann-recipes; known: cann-recipes-2026-08, cloudmatrix-2025-06")) << out;
}

TEST_F(DeploymentFile, PrintConfigSaysWhereEachValueComesFrom) {
  EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--set", "maxBatchSize=7", "--print-config"}), kDone)
      << err;
  for (const char* line : {"  cp: 2                                  # cp.json:17\n",
                           "  max_batch: 7                           # --set maxBatchSize=7\n",
                           "memory_fraction: 0.92                    # environment NPU_MEMORY_FRACTION\n",
                           "  server: atlas-800i-a3                  # --hardware atlas-800i-a3\n",
                           "  input_tokens: 65536                    # --input 65536\n",
                           "  block_tokens: 128                      # assumed default\n"})
    EXPECT_TRUE(contains(out, line)) << line << out;
  EXPECT_EQ(run({"check", "cp.json", "--print-config"}), kDone);
  EXPECT_TRUE(out.starts_with("ascendsim: 1 "));
  EXPECT_EQ(run({"mem", "cp.json", "--hardware", "atlas-800i-a3", "--print-config"}), kDone);
}

TEST_F(DeploymentFile, SetReplacesAssumptions) {
  write("tp.json",
        R"({"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1_w4a8", "worldSize": 16, "tp": 2}]}})");
  EXPECT_EQ(run({"run", "tp.json", "--hardware", "atlas-800i-a3", "--input", "1K", "--output", "64", "--set", "tp=4",
                 "--set", "memory_fraction=0.92", "--json"}),
            kDone)
      << err << out;
  const Json layout = Json::parse(out).at("deployment").at("phases").at("prefill");
  EXPECT_EQ(layout.at("dp"), 4);
  EXPECT_EQ(layout.at("moe_tp"), 16);
  EXPECT_FALSE(contains(out, "NPU_MEMORY_FRACTION is not set"));
}

TEST_F(DeploymentFile, SpareServersTakeTheirShareOfTheRanks) {
  write("cp.json", context_parallel_fragment());
  EXPECT_EQ(run({"run",        "cp.json",
                 "--hardware", "atlas-800i-a3",
                 "--servers",  "2",
                 "--input",    "1K",
                 "--output",   "8",
                 "--set",      "cp=1",
                 "--set",      "dp=2",
                 "--set",      "maxPrefillTokens=2K",
                 "--set",      "maxInputTokenLen=2K",
                 "--env",      "NPU_MEMORY_FRACTION=0.92",
                 "--json"}),
            kDone)
      << err;
  const Json deployment = Json::parse(out).at("deployment");
  EXPECT_EQ(deployment.at("servers"), 2);
  EXPECT_EQ(deployment.at("cards"), 8);
  EXPECT_EQ(deployment.at("dies"), 16);
  EXPECT_EQ(run_fragment({"--servers", "3"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0327]: 16 ranks cannot be spread evenly over 3 servers\n")) << err;
}

TEST_F(DeploymentFile, DraftsMakeStepsLongerAndTokensCheaper) {
  write("own.yaml", kOwn);
  EXPECT_EQ(run({"run", "own.yaml", "--json"}), kDone);
  const Json without = Json::parse(out);
  EXPECT_EQ(run({"run", "own.yaml", "--json", "--set", "num_speculative_tokens=1", "--acceptance", "0.9", "--env",
                 "NPU_MEMORY_FRACTION=0.96"}),
            kDone)
      << err;
  const Json with = Json::parse(out);
  EXPECT_DOUBLE_EQ(with.at("tokens_per_step"), 1.9);
  EXPECT_GT(with.at("decode_step_ms"), without.at("decode_step_ms"));
  EXPECT_LT(with.at("tpot_ms").at("mean"), without.at("tpot_ms").at("mean"));
  EXPECT_EQ(run({"run", "own.yaml", "--set", "num_speculative_tokens=1", "--env", "NPU_MEMORY_FRACTION=0.96"}), kDone);
  EXPECT_TRUE(contains(out, "\ndecode step ")) << out;
  EXPECT_TRUE(contains(out, " 1.700 tokens a step\n")) << out;
}

TEST_F(DeploymentFile, PrefixHitsShortenTheFirstToken) {
  write("own.yaml", std::string(kOwn) + "features: {prefix_cache: true, kv_nz: true}\n");
  double last = 1e12;
  for (const char* hit : {"0", "32K", "65535"}) {
    EXPECT_EQ(run({"run", "own.yaml", "--json", "--prefix-hit", hit}), kDone) << err;
    const double ttft = Json::parse(out).at("ttft_ms").at("mean");
    EXPECT_LT(ttft, last);
    last = ttft;
  }
  EXPECT_EQ(run({"run", "own.yaml", "--json", "--prefix-hit", "64K"}), kWrongInput);
}

TEST_F(DeploymentFile, AsynchronousSchedulingShortensTheGap) {
  write("own.yaml", kOwn);
  EXPECT_EQ(run({"run", "own.yaml", "--json", "--env", "MINDIE_ASYNC_SCHEDULING_ENABLE=0"}), kDone);
  const double without = Json::parse(out).at("tpot_ms").at("mean");
  EXPECT_EQ(run({"run", "own.yaml", "--json", "--env", "MINDIE_ASYNC_SCHEDULING_ENABLE=true"}), kDone);
  EXPECT_NEAR(without - Json::parse(out).at("tpot_ms").at("mean").get<double>(), 1.8, 1e-6);
}

// ---- convert --------------------------------------------------------------------------------------------------------

TEST_F(DeploymentFile, ConvertedExamplesPredictTheSame) {
  int examples = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot / "examples")) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != ".json" && path.extension() != ".yaml") continue;
    if (contains(path.string(), "/expected/") || contains(path.string(), "/fabric/")) continue;  // no deployments
    ++examples;
    // With the same load: limits that a file leaves open follow from it.
    EXPECT_EQ(run({"convert", path.string(), "--input", "1K", "--output", "256"}), kDone) << path << err;
    write("own.yaml", out);
    std::vector<Json> answers;
    for (const std::string& file : {path.string(), std::string("own.yaml")}) {
      const int code = run({"run", file, "--hardware", "atlas-800i-a3", "--input", "1K", "--output", "256", "--json"});
      EXPECT_TRUE(code == kDone || code == kAnswerIsNo) << path << " " << code << err;
      answers.push_back(Json::parse(out));
    }
    for (const char* key :
         {"ttft_ms", "tpot_ms", "memory_per_rank_bytes", "breakdown", "kv_capacity_tokens", "workload"})
      EXPECT_EQ(answers[0].at(key), answers[1].at(key)) << path << " " << key;
  }
  EXPECT_GT(examples, 8);
}

TEST_F(DeploymentFile, SchemaIsJsonAndItsCopyIsCurrent) {
  EXPECT_EQ(run({"convert", "--schema"}), kDone);
  const Json schema = Json::parse(out);
  EXPECT_EQ(schema.at("properties").at("layout").at("properties").at("tp").at("minimum"), 1);
  EXPECT_EQ(schema.at("properties").at("role").at("enum").at(1), "prefill");
  EXPECT_EQ(out, content(kRoot / "docs/deployment-file.schema.json"))
      << "./ascendsim convert --schema > docs/deployment-file.schema.json";
}

// ---- explain --------------------------------------------------------------------------------------------------------

// Whatever a table of operators or collectives says, `explain` knows: new labels of programs go into
// reports/answers/operator_words.cpp.
TEST_F(DeploymentFile, EveryLabelOfAStepIsExplained) {
  const std::string examples = (kRoot / "examples/").string();
  const std::vector<std::vector<std::string>> runs = {
      {examples + "mindie-context-parallel/config.json", "--input", "16K", "--output", "64"},
      {examples + "mindie-mtp/config.json", "--role", "decode", "--input", "4K", "--output", "64"},
      {examples + "mindie-mtp/config.json", "--role", "prefill", "--input", "4K", "--output", "64"},
      {examples + "mindie-local-tp/config.json", "--role", "decode", "--input", "4K", "--output", "64"},
      {examples + "mindie-tensor-parallel/config.json", "--input", "2K", "--output", "64"},
      {examples + "own-file/token-split-prefill.yaml"},
      {examples + "mindie-prefix-cache/config.json", "--input", "16K", "--output", "64", "--prefix-hit", "8K"},
      {examples + "mindie-context-parallel/config.json", "--model", "deepseek-v3.2-exp", "--set", "cp=1", "--set",
       "sp=1", "--set", "dp=2", "--input", "16K", "--output", "64"},
      {examples + "own-file/expert-parallel-decode.yaml"}};
  std::set<std::string> labels;
  for (std::vector<std::string> words : runs) {
    words.insert(words.begin(), "run");
    words.insert(words.end(), {"--hardware", "atlas-800i-a3", "--top", "1000", "--format", "csv"});
    run(words);
    std::istringstream lines(out);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
      const bool begins = line.starts_with("operator,") || line.starts_with("collective,");
      if (inside && line.find(',') != std::string::npos && !begins) labels.insert(line.substr(0, line.find(',')));
      if (begins) inside = true;
      if (line.empty() || line.starts_with("#")) inside = false;
    }
  }
  EXPECT_GT(labels.size(), 60U);
  for (const std::string& label : labels) EXPECT_EQ(run({"explain", label}), kDone) << label;
}

TEST_F(DeploymentFile, EveryCodeOfTheSourcesHasAnExplanation) {
  std::set<std::string> used, known;
  const std::regex code("\"([EWA][0-9]{4})\"");
  for (const char* folder : {"sim", "hardware", "workloads", "strategies", "reports"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot / folder)) {
      if (entry.path().filename() == "codes.cpp" || entry.path().extension() != ".cpp") continue;
      const std::string text = content(entry.path());
      for (auto it = std::sregex_iterator(text.begin(), text.end(), code); it != std::sregex_iterator(); ++it)
        used.insert((*it)[1]);
    }
  for (const CodeText& c : code_texts()) {
    EXPECT_TRUE(known.emplace(c.code).second) << c.code << " stands twice";
    EXPECT_FALSE(c.meaning.empty() || c.cause.empty() || c.remedy.empty()) << c.code;
  }
  EXPECT_EQ(used, known);
}

TEST_F(DeploymentFile, ExplainKnowsCodesKeysAndMetrics) {
  EXPECT_EQ(run({"explain", "e0303"}), kDone);
  EXPECT_TRUE(out.starts_with("E0303: context parallelism without sequence parallelism\n")) << out;
  EXPECT_EQ(run({"explain", "maxSeqLen"}), kDone);
  EXPECT_TRUE(contains(out, "limits.max_seq_len: prompt and output together\n")) << out;
  EXPECT_TRUE(contains(out, "maxSeqLen: a key of MindIE's config.json\n")) << out;
  EXPECT_EQ(run({"explain", "speed-of-light"}), kDone);
  EXPECT_TRUE(contains(out, "  formula  sum over operators of max(")) << out;
  EXPECT_EQ(run({"explain", "tp", "--json"}), kDone);
  EXPECT_TRUE(Json::parse(out).contains("key"));
  for (const MetricText& m : metric_texts()) EXPECT_EQ(run({"explain", std::string(m.name)}), kDone) << m.name;
  for (const WordText& w : operator_words()) EXPECT_EQ(run({"explain", std::string(w.word)}), kDone) << w.word;
  EXPECT_EQ(run({"explain", "layout.tpp"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0010]: 'layout.tpp' is no diagnostic code, key, metric or word of a table\n  = help: did you mean "
            "'layout.tp'?\n1 "
            "error\n");
}

TEST_F(DeploymentFile, ExplainKnowsTheWordsThatRunPrints) {
  for (const char* word : {"throughput", "hidden communication", "exposed communication", "mc2", "mesh (AI CPU)", "AIV",
                           "one-shot", "bus bandwidth", "bus_bandwidth", "straggler", "KV capacity", "memory per rank",
                           "decode bottleneck", "limit", "idle"})
    EXPECT_EQ(run({"explain", word}), kDone) << word << err;
}

TEST_F(DeploymentFile, ThePageOfAllKeysIsCurrent) {
  EXPECT_EQ(run({"explain", "file", "--format", "md"}), kDone);
  EXPECT_TRUE(contains(content(kRoot / "docs/deployment-file.md"), out)) << "ascendsim explain file --format md\n"
                                                                         << out;
}

// ---- what is said applies to the deployment at hand ----------------------------------------------------------------

TEST_F(DeploymentFile, OnlyFiguresThatTakePartAreAssumptions) {
  write("own.yaml", kOwn);
  ASSERT_EQ(run({"run", "own.yaml"}), kDone) << err;
  for (const char* absent : {"stack memory_fraction is", "stack async_step_gap is", "stack lane_share_attention is"})
    EXPECT_FALSE(contains(out + err, absent)) << absent;
  EXPECT_TRUE(contains(out + err, "warm-up prefill")) << out << err;
  write("decode.yaml", side(32, 1, 1) + "role: decode\nhardware: {server: cloudmatrix384}\n");
  ASSERT_EQ(run({"run", "decode.yaml"}), kDone) << err;
  EXPECT_FALSE(contains(out + err, "warm-up prefill")) << out << err;
}

TEST_F(DeploymentFile, AnOwnFileIsAnsweredInItsOwnWords) {
  write("own.yaml",
        side(32, 1, 1) + "role: decode\nexperts: {exchange: all-to-all}\nhardware: {server: cloudmatrix384}\n");
  ASSERT_EQ(run({"run", "own.yaml"}), kDone) << err;
  EXPECT_TRUE(contains(out, "exchange all-to-all")) << out;
  EXPECT_FALSE(contains(out, "ep_level")) << out;
  EXPECT_EQ(run({"run", "own.yaml", "--set", "limits.max_input_tokens=100"}), kWrongInput);
  EXPECT_TRUE(contains(err,
                       "docs/deployment-file.md: the effective input limit is min(limits.max_input_tokens, "
                       "limits.max_seq_len - 1)"))
      << err;
}

TEST_F(DeploymentFile, LargeThroughputsArePrintedInDigits) {
  write("own.yaml", side(32, 1, 1) + "role: decode\nhardware: {server: cloudmatrix384}\n");
  ASSERT_EQ(run({"run", "own.yaml", "--batch", "1024"}), kDone) << err;
  EXPECT_TRUE(std::regex_search(out, std::regex("throughput +[0-9]+,[0-9]{3} output tok/s"))) << out;
  EXPECT_FALSE(contains(out, "e+0")) << out;
}

TEST_F(DeploymentFile, PrefixHitsWithoutACacheAreNotCounted) {
  write("own.yaml", kOwn);
  ASSERT_EQ(run({"run", "own.yaml", "--json"}), kDone) << err;
  const Json without = Json::parse(out);
  ASSERT_EQ(run({"run", "own.yaml", "--prefix-hit", "32K", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out).at("ttft_ms"), without.at("ttft_ms"));
}

TEST_F(DeploymentFile, OneMistakeIsOneMessage) {
  write("config.json", context_parallel_fragment());
  const std::vector<std::string> load{"--hardware", "atlas-800i-a3", "--input", "4K", "--output", "16"};
  const auto check = [&](std::vector<std::string> more) {
    std::vector<std::string> args{"run", "config.json"};
    args.insert(args.end(), load.begin(), load.end());
    args.insert(args.end(), more.begin(), more.end());
    return run(args);
  };
  EXPECT_EQ(check({"--engine-version", "9.9"}), kWrongInput);
  EXPECT_TRUE(contains(err, "E0211")) << err;
  EXPECT_FALSE(contains(err, "E0366")) << err;
  EXPECT_FALSE(contains(err, "cann-recipes")) << err;
  EXPECT_EQ(check({"--quantisation", "int3"}), kWrongInput);
  EXPECT_FALSE(contains(err, "W0312")) << err;
  write("config.json", context_parallel_fragment("8", "            \"tp\": 4,\n"));
  EXPECT_EQ(check({}), kWrongInput);
  EXPECT_TRUE(contains(err, "duplicate key 'tp'")) << err;
  EXPECT_FALSE(contains(err, "E0301")) << err;
}

TEST_F(DeploymentFile, WhatStrictJsonRefusesIsWarnedOf) {
  std::string text = context_parallel_fragment();
  text.insert(text.find("\"worldSize\""), "// sixteen dies, \"all\" of them\n            ");
  const std::string end = "\"moe_tp\": 1\n";
  text.replace(text.find(end), end.size(), "\"moe_tp\": 1,\n");
  write("config.json", text);
  EXPECT_EQ(run({"check", "config.json", "--hardware", "atlas-800i-a3"}), kDone) << err;
  EXPECT_TRUE(contains(out + err, "warning[W0335]: a comment is no JSON")) << out << err;
  EXPECT_TRUE(contains(out + err, "warning[W0335]: a comma before a closing bracket is no JSON")) << out << err;
}

// ---- pairs ----------------------------------------------------------------------------------------------------------

TEST_F(DeploymentFile, APairNamesItsParts) {
  write("p.yaml", side(2, 8, 8));
  write("d.yaml", side(32, 1, 1));
  const std::vector<std::string> pair{"run",           "--prefill",          "p.yaml",        "--decode",
                                      "d.yaml",        "--prefill-hardware", "atlas-800i-a3", "--decode-hardware",
                                      "cloudmatrix384"};
  EXPECT_EQ(run(pair), kDone) << err << out;
  for (const char* part : {"\n  queue ", "the first token comes from the prefill side\n", "KV transfer of one request",
                           "bytes per decode rank", "prefill ranks a decode rank pulls from  8\n", "RoCE",
                           "prefill memory per rank", "decode memory per rank", "Memory per rank, decode side\n"})
    EXPECT_TRUE(contains(out, part)) << part << out;
  std::vector<std::string> json = pair;
  json.emplace_back("--json");
  EXPECT_EQ(run(json), kDone);
  const Json j = Json::parse(out);
  for (const char* key :
       {"memory_per_rank_bytes", "kv_bytes_per_token_per_rank", "kv_capacity_tokens", "fits", "breakdown"})
    for (const char* role : {"prefill", "decode"}) EXPECT_TRUE(j.at(key).contains(role)) << key;
  // 32 blocks of 128 tokens, 62 layers of 576 columns of 2 bytes.
  EXPECT_EQ(j.at("kv_transfer").at("blocks"), 32);
  EXPECT_EQ(j.at("kv_transfer").at("bytes_per_decode_rank"), 4096 * 71'424);
  EXPECT_EQ(j.at("kv_transfer").at("bytes_per_prefill_rank"), 4096 * 71'424 / 8);
  EXPECT_NEAR(j.at("ttft_parts_ms").at("queue").get<double>() + j.at("ttft_parts_ms").at("prefill").get<double>(),
              j.at("ttft_ms").at("mean").get<double>(), 1e-6);
  EXPECT_EQ(j.at("deployment").at("servers"), 3);
  EXPECT_EQ(j.at("deployment").at("phases").at("decode").at("dp"), 32);
  json.back() = "--print-config";
  EXPECT_EQ(run(json), kDone);
  EXPECT_TRUE(contains(out, "--- # decode: d.yaml\n"));
}

TEST_F(DeploymentFile, SidesThatDoNotMatchAreRefused) {
  write("p.yaml", side(2, 8, 8));
  write("d.yaml", side(4, 8, 8, 64, 0));
  EXPECT_EQ(run({"run", "--prefill", "p.yaml", "--decode", "d.yaml", "--hardware", "cloudmatrix384"}), kWrongInput);
  EXPECT_TRUE(err.starts_with(
      R"(error[E0351]: MTP must be configured on both sides: 1 speculative tokens for prefill, 0 for decode
 --> d.yaml:4:32  features.speculative_tokens
  |
4 | features: {speculative_tokens: 0}
  |                                ^
  = rule: the draft layer's cache of a prompt is filled by the prefill side and read by the decode side
  = help: name drafts on both sides, or on neither
error[E0313]: the decode side of a pair must hold whole caches: it has sp or cp above 1
 --> d.yaml:3:21  layout.sp
  |
3 | layout: {dp: 4, sp: 8, tp: 8}
  |                     ^
  = rule: every decode rank pulls a whole copy
  = help: set layout.sp: 1 and layout.cp: 1 on the decode side
error[E0352]: the two sides have different KV cache blocks
 --> d.yaml:5:26  kv_cache.block_tokens
)")) << err;
  write("cp.json", context_parallel_fragment());
  EXPECT_EQ(run({"run", "--prefill", "cp.json", "--decode", "cp.json", "--hardware", "atlas-800i-a3", "--input", "1K",
                 "--output", "8"}),
            kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0313]: cp can be enabled on prefill nodes only")) << err;
}

TEST_F(DeploymentFile, APairFitsWhenBothSidesDo) {
  write("p.yaml", side(2, 8, 8));
  write("d.yaml", side(8, 1, 1) + "quantisation: w8a8\n");
  EXPECT_EQ(run({"run", "--prefill", "p.yaml", "--decode", "d.yaml", "--hardware", "atlas-800i-a3", "--json"}),
            kAnswerIsNo);
  const Json j = Json::parse(out);
  EXPECT_EQ(j.at("fits").at("prefill"), true);
  EXPECT_EQ(j.at("fits").at("decode"), false);
  EXPECT_TRUE(j.at("shortage").contains("decode"));
  EXPECT_EQ(run({"run", "--prefill", "p.yaml", "--decode", "d.yaml", "--hardware", "atlas-800i-a3"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "It does not fit: decode side\n")) << out;
}

}  // namespace
}  // namespace ascendsim
