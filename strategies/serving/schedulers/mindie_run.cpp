// Decode steps at once: how many rounds can decide nothing new, and what they leave behind.
#include <algorithm>
#include <limits>

#include "sim/check.h"
#include "strategies/serving/schedulers/mindie.h"

namespace ascendsim {

// Whether the next round decodes all running requests in their present order, whatever the blocks say.
bool MindieScheduler::may_repeat() const {
  if (running_.empty() || !swapped_.empty() || new_request_first_ || last_round_empty_) return false;
  if (config_.role == MindieRole::kPrefill || config_.dynamic_batch) return false;
  if (config_.stage_policy == MindieStagePolicy::kLatency && config_.measures_times) return false;
  if (!arrived_.empty() || static_cast<std::int64_t>(running_.size()) > budget_for_decodes()) return false;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const Sequence& s = sequences_[running_[i]];
    if (s.prefilling || s.finished || (i > 0 && s.order < sequences_[running_[i - 1]].order)) return false;
    // Without drafts the steps are summed up, which needs them to be alike from the first on.
    if (config_.speculation_gamma == 0 && (s.pending != 1 || s.holes != (config_.async_inference ? 2 : 1)))
      return false;
  }
  return true;
}

std::int64_t MindieScheduler::budget_for_decodes() const {
  return config_.split_fuse ? max_batch_
                            : std::min(max_batch_, std::max(config_.max_seq_len, config_.max_prefill_tokens));
}

MindieRun MindieScheduler::decode_run() const {
  MindieRun run;
  if (!waiting_.empty()) {
    if (config_.role == MindieRole::kDecode) {
      if (!pulls_blocked_) return run;
    } else if (config_.split_fuse || config_.stage_policy != MindieStagePolicy::kPrefillFirst || batch_is_full()) {
      return run;
    } else if (!below_reserve()) {  // blocks only become fewer
      run.until = sequences_[waiting_.front()].arrival + config_.max_queue_delay;
    }
  }
  if (!may_repeat()) return run;
  // A step brings at most 1 + drafts tokens, and so does the one under way with asynchronous inference.
  const std::int64_t of_a_step = 1 + config_.speculation_gamma;
  run.steps = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const std::int64_t under_way = config_.async_inference ? of_a_step : 0;
    const std::int64_t left = sequences_[running_[i]].limit - known_outputs(running_[i]) - under_way - 1;
    run.steps = std::min(run.steps, left / of_a_step);
  }
  run.steps = run.steps <= 0 ? 0 : steps_before_shortage(run.steps);
  return run;
}

// The largest n up to `most` for which n steps cannot run out of blocks.
std::int64_t MindieScheduler::steps_before_shortage(std::int64_t most) const {
  const std::int64_t block_size = config_.block_size, of_a_step = 1 + config_.speculation_gamma;
  const bool exact = config_.ranks() == 1 && config_.speculation_gamma == 0;
  const auto enough = [&](std::int64_t n) {
    std::int64_t needed = 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const RequestIndex request = running_[i];
      if (exact) {
        needed += ceil_div(blocks_.tokens(request) + n, block_size) - blocks_.held(request);
        continue;
      }
      // With drafts or on a ring a bound: placeholders and reserve of the last step, a block begun on every rank it
      // passes, and the one that is asked for without being taken.
      const std::int64_t added = sequences_[request].length() - blocks_.tokens(request) + (n + 2) * of_a_step;
      needed += ceil_div(added, block_size) + 2;
    }
    return exact ? needed <= blocks_.free() : needed <= blocks_.free() / blocks_.ranks();
  };
  if (enough(most)) return most;
  std::int64_t low = 0;
  while (most - low > 1) {
    const std::int64_t middle = low + (most - low) / 2;
    (enough(middle) ? low : most) = middle;
  }
  return low;
}

void MindieScheduler::advance(std::int64_t n, Duration last, std::span<const std::int64_t> tokens) {
  if (n == 0) return;
  check(n > 0, "a negative number of steps");
  check(running_.empty() || config_.speculation_gamma == 0 || !tokens.empty(),
        "with drafts the tokens of each step must be said");
  if (config_.role == MindieRole::kBoth && !config_.split_fuse) select_batch_.nobody_waits();
  const bool summed = tokens.empty() && !config_.prefix_cache && config_.ranks() == 1;
  const std::int64_t rounds = summed ? 1 : n, steps = summed ? n : 1;
  std::size_t token = 0;
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const RequestIndex request = running_[i];
      Sequence& s = sequences_[request];
      // As many tokens come in as placeholders are written, so one settling and one append reach the end of all steps.
      s.outputs += steps - 1;
      settle(s);
      blocks_.append(request, s.length(), s.holes);
      blocks_.access(request, last);
      if (config_.prefix_cache && config_.split_fuse) blocks_.hits(request, false, s.computed);
      set_chunk(s, 1);
      s.computed += steps;
      add_holes(s);
      s.pending += tokens.empty() ? 1 : tokens[token++];
    }
    blocks_.end_round();
  }
  seen_ = waiting_.size() + static_cast<std::size_t>(transferring_) + running_.size();
  started_ = last;
}

}  // namespace ascendsim
