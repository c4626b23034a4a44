// The event engine: what happens at which instant, for simulations whose course is not known in advance (arrivals,
// schedulers, transfers). An event is a plain struct for a handler that already exists; scheduling allocates nothing
// once the queue has grown to its working size. Fixed graphs do not need it (clock.h), nor do streams that share a
// processor (executor.h).
//
// Events happen in the order of (time, phase, insertion), a total order: equal input gives equal output. Time is what
// has passed since the start. An event cannot be taken back: a handler for which it has become void ignores it.
//
// Errors: scheduling before the event that is being handled is our bug (InternalError).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

// The order within one instant.
enum class EventPhase : std::uint8_t {
  kComplete,  // first what ends: whoever asks at this instant finds the resource free
  kRelease,   // then new work appears, so that a scheduler sees all work of its instant, whoever was scheduled first
  kSchedule,  // decisions, with completions and arrivals known; what they start ends at least one tick later
  kSample,    // observers see the instant as it is left
};

class EventEngine;

struct EventHandler {
  virtual void on_event(EventEngine& engine, std::uint64_t payload) = 0;

 protected:
  ~EventHandler() = default;  // the engine owns no handler
};

struct Event {
  Duration when{};
  std::uint64_t order = 0;  // phase in the upper 8 bits, insertion number below
  EventHandler* handler = nullptr;
  std::uint64_t payload = 0;

  // One 128-bit comparison compiles to no branch. REQUIRES: when >= 0.
  [[nodiscard]] bool before(const Event& other) const { return key() < other.key(); }

 private:
  [[nodiscard]] unsigned __int128 key() const {
    return static_cast<unsigned __int128>(static_cast<std::uint64_t>(when.count())) << 64 | order;
  }
};
static_assert(sizeof(Event) == 32 && std::is_trivially_copyable_v<Event>);

class EventEngine {
 public:
  explicit EventEngine(std::size_t expected_pending = 1024) { heap_.reserve(expected_pending); }

  // REQUIRES: (when, phase) is not before the event that is being handled; handler outlives the event.
  void schedule(Duration when, EventPhase phase, EventHandler& handler, std::uint64_t payload = 0);

  void run();  // until nothing is pending
  // Handles what is before `end`, then it is `end`, with every phase of that instant still to come.
  // REQUIRES: end >= now().
  void run_until(Duration end);

  [[nodiscard]] Duration now() const { return now_; }
  [[nodiscard]] std::size_t pending() const { return heap_.size(); }
  [[nodiscard]] std::uint64_t handled() const { return handled_; }

 private:
  void handle_first();
  void remove_first();

  std::vector<Event> heap_;  // 4-ary: half the levels of a binary heap, four children in two cache lines
  Duration now_{};
  EventPhase phase_ = EventPhase::kComplete;
  std::uint64_t inserted_ = 0, handled_ = 0;
};

}  // namespace ascendsim
