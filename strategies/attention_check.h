// Runs the programs of an attention strategy on the calculator and compares them, row by row and head by head, with dense
// attention in double on one rank. The reference knows no blocks, no merges and no absorption.
#pragma once

#include <functional>
#include <vector>

#include "strategies/programs/ring/attention_case.h"

namespace ascendsim {

// fp64 and fp32 keep every number in that precision; fp16 and bf16 are emulated and accumulate in fp32.
enum class NumberType : std::uint8_t { kFp64, kFp32, kFp16, kBf16 };
std::string_view to_text(NumberType type);

struct Tolerance {
  double out, lse;
};
// Of domain.md section 5.5. A 16-bit log-sum-exp is allowed half a unit in its last place at 16.
Tolerance tolerance(NumberType type);

struct AttentionError {
  double out = 0, relative = 0, lse = 0;         // maxima; relative to the largest output. Infinite where a NaN stands
};
struct AttentionReport {
  AttentionError error;
  std::vector<AttentionError> ranks;
  std::int64_t flops_performed = 0, flops_charged = 0, flops_masked = 0;   // masked: multiplied in whole tiles, then hidden
  std::int64_t bytes_moved = 0, bytes_charged = 0;
  [[nodiscard]] bool within(Tolerance t) const { return error.out <= t.out && error.lse <= t.lse; }
  [[nodiscard]] bool ledger_agrees() const { return flops_performed == flops_charged && bytes_moved == bytes_charged; }
};

// mutate: changes the programs before they run (tests).
using Mutation = std::function<void(std::vector<RankAttention>&)>;
AttentionReport check_attention(const AttentionStrategy& strategy, const AttentionCase& c, NumberType type,
                                const Mutation& mutate = {});

// Bytes that the calculator and the reference need for a case.
std::int64_t memory_estimate(const AttentionCase& c);

// The largest error of a merge weight exp(lse) when lse in [16, 32) is rounded to `type`: why MindIE, which exchanges lse in
// the model's type, runs in FP16 only.
double merge_weight_error(Dtype type);

}  // namespace ascendsim
