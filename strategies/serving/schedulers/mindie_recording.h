// Recordings of MindIE's scheduler: a configuration, requests, and what was decided step by step. Reads the first two
// and decides again, in the same form (tests/data/schedules/mindie/README.md explains every field).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/config.h"
#include "sim/diagnostics.h"
#include "strategies/serving/schedulers/mindie_config.h"
#include "workloads/requests/request.h"

namespace ascendsim {

struct MindieRecording {
  struct Submitted {
    std::string id{};
    Request request{};
    std::vector<std::int64_t> accepted{};  // drafts accepted by decode step, over and over; empty: all
  };
  MindieConfig config{};
  std::int64_t dp = 1;
  bool by_rank = false;  // steps are listed by data-parallel rank
  // The clock: what a batch takes in place of a model.
  Duration prefill_fixed = std::chrono::milliseconds(10), prefill_per_token = std::chrono::microseconds(50);
  Duration decode = std::chrono::milliseconds(20), decode_per_request{};
  Duration pull = std::chrono::milliseconds(3);  // of a cache from prefill to decode side
  std::int64_t max_steps = 400;                  // of the recording
  std::vector<Submitted> requests{};             // in the order of the file
};

// Empty after diagnostics: what is missing, misspelt, out of range (E0520), or beyond this scheduler (E0522).
std::optional<MindieRecording> read_mindie_recording(const ConfigNode& root, Diagnostics& diagnostics);

// steps, result and, where the recording ends before all requests have, error. Empty after E0523: nothing is scheduled
// any more although requests wait, with the state of the queues.
std::optional<nlohmann::ordered_json> replay_mindie(const MindieRecording& recording, const SourceLocation& where,
                                                    Diagnostics& diagnostics);

// Both at once, as text: the recording with the steps that are decided here, one step a line.
std::optional<std::string> replay_mindie_recording(const ConfigNode& root, Diagnostics& diagnostics);

}  // namespace ascendsim
