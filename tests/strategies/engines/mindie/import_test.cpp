// What becomes of every key of a config.json, and what is said about keys that cannot be read.
#include "strategies/engines/mindie/import.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "strategies/engines/mindie/keys.h"
#include "tests/golden.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

// The fragment that the documentation page prints, braces missing, as it stands there.
constexpr const char* kContextPage = R"(    "ModelDeployConfig" :
    {
        "maxSeqLen" : 2560,
        "maxInputTokenLen" : 2048,
        "truncation" : false,
        "ModelConfig" : [
            {
                "modelInstanceType" : "Standard",
                "modelName" : "DeepSeek-R1_w8a8",
                "modelWeightPath" : "/data/weights/DeepSeek-R1_w8a8",
                "worldSize" : 16,
                "cpuMemSize" : 5,
                "npuMemSize" : -1,
                "backendType" : "atb",
                "trustRemoteCode" : false,
                "dp": 1,
                "cp": 2,
                "sp": 8,
                "tp": 8,
                "moe_ep": 16,
                "moe_tp": 1
            }
        ]
    }
)";
constexpr const char* kSequencePage = R"(    "ModelDeployConfig" :
    {
        "maxSeqLen" : 2560,
        "maxInputTokenLen" : 2048,
        "truncation" : false,
        "ModelConfig" : [
            {
                "modelInstanceType" : "Standard",
                "modelName" : "DeepSeek-R1_w8a8",
                "modelWeightPath" : "/data/weights/DeepSeek-R1_w8a8",
                "worldSize" : 16,
                "cpuMemSize" : 5,
                "npuMemSize" : -1,
                "backendType" : "atb",
                "trustRemoteCode" : false,
                "dp": 2,
                "sp": 8,
                "tp": 8,
                "moe_ep": 16,
                "moe_tp": 1
            }
        ]
    }
)";

// A whole file: every section, the layout of the context example, plugin_params as a string.
constexpr const char* kFullFile = R"({
  "Version" : "1.0.0",
  "ServerConfig" : { "ipAddress" : "127.0.0.1", "port" : 1025, "maxLinkNum" : 1000, "httpsEnabled" : false,
                     "inferMode" : "standard", "openAiSupport" : "vllm", "tokenTimeout" : 600 },
  "BackendConfig" : {
    "backendName" : "mindieservice_llm_engine", "modelInstanceNumber" : 1,
    "npuDeviceIds" : [[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]], "tokenizerProcessNumber" : 8,
    "multiNodesInferEnabled" : false, "multiNodesInferPort" : 1120,
    "ModelDeployConfig" : { "maxSeqLen" : 66000, "maxInputTokenLen" : 65000, "truncation" : 0,
      "ModelConfig" : [ { "modelInstanceType" : "Standard", "modelName" : "DeepSeek-R1_w8a8",
        "modelWeightPath" : "/data/weights/DeepSeek-R1_w8a8", "worldSize" : 16, "cpuMemSize" : 5, "npuMemSize" : -1,
        "backendType" : "atb", "trustRemoteCode" : false, "dp" : 1, "cp" : 2, "sp" : 8, "tp" : 8, "moe_ep" : 16, "moe_tp" : 1,
        "async_scheduler_wait_time" : 120, "kv_trans_timeout" : 10, "kv_link_timeout" : 1080,
        "plugin_params" : "{\"plugin_type\":\"mtp,prefix_cache\",\"num_speculative_tokens\": 1}",
        "models" : { "deepseekv2" : { "ep_level" : 1, "kv_cache_options" : { "enable_nz" : true } } } } ] },
    "ScheduleConfig" : { "templateType" : "Standard", "templateName" : "Standard_LLM", "cacheBlockSize" : 128,
      "maxPrefillBatchSize" : 1, "maxPrefillTokens" : 65000, "prefillTimeMsPerReq" : 150, "prefillPolicyType" : 0,
      "decodeTimeMsPerReq" : 50, "decodePolicyType" : 0, "maxBatchSize" : 64, "maxIterTimes" : 1000, "maxPreemptCount" : 0,
      "supportSelectBatch" : false, "maxQueueDelayMicroseconds" : 5000, "maxFirstTokenWaitTime" : 2500 } },
  "LogConfig" : { "dynamicLogLevel" : "" },
  "EnableDynamicAdjustTimeoutConfig" : false
})";

std::string key_table(const Imported& r) {
  std::string text;
  for (const KeyReport& k : r.import.keys)
    text += fmt::format("{} = {}: {}{}{}\n", k.path, k.value, to_text(k.use), k.remark.empty() ? "" : "; ", k.remark);
  return text;
}

// Errors and warnings about the context example with some of its text changed.
std::string said(const std::string& from, const std::string& to) {
  const Imported r = import_text(replaced(config_json(kContextExample), from, to));
  return r.errors + r.warnings;
}
std::string said_about_plugin(const std::string& params) {
  return said("\"trustRemoteCode\" : false,",
              "\"trustRemoteCode\" : false,\n      \"plugin_params\" : " + params + ",");
}
std::string said_about_options(const std::string& options) {
  return said("\"ep_level\" : 1", "\"ep_level\" : 1,\n        " + options);
}
std::string said_about_schedule(const std::string& key) {
  return said("\"maxPrefillTokens\"", key + ",\n    \"maxPrefillTokens\"");
}
std::string said_about_text(const std::string& text) {
  const Imported r = import_text(text);
  return r.errors + r.warnings;
}
std::string one_model(const std::string& keys) {
  return R"({"ModelDeployConfig": {"ModelConfig": [{)" + keys + "}]}}\n";
}
std::string notes_about(const std::string& keys, const ImportOptions& options = {}) {
  return import_text(one_model(keys), options).notes;
}

