#include <fmt/format.h>
#include <fmt/ranges.h>

#include "reports/answers/findings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/commands/commands.h"

namespace ascendsim {

namespace {

Table key_table(const Subject& s) {
  Table t{fmt::format("Keys of {}", s.file),
          "keys",
          Table::Shape::kGrid,
          {{"path", "path"}, {"value", "value"}, {"use", "use"}, {"remark", "remark"}},
          {}};
  for (const KeyReport& k : s.keys) t.rows.push_back({k.path, k.value, to_text(k.use), k.remark});
  return t;
}

std::string verdict_on(const CheckedFile& f, const Diagnostics& found) {
  const std::string count = count_in_words(found);
  if (!f.legal) return fmt::format("NOT LEGAL: {}", count);
  std::string text = count.empty() ? "legal" : fmt::format("legal, {}", count);
  if (!f.memory) return text;
  const Workload& w = f.subject.workload;
  return fmt::format("{}; memory per rank at its own limits ({} tokens in, {} out, one request): {}", text,
                     with_commas(w.input_tokens), with_commas(w.output_tokens),
                     fit_in_words(*f.memory, f.subject.deployment()));
}

CheckedFile check_file(const FileChoice& choice, const Libraries& libraries, const Settings& settings,
                       Diagnostics& found) {
  CheckedFile checked;
  checked.subject = load_subject(choice, Load::kLimitsIfAny, libraries, settings, found);
  checked.legal = !refused(found, settings.strict);
  const Workload& w = checked.subject.workload;
  if (checked.subject.scenario && w.input_tokens >= 1 && w.output_tokens >= 1)
    checked.memory = checked.subject.scenario->memory(w);
  if (checked.memory) check_pool(checked.subject, *checked.memory, found);
  return checked;
}

std::string configurations(const std::vector<CheckedFile>& files) {
  std::string out;
  for (const CheckedFile& f : files)
    out += (files.size() > 1 ? fmt::format("--- # {}\n", f.subject.file) : "") + effective_configuration(f.subject);
  return out;
}

class CheckCall final : public Call {
 public:
  void declare(Options& o) override {
    machine_rows(o, settings_, Asks::kTakes);
    model_row(o, settings_.model);
    engine_rows(o, settings_);
    file_rows(o, settings_);
    print_config_row(o, print_config_);
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  Settings settings_;
  bool print_config_ = false;
};

Answer CheckCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  std::vector<CheckedFile> files;
  std::vector<Table> tables;
  Table verdicts = facts("Verdict", "verdict");
  const std::vector<FileChoice> choices = read_inputs(words, libraries, settings_, diagnostics);
  if (choices.empty())
    verdicts.rows.push_back({fmt::format("{}", fmt::join(words, ", ")),
                             "no engine is started: nothing to check beside the engines' scripts"});
  for (const FileChoice& choice : choices) {
    Diagnostics found;
    const CheckedFile& checked = files.emplace_back(check_file(choice, libraries, settings_, found));
    tables.push_back(key_table(checked.subject));
    verdicts.rows.push_back({choice.file, verdict_on(checked, found)});
    diagnostics.append(found);
  }
  if (const PairChoice pair = pair_among(choices); pair.prefill != nullptr) {
    const bool first = pair.prefill == &choices[0];
    check_pair(*pair.prefill, files[first ? 0 : 1].subject, *pair.decode, files[first ? 1 : 0].subject, diagnostics);
  }
  tables.push_back(std::move(verdicts));
  const bool legal = !refused(diagnostics, settings_.strict);
  if (print_config_ && legal) return {.text = configurations(files)};
  return {.exit = legal ? Exit::kYes : Exit::kRefused,
          .tables = std::move(tables),
          .json = check_json(files),
          .findings_first = true};
}

}  // namespace

constinit const Command kCheckCommand{
    .name = "check",
    .summary = "is it legal for the engine, what will be ignored, and does it fit at its own limits",
    .words = "CONFIG...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example = "ascendsim check config.json --hardware atlas-800i-a2",
    .output = "findings, a table of all keys and a verdict on stdout; exit 0 when legal, 2 when a rule is broken",
    .make = make_call<CheckCall>,
    .formats = Formats::kOfFindingsToo};

}  // namespace ascendsim
