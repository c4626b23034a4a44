// What was asked for on the command line, read and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/command_line/lists.h"
#include "reports/writers/table.h"
#include "strategies/search/comparison.h"

namespace ascendsim {

// Of `ring`. Empty: the strategy's own default.
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
};

// Of `collective`. Sizes as they were written.
struct CollectiveOptions {
  std::string op, algorithm, expansion, bytes, sweep, compare;
  std::optional<std::int64_t> ranks, concurrent, top_k;
  std::optional<double> padding;
  bool per_rank = false;
};

// Of `compare` and `plan`: each option may hold several values.
struct ListOptions {
  NumberList inputs, batches;  // compare
  std::vector<Varied> vary;
  std::vector<std::string> models, hardware;
  std::string svg_folder;
  NumberList contexts, concurrencies;  // plan
  std::string engine;
  std::optional<Duration> ttft, tpot;  // at most
};

// A picture of the fabric in place of tables.
enum class GraphKind : std::uint8_t { kNone, kDot, kSvg };

struct Options : Settings {
  std::vector<std::string> words;  // without a dash: files, or what to list
  std::string output_file;
  RingOptions ring;
  CollectiveOptions collective;
  ListOptions lists;
  std::string only_case;             // validate
  std::string export_to, base_file;  // export
  std::string faults_file;
  GraphKind graph = GraphKind::kNone;
  std::int64_t top = 10;
  Format format = Format::kTable;
  bool verbose = false, print_config = false, schema = false, explain = false;
};

// E0003 for an option that nothing else stands in for, with the words of its help.
void say_missing_option(std::string_view option, Diagnostics& diagnostics);

}  // namespace ascendsim
