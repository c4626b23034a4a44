// How the kernels of a step are started: the host issues each (eager), or graphs are replayed that were captured for
// some numbers of rows. A batch is padded to the next captured size; larger ones are launched eagerly. vLLM's words and
// rules (vllm/config/compilation.py CUDAGraphMode; vllm_ascend/compilation/acl_graph.py).
#pragma once

#include <string>
#include <vector>

#include "strategies/programs/step.h"

namespace ascendsim {

struct Launching {
  // kStack: as the stack's figures say, no sizes known. kPieces: graphs between attention layers, which the host
  // issues.
  enum class How : std::uint8_t { kStack, kEager, kPieces, kGraph } how = How::kStack;
  std::int64_t rows = 0;  // of every DP group, as captured; 0 = no graph, no padding
};

// Rows of the captured graphs, ascending: those asked for, else the engine's own. A full decode graph serves whole
// requests, so its sizes are multiples of 1 + drafts; scattered rows need multiples of tp. Both round up.
std::vector<std::int64_t> captured_sizes(const Deployment& deployment);
// Rows of a DP group up to which vLLM-Ascend exchanges experts' rows by the fused MC2 kernels: the largest captured
// size, else those of a full decode batch and at most 512; a multiple of tp (vllm_ascend/ascend_forward_context.py
// set_mc2_tokens_capacity).
std::int64_t mc2_capacity(const Deployment& deployment);
// rows: of the busiest DP group.
Launching launching(const Deployment& deployment, Phase phase, std::int64_t rows);
Launching launching(const Deployment& deployment, const Step& step);
// "graph captured for 16 rows", "kernel by kernel: 20 rows, graphs end at 16"; empty where the stack's figures say it
// all.
std::string to_text(const Launching& launching, const Deployment& deployment, const Step& step);

}  // namespace ascendsim
