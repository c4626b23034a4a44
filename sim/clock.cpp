#include "sim/clock.h"

#include <algorithm>

#include "sim/drive.h"

namespace ascendsim {

namespace {

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
      // Communication is exposed from when the rank's own compute has run dry.
      const std::int64_t dry = std::max({start, s.stream_free[0], s.stream_free[2]});
      s.result.exposed_communication += Duration(std::max<std::int64_t>(0, start + ticks - dry));
      run(s, a.op, start, start + ticks);
    }
  }

  SweepResult result() {
    SweepResult r;
    for (State& s : state_) {
      s.result.finish = Duration(std::ranges::max(s.stream_free));
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