Deployment imported(const std::string& text, const ImportOptions& options = {}) {
  const Imported r = import_text(text, options);
  EXPECT_EQ(r.errors, "");
  return r.import.question.deployment;
}

void expect_layout(const Layout& l, const Layout& expected) {
  EXPECT_EQ(l.dp, expected.dp);
  EXPECT_EQ(l.cp, expected.cp);
  EXPECT_EQ(l.sp, expected.sp);
  EXPECT_EQ(l.tp, expected.tp);
  EXPECT_EQ(l.moe_ep, expected.moe_ep);
  EXPECT_EQ(l.moe_tp, expected.moe_tp);
  EXPECT_EQ(l.ep_level, expected.ep_level);
}

// ---- what is read ---------------------------------------------------------------------------------------------------

TEST(MindieImport, ReadsTheFragmentsAsThePagesPrintThem) {
  const Deployment context = imported(kContextPage), sequence = imported(kSequencePage);
  expect_layout(context.layout, {.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  expect_layout(sequence.layout, {.dp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  for (const Deployment& d : {context, sequence}) {
    EXPECT_EQ(d.model.name, "DeepSeek-R1");
    EXPECT_EQ(d.quantisation.name, "W8A8");
    EXPECT_EQ(d.limits.max_seq_len, 2560);
    EXPECT_EQ(d.limits.max_input_tokens, 2048);
    EXPECT_EQ(d.limits.max_prefill_tokens, 8192);  // defaults from here on
    EXPECT_EQ(d.limits.max_prefill_batch, 50);
    EXPECT_EQ(d.limits.max_batch, 200);
    EXPECT_EQ(d.limits.block_tokens, 128);
    EXPECT_EQ(d.memory_fraction, 0.8);
    EXPECT_EQ(d.role, Role::kHybrid);
  }
}

TEST(MindieImport, ReadsAWholeFile) {
  const Deployment d = imported(kFullFile);
  expect_layout(d.layout, {.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  EXPECT_EQ(d.limits.max_seq_len, 66'000);
  EXPECT_EQ(d.limits.max_input_tokens, 65'000);
  EXPECT_EQ(d.limits.max_prefill_tokens, 65'000);
  EXPECT_EQ(d.limits.max_prefill_batch, 1);
  EXPECT_EQ(d.limits.max_batch, 64);
  EXPECT_EQ(d.features.speculative_tokens, 1);
  EXPECT_TRUE(d.features.prefix_cache);
  EXPECT_FALSE(d.features.splitfuse);
  EXPECT_TRUE(d.features.kv_nz);
}

TEST(MindieImport, RemembersWhereAValueWasWritten) {
  const Deployment d = imported(config_json(kContextExample));
  EXPECT_EQ(d.origin("sp").where.line, 17);
  EXPECT_EQ(d.origin("sp").where.key_path, "ModelDeployConfig.ModelConfig[0].sp");
  EXPECT_FALSE(d.origin("sp").assumed);
  EXPECT_TRUE(d.origin("maxBatchSize").assumed);
  EXPECT_TRUE(d.origin("no such key").assumed);
}

// ---- what becomes of every key --------------------------------------------------------------------------------------

TEST(MindieImport, AccountsForEveryKeyOfTheContextExample) {
  expect_golden("strategies/engines/mindie/accounts_for_every_key_of_the_context_example.txt",
                key_table(import_text(config_json(kContextExample))));
}

TEST(MindieImport, AccountsForEveryKeyOfAWholeFile) {
  expect_golden("strategies/engines/mindie/accounts_for_every_key_of_a_whole_file.txt",
                key_table(import_text(kFullFile)));
  EXPECT_EQ(import_text(kFullFile).errors, "");
  EXPECT_EQ(import_text(kFullFile).warnings, "");
}

TEST(MindieImport, PrintsWhatItAssumes) {
  expect_golden("strategies/engines/mindie/prints_what_it_assumes.txt", import_text(kContextPage).notes);
}

TEST(MindieImport, SuggestsTheKeyThatWasMeant) {
  EXPECT_EQ(said("\"moe_ep\"", "\"moe-ep\""),
            R"(warning[W0330]: unknown key "moe-ep"
  --> config.json:19:7  ModelDeployConfig.ModelConfig[0].moe-ep
   |
19 |       "moe-ep" : 16,
   |       ^
   = rule: MindIE ignores keys that it does not know without a message
   = help: did you mean "moe_ep"?
)");
}

TEST(MindieImport, SuggestsRemovingAKeyThatIsLikeNone) {
  EXPECT_EQ(said("\"backendType\"", "\"zzzzzzzz\""),
            R"(warning[W0330]: unknown key "zzzzzzzz"
  --> config.json:13:7  ModelDeployConfig.ModelConfig[0].zzzzzzzz
   |
13 |       "zzzzzzzz" : "atb",
   |       ^
   = rule: MindIE ignores keys that it does not know without a message
   = help: remove it
)");
}

TEST(MindieImport, SuggestsInEverySection) {
  EXPECT_EQ(said("\"maxPrefillTokens\"", "\"maxPrefillToken\""),
            R"(warning[W0330]: unknown key "maxPrefillToken"
  --> config.json:25:5  ScheduleConfig.maxPrefillToken
   |
25 |     "maxPrefillToken" : 65536,
   |     ^
   = rule: MindIE ignores keys that it does not know without a message
   = help: did you mean "maxPrefillTokens"?
)");
  EXPECT_EQ(said("\"ep_level\"", "\"eplevel\""),
            R"(warning[W0330]: unknown key "eplevel"
  --> config.json:21:37  ModelDeployConfig.ModelConfig[0].models.deepseekv2.eplevel
   |
21 |       "models" : { "deepseekv2" : { "eplevel" : 1 } }
   |                                     ^
   = rule: MindIE ignores keys that it does not know without a message
   = help: did you mean "ep_level"?
)");
}

// No key of the tables is reported as unknown, and each as the table says.
TEST(MindieImport, KnowsEveryKeyOfItsTables) {
  const auto expect_known = [](std::span<const KeySpec> specs, const std::string& before, const std::string& after) {
    for (const KeySpec& spec : specs) {
      const Imported r = import_text(before + "\"" + std::string(spec.key) + "\": {}" + after);
      const auto reported = std::ranges::find_if(r.import.keys, [&](const KeyReport& k) {
        return k.path == spec.key || k.path.ends_with("." + std::string(spec.key));
      });
      ASSERT_NE(reported, r.import.keys.end()) << spec.key;
      EXPECT_EQ(reported->use, spec.use) << spec.key;
    }
  };
  const MindieSections& s = mindie_sections();
  expect_known(s.schedule, R"({"ModelDeployConfig": {"ModelConfig": [{}]}, "ScheduleConfig": {)", "}}");
  expect_known(s.server, R"({"ModelDeployConfig": {"ModelConfig": [{}]}, "ServerConfig": {)", "}}");
  expect_known(s.model, R"({"ModelDeployConfig": {"ModelConfig": [{)", "}]}}");
  expect_known(s.deepseek, R"({"ModelDeployConfig": {"ModelConfig": [{"models": {"deepseekv2": {)", "}}}]}}");
}

// ---- numbers and types ----------------------------------------------------------------------------------------------

TEST(MindieImport, RefusesWrongDegrees) {
  EXPECT_EQ(said("\"tp\" : 8", "\"tp\" : 0"),
            R"(error[E0241]: tp must be in [1, 1048576], got 0
  --> config.json:18:14  ModelDeployConfig.ModelConfig[0].tp
   |
18 |       "tp" : 0,
   |              ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"dp\" : 1", "\"dp\" : -1"),
            R"(error[E0241]: dp must be in [1, 1048576], got -1
  --> config.json:15:14  ModelDeployConfig.ModelConfig[0].dp
   |
15 |       "dp" : -1,
   |              ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"sp\" : 8", "\"sp\" : 9223372036854775808"),
            R"(error[E0117]: expected an integer, got 9223372036854775808, which does not fit into 64 bits
  --> config.json:17:14  ModelDeployConfig.ModelConfig[0].sp
   |
17 |       "sp" : 9223372036854775808,
   |              ^
)");
  EXPECT_EQ(said("\"moe_ep\" : 16", "\"moe_ep\" : 9223372036854775807"),
            R"(error[E0241]: moe_ep must be in [1, 1048576], got 9223372036854775807
  --> config.json:19:18  ModelDeployConfig.ModelConfig[0].moe_ep
   |
19 |       "moe_ep" : 9223372036854775807,
   |                  ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"cp\" : 2", "\"cp\" : \"2\""),
            R"(error[E0116]: expected an integer, got "2" (a string)
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : "2",
   |              ^
)");
  EXPECT_EQ(said("\"moe_tp\" : 1", "\"moe_tp\" : 1.5"),
            R"(error[E0117]: expected an integer, got 1.5 (a fraction)
  --> config.json:20:18  ModelDeployConfig.ModelConfig[0].moe_tp
   |
20 |       "moe_tp" : 1.5,
   |                  ^
)");
  EXPECT_EQ(said("\"worldSize\" : 16", "\"worldSize\" : [16]"),
            R"(error[E0116]: expected an integer, got a sequence
  --> config.json:10:21  ModelDeployConfig.ModelConfig[0].worldSize
   |
10 |       "worldSize" : [16],
   |                     ^
)");
}

TEST(MindieImport, RefusesWrongLimits) {
  EXPECT_EQ(said("\"maxSeqLen\" : 66560", "\"maxSeqLen\" : 0"),
            R"(error[E0241]: maxSeqLen must be at least 1, got 0
 --> config.json:3:19  ModelDeployConfig.maxSeqLen
  |
3 |     "maxSeqLen" : 0,
  |                   ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"maxInputTokenLen\" : 65536", "\"maxInputTokenLen\" : 4194305"),
            R"(error[E0241]: maxInputTokenLen must be in [1, 4194304], got 4194305
 --> config.json:4:26  ModelDeployConfig.maxInputTokenLen
  |
4 |     "maxInputTokenLen" : 4194305,
  |                          ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"maxPrefillTokens\" : 65536", "\"maxPrefillTokens\" : .nan"),
            R"(error[E0117]: expected an integer, got .nan (not a finite number)
  --> config.json:25:26  ScheduleConfig.maxPrefillTokens
   |
25 |     "maxPrefillTokens" : .nan,
   |                          ^
)");
  EXPECT_EQ(said("\"maxPrefillBatchSize\" : 1", "\"maxPrefillBatchSize\" : -1"),
            R"(error[E0241]: maxPrefillBatchSize must be in [0, 819200], got -1
  --> config.json:26:29  ScheduleConfig.maxPrefillBatchSize
   |
26 |     "maxPrefillBatchSize" : -1
   |                             ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_schedule("\"maxBatchSize\" : 819201"),
            R"(error[E0241]: maxBatchSize must be in [1, 819200], got 819201
  --> config.json:25:22  ScheduleConfig.maxBatchSize
   |
25 |     "maxBatchSize" : 819201,
   |                      ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, RefusesWrongBlockSizes) {
  EXPECT_EQ(said_about_schedule("\"cacheBlockSize\" : 100"),
            R"(error[E0241]: cacheBlockSize must be a multiple of 16, got 100
  --> config.json:25:24  ScheduleConfig.cacheBlockSize
   |
25 |     "cacheBlockSize" : 100,
   |                        ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_schedule("\"cacheBlockSize\" : 256"),
            R"(error[E0241]: cacheBlockSize must be in [1, 128], got 256
  --> config.json:25:24  ScheduleConfig.cacheBlockSize
   |
25 |     "cacheBlockSize" : 256,
   |                        ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_schedule("\"cacheBlockSize\" : 64"), "");
}

TEST(MindieImport, RefusesWrongMemorySizes) {
  EXPECT_EQ(said("\"npuMemSize\" : -1", "\"npuMemSize\" : 0"),
            R"(error[E0241]: npuMemSize must be -1 or a positive number of GB, got 0
  --> config.json:12:22  ModelDeployConfig.ModelConfig[0].npuMemSize
   |
12 |       "npuMemSize" : 0,
   |                      ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"npuMemSize\" : -1", "\"npuMemSize\" : -2"),
            R"(error[E0241]: npuMemSize must be in [-1, 1048576], got -2
  --> config.json:12:22  ModelDeployConfig.ModelConfig[0].npuMemSize
   |
12 |       "npuMemSize" : -2,
   |                      ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said("\"cpuMemSize\" : 5", "\"cpuMemSize\" : -5"),
            R"(error[E0241]: cpuMemSize must be at least 0, got -5
  --> config.json:11:22  ModelDeployConfig.ModelConfig[0].cpuMemSize
   |
11 |       "cpuMemSize" : -5,
   |                      ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, RefusesWrongBooleansAndTexts) {
  EXPECT_EQ(said("\"trustRemoteCode\" : false", "\"trustRemoteCode\" : 0"),
            R"(error[E0116]: expected true or false, got 0 (an integer)
  --> config.json:14:27  ModelDeployConfig.ModelConfig[0].trustRemoteCode
   |
14 |       "trustRemoteCode" : 0,
   |                           ^
)");
  EXPECT_EQ(said("\"backendType\" : \"atb\"", "\"backendType\" : [\"atb\"]"),
            R"(error[E0116]: expected a string, got a sequence
  --> config.json:13:23  ModelDeployConfig.ModelConfig[0].backendType
   |
13 |       "backendType" : ["atb"],
   |                       ^
)");
  EXPECT_EQ(said("\"modelName\" : \"DeepSeek-R1_w8a8\"", "\"modelName\" : {}"),
            R"(error[E0116]: expected a string, got a mapping
 --> config.json:8:21  ModelDeployConfig.ModelConfig[0].modelName
  |
8 |       "modelName" : {},
  |                     ^
)");
}

TEST(MindieImport, RefusesWrongOptions) {
  EXPECT_EQ(said("\"ep_level\" : 1", "\"ep_level\" : 3"),
            R"(error[E0241]: ep_level must be in [1, 2], got 3
  --> config.json:21:50  ModelDeployConfig.ModelConfig[0].models.deepseekv2.ep_level
   |
21 |       "models" : { "deepseekv2" : { "ep_level" : 3 } }
   |                                                  ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_options("\"topk_scaling_factor\" : 0"),
            R"(error[E0241]: topk_scaling_factor must be in (0, 1], got 0
  --> config.json:22:33  ModelDeployConfig.ModelConfig[0].models.deepseekv2.topk_scaling_factor
   |
22 |         "topk_scaling_factor" : 0 } }
   |                                 ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_options("\"topk_scaling_factor\" : 1.5"),
            R"(error[E0241]: topk_scaling_factor must be in (0, 1], got 1.5
  --> config.json:22:33  ModelDeployConfig.ModelConfig[0].models.deepseekv2.topk_scaling_factor
   |
22 |         "topk_scaling_factor" : 1.5 } }
   |                                 ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_options("\"topk_scaling_factor\" : \"half\""),
            R"(error[E0116]: expected a number, got "half" (a string)
  --> config.json:22:33  ModelDeployConfig.ModelConfig[0].models.deepseekv2.topk_scaling_factor
   |
22 |         "topk_scaling_factor" : "half" } }
   |                                 ^
)");
  EXPECT_EQ(said_about_options("\"enable_init_routing_cutoff\" : \"yes\""),
            R"(error[E0116]: expected true or false, got "yes" (a string)
  --> config.json:22:40  ModelDeployConfig.ModelConfig[0].models.deepseekv2.enable_init_routing_cutoff
   |
22 |         "enable_init_routing_cutoff" : "yes" } }
   |                                        ^
)");
}

