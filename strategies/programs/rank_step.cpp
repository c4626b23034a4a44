#include "strategies/programs/rank_step.h"

#include <algorithm>

namespace ascendsim {

namespace {

std::int64_t first_sequence_of(const RankPlace& place, const Step& step, int lane) {
  std::int64_t first = lane * kLaneSequences;
  for (std::int64_t g = 0; g < place.at.dp; ++g) first += step.load[static_cast<std::size_t>(g)].sequences;
  return first;
}

}  // namespace

RankStep::RankStep(ProgramBuilder& builder, const RankPlace& place, const Step& step, int lane,
                   std::vector<StepOutput>* outputs)
    : RankPlace(place),
      p(builder),
      rows(place, step.load, first_sequence_of(place, step, lane), 0, step.writes_cache),
      moves(builder, *this, rows),
      noted(outputs) {
  if (!facts.communication_stream) p.serialise_communication();
  input_positions();
}

void RankStep::begin_pass(int pass, std::vector<GroupLoad> loads) {
  const bool others = loads != rows.loads;
  rows = PassRows(*this, std::move(loads), rows.first_sequence, pass, rows.writes_cache);
  moves.begin_pass();
  if (others) input_positions();
}

void RankStep::begin_layer(std::int64_t number) {
  layer = number;
  p.set_layer(static_cast<int>(number));
}

// Where tokens are split the rows of the rank are part of the stream, but attention has the whole of it: names follow
// it.
void RankStep::input_positions() {
  positions =
      p.input(Dtype::kInt32, rows.padded, 1, {.key = "positions"}, p.name_rows(stream_names(at.dp, at.cp, 0, true)));
}

// Parts of a context-parallel prompt lie one after another, in each part sequence after sequence.
std::vector<NamedRows> RankStep::stream_names(std::int64_t dp, std::int64_t cp, std::int64_t later,
                                              bool positions_only) const {
  const GroupLoad& g = rows.loads[static_cast<std::size_t>(dp)];
  std::vector<NamedRows> out;
  if (g.sequences == 0) return out;
  std::int64_t sequence = rows.first_sequence;
  for (std::int64_t i = dp; i < at.dp; ++i) sequence -= rows.loads[static_cast<std::size_t>(i)].sequences;
  for (std::int64_t i = at.dp; i < dp; ++i) sequence += rows.loads[static_cast<std::size_t>(i)].sequences;
  const auto add = [&](std::int64_t first, std::int64_t tokens, std::int64_t stride) {
    if (stride == 1) {
      out.push_back({.first = positions_only ? first : token_name(sequence, first),
                     .rows = static_cast<std::int32_t>(tokens),
                     .repeats = static_cast<std::int32_t>(g.sequences),
                     .stride = positions_only ? 0 : kPositions});
      return;
    }
    for (std::int64_t s = 0; s < g.sequences; ++s)
      out.push_back({.first = positions_only ? first : token_name(sequence + s, first),
                     .rows = 1,
                     .repeats = static_cast<std::int32_t>(tokens),
                     .stride = stride});
  };
  const std::int64_t first = first_position(phase, g) + later;
  if (phase == Phase::kDecode) {
    add(first, g.new_tokens, 1);
    return out;
  }
  const PromptSplit cut = prompt_split(l.cp_partition, g.new_tokens, l.cp);
  for (std::int64_t part = 0; part < cut.parts; ++part) add(first + cut.first(cp, part), cut.chunk, cut.stride);
  return out;
}

Value RankStep::ids() {
  return p.input(Dtype::kInt32, rows.padded, 1, {.key = "token_ids"},
                 p.name_rows(stream_names(at.dp, at.cp, rows.pass > 0 ? 1 : 0, false)));
}

Value RankStep::handed_on() {
  std::vector<NamedRows> own;
  // Rows of this rank's share; what lies beyond the real ones is padding.
  const std::int64_t first = scattered() ? at.tp * rows.scattered : 0, end = first + stream_rows();
  std::int64_t row = 0;
  for (const NamedRows& n : stream_names(at.dp, at.cp, 0, false))
    for (std::int32_t repeat = 0; repeat < n.repeats; ++repeat, row += n.rows) {
      const std::int64_t from = std::max(first, row), to = std::min<std::int64_t>(end, row + n.rows);
      if (from < to)
        own.push_back(
            {.first = n.first + repeat * n.stride + from - row, .rows = static_cast<std::int32_t>(to - from)});
    }
  if (own.empty()) own.push_back({.first = Program::kPaddingRow, .repeats = static_cast<std::int32_t>(stream_rows())});
  return p.input(d.dtype, stream_rows(), m.hidden, {.key = "handed_on"}, p.name_rows(own));
}

std::vector<std::int64_t> RankStep::names_of_stream(std::int64_t dp, std::int64_t cp) const {
  std::vector<std::int64_t> out;
  for (const NamedRows& n : stream_names(dp, cp, 0, false))
    for (std::int32_t repeat = 0; repeat < n.repeats; ++repeat)
      for (std::int32_t r = 0; r < n.rows; ++r) out.push_back(n.first + repeat * n.stride + r);
  out.resize(static_cast<std::size_t>(rows.padded), Program::kPaddingRow);
  return out;
}

std::vector<std::int64_t> RankStep::names_of_group() const {
  std::vector<std::int64_t> out;
  for (std::int64_t c = 0; c < l.cp; ++c) {
    const std::vector<std::int64_t> stream = names_of_stream(at.dp, c);
    out.insert(out.end(), stream.begin(), stream.end());
  }
  return out;
}

std::vector<std::int64_t> RankStep::names_of_world() const {
  std::vector<std::int64_t> out;
  for (std::int64_t g = 0; g < l.dp; ++g)
    for (std::int64_t c = 0; c < l.cp; ++c) {
      const std::vector<std::int64_t> stream = names_of_stream(g, c);
      out.insert(out.end(), stream.begin(), stream.end());
    }
  return out;
}

void RankStep::output(StepOutput::What what, Value value, std::vector<std::int64_t> names) const {
  check(static_cast<std::int64_t>(names.size()) == value.rows, "every row of an output has a name");
  noted->push_back(
      {what, rows.pass,
       static_cast<std::int32_t>(what == StepOutput::What::kExperts || what == StepOutput::What::kKeys ? layer : -1),
       value, std::move(names)});
}

TensorSlice RankStep::Cut::of(const char* key, std::int64_t inputs, std::int64_t outputs) const {
  const std::int64_t in = ceil_div(inputs, row_parts), out = ceil_div(outputs, column_parts);
  const std::int64_t column = (gate_and_up ? out / 2 : out) * column_part;
  return {.key = key,
          .row = static_cast<std::int32_t>(in * row_part),
          .column = static_cast<std::int32_t>(column),
          .second_column = static_cast<std::int32_t>(gate_and_up ? outputs / 2 + column : 0),
          .fan_in = static_cast<std::int32_t>(inputs)};
}

Value RankStep::weight(Module module, const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = d.quantisation.of(module);
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  TensorSlice slice = cut.of(key, inputs, outputs);
  slice.extra = precision.scale_per_channel * out;
  return p.weight(precision.weight, in, out, slice);
}

Value RankStep::expert_weight(const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = routed_precision();
  const std::int64_t experts = d.experts_per_rank();
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  TensorSlice slice = cut.of(key, inputs, outputs);
  slice.first_expert = static_cast<std::int32_t>(experts * (at.moe_ep - d.experts.shared_ranks));
  slice.experts = static_cast<std::int32_t>(experts);
  slice.extra = precision.scale_per_channel * (out * experts);
  return p.weight(precision.weight, in, out, slice);
}

const Precision& RankStep::routed_precision() const {
  // The MTP layer's experts stay int8 where the main model's are int4 (msmodelslim mtp_quant_module.py).
  const bool stays_int8 = drafting() && d.quantisation.of(Module::kRoutedExpert).weight == Dtype::kInt4;
  return d.quantisation.of(stays_int8 ? Module::kSharedExpert : Module::kRoutedExpert);
}

Value RankStep::prepared(Module module, const char* label, Value x) {
  const ActivationQuant scheme = d.quantisation.of(module).activation;
  if (scheme == ActivationQuant::kNone || x.dtype == Dtype::kInt8) return x;
  return quantise(p, label, x,
                  scheme == ActivationQuant::kStatic ? QuantisationScale::kStatic : QuantisationScale::kPerToken);
}

Dtype RankStep::norm_output(Module module) const {
  return d.quantisation.of(module).activation == ActivationQuant::kStatic ? Dtype::kInt8 : d.dtype;
}

}  // namespace ascendsim
