// Kernels of cases: the operators that programs are made of, built one by one and priced on one die.
#include "workloads/kernels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "reports/validation/evaluate.h"
#include "workloads/operators/attention.h"
#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/routing.h"
#include "workloads/operators/sparse_attention.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kLatent = 512, kRope = 64, kHidden = 7168, kExperts = 256, kTopK = 8;  // DeepSeek-V3
constexpr const char* kUsualKernels = "dav-c220";

Dtype type_of(Parameters& in) {
  const std::string word = in.word("type", "bf16");
  constexpr std::array<std::pair<std::string_view, Dtype>, 4> kTypes = {
      {{"bf16", Dtype::kBf16}, {"fp16", Dtype::kFp16}, {"int8", Dtype::kInt8}, {"fp32", Dtype::kFp32}}};
  for (const auto& [name, type] : kTypes)
    if (name == word) return type;
  in.error(fmt::format("unknown type '{}'", word), "bf16, fp16, int8 or fp32");
  return Dtype::kBf16;
}

// dynamic_quantisation yes: the kernel that quantises the 16-bit input is part of what was timed.
bool quantises(Parameters& in) { return in.word("dynamic_quantisation", "no") == "yes"; }

Value linear_input(ProgramBuilder& p, Parameters& in, Dtype type, std::int64_t m, std::int64_t k) {
  if (type != Dtype::kInt8 || !quantises(in)) return p.input(type, m, k);
  return quantise(p, "quantise", p.input(Dtype::kBf16, m, k), QuantisationScale::kPerToken);
}

void build_linear(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const Dtype type = type_of(in);
  const std::int64_t m = in.count("m"), n = in.count("n"), k = in.count("k");
  const Value x = linear_input(p, in, type, m, k);
  linear(p, "linear", x, p.weight(type, k, n, {.key = "w"}), type == Dtype::kFp32 ? Dtype::kFp32 : Dtype::kBf16);
}

Value grouped(ProgramBuilder& p, const char* label, Value x, std::int64_t n, Dtype type, const RoutedRows& rows) {
  const Value w = p.weight(type, x.columns, n, {.key = "w", .experts = static_cast<std::int32_t>(rows.local_experts)});
  return grouped_linear(p, label, x, w, rows, x.rows, Dtype::kBf16);
}

void build_grouped_linear(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const Dtype type = type_of(in);
  const std::int64_t groups = in.count("groups"), m = in.count("m"), n = in.count("n"), k = in.count("k");
  const RoutedRows rows{groups * m, 1, static_cast<std::int32_t>(groups), groups};
  grouped(p, "grouped_linear", p.input(type, groups * m, k), n, type, rows);
}

// The experts of one rank as the benchmark runs them: both grouped products and the activation, then results put
// between the zero rows of what other ranks' experts would have, and the weighted sum of all tokens' copies
// (hudingyi688/aiconfigurator-npu, collector/npu/moe_factory.py).
void build_expert_mlp(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const Dtype type = type_of(in);
  const std::int64_t tokens = in.count("tokens"), local = in.count("local_experts");
  const std::int64_t width = in.count("width", 2048), hidden = in.count("hidden", kHidden);
  const RoutedRows rows{tokens, kTopK, kExperts, local};
  Value own = p.input(Dtype::kBf16, rows.expected(), hidden);
  if (quantises(in)) own = copy_rows(p, "clone", own, own.rows);
  const Value x =
      quantises(in) ? quantise(p, "quantise", own, QuantisationScale::kPerToken) : p.input(type, own.rows, hidden);
  const Value up = grouped(p, "gate_up", x, 2 * width, type, rows);
  const Value down = grouped(p, "down", swiglu(p, "swiglu", up, type), hidden, type, rows);
  copy_rows(p, "zero_fill", p.input(Dtype::kBf16, 1, hidden), tokens * kTopK);
  copy_rows(p, "put_in_place", down, down.rows);
  const Routing routing{p.input(Dtype::kInt32, tokens, kTopK), p.input(Dtype::kFp32, tokens, kTopK)};
  const Value copies = p.input(Dtype::kBf16, tokens * kTopK, hidden);
  sum_up(p, "sum_up", copies, routing, tokens, tokens, Dtype::kBf16);
}

