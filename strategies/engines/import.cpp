#include "strategies/engines/import.h"

#include <fmt/format.h>

#include <charconv>

namespace ascendsim {

std::optional<double> parse_memory_fraction(const std::string& text, Diagnostics& diagnostics) {
  const char* const end = text.data() + text.size();
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc{} && rest == end && value > 0 && value <= 1) return value;
  diagnostics.error("E0243", {}, fmt::format("NPU_MEMORY_FRACTION must be a number in (0, 1], got '{}'", text),
                    "MindIE environment variables", "--env NPU_MEMORY_FRACTION=0.92");
  return std::nullopt;
}

}  // namespace ascendsim
