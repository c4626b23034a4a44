// How the generators refuse an option.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "sim/diagnostics.h"

namespace ascendsim {

class Refusals {
 public:
  Refusals(Diagnostics& diagnostics, const SourceLocation& where, std::string_view tool)
      : diagnostics_(diagnostics), where_(where), tool_(tool) {}

  [[nodiscard]] bool any() const { return any_; }

  void value(std::string_view option, std::string message, std::string help = {});  // E0602
  void absent(std::string_view option, std::string message, std::string help);      // E0601
  void at_least(std::int64_t least, std::initializer_list<std::pair<std::string_view, std::int64_t>> values);
  void seed(std::string_view option, std::int64_t seed);       // what NumPy takes
  void last_instant(std::string_view option, double seconds);  // what a Duration holds

 private:
  void add(std::string code, std::string_view option, std::string message, std::string help);

  Diagnostics& diagnostics_;
  SourceLocation where_;
  std::string tool_;
  bool any_ = false;
};

}  // namespace ascendsim
