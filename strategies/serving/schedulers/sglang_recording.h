// Recordings of SGLang's scheduler: a configuration, requests with the pass in which they arrive, and what was decided
// in every pass. The form is described in tests/data/schedules/sglang/README.md.
//
// Replaying one needs no clock: the engine's loop is run pass by pass, each request's length and each verify's gain come
// from the recording, and handshakes and transfers take the passes that it states.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sim/diagnostics.h"

namespace ascendsim {

// The recording as this scheduler decides it, all its keys in the order of a recording: name, what, source, config,
// results, rejected, requests, steps. What the recording itself says of results and steps is not looked at. Empty after
// diagnostics (about `file`): fields that are missing or wrong, a configuration beyond what the scheduler reproduces, a
// workload that comes to a halt.
std::optional<nlohmann::ordered_json> replay_sglang(const nlohmann::ordered_json& recording, const std::string& file,
                                                    Diagnostics& diagnostics);

}  // namespace ascendsim
