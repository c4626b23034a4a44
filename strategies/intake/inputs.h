// The files of one call, read and sorted into instances: launch scripts are put together to the instances that they
// start, a file with both sides of a pair is two, every other file stands alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strategies/engines/launch/instances.h"
#include "strategies/intake/libraries.h"
#include "strategies/intake/settings.h"

namespace ascendsim {

// One file, or the launch scripts of one instance, and what the settings say about it alone.
struct FileChoice {
  std::string file, hardware;
  std::optional<std::int64_t> servers;
  std::optional<Role> role;
  std::shared_ptr<const std::string> text{};  // of the file, when it was read already
  std::shared_ptr<const LaunchedInstance> launched{};
  std::optional<BenchmarkLoad> load{};  // of --workload, or of a script
  std::optional<Role> side{};           // of a pair, as our own file says
};

// "-" is standard input.
std::string path_of(const std::string& file);

std::vector<FileChoice> read_inputs(const std::vector<std::string>& files, const Libraries& libraries,
                                    const Settings& settings, Diagnostics& diagnostics);
// The same for texts that are no files yet.
struct InputText {
  std::string name, text;
};
std::vector<FileChoice> read_texts(std::vector<InputText> texts, const Libraries& libraries, const Settings& settings,
                                   Diagnostics& diagnostics);
// For those who need one deployment. Throws ConfigError.
const FileChoice& only_choice(const std::vector<FileChoice>& choices, Diagnostics& diagnostics);

}  // namespace ascendsim
