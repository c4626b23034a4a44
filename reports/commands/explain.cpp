#include "reports/answers/explanations.h"
#include "reports/answers/json.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"

namespace ascendsim {

Reply answer_explain(const Options& options, Diagnostics& diagnostics) {
  const std::string& word = options.words.front();
  Reply reply;
  const std::vector<Table> tables = explain(word, diagnostics);
  if (tables.empty()) throw ConfigError(diagnostics);
  reply.out = options.format == Format::kJson ? tables_json(tables) : render(tables, options.format);
  return reply;
}

}  // namespace ascendsim
