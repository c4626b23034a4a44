// A whole forward step of a DeepSeek-V3-like decoder on one rank: embedding, layers with the collectives that the
// placement rule puts between their parts, head. The residual stream is whole on every rank of a TP group at the start
// of a layer and, where the placement scatters it, cut by rows between attention and the end of the feed-forward part.
#include <algorithm>
#include <deque>

#include "strategies/deployment/partitions.h"
#include "strategies/programs/rank_step.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

Value embedding(RankStep& s) {
  s.begin_layer(-1);
  Value ids = s.ids();
  if (const std::int64_t parts = s.l.embedding_parts(); parts > 1) {
    // Whose tokens they are does not matter to a table: each rank looks up all of them in its part of the vocabulary
    // (vllm_ascend/ops/vocab_parallel_embedding.py, _forward_embed_tp).
    const auto group = s.group(Group::kEmbeddingTp);
    ids = s.p.all_gather("embedding_ids_gather", ids, group);
    const Value part = s.weight(Module::kEmbedding, "embedding", s.m.vocabulary, s.m.hidden,
                                {.row_parts = parts, .row_part = s.at.dp % parts});
    return s.own_share(s.p.reduce_scatter("embedding_reduce_scatter", embed(s.p, "embedding", ids, part), group));
  }
  if (s.flashcomm()) {
    // Split over the vocabulary: rows of other ranks' tokens are zero, and the sum of all parts goes where it is kept.
    const Value part = s.weight(Module::kEmbedding, "embedding", s.m.vocabulary, s.m.hidden,
                                {.row_parts = s.l.tp, .row_part = s.at.tp});
    return s.p.reduce_scatter("embedding_reduce_scatter", embed(s.p, "embedding", ids, part), s.group(Group::kAttnTp));
  }
  // Split over hidden columns; each rank looks up its part of every row.
  const Value table = s.weight(Module::kEmbedding, "embedding", s.m.vocabulary, s.m.hidden,
                               {.column_parts = s.l.tp, .column_part = s.at.tp});
  const Value rows =
      s.p.all_gather("embedding_gather", embed(s.p, "embedding", ids, table), s.group(Group::kAttnTp), Axis::kColumns);
  return s.own_share(rows);
}

// MindIE adds the residual while norming; the sum stays in `residual`.
Value normed_for_ffn(RankStep& s, Value attention_out, Value residual, bool moe) {
  const Module next = moe ? Module::kGate : Module::kDenseMlp;
  const Value w = s.norm_weight("post_attention_norm", s.m.hidden);
  s.widened.reset();
  if (moe && s.facts.casts_for_router_in_norm && s.d.quantisation.of(Module::kGate).weight == Dtype::kFp32)
    return s.widened.emplace(add_rms_norm_cast(s.p, "post_attention_norm", attention_out, residual, w, s.d.dtype))
        .first;
  return add_rms_norm(s.p, "post_attention_norm", attention_out, residual, w, s.norm_output(next));
}

// A layer between its halves.
struct HalfLayer {
  Placement place;
  std::int64_t layer = 0;
  bool last = false;        // the head gathers what it needs of other ranks: at the end of the last layer
  Value stream;             // the residual stream as it came in
  Value residual;           // ... what this rank keeps of it inside the layer
  Value normed;             // what the feed-forward part takes
  bool shares_mlp = false;  // rows of several DP groups meet in it
  [[nodiscard]] bool exchanges() const {
    return place.attention_reduce_scatter || place.attention_all_gather || shares_mlp;
  }
};

