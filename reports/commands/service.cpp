#include "reports/commands/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/service.h"
#include "reports/answers/steps.h"
#include "reports/command_line/cli.h"
#include "reports/command_line/interrupt.h"
#include "reports/command_line/progress.h"
#include "reports/writers/requests_file.h"
#include "strategies/serving/measured.h"

namespace ascendsim {

namespace {

Workload one_of(Workload w) {
  w.batch = 1;
  return w;
}

bool fits(const Scenario& scenario, const Workload& w) { return scenario.memory(w).fits(); }

LoadOverTime load_of(const Subject& subject, const std::optional<BenchmarkLoad>& benchmark, const Settings& settings,
                     Diagnostics& diagnostics) {
  if (!asks_for_service(settings.service, benchmark)) return all_at_once(subject.workload, settings.service.slo);
  auto load = load_over_time(settings, benchmark, subject.workload, diagnostics);
  diagnostics.throw_if_errors();
  check(load.has_value(), "a load without errors");
  return *std::move(load);
}

// Runs the service; what happens to requests is written to --requests-file on the way.
MeasuredService measured(const ServiceSite& site, const LoadOverTime& load, const Workload& workload,
                         const ServiceOutput& output, Diagnostics& diagnostics) {
  std::optional<RequestsFile> file;
  if (!output.requests_file.empty()) file.emplace(output.requests_file);
  const auto written = [&](bool good) {
    if (!good)
      diagnostics.error("E0005", {}, fmt::format("cannot write '{}'", output.requests_file), {},
                        "choose another --requests-file");
    diagnostics.throw_if_errors();
  };
  if (file) written(file->good());
  Progress progress;
  const StopsWhenInterrupted interrupt;
  ServiceHooks hooks;
  if (file) hooks.finished = [&](const RequestOutcome& outcome) { file->write(outcome); };
  hooks.go_on = [&](Duration now, std::int64_t finished) {
    if (progress.due())
      progress.say(load.requests > 0 ? fmt::format("{} of {} requests, {} simulated", with_commas(finished),
                                                   with_commas(load.requests), to_text(now))
                                     : fmt::format("{} requests, {} simulated", with_commas(finished), to_text(now)));
    return !StopsWhenInterrupted::asked();
  };
  auto out = measure(site, load, workload.acceptance, hooks, diagnostics);
  if (file) written(file->close());
  diagnostics.throw_if_errors();
  check(out.has_value(), "a service without errors");
  return *std::move(out);
}

// The steps that stand for the run: requests of the mean length, as many side by side as in the mean.
Workload typical(const Workload& asked, const LoadOverTime& load, const ServiceReport& r, double running,
                 const Scenario& scenario) {
  Workload w = asked;
  if (!load.equal && r.completed > 0) {
    w.input_tokens = std::max<std::int64_t>(1, r.input_tokens / r.completed);
    w.output_tokens = std::max<std::int64_t>(1, r.output_tokens / r.completed);
    w.prefix_hit = 0;
  }
  w.batch = std::max<std::int64_t>(1, std::llround(running));
  // The mean of a full cache, rounded up, may be one too many.
  while (w.batch > 1 && !fits(scenario, w)) w.batch -= std::max<std::int64_t>(1, w.batch / 64);
  return w;
}

double running_of(const ServiceReport& r, std::size_t pool) {
  return pool < r.pools.size() ? r.pools[pool].running / static_cast<double>(r.pools[pool].instances) : 1;
}

// What the steps that are shown stand for.
std::string about(const Workload& w) {
  return fmt::format("the steps shown are of {} request{} side by side, {} tokens in, {} out: the mean of the run",
                     w.batch, w.batch == 1 ? "" : "s", with_commas(w.input_tokens), with_commas(w.output_tokens));
}

// The load instead of a batch.
void say_load(Table& heading, const LoadOverTime& load) {
  for (auto& row : heading.rows)
    if (row.front().text == "workload") row.back() = Cell(load.what);
}

void multiply(Json& deployment, std::int64_t instances) {
  for (const char* const key : {"servers", "cards", "dies"})
    deployment[key] = deployment[key].get<std::int64_t>() * instances;
}

Exit exit_of(const ServiceAnswer& a) {
  return a.stopped ? Exit::kInterrupted : a.report.missed.empty() ? Exit::kYes : Exit::kNo;
}

Answer finish(const ServiceAnswer& service, std::vector<Table> tables, JsonDocument json) {
  put_service(service, *json);
  return {.exit = exit_of(service),
          .tables = std::move(tables),
          .json = std::move(json),
          .benchmark = std::make_shared<Json>(vllm_bench_json(service))};
}

void add_assumptions(Json& json, std::vector<std::string>& assumed, const MeasuredService& service) {
  for (const std::string& note : service.notes) {
    assumed.push_back(note);
    json["assumptions"].push_back(note);
  }
}

}  // namespace

namespace {

bool asked_for(const FileChoice& choice, const Settings& settings, const ServiceOutput& output) {
  return asks_for_service(settings.service, choice.load) || !output.requests_file.empty();
}

// Not all of the batch, but one of its requests.
bool queues(const Subject& s) {
  return s.workload.batch > 1 && s.deployment().role == Role::kHybrid && !s.deployment().engine->scheduler.empty() &&
         !fits(*s.scenario, s.workload) && fits(*s.scenario, one_of(s.workload));
}

}  // namespace

bool needs_service(const Subject& subject, const FileChoice& choice, const Settings& settings,
                   const ServiceOutput& output) {
  return asked_for(choice, settings, output) || queues(subject);
}

bool needs_service(const PairOfSubjects& pair, const PairOfChoices& choices, const Settings& settings,
                   const ServiceOutput& output) {
  return asked_for(choices.decode, settings, output) || queues(pair.decode);
}

std::optional<Answer> answer_service(Subject& subject, const FileChoice& choice, const Settings& settings,
                                     const ServiceOutput& output, Diagnostics& diagnostics) {
  const Scenario& scenario = *subject.scenario;
  const LoadOverTime load = load_of(subject, choice.load, settings, diagnostics);
  subject.workload.batch = 1;
  if (!fits(scenario, subject.workload)) return std::nullopt;
  const std::int64_t instances = settings.service.instances.value_or(1);
  const MeasuredService service =
      measured({.first = &scenario, .instances = instances}, load, subject.workload, output, diagnostics);
  const ServiceAnswer answer{load, service.report, subject.cards() * instances, subject.deployment().model.name,
                             service.stopped};

  subject.workload = typical(subject.workload, load, service.report, running_of(service.report, 0), scenario);
  const Prediction steps = predict(scenario, subject.workload);
  const auto phases = phases_of(subject.deployment().role, steps);
  std::vector<Table> tables{heading(subject), service_facts(answer)};
  say_load(tables.front(), load);
  tables.back().rows.push_back({"memory per rank", fit_in_words(steps.memory, subject.deployment())});
  tables.back().rows.push_back(
      {"KV capacity", fmt::format("{} tokens per DP group", with_commas(steps.memory.kv_capacity_tokens))});
  std::ranges::move(service_tables(answer), std::back_inserter(tables));
  tables.push_back(reasons_table(phases, steps.prefill_sequences, steps.decode_context));
  tables.push_back(breakdown_table(phases));
  for (const PhaseStep& phase : phases) tables.push_back(operator_table(phase, output.top));
  tables.push_back(memory_table(steps.memory));
  JsonDocument json = run_json(subject, steps, {}, diagnostics);
  multiply((*json)["deployment"], instances);
  (*json)["deployment"]["instances"] = instances;
  std::vector<std::string> assumed = steps.assumptions;
  assumed.insert(assumed.begin(), about(subject.workload));
  add_assumptions(*json, assumed, service);
  tables.push_back(list_of("Assumptions", "assumptions", std::move(assumed)));
  return finish(answer, std::move(tables), std::move(json));
}

std::optional<Answer> answer_service(PairOfSubjects& pair, const PairOfChoices& choices, const Settings& settings,
                                     const ServiceOutput& output, Diagnostics& diagnostics) {
  const LoadOverTime load = load_of(pair.decode, choices.decode.load, settings, diagnostics);
  pair.prefill.workload.batch = pair.decode.workload.batch = 1;
  if (!fits(*pair.prefill.scenario, pair.prefill.workload) || !fits(*pair.decode.scenario, pair.decode.workload))
    return std::nullopt;
  const ServiceSite site{.first = pair.prefill.scenario.get(),
                         .decode = pair.decode.scenario.get(),
                         .instances = settings.service.prefill_instances.value_or(1),
                         .decode_instances = settings.service.decode_instances.value_or(1)};
  const MeasuredService service = measured(site, load, pair.decode.workload, output, diagnostics);
  const ServiceAnswer answer{load, service.report,
                             pair.prefill.cards() * site.instances + pair.decode.cards() * site.decode_instances,
                             pair.decode.deployment().model.name, service.stopped};

  pair.decode.workload =
      typical(pair.decode.workload, load, service.report, running_of(service.report, 1), *pair.decode.scenario);
  const DisaggregatedPrediction steps =
      predict_disaggregated(*pair.prefill.scenario, *pair.decode.scenario, pair.decode.workload);
  pair.prefill.workload.batch = steps.prefill_batch;
  const std::vector<PhaseStep> phases{{"prefill", &steps.prefill.prefill}, {"decode", &steps.decode.decode}};
  std::vector<Table> tables{heading(pair.prefill, pair.decode), service_facts(answer)};
  say_load(tables.front(), load);
  for (const auto& [name, subject, memory] :
       {std::tuple{"prefill", &pair.prefill, &steps.prefill.memory}, {"decode", &pair.decode, &steps.decode.memory}})
    tables.back().rows.push_back(
        {fmt::format("{} memory per rank", name), fit_in_words(*memory, subject->deployment())});
  std::ranges::move(service_tables(answer), std::back_inserter(tables));
  tables.push_back(reasons_table(phases, steps.prefill.prefill_sequences, steps.decode.decode_context));
  tables.push_back(breakdown_table(phases));
  for (const PhaseStep& phase : phases) tables.push_back(operator_table(phase, output.top));
  JsonDocument json = pair_json({pair.prefill, pair.decode, steps, {}, {}}, diagnostics);
  (*json).erase("ttft_parts_ms");  // of one batch; ttft_terms_ms are the load's
  Json& deployment = (*json)["deployment"];
  Json& sides = deployment["sides"];
  multiply(sides["prefill"], site.instances);
  multiply(sides["decode"], site.decode_instances);
  for (const char* const key : {"servers", "cards", "dies"})
    deployment[key] = sides["prefill"][key].get<std::int64_t>() + sides["decode"][key].get<std::int64_t>();
  deployment["instances"] = {{"prefill", site.instances}, {"decode", site.decode_instances}};
  std::vector<std::string> assumed{about(pair.decode.workload)};
  for (const auto& texts : {steps.requests.assumptions, steps.prefill.assumptions, steps.decode.assumptions})
    for (const std::string& text : texts)
      if (std::ranges::find(assumed, text) == assumed.end()) assumed.push_back(text);
  add_assumptions(*json, assumed, service);
  tables.push_back(list_of("Assumptions", "assumptions", std::move(assumed)));
  return finish(answer, std::move(tables), std::move(json));
}

}  // namespace ascendsim
