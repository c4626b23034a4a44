// The schedulers that the serving loop can drive: how the data-parallel groups of each are made, and which an engine has.
#pragma once

#include <string>
#include <string_view>

#include "strategies/deployment/engine.h"
#include "strategies/prediction/scenario.h"
#include "strategies/serving/schedulers/mindie_groups.h"
#include "strategies/serving/schedulers/sglang_groups.h"
#include "strategies/serving/schedulers/vllm_groups.h"

namespace ascendsim {

// How the groups of an engine are made.
template <class Groups>
struct Maker;
template <>
struct Maker<VllmGroups> {
  using Config = VllmConfig;
  static Config config(const Scenario& s, const MemoryPerRank& m) { return vllm_config(s.deployment, m.kv_blocks); }
  static std::string problem(const Config& c) {
    const auto problem = vllm_config_problem(c);
    return problem ? problem->message : std::string();
  }
};
template <>
struct Maker<SglangGroups> {
  using Config = SglangConfig;
  static Config config(const Scenario& s, const MemoryPerRank& m) {
    return sglang_config(s.deployment, m.kv_capacity_tokens);
  }
  static std::string problem(const Config& c) { return why_refused(c); }
};
template <>
struct Maker<MindieGroups> {
  using Config = MindieConfig;
  static Config config(const Scenario& s, const MemoryPerRank& m) { return mindie_config(s.deployment, m.kv_blocks); }
  static std::string problem(const Config& c) { return unsupported(c); }
};

// Calls f with the groups of the engine, as a type.
template <class F>
auto with_groups(const Deployment& d, F&& f) {
  const std::string_view scheduler = d.engine->scheduler;
  if (scheduler == "sglang") return f.template operator()<SglangGroups>();
  if (scheduler == "mindie") return f.template operator()<MindieGroups>();
  return f.template operator()<VllmGroups>();
}

}  // namespace ascendsim
