// Every rule about a MindIE file, with the whole message as a user reads it.
#include "strategies/engines/rules.h"

#include <gtest/gtest.h>

#include "tests/golden.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

struct Hardware {
  std::string_view server = "atlas-800i-a3";  // 16 dies; atlas-800i-a2 has 8
  int servers = 1;
};

// Errors and warnings of a file that reads well.
std::string said(const std::string& config, Hardware on = {}, const ImportOptions& options = {}) {
  Imported r = import_text(config, options);
  EXPECT_EQ(r.errors, "");
  Diagnostics rules;
  check_mindie(r.import, shipped_server(on.server), on.servers, rules);
  return named(rendered(rules), r.import.question.deployment.file);
}

// One of the documents' examples with some of its text changed.
using Changes = std::initializer_list<std::pair<const char*, const char*>>;
std::string changed(const Example& example, Changes changes) {
  std::string text = config_json(example);
  for (const auto& [from, to] : changes) text = replaced(text, from, to);
  return text;
}
std::string with_plugin(const Example& example, const std::string& params) {
  return replaced(config_json(example), "\"trustRemoteCode\" : false,",
                  "\"trustRemoteCode\" : false,\n      \"plugin_params\" : " + params + ",");
}
std::string with_options(const Example& example, const std::string& options) {
  return replaced(config_json(example), "\"ep_level\" : 1", "\"ep_level\" : 1,\n        " + options + "\n      ");
}

const Example kLargeEp{.dp = 16};
const Hardware kTwoA2{"atlas-800i-a2", 2}, kFourA2{"atlas-800i-a2", 4}, kTwoA3{"atlas-800i-a3", 2};

// The same with a weight folder whose config.json says a dtype.
std::string said_with_weights(const std::string& name, const std::string& dtype, const std::string& config) {
  const TemporaryWeights weights(name, dtype);
  return named(said(replaced(config, "/data/weights/DeepSeek-R1_w8a8", weights.path())), weights.path(), "/weights");
}

std::string about_load(const Workload& load, const std::string& config = config_json(kContextExample)) {
  const Imported r = import_text(config);
  EXPECT_EQ(r.errors, "");
  Diagnostics diagnostics;
  check_workload(r.import.question.deployment, load, diagnostics);
  return named(rendered(diagnostics), r.import.question.deployment.file);
}

// ---- legal files ----------------------------------------------------------------------------------------------------

TEST(MindieRules, SayNothingAboutTheDocumentedExamples) {
  EXPECT_EQ(said(config_json(kContextExample)), "");
  EXPECT_EQ(said(config_json(kSequenceExample)), "");
  EXPECT_EQ(said(config_json(kSequenceExample), kTwoA2), "");
}

TEST(MindieRules, SayNothingAboutOtherLegalLayouts) {
  EXPECT_EQ(said(config_json({.tp = 16, .moe_tp = 16})), "");
  EXPECT_EQ(said(config_json({.dp = 16, .ep_level = 2})), "");
  EXPECT_EQ(said(config_json({.dp = 2, .tp = 8, .moe_tp = 4})), "");
}

// ---- degrees --------------------------------------------------------------------------------------------------------

TEST(MindieRules, SpIsOneOrTp) {
  EXPECT_EQ(said(changed(kSequenceExample, {{"\"sp\" : 8", "\"sp\" : 4"}})),
            R"(error[E0301]: sp must be 1 or equal to tp: sp is 4, tp is 8
  --> config.json:17:14  ModelDeployConfig.ModelConfig[0].sp
   |
17 |       "sp" : 4,
   |              ^
   = rule: MindIE documentation, Sequence Parallelism: the value of SP must be equal to that of TP
   = help: set "sp": 8, or 1 to switch sequence parallelism off
)");
}

TEST(MindieRules, CpIsOneOrTwo) {
  EXPECT_EQ(said(changed(kContextExample, {{"\"cp\" : 2", "\"cp\" : 4"},
                                           {"\"worldSize\" : 16", "\"worldSize\" : 32"},
                                           {"\"moe_ep\" : 16", "\"moe_ep\" : 32"}}),
                 kTwoA3),
            R"(error[E0302]: cp must be 1 or 2, got 4
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 4,
   |              ^
   = rule: MindIE documentation, Context Parallelism: value range [1, 2]
   = help: set "cp": 2
)");
}

