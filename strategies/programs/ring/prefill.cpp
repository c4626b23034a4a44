// Prefill attention under the strategies that cut tokens or heads. Ring attention: Liu, Zaharia, Abbeel 2023; zigzag as in
// zhuzilin/ring-flash-attention; MindIE operation/ring_attention.cpp; vLLM-Ascend attention/context_parallel/mla_cp.py.
#include <algorithm>
#include <array>

#include "strategies/partitions.h"
#include "strategies/programs/ring/attention_case.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

namespace {

Runs runs_on(const AttentionCase& c, std::int64_t ranks, std::int64_t rank) {
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    for (const Run& r : partition_runs(c.partition, static_cast<std::int32_t>(s), c.tokens[s], ranks, rank)) runs.push_back(r);
  return laid_out(std::move(runs));
}

// Zigzag chunk `chunk` of every sequence, padded.
Runs chunk_of_all(const AttentionCase& c, std::int64_t chunk) {
  const std::int64_t rank = std::min(chunk, 2 * c.cp - 1 - chunk);
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    runs.push_back(partition_runs(Partition::kZigzag, static_cast<std::int32_t>(s), c.tokens[s], c.cp, rank,
                                  true)[chunk == rank ? 0 : 1]);
  return laid_out(std::move(runs));
}

// The part of a context-parallel prefill that MindIE and vLLM-Ascend have in common: the latent of all chunks, gathered
// once, put back in order and expanded on every rank.
struct GatheredPrefill {
  GatheredPrefill(const AttentionCase& c, std::int64_t rank) : at(c, rank), chunk_rows(rows_of(chunk_of_all(c, 0))) {
    for (const std::int64_t chunk : zigzag(c.tokens[0], c.cp, at.cp).chunks)
      for (const Run& r : chunk_of_all(c, chunk)) own.push_back(r);
    own = laid_out(std::move(own));
    Value latent = at.p.all_gather("latent_gather", at.latent(own), at.group(CaseGroup::kCp));
    std::vector<RowRun> order;
    for (std::int64_t chunk = 0; chunk < 2 * c.cp; ++chunk) {
      const std::int64_t owner = std::min(chunk, 2 * c.cp - 1 - chunk);
      order.push_back({static_cast<std::int32_t>((2 * owner + (chunk == owner ? 0 : 1)) * chunk_rows),
                       static_cast<std::int32_t>(chunk_rows)});
    }
    latent = select_rows(at.p, "latent_reorder", latent, order);
    q = at.queries(own);
    kv = at.expand(latent);
  }

  [[nodiscard]] Value queries_of(Value x, int part) const { return x.row_slice(part * chunk_rows, chunk_rows); }
  [[nodiscard]] CaseRank::KeysAndValues keys_of(std::int64_t first, std::int64_t chunks) const {
    return {kv.k.row_slice(first * chunk_rows, chunks * chunk_rows), kv.v.row_slice(first * chunk_rows, chunks * chunk_rows)};
  }
  [[nodiscard]] std::int64_t chunk(int part) const { return part == 0 ? at.cp : 2 * at.c.cp - 1 - at.cp; }

  CaseRank at;
  std::int64_t chunk_rows;
  Runs own;
  Value q;
  CaseRank::KeysAndValues kv;
};

}  // namespace

