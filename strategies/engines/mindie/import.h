// MindIE Server's config.json -> Question. Reads the whole file, a file with only BackendConfig, or the brace-less
// ModelDeployConfig fragment as the documentation prints it. Every key ends as used, used with an assumption (absent),
// ignored without effect, ignored although it has an effect that is not modelled, or unknown.
// Keys, types, ranges and defaults: Ascend/MindIE-LLM docs (Configuration Parameters) and src/config_manager, 2026-04.
#pragma once

#include <string>
#include <vector>

#include "sim/config.h"
#include "strategies/deployment/fields.h"
#include "strategies/deployment/key_report.h"
#include "strategies/deployment/stack.h"

namespace ascendsim {

struct Import {
  Question question;
  std::vector<KeyReport> keys;
};

struct ImportOptions {
  std::string model;            // name or path of a HuggingFace config.json; empty = from the file's names
  std::string quantisation;     // scheme name; empty = from the file's names
  std::string memory_fraction;  // NPU_MEMORY_FRACTION; empty = the stack's default
  std::optional<Role> role;     // empty = from inferMode
};

// Of NPU_MEMORY_FRACTION: a number in (0, 1].
std::optional<double> parse_memory_fraction(const std::string& text, Diagnostics& diagnostics);

Import import_mindie(const Document& document, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics);
// The file at that path.
Import import_mindie(const std::string& path, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics);

}  // namespace ascendsim
