// From commands that start an engine to the instances that they start. Nodes of one instance are merged: same engine,
// same role, same master or data-parallel address.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hardware/catalogue.h"
#include "strategies/deployment/versions.h"
#include "strategies/engines/import.h"
#include "strategies/engines/launch/commands.h"
#include "strategies/engines/launch/options.h"
#include "workloads/requests/generators.h"
#include "workloads/requests/slo.h"

namespace ascendsim {

struct LaunchContext {
  const ImportOptions& options;
  const Defines& defines;
  const ModelLibrary& models;
  const QuantisationLibrary& schemes;
  const EngineVersions& versions;
  std::string engine_version;  // as asked for, or the stack's
};

// One process: what it would run, and what is compared between scripts.
struct LaunchedNode {
  Question question;
  std::vector<KeyReport> keys;
  std::string file;
  SourceLocation where;
  std::int64_t nodes = 1;  // servers that the instance says it has
  std::optional<std::int64_t> node_rank;
  std::string address;  // of the master, or of data parallelism; empty = alone
  std::string host;     // this server's own address, when the script says
  std::optional<std::int64_t> port, kv_port;
  std::string engine_id;
  std::optional<std::int64_t> peer_tp[2], peer_dp[2];  // what it believes of the prefill and the decode side
};
// Why it is assumed; empty where it was asked for.
struct EngineVersion {
  std::string id{}, why{};
};
struct LaunchedInstance {
  Question question;
  std::vector<KeyReport> keys;
  std::string name;       // "prefill0.sh + prefill1.sh"
  EngineVersion version;  // that it was read for
  std::vector<LaunchedNode> nodes;
  Diagnostics diagnostics;  // of its scripts, and where they contradict those of other instances
};

// What the commands were written for, where nobody says it: the newest release that knows all that they use.
EngineVersion assumed_version(std::span<const LaunchedCommand> commands, const Defines& defines,
                              const EngineVersions& versions);

// Everything of one call: instances in the order of their first script. `diagnostics`: what concerns none of them.
std::vector<LaunchedInstance> import_instances(const std::vector<LaunchedCommand>& commands,
                                               const LaunchContext& context, Diagnostics& diagnostics);

// What a benchmark's command line asks.
struct BenchmarkLoad {
  std::optional<std::int64_t> input, output, batch;  // of one request, the longest, or of those side by side
  SourceLocation where;
  std::string program{};  // "vllm bench serve"
  // What a tool that drives a server sends, as far as its options say it, and what it judges.
  std::variant<std::monostate, VllmBenchOptions, SglangBenchOptions> generator{};
  std::optional<std::int64_t> max_concurrency{};
  Slo slo{};  // --goodput

  [[nodiscard]] bool drives_a_server() const { return generator.index() > 0; }
};
std::optional<BenchmarkLoad> read_benchmark(const std::vector<LaunchedCommand>& commands, const Defines& defines,
                                            Diagnostics& diagnostics);
// A0134, by whoever takes a load over time for one request. REQUIRES: its lengths are known.
void say_one_request(const BenchmarkLoad& load, Diagnostics& diagnostics);

// How rows reach experts where scripts leave it to the engine: its choice on this fabric, and why.
struct PickedExchange {
  ExpertExchange exchange = ExpertExchange::kAllGather;
  std::string why;
};
PickedExchange pick_exchange(const Deployment& deployment, Fabric fabric);

// What follows from the rest once overrides are in: limits that engines derive, and how rows reach experts on this
// fabric.
void complete_launch(Question& question, Fabric fabric, Diagnostics& diagnostics);

// Two sides of a pair as vLLM's connector sees them.
void check_pair_of_scripts(const LaunchedInstance& prefill, const LaunchedInstance& decode, Diagnostics& diagnostics);

}  // namespace ascendsim
