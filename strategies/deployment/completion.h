// What follows from what somebody said: degrees, names, limits, the load.
#pragma once

#include "strategies/deployment/fields.h"
#include "strategies/deployment/stack.h"

namespace ascendsim {

// Degrees that nobody named follow from those that somebody did.
void derive_layout(Question& question);
// After a change of the layout: a launch script whose cache was whole had no reason to say how a cut one takes turns.
// Where its connector moves whole blocks, the turn becomes a block. True when something was set. `was_cut`: before the
// change.
bool follow_cut_cache(Question& question, bool was_cut);

// What nobody named, once the load is known: limits from the workload, the memory fraction from the stack. Notes say
// so.
void complete(Question& question, const Stack& stack, Diagnostics& diagnostics);
// Prefix hits in whole blocks and an acceptance for every draft token; notes what is assumed.
void complete_workload(const Deployment& deployment, const Stack& stack, Workload& workload, Diagnostics& diagnostics);
// Notes of an import that no longer hold after `after` was made of `before` are dropped, or said anew.
Diagnostics with_current_assumptions(const Diagnostics& notes, const Question& before, const Question& after);
// Names of model and quantisation loaded into the deployment, and what follows from them.
void resolve(Question& question, const ModelLibrary& models, const QuantisationLibrary& schemes,
             Diagnostics& diagnostics);

}  // namespace ascendsim
