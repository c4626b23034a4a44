#include "strategies/deployment/versions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

namespace ascendsim {

namespace {

constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

// What stands for a patch that is not written.
std::optional<Version> parsed(std::string_view text, std::int64_t patch) {
  if (text == "main") return Version{kLast, kLast, kLast};
  if (text.starts_with('v')) text.remove_prefix(1);
  Version v{.major = 0, .minor = 0, .patch = patch};
  const char* const end = text.data() + text.size();
  const auto [dot, first] = std::from_chars(text.data(), end, v.major);
  if (first != std::errc{} || dot == end || *dot != '.') return std::nullopt;
  const auto [rest, second] = std::from_chars(dot + 1, end, v.minor);
  if (second != std::errc{} || (rest != end && *rest != '.' && *rest != 'r')) return std::nullopt;
  if (rest != end && *rest == '.') std::from_chars(rest + 1, end, v.patch);
  return v;
}

bool is_candidate(std::string_view release) {
  return release == "main" || release.find("rc") != std::string_view::npos;
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) { return parsed(text, 0); }

bool VersionRange::has(const Version& version) const {
  const auto first = parsed(from, 0), last = parsed(until, kLast);
  return (!first || version >= *first) && (!last || version <= *last);
}

std::string VersionRange::text() const {
  if (from.empty()) return fmt::format("exists up to {}", until);
  return until.empty() ? fmt::format("exists from {} on", from) : fmt::format("exists from {} to {}", from, until);
}

const VersionedFeature* EngineVersions::feature(std::string_view name) const {
  const auto at = std::ranges::find(features, name, &VersionedFeature::name);
  return at == features.end() ? nullptr : &*at;
}

bool EngineVersions::has(std::string_view name, std::string_view version) const {
  const VersionedFeature* const f = feature(name);
  const auto v = parse_version(release(version));
  return f == nullptr || !v || f->range().has(*v);
}

std::string EngineVersions::release(std::string_view written) const {
  for (auto r = releases.rbegin(); r != releases.rend(); ++r)
    if (*r == written || r->starts_with(fmt::format("{}.", written))) return *r;
  return std::string(written);
}

std::vector<std::string_view> EngineVersions::by_preference() const {
  std::vector<std::string_view> out(releases.rbegin(), releases.rend());
  std::ranges::stable_partition(out, [](std::string_view r) { return !is_candidate(r); });
  return out;
}

EngineVersions load_versions(const std::string& folder, const std::string& engine, Diagnostics& diagnostics) {
  EngineVersions out;
  out.engine = engine;
  const std::string path = folder + "/" + engine + ".yaml";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return out;
  const auto document = Document::load(path, diagnostics);
  if (!document) return out;
  Section root(document->root(), diagnostics);
  root.required<std::string>("engine");
  const ConfigNode releases = root.node("releases");
  for (std::size_t i = 0; i < releases.size(); ++i) out.releases.emplace_back(releases.at(i).text());
  const ConfigNode features = root.node("features");
  for (std::size_t i = 0; i < features.size(); ++i) {
    Section s(features.at(i), diagnostics);
    out.features.push_back({std::string(features.at(i).key()), s.required<std::string>("from"),
                            s.optional<std::string>("until", ""), s.required<std::string>("source"),
                            s.optional<std::string>("note", "")});
    s.finish();
  }
  root.finish();
  return out;
}

}  // namespace ascendsim
