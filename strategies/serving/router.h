// Which instance gets a request.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "strategies/serving/schedulers/sglang_radix.h"
#include "workloads/requests/request.h"

namespace ascendsim {

enum class RoutingPolicy : std::uint8_t {
  kRoundRobin,
  kLeastLoaded,  // fewest requests under way, the first of equals
  kCacheAware,   // where most of the prompt was sent before
};

class Router {
 public:
  Router(RoutingPolicy policy, std::size_t instances);

  // under_way: requests of each instance.
  std::size_t choose(const Request& request, std::span<const std::int64_t> under_way);

 private:
  [[nodiscard]] std::size_t by_cache(const Request& request, std::span<const std::int64_t> under_way);

  RoutingPolicy policy_;
  std::size_t instances_, turn_ = 0;
  TokenTexts texts_;
  std::deque<PrefixTree> sent_;  // prompts by instance, as the router remembers them
};

}  // namespace ascendsim
