// Runs the programs that are timed (build_program: whole layers, embedding, head, drafts), all ranks of them, on the
// calculator at tiny sizes, and compares every output and every state of every rank with one dense rank in double
// (dense_model.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "strategies/reference/attention_check.h"
#include "strategies/reference/dense_model.h"

namespace ascendsim {

// The deployment's layout, flags and number types with a model and blocks that are small enough to compute. rules: what
// was shrunk, and to what.
Deployment tiny_deployment(const Deployment& deployment, std::vector<std::string>& rules);

// A step for it: lengths differ from DP group to DP group, of three and more the last one idles. tokens: of the
// shortest prompt, 0 = a few times the ranks; history: half of every prompt is cached already. Decode: prompts have
// grown by a block and a token.
Step tiny_step(const Deployment& tiny, Phase phase, std::int64_t tokens, std::uint64_t seed, bool history = false);

// In what the ranks compute. Integer weights are as stored in every type but fp64; activations are quantised in
// kDeployed only, which is also the deployment's 16-bit type.
enum class LayerType : std::uint8_t { kFp64, kFp16, kBf16, kDeployed };
std::string_view to_text(LayerType type);

struct LayerError {
  double hidden = 0, logits = 0, cache = 0;  // maxima; infinite where a NaN stands
  double relative = 0;  // the largest of the three, each over the root mean square of what it is of
};

struct LayerReport {
  LayerError error;
  std::vector<LayerError> ranks;
  double tolerance = 0;                         // of fp64: of the three; of other types: of `relative`
  std::vector<Flip> flips;                      // tokens whose experts or keys differ from the reference's own
  double flip_margin = 0, key_flip_margin = 0;  // up to here rounding explains a flip of experts, of keys
  std::int64_t rows_compared = 0;
  // Work that depends on no number: equal exactly. Routed: what the router decided, summed over ranks; the clock
  // expects an even spread.
  std::int64_t flops_performed = 0, flops_charged = 0, flops_masked = 0;
  std::int64_t bytes_moved = 0, bytes_charged = 0;
  std::int64_t handed_on_moved = 0,
               handed_on_charged = 0;  // bytes between the stages of a pipeline, of the residual stream
  std::int64_t routed_flops_performed = 0, routed_flops_charged = 0;
  std::int64_t routed_bytes_moved = 0, routed_bytes_charged = 0;
  // Local buffers of exchanges: rows that were dealt out. The clock charges every rank the rows of the fullest one.
  std::int64_t routed_buffers_filled = 0, routed_buffers_charged = 0;
  std::int64_t routed_roundings = 0;  // charges that were rounded down by less than one FLOP
  [[nodiscard]] bool close() const;
  [[nodiscard]] bool ledger_agrees() const;
  [[nodiscard]] bool ok() const { return close() && ledger_agrees(); }
};

// mutate: changes the programs before they run (tests).
using LayerMutation = std::function<void(std::vector<Program>&)>;
LayerReport check_layers(const Deployment& tiny, const Step& step, const KernelFacts& facts, LayerType type,
                         const LayerMutation& mutate = {});

// Bytes that the calculator and the reference need.
std::int64_t memory_estimate(const Deployment& tiny, const Step& step, const KernelFacts& facts);

}  // namespace ascendsim
