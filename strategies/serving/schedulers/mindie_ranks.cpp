#include "strategies/serving/schedulers/mindie_ranks.h"

#include <algorithm>

#include "sim/check.h"

namespace ascendsim {

MindieRanks::MindieRanks(const MindieConfig& config, std::int64_t ranks) {
  check(ranks >= 1, "no data-parallel rank");
  check(ranks == 1 || (config.role == MindieRole::kBoth && !config.dynamic_batch),
        "several data-parallel ranks with a role of their own or a dynamic batch size");
  for (std::int64_t i = 0; i < ranks; ++i) ranks_.emplace_back(config);
  steps_.resize(ranks_.size());
}

RequestIndex MindieRanks::add(const Request& request) {
  const RequestIndex number = ranks_[next_].add(request);
  next_ = (next_ + 1) % ranks_.size();
  return number;
}

bool MindieRanks::schedule(Duration now) {
  // Ranks that had nothing after the round before run along without a vote. A tie, none at all included, is a prefill.
  std::size_t voters = 0, prefills = 0;
  MindieStage stage = MindieStage::kDecode;
  for (MindieScheduler& rank : ranks_) {
    const MindieStage wish = rank.choose(now);
    if (wish == MindieStage::kMixed || ranks_.size() == 1) stage = wish;
    if (rank.seen() == 0) continue;
    ++voters;
    if (wish == MindieStage::kPrefill) ++prefills;
  }
  if (stage != MindieStage::kMixed && ranks_.size() > 1)
    stage = 2 * prefills >= voters ? MindieStage::kPrefill : MindieStage::kDecode;

  bool empty = true;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    steps_[i] = &ranks_[i].schedule(now, stage);
    empty = empty && steps_[i]->empty();
  }
  for (MindieScheduler& rank : ranks_) rank.set_last_round_empty(empty);
  return empty;
}

MindieRun MindieRanks::decode_run() const {
  if (ranks_.size() == 1) return ranks_[0].decode_run();
  MindieRun all;
  for (const MindieScheduler& rank : ranks_) {
    if (!rank.waiting().empty() || !rank.swapped().empty()) return {};
    if (idle(rank)) continue;
    const std::int64_t steps = rank.decode_run().steps;
    if (steps == 0) return {};
    all.steps = all.steps == 0 ? steps : std::min(all.steps, steps);
  }
  return all;
}

void MindieRanks::advance(std::int64_t n, Duration last, std::span<const std::vector<std::int64_t>> tokens) {
  for (std::size_t i = 0; i < ranks_.size(); ++i)
    ranks_[i].advance(n, last, tokens.empty() ? std::span<const std::int64_t>() : tokens[i]);
}

}  // namespace ascendsim
