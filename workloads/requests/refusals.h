// How the generators refuse an option.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "sim/diagnostics.h"
#include "workloads/requests/pacing.h"

namespace ascendsim {

class Refusals {
 public:
  Refusals(Diagnostics& diagnostics, const SourceLocation& where, std::string_view tool)
      : diagnostics_(diagnostics), where_(where), tool_(tool) {}

  [[nodiscard]] bool any() const { return any_; }

  // E0602.
  void value(std::string_view option, std::string message, std::string help = {}) {
    add("E0602", option, std::move(message), std::move(help));
  }
  // E0601.
  void absent(std::string_view option, std::string message, std::string help) {
    add("E0601", option, std::move(message), std::move(help));
  }

  template <class T>
  void at_least(T least, std::initializer_list<std::pair<std::string_view, T>> values) {
    for (const auto& [option, v] : values)
      if (!(v >= least)) value(option, fmt::format("{} is {}, it must be at least {}", option, v, least));
  }
  void seed(std::string_view option, std::int64_t v) {
    if (v < 0 || v > 0xFFFF'FFFF)
      value(option, fmt::format("{} is {}, NumPy takes seeds from 0 to 4294967295", option, v));
  }
  // An instant is an integer of picoseconds.
  void span(std::string_view option, double last_seconds) {
    constexpr double kLongest = 9e6;
    if (!(last_seconds <= kLongest))
      value(option, fmt::format("the last request would be sent after {:.4g} s, more than 104 days", last_seconds),
            "a higher rate, or fewer requests");
  }

 private:
  void add(std::string code, std::string_view option, std::string message, std::string help) {
    SourceLocation where = where_;
    where.key_path = option;
    diagnostics_.error(std::move(code), std::move(where), std::move(message), tool_, std::move(help));
    any_ = true;
  }

  Diagnostics& diagnostics_;
  SourceLocation where_;
  std::string tool_;
  bool any_ = false;
};

}  // namespace ascendsim
