// Prefill attention under the strategies that cut tokens or heads. Ring attention: Liu, Zaharia, Abbeel 2023; zigzag as
// in zhuzilin/ring-flash-attention; MindIE operation/ring_attention.cpp; vLLM-Ascend
// attention/context_parallel/mla_cp.py.
#include <algorithm>
#include <array>

#include "strategies/deployment/partitions.h"
#include "strategies/reference/attention/attention_case.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

namespace {

// The new tokens on a rank, and the cached ones that lie there when the history was cut alike.
struct Shares {
  Runs fresh, cached, all;  // all: cached, then fresh, as the rank's keys lie
};
Shares shares_of(const AttentionCase& c, std::int64_t ranks, std::int64_t rank) {
  Shares out;
  for (std::size_t s = 0; s < c.tokens.size(); ++s) {
    const auto sequence = static_cast<std::int32_t>(s);
    const std::int64_t history = c.history_of(s);
    if (history > 0)
      for (const Run& r : partition_runs(c.partition, sequence, history, ranks, rank)) out.cached.push_back(r);
    for (const Run& r : behind(history, partition_runs(c.partition, sequence, c.tokens[s], ranks, rank)))
      out.fresh.push_back(r);
  }
  out.all = out.cached;
  out.all.insert(out.all.end(), out.fresh.begin(), out.fresh.end());
  return {laid_out(std::move(out.fresh)), laid_out(std::move(out.cached)), laid_out(std::move(out.all))};
}

// Zigzag chunks first .. first + chunks - 1 of every sequence's new tokens, padded; all sequences of a chunk together.
Runs chunks_of_all(const AttentionCase& c, std::int64_t first, std::int64_t chunks) {
  Runs runs;
  for (std::int64_t chunk = first; chunk < first + chunks; ++chunk) {
    const std::int64_t rank = std::min(chunk, 2 * c.cp - 1 - chunk);
    for (std::size_t s = 0; s < c.tokens.size(); ++s) {
      const Runs own = partition_runs(Partition::kZigzag, static_cast<std::int32_t>(s), c.tokens[s], c.cp, rank, true);
      runs.push_back(behind(c.history_of(s), own)[chunk == rank ? 0 : 1]);
    }
  }
  return laid_out(std::move(runs));
}

Runs two_chunks(const AttentionCase& c, std::int64_t cp_rank) {
  Runs runs = chunks_of_all(c, cp_rank, 1);
  for (const Run& r : chunks_of_all(c, 2 * c.cp - 1 - cp_rank, 1)) runs.push_back(r);
  return laid_out(std::move(runs));
}

// The part of a context-parallel prefill that MindIE and vLLM-Ascend have in common: the latent of all chunks, gathered
// once, put back in order and expanded on every rank; cached tokens, whole turns of `turn` tokens over all shards,
// likewise.
struct GatheredPrefill {
  GatheredPrefill(const AttentionCase& c, std::int64_t rank, std::int64_t turn,
                  std::initializer_list<CaseGroup> history_groups)
      : at(c, rank), chunk_rows(rows_of(chunks_of_all(c, 0, 1))), own(two_chunks(c, at.cp)), cached(cached_tokens(c)) {
    std::vector<Runs> shares;
    for (std::int64_t r = 0; r < c.cp; ++r) shares.push_back(two_chunks(c, r));
    const Value gathered = at.p.all_gather("latent_gather", at.latent(own), at.group(CaseGroup::kCp));
    const Value latent = select_rows(at.p, "latent_reorder", gathered,
                                     rows_holding(chunks_of_all(c, 0, 2 * c.cp), shares, 2 * chunk_rows));
    q = at.queries(own);
    kv = at.expand(latent);
    if (!c.has_history()) return;
    shares.assign(static_cast<std::size_t>(c.shards()), {});
    for (std::int64_t shard = 0; shard < c.shards(); ++shard) {
      Runs& share = shares[static_cast<std::size_t>(shard)];
      for (std::size_t s = 0; s < c.tokens.size(); ++s)
        for (const Run& r : interleaved_runs(static_cast<std::int32_t>(s), c.history_of(s), c.shards(), turn, shard))
          share.push_back(r);
      share = laid_out(std::move(share));
    }
    history = at.expand(at.gather_shards(shares, cached, history_groups));
  }

  [[nodiscard]] Value queries_of(Value x, int part) const { return x.row_slice(part * chunk_rows, chunk_rows); }
  [[nodiscard]] CaseRank::KeysAndValues keys_of(std::int64_t first, std::int64_t chunks) const {
    return {kv.k.row_slice(first * chunk_rows, chunks * chunk_rows),
            kv.v.row_slice(first * chunk_rows, chunks * chunk_rows)};
  }
  [[nodiscard]] std::int64_t chunk(int part) const { return part == 0 ? at.cp : 2 * at.c.cp - 1 - at.cp; }

