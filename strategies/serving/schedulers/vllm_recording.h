// Recordings of what vLLM's scheduler decided, step by step: reading their settings and requests, and deciding them again
// in the same form (tests/data/schedules/vllm/README.md describes the fields).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config.h"
#include "strategies/serving/schedulers/vllm.h"
#include "strategies/serving/schedulers/vllm_config.h"

namespace ascendsim {

struct VllmRecording {
  struct Load {
    std::int64_t id = 0;
    std::int64_t arrival = 0;  // tick before whose call it is added
    Request request{};
    VllmTransfer transfer = VllmTransfer::kNone;
    std::vector<std::int64_t> accepted{};  // drafts accepted in the 1st, 2nd, ... verification, repeated; empty: none
  };
  VllmConfig config{};
  // Calls after the one in which a pull starts, or with whose result a request that sends ends, until its transfer is told
  // with a result.
  std::int64_t recv_delay = 0, send_delay = 0;
  std::vector<Load> requests{};  // ids ascend
};

// Empty after diagnostics: E0520 a value out of range, E0521 a version or a scheduler that is not known, E0522 settings
// that were never observed; what is missing or of a wrong type is reported as in every data file. The recorded steps are
// not looked at.
std::optional<VllmRecording> read_vllm_recording(const ConfigNode& root, Diagnostics& diagnostics);

// What the engine's loop does with the requests: one call of schedule() a tick, then a result; with batches in flight the
// queue is filled before a result is taken. The texts are JSON.
struct VllmReplay {
  std::vector<std::string> steps{};  // one object each
  std::string rejected{};            // ids that the front end refused; empty when there are none
  std::string summary{};
};
// Empty after E0523: the scheduler makes no progress, with the state of its queues.
std::optional<VllmReplay> replay(const VllmRecording& recording, const SourceLocation& where, Diagnostics& diagnostics);

// Both at once: the recording again with the steps that are decided here, a text that ends with a newline.
std::optional<std::string> replay_vllm_recording(const ConfigNode& root, Diagnostics& diagnostics);

}  // namespace ascendsim