TEST(MindieRules, CpNeedsSp) {
  EXPECT_EQ(said(changed(kContextExample, {{"\"sp\" : 8", "\"sp\" : 1"}})),
            R"(error[E0303]: context parallelism needs sequence parallelism: sp is 1, tp is 8
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 2,
   |              ^
   = rule: MindIE documentation, Context Parallelism: to enable CP, SP must be enabled at the same time, with SP equal to TP
   = help: set "sp": 8
)");
}

TEST(MindieRules, CpNeedsDpOne) {
  EXPECT_EQ(said(changed(kContextExample, {{"\"dp\" : 1", "\"dp\" : 2"},
                                           {"\"worldSize\" : 16", "\"worldSize\" : 32"},
                                           {"\"moe_ep\" : 16", "\"moe_ep\" : 32"}}),
                 kTwoA3),
            R"(error[E0304]: context parallelism needs dp = 1, got dp 2
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 2,
   |              ^
   = rule: MindIE documentation, Context Parallelism: when CP is enabled, the value of DP must be 1
   = help: set "dp": 1
)");
}

// ---- ranks ----------------------------------------------------------------------------------------------------------

TEST(MindieRules, DpTimesCpTimesTpIsTheWorld) {
  EXPECT_EQ(said(changed(kSequenceExample, {{"\"dp\" : 2", "\"dp\" : 1"}})),
            R"(error[E0305]: dp x cp x tp must be worldSize: 1 x 1 x 8 = 8, worldSize is 16
  --> config.json:10:21  ModelDeployConfig.ModelConfig[0].worldSize
   |
10 |       "worldSize" : 16,
   |                     ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: tp * cp * dp == world_size
   = help: set "dp": 2
)");
}

// tp 32 cannot be a part of 16 ranks.
TEST(MindieRules, AWorldThatNoDpFillsIsToBeResized) {
  EXPECT_EQ(said(changed(kSequenceExample,
                         {{"\"dp\" : 2", "\"dp\" : 1"}, {"\"tp\" : 8", "\"tp\" : 32"}, {"\"sp\" : 8", "\"sp\" : 32"}}),
                 kTwoA3),
            R"(error[E0305]: dp x cp x tp must be worldSize: 1 x 1 x 32 = 32, worldSize is 16
  --> config.json:10:21  ModelDeployConfig.ModelConfig[0].worldSize
   |
10 |       "worldSize" : 16,
   |                     ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: tp * cp * dp == world_size
   = help: set "worldSize": 32
)");
}

TEST(MindieRules, MoeEpTimesMoeTpIsTheWorld) {
  EXPECT_EQ(said(changed(kSequenceExample, {{"\"moe_ep\" : 16", "\"moe_ep\" : 8"}})),
            R"(error[E0306]: moe_ep x moe_tp must be worldSize: 8 x 1 = 8, worldSize is 16
  --> config.json:19:18  ModelDeployConfig.ModelConfig[0].moe_ep
   |
19 |       "moe_ep" : 8,
   |                  ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: moe_ep * moe_tp == world_size
   = help: set "moe_ep": 16
)");
}

TEST(MindieRules, AMoeTpThatDoesNotDivideTheWorldIsToBeOne) {
  EXPECT_EQ(said(changed(kSequenceExample, {{"\"moe_tp\" : 1", "\"moe_tp\" : 32"}}), kTwoA3),
            R"(error[E0306]: moe_ep x moe_tp must be worldSize: 16 x 32 = 512, worldSize is 16
  --> config.json:19:18  ModelDeployConfig.ModelConfig[0].moe_ep
   |
19 |       "moe_ep" : 16,
   |                  ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: moe_ep * moe_tp == world_size
   = help: set "moe_tp": 1, "moe_ep": 16
error[E0310]: moe_tp must be at most the 8 ranks of one server, or all 16: got 32
  --> config.json:20:18  ModelDeployConfig.ModelConfig[0].moe_tp
   |
20 |       "moe_tp" : 32,
   |                  ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: moe_tp <= ranks per node, or moe_tp == world_size
   = help: set "moe_tp": 1
)");
}

// worldSize does not count with multiNodesInferEnabled: dp 2 x tp 8 are 16 ranks.
TEST(MindieRules, MoeEpTimesMoeTpIsTheWorldOfSeveralNodesToo) {
  EXPECT_EQ(said(R"({"BackendConfig": {"multiNodesInferEnabled": true, "ModelDeployConfig": {"ModelConfig": [
  {"modelName": "DeepSeek-R1_w8a8", "worldSize": 8, "dp": 2, "tp": 8, "moe_ep": 8, "moe_tp": 1}]}}})"),
            R"(error[E0306]: moe_ep x moe_tp must be dp x cp x tp: 8 x 1 = 8, dp x cp x tp is 16
 --> config.json:2:81  BackendConfig.ModelDeployConfig.ModelConfig[0].moe_ep
  |
