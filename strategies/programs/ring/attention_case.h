// Attention of one layer alone, as each parallel strategy runs it: the programs that `ascendsim ring` computes and compares
// with dense attention on one rank. Queries, latent and weights come from global tensors, so that every strategy answers
// the same question.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"
#include "strategies/programs/ring/runs.h"

namespace ascendsim {

struct AttentionCase {
  std::int64_t heads = 8, nope = 128, rope = 64, value = 128, kv_rank = 512;
  std::vector<std::int64_t> tokens{512};         // of each sequence
  // Ranks are numbered with tp fastest. cp: ranks that share a sequence (ring, context parallelism); tp: ranks that share
  // the heads, and in decode the cached tokens too (sp of MindIE, dcp of vLLM).
  std::int64_t cp = 1, tp = 1;
  Partition partition = Partition::kZigzag;
  std::int64_t block_tokens = 128, interleave = 128;   // placement of cached tokens
  Dtype input = Dtype::kFp16;                    // queries, latent, weights
  Dtype block_output = Dtype::kFp16;             // what a call of the kernel returns
  Dtype lse = Dtype::kFp32;                      // the log-sum-exp where it is exchanged or merged

  [[nodiscard]] std::int64_t world() const { return cp * tp; }
  [[nodiscard]] std::int64_t key_width() const { return nope + rope; }
  [[nodiscard]] std::int64_t latent_width() const { return kv_rank + rope; }
  [[nodiscard]] std::int64_t local_heads() const { return heads / tp; }
};

enum class CaseGroup : std::uint8_t { kTp, kCp };
std::vector<GroupKind> attention_groups(const AttentionCase& c);

// One rank's program and where its result lies: rows of `runs`, heads [first_head, first_head + local heads).
struct RankAttention {
  Program program;
  Value out, lse;
  Runs runs;
  std::int64_t first_head = 0;
};

struct AttentionStrategy {
  const char* name;
  const char* summary;
  bool decode;                                   // queries: only the last token of each sequence
  bool partitions;                               // runs under any Partition
  Dtype lse;                                     // that the engine merges with
  RankAttention (*build)(const AttentionCase& c, std::int64_t rank);
  // The rules that a case breaks; empty when there are none.
  std::vector<std::string> (*broken_rules)(const AttentionCase& c);
};
std::span<const AttentionStrategy> attention_strategies();

// ---- parts that strategies share ---------------------------------------------------------------------------------------

struct CaseRank {
  CaseRank(const AttentionCase& attention_case, std::int64_t rank)
      : c(attention_case), cp(rank / c.tp), tp(rank % c.tp), first_head(tp * c.local_heads()) {}

  const AttentionCase& c;
  std::int64_t cp, tp, first_head;
  ProgramBuilder p;

  [[nodiscard]] ProgramBuilder::Group group(CaseGroup g) const {
    return {static_cast<std::uint8_t>(g), static_cast<int>(g == CaseGroup::kTp ? c.tp : c.cp)};
  }
  [[nodiscard]] Value latent(std::span<const Run> runs);
  [[nodiscard]] Value query_part(const char* key, std::int64_t width, std::span<const Run> runs);
  [[nodiscard]] Value queries(std::span<const Run> runs);           // expanded: [rows, heads * (nope + rope)]
  [[nodiscard]] Value expansion_weight(const char* key, std::int64_t width);
  struct KeysAndValues {
    Value k, v;
  };
  [[nodiscard]] KeysAndValues expand(Value latent);
  [[nodiscard]] PrefillCore core() const;
  // Room for a result over `rows` rows; an empty set of keys so far.
  [[nodiscard]] Partial empty_partial(Value q, const KeysAndValues& kv, Dtype out, Dtype lse);
  [[nodiscard]] RankAttention result(const Partial& partial, Runs runs);
};

RankAttention point_to_point_ring(const AttentionCase& c, std::int64_t rank);
RankAttention head_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention mindie_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention vllm_prefill_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention mindie_sequence_parallel_decode(const AttentionCase& c, std::int64_t rank);
RankAttention vllm_decode_context_parallel(const AttentionCase& c, std::int64_t rank);

}  // namespace ascendsim
