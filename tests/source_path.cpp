#include "tests/source_path.h"

std::string ascendsim::source_path(const char* inside) {
  const std::string root = ASCENDSIM_SOURCE_ROOT;
  return *inside == 0 ? root : root + "/" + inside;
}