2 |   {"modelName": "DeepSeek-R1_w8a8", "worldSize": 8, "dp": 2, "tp": 8, "moe_ep": 8, "moe_tp": 1}]}}}
  |                                                                                 ^
  = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: moe_ep * moe_tp == world_size
  = help: set "moe_ep": 16
)");
}

TEST(MindieRules, EpLevelTwoNeedsMoeTpOne) {
  EXPECT_EQ(said(config_json({.dp = 2, .tp = 8, .moe_tp = 2, .ep_level = 2})),
            R"(error[E0307]: ep_level 2 needs moe_tp = 1, got moe_tp 2
  --> config.json:21:50  ModelDeployConfig.ModelConfig[0].models.deepseekv2.ep_level
   |
21 |       "models" : { "deepseekv2" : { "ep_level" : 2 } }
   |                                                  ^
   = rule: MindIE documentation, Expert Parallelism: ep_level 2 allows only moe_tp = 1
   = help: set "moe_tp": 1 and "moe_ep": 16, or "ep_level": 1
)");
}

TEST(MindieRules, ADerivedDpIsWarnedAbout) {
  EXPECT_EQ(
      said(changed(kSequenceExample, {{"      \"dp\" : 2,\n", ""}})),
      R"(warning[W0308]: dp is derived as 2 here, but mapping.py refuses the file as written: tp 8 alone does not fill worldSize 16
 --> config.json:6:23  ModelDeployConfig.ModelConfig[0]
  |
6 |     "ModelConfig" : [ {
  |                       ^
  = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: tp * cp * dp == world_size
  = help: write "dp": 2
)");
}

// ---- servers --------------------------------------------------------------------------------------------------------

TEST(MindieRules, RanksNeedDies) {
  EXPECT_EQ(said(config_json(kSequenceExample), {"atlas-800i-a2", 1}),
            R"(error[E0326]: 16 ranks need 2 servers of Atlas 800I A2 (8 dies each), there are 1
  --> config.json:10:21  ModelDeployConfig.ModelConfig[0].worldSize
   |
10 |       "worldSize" : 16,
   |                     ^
   = rule: one rank is one die
   = help: --servers 2
)");
}

TEST(MindieRules, RanksSpreadEvenly) {
  EXPECT_EQ(said(config_json(kSequenceExample), {"atlas-800i-a3", 3}),
            R"(error[E0327]: 16 ranks cannot be spread evenly over 3 servers
  --> config.json:10:21  ModelDeployConfig.ModelConfig[0].worldSize
   |
10 |       "worldSize" : 16,
   |                     ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: world_size % nodes == 0
   = help: choose --servers so that it divides the ranks
)");
}

TEST(MindieRules, TpStaysInAServerOrIsTheWorld) {
  EXPECT_EQ(said(config_json({.dp = 2, .tp = 16}), kFourA2),
            R"(error[E0309]: tp must be at most the 8 ranks of one server, or all 32: got 16
  --> config.json:18:14  ModelDeployConfig.ModelConfig[0].tp
   |
18 |       "tp" : 16,
   |              ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: tp <= ranks per node, or tp == world_size
   = help: set "tp": 8
)");
  EXPECT_EQ(said(config_json({.tp = 32}), kFourA2), "");
}

TEST(MindieRules, MoeTpStaysInAServerOrIsTheWorld) {
  EXPECT_EQ(said(config_json({.dp = 4, .tp = 8, .moe_tp = 16}), kFourA2),
            R"(error[E0310]: moe_tp must be at most the 8 ranks of one server, or all 32: got 16
  --> config.json:20:18  ModelDeployConfig.ModelConfig[0].moe_tp
   |
20 |       "moe_tp" : 16,
   |                  ^
   = rule: Ascend/MindIE-LLM, atb_llm/utils/mapping.py: moe_tp <= ranks per node, or moe_tp == world_size
   = help: set "moe_tp": 1
)");
  EXPECT_EQ(said(config_json({.dp = 4, .tp = 8, .moe_tp = 32}), kFourA2), "");
}

// ---- weights are cut evenly -----------------------------------------------------------------------------------------

// None of these widths is a multiple of 5.
TEST(MindieRules, WidthsDivide) {
  expect_golden("strategies/engines/mindie/widths_divide.txt", said(config_json({.tp = 5})));
}

TEST(MindieRules, TheExpertWidthDivides) {
  expect_golden("strategies/engines/mindie/the_expert_width_divides.txt", said(config_json({.tp = 12, .moe_tp = 12})));
}

// ---- sequence and context parallelism -------------------------------------------------------------------------------

TEST(MindieRules, WarnAboutCombinationsThatThePagesDoNotName) {
  EXPECT_EQ(said(changed(kContextExample, {{"DeepSeek-R1_w8a8", "DeepSeek-V3_w8a8"}})),
            R"(warning[W0312]: cp with DeepSeek-V3 W8A8 is not among the combinations that the page names
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 2,
   |              ^
   = rule: MindIE documentation, Context Parallelism: only W8A8 of DeepSeek-R1 and W4A8 of DeepSeek-R1, DeepSeek-V3 and DeepSeek-V3.1; the MindIE DeepSeek tuning guide names W8A8 of V3, R1 and V3.1 as well
   = help: the two pages disagree: try it before you rely on it
)");
  EXPECT_EQ(said(changed(kSequenceExample, {{"DeepSeek-R1_w8a8", "DeepSeek-R1"}})),
            R"(warning[W0312]: sp with DeepSeek-R1 16-bit is not among the combinations that the page names
  --> config.json:17:14  ModelDeployConfig.ModelConfig[0].sp
   |
17 |       "sp" : 8,
   |              ^
   = rule: MindIE documentation, Sequence Parallelism: only W8A8 of DeepSeek-R1 and W4A8 of DeepSeek-R1, DeepSeek-V3 and DeepSeek-V3.1; the MindIE DeepSeek tuning guide names W8A8 of V3, R1 and V3.1 as well
   = help: the two pages disagree: try it before you rely on it
)");
}

TEST(MindieRules, AcceptTheCombinationsThatThePagesName) {
  EXPECT_EQ(said(changed(kContextExample, {{"DeepSeek-R1_w8a8", "DeepSeek-R1_w4a8"}})), "");
  EXPECT_EQ(said(changed(kContextExample, {{"DeepSeek-R1_w8a8", "DeepSeek-V3_w4a8"}})), "");
  EXPECT_EQ(said(changed(kSequenceExample, {{"DeepSeek-R1_w8a8", "DeepSeek-V3.1_w4a8"}})), "");
}

TEST(MindieRules, SplittingSequencesWorksInFloat16Only) {
  EXPECT_EQ(said_with_weights("DeepSeek-R1_w8a8", "bfloat16", config_json(kContextExample)),
            R"(error[E0311]: cp works only in float16: /weights/config.json says bfloat16
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 2,
   |              ^
   = rule: MindIE documentation, Context Parallelism: this feature supports only FP16 and does not support BF16
   = help: set "torch_dtype": "float16" in the config.json of the weight folder
)");
  EXPECT_EQ(said_with_weights("DeepSeek-R1_w8a8", "bfloat16", config_json(kSequenceExample)),
            R"(error[E0311]: sp works only in float16: /weights/config.json says bfloat16
  --> config.json:17:14  ModelDeployConfig.ModelConfig[0].sp
   |
17 |       "sp" : 8,
   |              ^
   = rule: MindIE documentation, Sequence Parallelism: this feature supports only FP16 and does not support BF16
   = help: set "torch_dtype": "float16" in the config.json of the weight folder
)");
  EXPECT_EQ(said_with_weights("DeepSeek-R1_w8a8", "float16", config_json(kContextExample)), "");
  EXPECT_EQ(said_with_weights("DeepSeek-R1_w8a8", "bfloat16", config_json({.dp = 2, .tp = 8})), "");
}

TEST(MindieRules, SplittingSequencesIsForPrefillNodes) {
  EXPECT_EQ(said(config_json(kContextExample), {},
                 {.model = {}, .quantisation = {}, .memory_fraction = {}, .role = Role::kDecode}),
            R"(error[E0313]: cp can be enabled on prefill nodes only when prefill and decode are disaggregated
  --> config.json:16:14  ModelDeployConfig.ModelConfig[0].cp
   |
16 |       "cp" : 2,
   |              ^
   = rule: MindIE documentation, Context Parallelism: in the prefill-decode disaggregation scenario on prefill nodes only
   = help: remove "cp" from the decode node's file
)");
  EXPECT_EQ(said(config_json(kSequenceExample), {},
                 {.model = {}, .quantisation = {}, .memory_fraction = {}, .role = Role::kDecode}),
            R"(error[E0313]: sp can be enabled on prefill nodes only when prefill and decode are disaggregated
  --> config.json:17:14  ModelDeployConfig.ModelConfig[0].sp
   |
17 |       "sp" : 8,
   |              ^
   = rule: MindIE documentation, Sequence Parallelism: in the prefill-decode disaggregation scenario on prefill nodes only
   = help: remove "sp" from the decode node's file
)");
  EXPECT_EQ(said(config_json(kSequenceExample), {},
                 {.model = {}, .quantisation = {}, .memory_fraction = {}, .role = Role::kPrefill}),
            "");
}

TEST(MindieRules, MtpIsOneInAHybrid) {
  EXPECT_EQ(said(with_plugin(kContextExample, R"({"plugin_type":"mtp","num_speculative_tokens":2})")),
            R"(error[E0314]: with cp in a prefill-decode hybrid deployment MTP must be 1, got 2 speculative tokens
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"mtp","num_speculative_tokens":2},
   |                         ^
   = rule: MindIE documentation, Context Parallelism: in scenarios where MTP equals 1
   = help: set "num_speculative_tokens": 1
)");
  EXPECT_EQ(said(with_plugin(kSequenceExample, R"({"plugin_type":"mtp","num_speculative_tokens":2})")),
            R"(error[E0314]: with sp in a prefill-decode hybrid deployment MTP must be 1, got 2 speculative tokens
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"mtp","num_speculative_tokens":2},
   |                         ^
   = rule: MindIE documentation, Sequence Parallelism: in scenarios where MTP equals 1
   = help: set "num_speculative_tokens": 1
)");
}

