// The schedulers that are reproduced, each with the recordings of the real one that it is held against.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/config.h"

namespace ascendsim {

struct RecordedScheduler {
  std::string_view engine;  // as people name it
  // Whether a recording says that it comes from this engine.
  bool (*recorded)(const ConfigNode& root);
  // The recording again, its steps decided here: JSON that ends with a newline. Empty after diagnostics.
  std::optional<std::string> (*replay)(const ConfigNode& root, Diagnostics& diagnostics);
};
std::span<const RecordedScheduler> recorded_schedulers();

// E0524 when no scheduler knows the recording.
std::optional<std::string> replay_recording(const ConfigNode& root, Diagnostics& diagnostics);

}  // namespace ascendsim
