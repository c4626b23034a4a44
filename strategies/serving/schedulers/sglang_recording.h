// Recordings of what SGLang's scheduler decided, pass by pass: reading their configuration and requests, and deciding
// them again in the same form (tests/data/schedules/sglang/README.md describes it).
//
// Replaying needs no clock: the engine's loop is run pass by pass, each request's length and each verify's gain come from
// the recording, and handshakes and transfers take the passes that it states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/config.h"
#include "sim/diagnostics.h"
#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

struct SglangRecording {
  struct Load {
    std::string id{};
    std::int64_t arrival_step = 0;
    std::size_t rank = 0;
    Request request{};
    SglangSampling sampling{};
  };
  SglangConfig config{};
  std::size_t ranks = 1;
  bool skip_mlp_sync = false;                  // speculative_skip_dp_mlp_sync
  std::vector<std::int32_t> accept_pattern{};  // tokens gained in the 1st, 2nd, ... verify of a request, over and over
  std::int64_t handshake_steps = 1;            // passes from the arrival until the other PD side has answered
  std::int64_t transfer_steps = 2;             // passes from the first one of a transfer until it is over
  std::vector<Load> requests{};                // as they arrive; of the same step in the order of the file
};

// Empty after diagnostics: E0520 a value out of range, E0522 a configuration beyond what the scheduler reproduces; what
// is missing, unknown or of a wrong type is reported as in every data file. Recorded results and steps are not looked at.
std::optional<SglangRecording> read_sglang_recording(const ConfigNode& root, Diagnostics& diagnostics);

struct SglangReplay {
  nlohmann::ordered_json results = nlohmann::ordered_json::object();  // by request
  nlohmann::ordered_json rejected = nlohmann::ordered_json::array();  // ids
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
};
// Empty after E0523: the scheduler makes no progress or is out of memory, with the state of its queues.
std::optional<SglangReplay> replay(const SglangRecording& recording, const SourceLocation& where,
                                   Diagnostics& diagnostics);

// Both at once: the recording again with the results and steps that are decided here, a text that ends with a newline.
std::optional<std::string> replay_sglang_recording(const ConfigNode& root, Diagnostics& diagnostics);

}  // namespace ascendsim
