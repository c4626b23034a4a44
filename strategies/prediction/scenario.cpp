#include "strategies/prediction/scenario.h"

#include <algorithm>

#include "strategies/programs/expert_loads.h"
#include "workloads/kernels.h"

namespace ascendsim {

namespace {

HostFigures host_figures(const Deployment& d, const Stack& stack) {
  return {.before_step = stack.figures.duration(d.features.async_scheduling ? "async_step_gap" : "step_gap"),
          // A draft pass is a graph of its own; where steps are scheduled ahead, its launch overlaps what runs.
          .before_draft = d.features.async_scheduling ? Duration{} : stack.figures.duration("draft_gap"),
          .issue = stack.figures.duration("kernel_issue"),
          .eager_issue = stack.figures.duration(stack.figures.has_duration("eager_kernel_issue") ? "eager_kernel_issue"
                                                                                                 : "kernel_issue")};
}

Deployment with_rank_loads(Deployment d) {
  d.experts.rank_loads = routed_loads(d);
  return d;
}

}  // namespace

Scenario::Scenario(Deployment d, Stack st, KernelTable k, Cluster c)
    : deployment(with_rank_loads(std::move(d))),
      stack(std::move(st)),
      kernels(std::move(k)),
      cluster(std::move(c)),
      facts(kernel_facts(stack, kernels)),
      cost(cluster.server().die, kernels, kKernelNames),
      shared_attention(cluster.server().die, kernels, kKernelNames,
                       stack.figures.ratio("lane_share_attention").count()),
      shared_experts(cluster.server().die, kernels, kKernelNames, stack.figures.ratio("lane_share_moe").count()),
      half_vector(cluster.server().die, kernels, kKernelNames, 1, 0.5),
      pricer(deployment, facts, cluster, cost, {shared_attention, shared_experts, half_vector},
             host_figures(deployment, stack)) {}

MemoryPerRank Scenario::memory(const Workload& w) const {
  Workload kept = w;
  kept.batch = prompts_kept(deployment, w);
  MemoryPerRank out = memory_per_rank(deployment, kept, stack, facts, capacity());
  const Figure<Bytes>&runtime = stack.figures.bytes_figure("runtime"), &visible = cluster.server().die.hbm_visible;
  add_doubt(out, deployment, runtime.range ? runtime.range->second : runtime.value,
            visible.range ? visible.range->first : visible.value);
  return out;
}

std::int64_t prompts_at_once(const Deployment& d, const Workload& w) {
  const std::int64_t budget =
      chunk_tokens(d) > 0 ? std::min(chunk_tokens(d), d.limits.max_prefill_tokens) : d.limits.max_prefill_tokens;
  const std::int64_t by_tokens = std::max<std::int64_t>(1, budget / (w.input_tokens - w.prefix_hit));
  return std::min(w.batch, d.layout.dp * std::min(d.limits.max_prefill_batch, by_tokens));
}

std::int64_t prompts_kept(const Deployment& d, const Workload& w) {
  if (d.role != Role::kPrefill) return w.batch;
  return std::min(w.batch, 2 * prompts_at_once(d, w));
}

}  // namespace ascendsim
