// What one step of examples/mindie-context-parallel costs to predict: built, priced, verified, swept, and all of it.
// per_op: time per operator of one rank class.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/clock.h"
#include "sim/verifier.h"
#include "strategies/engines/mindie/import.h"
#include "strategies/prediction/predict.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kInput = 65536, kOutput = 1024;

std::unique_ptr<Scenario> load_scenario() {
  const std::string root = source_path();
  Diagnostics diagnostics;
  const Catalogue catalogue(root + "/hardware/catalogue");
  Stack stack = StackLibrary(root + "/strategies/engines/stacks").load("mindie", "", diagnostics);
  ImportOptions options;
  options.memory_fraction = "0.92";
  Import import = import_mindie(root + "/examples/mindie-context-parallel/config.json", options, stack,
                                ModelLibrary(root + "/workloads/models"),
                                QuantisationLibrary(root + "/workloads/quantisation"), diagnostics);
  KernelTable kernels = catalogue.kernels(stack.kernels, diagnostics);
  Server server = catalogue.server("atlas-800i-a3", "", diagnostics);
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::kError) throw std::runtime_error(render_short(d));
  return std::make_unique<Scenario>(std::move(import.question.deployment), std::move(stack), std::move(kernels),
                                    Cluster(std::move(server), 1));
}

const Scenario& scenario() {
  static const std::unique_ptr<Scenario> s = load_scenario();
  return *s;
}

Step step_of(Phase phase) {
  const Layout& l = scenario().deployment.layout;
  return phase == Phase::kPrefill ? prefill_step(l, 1, kInput) : decode_step(l, 1, kInput, kInput + kOutput / 2);
}

// The programs of a step, one per rank class, with the ticks of their local operators; collectives count one tick.
struct Built {
  explicit Built(Phase phase) {
    const Scenario& s = scenario();
    const Step step = step_of(phase);
    std::vector<std::uint64_t> roles;
    for (std::int64_t r = 0; r < s.deployment.layout.world(); ++r) roles.push_back(role_of(s.deployment, step, r));
    folding = fold(roles, rank_groups(s.deployment.layout, s.cluster));
    for (const int rank : folding.representative) programs.push_back(build_program(s.deployment, step, s.facts, rank));
    for (const Program& p : programs) {
      pointers.push_back(&p);
      operators += p.operators.size();
      ticks.push_back(price(p));
    }
  }

  static std::vector<Duration> price(const Program& p) {
    std::vector<Duration> out(p.operators.size(), Duration(1));
    for (std::size_t i = 0; i < p.operators.size(); ++i) {
      const OperatorView v = p.view(i);
      if (v.op().type->primitive == Primitive::kNone) out[i] = scenario().cost.price(v.op().type->work(v)).total;
    }
    return out;
  }

  Folding folding;
  std::vector<Program> programs;
  std::vector<const Program*> pointers;
  std::vector<std::vector<Duration>> ticks;
  std::size_t operators = 0;
};

void per_operator(benchmark::State& state, std::size_t operators) {
  using benchmark::Counter;
  state.counters["operators"] = static_cast<double>(operators);
  state.counters["per_op"] =
      Counter(static_cast<double>(operators), Counter::kIsIterationInvariantRate | Counter::kInvert);
}

void build(benchmark::State& state, Phase phase) {
  const Scenario& s = scenario();
  const Step step = step_of(phase);
  std::size_t operators = 0;
  for (auto _ : state) {
    const Program p = build_program(s.deployment, step, s.facts, 0);
    operators = p.operators.size();
    benchmark::DoNotOptimize(p.operators.data());
  }
  per_operator(state, operators);
}

void price(benchmark::State& state, Phase phase) {
  const Built built(phase);
  for (auto _ : state) benchmark::DoNotOptimize(Built::price(built.programs[0]).data());
  per_operator(state, built.programs[0].operators.size());
}

void check_programs(benchmark::State& state, Phase phase) {
  const Built built(phase);
  for (auto _ : state) verify(built.pointers, built.folding);
  per_operator(state, built.operators);
}

void lower_and_sweep(benchmark::State& state, Phase phase) {
  const Built built(phase);
  const HostModel host;
  for (auto _ : state) {
    std::vector<std::vector<Node>> nodes;
    for (std::size_t c = 0; c < built.programs.size(); ++c) nodes.push_back(lower(built.programs[c], built.ticks[c]));
    benchmark::DoNotOptimize(sweep(built.pointers, nodes, built.folding, host).finish);
  }
  per_operator(state, built.operators);
}

