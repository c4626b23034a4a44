// Decisions of MindIE's scheduler per second, without a model: 10,000 requests of 1024 in and 256 out on one instance,
// one by one and with decode steps taken at once. Counted are the rounds that the engine would go through.
#include <benchmark/benchmark.h>

#include <vector>

#include "strategies/serving/schedulers/mindie.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kRequests = 10'000;

std::int64_t serve(const MindieConfig& config, bool at_once) {
  MindieScheduler scheduler(config);
  std::vector<std::int64_t> left;  // output tokens, by number
  std::vector<MindieResult> results;
  Duration now{};
  std::int64_t sent = 0, finished = 0, rounds = 0;
  constexpr Duration kBetween = std::chrono::milliseconds(55), kPrefill = std::chrono::milliseconds(60),
                     kDecode = std::chrono::milliseconds(20), kSleep = std::chrono::milliseconds(1);
  while (finished < kRequests) {
    for (; sent < kRequests && sent * kBetween <= now; ++sent) {
      const RequestIndex r = scheduler.add({.arrival = sent * kBetween, .input_tokens = 1024, .output_tokens = 256});
      if (r >= left.size()) left.resize(r + 1);
      left[r] = 256;
    }
    if (at_once) {
      const MindieRun run = scheduler.decode_run();
      std::int64_t n = 0;
      while (n < run.steps && now + n * kDecode < run.until &&
             (sent == kRequests || now + n * kDecode < sent * kBetween))
        ++n;
      if (n > 0) {
        scheduler.advance(n, now + (n - 1) * kDecode);
        for (std::size_t i = 0; i < scheduler.running().size(); ++i) left[scheduler.running()[i]] -= n;
        now += n * kDecode;
        rounds += n;
        continue;
      }
    }
    const MindieStep& step = scheduler.schedule(now);
    ++rounds;
    now += step.empty() ? kSleep : step.prefill ? kPrefill : kDecode;
    results.clear();
    for (const ScheduledRequest& r : step.batch.requests) {
      const bool last = --left[r.request] == 0;
      finished += last ? 1 : 0;
      results.push_back({r.request, 1, last});
    }
    scheduler.complete(results, now);
  }
  return rounds;
}

void mindie_scheduler(benchmark::State& state) {
  MindieConfig config;
  config.npu_blocks = 4000;
  config.max_batch = 512;
  config.prefix_cache = state.range(1) != 0;
  std::int64_t rounds = 0;
  for (auto _ : state) rounds += serve(config, state.range(0) != 0);
  state.SetItemsProcessed(rounds);
}
BENCHMARK(mindie_scheduler)
    ->ArgNames({"at_once", "prefix_cache"})
    ->Args({0, 0})
    ->Args({1, 0})
    ->Args({0, 1})
    ->Args({1, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