TEST(MindieImport, RefusesWrongScaleFactors) {
  EXPECT_EQ(
      said_about_options("\"alltoall_ep_buffer_scale_factors\" : 3"),
      R"(error[E0247]: alltoall_ep_buffer_scale_factors must be [[tokens, factor], ...] in descending order of tokens
  --> config.json:22:46  ModelDeployConfig.ModelConfig[0].models.deepseekv2.alltoall_ep_buffer_scale_factors
   |
22 |         "alltoall_ep_buffer_scale_factors" : 3 } }
   |                                              ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(
      said_about_options("\"alltoall_ep_buffer_scale_factors\" : [[0, 8.0], [8192, 5.2]]"),
      R"(error[E0247]: alltoall_ep_buffer_scale_factors must be [[tokens, factor], ...] in descending order of tokens
  --> config.json:22:57  ModelDeployConfig.ModelConfig[0].models.deepseekv2.alltoall_ep_buffer_scale_factors[1]
   |
22 |         "alltoall_ep_buffer_scale_factors" : [[0, 8.0], [8192, 5.2]] } }
   |                                                         ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(
      said_about_options("\"alltoall_ep_buffer_scale_factors\" : [[8192]]"),
      R"(error[E0247]: alltoall_ep_buffer_scale_factors must be [[tokens, factor], ...] in descending order of tokens
  --> config.json:22:47  ModelDeployConfig.ModelConfig[0].models.deepseekv2.alltoall_ep_buffer_scale_factors[0]
   |
22 |         "alltoall_ep_buffer_scale_factors" : [[8192]] } }
   |                                               ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(
      said_about_options("\"alltoall_ep_buffer_scale_factors\" : [[8192, 0]]"),
      R"(error[E0247]: alltoall_ep_buffer_scale_factors must be [[tokens, factor], ...] in descending order of tokens
  --> config.json:22:47  ModelDeployConfig.ModelConfig[0].models.deepseekv2.alltoall_ep_buffer_scale_factors[0]
   |
22 |         "alltoall_ep_buffer_scale_factors" : [[8192, 0]] } }
   |                                               ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, ReadsScaleFactorsAndTheCutoff) {
  const Deployment d = imported(replaced(config_json(kContextExample), "\"ep_level\" : 1", R"("ep_level" : 1,
    "alltoall_ep_buffer_scale_factors" : [[8192, 5.2], [0, 8]], "enable_init_routing_cutoff" : true, "topk_scaling_factor" : 0.25)"));
  EXPECT_EQ(d.all_to_all_scale, (std::vector<std::pair<std::int64_t, double>>{{8192, 5.2}, {0, 8.0}}));
  EXPECT_TRUE(d.init_routing_cutoff);
  EXPECT_EQ(d.topk_scaling_factor, 0.25);
}

TEST(MindieImport, AMaxPrefillBatchSizeOfZeroIsMaxBatchSize) {
  EXPECT_EQ(
      imported(replaced(config_json(kContextExample), "\"maxPrefillBatchSize\" : 1", "\"maxPrefillBatchSize\" : 0"))
          .limits.max_prefill_batch,
      200);
}

TEST(MindieImport, NpuMemSizeFixesTheKvMemory) {
  EXPECT_EQ(imported(config_json(kContextExample)).kv_memory, std::nullopt);
  EXPECT_EQ(imported(replaced(config_json(kContextExample), "\"npuMemSize\" : -1", "\"npuMemSize\" : 8")).kv_memory,
            8_GiB);
}

TEST(MindieImport, RefusesDuplicateKeys) {
  EXPECT_EQ(said("\"tp\" : 8", "\"tp\" : 8,\n      \"tp\" : 4"),
            R"(error[E0113]: duplicate key 'tp' in lines 18 and 19
  --> config.json:19:7  ModelDeployConfig.ModelConfig[0].tp
   |
19 |       "tp" : 4,
   |       ^
   = help: remove one of them
)");
}

TEST(MindieImport, RefusesPipelines) {
  EXPECT_EQ(said("\"tp\" : 8", "\"tp\" : 8,\n      \"pp\" : 2"),
            R"(error[E0246]: pipeline parallelism (pp > 1) is not modelled
  --> config.json:19:14  ModelDeployConfig.ModelConfig[0].pp
   |
19 |       "pp" : 2,
   |              ^
   = help: remove pp
)");
}

// ---- plugins --------------------------------------------------------------------------------------------------------

Features features_of(const std::string& params) {
  return imported(replaced(config_json(kContextExample), "\"trustRemoteCode\" : false,",
                           "\"trustRemoteCode\" : false, \"plugin_params\" : " + params + ","))
      .features;
}

TEST(MindieImport, TakesPluginParamsAsAStringAndAsAnObject) {
  for (const char* params : {R"("{\"plugin_type\":\"mtp, prefix_cache\",\"num_speculative_tokens\":2}")",
                             R"({"plugin_type" : "mtp, prefix_cache", "num_speculative_tokens" : 2})"}) {
    const Features f = features_of(params);
    EXPECT_EQ(f.speculative_tokens, 2) << params;
    EXPECT_TRUE(f.prefix_cache) << params;
    EXPECT_FALSE(f.splitfuse) << params;
  }
  EXPECT_TRUE(features_of(R"({"plugin_type" : "splitfuse"})").splitfuse);
  EXPECT_EQ(features_of(R"({"plugin_type" : "mtp"})").speculative_tokens, 1);
  EXPECT_EQ(features_of(R"("")").speculative_tokens, 0);  // MindIE's way to say none
}

TEST(MindieImport, RefusesBrokenPluginParams) {
  EXPECT_EQ(said_about_plugin(R"("{\"plugin_type\":\"mtp\"")"),
            R"(error[E0248]: plugin_params must be a JSON object, or a string that holds one
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : "{\"plugin_type\":\"mtp\"",
   |                         ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
   = help: "plugin_params": "{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":1}"
)");
  EXPECT_EQ(said_about_plugin("3"),
            R"(error[E0248]: plugin_params must be a JSON object, or a string that holds one
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : 3,
   |                         ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
   = help: "plugin_params": "{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":1}"
)");
  EXPECT_EQ(said_about_plugin("[]"),
            R"(error[E0248]: plugin_params must be a JSON object, or a string that holds one
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : [],
   |                         ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
   = help: "plugin_params": "{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":1}"
)");
  EXPECT_EQ(said_about_plugin(R"({"plugin_type" : "mpt"})"),
            R"(error[E0249]: unknown plugin_type 'mpt'
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type" : "mpt"},
   |                         ^
   = rule: MindIE knows mtp, prefix_cache, splitfuse, la, memory_decoding
   = help: did you mean 'mtp'?
)");
  EXPECT_EQ(said_about_plugin(R"("{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":-1}")"),
            R"(error[E0241]: num_speculative_tokens must be in [0, 16], got -1
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : "{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":-1}",
   |                         ^
   = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, WarnsAboutPluginsThatAreNotModelled) {
  EXPECT_EQ(said_about_plugin(R"({"plugin_type" : "mtp"})"), "");
  EXPECT_EQ(said_about_plugin(R"({"plugin_type" : "la", "window" : 5})"),
            R"(warning[W0331]: plugin la is not modelled
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type" : "la", "window" : 5},
   |                         ^
)");
  EXPECT_EQ(said_about_plugin(R"("{\"plugin_type\":\"prefix_cache\",\"plugin_typ\":1}")"),
            R"(warning[W0330]: unknown key "plugin_typ"
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : "{\"plugin_type\":\"prefix_cache\",\"plugin_typ\":1}",
   |                         ^
   = rule: MindIE ignores keys that it does not know without a message
   = help: did you mean "plugin_type"?
)");
}

// ---- worlds and groups that are not written -------------------------------------------------------------------------

// worldSize 8 on each of two nodes: dp 2 x tp 8 counts, as in MindIE's own multi-node examples.
TEST(MindieImport, MultiNodesTakeTheirRanksFromTheLayout) {
  const std::string text =
      replaced(replaced(replaced(kFullFile, "\"multiNodesInferEnabled\" : false", "\"multiNodesInferEnabled\" : true"),
                        "\"worldSize\" : 16", "\"worldSize\" : 8"),
               "\"dp\" : 1, \"cp\" : 2, \"sp\" : 8", "\"dp\" : 2, \"sp\" : 8");
  const Imported r = import_text(text);
  EXPECT_EQ(r.errors, "");
  EXPECT_EQ(r.import.question.declared_world, 0);
  expect_layout(r.import.question.deployment.layout, {.dp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  Diagnostics rules;
  check_mindie(r.import, shipped_server("atlas-800i-a2"), 2, rules);
  EXPECT_EQ(rendered(rules), "");
}

Layout layout_of(const std::string& keys) {
  return imported(one_model(R"("modelName": "DeepSeek-R1_w8a8", )" + keys)).layout;
}

TEST(MindieImport, DerivesWhatIsAbsent) {
  expect_layout(layout_of(R"("worldSize": 16)"), {.tp = 16, .moe_tp = 16});
  expect_layout(layout_of(R"("worldSize": 16, "tp": 8)"), {.dp = 2, .tp = 8, .moe_tp = 16});
  expect_layout(layout_of(R"("worldSize": 16, "dp": 4)"), {.dp = 4, .tp = 4, .moe_tp = 16});
  expect_layout(layout_of(R"("worldSize": 16, "tp": 8, "cp": 2, "sp": 8)"), {.cp = 2, .sp = 8, .tp = 8, .moe_tp = 16});
  expect_layout(layout_of(R"("worldSize": 16, "tp": 8, "moe_tp": 4)"), {.dp = 2, .tp = 8, .moe_ep = 4, .moe_tp = 4});
  expect_layout(layout_of(R"("worldSize": 16, "tp": 8, "moe_ep": 8)"), {.dp = 2, .tp = 8, .moe_ep = 8, .moe_tp = 2});
  expect_layout(layout_of(R"("dp": 2, "tp": 8, "moe_ep": 16)"), {.dp = 2, .tp = 8, .moe_ep = 16});
}

TEST(MindieImport, PrintsWhatItDerives) {
  expect_golden("strategies/engines/mindie/prints_what_it_derives.txt",
                notes_about(R"("modelName": "DeepSeek-R1_w8a8", "worldSize": 16)"));
}

// ---- structure ------------------------------------------------------------------------------------------------------

TEST(MindieImport, NeedsAModelDeployConfig) {
  EXPECT_EQ(said_about_text(R"({"BackendConfig": {}})"),
            R"(error[E0251]: this is not a MindIE config.json: it has no ModelDeployConfig
 --> config.json:1:1
  |
1 | {"BackendConfig": {}}
  | ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
  = help: give the Server's conf/config.json, or its ModelDeployConfig part
)");
  EXPECT_EQ(said_about_text("{}"),
            R"(error[E0251]: this is not a MindIE config.json: it has no ModelDeployConfig
 --> config.json:1:1
  |
1 | {}
  | ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
  = help: give the Server's conf/config.json, or its ModelDeployConfig part
)");
  EXPECT_EQ(said_about_text("[1, 2]"),
            R"(error[E0240]: the file must be an object
 --> config.json:1:1
  |
1 | [1, 2]
  | ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, NeedsOneModel) {
  EXPECT_EQ(said_about_text(R"({"ModelDeployConfig": {"maxSeqLen": 2560, "ModelConfig": []}})"),
            R"(error[E0250]: ModelDeployConfig needs a ModelConfig with one model
 --> config.json:1:58  ModelDeployConfig.ModelConfig
  |
1 | {"ModelDeployConfig": {"maxSeqLen": 2560, "ModelConfig": []}}
  |                                                          ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
  = help: "ModelConfig": [ { "modelName": "DeepSeek-R1_w8a8", "worldSize": 16, ... } ]
)");
  EXPECT_EQ(said_about_text(R"({"ModelDeployConfig": {"maxSeqLen": 2560}})"),
            R"(error[E0250]: ModelDeployConfig needs a ModelConfig with one model
 --> config.json:1:23  ModelDeployConfig
  |
1 | {"ModelDeployConfig": {"maxSeqLen": 2560}}
  |                       ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
  = help: "ModelConfig": [ { "modelName": "DeepSeek-R1_w8a8", "worldSize": 16, ... } ]
)");
}

TEST(MindieImport, SimulatesTheFirstOfSeveralModels) {
  EXPECT_EQ(said_about_text(R"({"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1"}, {}]}})"),
            R"(warning[W0332]: only the first entry of ModelConfig is simulated
 --> config.json:1:70  ModelDeployConfig.ModelConfig[1]
  |
1 | {"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1"}, {}]}}
  |                                                                      ^
)");
}

TEST(MindieImport, SectionsAreObjects) {
  EXPECT_EQ(said_about_text(R"({"ModelDeployConfig": 3})"),
            R"(error[E0240]: ModelDeployConfig must be an object
 --> config.json:1:23  ModelDeployConfig
  |
1 | {"ModelDeployConfig": 3}
  |                       ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_text(one_model(R"("modelName": "DeepSeek-R1", "models": [])")),
            R"(error[E0240]: ModelDeployConfig.ModelConfig[0].models must be an object
 --> config.json:1:79  ModelDeployConfig.ModelConfig[0].models
  |
1 | {"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1", "models": []}]}}
  |                                                                               ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
  EXPECT_EQ(said_about_text(one_model(R"("modelName": "DeepSeek-R1", "models": {"deepseekv2": 1})")),
            R"(error[E0240]: ModelDeployConfig.ModelConfig[0].models.deepseekv2 must be an object
 --> config.json:1:94  ModelDeployConfig.ModelConfig[0].models.deepseekv2
  |
1 | {"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1", "models": {"deepseekv2": 1}}]}}
  |                                                                                              ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, ReportsBrokenJson) {
  EXPECT_EQ(said_about_text("{\"ModelDeployConfig\": {\n"),
            R"(error[E0108]: this { is never closed
 --> config.json:1:23
  |
1 | {"ModelDeployConfig": {
  |                       ^
  = help: is the file cut off?
)");
}

TEST(MindieImport, RefusesUnknownModes) {
  EXPECT_EQ(
      said_about_text(
          R"({"ServerConfig": {"inferMode": "pd"}, "ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1"}]}})"),
      R"(error[E0242]: inferMode must be standard or dmi, got pd
 --> config.json:1:32  ServerConfig.inferMode
  |
1 | {"ServerConfig": {"inferMode": "pd"}, "ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1"}]}}
  |                                ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
)");
}