  CaseRank at;
  std::int64_t chunk_rows;
  Runs own, cached;
  Value q;
  CaseRank::KeysAndValues kv, history;
};

}  // namespace

// Step s of p: the rank attends to the keys that started on rank (r - s) mod p while it hands them on to r + 1. Two
// buffers take turns: the next keys arrive in one while the kernel reads the other.
RankAttention point_to_point_ring(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  std::vector<Shares> shares;
  for (std::int64_t r = 0; r < c.cp; ++r) shares.push_back(shares_of(c, c.cp, r));
  const Runs& own = shares[static_cast<std::size_t>(at.cp)].fresh;
  const Value q = at.queries(own);
  CaseRank::KeysAndValues now = at.expand(at.latent(shares[static_cast<std::size_t>(at.cp)].all));
  std::int64_t most_rows = 0;
  for (const Shares& s : shares) most_rows = std::max(most_rows, rows_of(s.all));
  std::array<CaseRank::KeysAndValues, 2> buffers;
  for (auto& [k, v] : buffers) {
    k = at.p.activation(c.input, most_rows, now.k.columns);
    v = at.p.activation(c.input, most_rows, now.v.columns);
  }
  const Partial sum = at.empty_partial(q, now, Dtype::kFp32, Dtype::kFp32);
  for (std::int64_t step = 0; step < c.cp; ++step) {
    const auto keys_at = [&](std::int64_t s) -> const Runs& {
      return shares[static_cast<std::size_t>((at.cp - s + c.cp) % c.cp)].all;
    };
    CaseRank::KeysAndValues next = buffers[static_cast<std::size_t>(step % 2)];
    if (step + 1 < c.cp) {
      const std::int64_t rows = rows_of(keys_at(step + 1));
      next = {next.k.row_slice(0, rows), next.v.row_slice(0, rows)};
      at.p.shift("ring_keys", now.k, next.k, at.group(CaseGroup::kCp));
      at.p.shift("ring_values", now.v, next.v, at.group(CaseGroup::kCp));
    }
    const std::vector<AttentionBlock> blocks = causal_blocks(own, keys_at(step));
    if (!blocks.empty()) {
      const Partial block = at.room(q.rows, c.block_output, c.lse);
      attend(at.p, "ring_attention", at.core(), blocks, q, now.k, now.v, block.out, block.lse);
      merge_into(at.p, "ring_update", block, sum);
    }
    now = next;
  }
  return at.result(sum, own);
}

// The same with latents: narrower than keys and values of more than a few heads, and expanded anew on every rank.
RankAttention ring_of_latents(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  std::vector<Shares> shares;
  std::int64_t most_rows = 0;
  for (std::int64_t r = 0; r < c.cp; ++r) {
    shares.push_back(shares_of(c, c.cp, r));
    most_rows = std::max(most_rows, rows_of(shares.back().all));
  }
  const Runs& own = shares[static_cast<std::size_t>(at.cp)].fresh;
  const Value q = at.queries(own);
  Value now = at.latent(shares[static_cast<std::size_t>(at.cp)].all);
  const std::array buffers{at.p.activation(c.input, most_rows, now.columns),
                           at.p.activation(c.input, most_rows, now.columns)};
  const Partial sum = at.room(q.rows, c.block_output, c.lse);
  PrefillCore core = at.core();
  for (std::int64_t step = 0; step < c.cp; ++step) {
    const auto keys_at = [&](std::int64_t s) -> const Runs& {
      return shares[static_cast<std::size_t>((at.cp - s + c.cp) % c.cp)].all;
    };
    Value next = buffers[static_cast<std::size_t>(step % 2)];
    if (step + 1 < c.cp) {
      next = next.row_slice(0, rows_of(keys_at(step + 1)));
      at.p.shift("latent_shift", now, next, at.group(CaseGroup::kCp));
    }
    const CaseRank::KeysAndValues kv = at.expand(now);
    attend(at.p, "ring_attention", core, causal_blocks(own, keys_at(step)), q, kv.k, kv.v, sum.out, sum.lse);
    core.accumulate = 1;
    now = next;
  }
  return at.result(sum, own);
}

