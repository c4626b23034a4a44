#include "strategies/reference/layer_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>

#include "sim/calculator.h"
#include "strategies/prediction/pipeline.h"
#include "strategies/programs/placement.h"

namespace ascendsim {

namespace {

constexpr double kOutOfTolerance = std::numeric_limits<double>::infinity();

struct BuiltRanks {
  std::vector<Program> programs;
  std::vector<std::vector<StepOutput>> outputs;
};

BuiltRanks build(const Deployment& d, const Step& step, const KernelFacts& facts) {
  BuiltRanks out;
  for (std::int64_t r = 0; r < d.layout.world(); ++r) {
    out.outputs.emplace_back();
    out.programs.push_back(build_program(d, step, facts, r, &out.outputs.back()));
  }
  return out;
}

Value whole(const Program& p, std::size_t buffer) {
  const Buffer& b = p.buffers[buffer];
  return {.buffer = static_cast<std::uint32_t>(buffer),
          .rows = static_cast<std::int32_t>(b.rows),
          .columns = b.columns,
          .dtype = b.dtype};
}

template <class Scalar>
void hand_out_tokens(const Program& p, std::int64_t vocabulary, Tensors<Scalar>& t) {
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].kind != BufferKind::kInput || std::string_view(p.slices[p.buffers[b].slice].key) != "token_ids")
      continue;
    auto ids = t[whole(p, b)];
    const std::vector<std::int64_t> names = p.row_names(p.buffers[b]);
    for (std::size_t r = 0; r < names.size(); ++r)
      ids(static_cast<Eigen::Index>(r), 0) =
          static_cast<Scalar>(names[r] == Program::kPaddingRow ? 0 : token_id(names[r], vocabulary));
  }
}

// Between two stages of a pipeline: what a rank has handed on becomes what the same rank of the next stage begins with.
// Where it begins with whole rows each of `sources`, its TP group in the stage before, has sent its part of their
// elements. Returns the bytes that came.
template <class Scalar>
std::int64_t hand_on(const BuiltRanks& before, Calculator<Scalar>& calculator, std::span<const std::size_t> sources,
                     const Program& p, Tensors<Scalar>& to) {
  struct Source {
    std::map<std::int64_t, std::pair<const StepOutput*, Eigen::Index>> rows;
    Tensors<Scalar>* tensors;
  };
  std::vector<Source> from;
  for (const std::size_t rank : sources) {
    Source& s = from.emplace_back();
    s.tensors = &calculator.rank(rank);
    for (const StepOutput& o : before.outputs[rank])
      if (o.what == StepOutput::What::kHandedOn)
        for (std::size_t r = 0; r < o.rows.size(); ++r)
          s.rows.emplace(o.rows[r], std::pair(&o, static_cast<Eigen::Index>(r)));
  }
  std::int64_t bytes = 0;
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].kind != BufferKind::kInput || std::string_view(p.slices[p.buffers[b].slice].key) != "handed_on")
      continue;
    auto taken = to[whole(p, b)];
    const std::vector<std::int64_t> names = p.row_names(p.buffers[b]);
    const auto columns = static_cast<std::size_t>(taken.cols()), elements = names.size() * columns;
    check(elements % from.size() == 0, "every rank of a TP group sends as many elements");
    for (std::size_t i = 0; i < elements; ++i, bytes += bits(p.buffers[b].dtype)) {
      const std::size_t r = i / columns;
      const auto column = static_cast<Eigen::Index>(i % columns);
      Scalar& element = taken(static_cast<Eigen::Index>(r), column);
      if (names[r] == Program::kPaddingRow) {
        element = 0;
        continue;
      }
      const Source& source = from[i / (elements / from.size())];
      const auto& [output, row] = source.rows.at(names[r]);
      element = (*source.tensors)[output->value](row, column);
    }
  }
  return bytes / 8;
}

// Largest difference, and what it is measured by.
struct Measure {
  double worst = 0, squares = 0;
  std::int64_t elements = 0;
  template <class Got>
  void compare(const Got& got, const DenseMatrix& expected) {
    for (Eigen::Index c = 0; c < expected.cols(); ++c) {
      const double difference = static_cast<double>(got(0, c)) - expected(0, c);
      worst = std::max(worst, std::isnan(difference) ? kOutOfTolerance : std::abs(difference));
      squares += expected(0, c) * expected(0, c);
    }
    elements += expected.cols();
  }
  [[nodiscard]] double relative() const {
    return worst == 0 ? 0 : worst / std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(1, elements)));
  }
};

