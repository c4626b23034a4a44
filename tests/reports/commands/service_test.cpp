// `run` and `compare` under a load over time: what is said, what is refused, what is written.
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::ordered_json;

class ServiceCommand : public ApplicationTest {
 protected:
  std::vector<std::string> with(const char* command, std::vector<std::string> more) const {
    std::vector<std::string> words{command,      source_path("examples/mindie-context-parallel/config.json"),
                                   "--hardware", "atlas-800i-a3",
                                   "--env",      "NPU_MEMORY_FRACTION=0.92"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Json answer(std::vector<std::string> more, int code = kDone) {
    more.emplace_back("--json");
    EXPECT_EQ(run(with("run", more)), code) << err;
    return Json::parse(out);
  }
  std::string refusal(std::vector<std::string> more) {
    EXPECT_EQ(run(with("run", std::move(more))), kWrongInput) << out;
    return err;
  }
};

const std::vector<std::string> kSlow{"--rate", "0.1", "--requests", "40", "--input", "64K", "--output", "64"};

std::vector<std::string> slow(std::vector<std::string> more) {
  more.insert(more.begin(), kSlow.begin(), kSlow.end());
  return more;
}

TEST_F(ServiceCommand, AnswersWithTheKeysOfTheContract) {
  const Json a = answer(slow({"--slo", "ttft=60s,tpot=1s"}));
  for (const char* key : {"deployment",
                          "workload",
                          "ttft_ms",
                          "tpot_ms",
                          "itl_ms",
                          "e2el_ms",
                          "output_throughput_tok_s",
                          "output_throughput_per_card_tok_s",
                          "request_throughput_req_s",
                          "prefill_step_ms",
                          "decode_step_ms",
                          "tokens_per_step",
                          "memory_per_rank_bytes",
                          "kv_bytes_per_token_per_rank",
                          "kv_capacity_tokens",
                          "fits",
                          "breakdown",
                          "speed_of_light",
                          "assumptions",
                          "diagnostics",
                          "ttft_terms_ms",
                          "goodput_req_s",
                          "slo_attainment",
                          "preemptions",
                          "prefix_hit_rate",
                          "kv_use",
                          "requests",
                          "duration_s",
                          "verdict"})
    EXPECT_TRUE(a.contains(key)) << key;
  for (const char* key : {"mean", "p50", "p90", "p95", "p99"}) EXPECT_TRUE(a["ttft_ms"].contains(key)) << key;
  double sum = 0;
  for (const auto& [term, ms] : a["ttft_terms_ms"].items()) sum += ms.get<double>();
  EXPECT_EQ(a["ttft_terms_ms"].size(), 8);
  EXPECT_NEAR(sum, a["ttft_ms"]["mean"].get<double>(), 1e-9 * sum);
  EXPECT_EQ(a["requests"]["sent"], 40);
  EXPECT_EQ(a["requests"]["completed"], 40);
  EXPECT_EQ(a["slo_attainment"], 1.0);
  EXPECT_EQ(a["verdict"], "stable");
  EXPECT_EQ(a["fits"], true);
  // Little's law over the whole run.
  EXPECT_NEAR(a["in_flight"].get<double>(),
              40 * a["e2el_ms"]["mean"].get<double>() / 1e3 / a["duration_s"].get<double>(), 1e-9);
}

// The first screen of 24 lines holds the answer.
TEST_F(ServiceCommand, FirstLinesSayIt) {
  ASSERT_EQ(run(with("run", slow({"--slo", "ttft=60s"}))), kDone) << err;
  std::istringstream lines(out);
  std::string first, line;
  for (int i = 0; i < 24 && std::getline(lines, line); ++i) first += line + "\n";
  for (const char* word : {"40 requests at 0.1 a second, Poisson, 65,536 tokens in, 64 out", "verdict", "TTFT", "TPOT",
                           "p99", "longest stall", "queue", "in flight", "KV use", "goodput", "SLO", "throughput"})
    EXPECT_NE(first.find(word), std::string::npos) << word << "\n" << first;
  EXPECT_NE(out.find("Where the TTFT goes"), std::string::npos);
}

TEST_F(ServiceCommand, AMissedSloIsExitOne) {
  const Json a = answer(slow({"--slo", "ttft=1s:p50"}), kAnswerIsNo);
  EXPECT_EQ(a["slo"]["ttft"]["met"], false);
  EXPECT_EQ(a["slo_attainment"], 0.0);
  EXPECT_EQ(a["goodput_req_s"], 0.0);
}

TEST_F(ServiceCommand, OverloadIsAVerdict) {
  const Json a = answer({"--rate", "5", "--requests", "60", "--input", "64K", "--output", "64"});
  EXPECT_EQ(a["verdict"], "overloaded");
  EXPECT_EQ(a["requests"]["completed"], 60);
}

// 540,672 tokens of cache hold eight such requests; the others wait, and it does not fit only when not one does.
TEST_F(ServiceCommand, ABatchThatDoesNotFitAtOnceQueues) {
  const Json a = answer({"--batch", "16", "--input", "64K", "--output", "1K"});
  EXPECT_EQ(a["fits"], true);
  EXPECT_EQ(a["requests"]["completed"], 16);
  EXPECT_EQ(a["verdict"], "backlogged");
  EXPECT_GT(a["ttft_terms_ms"]["queue"].get<double>(), 0);
  ASSERT_EQ(run({"run", source_path("examples/mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a3",
                 "--env", "NPU_MEMORY_FRACTION=0.8", "--rate", "1", "--input", "64K", "--output", "1K"}),
            kAnswerIsNo)
      << err;
  EXPECT_NE(out.find("does not fit"), std::string::npos) << out;
}

TEST_F(ServiceCommand, ATypedBenchmarkIsSimulated) {
  const Json a = answer({"--workload",
                         "vllm bench serve --random-input-len 2048 --random-output-len 32 --num-prompts 30 "
                         "--request-rate 4 --max-concurrency 8"});
  EXPECT_EQ(a["requests"]["sent"], 30);
  EXPECT_EQ(a["workload"]["concurrency"], 8);
  EXPECT_EQ(a["workload"]["metrics_of"], "vllm bench serve");
  const Json result = [&] {
    EXPECT_EQ(run(with("run", {"--workload",
                               "vllm bench serve --random-input-len 2048 --random-output-len 32 "
                               "--num-prompts 30 --request-rate 4 --max-concurrency 8",
                               "--format", "vllm-bench"})),
              kDone)
        << err;
    return Json::parse(out);
  }();
  for (const char* key :
       {"date", "num_prompts", "request_rate", "max_concurrency", "duration", "completed", "failed",
        "total_input_tokens", "request_goodput", "mean_ttft_ms", "median_tpot_ms", "std_itl_ms", "p99_e2el_ms"})
    EXPECT_TRUE(result.contains(key)) << key;
  EXPECT_EQ(result["mean_ttft_ms"], a["ttft_ms"]["mean"]);
  EXPECT_EQ(result["p99_itl_ms"], a["itl_ms"]["p99"]);
}

TEST_F(ServiceCommand, WritesARowARequest) {
  for (const std::string name : {"requests.csv", "requests.jsonl"}) {
    ASSERT_EQ(run(with("run", slow({"--requests-file", name}))), kDone) << err;
    std::ifstream file(name);
    std::vector<std::string> rows;
    for (std::string line; std::getline(file, line);) rows.push_back(line);
    if (name.ends_with("csv")) {
      ASSERT_EQ(rows.size(), 41);
      EXPECT_TRUE(rows[0].starts_with("id,status,arrival_s,sent_s,")) << rows[0];
      EXPECT_EQ(std::ranges::count(rows[1], ','), std::ranges::count(rows[0], ','));
      continue;
    }
    ASSERT_EQ(rows.size(), 40);
    for (const std::string& row : rows) {
      const Json r = Json::parse(row);
      double sum = 0;
      for (const char* term : {"client_ms", "admission_ms", "queue_ms", "prefill_ms", "decode_between_ms",
                               "transfer_ms", "first_decode_ms", "host_ms"})
        sum += r.at(term).get<double>();
      EXPECT_NEAR(sum, r.at("ttft_ms").get<double>(), 1e-6);
      EXPECT_EQ(r.at("status"), "completed");
    }
  }
  EXPECT_NE(refusal(slow({"--requests-file", "no/such/folder/x.csv"})).find("E0005"), std::string::npos);
}

TEST_F(ServiceCommand, ATraceStreamsAndLongPromptsAreCounted) {
  std::ofstream("long.csv") << "arrival_s,input,output\n0,1000,8\n1,9000000,8\n2,1000,8\n";
  const Json a = answer({"--trace", "long.csv"});
  EXPECT_EQ(a["requests"]["sent"], 3);
  EXPECT_EQ(a["requests"]["completed"], 2);
  EXPECT_EQ(a["requests"]["rejected"], 1);
}

TEST_F(ServiceCommand, BadTracesAreSaidWithTheirPlace) {
  const auto said = [&](const std::string& text) {
    std::ofstream("t.csv") << text;
    return refusal({"--trace", "t.csv"});
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(said(""), "E0617")) << err;
  EXPECT_TRUE(has(said("arrival_s,input,output\n"), "E0617")) << err;
  EXPECT_TRUE(has(said("arrival_s,input,output\n5,10,1\n3,10,1\n"), "E0615") && has(err, "t.csv:3")) << err;
  EXPECT_TRUE(has(said("arrival_s,input,output\n0,10,1\n1,-10,1\n"), "E0613") && has(err, "t.csv:3")) << err;
  EXPECT_TRUE(has(said("arrival_s,input,output\n0,10,1\n1,10"), "E0620") && has(err, "t.csv:3")) << "cut: " << err;
  std::ofstream("cut.jsonl") << "{\"arrival_s\": 0, \"input\": 10, \"output\": 2}\n{\"arrival_s\": 1, \"inp";
  EXPECT_TRUE(has(refusal({"--trace", "cut.jsonl"}), "E0612") && has(err, "cut.jsonl:2")) << err;
  std::ofstream("zero.csv") << "arrival_s,input,output\n0,10,2\n1,0,2\n2,10,2\n";
  EXPECT_EQ(answer({"--trace", "zero.csv"})["requests"]["sent"], 2);
}

TEST_F(ServiceCommand, WrongSettingsAreSaidAllAtOnce) {
  const std::string said = refusal({"--rate", "0", "--slo", "tfft=2s", "--instances", "prefil=3", "--burstiness", "-1",
                                    "--duration", "5", "--input", "64K", "--output", "64"});
  for (const char* part :
       {"--rate must be a number above 0, or inf, got '0'", "unknown metric 'tfft'", "did you mean 'ttft'",
        "unknown side 'prefil=3'", "--burstiness must be a number above 0, or inf, got '-1'",
        "--duration must be a time above 0, got '5'"})
    EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
  EXPECT_NE(refusal({"--trace", source_path("examples/traces/own.csv"), "--rate", "4"}).find("exclude each other"),
            std::string::npos);
}

// The same seed, the same bytes; another seed, other instants.
TEST_F(ServiceCommand, IsDeterministic) {
  ASSERT_EQ(run(with("run", slow({}))), kDone) << err;
  const std::string first = out;
  ASSERT_EQ(run(with("run", slow({}))), kDone) << err;
  EXPECT_EQ(out, first);
  ASSERT_EQ(run(with("run", slow({"--seed", "7"}))), kDone) << err;
  EXPECT_NE(out, first);
}

TEST_F(ServiceCommand, APointOfCompareIsWhatRunSaysOfIt) {
  ASSERT_EQ(run(with("compare", slow({"--vary", "cp=1,2", "--json"}))), kDone) << err;
  const Json points = Json::parse(out)["points"];
  ASSERT_EQ(points.size(), 2);
  const Json a = answer(slow({}));  // cp 2, as the file says
  for (const char* key : {"ttft_ms", "tpot_ms", "itl_ms", "e2el_ms", "ttft_terms_ms", "verdict", "duration_s", "kv_use",
                          "output_throughput_tok_s"})
    EXPECT_EQ(points[1][key], a[key]) << key;
  EXPECT_NE(points[0]["ttft_ms"], points[1]["ttft_ms"]);
}

}  // namespace
}  // namespace ascendsim
