#include "strategies/deployment.h"

namespace ascendsim {

const Origin& Deployment::origin(std::string_view key) const {
  static const Origin kNowhere;
  const auto it = origins.find(key);
  return it == origins.end() ? kNowhere : it->second;
}

}  // namespace ascendsim
