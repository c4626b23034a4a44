// Networks and schedules that tests and benchmarks share: star, mesh and two-level graphs on which every route has the
// same latency, and the usual exchanges over them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/messages.h"

namespace ascendsim {

struct SmallFabric {
  std::uint32_t ranks = 0;
  FlowNetwork network;
  std::vector<RouteIndex> routes{};  // [from * ranks + to]; unused on the diagonal
  [[nodiscard]] RouteIndex route(std::uint32_t from, std::uint32_t to) const { return routes[from * ranks + to]; }
};

template <class LinksOf>
SmallFabric with_routes(std::uint32_t ranks, FlowNetwork network, LinksOf links_of) {
  SmallFabric fabric{ranks, std::move(network)};
  const RouteIndex none = fabric.network.add_route({});
  for (std::uint32_t a = 0; a < ranks; ++a) {
    for (std::uint32_t b = 0; b < ranks; ++b) {
      const std::vector<LinkIndex> links = links_of(a, b);
      fabric.routes.push_back(a == b ? none : fabric.network.add_route(links));
    }
  }
  return fabric;
}

// Every rank has a port up and a port down.
inline SmallFabric star(std::uint32_t ranks, BytesPerSecond port, Duration latency) {
  FlowNetwork network;
  for (std::uint32_t i = 0; i < 2 * ranks; ++i) network.add_link({port, latency / 2});
  return with_routes(ranks, std::move(network), [=](std::uint32_t a, std::uint32_t b) {
    return std::vector<LinkIndex>{a, ranks + b};
  });
}

// Every ordered pair has a link.
inline SmallFabric mesh(std::uint32_t ranks, BytesPerSecond link, Duration latency) {
  FlowNetwork network;
  for (std::uint32_t i = 0; i < ranks * ranks; ++i) network.add_link({link, latency});
  return with_routes(ranks, std::move(network),
                     [=](std::uint32_t a, std::uint32_t b) { return std::vector<LinkIndex>{a * ranks + b}; });
}

// Leaves of `share` ranks; a leaf has one link up and one down, as wide as `uplink` says.
inline SmallFabric two_levels(std::uint32_t ranks, std::uint32_t share, BytesPerSecond port, BytesPerSecond uplink,
                              Duration latency) {
  FlowNetwork network;
  const std::uint32_t leaves = ranks / share;
  for (std::uint32_t i = 0; i < 2 * ranks; ++i) network.add_link({port, latency / 2});
  for (std::uint32_t i = 0; i < 2 * leaves; ++i) network.add_link({uplink});
  return with_routes(ranks, std::move(network), [=](std::uint32_t a, std::uint32_t b) {
    const std::uint32_t from = a / share, to = b / share;
    if (from == to) return std::vector<LinkIndex>{a, ranks + b};
    return std::vector<LinkIndex>{a, 2 * ranks + from, 2 * ranks + leaves + to, ranks + b};
  });
}

// bytes: of one message.
inline MessageSchedule ring_schedule(const SmallFabric& fabric, std::uint32_t steps, Bytes bytes) {
  MessageSchedule schedule{.ranks = fabric.ranks, .messages = {}};
  for (std::uint32_t s = 0; s < steps; ++s)
    for (std::uint32_t r = 0; r < fabric.ranks; ++r) {
      const std::uint32_t next = (r + 1) % fabric.ranks;
      schedule.messages.push_back({r, next, s, fabric.route(r, next), bytes});
    }
  return schedule;
}

// In step s a rank sends to the one s + 1 places on; `direct` has everything in one step.
inline MessageSchedule all_to_all_schedule(const SmallFabric& fabric, Bytes bytes, bool direct) {
  MessageSchedule schedule{.ranks = fabric.ranks, .messages = {}};
  for (std::uint32_t s = 1; s < fabric.ranks; ++s)
    for (std::uint32_t r = 0; r < fabric.ranks; ++r) {
      const std::uint32_t peer = (r + s) % fabric.ranks;
      schedule.messages.push_back({r, peer, direct ? 0 : s - 1, fabric.route(r, peer), bytes});
    }
  return schedule;
}

// Both exchanges on a star, as one rank that stands for all: its ports stand for all ports.
struct FoldedStar {
  FoldedStar(std::uint32_t ranks, BytesPerSecond port, Duration latency) {
    const FlowLink link{port, latency / 2, ranks};
    const std::array links{network.add_link(link), network.add_link(link)};
    network.add_route(links);
  }
  FlowNetwork network;
};
inline MessageSchedule folded_ring(std::uint32_t ranks, std::uint32_t steps, Bytes bytes) {
  MessageSchedule schedule{.ranks = 1, .messages = {}};
  for (std::uint32_t s = 0; s < steps; ++s) schedule.messages.push_back({0, 0, s, 0, bytes, ranks});
  return schedule;
}
inline MessageSchedule folded_all_to_all(std::uint32_t ranks, Bytes bytes) {
  return {.ranks = 1, .messages = {{0, 0, 0, 0, bytes, ranks * (ranks - 1)}}};
}

}  // namespace ascendsim
