#include "sim/instant_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <map>

namespace ascendsim {
namespace {

std::vector<int> take(InstantQueue<int>& queue) {
  std::vector<int> items;
  queue.take_first([&](int item) { items.push_back(item); });
  std::ranges::sort(items);
  return items;
}

TEST(InstantQueue, GivesOneInstantAfterAnother) {
  InstantQueue<int> queue;
  EXPECT_EQ(queue.first(), kNever);
  queue.push(Duration(20), 1);
  queue.push(Duration(10), 2);
  queue.push(Duration(20), 3);  // not beside 1, which was not pushed last: a node of its own
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(queue.first(), Duration(10));
  EXPECT_EQ(take(queue), std::vector<int>{2});
  EXPECT_EQ(take(queue), (std::vector<int>{1, 3}));
  EXPECT_EQ(queue.first(), kNever);
  EXPECT_EQ(queue.size(), 0U);
}

TEST(InstantQueue, TakesWhatIsPushedToTheInstantMeanwhile) {
  InstantQueue<int> queue;
  queue.push(Duration(10), 1);
  std::vector<int> taken;
  queue.take_first([&](int item) {
    taken.push_back(item);
    if (item < 4) queue.push(Duration(10), item + 1);
    if (item == 4) queue.push(Duration(11), 5);
  });
  EXPECT_EQ(taken, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(queue.first(), Duration(11));
}

// Against a multimap, with items that become void; few instants, so that they meet.
RC_GTEST_PROP(InstantQueue, IsASortedMapWithoutTheVoid, ()) {
  InstantQueue<int> queue;
  std::multimap<Duration, int> model;
  const auto is_void = [](int item) { return item % 3 == 0; };
  Duration now{};
  for (const int step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1000))) {
    if (step % 4 != 0) {
      const Duration when = now + Duration(step / 4 % 5);
      queue.push(when, step);
      if (!is_void(step)) model.emplace(when, step);
      continue;
    }
    if (step % 8 == 0) queue.sweep(is_void);
    queue.trim(is_void);
    RC_ASSERT(queue.first() == (model.empty() ? kNever : model.begin()->first));
    if (model.empty()) continue;
    now = queue.first();
    std::vector<int> expected;
    for (auto [at, end] = model.equal_range(now); at != end; ++at) expected.push_back(at->second);
    model.erase(now);
    std::ranges::sort(expected);
    std::vector<int> got = take(queue);
    std::erase_if(got, is_void);
    RC_ASSERT(got == expected);
  }
}

}  // namespace
}  // namespace ascendsim
