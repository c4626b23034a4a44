#include "sim/parallel.h"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>
#include <string>

namespace ascendsim {
namespace {

TEST(ForEachIndex, DoesEveryPieceOnceWhateverTheWorkers) {
  for (const unsigned workers : {0u, 1u, 2u, 7u}) {
    std::vector<int> done(1000, 0);
    for_each_index(
        done.size(), [&](std::size_t i) { ++done[i]; }, workers);
    EXPECT_EQ(std::accumulate(done.begin(), done.end(), 0), 1000);
    EXPECT_EQ(done, std::vector<int>(1000, 1));
  }
  for_each_index(0, [](std::size_t) { FAIL(); });
}

TEST(ForEachIndex, ThrowsTheFirstExceptionWhenAllIsDone) {
  std::vector<int> done(100, 0);
  try {
    for_each_index(
        done.size(),
        [&](std::size_t i) {
          done[i] = 1;
          if (i % 10 == 3) throw std::runtime_error(std::to_string(i));
        },
        4);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "3");
  }
  EXPECT_EQ(done, std::vector<int>(100, 1));
}

}  // namespace
}  // namespace ascendsim
