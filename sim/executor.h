// The executor: plays what the sweep plays (clock.h), event by event, where operators that overlap slow each other
// down. Two lanes (streams 0, 1 and 2, 3) share one processor. Rules as in the sweep: each stream in program order,
// waits, host issue, a collective from when its last member is ready. Unlike there, a rank that waits in a collective
// on one stream goes on with the others, and collectives meet by group and stream, so the lanes of a rank may come in
// any order.
//
// Speed is a function of what runs on the rank. An operator on a compute stream would take
//     ticks          alone,
//     shared         while the other compute stream runs something (on the part of the cores that is its lane's),
//     x 1 + part x (shared/ticks - 1)  of each operator that runs on a communication stream: a collective that occupies
//     cores of
//                    one kind stretches what needs them by shared/ticks; `part` is how much of the operator that is;
// when what runs changes, the work that is left goes on at the new speed. A collective on the other compute stream is
// no computation: it slows nobody. Compute slows neither collectives nor whatever else runs on communication streams. A
// stream that waits (for a peer, an operator, the host) occupies nothing. Ignored: contention for memory bandwidth
// beyond what `shared` says, and between ranks.
//
// Collectives that overlap share ports. Each names the kind of port that it goes through, for how long it moves bytes,
// and which part of the port that takes; before that, for the rest of its ticks, it is software and latency and
// occupies nothing. While what several collectives take exceeds a port, they have max-min fair shares of it (flows.h):
// two lanes that exchange over the same port take longer, the KV cache on the RoCE network beside a dispatch on UB does
// not. Alone a collective takes exactly its ticks.
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
  std::uint64_t events = 0;  // an operator ended, or the host issued one that was awaited
  std::uint64_t speed_changes = 0;
  FlowCounts flows;  // of collectives that share ports
};

// What a collective does to a port of each of its ranks. Members may differ: the longest counts, and its port.
struct PortUse {
  static constexpr std::uint8_t kFull = 64;
  std::int64_t transfer = 0;  // ticks of its own in which it moves bytes; 0 = it shares nothing
  std::uint8_t port = 0;      // kind of port, below kPortKinds; what they are is the caller's
  std::uint8_t load = kFull;  // taken of the port meanwhile, in 1 / kFull
};
constexpr std::size_t kPortKinds = 4;

// What the operators of a class do to each other: an entry per operator; a part that is empty has no effect.
struct Contention {
  static constexpr std::uint32_t kWhole = 1U << 16;
  std::vector<std::int64_t> shared;  // the second duration above, in ticks. REQUIRES: >= ticks, and zero where ticks is
  std::vector<std::uint32_t> part;   // of the operator, in 1 / kWhole: needs what collectives occupy; empty: all of it
  std::vector<PortUse> ports;        // looked at for collectives. REQUIRES: 0 <= transfer <= ticks, 0 < load <= kFull
};

// contention: one per class, or none. trace: filled when given.
SweepResult execute(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                    const Folding& folding, HostModel host, std::span<const Contention> contention = {},
                    ExecutionTrace* trace = nullptr);

}  // namespace ascendsim
