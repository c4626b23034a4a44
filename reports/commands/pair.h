// `run --prefill p.json --decode d.json`: two instances that hand KV caches over.
#pragma once

#include <cstdint>

#include "reports/answers/answer.h"
#include "reports/commands/service.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

struct PairOptions {
  ServiceOutput service;
  bool print_config = false;
};
Answer answer_pair(const PairOfChoices& choices, const Settings& settings, const PairOptions& options,
                   Diagnostics& diagnostics);

}  // namespace ascendsim
