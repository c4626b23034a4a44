// Pairs beyond `run`, options of engines as keys, and words in the reports of launch scripts.
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::ordered_json;

class Pairs : public ApplicationTest {
 protected:
  static std::string example(const std::string& name) { return source_path("examples/") + name; }
  static std::vector<std::string> with(std::vector<std::string> words, std::vector<std::string> more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  const std::vector<std::string> kMindie = {"--prefill",  example("mindie-disaggregated/prefill.json"),
                                            "--decode",   example("mindie-disaggregated/decode.json"),
                                            "--hardware", "atlas-800i-a3",
                                            "--env",      "NPU_MEMORY_FRACTION=0.92"};
  const std::vector<std::string> kVllm = {example("vllm-ascend-128k-1p1d/prefill0.sh"),
                                          example("vllm-ascend-128k-1p1d/prefill1.sh"),
                                          example("vllm-ascend-128k-1p1d/decode.sh"), "--hardware", "atlas-800t-a3"};
};

// A side of a pair needs what it needs alone.
TEST_F(Pairs, MemOfAPairIsThatOfItsSides) {
  ASSERT_EQ(run(with({"mem", "--json"}, kMindie)), kDone) << err;
  const Json pair = Json::parse(out);
  for (const char* side : {"prefill", "decode"}) {
    ASSERT_EQ(run({"mem", example(std::string("mindie-disaggregated/") + side + ".json"), "--role", side, "--hardware",
                   "atlas-800i-a3", "--env", "NPU_MEMORY_FRACTION=0.92", "--json"}),
              kDone)
        << err;
    EXPECT_EQ(pair.at(side).at("memory_per_rank_bytes"), Json::parse(out).at("memory_per_rank_bytes")) << side;
  }
  ASSERT_EQ(run(with({"mem"}, kVllm)), kDone) << err;
  EXPECT_NE(out.find("Memory per rank, decode side"), std::string::npos) << out;
  EXPECT_NE(out.find("smallest --gpu-memory-utilization that starts"), std::string::npos) << out;
  EXPECT_NE(out.find("--max-model-len, tokens"), std::string::npos) << out;
  for (const char* foreign : {"NPU_MEMORY_FRACTION", "maxSeqLen", "maxBatchSize", "maxPrefillTokens", "worldSize"})
    EXPECT_EQ(out.find(foreign), std::string::npos) << foreign << "\n" << out;
}

TEST_F(Pairs, ConvertWritesBothSides) {
  ASSERT_EQ(run(with({"convert"}, kVllm)), kDone) << err;
  const std::size_t second = out.find("--- # decode: ");
  ASSERT_TRUE(out.starts_with("--- # prefill: ") && second != std::string::npos) << out;
  write("decode.yaml", out.substr(out.find('\n', second) + 1));
  EXPECT_EQ(run({"check", "decode.yaml", "--hardware", "atlas-800t-a3"}), kDone) << out << err;
}

// Our own file of a pair says what its scripts say: the same numbers, from one file with two documents or from two
// files.
TEST_F(Pairs, WhatConvertWritesRunsAsTheOriginalDoes) {
  const std::vector<std::string> load{"--input", "8K", "--output", "64", "--json"};
  for (const auto& pair : {kMindie, kVllm}) {
    ASSERT_EQ(run(with(with({"run"}, pair), load)), kDone) << err;
    const Json original = Json::parse(out);
    ASSERT_EQ(run(with({"convert"}, pair)), kDone) << err;
    write("both.yaml", out);
    const std::size_t second = out.find("--- # decode: ");
    write("p.yaml", out.substr(0, second));
    write("d.yaml", out.substr(second));
    for (const std::vector<std::string>& files :
         {std::vector<std::string>{"both.yaml"}, {"d.yaml", "p.yaml"}, {"--prefill", "p.yaml", "--decode", "d.yaml"}}) {
      std::vector<std::string> command{"run"};
      command.insert(command.end(), files.begin(), files.end());
      ASSERT_EQ(run(with(command, load)), kDone) << files.front() << "\n" << err;
      const Json converted = Json::parse(out);
      for (const char* key : {"ttft_ms", "tpot_ms", "itl_ms", "e2el_ms", "breakdown", "memory_per_rank_bytes",
                              "kv_capacity_tokens", "workload"})
        EXPECT_EQ(converted.at(key), original.at(key)) << key << " of " << files.front();
    }
  }
}

// One side knows faults; a pair says how.
TEST_F(Pairs, FaultsAreForOneSide) {
  write("faults.yaml", "faults: []\n");
  EXPECT_EQ(run(with({"run", "--input", "1K", "--output", "8", "--faults", "faults.yaml"}, kMindie)), kWrongInput);
  EXPECT_NE(err.find("run PREFILL --role prefill --faults FILE"), std::string::npos) << err;
}

// Places of mistakes are those of the file, whichever document they stand in.
TEST_F(Pairs, MistakesOfASecondDocumentHaveTheirLines) {
  write("both.yaml",
        "ascendsim: 1\nstack: mindie\nmodel: deepseek-r1\nrole: prefill\n---\nascendsim: 1\nstack: mindie\nmodel: "
        "deepseek-r1\nrole: decode\nlayoutt: 1\n");
  EXPECT_EQ(run({"run", "both.yaml", "--hardware", "atlas-800i-a3", "--input", "1K", "--output", "8"}), kWrongInput);
  EXPECT_NE(err.find("both.yaml:10:1"), std::string::npos) << err;
}

TEST_F(Pairs, CompareTakesTheSideThatIsNamed) {
  ASSERT_EQ(
      run(with({"compare", "--vary", "decode.max_num_seqs=4,8", "--input", "16K", "--output", "64", "--json"}, kVllm)),
      kDone)
      << err;
  const Json points = Json::parse(out).at("points");
  ASSERT_EQ(points.size(), 2U);
  EXPECT_TRUE(points.at(0).at("ttft_ms").at("mean").is_null()) << "the decode side";
  EXPECT_EQ(run(with({"compare", "--vary", "tp=8,16"}, kVllm)), kWrongInput);
  EXPECT_NE(err.find("error[E0398]: of a pair one side is compared at a time"), std::string::npos) << err;
}

// Both phases say what holds them back, and only kernels that run are named among the assumptions: V3.1 has no sparse
// attention, and these scripts route in 16 bits.
TEST_F(Pairs, AnswersSayWhatASideRestsOn) {
  ASSERT_EQ(run(with({"run", "--input", "16K", "--output", "64"}, kVllm)), kDone) << err;
  for (const char* said : {"prefill bottleneck", "decode bottleneck", "prefill speed of light", "kernel mla_prolog t0"})
    EXPECT_NE(out.find(said), std::string::npos) << said << "\n" << out;
  for (const char* absent : {"kernel sparse_attention", "kernel gemm_fp32"})
    EXPECT_EQ(out.find(absent), std::string::npos) << absent << "\n" << out;
}

// vLLM-Ascend launches collectives in line with its kernels; a ring hands latents on beside the blocks that work on
// them.
TEST_F(Pairs, ARingHidesWhatItHandsOn) {
  const auto prefill = [&](const char* exchange) {
    EXPECT_EQ(run({"run", example("vllm-ascend-128k-1p1d/prefill0.sh"), example("vllm-ascend-128k-1p1d/prefill1.sh"),
                   "--hardware", "atlas-800t-a3", "--input", "65536", "--output", "1", "--set",
                   std::string("layout.cp_exchange=") + exchange, "--json"}),
              kDone)
        << err;
    return Json::parse(out).at("breakdown").at("prefill");
  };
  const auto hidden = [](const Json& b) {
    return b.at("communication_ms").get<double>() - b.at("exposed_communication_ms").get<double>();
  };
  EXPECT_EQ(hidden(prefill("all-gather")), 0);
  EXPECT_GT(hidden(prefill("ring")), 0);
}

// A load that is asked for goes before one that a script has.
TEST_F(Pairs, AnAskedWorkloadGoesFirst) {
  write("s.sh",
        "vllm serve /w/DeepSeek-R1_w8a8 -tp 16 --enable-expert-parallel --quantization ascend --max-model-len 32K\n"
        "vllm bench serve --random-input-len 16384 --random-output-len 512 --num-prompts 1\n");
  ASSERT_EQ(run({"run", "s.sh", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out).at("workload").at("input_tokens"), 16384);
  ASSERT_EQ(
      run({"run", "s.sh", "--workload", "vllm bench serve --random-input-len 4096 --random-output-len 100 --num-prompts 1", "--json"}),
      kDone)
      << err;
  EXPECT_EQ(Json::parse(out).at("workload").at("input_tokens"), 4096);
  EXPECT_EQ(Json::parse(out).at("workload").at("output_tokens"), 100);
}

// The trade that the tutorial names: less cache a rank, more exchanges and small operators. Prompt and answer are
// 132,096 tokens, 1,032 blocks of 128: 129 a rank over 8 shards. The turns of the shards follow, as the connector moves
// whole blocks.
TEST_F(Pairs, AnOptionCutsTheCacheOfOneSide) {
  const auto answer = [&](const char* dcp) {
    EXPECT_EQ(run(with({"run", "--hardware", "atlas-800t-a3", "--input", "131072", "--output", "1024", "--set",
                        std::string("decode.dcp=") + dcp, "--json"},
                       kVllm)),
              kDone)
        << err;
    return Json::parse(out);
  };
  const Json whole = answer("1"), cut = answer("8");
  const auto kv = [](const Json& a) {
    return a.at("memory_per_rank_bytes").at("decode").at("kv_cache").get<std::int64_t>();
  };
  EXPECT_EQ(kv(whole), 8 * kv(cut));
  EXPECT_GT(cut.at("breakdown").at("decode").at("communication_ms").get<double>(),
            whole.at("breakdown").at("decode").at("communication_ms").get<double>());
  EXPECT_EQ(cut.at("ttft_parts_ms").at("prefill"), whole.at("ttft_parts_ms").at("prefill"));
  // An eighth of the cache to pull, in front of the first token.
  EXPECT_EQ(8 * cut.at("kv_transfer").at("bytes_per_decode_rank").get<std::int64_t>(),
            whole.at("kv_transfer").at("bytes_per_decode_rank"));
  EXPECT_LT(cut.at("ttft_parts_ms").at("kv_transfer").get<double>(),
            whole.at("ttft_parts_ms").at("kv_transfer").get<double>());
  for (const Json& a : {whole, cut}) {
    double sum = 0;
    for (const char* part : {"queue", "prefill", "kv_transfer", "first_decode_step"})
      sum += a.at("ttft_parts_ms").at(part).get<double>();
    EXPECT_NEAR(sum, a.at("ttft_ms").at("mean").get<double>(), 1e-6);
  }
  EXPECT_NE(cut.at("diagnostics").dump().find("A0143"), std::string::npos);
}

TEST_F(Pairs, MisspeltKeysGetASuggestion) {
  for (const auto& [key, better] :
       {std::pair{"prefil.dcp", "prefill.dcp"}, {"decode.layout.dcp", "dcp"}, {"decode.layout.spp", "layout.sp"}}) {
    EXPECT_EQ(run(with({"run", "--hardware", "atlas-800t-a3", "--input", "1K", "--output", "8", "--set",
                        std::string(key) + "=8"},
                       kVllm)),
              kWrongInput);
    EXPECT_NE(err.find(std::string("did you mean '") + better + "'?"), std::string::npos) << err;
  }
}

TEST_F(Pairs, OptionsOfTheEngineAreKeys) {
  const std::string line = "vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 --max-model-len 8K";
  for (const char* name : {"tensor_parallel_size=8", "--tensor-parallel-size=8", "tp=8"}) {
    ASSERT_EQ(run({"convert", "--launch", line, "--set", name}), kDone) << err;
    EXPECT_NE(out.find("  tp: 8 "), std::string::npos) << name << out;
  }
  ASSERT_EQ(run({"convert", "--launch", line, "--set", "dcp=4"}), kDone) << err;
  EXPECT_NE(out.find("  sp: 4 "), std::string::npos) << out;
  // tp-size of SGLang counts all ranks: it is no key of ours.
  EXPECT_EQ(run({"convert", "--launch", "python3 -m sglang.launch_server --model-path /w/DeepSeek-R1 --tp 16", "--set",
                 "tp_size=8"}),
            kWrongInput);
}

// vLLM profiles max_num_batched_tokens, and takes a cached prefix through a workspace of 64K tokens: an unset
// max-model-len of 163,840 tokens costs what 80K do, within what the gathered rows of one more piece are.
TEST_F(Pairs, ChunkedPrefillNeedsActivationsOfOneStep) {
  const auto activations = [&](const char* more) {
    const std::string line = std::string(
                                 "vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 --enable-expert-parallel "
                                 "--max-num-batched-tokens 4096 ") +
                             more;
    run({"mem", "--launch", line, "--hardware", "atlas-800i-a3", "--input", "2K", "--json"});
    return Json::parse(out).at("memory_per_rank_bytes").at("activations").get<std::int64_t>();
  };
  EXPECT_LT(activations("--max-model-len 8K"), activations("--max-model-len 32K"));
  EXPECT_LT(activations("--max-model-len 32K"), activations("--max-model-len 80K"));
  EXPECT_EQ(activations("--max-model-len 128K"), activations("--max-model-len 80K"));
  EXPECT_LT(activations(""), activations("--max-model-len 80K") * 21 / 20);
  EXPECT_LT(activations(""), activations("--max-model-len 16K --max-num-batched-tokens 16K"));
}

// Collectives by AI CPUs have a higher floor than by vector cores (hardware/catalogue/servers/atlas-800i-a3.yaml):
// small ones take longer.
TEST_F(Pairs, TheExpansionModeIsPriced) {
  const auto tpot = [&](const std::string& mode) {
    write("s.sh", "export HCCL_OP_EXPANSION_MODE=" + mode +
                      "\nvllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 --max-model-len 8K\n");
    run({"run", "s.sh", "--hardware", "atlas-800i-a3", "--input", "2K", "--output", "64", "--json"});
    return Json::parse(out).at("tpot_ms").at("mean").get<double>();
  };
  EXPECT_GT(tpot("AI_CPU"), 1.1 * tpot("AIV"));
  write("s.sh",
        "export HCCL_OP_EXPANSION_MODE=HOST\nvllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 "
        "--max-model-len 8K\n");
  EXPECT_EQ(run({"check", "s.sh", "--hardware", "atlas-800i-a3"}), kDone);
  EXPECT_NE(out.find("collectives are not expanded on the host on A3"), std::string::npos) << out;
  // MindIE's file has no key for it: --env says it.
  EXPECT_EQ(run({"check", example("mindie-mtp/config.json"), "--hardware", "atlas-800i-a2", "--env",
                 "HCCL_OP_EXPANSION_MODE=AIV"}),
            kDone)
      << out;
  EXPECT_NE(out.find("no measurement of HCCL_OP_EXPANSION_MODE=AIV on"), std::string::npos) << out;
}

TEST_F(Pairs, AMissingModelPathIsTheOnlyError) {
  EXPECT_EQ(run({"check", example("sglang-cp32/prefill-as-printed.sh"), "--format", "short"}), kWrongInput);
  EXPECT_NE(out.find("error[E0423]"), std::string::npos) << out;
  EXPECT_EQ(out.find("E0442"), std::string::npos) << out;
}

TEST_F(Pairs, RingRefusesOptionsOfTheOtherMode) {
  EXPECT_EQ(run({"ring", "--strategy", "ring", "--ranks", "2", "--tokens", "16", "--scale", "tiny", "--hardware",
                 "atlas-800i-a3"}),
            kWrongInput);
  EXPECT_NE(err.find("--scale does not go with a strategy"), std::string::npos) << err;
  EXPECT_NE(err.find("--hardware does not go with a strategy"), std::string::npos) << err;
  EXPECT_EQ(run({"ring", "--layer", "--config", example("mindie-mtp/config.json"), "--scale", "tiny", "--heads", "8"}),
            kWrongInput);
  EXPECT_NE(err.find("--heads does not go with --layer"), std::string::npos) << err;
}

TEST_F(Pairs, PlanTakesAVersionWithoutFiguresOfItsOwn) {
  EXPECT_EQ(run({"plan", "--engine", "vllm-ascend", "--engine-version", "0.15.0rc1", "--model", "deepseek-r1",
                 "--quantisation", "w8a8", "--hardware", "atlas-800i-a3", "--context", "4K", "--concurrency", "1",
                 "--servers", "1"}),
            kDone)
      << err;
}

}  // namespace
}  // namespace ascendsim
