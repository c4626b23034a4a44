#include <fmt/format.h>

#include "reports/answers/memory_tables.h"
#include "reports/answers/steps.h"
#include "reports/validation/evaluate.h"

namespace ascendsim {

namespace {

Subject load(const ValidationCase& c, const std::vector<std::string>& set, const Libraries& libraries,
             Diagnostics& diagnostics) {
  Settings settings;
  settings.set = set;
  settings.set.push_back(fmt::format("stack={}", c.stack));
  Subject subject = load_subject(c.subject, Load::kAsked, libraries, settings, diagnostics);
  if (subject.question.hardware.server.empty())
    diagnostics.error("E0386", c.subject.where(), fmt::format("the deployment of case {} names no hardware", c.id), {},
                      "hardware: {server: cloudmatrix384}");
  return subject;
}

double memory_of(const ValidationCase& c, const MemoryPerRank& memory) {
  if (c.metric->name == "memory_peak") return static_cast<double>(memory.peak().count());
  return static_cast<double>(
      (c.metric->name == "kv_cache_per_token" ? memory.kv_bytes_per_token : memory.weights).count());
}

double value_of(const ValidationCase& c, const Prediction& p) {
  if (c.metric->name == "output_throughput") return p.output_tokens_per_second;
  if (c.metric->name == "request_throughput") return p.requests_per_second;
  if (c.metric->name == "prefill_step") return seconds(p.prefill.total);
  if (c.metric->name == "ttft") return seconds(p.ttft.mean);
  if (c.metric->name == "tpot") return seconds(p.tpot.mean);
  return seconds(p.decode_step);
}

}  // namespace

std::optional<Outcome> evaluate_deployment(const ValidationCase& c, const Libraries& libraries,
                                           Diagnostics& diagnostics) {
  Diagnostics found;
  const Subject subject = load(c, {}, libraries, found);
  std::optional<Subject> before;
  if (!c.instead_of.empty()) before.emplace(load(c, c.instead_of, libraries, found));
  if (c.metric->name == "weights_saved" && !before)
    found.error("E0386", c.where, fmt::format("case {} does not say what the saving is against", c.id), {},
                "instead_of: {layout.o_proj_tp: -1}");
  const bool memory_metric = c.metric->group == MetricGroup::kMemory;
  if (c.metric->group == MetricGroup::kOther)
    found.error("E0386", c.where, fmt::format("{} is not predicted from a deployment", c.metric->name));
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  Outcome outcome;
  if (memory_metric) {
    const MemoryPerRank memory = subject.scenario->memory(subject.workload);
    outcome.predicted = memory_of(c, memory);
    if (before) outcome.predicted = memory_of(c, before->scenario->memory(before->workload)) - outcome.predicted;
    outcome.breakdown = {memory_table(memory), weight_table(memory)};
    return outcome;
  }
  const Prediction p = predict(*subject.scenario, subject.workload);
  outcome.predicted = value_of(c, p);
  // The other phase of a deployment that does both has no part in the value.
  auto phases = phases_of(subject.deployment().role, p);
  const StepTime* const own = c.metric->group == MetricGroup::kDecode ? &p.decode : &p.prefill;
  if (c.metric->group != MetricGroup::kThroughput)
    std::erase_if(phases, [&](const PhaseStep& phase) { return phase.step != own; });
  outcome.breakdown.push_back(breakdown_table(phases));
  constexpr std::int64_t kAllOperators = 1000;
  for (const PhaseStep& phase : phases) {
    for (const OperatorRow& row : phase.step->operator_rows)
      outcome.terms.push_back({fmt::format("{} {} ({})", phase.name, row.label, row.limit), row.time});
    outcome.breakdown.push_back(operator_table(phase, kAllOperators));
    outcome.breakdown.push_back(collective_table(phase));
  }
  return outcome;
}

std::optional<Outcome> evaluate(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics) {
  if (c.what == "kernel") return evaluate_kernel(c, libraries, diagnostics);
  if (c.what == "collective") return evaluate_collective(c, libraries, diagnostics);
  if (c.what == "copy") return evaluate_copy(c, libraries, diagnostics);
  return evaluate_deployment(c, libraries, diagnostics);
}

}  // namespace ascendsim
