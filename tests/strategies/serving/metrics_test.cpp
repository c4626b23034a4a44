// Against numbers recorded from the tools' own code (tests/data/loads), and by hand.
#include "strategies/serving/metrics.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "tests/workloads/requests/recorded.h"

namespace ascendsim {

namespace {

Duration at(double seconds) { return Duration(std::llround(seconds * 1e12)); }
Duration ms(std::int64_t n) { return std::chrono::milliseconds(n); }

// A stream as the client sees it, in seconds after it was sent.
struct Stream {
  double sent = 0;
  std::vector<double> chunks{};
  std::vector<std::int64_t> tokens{};  // new ones in each chunk; empty: as many as `output` says, evenly
  double closing = 0;                  // after the last chunk
  bool closes = true, failed = false;
  std::int64_t input = 100, output = 0;
};

void tell(ServiceMetrics& metrics, std::int64_t id, const Stream& s) {
  metrics.sent(at(s.sent));
  RequestOutcome o;
  o.id = id;
  o.arrival = o.sent = o.first_scheduled = at(s.sent);
  if (s.failed) {
    o.rejection = Rejection::kQueueFull;
    metrics.finished(o);
    return;
  }
  o.first_token = o.last_token = o.sent;
  if (!s.chunks.empty()) {
    o.first_token = at(s.sent + s.chunks.front());
    o.last_token = at(s.sent + s.chunks.back());
  }
  for (std::size_t i = 1; i < s.chunks.size(); ++i) {
    const Duration gap = at(s.sent + s.chunks[i]) - at(s.sent + s.chunks[i - 1]);
    o.longest_stall = std::max(o.longest_stall, gap);
    metrics.chunks(at(s.sent + s.chunks[i]), gap, s.tokens.empty() ? 1 : s.tokens[i], 1);
  }
  o.terms.prefill = o.first_token - o.sent;
  o.closing = at(s.closing);
  o.closing_chunk = s.closes;
  o.input_tokens = s.input;
  o.output_tokens = s.output;
  metrics.finished(o);
}

// Recorded to six digits of a millisecond.
constexpr double kMs = 1e-6;

void expect_vllm(const Json& said, const ServiceReport& r) {
  const auto near = [&](const std::string& key, double value) {
    if (said.contains(key) && !said.at(key).is_null()) {
      EXPECT_NEAR(said.at(key).get<double>(), value, kMs) << key;
    }
  };
  // Of whole runs the sends are recorded to a microsecond, and so the duration.
  const auto near_rate = [&](const std::string& key, double value) {
    if (said.contains(key) && !said.at(key).is_null()) {
      EXPECT_NEAR(said.at(key).get<double>(), value, kMs + value * 0.6e-6 / r.duration_s) << key;
    }
  };
  near("completed", static_cast<double>(r.completed));
  near("failed", static_cast<double>(r.rejections()));
  for (const char* const name : {"total_input", "total_input_tokens"}) near(name, static_cast<double>(r.input_tokens));
  for (const char* const name : {"total_output", "total_output_tokens"})
    near(name, static_cast<double>(r.output_tokens));
  near("duration", r.duration_s);
  near_rate("request_throughput", r.requests_per_second);
  near_rate("request_goodput", r.goodput_per_second);
  near_rate("output_throughput", r.output_tokens_per_second);
  near_rate("total_token_throughput", r.output_tokens_per_second + r.input_tokens_per_second);
  near("max_output_tokens_per_s", static_cast<double>(r.most_tokens_in_a_second));
  near("max_concurrent_requests", static_cast<double>(r.most_requests_in_a_second));
  for (const auto& [name, spread] :
       {std::pair{"ttft", &r.ttft}, {"tpot", &r.tpot}, {"itl", &r.itl}, {"e2el", &r.e2el}, {"e2e_latency", &r.e2el}}) {
    const auto key = [&](const char* statistic) { return fmt::format("{}_{}_ms", statistic, name); };
    near(key("mean"), spread->mean_ms);
    near(key("median"), spread->p50_ms);
    near(key("std"), spread->deviation_ms);
    near(key("p90"), spread->p90_ms);
    near(key("p95"), spread->p95_ms);
    near(key("p99"), spread->p99_ms);
    near(key("max"), spread->max_ms);
    if (!said.contains(key("percentiles"))) continue;
    for (const Json& pair : said.at(key("percentiles"))) {
      const double q = pair[0].get<double>();
      const double ours = q == 50 ? spread->p50_ms : q == 90 ? spread->p90_ms : spread->p99_ms;
      EXPECT_NEAR(pair[1].get<double>(), ours, kMs) << name << " p" << q;
    }
  }
}

Slo slo_of(const Json& limits_ms) {
  Slo slo;
  for (const auto& [name, value] : limits_ms.items()) {
    const Slo::Metric metric = name == "ttft"   ? Slo::Metric::kTtft
                               : name == "tpot" ? Slo::Metric::kTpot
                                                : Slo::Metric::kE2el;
    slo.of(metric) = {at(value.get<double>() / 1e3), Statistic::kP99};
  }
  return slo;
}

TEST(Metrics, AreThoseOfVllmBenchServe) {
  const Json file = recorded("vllm-bench-serve-metrics.json");
  std::map<std::string, Json> by_case;
  for (const Json& r : file.at("per_request")) by_case[r.at("case").get<std::string>()] = r;
  ASSERT_EQ(file.at("metrics").size(), 8);
  for (const Json& row : file.at("metrics")) {
    SCOPED_TRACE(row.at("cases").dump());
    ServiceMetrics metrics(BenchmarkTool::kVllmBench, slo_of(row.at("goodput_config_ms")));
    for (std::size_t i = 0; i < row.at("cases").size(); ++i) {
      const Json& r = by_case.at(row.at("cases")[i].get<std::string>());
      tell(metrics, static_cast<std::int64_t>(i),
           {.chunks = r.at("chunk_times_s").get<std::vector<double>>(),
            .closing = 0.001,
            .failed = !r.at("success").get<bool>(),
            .output = row.at("output_lens")[i].get<std::int64_t>()});
    }
    expect_vllm(row.at("metrics"), metrics.report(at(row.at("duration_s").get<double>()), {}));
  }
}

// The recorded server: 0.1 s + 0.1 ms a prompt token, then 20 ms a token, the end of the stream 2 ms later.
TEST(Metrics, OfWholeRunsAreThoseOfVllmBenchServe) {
  const Json file = recorded("vllm-bench-serve-metrics.json");
  ASSERT_EQ(file.at("whole_program").size(), 7);
  for (const Json& run : file.at("whole_program")) {
    const auto arguments = run.at("arguments").get<std::string>();
    SCOPED_TRACE(arguments);
    const Json& result = run.at("result");
    Slo slo;
    if (arguments.find("--goodput ttft:250 tpot:25") != std::string::npos) slo = slo_of({{"ttft", 250}, {"tpot", 25}});
    ServiceMetrics metrics(BenchmarkTool::kVllmBench, slo);
    double end = 0;
    const bool one = arguments.find("--random-output-len 1 ") != std::string::npos;
    for (std::size_t i = 0; i < run.at("posts_s").size(); ++i) {
      Stream s{.sent = run.at("posts_s")[i].get<double>(), .closing = 0.002, .input = 1000, .output = one ? 1 : 10};
      if (result.contains("input_lens")) {
        s.input = result.at("input_lens")[i].get<std::int64_t>();
        s.output = result.at("output_lens")[i].get<std::int64_t>();
      }
      for (std::int64_t k = 0; k < s.output; ++k)
        s.chunks.push_back(0.1 + 0.0001 * static_cast<double>(s.input) + 0.02 * static_cast<double>(k));
      end = std::max(end, s.sent + s.chunks.back() + s.closing);
      tell(metrics, static_cast<std::int64_t>(i), s);
    }
    expect_vllm(result, metrics.report(at(end), {}));
  }
}

TEST(Metrics, AreThoseOfSglangBenchServing) {
  // Streams as the recording names them; the file has what the tool made of them.
  const std::map<std::string, Stream> streams{
      {"five tokens, one a chunk", {.chunks = {0.5, 0.52, 0.54, 0.56, 0.58}, .closing = 0.001}},
      {"one token", {.chunks = {0.3}, .closing = 0.001}},
      {"MTP: 7 tokens in 3 chunks (1, 4, 7)", {.chunks = {0.4, 0.45, 0.5}, .tokens = {1, 3, 3}, .closing = 0.001}},
      {"first chunk holds 4 tokens (4, 8)", {.chunks = {0.4, 0.5}, .tokens = {4, 4}, .closing = 0.001}},
      {"HTTP 500", {.failed = true}},
      {"stream ends without a chunk", {.closing = 0.1}},
      {"connection breaks after 2 chunks", {.failed = true}},
      {"ended early: 3 tokens of 5 asked", {.chunks = {0.6, 0.7, 0.8}, .closing = 0.001}},
      {"[DONE] 0.5 s after the last token", {.chunks = {0.2, 0.3}, .closing = 0.5}},
      {"a chunk without a new token in between", {.chunks = {0.2, 0.3}, .closing = 0.001}},
  };
  const Json file = recorded("sglang-bench-serving-metrics.json");
  ASSERT_EQ(file.at("metrics").size(), 7);
  for (const Json& row : file.at("metrics")) {
    SCOPED_TRACE(row.at("cases").dump());
    ServiceMetrics metrics(BenchmarkTool::kSglangBench);
    for (std::size_t i = 0; i < row.at("cases").size(); ++i) {
      Stream s = streams.at(row.at("cases")[i].get<std::string>());
      if (row.contains("output_lens")) s.output = row.at("output_lens")[i].get<std::int64_t>();
      tell(metrics, static_cast<std::int64_t>(i), s);
    }
    if (!row.contains("metrics")) continue;  // all failed: the tool ends in an error
    const ServiceReport r = metrics.report(at(row.at("duration_s").get<double>()), {});
    expect_vllm(row.at("metrics"), r);
    EXPECT_NEAR(row.at("metrics").at("concurrency").get<double>(), r.in_flight, 1e-6);
  }
}

// "20.2 ms", "8.6059 token/s", 3
double value_of(const Json& text) { return text.is_string() ? std::stod(text.get<std::string>()) : text.get<double>(); }

TEST(Metrics, AreThoseOfAisBench) {
  const Json file = recorded("aisbench-metrics.json");
  int compared = 0;
  for (const Json& row : file.at("metrics")) {
    SCOPED_TRACE(row.at("cases").dump());
    if (!row.contains("csv")) continue;  // all failed: the tool ends in an error
    ServiceMetrics metrics(BenchmarkTool::kAisBench);
    const Json& json = row.at("json");
    for (std::size_t i = 0; i < row.at("time_points").size(); ++i) {
      const auto name = row.at("cases")[i].get<std::string>();
      auto points = row.at("time_points")[i].get<std::vector<double>>();
      const std::int64_t output = name.starts_with("five")  ? 5
                                  : name.starts_with("MTP") ? 7
                                  : name.starts_with("one") ? 1
                                                            : 3;
      Stream s{.chunks = {points.begin() + 1, points.end()}, .failed = name == "failed", .output = output};
      s.closes = name.find("no usage") == std::string::npos && name.find("resolution") == std::string::npos;
      if (s.closes && !s.failed) {
        s.closing = points.back() - points[points.size() - 2];
        s.chunks.pop_back();
      }
      // One recorded run has its second request 0.25 s later.
      if (json.at("Benchmark Duration").at("total") == "751.0 ms" && i == 1) s.sent = 0.25;
      tell(metrics, static_cast<std::int64_t>(i), s);
    }
    const ServiceReport r = metrics.report(at(100), {});
    const auto total = [&](const char* key) { return value_of(json.at(key).at("total")); };
    constexpr double kDigits = 0.5e-4;
    EXPECT_NEAR(total("Benchmark Duration"), r.duration_s * 1e3, kDigits);
    EXPECT_EQ(total("Total Requests"), static_cast<double>(r.sent));
    EXPECT_EQ(total("Failed Requests"), static_cast<double>(r.rejections()));
    EXPECT_NEAR(total("Concurrency"), r.in_flight, kDigits);
    EXPECT_NEAR(total("Request Throughput"), r.requests_per_second, kDigits);
    EXPECT_NEAR(total("Output Token Throughput"), r.output_tokens_per_second, kDigits);
    EXPECT_NEAR(total("Input Token Throughput"), r.input_tokens_per_second, kDigits);
    for (const auto& [name, spread] :
         {std::pair{"TTFT", &r.ttft}, {"TPOT", &r.tpot}, {"ITL", &r.itl}, {"E2EL", &r.e2el}}) {
      if (!row.at("csv").contains(name)) continue;
      const Json& said = row.at("csv").at(name).at("total");
      EXPECT_EQ(value_of(said.at("Average")), spread->mean_ms) << name;
      EXPECT_EQ(value_of(said.at("Median")), spread->p50_ms) << name;
      EXPECT_EQ(value_of(said.at("P90")), spread->p90_ms) << name;
      EXPECT_EQ(value_of(said.at("P99")), spread->p99_ms) << name;
      EXPECT_EQ(value_of(said.at("Max")), spread->max_ms) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 10);
}

TEST(Metrics, TermsOfATtftAddUpOrItIsOurBug) {
  ServiceMetrics metrics(BenchmarkTool::kVllmBench);
  metrics.sent({});
  RequestOutcome o{.first_token = ms(30), .last_token = ms(30), .output_tokens = 1};
  o.terms.queue = ms(10);
  o.terms.prefill = ms(19);
  EXPECT_ANY_THROW(metrics.finished(o));
  o.terms.host = ms(1);
  metrics.finished(o);
  const ServiceReport r = metrics.report(ms(30), {});
  EXPECT_EQ(std::accumulate(r.ttft_terms_ms.begin(), r.ttft_terms_ms.end(), 0.0), r.ttft.mean_ms);
}

// Two instances over 10 s; 30 of 100 tokens held for 5 s in all, busy for 12 s in all.
TEST(Metrics, OfPoolsAreShares) {
  PoolUse use{.name = "decode", .instances = 2, .busy = at(12), .kv_capacity = 100, .kv_peak = 30};
  use.kv_time = __int128{30} * at(5).count();
  use.running_time = __int128{3} * at(5).count();
  const ServiceReport r = ServiceMetrics(BenchmarkTool::kVllmBench).report(at(10), std::span(&use, 1));
  ASSERT_EQ(r.pools.size(), 1);
  EXPECT_DOUBLE_EQ(r.pools[0].utilisation, 0.6);
  EXPECT_DOUBLE_EQ(r.pools[0].kv_use, 0.075);
  EXPECT_DOUBLE_EQ(r.pools[0].kv_peak, 0.3);
  EXPECT_DOUBLE_EQ(r.pools[0].running, 1.5);
}

// One server that serves one request after the other in `service` seconds.
Verdict verdict_of(std::int64_t n, double service, const std::function<double(std::int64_t)>& arrival) {
  WaitsOverTime waits;
  double free = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double arrives = arrival(i), start = std::max(arrives, free);
    free = start + service;
    waits.add(i, at(arrives), at(start - arrives), at(start - arrives), at(free - arrives));
  }
  return waits.verdict();
}

TEST(Verdict, KeepsUpOrNot) {
  const auto every_second = [](std::int64_t i) { return static_cast<double>(i); };
  EXPECT_EQ(verdict_of(1000, 0.9, every_second), Verdict::kStable);
  EXPECT_EQ(verdict_of(1000, 1.0, every_second), Verdict::kStable);
  EXPECT_EQ(verdict_of(1000, 1.2, every_second), Verdict::kOverloaded);  // waits grow by 0.2 a second
  EXPECT_EQ(verdict_of(100000, 1.1, every_second), Verdict::kOverloaded);
  EXPECT_EQ(verdict_of(1000, 1, [](std::int64_t) { return 0.0; }), Verdict::kBacklogged);
  EXPECT_EQ(verdict_of(1, 1, every_second), Verdict::kStable);
  EXPECT_EQ(WaitsOverTime().verdict(), Verdict::kStable);
  // A burst of 500 in the middle of a slow load is worked off at the end.
  EXPECT_EQ(verdict_of(1500, 0.5,
                       [](std::int64_t i) {
                         return i < 500 ? static_cast<double>(i) : i < 1000 ? 500.0 : static_cast<double>(i - 500);
                       }),
            Verdict::kStable);
}

TEST(Verdict, OfPoissonArrivalsFollowsTheRate) {
  for (const std::uint32_t seed : {1U, 2U, 3U, 4U, 5U}) {
    for (const auto& [load, expected] :
         {std::pair{0.5, Verdict::kStable}, {0.8, Verdict::kStable}, {1.3, Verdict::kOverloaded}}) {
      std::mt19937 random(seed);
      double time = 0;
      const auto next = [&](std::int64_t) {
        return time -= std::log((static_cast<double>(random()) + 1) / 4294967296.0);
      };
      EXPECT_EQ(verdict_of(4000, load, next), expected) << load << ", seed " << seed;
    }
  }
}

// Of a sorted list of all values.
Duration by_rank(const std::vector<std::int64_t>& values, int per_mille) {
  const double at_rank = static_cast<double>(values.size() - 1) * per_mille / 1000;
  const auto low = static_cast<std::size_t>(at_rank);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return Duration(std::llround(static_cast<double>(values[low]) +
                               static_cast<double>(values[high] - values[low]) * (at_rank - static_cast<double>(low))));
}

RC_GTEST_PROP(Sample, IsExactForFewValuesInAnyOrderAndGrouping, ()) {
  const auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange(0, 40)));
  Sample one_by_one, grouped;
  std::map<std::int64_t, std::int64_t> count;
  for (const std::int64_t v : values) one_by_one.add(Duration(v * 1'000'000)), ++count[v];
  for (auto at_end = count.rbegin(); at_end != count.rend(); ++at_end)
    grouped.add(Duration(at_end->first * 1'000'000), at_end->second);
  std::vector<std::int64_t> exact;
  for (const std::int64_t v : values) exact.push_back(v * 1'000'000);
  std::ranges::sort(exact);
  for (const int q : {0, 500, 900, 950, 990, 1000}) {
    RC_ASSERT(one_by_one.percentile(q) == grouped.percentile(q));
    RC_ASSERT(std::abs((one_by_one.percentile(q) - by_rank(exact, q)).count()) <= 1);
  }
  RC_ASSERT(one_by_one.mean_ms() == grouped.mean_ms());
  RC_ASSERT(one_by_one.deviation_ms() == grouped.deviation_ms());
}

