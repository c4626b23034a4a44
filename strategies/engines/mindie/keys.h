// The keys that MindIE knows, by section of config.json, and what this simulator does with each.
#pragma once

#include "strategies/engines/keys.h"

namespace ascendsim {

struct MindieSections {
  std::span<const KeySpec> top, server, backend, deploy, model, deepseek, parallel, kv_cache, schedule, plugin;
};
const MindieSections& mindie_sections();
std::span<const KeySection> mindie_keys();  // the same, in the order of the file

}  // namespace ascendsim