void whole_step(benchmark::State& state, Phase phase, bool folded) {
  const Scenario& s = scenario();
  const Step step = step_of(phase);
  for (auto _ : state) benchmark::DoNotOptimize(s.pricer.price(step, folded).total);
}

// Step after step, each with one token more of context.
void timed_step(benchmark::State& state, const Scenario& s, Step step) {
  PipelineTimer timer(s.pricer);
  for (auto _ : state) {
    benchmark::DoNotOptimize(timer.time(step));
    for (GroupLoad& load : step.load)
      if (step.phase == Phase::kDecode && load.sequences > 0) ++load.context;
  }
}

void whole_prediction(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(predict(scenario(), {.input_tokens = kInput, .output_tokens = kOutput}).ttft.mean);
}

// One decode step of DeepSeek-R1 on 320 dies of CloudMatrix384, as docs/validation.md has it.
const Scenario& supernode(double imbalance) {
  static std::map<double, std::unique_ptr<Scenario>> known;
  std::unique_ptr<Scenario>& s = known[imbalance];
  if (s) return *s;
  const std::string root = source_path();
  Diagnostics diagnostics;
  const Catalogue catalogue(root + "/hardware/catalogue");
  Stack stack = StackLibrary(root + "/strategies/engines/stacks").load("cloudmatrix", "", diagnostics);
  Deployment d;
  d.set_engine(stack.engine);
  d.model = ModelLibrary(root + "/workloads/models").load("DeepSeek-R1", {}, diagnostics);
  d.dtype = Dtype::kBf16;
  d.quantisation = QuantisationLibrary(root + "/workloads/quantisation").load("w8a8", d.dtype, diagnostics);
  d.role = Role::kDecode;
  d.layout = {.dp = 320, .moe_ep = 320, .ep_level = 2, .lm_head_local_tp = 8};
  d.experts.exact_all_to_all = true;
  d.experts.redundant = d.experts.shared_ranks = 32;
  d.experts.imbalance = imbalance;
  KernelTable kernels = catalogue.kernels(stack.kernels, diagnostics);
  Server server = catalogue.server("cloudmatrix384", "", diagnostics);
  diagnostics.throw_if_errors();
  return *(s = std::make_unique<Scenario>(std::move(d), std::move(stack), std::move(kernels),
                                          Cluster(std::move(server), 20)));
}

void supernode_step(benchmark::State& state, double imbalance, bool folded) {
  const Scenario& s = supernode(imbalance);
  const Step step = decode_step(s.deployment.layout, 320 * 48, 4096, 4224);
  StepTime time;
  for (auto _ : state) benchmark::DoNotOptimize((time = s.pricer.price(step, folded)).total);
  state.counters["classes"] = time.classes;
  per_operator(state, time.operators * static_cast<std::size_t>(time.classes));
}

BENCHMARK_CAPTURE(supernode_step, folded_balanced, 1.0, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(supernode_step, unfolded_imbalanced, 1.5, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(build, prefill, Phase::kPrefill);
BENCHMARK_CAPTURE(build, decode, Phase::kDecode);
BENCHMARK_CAPTURE(price, prefill, Phase::kPrefill);
BENCHMARK_CAPTURE(price, decode, Phase::kDecode);
BENCHMARK_CAPTURE(check_programs, prefill, Phase::kPrefill);
BENCHMARK_CAPTURE(check_programs, decode, Phase::kDecode);
BENCHMARK_CAPTURE(lower_and_sweep, prefill, Phase::kPrefill);
BENCHMARK_CAPTURE(lower_and_sweep, decode, Phase::kDecode);
BENCHMARK_CAPTURE(whole_step, prefill, Phase::kPrefill, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(whole_step, prefill_unfolded, Phase::kPrefill, false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(whole_step, decode, Phase::kDecode, true)->Unit(benchmark::kMicrosecond);
void timed_example(benchmark::State& state, Phase phase) { timed_step(state, scenario(), step_of(phase)); }
void timed_supernode(benchmark::State& state) {
  const Scenario& s = supernode(1.0);
  timed_step(state, s, decode_step(s.deployment.layout, 320 * 48, 4096, 4224));
}
BENCHMARK_CAPTURE(timed_example, prefill, Phase::kPrefill)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(timed_example, decode, Phase::kDecode)->Unit(benchmark::kMicrosecond);
BENCHMARK(timed_supernode)->Unit(benchmark::kMicrosecond);
BENCHMARK(whole_prediction)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ascendsim
