#include "strategies/programs/pass_rows.h"

#include <algorithm>

#include "strategies/programs/launching.h"
#include "strategies/programs/rank_place.h"

namespace ascendsim {

std::int64_t StreamRows::real_in_share(std::int64_t tp) const {
  return std::clamp<std::int64_t>(real - tp * scattered, 0, scattered);
}

std::int64_t attention_rows(const Layout& l, Phase phase, const GroupLoad& load) {
  if (phase == Phase::kDecode) return load.sequences * load.new_tokens;
  if (load.sequences == 0) return 0;
  return load.sequences * prompt_split(l.cp_partition, load.new_tokens, l.cp).rows();
}

StreamRows stream_rows(const Deployment& d, Phase phase, std::span<const GroupLoad> loads, std::int64_t dp) {
  const Layout& l = d.layout;
  StreamRows r{.real = attention_rows(l, phase, loads[static_cast<std::size_t>(dp)])};
  for (const GroupLoad& g : loads) r.padded = std::max(r.padded, attention_rows(l, phase, g));
  // A replayed graph takes the rows it was captured with. Kernels before o_proj are charged the real ones: over so few
  // rows they take the time of their weights.
  const std::int64_t captured = launching(d, phase, r.padded).rows;
  // Shares of the TP group are alike, whatever numbers of rows are captured.
  const bool shared = place_collectives(l, true, false).attention_reduce_scatter || scatters_rows(d, phase);
  const std::int64_t multiple = shared ? l.tp : 1;
  r.routed = round_up(r.padded, multiple);
  r.padded = round_up(std::max(r.padded, captured), multiple);
  r.scattered = ceil_div(r.padded, l.tp);
  return r;
}

std::vector<GroupLoad> draft_loads(const Deployment& d, std::span<const GroupLoad> loads, Phase phase,
                                   std::int64_t pass) {
  std::vector<GroupLoad> out(loads.begin(), loads.end());
  if (phase == Phase::kPrefill || pass == 0) return out;
  for (GroupLoad& g : out) {
    if (g.sequences == 0) continue;
    if (!d.traits().drafts_all_rows) g.new_tokens = std::min<std::int64_t>(g.new_tokens, 1);
    g.context += pass;
  }
  return out;
}

std::vector<PlacedTokens> cached_tokens(const Deployment& d, Phase phase, const GroupLoad& load, std::int64_t shard) {
  if (load.sequences == 0) return {};
  const std::int64_t generated = phase == Phase::kDecode ? std::max<std::int64_t>(0, load.context - load.prompt) : 0;
  return context_scheme(d).cache.placed(load.prompt, generated, shard);
}

std::int64_t first_position(Phase phase, const GroupLoad& load) {
  return phase == Phase::kPrefill ? load.history : load.context - load.new_tokens;
}

std::int64_t sampled_rows(Phase phase, const GroupLoad& g) {
  return phase == Phase::kDecode ? g.sequences * g.new_tokens : g.sequences;
}

PassRows::PassRows(const RankPlace& place, std::vector<GroupLoad> loads_of_pass, std::int64_t first_sequence_of_group,
                   int number, bool writes)
    : pass(number), writes_cache(writes), loads(std::move(loads_of_pass)), first_sequence(first_sequence_of_group) {
  check(static_cast<std::int64_t>(loads.size()) == place.l.dp, "a step needs a load for every DP group");
  load = loads[static_cast<std::size_t>(place.at.dp)];
  static_cast<StreamRows&>(*this) = stream_rows(place.d, place.phase, loads, place.at.dp);
  count_streams(place);
  count_cache(place);
}

void PassRows::count_streams(const RankPlace& place) {
  const Layout& l = place.l;
  routed_world = routed * l.dp * l.cp;
  sampled = sampled_rows(place.phase, load);
  std::int64_t at_row = 0;
  for (const GroupLoad& g : loads) {
    const std::int64_t of_group = attention_rows(l, place.phase, g);
    for (std::int64_t c = 0; c < l.cp; ++c, at_row += padded, world += of_group)
      real_rows_first = real_rows_first && (of_group == 0 || at_row == world);
    sampled_of_world += sampled_rows(place.phase, g);
    sampled_padded = std::max(sampled_padded, sampled_rows(place.phase, g));
  }
}

void PassRows::count_cache(const RankPlace& place) {
  const bool prefill = place.phase == Phase::kPrefill;
  const std::int64_t shard = place.at.kv_shard(place.l);
  placed = stored = cached_tokens(place.d, place.phase, load, shard);
  // Every pass but the last leaves room for the tokens that are drafted after it.
  const std::int64_t drafts = prefill ? 0 : place.d.features.speculative_tokens;
  if (pass > 0 && drafts > 1 && load.sequences > 0) {
    GroupLoad last = load;
    last.context += drafts - pass;
    stored = cached_tokens(place.d, place.phase, last, shard);
  }
  cached = tokens_of(placed);
  cache_stride = tokens_of(stored);
  if (!prefill && load.sequences > 0)
    for (std::int64_t i = 0; i < load.new_tokens; ++i)
      visible.push_back(tokens_of(within(placed, 0, first_position(place.phase, load) + i + 1)));
  cut = prefill && place.l.cp > 1 && load.sequences > 0;
  split = prefill && load.sequences > 0 ? prompt_split(place.l.cp_partition, load.new_tokens, place.l.cp)
                                        : PromptSplit{.chunk = load.new_tokens};
  gathered_run = place.context.chunk_major ? split.chunk : split.padded();
}

}  // namespace ascendsim