TEST(MindieRules, MtpOfOneOrOnAPrefillNodeOrWithoutSpIsFree) {
  EXPECT_EQ(said(with_plugin(kContextExample, R"({"plugin_type":"mtp","num_speculative_tokens":1})")), "");
  EXPECT_EQ(said(with_plugin({.dp = 2, .tp = 8}, R"({"plugin_type":"mtp","num_speculative_tokens":2})")), "");
  EXPECT_EQ(said(with_plugin(kContextExample, R"({"plugin_type":"mtp","num_speculative_tokens":2})"), {},
                 {.model = {}, .quantisation = {}, .memory_fraction = {}, .role = Role::kPrefill}),
            "");
}

// ---- local tensor parallelism ---------------------------------------------------------------------------------------

TEST(MindieRules, LocalTpIsAtMostTheRanksOfAServer) {
  EXPECT_EQ(said(with_options(kLargeEp, R"("parallel_options" : {"lm_head_local_tp" : 17})")),
            R"(error[E0316]: lm_head_local_tp must be in [1, 16] or -1, got 17
  --> config.json:22:52  ModelDeployConfig.ModelConfig[0].models.deepseekv2.parallel_options.lm_head_local_tp
   |
22 |         "parallel_options" : {"lm_head_local_tp" : 17}
   |                                                    ^
   = rule: MindIE documentation, Tensor Parallelism: value range [1, worldSize / number of nodes]
   = help: set "lm_head_local_tp": -1 to switch it off
)");
  EXPECT_EQ(said(with_options(kLargeEp, R"("parallel_options" : {"o_proj_local_tp" : 9})"), kTwoA2),
            R"(error[E0316]: o_proj_local_tp must be in [1, 8] or -1, got 9
  --> config.json:22:51  ModelDeployConfig.ModelConfig[0].models.deepseekv2.parallel_options.o_proj_local_tp
   |
22 |         "parallel_options" : {"o_proj_local_tp" : 9}
   |                                                   ^
   = rule: MindIE documentation, Tensor Parallelism: value range [1, worldSize / number of nodes]
   = help: set "o_proj_local_tp": -1 to switch it off
)");
}

