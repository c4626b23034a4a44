#include "strategies/simulated.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

std::optional<Deployment> simulated(const Deployment& asked, [[maybe_unused]] Severity refusal, Diagnostics& diagnostics) {
  Deployment d = asked;
  const auto at = [&](std::string_view path) { return asked.origin(path).where; };
  const auto left_out = [&](std::string_view path, std::string message) { diagnostics.note("A0136", at(path), std::move(message)); };
  if (asked.kv_transfer.layer_wise) left_out("kv_transfer.mode", "the layer-wise push is not modelled: caches are pulled after prefill");
  return d;
}

}  // namespace ascendsim
