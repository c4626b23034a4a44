#include "reports/commands/commands.h"

namespace ascendsim {

std::span<const Command* const> builtin_commands() {
  static constexpr const Command* kCommands[] = {
      &kRunCommand,      &kCheckCommand,      &kMemCommand,     &kCompareCommand, &kPlanCommand,
      &kRingCommand,     &kCollectiveCommand, &kConvertCommand, &kExportCommand,  &kExplainCommand,
      &kValidateCommand, &kScheduleCommand,   &kListCommand};
  return kCommands;
}

}  // namespace ascendsim