// Attention, of the residual stream [padded_rows, hidden], and the norm behind it.
HalfLayer attention_half(RankStep& s, Value residual, std::int64_t layer) {
  s.begin_layer(layer);
  const bool moe = layer >= s.m.dense_layers;
  // The head gathers what it needs of other ranks: in front of it (rows_for_head), or at the end of the last layer.
  const bool last = layer + 1 >= s.m.layers && !s.head_of_group();
  Placement place = s.flashcomm()                  ? place_flashcomm(s.l, moe)
                    : s.token_split()              ? Placement{}
                    : shares_rows_for_experts(s.d) ? place_whole_rows(s.l, moe)
                                                   : place_collectives(s.l, moe, last);
  if (s.token_split()) place.ffn_all_gather = last;
  HalfLayer half{.place = place,
                 .layer = layer,
                 .last = last,
                 .stream = residual,
                 .residual = residual,
                 .normed = {},
                 .shares_mlp = s.l.mlp_parts() > 1};

  s.p.set_outside_graph(true);  // piecewise graphs end where attention begins
  Value x = s.m.sparse()                 ? sparse_mla(s, residual)
            : s.token_split()            ? mla_prefill_token_split(s, residual)
            : s.phase == Phase::kPrefill ? output_projection(s, mla_prefill(s, residual))
                                         : output_projection(s, mla_decode(s, residual));
  s.p.set_outside_graph(false);
  // Where rows are moved by index they are padded for the exchanges of a layer, if it has some; else it has only real
  // ones.
  if (s.moves_by_index()) {
    if (half.exchanges())
      x = copy_rows(s.p, "attention_pad", x, s.rows.padded);
    else
      half.residual = residual.row_slice(0, s.rows.real);
  }
  if (place.attention_all_reduce) x = s.p.all_reduce("attention_all_reduce", x, s.group(Group::kAttnTp));
  if (place.attention_reduce_scatter && !s.whole_rows_after_attention()) {
    x = s.p.reduce_scatter("attention_reduce_scatter", x, s.group(Group::kAttnTp));
    if (!s.scattered()) half.residual = residual.row_slice(s.at.tp * s.rows.scattered, s.rows.scattered);
  }
  half.normed = normed_for_ffn(s, x, half.residual, moe);
  return half;
}

Value feed_forward(RankStep& s, Value x, bool moe) {
  const ProgramBuilder::Section all(s.p, category(moe ? Category::kMoe : Category::kLinear));
  if (!moe) return dense_mlp(s, x);
  if (shares_rows_for_experts(s.d)) return moe_shared_rows(s, x);
  return s.l.ep_level == 2 && s.l.moe_ep > 1 ? moe_all_to_all(s, x) : moe_all_gather(s, x);
}

// The feed-forward part; returns the residual stream [padded_rows, hidden] (the last layer of a scattered deployment
// all rows of the world).
Value feed_forward_half(RankStep& s, const HalfLayer& half) {
  s.begin_layer(half.layer);
  const Placement& place = half.place;
  const bool moe = half.layer >= s.m.dense_layers;
  Value x = half.normed, residual = half.residual;
  // Rows that only this rank has need the whole shared expert.
  const bool own_shared = s.flashcomm() && moe && place.attention_all_gather;
  const Value shared = own_shared ? whole_shared_expert(s, x) : Value{};
  // With tp = 1 the streams are the ranks of the DP group, or of the CP group: then that is the world.
  if (place.attention_all_gather)
    x = s.p.all_gather("ffn_all_gather", x,
                       s.group(place.ffn_within_tp                            ? Group::kAttnTp
                               : place.attention_reduce_scatter || s.l.cp > 1 ? Group::kWorld
                                                                              : Group::kAttnDp));

  x = feed_forward(s, x, moe);

  if (place.ffn_all_reduce) x = s.p.all_reduce("ffn_all_reduce", x, s.group(Group::kAttnTp));
  if (place.ffn_reduce_scatter)
    x = s.p.reduce_scatter("ffn_reduce_scatter", x, s.group(place.ffn_within_tp ? Group::kAttnTp : Group::kWorld));
  if (own_shared) add(s.p, "shared_add", x, shared);
  // Where the stream is gathered first it must be whole; the last layer's norm takes only some rows.
  if (s.facts.adds_residual_in_norm && !place.ffn_all_gather && half.layer + 1 < s.d.end_layer())
    s.not_yet_added = x;
  else
    add(s.p, "residual_add", residual, x);
  const bool unpadded = s.moves_by_index() && !half.exchanges();
  if (!place.ffn_all_gather) return unpadded ? half.stream : residual;
  if (unpadded) residual = copy_rows(s.p, "ffn_pad", residual, s.rows.padded);
  if (half.last && !s.l.local_head() && s.l.cp > 1 && s.l.dp == 1 && s.context.head_gathers_by_group) {
    if (residual.rows < s.rows.padded) residual = s.p.all_gather("head_all_gather", residual, s.group(Group::kAttnTp));
    return s.p.all_gather("head_cp_all_gather", residual, s.group(Group::kAttnCp));
  }
  return s.p.all_gather(half.last ? "head_all_gather" : "layer_all_gather", residual,
                        s.group(half.last && !s.l.local_head() ? Group::kWorld : Group::kAttnTp));
}

