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
  std::int64_t major = 0, minor = 0, patch = 0;
  auto operator<=>(const Version&) const = default;
};
// "0.15", "v0.15.0rc1"; "main" is newer than any release. Empty when it does not begin with two numbers. Candidates
// count as their release.
std::optional<Version> parse_version(std::string_view text);

// From the first to the last version that has something; either may be empty. "0.18" covers its patches.
struct VersionRange {
  std::string_view from{}, until{};
  [[nodiscard]] bool has(const Version& version) const;
  [[nodiscard]] std::string text() const;  // "exists from 0.12 to 0.18", "exists up to 0.18"
};

struct VersionedFeature {
  std::string name, from, until, source, note;  // until: the last version that has it; empty = no end known
  [[nodiscard]] VersionRange range() const { return {from, until}; }
};

struct EngineVersions {
  std::string engine;
  std::vector<std::string> releases;  // as released, ascending; candidates too
  std::vector<VersionedFeature> features;

  [[nodiscard]] const VersionedFeature* feature(std::string_view name) const;
  // Whether that version has it; true when the version is not understood.
  [[nodiscard]] bool has(std::string_view name, std::string_view version) const;
  // "0.20" is the newest release of 0.20; as it is written where none is known by that name.
  [[nodiscard]] std::string release(std::string_view written) const;
  // What is assumed where nobody names a version, first choice first: releases before candidates, newer before older.
  [[nodiscard]] std::vector<std::string_view> by_preference() const;
};
// Empty tables when the engine has no such file.
EngineVersions load_versions(const std::string& folder, const std::string& engine, Diagnostics& diagnostics);

}  // namespace ascendsim
