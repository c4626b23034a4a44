// The vLLM scheduler alone: 10,000 requests of 1,024 tokens in and 256 out on one instance, two arrivals in 5 steps on
// average, so that about 100 requests run. Step by step, and with runs of steps taken at once.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {
namespace {

constexpr int kRequests = 10'000;

VllmConfig config(std::int64_t drafts, bool async) {
  VllmConfig c;
  c.max_num_batched_tokens = 8192;
  c.num_gpu_blocks = 4001;
  c.async_scheduling = async;
  c.num_speculative_tokens = drafts;
  return c;
}

// Steps before which requests arrive: distances of 0 to 5 steps.
std::vector<std::int64_t> arrivals() {
  std::vector<std::int64_t> steps;
  std::uint64_t state = 1;
  std::int64_t step = 0;
  for (int i = 0; i < kRequests; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    step += static_cast<std::int64_t>((state >> 33) % 6);
    steps.push_back(step);
  }
  return steps;
}

void BM_VllmScheduler(benchmark::State& state) {
  const std::int64_t drafts = state.range(0);
  const bool async = state.range(1) != 0, runs = state.range(2) != 0;
  const std::vector<std::int64_t> when = arrivals();
  std::vector<std::int64_t> emitted;
  std::int64_t steps = 0;
  for (auto _ : state) {
    VllmScheduler scheduler(config(drafts, async));
    std::size_t arrived = 0;
    for (std::int64_t now = 0; arrived < when.size() || scheduler.has_work();) {
      for (; arrived < when.size() && when[arrived] <= now; ++arrived)
        scheduler.add({.arrival = {}, .input_tokens = 1024, .output_tokens = 256});
      const std::int64_t next = arrived < when.size() ? when[arrived] - now : INT64_MAX;
      if (const std::int64_t n = runs ? std::min(scheduler.steady_steps(), next) : 0; n > 0) {
        emitted.assign(drafts > 0 ? static_cast<std::size_t>(n) * scheduler.running().size() : 0, 1 + drafts / 2);
        scheduler.take_steady_steps(n, emitted);
        now += n;
        continue;
      }
      ++now;
      if (!scheduler.has_work()) continue;
      scheduler.schedule();
      const auto depth = static_cast<std::size_t>(scheduler.config().batches_in_flight());
      if (scheduler.steps_under_way() < depth && scheduler.has_work()) continue;
      emitted.assign(scheduler.size_of_next_result(), 1);
      scheduler.complete(emitted);
      steps = now;
    }
  }
  state.counters["steps"] = static_cast<double>(steps);
  state.counters["steps_per_second"] =
      benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(BM_VllmScheduler)
    ->ArgNames({"drafts", "async", "runs"})
    ->ArgsProduct({{0, 3}, {0, 1}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
