// The commands of `ascendsim`. A command is one .cpp, one declaration and one line in builtin.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "reports/command_line/options.h"
#include "sim/diagnostics.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

// Options come in groups, so that the same thing has the same name everywhere.
enum OptionGroup : std::uint32_t {
  kSettingOptions = 1,  // hardware, servers, die, env, model, quantisation, role, set ...
  kFileOptions = 256,   // from, print-config: of commands that read a deployment file
  kDeploymentOptions = kSettingOptions | kFileOptions,
  kWorkloadOptions = 2,  // input, output, batch, prefix-hit, acceptance
  kTopOption = 4,
  kDiagnosticFormats = 8,  // short and github beside the other formats
  kPairOptions = 16,       // prefill, decode and what differs between them
  kSchemaOption = 32,
  kRingOptions = 64,             // strategy, degrees, sizes and number types of a calculation
  kCaseOptions = 128,            // case, explain
  kGraphOptions = 1 << 9,        // graph; servers
  kCollectiveOptions = 1 << 10,  // op, ranks, bytes, algorithm, ...; hardware, servers and die as in a deployment
  kCompareOptions = 1 << 11,     // vary, svg; lists in input, batch, model and hardware
  kPlanOptions = 1 << 12,        // context, concurrency, engine, ttft, tpot; a list in hardware
  kFaultsOption = 1 << 13,       // faults
  kExportOptions = 1 << 14,      // to, base; -o names a folder
};

struct Reply {
  std::string out, err;
  int exit_code = 0;
};

struct Command {
  const char* name;
  const char* summary;
  const char* words;  // "CONFIG", as usage lines show it
  const char* words_help;
  std::size_t least_words, most_words;
  std::uint32_t options;  // OptionGroups
  const char* required;   // options without which it cannot answer, with spaces between
  const char* example;
  const char* output;  // what stands on stdout, and the exit code
  // Throws ConfigError when the input has errors; `diagnostics` holds what was said about the options.
  Reply (*answer)(const Options& options, Diagnostics& diagnostics);
};

std::span<const Command> builtin_commands();

Reply answer_run(const Options& options, Diagnostics& diagnostics);
Reply answer_pair(const PairOfChoices& choices, const Options& options, Diagnostics& diagnostics);  // of run
Reply answer_export(const Options& options, Diagnostics& diagnostics);
Reply answer_check(const Options& options, Diagnostics& diagnostics);
Reply answer_mem(const Options& options, Diagnostics& diagnostics);
Reply answer_collective(const Options& options, Diagnostics& diagnostics);
Reply answer_ring(const Options& options, Diagnostics& diagnostics);
Reply answer_layers(const Options& options, Diagnostics& diagnostics);  // ring --layer
Reply answer_convert(const Options& options, Diagnostics& diagnostics);
Reply answer_explain(const Options& options, Diagnostics& diagnostics);
Reply answer_validate(const Options& options, Diagnostics& diagnostics);
Reply answer_compare(const Options& options, Diagnostics& diagnostics);
Reply answer_plan(const Options& options, Diagnostics& diagnostics);
Reply answer_list(const Options& options, Diagnostics& diagnostics);
Reply answer_schedule(const Options& options, Diagnostics& diagnostics);

}  // namespace ascendsim
