#include <algorithm>
#include <numeric>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

TokenRouting balanced_routing(const CollectiveShape& shape) {
  const int p = shape.ranks;
  TokenRouting routing{.ranks = p,
                       .ranks_per_server = shape.ranks_per_server,
                       .tokens = p,
                       .copies = shape.copies,
                       .row = 1,
                       .targets = {}};
  routing.row = std::max<std::int64_t>(1, ceil_div(shape.n(), std::int64_t{p} * shape.copies));
  const int stride = std::max(1, p / shape.copies);
  for (int rank = 0; rank < p; ++rank)
    for (int token = 0; token < p; ++token)
      for (int copy = 0; copy < shape.copies; ++copy) routing.targets.push_back((rank + token + copy * stride) % p);
  return routing;
}

std::vector<std::vector<Slot>> slots_of(const TokenRouting& routing) {
  std::vector<std::vector<Slot>> slots(static_cast<std::size_t>(routing.ranks));
  for (int from = 0; from < routing.ranks; ++from)
    for (int token = 0; token < routing.tokens; ++token)
      for (int copy = 0; copy < routing.copies; ++copy)
        slots[static_cast<std::size_t>(routing.target(from, token, copy))].push_back({from, token, copy});
  return slots;
}

int padded_capacity(const TokenRouting& routing, Ratio padding) {
  const double even = static_cast<double>(routing.tokens) * routing.copies / routing.ranks;
  return std::max(1, static_cast<int>(even * padding.count() + 0.999999));
}

std::int64_t scratch_rows(const TokenRouting& routing, int capacity) {
  const std::int64_t gathered = std::int64_t{routing.ranks} * routing.tokens;
  return std::max({2 * gathered, std::int64_t{2} * routing.ranks * capacity});
}

}  // namespace ascendsim
