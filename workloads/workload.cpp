#include "workloads/workload.h"

namespace ascendsim {

double Workload::tokens_per_step() const {
  double tokens = 1, all = 1;
  for (const double a : acceptance) tokens += all *= a;
  return tokens;
}

}  // namespace ascendsim
