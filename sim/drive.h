// The loops that carry programs out, whatever the machine. A machine has
//   void local(int rank_class, std::size_t op_index);
//   void exchange(const Folding::Meeting&, std::span<const Arrival>);   // all members have arrived
// drive: a rank runs its operators in program order; at a collective it stays until every member of its group has come
// to the same one. drive_streams: as hardware may do it, every stream of a rank on its own, in one of the many orders
// that stream order, waits and meetings allow. When nobody can go on, the programs are wrong: InternalError names each
// waiting rank and operator.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>
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

// One stream of one rank, and how far it is.
struct StreamLine {
  int rank_class = 0;
  StreamId stream = 0;
  std::vector<std::size_t> operators;
  std::size_t at = 0;
  bool arrived = false;  // at its next operator, a collective, and stays until the exchange
};
// Streams that have operators, by rank, then stream.
std::vector<StreamLine> stream_lines(std::span<const Program* const> programs);

// Order number `order` of many: stream line order mod lines is held back as long as anything else can go on, what else
// can go on is drawn at random. So after as many orders as there are lines, every operator that lacks a wait has once
// run before what it should have waited for, unless something else orders the two. A collective is carried out some
// time after its last member has come. REQUIRES: programs that the verifier accepts.
template <class Machine>
void drive_streams(std::span<const Program* const> programs, const Folding& folding, Machine& machine,
                   std::uint64_t order) {
  struct Choice {
    std::size_t line = 0;  // of the next operator; or lines.size() + index of the meeting that is complete
    bool held = false;
  };
  std::vector<StreamLine> lines = stream_lines(programs);
  if (lines.empty()) return;
  const std::size_t held = order % lines.size();
  std::mt19937_64 random(order);
  std::vector<std::vector<bool>> done;
  for (const Program* p : programs) done.emplace_back(p->operators.size(), false);
  const auto next = [&](const StreamLine& l) { return l.operators[l.at]; };
  const auto operator_of = [&](const StreamLine& l) -> const Operator& {
    return programs[static_cast<std::size_t>(l.rank_class)]->operators[next(l)];
  };
  const auto meeting_of = [&](const StreamLine& l) {
    const int meeting = folding.meeting_of[static_cast<std::size_t>(l.rank_class)][operator_of(l).group];
    check(meeting >= 0, "a collective names a group kind that its rank is not in");
    return static_cast<std::size_t>(meeting) * kMaxStreams + l.stream;
  };
  const auto finish = [&](StreamLine& l) {
    done[static_cast<std::size_t>(l.rank_class)][next(l)] = true;
    ++l.at;
    l.arrived = false;
  };
  std::vector<std::vector<std::size_t>> waiting(folding.meetings.size() * kMaxStreams);  // lines, by meeting and stream

  std::vector<Choice> choices;
  while (true) {
    choices.clear();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const StreamLine& l = lines[i];
      if (l.at == l.operators.size() || l.arrived) continue;
      const std::uint32_t wait = operator_of(l).wait;
      if (wait == kNoWait || done[static_cast<std::size_t>(l.rank_class)][wait]) choices.push_back({i, i == held});
    }
    for (std::size_t m = 0; m < waiting.size(); ++m)
      if (!waiting[m].empty() && waiting[m].size() == folding.meetings[m / kMaxStreams].members.size())
        choices.push_back({lines.size() + m, std::ranges::find(waiting[m], held) != waiting[m].end()});
    if (choices.empty()) break;
    if (std::ranges::any_of(choices, [](const Choice& c) { return !c.held; }))
      std::erase_if(choices, [](const Choice& c) { return c.held; });

    const std::size_t chosen = choices[random() % choices.size()].line;
    if (chosen >= lines.size()) {
      std::vector<std::size_t>& members = waiting[chosen - lines.size()];
      std::vector<Arrival> arrived;
      for (const std::size_t i : members) arrived.push_back({lines[i].rank_class, next(lines[i])});
      machine.exchange(folding.meetings[(chosen - lines.size()) / kMaxStreams], arrived);
      for (const std::size_t i : members) finish(lines[i]);
      members.clear();
    } else if (StreamLine& line = lines[chosen]; operator_of(line).type->primitive != Primitive::kNone) {
      line.arrived = true;
      waiting[meeting_of(line)].push_back(chosen);
    } else {
      machine.local(line.rank_class, next(line));
      finish(line);
    }
  }
  std::vector<Arrival> stuck;
  for (const StreamLine& l : lines)
    if (l.at < l.operators.size()) stuck.push_back({l.rank_class, next(l)});
  if (!stuck.empty()) report_stuck(programs, folding, stuck);
}

}  // namespace ascendsim
