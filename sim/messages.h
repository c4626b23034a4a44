// Schedules of messages over a network: what a collective does when it is decomposed, played over flows.h.
//
// A message goes from one rank to another in a step. A rank starts the messages that it sends in step s when everything
// that it sends or receives in its earlier steps is done. Steps are numbers that only order: they may have gaps, ranks
// need not be in the same one, and a schedule cannot deadlock. Ring, pairwise, halving-doubling, hierarchical and
// pipelined chunks all have this form; a direct all-to-all is one step.
//
// From the instant at which its sender starts the step, a message takes
//     per_step + per_message + latency of its route, in which it occupies nothing, then its bytes at max-min fair
//     rates.
// The messages of a step are posted side by side (HCCL gives each peer a stream of its own), so per_message is paid
// once, not once after the other; per_step is not paid for steps in which a rank only receives. A message is done for
// both ranks at once, and its receiver need not be ready for it (one-sided writes).
//
// Groups (flows.h): a rank may stand for equal ranks and a message for `copies` equal messages, e.g. a whole ring by
// one rank that sends to itself over one link of count p with copies p. An empty route takes only the software costs,
// a message of no bytes only them and the latency.
//
// Errors: a rank or route that is not there, a sum of bytes beyond 2^63: our bug (InternalError).
#pragma once

#include <span>
#include <vector>

#include "sim/flows.h"

namespace ascendsim {

struct Message {
  std::uint32_t from = 0, to = 0;  // ranks of the schedule
  std::uint32_t step = 0;
  RouteIndex route = 0;
  Bytes bytes{};  // of one copy
  std::uint32_t copies = 1;
};

struct MessageCosts {
  Duration per_message{}, per_step{};
};

struct MessageSchedule {
  std::uint32_t ranks = 0;
  std::vector<Message> messages;  // in any order
  MessageCosts costs{};
  std::vector<Duration> starts{};  // when each rank begins; empty = all at zero
};

struct ScheduleResult {
  Duration finish{};                  // of the last rank
  std::vector<Duration> rank_finish;  // all that a rank sends or receives is done; its start when that is nothing
  std::uint32_t steps = 0;            // the most that one rank takes part in
};

struct MessageCounts {
  std::uint64_t messages = 0;
  std::uint64_t events = 0;  // a rank begins, a message enters its links, a message is done
  FlowCounts flows;
};

struct MessagesResult {
  Duration finish{};  // of all schedules
  std::vector<ScheduleResult> schedules;
  std::vector<LinkUse> links;  // as in the network
  MessageCounts counts;
};

// Plays the schedules at once on one network. Their ranks are their own: that two of them sit on one device shows only
// in links that their routes share.
MessagesResult play(const FlowNetwork& network, std::span<const MessageSchedule> schedules,
                    Resolve resolve = Resolve::kTouched);

}  // namespace ascendsim
