// The keys that MindIE knows, by section of config.json, and what this simulator does with each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "strategies/engines/mindie/import.h"

namespace ascendsim {

enum class KeyType : std::uint8_t { kInteger, kBool, kString, kAny };

struct KeySpec {
  std::string_view key;
  KeyUse use = KeyUse::kNoEffect;
  KeyType type = KeyType::kAny;
  std::int64_t least = INT64_MIN, most = INT64_MAX;
  std::string_view remark{};
};

struct MindieSections {
  std::span<const KeySpec> top, server, backend, deploy, model, deepseek, parallel, kv_cache, schedule, plugin;
};
const MindieSections& mindie_sections();

}  // namespace ascendsim
