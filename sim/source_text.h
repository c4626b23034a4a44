// The bytes of a configuration file: reading them, refusing what is no text, and saying where in it something stands.
// Configuration is read through config.h; this is for config.cpp and for readers of formats that are no YAML (launch
// scripts, output of hccl_test).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"

namespace ascendsim {

class SourceText {
 public:
  SourceText(std::string text, std::string name);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] SourceLocation whole() const { return {.file = name_}; }
  [[nodiscard]] SourceLocation locate(std::size_t offset) const;  // with the excerpt, unless the line is very long
  [[nodiscard]] int line_of(std::size_t offset) const;

 private:
  std::string text_;
  std::string name_;
  std::vector<std::uint32_t> line_starts_;
};

// Empty after a diagnostic: missing file, directory, unreadable, too large. Devices and pipes are read as well.
std::optional<std::string> read_file(const std::string& path, std::size_t max_bytes, Diagnostics& diagnostics);

// False after a diagnostic: blank, NUL or other control characters (binary), invalid UTF-8.
bool is_text(std::string_view bytes, const std::string& name, Diagnostics& diagnostics);

// A text made digestible for a YAML parser, and what one cheap pass over it has seen. Bytes are only overwritten, never
// moved, except for `prefix_bytes` put in front of a brace-less fragment that separates its values by commas.
struct CleanedText {
  std::string text;
  std::size_t prefix_bytes = 0;
  std::optional<std::size_t> too_deep;  // the bracket that nests deeper than max_depth; cleaning stopped there
  std::optional<std::size_t> unclosed;  // the bracket or quote that was still open at the end
};
CleanedText clean_for_yaml(std::string_view text, std::size_t max_depth);

}  // namespace ascendsim