class Comparison {
 public:
  Comparison(const Deployment& d, const DenseStep& dense) : d_(d), dense_(dense) {}

  template <class Scalar>
  LayerError rank(const Program& program, const std::vector<StepOutput>& outputs, Tensors<Scalar>& t) {
    Measure hidden, logits, cache;
    for (const StepOutput& o : outputs) {
      if (o.what == StepOutput::What::kExperts || o.what == StepOutput::What::kKeys ||
          o.what == StepOutput::What::kHandedOn)
        continue;
      const auto pass = static_cast<std::size_t>(o.pass);
      const auto& expected = o.what == StepOutput::What::kHidden ? dense_.hidden[pass] : dense_.logits[pass];
      const auto got = t[o.value];
      for (std::size_t r = 0; r < o.rows.size(); ++r) {
        const auto known = expected.find(o.rows[r]);  // tokens beyond the end of a prompt are padding too
        if (known == expected.end()) continue;
        const auto row = got.row(static_cast<Eigen::Index>(r));
        ++rows;
        if (o.what == StepOutput::What::kHidden) hidden.compare(row, known->second);
        if (o.what == StepOutput::What::kLogits) logits.compare(row, known->second);
        if (o.what == StepOutput::What::kSampled) {
          // The largest logit, or one that the error makes as large.
          const auto id = static_cast<Eigen::Index>(row(0));
          const double short_of = known->second.maxCoeff() - known->second(0, id);
          logits.worst = std::max(logits.worst, short_of / 2);
        }
      }
    }
    for (std::size_t b = 0; b < program.buffers.size(); ++b) {
      if (program.buffers[b].kind != BufferKind::kState) continue;
      const TensorSlice& slice = program.slices[program.buffers[b].slice];
      const bool index_keys = std::string_view(slice.key) == "index_cache";
      const auto& expected = index_keys ? dense_.index_cache : dense_.cache;
      const std::vector<std::int64_t> names = program.row_names(program.buffers[b]);
      const auto got = t[whole(program, b).column_slice(0, index_keys ? d_.model.index_width : d_.model.cache_width())];
      for (std::size_t r = 0; r < names.size(); ++r) {
        const auto known = expected.find({slice.layer, names[r]});
        check(known != expected.end(), "a cache holds a token that the reference does not know");
        cache.compare(got.row(static_cast<Eigen::Index>(r)), known->second);
        ++rows;
      }
    }
    return {hidden.worst, logits.worst, cache.worst,
            std::max({hidden.relative(), logits.relative(), cache.relative()})};
  }

  std::int64_t rows = 0;

 private:
  const Deployment& d_;
  const DenseStep& dense_;
};

void raise(LayerError& all, const LayerError& one) {
  all.hidden = std::max(all.hidden, one.hidden);
  all.logits = std::max(all.logits, one.logits);
  all.cache = std::max(all.cache, one.cache);
  all.relative = std::max(all.relative, one.relative);
}

void add_charges(const Program& program, LayerReport& report) {
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    const OperatorType& type = *v.op().type;
    if (type.primitive == Primitive::kNone) {
      const bool routed = std::string_view(type.name) == "grouped_linear";
      (routed ? report.routed_flops_charged : report.flops_charged) += type.work(v).matrix.count();
      if (routed) ++report.routed_roundings;
    } else {
      const std::int64_t bytes = bytes_sent(type.primitive, v.params<CollectiveParams>()).count();
      (type.compute.in_double != nullptr ? report.routed_bytes_charged : report.bytes_charged) += bytes;
      if (type.compute.in_double != nullptr)
        report.routed_buffers_charged += v.params<CollectiveParams>().bytes.count();
    }
  }
}

template <class Scalar>
void add_choices(const BuiltRanks& ranks, Calculator<Scalar>& calculator, Choices& chosen) {
  for (std::size_t r = 0; r < ranks.programs.size(); ++r)
    for (const StepOutput& o : ranks.outputs[r]) {
      if (o.what != StepOutput::What::kExperts && o.what != StepOutput::What::kKeys) continue;
      Chosen& all = o.what == StepOutput::What::kExperts ? chosen.experts : chosen.keys;
      const auto picked = calculator.rank(r)[o.value];
      for (Eigen::Index row = 0; row < picked.rows(); ++row) {
        std::vector<std::int32_t>& known = all[{o.pass, o.layer, o.rows[static_cast<std::size_t>(row)]}];
        if (!known.empty()) continue;  // another rank's copy of the same token
        for (Eigen::Index i = 0; i < picked.cols() && picked(row, i) >= 0; ++i)
          known.push_back(static_cast<std::int32_t>(picked(row, i)));
      }
    }
}

