// The one loop that carries programs out, whatever the machine. A machine has
//   void local(int rank_class, std::size_t op_index);
//   void exchange(const Folding::Meeting&, std::span<const Arrival>);   // all members have arrived
// A rank runs its operators in program order; at a collective it stays until every member of its group has come to the
// same one. When nobody can go on, the programs are wrong: InternalError names each waiting rank and operator.
#pragma once

#include <fmt/format.h>

#include <span>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"

namespace ascendsim {

struct Arrival {
  int rank_class = 0;
  std::size_t op = 0;
};

// waiting: what cannot go on, in class order; a class without an entry has finished.
[[noreturn]] void report_stuck(std::span<const Program* const> programs, const Folding& folding,
                               std::span<const Arrival> waiting);

// programs: one per class, in class order.
template <class Machine>
void drive(std::span<const Program* const> programs, const Folding& folding, Machine& machine) {
  const std::size_t classes = programs.size();
  std::vector<std::size_t> position(classes, 0);
  std::vector<std::vector<Arrival>> waiting(folding.meetings.size());
  std::vector<bool> blocked(classes, false);
  std::size_t finished = 0;
  while (finished < classes) {
    bool progress = false;
    finished = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      const auto& operators = programs[c]->operators;
      std::size_t& at = position[c];
      while (!blocked[c] && at < operators.size()) {
        progress = true;
        const Operator& op = operators[at];
        if (op.type->primitive == Primitive::kNone) {
          machine.local(static_cast<int>(c), at++);
          continue;
        }
        const int meeting = folding.meeting_of[c][op.group];
        check(meeting >= 0, "a collective names a group kind that its rank is not in");
        auto& arrived = waiting[static_cast<std::size_t>(meeting)];
        arrived.push_back({static_cast<int>(c), at});
        blocked[c] = true;
        const auto& members = folding.meetings[static_cast<std::size_t>(meeting)].members;
        if (arrived.size() < members.size()) continue;
        machine.exchange(folding.meetings[static_cast<std::size_t>(meeting)], std::span<const Arrival>(arrived));
        for (const Arrival& a : arrived) {
          blocked[static_cast<std::size_t>(a.rank_class)] = false;
          ++position[static_cast<std::size_t>(a.rank_class)];
        }
        arrived.clear();
      }
      if (at == operators.size() && !blocked[c]) ++finished;
    }
    if (!progress && finished < classes) {
      std::vector<Arrival> stuck;
      for (std::size_t c = 0; c < classes; ++c)
        if (position[c] < programs[c]->operators.size()) stuck.push_back({static_cast<int>(c), position[c]});
      report_stuck(programs, folding, stuck);
    }
  }
}

}  // namespace ascendsim
