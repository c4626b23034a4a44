#include "strategies/programs/rank_step.h"

#include <algorithm>

#include "strategies/partitions.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

namespace {

// Rows of one attention stream: with context parallelism a prompt's padded zigzag chunks, two a rank.
std::int64_t attention_rows(const Layout& l, Phase phase, const GroupLoad& load) {
  if (phase == Phase::kDecode) return load.sequences * load.new_tokens;
  if (load.sequences == 0) return 0;
  return load.sequences * (l.cp == 1 ? load.new_tokens : 2 * zigzag(load.new_tokens, l.cp, 0).chunk);
}

}  // namespace

RankStep::RankStep(ProgramBuilder& builder, const Deployment& deployment, const Step& step,
                   const KernelFacts& kernel_facts, std::int64_t own_rank, int own_lane)
    : p(builder),
      d(deployment),
      m(deployment.model),
      l(deployment.layout),
      facts(kernel_facts),
      phase(step.phase),
      rank(own_rank),
      lane(own_lane),
      at(coordinates(deployment.layout, own_rank)),
      heads(deployment.model.heads / deployment.layout.tp) {
  if (!facts.communication_stream) p.serialise_communication();
  set_loads(step.load);
}

void RankStep::set_loads(std::vector<GroupLoad> now) {
  check(static_cast<std::int64_t>(now.size()) == l.dp, "a step needs a load for every DP group");
  loads = std::move(now);
  load = loads[static_cast<std::size_t>(at.dp)];
  rows = attention_rows(l, phase, load);
  padded_rows = world_rows = world_sampled_rows = padded_sampled_rows = 0;
  const auto sampled = [&](const GroupLoad& g) { return phase == Phase::kDecode ? g.sequences * g.new_tokens : g.sequences; };
  for (const GroupLoad& g : loads) {
    const std::int64_t r = attention_rows(l, phase, g);
    padded_rows = std::max(padded_rows, r);
    world_rows += r * l.cp;
    world_sampled_rows += sampled(g);
    padded_sampled_rows = std::max(padded_sampled_rows, sampled(g));
  }
  sampled_rows = sampled(load);
  cached_tokens = 0;
  if (load.sequences > 0) {
    const std::int64_t generated = std::max<std::int64_t>(0, load.context - load.prompt);
    const auto placed = place_blocks(load.prompt, generated, l.kv_shards(), d.limits.block_tokens);
    cached_tokens = placed.tokens[static_cast<std::size_t>(at.kv_shard(l))];
  }
  if (place_collectives(l, true, false).attention_reduce_scatter || token_split()) padded_rows = round_up(padded_rows, l.tp);
  scattered_rows = ceil_div(padded_rows, l.tp);
  padded_world_rows = padded_rows * l.dp * l.cp;
}

ProgramBuilder::Group RankStep::group(Group g) const {
  const auto size = [&]() -> std::int64_t {
    switch (g) {
      case Group::kAttnTp: return l.tp;
      case Group::kAttnSp: return l.sp;
      case Group::kAttnDp: return l.dp;
      case Group::kAttnCp: return l.cp;
      case Group::kMoeTp: return l.moe_tp;
      case Group::kMoeEp: return l.moe_ep;
      case Group::kWorld: return l.world();
      case Group::kKvShards: return l.kv_shards();
      case Group::kOProjTp: return l.o_proj_parts();
      case Group::kLmHeadTp: return l.lm_head_parts();
    }
    return 1;
  };
  return {kind(g), static_cast<int>(size())};
}

Value RankStep::weight(Module module, const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = d.quantisation.of(module);
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  return p.weight(precision.weight, in, out,
                  {.key = key,
                   .row = static_cast<std::int32_t>(in * cut.row_part),
                   .column = static_cast<std::int32_t>(out * cut.column_part),
                   .extra = precision.scale_per_channel * out});
}

Value RankStep::expert_weight(const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = routed_precision();
  const std::int64_t experts = d.experts_per_rank();
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  return p.weight(precision.weight, in, out,
                  {.key = key,
                   .row = static_cast<std::int32_t>(in * cut.row_part),
                   .column = static_cast<std::int32_t>(out * cut.column_part),
                   .first_expert = static_cast<std::int32_t>(experts * (at.moe_ep - d.experts.shared_ranks)),
                   .experts = static_cast<std::int32_t>(experts),
                   .extra = precision.scale_per_channel * (out * experts)});
}

const Precision& RankStep::routed_precision() const {
  // The MTP layer's experts stay int8 where the main model's are int4 (msmodelslim mtp_quant_module.py).
  const bool stays_int8 = drafting && d.quantisation.of(Module::kRoutedExpert).weight == Dtype::kInt4;
  return d.quantisation.of(stays_int8 ? Module::kSharedExpert : Module::kRoutedExpert);
}

Value RankStep::prepared(Module module, const char* label, Value x) {
  const bool quantised = d.quantisation.of(module).activation != ActivationQuant::kNone && x.dtype != Dtype::kInt8;
  return quantised ? quantise(p, label, x) : x;
}

Dtype RankStep::norm_output(Module module) const {
  return d.quantisation.of(module).activation == ActivationQuant::kStatic ? Dtype::kInt8 : d.dtype;
}

}  // namespace ascendsim
