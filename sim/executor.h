// The executor: plays what the sweep plays (clock.h), event by event, where operators that overlap slow each other
// down. Two lanes (streams 0, 1 and 2, 3) share one processor. Rules as in the sweep: each stream in program order,
// waits, host issue, a collective from when its last member is ready. Unlike there, a rank that waits in a collective
// on one stream goes on with the others, and collectives meet by group and stream, so the lanes of a rank may come in
// any order.
//
// Speed is a function of what runs on the rank. An operator on a compute stream would take
//     ticks          alone,
//     shared         while the other compute stream runs something (on the part of the cores that is its lane's),
//     x shared/ticks of each operator that runs on a communication stream, e.g. a collective that occupies cores;
// when what runs changes, the work that is left goes on at the new speed. Collectives and whatever runs on
// communication streams take their ticks: compute does not slow them. A stream that waits (for a peer, an operator, the
// host) occupies nothing. Ignored: contention for memory bandwidth beyond what `shared` says, and between ranks.
//
// Rounding: what is left is counted in ticks at the present speed; a change of speed converts it, rounding up. So it
// costs less than one tick, an operator that nothing joins takes exactly `ticks`, one that is joined all the while
// exactly `shared`. Speeds change after everything that ends and starts at an instant is known, hence the order in
// which events of one instant are handled, or in which ranks are numbered, shows nowhere in the result.
//
// Errors: ranks whose collectives do not match or that wait for each other: InternalError with each rank and operator.
#pragma once

#include <span>
#include <vector>

#include "sim/clock.h"

namespace ascendsim {

struct ExecutionTrace {
  Timeline timeline;
  std::uint64_t events = 0;            // an operator ended, or the host issued one that was awaited
  std::uint64_t speed_changes = 0;
};

// shared: per class and operator the second duration above, in ticks; empty (as a whole or for a class) = no sharing.
// REQUIRES: shared >= ticks, and zero where ticks is. trace: filled when given.
SweepResult execute(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                    std::span<const std::vector<std::int64_t>> shared, const Folding& folding, HostModel host,
                    ExecutionTrace* trace = nullptr);

}  // namespace ascendsim
