// Answers of `compare` and `plan`; no times, those belong to validation.
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Compare : public ApplicationTest {
 protected:
  int compare(std::vector<std::string> more) {
    write("cp.json", context_parallel_fragment());
    std::vector<std::string> args{"compare", "cp.json", "--env", "NPU_MEMORY_FRACTION=0.92"};
    args.insert(args.end(), more.begin(), more.end());
    return run(std::move(args));
  }
  Json compare_json(std::vector<std::string> more) {
    more.emplace_back("--json");
    EXPECT_EQ(compare(std::move(more)), kDone) << err;
    return Json::parse(out);
  }
};

// What `compare` derives, said by hand to `run`: equal to the picosecond, which is 1e-9 ms of the printed numbers.
TEST_F(Compare, APointIsWhatRunSaysOfTheSameDeployment) {
  const Json points = compare_json({"--vary", "cp=1,2", "--input", "4K,64K"}).at("points");
  ASSERT_EQ(points.size(), 4u);
  for (const Json& p : points) {
    std::vector<std::string> more{"--env", "NPU_MEMORY_FRACTION=0.92", "--json", "--input",
                                  std::to_string(p.at("input_tokens").get<int>())};
    if (p.at("vary").at("cp") == 1) more.insert(more.end(), {"--set", "cp=1", "--set", "tp=16", "--set", "sp=16"});
    ASSERT_EQ(run_fragment(more), kDone) << err;
    const Json alone = Json::parse(out);
    for (const char* key : {"ttft_ms", "tpot_ms", "breakdown", "memory_per_rank_bytes", "speed_of_light",
                            "prefill_step_ms", "decode_step_ms", "fits"})
      EXPECT_EQ(p.at(key), alone.at(key)) << key;
  }
}

TEST_F(Compare, TheWorldStaysAndDegreesFollow) {
  const Json points = compare_json({"--vary", "cp=1,2,4", "--input", "8K"}).at("points");
  const auto layout = [&](int i) { return points.at(static_cast<std::size_t>(i)).at("layout"); };
  EXPECT_EQ(layout(0),
            (Json{{"dp", 1}, {"cp", 1}, {"sp", 16}, {"tp", 16}, {"moe_ep", 16}, {"moe_tp", 1}, {"ep_level", 1}}));
  EXPECT_EQ(layout(1),
            (Json{{"dp", 1}, {"cp", 2}, {"sp", 8}, {"tp", 8}, {"moe_ep", 16}, {"moe_tp", 1}, {"ep_level", 1}}));
  EXPECT_EQ(layout(2),
            (Json{{"dp", 1}, {"cp", 4}, {"sp", 4}, {"tp", 4}, {"moe_ep", 16}, {"moe_tp", 1}, {"ep_level", 1}}));
  EXPECT_EQ(points.at(0).at("derived"), (Json{"sp 16", "tp 16"}));
  EXPECT_EQ(points.at(1).at("derived"), Json::array());
}

TEST_F(Compare, WhereNothingFitsThatComesFirst) {
  ASSERT_EQ(run({"compare", source_path("examples/mindie-context-parallel/config.json"), "--vary", "cp=1,2", "--input",
                 "4K"}),
            kDone)
      << err;
  // 53.5 GiB of 61.3 GiB are 0.873: the next hundredth.
  EXPECT_TRUE(contains(out, "Verdict\n  * None of these fits into memory")) << out;
  EXPECT_TRUE(contains(out, "The first fits from NPU_MEMORY_FRACTION 0.88 on.")) << out;
}

// MindIE refuses cp 4, which would be the fastest at 64K: it is named, and does not win.
TEST_F(Compare, WhatCannotBeStartedDoesNotWin) {
  ASSERT_EQ(compare({"--vary", "cp=1,2,4", "--input", "64K"}), kDone) << err;
  EXPECT_TRUE(contains(out, "TTFT: cp 2 wins")) << out;
  EXPECT_TRUE(contains(out, "cp 4 (sp 4, tp 4) [what-if]")) << out;
  EXPECT_TRUE(contains(out, "but cannot be started")) << out;
}

