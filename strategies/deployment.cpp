#include "strategies/deployment.h"

namespace ascendsim {

const Origin& Deployment::origin(std::string_view key) const {
  static const Origin kNowhere;
  const auto it = origins.find(key);
  return it == origins.end() ? kNowhere : it->second;
}

double Workload::tokens_per_step() const {
  double tokens = 1, all = 1;
  for (const double a : acceptance) tokens += all *= a;
  return tokens;
}

}  // namespace ascendsim
