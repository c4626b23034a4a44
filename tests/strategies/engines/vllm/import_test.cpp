// vLLM's command lines as deployments. Values are those that the command line says; parser rules as in vLLM's
// FlexibleArgumentParser (vllm/utils/argparse_utils.py).
#include "strategies/engines/vllm/import.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <set>

#include "tests/source_path.h"
#include "tests/strategies/engines/launch_under_test.h"

namespace ascendsim {
namespace {

constexpr const char* kServe = "vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend ";
LaunchedUnderTest serve(const std::string& options, const LaunchOptions& o = {}) {
  return launch(kServe + options + "\n", o);
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string example(const std::string& name) {
  std::ifstream file(source_path("examples/") + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

// ---- parser rules ---------------------------------------------------------------------------------------------------

TEST(VllmOptions, ParserRules) {
  const auto r = serve(
      "-tp 4 --data_parallel_size=2 --enable-expert-parallel --max-model-len 64K --max-num-batched-tokens 25.6k "
      "--no-enable-prefix-caching --speculative-config.method mtp --speculative-config.num_speculative_tokens 2 "
      "--max-num-seqs 8 "
      "--max-num-seqs 16");
  EXPECT_EQ(r.said, "");
  const Deployment& d = r.question().deployment;
  EXPECT_EQ(d.layout.tp, 4);
  EXPECT_EQ(d.layout.dp, 2);
  EXPECT_EQ(d.limits.max_seq_len, 65'536);         // K = 1024
  EXPECT_EQ(d.limits.max_batched_tokens, 25'600);  // k = 1000
  EXPECT_EQ(d.limits.max_batch, 16) << "the last one wins";
  EXPECT_FALSE(d.features.prefix_cache);
  EXPECT_EQ(d.features.speculative_tokens, 2);
  EXPECT_EQ(r.question().model, "DeepSeek-R1");
  EXPECT_EQ(r.question().quantisation, "w8a8");
}

// vllm_ascend/ascend_config.py: enable_shared_expert_dp counts with EP and tp > 1 only, and asserts enable_sp, which it
// turns on.
TEST(VllmOptions, SharedExpertDpTurnsFlashComm1On) {
  const std::string option = " --additional-config '{\"enable_shared_expert_dp\": true}'";
  const auto on = serve("-tp 8 --enable-expert-parallel" + option);
  EXPECT_TRUE(on.question().deployment.features.flashcomm1);
  EXPECT_TRUE(has(on.notes, "turns FlashComm1 on"));
  for (const char* without : {"-tp 8", "--enable-expert-parallel"}) {
    const auto off = serve(without + option);
    EXPECT_FALSE(off.question().deployment.features.flashcomm1) << without;
    EXPECT_TRUE(has(off.notes, "has no effect")) << off.notes;
  }
}

TEST(VllmOptions, HumanIntegers) {
  EXPECT_EQ(parse_human_integer("1k"), 1000);
  EXPECT_EQ(parse_human_integer("1K"), 1024);
  EXPECT_EQ(parse_human_integer("25.6k"), 25'600);
  EXPECT_EQ(parse_human_integer("2M"), 2 << 20);
  EXPECT_EQ(parse_human_integer("1.5K"), std::nullopt) << "vLLM takes fractions of decimal units only";
  for (const char* wrong : {"", "k", "1kk", "1 k", "x", "9999999999999999999", "9e300g", "nank"})
    EXPECT_EQ(parse_human_integer(wrong), std::nullopt) << wrong;
}

TEST(VllmOptions, AnUnambiguousBeginningIsTaken) {
  const auto r = serve("--tensor-par 8");
  EXPECT_EQ(r.question().deployment.layout.tp, 8);
  EXPECT_EQ(r.said, "s.sh:1:54: warning[W0420]: --tensor-par stands for --tensor-parallel-size\n");
  EXPECT_TRUE(has(serve("--max-num 8").said,
                  "error[E0420]: --max-num may be --max-num-batched-tokens or --max-num-partial-prefills"));
}

TEST(VllmOptions, WrongInput) {
  EXPECT_EQ(serve("--tensor-paralel-size 8").said, "s.sh:1:54: error[E0420]: unknown option --tensor-paralel-size\n");
  EXPECT_EQ(serve("--tensor-parallel-size").said, "s.sh:1:54: error[E0422]: --tensor-parallel-size needs a value\n");
  EXPECT_EQ(serve("--tensor-parallel-size --seed 1").said,
            "s.sh:1:54: error[E0422]: --tensor-parallel-size needs a value\n");
  EXPECT_EQ(serve("--tensor-parallel-size eight").said,
            "s.sh:1:77: error[E0422]: --tensor-parallel-size must be an integer, got 'eight'\n");
  EXPECT_EQ(serve("--tensor-parallel-size 0").said,
            "s.sh:1:77: error[E0422]: --tensor-parallel-size must be in [1, 1048576], got 0\n");
  EXPECT_EQ(serve("--gpu-memory-utilization 1.5").said,
            "s.sh:1:79: error[E0422]: --gpu-memory-utilization must be in [0.01, 1], got 1.5\n");
  EXPECT_EQ(serve("--enforce-eager=true").said, "s.sh:1:54: error[E0422]: --enforce-eager takes no value\n");
  EXPECT_EQ(serve("stray").said, "s.sh:1:54: error[E0421]: 'stray' belongs to no option\n");
  EXPECT_TRUE(
      has(serve("--speculative-config '{bad'").said, "error[E0422]: --speculative-config must be a JSON object"));
  EXPECT_EQ(serve("--speculative-config '{\"num_speculative_tokens\": 1, \"method\": \"mtp\",}'").said,
            "s.sh:1:75: error[E0422]: --speculative-config is no JSON: a comma before a closing bracket in line 1, "
            "column 46 of the value\n");
  EXPECT_TRUE(has(serve("--speculative-config '{\"num_speculativ_tokens\": 1}'").said,
                  "error[E0426]: unknown key \"num_speculativ_tokens\""));
  EXPECT_TRUE(has(serve("--kv-transfer-config '{\"kv_role\": \"producer\"}'").said,
                  "error[E0426]: \"kv_role\" of --kv-transfer-config has no 'producer'"));
  EXPECT_TRUE(has(launch("vllm serve --tensor-parallel-size 8\n").said, "error[E0245]: the command names no model"));
  EXPECT_TRUE(has(launch("echo hello\n").said, "error[E0430]"));
  EXPECT_TRUE(has(launch("vllm serve /w/R1\npython -m sglang.launch_server --model-path /w/R1\n").said,
                  "error[E0436]: two engines"));
  EXPECT_TRUE(has(launch("vllm serve /w/DeepSeek-R1_w8a8\n", {.defines = {}, .model = {}, .version = "0.14"}).said,
                  "warning[W0430]"))
      << "quantised weights without --quantization";
}

TEST(VllmOptions, VariablesThatMatterAreAskedForByName) {
  EXPECT_EQ(serve("--tensor-parallel-size $TP --node-rank $RANK --master-addr ${MASTER}").said,
            "s.sh:1:77: error[E0423]: --tensor-parallel-size needs the value of TP, which the script does not set\n");
  EXPECT_EQ(serve("--tensor-parallel-size $TP", {.defines = {{"TP", "8"}}}).question().deployment.layout.tp, 8);
  EXPECT_TRUE(has(launch("vllm serve $MODEL\n").said, "the model is the value of MODEL"));
  EXPECT_EQ(launch("vllm serve $MODEL\n", {.defines = {}, .model = "DeepSeek-V3"}).question().model, "DeepSeek-V3");
}

TEST(VllmOptions, ConfigFilesComeBeforeTheCommandLine) {
  const TemporaryFile file("c.yaml",
                           "model: vllm-ascend/DeepSeek-R1-W8A8\ntensor-parallel-size: 4\ndata_parallel_size: "
                           "4\nenable-expert-parallel: true\n"
                           "max-num-seqs: 16\nquantization: ascend\nspeculative-config: "
                           "'{\"num_speculative_tokens\":3,\"method\":\"mtp\"}'\nenforce-eager: false\n");
  const auto r = launch("vllm serve --config " + file.path() + " --max-num-seqs 8\n");
  EXPECT_EQ(r.said, "");
  const Question& q = r.question();
  EXPECT_EQ(q.model, "DeepSeek-R1");
  EXPECT_EQ(q.deployment.layout.dp, 4);
  EXPECT_EQ(q.deployment.limits.max_batch, 8);
  EXPECT_EQ(q.deployment.features.speculative_tokens, 3);
  EXPECT_EQ(q.deployment.graph.mode, GraphMode::kStack) << "false is left out";
  EXPECT_TRUE(is_launch_text("model: x\ntensor-parallel-size: 4\n"));
  EXPECT_TRUE(has(launch("vllm serve --config /nowhere.yaml\n").said, "E0101"));
}

TEST(VllmOptions, NightlyYaml) {
  constexpr const char* kList =
      "test_cases:\n  - name: a\n    model: vllm-ascend/DeepSeek-R1-0528-W8A8\n    envs:\n      HCCL_BUFFSIZE: "
      "\"1024\"\n      SERVER_PORT: \"80\"\n"
      "    server_cmd:\n      - \"--quantization\"\n      - \"ascend\"\n      - \"--tensor-parallel-size\"\n      - "
      "\"8\"\n      - \"--port\"\n      - \"$SERVER_PORT\"\n";
  ASSERT_TRUE(is_launch_text(kList));
  const auto r = launch(kList);
  EXPECT_EQ(r.said, "");
  EXPECT_EQ(r.question().deployment.layout.tp, 8);
  EXPECT_EQ(r.question().deployment.communication_buffer, Bytes(1024LL << 20));
  const auto line = launch(
      "deployment:\n  - server_cmd: >\n      vllm serve \"vllm-ascend/DeepSeek-R1-W8A8\" --quantization ascend "
      "--tensor-parallel-size 16\n");
  EXPECT_EQ(line.said, "");
  EXPECT_EQ(line.question().deployment.layout.tp, 16);
}

// ---- fine-grained TP ------------------------------------------------------------------------------------------------

TEST(VllmFineGrainedTp, DegreesOfTheFourParts) {
  const auto r = serve(
      "-dp 16 --enable-expert-parallel --kv-transfer-config "
      "'{\"kv_connector\":\"MooncakeConnectorV1\",\"kv_role\":\"kv_consumer\"}' "
      "--additional-config "
      "'{\"finegrained_tp_config\":{\"oproj_tensor_parallel_size\":8,\"lmhead_tensor_parallel_size\":4,"
      "\"embedding_tensor_parallel_size\":16,\"mlp_tensor_parallel_size\":2}}'");
  EXPECT_EQ(r.said, "");
  const Layout& l = r.question().deployment.layout;
  EXPECT_EQ(l.o_proj_local_tp, 8);
  EXPECT_EQ(l.lm_head_local_tp, 4);
  EXPECT_EQ(l.embedding_local_tp, 16);
  EXPECT_EQ(l.mlp_local_tp, 2);
  const auto off = serve(
      "-dp 16 --enable-expert-parallel --additional-config "
      "'{\"finegrained_tp_config\":{\"mlp_tensor_parallel_size\":0}}'");
  EXPECT_EQ(off.question().deployment.layout.mlp_parts(), 1) << "0 is vLLM's word for off";
}

TEST(VllmFineGrainedTp, Rules) {
  const auto with = [](const std::string& options, const std::string& sizes) {
    return serve(options + " --enable-expert-parallel --additional-config '{\"finegrained_tp_config\":{" + sizes +
                 "}}'");
  };
  const std::string decode =
      " --kv-transfer-config '{\"kv_connector\":\"MooncakeConnectorV1\",\"kv_role\":\"kv_consumer\"}'";
  const std::string output = "\"oproj_tensor_parallel_size\":8", mlp = "\"mlp_tensor_parallel_size\":8",
                    embedding = "\"embedding_tensor_parallel_size\":";
  EXPECT_EQ(ruled(with("-dp 16" + decode, output)), "");
  EXPECT_EQ(ruled(with("-dp 16", output)),
            "s.sh:1:106: error[E0418]: oproj_tensor_parallel_size is for the decode side of a pair only\n");
  EXPECT_TRUE(has(ruled(with("-dp 16 --enforce-eager" + decode, output)),
                  "error[E0418]: oproj_tensor_parallel_size needs captured graphs\n"));
  EXPECT_TRUE(
      has(ruled(with("-dp 8 -tp 2" + decode, output)),
          "error[E0317]: oproj_tensor_parallel_size cannot be used with --tensor-parallel-size > 1, it is 2\n"));
  EXPECT_EQ(ruled(with("-dp 16", mlp)), "");
  EXPECT_TRUE(has(ruled(with("-dp 16", mlp), "atlas-800t-a3", "0.30"),
                  "error[E0418]: mlp_tensor_parallel_size is for the decode side of a pair only\n"));
  EXPECT_EQ(ruled(with("-dp 4 -tp 4", embedding + "4")), "");
  EXPECT_TRUE(has(ruled(with("-dp 4 -tp 4", embedding + "8")),
                  "error[E0329]: embedding_tensor_parallel_size must divide the 4 DP groups, got 8\n"));
  EXPECT_TRUE(
      has(with("-dp 16", mlp).said +
              serve("-dp 16 --additional-config '{\"finegrained_tp_config\":{" + mlp + "}}'", {.version = "0.11"}).said,
          "warning[W0425]: vLLM-Ascend 0.11 has no \"finegrained_tp_config.mlp_tensor_parallel_size\" in "
          "--additional-config: it exists from 0.12 on\n"));
}

// 1: dispatch_ffn_combine, 2: dispatch_gmm_combine_decode; an option of additional_config in later versions.
TEST(VllmFusedMc2, IsAskedForByLevel) {
  const auto asked = [](const std::string& script) {
    return std::string(word_of(launch(script).question().deployment.experts.communication));
  };
  const std::string line = std::string(kServe) + "-tp 16 --enable-expert-parallel";
  EXPECT_EQ(asked(line + "\n"), "auto");
  EXPECT_EQ(asked("export VLLM_ASCEND_ENABLE_FUSED_MC2=0\n" + line + "\n"), "auto");
  EXPECT_EQ(asked("export VLLM_ASCEND_ENABLE_FUSED_MC2=1\n" + line + "\n"), "fused-mc2");
  EXPECT_EQ(asked("export VLLM_ASCEND_ENABLE_FUSED_MC2=2\n" + line + "\n"), "fused-mc2-decode");
  EXPECT_TRUE(has(launch("export VLLM_ASCEND_ENABLE_FUSED_MC2=3\n" + line + "\n").said,
                  "error[E0422]: VLLM_ASCEND_ENABLE_FUSED_MC2 must be 0, 1 or 2, got '3'"));
  const auto option = serve("-tp 16 --enable-expert-parallel --additional-config '{\"enable_fused_mc2\": 2}'");
  EXPECT_EQ(option.question().deployment.experts.communication, ExpertCommunication::kFusedMc2Decode);
  EXPECT_TRUE(has(
      option.said,
      "warning[W0425]: vLLM-Ascend 0.15 has no \"enable_fused_mc2\" in --additional-config: it exists from 0.20 on"));
  EXPECT_TRUE(has(ruled(launch("export VLLM_ASCEND_ENABLE_FUSED_MC2=1\n" + std::string(kServe) +
                               "-tp 16 -dp 4 --enable-expert-parallel\n")),
                  "warning[W0415]: fused MC2 is asked for and not taken: dispatch_ffn_combine serves at most 32 ranks "
                  "of expert parallelism, here are 64\n"));
}

// ---- the tutorial's scripts ----------------------------------------------------------------------------------------

std::vector<std::pair<std::string, std::string>> tutorial() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const char* name : {"prefill0.sh", "prefill1.sh", "decode.sh", "proxy.sh"})
    out.emplace_back(name, example(std::string("vllm-ascend-128k-1p1d/") + name));
  return out;
}

TEST(VllmTutorial, IsAPairOfInstances) {
  const auto r = launch(tutorial());
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.instances.size(), 2u);
  EXPECT_EQ(r.instances[0].name, "prefill0.sh + prefill1.sh");
  const Question& p = r.instances[0].question;
  EXPECT_EQ(p.deployment.role, Role::kPrefill);
  EXPECT_EQ(p.deployment.layout.cp, 2);
  EXPECT_EQ(p.deployment.layout.sp, 8);
  EXPECT_EQ(p.deployment.layout.tp, 16);
  EXPECT_EQ(p.deployment.layout.world(), 32);
  EXPECT_EQ(p.hardware.servers, 2);
  EXPECT_EQ(p.deployment.limits.kv_interleave, 128);
  EXPECT_EQ(p.deployment.limits.max_seq_len, 136'000);
  EXPECT_EQ(p.deployment.memory_fraction, 0.8);
  EXPECT_EQ(p.deployment.graph.mode, GraphMode::kEager);
  EXPECT_TRUE(p.deployment.features.flashcomm1);
  EXPECT_FALSE(p.deployment.features.splitfuse);
  EXPECT_EQ(p.deployment.communication_buffer, Bytes(768LL << 20));
  EXPECT_EQ(p.model, "DeepSeek-V3.1");
  EXPECT_EQ(p.quantisation, "w8a8");
  const Question& d = r.instances[1].question;
  EXPECT_EQ(d.deployment.role, Role::kDecode);
  EXPECT_EQ(d.deployment.layout.world(), 16);
  EXPECT_EQ(d.deployment.layout.sp, 1);
  EXPECT_EQ(d.deployment.graph.capture_sizes, (std::vector<std::int64_t>{1, 2, 4}));
  EXPECT_EQ(d.deployment.graph.mode, GraphMode::kFullDecode);
  EXPECT_EQ(d.deployment.features.speculative_tokens, 3);
  EXPECT_FALSE(d.deployment.features.flashcomm1);
  for (const LaunchedInstance& i : r.instances)
    for (const KeyReport& k : i.keys) EXPECT_NE(k.use, KeyUse::kUnknown) << k.path;
  EXPECT_EQ(r.use("--tensor-parallel-size"), "used");
  EXPECT_EQ(r.use("--seed"), "ignored, no effect");
  EXPECT_EQ(r.use("env HCCL_OP_EXPANSION_MODE"), "used");
}

TEST(VllmTutorial, DecodeBatchesWithoutAGraph) {
  // 3 drafts: 4 tokens a request; sizes end at 4, so 2, 3 and 4 requests (8, 12, 16 tokens) are outside.
  const auto r = launch(example("vllm-ascend-128k-1p1d/decode.sh"));
  EXPECT_TRUE(has(ruled(r),
                  "warning[W0412]: capture sizes end at 4 tokens: decode batches of 2, 3, 4 requests (8, 12, 16 tokens "
                  "with 3 drafts) run without a graph"));
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

TEST(VllmTutorial, ContradictionsBetweenScripts) {
  const auto changed = [](std::size_t script, const std::string& from, const std::string& to) {
    auto scripts = tutorial();
    replace(scripts[script].second, from, to);
    return launch(scripts).said;
  };
  EXPECT_TRUE(has(changed(1, "--tensor-parallel-size 16", "--tensor-parallel-size 8"),
                  "error[E0434]: layout.tp is 8 here and 16 in prefill0.sh"));
  EXPECT_TRUE(has(changed(1, "--node-rank 1", "--node-rank 0"), "error[E0435]: node rank 0 is taken twice"));
  EXPECT_TRUE(has(changed(1, "\"engine_id\": \"1\"", "\"engine_id\": \"0\""),
                  "error[E0433]: engine_id \"0\" is that of prefill0.sh too"));
  EXPECT_TRUE(has(changed(1, "local_ip=\"192.0.0.2\"", "local_ip=\"192.0.0.1\""),
                  "error[E0432]: kv_port 30000 with 16 chips overlaps"));
  EXPECT_TRUE(has(changed(0, "export VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL=1\n", ""), "error[E0424]"));
  EXPECT_TRUE(has(changed(0, "export VLLM_ASCEND_ENABLE_FLASHCOMM1=1", "VLLM_ASCEND_ENABLE_FLASHCOMM1=1"),
                  "warning[W0421]: VLLM_ASCEND_ENABLE_FLASHCOMM1 is assigned but not exported"));
  EXPECT_TRUE(has(changed(3, "8004", "8009"), "warning[W0431]: the proxy sends to 192.0.0.1:8009"));
  auto sizes = tutorial();
  replace(sizes[2].second, "\"tp_size\": 16", "\"tp_size\": 8");
  const auto r = launch(sizes);
  Diagnostics diagnostics;
  check_pair_of_scripts(r.instances.at(0), r.instances.at(1), diagnostics);
  EXPECT_TRUE(has(rendered(diagnostics), "decode.sh believes that the prefill side has tp_size 8, it is 16"));
}

// ---- rules ----------------------------------------------------------------------------------------------------------

TEST(VllmRules, Degrees) {
  EXPECT_EQ(ruled(serve("-tp 16 --enable-expert-parallel --max-model-len 8K --max-num-batched-tokens 8K")), "");
  EXPECT_TRUE(has(ruled(serve("-tp 8 -dcp 3")),
                  "error[E0410]: --decode-context-parallel-size must divide --tensor-parallel-size: 3 and 8"));
  EXPECT_TRUE(has(ruled(serve("-tp 8 -dcp 16")), "error[E0410]"));
  EXPECT_TRUE(has(ruled(serve("-tp 8 -dcp 8 --cp-kv-cache-interleave-size 100")),
                  "error[E0413]: --block-size must be a multiple of --cp-kv-cache-interleave-size: 128 and 100"));
  EXPECT_TRUE(has(ruled(serve("-tp 16 --nnodes 2 --master-addr a")),
                  "warning[W0410]: 16 ranks on 2 servers leave 8 of 16 dies of each idle"));
  const char* const connector =
      "--kv-transfer-config '{\"kv_connector\": \"MooncakeConnectorV1\", \"kv_role\": \"kv_both\"}' ";
  EXPECT_TRUE(has(ruled(serve(std::string(connector) + "-tp 8 -pcp 2 -pp 2")), "error[E0412]"));
  EXPECT_TRUE(has(ruled(serve(std::string(connector) + "-tp 8 -pcp 2 --cp-kv-cache-interleave-size 64")),
                  "error[E0413]: with a connector"));
  EXPECT_TRUE(has(ruled(serve("-tp 8 --max-num-seqs 512 --max-num-batched-tokens 256")), "error[E0414]"));
  EXPECT_TRUE(has(ruled(serve("-tp 8 --no-enable-chunked-prefill --max-model-len 8K --max-num-batched-tokens 4K")),
                  "error[E0415]"));
  EXPECT_TRUE(has(ruled(serve("--additional-config '{\"enable_flashcomm1\": true}'")), "error[E0417]"));
}

TEST(VllmRules, LayerSharding) {
  const auto node = [](std::string_view role, std::string_view layers, std::string_view version = {}) {
    const std::string transfer =
        role.empty()
            ? ""
            : fmt::format("--kv-transfer-config '{{\"kv_connector\": \"MooncakeConnectorV1\", \"kv_role\": \"{}\"}}' ",
                          role);
    return serve(
        transfer + fmt::format("-tp 8 --additional-config '{{\"enable_flashcomm1\": true, \"layer_sharding\": [{}]}}'",
                               layers),
        {.defines = {}, .model = "deepseek-v3.2", .version = std::string(version)});
  };
  const auto both = node("kv_producer", R"("q_b_proj", "o_proj")", "0.20");
  EXPECT_EQ(field::kLayerSharding.get(both.question()), ShardedLayers::kBoth);
  EXPECT_EQ(both.use("--additional-config.layer_sharding[0]"), "used");
  EXPECT_EQ(both.said, "");
  EXPECT_EQ(field::kLayerSharding.get(node("kv_producer", R"("o_proj")").question()), ShardedLayers::kOProj);
  EXPECT_EQ(field::kLayerSharding.get(node("kv_producer", R"("q_b_proj")").question()), ShardedLayers::kQB);
  EXPECT_TRUE(has(node("kv_producer", R"("kv_b_proj")").said, "error[E0426]: unknown layer_sharding 'kv_b_proj'"));
  EXPECT_TRUE(
      has(node("kv_producer", R"("o_proj")", "0.24").said,
          "warning[W0425]: vLLM-Ascend 0.24 has no \"layer_sharding[0]\" in --additional-config: it exists from "
          "0.13 to 0.23"));
  EXPECT_TRUE(has(ruled(node("", R"("o_proj")", "0.20"), "atlas-800t-a3", "0.20"),
                  "error[E0445]: layer sharding is for the prefill node of a pair only"));
  EXPECT_TRUE(has(ruled(node("", R"("o_proj")", "0.15"), "atlas-800t-a3", "0.15"),
                  "warning[W0417]: layer sharding has no effect here"));
  EXPECT_FALSE(has(ruled(both, "atlas-800t-a3", "0.20"), "04"));
}

TEST(VllmRules, ContextParallelismWithSparseAttention) {
  const auto v32 = [](const char* options) {
    return serve(options, {.defines = {}, .model = "deepseek-v3.2", .version = {}});
  };
  for (const char* options : {"-tp 8 -pcp 2", "-tp 8 -dcp 8"}) {
    EXPECT_TRUE(has(ruled(v32(options), "atlas-800t-a3", "0.14"), "context parallelism with sparse attention (--"));
    for (const char* version : {"0.15", "0.18", "0.23"})
      EXPECT_FALSE(has(ruled(v32(options), "atlas-800t-a3", version), "E0425")) << options << " " << version;
  }
  // It is not refused where the engine does not, but nobody is sent there unwarned (#8579, #8984).
  EXPECT_TRUE(has(ruled(v32("-tp 8 -pcp 2"), "atlas-800t-a3", "0.18"), "warning[W0427]"));
  EXPECT_FALSE(has(ruled(v32("-tp 8 -dcp 8"), "atlas-800t-a3", "0.18"), "W0427"));
  EXPECT_FALSE(has(ruled(serve("-tp 8 -pcp 2"), "atlas-800t-a3", "0.18"), "W0427"));
  EXPECT_TRUE(
      has(ruled(v32("-tp 8 -pcp 2"), "atlas-800t-a3", "0.25"),
          "error[E0425]: vLLM-Ascend 0.25 has no prefill context parallelism (--prefill-context-parallel-size)"));
  EXPECT_FALSE(has(ruled(serve("-tp 8 -pcp 2 -dcp 8"), "atlas-800t-a3", "0.18"), "E0425"));
}

TEST(VllmRules, PrefillContextAndDataParallelismTogether) {
  const auto both = serve("-tp 4 -pcp 2 -dp 2"), alone = serve("-tp 8 -pcp 2");
  for (const char* version : {"0.22.1rc1", "0.23.0", "0.24.0rc1"}) {
    EXPECT_TRUE(has(ruled(both, "atlas-800t-a3", version), "error[E0447]")) << version;
    EXPECT_FALSE(has(ruled(alone, "atlas-800t-a3", version), "E0447")) << version;
  }
  EXPECT_FALSE(has(ruled(both, "atlas-800t-a3", "0.21.0rc1"), "E0447"));
}

TEST(VllmRules, VersionsAndHardware) {
  const auto pcp = serve("-tp 8 -pcp 2");
  EXPECT_FALSE(has(ruled(pcp), "E0425"));
  EXPECT_TRUE(has(ruled(pcp, "atlas-800t-a3", "0.25"),
                  "error[E0425]: vLLM-Ascend 0.25 has no prefill context parallelism "
                  "(--prefill-context-parallel-size): it exists from 0.13 to 0.24"));
  EXPECT_TRUE(has(ruled(pcp, "atlas-800t-a3", "0.12.0"), "error[E0425]"));
  EXPECT_TRUE(has(ruled(pcp, "atlas-800i-a2"), "error[E0416]"));
  EXPECT_FALSE(has(ruled(serve("-tp 8"), "atlas-800i-a2"), "E0416"));
  EXPECT_EQ(serve("", {.defines = {}, .model = {}, .version = "0.19.1rc1"}).question().deployment.memory_fraction, 0.9);
  EXPECT_EQ(serve("", {.defines = {}, .model = {}, .version = "v0.20.2rc1"}).question().deployment.memory_fraction,
            0.92);
}

TEST(VllmRules, ExchangeFollowsTheHardware) {
  const auto exchange = [](const std::string& options, Fabric fabric) {
    Question q = serve(options).question();
    Diagnostics ignored;
    derive_layout(q);
    complete_launch(q, fabric, ignored);
    return std::string(word_of(q.deployment.exchange()));
  };
  EXPECT_EQ(exchange("-tp 16 --enable-expert-parallel", Fabric::kUnifiedBus), "all-to-all");
  EXPECT_EQ(exchange("-tp 16 --enable-expert-parallel", Fabric::kHccsMesh), "all-gather");
  EXPECT_EQ(exchange("-tp 16", Fabric::kUnifiedBus), "all-gather");
}

// ---- benchmarks -----------------------------------------------------------------------------------------------------

BenchmarkLoad load(const std::string& text) {
  Diagnostics diagnostics;
  const auto r = read_benchmark(read_launch(text, "--workload", {}, diagnostics), {}, diagnostics);
  EXPECT_EQ(rendered(diagnostics, Severity::kError), "");
  return r.value_or(BenchmarkLoad{});
}

TEST(Benchmarks, AreReadAsALoad) {
  const BenchmarkLoad serve = load(
      "vllm bench serve --model m --dataset-name random --random-input 131072 --num-prompts 20 --request-rate 0\n");
  EXPECT_EQ(serve.input, 131'072);
  EXPECT_EQ(serve.output, 128) << "vLLM's default";
  EXPECT_EQ(serve.batch, 1);
  const BenchmarkLoad latency = load("vllm bench latency --input-len 2048 --output-len 64 --batch-size 4\n");
  EXPECT_EQ(latency.input, 2048);
  EXPECT_EQ(latency.output, 64);
  EXPECT_EQ(latency.batch, 4);
  const BenchmarkLoad sglang =
      load("python -m sglang.bench_serving --dataset-name random --random-input 4096 --random-output 256\n");
  EXPECT_EQ(sglang.input, 4096);
  EXPECT_EQ(sglang.output, 256);
}

// Any words after `vllm serve`: diagnosed, never a crash.
RC_GTEST_PROP(VllmProperty, SurvivesAnyOptions, ()) {
  const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "--tensor-parallel-size", "-tp", "-dcp", "-pcp", "-pp", "-dp", "0", "-1", "8", "16", "x", "--max-model-len",
      "64K", "--nnodes", "2", "--node-rank", "--no-", "--speculative-config", "'{\"num_speculative_tokens\": 99}'",
      "'{'", "--speculative-config.a.b+", "--compilation-config", "'{\"cudagraph_capture_sizes\": [0, 1e9]}'", "-O3",
      "--kv-transfer-config", "'{\"kv_role\": [1]}'", "--enable-expert-parallel", "$X", "--=", "-", "--", "--a.b.c=d",
      "--block-size"));
  std::string text = kServe;
  for (const std::string& w : words) text += w + " ";
  const auto r = launch(text + "\n");
  if (r.said.empty()) ruled(r);
}

// ---- closed lists of words
// ------------------------------------------------------------------------------------------------

TEST(VllmOptions, AMistypedWordIsAnErrorWithTheNearestOne) {
  EXPECT_TRUE(has(serve("--dtype bfloat61").said, "error[E0426]: --dtype has no 'bfloat61'"));
  EXPECT_TRUE(has(serve("--scheduling-policy fcsf").said, "error[E0426]"));
  EXPECT_TRUE(
      has(serve(R"(--kv-transfer-config '{"kv_role": "kv_consumr", "kv_connector": "MooncakeConnectorV1"}')").said,
          "error[E0426]: \"kv_role\" of --kv-transfer-config has no 'kv_consumr'"));
  EXPECT_TRUE(
      has(serve(R"(--kv-transfer-config '{"kv_role": "kv_consumer", "kv_connector": "MooncakeConectorV1"}')").said,
          "error[E0426]: unknown kv_connector 'MooncakeConectorV1'"));
  EXPECT_EQ(
      serve(
          R"(--kv-transfer-config '{"kv_role": "kv_consumer", "kv_connector": "Mine", "kv_connector_module_path": "my.module"}')")
          .said,
      "");
  EXPECT_TRUE(has(launch("export HCCL_OP_EXPANSION_MODE=AVI\n" + std::string(kServe) + "\n").said,
                  "error[E0426]: HCCL_OP_EXPANSION_MODE has no 'AVI'"));
}

TEST(VllmOptions, AKeyThatIsNearlyAnotherIsAnError) {
  const std::string near = serve(R"(--speculative-config '{"num_speculative_token": 2, "method": "mtp"}')").said;
  EXPECT_TRUE(has(near, "error[E0426]: unknown key \"num_speculative_token\" in --speculative-config")) << near;
  const std::string far = serve(R"(--additional-config '{"of_another_version_altogether": 1}')").said;
  EXPECT_TRUE(has(far, "warning[W0330]")) << far;
}

TEST(VllmOptions, TheExpansionModeReachesTheDeployment) {
  for (const auto& [mode, expansion] :
       {std::pair{"AIV", ExpansionChoice::kAiv}, {"AI_CPU", ExpansionChoice::kAiCpu}, {"HOST", ExpansionChoice::kHost}})
    EXPECT_EQ(field::kExpansion.get(
                  launch(std::string("export HCCL_OP_EXPANSION_MODE=") + mode + "\n" + kServe + "\n").question()),
              expansion);
  EXPECT_EQ(field::kExpansion.get(serve("").question()), ExpansionChoice::kAuto);
}

// ---- nightly YAML with anchors
// ----------------------------------------------------------------------------------------------

TEST(NightlyYaml, AnchorsAreRead) {
  const auto r = launch(
      "_envs: &envs\n  HCCL_BUFFSIZE: 512\n_common: &common\n  - --quantization\n  - ascend\n  - "
      "--enable-expert-parallel\n"
      "test_cases:\n  - model: /w/DeepSeek-R1_w8a8\n    envs:\n      <<: *envs\n      HCCL_OP_EXPANSION_MODE: AIV\n"
      "    server_cmd:\n      - *common\n      - --tensor-parallel-size\n      - 8\n");
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.instances.size(), 1U);
  EXPECT_EQ(r.question().deployment.layout.tp, 8);
  EXPECT_EQ(r.question().deployment.layout.moe_tp, 1);
  EXPECT_EQ(r.question().deployment.communication_buffer, Bytes(512LL << 20));
  EXPECT_EQ(field::kExpansion.get(r.question()), ExpansionChoice::kAiv);
}

// Both produce; and nodes of one instance that name different first nodes.
TEST(VllmPairs, TwoSidesOfAKindAreSaid) {
  const auto producer = [](const char* more) {
    return fmt::format(
        "vllm serve /w/DeepSeek-R1_w8a8 -tp 16 --quantization ascend {} --kv-transfer-config "
        "'{{\"kv_connector\": \"MooncakeConnectorV1\", \"kv_role\": \"kv_producer\"}}'\n",
        more);
  };
  EXPECT_TRUE(has(launch({{"a.sh", producer("")}, {"b.sh", producer("")}}).said,
                  "b.sh: warning[W0432]: 2 prefill sides: a.sh; b.sh"));
  const auto apart = launch({{"a.sh", producer("--nnodes 2 --node-rank 0 --master-addr 10.0.0.1")},
                             {"b.sh", producer("--nnodes 2 --node-rank 1 --master-addr 10.0.0.2")}});
  EXPECT_TRUE(has(apart.said, "warning[W0432]")) << apart.said;
  const auto together = launch({{"a.sh", producer("--nnodes 2 --node-rank 0 --master-addr 10.0.0.1")},
                                {"b.sh", producer("--nnodes 2 --node-rank 1 --master-addr 10.0.0.1")}});
  EXPECT_FALSE(has(together.said, "W0432")) << together.said;
}

// As multi-node files write it: a folded block keeps the ends of lines that are indented deeper, and the harness splits
// it into words.
TEST(NightlyYaml, CommandsOfSeveralLinesWithACommonEnvironment) {
  const auto r = launch(
      "env_common:\n  HCCL_BUFFSIZE: 1024\ndeployment:\n  - server_cmd: >\n      vllm serve /w/DeepSeek-R1_w8a8\n      "
      "  "
      "--tensor-parallel-size 16\n        --quantization ascend\n        --enable-expert-parallel\n");
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.instances.size(), 1U);
  EXPECT_EQ(r.question().deployment.layout.tp, 16);
  EXPECT_EQ(r.question().deployment.communication_buffer, Bytes(1024LL << 20));
}

// ---- benchmarks
// ---------------------------------------------------------------------------------------------------------

std::optional<BenchmarkLoad> load_of(const std::string& line, std::string& said,
                                     const std::string& name = "--workload") {
  Diagnostics diagnostics;
  const auto load = read_benchmark(read_launch(line, name, {}, diagnostics), {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity != Severity::kNote) said += render_short(d) + "\n";
  return load;
}

TEST(Benchmarks, LengthsOfEachTool) {
  std::string said;
  const auto vllm = load_of(
      "vllm bench serve --random-input-len 64K --random-output-len 1K --ignore-eos --save-result --num-prompts 20 "
      "--request-rate inf",
      said);
  const auto latency = load_of(
      "vllm bench latency --model /w/x --input-len 512 --output-len 64 --batch-size 16 --tensor-parallel-size 8", said);
  const auto sglang = load_of(
      "python3 -m sglang.bench_serving --backend sglang --dataset-name random --random-input 4096 --random-output-len "
      "256",
      said);
  const auto ais = load_of("ais_bench --models vllm_api_stream_chat --datasets GSM8K-in3500-bs2800 --mode perf", said);
  EXPECT_EQ(said, "");
  ASSERT_TRUE(vllm && latency && sglang && ais);
  EXPECT_EQ(vllm->input, 65'536);
  EXPECT_EQ(vllm->output, 1024);
  EXPECT_EQ(latency->batch, 16);
  EXPECT_EQ(sglang->input, 4096);
  EXPECT_EQ(sglang->output, 256);
  EXPECT_EQ(ais->input, 3500) << "the name of the data set says it";
}

TEST(Benchmarks, UnknownWordsAreErrorsWhereTheyAreTyped) {
  std::string said;
  load_of("vllm bench serve --random-input-len 1K --num-promts 3 stray", said);
  EXPECT_TRUE(has(said, "error[E0420]: unknown option --num-promts")) << said;
  said.clear();
  load_of("ais_bench --datasets x --mod perf --wrong 1", said);
  EXPECT_TRUE(has(said, "error[E0420]: unknown option --wrong")) << said;
  said.clear();
  load_of("vllm bench serve --random-input-len 1K --of-a-later-version 3\n", said, "bench.sh");
  EXPECT_TRUE(has(said, "warning[W0330]")) << "a line of a script may be of another version: " << said;
}

}  // namespace
}  // namespace ascendsim
