// A rank's program while it is written: its place, the rows of the present pass, which of them go where, and the builder;
// and what one part of the program leaves for another. Internal to programs/.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "strategies/programs/layer_sharding.h"
#include "strategies/programs/pass_rows.h"
#include "strategies/programs/rank_place.h"
#include "strategies/programs/row_moves.h"
#include "workloads/kernels.h"

namespace ascendsim {

struct RankStep : RankPlace {
  // lane: of streams, one a micro-batch; its sequences have numbers of their own. outputs: where they are noted, if
  // asked for.
  RankStep(ProgramBuilder& builder, const RankPlace& place, const Step& step, int lane,
           std::vector<StepOutput>* outputs);
  RankStep(const RankStep&) = delete;
  RankStep& operator=(const RankStep&) = delete;

  // 0: the model itself, 1...: its drafts, of which all but the first run on other loads than the step.
  void begin_pass(int pass, std::vector<GroupLoad> loads);
  void begin_layer(std::int64_t number);  // -1: outside of layers

  ProgramBuilder& p;
  PassRows rows;
  RowMoves moves;
  Value positions;  // int32, of this rank's attention rows (padded)
  std::int64_t layer = -1;
  std::vector<StepOutput>* noted;

  // ---- what one part leaves for a later one ----
  std::optional<Value> not_yet_added;  // of the layer before, which the next input norm adds to the residual stream
  std::optional<std::pair<Value, Value>> widened;  // rows that a norm has put out, and the same in FP32
  Value draft_cache, draft_index_cache;            // one for all draft passes
  LayerWindows o_proj_windows, q_b_windows;

  [[nodiscard]] bool drafting() const { return rows.pass > 0; }
  // Rows of the residual stream that this rank keeps.
  [[nodiscard]] std::int64_t stream_rows() const { return scattered() ? rows.scattered : rows.padded; }
  // This rank's share of rows that are whole in the TP group.
  [[nodiscard]] Value own_share(Value x) const {
    return scattered() ? x.row_slice(at.tp * rows.scattered, rows.scattered) : x;
  }
  [[nodiscard]] Value ids();        // tokens of the rows; of drafts, the next ones
  [[nodiscard]] Value handed_on();  // residual stream from the stage before: what this rank keeps of it
  // Names of rows, for outputs.
  [[nodiscard]] std::vector<std::int64_t> names_of_stream(std::int64_t dp, std::int64_t cp) const;  // padded
  [[nodiscard]] std::vector<std::int64_t> names_of_group() const;  // of the DP group: every cp stream, padded
  [[nodiscard]] std::vector<std::int64_t> names_of_world() const;  // padded
  void output(StepOutput::What what, Value value, std::vector<std::int64_t> names) const;

  // The rank's slice of a weight [inputs, outputs] of a module; position counts slices along the split dimension.
  struct Cut {
    std::int64_t row_parts = 1, row_part = 0, column_parts = 1, column_part = 0;
    bool gate_and_up = false;  // two matrices side by side, each cut
    [[nodiscard]] TensorSlice of(const char* key, std::int64_t inputs, std::int64_t outputs) const;
  };
  Value weight(Module module, const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut);
  Value weight(Module module, const char* key, std::int64_t inputs, std::int64_t outputs) {
    return weight(module, key, inputs, outputs, Cut{});
  }
  Value expert_weight(const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut);
  Value norm_weight(const char* key, std::int64_t width) { return weight(Module::kNorm, key, 1, width); }

  [[nodiscard]] const Precision& routed_precision() const;

  // x for a layer of that module: as it is, or quantised per token where the scheme says dynamic.
  Value prepared(Module module, const char* label, Value x);
  // What a norm in front of that module puts out: int8 where the scheme is static.
  [[nodiscard]] Dtype norm_output(Module module) const;

 private:
  void input_positions();
  [[nodiscard]] std::vector<NamedRows> stream_names(std::int64_t dp, std::int64_t cp, std::int64_t later,
                                                    bool positions_only) const;
};

// Attention of one layer: residual stream [padded_rows, hidden] -> this rank's partial sum [rows, hidden] before the
// collective over attn_tp. `cache` is the rank's share of the layer's KV cache.
// Where cp cuts prompts, mla_prefill is the context-parallel one (context/).
Value mla_prefill(RankStep& s, Value residual);
Value mla_prefill_token_split(RankStep& s, Value residual);
Value mla_decode(RankStep& s, Value residual);
// Of either phase, with an indexer (DeepSeek-V3.2), o_proj included: -> [padded_rows, hidden] before the collective, or
// [scattered_rows, hidden] (whole_rows_after_attention).
Value sparse_mla(RankStep& s, Value residual);
// o_proj -> [padded_rows, hidden]: the padding rows, zeros, are what the following collective carries besides. Where
// rows are moved by index, -> [rows, hidden].
Value output_projection(RankStep& s, Value attention_out);

// The feed-forward part on `x` (normed rows as the placement left them) -> partial sums on the same rows.
Value dense_mlp(RankStep& s, Value x);
Value whole_shared_expert(RankStep& s, Value x);  // of rows that only this rank has
Value moe_all_gather(RankStep& s, Value x);       // ep_level 1 and pure TP: every rank sees all rows
Value moe_all_to_all(RankStep& s, Value x);       // ep_level 2: rows travel to the experts
Value moe_shared_rows(RankStep& s,
                      Value x);  // the same from rows that every rank of the TP group has; summed and gathered

}  // namespace ascendsim
