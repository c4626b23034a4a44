// Who is speaking: the facts that stand above every answer about one deployment.
#pragma once

#include "reports/scenario.h"
#include "reports/table.h"

namespace ascendsim {

// Model, engine, hardware, layout, workload; a line each.
Table heading(const Subject& subject);
Table heading(const Subject& prefill, const Subject& decode);  // of a disaggregated pair

}  // namespace ascendsim
