// Multi-head latent attention of one layer with an indexer (DeepSeek sparse attention), absorbed in prefill as in
// decode: a query attends to single rows of the latent cache (vllm_ascend/attention/sfa_v1.py;
// hicann/cann-recipes-infer, deepseek_v3.2_exp_inference_guide.md). The indexer is whole on every TP rank, scores and
// projections alike, and so is the gathering of rows: the TP group divides heads, and neither depends on them. Only
// what splits tokens divides this work: DP, context parallelism, or the TP group where its rows are scattered (DSA-CP
// of vLLM-Ascend, with FlashComm1: all heads on every rank for its share of the tokens).
#include <algorithm>
#include <cmath>
#include <vector>

#include "strategies/deployment/partitions.h"
#include "strategies/programs/mla_parts.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/mla_prolog.h"
#include "workloads/operators/sparse_attention.h"

namespace ascendsim {

namespace {

Value index_cache(RankStep& s) {
  const auto allocate = [&] {
    const Dtype type = s.d.kv_int8 ? Dtype::kInt8 : s.d.dtype;
    const std::int64_t columns = s.d.kv_int8 ? s.d.cached_index_key().count() : s.m.index_width;
    return s.p.state(type, s.rows.cache_stride * s.rows.load.sequences, columns, {.key = "index_cache"},
                     s.moves.cache_names());
  };
  if (s.rows.pass == 0) return allocate();
  if (s.rows.pass == 1) s.draft_index_cache = allocate();
  return s.draft_index_cache;
}

// Rows of tokens: in the cache of this rank, or computed just now.
struct Rows {
  Value latents, index_keys;
};

// What the own tokens bring into attention.
struct Projected {
  Value q;              // absorbed queries [rows, heads * (kv_rank + rope)]
  Value index_q;        // [rows, index_heads * index_width]
  Value index_weights;  // [rows, index_heads]
  Rows fresh;           // of those tokens; latents are missing where the fused prolog put them into the cache
};

struct CompressedSparse {
  Value q, q_c, latent;
};

// Queries and latents. The normed rows stay in 16 bit, which the indexer's projections need; quantising them is a
// kernel of its own. cache: rows go there at once.
CompressedSparse latent_queries(RankStep& s, Value h, Value positions, const Value* cache) {
  const Value kv_norm = s.norm_weight("kv_a_norm", s.m.kv_rank), q_norm = s.norm_weight("q_a_norm", s.m.q_rank);
  if (s.phase == Phase::kDecode && cache != nullptr && s.rows.real <= s.facts.prolog_max_tokens) {
    const MlaPrologWeights w{{}, qkv_a_weight(s), q_norm, kv_norm, q_b_weight(s), w_uk_weight(s)};
    const PrologQueries q = mla_prolog_of_normed(s.p, "mla_prolog", h, w, positions, *cache, s.moves.own_cache_writes(),
                                                 static_cast<int>(s.heads), s.m.kv_rank, s.m.rope, s.d.dtype);
    return {q.absorbed, q.compressed, {}};
  }
  const Value x = s.prepared(Module::kAttentionA, "input_quant", h);
  const Value a = linear(s.p, "qkv_a", x, qkv_a_weight(s), s.d.dtype);
  if (shards_q_b(s)) s.q_b_windows.fetch(s, q_b_series(s.d), a);
  if (shards_o_proj(s)) s.o_proj_windows.fetch(s, o_proj_series(s.d), a);
  const Value q_c = rms_norm(s.p, "q_a_norm", a.column_slice(0, s.m.q_rank), q_norm, s.d.dtype);
  const Value kv = a.column_slice(s.m.q_rank, s.m.cache_width());
  const Value latent = cache == nullptr ? kv_norm_rope(s.p, "kv_norm_rope", kv, kv_norm, positions)
                                        : kv_norm_rope_cache(s.p, "kv_norm_rope_cache", kv, kv_norm, positions, *cache,
                                                             s.moves.own_cache_writes());
  const Value q = absorbed_queries(s, queries_of_heads(s, s.prepared(Module::kQB, "q_a_quant", q_c), positions));
  return {q, q_c, latent};
}

Projected project(RankStep& s, Value residual, Value x, Value positions, const Rows* cache) {
  const Value h = input_norm(s, residual, x, s.d.dtype);
  const CompressedSparse c = latent_queries(s, h, positions, cache == nullptr ? nullptr : &cache->latents);

  const auto rope_width = static_cast<int>(s.m.rope);
  const Value key =
      linear(s.p, "index_k", h, s.weight(Module::kIndexK, "index_k", s.m.hidden, s.m.index_width), s.d.dtype);
  const Value norm = s.weight(Module::kNorm, "index_k_norm", 2, s.m.index_width);
  const Value index_key_rows = cache == nullptr
                                   ? index_key(s.p, "index_k_norm_rope", key, norm, positions, rope_width)
                                   : index_key_cache(s.p, "index_k_norm_rope_cache", key, norm, positions, rope_width,
                                                     cache->index_keys, s.moves.own_cache_writes());
  const Value q_c = s.prepared(Module::kIndexQ, "index_q_quant", c.q_c);
  Value index_q =
      linear(s.p, "index_q", q_c, s.weight(Module::kIndexQ, "index_q", s.m.q_rank, s.m.index_heads * s.m.index_width),
             s.d.dtype);
  index_query_rope(s.p, "index_q_rope", index_q, positions, static_cast<int>(s.m.index_heads), rope_width);
  if (s.d.kv_int8) index_q = quantise(s.p, "index_query_quant", index_q, QuantisationScale::kPerToken);
  const Value weights = linear(s.p, "index_weights", h,
                               s.weight(Module::kIndexK, "index_weights", s.m.hidden, s.m.index_heads), s.d.dtype);
  return {c.q, index_q, weights, {c.latent, index_key_rows}};
}

// Keys, sequence after sequence in the order of positions, and which of them each of this rank's queries may see.
struct Visible {
  Rows keys;
  QuerySequences sequences;
  std::vector<AttentionBlock> blocks;
};

// Latent and index key of all tokens of a group, side by side in one gather.
Rows gathered(RankStep& s, const Rows& fresh, Group group) {
  const Value both = concat_key(s.p, "latent_index_concat", fresh.latents, fresh.index_keys, 1);
  const Value all = s.p.all_gather("latent_index_gather", both, s.group(group));
  return {all.column_slice(0, s.m.cache_width()), all.column_slice(s.m.cache_width(), s.m.index_width)};
}

void write_gathered(RankStep& s, const Rows& rows, const Rows& cache) {
  write_cache(s.p, "kv_cache_write", rows.latents, cache.latents, static_cast<int>(s.m.kv_rank),
              s.moves.gathered_cache_writes());
  write_cache(s.p, "index_cache_write", rows.index_keys, cache.index_keys, static_cast<int>(s.m.index_width),
              s.moves.gathered_cache_writes());
}

// The whole cache on every rank that holds a part of it.
Rows gathered_cache(RankStep& s, const Rows& cache) {
  const RowMoves::WholeCache& whole = s.moves.whole_cache();
  const auto gather = [&](const char* load, const char* label, const char* order, Value part) {
    const Value local = place_rows(s.p, load, part, s.rows.load.sequences * whole.rows, whole.load);
    const Value all = s.p.all_gather(label, local, s.group(Group::kKvShards));
    return place_rows(s.p, order, all, s.rows.load.sequences * s.rows.load.context, whole.order);
  };
  return {gather("cache_load", "cache_gather", "cache_reorder", cache.latents),
          gather("index_cache_load", "index_cache_gather", "index_cache_reorder", cache.index_keys)};
}

// Following rows of the rank's attention stream that are tokens of one sequence, `step` positions apart.
struct Run {
  std::int64_t row = 0, rows = 0, sequence = 0, position = 0, step = 1;
  [[nodiscard]] std::int64_t end(std::int64_t first_rows) const {
    return position + (first_rows - 1) * step + 1;
  }  // keys that they see
};
std::vector<Run> runs_of_stream(const RankStep& s) {
  std::vector<Run> runs;
  if (s.rows.load.sequences == 0) return runs;
  const std::int64_t first = first_position(s.phase, s.rows.load);
  for (std::int64_t part = 0; part < s.rows.split.parts; ++part)
    for (std::int64_t sequence = 0; sequence < s.rows.load.sequences; ++sequence)
      runs.push_back({.row = s.rows.own_row(sequence, part, 0),
                      .rows = s.rows.split.chunk,
                      .sequence = sequence,
                      .position = first + (s.rows.split.cp > 1 ? s.rows.split.first(s.at.cp, part) : 0),
                      .step = s.rows.split.stride});
  return runs;
}

// keys: `of_sequence` of each sequence from its first token on, `stride` rows apart. A query sees the tokens up to its
// own.
Visible up_to_own(const RankStep& s, const Rows& keys, std::int64_t stride, std::int64_t of_sequence) {
  Visible v{.keys = keys, .sequences = {.k_stride = stride}, .blocks = {}};
  const std::vector<Run> runs = runs_of_stream(s);
  const auto block = [&](const Run& run, std::int64_t from, std::int64_t rows, std::int64_t q_row) {
    v.blocks.push_back({.q_row = static_cast<std::int32_t>(q_row),
                        .q_rows = static_cast<std::int32_t>(rows),
                        .k_row = static_cast<std::int32_t>(run.sequence * stride),
                        .k_rows = static_cast<std::int32_t>(of_sequence),
                        .causal = 1,
                        .shift = static_cast<std::int32_t>(run.position + (from - run.row) * run.step),
                        .step = static_cast<std::int32_t>(run.step)});
  };
  if (s.scattered()) {
    const std::int64_t begin = s.at.tp * s.rows.scattered, end = begin + s.rows.scattered;
    std::vector<std::int64_t> seen(static_cast<std::size_t>(s.rows.load.sequences), 0);
    for (const Run& run : runs) {
      const std::int64_t from = std::max(begin, run.row), to = std::min(end, run.row + run.rows);
      if (to <= from) continue;
      block(run, from, to - from, from - begin);
      std::int64_t& last = seen[static_cast<std::size_t>(run.sequence)];
      last = std::max(last, std::min(of_sequence, run.end(to - run.row)));
    }
    for (const std::int64_t keys_read : seen) v.sequences.key_rows += keys_read;
    return v;
  }
  // Sequences are alike: one stands for all.
  v.sequences.repeats = static_cast<std::int32_t>(s.rows.load.sequences);
  for (const Run& run : runs) {
    if (run.sequence > 0) continue;
    v.sequences.q_stride = static_cast<std::int32_t>(run.rows);
    block(run, run.row, run.rows, run.row);
    v.sequences.key_rows =
        std::max(v.sequences.key_rows, s.rows.load.sequences * std::min(of_sequence, run.end(run.rows)));
  }
  return v;
}

// Which keys the own queries see. Where tokens are split, latents and index keys of the others are gathered first: over
// the TP group (DSA-CP), over the CP group (zigzag chunks or every cp-th token, put in order), or both.
Visible visible_keys(RankStep& s, const Rows& fresh, const Rows& cache) {
  const bool cut = s.phase == Phase::kPrefill && s.l.cp > 1;
  Rows all = fresh;
  if (s.scattered()) {
    all = gathered(s, fresh, Group::kAttnTp);
    all = {all.latents.row_slice(0, s.rows.real), all.index_keys.row_slice(0, s.rows.real)};
  }
  if (cut) {
    const Rows sent = gathered(s, all, Group::kAttnCp);
    all = {place_rows(s.p, "latent_reorder", sent.latents, sent.latents.rows, s.moves.gathered_order()),
           place_rows(s.p, "index_key_reorder", sent.index_keys, sent.index_keys.rows, s.moves.gathered_order())};
  }
  if (s.scattered() || cut) write_gathered(s, all, cache);
  if (s.l.kv_shards() == 1)
    return up_to_own(s, cache, s.rows.cache_stride,
                     s.rows.load.sequences > 0 ? first_position(s.phase, s.rows.load) + s.rows.load.new_tokens : 0);
  // A cut cache: a prompt without cached prefix is there whole already, else everyone gathers all shards.
  if (s.phase == Phase::kPrefill && s.rows.load.history == 0) {
    const std::int64_t tokens = s.rows.load.sequences > 0 ? all.latents.rows / s.rows.load.sequences : 0;
    return up_to_own(s, all, tokens, tokens);
  }
  return up_to_own(s, gathered_cache(s, cache), s.rows.load.context, s.rows.load.context);
}

// The tokens that a rank has are whole in its own hands, all heads. FlashComm1 keeps o_proj cut over the TP group:
// prefill gathers the weight, decode exchanges tokens for heads and leaves partial sums to the reduce-scatter
// (vllm_ascend/attention/sfa_v1.py). A prefill node has it whole.
Value project_own_rows(RankStep& s, Value values) {
  const std::int64_t width = s.m.heads * s.m.value;
  const bool whole = s.token_split() || s.d.role == Role::kPrefill;
  if (!s.whole_rows_after_attention())
    values = s.p.all_to_all("attention_exchange", values, s.group(Group::kAttnTp), s.rows.padded, width / s.l.tp);
  const Value x = s.prepared(Module::kOProj, "o_proj_quant", values);
  if (shards_o_proj(s)) {
    return linear(s.p, "o_proj", x, s.o_proj_windows.weight(s, o_proj_series(s.d)), s.d.dtype);
  }
  Value w = s.weight(Module::kOProj, "o_proj", width, s.m.hidden,
                     whole ? RankStep::Cut{} : RankStep::Cut{.row_parts = s.l.tp, .row_part = s.at.tp});
  if (!whole && s.whole_rows_after_attention()) w = s.p.all_gather("o_proj_weight_gather", w, s.group(Group::kAttnTp));
  return linear(s.p, "o_proj", x, w, s.d.dtype);
}

std::vector<std::int64_t> names_of_attention_rows(const RankStep& s) {
  std::vector<std::int64_t> names = s.names_of_stream(s.at.dp, s.at.cp);
  if (s.scattered()) names.erase(names.begin(), names.begin() + s.at.tp * s.rows.scattered);
  names.resize(static_cast<std::size_t>(s.scattered() ? s.rows.scattered : s.rows.real));
  return names;
}

}  // namespace

Value sparse_mla(RankStep& s, Value residual) {
  const Value x = s.scattered() ? residual : residual.row_slice(0, s.rows.real);
  const Value positions = s.own_share(s.positions).row_slice(0, x.rows);
  const Rows cache{kv_cache(s), index_cache(s)};
  const bool gathers = s.scattered() || (s.phase == Phase::kPrefill && s.l.cp > 1);
  const Projected own = project(s, residual, x, positions, gathers ? nullptr : &cache);
  Visible v = visible_keys(s, own.fresh, cache);
  v.sequences.top_k = static_cast<std::int32_t>(s.m.index_top_k);

  const Value chosen = lightning_indexer(s.p, "lightning_indexer",
                                         {.sequences = v.sequences,
                                          .heads = static_cast<std::int32_t>(s.m.index_heads),
                                          .width = static_cast<std::int32_t>(s.m.index_width),
                                          .key_tile = s.facts.indexer_key_tile,
                                          .cube_rows = s.facts.cube_rows,
                                          .top_k_ops_per_key = s.facts.top_k_ops_per_key,
                                          .top_k_ops_per_choice = s.facts.top_k_ops_per_choice},
                                         v.blocks, own.index_q, v.keys.index_keys, own.index_weights);
  const Value out = sparse_attention(s.p, "sparse_attention",
                                     {.sequences = v.sequences,
                                      .heads = s.heads,
                                      .key_width = static_cast<std::int32_t>(s.m.cache_width()),
                                      .latent_width = static_cast<std::int32_t>(s.m.kv_rank),
                                      .cube_rows = s.facts.cube_rows,
                                      .scale = 1 / std::sqrt(static_cast<double>(s.m.qk_width()))},
                                     v.blocks, own.q, v.keys.latents, chosen);
  if (s.noted != nullptr) s.output(StepOutput::What::kKeys, chosen, names_of_attention_rows(s));
  if (s.scattered()) {
    const std::int64_t real = s.rows.real_in_share(s.at.tp);
    if (real < s.rows.scattered) zero_rows(s.p, "attention_padding", out.row_slice(real, s.rows.scattered - real));
  }
  const Value values = per_head_linear(s.p, "v_absorb", out, w_uv_weight(s), static_cast<int>(s.heads));
  return s.scattered() ? project_own_rows(s, values) : output_projection(s, values);
}

}  // namespace ascendsim