TEST(MindieImport, TheRoleComesFromTheModeOrTheCommandLine) {
  const auto role = [](const char* mode, std::optional<Role> asked) {
    return imported(replaced(kFullFile, "\"standard\"", mode),
                    {.model = {}, .quantisation = {}, .memory_fraction = {}, .role = asked})
        .role;
  };
  EXPECT_EQ(role("\"standard\"", {}), Role::kHybrid);
  EXPECT_EQ(role("\"dmi\"", {}), Role::kPrefill);
  EXPECT_EQ(role("\"dmi\"", Role::kDecode), Role::kDecode);
}

TEST(MindieImport, NamesAMissingFile) {
  Diagnostics diagnostics;
  import_mindie("no/such/config.json", {}, mindie_stack(), shipped_models(), shipped_schemes(), diagnostics);
  EXPECT_EQ(rendered(diagnostics), "error[E0101]: no such file\n --> no/such/config.json\n");
}

// ---- memory fraction ------------------------------------------------------------------------------------------------

std::string said_about_fraction(const std::string& text) {
  return import_text(config_json(kContextExample),
                     {.model = {}, .quantisation = {}, .memory_fraction = text, .role = {}})
      .errors;
}

TEST(MindieImport, ReadsTheMemoryFraction) {
  EXPECT_EQ(deployment(kContextExample, "0.92").memory_fraction, 0.92);
  EXPECT_EQ(deployment(kContextExample, "1").memory_fraction, 1.0);
}

