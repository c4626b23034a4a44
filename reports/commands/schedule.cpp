// `schedule FILE`: what an engine's scheduler decides, step by step, on the requests of a recording of the real one.
#include "reports/commands/commands.h"
#include "sim/config.h"
#include "strategies/intake/inputs.h"
#include "strategies/serving/schedulers/builtin.h"

namespace ascendsim {

namespace {

class ScheduleCall final : public Call {
 public:
  void declare(Options&) override {}
  Answer answer(Diagnostics& diagnostics) override;
};

Answer ScheduleCall::answer(Diagnostics& diagnostics) {
  constexpr std::size_t kMostBytes = 64u << 20;  // a recording of a million steps
  const auto document = Document::load(path_of(words.front()), diagnostics, kMostBytes);
  std::optional<std::string> decided;
  if (document) decided = replay_recording(document->root(), diagnostics);
  if (!decided || diagnostics.has_errors()) throw ConfigError(diagnostics);
  return {.text = *std::move(decided)};
}

}  // namespace

constinit const Command kScheduleCommand{
    .name = "schedule",
    .summary = "what an engine's scheduler decides, step by step, on the requests of a recording",
    .words = "FILE",
    .words_help = "a recording of the scheduler of vLLM, SGLang or MindIE; - reads standard input",
    .least_words = 1,
    .most_words = 1,
    .example = "ascendsim schedule tests/data/schedules/vllm/a01-chunk-three.json",
    .output =
        "the recording again on stdout, with the steps that are decided here; exit 0, 2 on wrong input or where "
        "nothing can go on",
    .make = make_call<ScheduleCall>};

}  // namespace ascendsim
