// What is due when, for simulations in which much happens at the same instant (collectives in lockstep): items of one
// instant share one heap node, and pushing to the instant that was pushed to last costs no search. Nothing is allocated
// once the queue has grown to its working size. Items of one instant come in no particular order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

constexpr Duration kNever = Duration::max();

template <class Item>
class InstantQueue {
 public:
  void push(Duration when, Item item) {
    if (when != last_when_) {
      last_ = open(when);
      last_when_ = when;
    }
    instants_[last_].push_back(item);
    ++size_;
  }

  [[nodiscard]] Duration first() const { return heap_.empty() ? kNever : heap_.front().when; }
  [[nodiscard]] std::size_t size() const { return size_; }

  // Calls use(item) for everything that is due at first(), also for what use() pushes to that instant meanwhile.
  // REQUIRES: not empty.
  template <class Use>
  void take_first(Use&& use) {
    const Duration when = first();
    while (!heap_.empty() && heap_.front().when == when) {
      const std::uint32_t instant = close_first();
      taken_.swap(instants_[instant]);
      for (const Item& item : taken_) use(item);
      taken_.clear();
      taken_.swap(instants_[instant]);  // gives the capacity back
      free_.push_back(instant);
    }
  }

  // Drops what is void at the front, so that first() is the time of a valid item.
  template <class IsVoid>
  void trim(IsVoid&& is_void) {
    while (!heap_.empty()) {
      std::vector<Item>& items = instants_[heap_.front().instant];
      while (!items.empty() && is_void(items.back())) {
        items.pop_back();
        --size_;
      }
      if (!items.empty()) return;
      free_.push_back(close_first());
    }
  }

  // Drops everything that is void: for when trim() leaves too much behind.
  template <class IsVoid>
  void sweep(IsVoid&& is_void) {
    for (const Node& node : heap_) size_ -= std::erase_if(instants_[node.instant], is_void);
    trim([](const Item&) { return false; });  // nodes without items go when they come to the front
  }

 private:
  struct Node {
    Duration when;
    std::uint32_t instant;
    bool operator<(const Node& other) const { return when > other.when; }  // the standard heaps have the largest first
  };

  std::uint32_t open(Duration when) {
    std::uint32_t instant = static_cast<std::uint32_t>(instants_.size());
    if (free_.empty()) {
      instants_.emplace_back();
    } else {
      instant = free_.back();
      free_.pop_back();
    }
    heap_.push_back({when, instant});
    std::push_heap(heap_.begin(), heap_.end());
    return instant;
  }
  std::uint32_t close_first() {
    std::pop_heap(heap_.begin(), heap_.end());
    const std::uint32_t instant = heap_.back().instant;
    heap_.pop_back();
    size_ -= instants_[instant].size();
    if (instant == last_) last_when_ = Duration::min();
    return instant;
  }

  std::vector<Node> heap_;
  std::vector<std::vector<Item>> instants_;
  std::vector<std::uint32_t> free_;
  std::vector<Item> taken_;
  Duration last_when_ = Duration::min();
  std::uint32_t last_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ascendsim
