// Sparse attention (DeepSeek-V3.2) under the strategies that divide it: an indexer scores every key that a query may
// see, all its heads on every rank, and absorbed attention reads the best of them out of a cache that every rank has
// whole and in order. Tensor parallelism divides the heads of the attention alone; context parallelism (SGLang) and
// DSA-CP (vLLM-Ascend, sfa_v1.py: the TP group divides tokens, each rank with all heads) divide the queries, and gather
// latent and index key of the others side by side.
#include <algorithm>
#include <cmath>

#include "strategies/reference/attention/attention_case.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/sparse_attention.h"

namespace ascendsim {

namespace {

// Sequence after sequence, each from its first token on.
Runs in_order(const AttentionCase& c) {
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    runs.push_back({.sequence = static_cast<std::int32_t>(s), .rows = static_cast<std::int32_t>(c.total(s))});
  return laid_out(std::move(runs));
}

Runs share(const AttentionCase& c, Partition partition, std::int64_t ranks, std::int64_t rank) {
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    for (const Run& r :
         behind(c.history_of(s), partition_runs(partition, static_cast<std::int32_t>(s), c.tokens[s], ranks, rank)))
      runs.push_back(r);
  return laid_out(std::move(runs));
}

// Of all new tokens one after another, equal parts of following ones, whichever sequence they belong to.
Runs part_of_batch(const AttentionCase& c, std::int64_t ranks, std::int64_t rank) {
  const Runs all = share(c, Partition::kContiguous, 1, 0);
  const std::int64_t part = ceil_div(rows_of(all), ranks), begin = rank * part, end = begin + part;
  Runs own;
  for (const Run& r : all) {
    const std::int64_t from = std::max<std::int64_t>(begin, r.row), to = std::min<std::int64_t>(end, r.row + r.rows);
    if (from < to)
      own.push_back({.sequence = r.sequence,
                     .first = static_cast<std::int32_t>(r.first + from - r.row),
                     .rows = static_cast<std::int32_t>(to - from)});
  }
  return laid_out(std::move(own));
}

struct SparseKeys {
  Value latents, index_keys;
};

class SparseRank : public CaseRank {
 public:
  using CaseRank::CaseRank;

  [[nodiscard]] SparseKeys keys_of(std::span<const Run> runs) { return {latent(runs), index_keys(runs)}; }
  // Of all shares, as ranks send them, each `longest` rows.
  [[nodiscard]] SparseKeys gathered(const SparseKeys& own, std::int64_t longest, ProgramBuilder::Group group) {
    Value both = concat_key(p, "latent_index_concat", own.latents, own.index_keys, 1);
    if (both.rows < longest) both = copy_rows(p, "latent_pad", both, longest);
    both = p.all_gather("latent_index_gather", both, group);
    return {both.column_slice(0, c.latent_width()), both.column_slice(c.latent_width(), c.index_width)};
  }
  // Cached tokens are there already; the new ones lie where `shares` say, `distance` rows from share to share.
  [[nodiscard]] SparseKeys cache_with(const SparseKeys& fresh, std::span<const Runs> shares, std::int64_t distance) {
    const Runs all = in_order(c), old = cached_tokens(c);
    const SparseKeys cache{p.activation(c.input, rows_of(all), c.latent_width()),
                           p.activation(c.input, rows_of(all), c.index_width)};
    if (!old.empty()) write(keys_of(old), cache, {&old, 1}, 0, all);
    write(fresh, cache, shares, distance, all);
    return cache;
  }
  [[nodiscard]] RankAttention attend_to_best(const SparseKeys& keys, Runs own) {
    const Runs all = in_order(c);
    std::vector<AttentionBlock> blocks;
    for (const Run& r : own)
      blocks.push_back({.q_row = r.row,
                        .q_rows = r.rows,
                        .k_row = all[static_cast<std::size_t>(r.sequence)].row,
                        .k_rows = all[static_cast<std::size_t>(r.sequence)].rows,
                        .causal = 1,
                        .shift = r.first,
                        .step = r.stride});
    const QuerySequences sequences{.top_k = static_cast<std::int32_t>(c.top_k), .key_rows = rows_of(all)};
    const auto index_heads = static_cast<std::int32_t>(c.index_heads);
    const int heads = static_cast<int>(c.local_heads());
    Value index_q = p.input(c.input, c.index_heads * c.index_width, {.key = "index_q"}, global_rows(own));
    index_query_rope(p, "index_q_rope", index_q, positions(own), index_heads, static_cast<int>(c.rope));
    const Value weights = p.input(c.input, c.index_heads, {.key = "index_weights"}, global_rows(own));
    const Value chosen = lightning_indexer(
        p, "lightning_indexer",
        {.sequences = sequences, .heads = index_heads, .width = static_cast<std::int32_t>(c.index_width)}, blocks,
        index_q, keys.index_keys, weights);
    const QueryParts parts = query_parts(own);
    const Value absorbed = per_head_linear(p, "q_absorb", parts.nope, w_uk().reshaped(c.nope, heads * c.kv_rank), heads,
                                           StoredAs::kTransposed);
    const Value q = concat_heads(p, "q_concat", absorbed, parts.rope, heads);
    const Value out = sparse_attention(p, "sparse_attention",
                                       {.sequences = sequences,
                                        .heads = heads,
                                        .key_width = static_cast<std::int32_t>(c.latent_width()),
                                        .latent_width = static_cast<std::int32_t>(c.kv_rank),
                                        .scale = 1 / std::sqrt(static_cast<double>(c.key_width()))},
                                       blocks, q, keys.latents, chosen);
    RankAttention rank = result({per_head_linear(p, "v_absorb", out, w_uv(), heads), {}}, std::move(own));
    rank.chosen = chosen;
    return rank;
  }

