// What becomes of every key, option and variable of a file that is read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ascendsim {

enum class KeyUse : std::uint8_t { kUsed, kAssumed, kNoEffect, kEffectNotModelled, kUnknown };
std::string_view to_text(KeyUse use);

struct KeyReport {
  std::string path, value;
  KeyUse use = KeyUse::kUsed;
  std::string remark;
};

}  // namespace ascendsim
