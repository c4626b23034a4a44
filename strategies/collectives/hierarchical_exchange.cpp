// All-to-all in two steps: what is for the dies of a server goes to its die of equal index, which hands it on. The
// bytes on a NIC are those of the direct exchange, in messages that are k times larger and m - 1 instead of p - k.
#include "strategies/collectives/algorithm.h"

namespace ascendsim {

Schedule hierarchical_exchange_schedule(const CollectiveShape& shape) {
  const int inside = shape.ranks_per_server;
  Schedule out(shape.ranks);
  const auto block = [&](int to) { return part(shape.n(), shape.ranks, to); };
  for (int from = 0; from < shape.ranks; ++from) {
    const int server = from / inside, index = from % inside;
    for (int other = 0; other < shape.servers; ++other) {
      const int relay = other * inside + index;
      // The relay keeps what it passes on by source server, each like the part of a vector that is for its server.
      const std::int64_t start = block(other * inside).begin;
      const std::int64_t length = block((other + 1) * inside).begin - start;
      if (other != server)
        out.add({from, relay, 0, Place::kVector, Place::kScratch, false, start, server * length, length});
      for (int j = 0; j < inside; ++j) {
        const int to = other * inside + j;
        const Range b = block(to);
        const bool here = other == server;
        out.add({relay, to, 1, here ? Place::kVector : Place::kScratch, Place::kResult, false,
                 here ? b.begin : server * length + b.begin - start, from * b.bytes, b.bytes});
      }
    }
  }
  return out;
}

StepPlan hierarchical_exchange_plan(const CollectiveShape& shape) {
  const TransferKind kind = kind_of(shape.primitive);
  const std::int64_t other_servers = checked_product(shape.ranks - shape.ranks_per_server, shape.block());
  StepLoad between =
      to_partners(shape, kind, other_servers, [&](int r) { return (r + shape.ranks_per_server) % shape.ranks; });
  between.messages = shape.servers - 1;
  StepPlan plan{1, {between}};
  if (shape.ranks_per_server > 1)
    plan.loads.push_back(to_all_of_server(shape, kind, checked_product(shape.servers, shape.block())));
  return plan;
}

}  // namespace ascendsim
