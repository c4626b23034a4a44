#include <fmt/format.h>

#include "reports/answers/findings.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

Reply answer_convert(const Options& options, Diagnostics& diagnostics) {
  if (options.schema) return {question_schema(), "", kDone};
  const Libraries libraries;
  const YamlComments comments = options.print_config ? YamlComments::kOrigin : YamlComments::kMeaning;
  const Inputs inputs = gather_inputs(options.words, libraries, options, diagnostics);
  if (const auto& pair = inputs.pair) {
    const AskedQuestion prefill = load_question(pair->prefill, libraries, options, diagnostics),
                        decode = load_question(pair->decode, libraries, options, diagnostics);
    if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
    // `run` reads both from one file.
    return {fmt::format("--- # prefill: {}\n{}--- # decode: {}\n{}", pair->prefill.file,
                        to_yaml(prefill.question, comments), pair->decode.file, to_yaml(decode.question, comments)),
            warnings_text(diagnostics), kDone};
  }
  const AskedQuestion loaded = load_question(only_choice(inputs.choices, diagnostics), libraries, options, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  return {to_yaml(loaded.question, comments), warnings_text(diagnostics), kDone};
}

}  // namespace ascendsim
