// MoE dispatch and combine as an all-to-all of equal blocks: every pair exchanges `capacity` rows, used or not, as
// MindIE's all2all buffers do. Nobody has to know the counts first; what is padded costs time.
#include <algorithm>

#include "strategies/collectives/algorithm.h"

namespace ascendsim {

// Scratch: `ranks` blocks to send, then `ranks` blocks received; a block is `capacity` rows.
Schedule padded_schedule(const TokenRouting& routing, Primitive primitive, int capacity) {
  const int p = routing.ranks;
  const std::int64_t block = capacity * routing.row, received = p * block;
  Schedule out(p);
  const int pack = 0, unpack = p;
  for (int from = 0; from < p; ++from)
    for (int to = 0; to < p; ++to)
      out.add({from, to, std::max(1, (to - from + p) % p), Place::kScratch, Place::kScratch, false, to * block,
               received + from * block, block});
  const auto slots = slots_of(routing);
  for (int rank = 0; rank < p; ++rank) {
    std::vector<int> used(static_cast<std::size_t>(p));
    for (std::size_t i = 0; i < slots[static_cast<std::size_t>(rank)].size(); ++i) {
      const Slot& s = slots[static_cast<std::size_t>(rank)][i];
      const int place = used[static_cast<std::size_t>(s.from)]++;
      check(place < capacity, "a pair has more rows than its block");
      const std::int64_t slot = static_cast<std::int64_t>(i) * routing.row, token = s.token * routing.row;
      const std::int64_t row = place * routing.row;
      if (primitive == Primitive::kDispatch) {
        out.add({s.from, s.from, pack, Place::kVector, Place::kScratch, false, token, rank * block + row, routing.row});
        out.add({rank, rank, unpack, Place::kScratch, Place::kResult, false, received + s.from * block + row, slot,
                 routing.row});
      } else {
        out.add({rank, rank, pack, Place::kVector, Place::kScratch, false, slot, s.from * block + row, routing.row});
        out.add({s.from, s.from, unpack, Place::kScratch, Place::kResult, true, received + rank * block + row, token,
                 routing.row});
      }
    }
  }
  return out;
}

Schedule padded_schedule(const CollectiveShape& shape) {
  const TokenRouting routing = balanced_routing(shape);
  return padded_schedule(routing, shape.primitive, padded_capacity(routing, shape.padding));
}

StepPlan padded_plan(const CollectiveShape& shape) {
  // Blocks hold whole rows of the balanced routing.
  const TokenRouting rows{.ranks = shape.ranks, .tokens = shape.ranks, .copies = shape.copies};
  const std::int64_t row = std::max<std::int64_t>(1, ceil_div(shape.n(), std::int64_t{shape.ranks} * shape.copies));
  CollectiveShape wide = shape;
  wide.bytes = Bytes(checked_product(checked_product(shape.ranks, padded_capacity(rows, shape.padding)), row));
  return pairwise_plan(wide);
}

}  // namespace ascendsim