// cp 4 is refused by MindIE and can be built; cp 3 leaves 16 / 3 ranks, and nothing can run that.
TEST_F(Compare, WhatTheEngineRefusesIsAWhatIfOrCannotRun) {
  const Json points = compare_json({"--vary", "cp=2,4,3", "--input", "8K"}).at("points");
  EXPECT_EQ(points.at(0).at("standing"), "legal");
  EXPECT_EQ(points.at(1).at("standing"), "what-if");
  EXPECT_EQ(points.at(1).at("refused").at(0).at("code"), "E0302");
  EXPECT_GT(points.at(1).at("ttft_ms").at("mean"), 0);
  EXPECT_EQ(points.at(2).at("standing"), "cannot run");
  EXPECT_TRUE(points.at(2).at("ttft_ms").at("mean").is_null());
  EXPECT_TRUE(points.at(2).at("memory_per_rank_bytes").is_null());
  EXPECT_EQ(compare({"--vary", "cp=3"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "None of the alternatives can run on atlas-800i-a3.")) << out;
}

// DeepSeek-V3.2, 64K tokens on 32 dies of two Atlas 800I A3 (SGLang pull request 12207: 30 s with TP32, 5 s with CP32):
// TP divides neither the indexer nor the rows that queries gather, and the verdict says so. V3.1 has no such work.
TEST_F(Compare, NamesTheWorkThatTensorParallelismDoesNotDivide) {
  write("v32.yaml",
        "ascendsim: 1\nstack: sglang-0.5\nmodel: DeepSeek-V3.2\nquantisation: w8a8\ndtype: bfloat16\nrole: prefill\n"
        "layout: {cp: 32, moe_ep: 32}\nexperts: {exchange: all-to-all}\nhardware: {server: atlas-800i-a3}\n"
        "workload: {input_tokens: 64K, output_tokens: 1, batch: 1}\n");
  ASSERT_EQ(run({"compare", "v32.yaml", "--vary", "cp=1,32", "--json"}), kDone) << err;
  const Json json = Json::parse(out);
  const auto ttft = [&](int i) {
    return json.at("points").at(static_cast<std::size_t>(i)).at("ttft_ms").at("mean").get<double>();
  };
  EXPECT_GE(ttft(0), 4 * ttft(1));
  const std::string verdict = json.at("verdict").dump();
  EXPECT_TRUE(contains(verdict, "cp 32 wins")) << verdict;
  EXPECT_TRUE(contains(verdict, "work of a rank that only the faster layout divides")) << verdict;
  EXPECT_TRUE(contains(verdict, "lightning_indexer")) << verdict;
  EXPECT_TRUE(contains(verdict, "(32 times the FLOP)")) << verdict;
  EXPECT_TRUE(contains(verdict, "sparse_attention")) << verdict;
  // With others between them, the first is still set against the last.
  ASSERT_EQ(run({"compare", "v32.yaml", "--vary", "cp=1,16,32"}), kDone) << err;
  EXPECT_TRUE(contains(out, "first against last")) << out;
  EXPECT_TRUE(contains(out, "(32 times the FLOP)")) << out;
  ASSERT_EQ(run({"compare", "v32.yaml", "--model", "deepseek-v3.1", "--vary", "cp=1,32", "--json"}), kDone) << err;
  EXPECT_FALSE(contains(Json::parse(out).at("verdict").dump(), "lightning_indexer"));
}

// V3.1 over 32 dies. A3: one supernode, collectives stay on UB. A2: four servers; the TP group of 32 reaches across all
// of them, that of CP 8 x TP 4 stays inside one, and what CP saves it saves on RoCE. Slower links leave CP less of its
// lead: the rest of the step is no shorter, and the latent that CP gathers crosses servers too.
TEST_F(Compare, NamesTheLinkThatCommunicationGoesOver) {
  write("v31.yaml",
        "ascendsim: 1\nstack: sglang-0.5\nmodel: DeepSeek-V3.1\nquantisation: w8a8\ndtype: bfloat16\nrole: prefill\n"
        "layout: {cp: 8, tp: 4, moe_ep: 32}\nexperts: {exchange: all-to-all}\nhardware: {server: atlas-800i-a3}\n"
        "workload: {input_tokens: 64K, output_tokens: 1, batch: 1}\n");
  ASSERT_EQ(run({"compare", "v31.yaml", "--vary", "cp=1,8", "--hardware", "atlas-800i-a3,atlas-800i-a2", "--input",
                 "16K,64K,128K", "--json"}),
            kDone)
      << err;
  const Json json = Json::parse(out);
  double lead[2] = {};
  for (const Json& p : json.at("points"))
    if (p.at("input_tokens") == 65'536) {
      double& of = lead[p.at("hardware") == "atlas-800i-a3" ? 0 : 1];
      const double ttft = p.at("ttft_ms").at("mean").get<double>();
      of = p.at("vary").at("cp") == 1 ? ttft : of / ttft;
    }
  EXPECT_GT(lead[1], 1.05);
  EXPECT_GT(lead[0], lead[1]);
  int said[2] = {};
  for (const Json& line : json.at("verdict")) {
    const auto text = line.get<std::string>();
    if (!contains(text, "less exposed communication")) continue;
    const bool a2 = contains(text, "atlas-800i-a2");
    EXPECT_TRUE(contains(text, a2 ? " (RoCE between servers)" : " (UB)")) << text;
    ++said[a2];
  }
  EXPECT_GE(said[0], 3);
  EXPECT_GE(said[1], 3);
}

// What SGLang's context parallelism costs beside time. The hidden rows of the whole prompt reach every rank once, for
// the logits: 65,536 rows of 7,168 columns in 16 bit. Attention weights are cut by TP alone, so is the dense MLP and
// the embedding: q_b 37,748,736 and o_proj 117,440,512 B a layer in int8, W_UK and W_UV 33,554,432 B in 16 bit, 3 dense
// MLPs of 396,361,728 B, 129,280 x 7,168 embeddings in 16 bit; TP 4 has 7/32 of it more.
TEST_F(Compare, ShowsTheGatherForLogitsAndTheCopiesOfWeights) {
  write("v31.yaml",
        "ascendsim: 1\nstack: sglang-0.5\nmodel: DeepSeek-V3.1\nquantisation: w8a8\ndtype: bfloat16\nrole: prefill\n"
        "layout: {cp: 8, tp: 4, moe_ep: 32}\nexperts: {exchange: all-to-all}\nhardware: {server: atlas-800i-a3}\n"
        "workload: {input_tokens: 64K, output_tokens: 1, batch: 1}\n");
  ASSERT_EQ(run({"compare", "v31.yaml", "--vary", "cp=1,8", "--json"}), kDone) << err;
  const Json points = Json::parse(out).at("points");
  const auto weights = [&](std::size_t i) {
    return points.at(i).at("memory_per_rank_bytes").at("weights_without_scales").get<std::int64_t>();
  };
  constexpr std::int64_t kCutByTp =
      61 * (37'748'736LL + 117'440'512 + 33'554'432) + 3 * 396'361'728LL + 2 * 129'280LL * 7168;
  EXPECT_EQ(weights(1) - weights(0), kCutByTp * 7 / 32);
  int gathers = 0;
  for (const Json& c : points.at(1).at("communication"))
    if (c.at("group") == "attn_cp" && c.at("count") == 1) {
      EXPECT_EQ(c.at("primitive"), "all-gather");
      EXPECT_EQ(c.at("bytes"), 65'536LL * 7168 * 2);
      ++gathers;
    }
  EXPECT_EQ(gathers, 1);
  for (const Json& c : points.at(0).at("communication")) EXPECT_NE(c.at("group"), "attn_cp");
}

// Whatever is done twice counts as redundant, never less than nothing; bytes of a step are those of its calls.
TEST_F(Compare, WorkAndTrafficAddUp) {
  const Json points = compare_json({"--vary", "cp=1,2", "--input", "4K,64K"}).at("points");
  for (const Json& p : points) {
    for (const char* phase : {"prefill", "decode"}) {
      const Json& f = p.at("flop").at(phase);
      EXPECT_GE(f.at("redundant"), 0);
      EXPECT_EQ(f.at("performed").get<std::int64_t>(),
                f.at("once").get<std::int64_t>() + f.at("redundant").get<std::int64_t>());
    }
    double time = 0;
    for (const Json& c : p.at("communication")) {
      for (const char* key : {"primitive", "group"}) EXPECT_FALSE(c.at(key).get<std::string>().empty());
      EXPECT_GT(c.at("count"), 0);
      EXPECT_GT(c.at("bytes_per_rank"), 0);
      if (c.at("phase") == "prefill") time += c.at("time_ms").get<double>();
    }
    EXPECT_NEAR(time, p.at("breakdown").at("prefill").at("communication_ms").get<double>(), 1e-6);
  }
}

// DeepSeek-R1, 65,536 tokens: the work of one prompt does not depend on who does it.
TEST_F(Compare, TheWorkOnceIsTheSameForEveryAlternative) {
  const Json points = compare_json({"--vary", "cp=1,2,4", "--input", "64K"}).at("points");
  for (const Json& p : points)
    EXPECT_EQ(p.at("flop").at("prefill").at("once"), points.at(0).at("flop").at("prefill").at("once"));
}

TEST_F(Compare, ACrossoverIsFoundToOneBlock) {
  const Json json = compare_json({"--vary", "experts.exchange=all-gather,all-to-all-padded", "--input", "1K..16K"});
  ASSERT_EQ(json.at("crossovers").size(), 1u) << json.at("verdict");
  const Json& x = json.at("crossovers").at(0);
  const int tokens = x.at("input_tokens").get<int>();
  const Json around = compare_json({"--vary", "experts.exchange=all-gather,all-to-all-padded", "--input",
                                    std::to_string(tokens - 128) + "," + std::to_string(tokens)})
                          .at("points");
  const auto ttft = [&](std::size_t i) { return around.at(i).at("ttft_ms").at("mean").get<double>(); };
  const bool gather_first = x.at("from") == "experts.exchange all-gather";
  EXPECT_EQ(ttft(0) <= ttft(1), gather_first);   // one block before: the earlier winner
  EXPECT_EQ(ttft(2) <= ttft(3), !gather_first);  // there: the later one
}

TEST_F(Compare, SaysThatThereIsNoCrossover) {
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K..64K"}), kDone);
  EXPECT_TRUE(contains(out, "No crossover between 4,096 and 65,536 tokens")) << out;
}

TEST_F(Compare, SaysThatAKeyChangesNothing) {
  const Json json = compare_json({"--vary", "enable_nz=true,false", "--input", "4K"});
  EXPECT_EQ(json.at("without_effect"), Json{"enable_nz"});
  EXPECT_TRUE(contains(json.at("verdict").back().get<std::string>(), "enable_nz changes nothing here"))
      << json.at("verdict");
}

TEST_F(Compare, HardwareAndModelsAreAlternativesToo) {
  const Json json = compare_json(
      {"--hardware", "atlas-800i-a2,atlas-800i-a3", "--model", "deepseek-r1,deepseek-v3.1", "--input", "4K"});
  ASSERT_EQ(json.at("points").size(), 4u);
  EXPECT_EQ(json.at("points").at(0).at("hardware"), "atlas-800i-a2");
  EXPECT_EQ(json.at("points").at(2).at("model"), "DeepSeek-V3.1");
}

TEST_F(Compare, TablesHaveTheirColumns) {
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K,64K", "--format", "csv"}), kDone);
  for (const char* part : {"# verdict\ntext\n",
                           "# "
                           "alternatives\nalternative,input_tokens,batch,derived,standing,ttft_ms,tpot_ms,prefill_step_"
                           "ms,decode_step_ms,memory_peak_bytes,fits\n",
                           "# "
                           "prefill_breakdown\nalternative,input_tokens,batch,attention_ms,linear_ms,moe_ms,vector_ms,"
                           "communication_ms,exposed_communication_ms,host_ms,idle_ms,step_ms\n",
                           "# "
                           "communication\nalternative,input_tokens,batch,phase,primitive,group,count,count_per_layer,"
                           "bytes,sent_bytes_per_layer,sent_bytes,time_ms\n",
                           "# memory_per_rank\nalternative,input_tokens,batch,weights_bytes,",
                           "# work\nalternative,input_tokens,batch,phase,performed_flop,once_flop,redundant_flop,"})
    EXPECT_TRUE(contains(out, part)) << part;
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K", "--format", "md"}), kDone);
  EXPECT_TRUE(contains(out, "### Verdict\n\n* TTFT: cp ")) << out;
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K"}), kDone);
  EXPECT_EQ(out.substr(0, 21), "Verdict\n  * TTFT: cp ");
}

TEST_F(Compare, WritesPictures) {
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K", "--svg", "pictures/of cp"}), kDone) << err;
  for (const char* name : {"prefill-time", "decode-time", "strategy-cp-1", "strategy-cp-2"}) {
    const std::string svg = read(std::string("pictures/of cp/") + name + ".svg");
    EXPECT_EQ(svg.substr(0, 41), "<svg xmlns=\"http://www.w3.org/2000/svg\" w") << name;
    EXPECT_EQ(svg.substr(svg.size() - std::min<std::size_t>(svg.size(), 7)), "</svg>\n") << name;
    EXPECT_TRUE(contains(svg, "reduce-scatter") || contains(svg, "all-reduce") || contains(svg, "attention")) << name;
  }
  write("file", "");
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--input", "4K", "--svg", "file/below"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0005]: cannot write 'file/below/prefill-time.svg'")) << err;
}