// Gathered rows of zigzag chunks are put in order and seen in one call; round-robin shares stay as ranks sent them,
// since a triangle needs keys at the queries' distance. A prefix lies whole in every rank's cache.
RankAttention sglang_context_parallel(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  std::vector<Runs> shares;
  std::int64_t longest = 0;
  for (std::int64_t r = 0; r < c.cp; ++r) {
    shares.push_back(shares_of(c, c.cp, r).fresh);
    longest = std::max(longest, rows_of(shares.back()));
  }
  const Runs& own = shares[static_cast<std::size_t>(at.cp)];
  const Value q = at.queries(own);
  Value latent = at.latent(own);
  if (latent.rows < longest) latent = copy_rows(at.p, "latent_pad", latent, longest);
  latent = at.p.all_gather("latent_gather", latent, at.group(CaseGroup::kCp));
  const Partial sum = at.room(q.rows, c.block_output, c.lse);
  PrefillCore core = at.core();
  const auto call = [&](const char* label, const Runs& keys, const CaseRank::KeysAndValues& kv) {
    attend(at.p, label, core, causal_blocks(own, keys), q, kv.k, kv.v, sum.out, sum.lse);
    core.accumulate = 1;
  };
  if (c.partition == Partition::kRoundRobin) {
    const CaseRank::KeysAndValues kv = at.expand(latent);
    for (std::int64_t step = 0; step < c.cp; ++step) {
      const std::int64_t from = (at.cp - step + c.cp) % c.cp;
      const Runs& keys = shares[static_cast<std::size_t>(from)];
      const auto rows = [&](Value x) { return x.row_slice(from * longest, rows_of(keys)); };
      call("striped_attention", keys, {rows(kv.k), rows(kv.v)});
    }
  } else {
    const Runs all = shares_of(c, 1, 0).fresh;
    call("attention", all, at.expand(select_rows(at.p, "latent_reorder", latent, rows_holding(all, shares, longest))));
  }
  if (c.has_history()) {
    const Runs cached = cached_tokens(c);
    call("history_attention", cached, at.expand(at.latent(cached)));
  }
  return at.result(sum, own);
}

RankAttention head_parallel(const AttentionCase& c, std::int64_t rank) {
  CaseRank at(c, rank);
  const Shares all = shares_of(c, 1, 0);
  const Value q = at.queries(all.fresh);
  const CaseRank::KeysAndValues kv = at.expand(at.latent(all.all));
  const Partial sum = at.room(q.rows, c.block_output, c.lse);
  attend(at.p, "attention", at.core(), causal_blocks(all.fresh, all.all), q, kv.k, kv.v, sum.out, sum.lse);
  return at.result(sum, all.fresh);
}

// The kernel is called for query chunk i and key chunk j in chunk order, triangular where i = j, and accumulates in
// place. A prefix that the cache holds is one more call, without mask.
RankAttention mindie_context_parallel(const AttentionCase& c, std::int64_t rank) {
  GatheredPrefill g(c, rank, c.block_tokens, {CaseGroup::kWorld});
  const Partial sum = g.at.room(g.q.rows, c.block_output, c.lse);
  for (int part = 0; part < 2; ++part)
    for (std::int64_t j = 0; j <= g.chunk(part); ++j) {
      PrefillCore core = g.at.core();
      core.accumulate = j > 0;
      const CaseRank::KeysAndValues kv = g.keys_of(j, 1);
      attend(g.at.p, "ring_mla", core, causal_blocks(chunks_of_all(c, g.chunk(part), 1), chunks_of_all(c, j, 1)),
             g.queries_of(g.q, part), kv.k, kv.v, g.queries_of(sum.out, part), g.queries_of(sum.lse, part));
    }
  if (c.has_history()) {
    PrefillCore core = g.at.core();
    core.accumulate = 1;
    attend(g.at.p, "history_attention", core, causal_blocks(g.own, g.cached), g.q, g.history.k, g.history.v, sum.out,
           sum.lse);
  }
  return g.at.result(sum, g.own);
}

// Head and tail chunk each: one call over the chunk's own keys with the mask, one over all earlier keys without, merged
// in fp32. Cached context, a workspace of it at a time (here it fits into one), is one more call, without mask.
RankAttention vllm_prefill_context_parallel(const AttentionCase& c, std::int64_t rank) {
  GatheredPrefill g(c, rank, c.interleave, {CaseGroup::kDcp, CaseGroup::kCp});
  const Partial sum = g.at.empty_partial(g.q, g.kv, Dtype::kFp32, Dtype::kFp32);
  const auto call = [&](const char* label, const std::vector<AttentionBlock>& blocks, Value q,
                        const CaseRank::KeysAndValues& kv, const Partial& into) {
    const Partial block = g.at.room(q.rows, c.block_output, c.lse);
    attend(g.at.p, label, g.at.core(), blocks, q, kv.k, kv.v, block.out, block.lse);
    merge_into(g.at.p, "attention_update", block, into);
  };
  for (int part = 0; part < 2; ++part) {
    const std::int64_t own = g.chunk(part);
    const Partial into{g.queries_of(sum.out, part), g.queries_of(sum.lse, part)};
    const auto blocks = [&](std::int64_t first, std::int64_t chunks) {
      return causal_blocks(chunks_of_all(c, own, 1), chunks_of_all(c, first, chunks));
    };
    call("masked_attention", blocks(own, 1), g.queries_of(g.q, part), g.keys_of(own, 1), into);
    if (own > 0) call("unmasked_attention", blocks(0, own), g.queries_of(g.q, part), g.keys_of(0, own), into);
  }
  if (c.has_history()) call("history_attention", causal_blocks(g.own, g.cached), g.q, g.history, sum);
  return g.at.result(sum, g.own);
}

}  // namespace ascendsim
