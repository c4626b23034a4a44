// What reading and writing of fields share. Internal to deployment/.
#pragma once

#include <fmt/format.h>

#include "strategies/deployment/fields.h"

namespace ascendsim {

// Token counts may be written as 64K.
[[nodiscard]] inline bool takes_suffix(const Field& f) {
  constexpr double kMaxBlock = 4096;  // counts within a block are written out
  for (const std::string_view word : {"token", "seq_len", "prefix_hit"})
    if (f.path.find(word) != std::string_view::npos && f.most > kMaxBlock) return true;
  return false;
}
[[nodiscard]] inline bool limited(const Field& f) { return f.least != f.most; }

// "a.b" stands in map a under key b.
inline std::string_view section_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}
inline std::string_view key_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

inline std::string number_text(double v) { return fmt::format("{}", v); }

}  // namespace ascendsim
