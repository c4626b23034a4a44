// The two sides of a disaggregated pair, for every command that reads one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strategies/intake/subject.h"

namespace ascendsim {

struct PairOfChoices {
  FileChoice prefill, decode;
};
// The files of a call. They are a pair when the settings name two sides, or when a prefill and a decode instance are
// among the files; `choices` is empty in the first case.
struct Inputs {
  std::vector<FileChoice> choices;
  std::optional<PairOfChoices> pair;
};
Inputs gather_inputs(const std::vector<std::string>& files, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics);

struct PairOfSubjects {
  Subject prefill, decode;
};
// Judged each alone and against each other. Throws ConfigError.
PairOfSubjects load_pair(const PairOfChoices& choices, Load load, const Libraries& libraries, const Settings& settings,
                         Diagnostics& diagnostics);

// For those who load the sides themselves: a prefill and a decode instance among the choices, both null when there are
// no two such, and what the two must agree on, as the engine and as their scripts say it.
struct PairChoice {
  const FileChoice *prefill = nullptr, *decode = nullptr;
};
PairChoice pair_among(const std::vector<FileChoice>& choices);
void check_pair(const FileChoice& prefill_choice, const Subject& prefill, const FileChoice& decode_choice,
                const Subject& decode, Diagnostics& diagnostics);

}  // namespace ascendsim
