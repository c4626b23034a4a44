// What the parts of a program share: the rank's place, its rows, its groups, and how weights are cut. Internal to
// programs/.
#pragma once

#include <optional>
#include <utility>

#include "strategies/deployment/partitions.h"
#include "strategies/programs/context.h"
#include "strategies/programs/layer_sharding.h"
#include "strategies/programs/placement.h"
#include "strategies/programs/step.h"
#include "workloads/kernels.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

// Rows of a rank, as all parts of a program count them. Real rows are computed; padded rows only travel in collectives
// (an idle DP group sends nothing but padding).
struct StreamRows {
  std::int64_t rows = 0;       // tokens of the rank in attention
  std::int64_t padded = 0;     // the same on every rank: the largest, a multiple of tp where scattered
  std::int64_t scattered = 0;  // padded / tp
  std::int64_t routed = 0;     // like `padded`, but for what a captured graph adds: experts never see that
  // Of the share that TP rank `tp` keeps where rows are scattered.
  [[nodiscard]] std::int64_t real_in_share(std::int64_t tp) const;
};
// Rows of one attention stream: with context parallelism a rank's padded share of every prompt.
std::int64_t attention_rows(const Layout& l, Phase phase, const GroupLoad& load);
StreamRows stream_rows(const Deployment& d, Phase phase, std::span<const GroupLoad> loads, std::int64_t dp);
// Loads of draft pass `pass`, 0 being the one over all rows that were verified.
std::vector<GroupLoad> draft_loads(const Deployment& d, std::span<const GroupLoad> loads, Phase phase,
                                   std::int64_t pass);
// Cached tokens of one sequence in a rank's shard of the KV cache, once the step is done.
std::vector<PlacedTokens> cached_tokens(const Deployment& d, Phase phase, const GroupLoad& load, std::int64_t shard);
// Position of the first token that the step computes.
std::int64_t first_position(Phase phase, const GroupLoad& load);

struct RankStep {
  RankStep(ProgramBuilder& builder, const Deployment& deployment, const Step& step, const KernelFacts& kernel_facts,
           std::int64_t own_rank, int own_lane = 0);
  // Draft passes run on fewer rows a sequence than the step they belong to.
  void set_loads(std::vector<GroupLoad> loads);
  void set_pass(int draft);  // 0: the model itself, 1...: its drafts

  ProgramBuilder& p;
  const Deployment& d;
  const Model& m;
  const Layout& l;
  const KernelFacts& facts;
  ContextScheme context;
  Phase phase;
  bool writes_cache;
  std::vector<GroupLoad> loads;  // of every DP group
  GroupLoad load;                // of this rank's
  std::int64_t rank;
  int lane;  // of streams: one a micro-batch
  RankCoordinates at;
  std::int64_t expert_load;  // of its experts against the mean, as RoutedRows::load
  std::int64_t heads;        // of this rank: N / tp; all where rows are scattered and attention is sparse (DSA-CP)
  std::int64_t rows = 0, padded_rows = 0, scattered_rows = 0;  // StreamRows
  std::int64_t world_rows = 0;                                 // real rows of all attention streams together
  std::int64_t padded_world_rows = 0;
  std::int64_t routed_world_rows = 0;    // StreamRows::routed of all streams
  std::int64_t sampled_rows = 0;         // rows of logits of this rank's DP group
  std::int64_t world_sampled_rows = 0;   // of all DP groups
  std::int64_t padded_sampled_rows = 0;  // of the busiest one
  std::int64_t cached_tokens = 0;        // of one sequence, in this rank's KV shard
  std::int64_t cache_stride = 0;         // rows between sequences in the cache: later drafts need room
  std::int64_t first_sequence = 0;       // number of the DP group's first
  int pass = 0;
  bool drafting = false;               // inside the MTP layer
  std::optional<Value> not_yet_added;  // of the layer before, which the next input norm adds to the residual stream
  std::optional<std::pair<Value, Value>> widened;  // rows that a norm has put out, and the same in FP32
  std::vector<StepOutput>* noted = nullptr;        // outputs, when asked for
  std::int64_t output_layer = -1;

