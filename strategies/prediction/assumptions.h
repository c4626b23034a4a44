// What a prediction rests on, in sentences: simplifications of the model where they play a part for this deployment and
// load, and figures without evidence.
#pragma once

#include <string>
#include <vector>

#include "strategies/prediction/predict.h"

namespace ascendsim {

std::vector<std::string> assumptions(const Scenario& scenario, const Workload& workload);
// How the priced steps are cut and launched, and which of their kernels have no evidence.
void add_assumptions_of_steps(Prediction& prediction, const Scenario& scenario);

}  // namespace ascendsim
