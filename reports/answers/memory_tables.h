// Memory per rank in tables, and what to do when it is too much.
#pragma once

#include <string>
#include <vector>

#include "reports/answers/table.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

// "58.1 GiB of 58.9 GiB (0.92 of 64 GiB): fits, 0.8 GiB free"
// "yes", "borderline", "no".
std::string_view fit_word(const MemoryPerRank& memory);
std::string fit_in_words(const MemoryPerRank& memory, const Deployment& deployment);
// Need, have, largest contributor, what would fit. Empty when it fits.
struct Shortage {
  Table need;
  std::vector<Remedy> remedies;
  Table remedy_table;
};
Shortage shortage_of(const Subject& subject, const MemoryPerRank& memory, const Libraries& libraries);

Table memory_table(const MemoryPerRank& memory);
Table weight_table(const MemoryPerRank& memory);
Table activation_table(const MemoryPerRank& memory);
Table communication_table(const MemoryPerRank& memory);
Table kv_table(const MemoryPerRank& memory, const Deployment& deployment);

// Contexts by doubling up to the longest that fits, and how many sequences of each.
struct Concurrency {
  std::int64_t context = 0, per_dp_group = 0, instance = 0;
};
std::vector<Concurrency> concurrency_of(const MemoryPerRank& memory, const Deployment& deployment);
Table concurrency_table(const std::vector<Concurrency>& rows, const Deployment& deployment);

// vLLM does not start when its pool cannot hold one longest request.
void check_pool(const Subject& subject, const MemoryPerRank& memory, Diagnostics& diagnostics);

}  // namespace ascendsim
