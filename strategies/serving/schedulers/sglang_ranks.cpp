#include "strategies/serving/schedulers/sglang_ranks.h"

#include <algorithm>
#include <limits>

namespace ascendsim {

SglangRanks::SglangRanks(const SglangConfig& config, std::size_t count, bool skip_mlp_sync)
    : waits_for_prefills_(count > 1 && config.num_draft_tokens > 0 && !skip_mlp_sync) {
  for (std::size_t i = 0; i < count; ++i) ranks_.emplace_back(config);
}

void SglangRanks::schedule() {
  for (SglangScheduler& rank : ranks_) rank.begin_pass();
  form();
}

void SglangRanks::form() {
  prefills_ = false;
  for (SglangScheduler& rank : ranks_) prefills_ |= rank.form_prefill();
  launched_ = prefills_;
  if (!prefills_ || !waits_for_prefills_) {
    for (SglangScheduler& rank : ranks_) {
      if (rank.pass().kind == SglangPassKind::kIdle) launched_ |= rank.form_decode();
    }
  }
  if (!launched_ || ranks_.size() == 1) return;
  for (SglangScheduler& rank : ranks_) {
    if (rank.pass().kind == SglangPassKind::kIdle) rank.form_idle();
  }
}

std::int64_t SglangRanks::gathered_tokens(std::size_t i) const {
  const ScheduledStep& step = ranks_[i].step();
  if (ranks_[i].pass().kind == SglangPassKind::kDecode) return std::ssize(step.requests);
  std::int64_t tokens = 0;
  for (const ScheduledRequest& r : step.requests) tokens += r.tokens;
  return tokens;
}

bool SglangRanks::done() const { return std::ranges::all_of(ranks_, &SglangScheduler::done); }

std::int64_t SglangRanks::steady_passes() const {
  std::int64_t passes = std::numeric_limits<std::int64_t>::max();
  bool decodes = false;
  for (const SglangScheduler& rank : ranks_) {
    if (rank.rests()) continue;
    decodes = true;
    passes = std::min(passes, rank.steady_passes());
  }
  return decodes ? passes : 0;
}

void SglangRanks::advance(std::int64_t passes) {
  if (passes <= 0) return;
  for (SglangScheduler& rank : ranks_) {
    if (!rank.rests()) {
      rank.advance(passes);
      continue;
    }
    // A pass without tokens leaves a rank as it is, so one stands for all.
    rank.schedule();
    rank.form_idle();
    rank.complete();
  }
  prefills_ = false;
  launched_ = true;
}

}  // namespace ascendsim
