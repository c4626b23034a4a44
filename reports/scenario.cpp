#include "reports/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "strategies/rules/mindie_rules.h"

namespace ascendsim {

namespace {

constexpr std::string_view kStack = "mindie";
constexpr std::string_view kUsualServer = "atlas-800i-a3";  // for commands that can do without --hardware
constexpr std::int64_t kMostServers = 4096;

std::string data_root() {
  const char* const set = std::getenv("ASCENDSIM_ROOT");
  return set != nullptr && *set != '\0' ? set : ASCENDSIM_SOURCE_ROOT;
}

// As many servers as the ranks need when nobody says, never more than there can be: the rules name what is missing.
int server_count(const Options& options, const Server& server, std::int64_t ranks, Diagnostics& diagnostics) {
  const std::int64_t most = server.max_servers > 0 ? server.max_servers : kMostServers;
  const std::int64_t needed = ceil_div(ranks, server.dies());
  const std::int64_t wanted = options.servers.value_or(needed);
  if (options.servers && wanted > most)
    diagnostics.error("E0007", {},
                      fmt::format("--servers must be at most {} for {}, got {}", most, server.product, wanted));
  if (wanted > needed)
    diagnostics.warning("W0010", {},
                        fmt::format("{} ranks fill {} of {} servers here; the engine would spread them over all", ranks,
                                    needed, wanted),
                        {}, fmt::format("--servers {} is what is simulated", needed));
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most));
}

// The longest sequence that the engine and the model take, prompt as long as may be.
Workload at_limits(const Deployment& d) {
  const std::int64_t longest = std::min(d.limits.max_seq_len, d.model.max_positions);
  const std::int64_t input = std::min(d.limits.max_input_tokens, longest - 1);
  return {.input_tokens = input, .output_tokens = longest - input, .batch = 1};
}

Workload workload_of(Load load, const Options& options, const Deployment& d) {
  Workload w = load == Load::kAsked ? Workload{} : at_limits(d);
  if (options.input) {
    w.input_tokens = *options.input;
    if (load != Load::kAsked)
      w.output_tokens = std::max<std::int64_t>(1, std::min(w.output_tokens, d.limits.max_seq_len - w.input_tokens));
  }
  w.output_tokens = options.output.value_or(w.output_tokens);
  if (options.output && !options.input && load != Load::kAsked)
    w.input_tokens = std::min(w.input_tokens, d.limits.max_seq_len - w.output_tokens);
  w.batch = options.batch.value_or(w.batch);
  return w;
}

bool possible(const Workload& w) { return w.input_tokens >= 1 && w.output_tokens >= 1 && w.batch >= 1; }

}  // namespace

Libraries::Libraries()
    : catalogue(data_root() + "/hardware/catalogue"),
      models(data_root() + "/workloads/models"),
      schemes(data_root() + "/workloads/quantisation"),
      stacks(data_root() + "/strategies/stacks") {}

Platform load_platform(const Libraries& libraries, const Options& options, Diagnostics& diagnostics) {
  Platform p;
  Diagnostics found;
  p.stack = libraries.stacks.load(kStack, "", found);
  if (!found.has_errors()) p.kernels = libraries.catalogue.kernels(p.stack.kernels, found);
  if (options.hardware.empty()) found.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  p.server = libraries.catalogue.server(options.hardware.empty() ? kUsualServer : options.hardware, options.die, found);
  p.usable = !found.has_errors();
  diagnostics.append(found);
  return p;
}

Subject load_subject(const std::string& file, Load load, const Libraries& libraries, const Platform& platform,
                     const Options& options, Diagnostics& diagnostics) {
  Subject subject;
  subject.file = file;
  Diagnostics found;
  const ImportOptions import_options{options.model, options.quantisation, options.memory_fraction, options.role};
  const std::string path = file == "-" ? "/dev/stdin" : file;
  // Without the stack there is nothing to import with; its own diagnostics say why.
  if (platform.stack.engine.empty()) return subject;
  Import import = import_mindie(path, import_options, platform.stack, libraries.models, libraries.schemes, found);
  subject.keys = std::move(import.keys);
  const bool readable = !found.has_errors();
  const bool has_layout = import.deployment.origins.contains("tp");
  if (has_layout && platform.usable) {
    subject.servers = server_count(options, platform.server, import.deployment.layout.world(), found);
    check_mindie(import, platform.server, subject.servers, found);
  }
  if (readable) {
    subject.workload = workload_of(load, options, import.deployment);
    if (load != Load::kLimitsIfAny || possible(subject.workload))
      check_workload(import.deployment, subject.workload, found);
    if (!possible(subject.workload) && load == Load::kLimits)
      found.error("E0008", import.deployment.origin("maxSeqLen").where,
                  "this deployment leaves no room for a prompt and an output token", {},
                  "raise maxSeqLen, or lower --output");
  }
  const bool legal = !found.has_errors();
  diagnostics.append(found);
  if (legal && readable && has_layout && platform.usable)
    subject.scenario = std::make_unique<Scenario>(std::move(import.deployment), platform.stack, platform.kernels,
                                                  Cluster(platform.server, subject.servers));
  return subject;
}

Subject load_single(Load load, const Libraries& libraries, const Options& options, Diagnostics& diagnostics) {
  const Platform platform = load_platform(libraries, options, diagnostics);
  Subject subject = load_subject(options.words.front(), load, libraries, platform, options, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  check(subject.scenario != nullptr, "a subject without errors has a scenario");
  return subject;
}

bool refused(const Diagnostics& diagnostics, bool strict) {
  return diagnostics.has_errors() || (strict && std::ranges::any_of(diagnostics.all(), [](const Diagnostic& d) {
                                        return d.severity == Severity::kWarning;
                                      }));
}

}  // namespace ascendsim
