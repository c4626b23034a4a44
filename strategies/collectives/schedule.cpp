#include "strategies/collectives/schedule.h"

#include <algorithm>
#include <tuple>

namespace ascendsim {

void Schedule::add(const Transfer& t) {
  if (t.bytes == 0) return;
  check(t.from >= 0 && t.from < ranks_ && t.to >= 0 && t.to < ranks_ && t.step >= 0 && t.bytes > 0,
        "a transfer is outside its schedule");
  steps_ = std::max(steps_, t.step + 1);
  transfers_.push_back(t);
}

void Schedule::append(const Schedule& later) {
  check(later.ranks_ == ranks_, "schedules of different groups");
  const int first = steps_;
  for (Transfer t : later.transfers_) {
    t.step += first;
    add(t);
  }
}

Schedule reversed(const Schedule& s) {
  Schedule out(s.ranks());
  for (Transfer t : s.transfers()) {
    check(!t.adds && t.source_place == t.target_place, "only copies inside the vector can be reversed");
    std::swap(t.from, t.to);
    std::swap(t.source, t.target);
    t.step = s.steps() - 1 - t.step;
    t.adds = true;
    out.add(t);
  }
  return out;
}

std::vector<Crossing> traffic(const Schedule& s) {
  std::vector<Crossing> out;
  out.reserve(s.transfers().size());
  for (const Transfer& t : s.transfers())
    if (t.from != t.to) out.push_back({t.from, t.to, t.step, t.bytes, t.adds});
  std::ranges::sort(out, {}, [](const Crossing& c) { return std::tie(c.step, c.from, c.to); });
  std::size_t kept = 0;
  for (const Crossing& c : out) {
    if (kept > 0 && out[kept - 1].step == c.step && out[kept - 1].from == c.from && out[kept - 1].to == c.to)
      out[kept - 1].bytes = checked_sum(out[kept - 1].bytes, c.bytes);
    else
      out[kept++] = c;
  }
  out.resize(kept);
  return out;
}

std::vector<std::int64_t> bytes_sent_by_rank(const Schedule& s) {
  std::vector<std::int64_t> sent(static_cast<std::size_t>(s.ranks()));
  for (const Transfer& t : s.transfers())
    if (t.from != t.to) {
      std::int64_t& sum = sent[static_cast<std::size_t>(t.from)];
      sum = checked_sum(sum, t.bytes);
    }
  return sent;
}

void perform(const Schedule& s, std::span<RankNumbers> ranks, const std::function<std::size_t(std::size_t)>& choose) {
  check(ranks.size() == static_cast<std::size_t>(s.ranks()), "one set of numbers a rank");
  const auto transfers = s.transfers();
  // open[rank][step]: transfers of that step that the rank sends or receives and that are not done.
  std::vector<std::vector<int>> open(ranks.size(), std::vector<int>(static_cast<std::size_t>(s.steps())));
  const auto left = [&](std::int32_t rank, std::int32_t step) -> int& {
    return open[static_cast<std::size_t>(rank)][static_cast<std::size_t>(step)];
  };
  for (const Transfer& t : transfers) {
    ++left(t.from, t.step);
    if (t.to != t.from) ++left(t.to, t.step);
  }
  struct Flight {
    std::size_t transfer;
    Numbers carried;
  };
  std::vector<std::size_t> waiting(transfers.size());
  for (std::size_t i = 0; i < waiting.size(); ++i) waiting[i] = i;
  std::vector<Flight> flying;
  const auto may_start = [&](std::size_t i) {
    const auto& steps = open[static_cast<std::size_t>(transfers[i].from)];
    return std::all_of(steps.begin(), steps.begin() + transfers[i].step, [](int n) { return n == 0; });
  };
  while (!waiting.empty() || !flying.empty()) {
    std::vector<std::size_t> ready;  // positions in `waiting`
    for (std::size_t i = 0; i < waiting.size(); ++i)
      if (may_start(waiting[i])) ready.push_back(i);
    check(!ready.empty() || !flying.empty(), "a schedule cannot go on");
    const std::size_t chosen = choose(ready.size() + flying.size());
    if (chosen < ready.size()) {
      const auto at = waiting.begin() + static_cast<std::ptrdiff_t>(ready[chosen]);
      const Transfer& t = transfers[*at];
      const Numbers& source = ranks[static_cast<std::size_t>(t.from)][t.source_place];
      check(t.source >= 0 && t.source + t.bytes <= std::ssize(source), "a transfer reads outside its buffer");
      flying.push_back({*at, Numbers(source.begin() + t.source, source.begin() + t.source + t.bytes)});
      waiting.erase(at);
    } else {
      const auto at = flying.begin() + static_cast<std::ptrdiff_t>(chosen - ready.size());
      const Transfer& t = transfers[at->transfer];
      Numbers& target = ranks[static_cast<std::size_t>(t.to)][t.target_place];
      check(t.target >= 0 && t.target + t.bytes <= std::ssize(target), "a transfer writes outside its buffer");
      for (std::int64_t i = 0; i < t.bytes; ++i) {
        std::int64_t& element = target[static_cast<std::size_t>(t.target + i)];
        element = (t.adds ? element : 0) + at->carried[static_cast<std::size_t>(i)];
      }
      --left(t.from, t.step);
      if (t.to != t.from) --left(t.to, t.step);
      flying.erase(at);
    }
  }
}

}  // namespace ascendsim
