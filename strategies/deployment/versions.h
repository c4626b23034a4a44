// Which version of an engine has what: strategies/engines/versions/ENGINE.yaml, every entry with its source.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.h"

namespace ascendsim {

struct Version {
  std::int64_t major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};
// "0.15", "v0.15.0rc1"; empty when it does not begin with two numbers. Patches and candidates do not count.
std::optional<Version> parse_version(std::string_view text);

struct VersionedFeature {
  std::string name, from, until, source, note;  // until: the last version that has it; empty = no end known
};
struct VersionedDefault {
  std::string option, from, value, source;
};

struct EngineVersions {
  std::string engine;
  std::vector<VersionedFeature> features;
  std::vector<VersionedDefault> defaults;  // of an option, ascending by version

  [[nodiscard]] const VersionedFeature* feature(std::string_view name) const;
  // Whether that version has it; true when the version is not understood.
  [[nodiscard]] bool has(std::string_view name, std::string_view version) const;
  [[nodiscard]] const VersionedDefault* default_of(std::string_view option, std::string_view version) const;
};
// Empty tables when the engine has no such file.
EngineVersions load_versions(const std::string& folder, const std::string& engine, Diagnostics& diagnostics);

}  // namespace ascendsim
