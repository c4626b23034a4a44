// Answers as JSON with stable keys: times in milliseconds, sizes in bytes, one rank = one die.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "reports/answers/answer.h"
#include "reports/answers/memory_tables.h"
#include "strategies/intake/pairs.h"
#include "strategies/prediction/disaggregated.h"

namespace ascendsim {

JsonDocument run_json(const Subject& subject, const Prediction& prediction, const std::vector<Remedy>& remedies,
                      const Diagnostics& diagnostics);
// Both sides of a disaggregated pair: what they need, what clients see, what travels between them.
struct PairAnswer {
  const Subject &prefill, &decode;
  const DisaggregatedPrediction& prediction;
  std::vector<Remedy> prefill_remedies, decode_remedies;
};
JsonDocument pair_json(const PairAnswer& answer, const Diagnostics& diagnostics);
// Of one instance, or of each side of a pair.
struct MemoryAnswer {
  const Subject& subject;
  const MemoryPerRank& memory;
  std::span<const Concurrency> concurrency;
  std::span<const Remedy> remedies;
};
JsonDocument mem_json(const MemoryAnswer& answer, const Diagnostics& diagnostics);
JsonDocument mem_json(const MemoryAnswer& prefill, const MemoryAnswer& decode, const Diagnostics& diagnostics);

struct CheckedFile {
  Subject subject;
  bool legal = false;
  std::optional<MemoryPerRank> memory;  // at the file's own limits; empty when there is no such load
};
JsonDocument check_json(std::span<const CheckedFile> files);

}  // namespace ascendsim
