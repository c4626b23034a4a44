// A priced step in words and tables: where its time goes, what comes first, how far it is from the speed of light.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "reports/answers/table.h"
#include "strategies/prediction/predict.h"

namespace ascendsim {

// The phases that a deployment of this role runs, in order, with the step that was priced for each.
struct PhaseStep {
  const char* name;  // "prefill"
  const StepTime* step;
};
std::vector<PhaseStep> phases_of(Role role, const Prediction& prediction);
std::string_view to_text(Role role);

// "31.2 ms", or mean and percentiles where requests differ.
std::string with_spread(const Percentiles& percentiles);

std::string_view category_name(std::uint8_t category);

// The parts of a step's time; they sum to its total.
struct Part {
  const char* name;
  const char* key;  // of JSON and CSV
  Duration time;
  int category;  // of the operators behind it; -1 when there are none
};
std::array<Part, 7> parts_of(const StepTime& step);

// "attention 41 % of the step; attention_core 1.2 s, limited by the matrix engine"
std::string bottleneck(const StepTime& step);
// "812 ms, 65 % of it is reached"
std::string distance_to_light(const StepTime& step);

// Of each phase: its step (prompts in the prefill step, context of the decode step), bottleneck and speed of light.
Table reasons_table(const std::vector<PhaseStep>& phases, std::int64_t prompts, std::int64_t decode_context);
Table breakdown_table(const std::vector<PhaseStep>& phases);
Table operator_table(const PhaseStep& phase, std::int64_t top);
Table collective_table(const PhaseStep& phase);

}  // namespace ascendsim
