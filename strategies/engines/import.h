// What reading an engine's configuration file takes and gives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strategies/deployment/key_report.h"
#include "strategies/deployment/question.h"

namespace ascendsim {

struct Import {
  Question question;
  std::vector<KeyReport> keys;
};

struct ImportOptions {
  std::string model;                    // name or path of a HuggingFace config.json; empty = from the file's names
  std::string quantisation;             // scheme name; empty = from the file's names
  std::string memory_fraction;          // NPU_MEMORY_FRACTION; empty = the stack's default
  std::optional<Role> role;             // empty = from inferMode
  std::string shell_memory_fraction{};  // the variable where this program runs: said, never used
};

// Of NPU_MEMORY_FRACTION: a number in (0, 1].
std::optional<double> parse_memory_fraction(const std::string& text, Diagnostics& diagnostics);

}  // namespace ascendsim