TEST(MindieRules, LocalTpIsPositiveOrOff) {
  EXPECT_EQ(said(with_options(kLargeEp, R"("parallel_options" : {"o_proj_local_tp" : 0})")),
            R"(error[E0316]: o_proj_local_tp must be in [1, 16] or -1, got 0
  --> config.json:22:51  ModelDeployConfig.ModelConfig[0].models.deepseekv2.parallel_options.o_proj_local_tp
   |
22 |         "parallel_options" : {"o_proj_local_tp" : 0}
   |                                                   ^
   = rule: MindIE documentation, Tensor Parallelism: value range [1, worldSize / number of nodes]
   = help: set "o_proj_local_tp": -1 to switch it off
)");
  EXPECT_EQ(said(with_options(kLargeEp, R"("lm_head_local_tp" : -2)")),
            R"(error[E0316]: lm_head_local_tp must be in [1, 16] or -1, got -2
  --> config.json:22:30  ModelDeployConfig.ModelConfig[0].models.deepseekv2.lm_head_local_tp
   |
22 |         "lm_head_local_tp" : -2
   |                              ^
   = rule: MindIE documentation, Tensor Parallelism: value range [1, worldSize / number of nodes]
   = help: set "lm_head_local_tp": -1 to switch it off
)");
  EXPECT_EQ(said(with_options(kLargeEp, R"("lm_head_local_tp" : -1, "o_proj_local_tp" : -1)")), "");
}

