// Puts a step together: prepare (one program a rank class, verified, priced, layers that are alike repeated), sweep the
// clock, report.
#pragma once

#include <map>
#include <memory>
#include <unordered_set>
#include <vector>

#include "hardware/cluster_network.h"
#include "hardware/kernel_cost.h"
#include "hardware/link_graph.h"
#include "sim/clock.h"
#include "strategies/prediction/contention.h"
#include "strategies/prediction/program_price.h"
#include "strategies/prediction/step_time.h"
#include "strategies/programs/step.h"

namespace ascendsim {

struct Launching;

// What the host does of a step: gap before it, time to issue a kernel where graphs are replayed and where they are not.
struct HostFigures {
  Duration before_step{}, before_draft{}, issue{}, eager_issue{};
};

// One sweep where streams are in order; the event-driven executor where operators slow each other down: two
// micro-batches share the die and its ports, or a collective beside computation takes vector cores.
class StepPricer {
 public:
  StepPricer(const Deployment& deployment, const KernelFacts& facts, const Cluster& cluster, const KernelCost& kernels,
             SharedKernels shared, HostFigures host);
  // fold = false builds every rank's program; repeat_layers = false every layer, instead of one for all that are alike
  // (sim/repeat.h). The result is the same to the tick.
  [[nodiscard]] StepTime price(const Step& step, bool fold = true, bool repeat_layers = true) const;

 private:
  friend class StepTimer;
  struct Prepared;
  [[nodiscard]] ProgramPricer programs_of(const Folding& folding) const;
  [[nodiscard]] bool fetches_weights(const Step& step) const;
  [[nodiscard]] bool pushes_cache(const Step& step) const;
  [[nodiscard]] HostModel host_of(const Step& step, const Launching& launched) const;
  // verified: the programs of a step of this shape have been.
  [[nodiscard]] Prepared prepare(const Step& step, const Folding& folding, ProgramPricer& pricer, bool verified,
                                 bool repeats) const;
  static SweepResult swept(const Prepared& step, const Folding& folding, Timeline* timeline);

  const Deployment& deployment_;
  const KernelFacts& facts_;
  const Cluster& cluster_;
  const KernelCost& kernels_;
  SharedKernels shared_;
  HostFigures host_;
  std::vector<GroupKind> groups_;
  std::vector<double> slowness_;              // of each rank's computation; empty = all alike
  std::unique_ptr<Cluster> healthy_;          // of a cluster with faults
  std::unique_ptr<ClusterNetwork> degraded_;  // its links; finds routes when asked
};

// The total of step after step of one instance, for loops that ask very often: price(step).total, to the tick. Remembers
// between calls what steps share (how ranks fold, what their collectives cost, which shapes have been verified) and
// makes no rows. Memory is bounded. One thread at a time.
class StepTimer {
 public:
  explicit StepTimer(const StepPricer& pricer);
  Duration time(const Step& step);

 private:
  struct Known {
    Folding folding;
    ProgramPricer programs;
    std::unordered_set<std::uint64_t> verified;  // looked up, never walked
    Known(const StepPricer& pricer, std::span<const std::uint64_t> roles)
        : folding(fold(roles, pricer.groups_)), programs(pricer.programs_of(folding)) {}
    Known(const Known&) = delete;
    Known& operator=(const Known&) = delete;
  };
  Known& known(std::vector<std::uint64_t> roles);
  [[nodiscard]] std::uint64_t shape_of(const Step& step) const;

  const StepPricer& pricer_;
  std::map<std::vector<std::uint64_t>, std::unique_ptr<Known>> known_;  // by which ranks have equal roles
};

// Matrix FLOPs of the step's requests when one rank does everything once: what `performed` exceeds is redundant work.
Flops work_once(const Deployment& deployment, const Step& step, const KernelFacts& facts);

}  // namespace ascendsim