// Operators with rounded results that a token passes through one after another; columns of the rows that are quantised.
struct Depth {
  double rounded = 0, quantised_columns = 0;
};
void add_depth(const Program& p, Depth& depth) {
  for (const Operator& op : p.operators) {
    if (op.inputs + op.outputs == 0) continue;
    ++depth.rounded;
    const OperatorView v(p, op);
    if (v.out().dtype == Dtype::kInt8 && op.inputs > 0 && v.in(0).dtype != Dtype::kInt8)
      depth.quantised_columns += v.out().columns;
    if (std::string_view(op.type->name) == "mla_prolog" && v.in(1).dtype == Dtype::kInt8)
      depth.quantised_columns += v.in(1).rows + v.in(4).rows;  // what it quantises inside
  }
}

// Errors of rounding are independent, so they add as squares. One rounding to t bits errs by 2^-t / sqrt(3) of the
// value, root mean square. Quantising to 127 steps of the largest element errs by 1 / (127 sqrt(12)) of that, and the
// largest of n elements is at most sqrt(n) times their root mean square. All operators of a program count, as if a
// token went through them one after another; twice, since products (queries by keys, gate by up) carry the errors of
// both factors. The largest of some ten thousand elements lies within 5 deviations.
double derived_tolerance(const Depth& depth, LayerType type, Dtype float_type) {
  if (type == LayerType::kFp64) return 1e-12;
  const bool bf16 = type == LayerType::kBf16 || (type == LayerType::kDeployed && float_type == Dtype::kBf16);
  const double rounding = std::ldexp(1.0, bf16 ? -8 : -11) / std::sqrt(3.0);
  const double step = type == LayerType::kDeployed ? 1 / (127 * std::sqrt(12.0)) : 0;
  return 5 * std::sqrt(2 * (depth.rounded * rounding * rounding + depth.quantised_columns * step * step));
}

// The ranks of every stage, one stage after another. calibrations: one a stage; filled when `calibrate`, used
// otherwise.
template <class Scalar>
std::vector<std::unique_ptr<Calculator<Scalar>>> run_stages(const Deployment& d, const std::vector<BuiltRanks>& stages,
                                                            NumberFormats formats,
                                                            std::vector<Calibration>* calibrations, bool scattered,
                                                            std::int64_t* handed_on = nullptr) {
  std::vector<std::unique_ptr<Calculator<Scalar>>> out;
  Layout layout = d.layout;
  layout.pp = 1;
  const std::vector<GroupKind> groups = rank_groups(layout);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    std::vector<const Program*> programs;
    for (const Program& p : stages[s].programs) programs.push_back(&p);
    out.push_back(std::make_unique<Calculator<Scalar>>(programs, groups, formats,
                                                       calibrations == nullptr ? nullptr : &(*calibrations)[s]));
    for (std::size_t r = 0; r < programs.size(); ++r) {
      hand_out_tokens(*programs[r], d.model.vocabulary, out[s]->rank(r));
      if (s == 0) continue;
      std::vector<std::size_t> sources(static_cast<std::size_t>(scattered ? 1 : layout.tp));
      std::iota(sources.begin(), sources.end(), r / sources.size() * sources.size());
      const std::int64_t bytes = hand_on(stages[s - 1], *out[s - 1], sources, *programs[r], out[s]->rank(r));
      if (handed_on != nullptr) *handed_on += bytes;
    }
    out[s]->run();
  }
  return out;
}

