// Mixture-of-experts plumbing: the grouped top-k router, dealing token copies out to experts and summing them up again.
// Which expert a token chooses is known only when numbers are computed: programs say how many copies are expected, the
// calculator keeps the rows that are there (tensors.h, Deal: bin = expert, row = token * top_k + choice).
#pragma once

#include "sim/program.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

// scores [m, experts] -> chosen experts [m, top_k] and their weights. DeepSeek-V3's router (arXiv 2412.19437,
// section 2.1.2 and modeling_deepseek.py, MoEGate): s = sigmoid(score); s + bias selects, first the kept groups by the
// sum of their two best, then experts inside them; the weights are s of the chosen, divided by their sum, times
// `scale`.
struct Routing {
  Value experts, weights;
};
struct Router {
  std::int32_t top_k = 8, groups = 8, kept_groups = 4, unused = 0;
  double scale = 2.5;
  static constexpr bool kPaddingFree = true;
};
static_assert(sizeof(Router) == 4 * sizeof(std::int32_t) + sizeof(double));
Routing grouped_top_k(ProgramBuilder& p, const char* label, Value scores, Value bias, const Router& router);

// Copies of x [m, hidden] sorted by expert; int8 output is quantised per token. deal_out_all: for all experts, of which
// each rank of a group holds `held` following ones. deal_out: for those that this rank's weight `w` holds.
Value deal_out_all(ProgramBuilder& p, const char* label, Value x, const Routing& routing, int held,
                   std::int64_t expected, std::int64_t capacity, Dtype out);
Value deal_out(ProgramBuilder& p, const char* label, Value x, const Routing& routing, Value w, std::int64_t expected,
               std::int64_t capacity, Dtype out);
// The inverse: the weighted sum of the copies of every token [m, hidden] in rows [0, m) of [padded_rows, hidden];
// padding is zero. kCombine: the fused kernel that brought them back has done it, and its time has it in
// (MoeDistributeCombine takes the weights; CloudMatrix384 paper, arXiv 2506.12708 v2, 4.2.1).
enum class SummedBy : std::int32_t { kKernel, kCombine };
Value sum_up(ProgramBuilder& p, const char* label, Value copies, const Routing& routing, std::int64_t rows,
             std::int64_t padded_rows, Dtype out, SummedBy by = SummedBy::kKernel);

// Fixed-size buffers: dealt copies into an equal share of `rows` for each of `members` ranks, the rest zero. What a
// share has no room for is lost, as in the engine.
Value pad_shares(ProgramBuilder& p, const char* label, Value copies, std::int64_t rows, std::int64_t members);
// The copies that lie in such a buffer, without padding; and results of theirs back to their places.
Value collect_copies(ProgramBuilder& p, const char* label, Value buffer, std::int64_t expected, std::int64_t capacity);
Value return_copies(ProgramBuilder& p, const char* label, Value results, Value buffer);

// Fused dispatch / combine kernels between ranks (MindIE and vLLM-Ascend MC2: MoeDistributeDispatch / Combine). A
// dispatch takes the tokens and their experts, detail = experts held by each rank, and quantises per token where int8
// goes out.
extern const OperatorType kMoeDispatch, kMoeCombine;
// The same as the first and the last part of one kernel with the grouped products between them (dispatch_ffn_combine):
// they overlap.
extern const OperatorType kFusedDispatch, kFusedCombine;
// Unequal shares, as the router dealt them (all-to-all-v).
extern const OperatorType kAllToAllRows;

}  // namespace ascendsim
