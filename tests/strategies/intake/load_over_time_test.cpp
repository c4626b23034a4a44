#include "strategies/intake/load_over_time.h"

#include <cmath>

#include "tests/workloads/requests/recorded.h"

namespace ascendsim {

namespace {

struct Read {
  std::optional<LoadOverTime> load;
  std::vector<Request> requests;
  std::string said;
};

Read read(const Settings& settings, const std::string& command = {},
          Workload asked = {.input_tokens = 100, .output_tokens = 10}) {
  Read out;
  Diagnostics diagnostics;
  std::optional<BenchmarkLoad> benchmark;
  if (!command.empty())
    benchmark = read_benchmark(read_launch(command, "--workload", {}, diagnostics), {}, diagnostics);
  out.load = load_over_time(settings, benchmark, asked, diagnostics);
  if (out.load)
    if (const auto source = out.load->open(diagnostics)) out.requests = all_of(*source);
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity != Severity::kNote) out.said += render_short(d) + "\n";
  return out;
}

std::string sample(const char* name) { return source_path("examples/traces/") + name; }

TEST(LoadOverTime, OfARate) {
  Settings s;
  s.service.rate = 4;
  const Read poisson = read(s);
  EXPECT_EQ(poisson.said, "");
  EXPECT_EQ(poisson.requests.size(), 1000);
  EXPECT_EQ(seconds(poisson.requests.back().arrival), 250);
  EXPECT_EQ(poisson.load->what, "1,000 requests at 4 a second, Poisson, 100 tokens in, 10 out");
  s.service.requests = 20;
  s.service.max_concurrency = 3;
  EXPECT_EQ(read(s).load->what, "20 requests at 4 a second, Poisson, 100 tokens in, 10 out, at most 3 in flight");
  s.service.requests = std::nullopt;
  s.service.duration = std::chrono::seconds(10);
  EXPECT_EQ(read(s).load->requests, 40) << "rate x time";
  s.service.rate = INFINITY;
  s.service.duration = std::nullopt;
  s.service.requests = 1;
  EXPECT_EQ(read(s).load->what, "1 request all at once, 100 tokens in, 10 out, at most 3 in flight");
}

TEST(LoadOverTime, OfVllmBenchIsWhatTheToolSends) {
  const Read r = read({},
                      "vllm bench serve --dataset-name random --random-input-len 3500 --random-output-len 1500 "
                      "--num-prompts 12 --request-rate 4 --max-concurrency 64 --seed 0 --goodput ttft:250 tpot:25");
  EXPECT_EQ(r.said, "");
  ASSERT_TRUE(r.load);
  EXPECT_EQ(r.load->tool, BenchmarkTool::kVllmBench);
  EXPECT_EQ(r.load->max_concurrency, 64);
  EXPECT_EQ(r.load->slo.of(Slo::Metric::kTpot)->at_most, std::chrono::milliseconds(25));
  ASSERT_EQ(r.requests.size(), 12);
  // tests/data/loads/vllm-bench-serve-metrics.json, posts_s of the same arguments
  EXPECT_NEAR(seconds(r.requests[0].arrival), 0.167311, 1e-6);
  EXPECT_NEAR(seconds(r.requests[7].arrival), 1.713418, 1e-6);
  EXPECT_EQ(r.load->what,
            "vllm bench serve, data set random: 12 requests at 4 a second, Poisson, 3,500 tokens in, 1,500 out, at "
            "most 64 in flight");
}

TEST(LoadOverTime, SettingsGoBeforeTheTool) {
  Settings s;
  s.service.rate = 8;
  s.service.requests = 5;
  s.service.seed = 3;
  s.input = 200;
  const Read r = read(s, "vllm bench serve --random-input-len 100 --num-prompts 12 --request-rate 4");
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.requests.size(), 5);
  EXPECT_EQ(seconds(r.requests.back().arrival), 5 / 8.0);
  EXPECT_EQ(r.requests[0].input_tokens, 200);
}

