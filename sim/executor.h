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
// when what runs changes, the work that is left goes on at the new speed. Compute slows neither collectives nor whatever
// else runs on communication streams. A stream that waits (for a peer, an operator, the host) occupies nothing. Ignored:
// contention for memory bandwidth beyond what `shared` says, and between ranks.
//
// Collectives that overlap share ports. Each names the kind of port that it goes through and how long it fills that port of
// its ranks; before that, for the rest of its ticks, it is software and latency and occupies nothing. While several
// collectives fill a port they have max-min fair shares of it (flows.h): two lanes that exchange over the same port take
// longer, the KV cache on the RoCE network beside a dispatch on UB does not. Alone a collective takes exactly its ticks.
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
#include "sim/flows.h"

namespace ascendsim {

struct ExecutionTrace {
  Timeline timeline;
  std::uint64_t events = 0;            // an operator ended, or the host issued one that was awaited
  std::uint64_t speed_changes = 0;
  FlowCounts flows;                    // of collectives that share ports
};

// What a collective does to a port of each of its ranks. Members may differ: the longest counts, and its port.
struct PortUse {
  std::int64_t transfer = 0;           // ticks of its own that the port is full; 0 = it shares nothing
  std::uint8_t port = 0;               // kind of port, below kPortKinds; what they are is the caller's
};
constexpr std::size_t kPortKinds = 4;

// shared: per class and operator the second duration above, in ticks; empty (as a whole or for a class) = no sharing.
// REQUIRES: shared >= ticks, and zero where ticks is. trace: filled when given.
// ports: per class and operator, looked at for collectives; empty (as a whole or for a class) = they share nothing.
// REQUIRES: 0 <= transfer <= ticks.
SweepResult execute(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                    std::span<const std::vector<std::int64_t>> shared, const Folding& folding, HostModel host,
                    ExecutionTrace* trace = nullptr, std::span<const std::vector<PortUse>> ports = {});

}  // namespace ascendsim
