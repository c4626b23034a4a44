// The waiting queue of vLLM (v1/core/sched/request_queue.py): first come first served, or by priority.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "strategies/serving/scheduler.h"

namespace ascendsim {

// Which of two requests is preferred under the priority policy: the smaller number, then the earlier arrival. `serial`
// counts arrivals.
struct VllmRank {
  std::int64_t priority = 0;
  std::uint64_t serial = 0;
  auto operator<=>(const VllmRank&) const = default;
};

class VllmWaitingQueue {
 public:
  explicit VllmWaitingQueue(bool by_priority) : by_priority_(by_priority) {}

  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t size() const { return by_priority_ ? heap_.size() : line_.size(); }
  [[nodiscard]] RequestIndex front() const { return by_priority_ ? heap_.front().request : line_.front(); }

  void push_back(RequestIndex request, VllmRank rank);
  // Before all others, where the queue has an order of its own; by priority no place is better than what the rank gives.
  void push_front(RequestIndex request, VllmRank rank);
  void pop_front();
  // Linear in the length of the queue; false when the request is not in it.
  bool erase(RequestIndex request);

  // Calls f(request) for all, in an order that follows from the operations alone.
  template <class F>
  void for_each(F&& f) const {
    for (const RequestIndex request : line_) f(request);
    for (const Entry& entry : heap_) f(entry.request);
  }

 private:
  struct Entry {
    VllmRank rank;
    RequestIndex request = 0;
  };
  static bool after(const Entry& a, const Entry& b) { return b.rank < a.rank; }
  void push(RequestIndex request, VllmRank rank);

  bool by_priority_;
  std::deque<RequestIndex> line_;  // one of the two stays empty
  std::vector<Entry> heap_;        // the best in front
};

}  // namespace ascendsim
