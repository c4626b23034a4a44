// One forward step of one model instance, and the program that each rank runs for it.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"
#include "strategies/deployment/deployment.h"
#include "strategies/programs/groups.h"

namespace ascendsim {

// What one DP group has to do in the step. Prefill: `sequences` prompts of `history` cached and `new_tokens` new tokens
// each. Decode: `new_tokens` rows a sequence (1 and its drafts), each attending to `context` cached tokens (its own
// included), of which `prompt` were prefilled.
struct GroupLoad {
  std::int64_t sequences = 0, new_tokens = 0, context = 0, prompt = 0, history = 0;
  bool operator==(const GroupLoad&) const = default;
};
struct Step {
  Phase phase = Phase::kPrefill;
  std::vector<GroupLoad> load;  // one per DP group; sequences = 0: the group idles but takes part
  // False: what the step computes goes to no cache, a bound on steps that attend to as much or more. (Which shard of a
  // cut cache takes a new token changes with the context, so a longer one may be faster by the time of that write.)
  bool writes_cache = true;
};
// `sequences` requests spread over the DP groups as evenly as they go.
Step prefill_step(const Layout& layout, std::int64_t sequences, std::int64_t tokens, std::int64_t history = 0);
Step decode_step(const Layout& layout, std::int64_t sequences, std::int64_t prompt, std::int64_t context,
                 std::int64_t rows_per_sequence = 1);

// What a token is called in global tensors: in inputs, in caches, and where results are compared. Sequences are
// numbered DP group by DP group; the second micro-batch's have numbers of their own.
constexpr std::int64_t kPositions = std::int64_t{1} << 24, kLaneSequences = std::int64_t{1} << 32;
constexpr std::int64_t token_name(std::int64_t sequence, std::int64_t position) {
  return sequence * kPositions + position;
}

// What a program computes, for whoever looks at the numbers.
struct StepOutput {
  // kKeys: what an indexer picked. kHandedOn: hidden rows between two stages of a pipeline.
  enum class What : std::uint8_t { kHidden, kLogits, kSampled, kExperts, kKeys, kHandedOn } what;
  std::int32_t pass = 0;    // 0: the model itself, 1...: drafts one after another
  std::int32_t layer = -1;  // kExperts, kKeys
  Value value;
  std::vector<std::int64_t> rows;  // a token name each; Program::kPaddingRow where the row is padding
};

// What the engine's kernels are like, as far as programs depend on it.
struct KernelFacts {
  std::int32_t attention_tile = 1;
  double softmax_ops_per_score = 0, softmax_ops_per_row = 0;
  std::int64_t cube_rows = 1;         // a product pads its rows to this many
  std::int64_t indexer_key_tile = 1;  // of sparse attention: keys scored at once
  double top_k_ops_per_key = 0, top_k_ops_per_choice = 0;
  std::int64_t prolog_max_tokens = 0;  // fused MLA prolog up to here; 0 = the engine has none
  bool adds_residual_in_norm = false;  // stack.h, FusedKernels
  bool casts_for_router_in_norm = false;
  Duration kernel_gap{};             // after every kernel: replayed graphs
  double fused_moe_overlap = 0;      // of exchange and products in fused MC2, what the shorter one hides of itself
  bool communication_stream = true;  // collectives on a stream of their own, beside compute
  bool moves_rows_by_index = false;  // stack.h
};

// Equal for ranks whose programs are equal.
std::uint64_t role_of(const Deployment& deployment, const Step& step, std::int64_t rank);
std::vector<std::uint64_t> roles_of(const Deployment& deployment, const Step& step);  // of every rank, at once
// True when the step runs as two micro-batches on two lanes.
bool splits_into_micro_batches(const Deployment& deployment, const Step& step);
// outputs: filled when given; the program is the same. REQUIRES: a deployment that the rules of every engine allow
// (check_deployment), loads that expert_loads.h does not refuse (E0378), and a step whose sequences' cached rows on a
// rank, and whose routed copies of all rows, are below 2^31 each (check_workload: E0344, E0345).
Program build_program(const Deployment& deployment, const Step& step, const KernelFacts& facts, std::int64_t rank,
                      std::vector<StepOutput>* outputs = nullptr);

}  // namespace ascendsim
