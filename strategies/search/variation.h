// A deployment with some of its fields changed and the number of ranks kept: what `compare` sets side by side.
//   Degrees that nobody varies follow: tp = ranks / (dp x cp) unless tp is varied; then cp where it was used, else dp.
//   sp stays, or becomes tp, or 1: the first of these that the engine's rules accept, tp first where sp was tp.
//   Whole blocks take turns on the shards of a cache that only the variation cuts, where a connector demands it.
//   moe_ep and moe_tp fill the ranks together: the one that is not varied follows.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"

namespace ascendsim {

struct Assignment {
  std::string key, value;  // as in --set KEY=VALUE
};

struct Variation {
  Question question;
  std::vector<std::string> derived;  // "tp 16": changed though nobody named it
};

// REQUIRES: `base` has its layout derived. legal: what the engine's rules say of a layout. Unknown keys and wrong
// values are diagnosed as those of --set are.
Variation vary(const Question& base, std::span<const Assignment> assignments,
               const std::function<bool(const Question&)>& legal, Diagnostics& diagnostics);

// Limits that `workload` exceeds are raised to it, and `derived` says so: a comparison asks about times, and every
// alternative gets the same limits.
void raise_limits(Question& question, const Workload& workload, std::vector<std::string>& derived);

}  // namespace ascendsim
