#include "sim/event_engine.h"

#include <algorithm>

namespace ascendsim {

namespace {

constexpr std::size_t kChildren = 4;
constexpr unsigned kPhaseShift = 56;  // leaves 7e16 insertions

std::size_t parent(std::size_t i) { return (i - 1) / kChildren; }

}  // namespace

void EventEngine::schedule(Duration when, EventPhase phase, EventHandler& handler, std::uint64_t payload) {
  check(when > now_ || (when == now_ && phase >= phase_), "an event is scheduled before the present one");
  const std::uint64_t order = std::uint64_t{static_cast<std::uint8_t>(phase)} << kPhaseShift | inserted_++;
  const Event event{when, order, &handler, payload};
  std::size_t hole = heap_.size();
  heap_.push_back(event);
  for (; hole > 0 && event.before(heap_[parent(hole)]); hole = parent(hole)) heap_[hole] = heap_[parent(hole)];
  heap_[hole] = event;
}

void EventEngine::remove_first() {
  const Event last = heap_.back();
  heap_.pop_back();
  const std::size_t size = heap_.size();
  if (size == 0) return;
  Event* const heap = heap_.data();
  // The hole goes down to a leaf before `last` is compared at all: coming from the bottom, it seldom rises again.
  std::size_t hole = 0;
  std::size_t child = 1;
  for (; child + kChildren <= size; child = hole * kChildren + 1) {
    const std::size_t a = child + heap[child + 1].before(heap[child]);
    const std::size_t b = child + 2 + heap[child + 3].before(heap[child + 2]);
    const std::size_t first = heap[b].before(heap[a]) ? b : a;
    heap[hole] = heap[first];
    hole = first;
  }
  if (child < size) {
    std::size_t first = child;
    while (++child < size) first = heap[child].before(heap[first]) ? child : first;
    heap[hole] = heap[first];
    hole = first;
  }
  for (; hole > 0 && last.before(heap[parent(hole)]); hole = parent(hole)) heap[hole] = heap[parent(hole)];
  heap[hole] = last;
}

void EventEngine::handle_first() {
  const Event event = heap_.front();
  remove_first();
  now_ = event.when;
  phase_ = static_cast<EventPhase>(event.order >> kPhaseShift);
  ++handled_;
  event.handler->on_event(*this, event.payload);
}

void EventEngine::run() {
  while (!heap_.empty()) handle_first();
}

void EventEngine::run_until(Duration end) {
  check(end >= now_, "the engine cannot run back in time");
  while (!heap_.empty() && heap_.front().when < end) handle_first();
  if (end > now_) phase_ = EventPhase::kComplete;
  now_ = end;
}

}  // namespace ascendsim