TEST(MindieRules, OProjLocalTpIsRefusedWithTp) {
  EXPECT_EQ(said(with_options(kContextExample, R"("parallel_options" : {"o_proj_local_tp" : 1})")),
            R"(error[E0317]: o_proj_local_tp cannot be used with tp > 1, tp is 8
  --> config.json:22:51  ModelDeployConfig.ModelConfig[0].models.deepseekv2.parallel_options.o_proj_local_tp
   |
22 |         "parallel_options" : {"o_proj_local_tp" : 1}
   |                                                   ^
   = rule: MindIE documentation, Tensor Parallelism: if TP exceeds 1, this feature cannot be enabled together with local TP splitting of the O project matrix
   = help: set "o_proj_local_tp": -1, or "tp": 1
)");
}

TEST(MindieRules, LmHeadLocalTpIsWarnedAboutWithTp) {
  EXPECT_EQ(said(with_options(kContextExample, R"("parallel_options" : {"lm_head_local_tp" : 1})")),
            R"(warning[W0318]: lm_head_local_tp is not advised with tp > 1, tp is 8; mapping.py refuses it
  --> config.json:22:52  ModelDeployConfig.ModelConfig[0].models.deepseekv2.parallel_options.lm_head_local_tp
   |
22 |         "parallel_options" : {"lm_head_local_tp" : 1}
   |                                                    ^
   = rule: MindIE documentation, Tensor Parallelism: you are not advised to enable it together with TP; Ascend/MindIE-LLM, atb_llm/utils/mapping.py: attention tp must be 1
   = help: set "lm_head_local_tp": -1, or "tp": 1
)");
}

TEST(MindieRules, LocalTpIsForTheThreeModels) {
  EXPECT_EQ(said_with_weights(
                "DeepSeek-V2_w8a8", "float16",
                changed(kLargeEp, {{"\"ep_level\" : 1", "\"lm_head_local_tp\" : 1"},
                                   {"\"modelName\" : \"DeepSeek-R1_w8a8\"", "\"modelName\" : \"DeepSeek-V2_w8a8\""}})),
            R"(error[E0319]: lm_head_local_tp is not supported for DeepSeek-V2
  --> config.json:21:58  ModelDeployConfig.ModelConfig[0].models.deepseekv2.lm_head_local_tp
   |
21 |       "models" : { "deepseekv2" : { "lm_head_local_tp" : 1 } }
   |                                                          ^
   = rule: MindIE documentation, Tensor Parallelism: only the DeepSeek-R1, DeepSeek-V3, and DeepSeek-V3.1 models support this feature
   = help: set "lm_head_local_tp": -1
)");
}

TEST(MindieRules, LocalTpUnderDeepseekOrParallelOptionsIsFree) {
  EXPECT_EQ(said(with_options(kLargeEp, R"("lm_head_local_tp" : 8, "o_proj_local_tp" : 8)")), "");
}

// ---- plugins --------------------------------------------------------------------------------------------------------

TEST(MindieRules, SplitFuseExcludesMtp) {
  EXPECT_EQ(said(with_plugin({.dp = 2, .tp = 8}, R"({"plugin_type":"mtp,splitfuse"})")),
            R"(error[E0320]: SplitFuse cannot be combined with MTP
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"mtp,splitfuse"},
   |                         ^
   = rule: MindIE documentation, MTP: not with SplitFuse
   = help: drop one of the two
)");
}

TEST(MindieRules, SplitFuseExcludesSplitSequences) {
  EXPECT_EQ(said(with_plugin(kContextExample, R"({"plugin_type":"splitfuse"})")),
            R"(error[E0321]: SplitFuse cannot be combined with cp
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"splitfuse"},
   |                         ^
   = rule: MindIE documentation, SplitFuse: not with long-sequence features
   = help: drop one of the two
)");
  EXPECT_EQ(said(changed(kSequenceExample,
                         {{"\"maxPrefillTokens\"", "\"templateType\" : \"Mix\",\n    \"maxPrefillTokens\""}})),
            R"(error[E0321]: SplitFuse cannot be combined with sp
  --> config.json:25:22  ScheduleConfig.templateType
   |
25 |     "templateType" : "Mix",
   |                      ^
   = rule: MindIE documentation, SplitFuse: not with long-sequence features
   = help: drop one of the two
)");
}

