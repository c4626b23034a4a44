// The commands of `ascendsim`. A command is one .cpp: its options, what answers with them, a constant of Command; here
// its declaration, and a line in builtin.cpp.
#pragma once

#include <span>

#include "reports/command_line/command.h"

namespace ascendsim {

extern const Command kRunCommand, kCheckCommand, kMemCommand, kCompareCommand, kPlanCommand, kRingCommand,
    kCollectiveCommand, kConvertCommand, kExportCommand, kExplainCommand, kValidateCommand, kScheduleCommand,
    kListCommand;

std::span<const Command* const> builtin_commands();

inline constexpr const char* kConfigHelp =
    "config.json of MindIE Server, launch scripts of vLLM or SGLang, or our own YAML; - reads standard input";

}  // namespace ascendsim
