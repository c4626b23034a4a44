// MindIE Server's config.json -> Question. Reads the whole file, a file with only BackendConfig, or the brace-less
// ModelDeployConfig fragment as the documentation prints it. Every key ends as used, used with an assumption (absent),
// ignored without effect, ignored although it has an effect that is not modelled, or unknown.
// Keys, types, ranges and defaults: Ascend/MindIE-LLM docs (Configuration Parameters) and src/config_manager, 2026-04.
#pragma once

#include <string>

#include "sim/config.h"
#include "strategies/deployment/fields.h"
#include "strategies/deployment/stack.h"
#include "strategies/engines/import.h"

namespace ascendsim {

Import import_mindie(const Document& document, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics);
// The file at that path.
Import import_mindie(const std::string& path, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics);

}  // namespace ascendsim
