// The feed-forward part of a layer: the dense MLP of the first layers, and the mixture of experts in MindIE's two ways.
#include <algorithm>

#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/rank_step.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/routing.h"

namespace ascendsim {

namespace {

struct MlpLabels {
  const char *quant, *gate_up, *swiglu, *down;
};

// gate_up, SwiGLU, down; the width split over `parts` ranks.
Value gated_mlp(RankStep& s, Module module, const MlpLabels& labels, Value x, std::int64_t width, std::int64_t parts,
                std::int64_t part) {
  const Value in = s.prepared(module, labels.quant, x);
  const Value gate_up = linear(s.p, labels.gate_up, in,
                               s.weight(module, labels.gate_up, s.m.hidden, 2 * width,
                                        {.column_parts = parts, .column_part = part, .gate_and_up = true}),
                               s.d.dtype);
  const bool quantised = s.d.quantisation.of(module).activation != ActivationQuant::kNone;
  const Value act = swiglu(s.p, labels.swiglu, gate_up, quantised ? Dtype::kInt8 : s.d.dtype);
  return linear(s.p, labels.down, act,
                s.weight(module, labels.down, width, s.m.hidden, {.row_parts = parts, .row_part = part}), s.d.dtype);
}

Value shared_expert(RankStep& s, Value x, std::int64_t parts, std::int64_t part) {
  return gated_mlp(s, Module::kSharedExpert, {"shared_quant", "shared_gate_up", "shared_swiglu", "shared_down"}, x,
                   s.m.expert_width * s.m.shared_experts, parts, part);
}

// MindIE multiplies the router in fp32, casting the rows up first; elsewhere the norm has done that.
Routing route(RankStep& s, Value x) {
  const Precision& gate = s.d.quantisation.of(Module::kGate);
  const bool widened = s.widened && s.widened->first.buffer == x.buffer;
  const Value in = gate.weight != Dtype::kFp32 ? x
                   : widened                   ? s.widened->second.row_slice(x.row, x.rows)
                                               : cast(s.p, "gate_cast", x, Dtype::kFp32);
  // The correction bias is one more row of the weight: it is used only for selecting.
  const Value w = s.weight(Module::kGate, "gate", s.m.hidden + 1, s.m.experts);
  const Value scores = linear(s.p, "gate", in, w.row_slice(0, s.m.hidden), gate.weight);
  const Router router{.top_k = static_cast<std::int32_t>(s.m.top_k),
                      .groups = static_cast<std::int32_t>(s.m.expert_groups),
                      .kept_groups = static_cast<std::int32_t>(s.m.kept_groups),
                      .scale = s.m.routed_scale};
  return grouped_top_k(s.p, "gate_top_k", scores, w.row_slice(s.m.hidden, 1), router);
}

RoutedRows routed_rows(const RankStep& s, std::int64_t tokens) {
  return {.tokens = tokens,
          .top_k = static_cast<std::int32_t>(s.m.top_k),
          // Replicas share their expert's copies evenly.
          .experts = static_cast<std::int32_t>(s.d.physical_experts()),
          .local_experts = s.d.experts_per_rank(),
          .load = s.expert_load};
}

// The experts of this rank over the copies that reached it; the expert width is split over moe_tp.
Value gate_up_weight(RankStep& s) {
  return s.expert_weight("experts_gate_up", s.m.hidden, 2 * s.m.expert_width,
                         {.column_parts = s.l.moe_tp, .column_part = s.at.moe_tp, .gate_and_up = true});
}
Value experts(RankStep& s, Value copies, Value w, const RoutedRows& rows, std::int64_t capacity) {
  const bool splits = w.dtype == Dtype::kInt4;
  if (splits) split_rows(s.p, "experts_split", copies);
  const Value gate_up = grouped_linear(s.p, "experts_gate_up", copies, w, rows, capacity, s.d.dtype);
  const bool quantised = s.routed_precision().activation != ActivationQuant::kNone;
  const Value act = swiglu(s.p, "experts_swiglu", gate_up, quantised ? Dtype::kInt8 : s.d.dtype, capacity);
  if (splits) split_rows(s.p, "experts_split", act);
  return grouped_linear(
      s.p, "experts_down", act,
      s.expert_weight("experts_down", s.m.expert_width, s.m.hidden, {.row_parts = s.l.moe_tp, .row_part = s.at.moe_tp}),
      rows, capacity, s.d.dtype);
}

Dtype routed_input(const RankStep& s) {
  return s.routed_precision().activation != ActivationQuant::kNone ? Dtype::kInt8 : s.d.dtype;
}

std::int32_t held_experts(const RankStep& s) { return static_cast<std::int32_t>(s.d.experts_per_rank()); }

// names: of the rows that were routed, with padding anywhere between. REQUIRES: outputs were asked for (names are
// long).
void note_experts(const RankStep& s, const Routing& routing, std::vector<std::int64_t> names) {
  std::erase(names, Program::kPaddingRow);
  s.output(StepOutput::What::kExperts, routing.experts, std::move(names));
}

}  // namespace

Value dense_mlp(RankStep& s, Value x) {
  constexpr MlpLabels kLabels{"mlp_quant", "mlp_gate_up", "mlp_swiglu", "mlp_down"};
  const std::int64_t shared = s.l.mlp_parts();
  // Rows of several DP groups through a part of the width each (vllm_ascend/ops/linear_op.py, MLPColumnParallelOp).
  // REQUIRES: tp 1.
  const auto group = s.group(Group::kMlpTp);
  if (shared > 1) x = s.p.all_gather("mlp_rows_gather", x, group);
  const std::int64_t parts = shared > 1 ? shared : s.token_split() ? 1 : s.l.tp;
  const std::int64_t part = shared > 1 ? s.at.dp % shared : s.token_split() ? 0 : s.at.tp;
  const Value out = gated_mlp(s, Module::kDenseMlp, kLabels, x, s.m.dense_width, parts, part);
  return shared > 1 ? s.p.reduce_scatter("mlp_reduce_scatter", out, group) : out;
}

Value whole_shared_expert(RankStep& s, Value x) {
  const ProgramBuilder::Section all(s.p, category(Category::kMoe));
  return shared_expert(s, x, 1, 0);
}

Value moe_all_gather(RankStep& s, Value gathered) {
  // Every rank sees every row; padding rows are carried but not computed: where they lie between real ones, and always
  // where rows are moved by index, the real ones are picked and put back (MindIE decoder_layer.cpp, SetAttnUnpadding and
  // SetFFNPadding).
  const std::int64_t streams = gathered.rows / s.rows.padded;
  const bool picks = streams > 1 && (s.moves_by_index() || !s.rows.real_rows_first);
  const std::int64_t real = streams > 1 ? s.rows.world : s.rows.real;
  const Value x =
      picks ? place_rows(s.p, "ffn_unpad", gathered, real, s.moves.real_rows()) : gathered.row_slice(0, real);
  const Routing routing = route(s, x);
  if (s.noted != nullptr)
    note_experts(s, routing, streams > 1 ? s.names_of_world() : s.names_of_stream(s.at.dp, s.at.cp));
  const bool beside = !s.flashcomm();  // else every rank has done its own rows
  const Value shared = beside ? shared_expert(s, x, s.l.world(), s.rank) : Value{};

  // init-routing allocates every copy of every (padded) row, although only this rank's experts' copies are valid.
  const RoutedRows rows = routed_rows(s, x.rows);
  const double copies = static_cast<double>(s.m.top_k) * (s.d.init_routing_cutoff ? s.d.topk_scaling_factor : 1);
  const auto capacity = static_cast<std::int64_t>(copies) * gathered.rows;
  const Value w = gate_up_weight(s);
  const Value dealt = deal_out(s.p, "init_routing", x, routing, w, rows.expected(), capacity, routed_input(s));
  const Value out = sum_up(s.p, "finalize_routing", experts(s, dealt, w, rows, capacity), routing, x.rows,
                           picks ? x.rows : gathered.rows, s.d.dtype);
  if (beside) add(s.p, "shared_add", out.row_slice(0, x.rows), shared);
  return picks ? place_rows(s.p, "ffn_pad", out, gathered.rows, s.moves.padded_places()) : out;
}

namespace {

// One rank's side of an all-to-all over the expert-parallel group.
struct Exchange {
  Value rows;  // of this rank, normed
  Routing routing{};
  RoutedRows expected;        // what comes in for routed experts
  std::int64_t received = 0;  // rows that come in
  std::int64_t copies = 0;    // what goes out
  ProgramBuilder::Group group;
};

// Bytes of the rows that travel, with an fp32 scale each where they are int8. Idle groups send as many padding rows as
// the others.
Bytes travelling(const RankStep& s, Dtype dtype) {
  const std::int64_t rows = ceil_div(s.rows.routed_world, s.l.world()) * s.d.copies_per_token();
  return Bytes(rows * (s.m.hidden * bits(dtype) + (dtype == Dtype::kInt8 ? bits(Dtype::kFp32) : 0)) / 8);
}

// Every token sends one row to one of the ranks that hold the shared expert.
Value computed(RankStep& s, Value received, const Exchange& e) {
  return s.holds_shared_expert() ? shared_expert(s, received, 1, 0)
                                 : experts(s, received, gate_up_weight(s), e.expected, 0);
}

// MC2: kernels deal rows out and quantise them on the way; 16-bit rows come back. Fused: the products are parts of the
// same kernel.
Value exchange_mc2(RankStep& s, const Exchange& e, bool fused) {
  const Value received = s.p.activation(routed_input(s), e.received, s.m.hidden);
  s.p.exchange(fused ? kFusedDispatch : kMoeDispatch, fused ? "fused_dispatch" : "moe_dispatch",
               {e.rows, e.routing.experts}, received, e.group, travelling(s, received.dtype), held_experts(s));
  const Value results = computed(s, received, e);
  const Value returned = s.p.activation(s.d.dtype, e.copies, s.m.hidden);
  s.p.exchange(fused ? kFusedCombine : kMoeCombine, fused ? "fused_combine" : "moe_combine", {results}, returned,
               e.group, travelling(s, s.d.dtype));
  return returned;
}

// MindIE's prefill: fixed-size buffers of 16-bit rows, an equal share for every peer, whatever the router said.
Value exchange_padded(RankStep& s, const Exchange& e) {
  const std::int64_t buffer = padded_all_to_all_rows(s.d, s.rows.scattered, true);
  const Value dealt =
      deal_out_all(s.p, "init_routing", e.rows, e.routing, held_experts(s), e.copies, e.copies, s.d.dtype);
  const Value padded = pad_shares(s.p, "all_to_all_pad", dealt, buffer, e.group.ranks);
  const Value received = s.p.all_to_all("moe_dispatch", padded, e.group, buffer, s.m.hidden);
  const Value valid = collect_copies(s.p, "all_to_all_collect", received, e.expected.expected(), buffer);
  const Value in = s.prepared(Module::kRoutedExpert, "experts_quant", valid);
  const Value results =
      return_copies(s.p, "all_to_all_unpad", experts(s, in, gate_up_weight(s), e.expected, buffer), received);
  return s.p.all_to_all("moe_combine", results, e.group, buffer, s.m.hidden);
}

// All-to-all-v: rows quantised before they leave, real counts, 16-bit rows back (cann-recipes, vLLM-Ascend).
Value exchange_exact(RankStep& s, const Exchange& e) {
  const Value dealt =
      deal_out_all(s.p, "init_routing", e.rows, e.routing, held_experts(s), e.copies, e.copies, routed_input(s));
  const Value received = s.p.activation(routed_input(s), e.received, s.m.hidden);
  s.p.exchange(kAllToAllRows, "moe_dispatch", {dealt}, received, e.group, travelling(s, received.dtype));
  const Value results = computed(s, received, e);
  const Value returned = s.p.activation(s.d.dtype, e.copies, s.m.hidden);
  s.p.exchange(kAllToAllRows, "moe_combine", {results}, returned, e.group, travelling(s, s.d.dtype));
  return returned;
}

}  // namespace

Value moe_all_to_all(RankStep& s, Value normed) {
  // The graph's gathers over the rank's rows, which here are all of them (MindIE, ep_level 2 and tp > 1).
  const bool by_index = s.moves_by_index() && s.l.tp > 1;
  const Value x = by_index ? copy_rows(s.p, "ffn_unpad", normed, normed.rows) : normed;
  // With tp > 1 rows are scattered here, with tp = 1 the share of the one rank is all.
  const std::int64_t own = s.rows.real_in_share(s.at.tp);
  Exchange e{.rows = x.row_slice(0, own),
             .expected = routed_rows(s, s.rows.world),
             .copies = own * s.d.copies_per_token(),
             .group = s.group(Group::kMoeEp)};
  e.received = s.holds_shared_expert() ? ceil_div(s.rows.world, s.d.experts.shared_ranks) : e.expected.expected();
  e.routing = route(s, e.rows);
  if (s.noted != nullptr) {
    std::vector<std::int64_t> names = s.names_of_stream(s.at.dp, s.at.cp);
    names.erase(names.begin(), names.begin() + s.at.tp * s.rows.scattered);
    names.resize(static_cast<std::size_t>(own));
    note_experts(s, e.routing, std::move(names));
  }
  const bool beside = s.d.experts.shared_ranks == 0 && !shares_rows_for_experts(s.d);
  const Value shared = beside ? shared_expert(s, e.rows, s.l.moe_tp, s.at.moe_tp) : Value{};
  const ExpertCarrier carrier = expert_carrier(s.d, s.phase, s.rows.routed_world / (s.l.dp * s.l.cp), s.drafting());
  const bool fused = carrier == ExpertCarrier::kFusedMc2;
  const Value returned = fused || carrier == ExpertCarrier::kMc2 ? exchange_mc2(s, e, fused)
                         : carrier == ExpertCarrier::kAllToAllV  ? exchange_exact(s, e)
                                                                 : exchange_padded(s, e);
  const Value out = sum_up(s.p, "finalize_routing", returned, e.routing, own, x.rows, s.d.dtype,
                           fused || carrier == ExpertCarrier::kMc2 ? SummedBy::kCombine : SummedBy::kKernel);
  if (beside) add(s.p, "shared_add", out.row_slice(0, own), shared);
  return by_index ? copy_rows(s.p, "ffn_pad", out, out.rows) : out;
}

Value moe_shared_rows(RankStep& s, Value x) {
  const auto tp = s.group(Group::kAttnTp);
  const Value own = moe_all_to_all(s, x.row_slice(s.at.tp * s.rows.scattered, s.rows.scattered));
  const Value out = s.p.all_gather("layer_all_gather", own, tp);
  const Value shared = s.p.all_reduce("shared_all_reduce", shared_expert(s, x, s.l.tp, s.at.tp), tp);
  add(s.p, "shared_add", out, shared);
  return out;
}

}  // namespace ascendsim
