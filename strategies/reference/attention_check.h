// Runs the programs of an attention strategy on the calculator and compares them, row by row and head by head, with
// dense attention in double on one rank. The reference knows no blocks, no merges and no absorption.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "strategies/reference/attention/attention_case.h"

namespace ascendsim {

// fp64 and fp32 keep every number in that precision; fp16 and bf16 are emulated and accumulate in fp32.
enum class NumberType : std::uint8_t { kFp64, kFp32, kFp16, kBf16 };
std::string_view to_text(NumberType type);

// ---- the reference
// -----------------------------------------------------------------------------------------------------

struct DenseAttention;

// Reference results, each computed once and shared by all cases that ask the same question. Safe between threads.
class DenseReferences {
 public:
  DenseReferences();
  ~DenseReferences();
  // decode: queries of the last token of each sequence only. Inputs are rounded to c.input where the type is emulated.
  const DenseAttention& of(const AttentionCase& c, bool decode, NumberType type);

 private:
  struct Entries;
  std::unique_ptr<Entries> entries_;
};

// ---- a strategy beside it
// ----------------------------------------------------------------------------------------------

struct Tolerance {
  double out, lse;
  double keys = 0;  // of sparse attention: AttentionError::keys
};
// What a strategy may differ from the reference by: see the definition for where each figure comes from.
Tolerance tolerance(const AttentionStrategy& strategy, const AttentionCase& c, NumberType type,
                    const DenseAttention& dense);

struct AttentionError {
  double out = 0, relative = 0, lse = 0;  // maxima; relative to the largest output. Infinite where a NaN stands
  // Sparse attention, which has no lse: by how much a key that was left out outscores one that was chosen, in the
  // reference, which then attends to the chosen ones. Infinite where a choice is none: a key twice, or one that the
  // query must not see.
  double keys = 0;
  AttentionError& operator|=(const AttentionError& other);
};
struct AttentionReport {
  AttentionError error;  // over all ranks and orders
  Tolerance allowed{};
  std::vector<AttentionError> ranks;
  std::int64_t flops_performed = 0, flops_charged = 0,
               flops_masked = 0;  // masked: multiplied in whole tiles, then hidden
  std::int64_t bytes_moved = 0, bytes_charged = 0;
  int orders = 0, orders_that_differ = 0;  // of streams, beside program order: any bit of output or lse
  int orders_computed = 0;                 // of these; of the others the flow of data shows that no bit can differ
  [[nodiscard]] bool within_tolerance() const {
    return error.out <= allowed.out && error.lse <= allowed.lse && error.keys <= allowed.keys;
  }
  [[nodiscard]] bool ledger_agrees() const { return flops_performed == flops_charged && bytes_moved == bytes_charged; }
  [[nodiscard]] bool ok() const { return within_tolerance() && ledger_agrees() && orders_that_differ == 0; }
};

// mutate: changes the programs before they run (tests).
using Mutation = std::function<void(std::vector<RankAttention>&)>;
struct CheckOptions {
  NumberType type = NumberType::kFp64;
  int orders = 0;               // further orders, numbers 0, 1, ... of the streams (drive_streams)
  bool compute_orders = false;  // on numbers, though the flow of data (data_flow.h) shows that they are the same
  Mutation mutate = {};
};
AttentionReport check_attention(const AttentionStrategy& strategy, const AttentionCase& c, DenseReferences& references,
                                const CheckOptions& options = {});
// Streams of all ranks: after so many orders each has once been held back. With one stream a rank there is but one
// order.
int stream_count(const AttentionStrategy& strategy, const AttentionCase& c);

// Bytes that the calculator and the reference need for a case.
std::int64_t memory_estimate(const AttentionCase& c, bool decode);

// The largest error of a merge weight exp(lse) when lse in [16, 32) is rounded to `type`: why MindIE, which exchanges
// lse in the model's type, runs in FP16 only.
double merge_weight_error(Dtype type);

}  // namespace ascendsim
