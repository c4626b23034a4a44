// `ascendsim ring`: attention of a parallel strategy, or whole layers of a deployment, computed on real numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/answers/answer.h"
#include "strategies/intake/settings.h"

namespace ascendsim {

// Empty: the strategy's own default.
struct RingOptions {
  std::string strategy, partition, dtype, lse_dtype;
  std::optional<std::int64_t> ranks, cp, pcp, tp, sp, dcp;  // each engine has its own words
  std::vector<std::int64_t> tokens, history;                // of each sequence
  std::optional<std::int64_t> heads, interleave, orders, threads;
  bool all = false, what_if = false;
  // Whole layers of a deployment instead.
  bool layer = false;
  std::string config, scale;
  std::int64_t seed = 0;
  Settings settings;
};

// ring --layer; files: as words.
Answer answer_layers(const std::vector<std::string>& files, const RingOptions& options, Diagnostics& diagnostics);

}  // namespace ascendsim
