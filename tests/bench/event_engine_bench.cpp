// The hold model: as many events pending all the while, each one handled schedules another one at a random distance.
// The engine beside std::priority_queue of the same struct with the same handlers.
#include <benchmark/benchmark.h>

#include <queue>

#include "sim/event_engine.h"

namespace ascendsim {
namespace {

class Distances {
 public:
  Duration next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return Duration(static_cast<std::int64_t>(state_ >> 40) + 1);
  }

 private:
  std::uint64_t state_ = 1;
};

struct Later {
  bool operator()(const Event& a, const Event& b) const { return b.before(a); }
};

class Holder final : public EventHandler {
 public:
  void on_event(EventEngine& engine, std::uint64_t payload) override {
    engine.schedule(engine.now() + distances.next(), EventPhase::kComplete, *this, payload);
  }
  Distances distances;
};

benchmark::Counter per_event(std::uint64_t events) {
  return {static_cast<double>(events), benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
}

// End points far enough apart to hide the cost of run_until().
constexpr Duration kStride{std::int64_t{1} << 22};

void BM_EventEngine(benchmark::State& state) {
  const auto pending = static_cast<std::size_t>(state.range(0));
  EventEngine engine(pending + 1);
  Holder holder;
  for (std::size_t i = 0; i < pending; ++i) engine.schedule(holder.distances.next(), EventPhase::kComplete, holder, i);
  for (auto _ : state) engine.run_until(engine.now() + kStride);
  state.counters["time_per_event"] = per_event(engine.handled());
}
BENCHMARK(BM_EventEngine)->Arg(1'000)->Arg(100'000);

class QueueHolder final : public EventHandler {
 public:
  explicit QueueHolder(std::size_t pending) {
    std::vector<Event> events;
    events.reserve(pending + 1);
    queue = std::priority_queue<Event, std::vector<Event>, Later>(Later(), std::move(events));
    for (std::size_t i = 0; i < pending; ++i) queue.push({distances.next(), inserted++, this, i});
  }
  void on_event(EventEngine&, std::uint64_t payload) override {
    queue.push({now + distances.next(), inserted++, this, payload});
  }
  std::priority_queue<Event, std::vector<Event>, Later> queue;
  Distances distances;
  Duration now{};
  std::uint64_t inserted = 0;
};

void BM_PriorityQueue(benchmark::State& state) {
  const auto pending = static_cast<std::size_t>(state.range(0));
  EventEngine unused(0);
  QueueHolder holder(pending);
  std::uint64_t handled = 0;
  Duration end{};
  for (auto _ : state) {
    for (end += kStride; holder.queue.top().when < end; ++handled) {
      const Event event = holder.queue.top();
      holder.queue.pop();
      holder.now = event.when;
      event.handler->on_event(unused, event.payload);
    }
  }
  state.counters["time_per_event"] = per_event(handled);
}
BENCHMARK(BM_PriorityQueue)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace ascendsim
