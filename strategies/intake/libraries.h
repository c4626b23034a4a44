// Data files: where they are, and what has been read of them. A file is read once, however many deployments need it;
// what is wrong with it is said to each of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "hardware/catalogue.h"
#include "strategies/deployment/stack.h"
#include "strategies/deployment/versions.h"
#include "workloads/model.h"
#include "workloads/quantisation.h"

namespace ascendsim {

// The folder that holds the data files, by their places in the source tree: ASCENDSIM_ROOT in the environment; else
// share/ascendsim beside the folder of the running program, as `cmake --install` lays it out; else the source tree that
// the program was built from.
std::string data_root();
// A folder below it: "hardware/catalogue".
std::string data_folder(std::string_view name);

class Libraries {
 public:
  Libraries();  // in their data folders

  Catalogue catalogue;
  ModelLibrary models;
  QuantisationLibrary schemes;
  StackLibrary stacks;

  // The answers live as long as the library. Not for several threads at once.
  const Server& server(const std::string& name, const std::string& die, Diagnostics& diagnostics) const;
  const KernelTable& kernels(const std::string& name, Diagnostics& diagnostics) const;
  const EngineVersions& versions(const std::string& engine, Diagnostics& diagnostics) const;

 private:
  template <class T>
  struct Read {
    T value;
    Diagnostics said;
  };
  mutable std::map<std::pair<std::string, std::string>, Read<Server>> servers_;
  mutable std::map<std::string, Read<KernelTable>> kernels_;
  mutable std::map<std::string, Read<EngineVersions>> versions_;
};

}  // namespace ascendsim