TEST(MindieRules, SplitFuseAloneIsFreeAndNotModelled) {
  EXPECT_EQ(said(with_plugin({.dp = 2, .tp = 8}, R"({"plugin_type":"splitfuse"})")),
            R"(warning[W0331]: chunked prefill (SplitFuse) is not modelled: prompts are prefilled whole
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"splitfuse"},
   |                         ^
)");
}

TEST(MindieRules, PrefixCacheNeedsNz) {
  EXPECT_EQ(said(with_plugin(kContextExample, R"({"plugin_type":"prefix_cache"})")),
            R"(error[E0322]: the prefix cache of DeepSeek models needs the NZ layout of the KV cache
  --> config.json:15:25  ModelDeployConfig.ModelConfig[0].plugin_params
   |
15 |       "plugin_params" : {"plugin_type":"prefix_cache"},
   |                         ^
   = rule: MindIE documentation, Prefix Cache: enable_nz must be true for DeepSeek
   = help: set "models": {"deepseekv2": {"kv_cache_options": {"enable_nz": true}}}
)");
}

TEST(MindieRules, PrefixCacheWithNzIsFree) {
  EXPECT_EQ(said(replaced(with_plugin(kContextExample, R"({"plugin_type":"prefix_cache"})"), "\"ep_level\" : 1",
                          R"("kv_cache_options" : {"enable_nz" : true})")),
            "");
}

// ---- limits ---------------------------------------------------------------------------------------------------------

TEST(MindieRules, MaxPrefillTokensIsAtLeastMaxInputTokenLen) {
  EXPECT_EQ(said(changed(kContextExample, {{"\"maxPrefillTokens\" : 65536", "\"maxPrefillTokens\" : 65535"}})),
            R"(error[E0323]: maxPrefillTokens must be at least maxInputTokenLen: 65535 < 65536
  --> config.json:25:26  ScheduleConfig.maxPrefillTokens
   |
25 |     "maxPrefillTokens" : 65535,
   |                          ^
   = rule: MindIE documentation, Configuration Parameters (Service-Specific): maxPrefillTokens >= maxInputTokenLen
   = help: set "maxPrefillTokens": 65536
)");
}

TEST(MindieRules, MaxSeqLenClampsMaxInputTokenLen) {
  EXPECT_EQ(said(changed(kContextExample, {{"\"maxSeqLen\" : 66560", "\"maxSeqLen\" : 65536"}})),
            R"(warning[W0324]: maxSeqLen 65536 is not above maxInputTokenLen 65536: prompts are limited to 65535 tokens
 --> config.json:3:19  ModelDeployConfig.maxSeqLen
  |
3 |     "maxSeqLen" : 65536,
  |                   ^
  = rule: MindIE documentation, Configuration Parameters (Service-Specific): the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)
  = help: raise maxSeqLen by the output length
)");
  EXPECT_EQ(said(changed(kContextExample, {{"\"maxSeqLen\" : 66560", "\"maxSeqLen\" : 65537"}})), "");
}

TEST(MindieRules, MaxPrefillBatchSizeIsAtMostMaxBatchSize) {
  EXPECT_EQ(said(changed(kContextExample,
                         {{"\"maxPrefillBatchSize\" : 1", "\"maxPrefillBatchSize\" : 3,\n    \"maxBatchSize\" : 2"}})),
            R"(error[E0328]: maxPrefillBatchSize must be at most maxBatchSize: 3 > 2
  --> config.json:26:29  ScheduleConfig.maxPrefillBatchSize
   |
26 |     "maxPrefillBatchSize" : 3,
   |                             ^
   = rule: MindIE documentation, Configuration Parameters (Service-Specific): value range [1, maxBatchSize]
   = help: set "maxPrefillBatchSize": 2
)");
}

// ---- absent keys ----------------------------------------------------------------------------------------------------

