// Runs of steps of the vLLM scheduler in which no decision can change: how long one is certain to last, and taking it at
// once.
#include <algorithm>
#include <limits>
#include <utility>

#include "sim/check.h"
#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {

// It asks for one token and its drafts, and its result will put it where it asks for the same again.
bool VllmScheduler::is_steady(const VllmRequest& r) const {
  return !r.in_prompt && r.stale == 0 && r.drafts == drafts_ &&
         r.placeholders == (config_.async_scheduling ? 1 + drafts_ : 0) && r.computed + 1 == r.known() + r.placeholders;
}

std::int64_t VllmScheduler::steady_steps() {
  const std::int64_t each = 1 + drafts_;
  const std::int64_t tokens = each * static_cast<std::int64_t>(running_.size());
  if (running_.empty() || tokens > budget_ || config_.pipeline_parallel_size > 1) return 0;
  if (config_.long_prefill_token_threshold > 0 && config_.long_prefill_token_threshold < each) return 0;
  if (!parked_.empty() || under_way_ + 1 != ring_.size()) return 0;
  // The throttle counts steps elsewhere: it must not matter.
  if (config_.prefill_schedule_interval > 1 && (waiting() > 0 || left_over_)) return 0;

  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
  for (const RequestIndex request : running_) {
    const VllmRequest& r = requests_[request];
    if (!is_steady(r)) return 0;
    // As if every draft were accepted: neither its length nor that of the model is reached, by what is under way included.
    const std::int64_t room = config_.max_model_len - each - r.known() - (config_.async_scheduling ? each : 0);
    steps = std::min({steps, (r.limit - 1 - r.output) / each, room / each});
  }
  if (steps <= 0) return 0;
  if (under_way_ > 0) {
    const UnderWay& step = ring_[oldest_];
    if (!step.recomputed.empty() || step.parts.size() != running_.size()) return 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (step.parts[i] != UnderWay::Part{running_[i], each, drafts_, true, false}) return 0;
    }
  }
  if (waiting() > 0 && !queue_stays()) return 0;

  if (blocks_suffice(steps)) return steps;
  std::int64_t good = 0;
  while (steps - good > 1) {
    const std::int64_t middle = good + (steps - good) / 2;
    (blocks_suffice(middle) ? good : steps) = middle;
  }
  return good;
}

// Nobody who waits is admitted in the run. Blocks only become fewer in it, and cached ones only drop out of the cache:
// outputs enter it, which nobody else has.
bool VllmScheduler::queue_stays() {
  const Pass pass{.budget = budget_ - (1 + drafts_) * static_cast<std::int64_t>(running_.size())};
  if (pass.budget == 0 || static_cast<std::int64_t>(running_.size()) >= config_.max_num_seqs) return true;
  std::size_t next_aside = 0;
  // Loads under way are passed over; the waiting queue has none.
  Line line = better_line(next_aside);
  while (line == Line::kAside && requests_[aside_[next_aside]].state == VllmRequest::State::kLoading) {
    if (requests_[aside_[next_aside]].loaded) return false;
    line = better_line(++next_aside);
  }
  if (line == Line::kNone) return true;
  const VllmRequest& head = requests_[line == Line::kAside ? aside_[next_aside] : waiting_.front()];
  // Where the last tokens of a prompt enter the cache late, they do so in steps like these.
  if (head.stale > 0 || module_tail_ > 0) return false;
  const Plan plan = plan_admission(head, pass, drafts_ > 0 && config_.traits.pads_single_tokens);
  if (plan.verdict == Plan::Verdict::kTooLong) return true;
  // A hit less means a block more for the whole prompt, as for a pull, or as many for a chunk without hits. A chunk behind
  // hits ends earlier with fewer of them, and might fit at last.
  return plan.verdict == Plan::Verdict::kNoBlocks && (plan.whole_prompt_lacks || plan.pulled > 0 || hits_.empty());
}

bool VllmScheduler::blocks_suffice(std::int64_t steps) const {
  std::int64_t blocks = 0;
  for (const RequestIndex request : running_) {
    const VllmRequest& r = requests_[request];
    const std::int64_t slots = r.computed + steps * (1 + drafts_) + drafts_;
    blocks += std::max<std::int64_t>(blocks_for(slots) - static_cast<std::int64_t>(r.blocks.size()), 0);
  }
  return blocks <= pool_.free_blocks();
}

void VllmScheduler::take_steady_steps(std::int64_t steps, std::span<const std::int64_t> emitted) {
  if (steps == 0) return;
  const std::size_t batch = running_.size();
  check(emitted.empty() || emitted.size() == static_cast<std::size_t>(steps) * batch,
        "results of steady steps for another batch");
  std::span<const std::int64_t> last = emitted;
  if (emitted.empty()) {
    take_blocks_of_steady_steps(steps);
  } else {
    for (std::int64_t step = 0; step < steps; ++step) {
      last = emitted.subspan(static_cast<std::size_t>(step) * batch, batch);
      for (std::size_t i = 0; i < batch; ++i) {
        VllmRequest& r = requests_[running_[i]];
        const std::int64_t lacking =
            blocks_for(r.computed + 1 + 2 * drafts_) - static_cast<std::int64_t>(r.blocks.size());
        if (lacking > 0) take_blocks(r, lacking);
        check(last[i] >= 1 && last[i] <= 1 + drafts_, "a result with more tokens than the step could bring");
        r.computed += last[i];
        r.output += last[i];
      }
    }
  }
  if (parks_) {
    launched_ += static_cast<std::uint64_t>(steps);
    processed_ += static_cast<std::uint64_t>(steps);
  }
  for (std::size_t i = 0; i < batch; ++i) {
    VllmRequest& r = requests_[running_[i]];
    r.last_step = launched_;
    // What entered the cache in between is no question of order: these tokens are the request's own.
    enter_cache(r, config_.async_scheduling ? r.known() - 1 : r.known() - (last.empty() ? 1 : last[i]));
  }
  untold_ends_ = false;
  left_over_ = !waiting_.empty();
}

// One token in every step: a request takes a block whenever it comes to the end of those it has, in the order of steps and
// within a step in that of the running list.
void VllmScheduler::take_blocks_of_steady_steps(std::int64_t steps) {
  takings_.clear();
  for (std::uint32_t i = 0; i < running_.size(); ++i) {
    VllmRequest& r = requests_[running_[i]];
    // The first step that needs a block more; below 0 when that one needs several.
    const std::int64_t first = static_cast<std::int64_t>(r.blocks.size()) * block_ - (r.computed + 2 * drafts_);
    for (std::int64_t step = first; step < steps; step += block_)
      takings_.push_back({.step = std::max<std::int64_t>(step, 0), .request = running_[i], .place = i});
    r.computed += steps;
    r.output += steps;
  }
  std::ranges::sort(takings_, {}, [](const Taking& t) { return std::pair(t.step, t.place); });
  for (const Taking& t : takings_) take_blocks(requests_[t.request], 1);
}

}  // namespace ascendsim
