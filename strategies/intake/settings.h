// What is asked beside the files: by the command line, by a case of `validate`, by another program. Plain values; empty
// or zero-sized means that nobody said anything.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/deployment/deployment.h"
#include "workloads/requests/slo.h"

namespace ascendsim {

// Whose file it is: ours, that engine's, or as its content says.
struct FileKind {
  bool own = false;
  const Engine* engine = nullptr;
  [[nodiscard]] bool by_content() const { return !own && !engine; }
};

// Of one side of a disaggregated pair; Settings::hardware stands for both.
struct SideSettings {
  std::string file, hardware;
  std::optional<std::int64_t> servers;
};

// Of requests over time. Where nothing of it is said, a load is one batch of equal requests.
struct ServiceSettings {
  std::optional<double> rate;                   // requests a second; infinity: all at once
  std::optional<double> burstiness;             // of the gaps between them; 1: Poisson
  std::optional<std::int64_t> max_concurrency;  // that the client keeps in flight
  std::optional<std::int64_t> requests, seed;
  std::optional<Duration> duration;                                            // nothing is sent after it
  std::string trace;                                                           // file
  std::optional<double> time_scale;                                            // of a trace
  std::optional<std::int64_t> prefill_instances, decode_instances, instances;  // the last of a deployment without roles
  Slo slo;
  bool simulated = false;  // by the command; others take a load over time for one request

  // Whether requests over time are asked for.
  [[nodiscard]] bool asked() const {
    return rate || max_concurrency || requests || duration || !trace.empty() || instances || prefill_instances ||
           decode_instances || slo.any();
  }
};

struct Settings {
  FileKind from{};
  std::string model, quantisation;  // instead of those that the file names
  std::string engine_version;       // empty: the newest that has figures
  std::string hardware, die;        // of the catalogue
  std::optional<std::int64_t> servers;
  std::optional<Role> role;
  std::string memory_fraction;                              // NPU_MEMORY_FRACTION, as written
  std::string shell_memory_fraction;                        // the same where this program runs: said, never used
  std::optional<bool> async_scheduling;                     // MINDIE_ASYNC_SCHEDULING_ENABLE
  std::vector<std::string> set;                             // "key.path=value", later ones win
  std::string launch, workload;                             // command lines that stand for files
  std::map<std::string, std::string, std::less<>> defines;  // variables of launch scripts
  std::optional<std::int64_t> input, output, batch, prefix_hit;
  std::vector<double> acceptance;
  SideSettings prefill, decode;
  ServiceSettings service;
  bool strict = false;  // warnings count as errors

  [[nodiscard]] bool pair() const { return !prefill.file.empty() || !decode.file.empty(); }
};

// A setting that nothing else stands in for, as the command line calls it.
struct Needed {
  std::string_view option, value, meaning;
};
inline constexpr Needed kNeededHardware{"--hardware", "NAME", "server type, as `ascendsim list hardware` names it"};
inline constexpr Needed kNeededPrefillHardware{"--prefill-hardware", "NAME",
                                               "server type of the prefill side [default: --hardware]"};
inline constexpr Needed kNeededDecodeHardware{"--decode-hardware", "NAME",
                                              "server type of the decode side [default: --hardware]"};
inline constexpr Needed kNeededInput{"--input", "N", "prompt tokens of a request: 65536, 64K (1024), 64k (1000)"};
inline constexpr Needed kNeededOutput{"--output", "N", "tokens that a request generates"};
// E0003.
void say_missing(const Needed& needed, Diagnostics& diagnostics);
// An error, or a warning where those count as errors.
bool refused(const Diagnostics& diagnostics, bool strict);

}  // namespace ascendsim
