// Who carries a collective out: CANN's HCCL_OP_EXPANSION_MODE, and kernels that hold an exchange.
#pragma once

#include <cstdint>

namespace ascendsim {

enum class Expansion : std::uint8_t { kAiv, kAiCpu, kHost, kFused };

}  // namespace ascendsim
