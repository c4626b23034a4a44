// Layer-wise push of a prompt's KV cache: the prefill side sends a layer's whole blocks as soon as the layer's
// attention is done, while later layers compute (vllm_ascend/distributed, MooncakeLayerwiseConnector). One call a layer
// and chunk, one after another on the NIC:
//   start(i) = max(ready(i), end(i - 1)), end(i) = start(i) + setup + bytes(i) / rate
// What is exposed is what ends after the prefill. Not in it: what a transfer does to the kernels that run meanwhile,
// and other prompts.
#pragma once

#include <span>
#include <vector>

#include "strategies/prediction/pipeline.h"

namespace ascendsim {

// One layer's cache of the tokens [first, end) of every prompt of a step, and since when it lies on all ranks of its
// stage.
struct CachedPiece {
  std::int64_t first = 0, end = 0;
  Duration ready{};
};
// times: of these steps; ended: when each left each stage (PipelinePricer::play). In the order of readiness.
std::vector<CachedPiece> cached_pieces(std::span<const Step> steps, const PipelinePricer::Steps& times,
                                       const std::vector<std::vector<Duration>>& ended);

struct PushRate {
  Duration setup{}, latency{};  // of every call; of the last byte
  Bytes block_layer{};          // one block of one layer, on the NIC that has most to carry
  std::int64_t block_tokens = 1;
  BytesPerSecond rate{};
};
struct Pushed {
  std::int64_t calls = 0;  // pieces that completed a block
  Duration end{};          // of the last one
};
// prompt: its tokens; the block that it leaves unfilled goes with the last ones.
Pushed push(std::span<const CachedPiece> pieces, std::int64_t prompt, const PushRate& rate);

}  // namespace ascendsim
