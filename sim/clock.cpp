#include "sim/clock.h"

#include <algorithm>

#include "sim/account.h"
#include "sim/drive.h"

namespace ascendsim {

namespace {

class Clock {
 public:
  Clock(std::span<const std::vector<Node>> nodes, HostModel host, Timeline* timeline)
      : host_(host), state_(nodes.size()), accounts_(open_accounts(nodes, host, timeline)) {
    for (std::size_t c = 0; c < nodes.size(); ++c) {
      state_[c].nodes = nodes[c].data();
      state_[c].end.resize(nodes[c].size());
      state_[c].stream_free.fill(host.before_step.count());
      state_[c].issued = host.before_step.count();
    }
  }

  void local(int rank_class, std::size_t i) {
    const auto c = static_cast<std::size_t>(rank_class);
    const std::int64_t ready = ready_at(c, i);
    run(c, i, false, ready, ready + state_[c].nodes[i].ticks);
  }

  void exchange(const Folding::Meeting&, std::span<const Arrival> arrivals) {
    std::int64_t start = 0, ticks = 0;
    for (const Arrival& a : arrivals) {
      const auto c = static_cast<std::size_t>(a.rank_class);
      state_[c].ready = ready_at(c, a.op);
      start = std::max(start, state_[c].ready);
      ticks = std::max(ticks, state_[c].nodes[a.op].ticks);
    }
    for (const Arrival& a : arrivals) {
      const auto c = static_cast<std::size_t>(a.rank_class);
      accounts_[c].waited(start - state_[c].ready);
      run(c, a.op, true, start, start + ticks);
    }
  }

  SweepResult result() { return close(accounts_); }

 private:
  struct State {
    const Node* nodes = nullptr;
    std::vector<std::int64_t> end;
    std::array<std::int64_t, kMaxStreams> stream_free{};
    std::int64_t issued = 0, ready = 0;
  };

  std::int64_t ready_at(std::size_t c, std::size_t i) {
    State& s = state_[c];
    const Node& n = s.nodes[i];
    std::int64_t ready = s.stream_free[n.stream];
    if (n.wait != kNoWait) ready = std::max(ready, s.end[n.wait]);
    s.issued += host_.issue.count() * n.launches;
    if (s.issued > ready) {
      accounts_[c].starved(s.issued - ready);
      ready = s.issued;
    }
    return ready;
  }

  void run(std::size_t c, std::size_t i, bool collective, std::int64_t start, std::int64_t end) {
    State& s = state_[c];
    const Node& n = s.nodes[i];
    s.stream_free[n.stream] = s.end[i] = end;
    accounts_[c].ran(i, n, collective, start, end);
  }

  HostModel host_;
  std::vector<State> state_;
  std::vector<Account> accounts_;
};

}  // namespace

std::vector<Node> lower(const Program& program, std::span<const Duration> ticks, Issued issued) {
  check(ticks.size() == program.operators.size(), "every operator needs a price");
  std::vector<Node> nodes(ticks.size());
  bool inside = false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Operator& op = program.operators[i];
    std::uint16_t launches = op.inputs + op.outputs > 0 ? 1 : 0;  // a fence is not a kernel
    if (issued == Issued::kOutsideGraphs && launches == 1) {
      const bool follows = inside && !op.outside_graph;  // another kernel of the same graph
      inside = !op.outside_graph;
      if (follows) launches = 0;
    }
    nodes[i] = {ticks[i].count(), op.wait, op.stream, op.category, launches};
  }
  return nodes;
}

SweepResult sweep(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                  const Folding& folding, HostModel host, Timeline* timeline) {
  Clock clock(nodes, host, timeline);
  drive(programs, folding, clock);
  return clock.result();
}

}  // namespace ascendsim
