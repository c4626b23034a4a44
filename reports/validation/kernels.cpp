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

// The experts of one rank: both grouped products, the activation and the weighted sum of all tokens' copies.
void build_expert_mlp(ProgramBuilder& p, Parameters& in, const KernelFacts&) {
  const Dtype type = type_of(in);
  const std::int64_t tokens = in.count("tokens"), local = in.count("local_experts");
  const std::int64_t width = in.count("width", 2048), hidden = in.count("hidden", kHidden);
  const RoutedRows rows{tokens, kTopK, kExperts, local};
  const Value x = linear_input(p, in, type, rows.expected(), hidden);
  const Value up = grouped(p, "gate_up", x, 2 * width, type, rows);
  grouped(p, "down", swiglu(p, "swiglu", up, type), hidden, type, rows);
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
  else if (name == "top_k")
    grouped_top_k(p, "top_k", p.input(Dtype::kFp32, m, n), p.input(Dtype::kFp32, 1, n), {.top_k = kTopK, .groups = 1, .kept_groups = 1});
  else
    in.error(fmt::format("unknown vector kernel '{}'", name),
             "rms_norm, add_rms_norm, quantise, swiglu, cast, add, rope or top_k");
}

struct KernelKind {
  std::string_view name;
  void (*build)(ProgramBuilder&, Parameters&, const KernelFacts&);
};
constexpr std::array<KernelKind, 6> kKinds = {{{"linear", build_linear},
                                               {"grouped_linear", build_grouped_linear},
                                               {"expert_mlp", build_expert_mlp},
                                               {"attention", build_attention},
                                               {"mla_decode", build_mla_decode},
                                               {"vector", build_vector}}};

struct KernelSum {
  Duration time{}, longest{};
  Flops flops{};
  Bytes bytes{};
  std::string family;
};

KernelSum price_all(const Program& program, const KernelCost& cost, Table& table) {
  KernelSum sum;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    const Work work = v.op().type->work(v);
    const KernelTime time = cost.price(work);
    const std::string_view family = kKernelNames[work.family];
    sum.time += time.total;
    sum.flops += work.matrix;
    sum.bytes += work.read + work.written;
    if (time.total > sum.longest) sum.longest = time.total, sum.family = family;
    table.rows.push_back({v.op().label, family, milliseconds_cell(time.total), flops_cell(work.matrix),
                          bytes_cell(work.read + work.written), to_text(time.bound)});
  }
  return sum;
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
  const Die die = libraries.catalogue.die(die_name, found);
  // Kernel efficiencies are those of the cores; every stack so far has the same table.
  const std::string stack_name = c.stack == "none" ? libraries.stacks.names().front() : c.stack;
  const Stack stack = libraries.stacks.load(stack_name, "", found);
  const KernelTable table = libraries.catalogue.kernels(c.stack == "none" ? kUsualKernels : stack.kernels, found);
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
  Outcome outcome;
  Table operators = operators_table();
  const KernelSum sum = price_all(builder.take(), KernelCost(die, table, kKernelNames), operators);
  outcome.breakdown.push_back(std::move(operators));
  outcome.family = sum.family;
  outcome.predicted = in_metric(*c.metric, sum);
  return outcome;
}

}  // namespace ascendsim