void build_attention(ProgramBuilder& p, Parameters& in, const KernelFacts& facts) {
  const std::int64_t tokens = in.count("tokens"), heads = in.count("heads");
  const std::int64_t key_width = in.count("key_width", 192), value_width = in.count("value_width", 128);
  PrefillCore core{.heads = static_cast<std::int32_t>(heads),
                   .key_width = static_cast<std::int32_t>(key_width),
                   .value_width = static_cast<std::int32_t>(value_width),
                   .tile = facts.attention_tile,
                   .softmax_ops_per_score = facts.softmax_ops_per_score,
                   .softmax_ops_per_row = facts.softmax_ops_per_row};
  const auto rows = static_cast<std::int32_t>(tokens);
  const AttentionBlock block{.q_rows = rows, .k_rows = rows, .causal = 1};
  attend(p, "attention", core, {&block, 1}, p.input(Dtype::kBf16, tokens, heads * key_width),
         p.input(Dtype::kBf16, tokens, heads * key_width), p.input(Dtype::kBf16, tokens, heads * value_width),
         p.activation(Dtype::kBf16, tokens, heads * value_width), p.activation(Dtype::kFp32, tokens, heads));
}

void build_mla_decode(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const std::int64_t sequences = in.count("sequences"), rows = in.count("rows", 1), context = in.count("context");
  const std::int64_t heads = in.count("heads", 128);
  const Value cache = p.state(Dtype::kBf16, sequences * context, kLatent + kRope, {.key = "cache"});
  attend_absorbed(p, "mla_decode",
                  {.heads = heads,
                   .key_width = kLatent + kRope,
                   .latent_width = kLatent,
                   .context = sequences * rows * context,
                   .cache_rows = sequences * context},
                  p.input(Dtype::kBf16, sequences * rows, heads * (kLatent + kRope)), cache, Dtype::kFp32);
}

// Rows of a sequence are its last tokens, each seeing the keys up to its own.
void build_lightning_indexer(ProgramBuilder& p, Parameters& in, const KernelFacts& facts) {
  const std::int64_t sequences = in.count("sequences"), rows = in.count("rows", 1), context = in.count("context");
  const std::int64_t heads = in.count("heads", 64), width = in.count("width", 128);
  const AttentionBlock block{.q_rows = static_cast<std::int32_t>(rows),
                             .k_rows = static_cast<std::int32_t>(context),
                             .causal = 1,
                             .shift = static_cast<std::int32_t>(context - rows)};
  const IndexerCore core{.sequences = {.repeats = static_cast<std::int32_t>(sequences),
                                       .q_stride = block.q_rows,
                                       .top_k = static_cast<std::int32_t>(in.count("top_k", 2048)),
                                       .k_stride = context,
                                       .key_rows = sequences * context},
                         .heads = static_cast<std::int32_t>(heads),
                         .width = static_cast<std::int32_t>(width),
                         .key_tile = facts.indexer_key_tile,
                         .cube_rows = facts.cube_rows,
                         .top_k_ops_per_key = facts.top_k_ops_per_key,
                         .top_k_ops_per_choice = facts.top_k_ops_per_choice};
  lightning_indexer(p, "lightning_indexer", core, {&block, 1}, p.input(Dtype::kBf16, sequences * rows, heads * width),
                    p.state(Dtype::kBf16, sequences * context, width, {.key = "cache"}),
                    p.input(Dtype::kBf16, sequences * rows, heads));
}

void build_vector(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const std::string name = in.word("name");
  const std::int64_t m = in.count("m"), n = in.count("n", kHidden);
  const Value x = p.input(Dtype::kBf16, m, n);
  const auto norm = [&] { return p.weight(Dtype::kBf16, 1, n, {.key = "norm"}); };
  if (name == "rms_norm")
    rms_norm(p, "rms_norm", x, norm(), Dtype::kBf16);
  else if (name == "add_rms_norm")
    add_rms_norm(p, "add_rms_norm", x, p.activation(Dtype::kBf16, m, n), norm(), Dtype::kBf16);
  else if (name == "quantise")
    quantise(p, "quantise", x, QuantisationScale::kPerToken);
  else if (name == "swiglu")
    swiglu(p, "swiglu", x, Dtype::kBf16);
  else if (name == "cast")
    cast(p, "cast", x, Dtype::kFp32);
  else if (name == "add")
    add(p, "add", p.activation(Dtype::kBf16, m, n), x);
  else if (name == "rope")
    rope(p, "rope", p.activation(Dtype::kBf16, m, n), p.input(Dtype::kInt32, m, 1), 1, static_cast<int>(n));
  else if (name == "copy")
    copy_rows(p, "copy", x, m);
  else if (name == "kv_norm_rope_cache")
    kv_norm_rope_cache(p, "kv_norm_rope_cache", x, norm(), p.input(Dtype::kInt32, m, 1),
                       p.state(Dtype::kBf16, m, n, {.key = "cache"}), {.rows = m});
  else if (name == "top_k")
    grouped_top_k(p, "top_k", p.input(Dtype::kFp32, m, n), p.input(Dtype::kFp32, 1, n),
                  {.top_k = kTopK, .groups = 1, .kept_groups = 1});
  else
    in.error(fmt::format("unknown vector kernel '{}'", name),
             "rms_norm, add_rms_norm, quantise, swiglu, cast, add, copy, rope, kv_norm_rope_cache or top_k");
}