TEST(MindieImport, RefusesOtherMemoryFractions) {
  for (const std::string text : {"0", "-0.5", "1.01", "nan", "inf", "0.92x", "half", " 0.9", "92%"})
    EXPECT_EQ(said_about_fraction(text), "error[E0243]: NPU_MEMORY_FRACTION must be a number in (0, 1], got '" + text +
                                             "'\n"
                                             "  = rule: MindIE environment variables\n"
                                             "  = help: --env NPU_MEMORY_FRACTION=0.92\n");
}

// ---- model and quantisation -----------------------------------------------------------------------------------------

// "model scheme" as found from modelName, modelWeightPath and the options.
std::string found(const std::string& name, const std::string& path, const ImportOptions& options = {}) {
  const Deployment d = imported(
      one_model(fmt::format(R"("modelName": "{}", "modelWeightPath": "{}", "worldSize": 16)", name, path)), options);
  return d.model.name + " " + d.quantisation.name;
}

TEST(MindieImport, FindsModelAndSchemeInTheNames) {
  EXPECT_EQ(found("DeepSeek-R1_w8a8", ""), "DeepSeek-R1 W8A8");
  EXPECT_EQ(found("deepseek_v3.1-W4A8", ""), "DeepSeek-V3.1 W4A8");
  EXPECT_EQ(found("DeepSeek-V3", ""), "DeepSeek-V3 16-bit");
  EXPECT_EQ(found("DeepSeek-R1-W8A8-mtp", ""), "DeepSeek-R1 W8A8");
  EXPECT_EQ(found("", "/data/weights/DeepSeek-R1_w4a8"), "DeepSeek-R1 W4A8");
  EXPECT_EQ(found("", "/data/weights/DeepSeek-R1_w4a8/"), "DeepSeek-R1 W4A8");
}