// Rows that are sampled are picked before the norm. Whose rows a rank has by then, and over which ranks the vocabulary
// is cut.
struct HeadRows {
  Moves sampled;
  std::int64_t rows = 0;
  Group group = Group::kWorld;
  bool exchanged = false;  // each rank has rows of its own: all are gathered, parts of logits exchanged
};
HeadRows head_rows(RankStep& s) {
  if (s.l.local_head()) return {s.moves.sampled_of_own(), s.rows.sampled_padded, Group::kLmHeadTp, true};
  if (s.head_of_group()) return {s.moves.sampled_of_group(), s.rows.sampled, Group::kAttnTp, false};
  return {s.moves.sampled_of_world(), s.rows.sampled_of_world, Group::kWorld, false};
}

void head(RankStep& s, Value residual, const char* norm) {
  s.begin_layer(-1);
  const HeadRows from = head_rows(s);
  Value x = place_rows(s.p, "last_rows", residual, from.rows, from.sampled);
  x = rms_norm(s.p, norm, x, s.norm_weight(norm, s.m.hidden), s.d.dtype);
  const auto group = s.group(from.group);
  if (from.exchanged) x = s.p.all_gather("head_rows_gather", x, group);
  const Value w = s.weight(Module::kLmHead, "lm_head", s.m.hidden, s.m.vocabulary,
                           {.column_parts = group.ranks, .column_part = s.rank % group.ranks});
  const Value part = linear(s.p, "lm_head", x, w, s.d.dtype);
  const Value logits = from.exchanged ? s.p.all_to_all("logits_exchange", part, group, from.rows, s.m.vocabulary)
                                      : s.p.all_gather("logits_gather", part, group, Axis::kColumns);
  const Value ids = sample(s.p, "sampling", logits);
  if (s.noted == nullptr) return;
  std::vector<std::int64_t> names(static_cast<std::size_t>(logits.rows), Program::kPaddingRow);
  const std::vector<std::int64_t> sources = from.exchanged                ? s.names_of_stream(s.at.dp, s.at.cp)
                                            : from.group == Group::kWorld ? s.names_of_world()
                                                                          : s.names_of_group();
  for (const RowMove& m : s.p.moves(from.sampled))
    for (std::int32_t i = 0; i < m.repeats; ++i)
      for (std::int32_t r = 0; r < m.rows; ++r)
        names[static_cast<std::size_t>(m.to + i * m.to_stride + r)] =
            sources[static_cast<std::size_t>(m.from + i * m.from_stride + r)];
  s.output(StepOutput::What::kLogits, logits, names);
  s.output(StepOutput::What::kSampled, ids, std::move(names));
}

// FlashComm1 gathers the scattered rows over the TP group; those of a prompt's other chunks come from the CP group.
Value rows_for_head(RankStep& s, Value residual) {
  if (!s.head_of_group()) return residual;
  if (s.flashcomm()) residual = s.p.all_gather("head_all_gather", residual, s.group(Group::kAttnTp));
  if (s.phase == Phase::kPrefill) residual = s.p.all_gather("head_cp_all_gather", residual, s.group(Group::kAttnCp));
  return residual;
}

// The rows of this rank's attention stream in what the head takes.
Value own_stream(const RankStep& s, Value rows) {
  if (rows.rows == s.rows.padded) return rows;
  const std::int64_t streams_before = s.l.local_head() ? 0 : s.head_of_group() ? s.at.cp : s.at.dp * s.l.cp + s.at.cp;
  return rows.row_slice(streams_before * s.rows.padded, s.rows.padded);
}