TEST_F(Compare, SaysEverythingThatIsWrongAtOnce) {
  EXPECT_EQ(compare({"--vary", "cpp=1,2", "--vary", "tp", "--vary", "sp=x"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0363]: unknown key 'cpp'\n --> --vary cpp=1,2\n  = help: did you mean 'cp'?"))
      << err;
  EXPECT_TRUE(contains(err, "error[E0398]: --vary needs KEY=A,B,..\n --> --vary tp\n")) << err;
  EXPECT_TRUE(contains(err, " --> --vary sp=x\n")) << err;
  EXPECT_EQ(compare({"--input", "128K..4K", "--batch", "0"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0004]: --input: a range goes upwards, got '128K..4K'")) << err;
  EXPECT_TRUE(contains(err, "error[E0004]: --batch: whole numbers from 1 to 1,048,576")) << err;
  EXPECT_EQ(compare({"--vary", "cp=1,2", "--vary", "layout.cp=4"}), kWrongInput);
  EXPECT_TRUE(contains(err, "layout.cp is varied twice")) << err;
  EXPECT_EQ(compare({"--input", "4K", "--vary", "workload.input_tokens=4K,8K"}), kWrongInput);
  EXPECT_TRUE(contains(err, "--input and --vary workload.input_tokens say the same thing")) << err;
  EXPECT_EQ(compare({"--hardware", "atlas-800i-a3,atlas-800i-a9"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0201]")) << err;
  // Several alternatives ask for the same server, which is looked for once.
  EXPECT_EQ(compare({"--hardware", "atlas-800i-a9", "--vary", "cp=1,2"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0201]")) << err;
  EXPECT_EQ(compare({"--hardware", "atlas-800i-a3,"}), kWrongInput);
  EXPECT_TRUE(contains(err, "--hardware must be names with commas between")) << err;
}

// Eight requests on eight ranks of their own; ranks that compute up to a fifth longer keep the others waiting.
class UnequalRanks : public ApplicationTest {
 protected:
  int ask(const std::string& more) {
    write("decode.yaml",
          "ascendsim: 1\nstack: cann-recipes\nmodel: deepseek-r1\ndtype: bfloat16\nrole: decode\nlayout: {dp: 16, "
          "moe_ep: 16}\nexperts: {exchange: all-to-all" +
              more +
              "\nhardware: {server: atlas-800i-a3}\nworkload: {input_tokens: 4K, output_tokens: 64, batch: 16}\n");
    return run({"run", "decode.yaml"});
  }
};

TEST_F(UnequalRanks, WaitsOfTheOthersAreShown) {
  ASSERT_LT(ask("}"), kWrongInput) << err;
  EXPECT_FALSE(contains(out, "longest wait of a rank")) << out;
  ASSERT_LT(ask("}\ncompute_skew: 0.2"), kWrongInput) << err;
  EXPECT_TRUE(contains(out, "longest wait of a rank for others")) << out;
}

TEST_F(UnequalRanks, ASeedThatDrawsNothingIsSaid) {
  ASSERT_LT(ask(", seed: 3}"), kWrongInput) << err;
  EXPECT_TRUE(contains(err, "warning[W0336]: experts.seed has no effect")) << err;
  ASSERT_LT(ask(", seed: 3, imbalance: 1.5}"), kWrongInput) << err;
  EXPECT_FALSE(contains(err, "W0336")) << err;
}

TEST_F(UnequalRanks, OneRequestARankStaysWhole) {
  ASSERT_LT(ask("}\nmicro_batches: 2"), kWrongInput) << err;
  EXPECT_TRUE(contains(out, "micro_batches 2: a decode step has 16 requests on 16 DP groups, and stays whole")) << out;
}

class Plan : public ApplicationTest {
 protected:
  int plan(std::vector<std::string> more) {
    std::vector<std::string> args{"plan", "--model",    "deepseek-r1",  "--quantization",
                                  "w8a8", "--hardware", "atlas-800i-a3"};
    args.insert(args.end(), more.begin(), more.end());
    return run(std::move(args));
  }
};

TEST_F(Plan, ACellIsWhatRunSaysOfItsLayout) {
  ASSERT_EQ(plan({"--context", "8K", "--concurrency", "4", "--output", "256", "--json"}), kDone) << err;
  const Json cell = Json::parse(out).at("cells").at(0);
  EXPECT_EQ(cell.at("served"), true);
  EXPECT_EQ(cell.at("cards").get<int>(), 8 * cell.at("servers").get<int>());
  EXPECT_GE(cell.at("headroom_bytes"), 0);
  std::string yaml = "ascendsim: 1\nstack: mindie\nmodel: deepseek-r1\nlayout: {";
  for (const char* degree : {"dp", "cp", "sp", "tp", "moe_ep", "moe_tp"})
    yaml += std::string(degree) + ": " + std::to_string(cell.at("layout").at(degree).get<int>()) + ", ";
  write("own.yaml", yaml + "}\nexperts: {exchange: " + cell.at("exchange").get<std::string>() +
                        "}\nworkload: {input_tokens: 8K, output_tokens: 256, batch: 4}\n");
  ASSERT_EQ(run({"run", "own.yaml", "--hardware", "atlas-800i-a3", "--json"}), kDone) << err;
  const Json alone = Json::parse(out);
  for (const char* key :
       {"ttft_ms", "tpot_ms", "memory_per_rank_bytes", "output_throughput_per_card_tok_s", "bottleneck"})
    EXPECT_EQ(cell.at(key), alone.at(key)) << key;
}

TEST_F(Plan, SaysWhyNotAndWhatWouldDo) {
  EXPECT_EQ(plan({"--context", "64K", "--concurrency", "1", "--servers", "1"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "does not fit: ") && contains(out, "more servers (--servers)")) << out;
  EXPECT_EQ(plan({"--context", "4K", "--concurrency", "1", "--servers", "1", "--tpot", "1ms"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "misses the target: nearest TPOT ") && contains(out, "(target 1 ms)")) << out;
  EXPECT_EQ(plan({"--context", "128K", "--concurrency", "1", "--servers", "1", "--ttft", "1us"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "the work alone takes longer than the TTFT target")) << out;
  EXPECT_EQ(plan({"--context", "256K", "--concurrency", "1", "--servers", "1"}), kAnswerIsNo);
  EXPECT_TRUE(contains(out, "E0343 263168 positions are more than the 163840 of DeepSeek-R1")) << "the rule: " << out;
}

TEST_F(Plan, NamedDegreesStayAsNamed) {
  ASSERT_EQ(plan({"--context", "4K", "--concurrency", "1", "--set", "layout.tp=8", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out).at("cells").at(0).at("layout").at("tp"), 8);
}

// DeepSeek-V3.2 at 64K in vLLM-Ascend: DSA-CP, which FlashComm1 brings, computes the prompt in a fraction of the time
// and decodes more slowly. Both are shown, and nobody need ask.
TEST_F(Plan, ShowsWhatFlashCommIsGoodFor) {
  const std::vector<std::string> asked{"plan",
                                       "--model",
                                       "deepseek-v3.2",
                                       "--quantization",
                                       "w4a8",
                                       "--hardware",
                                       "atlas-800i-a3",
                                       "--engine",
                                       "vllm",
                                       "--engine-version",  // without context parallelism of sparse attention
                                       "0.14.0rc1",
                                       "--context",
                                       "64K",
                                       "--output",
                                       "8K",
                                       "--concurrency",
                                       "1"};
  const auto cell = [&](std::vector<std::string> more) {
    std::vector<std::string> args = asked;
    args.insert(args.end(), more.begin(), more.end());
    args.emplace_back("--json");
    EXPECT_EQ(run(args), kDone) << err;
    return Json::parse(out).at("cells").at(0);
  };
  const Json both = cell({}), off = cell({"--set", "features.flashcomm1=false"}), soon = cell({"--ttft", "10s"});
  EXPECT_EQ(both.at("flashcomm1"), false);
  EXPECT_EQ(both.at("ttft_ms"), off.at("ttft_ms"));
  const Json& soonest = both.at("soonest_first_token");
  EXPECT_EQ(soonest.at("flashcomm1"), true);
  EXPECT_EQ(soonest.at("servers"), both.at("servers"));
  EXPECT_LT(4 * soonest.at("ttft_ms").at("mean").get<double>(), both.at("ttft_ms").at("mean").get<double>());
  EXPECT_GT(soonest.at("tpot_ms").at("mean"), both.at("tpot_ms").at("mean"));
  // With a target it is the answer.
  EXPECT_EQ(soon.at("flashcomm1"), true);
  EXPECT_FALSE(soon.contains("soonest_first_token"));
  ASSERT_EQ(run(asked), kDone);
  EXPECT_TRUE(contains(out, "  first token  ") && contains(out, ", FlashComm1 ") && contains(out, "DSA-CP")) << out;
}

// SGLang cuts prompts on prefill instances of a pair alone: such an instance is offered beside, where it does.
TEST_F(Plan, OffersPrefillInstancesThatCutPrompts) {
  const std::vector<std::string> asked{
      "plan",      "--model", "deepseek-v3.2", "--hardware", "atlas-800i-a3", "--engine", "sglang",
      "--context", "64K",     "--concurrency", "1",          "--servers",     "2",        "--json"};
  ASSERT_EQ(run(asked), kDone) << err;
  const Json cells = Json::parse(out).at("cells");
  ASSERT_EQ(cells.size(), 2u) << out;
  EXPECT_EQ(cells.at(0).at("role"), "hybrid");
  EXPECT_EQ(cells.at(0).at("layout").at("cp"), 1);
  EXPECT_EQ(cells.at(1).at("role"), "prefill");
  EXPECT_GT(cells.at(1).at("layout").at("cp"), 1);
  // The same as when that role is asked for; and no other row then.
  std::vector<std::string> prefill = asked;
  prefill.insert(prefill.end(), {"--role", "prefill"});
  ASSERT_EQ(run(prefill), kDone) << err;
  const Json alone = Json::parse(out).at("cells");
  ASSERT_EQ(alone.size(), 1u);
  EXPECT_EQ(alone.at(0).at("ttft_ms"), cells.at(1).at("ttft_ms"));
}

TEST_F(Plan, BadInput) {
  EXPECT_EQ(run({"plan"}), kWrongInput);
  for (const char* option : {"--model", "--hardware", "--context", "--concurrency"})
    EXPECT_TRUE(contains(err, std::string("error[E0003]: ") + option)) << err;
  EXPECT_EQ(plan({"--context", "8K", "--concurrency", "1", "--ttft", "fast", "--engine", "mindi"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0004]: --ttft must be a time above 0, got 'fast'")) << err;
  EXPECT_EQ(plan({"--context", "8K", "--concurrency", "1", "--engine", "mindi"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0211]")) << err;
  EXPECT_EQ(plan({"--context", "8K", "--concurrency", "1", "--model", "deepseek-r9"}), kWrongInput);
  EXPECT_TRUE(contains(err, "error[E0220]")) << err;
}

}  // namespace
}  // namespace ascendsim
