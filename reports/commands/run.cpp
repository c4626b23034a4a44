#include <fmt/format.h>

#include <cmath>

#include "hardware/faults.h"
#include "reports/answers/findings.h"
#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/answers/steps.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"

namespace ascendsim {

namespace {

// Four digits, and never 1.2e+04.
std::string rate(double per_second) {
  constexpr double kFourDigits = 1e4;
  return per_second < kFourDigits ? fmt::format("{:.4g}", per_second) : with_commas(std::llround(per_second));
}

std::string throughput(const Subject& s, const Prediction& p) {
  return fmt::format("{} output tok/s, {} per card; {} requests/s", rate(p.output_tokens_per_second),
                     rate(p.output_tokens_per_second / static_cast<double>(s.cards())), rate(p.requests_per_second));
}

Table results(const Subject& s, const Prediction& p) {
  const Deployment& d = s.deployment();
  const bool prefills = d.role != Role::kDecode, decodes = d.role != Role::kPrefill,
             several = s.workload.output_tokens > 1;
  const std::string mark = p.memory.fits() ? "" : "   (does not fit: if there were memory enough)";
  Table t = facts("", "results");
  if (prefills) t.rows.push_back({"TTFT", with_spread(p.ttft) + mark});
  if (decodes && several) {
    t.rows.push_back({"TPOT", with_spread(p.tpot) + mark});
    if (p.tokens_per_step > 1)
      t.rows.push_back(
          {"decode step", fmt::format("{}, {:.3f} tokens a step{}", to_text(p.decode_step), p.tokens_per_step, mark)});
    t.rows.push_back({"ITL", with_spread(p.itl) + mark});
  }
  if (decodes && p.output_tokens_per_second < 1e12) t.rows.push_back({"throughput", throughput(s, p) + mark});
  t.rows.push_back({"memory per rank", fit_in_words(p.memory, d)});
  t.rows.push_back({"KV capacity", fmt::format("{} tokens per DP group, {} bytes per token and rank",
                                               with_commas(p.memory.kv_capacity_tokens),
                                               with_commas(p.memory.kv_bytes_per_token.count()))});
  return t;
}

// The same on links some of which are slow or down.
void degrade(Subject& s, const Options& options, Diagnostics& diagnostics) {
  const Scenario& healthy = *s.scenario;
  const Cluster& cluster = healthy.cluster;
  std::vector<LinkFault> faults = read_faults(options.faults_file, cluster, diagnostics);
  diagnostics.throw_if_errors();
  Cluster degraded(cluster.server(), cluster.servers(), cluster.ranks_per_server(), std::move(faults));
  ClusterNetwork network(degraded);
  say_disconnected(degraded, network, {.file = options.faults_file}, diagnostics);
  diagnostics.throw_if_errors();
  s.scenario = std::make_unique<Scenario>(healthy.deployment, healthy.stack, healthy.kernels, std::move(degraded));
}

// Which collectives the faults slow; empty when none is.
Table slowed_table(const PhaseStep& phase) {
  Table t{fmt::format("Collectives of a {} step that faults slow", phase.name),
          fmt::format("{}_slowed", phase.name),
          Table::Shape::kGrid,
          {{"collective", "collective"},
           {"primitive", "primitive"},
           {"group", "group"},
           {"ranks", "ranks", true},
           {"bytes of one", "bytes", true},
           {"time us", "time_us", true},
           {"without faults us", "time_without_faults_us", true}},
          {}};
  for (const SlowedCollective& c : phase.step->slowed)
    t.rows.push_back({c.label, c.primitive, c.group, count_cell(c.ranks), bytes_cell(c.bytes),
                      number_cell(microseconds(c.time), 1), number_cell(microseconds(c.without_faults), 1)});
  return t;
}

std::vector<Table> tables_of(const Subject& s, const Prediction& p, Shortage shortage, const Options& options,
                             const Diagnostics& diagnostics) {
  const auto phases = phases_of(s.deployment().role, p);
  std::vector<Table> tables{heading(s), results(s, p)};
  tables.push_back(std::move(shortage.need));
  tables.push_back(std::move(shortage.remedy_table));
  tables.push_back(reasons_table(phases, p.prefill_sequences, p.decode_context));
  tables.push_back(breakdown_table(phases));
  for (const PhaseStep& phase : phases) {
    tables.push_back(operator_table(phase, options.top));
    tables.push_back(collective_table(phase));
    if (!options.faults_file.empty()) tables.push_back(slowed_table(phase));
  }
  tables.push_back(memory_table(p.memory));
  tables.push_back(list_of("Assumptions", "assumptions", p.assumptions));
  tables.push_back(list_of("Notes on the input", "notes", notes(diagnostics)));
  return tables;
}

}  // namespace

Reply answer_run(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const Inputs inputs = gather_inputs(options.words, libraries, options, diagnostics);
  if (const auto& pair = inputs.pair) {
    if (!options.faults_file.empty()) {
      diagnostics.error(
          "E0004", {}, "--faults is for one instance, not for a prefill and a decode side", {},
          "run each side alone: run PREFILL --role prefill --faults FILE, run DECODE --role decode --faults FILE");
      diagnostics.throw_if_errors();
    }
    return answer_pair(*pair, options, diagnostics);
  }
  Subject subject =
      load_single(inputs.choices, Load::kAsked, options.print_config ? Missing::kIsFine : Missing::kIsAnError,
                  libraries, options, diagnostics);
  if (options.print_config) return {effective_configuration(subject), warnings_text(diagnostics), kDone};
  if (!options.faults_file.empty()) degrade(subject, options, diagnostics);
  const Prediction prediction = predict(*subject.scenario, subject.workload);
  Shortage shortage = shortage_of(subject, prediction.memory, libraries);
  Reply reply;
  reply.exit_code = prediction.memory.fits() ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    reply.out = run_json(subject, prediction, shortage.remedies, diagnostics);
    return reply;
  }
  reply.out = render(tables_of(subject, prediction, std::move(shortage), options, diagnostics), options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
