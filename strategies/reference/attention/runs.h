// Which tokens of a sequence a rank holds, as runs of equally spaced positions, and the blocks of the causal triangle
// that queries of one run form with keys of another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workloads/operators/attention.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

struct Run {
  std::int32_t sequence = 0;
  std::int32_t first = 0, rows = 0, stride = 1;  // positions first, first + stride, ...
  std::int32_t row = 0;                          // of the rank's tensors, where the run begins
};
using Runs = std::vector<Run>;

// Lays the runs out one after another from row 0.
Runs laid_out(Runs runs);
std::int64_t rows_of(std::span<const Run> runs);

// The row of the global tensor that holds a token. REQUIRES: sequences < 2048, positions < 2^20.
constexpr std::int32_t global_row(std::int32_t sequence, std::int32_t position) { return sequence << 20 | position; }
std::vector<std::int32_t> global_rows(std::span<const Run> runs);

// Which rows of a gathered tensor, where shares lie one after another at a distance of `share_rows`, hold the tokens of
// `wanted`, in that order. A token that several shares hold is found once in each. REQUIRES: every token is there.
std::vector<RowRun> rows_holding(std::span<const Run> wanted, std::span<const Runs> shares, std::int64_t share_rows);

// What queries see of keys: position by position, a token sees itself and what came before. Blocks that causality hides
// are left out, rows of queries that see nothing of a block are cut off, neighbouring unmasked blocks become one.
// REQUIRES: runs of one sequence have equal strides.
std::vector<AttentionBlock> causal_blocks(std::span<const Run> queries, std::span<const Run> keys);

// One sequence over `ranks` ranks. Contiguous: parts of ceil(tokens / ranks). Zigzag: 2 * ranks chunks of
// ceil(tokens / 2 ranks), rank r has chunks r and 2 ranks - 1 - r; with `padded` the last chunks are whole, beyond the
// end. Round-robin: token i on rank i mod ranks (striped attention, Brandon et al. 2023).
enum class Partition : std::uint8_t { kContiguous, kZigzag, kRoundRobin };
Runs partition_runs(Partition partition, std::int32_t sequence, std::int64_t tokens, std::int64_t ranks,
                    std::int64_t rank, bool padded = false);
// The same tokens behind `tokens` others.
Runs behind(std::int64_t tokens, Runs runs);
// MindIE's placement of whole blocks (partitions.h, place_blocks).
Runs block_runs(std::int32_t sequence, std::int64_t tokens, std::int64_t shards, std::int64_t block_tokens,
                std::int64_t shard);
// vLLM's: position p on shard (p div interleave) mod shards (--cp-kv-cache-interleave-size).
Runs interleaved_runs(std::int32_t sequence, std::int64_t tokens, std::int64_t shards, std::int64_t interleave,
                      std::int64_t shard);

}  // namespace ascendsim
