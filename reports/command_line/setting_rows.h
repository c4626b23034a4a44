// Rows of Settings that several commands have, so that the same thing has the same name everywhere.
#pragma once

#include "reports/command_line/options.h"
#include "reports/writers/writers.h"

namespace ascendsim {

// Whether a command needs a setting on the command line, as long as no file says it.
enum class Asks : std::uint8_t { kNeeds, kTakes };

void load_rows(Options& options, Settings& settings, Asks asks);  // one load: input, output, batch, ...
void further_load_rows(Options& options, Settings& settings);     // prefix hits, acceptance, a benchmark's command
void service_rows(Options& options, ServiceSettings& service);    // requests over time
void machine_rows(Options& options, Settings& settings, Asks asks);
void engine_rows(Options& options, Settings& settings);  // but its model
void file_rows(Options& options, Settings& settings);    // of commands that read files of one deployment
void pair_rows(Options& options, Settings& settings);

Option& hardware_row(Options& options, std::string& target);
Option& input_row(Options& options, std::optional<std::int64_t>& target);
Option& output_row(Options& options, std::optional<std::int64_t>& target);
Option& batch_row(Options& options, std::optional<std::int64_t>& target);
Option& servers_row(Options& options, std::optional<std::int64_t>& target);
Option& die_row(Options& options, std::string& target);
Option& model_row(Options& options, std::string& target);
Option& print_config_row(Options& options, bool& target);
Option& faults_row(Options& options, std::string& target);

// How an answer is written.
struct OutputSettings {
  Format format = Format::kTable;
  std::string file;  // empty: stdout
  bool verbose = false;
};
// Lines of findings alone are formats of commands that look for them.
enum class Formats : std::uint8_t { kOfTables, kOfFindingsToo, kOfBenchmarksToo };
void output_rows(Options& options, OutputSettings& output, Formats formats);

}  // namespace ascendsim
