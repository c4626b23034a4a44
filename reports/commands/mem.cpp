#include <fmt/format.h>

#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/commands/commands.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

namespace {

// What one instance needs; of a pair, one side.
struct Needs {
  const Subject& subject;
  MemoryPerRank memory;
  std::vector<Concurrency> concurrency;
  Shortage shortage;

  Needs(const Subject& s, const Libraries& libraries)
      : subject(s),
        memory(s.scenario->memory(s.workload)),
        concurrency(concurrency_of(memory, s.deployment())),
        shortage(shortage_of(s, memory, libraries)) {}

  [[nodiscard]] MemoryAnswer answer() const { return {subject, memory, concurrency, shortage.remedies}; }
  [[nodiscard]] std::vector<Table> tables() const {
    const Deployment& d = subject.deployment();
    Table verdict = facts("", "verdict");
    verdict.rows.push_back({"memory per rank", fit_in_words(memory, d)});
    return {heading(subject),
            std::move(verdict),
            shortage.need,
            shortage.remedy_table,
            memory_table(memory),
            weight_table(memory),
            activation_table(memory),
            communication_table(memory),
            kv_table(memory, d),
            concurrency_table(concurrency, d)};
  }
};

Answer answer_both(const PairOfSubjects& pair, const Libraries& libraries, const Diagnostics& diagnostics) {
  Needs prefill(pair.prefill, libraries), decode(pair.decode, libraries);
  Answer answer{.exit = prefill.memory.fits() && decode.memory.fits() ? Exit::kYes : Exit::kNo,
                .json = mem_json(prefill.answer(), decode.answer(), diagnostics)};
  for (const auto& [name, side] : {std::pair{"prefill", &prefill}, {"decode", &decode}})
    for (Table& t : side->tables()) {
      if (t.key == "deployment")
        t.title = fmt::format("{} side", name);
      else if (!t.title.empty())
        t.title = fmt::format("{}, {} side", t.title, name);
      t.key = fmt::format("{}_{}", name, t.key);
      answer.add(std::move(t));
    }
  return answer;
}

class MemCall final : public Call {
 public:
  void declare(Options& o) override {
    machine_rows(o, settings_, Asks::kNeeds);
    load_rows(o, settings_, Asks::kTakes);
    model_row(o, settings_.model);
    engine_rows(o, settings_);
    file_rows(o, settings_);
    pair_rows(o, settings_);
    print_config_row(o, print_config_);
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  Settings settings_;
  bool print_config_ = false;
};

Answer MemCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  const Inputs inputs = gather_inputs(words, libraries, settings_, diagnostics);
  if (const auto& pair = inputs.pair) {
    const PairOfSubjects sides = load_pair(*pair, Load::kLimits, libraries, settings_, diagnostics);
    if (!print_config_) return answer_both(sides, libraries, diagnostics);
    return {.text = fmt::format("--- # prefill\n{}--- # decode\n{}", effective_configuration(sides.prefill),
                                effective_configuration(sides.decode))};
  }
  const Subject subject =
      load_single(inputs.choices, Load::kLimits, print_config_ ? Missing::kIsFine : Missing::kIsAnError, libraries,
                  settings_, diagnostics);
  if (print_config_) return {.text = effective_configuration(subject)};
  const Needs needs(subject, libraries);
  return {.exit = needs.memory.fits() ? Exit::kYes : Exit::kNo,
          .tables = needs.tables(),
          .json = mem_json(needs.answer(), diagnostics)};
}

}  // namespace

constinit const Command kMemCommand{
    .name = "mem",
    .summary = "memory per rank by component, and the contexts and concurrency that fit",
    .words = "CONFIG...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example = "ascendsim mem config.json --hardware atlas-800i-a3 --env NPU_MEMORY_FRACTION=0.92",
    .output = "tables on stdout; exit 0, 1 when it does not fit, 2 on wrong input",
    .make = make_call<MemCall>};

}  // namespace ascendsim
