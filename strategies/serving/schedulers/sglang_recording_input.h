// What a recording asks for, read and checked. Part of sglang_recording.h.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sim/diagnostics.h"
#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

struct SglangRecordedRequest {
  std::string id{};
  std::int64_t arrival_step = 0;
  std::size_t rank = 0;
  Request request{};
  std::int64_t max_new_tokens = 0;
  bool ignore_eos = false;
};

struct SglangRecordingInput {
  SglangConfig config{};
  std::size_t ranks = 1;
  bool skip_mlp_sync = false;
  std::vector<std::int32_t> accept_pattern{};  // tokens gained per verify, cyclic for each request
  std::int64_t handshake_steps = 1;
  std::int64_t transfer_steps = 2;
  std::vector<SglangRecordedRequest> requests{};  // as they arrive; of the same step in list order
};

std::optional<SglangRecordingInput> read_sglang_recording(const nlohmann::ordered_json& recording,
                                                          const std::string& file, Diagnostics& diagnostics);

}  // namespace ascendsim
