#include <algorithm>

#include "strategies/programs/context/prompt_attention.h"

namespace ascendsim {

namespace {

using enum PromptPartition;
using enum LatentExchange;
using enum ContextScheme::Calls;

constexpr ContextAttention kBuiltin[] = {
    {"chunk-by-chunk", "zigzag, gathered: a call for each chunk of keys", kZigzag, kAllGather, kChunkByChunk,
     attend_chunk_by_chunk},
    {"masked-first", "zigzag, gathered: own keys masked, earlier ones without mask", kZigzag, kAllGather, kMaskedFirst,
     attend_masked_first},
    {"striped", "round-robin, gathered: a call for each rank's keys", kRoundRobin, kAllGather, {}, attend_striped},
    {"ring", "zigzag, from neighbour to neighbour", kZigzag, kRing, {}, attend_ring},
    {"striped-ring", "round-robin, from neighbour to neighbour", kRoundRobin, kRing, {}, attend_striped_ring},
};

}  // namespace

std::span<const ContextAttention> context_attentions() { return kBuiltin; }

const ContextAttention& context_attention(const ContextScheme& scheme) {
  const auto* const found = std::ranges::find_if(kBuiltin, [&](const ContextAttention& a) { return a.fits(scheme); });
  check(found != std::ranges::end(kBuiltin), "no way to attend to prompts cut like this");
  return *found;
}

}  // namespace ascendsim
