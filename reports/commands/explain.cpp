#include "reports/answers/explanations.h"
#include "reports/commands/commands.h"

namespace ascendsim {

namespace {

class ExplainCall final : public Call {
 public:
  void declare(Options&) override {}
  Answer answer(Diagnostics& diagnostics) override;
};

Answer ExplainCall::answer(Diagnostics& diagnostics) {
  const std::string& word = words.front();
  std::vector<Table> tables = explain(word, diagnostics);
  if (tables.empty()) throw ConfigError(diagnostics);
  return {.tables = std::move(tables)};
}

}  // namespace

constinit const Command kExplainCommand{
    .name = "explain",
    .summary = "what a diagnostic code, a key or a metric means",
    .words = "CODE|KEY|METRIC|file",
    .words_help = "E0303, layout.tp, maxSeqLen, ttft; file lists all keys of our deployment file",
    .least_words = 1,
    .most_words = 1,
    .example = "ascendsim explain E0303",
    .output = "text on stdout; exit 0, 2 when it is not known",
    .make = make_call<ExplainCall>};

}  // namespace ascendsim
