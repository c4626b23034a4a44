#include <fmt/format.h>

#include "reports/answers/findings.h"
#include "reports/answers/pairs.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"
#include "reports/scenario.h"

namespace ascendsim {

Reply answer_convert(const Options& options, Diagnostics& diagnostics) {
  if (options.schema) return {question_schema(), "", kDone};
  const Libraries libraries;
  const YamlComments comments = options.print_config ? YamlComments::kOrigin : YamlComments::kMeaning;
  const std::vector<FileChoice> choices =
      options.pair() ? std::vector<FileChoice>{} : read_inputs(options.words, libraries, options, diagnostics);
  if (const auto pair = options.pair() ? asked_pair(options, libraries, diagnostics) : asked_pair(choices, options)) {
    const LoadedQuestion prefill = load_question(pair->prefill, libraries, options, diagnostics),
                         decode = load_question(pair->decode, libraries, options, diagnostics);
    if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
    // `run` reads both from one file.
    return {fmt::format("--- # prefill: {}\n{}--- # decode: {}\n{}", pair->prefill.file,
                        to_yaml(prefill.question, comments), pair->decode.file, to_yaml(decode.question, comments)),
            warnings_text(diagnostics), kDone};
  }
  const LoadedQuestion loaded = load_question(only_choice(choices, diagnostics), libraries, options, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  return {to_yaml(loaded.question, comments), warnings_text(diagnostics), kDone};
}

}  // namespace ascendsim