struct KernelKind {
  std::string_view name;
  void (*build)(ProgramBuilder&, Parameters&, const KernelFacts&);
};
constexpr std::array<KernelKind, 7> kKinds = {{{"linear", build_linear},
                                               {"grouped_linear", build_grouped_linear},
                                               {"expert_mlp", build_expert_mlp},
                                               {"attention", build_attention},
                                               {"mla_decode", build_mla_decode},
                                               {"lightning_indexer", build_lightning_indexer},
                                               {"vector", build_vector}}};

struct KernelSum {
  Duration time{}, longest{};
  Flops flops{};
  Bytes bytes{};
  std::string family;
};

KernelSum price_all(const Program& program, const KernelCost& cost, Table& table, std::vector<Term>& terms) {
  KernelSum sum;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    const Work work = v.op().type->work(v);
    const KernelTime time = cost.price(work);
    const std::string_view family = kKernelNames[work.family];
    sum.time += time.total;
    terms.push_back({fmt::format("{} ({}, {})", v.op().label, family, to_text(time.bound)), time.total});
    sum.flops += work.matrix;
    sum.bytes += work.read + work.written;
    if (time.total > sum.longest) sum.longest = time.total, sum.family = family;
    table.rows.push_back({v.op().label, family, milliseconds_cell(time.total), flops_cell(work.matrix),
                          bytes_cell(work.read + work.written), to_text(time.bound)});
  }
  return sum;
}

// A kernel that a benchmark runs alone starts its vector cores faster than one in a running network.
KernelTable alone(KernelTable table) {
  const Ratio share = table.shared.ratio("vector_start_alone");
  for (KernelFamily& f : table.families)
    if (f.l2_efficiency.value > Ratio{})
      f.core_start.value = duration_from_seconds(seconds(f.core_start.value) * share.count());
  return table;
}

// Bars are for families of kernels; all that run on vector cores are one.
std::string bar_family(std::string_view kernel, const KernelTable& table) {
  const bool by_rows = table.family(kernel).l2_efficiency.value > Ratio{};
  return by_rows ? "vector" : std::string(kernel);
}

Table operators_table() {
  return {"Operators",
          "operators",
          Table::Shape::kGrid,
          {{"operator", "operator"},
           {"family", "family"},
           {"ms", "time_ms", true},
           {"FLOP", "flop", true},
           {"bytes", "bytes", true},
           {"limit", "limit"}},
          {}};
}

double in_metric(const Metric& metric, const KernelSum& sum) {
  if (metric.unit == Unit::kFlopRate) return static_cast<double>(sum.flops.count()) / seconds(sum.time);
  if (metric.unit == Unit::kByteRate) return static_cast<double>(sum.bytes.count()) / seconds(sum.time);
  return seconds(sum.time);
}

}  // namespace

std::optional<Outcome> evaluate_kernel(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics found;
  Parameters in(c, found);
  const std::string kind = in.word("operator"), die_name = in.word("die");
  Diagnostics said;  // that it is missing
  const Die die = libraries.catalogue.die(die_name, die_name.empty() ? said : found);
  // Kernel efficiencies are those of the cores; every stack so far has the same table.
  const std::string stack_name = c.stack == "none" ? libraries.stacks.names().front() : c.stack;
  const Stack stack = libraries.stacks.load(stack_name, "", found);
  KernelTable table = libraries.catalogue.kernels(c.stack == "none" ? kUsualKernels : stack.kernels, found);
  const std::string setting = in.word("setting", "network");
  if (setting != "alone" && setting != "network")
    in.error(fmt::format("setting must be alone or network, got '{}'", setting), "see docs/validation-cases.md");
  const auto at = std::ranges::find(kKinds, kind, &KernelKind::name);
  ProgramBuilder builder;
  if (at == kKinds.end()) {
    in.error(fmt::format("unknown operator '{}'", kind),
             "linear, grouped_linear, expert_mlp, attention, mla_decode or vector");
  } else if (!found.has_errors()) {
    at->build(builder, in, kernel_facts(stack, table));
    in.finish();
  }
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  if (setting == "alone") table = alone(std::move(table));
  Outcome outcome;
  Table operators = operators_table();
  const KernelSum sum = price_all(builder.take(), KernelCost(die, table, kKernelNames), operators, outcome.terms);
  outcome.breakdown.push_back(std::move(operators));
  outcome.family = bar_family(sum.family, table);
  outcome.predicted = in_metric(*c.metric, sum);
  return outcome;
}

}  // namespace ascendsim
