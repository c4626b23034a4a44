// Multi-head latent attention of one layer on one rank, MindIE's way (operation/latent_attention.cpp,
// ring_attention.cpp, fa_update.cpp). Prefill expands keys and values from the latent; decode absorbs W_UK and W_UV and
// attends to the cached latent itself. Prompts that are cut over cp, and cached prefixes: context/.
#include <algorithm>
#include <cmath>
#include <vector>

#include "strategies/programs/context/attention.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/mla_prolog.h"

namespace ascendsim {

RankStep::Cut by_heads(const RankStep& s) {
  const std::int64_t parts = s.m.heads / s.heads;
  return {.column_parts = parts, .column_part = parts > 1 ? s.at.tp : 0};
}

Value kv_cache(RankStep& s) {
  const auto allocate = [&] {
    const Dtype type = s.d.kv_int8 ? Dtype::kInt8 : s.d.dtype;
    const std::int64_t columns = s.d.kv_int8 ? s.d.cached_latent().count() : s.m.cache_width();
    return s.p.state(type, s.rows.cache_stride * s.rows.load.sequences, columns, {.key = "kv_cache"},
                     s.moves.cache_names());
  };
  if (s.rows.pass == 0) return allocate();
  if (s.rows.pass == 1) s.draft_cache = allocate();
  return s.draft_cache;
}

Value qkv_a_weight(RankStep& s) {
  return s.weight(Module::kAttentionA, "qkv_a", s.m.hidden, s.m.q_rank + s.m.cache_width());
}
Value q_b_weight(RankStep& s) {
  if (shards_q_b(s)) return s.q_b_windows.weight(s, q_b_series(s.d));
  return s.weight(Module::kQB, "q_b", s.m.q_rank, s.m.heads * s.m.qk_width(), by_heads(s));
}
Value w_uk_weight(RankStep& s) {
  return s.weight(Module::kKvB, "w_uk", s.m.kv_rank, s.m.heads * s.m.nope, by_heads(s));
}
Value w_uv_weight(RankStep& s) {
  return s.weight(Module::kKvB, "w_uv", s.m.kv_rank, s.m.heads * s.m.value, by_heads(s));
}

Value input_norm(RankStep& s, Value residual, Value x, Dtype out) {
  const Value w = s.norm_weight("input_norm", s.m.hidden);
  if (!s.not_yet_added) return rms_norm(s.p, "input_norm", x, w, out);
  const Value h =
      add_rms_norm(s.p, "input_norm", *s.not_yet_added, residual.row_slice(0, s.not_yet_added->rows), w, out);
  s.not_yet_added.reset();
  return h.row_slice(0, x.rows);
}

namespace {

struct Compressed {
  Value q_c;     // [rows, q_rank], ready for q_b
  Value latent;  // [rows, kv_rank + rope], normed and rotated
};

// FlashComm1: each rank has compressed its own rows, attention needs those of the whole stream.
Value whole_rows(RankStep& s, const char* label, Value x) {
  return s.p.all_gather(label, x, s.group(Group::kAttnTp)).row_slice(0, s.rows.real);
}

// The separate operators of the projections; every TP rank computes q_a and kv_a whole, or of its own rows (FlashComm1,
// which gathers in 16 bit what it quantises, norms and rotates afterwards: vllm_ascend/attention/mla_v1.py
// _mla_preprocess). Rows go to the cache at once where the rank has all that its shard needs.
Compressed compress(RankStep& s, Value residual, Value x, Value positions, const Value* cache) {
  Value h = input_norm(s, residual, x, s.norm_output(Module::kAttentionA));
  h = s.prepared(Module::kAttentionA, "input_quant", h);
  const Value a = linear(s.p, "qkv_a", h, qkv_a_weight(s), s.d.dtype);
  const bool gathers = s.flashcomm();
  Value q_c = rms_norm(s.p, "q_a_norm", a.column_slice(0, s.m.q_rank), s.norm_weight("q_a_norm", s.m.q_rank),
                       gathers ? s.d.dtype : s.norm_output(Module::kQB));
  Value kv = a.column_slice(s.m.q_rank, s.m.cache_width());
  if (gathers) {
    kv = copy_rows(s.p, "kv_contiguous", kv, kv.rows);
    q_c = whole_rows(s, "q_c_gather", q_c);
    kv = whole_rows(s, "kv_gather", kv);
  }
  q_c = s.prepared(Module::kQB, "q_a_quant", q_c);
  const Value w = s.norm_weight("kv_a_norm", s.m.kv_rank);
  if (cache == nullptr) return {q_c, kv_norm_rope(s.p, "kv_norm_rope", kv, w, positions)};
  return {q_c, kv_norm_rope_cache(s.p, "kv_norm_rope_cache", kv, w, positions, *cache, s.moves.own_cache_writes())};
}

}  // namespace

void write_gathered(RankStep& s, Value latent, Value cache, Moves moves) {
  write_cache(s.p, "kv_cache_write", latent, cache, static_cast<int>(s.m.kv_rank), moves);
}

Value queries_of_heads(RankStep& s, Value q_c, Value positions) {
  const Value q = linear(s.p, "q_b", q_c, q_b_weight(s), s.d.dtype);
  rope(s.p, "q_rope", q, positions, static_cast<int>(s.heads), static_cast<int>(s.m.rope));
  return q;
}

Value absorbed_queries(RankStep& s, Value q) {
  const Value w_uk = w_uk_weight(s).reshaped(s.m.nope, s.heads * s.m.kv_rank);
  const Value absorbed = per_head_linear(s.p, "q_absorb", q, w_uk, static_cast<int>(s.heads), StoredAs::kTransposed);
  return concat_heads(s.p, "q_concat", absorbed, q, static_cast<int>(s.heads), static_cast<int>(s.m.rope));
}

namespace {

Value queries_of_heads(RankStep& s, Value q_c) { return queries_of_heads(s, q_c, s.positions.row_slice(0, q_c.rows)); }

void zero_padding(RankStep& s, const char* label, Value x) {
  if (x.rows == s.rows.real) return;
  zero_rows(s.p, label, x.row_slice(s.rows.real, x.rows - s.rows.real));
}

}  // namespace

Expanded expand(RankStep& s, Value latent, const char* label_k, const char* label_v, TransposedExpansion* kept) {
  const Value c = latent.column_slice(0, s.m.kv_rank), k_rope = latent.column_slice(s.m.kv_rank, s.m.rope);
  TransposedExpansion once;
  TransposedExpansion& w = kept != nullptr ? *kept : once;
  if (!w.w_uk) w.w_uk = transpose(s.p, "w_uk_transpose", w_uk_weight(s));
  const Value k_nope = linear(s.p, label_k, c, *w.w_uk, s.d.dtype);
  if (!w.w_uv) w.w_uv = transpose(s.p, "w_uv_transpose", w_uv_weight(s));
  const Value v = linear(s.p, label_v, c, *w.w_uv, s.d.dtype);
  return {concat_key(s.p, "k_concat", k_nope, k_rope, static_cast<int>(s.heads)), v};
}

PrefillCore prefill_core(const RankStep& s) {
  return {.heads = static_cast<std::int32_t>(s.heads),
          .key_width = static_cast<std::int32_t>(s.m.qk_width()),
          .value_width = static_cast<std::int32_t>(s.m.value),
          .tile = s.facts.attention_tile,
          .softmax_ops_per_score = s.facts.softmax_ops_per_score,
          .softmax_ops_per_row = s.facts.softmax_ops_per_row};
}

namespace {

// A whole prompt of every sequence in one call.
void attend_prompt(RankStep& s, Value q, const Expanded& kv, Value out, Value lse, bool after_history) {
  PrefillCore core = prefill_core(s);
  core.accumulate = after_history;
  std::vector<AttentionBlock> blocks;
  const auto tokens = static_cast<std::int32_t>(s.rows.load.new_tokens);
  for (std::int32_t first = 0; first < s.rows.real; first += tokens)
    blocks.push_back({.q_row = first, .q_rows = tokens, .k_row = first, .k_rows = tokens, .causal = 1});
  attend(s.p, "attention", core, blocks, q, kv.k, kv.v, out, lse);
}

}  // namespace

Value mla_prefill(RankStep& s, Value residual) {
  const Value x = s.flashcomm() ? residual : residual.row_slice(0, s.rows.real);
  const Value cache = kv_cache(s);
  const bool cut = s.l.cp > 1;
  const Compressed c = compress(s, residual, x, s.positions.row_slice(0, s.rows.real), cut ? nullptr : &cache);
  const Value q = queries_of_heads(s, c.q_c);
  const Value out = s.p.activation(s.d.dtype, s.rows.real, s.heads * s.m.value);
  const Value lse = s.p.activation(Dtype::kFp32, s.rows.real, s.heads);
  if (cut) {
    attend_cut_prompts(s, q, c.latent, cache, out, lse);
    return out;
  }
  attend_history(s, q, out, lse, cache, false);
  attend_prompt(s, q, expand(s, c.latent, "kv_b_k", "kv_b_v"), out, lse, !s.moves.history().empty());
  return out;
}

// Tokens are split for the projections and o_proj, heads for attention: compressed queries and latent are gathered over
// the TP group, attention outputs exchanged back. o_proj is whole on every rank.
Value mla_prefill_token_split(RankStep& s, Value residual) {
  const Value cache = kv_cache(s);
  Compressed c =
      compress(s, residual, residual, s.positions.row_slice(s.at.tp * s.rows.scattered, s.rows.scattered), nullptr);
  c.q_c = s.p.all_gather("q_c_gather", c.q_c, s.group(Group::kAttnTp)).row_slice(0, s.rows.real);
  c.latent = s.p.all_gather("latent_gather", c.latent, s.group(Group::kAttnTp)).row_slice(0, s.rows.real);
  const Value q = queries_of_heads(s, c.q_c);  // while the latent is on its way
  write_gathered(s, c.latent, cache, s.moves.gathered_cache_writes());
  const Value out = s.p.activation(s.d.dtype, s.rows.padded, s.heads * s.m.value);
  const Value lse = s.p.activation(Dtype::kFp32, s.rows.real, s.heads);
  attend_history(s, q, out.row_slice(0, s.rows.real), lse, cache, false);
  attend_prompt(s, q, expand(s, c.latent, "kv_b_k", "kv_b_v"), out.row_slice(0, s.rows.real), lse,
                !s.moves.history().empty());
  zero_padding(s, "attention_padding", out);
  const std::int64_t width = s.m.heads * s.m.value;
  const Value own = s.p.all_to_all("attention_exchange", out, s.group(Group::kAttnTp), s.rows.scattered, width);
  const Value x = s.prepared(Module::kOProj, "o_proj_quant", own);
  return linear(s.p, "o_proj", x, s.weight(Module::kOProj, "o_proj", width, s.m.hidden), s.d.dtype);
}

Value mla_decode(RankStep& s, Value residual) {
  const bool fused = s.rows.real <= s.facts.prolog_max_tokens;
  const Value cache = kv_cache(s);
  const Value positions = s.positions.row_slice(0, s.rows.real);

  Value q;
  if (fused) {
    const bool normed = s.facts.adds_residual_in_norm;
    Value x = s.flashcomm() ? residual : residual.row_slice(0, s.rows.real);
    if (normed) x = input_norm(s, residual, x, s.d.dtype);
    // The prolog wants the rows of the whole stream, so these are gathered where they are scattered (mla_v1.py,
    // enable_mlapo).
    if (s.flashcomm()) x = whole_rows(s, "hidden_gather", x);
    const MlaPrologWeights w{normed ? std::optional<Value>{} : s.norm_weight("input_norm", s.m.hidden),
                             qkv_a_weight(s),
                             s.norm_weight("q_a_norm", s.m.q_rank),
                             s.norm_weight("kv_a_norm", s.m.kv_rank),
                             q_b_weight(s),
                             w_uk_weight(s)};
    q = mla_prolog(s.p, "mla_prolog", x, w, positions, cache, s.moves.own_cache_writes(), static_cast<int>(s.heads),
                   s.m.kv_rank, s.m.rope, s.d.dtype);
  } else {
    const Value x = s.flashcomm() ? residual : residual.row_slice(0, s.rows.real);
    q = absorbed_queries(s, queries_of_heads(s, compress(s, residual, x, positions, &cache).q_c));
  }

  // A cut cache: the shards hold different tokens, so every rank of attn_sp takes the heads of all and later gives
  // their partial results back. MindIE sends output and log-sum-exp in the 16-bit model type (hence its FP16-only
  // rule), vLLM in 32 bit.
  q = s.p.all_gather("q_gather", q, s.group(Group::kAttnSp), Axis::kColumns);
  const std::int64_t core_heads = s.heads * s.l.sp;
  // Row i of a sequence sees the tokens up to its own: one block each.
  std::vector<AttentionBlock> blocks;
  std::int64_t context = 0;
  for (const std::int64_t seen : s.rows.visible) {
    blocks.push_back(
        {.q_row = static_cast<std::int32_t>(blocks.size()), .q_rows = 1, .k_rows = static_cast<std::int32_t>(seen)});
    context += seen * s.rows.load.sequences;
  }
  const Partial partial = attend_absorbed(s.p, "mla_decode",
                                          {.heads = core_heads,
                                           .key_width = static_cast<std::int32_t>(s.m.cache_width()),
                                           .latent_width = static_cast<std::int32_t>(s.m.kv_rank),
                                           .context = context,
                                           .cache_rows = s.rows.load.sequences * s.rows.cached,
                                           .repeats = static_cast<std::int32_t>(s.rows.load.sequences),
                                           .q_stride = static_cast<std::int32_t>(s.rows.load.new_tokens),
                                           .k_stride = s.rows.cache_stride,
                                           .scale = 1 / std::sqrt(static_cast<double>(s.m.qk_width()))},
                                          q, cache, Dtype::kFp32, blocks);
  Value out = partial.out;
  if (s.l.kv_shards() > 1) {
    const std::int64_t width = s.m.kv_rank + 1;
    Value packed = pack_partial(s.p, "out_lse_pack", partial, s.context.merges_in_32_bit ? Dtype::kFp32 : s.d.dtype);
    packed = s.p.all_to_all("out_lse_exchange", packed, s.group(Group::kAttnSp), s.rows.real * s.l.sp, s.heads * width);
    if (!s.l.cp_whole_cache) packed = s.p.all_gather("out_lse_gather", packed, s.group(Group::kAttnCp));
    out = merge_partials(s.p, "fa_update", packed, static_cast<int>(s.l.kv_shards()), s.rows.real,
                         s.heads * s.m.kv_rank, s.d.dtype);
  }
  return per_head_linear(s.p, "v_absorb", out, w_uv_weight(s), static_cast<int>(s.heads));
}

// Local tensor parallelism of o_proj (MindIE o_proj_local_tp, with tp = 1): the group's ranks exchange tokens for
// heads, each multiplies its heads' part for all of them, and the sums are scattered back to the tokens' owners.
Value local_output_projection(RankStep& s, Value attention_out) {
  const std::int64_t parts = s.l.o_proj_parts(), width = s.m.heads * s.m.value;
  const Value padded = copy_rows(s.p, "o_proj_pad", attention_out, s.rows.padded);
  const Value exchanged =
      s.p.all_to_all("o_proj_exchange", padded, s.group(Group::kOProjTp), s.rows.padded * parts, width / parts);
  const Value x = s.prepared(Module::kOProj, "o_proj_quant", exchanged);
  const Value w =
      s.weight(Module::kOProj, "o_proj", width, s.m.hidden, {.row_parts = parts, .row_part = s.rank % parts});
  return s.p.reduce_scatter("o_proj_reduce_scatter", linear(s.p, "o_proj", x, w, s.d.dtype), s.group(Group::kOProjTp));
}

Value output_projection(RankStep& s, Value attention_out) {
  if (s.l.o_proj_parts() > 1) return local_output_projection(s, attention_out);
  const Value x = s.prepared(Module::kOProj, "o_proj_quant", attention_out);
  const Value w =
      s.weight(Module::kOProj, "o_proj", s.m.heads * s.m.value, s.m.hidden, {.row_parts = s.l.tp, .row_part = s.at.tp});
  if (s.moves_by_index()) return linear(s.p, "o_proj", x, w, s.d.dtype);
  const Value out = s.p.activation(s.d.dtype, s.rows.padded, s.m.hidden);
  linear_into(s.p, "o_proj", x, w, out.row_slice(0, s.rows.real));
  zero_padding(s, "o_proj_padding", out);
  return out;
}

}  // namespace ascendsim