// Step s of p: the rank attends to the keys that started on rank (r - s) mod p while it hands them on to r + 1. Two buffers
// take turns: the next keys arrive in one while the kernel reads the other.
RankAttention point_to_point_ring(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  const Runs own = runs_on(c, c.cp, at.cp);
  const Value q = at.queries(own);
  CaseRank::KeysAndValues now = at.expand(at.latent(own));
  std::int64_t most_rows = 0;
  for (std::int64_t r = 0; r < c.cp; ++r) most_rows = std::max(most_rows, rows_of(runs_on(c, c.cp, r)));
  std::array<CaseRank::KeysAndValues, 2> buffers;
  for (auto& [k, v] : buffers) {
    k = at.p.activation(c.input, most_rows, now.k.columns);
    v = at.p.activation(c.input, most_rows, now.v.columns);
  }
  const Partial sum = at.empty_partial(q, now, Dtype::kFp32, Dtype::kFp32);
  for (std::int64_t step = 0; step < c.cp; ++step) {
    const auto keys_at = [&](std::int64_t s) { return runs_on(c, c.cp, (at.cp - s + c.cp) % c.cp); };
    CaseRank::KeysAndValues next = buffers[static_cast<std::size_t>(step % 2)];
    if (step + 1 < c.cp) {
      const std::int64_t rows = rows_of(keys_at(step + 1));
      next = {next.k.row_slice(0, rows), next.v.row_slice(0, rows)};
      at.p.shift("ring_keys", now.k, next.k, at.group(CaseGroup::kCp));
      at.p.shift("ring_values", now.v, next.v, at.group(CaseGroup::kCp));
    }
    const std::vector<AttentionBlock> blocks = causal_blocks(own, keys_at(step));
    if (!blocks.empty()) {
      const Partial block{at.p.activation(c.block_output, q.rows, sum.out.columns), at.p.activation(c.lse, q.rows, sum.lse.columns)};
      attend(at.p, "ring_attention", at.core(), blocks, q, now.k, now.v, block.out, block.lse);
      merge_into(at.p, "ring_update", block, sum);
    }
    now = next;
  }
  return at.result(sum, own);
}

RankAttention head_parallel(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  const Runs all = runs_on(c, 1, 0);
  const Value q = at.queries(all);
  const CaseRank::KeysAndValues kv = at.expand(at.latent(all));
  const Partial sum{at.p.activation(c.block_output, q.rows, c.local_heads() * c.value),
                    at.p.activation(c.lse, q.rows, c.local_heads())};
  attend(at.p, "attention", at.core(), causal_blocks(all, all), q, kv.k, kv.v, sum.out, sum.lse);
  return at.result(sum, all);
}

// The kernel is called for query chunk i and key chunk j in chunk order, triangular where i = j, and accumulates in place.
RankAttention mindie_context_parallel(const AttentionCase& c, std::int64_t rank) {
  GatheredPrefill g(c, rank);
  const Partial sum{g.at.p.activation(c.block_output, g.q.rows, c.local_heads() * c.value),
                    g.at.p.activation(c.lse, g.q.rows, c.local_heads())};
  for (int part = 0; part < 2; ++part)
    for (std::int64_t j = 0; j <= g.chunk(part); ++j) {
      PrefillCore core = g.at.core();
      core.accumulate = j > 0;
      const CaseRank::KeysAndValues kv = g.keys_of(j, 1);
      attend(g.at.p, "ring_mla", core, causal_blocks(chunk_of_all(c, g.chunk(part)), chunk_of_all(c, j)),
             g.queries_of(g.q, part), kv.k, kv.v, g.queries_of(sum.out, part), g.queries_of(sum.lse, part));
    }
  return g.at.result(sum, g.own);
}

// Head and tail chunk each: one call over the chunk's own keys with the mask, one over all earlier keys without, merged in
// fp32.
RankAttention vllm_prefill_context_parallel(const AttentionCase& c, std::int64_t rank) {
  GatheredPrefill g(c, rank);
  const Partial sum = g.at.empty_partial(g.q, g.kv, Dtype::kFp32, Dtype::kFp32);
  const auto call = [&](const char* label, int part, std::int64_t first, std::int64_t chunks) {
    Runs keys;
    for (std::int64_t j = first; j < first + chunks; ++j)
      for (const Run& r : chunk_of_all(c, j)) keys.push_back(r);
    const Value q = g.queries_of(g.q, part);
    const Partial block{g.at.p.activation(c.block_output, q.rows, sum.out.columns), g.at.p.activation(c.lse, q.rows, sum.lse.columns)};
    const CaseRank::KeysAndValues kv = g.keys_of(first, chunks);
    attend(g.at.p, label, g.at.core(), causal_blocks(chunk_of_all(c, g.chunk(part)), laid_out(std::move(keys))), q, kv.k, kv.v,
           block.out, block.lse);
    merge_into(g.at.p, "attention_update", block, {g.queries_of(sum.out, part), g.queries_of(sum.lse, part)});
  };
  for (int part = 0; part < 2; ++part) {
    call("masked_attention", part, g.chunk(part), 1);
    if (g.chunk(part) > 0) call("unmasked_attention", part, 0, g.chunk(part));
  }
  return g.at.result(sum, g.own);
}

}  // namespace ascendsim