// ... and what it keeps of them.
void note_hidden(const RankStep& s, Value residual, StepOutput::What what = StepOutput::What::kHidden) {
  if (s.noted == nullptr) return;
  std::vector<std::int64_t> names = s.names_of_stream(s.at.dp, s.at.cp);
  if (s.scattered()) names.erase(names.begin(), names.begin() + s.at.tp * s.rows.scattered);
  names.resize(static_cast<std::size_t>(residual.rows));
  s.output(what, residual, std::move(names));
}

// One pass of the next-token-prediction layer (MTP): embedding of the tokens just sampled and the hidden state, normed,
// joined and projected; one MoE layer with a KV cache of its own; the main model's embedding and head. This is what the
// layer takes.
Value draft_input(RankStep& s, Value hidden) {
  const Value next = embedding(s);
  s.begin_layer(s.m.layers);
  const Value e = rms_norm(s.p, "mtp_enorm", next, s.norm_weight("mtp_enorm", s.m.hidden), s.d.dtype);
  const Value h = rms_norm(s.p, "mtp_hnorm", hidden, s.norm_weight("mtp_hnorm", s.m.hidden), s.d.dtype);
  const Value joined = concat_key(s.p, "mtp_concat", e, h, 1);
  // Stays in 16 bit in the quantised checkpoints, as the head does.
  const Value w = s.weight(Module::kLmHead, "eh_proj", 2 * s.m.hidden, s.m.hidden);
  return linear(s.p, "eh_proj", joined, w, s.d.dtype);
}

// Rows of the rank's attention stream after the layer, as the head sees them; the head samples from them.
Value to_head(RankStep& s, Value residual, const char* norm) {
  const Value rows = rows_for_head(s, residual);
  note_hidden(s, s.own_share(own_stream(s, rows)));
  head(s, rows, norm);
  return own_stream(s, rows);
}

// What draft pass `pass` begins with: its loads, and of `hidden`, the rows of the pass before, those that it goes on
// with.
Value begin_draft(RankStep& s, Value hidden, std::span<const GroupLoad> verified, int pass) {
  s.begin_layer(-1);
  const std::int64_t before = s.rows.load.new_tokens;
  s.begin_pass(pass, draft_loads(s.d, verified, s.phase, pass - 1));
  if (pass == 2 && !s.d.traits().drafts_all_rows) {
    const RowMove last{.from = static_cast<std::int32_t>(before - 1),
                       .rows = 1,
                       .repeats = static_cast<std::int32_t>(s.rows.load.sequences),
                       .from_stride = static_cast<std::int32_t>(before),
                       .to_stride = 1};
    const std::span<const RowMove> moves(&last, s.rows.load.sequences > 0 ? 1 : 0);
    hidden = place_rows(s.p, "mtp_last_hidden", hidden, s.rows.padded, s.p.add_moves(moves));
  }
  return s.own_share(hidden);
}

Step spread(Phase phase, const Layout& layout, std::int64_t sequences, GroupLoad each) {
  Step step{phase, {}};
  for (std::int64_t g = 0; g < layout.dp; ++g) {
    GroupLoad load = each;
    load.sequences = sequences / layout.dp + (g < sequences % layout.dp ? 1 : 0);
    step.load.push_back(load.sequences > 0 ? load : GroupLoad{});
  }
  return step;
}

}  // namespace

Step prefill_step(const Layout& layout, std::int64_t sequences, std::int64_t tokens, std::int64_t history) {
  return spread(Phase::kPrefill, layout, sequences,
                {.new_tokens = tokens - history, .context = tokens, .prompt = tokens, .history = history});
}

Step decode_step(const Layout& layout, std::int64_t sequences, std::int64_t prompt, std::int64_t context,
                 std::int64_t rows_per_sequence) {
  return spread(Phase::kDecode, layout, sequences,
                {.new_tokens = rows_per_sequence, .context = context, .prompt = prompt});
}

