// Answers as JSON with stable keys: times in milliseconds, sizes in bytes, one rank = one die.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reports/answers/memory_tables.h"
#include "reports/writers/table.h"
#include "strategies/intake/pairs.h"
#include "strategies/prediction/disaggregated.h"

namespace ascendsim {

std::string run_json(const Subject& subject, const Prediction& prediction, const std::vector<Remedy>& remedies,
                     const Diagnostics& diagnostics);
// Both sides of a disaggregated pair: what they need, what clients see, what travels between them.
struct PairAnswer {
  const Subject &prefill, &decode;
  const DisaggregatedPrediction& prediction;
  std::vector<Remedy> prefill_remedies, decode_remedies;
};
std::string pair_json(const PairAnswer& answer, const Diagnostics& diagnostics);
std::string mem_json(const Subject& subject, const MemoryPerRank& memory, const std::vector<Concurrency>& concurrency,
                     const std::vector<Remedy>& remedies, const Diagnostics& diagnostics);

struct CheckedFile {
  Subject subject;
  bool legal = false;
  std::optional<MemoryPerRank> memory;  // at the file's own limits; empty when there is no such load
};
std::string check_json(std::span<const CheckedFile> files, const Diagnostics& diagnostics);

// {"schema_version": 1, "<key of the table>": [{column: value, ...}, ...], ...}
std::string tables_json(std::span<const Table> tables);
// What is left to say when there is no answer.
std::string diagnostics_json(const Diagnostics& diagnostics);

}  // namespace ascendsim
