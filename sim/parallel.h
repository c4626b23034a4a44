// Independent pieces of work on all cores. What comes out may not depend on who did what: a piece writes to its own
// place.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace ascendsim {

// Calls work(i) for every i below count, each once. Of several exceptions the one with the smallest i is thrown on,
// when all work has ended.
template <class Work>
void for_each_index(std::size_t count, const Work& work, unsigned workers = std::thread::hardware_concurrency()) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failed(count);
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        failed[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned w = 1; w < workers && w < count; ++w) others.emplace_back(run);
    run();
  }
  for (const std::exception_ptr& e : failed)
    if (e) std::rethrow_exception(e);
}

}  // namespace ascendsim
