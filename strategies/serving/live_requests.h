// Requests between sending and their end: memory is bounded by those under way.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "strategies/serving/outcome.h"
#include "strategies/serving/scheduler.h"
#include "workloads/requests/request.h"

namespace ascendsim {

using LiveIndex = std::uint32_t;

// Where a request stands: hybrid instance or prefill side, and decode side.
struct LivePlace {
  std::uint32_t instance = 0, group = 0;
  RequestIndex number = 0;  // in the scheduler of that group
};

struct LiveRequest {
  Request request{};
  LivePlace first{}, decode{};
  RequestOutcome outcome{};
  Duration seen{};        // when it entered a scheduler's queue
  Duration last_chunk{};  // when its last tokens came out
  std::int64_t tokens = 0;    // that came out
  std::int64_t promised = 0;  // those of steps under way included, where the loop decides what they bring
  std::int64_t verified = 0;  // decode steps with drafts
  bool scheduled = false;
  // Where prefill and decode are apart.
  Duration prefilled{};     // when the prefill side was done
  Duration pull_started{};  // when the decode side had memory for it
  Duration received{};      // when its cache was there
  Duration last_step{};     // of its prefill, the last one
  std::int32_t pieces = 0;  // of the cache that are on their way
  bool sent_all = false;    // no further piece will follow
};

class LiveRequests {
 public:
  // tokens_per_step: what a decode step with drafts yields in the mean.
  explicit LiveRequests(double tokens_per_step) : tokens_per_step_(tokens_per_step) {}

  [[nodiscard]] LiveIndex add() {
    if (unused_.empty()) {
      live_.emplace_back();
      return static_cast<LiveIndex>(live_.size() - 1);
    }
    const LiveIndex index = unused_.back();
    unused_.pop_back();
    return index;
  }
  void remove(LiveIndex index) {
    LiveRequest& r = live_[index];
    std::vector<PromptSegment> shared = std::move(r.request.shared);
    shared.clear();
    r = {};
    r.request.shared = std::move(shared);
    unused_.push_back(index);
  }
  [[nodiscard]] LiveRequest& operator[](LiveIndex index) { return live_[index]; }
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(live_.size() - unused_.size()); }

  // Drafts that the next verification accepts: as many in the mean as the acceptance says, as evenly as they go, so that
  // a run is the same whatever else happens. (predict.cpp counts the tokens of a decode step in the same way.)
  [[nodiscard]] std::int64_t accepted(LiveIndex index) {
    const auto yielded = [&](std::int64_t steps) {
      return static_cast<std::int64_t>(static_cast<double>(steps) * tokens_per_step_);
    };
    std::int64_t& verified = live_[index].verified;
    const std::int64_t before = yielded(verified++);
    return yielded(verified) - before - 1;
  }

 private:
  double tokens_per_step_;
  std::vector<LiveRequest> live_;
  std::vector<LiveIndex> unused_;
};

// Which live request stands behind a number of a scheduler.
class LiveNumbers {
 public:
  void put(RequestIndex number, LiveIndex live) {
    if (number >= live_.size()) live_.resize(number + 1);
    live_[number] = live;
  }
  [[nodiscard]] LiveIndex operator[](RequestIndex number) const { return live_[number]; }

 private:
  std::vector<LiveIndex> live_;
};

}  // namespace ascendsim
