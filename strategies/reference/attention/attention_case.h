// Attention of one layer alone, as each parallel strategy runs it: the programs that `ascendsim ring` computes and
// compares with dense attention on one rank. Queries, latent and weights come from global tensors, so that every
// strategy answers the same question. The latent is what kv_a_proj_with_mqa returns, before norm and rotation; queries
// are not rotated yet.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"
#include "strategies/reference/attention/runs.h"

namespace ascendsim {

struct AttentionCase {
  std::int64_t heads = 8, nope = 128, rope = 64, value = 128, kv_rank = 512;
  std::vector<std::int64_t> tokens{512};  // of each sequence: a prefill's new tokens; in decode all, the last one asks
  std::vector<std::int64_t> history;      // cached tokens before them, as far as given; prefill
  // Ranks are numbered with tp fastest. cp: ranks that share a sequence (ring, context parallelism). tp: ranks that
  // share the heads. dcp: how many neighbours of these share the cached tokens too (vLLM's dcp; MindIE's sp, which is
  // tp).
  std::int64_t cp = 1, tp = 1, dcp = 1;
  Partition partition = Partition::kZigzag;
  // Sparse attention: the indexer's shape, and how many keys a query attends to; 0 = all of them, no indexer.
  std::int64_t index_heads = 4, index_width = 128, top_k = 0;
  std::int64_t block_tokens = 128, interleave = 128;  // placement of cached tokens
  Dtype input = Dtype::kFp16;                         // queries, latent, weights
  Dtype block_output = Dtype::kFp16;                  // what a call of the kernel returns
  Dtype lse = Dtype::kFp32;                           // the log-sum-exp where it is exchanged or merged

  [[nodiscard]] std::int64_t world() const { return cp * tp; }
  [[nodiscard]] std::int64_t shards() const { return cp * dcp; }  // of a cached sequence
  [[nodiscard]] std::int64_t history_of(std::size_t sequence) const {
    return sequence < history.size() ? history[sequence] : 0;
  }
  [[nodiscard]] std::int64_t total(std::size_t sequence) const { return history_of(sequence) + tokens[sequence]; }
  [[nodiscard]] bool has_history() const {
    return std::ranges::any_of(history, [](std::int64_t h) { return h > 0; });
  }
  [[nodiscard]] std::int64_t key_width() const { return nope + rope; }
  [[nodiscard]] std::int64_t latent_width() const { return kv_rank + rope; }
  [[nodiscard]] std::int64_t local_heads() const { return heads / tp; }
  [[nodiscard]] bool sparse() const { return top_k > 0; }
};

enum class CaseGroup : std::uint8_t { kTp, kCp, kDcp, kWorld };
std::vector<GroupKind> attention_groups(const AttentionCase& c);
// All of the history, laid out sequence by sequence.
Runs cached_tokens(const AttentionCase& c);

// One rank's program and where its result lies: rows of `runs`, heads [first_head, first_head + local heads).
struct RankAttention {
  Program program;
  Value out, lse;
  Runs runs;
  std::int64_t first_head = 0;
  Value chosen{};  // sparse, instead of lse: keys of each query, by position
};

struct BrokenRule {
  std::string what;
  const char* source = "";  // of an engine's rule; empty: the arithmetic says so
};

struct AttentionStrategy {
  struct Degrees {
    std::int64_t cp, tp, dcp;
  };
  const char* name;
  const char* summary;
  // What the engine calls the degrees: --ranks, --cp, --pcp = cp; --tp; --sp, --dcp = dcp.
  std::vector<std::string_view> words;
  bool decode;                        // queries: only the last token of each sequence
  std::vector<Partition> partitions;  // that it runs under; empty: it has one of its own
  Dtype lse;                          // that the engine merges with
  const char* fp16_only;              // who says that the engine refuses BF16; nullptr: it does not
  RankAttention (*build)(const AttentionCase& c, std::int64_t rank);
  // The rules that a case breaks; empty when there are none.
  std::vector<BrokenRule> (*broken_rules)(const AttentionCase& c);
  std::vector<Degrees> further{};  // degrees that `ring --all` runs beside the usual ones
  bool sparse = false;             // takes cases with an indexer, and only these
  const char* together = nullptr;  // the name that asks for it and for others: of both phases of one engine
};
std::span<const AttentionStrategy> attention_strategies();
std::span<const AttentionStrategy> sparse_attention_strategies();

// ---- parts that strategies share
// ---------------------------------------------------------------------------------------

struct CaseRank {
  CaseRank(const AttentionCase& attention_case, std::int64_t rank)
      : c(attention_case), cp(rank / c.tp), tp(rank % c.tp), dcp(tp % c.dcp), first_head(tp * c.local_heads()) {}

  const AttentionCase& c;
  std::int64_t cp, tp, dcp, first_head;
  ProgramBuilder p;

  [[nodiscard]] ProgramBuilder::Group group(CaseGroup g) const {
    const std::int64_t ranks[] = {c.tp, c.cp, c.dcp, c.world()};
    return {static_cast<std::uint8_t>(g), static_cast<int>(ranks[static_cast<std::size_t>(g)])};
  }
  [[nodiscard]] std::int64_t shard() const { return cp * c.dcp + dcp; }  // of cached sequences
  [[nodiscard]] Value latent(std::span<const Run> runs);                 // ready for the cache: normed and rotated
  struct QueryParts {
    Value nope, rope;
  };
  [[nodiscard]] QueryParts query_parts(std::span<const Run> runs);  // rotated
  [[nodiscard]] Value queries(std::span<const Run> runs);           // expanded: [rows, heads * (nope + rope)]
  [[nodiscard]] Value w_uk();
  [[nodiscard]] Value w_uv();
  struct KeysAndValues {
    Value k, v;
  };
  [[nodiscard]] KeysAndValues expand(Value latent);
  [[nodiscard]] PrefillCore core() const;
  [[nodiscard]] Partial room(std::int64_t rows, Dtype out, Dtype lse);  // for the result of a call
  // Room for a result; an empty set of keys so far.
  [[nodiscard]] Partial empty_partial(Value q, const KeysAndValues& kv, Dtype out, Dtype lse);
  // All cached rows of `shares` (of every shard, in order), of which this rank holds its own, in the order of `wanted`:
  // gathered over one group after the other with the shares padded to the longest.
  [[nodiscard]] Value gather_shards(std::span<const Runs> shares, std::span<const Run> wanted,
                                    std::initializer_list<CaseGroup> groups);
  [[nodiscard]] RankAttention result(const Partial& partial, Runs runs);

  [[nodiscard]] Value positions(std::span<const Run> runs);

 private:
  [[nodiscard]] Value expansion_weight(const char* key, std::int64_t width);
  std::optional<Value> w_uk_, w_uv_, norm_;
};

RankAttention point_to_point_ring(const AttentionCase& c, std::int64_t rank);
RankAttention head_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention mindie_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention vllm_prefill_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention sglang_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention ring_of_latents(const AttentionCase& c, std::int64_t rank);
RankAttention mindie_sequence_parallel_decode(const AttentionCase& c, std::int64_t rank);
RankAttention vllm_decode_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention sparse_head_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention sparse_context_parallel(const AttentionCase& c, std::int64_t rank);
RankAttention sparse_tokens_over_tp(const AttentionCase& c, std::int64_t rank);

}  // namespace ascendsim