TEST(MindieImport, TheCommandLineOverrulesTheNames) {
  const auto with = [](const std::string& model, const std::string& scheme) {
    return ImportOptions{.model = model, .quantisation = scheme, .memory_fraction = {}, .role = {}};
  };
  EXPECT_EQ(found("DeepSeek-R1_w8a8", "", with("", "w4a8")), "DeepSeek-R1 W4A8");
  EXPECT_EQ(found("DeepSeek-R1_w8a8", "", with("deepseek-v3", "")), "DeepSeek-V3 W8A8");
  EXPECT_EQ(found("my-model", "", with("DeepSeek-V3.1", "float")), "DeepSeek-V3.1 16-bit");
}

TEST(MindieImport, AWeightFolderSaysItsShapesAndItsType) {
  const TemporaryWeights weights("DeepSeek-R1_w8a8", "bfloat16");
  for (const char* name : {"DeepSeek-R1_w8a8", "deepseek_r1-w8a8", ""}) {
    const Deployment d = imported(
        one_model(fmt::format(R"("modelName": "{}", "modelWeightPath": "{}", "worldSize": 16)", name, weights.path())));
    EXPECT_EQ(d.model.name, "DeepSeek-R1") << name;  // the name that rules know, however it was spelled
    EXPECT_EQ(d.quantisation.name, "W8A8") << name;
    EXPECT_EQ(d.dtype, Dtype::kBf16) << name;
    EXPECT_EQ(d.model.origin, weights.path() + "/config.json") << name;
    EXPECT_EQ(d.quantisation.of(Module::kKvB).weight, Dtype::kBf16) << name;
  }
}

