// Which ranks have the same part to play in a step.
#include <algorithm>

#include "strategies/programs/expert_loads.h"
#include "strategies/programs/pass_rows.h"
#include "strategies/programs/placement.h"

namespace ascendsim {

namespace {

class Roles {
 public:
  Roles(const Deployment& deployment, const Step& step)
      : d_(deployment),
        l_(deployment.layout),
        step_(step),
        splits_tokens_(deployment.model.sparse() && scatters_rows(deployment, step.phase)) {
    for (const GroupLoad& load : step.load)
      first_with_load_.push_back(std::ranges::find(step.load, load) - step.load.begin());
    const std::int64_t passes =
        step.phase == Phase::kDecode ? std::max<std::int64_t>(1, deployment.features.speculative_tokens) : 1;
    for (std::int64_t pass = 0; pass < passes; ++pass)
      loads_.push_back(draft_loads(deployment, step.load, step.phase, pass));
    for (const std::vector<GroupLoad>& loads : loads_) rows_.push_back(stream_rows(deployment, step.phase, loads, 0));
  }

  [[nodiscard]] std::uint64_t of(std::int64_t rank) const {
    const RankCoordinates at = coordinates(l_, rank);
    std::uint64_t role = 0xcbf29ce484222325;  // FNV-1a, word by word
    const auto differs_by = [&](std::int64_t x) { role = (role ^ static_cast<std::uint64_t>(x)) * 0x100000001b3; };
    differs_by(first_with_load_[static_cast<std::size_t>(at.dp)]);
    differs_by(at.moe_ep < d_.experts.shared_ranks ? 1 : 0);
    differs_by(routed_load(d_, rank));
    if (d_.compute_skew > 0) differs_by(rank);
    // Besides its load and whether it holds the shared expert, a rank differs by its part of the prompt, by how many
    // real rows its share of scattered ones has, and by which tokens its KV shard holds.
    if (step_.phase == Phase::kPrefill) differs_by(at.cp);
    // With sparse attention also by its tokens, where the TP group splits them: later ones see more keys.
    if (splits_tokens_) differs_by(at.tp);
    for (std::size_t pass = 0; pass < loads_.size(); ++pass) {
      const GroupLoad& now = loads_[pass][static_cast<std::size_t>(at.dp)];
      if (l_.ep_level == 2 && l_.tp > 1) {
        StreamRows rows = rows_[pass];  // alike for all groups but for how many are real
        rows.real = attention_rows(l_, step_.phase, now);
        differs_by(rows.real_in_share(at.tp));
      }
      if (now.sequences == 0 || l_.kv_shards() == 1) continue;
      const std::vector<PlacedTokens> cached = cached_tokens(d_, step_.phase, now, at.kv_shard(l_));
      const std::int64_t first = first_position(step_.phase, now);
      differs_by(tokens_of(cached));
      const std::int64_t steps = step_.phase == Phase::kDecode ? now.new_tokens : 1;
      for (std::int64_t i = 0; i < steps; ++i) differs_by(tokens_of(within(cached, 0, first + i)));
    }
    return role;
  }

 private:
  const Deployment& d_;
  const Layout& l_;
  const Step& step_;
  bool splits_tokens_;
  std::vector<std::int64_t> first_with_load_;  // of each DP group: the first with an equal load
  std::vector<std::vector<GroupLoad>> loads_;  // of each pass: the model's and, of decode, of drafts after the first
  std::vector<StreamRows> rows_;
};

}  // namespace

std::uint64_t role_of(const Deployment& deployment, const Step& step, std::int64_t rank) {
  return Roles(deployment, step).of(rank);
}

std::vector<std::uint64_t> roles_of(const Deployment& deployment, const Step& step) {
  const Roles roles(deployment, step);
  std::vector<std::uint64_t> out;
  for (std::int64_t rank = 0; rank < deployment.layout.world(); ++rank) out.push_back(roles.of(rank));
  return out;
}

}  // namespace ascendsim
