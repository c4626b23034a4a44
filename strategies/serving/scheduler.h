// What the schedulers of all engines say of a step. Each scheduler is a class of its own in schedulers/, with the rules
// of its engine; the serving loop is written for any of them and calls no virtual function.
#pragma once

#include <cstdint>
#include <vector>

namespace ascendsim {

// A request inside its scheduler: a dense number that add() gives and that is used again once the request has left, so
// that memory is bounded by the requests in flight.
using RequestIndex = std::uint32_t;

// One request's part of a step.
struct ScheduledRequest {
  RequestIndex request = 0;
  std::int64_t context = 0;  // tokens whose keys and values are there before the step
  std::int64_t tokens = 0;   // computed in this step: a chunk of a prompt, or one token and its drafts
  std::int64_t drafts = 0;   // of these, drafts to verify
  bool prompt = false;       // tokens of a prompt, or of a request that is computed again after a preemption
  bool samples = false;      // the step ends with a token for this request
};

// One step of one data-parallel rank: requests in the engine's own order. The vector is kept between steps.
struct ScheduledStep {
  std::vector<ScheduledRequest> requests{};
  [[nodiscard]] bool empty() const { return requests.empty(); }
};

}  // namespace ascendsim
