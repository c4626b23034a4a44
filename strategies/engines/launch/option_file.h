// Option tables as data: strategies/engines/ENGINE/options.txt, whose head says how a row is written. The text is part
// of the program (CMakeLists.txt), so that a command line can be read before anything else is.
#pragma once

#include <deque>
#include <vector>

#include "strategies/engines/launch/options.h"

namespace ascendsim {

class OptionFile {
 public:
  // REQUIRES: the text lives as long as the tables that are made of it; each of its rows is well formed.
  explicit OptionFile(std::string_view text);

  [[nodiscard]] std::span<const EngineOption> options() const { return options_; }
  [[nodiscard]] std::span<const JsonKeySpec> json_keys() const { return json_keys_; }
  [[nodiscard]] std::span<const EnvironmentSpec> environment() const { return environment_; }
  [[nodiscard]] std::span<const std::string_view> lenient() const { return lenient_; }

 private:
  std::span<const std::string_view> words(std::string_view text);

  std::vector<EngineOption> options_;
  std::vector<JsonKeySpec> json_keys_;
  std::vector<EnvironmentSpec> environment_;
  std::vector<std::string_view> lenient_;
  std::deque<std::vector<std::string_view>> words_;  // of choices
};

}  // namespace ascendsim
