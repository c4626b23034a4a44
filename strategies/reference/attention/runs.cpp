#include "strategies/reference/attention/runs.h"

#include <algorithm>
#include <optional>

#include "sim/check.h"
#include "strategies/deployment/partitions.h"

namespace ascendsim {

namespace {

Run run(std::int32_t sequence, std::int64_t first, std::int64_t rows, std::int64_t stride = 1) {
  return {sequence, static_cast<std::int32_t>(first), static_cast<std::int32_t>(rows),
          static_cast<std::int32_t>(stride), 0};
}

// Tokens [first, first + rows) as far as the sequence goes.
void add_within(Runs& runs, std::int32_t sequence, std::int64_t first, std::int64_t rows, std::int64_t tokens) {
  rows = std::min(rows, tokens - first);
  if (rows > 0) runs.push_back(run(sequence, first, rows));
}

// Query i of q sees key j of k when k.first + j stride <= q.first + i stride, that is j <= i + shift.
std::optional<AttentionBlock> causal_block(const Run& q, const Run& k) {
  // Keys that all lie before the queries are seen whole, at whatever distances.
  if (k.rows > 0 && k.first + (k.rows - 1) * k.stride <= q.first)
    return AttentionBlock{.q_row = q.row, .q_rows = q.rows, .k_row = k.row, .k_rows = k.rows};
  check(q.stride == k.stride || q.rows == 1 || k.rows == 1, "causal blocks need runs of equal strides");
  const std::int32_t stride = k.rows > 1 ? k.stride : q.stride, distance = q.first - k.first;
  const std::int32_t shift = distance >= 0 ? distance / stride : -((-distance + stride - 1) / stride);
  const std::int32_t blind = std::max(0, -shift);
  if (blind >= q.rows) return std::nullopt;
  const std::int32_t sees = std::max(0, shift);
  const bool all = sees + 1 >= k.rows;
  return AttentionBlock{.q_row = q.row + blind,
                        .q_rows = q.rows - blind,
                        .k_row = k.row,
                        .k_rows = k.rows,
                        .causal = all ? 0 : 1,
                        .shift = all ? 0 : sees};
}

}  // namespace

Runs laid_out(Runs runs) {
  std::int32_t row = 0;
  for (Run& r : runs) {
    r.row = row;
    row += r.rows;
  }
  return runs;
}

std::int64_t rows_of(std::span<const Run> runs) {
  std::int64_t rows = 0;
  for (const Run& r : runs) rows += r.rows;
  return rows;
}

std::vector<std::int32_t> global_rows(std::span<const Run> runs) {
  std::vector<std::int32_t> out;
  for (const Run& r : runs)
    for (std::int32_t i = 0; i < r.rows; ++i) out.push_back(global_row(r.sequence, r.first + i * r.stride));
  return out;
}

std::vector<RowRun> rows_holding(std::span<const Run> wanted, std::span<const Runs> shares, std::int64_t share_rows) {
  struct Place {
    std::int32_t token, row;
    bool taken = false;
  };
  std::vector<Place> places;
  for (std::size_t s = 0; s < shares.size(); ++s)
    for (const Run& r : shares[s])
      for (std::int32_t i = 0; i < r.rows; ++i)
        places.push_back({global_row(r.sequence, r.first + i * r.stride),
                          static_cast<std::int32_t>(static_cast<std::int64_t>(s) * share_rows) + r.row + i});
  std::ranges::stable_sort(places, {}, &Place::token);
  std::vector<RowRun> out;
  for (const std::int32_t token : global_rows(wanted)) {
    auto place = std::ranges::lower_bound(places, token, {}, &Place::token);
    while (place != places.end() && place->token == token && place->taken) ++place;
    check(place != places.end() && place->token == token, "no share holds a token that is wanted");
    place->taken = true;
    if (!out.empty() && out.back().first + out.back().rows == place->row)
      ++out.back().rows;
    else
      out.push_back({place->row, 1});
  }
  return out;
}

std::vector<AttentionBlock> causal_blocks(std::span<const Run> queries, std::span<const Run> keys) {
  std::vector<AttentionBlock> out;
  for (const Run& q : queries)
    for (const Run& k : keys) {
      if (q.sequence != k.sequence) continue;
      const auto block = causal_block(q, k);
      if (!block) continue;
      if (!out.empty() && !block->causal && !out.back().causal && out.back().q_row == block->q_row &&
          out.back().q_rows == block->q_rows && out.back().k_row + out.back().k_rows == block->k_row)
        out.back().k_rows += block->k_rows;
      else
        out.push_back(*block);
    }
  return out;
}

Runs partition_runs(Partition partition, std::int32_t sequence, std::int64_t tokens, std::int64_t ranks,
                    std::int64_t rank, bool padded) {
  Runs runs;
  switch (partition) {
    case Partition::kContiguous: {
      const std::int64_t share = ceil_div(tokens, ranks);
      add_within(runs, sequence, rank * share, share, tokens);
      break;
    }
    case Partition::kZigzag: {
      const Zigzag z = zigzag(tokens, ranks, rank);
      for (const std::int64_t c : z.chunks)
        add_within(runs, sequence, c * z.chunk, z.chunk, padded ? 2 * ranks * z.chunk : tokens);
      break;
    }
    case Partition::kRoundRobin:
      if (rank < tokens) runs.push_back(run(sequence, rank, ceil_div(tokens - rank, ranks), ranks));
      break;
  }
  return runs;
}

Runs behind(std::int64_t tokens, Runs runs) {
  for (Run& r : runs) r.first += static_cast<std::int32_t>(tokens);
  return runs;
}

Runs block_runs(std::int32_t sequence, std::int64_t tokens, std::int64_t shards, std::int64_t block_tokens,
                std::int64_t shard) {
  const std::int64_t last = ceil_div(tokens, block_tokens) - 1;
  Runs runs;
  for (std::int64_t b = 0; b <= last; ++b)
    if (shard == (b == last && last >= shards ? shards - 1 : b % shards))
      add_within(runs, sequence, b * block_tokens, block_tokens, tokens);
  return runs;
}

Runs interleaved_runs(std::int32_t sequence, std::int64_t tokens, std::int64_t shards, std::int64_t interleave,
                      std::int64_t shard) {
  Runs runs;
  for (std::int64_t first = shard * interleave; first < tokens; first += shards * interleave)
    add_within(runs, sequence, first, interleave, tokens);
  return runs;
}

}  // namespace ascendsim
