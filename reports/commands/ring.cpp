// `ascendsim ring`: attention of a parallel strategy computed on real numbers.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "reports/cli.h"
#include "reports/commands/commands.h"
#include "reports/findings.h"
#include "strategies/attention_check.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMemoryLimit = std::int64_t{4} << 30;

struct Calculation {
  const AttentionStrategy* strategy = nullptr;
  AttentionCase shape;
  NumberType type = NumberType::kFp64;
  AttentionReport report;
  [[nodiscard]] bool ok() const { return report.within(tolerance(type)) && report.ledger_agrees(); }
  [[nodiscard]] std::string_view partition() const;
};

struct NamedPartition {
  std::string_view name;
  Partition partition;
};
constexpr NamedPartition kPartitions[] = {
    {"contiguous", Partition::kContiguous}, {"zigzag", Partition::kZigzag}, {"round-robin", Partition::kRoundRobin}};
constexpr NumberType kTypes[] = {NumberType::kFp64, NumberType::kFp32, NumberType::kFp16, NumberType::kBf16};

std::string_view Calculation::partition() const {
  if (strategy->partitions)
    for (const NamedPartition& p : kPartitions)
      if (p.partition == shape.partition) return p.name;
  return "own";
}

// The type of buffers; numbers that are not emulated travel as the 16-bit type they stand for.
Dtype buffer_type(NumberType type) { return type == NumberType::kBf16 ? Dtype::kBf16 : Dtype::kFp16; }

class Reader {
 public:
  Reader(const RingOptions& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {}

  std::vector<Calculation> read() {
    const std::vector<const AttentionStrategy*> strategies = strategies_asked();
    const std::vector<NumberType> types = types_asked();
    std::vector<Calculation> out;
    for (const AttentionStrategy* s : strategies)
      for (const Partition partition : partitions_asked(*s))
        for (const NumberType type : types) out.push_back({s, shape_of(*s, partition, type), type, {}});
    for (const Calculation& c : out) check_rules(c);
    diagnostics_.throw_if_errors();
    return out;
  }

 private:
  void unknown(std::string_view what, std::string_view name, const std::vector<std::string_view>& known) {
    const std::string_view near = nearest(name, known);
    diagnostics_.error("E0004", {}, fmt::format("unknown {} '{}'", what, name), {},
                       near.empty() ? fmt::format("one of: {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", near));
  }

  std::vector<const AttentionStrategy*> strategies_asked() {
    std::vector<const AttentionStrategy*> out;
    std::vector<std::string_view> names{"vllm-pcp-dcp"};
    const bool both = options_.strategy == names[0];
    for (const AttentionStrategy& s : attention_strategies()) {
      names.emplace_back(s.name);
      const bool vllm = std::string_view(s.name).starts_with("vllm-");
      if (options_.all || options_.strategy == s.name || (both && vllm)) out.push_back(&s);
    }
    if (options_.strategy.empty() && !options_.all)
      diagnostics_.error("E0003", {}, "--strategy NAME or --all is missing", {}, fmt::format("one of: {}", fmt::join(names, ", ")));
    else if (out.empty()) unknown("strategy", options_.strategy, names);
    return out;
  }

  std::vector<NumberType> types_asked() {
    if (options_.dtype.empty())
      return options_.all ? std::vector<NumberType>{NumberType::kFp64, NumberType::kFp16, NumberType::kBf16}
             : options_.lse_dtype.empty() ? std::vector{NumberType::kFp64}
                                          : std::vector{NumberType::kFp16};
    std::vector<std::string_view> names;
    for (const NumberType type : kTypes) {
      if (options_.dtype == to_text(type)) return {type};
      names.push_back(to_text(type));
    }
    unknown("--dtype", options_.dtype, names);
    return {};
  }

  std::vector<Partition> partitions_asked(const AttentionStrategy& s) {
    if (!s.partitions) return {Partition::kZigzag};
    std::vector<Partition> out;
    std::vector<std::string_view> names;
    for (const NamedPartition& p : kPartitions) {
      names.push_back(p.name);
      if (options_.partition == p.name || (options_.partition.empty() && (options_.all || p.name == "zigzag")))
        out.push_back(p.partition);
    }
    if (out.empty()) unknown("--partition", options_.partition, names);
    return out;
  }

  std::optional<Dtype> lse_asked() {
    if (options_.lse_dtype == "fp32") return Dtype::kFp32;
    if (options_.lse_dtype == "fp16") return Dtype::kFp16;
    if (options_.lse_dtype == "bf16") return Dtype::kBf16;
    if (!options_.lse_dtype.empty()) unknown("--lse-dtype", options_.lse_dtype, {"fp32", "fp16", "bf16"});
    return std::nullopt;
  }

  AttentionCase shape_of(const AttentionStrategy& s, Partition partition, NumberType type) {
    const bool heads_only = std::string_view(s.name) == "tp", ring = s.partitions;
    AttentionCase c;
    c.heads = options_.heads.value_or(c.heads);
    c.tokens = {options_.tokens.value_or(512)};
    c.cp = options_.cp.value_or(heads_only ? 1 : ring ? 4 : 2);
    c.tp = options_.tp.value_or(ring ? 1 : 4);
    c.partition = partition;
    c.interleave = options_.interleave.value_or(c.interleave);
    c.input = c.block_output = buffer_type(type);
    c.lse = lse_asked().value_or(s.lse == Dtype::kFp32 ? Dtype::kFp32 : c.input);
    return c;
  }

  void check_rules(const Calculation& c) {
    for (const std::string& rule : c.strategy->broken_rules(c.shape)) {
      const std::string message = fmt::format("{}: {}", c.strategy->name, rule);
      if (std::ranges::find(said_, message) != said_.end()) continue;
      said_.push_back(message);
      diagnostics_.error("E0004", {}, message, {}, "choose a shape that the strategy can divide");
    }
    const std::int64_t need = memory_estimate(c.shape);
    if (need > kMemoryLimit && said_.empty()) {
      said_.emplace_back("memory");
      diagnostics_.error("E0004", {},
                         fmt::format("the calculation needs about {:.1f} GiB, the limit is {} GiB",
                                     static_cast<double>(need) / 0x1p30, kMemoryLimit >> 30),
                         {}, "fewer --tokens or --heads");
    }
  }

  const RingOptions& options_;
  Diagnostics& diagnostics_;
  std::vector<std::string> said_;
};

// Cases are independent: threads share them out, the answer does not depend on how.
void calculate(std::vector<Calculation>& cases) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++)
      cases[i].report = check_attention(*cases[i].strategy, cases[i].shape, cases[i].type);
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 1; t < std::min<std::size_t>(2, cases.size()); ++t) threads.emplace_back(work);
  work();
}

