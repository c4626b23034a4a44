#include "strategies/programs/layer_sharding.h"

#include "strategies/programs/rank_step.h"

namespace ascendsim {

LayerSeries o_proj_series(const Deployment& d) {
  return {Module::kOProj, "o_proj", "o_proj_broadcast", d.model.heads * d.model.value, d.model.hidden};
}
LayerSeries q_b_series(const Deployment& d) {
  return {Module::kQB, "q_b", "q_b_broadcast", d.model.q_rank, d.model.heads * d.model.qk_width()};
}

namespace {

bool shards(const Deployment& d, bool asked) {
  return asked && d.role == Role::kPrefill && d.model.sparse() && runs_flashcomm(d) &&
         d.layout.world() / d.layout.pp > 1;
}
TensorSlice slice_of(const RankStep& s, const LayerSeries& series, const char* key, std::int64_t layer) {
  return {.key = key,
          .layer = static_cast<std::int32_t>(layer),
          .fan_in = static_cast<std::int32_t>(series.inputs),
          .extra = s.d.quantisation.of(series.module).scale_per_channel * series.outputs};
}

}  // namespace

bool shards_o_proj(const Deployment& d) { return shards(d, d.layer_sharding.o_proj); }
bool shards_q_b(const Deployment& d) { return shards(d, d.layer_sharding.q_b); }
bool shards_o_proj(const RankStep& s) { return s.phase == Phase::kPrefill && !s.drafting() && shards_o_proj(s.d); }
bool shards_q_b(const RankStep& s) { return s.phase == Phase::kPrefill && !s.drafting() && shards_q_b(s.d); }
std::int64_t held_layers(const Deployment& d) {
  return ceil_div(d.end_layer() - d.first_layer(), d.layout.world() / d.layout.pp);
}

Value LayerWindows::weight(RankStep& s, const LayerSeries& series) {
  const std::int64_t step = s.layer - s.d.first_layer();
  if (step == 0) return s.weight(series.module, series.key, series.inputs, series.outputs);
  return windows_[static_cast<std::size_t>(step % 2)];
}

void LayerWindows::fetch(RankStep& s, const LayerSeries& series, Value reached) {
  const Dtype type = s.d.quantisation.of(series.module).weight;
  if (!allocated_)
    for (Value& w : windows_) w = s.p.activation(type, series.inputs, series.outputs);
  allocated_ = true;
  const std::int64_t step = s.layer - s.d.first_layer();
  const std::int64_t next = s.layer + 1 < s.d.end_layer() ? s.layer + 1 : s.d.first_layer();
  const std::int64_t holder = next % s.l.world();
  const Value held = s.p.weight(type, series.inputs, series.outputs,
                                slice_of(s, series, s.rank == holder ? series.key : kElsewhere, next));
  s.p.broadcast(series.fetch, held, windows_[static_cast<std::size_t>((step + 1) % 2)], s.group(Group::kWorld),
                static_cast<int>(holder), reached);
}

}  // namespace ascendsim
