// Puts a step together: builds one program per rank class, prices every operator and collective, sweeps the clock.
#pragma once

#include <bitset>
#include <memory>
#include <string>
#include <vector>

#include "hardware/cluster_network.h"
#include "hardware/kernel_cost.h"
#include "hardware/link_graph.h"
#include "sim/clock.h"
#include "strategies/programs/step.h"
#include "workloads/kernels.h"

namespace ascendsim {

// Everything of one kind that the slowest rank does in a step, summed over layers.
struct OperatorRow {
  std::string label;
  std::uint8_t category = 0;
  std::int64_t count = 0;
  Duration time{};
  Flops flops{};         // without tile rounding
  Bytes bytes{};         // device memory, read and written; sent, for a collective
  std::string limit{};   // "matrix", "memory", ... or the collective's algorithm
  std::string source{};  // which figures priced it
};

struct CollectiveRow {
  std::string label, primitive, group, algorithm;
  std::int64_t count = 0;
  Bytes bytes{};  // n of one call, as in sim/program.h
  Bytes sent{};   // by one rank, all calls
  Duration time{};
};

// A collective that faults of the fabric slow: one call of it, on one of its groups.
struct SlowedCollective {
  std::string label, primitive, group;
  int ranks = 0;
  Bytes bytes{};
  Duration time{}, without_faults{};
};

struct MatrixFlops {
  Flops bits16{}, int8{}, fp32{};
  [[nodiscard]] Flops total() const { return bits16 + int8 + fp32; }
};

struct StepTime {
  Duration total{};
  int classes = 0;
  std::string launched{};     // how its kernels are started; empty: as the stack's figures say
  std::size_t operators = 0;  // of one rank
  // Of the slowest rank: total = computing + exposed communication + host + idle. attention .. vector sum to
  // `computing`: busy times, scaled down alike where two lanes compute at once.
  Duration computing{}, attention{}, linear{}, moe{}, vector{}, communication{}, exposed_communication{}, waiting{},
      host{}, idle{};
  Duration longest_wait{};  // of the rank that waits most, for those that compute longer; `waiting` is the slowest
                            // rank's own
  Duration speed_of_light{};
  MatrixFlops flops{};                           // of the slowest rank
  std::bitset<kKernelNames.size()> kernels{};    // families whose figures priced it
  Flops performed{};                             // matrix FLOPs of all ranks together
  std::vector<OperatorRow> operator_rows{};      // largest time first
  std::vector<CollectiveRow> collective_rows{};  // in program order
  std::vector<SlowedCollective> slowed{};        // of all ranks; the most slowed group of each
  std::vector<Duration>
      attention_ends{};  // of every layer, on the last rank; of prefills whose cache is pushed by layers
};

// Kernels while something else has a part of the die.
struct SharedKernels {
  const KernelCost& attention;    // the other lane: attention and everything else beside experts
  const KernelCost& experts;      // the other lane: experts
  const KernelCost& half_vector;  // a probe: what of a kernel vector cores limit shows in its time with half of them
};

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
  const Deployment& deployment_;
  const KernelFacts& facts_;
  const Cluster& cluster_;
  const KernelCost& kernels_;
  SharedKernels shared_;
  HostFigures host_;
  std::vector<GroupKind> groups_;
  std::unique_ptr<Cluster> healthy_;          // of a cluster with faults
  std::unique_ptr<ClusterNetwork> degraded_;  // its links; finds routes when asked
};

// Matrix FLOPs of the step's requests when one rank does everything once: what `performed` exceeds is redundant work.
Flops work_once(const Deployment& deployment, const Step& step, const KernelFacts& facts);

}  // namespace ascendsim
