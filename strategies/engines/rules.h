// What deployments must satisfy before programs are built from them. An engine's own rules cite its documentation or
// code; the generic ones hold for every stack and are what the programs need. A rule about a key that is absent never errs;
// whoever assumed a value has printed it.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "hardware/catalogue.h"
#include "strategies/deployment/deployment.h"
#include "strategies/deployment/versions.h"

namespace ascendsim {

struct RuleInput {
  const Deployment& deployment;
  std::int64_t declared_world = 0;  // worldSize as written; 0 = dp x cp x tp
  const Server& server;             // server.dies() dies each
  int servers = 1;
  bool own_file = false;                     // messages name keys as our own file does
  const EngineVersions* versions = nullptr;  // what the engine's versions have; null = nothing is known of them
};

// Those of the deployment's engine.
void check_deployment(const RuleInput& input, Diagnostics& diagnostics);
// What every engine must satisfy, and what the programs need to be built.
void check_generic(const RuleInput& input, Diagnostics& diagnostics);
// A pair of engines whose decode ranks pull whole copies of a prompt's cache.
void check_whole_decode_cache(const Deployment& prefill, const Deployment& decode, Diagnostics& diagnostics);

// Rules about a load: prompt and output lengths, requests side by side.
void check_workload(const Deployment& deployment, const Workload& workload, bool own_file, Diagnostics& diagnostics);

// A part of the model that ranks of several groups may share: o_proj, the LM head, the embedding, the dense MLP.
struct LocalDegree {
  const char *key, *option;  // option: in vLLM-Ascend's finegrained_tp_config
  const char* what;          // that is cut, "attention heads"
  std::int64_t Layout::*value;
  std::int64_t Model::*columns;
};
std::span<const LocalDegree> local_degrees();

// Rules that engines share, in the names of the file at hand. `rule` says who demands it.
class RuleBase {
 public:
  RuleBase(const RuleInput& input, Diagnostics& diagnostics);

 protected:
  [[nodiscard]] const SourceLocation& at(std::string_view key) const { return d.origin(key).where; }
  // "tp" is "tp", "layout.tp" or "--tensor-parallel-size" to the reader; `"tp": 8`, `layout.tp: 8` or
  // `--tensor-parallel-size 8`.
  [[nodiscard]] std::string name(std::string_view key) const;
  [[nodiscard]] std::string set(std::string_view key, std::int64_t value) const;
  // fmt::format where somebody reads it; empty where only yes or no is asked, thousands of times (Diagnostics::says).
  template <typename... A>
  [[nodiscard]] std::string text(fmt::format_string<A...> format, A&&... arguments) const {
    return diagnostics.says() ? fmt::format(format, std::forward<A>(arguments)...) : std::string();
  }
  void error(const char* code, std::string_view key, std::string message, std::string rule, std::string help);
  void warn(const char* code, std::string_view key, std::string message, std::string rule, std::string help);

  void sequence_degree(const std::string& rule);
  void world(const std::string& rule);
  void all_to_all(const std::string& rule);
  void exchange();  // one of those that the engine has
  void placement(const std::string& rule);
  void divisibility();
  void local_degree(const LocalDegree& degree, const std::string& called, std::int64_t whole,
                    const char* what);  // what: "ranks of a server"
  void extensions();
  void shared_ranks();
  void expert_loads();
  void ring();
  void expansion();
  void limits(const std::string& service, const std::string& effective);

  const RuleInput& input;
  Diagnostics& diagnostics;
  const Deployment& d = input.deployment;
  const Layout& l = d.layout;
  const Server& server = input.server;
  const int servers = input.servers;
  const std::int64_t ranks = input.declared_world == 0 ? l.world() : input.declared_world;
};

}  // namespace ascendsim
