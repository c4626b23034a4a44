// Mixture-of-experts plumbing: the grouped top-k router, dealing token copies out to experts and summing them up again.
// Dispatch and combine between ranks are collectives (dispatch_rows, combine_rows below use the MoE primitives).
#pragma once

#include "sim/program.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

// scores [m, experts] -> chosen experts [m, top_k] and their weights.
struct Routing {
  Value experts, weights;
};
Routing grouped_top_k(ProgramBuilder& p, const char* label, Value scores, int top_k);

// Copies of x [m, hidden] sorted by expert: as many rows as this rank computes; int8 output is quantised per token.
Value deal_out(ProgramBuilder& p, const char* label, Value x, const Routing& routing, std::int64_t expected,
               std::int64_t capacity, Dtype out);
// The inverse: the weighted sum of the copies of every token [m, hidden].
Value sum_up(ProgramBuilder& p, const char* label, Value copies, const Routing& routing, std::int64_t rows,
             std::int64_t padded_rows);

// Fused dispatch / combine kernels between ranks (MindIE and vLLM-Ascend MC2: MoeDistributeDispatch / Combine).
extern const OperatorType kMoeDispatch, kMoeCombine;
// Unequal shares, as the router dealt them (all-to-all-v).
extern const OperatorType kAllToAllRows;

}  // namespace ascendsim
