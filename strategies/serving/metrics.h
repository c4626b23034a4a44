// Metrics of a service by the definitions of the tool that a result is compared with. Sources: `vllm bench serve` of
// vLLM 0.15.0 (vllm/benchmarks/serve.py), sglang.bench_serving of SGLang 0.5.18, AISBench 29c363e of 2026-08-20;
// numbers recorded from them are in tests/data/loads. docs/metrics.md has the definitions side by side.
//
//   vllm bench serve      ITL: a gap between chunks is one value. E2EL ends at the last token. One token has no TPOT
//   sglang.bench_serving  ITL: a gap is divided by the tokens of its chunk and counted for each. E2EL ends with the
//                         stream
//   AISBench              ITL and E2EL hold the closing chunk. TPOT of one token is 0, and in the mean. Times are
//                         rounded to 0.1 ms, and the run lasts from the first send to the last end
// Percentiles are NumPy's in all of them: between neighbours, linearly.
//
// TTFT and E2EL count from the moment at which the client sends: what a limit on requests in flight holds back before
// that is in no metric but the duration.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/serving/outcome.h"
#include "strategies/serving/sample.h"
#include "workloads/requests/benchmark_tool.h"
#include "workloads/requests/slo.h"

namespace ascendsim {

// Of one metric; times in the precision of the tool.
struct Spread {
  std::int64_t count = 0;
  double mean_ms = 0, deviation_ms = 0;
  double p50_ms = 0, p90_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
  [[nodiscard]] double of(Statistic statistic) const;
};

// Does the service keep up with the load?
//   overloaded  waits grow as long as requests arrive: in each quarter of the load, and from the second to the last by
//               more than kGrowth + 1 / sqrt(n) of the time between these (the number of arrivals varies by as much)
//   backlogged  they do not, but the last sixteenth of the requests still waits for more than kGrowth of its latency
//               and of the time in which requests arrive: a burst that is worked off, a closed loop beyond what runs
//   stable      neither
// The wait is the time from when the load wants a request sent until it is scheduled; where all arrive at once, from
// when it is sent. An overloaded service with arrivals at rate a and capacity c makes waits grow by a / c - 1 a second.
enum class Verdict : std::uint8_t { kStable, kBacklogged, kOverloaded };
std::string_view to_text(Verdict verdict);
inline constexpr double kGrowth = 0.05;

struct ServiceReport {
  BenchmarkTool tool = BenchmarkTool::kVllmBench;
  Spread ttft, tpot, itl, e2el, queue, stall;                    // stall: longest gap of each request
  std::array<double, TtftTerms::kNames.size()> ttft_terms_ms{};  // they add up to the mean TTFT
  std::int64_t sent = 0, completed = 0;
  std::array<std::int64_t, kRejections> rejected{};                     // by Rejection
  std::int64_t input_tokens = 0, output_tokens = 0, cached_tokens = 0;  // of completed requests
  double duration_s = 0;
  double requests_per_second = 0, output_tokens_per_second = 0, input_tokens_per_second = 0;
  std::int64_t good = 0;                          // requests that meet every limit; 0 without limits
  double goodput_per_second = 0, attainment = 0;  // attainment: of all requests that were sent
  std::vector<Slo::Metric> missed;                // limits that the load as a whole does not meet
  std::int64_t preemptions = 0, preempted_requests = 0;
  double prefix_hit_rate = 0;  // tokens of prompts found in the cache
  double in_flight = 0;        // mean number of requests between sending and their end
  double waiting = 0;          // of these, before they are scheduled
  std::int64_t most_tokens_in_a_second = 0, most_requests_in_a_second = 0;  // whole seconds since the first send
  Verdict verdict = Verdict::kStable;
  struct Pool {
    std::string name;
    std::int64_t instances = 1;
    double utilisation = 0, kv_use = 0, kv_peak = 0;  // shares
    double running = 0, waiting = 0;                  // requests, mean
  };
  std::vector<Pool> pools;

  [[nodiscard]] std::int64_t rejections() const;
};

// Waits by position in the load, in at most kParts parts of equal width that double as the load grows.
class WaitsOverTime {
 public:
  void add(std::int64_t id, Duration arrival, Duration wait, Duration wait_since_sent, Duration latency);
  [[nodiscard]] Verdict verdict() const;

 private:
  static constexpr std::int64_t kParts = 64;
  struct Part {
    std::int64_t count = 0;
    __int128 arrivals = 0, waits = 0, waits_since_sent = 0, latencies = 0;
    Part& operator+=(const Part& other);
  };
  [[nodiscard]] Part between(std::int64_t first, std::int64_t end) const;

  std::array<Part, kParts> parts_{};
  std::int64_t width_ = 1, most_ = -1;  // requests of a part, largest id
  Duration first_arrival_ = Duration::max(), last_arrival_ = Duration::min();
};

// The serving loop tells it what happens; nothing is kept by request but its figures (sample.h). Any order of calls and
// any grouping of equal chunks gives the same report.
class ServiceMetrics {
 public:
  explicit ServiceMetrics(BenchmarkTool tool, const Slo& slo = {}) : tool_(tool), slo_(slo) {}

  void sent(Duration at) {
    ++sent_;
    if (at < first_sent_) first_sent_ = at;
  }
  // `count` requests each get a chunk of `tokens` tokens at that time, so long after their chunk before. First chunks
  // are not told: finished() knows them. Of requests that end as completed. REQUIRES: sent() was told before.
  void chunks(Duration at, Duration gap, std::int64_t tokens, std::int64_t count) {
    if (tool_ == BenchmarkTool::kSglangBench)
      spread_over_tokens(at, gap, tokens, count);
    else {
      itl_.add(gap, count);
      in_second(at).chunks += count;
    }
  }
  void finished(const RequestOutcome& outcome);
  // The run ends `duration` after it started: with the last stream. AISBench takes its own.
  [[nodiscard]] ServiceReport report(Duration duration, std::span<const PoolUse> pools) const;
  [[nodiscard]] const Slo& slo() const { return slo_; }

 private:
  struct Second {
    std::int64_t chunks = 0, requests = 0;  // requests: that start in it, less those that ended in the one before
  };
  Second& in_second(Duration at) {
    const auto second = static_cast<std::size_t>((at - first_sent_) / std::chrono::seconds(1));
    if (second >= seconds_.size()) seconds_.resize(second + 1);
    return seconds_[second];
  }
  void spread_over_tokens(Duration at, Duration gap, std::int64_t tokens, std::int64_t count);
  [[nodiscard]] bool meets_limits(const RequestOutcome& outcome, std::optional<Duration> tpot, Duration e2el) const;
  [[nodiscard]] Spread spread(const Sample& sample) const;
  void judge(ServiceReport& report) const;

  BenchmarkTool tool_;
  Slo slo_;
  Sample ttft_, tpot_, itl_, e2el_, queue_, stall_;
  std::array<__int128, TtftTerms::kNames.size()> terms_{};  // sums, picoseconds
  std::int64_t sent_ = 0, completed_ = 0, good_ = 0;
  std::array<std::int64_t, kRejections> rejected_{};
  std::int64_t input_tokens_ = 0, output_tokens_ = 0, cached_tokens_ = 0, preemptions_ = 0, preempted_ = 0;
  Duration first_sent_ = Duration::max(), first_start_ = Duration::max(), last_end_{};  // of completed requests
  std::vector<Second> seconds_;
  WaitsOverTime waits_;
};

}  // namespace ascendsim
