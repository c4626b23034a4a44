// Prefill attention where context parallelism cuts prompts, and over prefixes that the cache holds. Each way to attend
// to a prompt of which a rank has only a part is a file here, and a row of the list in builtin.cpp: which partition and
// exchange it is for and, where engines call their kernels differently, which calls. Internal to programs/.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "strategies/programs/mla_parts.h"

namespace ascendsim {

class PromptAttention;
// latent: of the rank's own rows. Writes the cache, and outputs of all queries.
using AttendCutPrompts = void(PromptAttention& attention, Value latent, Value cache);

struct ContextAttention {
  std::string_view name, description;
  PromptPartition partition;
  LatentExchange exchange;
  std::optional<ContextScheme::Calls> calls;  // empty: whatever the engine's are
  AttendCutPrompts* attend;
  [[nodiscard]] bool fits(const ContextScheme& s) const {
    return partition == s.partition && exchange == s.exchange && (!calls || *calls == s.calls);
  }
};
std::span<const ContextAttention> context_attentions();
const ContextAttention& context_attention(const ContextScheme& scheme);  // the one that fits

// Attention of the rank's queries over their whole prompts and cached prefixes, cache writes included.
void attend_cut_prompts(RankStep& s, Value q, Value latent, Value cache, Value out, Value lse);
// Attention over the cached prefix, all of it visible: its shards are gathered, padded to the longest, and expanded
// whole on every rank. `accumulate`: (out, lse) hold something already. Nothing where there is no prefix.
void attend_history(RankStep& s, Value q, Value out, Value lse, Value cache, bool accumulate);

}  // namespace ascendsim
