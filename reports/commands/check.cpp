#include <fmt/format.h>
#include <fmt/ranges.h>

#include "reports/answers/findings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/command_line/cli.h"
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

CheckedFile check_file(const FileChoice& choice, const Libraries& libraries, const Options& options,
                       Diagnostics& found) {
  CheckedFile checked;
  checked.subject = load_subject(choice, Load::kLimitsIfAny, libraries, options, found);
  checked.legal = !refused(found, options.strict);
  const Workload& w = checked.subject.workload;
  if (checked.subject.scenario && w.input_tokens >= 1 && w.output_tokens >= 1)
    checked.memory = checked.subject.scenario->memory(w);
  if (checked.memory) check_pool(checked.subject, *checked.memory, found);
  return checked;
}

Reply configurations(const std::vector<CheckedFile>& files, const Diagnostics& diagnostics) {
  Reply reply;
  for (const CheckedFile& f : files)
    reply.out +=
        (files.size() > 1 ? fmt::format("--- # {}\n", f.subject.file) : "") + effective_configuration(f.subject);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace

Reply answer_check(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  std::vector<CheckedFile> files;
  std::vector<Table> tables;
  Table verdicts = facts("Verdict", "verdict");
  const std::vector<FileChoice> choices = read_inputs(options.words, libraries, options, diagnostics);
  if (choices.empty())
    verdicts.rows.push_back({fmt::format("{}", fmt::join(options.words, ", ")),
                             "no engine is started: nothing to check beside the engines' scripts"});
  for (const FileChoice& choice : choices) {
    Diagnostics found;
    const CheckedFile& checked = files.emplace_back(check_file(choice, libraries, options, found));
    tables.push_back(key_table(checked.subject));
    verdicts.rows.push_back({choice.file, verdict_on(checked, found)});
    diagnostics.append(found);
  }
  if (const PairChoice pair = pair_among(choices); pair.prefill != nullptr) {
    const bool first = pair.prefill == &choices[0];
    check_pair(*pair.prefill, files[first ? 0 : 1].subject, *pair.decode, files[first ? 1 : 0].subject, diagnostics);
  }
  tables.push_back(std::move(verdicts));
  if (options.print_config && !refused(diagnostics, options.strict)) return configurations(files, diagnostics);

  Reply reply;
  reply.exit_code = refused(diagnostics, options.strict) ? kWrongInput : kDone;
  switch (options.format) {
    case Format::kJson:
      reply.out = check_json(files, diagnostics);
      break;
    case Format::kShort:
    case Format::kGithub:
      reply.out = findings_lines(diagnostics, options.format);
      break;
    case Format::kTable: {
      const std::string said = findings_text(diagnostics, options.verbose);
      reply.out = said + (said.empty() ? "" : "\n") + render(tables, options.format);
      break;
    }
    default:
      reply.out = render(tables, options.format);
      reply.err = findings_text(diagnostics, options.verbose);
  }
  return reply;
}

}  // namespace ascendsim