// tp, cp, dp, sp, moe_ep and moe_tp are derived from worldSize; the limits are the defaults.
TEST(MindieRules, AboutAbsentKeysNeverErr) {
  EXPECT_EQ(said(R"({"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1_w8a8", "worldSize": 16}]}})"),
            "");
  EXPECT_EQ(
      said(
          R"({"ModelDeployConfig": {"maxInputTokenLen": 65536, "maxSeqLen": 70000, "ModelConfig": [{"modelName": "DeepSeek-R1_w8a8"}]}})"),
      "");
}

// ---- several at once ------------------------------------------------------------------------------------------------

TEST(MindieRules, AreAllReportedAtOnce) {
  expect_golden("strategies/engines/mindie/are_all_reported_at_once.txt",
                said(changed(kContextExample, {{"\"sp\" : 8", "\"sp\" : 4"},
                                               {"\"moe_ep\" : 16", "\"moe_ep\" : 8"},
                                               {"\"maxPrefillTokens\" : 65536", "\"maxPrefillTokens\" : 4096"}})));
}

// ---- a load on a deployment -----------------------------------------------------------------------------------------

TEST(WorkloadRules, SayNothingAboutWhatFits) {
  EXPECT_EQ(about_load({.input_tokens = 65'536, .output_tokens = 1024, .batch = 200}), "");
}

TEST(WorkloadRules, APromptFitsMaxInputTokenLen) {
  EXPECT_EQ(about_load({.input_tokens = 65'537, .output_tokens = 1}),
            R"(error[E0340]: a prompt of 65537 tokens is longer than this deployment takes: 65536
 --> config.json:4:26  ModelDeployConfig.maxInputTokenLen
  |
4 |     "maxInputTokenLen" : 65536,
  |                          ^
  = rule: MindIE documentation, Configuration Parameters (Service-Specific): the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)
  = help: set "maxInputTokenLen": 65537 (and maxSeqLen, maxPrefillTokens to match), or --input 65536
)");
}

// maxSeqLen 65536 leaves 65535 tokens for the prompt.
TEST(WorkloadRules, APromptFitsMaxSeqLen) {
  EXPECT_EQ(about_load({.input_tokens = 65'536, .output_tokens = 1},
                       changed(kContextExample, {{"\"maxSeqLen\" : 66560", "\"maxSeqLen\" : 65536"}})),
            R"(error[E0340]: a prompt of 65536 tokens is longer than this deployment takes: 65535
 --> config.json:3:19  ModelDeployConfig.maxSeqLen
  |
3 |     "maxSeqLen" : 65536,
  |                   ^
  = rule: MindIE documentation, Configuration Parameters (Service-Specific): the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)
  = help: set "maxInputTokenLen": 65536 (and maxSeqLen, maxPrefillTokens to match), or --input 65535
)");
}

TEST(WorkloadRules, PromptAndOutputFitMaxSeqLen) {
  EXPECT_EQ(about_load({.input_tokens = 65'536, .output_tokens = 1025}),
            R"(error[E0341]: 65536 tokens in and 1025 out are more than maxSeqLen 66560
 --> config.json:3:19  ModelDeployConfig.maxSeqLen
  |
3 |     "maxSeqLen" : 66560,
  |                   ^
  = rule: MindIE documentation, Configuration Parameters (Service-Specific): maxSeqLen limits input and output together
  = help: set "maxSeqLen": 66561, or --output 1024
)");
}

TEST(WorkloadRules, RequestsFitMaxBatchSizeOnEveryDpGroup) {
  EXPECT_EQ(about_load({.input_tokens = 100, .output_tokens = 1, .batch = 401}, config_json(kSequenceExample)),
            R"(error[E0342]: 401 requests side by side are more than maxBatchSize 200 x dp 2
  --> config.json:24:22  ScheduleConfig
   |
24 |   "ScheduleConfig" : {
   |                      ^
   = rule: MindIE documentation, Configuration Parameters (Service-Specific): maxBatchSize limits the decode batch of a DP group
   = help: set "maxBatchSize": 201, or --batch 400
)");
  EXPECT_EQ(about_load({.input_tokens = 100, .output_tokens = 1, .batch = 400}, config_json(kSequenceExample)), "");
}

// 163840 of DeepSeek-R1
TEST(WorkloadRules, PositionsAreThoseOfTheModel) {
  EXPECT_EQ(
      about_load({.input_tokens = 163'000, .output_tokens = 1000}, config_json({.dp = 2, .tp = 8, .input = 200'000})),
      R"(error[E0343]: 164000 positions are more than the 163840 of DeepSeek-R1
  = rule: max_position_embeddings of the model
  = help: --input and --output together at most 163840
)");
}

}  // namespace
}  // namespace ascendsim