  // ---- which rows are which; lists that layers share are made once a pass ----
  std::vector<PlacedTokens> placed;  // of one sequence's cached tokens
  Value positions;                   // int32, of this rank's attention rows (padded)
  ProgramBuilder::Names cache_names;
  PromptSplit split;                        // of a prompt's new tokens over cp
  Moves own_cache_writes;                   // attention rows -> cache
  Moves gathered_cache_writes;              // rows of all ranks that were gathered, in order -> cache
  std::vector<Moves> passing_cache_writes;  // ring: rows as cp rank c computed them -> cache
  Moves gathered_order;                     // rows as ranks send them -> in order
  // Cached prefixes, a workspace of [first, first + tokens) of every sequence at a time.
  struct HistoryPiece {
    std::int64_t first = 0, tokens = 0, local_rows = 0;  // local: of one sequence on the fullest shard
    Moves load, order;  // cache -> rows that are sent; rows as shards send them -> in order
  };
  std::vector<HistoryPiece> history;
  // Sparse attention over a cut cache: every rank gathers all cached rows, `gathered_rows` from each shard of each
  // sequence.
  Moves shard_load, shard_order;
  std::int64_t gathered_rows = 0;
  Moves real_rows, padded_places;  // of all streams one after another -> without padding, and back
  Moves world_sampled, own_sampled,
      group_sampled;  // rows whose logits are needed: of all streams, of this rank's, of its DP group's
  std::int64_t own_sampled_rows = 0;
  bool real_rows_first = true;           // no padding between the streams' real rows
  std::vector<std::int64_t> visible;     // cached tokens that row i of a sequence sees here (decode)
  Value draft_cache, draft_index_cache;  // one for all draft passes
  LayerWindows o_proj_windows, q_b_windows;
  // The row of a prompt's token once all are gathered and in order, and that of a rank's own.
  [[nodiscard]] std::int64_t gathered_row(std::int64_t sequence, std::int64_t token) const;
  [[nodiscard]] std::int64_t own_row(std::int64_t sequence, std::int64_t part, std::int64_t row) const {
    return (part * load.sequences + sequence) * split.chunk + row;
  }
  [[nodiscard]] Value ids();        // tokens of the rows; of drafts, the next ones
  [[nodiscard]] Value handed_on();  // residual stream from the stage before: what this rank keeps of it
  // Names of rows, for outputs.
  [[nodiscard]] std::vector<std::int64_t> names_of_stream(std::int64_t dp, std::int64_t cp) const;  // padded
  [[nodiscard]] std::vector<std::int64_t> names_of_group() const;  // of the DP group: every cp stream, padded
  [[nodiscard]] std::vector<std::int64_t> names_of_world() const;  // padded
  void output(StepOutput::What what, Value value, std::vector<std::int64_t> names) const;

  [[nodiscard]] bool holds_shared_expert() const { return at.moe_ep < d.experts.shared_ranks; }

  // Every rank of the TP group keeps its own tokens outside attention (cann-recipes "SP-TP-SP").
  [[nodiscard]] bool token_split() const { return scattered() && !flashcomm(); }
  [[nodiscard]] bool flashcomm() const { return runs_flashcomm(d); }
  // The LM head is cut over the TP group, which computes the logits of its own requests.
  [[nodiscard]] bool head_of_group() const { return flashcomm() || d.traits().head_over_tp_group; }
  [[nodiscard]] bool scattered() const { return scatters_rows(d, phase); }
  // Whether a layer's moves of rows around the feed-forward part are gathers that its graph always has (stack.h); with
  // sizes of captured graphs all rows are those of the graph.
  [[nodiscard]] bool moves_by_index() const {
    return facts.moves_rows_by_index && d.graph.mode == GraphMode::kStack && !scattered() &&
           !shares_rows_for_experts(d) && l.o_proj_parts() == 1;
  }
  // Rows of the residual stream that this rank keeps.
  [[nodiscard]] std::int64_t stream_rows() const { return scattered() ? scattered_rows : padded_rows; }
  // Sparse attention on scattered rows: what comes out is final for the rank's own rows, nothing is left to sum over
  // the TP group.
  [[nodiscard]] bool whole_rows_after_attention() const {
    return m.sparse() && scattered() && phase == Phase::kPrefill;
  }
  // This rank's share of rows that are whole in the TP group.
  [[nodiscard]] Value own_share(Value x) const {
    return scattered() ? x.row_slice(at.tp * scattered_rows, scattered_rows) : x;
  }
  [[nodiscard]] ProgramBuilder::Group group(Group g) const;
  void category(Category c) { p.set_category(static_cast<std::uint8_t>(c)); }

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
  void lay_out_cache();
  void lay_out_gathered(std::span<const PlacedTokens> fresh, std::int64_t first);
  void lay_out_history();
  void lay_out_gathered_cache();
  void lay_out_streams();
  [[nodiscard]] std::vector<NamedRows> stream_names(std::int64_t dp, std::int64_t cp, std::int64_t later,
                                                    bool positions_only) const;
};

// Attention of one layer: residual stream [padded_rows, hidden] -> this rank's partial sum [rows, hidden] before the
// collective over attn_tp. `cache` is the rank's share of the layer's KV cache.
// Where cp cuts prompts, mla_prefill is the context-parallel one (context_parallel.cpp).
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
// MindIE's fixed-size all-to-all of ep_level 2 prefill: rows sent to all peers together (dynamic_ep_moe.cpp;
// flash_causal_deepseekv2.py, get_all2all_buffer_factor). Prefill of up to kShortExchange rows a rank takes buffers for
// 2 x moe_ep times its copies, of one more row two to four times: more rows can be faster.
constexpr std::int64_t kShortExchange = 32;
std::int64_t padded_all_to_all_rows(const Deployment& d, std::int64_t rows, bool prefill);

}  // namespace ascendsim
