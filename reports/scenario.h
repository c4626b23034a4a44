// From options to everything that a question needs: data files, servers, the engine's file, its rules and the load.
// Each step says all it finds; nothing is built from a layout that the engine would refuse.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reports/options.h"
#include "strategies/importers/mindie.h"
#include "strategies/predict.h"

namespace ascendsim {

struct Libraries {
  Libraries();  // below ASCENDSIM_ROOT, or the tree that the program was built from
  Catalogue catalogue;
  ModelLibrary models;
  QuantisationLibrary schemes;
  StackLibrary stacks;
};

// What all files of one command line share.
struct Platform {
  Stack stack;
  KernelTable kernels;
  Server server;
  bool usable = false;  // read without errors
};
Platform load_platform(const Libraries& libraries, const Options& options, Diagnostics& diagnostics);

// One file of the engine on some servers. scenario is empty after errors.
struct Subject {
  std::string file;
  std::vector<KeyReport> keys;
  Workload workload;
  int servers = 1;
  std::unique_ptr<Scenario> scenario;

  [[nodiscard]] const Deployment& deployment() const { return scenario->deployment; }
  [[nodiscard]] std::int64_t dies() const { return deployment().layout.world(); }
  [[nodiscard]] std::int64_t cards() const { return ceil_div(dies(), scenario->cluster.server().dies_per_card); }
};

// Which load a command asks about when options leave it open.
enum class Load : std::uint8_t {
  kAsked,        // as the options say
  kLimits,       // what the file allows at most, one request
  kLimitsIfAny,  // the same, and no complaint when the file allows none
};
Subject load_subject(const std::string& file, Load load, const Libraries& libraries, const Platform& platform,
                     const Options& options, Diagnostics& diagnostics);

// A single subject for commands that need one. Throws ConfigError.
Subject load_single(Load load, const Libraries& libraries, const Options& options, Diagnostics& diagnostics);

bool refused(const Diagnostics& diagnostics, bool strict);  // an error, or a warning where those count as errors

}  // namespace ascendsim
