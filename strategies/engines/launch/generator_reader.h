// Options of a load generator, one after the other, into the struct that its requests are made from. What is not
// written keeps the struct's value, which is the tool's default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "strategies/engines/launch/options.h"
#include "workloads/requests/slo.h"

namespace ascendsim {

class GeneratorReader {
 public:
  GeneratorReader(const OptionSet& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {}

  void count(std::string_view option, std::int64_t& value) const;
  void number(std::string_view option, double& value) const;  // also inf
  void text(std::string_view option, std::string& value) const;
  // A number, or in JSON one for inputs and one for outputs.
  void ratio(std::string_view option, double& of_inputs, double& of_outputs) const;
  [[nodiscard]] std::optional<std::int64_t> count(std::string_view option) const;
  [[nodiscard]] bool flag(std::string_view option) const { return options_.flag(option).value_or(false); }
  // "ttft:250 tpot:25", in milliseconds.
  [[nodiscard]] Slo goodput(std::string_view option) const;

 private:
  void wrong(std::string_view option, std::string_view what, const std::string& text) const;

  const OptionSet& options_;
  Diagnostics& diagnostics_;
};

}  // namespace ascendsim
