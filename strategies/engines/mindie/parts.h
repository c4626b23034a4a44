// What engine.cpp puts together.
#pragma once

#include "strategies/deployment/engine.h"

namespace ascendsim {

extern const Engine kMindieEngine;

void check_mindie(const RuleInput& input, Diagnostics& diagnostics);
Export write_mindie(const ExportRequest& request, Diagnostics& diagnostics);
std::span<const Limitation> mindie_limitations();

}  // namespace ascendsim
