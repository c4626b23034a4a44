// MLA attention cores. Expanded form (prefill): scores of width 192, values of width 128 a head, keys expanded from the
// latent. Absorbed form (decode): one 576-wide row a token for all heads, outputs of width 512.
// Both return the log-sum-exp of every row, so that partial results over disjoint keys can be merged.
#pragma once

#include <span>

#include "sim/program.h"

namespace ascendsim {

// One block of a kernel call: queries [q_row, +q_rows) against keys [k_row, +k_rows). Masks are relative to the block:
// without `causal` every pair counts; with it query i sees keys 0 .. i step + shift. step: positions from one query to
// the next where keys lie in order and queries are dealt out round-robin.
struct AttentionBlock {
  std::int32_t q_row = 0, q_rows = 0, k_row = 0, k_rows = 0;
  std::int32_t causal = 0, shift = 0, step = 1;
  [[nodiscard]] std::int64_t visible(std::int64_t row) const;  // keys that query row `row` of the block sees
  [[nodiscard]] std::int64_t pairs() const;
};

struct PrefillCore {
  std::int32_t heads = 0, key_width = 0, value_width = 0;
  std::int32_t tile = 1;             // rows of a square mask tile: the tiles on the diagonal are computed in full
  double softmax_ops_per_score = 0;  // lane operations of the online softmax
  double softmax_ops_per_row = 0;    // start-up of a row of queries, per head and call
  std::int32_t blocks = 0;
  std::int32_t accumulate = 0;  // merges into (out, lse) of an earlier call instead of starting them
  double scale = 0;             // of the scores; 0 = key_width^-0.5
  static constexpr bool kPaddingFree = true;
};
static_assert(sizeof(PrefillCore) == 6 * sizeof(std::int32_t) + 3 * sizeof(double));
// One kernel call over `blocks` (of one or many sequences). q [T, heads * key_width], k [Tk, heads * key_width],
// v [Tk, heads * value_width], out [T, heads * value_width] and lse [T, heads] are written in place. Rows that see no
// key get out = 0 and lse = -inf, the neutral element of every merge.
void attend(ProgramBuilder& p, const char* label, PrefillCore core, std::span<const AttentionBlock> blocks, Value q,
            Value k, Value v, Value out, Value lse);

struct DecodeCore {
  std::int64_t heads = 0;
  std::int32_t key_width = 0;     // 576: latent and rope key
  std::int32_t latent_width = 0;  // 512: values are the first columns of the cached row
  std::int64_t context = 0;       // cached rows that each query row attends to on this rank, summed over the rows
  std::int64_t cache_rows = 0;    // rows streamed from memory: sequences share nothing, drafts share their sequence's
  std::int64_t blocks = 0;
  std::int32_t repeats = 1;   // the blocks stand for as many sequences of equal length, whose query and cached rows
  std::int32_t q_stride = 0;  // lie so far apart
  std::int64_t k_stride = 0;
  double scale = 0;  // of the scores: that of the expanded form
  static constexpr bool kPaddingFree = true;
};
static_assert(sizeof(DecodeCore) == 5 * sizeof(std::int64_t) + 4 * sizeof(std::int32_t) + sizeof(double));
// q [b, heads * 576] against cache [rows, 576] (or int8 latent and 16-bit rope key side by side: 640 byte columns)
// -> out [b, heads * 512], lse [b, heads]. An int8 latent is multiplied in int8 by queries quantised per row and head
// (FA3 of MindIE; npu_fused_infer_attention_score_v2 with query_quant_mode 3 in cann-recipes' deepseek_r1 and in
// Omni-infer). blocks: which cached rows each query sees, `context` pairs in all; costs do not need them.
struct Partial {
  Value out, lse;
};
Partial attend_absorbed(ProgramBuilder& p, const char* label, DecodeCore core, Value q, Value cache, Dtype lse_type,
                        std::span<const AttentionBlock> blocks = {});

// out and lse of every head side by side in one buffer [rows, heads * (width + 1)], ready to be exchanged.
Value pack_partial(ProgramBuilder& p, const char* label, const Partial& partial, Dtype type);

// parts * [b, heads * (width + 1)] stacked -> [b, heads * width]: lse = log sum_i exp(lse_i), o = sum_i exp(lse_i -
// lse) o_i in fp32 (FaUpdate of MindIE, npu_attention_update of vLLM-Ascend). merge_with_lse returns the lse too, in
// fp32; merge_partials the output alone, in `out`.
Partial merge_with_lse(ProgramBuilder& p, const char* label, Value stacked, int parts, std::int64_t rows,
                       std::int64_t columns);
// The same for two sets, in place: o -= sigmoid(lse_b - lse) (o - o_b), lse -= log sigmoid(lse - lse_b)
// (zhuzilin/ring-flash-attention, ring_flash_attn/utils.py).
void merge_into(ProgramBuilder& p, const char* label, const Partial& block, const Partial& into);
Value merge_partials(ProgramBuilder& p, const char* label, Value stacked, int parts, std::int64_t rows,
                     std::int64_t columns, Dtype out);

}  // namespace ascendsim
