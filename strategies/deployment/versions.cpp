#include "strategies/deployment/versions.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace ascendsim {

std::optional<Version> parse_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  Version v;
  const char* const end = text.data() + text.size();
  const auto [dot, first] = std::from_chars(text.data(), end, v.major);
  if (first != std::errc{} || dot == end || *dot != '.') return std::nullopt;
  const auto [rest, second] = std::from_chars(dot + 1, end, v.minor);
  return second == std::errc{} && (rest == end || *rest == '.' || *rest == 'r') ? std::optional(v) : std::nullopt;
}

const VersionedFeature* EngineVersions::feature(std::string_view name) const {
  const auto at = std::ranges::find(features, name, &VersionedFeature::name);
  return at == features.end() ? nullptr : &*at;
}

bool EngineVersions::has(std::string_view name, std::string_view version) const {
  const VersionedFeature* const f = feature(name);
  const auto v = parse_version(version);
  if (f == nullptr || !v) return true;
  const auto from = parse_version(f->from), until = parse_version(f->until);
  return (!from || *v >= *from) && (!until || *v <= *until);
}

const VersionedDefault* EngineVersions::default_of(std::string_view option, std::string_view version) const {
  const auto v = parse_version(version);
  const VersionedDefault* found = nullptr;
  for (const VersionedDefault& d : defaults)
    if (d.option == option && (found == nullptr || !v || parse_version(d.from) <= v)) found = &d;
  return found;
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
  const ConfigNode features = root.node("features"), defaults = root.node("defaults");
  for (std::size_t i = 0; i < features.size(); ++i) {
    Section s(features.at(i), diagnostics);
    out.features.push_back({std::string(features.at(i).key()), s.required<std::string>("from"),
                            s.optional<std::string>("until", ""), s.required<std::string>("source"),
                            s.optional<std::string>("note", "")});
    s.finish();
  }
  for (std::size_t i = 0; i < defaults.size(); ++i) {
    Section s(defaults.at(i), diagnostics);
    out.defaults.push_back({s.required<std::string>("option"), s.required<std::string>("from"),
                            s.required<std::string>("value"), s.required<std::string>("source")});
    s.finish();
  }
  root.finish();
  return out;
}

}  // namespace ascendsim