template <class Scalar>
LayerReport calculate(const Deployment& d, const Step& step, const std::vector<BuiltRanks>& stages, LayerType type) {
  const bool rounds = type != LayerType::kFp64, deployed = type == LayerType::kDeployed;
  const bool scattered = scatters_rows(d, step.phase);
  std::vector<Calibration> calibrations(stages.size());
  if (deployed) {
    run_stages<Scalar>(d, stages, {.round_inputs = true}, &calibrations, scattered);
    for (Calibration& c : calibrations) c.use();
  }
  LayerReport report;
  const auto calculators = run_stages<Scalar>(d, stages, {.round_inputs = rounds, .round_results = rounds},
                                              deployed ? &calibrations : nullptr, scattered, &report.handed_on_moved);
  const std::vector<Deployment> parts = stages_of(d);
  for (std::size_t s = 1; s < parts.size(); ++s)
    report.handed_on_charged += hand_over(parts[s - 1], step).received(d.layout.tp).count() * parts[s].layout.world();
  Depth depth;
  Choices chosen;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    add_depth(stages[s].programs[0], depth);
    add_choices(stages[s], *calculators[s], chosen);
  }
  report.tolerance = derived_tolerance(depth, type, d.dtype);
  // Scores are sigmoids of products whose relative error is within the tolerance: their slope is at most 1/4. A gap of
  // groups is made of four scores.
  report.flip_margin = rounds ? 4 * report.tolerance / 4 : 0;
  // Scores of keys are products of three factors, weight, query and key, each with errors within the tolerance; a gap
  // is made of two.
  report.key_flip_margin = rounds ? std::sqrt(2 * 3) * report.tolerance : 0;
  const DenseStep dense = dense_step(d, step, rounds, rounds ? &chosen : nullptr, report.flips);
  Comparison comparison(d, dense);
  Ledger ledger;
  for (std::size_t s = 0; s < stages.size(); ++s)
    for (std::size_t r = 0; r < stages[s].programs.size(); ++r) {
      report.ranks.push_back(comparison.rank(stages[s].programs[r], stages[s].outputs[r], calculators[s]->rank(r)));
      raise(report.error, report.ranks.back());
      ledger += calculators[s]->rank(r).ledger();
      add_charges(stages[s].programs[r], report);
    }
  report.rows_compared = comparison.rows;
  report.flops_performed = ledger.useful_flops() - ledger.routed_flops;
  report.flops_masked = ledger.masked_flops;
  report.routed_flops_performed = ledger.routed_flops;
  report.bytes_moved = ledger.bytes_sent - ledger.routed_bytes;
  report.routed_bytes_moved = ledger.routed_bytes;
  report.routed_buffers_filled = ledger.routed_buffers;
  return report;
}

std::int64_t least_multiple(std::int64_t at_least, std::int64_t of) { return round_up(std::max(at_least, of), of); }

}  // namespace

bool LayerReport::close() const {
  const bool numbers = tolerance <= 1e-12 ? std::max({error.hidden, error.logits, error.cache}) <= tolerance
                                          : error.relative <= tolerance;
  return numbers && rows_compared > 0 && std::ranges::all_of(flips, [&](const Flip& f) {
           return f.margin <= (f.of == Flip::Of::kKeys ? key_flip_margin : flip_margin);
         });
}

bool LayerReport::ledger_agrees() const {
  const std::int64_t lost = routed_flops_performed - routed_flops_charged;
  // Rows that are scattered over a TP group may leave its last ranks less than the others.
  const bool buffers = routed_buffers_filled <= routed_buffers_charged;
  return flops_performed == flops_charged && bytes_moved == bytes_charged && handed_on_moved == handed_on_charged &&
         buffers && lost >= 0 && lost <= routed_roundings;
}

std::string_view to_text(LayerType type) {
  switch (type) {
    case LayerType::kFp64:
      return "fp64";
    case LayerType::kFp16:
      return "fp16";
    case LayerType::kBf16:
      return "bf16";
    case LayerType::kDeployed:
      return "deployed";
  }
  return "?";
}

