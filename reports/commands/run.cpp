#include <fmt/format.h>

#include <cmath>

#include "hardware/faults.h"
#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/answers/steps.h"
#include "reports/commands/commands.h"
#include "reports/commands/pair.h"
#include "reports/commands/service.h"

namespace ascendsim {

namespace {

struct RunOptions {
  ServiceOutput service;
  std::string faults_file;
};

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
void degrade(Subject& s, const std::string& faults_file, Diagnostics& diagnostics) {
  const Scenario& healthy = *s.scenario;
  const Cluster& cluster = healthy.cluster;
  std::vector<LinkFault> faults = read_faults(faults_file, cluster, diagnostics);
  diagnostics.throw_if_errors();
  Cluster degraded(cluster.server(), cluster.servers(), cluster.ranks_per_server(), std::move(faults));
  ClusterNetwork network(degraded);
  say_disconnected(degraded, network, {.file = faults_file}, diagnostics);
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

std::vector<Table> tables_of(const Subject& s, const Prediction& p, const Shortage& shortage,
                             const RunOptions& options) {
  const auto phases = phases_of(s.deployment().role, p);
  std::vector<Table> tables{heading(s), results(s, p)};
  tables.push_back(shortage.need);
  tables.push_back(shortage.remedy_table);
  tables.push_back(reasons_table(phases, p.prefill_sequences, p.decode_context));
  tables.push_back(breakdown_table(phases));
  for (const PhaseStep& phase : phases) {
    tables.push_back(operator_table(phase, options.service.top));
    tables.push_back(collective_table(phase));
    if (!options.faults_file.empty()) tables.push_back(slowed_table(phase));
  }
  tables.push_back(memory_table(p.memory));
  tables.push_back(list_of("Assumptions", "assumptions", p.assumptions));
  return tables;
}

class RunCall final : public Call {
 public:
  void declare(Options& o) override {
    machine_rows(o, settings_, Asks::kNeeds);
    load_rows(o, settings_, Asks::kNeeds);
    service_rows(o, settings_.service);
    model_row(o, settings_.model);
    engine_rows(o, settings_);
    file_rows(o, settings_);
    pair_rows(o, settings_);
    print_config_row(o, print_config_);
    o.heading("Machine");
    faults_row(o, options_.faults_file);
    o.heading("Output");
    o.text("--requests-file", "FILE", options_.service.requests_file,
           "write one row a request there, as CSV or as JSONL by its name");
    o.count("--top", options_.service.top, {.most = kMostRows, .examples = "10"}, "operators shown per phase");
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  static constexpr std::int64_t kMostRows = 1 << 20;
  Settings settings_;
  RunOptions options_;
  bool print_config_ = false;
};

Answer RunCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  const Inputs inputs = gather_inputs(words, libraries, settings_, diagnostics);
  if (const auto& pair = inputs.pair) {
    if (!options_.faults_file.empty()) {
      diagnostics.error(
          "E0004", {}, "--faults is for one instance, not for a prefill and a decode side", {},
          "run each side alone: run PREFILL --role prefill --faults FILE, run DECODE --role decode --faults FILE");
      diagnostics.throw_if_errors();
    }
    return answer_pair(*pair, settings_, {.service = options_.service, .print_config = print_config_}, diagnostics);
  }
  Subject subject =
      load_single(inputs.choices, asked_load(settings_), print_config_ ? Missing::kIsFine : Missing::kIsAnError,
                  libraries, settings_, diagnostics);
  if (print_config_) return {.text = effective_configuration(subject)};
  if (!options_.faults_file.empty()) degrade(subject, options_.faults_file, diagnostics);
  if (const FileChoice& choice = inputs.choices.front(); needs_service(subject, choice, settings_, options_.service))
    if (auto served = answer_service(subject, choice, settings_, options_.service, diagnostics))
      return *std::move(served);
  const Prediction prediction = predict(*subject.scenario, subject.workload);
  const Shortage shortage = shortage_of(subject, prediction.memory, libraries);
  return {.exit = prediction.memory.fits() ? Exit::kYes : Exit::kNo,
          .tables = tables_of(subject, prediction, shortage, options_),
          .json = run_json(subject, prediction, shortage.remedies, diagnostics)};
}

}  // namespace

constinit const Command kRunCommand{
    .name = "run",
    .summary = "TTFT, TPOT, throughput and memory per rank of one deployment, and the reason for each number",
    .words = "CONFIG...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example =
        "ascendsim run config.json --hardware atlas-800i-a3 --input 64K --output 1K --env NPU_MEMORY_FRACTION=0.92",
    .output =
        "times, memory and breakdown on stdout; exit 0, 1 when it does not fit or an SLO is missed, 2 on wrong input, "
        "130 when interrupted",
    .make = make_call<RunCall>,
    .formats = Formats::kOfBenchmarksToo};

}  // namespace ascendsim
