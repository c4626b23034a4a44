// KV caches on their way from prefill to decode instances: flows that share the NICs of both ends. Each data-parallel
// group of an instance has the NICs of its ranks, as a prompt lies in one group (prediction/disaggregated.h).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/flows.h"
#include "sim/instant_queue.h"
#include "strategies/prediction/disaggregated.h"
#include "strategies/serving/live_requests.h"

namespace ascendsim {

class Transfers {
 public:
  Transfers(const Scenario& prefill, const Scenario& decode, std::int64_t prefill_instances,
            std::int64_t decode_instances);

  // A part of a prompt's cache, `tokens` of it, leaves now. Its setup passes first.
  void start(LiveIndex request, const LivePlace& from, const LivePlace& to, Bytes bytes, Duration now);
  // Of so many tokens, over all ranks that pull.
  [[nodiscard]] Bytes bytes_of(std::int64_t tokens) const;
  // What is left to send when a prefill step ends that took `step`, where each layer's cache is pushed as soon as it is
  // there: layers take equally long, and the last one's cache cannot hide.
  [[nodiscard]] Bytes left_of_push(Bytes bytes, Duration step) const;

  [[nodiscard]] Duration next();
  // The requests of which a part arrives then. REQUIRES: now <= next().
  const std::vector<LiveIndex>& advance(Duration now);

 private:
  struct Waiting {
    LiveIndex request;
    RouteIndex route;
    Bytes bytes;
  };
  FlowNetwork network_;
  std::unique_ptr<FlowSolver> solver_;
  std::vector<RouteIndex> routes_;  // by prefill group, then by decode group
  std::size_t prefill_groups_, decode_groups_, all_decode_groups_;
  Bytes token_{}, block_{};
  std::int64_t block_tokens_ = 1, layers_ = 1;
  BytesPerSecond rate_{};  // of a transfer alone
  Duration setup_{};
  InstantQueue<Waiting> waiting_;
  std::vector<LiveIndex> arrived_;
};

}  // namespace ascendsim