Deployment tiny_deployment(const Deployment& deployment, std::vector<std::string>& rules) {
  Deployment d = deployment;
  Model& m = d.model;
  const Layout& l = d.layout;
  const std::int64_t world = l.world();
  m.layers = std::max<std::int64_t>(3, l.pp);
  m.dense_layers = std::min<std::int64_t>(m.dense_layers, 1);
  rules.push_back(fmt::format("{} layers, {} of them dense", m.layers, m.dense_layers));
  m.heads = least_multiple(2, std::lcm(2 * l.tp, l.o_proj_parts()));
  m.nope = m.value = 16;
  m.rope = 8;
  m.q_rank = m.kv_rank = 32;
  m.hidden = least_multiple(64, l.tp);
  if (m.sparse()) {
    m.index_heads = 4;
    m.index_width = 16;
    m.index_top_k = 4;  // so that short prompts have more keys than are chosen
    rules.push_back(
        fmt::format("an indexer of {} heads of {} that chooses {} keys", m.index_heads, m.index_width, m.index_top_k));
  }
  rules.push_back(fmt::format("hidden {}, {} heads (two a tp rank) of {} + {} / {}, ranks of q and kv {}", m.hidden,
                              m.heads, m.nope, m.rope, m.value, m.kv_rank));
  m.dense_width = least_multiple(32, std::lcm(l.tp, l.mlp_parts()));
  m.expert_width = least_multiple(16, world);
  d.experts.redundant = 0;
  m.expert_groups = deployment.model.expert_groups;
  m.kept_groups = deployment.model.kept_groups;
  m.experts = least_multiple(2 * m.expert_groups, std::lcm(m.expert_groups, l.moe_ep));
  m.top_k = std::min(m.top_k, m.kept_groups * (m.experts / m.expert_groups) / 2);
  m.top_k = std::max<std::int64_t>(m.top_k, 1);
  rules.push_back(
      fmt::format("{} experts of width {} in {} groups, {} a token of {} groups, no replicas; dense width {}",
                  m.experts, m.expert_width, m.expert_groups, m.top_k, m.kept_groups, m.dense_width));
  m.vocabulary = least_multiple(32, std::lcm(world, std::lcm(l.lm_head_parts(), l.embedding_parts())));
  d.limits.block_tokens = 2;  // so that short sequences reach every KV shard
  const bool in_turns = d.limits.kv_interleave > 0,
             whole_blocks = d.limits.kv_interleave == deployment.limits.block_tokens;
  if (in_turns) d.limits.kv_interleave = whole_blocks ? d.limits.block_tokens : 1;
  rules.push_back(fmt::format("vocabulary {}, blocks of {} tokens{}", m.vocabulary, d.limits.block_tokens,
                              in_turns ? fmt::format(", cached in turns of {}", d.limits.kv_interleave) : ""));
  d.limits.max_seq_len = d.limits.max_batch = 1;  // so that a cached prefix does not fit into one workspace of vLLM
  return d;
}

Step tiny_step(const Deployment& d, Phase phase, std::int64_t tokens, std::uint64_t seed, bool history) {
  const Layout& l = d.layout;
  const std::int64_t shortest = tokens > 0 ? tokens : std::max(2 * l.cp + 1, ceil_div(2 * l.world(), l.dp)) + 1;
  Step step{phase, {}};
  for (std::int64_t g = 0; g < l.dp; ++g) {
    const TensorSlice name{.key = "lengths", .layer = static_cast<std::int32_t>(seed % 65'536)};
    const double drawn = (hashed_element(name, BufferKind::kInput, g, 0, 0) / std::sqrt(3.0) + 1) / 2;  // in [0, 1)
    const std::int64_t prompt = shortest + static_cast<std::int64_t>(drawn * 5);
    GroupLoad load{.sequences = 2 + g % 2, .prompt = prompt};
    if (phase == Phase::kPrefill) {
      load.history = history ? prompt / 2 : 0;
      load.new_tokens = prompt - load.history;
      load.context = prompt;
    } else {
      load.new_tokens = 1 + d.features.speculative_tokens;
      load.context = prompt + d.limits.block_tokens + 1 + load.new_tokens;
    }
    if (l.dp >= 3 && g + 1 == l.dp) load = {};
    step.load.push_back(load);
  }
  return step;
}

LayerReport check_layers(const Deployment& tiny, const Step& step, const KernelFacts& facts, LayerType type,
                         const LayerMutation& mutate) {
  Deployment d = tiny;
  const Dtype wanted = type == LayerType::kFp16 ? Dtype::kFp16 : type == LayerType::kBf16 ? Dtype::kBf16 : d.dtype;
  for (Precision& p : d.quantisation.modules)
    if (p.weight == Dtype::kFp16 || p.weight == Dtype::kBf16) p.weight = wanted;
  d.dtype = wanted;
  std::vector<BuiltRanks> stages;
  for (const Deployment& stage : stages_of(d)) {
    stages.push_back(build(stage, step, facts));
    if (mutate) mutate(stages.back().programs);
  }
  return type == LayerType::kFp64 ? calculate<double>(d, step, stages, type) : calculate<float>(d, step, stages, type);
}

std::int64_t memory_estimate(const Deployment& tiny, const Step& step, const KernelFacts& facts) {
  const Program p = build_program(stages_of(tiny).back(), step, facts, 0);
  std::int64_t elements = 0;
  for (const Buffer& b : p.buffers) elements += std::max(b.rows, b.capacity) * b.columns;
  // The reference holds every weight once: no more than all ranks together.
  return 8 * elements * (tiny.layout.world() + 1);
}

}  // namespace ascendsim
