// A program of 2,000 operators on 16 ranks, unfolded: two lanes, a collective every tenth operator, a wait every
// fourth. The sweep, the executor without sharing, and with it.
#include <benchmark/benchmark.h>

#include "sim/executor.h"

namespace ascendsim {
namespace {

constexpr OperatorType kLocal{"local", nullptr};
constexpr OperatorType kCollective{"collective", nullptr, Primitive::kAllReduce};

struct Job {
  std::vector<Program> programs;
  std::vector<const Program*> pointers;
  std::vector<std::vector<Node>> nodes;
  std::vector<Contention> contention;
  Folding folding;
};

Job make_job(std::size_t ranks, std::uint32_t operators) {
  Job job;
  GroupKind rows{.name = "row", .groups = {}, .signature = {}}, all{.name = "all", .groups = {{}}, .signature = {}};
  for (std::size_t r = 0; r < ranks; ++r) {
    if (r % 4 == 0) rows.groups.emplace_back();
    rows.groups.back().push_back(static_cast<int>(r));
    all.groups[0].push_back(static_cast<int>(r));
  }
  const std::array kinds{rows, all};
  job.folding = unfolded(ranks, kinds);
  job.programs.resize(ranks);
  job.nodes.resize(ranks);
  job.contention.resize(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    std::uint64_t random = 1;
    for (std::uint32_t i = 0; i < operators; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const bool collective = random >> 32 & 1 ? i % 10 == 0 : i % 10 == 5;
      const auto lane = static_cast<StreamId>(random >> 40 & 2);
      Operator op{.type = collective ? &kCollective : &kLocal, .label = "op", .inputs = 1};
      op.stream = static_cast<StreamId>(lane + (collective ? 1 : 0));
      op.group = static_cast<std::uint8_t>(random >> 33 & 1);
      op.wait = i >= 8 && i % 4 == 0 ? i - 1 - static_cast<std::uint32_t>(random >> 34 & 7) : kNoWait;
      const auto ticks = static_cast<std::int64_t>(1'000'000 + (random >> 44) + (collective ? 0 : r * 1000));
      job.programs[r].operators.push_back(op);
      job.nodes[r].push_back({ticks, op.wait, op.stream, 0, 1});
      job.contention[r].shared.push_back(collective && i % 20 != 0 ? ticks : ticks + ticks / 3);
    }
  }
  for (const Program& p : job.programs) job.pointers.push_back(&p);
  return job;
}

template <class Play>
void measure(benchmark::State& state, Play play) {
  constexpr std::size_t kRanks = 16;
  constexpr std::uint32_t kOperators = 2000;
  const Job job = make_job(kRanks, kOperators);
  for (auto _ : state) benchmark::DoNotOptimize(play(job));
  state.counters["time_per_operator"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kRanks * kOperators,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

constexpr HostModel kHost{Duration(1'000'000), Duration(100'000)};

void BM_Sweep(benchmark::State& state) {
  measure(state, [](const Job& job) { return sweep(job.pointers, job.nodes, job.folding, kHost); });
}
BENCHMARK(BM_Sweep)->Unit(benchmark::kMicrosecond);

void BM_ExecutorWithoutSharing(benchmark::State& state) {
  measure(state, [](const Job& job) { return execute(job.pointers, job.nodes, job.folding, kHost); });
}
BENCHMARK(BM_ExecutorWithoutSharing)->Unit(benchmark::kMicrosecond);

void BM_ExecutorWithSharing(benchmark::State& state) {
  measure(state, [](const Job& job) { return execute(job.pointers, job.nodes, job.folding, kHost, job.contention); });
}
BENCHMARK(BM_ExecutorWithSharing)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ascendsim
