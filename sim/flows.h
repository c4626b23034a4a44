// Transfers that share links: every flow gets its max-min fair rate (Bertsekas & Gallager, Data Networks, 6.5.2), and
// rates change only where something starts or ends.
//
// A link is one direction; a full-duplex cable is two links, a port of a die is a link like any other. A route is a
// list of links, stored once and shared by all flows that take it. A flow has bytes to move and moves them over all
// links of its route at once (fluid model: no packets, no store and forward). Rates come from progressive filling: all
// flows grow alike until a link is full; its flows keep what they have, the others go on.
//
// Groups. Symmetric transfers can be one flow of `copies` equal transfers, and symmetric links one link that stands for
// `count` equal ones. The copies of a flow spread evenly over the links that a link stands for: on each of them
// copies / count of them run (an integer, checked). So copies on a link of count 1 share it, and on a link with
// count = copies each has one of its own. Rates, bytes and use are those of one copy and of one of the equal links.
// Grouped and ungrouped give the same times whenever the grouping is a symmetry of network and traffic: each of the
// equal links carries equally many copies of each group.
//
// Exactness. Rates are integers (2^-16 B/s), what is left of a flow is an exact integer, and links that are equally
// scarce fill at the same time: results do not depend on the order in which flows are started or links are numbered.
// A flow ends at the nearest tick, after at least one. What is lost by rounding rates down is below 2^-16 B/s a flow.
//
// Cost: a start or an end touches the flows that are connected to it by links with several flows; all starts and ends
// of an instant are solved together. Nothing is allocated per flow once the pools have grown.
//
// Errors: everything here is checked and our bug (InternalError); user input is checked before (hardware/link_graph.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/instant_queue.h"
#include "sim/units.h"

namespace ascendsim {

using LinkIndex = std::uint32_t;
using RouteIndex = std::uint32_t;
using FlowIndex = std::uint32_t;

struct FlowLink {
  BytesPerSecond bandwidth;  // one direction, one of the equal links; what transfers can reach
  Duration latency{};        // propagation; the solver ignores it, whoever starts flows adds it (messages.h)
  std::uint32_t count = 1;   // equal links that this one stands for
};

class FlowNetwork {
 public:
  // REQUIRES: 1 B/s <= bandwidth < 1e14 B/s, latency >= 0, count >= 1.
  LinkIndex add_link(const FlowLink& link);
  // REQUIRES: known links, none twice. An empty route is a transfer inside a device: it takes no time here.
  RouteIndex add_route(std::span<const LinkIndex> links);

  [[nodiscard]] std::span<const FlowLink> links() const { return links_; }
  [[nodiscard]] std::size_t routes() const { return latencies_.size(); }
  [[nodiscard]] std::span<const LinkIndex> route(RouteIndex r) const {
    return {hops_.data() + first_hop_[r], hops_.data() + first_hop_[r + 1]};
  }
  [[nodiscard]] Duration latency(RouteIndex r) const { return latencies_[r]; }  // of its links together

 private:
  std::vector<FlowLink> links_;
  std::vector<LinkIndex> hops_;  // of all routes, one after another
  std::vector<std::uint32_t> first_hop_{0};
  std::vector<Duration> latencies_;
};

struct LinkUse {
  Bytes carried{};  // by one of the equal links; counted when a flow starts
  Duration busy{};  // with at least one flow
};

struct FlowCounts {
  std::uint64_t starts = 0;
  std::uint64_t solves = 0;      // instants at which rates were computed anew
  std::uint64_t components = 0;  // connected parts that were solved
  std::uint64_t rates = 0;       // rates computed, over all of these
};

// How much is solved when something changes. kAll is the definition; kTouched, which equals it, is what is used.
enum class Resolve : std::uint8_t { kTouched, kAll };

class FlowSolver {
 public:
  // The network outlives the solver; routes may be added later, links not.
  explicit FlowSolver(const FlowNetwork& network, Resolve resolve = Resolve::kTouched);

  // Starts now. `tag` comes back when the flow ends. The index is valid until then.
  // REQUIRES: bytes > 0, a route with links, copies a multiple of the count of each of them.
  FlowIndex start(RouteIndex route, Bytes bytes, std::uint32_t copies, std::uint32_t tag);

  [[nodiscard]] Duration now() const { return now_; }
  [[nodiscard]] Duration next_end();  // kNever when nothing runs
  // Time goes on to `to`: the tags of the flows that end there, valid until the next call; in no particular order.
  // REQUIRES: now() <= to <= next_end().
  std::span<const std::uint32_t> advance(Duration to);

  [[nodiscard]] BytesPerSecond rate(FlowIndex flow);  // of one copy
  [[nodiscard]] LinkUse use(LinkIndex link);          // up to now
  [[nodiscard]] const FlowCounts& counts() const { return counts_; }

 private:
  using Rate = std::int64_t;         // 2^-16 B/s
  using Amount = unsigned __int128;  // what a rate of 1 moves in a tick: 2^-16 * 1e-12 B

  struct Flow {
    Amount left = 0;  // at `since`
    Rate rate = 0;
    std::int64_t since = 0, end = 0;  // ticks; the end if nothing changes
    RouteIndex route = 0;
    std::uint32_t copies = 0, tag = 0;
    FlowIndex next = 0;  // of its component
  };
  struct Link {
    std::vector<FlowIndex> flows;  // with those that ended since the last solve
    Rate capacity = 0;
    Rate left = 0;             // while solving: not yet given to flows,
    std::int64_t waiting = 0;  // and the copies that have no rate yet
    std::uint32_t stamp = 0;   // the solve that saw it last
    std::uint32_t count = 1;
    FlowIndex first = 0;  // of the component whose end is queued under this link
    bool changed = false;
    std::uint64_t component = 0;  // which is this one; 0 = none
    std::int64_t busy_since = 0, busy = 0, carried = 0;
  };
  struct ComponentEnd {
    LinkIndex link;
    std::uint64_t component;
  };
  struct Share {
    Rate share;
    LinkIndex link;
    bool operator<(const Share& other) const { return share > other.share; }  // smallest first in a standard heap
  };

  [[nodiscard]] bool is_void(const ComponentEnd& e) const { return links_[e.link].component != e.component; }
  [[nodiscard]] static std::int64_t on_each(const Flow& flow, const Link& link) {
    return link.count == 1 ? flow.copies : flow.copies / link.count;
  }
  void change(LinkIndex link);
  void visit(LinkIndex link);
  void solve();
  void gather(LinkIndex seed);
  void fill();
  void freeze(std::span<const LinkIndex> full, Rate rate);
  void give(FlowIndex f, Rate rate);
  void end_flows_of(LinkIndex link);

  const FlowNetwork& network_;
  Resolve resolve_;
  Duration now_{};
  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> marks_;  // of flows: the solve that saw it, + 1 when it has its rate; kEnded
  std::vector<FlowIndex> free_, ended_;
  std::vector<std::uint32_t> ended_tags_;
  std::vector<LinkIndex> changed_;
  InstantQueue<ComponentEnd> ends_;
  std::uint32_t stamp_ = 0;
  FlowCounts counts_;
  // Of the component that is being solved.
  std::vector<LinkIndex> part_links_, full_;
  std::vector<FlowIndex> part_flows_;
  std::vector<Share> shares_;
  FlowIndex chain_ = 0;
  std::int64_t first_end_ = 0;
};

}  // namespace ascendsim
