// A service under load, event by event: requests as a client sends them, the decisions of the engine's own scheduler on
// every instance, step times from the clock, tokens out. One event is one iteration of one instance.
//
// What is simulated and what is not: docs/serving.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/diagnostics.h"
#include "strategies/prediction/predict.h"
#include "strategies/serving/outcome.h"
#include "strategies/serving/router.h"
#include "strategies/serving/step_times.h"
#include "workloads/requests/request_source.h"

namespace ascendsim {

// Of some requests, each: a chunk of `tokens` tokens `gap` after its chunk before. First chunks are not among them.
struct TokenChunks {
  Duration at{}, gap{};
  std::int64_t tokens = 1, count = 1;
};

// Hears what happens. Calls are made in the order of events of one instance, those of several are mixed; sent() of a
// request comes before all else of it.
class ServiceListener {
 public:
  virtual ~ServiceListener() = default;
  virtual void sent(Duration at) = 0;
  virtual void chunks(std::span<const TokenChunks> chunks) = 0;  // many at a time
  virtual void finished(const RequestOutcome& outcome) = 0;
  // Asked now and then; false ends the run where it is.
  [[nodiscard]] virtual bool go_on(Duration now, std::int64_t finished) {
    static_cast<void>(now);
    static_cast<void>(finished);
    return true;
  }
};

// The instances: hybrid ones, or two kinds of which one prefills and the other decodes.
struct ServiceSite {
  const Scenario* first = nullptr;   // hybrid, or the prefill side; never null
  const Scenario* decode = nullptr;  // the decode side
  std::int64_t instances = 1, decode_instances = 1;
  RoutingPolicy routing = RoutingPolicy::kRoundRobin;         // of hybrid instances or prefill sides
  RoutingPolicy decode_routing = RoutingPolicy::kRoundRobin;
};

struct ServiceLoad {
  RequestSource* requests = nullptr;  // never null
  // The client's loop: so many requests under way at most, in the order of their arrival; 0 = no limit.
  std::int64_t max_in_flight = 0;
  std::optional<EqualLengths> lengths{};  // where all requests are alike (step_times.h)
  std::vector<double> acceptance{};       // MTP: of draft i, given that the ones before it were accepted
  bool coalesce = true;  // steps that cannot decide anything new are taken at once; the answer is the same
};

struct ServiceEnd {
  enum class How : std::uint8_t { kDone, kStopped, kNoProgress } how = How::kDone;
  Duration duration{};  // until the last token
  std::vector<PoolUse> pools{};
  std::vector<std::string> notes{};  // what the answer rests on
  std::int64_t sent = 0, finished = 0;
  std::int64_t steps = 0, priced_steps = 0;
};

// Why the site cannot be served, as diagnostics: E0530 settings that the scheduler does not reproduce, E0531 no room for
// a single block. What a request needs beyond the pool is its rejection and no error.
bool can_be_served(const ServiceSite& site, Diagnostics& diagnostics);

// E0523 when nothing goes on although requests wait, with the state of the queues; what happened until then has been
// said. REQUIRES: can_be_served(site).
ServiceEnd serve(const ServiceSite& site, const ServiceLoad& load, ServiceListener& listener, Diagnostics& diagnostics);

}  // namespace ascendsim
