// A whole forward step of a DeepSeek-V3-like decoder on one rank: embedding, layers with the collectives that the
// placement rule puts between their parts, head. The residual stream is whole on every rank of a TP group at the start of
// a layer and, where the placement scatters it, cut by rows between attention and the end of the feed-forward part.
#include "strategies/partitions.h"
#include "strategies/programs/rank_step.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

Value embedding(RankStep& s) {
  s.p.set_layer(-1);
  s.category(Category::kVector);
  const Value ids = s.p.input(Dtype::kInt32, s.padded_rows, 1);
  // Split over hidden columns; each rank looks up its part of every row.
  const Value table = s.weight(Module::kEmbedding, "embedding", s.m.vocabulary, s.m.hidden,
                               {.column_parts = s.l.tp, .column_part = s.at.tp});
  return s.p.all_gather("embedding_gather", embed(s.p, "embedding", ids, table), s.group(Group::kAttnTp), Axis::kColumns);
}

// MindIE adds the residual while norming; the sum stays in `residual`.
Value normed_for_ffn(RankStep& s, Value attention_out, Value residual, bool moe) {
  s.category(Category::kVector);
  const Module next = moe ? Module::kGate : Module::kDenseMlp;
  return add_rms_norm(s.p, "post_attention_norm", attention_out, residual, s.norm_weight("post_attention_norm", s.m.hidden),
                      s.norm_output(next));
}

// One layer; takes and returns the residual stream [padded_rows, hidden] (the last layer of a scattered deployment
// returns all rows of the world).
Value decoder_layer(RankStep& s, Value residual, std::int64_t layer) {
  s.p.set_layer(static_cast<int>(layer));
  const bool moe = layer >= s.m.dense_layers;
  const bool last = layer + 1 == s.m.layers;
  const Placement place = place_collectives(s.l, moe, last);

  const Value core = s.phase == Phase::kPrefill ? mla_prefill(s, residual) : mla_decode(s, residual);
  Value x = output_projection(s, core);
  if (place.attention_all_reduce) x = s.p.all_reduce("attention_all_reduce", x, s.group(Group::kAttnTp));
  if (place.attention_reduce_scatter) {
    x = s.p.reduce_scatter("attention_reduce_scatter", x, s.group(Group::kAttnTp));
    residual = residual.row_slice(s.at.tp * s.scattered_rows, s.scattered_rows);
  }
  x = normed_for_ffn(s, x, residual, moe);
  // With tp = 1 the streams are the ranks of the DP group, or of the CP group: then that is the world.
  if (place.attention_all_gather)
    x = s.p.all_gather("ffn_all_gather", x,
                       s.group(place.attention_reduce_scatter || s.l.cp > 1 ? Group::kWorld : Group::kAttnDp));

  x = !moe ? dense_mlp(s, x) : s.l.ep_level == 2 && s.l.moe_ep > 1 ? moe_all_to_all(s, x) : moe_all_gather(s, x);

  if (place.ffn_all_reduce) x = s.p.all_reduce("ffn_all_reduce", x, s.group(Group::kAttnTp));
  if (place.ffn_reduce_scatter) x = s.p.reduce_scatter("ffn_reduce_scatter", x, s.group(Group::kWorld));
  s.category(Category::kVector);
  add(s.p, "residual_add", residual, x);
  if (place.ffn_all_gather)
    residual = s.p.all_gather(last ? "head_all_gather" : "layer_all_gather", residual,
                              s.group(last ? Group::kWorld : Group::kAttnTp));
  return residual;
}

// Rows that are sampled are picked before the norm; the vocabulary is split over the world, the logits gathered.
void head(RankStep& s, Value residual) {
  s.p.set_layer(-1);
  s.category(Category::kVector);
  const Value rows = copy_rows(s.p, "last_rows", residual, s.sampled_rows);
  const Value x = rms_norm(s.p, "final_norm", rows, s.norm_weight("final_norm", s.m.hidden), s.d.dtype);
  s.category(Category::kLinear);
  const std::int64_t world = s.l.world();
  const std::int64_t rank = s.at.moe_ep * s.l.moe_tp + s.at.moe_tp;
  const Value w = s.weight(Module::kLmHead, "lm_head", s.m.hidden, s.m.vocabulary, {.column_parts = world, .column_part = rank});
  const Value logits = s.p.all_gather("logits_gather", linear(s.p, "lm_head", x, w, s.d.dtype), s.group(Group::kWorld), Axis::kColumns);
  s.category(Category::kVector);
  sample(s.p, "sampling", logits);
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

Step prefill_step(const Layout& layout, std::int64_t sequences, std::int64_t tokens) {
  return spread(Phase::kPrefill, layout, sequences, {.new_tokens = tokens, .prompt = tokens});
}

Step decode_step(const Layout& layout, std::int64_t sequences, std::int64_t prompt, std::int64_t context) {
  return spread(Phase::kDecode, layout, sequences, {.new_tokens = 1, .context = context, .prompt = prompt});
}

std::uint64_t role_of(const Deployment& deployment, const Step& step, std::int64_t rank) {
  const RankCoordinates at = coordinates(deployment.layout, rank);
  const GroupLoad& load = step.load[static_cast<std::size_t>(at.dp)];
  std::uint64_t same_load = 0;
  while (!(step.load[same_load] == load)) ++same_load;
  // Besides its load, a rank differs by its zigzag chunks and by how many tokens its KV shard holds.
  std::uint64_t role = same_load << 40 | static_cast<std::uint64_t>(step.phase == Phase::kPrefill ? at.cp : 0) << 32;
  if (load.sequences > 0 && deployment.layout.kv_shards() > 1) {
    const BlockPlacement placed = place_blocks(load.prompt, step.phase == Phase::kDecode ? load.context - load.prompt : 0,
                                               deployment.layout.kv_shards(), deployment.limits.block_tokens);
    role |= static_cast<std::uint64_t>(placed.tokens[static_cast<std::size_t>(at.kv_shard(deployment.layout))]);
  }
  return role;
}

Program build_program(const Deployment& deployment, const Step& step, const KernelFacts& facts, std::int64_t rank) {
  RankStep s(deployment, step, facts, rank);
  Value residual = embedding(s);
  for (std::int64_t layer = 0; layer < s.m.layers; ++layer) residual = decoder_layer(s, residual, layer);
  head(s, residual);
  return s.p.take();
}

}  // namespace ascendsim
