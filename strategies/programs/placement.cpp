#include "strategies/programs/placement.h"

namespace ascendsim {

Placement place_collectives(const Layout& l, bool moe_layer, bool last_layer) {
  const std::int64_t world = l.world();
  const std::int64_t attention = l.dp * l.cp;
  const std::int64_t ffn = !moe_layer ? attention : l.ep_level == 2 ? world : 1;
  // The head is cut over the world and needs every row there, unless it has a local group of its own.
  const std::int64_t out = last_layer && !l.local_head() ? 1 : attention;
  Placement p;
  p.attention_all_reduce = l.tp > 1 && ffn == attention;
  p.attention_reduce_scatter = l.tp > 1 && !p.attention_all_reduce;
  p.attention_all_gather = (p.attention_reduce_scatter && world > ffn) || attention > ffn;
  p.ffn_all_reduce = p.attention_all_reduce;
  p.ffn_reduce_scatter = !p.ffn_all_reduce && p.attention_all_gather;
  p.ffn_all_gather = (p.ffn_reduce_scatter ? world : ffn) > out;
  return p;
}

bool runs_flashcomm(const Deployment& d) { return d.features.flashcomm1 && d.layout.tp > 1 && d.model.experts > 0; }

Placement place_flashcomm(const Layout& l, bool moe_layer) {
  Placement p;
  p.attention_reduce_scatter = true;
  const bool rows_travel = moe_layer && l.ep_level == 2 && l.moe_ep > 1;
  p.attention_all_gather = p.ffn_reduce_scatter = !rows_travel;
  p.ffn_within_tp = !moe_layer;
  return p;
}

bool shares_rows_for_experts(const Deployment& d) {
  const Layout& l = d.layout;
  return d.traits().whole_rows_for_experts && !runs_flashcomm(d) && l.tp > 1 && l.ep_level == 2 && l.moe_ep > 1 &&
         !d.token_split_prefill && d.experts.shared_ranks == 0;
}

Placement place_whole_rows(const Layout& l, bool moe_layer) {
  Placement p;
  p.attention_all_reduce = l.tp > 1;
  p.ffn_all_reduce = l.tp > 1 && !moe_layer;
  return p;
}

bool scatters_rows(const Deployment& d, Phase phase) {
  return runs_flashcomm(d) || (d.token_split_prefill && phase == Phase::kPrefill && d.layout.tp > 1);
}

}  // namespace ascendsim
