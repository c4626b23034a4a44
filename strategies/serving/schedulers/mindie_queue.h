// A double-ended queue in one ring of memory: it grows to the most it ever holds and then allocates no more.
#pragma once

#include <cstddef>
#include <vector>

namespace ascendsim {

template <class T>
class RingQueue {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return ring_[(begin_ + i) & (ring_.size() - 1)]; }
  [[nodiscard]] const T& front() const { return (*this)[0]; }  // REQUIRES: not empty, as the two below

  void push_back(const T& value) {
    grow();
    ring_[(begin_ + size_++) & (ring_.size() - 1)] = value;
  }
  void push_front(const T& value) {
    grow();
    begin_ = (begin_ - 1) & (ring_.size() - 1);
    ring_[begin_] = value;
    ++size_;
  }
  T pop_front() {
    const T value = front();
    begin_ = (begin_ + 1) & (ring_.size() - 1);
    --size_;
    return value;
  }

 private:
  void grow() {
    if (size_ < ring_.size()) return;
    std::vector<T> larger(ring_.empty() ? 16 : 2 * ring_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
    ring_.swap(larger);
    begin_ = 0;
  }

  std::vector<T> ring_{};  // a power of two long
  std::size_t begin_ = 0, size_ = 0;
};

}  // namespace ascendsim
