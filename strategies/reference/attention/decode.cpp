// Decode attention with the KV cache cut by tokens, absorbed form: the queries of all heads are gathered, every rank
// attends to its own cached tokens, partial outputs and their log-sum-exp are exchanged so that each rank merges its
// own heads. MindIE operation/latent_attention.cpp, fa_update.cpp; vLLM-Ascend attention/context_parallel/common_cp.py.
#include <cmath>

#include "strategies/reference/attention/attention_case.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

Runs last_tokens(const AttentionCase& c) {
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    runs.push_back(
        {.sequence = static_cast<std::int32_t>(s), .first = static_cast<std::int32_t>(c.tokens[s] - 1), .rows = 1});
  return laid_out(std::move(runs));
}

// placed(sequence, tokens, shard): where the engine puts cached tokens. exchange: the type in which outputs and lse
// travel.
template <class Placed>
RankAttention sharded_decode(const AttentionCase& c, std::int64_t rank, Placed placed, Dtype exchange) {
  CaseRank at(c, rank);
  ProgramBuilder& p = at.p;
  Runs cached;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    for (const Run& r : placed(static_cast<std::int32_t>(s), c.tokens[s], at.shard())) cached.push_back(r);
  cached = laid_out(std::move(cached));
  const Runs queries = last_tokens(c);
  const int heads = static_cast<int>(c.local_heads());
  const Value w_uk = at.w_uk().reshaped(c.nope, heads * c.kv_rank);
  const CaseRank::QueryParts parts = at.query_parts(queries);
  Value q = concat_heads(p, "q_concat", per_head_linear(p, "q_absorb", parts.nope, w_uk, heads, StoredAs::kTransposed),
                         parts.rope, heads);
  q = p.all_gather("q_gather", q, at.group(CaseGroup::kDcp), Axis::kColumns);

  const Value cache = at.latent(cached);
  const std::vector<AttentionBlock> blocks = causal_blocks(queries, cached);
  const std::int64_t tokens = rows_of(cached);
  const Partial partial = attend_absorbed(p, "decode_attention",
                                          {.heads = heads * c.dcp,
                                           .key_width = static_cast<std::int32_t>(c.latent_width()),
                                           .latent_width = static_cast<std::int32_t>(c.kv_rank),
                                           .context = tokens,
                                           .cache_rows = tokens,
                                           .scale = 1 / std::sqrt(static_cast<double>(c.key_width()))},
                                          q, cache, c.lse, blocks);
  Value packed = pack_partial(p, "out_lse_pack", partial, exchange);
  packed = p.all_to_all("out_lse_exchange", packed, at.group(CaseGroup::kDcp), q.rows * c.dcp, packed.columns / c.dcp);
  packed = p.all_gather("out_lse_gather", packed, at.group(CaseGroup::kCp));
  const Partial merged = merge_with_lse(p, "merge", packed, static_cast<int>(c.shards()), q.rows, heads * c.kv_rank);
  const Value out = per_head_linear(p, "v_absorb", merged.out, at.w_uv(), heads);
  return at.result({out, merged.lse}, queries);
}

}  // namespace

RankAttention mindie_sequence_parallel_decode(const AttentionCase& c, std::int64_t rank) {
  const auto placed = [&](std::int32_t s, std::int64_t tokens, std::int64_t shard) {
    return block_runs(s, tokens, c.shards(), c.block_tokens, shard);
  };
  return sharded_decode(c, rank, placed, c.lse == Dtype::kFp32 ? Dtype::kFp32 : c.block_output);
}

RankAttention vllm_decode_context_parallel(const AttentionCase& c, std::int64_t rank) {
  const auto placed = [&](std::int32_t s, std::int64_t tokens, std::int64_t shard) {
    return interleaved_runs(s, tokens, c.shards(), c.interleave, shard);
  };
  return sharded_decode(c, rank, placed, Dtype::kFp32);
}

}  // namespace ascendsim
