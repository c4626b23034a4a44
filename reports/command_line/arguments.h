// Arguments as the shell hands them over: what no single option sees.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"

namespace ascendsim {

// Behind "--" everything is a word, whatever it looks like.
struct Arguments {
  std::vector<std::string> split;  // into options and words
  std::vector<std::string> words;
};
Arguments at_dashes(std::span<const std::string> args);

// E0004: an option with an empty value, which would be as if it were not there; a unit that a blank parts from its
// number. takes_value: whether an option, named with its dashes, has one.
void check_values(std::span<const std::string> args, const std::function<bool(std::string_view)>& takes_value,
                  Diagnostics& diagnostics);

// Why a file cannot be written there: its folder does not exist, or only that it cannot.
void say_unwritable(const std::string& path, std::string_view option, Diagnostics& diagnostics);

}  // namespace ascendsim
