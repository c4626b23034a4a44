// A program of two streams on two ranks, and who ran when in an order of them.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "sim/drive.h"
#include "tests/sim/small_programs.h"

namespace ascendsim {

inline constexpr ProgramBuilder::Group kPair{0, 2};

// Computes x and y; x travels while y is computed, then both are needed:
//   compute        x ---- y ------ use
//   communication    \-- shift --/
inline Program overlapped() {
  ProgramBuilder p;
  const Value in = p.input(Dtype::kFp16, 2, 2), x = p.activation(Dtype::kFp16, 2, 2),
              y = p.activation(Dtype::kFp16, 2, 2), received = p.activation(Dtype::kFp16, 2, 2),
              z = p.activation(Dtype::kFp16, 2, 2);
  touch(p, "x", {in}, {x});
  p.shift("shift", x, received, kPair);
  touch(p, "y", {in}, {y});
  touch(p, "use", {received, y}, {z});
  return p.take();
}

struct Recorder {
  void local(int rank, std::size_t op) { events.emplace_back(rank, op); }
  void exchange(const Folding::Meeting&, std::span<const Arrival> arrivals) {
    for (const Arrival& a : arrivals) events.emplace_back(a.rank_class, a.op);
  }
  [[nodiscard]] std::size_t at(int rank, std::size_t op) const {
    return static_cast<std::size_t>(std::ranges::find(events, std::pair(rank, op)) - events.begin());
  }
  std::vector<std::pair<int, std::size_t>> events;
};

struct Orders {
  std::vector<Program> programs{overlapped(), overlapped()};
  std::vector<GroupKind> groups{group_kind("pair", {{0, 1}})};
  Folding folding = unfolded(2, groups);

  Recorder run(std::uint64_t order) {
    Recorder r;
    drive_streams(pointers(programs), folding, r, order);
    return r;
  }
};

}  // namespace ascendsim
