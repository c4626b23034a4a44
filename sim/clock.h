// The clock: plays priced programs over streams. In each stream operators run in program order; an operator starts when
// its stream is free, its wait has finished and the host has issued it; a collective starts when its last member is
// ready. One topological sweep, exact where operators that overlap do not slow each other down; executor.h covers the
// rest.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"

namespace ascendsim {

// An operator reduced to what the sweep needs.
struct Node {
  std::int64_t ticks = 0;
  std::uint32_t wait = kNoWait;
  StreamId stream = 0;
  std::uint8_t category = 0;
  std::uint16_t launches = 0;
};
static_assert(sizeof(Node) == 16);

// How the host feeds the device. Eager: kernels are issued one after another, each taking `issue`; graph: issue is
// zero.
struct HostModel {
  Duration before_step{};  // scheduling, graph launch: the device is idle
  Duration issue{};        // per kernel
};

struct ClassTime {
  Duration finish{};
  std::array<Duration, 256> by_category{};  // busy time; collectives under kCommunicationCategory
  Duration computing{};                     // any compute stream busy with something other than a collective
  Duration exposed_communication{};         // collectives running while no compute stream of the rank was busy
  Duration waiting{};                       // at collectives for peers that arrive later
  Duration host{};                          // before_step, and the device starved by a slow issue
};

struct SweepResult {
  Duration finish{};  // of the slowest class
  std::vector<ClassTime> classes;
};

// When an operator ran, in ticks; a collective from when its last member was ready.
struct Interval {
  std::int64_t start = 0, end = 0;
  bool operator==(const Interval&) const = default;
};
using Timeline = std::vector<std::vector<Interval>>;  // [class][operator]

constexpr bool is_compute(StreamId stream) { return stream % 2 == kComputeStream; }

// What the host issues: every kernel, or only those outside captured graphs, and each stretch between them as one.
enum class Issued : std::uint8_t { kEveryKernel, kOutsideGraphs };
std::vector<Node> lower(const Program& program, std::span<const Duration> ticks, Issued issued = Issued::kEveryKernel);

// nodes: one vector per class, as lower() makes them from programs[c]. timeline: filled when given.
SweepResult sweep(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                  const Folding& folding, HostModel host, Timeline* timeline = nullptr);

}  // namespace ascendsim
