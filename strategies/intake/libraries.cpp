#include "strategies/intake/libraries.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace ascendsim {

namespace {

// The first of these that holds our data is taken; the last one stands even when it does not, so that messages name it.
std::string find_root() {
  if (const char* const set = std::getenv("ASCENDSIM_ROOT"); set != nullptr && *set != '\0') return set;
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::filesystem::path installed = program.parent_path().parent_path() / "share" / "ascendsim";
  if (!program.empty() && std::filesystem::is_directory(installed / "hardware", ignored)) return installed.string();
  return ASCENDSIM_SOURCE_ROOT;
}

}  // namespace

std::string data_root() {
  static const std::string root = find_root();
  return root;
}

std::string data_folder(std::string_view name) { return fmt::format("{}/{}", data_root(), name); }

Libraries::Libraries()
    : catalogue(data_folder("hardware/catalogue")),
      models(data_folder("workloads/models")),
      schemes(data_folder("workloads/quantisation")),
      stacks(data_folder("strategies/engines/stacks")) {}

namespace {

template <class Map, class Load>
const auto& remembered(Map& map, typename Map::key_type key, Diagnostics& diagnostics, Load load) {
  auto at = map.find(key);
  if (at == map.end()) {
    typename Map::mapped_type read{};
    read.value = load(read.said);
    at = map.emplace(std::move(key), std::move(read)).first;
  }
  diagnostics.append(at->second.said);
  return at->second.value;
}

}  // namespace

const Server& Libraries::server(const std::string& name, const std::string& die, Diagnostics& diagnostics) const {
  return remembered(servers_, {name, die}, diagnostics,
                    [&](Diagnostics& said) { return catalogue.server(name, die, said); });
}

const KernelTable& Libraries::kernels(const std::string& name, Diagnostics& diagnostics) const {
  return remembered(kernels_, name, diagnostics, [&](Diagnostics& said) { return catalogue.kernels(name, said); });
}

const EngineVersions& Libraries::versions(const std::string& engine, Diagnostics& diagnostics) const {
  return remembered(versions_, engine, diagnostics, [&](Diagnostics& said) {
    return load_versions(data_folder("strategies/engines/versions"), engine, said);
  });
}

}  // namespace ascendsim
