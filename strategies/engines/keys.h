// Keys of a configuration file: what an engine knows, and what this simulator does with each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "strategies/deployment/key_report.h"

namespace ascendsim {

enum class KeyType : std::uint8_t { kInteger, kBool, kString, kAny };

struct KeySpec {
  std::string_view key;
  KeyUse use = KeyUse::kNoEffect;
  KeyType type = KeyType::kAny;
  std::int64_t least = INT64_MIN, most = INT64_MAX;
  std::string_view remark{};
};

// A part of the file: "ScheduleConfig".
struct KeySection {
  std::string_view name;
  std::span<const KeySpec> keys;
};

}  // namespace ascendsim
