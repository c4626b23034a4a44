// Answers that were wrong or misleading once, each with the command that showed it and what it must say.
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;
using Args = std::vector<std::string>;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

Args operator+(Args a, const Args& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class WrongAnswers : public ApplicationTest {
 protected:
  static std::string example(const std::string& path) { return source_path("examples") + "/" + path; }
  Json json(Args args, int exit = kDone) {
    args.emplace_back("--json");
    EXPECT_EQ(run(std::move(args)), exit) << err;
    return Json::parse(out);
  }
  // Of the answer to `compare`, about this metric.
  static std::string headline(const Json& comparison, const std::string& metric) {
    for (const Json& line : comparison.at("verdict"))
      if (line.get<std::string>().starts_with(metric + ": ")) return line.get<std::string>();
    return {};
  }
};

const Args kFraction{"--env", "NPU_MEMORY_FRACTION=0.92"};

// ---- the verdict of `compare` ----

// maxBatchSize changes nothing of one request's time, so the two best are level; cp 1 is 13 % slower.
TEST_F(WrongAnswers, TwoLevelWinnersAreNotAllAlternatives) {
  const Json all = json(Args{"compare", example("mindie-context-parallel/config.json"), "--vary", "cp=1,2", "--vary",
                             "maxBatchSize=8,16", "--input", "64K", "--output", "1K"} +
                        kFraction);
  const std::string ttft = headline(all, "TTFT"), tpot = headline(all, "TPOT");
  EXPECT_TRUE(contains(ttft, "cp 2, maxBatchSize 8 and cp 2, maxBatchSize 16 are level")) << ttft;
  EXPECT_TRUE(contains(ttft, "times as fast as the next one")) << ttft;
  EXPECT_TRUE(contains(tpot, "cp 1, maxBatchSize 8 and cp 1, maxBatchSize 16 are level")) << tpot;
  EXPECT_FALSE(contains(all.at("verdict").dump(), "All alternatives"));
}

// What a graph saves of a decode step is no part of a prefill step: TPOT decides, TTFT is level.
TEST_F(WrongAnswers, AHeadlineSpeaksOfTpotToo) {
  const Json all = json({"compare", example("deepseek-v3.2/serve.sh"), "--hardware", "atlas-800i-a3", "--vary",
                         "graph.mode=eager,full-decode", "--input", "4K", "--output", "256"});
  EXPECT_TRUE(contains(headline(all, "TPOT"), "graph.mode full-decode wins")) << headline(all, "TPOT");
  EXPECT_TRUE(contains(headline(all, "TTFT"), "are level")) << headline(all, "TTFT");
  for (const Json& w : all.at("winners"))
    EXPECT_EQ(w.at("best").size(), w.at("metric") == "ttft" ? 2u : 1u) << w.dump();
}

// dcp 1 does not fit; 1 % is no win.
TEST_F(WrongAnswers, WhatDoesNotFitNeverWins) {
  const std::string serve =
      "vllm serve /w/DeepSeek-R1_w8a8 -tp 16 --decode-context-parallel-size 1 --enable-expert-parallel --quantization "
      "ascend --max-model-len 34K --max-num-batched-tokens 8192 --gpu-memory-utilization 0.92";
  const Json all = json({"compare", "--launch", serve, "--vary", "dcp=1,2,4", "--hardware", "atlas-800i-a3", "--input",
                         "32K", "--output", "1K", "--batch", "8"});
  ASSERT_FALSE(all.at("points").at(0).at("fits"));
  ASSERT_TRUE(all.at("points").at(2).at("fits"));
  for (const Json& w : all.at("winners")) {
    EXPECT_TRUE(w.at("can_be_started"));
    for (const Json& best : w.at("best")) EXPECT_NE(best, "dcp 1");
  }
  EXPECT_TRUE(contains(headline(all, "TPOT"), "dcp 4 wins")) << headline(all, "TPOT");
}

TEST_F(WrongAnswers, OfTwoOnlyTheOneThatFitsWins) {
  const Json all = json(Args{"compare", example("mindie-context-parallel/config.json"), "--vary",
                             "quantisation=w8a8,w4a8", "--input", "64K", "--output", "1K", "--batch", "16"} +
                        kFraction);
  ASSERT_FALSE(all.at("points").at(0).at("fits"));
  ASSERT_TRUE(all.at("points").at(1).at("fits"));
  EXPECT_EQ(all.at("verdict").at(0), "Of these quantisation w4a8 alone can be started.");
}

// Times less than the margin apart have one winner each way round: none.
TEST_F(WrongAnswers, WhatIsLevelIsSaidWithTheMargin) {
  const Json all = json(Args{"compare", example("mindie-context-parallel/config.json"), "--vary", "maxBatchSize=8,16",
                             "--input", "8K", "--output", "64"} +
                        kFraction);
  const double margin = all.at("level_margin").get<double>();
  EXPECT_GT(margin, 0.01);
  EXPECT_TRUE(contains(headline(all, "TTFT"), fmt::format("less than {:.0f} % apart", 100 * margin)));
}

// 32 ranks as asked, not the 16 of the file.
TEST_F(WrongAnswers, RanksAreThoseOfTheAlternatives) {
  ASSERT_EQ(run(Args{"compare", example("mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a3", "--set",
                     "worldSize=32", "--set", "moe_ep=32", "--vary", "cp=1,2", "--input", "4K"} +
                kFraction),
            kDone)
      << err;
  EXPECT_TRUE(contains(out, "32 in every alternative")) << out;
  EXPECT_FALSE(contains(out, "16 in every alternative")) << out;
}

// --enable-expert-parallel has no value.
TEST_F(WrongAnswers, ASwitchHasNoValueInWhatFollows) {
  const std::string serve =
      "vllm serve /w/DeepSeek-R1_w8a8 -tp 16 --enable-expert-parallel --quantization ascend --max-model-len 8K";
  const Json all = json({"compare", "--launch", serve, "--vary", "layout.dp=1,2", "--set", "world_size=32",
                         "--hardware", "atlas-800i-a3", "--servers", "2", "--input", "4K", "--output", "16"});
  EXPECT_EQ(all.at("points").at(0).at("derived"), Json::array({"--tensor-parallel-size 32"}));
  EXPECT_EQ(all.at("points").at(1).at("derived"), Json::array());
}

// ---- plan ----

TEST_F(WrongAnswers, APrefillInstanceHasNoOutputTokens) {
  const Args plan{"plan",      "--model", "deepseek-r1", "--quantisation", "w8a8",      "--hardware", "atlas-800i-a3",
                  "--context", "3500",    "--output",    "1500",           "--servers", "2",          "--concurrency",
                  "16",        "--ttft",  "2s",          "--role",         "prefill"};
  for (const char* format : {"csv", "table", "md"}) {
    ASSERT_EQ(run(plan + Args{"--format", format}), kDone) << err;
    EXPECT_FALSE(contains(out, "1169")) << out;  // 16 x 1,500 / 1.283 s / 16 cards
  }
  EXPECT_TRUE(json(plan).at("cells").at(0).at("output_throughput_per_card_tok_s").is_null());
}

// A row of a plan names what the engine has, and says it as the engine does.
TEST_F(WrongAnswers, APlanNamesExchangesThatTheEngineHas) {
  const auto exchange = [&](const char* engine) {
    ASSERT_EQ(run({"plan", "--model", "deepseek-r1", "--quantisation", "w8a8", "--hardware", "atlas-800i-a3",
                   "--context", "4K", "--concurrency", "16", "--engine", engine, "--servers", "1"}),
              kDone)
        << err;
  };
  exchange("vllm-ascend");
  EXPECT_FALSE(contains(out, "padded")) << out;
  exchange("sglang");
  EXPECT_FALSE(contains(out, "padded")) << out;
  EXPECT_TRUE(contains(out, "moe-a2a-backend")) << out;
  exchange("mindie");
  EXPECT_TRUE(contains(out, "ep_level")) << out;
}

// ... so that the row's launch files say all of it.
TEST_F(WrongAnswers, ARowOfAPlanIsExportedWhole) {
  const Json cell = json({"plan", "--model", "deepseek-r1", "--quantisation", "w8a8", "--hardware", "atlas-800i-a3",
                          "--context", "4K", "--concurrency", "16", "--engine", "vllm-ascend", "--servers", "1"})
                        .at("cells")
                        .at(0);
  const Json l = cell.at("layout");
  write("row.yaml",
        fmt::format("stack: vllm-ascend\nmodel: deepseek-r1\nquantisation: w8a8\nlayout: {{dp: {}, cp: {}, sp: {}, tp: "
                    "{}, moe_ep: {}, moe_tp: {}}}\nexperts: {{exchange: {}}}\nfeatures: {{flashcomm1: {}}}\nhardware: "
                    "{{server: atlas-800i-a3}}\nworkload: {{input_tokens: 4096, output_tokens: 1024, batch: 16}}\n"
                    "limits: {{max_seq_len: 5120, max_batch: 16}}\n",
                    l.at("dp").dump(), l.at("cp").dump(), l.at("sp").dump(), l.at("tp").dump(), l.at("moe_ep").dump(),
                    l.at("moe_tp").dump(), cell.at("exchange").get<std::string>(), cell.at("flashcomm1").dump()));
  ASSERT_EQ(run({"export", "row.yaml", "--to", "vllm", "-o", "out"}), kDone) << err;
  EXPECT_FALSE(contains(err, "experts.exchange")) << err;
}

// ---- files for launching ----

// The command of the README that export writes answers as the source does.
TEST_F(WrongAnswers, TheExportedReadmeHasTheWholeLoad) {
  write("many.yaml",
        "stack: vllm-ascend\nmodel: deepseek-r1\nquantisation: w8a8\nrole: decode\nlayout: {dp: 32, tp: 1, moe_ep: "
        "32}\nexperts: {exchange: all-to-all}\nfeatures: {speculative_tokens: 1}\nhardware: {server: atlas-800i-a3}\n"
        "limits: {max_seq_len: 5120, max_batch: 16}\nmemory_fraction: 0.92\n"
        "workload: {input_tokens: 3500, output_tokens: 1500, batch: 512, acceptance: [0.8]}\n");
  const Json asked = json({"run", "many.yaml"});
  ASSERT_EQ(run({"export", "many.yaml", "--to", "vllm", "-o", "out"}), kDone) << err;
  const std::string readme = read("out/README.md");
  const std::size_t from = readme.find("ascendsim run ");
  ASSERT_NE(from, std::string::npos) << readme;
  Args words;
  for (std::size_t at = from + std::string_view("ascendsim ").size(); at < readme.find('\n', from);) {
    const std::size_t end = std::min(readme.find(' ', at), readme.find('\n', from));
    words.push_back(readme.substr(at, end - at));
    at = end + 1;
  }
  std::filesystem::current_path("out");
  const Json there = json(words);
  for (const char* key : {"tpot_ms", "output_throughput_tok_s", "tokens_per_step"})
    EXPECT_EQ(there.at(key), asked.at(key)) << key << "\n" << readme;
}

// MindIE compares these when it starts, and ends.
TEST_F(WrongAnswers, DevicesMustFitTheInstances) {
  const std::string config = [] {
    std::ifstream file(source_path("examples/mindie-full-config/config.json"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const std::string devices = "[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]]";
  ASSERT_TRUE(contains(config, devices));
  const auto with = [&](const std::string& other) {
    std::string text = config;
    text.replace(text.find(devices), devices.size(), other);
    write("config.json", text);
    return run({"check", "config.json", "--hardware", "atlas-800i-a3", "--format", "short"});
  };
  EXPECT_EQ(with(devices), kDone) << err;
  EXPECT_EQ(with("[[0, 1, 2, 3]]"), kWrongInput);
  EXPECT_TRUE(contains(out + err, "npuDeviceIds has 4 devices for an instance, worldSize is 16")) << out << err;
  EXPECT_EQ(with("[[0, 1], [2, 3]]"), kWrongInput);
  EXPECT_TRUE(contains(out + err, "npuDeviceIds has 2 sets of devices, modelInstanceNumber is 1")) << out << err;
  EXPECT_EQ(with("[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14]]"), kWrongInput);
  EXPECT_TRUE(contains(out + err, "npuDeviceIds names device 14 twice")) << out << err;
  EXPECT_EQ(with("[0, 1]"), kWrongInput);
  EXPECT_EQ(with("16"), kWrongInput);
}

// 16 ranks are two servers of 8 dies, and the file says one.
TEST_F(WrongAnswers, OneServerIsOneServer) {
  const std::string file = example("mindie-full-config/config.json");
  EXPECT_EQ(run({"check", file, "--hardware", "atlas-800i-a2"}), kWrongInput);
  EXPECT_TRUE(contains(out + err, "E0318")) << out << err;
  EXPECT_TRUE(contains(out + err, "multiNodesInferEnabled is false")) << out << err;
  EXPECT_EQ(run({"check", file, "--hardware", "atlas-800i-a3", "--servers", "2"}), kWrongInput);
}

// ---- memory ----

// runtime: 1.5 GiB assumed, up to 3; visible: 61.3 GiB, from 60.5 on. 1.5 + 0.92 x 0.8 = 2.24 GiB may be missing.
TEST_F(WrongAnswers, LessFreeThanAssumedFiguresMayTakeIsBorderline) {
  const Args load = Args{example("mindie-context-parallel/config.json"),
                         "--hardware",
                         "atlas-800i-a3",
                         "--input",
                         "64K",
                         "--output",
                         "1K"} +
                    kFraction;
  const auto fits = [&](const Args& more) {
    const Json r = json(Args{"run"} + load + more);
    const Json m = r.at("memory_per_rank_bytes");
    const double free = (0.92 * m.at("capacity").get<double>() - m.at("peak").get<double>()) / (1 << 30);
    EXPECT_EQ(r.at("borderline").get<bool>(), free < 1.5 + 0.92 * 0.8) << free;
    return r.at("borderline").get<bool>();
  };
  EXPECT_TRUE(fits({"--batch", "8"}));
  EXPECT_FALSE(fits({"--quantisation", "w4a8"}));
  ASSERT_EQ(run(Args{"mem"} + load + Args{"--batch", "8"}), kDone) << err;
  EXPECT_TRUE(contains(out, "BORDERLINE, 0.01 GiB free, and 2.24 GiB may be missing")) << out;
  const Json points = json(Args{"compare"} + load + Args{"--batch", "8"}).at("points");
  EXPECT_TRUE(points.at(0).at("borderline").get<bool>());
}

// Experts of 1.56 GiB at 1.6 TB/s are 1.05 of 2.11 ms, 58 starts of 15 us 0.87 ms: neither alone is the limit.
TEST_F(WrongAnswers, LimitsAreShares) {
  ASSERT_EQ(run(Args{"run", example("mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a3", "--input",
                     "64K", "--output", "1K"} +
                kFraction),
            kDone)
      << err;
  // 1.56 GiB at 0.86 x 1.6 TB/s are 1.22 ms, 58 %; 0.87 ms are 41 %.
  EXPECT_TRUE(contains(out, "experts_gate_up (2.11 ms), limited by HBM 58 %, start-up 41 %")) << out;
}

// ---- the environment ----

TEST_F(WrongAnswers, TheShellsFractionIsNotTheEngines) {
  ASSERT_EQ(setenv("NPU_MEMORY_FRACTION", "0.92", 1), 0);
  const int code = run({"check", example("mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a3"});
  unsetenv("NPU_MEMORY_FRACTION");
  EXPECT_EQ(code, kDone) << err;
  EXPECT_TRUE(contains(out, "Your shell has 0.92")) << out;
  EXPECT_TRUE(contains(out, "--env NPU_MEMORY_FRACTION=0.92")) << out;
}

}  // namespace
}  // namespace ascendsim