TEST(Sample, OfManyDifferentValuesStaysSmallAndWithinItsBound) {
  std::mt19937_64 random(7);
  Sample sample, reversed;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 200'000; ++i) {
    // From microseconds to hours, evenly by order of magnitude.
    const int bits = 20 + static_cast<int>(random() % 34);
    values.push_back(static_cast<std::int64_t>((std::uint64_t{1} << bits) + random() % (std::uint64_t{1} << bits)));
    sample.add(Duration(values.back()));
  }
  for (auto v = values.rbegin(); v != values.rend(); ++v) reversed.add(Duration(*v));
  EXPECT_FALSE(sample.exact());
  std::ranges::sort(values);
  for (const int q : {10, 500, 900, 950, 990, 999}) {
    const auto exact = static_cast<double>(by_rank(values, q).count());
    EXPECT_NEAR(static_cast<double>(sample.percentile(q).count()), exact, exact / 4096) << q;
    EXPECT_EQ(sample.percentile(q), reversed.percentile(q));
  }
  EXPECT_EQ(sample.percentile(1000), Duration(values.back()));
  double sum = 0;
  for (const std::int64_t v : values) sum += static_cast<double>(v);
  EXPECT_NEAR(sample.mean_ms(), sum / static_cast<double>(values.size()) / 1e9, sum * 1e-21);
}

// Where distinct values reach the limit exactly, nothing is rounded; one more is too many.
TEST(Sample, ChangesAtItsLimit) {
  Sample sample;
  for (int round = 0; round < 3; ++round)
    for (std::size_t i = 0; i < Sample::kMostDistinct; ++i) sample.add(Duration(static_cast<std::int64_t>(i * 977)));
  EXPECT_EQ(sample.percentile(500).count(), (static_cast<std::int64_t>(Sample::kMostDistinct) / 2) * 977 - 977 / 2);
  EXPECT_TRUE(sample.exact());
  sample.add(Duration(1));
  EXPECT_GT(sample.percentile(500).count(), 0);
  EXPECT_FALSE(sample.exact());
}

// A million times the same is one value; the deviation of equal values is nothing.
TEST(Sample, OfEqualValuesHasNoDeviation) {
  Sample sample;
  for (int i = 0; i < 1000; ++i) sample.add(at(86400), 1000);
  EXPECT_EQ(sample.count(), 1'000'000);
  EXPECT_EQ(sample.deviation_ms(), 0);
  EXPECT_EQ(sample.percentile(990), at(86400));
  EXPECT_EQ(Sample().percentile(500), Duration{});
}

}  // namespace

}  // namespace ascendsim
