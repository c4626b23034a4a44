// Schedules of messages played by SimGrid (Casanova et al., JPDC 2014) on the same links and routes: an independent
// check.
#pragma once

#include <span>

#include "sim/messages.h"
#include "tests/sim/processor_time.h"

namespace ascendsim {

struct SimgridResult {
  double finish = 0;     // seconds of simulated time
  double processor = 0;  // seconds of processor time that its run took, without building the platform
};

// Model CM02, TCP-gamma 0, crosstraffic 0, all factors 1: then rates are max-min fair when routes have equal latency.
// An actor per rank; mailboxes have a permanent receiver, so that a message starts when it is sent. It runs in a child
// process, as SimGrid allows one simulation per process.
// REQUIRES: no software costs, no copies.
SimgridResult simgrid_play(const FlowNetwork& network, std::span<const MessageSchedule> schedules);

}  // namespace ascendsim
