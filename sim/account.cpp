#include "sim/account.h"

namespace ascendsim {

Account::Intervals Account::unite(const PerStream& streams) {
  Intervals all;
  for (const Intervals& one : streams) {
    const auto size = static_cast<std::ptrdiff_t>(all.size());
    all.insert(all.end(), one.begin(), one.end());
    std::ranges::inplace_merge(all, all.begin() + size, {}, &Interval::start);
  }
  Intervals joined;
  for (const Interval& i : all) extend(joined, i);
  return joined;
}

ClassTime Account::close() {
  const Intervals compute = unite(compute_);
  std::int64_t exposed = 0;
  auto next = compute.begin();
  for (const Interval& c : unite(collectives_)) {
    std::int64_t covered = 0;
    while (next != compute.end() && next->end <= c.start) ++next;
    for (auto i = next; i != compute.end() && i->start < c.end; ++i)
      covered += std::min(i->end, c.end) - std::max(i->start, c.start);
    exposed += c.end - c.start - covered;
  }
  std::int64_t computing = 0;
  for (const Interval& i : compute) computing += i.end - i.start;
  time_.computing = Duration(computing);
  time_.exposed_communication = Duration(exposed);
  time_.finish = Duration(finish_);
  return time_;
}

std::vector<Account> open_accounts(std::span<const std::vector<Node>> nodes, HostModel host, Timeline* timeline) {
  if (timeline != nullptr) timeline->resize(nodes.size());
  std::vector<Account> accounts;
  accounts.reserve(nodes.size());
  for (std::size_t c = 0; c < nodes.size(); ++c) {
    if (timeline != nullptr) (*timeline)[c].resize(nodes[c].size());
    accounts.emplace_back(host.before_step, timeline != nullptr ? &(*timeline)[c] : nullptr);
  }
  return accounts;
}

SweepResult close(std::span<Account> accounts) {
  SweepResult result;
  for (Account& account : accounts) {
    result.classes.push_back(account.close());
    result.finish = std::max(result.finish, result.classes.back().finish);
  }
  return result;
}

}  // namespace ascendsim
