// From the text of a launch file to the commands in it. A text is a script, a pasted command line, or a YAML file that
// an engine reads options or command lines from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/deployment/engine.h"
#include "strategies/engines/launch/shell.h"

namespace ascendsim {

enum class LaunchKind : std::uint8_t { kServer, kProxy, kRouter, kBenchmark };

struct LaunchedCommand {
  LaunchKind kind = LaunchKind::kServer;
  const Engine* engine = nullptr;               // whose server, router or benchmark it is; null: of no engine
  const BenchmarkProgram* benchmark = nullptr;  // of an engine
  std::string file, program;                    // program: "vllm serve", "vllm bench latency"
  std::vector<ShellWord> words;                 // behind the program
  ShellVariables variables;
  SourceLocation where;
};

// By content: anything that starts one of these programs.
bool is_launch_text(std::string_view text);
std::vector<LaunchedCommand> read_launch(std::string text, const std::string& name, const Defines& defines,
                                         Diagnostics& diagnostics);
// One command of a shell; empty when it starts nothing that is known.
std::optional<LaunchedCommand> recognised(const ShellCommand& command, const std::string& file);

}  // namespace ascendsim
