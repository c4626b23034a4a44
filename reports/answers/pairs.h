// The two sides of a disaggregated pair, for every command that reads one.
#pragma once

#include <optional>

#include "reports/command_line/options.h"
#include "reports/scenario.h"

namespace ascendsim {

struct PairOfChoices {
  FileChoice prefill, decode;
};
// From --prefill and --decode, or when the scripts of the call are such a pair; empty when they are not.
std::optional<PairOfChoices> asked_pair(const Options& options, const Libraries& libraries, Diagnostics& diagnostics);
std::optional<PairOfChoices> asked_pair(const std::vector<FileChoice>& choices, const Options& options);

struct PairOfSubjects {
  Subject prefill, decode;
};
// Judged each alone and against each other. Throws ConfigError.
PairOfSubjects load_pair(const PairOfChoices& choices, Load load, const Libraries& libraries, const Options& options,
                         Diagnostics& diagnostics);

}  // namespace ascendsim