 private:
  [[nodiscard]] Value index_keys(std::span<const Run> runs) {
    if (!index_norm_) index_norm_ = p.weight(c.input, 2, c.index_width, {.key = "index_k_norm", .fan_in = 1});
    const Value raw = p.input(c.input, c.index_width, {.key = "index_k"}, global_rows(runs));
    return index_key(p, "index_k_norm_rope", raw, *index_norm_, positions(runs), static_cast<int>(c.rope));
  }
  void write(const SparseKeys& rows, const SparseKeys& cache, std::span<const Runs> shares, std::int64_t distance,
             const Runs& all) {
    std::vector<RowMove> moves;
    for (std::size_t i = 0; i < shares.size(); ++i)
      for (const Run& r : shares[i])
        moves.push_back({.from = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * distance) + r.row,
                         .to = all[static_cast<std::size_t>(r.sequence)].row + r.first,
                         .rows = 1,
                         .repeats = r.rows,
                         .from_stride = 1,
                         .to_stride = r.stride});
    const Moves placed = p.add_moves(moves);
    write_cache(p, "kv_cache_write", rows.latents, cache.latents, static_cast<int>(c.kv_rank), placed);
    write_cache(p, "index_cache_write", rows.index_keys, cache.index_keys, static_cast<int>(c.index_width), placed);
  }
  std::optional<Value> index_norm_;
};

// shares: new tokens by rank of `group`, of which this is the one numbered `own`.
RankAttention gathered_sparse(SparseRank& at, const std::vector<Runs>& shares, std::int64_t own,
                              ProgramBuilder::Group group) {
  std::int64_t longest = 0;
  for (const Runs& s : shares) longest = std::max(longest, rows_of(s));
  const Runs& mine = shares[static_cast<std::size_t>(own)];
  const SparseKeys keys = at.cache_with(at.gathered(at.keys_of(mine), longest, group), shares, longest);
  return at.attend_to_best(keys, mine);
}

}  // namespace

RankAttention sparse_head_parallel(const AttentionCase& c, std::int64_t rank) {
  SparseRank at(c, rank);
  const Runs own = share(c, Partition::kContiguous, 1, 0);
  return at.attend_to_best(at.cache_with(at.keys_of(own), {&own, 1}, 0), own);
}

RankAttention sparse_context_parallel(const AttentionCase& c, std::int64_t rank) {
  SparseRank at(c, rank);
  std::vector<Runs> shares;
  for (std::int64_t r = 0; r < c.cp; ++r) shares.push_back(share(c, c.partition, c.cp, r));
  return gathered_sparse(at, shares, at.cp, at.group(CaseGroup::kCp));
}

RankAttention sparse_tokens_over_tp(const AttentionCase& c, std::int64_t rank) {
  AttentionCase all_heads = c;
  all_heads.tp = all_heads.dcp = 1;
  SparseRank at(all_heads, 0);
  std::vector<Runs> shares;
  for (std::int64_t r = 0; r < c.tp; ++r) shares.push_back(part_of_batch(c, c.tp, r));
  return gathered_sparse(at, shares, rank % c.tp, {static_cast<std::uint8_t>(CaseGroup::kTp), static_cast<int>(c.tp)});
}

}  // namespace ascendsim
