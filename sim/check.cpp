#include "sim/check.h"

#include <fmt/format.h>

namespace ascendsim {

void fail_check(std::string_view message, std::source_location where) {
  throw InternalError(fmt::format("{}:{}: {}", where.file_name(), where.line(), message));
}

}  // namespace ascendsim