TEST(MindieImport, SaysWhatItReadFromTheNames) {
  expect_golden(
      "strategies/engines/mindie/says_what_it_read_from_the_names.txt",
      notes_about(
          R"("modelName": "DeepSeek-V3", "worldSize": 16, "dp": 1, "cp": 1, "sp": 1, "tp": 16, "moe_ep": 16, "moe_tp": 1)"));
}

TEST(MindieImport, NeedsAModelThatItKnows) {
  EXPECT_EQ(said("\"modelName\" : \"DeepSeek-R1_w8a8\"", "\"modelName\" : \"Qwen3_w8a8\""),
            R"(error[E0220]: unknown model 'Qwen3'
 --> config.json:8:21  ModelDeployConfig.ModelConfig[0].modelName
  |
8 |       "modelName" : "Qwen3_w8a8",
  |                     ^
  = rule: known models: deepseek-r1, deepseek-v3, deepseek-v3.1, deepseek-v3.2, deepseek-v3.2-exp, glm-5, kimi-k2
  = help: name one of them, or the path of a HuggingFace config.json, with --model
)");
  EXPECT_EQ(said_about_text(one_model(R"("worldSize": 16)")),
            R"(error[E0245]: neither modelName nor modelWeightPath names a model
 --> config.json:1:40  ModelDeployConfig.ModelConfig[0]
  |
1 | {"ModelDeployConfig": {"ModelConfig": [{"worldSize": 16}]}}
  |                                        ^
  = rule: Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)
  = help: --model DeepSeek-R1, or the path of a HuggingFace config.json
)");
}

