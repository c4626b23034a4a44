// `schedule FILE`: what an engine's scheduler decides, step by step, on the requests of a recording of the real one.
#include "reports/answers/findings.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"
#include "sim/config.h"
#include "strategies/serving/schedulers/builtin.h"

namespace ascendsim {

Reply answer_schedule(const Options& options, Diagnostics& diagnostics) {
  constexpr std::size_t kMostBytes = 64u << 20;  // a recording of a million steps
  const auto document = Document::load(path_of(options.words.front()), diagnostics, kMostBytes);
  std::optional<std::string> decided;
  if (document) decided = replay_recording(document->root(), diagnostics);
  if (!decided || refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  return {*std::move(decided), warnings_text(diagnostics), kDone};
}

}  // namespace ascendsim
