#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "reports/answers/findings.h"
#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/json_parts.h"
#include "reports/answers/memory_tables.h"
#include "reports/command_line/cli.h"
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

  [[nodiscard]] std::string json(const Diagnostics& diagnostics) const {
    return mem_json(subject, memory, concurrency, shortage.remedies, diagnostics);
  }
  [[nodiscard]] std::vector<Table> tables() {
    const Deployment& d = subject.deployment();
    Table verdict = facts("", "verdict");
    verdict.rows.push_back({"memory per rank", fit_in_words(memory, d)});
    std::vector<Table> out{heading(subject)};
    for (Table& t :
         std::vector<Table>{std::move(verdict), std::move(shortage.need), std::move(shortage.remedy_table),
                            memory_table(memory), weight_table(memory), activation_table(memory),
                            communication_table(memory), kv_table(memory, d), concurrency_table(concurrency, d)})
      out.push_back(std::move(t));
    return out;
  }
};

Reply answer_both(const PairOfSubjects& pair, const Libraries& libraries, const Options& options,
                  const Diagnostics& diagnostics) {
  Reply reply;
  Json json = {{"schema_version", 1}};
  std::vector<Table> tables;
  bool fits = true;
  for (const auto& [name, subject] : {std::pair{"prefill", &pair.prefill}, {"decode", &pair.decode}}) {
    Needs side(*subject, libraries);
    fits = fits && side.memory.fits();
    json[name] = Json::parse(side.json({}));
    for (Table& t : side.tables()) {
      if (t.key == "deployment")
        t.title = fmt::format("{} side", name);
      else if (!t.title.empty())
        t.title = fmt::format("{}, {} side", t.title, name);
      t.key = fmt::format("{}_{}", name, t.key);
      tables.push_back(std::move(t));
    }
  }
  reply.exit_code = fits ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    json["diagnostics"] = findings(diagnostics);
    reply.out = finish(json);
    return reply;
  }
  tables.push_back(list_of("Notes on the input", "notes", notes(diagnostics)));
  reply.out = render(tables, options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace

Reply answer_mem(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const Inputs inputs = gather_inputs(options.words, libraries, options, diagnostics);
  if (const auto& pair = inputs.pair) {
    const PairOfSubjects sides = load_pair(*pair, Load::kLimits, libraries, options, diagnostics);
    if (!options.print_config) return answer_both(sides, libraries, options, diagnostics);
    return {fmt::format("--- # prefill\n{}--- # decode\n{}", effective_configuration(sides.prefill),
                        effective_configuration(sides.decode)),
            warnings_text(diagnostics), kDone};
  }
  const Subject subject =
      load_single(inputs.choices, Load::kLimits, options.print_config ? Missing::kIsFine : Missing::kIsAnError,
                  libraries, options, diagnostics);
  if (options.print_config) return {effective_configuration(subject), warnings_text(diagnostics), kDone};
  Needs needs(subject, libraries);
  Reply reply;
  reply.exit_code = needs.memory.fits() ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    reply.out = needs.json(diagnostics);
    return reply;
  }
  std::vector<Table> tables = needs.tables();
  tables.push_back(list_of("Notes on the input", "notes", notes(diagnostics)));
  reply.out = render(tables, options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
