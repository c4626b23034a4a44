#include "reports/cli.h"
#include "reports/commands/commands.h"
#include "reports/findings.h"
#include "reports/scenario.h"

namespace ascendsim {

Reply answer_convert(const Options& options, Diagnostics& diagnostics) {
  if (options.schema) return {question_schema(), "", kDone};
  const Libraries libraries;
  const LoadedQuestion loaded =
      load_question(only_choice(read_inputs(options.words, libraries, options, diagnostics), diagnostics), libraries, options, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  const YamlComments comments = options.print_config ? YamlComments::kOrigin : YamlComments::kMeaning;
  return {to_yaml(loaded.question, comments), warnings_text(diagnostics), kDone};
}

}  // namespace ascendsim
