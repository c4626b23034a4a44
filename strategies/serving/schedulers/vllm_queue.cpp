#include "strategies/serving/schedulers/vllm_queue.h"

#include <algorithm>

namespace ascendsim {

void VllmWaitingQueue::push(RequestIndex request, VllmRank rank) {
  heap_.push_back({rank, request});
  std::ranges::push_heap(heap_, after);
}

void VllmWaitingQueue::push_back(RequestIndex request, VllmRank rank) {
  by_priority_ ? push(request, rank) : line_.push_back(request);
}

void VllmWaitingQueue::push_front(RequestIndex request, VllmRank rank) {
  by_priority_ ? push(request, rank) : line_.push_front(request);
}

void VllmWaitingQueue::pop_front() {
  if (!by_priority_) return line_.pop_front();
  std::ranges::pop_heap(heap_, after);
  heap_.pop_back();
}

bool VllmWaitingQueue::erase(RequestIndex request) {
  if (std::erase(line_, request) > 0) return true;
  if (std::erase_if(heap_, [&](const Entry& e) { return e.request == request; }) == 0) return false;
  std::ranges::make_heap(heap_, after);
  return true;
}

}  // namespace ascendsim
