// What one step takes, and of what: facts of an answer.
#pragma once

#include <bitset>
#include <string>
#include <vector>

#include "hardware/kernel_cost.h"
#include "sim/units.h"
#include "workloads/kernels.h"

namespace ascendsim {

// Everything of one kind that the slowest rank does in a step, summed over layers.
struct OperatorRow {
  std::string label;
  std::uint8_t category = 0;
  std::int64_t count = 0;
  Duration time{};
  Flops flops{};         // without tile rounding
  Bytes bytes{};         // device memory, read and written; sent, for a collective
  std::string limit{};   // "matrix", "memory", ... or the collective's algorithm
  KernelTerms terms{};   // of one of them, over its time: shares by Bound; 0 for a collective
  std::string source{};  // which figures priced it
};

struct CollectiveRow {
  std::string label, primitive, group, algorithm;
  std::int64_t count = 0;
  Bytes bytes{};  // n of one call, as in sim/program.h
  Bytes sent{};   // by one rank, all calls
  Duration time{};
};

// A collective that faults of the fabric slow: one call of it, on one of its groups.
struct SlowedCollective {
  std::string label, primitive, group;
  int ranks = 0;
  Bytes bytes{};
  Duration time{}, without_faults{};
};

struct MatrixFlops {
  Flops bits16{}, int8{}, fp32{};
  [[nodiscard]] Flops total() const { return bits16 + int8 + fp32; }
};

struct StepTime {
  Duration total{};
  int classes = 0;
  std::string launched{};     // how its kernels are started; empty: as the stack's figures say
  std::size_t operators = 0;  // of one rank
  // Of the slowest rank: total = computing + exposed communication + host + idle. attention .. vector sum to
  // `computing`: busy times, scaled down alike where two lanes compute at once.
  Duration computing{}, attention{}, linear{}, moe{}, vector{}, communication{}, exposed_communication{}, waiting{},
      host{}, idle{};
  // Of the rank that waits most, for those that compute longer; `waiting` is the slowest rank's own.
  Duration longest_wait{};
  Duration speed_of_light{};
  MatrixFlops flops{};                           // of the slowest rank
  std::bitset<kKernelNames.size()> kernels{};    // families whose figures priced it
  Flops performed{};                             // matrix FLOPs of all ranks together
  std::vector<OperatorRow> operator_rows{};      // largest time first
  std::vector<CollectiveRow> collective_rows{};  // in program order
  std::vector<SlowedCollective> slowed{};        // of all ranks; the most slowed group of each
  // Of every layer, on the last rank; of prefills whose cache is pushed by layers.
  std::vector<Duration> attention_ends{};
};

}  // namespace ascendsim
