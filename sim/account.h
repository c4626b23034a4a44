// The account of one rank's time, kept by the machines that play a program (clock.h, executor.h). Ticks are
// picoseconds.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "sim/clock.h"

namespace ascendsim {

class Account {
 public:
  // timeline: where to note when each operator ran; null = nowhere.
  Account(Duration before_step, std::vector<Interval>* timeline) : timeline_(timeline), finish_(before_step.count()) {
    time_.host = before_step;
  }

  void starved(std::int64_t ticks) { time_.host += Duration(ticks); }
  void waited(std::int64_t ticks) { time_.waiting += Duration(ticks); }
  // REQUIRES: the operators of one stream come in their order.
  void ran(std::size_t op, const Node& node, bool collective, std::int64_t start, std::int64_t end) {
    time_.by_category[node.category] += Duration(end - start);
    finish_ = std::max(finish_, end);
    if (timeline_ != nullptr) (*timeline_)[op] = {start, end};
    if (collective)
      extend(collectives_[node.stream], {start, end});
    else if (is_compute(node.stream))
      extend(compute_[node.stream], {start, end});
  }

  ClassTime close();

 private:
  using Intervals = std::vector<Interval>;  // ascending, touching ones joined
  using PerStream = std::array<Intervals, kMaxStreams>;

  static void extend(Intervals& intervals, Interval next) {
    if (!intervals.empty() && next.start <= intervals.back().end) {
      intervals.back().end = std::max(intervals.back().end, next.end);
    } else {
      intervals.push_back(next);
    }
  }
  static Intervals unite(const PerStream& streams);

  std::vector<Interval>* timeline_;
  std::int64_t finish_;
  PerStream compute_, collectives_;
  ClassTime time_;
};

// One account a class; `timeline`, when given, becomes as large as `nodes`.
std::vector<Account> open_accounts(std::span<const std::vector<Node>> nodes, HostModel host, Timeline* timeline);
SweepResult close(std::span<Account> accounts);

}  // namespace ascendsim
