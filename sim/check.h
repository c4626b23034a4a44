// Our own bugs: a broken invariant stops the program loudly, in release builds too. The command line maps it to exit 3.
// Never used for user input (see diagnostics.h) nor for "does not fit" (a result).
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ascendsim {

struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void fail_check(std::string_view message, std::source_location where);

inline void check(bool condition, std::string_view message,
                  std::source_location where = std::source_location::current()) {
  if (!condition) [[unlikely]]
    fail_check(message, where);
}

}  // namespace ascendsim
