// Pipeline parallelism and chunked prefill. The layers are cut into stages, each on ranks of its own with every degree
// but pp; hidden rows go from a rank to the same rank of the next stage. A prompt may be cut into chunks of tokens,
// which follow one another through the stages; a later chunk attends to what the earlier ones left in the cache:
//   finish(c, s) = max(finish(c - 1, s), finish(c, s - 1) + hand-over(c)) + time(c, s)
// Steps of one stage share no ranks with those of another, so the recurrence is exact. Not in it: transfers that delay
// each other.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "strategies/prediction/step_price.h"

namespace ascendsim {

// One deployment a stage, pp = 1 and some of the layers; the deployment itself where there is one stage. Every stage
// has layers / pp layers; those left over go one each to the last stages but the very last, which has the head
// (vllm/distributed/utils.py get_pp_indices). vLLM numbers ranks dp, pp, cp, tp, the last fastest.
std::vector<Deployment> stages_of(const Deployment& deployment);

// Rows of the residual stream that a rank hands on. Where rows are scattered every rank sends its own; where they are
// whole in the TP group it sends 1 / tp of them, and the receivers gather (vllm/distributed/parallel_state.py,
// send_tensor_dict).
struct HandOver {
  Bytes sent{}, whole{};  // to the next stage's rank; what the TP group gathers then, 0 = nothing
  [[nodiscard]] Bytes received(std::int64_t tp) const { return whole > Bytes{} ? whole - whole / tp + sent : sent; }
};
HandOver hand_over(const Deployment& stage, const Step& step);

// Tokens of a DP group's prefill step: the scheduler's budget where it chunks prompts, 0 where it does not.
std::int64_t chunk_tokens(const Deployment& deployment);
// The steps in which `sequences` prompts are prefilled, `history` tokens of each being cached: one, or a chunk each.
std::vector<Step> prefill_steps(const Deployment& deployment, std::int64_t sequences, std::int64_t tokens,
                                std::int64_t history);

class PipelinePricer {
 public:
  PipelinePricer(const Deployment& deployment, const KernelFacts& facts, const Cluster& cluster,
                 const KernelCost& kernels, SharedKernels shared, HostFigures host);
  // One step through all stages. Of several, the parts are those of the slowest stage's rank: it idles while others
  // compute.
  [[nodiscard]] StepTime price(const Step& step, bool fold = true, bool repeat_layers = true) const;

  struct Steps {
    std::vector<std::vector<StepTime>> times;  // [step][stage]
    std::vector<Duration> hand_over;           // of each step, between two stages
    std::vector<Bytes> handed_over;            // by a rank
  };
  [[nodiscard]] Steps price_each(std::span<const Step> steps, bool fold = true, bool repeat_layers = true) const;
  // When the last of them leaves the last stage. busy_until: of every stage, brought up to date; empty = since the
  // beginning. ended: when each step left each stage, if asked for. REQUIRES: at least one step.
  [[nodiscard]] static Duration play(const Steps& steps, std::vector<Duration>& busy_until,
                                     std::vector<std::vector<Duration>>* ended = nullptr);
  // As one step from an idle pipeline.
  [[nodiscard]] StepTime together(const Steps& steps) const;

 private:
  friend class PipelineTimer;
  struct Stage {
    Deployment deployment;
    Cluster cluster;
    StepPricer pricer;
    Stage(Deployment d, Cluster c, const KernelFacts& facts, const KernelCost& kernels, SharedKernels shared,
          HostFigures host)
        : deployment(std::move(d)), cluster(std::move(c)), pricer(deployment, facts, cluster, kernels, shared, host) {}
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
  };
  [[nodiscard]] std::size_t stages() const { return stages_.empty() ? 1 : stages_.size(); }
  void add_hand_over(const Step& step, Steps& out) const;

  const Cluster& cluster_;
  std::int64_t neighbour_ = 0;                  // how many ranks on the next stage's rank is
  std::unique_ptr<StepPricer> whole_;           // where there is one stage
  std::vector<std::unique_ptr<Stage>> stages_;  // else
};

// price(step).total of step after step, as StepTimer: for loops that ask very often.
class PipelineTimer {
 public:
  explicit PipelineTimer(const PipelinePricer& pricer);
  Duration time(const Step& step);

 private:
  const PipelinePricer& pricer_;
  std::vector<StepTimer> stages_;
};

}  // namespace ascendsim
