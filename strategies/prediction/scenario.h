// A deployment with everything that its prediction needs: stack, kernels, cluster, and the pricer of its steps.
#pragma once

#include "strategies/prediction/memory.h"
#include "strategies/prediction/pipeline.h"

namespace ascendsim {

// Everything a question needs, loaded and checked. Non-copyable: the parts point at each other.
struct Scenario {
  Scenario(Deployment deployment, Stack stack, KernelTable kernels, Cluster cluster);
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  Deployment deployment;
  Stack stack;
  KernelTable kernels;
  Cluster cluster;
  KernelFacts facts;
  KernelCost cost, shared_attention, shared_experts, half_vector;
  PipelinePricer pricer;

  [[nodiscard]] Bytes capacity() const { return cluster.server().die.hbm_visible.value; }
  // A prefill side keeps the prompts of a step and those that are being pulled, not the whole load.
  [[nodiscard]] MemoryPerRank memory(const Workload& w) const;
};

// Prompts whose cache lies on an instance at once: of a prefill side two steps of them, elsewhere the whole load.
std::int64_t prompts_kept(const Deployment& deployment, const Workload& workload);
// Prompts of one prefill step, all DP groups together: as many of the load as the engine's limits of prompts and of
// tokens allow.
std::int64_t prompts_at_once(const Deployment& deployment, const Workload& workload);

}  // namespace ascendsim
