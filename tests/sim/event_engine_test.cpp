#include "sim/event_engine.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <tuple>

namespace ascendsim {
namespace {

class Recorder final : public EventHandler {
 public:
  void on_event(EventEngine& engine, std::uint64_t payload) override {
    payloads.push_back(payload);
    times.push_back(engine.now().count());
  }
  std::vector<std::uint64_t> payloads;
  std::vector<std::int64_t> times;
};

TEST(EventEngine, HandlesByTimeThenPhaseThenInsertion) {
  EventEngine engine;
  Recorder r;
  engine.schedule(Duration(20), EventPhase::kComplete, r, 5);
  engine.schedule(Duration(10), EventPhase::kSample, r, 4);
  engine.schedule(Duration(10), EventPhase::kSchedule, r, 2);
  engine.schedule(Duration(10), EventPhase::kRelease, r, 1);
  engine.schedule(Duration(10), EventPhase::kSchedule, r, 3);
  engine.schedule(Duration(10), EventPhase::kComplete, r, 0);
  engine.run();
  EXPECT_EQ(r.payloads, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(r.times, (std::vector<std::int64_t>{10, 10, 10, 10, 10, 20}));
  EXPECT_EQ(engine.handled(), 6u);
  EXPECT_EQ(engine.pending(), 0u);
}

TEST(EventEngine, RunsUntilATimeWhoseEventsAreStillToCome) {
  EventEngine engine;
  Recorder r;
  engine.schedule(Duration(10), EventPhase::kSample, r, 1);
  engine.schedule(Duration(20), EventPhase::kSample, r, 3);
  engine.run_until(Duration(20));
  EXPECT_EQ(r.payloads, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(engine.now(), Duration(20));
  EXPECT_EQ(engine.pending(), 1u);
  engine.schedule(Duration(20), EventPhase::kComplete, r, 2);  // the instant has not begun
  engine.run();
  EXPECT_EQ(r.payloads, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(EventEngine, TimePassesWithoutEvents) {
  EventEngine engine;
  engine.run_until(Duration(7));
  EXPECT_EQ(engine.now(), Duration(7));
  EXPECT_THROW(engine.run_until(Duration(6)), InternalError);
  engine.run();
  EXPECT_EQ(engine.now(), Duration(7));
}

// Schedules one event at (when, phase) from within an event.
struct Follower final : EventHandler {
  Follower(std::int64_t t, EventPhase p, EventHandler& n) : when(t), phase(p), next(&n) {}
  void on_event(EventEngine& engine, std::uint64_t) override { engine.schedule(when, phase, *next, 9); }
  Duration when;
  EventPhase phase;
  EventHandler* next;
};

TEST(EventEngine, RefusesThePast) {
  EventEngine engine;
  Recorder r;
  EXPECT_THROW(engine.schedule(Duration(-1), EventPhase::kSample, r), InternalError);
  Follower early(9, EventPhase::kSample, r);
  engine.schedule(Duration(10), EventPhase::kComplete, early);
  EXPECT_THROW(engine.run(), InternalError);
}

TEST(EventEngine, RefusesAnEarlierPhaseOfTheSameInstant) {
  Recorder r;
  EventEngine engine;
  Follower back(10, EventPhase::kRelease, r);
  engine.schedule(Duration(10), EventPhase::kSchedule, back);
  EXPECT_THROW(engine.run(), InternalError);

  EventEngine other;
  Follower same(10, EventPhase::kSchedule, r);
  other.schedule(Duration(10), EventPhase::kSchedule, same);
  other.run();
  EXPECT_EQ(r.payloads, (std::vector<std::uint64_t>{9}));
}

// Events that beget events: what is handled comes in the total order all the same.
class Begetter final : public EventHandler {
 public:
  void on_event(EventEngine& engine, std::uint64_t payload) override {
    const auto phase = static_cast<EventPhase>(payload & 3);
    handled.emplace_back(engine.now(), phase);
    for (std::uint64_t i = 0; i < (payload >> 2 & 3) && left > 0; ++i, --left) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto later = static_cast<std::int64_t>(state >> 61);
      const std::uint64_t child = state >> 40;
      auto child_phase = static_cast<EventPhase>(child & 3);
      if (later == 0) child_phase = std::max(child_phase, phase);
      engine.schedule(engine.now() + Duration(later), child_phase, *this,
                      (child & ~std::uint64_t{3}) | static_cast<std::uint64_t>(child_phase));
    }
  }
  std::vector<std::pair<Duration, EventPhase>> handled;
  std::uint64_t state = 1;
  int left = 3000;
};

RC_GTEST_PROP(EventEngine, TimeAndPhaseNeverGoBack, (std::uint64_t seed)) {
  EventEngine engine(0);
  Begetter b;
  b.state = seed;
  for (std::uint64_t i = 0; i < 16; ++i) engine.schedule(Duration(0), EventPhase::kSchedule, b, 12 + (i << 4) + 2);
  engine.run();
  RC_ASSERT(b.handled.size() == engine.handled());
  RC_ASSERT(b.handled.size() == 16u + 3000u - static_cast<std::size_t>(b.left));
  RC_ASSERT(std::ranges::is_sorted(b.handled));
}

RC_GTEST_PROP(EventEngine, OrderIsThatOfAStableSort, ()) {
  const auto keys = *rc::gen::container<std::vector<std::pair<std::uint8_t, std::uint8_t>>>(
      rc::gen::pair(rc::gen::inRange<std::uint8_t>(0, 12), rc::gen::inRange<std::uint8_t>(0, 4)));
  EventEngine engine(0);
  Recorder r;
  std::vector<std::tuple<int, int, std::uint64_t>> expected;
  for (std::uint64_t i = 0; i < keys.size(); ++i) {
    engine.schedule(Duration(keys[i].first), static_cast<EventPhase>(keys[i].second), r, i);
    expected.emplace_back(keys[i].first, keys[i].second, i);
  }
  engine.run();
  std::ranges::sort(expected);
  RC_ASSERT(r.payloads.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) RC_ASSERT(r.payloads[i] == std::get<2>(expected[i]));
}

// The hold model of the benchmark: one event handled schedules one. Counts, where the benchmark has times.
TEST(EventEngine, HoldsAThousandPendingForAHundredThousandEvents) {
  struct Holder final : EventHandler {
    void on_event(EventEngine& engine, std::uint64_t payload) override {
      if (++handled > 100'000) return;
      state = state * 6364136223846793005u + 1442695040888963407u;
      const Duration distance(static_cast<std::int64_t>(state >> 40) + 1);
      engine.schedule(engine.now() + distance, EventPhase::kComplete, *this, payload);
      most_pending = std::max(most_pending, engine.pending());
    }
    std::uint64_t state = 1;
    int handled = 0;
    std::size_t most_pending = 0;
  } holder;
  EventEngine engine;
  for (std::uint64_t i = 0; i < 1000; ++i) engine.schedule(Duration(0), EventPhase::kComplete, holder, i);
  engine.run();
  EXPECT_EQ(engine.handled(), 101'000u);
  EXPECT_EQ(holder.most_pending, 1000u);
}

}  // namespace
}  // namespace ascendsim
