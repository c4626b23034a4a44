// What was asked for on the command line, read and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/lists.h"
#include "reports/table.h"
#include "strategies/deployment.h"

namespace ascendsim {

// Of `ring`. Empty: the strategy's own default.
struct RingOptions {
  std::string strategy, partition, dtype, lse_dtype;
  std::optional<std::int64_t> cp, tp, tokens, heads, interleave;
  bool all = false;
};

// Of `compare` and `plan`: each option may hold several values.
struct ListOptions {
  NumberList inputs, batches;              // compare
  std::vector<std::string> vary;           // "cp=1,2", as written
  std::vector<std::string> models, hardware;
  std::string svg_folder;
  NumberList contexts, concurrencies;      // plan
  std::string engine;
  std::optional<Duration> ttft, tpot;      // at most
};

// Whose file it is.
enum class FileKind : std::uint8_t { kByContent, kMindie, kOwn };

struct Options {
  std::vector<std::string> words;  // without a dash: files, or what to list
  std::string hardware, die, model, quantisation, memory_fraction, output_file, engine_version;
  std::optional<Role> role;
  RingOptions ring;
  ListOptions lists;
  std::optional<std::int64_t> input, output, batch, servers, prefix_hit;
  std::optional<bool> async_scheduling;
  std::vector<double> acceptance;
  std::vector<std::string> set;  // "key.path=value"
  FileKind from = FileKind::kByContent;
  // The two sides of a disaggregated pair; --hardware stands for both.
  std::string prefill_file, decode_file, prefill_hardware, decode_hardware;
  std::optional<std::int64_t> prefill_servers, decode_servers;
  std::string only_case;  // validate
  std::int64_t top = 10;
  Format format = Format::kTable;
  bool strict = false, verbose = false, print_config = false, schema = false, explain = false;
  [[nodiscard]] bool pair() const { return !prefill_file.empty() || !decode_file.empty(); }
};

// E0003 for an option that nothing else stands in for.
void say_missing(std::string_view option, Diagnostics& diagnostics);

}  // namespace ascendsim