TEST(LoadOverTime, LengthsOfToolsAreThoseThatTheyDraw) {
  // Uniform from 1 to the given length; mean 2048.5 +- 5 standard errors of 1000 draws.
  const Read sglang = read({},
                           "python3 -m sglang.bench_serving --dataset-name random-ids --random-input 4096 "
                           "--random-output 256\n");
  ASSERT_EQ(sglang.requests.size(), 1000) << sglang.said;
  double sum = 0;
  for (const Request& r : sglang.requests) sum += static_cast<double>(r.input_tokens);
  EXPECT_NEAR(sum / 1000, 2048.5, 5 * 4096 / std::sqrt(12 * 1000.0));
  EXPECT_EQ(sglang.load->tool, BenchmarkTool::kSglangBench);
  const Read renamed = read({}, "python3 -m sglang.benchmark.serving --dataset-name random-ids --random-input 64\n");
  EXPECT_EQ(renamed.requests.size(), 1000) << "the tool's name since 0.5.15: " << renamed.said;
  // 1000 tokens that all have in common before 3000 drawn ones.
  const Read prefix = read({}, "vllm bench serve --random-prefix-len 1000 --random-input-len 3000");
  EXPECT_EQ(prefix.requests.at(0).input_tokens, 4000);
  const Read repeated = read({}, "vllm bench serve --dataset-name prefix_repetition --num-prompts 20");
  EXPECT_EQ(repeated.requests.at(0).input_tokens, 513) << "256 + 256 and BOS";
  EXPECT_EQ(repeated.requests.at(0).output_tokens, 128);
  EXPECT_EQ(read({}, "vllm bench serve --input-len 64 --random-input-len 99").requests.at(0).input_tokens, 64)
      << "the general name overwrites that of the data set";
  const Read ratio =
      read({}, R"(vllm bench serve --random-input-len 100 --random-range-ratio '{"input": 0.5, "output": 0}')");
  EXPECT_EQ(ratio.said, "");
  EXPECT_EQ(ratio.requests.at(1).output_tokens, 128);
}

TEST(LoadOverTime, WhatAToolWouldRefuseIsRefused) {
  EXPECT_NE(read({}, "vllm bench serve --request-rate 0").said.find("E0602"), std::string::npos);
  EXPECT_NE(read({}, "vllm bench serve --random-input-len 0").said.find("E0422"), std::string::npos);
  EXPECT_NE(read({}, "vllm bench serve --dataset-name sharegpt").said.find("E0601"), std::string::npos);
  EXPECT_NE(read({}, "python3 -m sglang.bench_serving --num-prompts 3").said.find("E0601"), std::string::npos)
      << "its default data set is ShareGPT";
  EXPECT_NE(read({}, "vllm bench serve --request-rate four").said.find("E0422"), std::string::npos);
  EXPECT_NE(read({}, "vllm bench serve --goodput itl:10").said.find("E0422"), std::string::npos);
}

TEST(LoadOverTime, OfATrace) {
  Settings s;
  s.service.trace = sample("own.csv");
  const Read whole = read(s);
  EXPECT_EQ(whole.said, "");
  ASSERT_EQ(whole.requests.size(), 20);
  s.service.time_scale = 0.5;
  const Read fast = read(s);
  EXPECT_EQ(fast.requests.back().arrival * 2, whole.requests.back().arrival);
  s.service.time_scale = std::nullopt;
  s.service.requests = 3;
  EXPECT_EQ(read(s).requests.size(), 3);
  s.service.requests = std::nullopt;
  s.service.duration = whole.requests[5].arrival;
  EXPECT_EQ(read(s).requests.size(), 5) << "what is sent before the end";
}

TEST(LoadOverTime, ARateGivesLengthsTheirTimes) {
  Settings s;
  s.service.trace = sample("lengths.csv");
  s.service.rate = 2;
  s.service.requests = 10;
  const Read r = read(s);
  EXPECT_EQ(r.said, "");
  ASSERT_EQ(r.requests.size(), 10);
  EXPECT_EQ(seconds(r.requests.back().arrival), 5);
}

TEST(LoadOverTime, SettingsThatExcludeEachOther) {
  const auto said = [](const std::function<void(Settings&)>& set, const std::string& command = {}) {
    Settings s;
    set(s);
    return read(s, command).said;
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(said([](Settings& s) { s.service.trace = sample("own.csv"), s.service.rate = 4; }),
                  "error[E0640]: --rate and --trace exclude each other"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.trace = sample("own.csv"); }, "vllm bench serve"),
                  "--trace and --workload exclude each other"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.trace = sample("own.csv"), s.input = 3; }),
                  "--trace and --input exclude each other"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.time_scale = 2; }), "--time-scale is for the times of a --trace"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.burstiness = 2; }), "--burstiness is for the gaps of a --rate"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.burstiness = 2; },
                       "python3 -m sglang.bench_serving --dataset-name random-ids\n"),
                  "--burstiness and sglang.bench_serving exclude each other"));
  EXPECT_TRUE(has(said([](Settings& s) { s.service.trace = "/nowhere.jsonl"; }), "E0101"));
}

}  // namespace

}  // namespace ascendsim