TEST(MindieImport, NamesAnUnknownScheme) {
  EXPECT_EQ(import_text(config_json(kContextExample),
                        {.model = {}, .quantisation = "w2a8", .memory_fraction = {}, .role = {}})
                .errors,
            "error[E0244]: unknown quantisation 'w2a8'\n  = help: one of: float, w4a8, w4a8c8, w8a8, w8a8c8\n");
}

// ---- any text ------------------------------------------------------------------------------------------------------

// However a file is mutilated, reading it ends with a deployment or with errors, and checking what was read does not
// break either.
RC_GTEST_PROP(MindieImport, SurvivesAnyCutAndAnyByte, ()) {
  std::string text =
      *rc::gen::element(std::string(kFullFile), config_json(kSequenceExample), std::string(kContextPage));
  text.resize(*rc::gen::inRange<std::size_t>(0, text.size() + 1));
  for (int n = *rc::gen::inRange(0, 4); n > 0 && !text.empty(); --n)
    text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
  const Imported r = import_text(text);
  if (!r.errors.empty()) return;
  Diagnostics rules;
  check_mindie(r.import, shipped_server("atlas-800i-a3"), 1, rules);
}

// Any number in place of any degree: an error or a layout that the rules can look at.
RC_GTEST_PROP(MindieImport, SurvivesAnyNumber, ()) {
  const std::string key =
      *rc::gen::element<std::string>("\"dp\" : 1", "\"cp\" : 2", "\"sp\" : 8", "\"tp\" : 8", "\"moe_ep\" : 16",
                                     "\"moe_tp\" : 1", "\"worldSize\" : 16", "\"maxPrefillTokens\" : 65536");
  const std::string number = fmt::to_string(
      *rc::gen::element<std::int64_t>(INT64_MIN, -1, 0, 1, 2, 3, 1 << 20, (1 << 20) + 1, 1LL << 31, INT64_MAX));
  const Imported r =
      import_text(replaced(config_json(kContextExample), key, key.substr(0, key.find(':') + 2) + number));
  Diagnostics rules;
  if (r.errors.empty()) check_mindie(r.import, shipped_server("atlas-800i-a3"), 1, rules);
}

}  // namespace
}  // namespace ascendsim
