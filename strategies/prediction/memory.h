// Memory of one rank (= one die): a reading of the programs that run there.
//   weights        the slices that operators use, and their quantisation scales
//   kv_cache       whole blocks of the workload's tokens on the fullest KV shard
//   activations    peak of buffer lifetimes over the warm-up prefill (on every DP group), the last chunk of the longest
//   prompt
//                  where prompts are chunked, and the decode step
//   communication  HCCL buffers of every rank group with more than one member
//   runtime        what no tensor accounts for
// MindIE: KV memory = capacity * NPU_MEMORY_FRACTION - everything else, in whole blocks (block_manager; generator.py).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/memory.h"
#include "strategies/deployment/stack.h"

namespace ascendsim {

struct MemoryPerRank {
  Bytes weights{}, weights_without_scales{}, kv_cache{}, activations{}, communication{}, runtime{};
  Bytes capacity{};                     // what the driver shows
  Bytes allowed{};                      // capacity * memory fraction
  Bytes kv_bytes_per_token{};           // of this rank, all layers
  Bytes block{};                        // one KV block, all layers
  std::int64_t kv_blocks = 0;           // that fit beside the rest; 0 when nothing fits
  std::int64_t kv_capacity_tokens = 0;  // per DP group
  std::int64_t kv_blocks_needed = 0;
  // What runtime and the memory that the driver shows may take more than was counted, at the bad end of their ranges.
  struct Doubt {
    Bytes runtime{}, all{};
  } doubt;
  std::int64_t stage = 0, stages = 1;  // of a pipeline: the stage with least to spare, counted from 0
  ActivationPeak activation_peak;
  struct Component {
    std::string name;
    Bytes bytes, scales;
  };
  std::vector<Component> weight_components;  // by module, in order of first use
  std::vector<Component> communication_components;

  [[nodiscard]] Bytes fixed() const { return weights + activations + communication + runtime; }
  [[nodiscard]] Bytes peak() const { return fixed() + kv_cache; }
  [[nodiscard]] bool fits() const { return peak() <= allowed; }
  // It fits as counted, and does not where figures that nobody measured are at the bad end of their ranges.
  [[nodiscard]] bool borderline() const { return fits() && peak() + doubt.all > allowed; }
  // The smallest NPU_MEMORY_FRACTION that starts this workload, rounded up to 0.01; above 1 when none does.
  [[nodiscard]] double smallest_fraction() const;
  struct Part {
    const char* name;
    Bytes bytes;
  };
  // The largest of the five parts.
  [[nodiscard]] Part largest() const;
};

// Whether the engine's warm-up runs limits.max_batched_tokens (vLLM's profile run), and how many tokens it runs.
bool profiles_batched_tokens(const Deployment& deployment);
std::int64_t warm_up_tokens(const Deployment& deployment);

MemoryPerRank memory_per_rank(const Deployment& deployment, const Workload& workload, const Stack& stack,
                              const KernelFacts& facts, Bytes capacity);

// By how much it is too much at least, from routed experts and cache alone: peak() - allowed is no less. No program is
// built, so this is for who looks at many layouts. Nothing where something else than the fraction says what is allowed.
std::optional<Bytes> least_excess(const Deployment& deployment, const Workload& workload, Bytes capacity);
// Fills `doubt`: the figures' worst ends.
void add_doubt(MemoryPerRank& memory, const Deployment& deployment, Bytes most_runtime, Bytes least_capacity);

// The longest context of one sequence, and how many sequences of `tokens` fit, per DP group.
// KV tokens of a DP group that the workload needs, in whole blocks of every shard.
std::int64_t pool_needed(const Deployment& deployment, const Workload& workload);
std::int64_t longest_context(const MemoryPerRank& memory, const Deployment& deployment);
std::int64_t sequences_of(const MemoryPerRank& memory, const Deployment& deployment, std::int64_t tokens);

// What would make it fit: changes to the deployment, nearest first, each with the peak it leads to.
struct Remedy {
  std::string change;
  Bytes peak, allowed;
};
std::vector<Remedy> remedies(const Deployment& deployment, const Workload& workload, const Stack& stack,
                             const KernelFacts& facts, Bytes capacity, const QuantisationLibrary& schemes);

}  // namespace ascendsim
