// SGLang's scheduler alone: 10,000 requests of 1,024 tokens in and 256 out on one instance, arriving as fast as it can
// take them. Passes and requests per second of CPU time, decode passes one by one and as many at once as possible.
#include <benchmark/benchmark.h>

#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kRequests = 10'000;
constexpr std::int64_t kInFlight = 400;  // more than run at once, so that some always wait

SglangConfig instance() {
  SglangConfig config;
  config.page_size = 128;
  config.pool_tokens = 512 * 1024;
  config.max_running_requests = 256;
  return config;
}

void BM_SglangScheduler(benchmark::State& state) {
  const bool at_once = state.range(0) != 0;
  std::int64_t passes = 0;
  for (auto _ : state) {
    SglangScheduler scheduler(instance());
    std::int64_t sent = 0;
    const auto send = [&] {
      // A few output lengths, so that requests end one after another as they do under a real load.
      for (; sent < kRequests && scheduler.in_flight() < kInFlight; ++sent) {
        scheduler.add({.arrival = {}, .input_tokens = 1024, .output_tokens = 256 - sent % 64});
      }
    };
    for (send(); !scheduler.done(); send()) {
      std::int64_t steady = at_once ? scheduler.steady_passes() : 0;
      if (steady > 0) {
        scheduler.advance(steady);
      } else {
        scheduler.schedule();
        scheduler.complete();
        steady = 1;
      }
      passes += steady;
    }
  }
  state.counters["passes_per_second"] = benchmark::Counter(static_cast<double>(passes), benchmark::Counter::kIsRate);
  state.counters["requests_per_second"] =
      benchmark::Counter(static_cast<double>(kRequests * state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_SglangScheduler)->ArgName("at_once")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
