#include "strategies/prediction/kv_push.h"

#include <algorithm>

namespace ascendsim {

std::vector<CachedPiece> cached_pieces(std::span<const Step> steps, const PipelinePricer::Steps& times,
                                       const std::vector<std::vector<Duration>>& ended) {
  std::vector<CachedPiece> out;
  for (std::size_t c = 0; c < steps.size(); ++c) {
    const GroupLoad& load = *std::ranges::max_element(steps[c].load, {}, &GroupLoad::context);
    // What the prefix cache held goes with the first tokens that are computed.
    const std::int64_t first = c == 0 ? 0 : load.history;
    for (std::size_t s = 0; s < times.times[c].size(); ++s) {
      const Duration started = ended[c][s] - times.times[c][s].total;
      for (const Duration attended : times.times[c][s].attention_ends)
        out.push_back({first, load.context, started + attended});
    }
  }
  std::ranges::stable_sort(out, {}, &CachedPiece::ready);
  return out;
}

Pushed push(std::span<const CachedPiece> pieces, std::int64_t prompt, const PushRate& r) {
  const auto whole = [&](std::int64_t tokens) {
    return tokens == prompt ? ceil_div(tokens, r.block_tokens) : tokens / r.block_tokens;
  };
  Pushed out;
  for (const CachedPiece& p : pieces) {
    const std::int64_t blocks = whole(p.end) - whole(p.first);
    if (blocks == 0) continue;
    out.end = std::max(out.end, p.ready) + r.setup + r.block_layer * blocks / r.rate;
    ++out.calls;
  }
  if (out.calls > 0) out.end += r.latency;
  return out;
}

}  // namespace ascendsim
