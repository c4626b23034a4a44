// From settings, and what a benchmark's command line says, to a load over time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "strategies/engines/launch/instances.h"
#include "strategies/intake/settings.h"
#include "workloads/requests/benchmark_tool.h"
#include "workloads/requests/request_source.h"
#include "workloads/workload.h"

namespace ascendsim {

struct LoadOverTime {
  BenchmarkTool tool = BenchmarkTool::kVllmBench;  // by whose definitions metrics are told
  std::string what;           // "512 requests at 4 a second, Poisson, 3,500 tokens in, 1,500 out, at most 64 in flight"
  double rate = 0;            // requests a second; infinity: all at once; 0: as a trace has it
  double burstiness = 1;      // of the gaps at that rate
  std::int64_t requests = 0;  // 0: as many as a trace has
  std::int64_t input_tokens = 0, output_tokens = 0;  // of the longest; 0: as a trace has it
  bool equal = false;                                // all requests have these lengths
  std::optional<std::int64_t> max_concurrency;       // that the client keeps in flight
  Slo slo;
  // The requests from the first one on, as often as asked. Nothing after an error; of a trace the diagnostics must be
  // looked at again when it has ended.
  std::function<std::unique_ptr<RequestSource>(Diagnostics&)> open;
};

// Whether requests over time are asked for at all: by settings, or by a tool that drives a server.
bool asks_for_service(const ServiceSettings& settings, const std::optional<BenchmarkLoad>& benchmark);

// `asked`: lengths of a request where neither a trace nor a tool says them. Settings go before the tool's options.
// Nothing after an error: E0640 settings that exclude each other, and those of generators and traces.
std::optional<LoadOverTime> load_over_time(const Settings& settings, const std::optional<BenchmarkLoad>& benchmark,
                                           const Workload& asked, Diagnostics& diagnostics);
// So many at once: a batch of which not all may run side by side.
LoadOverTime all_at_once(const Workload& batch, const Slo& slo);

}  // namespace ascendsim
