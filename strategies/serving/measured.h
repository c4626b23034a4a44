// A service under a load, measured as a benchmark tool would measure it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "strategies/intake/load_over_time.h"
#include "strategies/serving/metrics.h"
#include "strategies/serving/service.h"

namespace ascendsim {

// Beside the metrics; either may be empty.
struct ServiceHooks {
  std::function<void(const RequestOutcome&)> finished;  // every request, in the order in which they end
  std::function<bool(Duration now, std::int64_t finished)> go_on;  // asked now and then; false ends the run
};

struct MeasuredService {
  ServiceReport report;
  std::vector<std::string> notes;  // what it rests on
  bool stopped = false;            // by go_on(): the report is of what had ended
};

// acceptance: of MTP drafts. Nothing after an error: of the site (service.h), of the load, or when nothing goes on.
std::optional<MeasuredService> measure(const ServiceSite& site, const LoadOverTime& load,
                                       const std::vector<double>& acceptance, const ServiceHooks& hooks,
                                       Diagnostics& diagnostics);

}  // namespace ascendsim
