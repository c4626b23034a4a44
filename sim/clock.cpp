#include "sim/clock.h"

#include <algorithm>

#include "sim/drive.h"

namespace ascendsim {

namespace {

struct Interval {
  std::int64_t start = 0, end = 0;
};

// The intervals of one kind of stream (compute or communication) of a rank, from both lanes.
class Timeline {
 public:
  void add(int lane, std::int64_t start, std::int64_t end) {
    if (end == start) return;
    if (!busy_.empty() && lane == last_lane_ && busy_.back().end == start) {
      busy_.back().end = end;
      return;
    }
    sorted_ = sorted_ && (busy_.empty() || lane == last_lane_);
    last_lane_ = lane;
    busy_.push_back({start, end});
  }
  // Ascending by start; one lane alone is in order already.
  std::span<const Interval> intervals() {
    if (!sorted_) std::ranges::sort(busy_, {}, &Interval::start);
    return busy_;
  }

 private:
  std::vector<Interval> busy_;
  int last_lane_ = 0;
  bool sorted_ = true;
};

// How long something communicates while nothing computes. Both ascend by start and may overlap among themselves.
std::int64_t exposed(std::span<const Interval> communication, std::span<const Interval> compute) {
  std::int64_t sum = 0, done = 0;   // everything before `done` is accounted for
  std::size_t next = 0;
  for (const Interval& c : communication) {
    done = std::max(done, c.start);
    while (next < compute.size() && compute[next].start < c.end) {
      sum += std::max<std::int64_t>(0, compute[next].start - done);
      done = std::max(done, compute[next].end);
      if (done >= c.end) break;       // it may reach into the next collective
      ++next;
    }
    sum += std::max<std::int64_t>(0, c.end - done);
    done = std::max(done, c.end);
  }
  return sum;
}

class Clock {
 public:
  Clock(std::span<const std::vector<Node>> nodes, HostModel host) : host_(host), state_(nodes.size()) {
    for (std::size_t c = 0; c < nodes.size(); ++c) {
      state_[c].nodes = nodes[c].data();
      state_[c].end.resize(nodes[c].size());
      state_[c].stream_free.fill(host.before_step.count());
      state_[c].issued = host.before_step.count();
      state_[c].result.host = host.before_step;
    }
  }

  void local(int rank_class, std::size_t i) {
    State& s = state_[static_cast<std::size_t>(rank_class)];
    const std::int64_t ready = ready_at(s, i);
    run(s, i, ready, ready + s.nodes[i].ticks);
  }

  void exchange(const Folding::Meeting&, std::span<const Arrival> arrivals) {
    std::int64_t start = 0, ticks = 0;
    for (const Arrival& a : arrivals) {
      State& s = state_[static_cast<std::size_t>(a.rank_class)];
      s.ready = ready_at(s, a.op);
      start = std::max(start, s.ready);
      ticks = std::max(ticks, s.nodes[a.op].ticks);
    }
    for (const Arrival& a : arrivals) {
      State& s = state_[static_cast<std::size_t>(a.rank_class)];
      s.result.waiting += Duration(start - s.ready);
      run(s, a.op, start, start + ticks);
    }
  }

  SweepResult result() {
    SweepResult r;
    for (State& s : state_) {
      s.result.finish = Duration(std::ranges::max(s.stream_free));
      s.result.exposed_communication = Duration(exposed(s.communication.intervals(), s.compute.intervals()));
      r.finish = std::max(r.finish, s.result.finish);
      r.classes.push_back(std::move(s.result));
    }
    return r;
  }

 private:
  struct State {
    const Node* nodes = nullptr;
    std::vector<std::int64_t> end;
    std::array<std::int64_t, kMaxStreams> stream_free{};
    std::int64_t issued = 0, ready = 0;
    Timeline compute, communication;
    ClassTime result;
  };

  std::int64_t ready_at(State& s, std::size_t i) const {
    const Node& n = s.nodes[i];
    std::int64_t ready = s.stream_free[n.stream];
    if (n.wait != kNoWait) ready = std::max(ready, s.end[n.wait]);
    s.issued += host_.issue.count() * n.launches;
    if (s.issued > ready) {
      s.result.host += Duration(s.issued - ready);
      ready = s.issued;
    }
    return ready;
  }

  static void run(State& s, std::size_t i, std::int64_t start, std::int64_t end) {
    const Node& n = s.nodes[i];
    s.stream_free[n.stream] = s.end[i] = end;
    (n.stream % 2 == kComputeStream ? s.compute : s.communication).add(n.stream / 2, start, end);
    s.result.by_category[n.category] += Duration(end - start);
  }

  HostModel host_;
  std::vector<State> state_;
};

}  // namespace

std::vector<Node> lower(const Program& program, std::span<const Duration> ticks) {
  check(ticks.size() == program.operators.size(), "every operator needs a price");
  std::vector<Node> nodes(ticks.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Operator& op = program.operators[i];
    const std::uint16_t launches = op.inputs + op.outputs > 0 ? 1 : 0;   // a fence is not a kernel
    nodes[i] = {ticks[i].count(), op.wait, op.stream, op.category, launches};
  }
  return nodes;
}

SweepResult sweep(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes, const Folding& folding,
                  HostModel host) {
  Clock clock(nodes, host);
  drive(programs, folding, clock);
  return clock.result();
}

}  // namespace ascendsim
