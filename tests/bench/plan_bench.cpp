// Layouts a second of the planner, and points a second of what `compare` computes for each. One core.
#include <benchmark/benchmark.h>

#include "hardware/catalogue.h"
#include "strategies/search/planning.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

const PlanSite& site() {
  static const PlanSite kSite = [] {
    const std::string root = source_path();
    Diagnostics diagnostics;
    PlanSite s;
    s.question.stack = "mindie";
    s.question.model = "deepseek-r1";
    put(s.question, field::kMemoryFraction, 0.92, "benchmark");
    s.stack = StackLibrary(root + "/strategies/engines/stacks").load("mindie", "", diagnostics);
    s.question.deployment.set_engine(s.stack.engine);
    resolve(s.question, ModelLibrary(root + "/workloads/models"), QuantisationLibrary(root + "/workloads/quantisation"),
            diagnostics);
    const Catalogue catalogue(root + "/hardware/catalogue");
    s.kernels = catalogue.kernels(s.stack.kernels, diagnostics);
    s.server = catalogue.server("atlas-800i-a3", "", diagnostics);
    s.most_servers = 2;
    diagnostics.throw_if_errors();
    return s;
  }();
  return kSite;
}

void plan_cell(benchmark::State& state, std::int64_t batch) {
  const Planner planner(site(), {});
  PlanCounts counts;
  std::int64_t layouts = 0;
  for (auto _ : state) {
    const PlanCell cell = planner.plan({.input_tokens = 32'768, .output_tokens = 1024, .batch = batch});
    counts = cell.counts;
    layouts += planner.layouts().legal;
  }
  state.counters["in_memory"] =
      static_cast<double>(counts.in_memory);  // of these, prefill and a decode step are priced
  state.counters["priced"] = static_cast<double>(counts.priced);
  state.counters["legal_layouts_per_s"] = benchmark::Counter(static_cast<double>(layouts), benchmark::Counter::kIsRate);
}
// What `compare` prices of a sweep, without its tables: 2 layouts x 20 lengths x 10 batches.
void sweep_of_400_points(benchmark::State& state) {
  const PlanSite& s = site();
  const Planner planner(s, {});
  const ExpertExchange exchange = s.question.deployment.exchange();
  const LayoutChoice layouts[2] = {{{.sp = 16, .tp = 16, .moe_ep = 16}, 16, exchange},
                                   {{.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16}, 16, exchange}};
  const Cluster cluster(s.server, 1);
  std::int64_t points = 0;
  for (auto _ : state)
    for (const LayoutChoice& layout : layouts)
      for (std::int64_t length = 2048; length <= 20 * 2048; length += 2048)
        for (const std::int64_t batch : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32}) {
          const Question q =
              *planner.with_load(layout, {.input_tokens = length, .output_tokens = 1024, .batch = batch});
          benchmark::DoNotOptimize(predict(Scenario(q.deployment, s.stack, s.kernels, cluster), q.workload).ttft.mean);
          ++points;
        }
  state.counters["points_per_s"] = benchmark::Counter(static_cast<double>(points), benchmark::Counter::kIsRate);
}
BENCHMARK(sweep_of_400_points)->Unit(benchmark::kMillisecond);

BENCHMARK_CAPTURE(plan_cell, one_request, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plan_cell, many_requests, 32)->Unit(benchmark::kMillisecond);

void enumerate_and_ask_the_rules(benchmark::State& state) {
  std::int64_t enumerated = 0;
  for (auto _ : state) enumerated += Planner(site(), {}).layouts().enumerated;
  state.counters["layouts_per_s"] = benchmark::Counter(static_cast<double>(enumerated), benchmark::Counter::kIsRate);
}
BENCHMARK(enumerate_and_ask_the_rules)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
