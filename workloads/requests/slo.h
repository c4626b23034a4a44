// Service level objectives: limits on what a request may take, and by which statistic a whole load is judged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/units.h"

namespace ascendsim {

enum class Statistic : std::uint8_t { kMean, kP50, kP90, kP95, kP99, kMax };
std::string_view to_text(Statistic statistic);

struct Slo {
  enum class Metric : std::uint8_t { kTtft, kTpot, kE2el };
  static constexpr std::size_t kMetrics = 3;
  struct Limit {
    Duration at_most{};
    Statistic judged_by = Statistic::kP99;
    bool operator==(const Limit&) const = default;
  };
  std::array<std::optional<Limit>, kMetrics> limits{};

  [[nodiscard]] const std::optional<Limit>& of(Metric m) const { return limits[static_cast<std::size_t>(m)]; }
  [[nodiscard]] std::optional<Limit>& of(Metric m) { return limits[static_cast<std::size_t>(m)]; }
  [[nodiscard]] bool any() const;
  bool operator==(const Slo&) const = default;
};
std::string_view to_text(Slo::Metric metric);

// "ttft=2s,tpot=50ms:p95": each limit may say the statistic that the load is judged by. Nothing, with what is wrong and
// what would be right, when it is no such list.
struct SloText {
  std::optional<Slo> slo;
  std::string wrong, help;
};
SloText parse_slo(std::string_view text);

}  // namespace ascendsim
