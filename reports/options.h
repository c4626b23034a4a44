// What was asked for on the command line, read and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reports/table.h"
#include "strategies/deployment.h"

namespace ascendsim {

// Of `ring`. Empty: the strategy's own default.
struct RingOptions {
  std::string strategy, partition, dtype, lse_dtype;
  std::optional<std::int64_t> cp, tp, tokens, heads, interleave;
  bool all = false;
};

struct Options {
  std::vector<std::string> words;  // without a dash: files, or what to list
  std::string hardware, die, model, quantisation, memory_fraction, output_file;
  std::optional<Role> role;
  std::optional<std::int64_t> input, output, batch, servers;
  RingOptions ring;
  std::int64_t top = 10;
  Format format = Format::kTable;
  bool strict = false, verbose = false;
};

}  // namespace ascendsim
