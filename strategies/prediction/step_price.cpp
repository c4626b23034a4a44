#include "strategies/prediction/step_price.h"

#include <algorithm>
#include <utility>

#include "sim/repeat.h"
#include "sim/verifier.h"
#include "strategies/prediction/step_report.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/layer_sharding.h"
#include "strategies/programs/short_model.h"

namespace ascendsim {

// A step as it is swept.
struct StepPricer::Prepared {
  std::vector<PricedProgram> programs;  // of each class
  std::vector<Contention> contention;   // of each, or none
  std::vector<std::vector<Node>> nodes;
  HostModel host;
  Launching launched;

  [[nodiscard]] std::vector<const Program*> texts() const {
    std::vector<const Program*> out;
    for (const PricedProgram& p : programs) out.push_back(&p.program);
    return out;
  }
};

namespace {

// A layer that only follows others, the one that then occurs again and again, and the last.
constexpr std::int64_t kBuilt = 4;

// Puts the layers that were not built where they belong; false, and nothing done, where layers are not alike.
bool repeat_layers(std::span<PricedProgram> programs, std::span<Contention> contention, const ShortModel& model) {
  if (model.dropped == 0) return true;
  std::vector<std::optional<Stretch>> stretches;
  for (const PricedProgram& p : programs)
    stretches.push_back(stretch_of(p.program, static_cast<int>(model.first + kBuilt - 2), 1 + model.dropped));
  if (std::ranges::any_of(stretches, [](const auto& s) { return !s; })) return false;
  for (std::size_t c = 0; c < programs.size(); ++c) programs[c].origin = repeat(programs[c].program, *stretches[c]);
  for (std::size_t c = 0; c < contention.size(); ++c)
    contention[c] = {programs[c].of_each(std::move(contention[c].shared)),
                     programs[c].of_each(std::move(contention[c].part)),
                     programs[c].of_each(std::move(contention[c].ports))};
  return true;
}

}  // namespace

StepPricer::StepPricer(const Deployment& deployment, const KernelFacts& facts, const Cluster& cluster,
                       const KernelCost& kernels, SharedKernels shared, HostFigures host)
    : deployment_(deployment),
      facts_(facts),
      cluster_(cluster),
      kernels_(kernels),
      shared_(shared),
      host_(host),
      groups_(rank_groups(deployment.layout, cluster)) {
  if (deployment.compute_skew > 0)
    slowness_ = compute_slowness(deployment.layout.world(), deployment.compute_skew, deployment.experts.seed);
  if (cluster.faults().empty()) return;
  healthy_ = std::make_unique<Cluster>(cluster.server(), cluster.servers(), cluster.ranks_per_server());
  LinkShares nominal;
  nominal.fill(Ratio(1));
  degraded_ = std::make_unique<ClusterNetwork>(cluster, nominal);
}

ProgramPricer StepPricer::programs_of(const Folding& folding) const {
  return {deployment_, healthy_ ? *healthy_ : cluster_, degraded_.get(), kernels_, facts_, groups_, folding};
}

// Weights that are broadcast ahead come from one layer after another: no layer stands for others.
bool StepPricer::fetches_weights(const Step& step) const {
  return step.phase == Phase::kPrefill && (shards_o_proj(deployment_) || shards_q_b(deployment_));
}
// Each layer's cache has its own time.
bool StepPricer::pushes_cache(const Step& step) const {
  return step.phase == Phase::kPrefill && deployment_.kv_transfer.layer_wise;
}

HostModel StepPricer::host_of(const Step& step, const Launching& launched) const {
  const bool replayed = launched.how == Launching::How::kStack || launched.how == Launching::How::kGraph;
  // Prefill drafts once, over all prompt tokens.
  const std::int64_t drafts = step.phase == Phase::kDecode ? deployment_.features.speculative_tokens
                                                           : deployment_.features.speculative_tokens > 0;
  return {host_.before_step + host_.before_draft * drafts, replayed ? host_.issue : host_.eager_issue};
}

StepPricer::Prepared StepPricer::prepare(const Step& step, const Folding& folding, ProgramPricer& pricer, bool verified,
                                         bool repeats) const {
  Prepared out;
  const bool fetches = fetches_weights(step);
  const ShortModel model(deployment_, repeats && !fetches && !pushes_cache(step) ? kBuilt : deployment_.model.layers);
  for (const int rank : folding.representative)
    out.programs.push_back(pricer(build_program(model.deployment, step, facts_, rank), out.programs.size(),
                                  slowness_.empty() ? 1 : slowness_[static_cast<std::size_t>(rank)]));
  if (!verified) verify(out.texts(), folding);
  out.contention = contention_of(out.programs, pricer,
                                 {.kernels = shared_,
                                  .kernel_gap = facts_.kernel_gap,
                                  .phase = step.phase,
                                  .two_lanes = fetches || splits_into_micro_batches(deployment_, step)});
  if (!repeat_layers(out.programs, out.contention, model)) return prepare(step, folding, pricer, verified, false);
  out.launched = launching(deployment_, step);
  out.host = host_of(step, out.launched);
  for (const PricedProgram& p : out.programs)
    out.nodes.push_back(
        lower(p.program, p.of_each(p.ticks),
              out.launched.how == Launching::How::kPieces ? Issued::kOutsideGraphs : Issued::kEveryKernel));
  return out;
}

SweepResult StepPricer::swept(const Prepared& step, const Folding& folding, Timeline* timeline) {
  const std::vector<const Program*> texts = step.texts();
  if (step.contention.empty()) return sweep(texts, step.nodes, folding, step.host, timeline);
  ExecutionTrace trace;
  SweepResult out = execute(texts, step.nodes, folding, step.host, step.contention, timeline ? &trace : nullptr);
  if (timeline != nullptr) *timeline = std::move(trace.timeline);
  return out;
}

StepTime StepPricer::price(const Step& step, bool fold_ranks, bool repeats) const {
  const Folding folding = fold_ranks ? fold(roles_of(deployment_, step), groups_)
                                     : unfolded(static_cast<std::size_t>(deployment_.layout.world()), groups_);
  ProgramPricer pricer = programs_of(folding);
  const Prepared prepared = prepare(step, folding, pricer, false, repeats);
  Timeline timeline;
  Timeline* const traced = pushes_cache(step) ? &timeline : nullptr;
  const SweepResult result = swept(prepared, folding, traced);
  StepTime out = report({prepared.programs, folding, result, traced}, pricer, groups_, kernels_);
  out.launched = to_text(prepared.launched, deployment_, step);
  out.slowed = pricer.take_slowed();
  return out;
}

StepTimer::StepTimer(const StepPricer& pricer) : pricer_(pricer) {}

// Folding looks at which roles are equal: each by the first rank that has it.
StepTimer::Known& StepTimer::known(std::vector<std::uint64_t> roles) {
  constexpr std::size_t kMostKnown = 64;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> firsts;
  for (std::size_t r = 0; r < roles.size(); ++r) {
    auto at = std::ranges::find(firsts, roles[r], &std::pair<std::uint64_t, std::uint64_t>::first);
    if (at == firsts.end()) at = firsts.insert(at, {roles[r], r});
    roles[r] = at->second;
  }
  const auto found = known_.find(roles);
  if (found != known_.end()) return *found->second;
  if (known_.size() == kMostKnown) known_.clear();
  auto fresh = std::make_unique<Known>(pricer_, roles);
  return *known_.emplace(std::move(roles), std::move(fresh)).first->second;
}

// All that the order of operators and what ranks exchange depends on. With whole caches that is not how much a decode
// step attends to.
std::uint64_t StepTimer::shape_of(const Step& step) const {
  const bool any_context = step.phase == Phase::kDecode && pricer_.deployment_.layout.kv_shards() == 1;
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, word by word
  const auto add = [&](std::int64_t x) { hash = (hash ^ static_cast<std::uint64_t>(x)) * 0x100000001b3; };
  add(step.phase == Phase::kDecode);
  add(step.writes_cache);
  for (const GroupLoad& load : step.load) {
    add(load.sequences);
    add(load.new_tokens);
    if (any_context) continue;
    add(load.context);
    add(load.prompt);
    add(load.history);
  }
  return hash;
}

Duration StepTimer::time(const Step& step) {
  constexpr std::size_t kMostVerified = 4096;
  Known& k = known(roles_of(pricer_.deployment_, step));
  k.programs.stay_small();
  if (k.verified.size() >= kMostVerified) k.verified.clear();
  const bool verified = !k.verified.insert(shape_of(step)).second;
  return StepPricer::swept(pricer_.prepare(step, k.folding, k.programs, verified, true), k.folding, nullptr).finish;
}

Flops work_once(const Deployment& deployment, const Step& step, const KernelFacts& facts) {
  Deployment alone = deployment;
  alone.layout = {};
  alone.stage = {};
  alone.experts = {};
  alone.token_split_prefill = false;
  alone.micro_batches = 1;
  alone.graph = {};
  // MoE layers are alike: the first of them stands for all.
  const std::int64_t repeated = alone.model.dense_layers;
  const std::int64_t times = std::max<std::int64_t>(1, alone.model.layers - repeated);
  alone.model.layers = std::min(alone.model.layers, repeated + 1);
  // Group by group: a group's requests are all alike, and one of them stands for all.
  Flops sum{};
  std::vector<std::pair<GroupLoad, Flops>> known;
  for (GroupLoad load : step.load) {
    if (load.sequences == 0) continue;
    const std::int64_t requests = std::exchange(load.sequences, 1);
    auto at = std::ranges::find(known, load, &std::pair<GroupLoad, Flops>::first);
    if (at == known.end()) {
      const Program program = build_program(alone, {step.phase, {load}}, facts, 0);
      Flops work{};
      for (std::size_t i = 0; i < program.operators.size(); ++i) {
        const OperatorView v = program.view(i);
        if (v.op().type->primitive != Primitive::kNone) continue;
        work += v.op().type->work(v).matrix * (v.op().layer == repeated ? times : 1);
      }
      at = known.insert(known.end(), {load, work});
    }
    sum += at->second * requests;
  }
  return sum;
}

}  // namespace ascendsim
