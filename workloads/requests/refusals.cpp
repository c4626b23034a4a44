#include "workloads/requests/refusals.h"

namespace ascendsim {

void Refusals::value(std::string_view option, std::string message, std::string help) {
  add("E0602", option, std::move(message), std::move(help));
}

void Refusals::absent(std::string_view option, std::string message, std::string help) {
  add("E0601", option, std::move(message), std::move(help));
}

void Refusals::at_least(std::int64_t least, std::initializer_list<std::pair<std::string_view, std::int64_t>> values) {
  for (const auto& [option, v] : values)
    if (v < least) value(option, fmt::format("{} is {}, it must be at least {}", option, v, least));
}

void Refusals::seed(std::string_view option, std::int64_t seed) {
  if (seed < 0 || seed > 0xFFFF'FFFF)
    value(option, fmt::format("{} is {}, NumPy takes seeds from 0 to 4294967295", option, seed));
}

void Refusals::last_instant(std::string_view option, double seconds) {
  constexpr double kLongest = 9e6;
  if (!(seconds <= kLongest))
    value(option, fmt::format("the last request would be sent after {:.4g} s, more than 104 days", seconds),
          "a higher rate, or fewer requests");
}

void Refusals::add(std::string code, std::string_view option, std::string message, std::string help) {
  SourceLocation where = where_;
  where.key_path = option;
  diagnostics_.error(std::move(code), std::move(where), std::move(message), tool_, std::move(help));
  any_ = true;
}

}  // namespace ascendsim
