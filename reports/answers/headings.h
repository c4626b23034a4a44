// Who is speaking: the facts that stand above every answer about one deployment.
#pragma once

#include "reports/answers/table.h"
#include "strategies/deployment/words.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

// Of the file at hand: launch scripts speak their engine's language, our own file ours.
DegreeWords degree_words(const Question& question);

// Model, engine, hardware, layout, workload; a line each.
Table heading(const Subject& subject);
Table heading(const Subject& prefill, const Subject& decode);  // of a disaggregated pair

}  // namespace ascendsim
