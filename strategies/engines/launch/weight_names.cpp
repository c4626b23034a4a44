#include "strategies/engines/launch/weight_names.h"

#include <algorithm>

namespace ascendsim {

WeightName split_weight_name(std::string_view name, std::span<const std::string> schemes) {
  while (name.ends_with('/')) name.remove_suffix(1);
  name = name.substr(name.rfind('/') + 1);
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  WeightName out{std::string(name), {}};
  for (const std::string& scheme : schemes) {
    const std::size_t at = lower.rfind(scheme);
    if (at == std::string::npos) continue;
    if (at < out.model.size()) out.model.resize(at);
    while (!out.model.empty() && (out.model.back() == '_' || out.model.back() == '-')) out.model.pop_back();
    if (out.scheme.empty()) out.scheme = scheme;
  }
  return out;
}

}  // namespace ascendsim