Cell error_cell(double e) { return {fmt::format("{:.1e}", e), fmt::format("{}", e)}; }

Table table_of(const std::vector<Calculation>& cases) {
  Table t{"Against dense attention in double on one rank", "cases", Table::Shape::kGrid,
          {{"strategy", "strategy"}, {"partition", "partition"}, {"cp", "cp", true}, {"tp", "tp", true}, {"dtype", "dtype"},
           {"lse", "lse_dtype"}, {"max error", "max_abs_error", true}, {"relative", "max_relative_error", true},
           {"lse error", "max_lse_error", true}, {"FLOPs", "flops_performed", true}, {"charged", "flops_charged", true},
           {"bytes", "bytes_moved", true}, {"charged", "bytes_charged", true}, {"verdict", "verdict"}},
          {}};
  for (const Calculation& c : cases) {
    const AttentionReport& r = c.report;
    t.rows.push_back({c.strategy->name, c.partition(), count_cell(c.shape.cp), count_cell(c.shape.tp), to_text(c.type),
                      to_text(c.shape.lse), error_cell(r.error.out), error_cell(r.error.relative), error_cell(r.error.lse),
                      count_cell(r.flops_performed), count_cell(r.flops_charged), count_cell(r.bytes_moved),
                      count_cell(r.bytes_charged),
                      c.ok() ? "ok" : r.ledger_agrees() ? "TOO FAR" : "LEDGER"});
  }
  return t;
}

Table rank_table(const Calculation& c) {
  Table t{fmt::format("Ranks of {}", c.strategy->name), "ranks", Table::Shape::kGrid,
          {{"rank", "rank", true}, {"max error", "max_abs_error", true}, {"relative", "max_relative_error", true},
           {"lse error", "max_lse_error", true}},
          {}};
  for (std::size_t r = 0; r < c.report.ranks.size(); ++r) {
    const AttentionError& e = c.report.ranks[r];
    t.rows.push_back({count_cell(static_cast<std::int64_t>(r)), error_cell(e.out), error_cell(e.relative), error_cell(e.lse)});
  }
  return t;
}

Table merge_table() {
  Table t{"Merge weights exp(lse) when lse in [16, 32) is rounded", "merge_weights", Table::Shape::kGrid,
          {{"lse", "lse_dtype"}, {"max error", "max_relative_error", true}}, {}};
  for (const Dtype type : {Dtype::kFp32, Dtype::kFp16, Dtype::kBf16})
    t.rows.push_back({to_text(type), error_cell(merge_weight_error(type))});
  return t;
}

std::string json_of(const std::vector<Calculation>& cases) {
  nlohmann::ordered_json out;
  out["schema_version"] = 1;
  out["cases"] = nlohmann::ordered_json::array();
  for (const Calculation& c : cases) {
    const AttentionReport& r = c.report;
    out["cases"].push_back({{"strategy", c.strategy->name}, {"partition", c.partition()}, {"cp", c.shape.cp},
                            {"tp", c.shape.tp}, {"dtype", to_text(c.type)}, {"lse_dtype", to_text(c.shape.lse)},
                            {"max_abs_error", r.error.out}, {"max_relative_error", r.error.relative},
                            {"max_lse_error", r.error.lse}, {"flops_performed", r.flops_performed},
                            {"flops_charged", r.flops_charged}, {"flops_masked", r.flops_masked},
                            {"bytes_moved", r.bytes_moved}, {"bytes_charged", r.bytes_charged}, {"ok", c.ok()}});
  }
  return out.dump(2) + "\n";
}

}  // namespace

Reply answer_ring(const Options& options, Diagnostics& diagnostics) {
  if (options.ring.layer) return answer_layers(options, diagnostics);
  std::vector<Calculation> cases = Reader(options.ring, diagnostics).read();
  calculate(cases);
  Reply reply;
  reply.exit_code = std::ranges::all_of(cases, &Calculation::ok) ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    reply.out = json_of(cases);
    return reply;
  }
  std::vector<Table> tables{table_of(cases)};
  if (options.ring.all) tables.push_back(merge_table());
  else
    for (const Calculation& c : cases) tables.push_back(rank_table(c));
  reply.out = render(tables, options.format);
  return reply;
}

}  // namespace ascendsim
