// A file may speak of the phases of an instant and of those of a request (a redefinition does not compile).
#include <gtest/gtest.h>

#include <vector>

#include "sim/event_engine.h"
#include "strategies/deployment/deployment.h"

namespace ascendsim {
namespace {

struct Started : EventHandler {
  std::vector<Phase> steps;
  void on_event(EventEngine&, std::uint64_t payload) override { steps.push_back(static_cast<Phase>(payload)); }
};

TEST(EventPhases, AreNotThoseOfARequest) {
  EventEngine engine;
  Started steps;
  engine.schedule(Duration(5), EventPhase::kSchedule, steps, static_cast<std::uint64_t>(Phase::kDecode));
  engine.schedule(Duration(5), EventPhase::kComplete, steps, static_cast<std::uint64_t>(Phase::kPrefill));
  engine.run();
  EXPECT_EQ(steps.steps, (std::vector<Phase>{Phase::kPrefill, Phase::kDecode}));
}

}  // namespace
}  // namespace ascendsim