namespace {

// Both halves of every DP group's requests; empty when a group has too few to split.
std::vector<Step> halves(const Step& step) {
  std::vector<Step> out(2, step);
  for (std::size_t g = 0; g < step.load.size(); ++g) {
    const std::int64_t sequences = step.load[g].sequences;
    if (sequences < 2) return {};
    out[0].load[g].sequences = (sequences + 1) / 2;
    out[1].load[g].sequences = sequences / 2;
  }
  return out;
}

}  // namespace

bool splits_into_micro_batches(const Deployment& deployment, const Step& step) {
  return deployment.micro_batches == 2 && !halves(step).empty();
}

namespace {

// The micro-batches of a step. Two of them take turns: the first lane of streams carries attention of one after the
// other, the second lane their feed-forward parts, so one micro-batch is in its experts while the other is in attention
// (CloudMatrix384 paper, arXiv 2506.12708 v2: an attention stream and a MoE stream; the dual micro-batches of DeepSeek
// alike). Each part in its own loop, hence streams follow the order of the program and never cross.
class MicroBatches {
 public:
  MicroBatches(ProgramBuilder& builder, const RankPlace& place, std::span<const Step> steps,
               std::vector<StepOutput>* outputs)
      : p_(builder) {
    for (const Step& step : steps)
      batches_.emplace_back(builder, place, step, static_cast<int>(batches_.size()), outputs);
  }

  void begin() {
    for (Batch& b : batches_) b.rows = b.s.d.first_stage() ? embedding(b.s) : b.s.handed_on();
  }
  void layer(std::int64_t number) {
    for (Batch& b : batches_) b.half = attention_half(b.s, b.rows, number);
    if (batches_.size() > 1) p_.set_lane(1);
    for (Batch& b : batches_) b.rows = feed_forward_half(b.s, b.half);
    p_.set_lane(0);
  }
  void hand_on() {
    for (Batch& b : batches_) note_hidden(b.s, b.rows, StepOutput::What::kHandedOn);
  }
  void sample(const char* norm) {
    for (Batch& b : batches_) {
      b.s.begin_layer(-1);
      b.rows = to_head(b.s, b.rows, norm);
    }
  }
  // Prefill fills the draft layer's cache with every prompt token. Decode drafts k tokens one after another: the first
  // pass covers all rows that the main model has just verified, the others one row a sequence or all again
  // (drafts_all_rows).
  void draft(int pass) {
    for (Batch& b : batches_) b.rows = draft_input(b.s, begin_draft(b.s, b.rows, b.verified, pass));
    layer(batches_.front().s.m.layers);
    sample("mtp_head_norm");
  }

 private:
  struct Batch {
    RankStep s;
    std::vector<GroupLoad> verified;  // loads of the step, which drafts change
    Value rows{};                     // of the residual stream
    HalfLayer half{};
    Batch(ProgramBuilder& builder, const RankPlace& place, const Step& step, int lane, std::vector<StepOutput>* outputs)
        : s(builder, place, step, lane, outputs), verified(step.load) {}
  };
  ProgramBuilder& p_;
  std::deque<Batch> batches_;  // which stay where they are
};

}  // namespace

Program build_program(const Deployment& deployment, const Step& step, const KernelFacts& facts, std::int64_t rank,
                      std::vector<StepOutput>* outputs) {
  ProgramBuilder builder;
  std::vector<Step> parts = deployment.micro_batches == 2 ? halves(step) : std::vector<Step>{};
  if (parts.empty()) parts.push_back(step);
  MicroBatches batches(builder, RankPlace(deployment, facts, step.phase, rank), parts, outputs);
  batches.begin();
  for (std::int64_t layer = deployment.first_layer(); layer < deployment.end_layer(); ++layer) batches.layer(layer);
  if (!deployment.last_stage()) {
    batches.hand_on();
    return builder.take();
  }
  batches.sample("final_norm");
  const std::int64_t drafts = deployment.features.speculative_tokens;
  const std::int64_t passes = step.phase == Phase::kDecode ? drafts : std::min<std::int64_t>(drafts, 1);
  for (int pass = 1; pass <= passes; ++pass) batches.draft(pass);
  return builder.take();
}

}  // namespace ascendsim
