// The waiting pass of the vLLM scheduler: only the head of the queue is looked at, and the first that cannot be placed
// ends the pass.
#include <algorithm>

#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {

// Where the head stands. Those set aside come before all others, by priority the better of both heads does.
VllmScheduler::Line VllmScheduler::better_line(std::size_t next_aside) const {
  const bool aside = next_aside < aside_.size();
  if (waiting_.empty()) return aside ? Line::kAside : Line::kNone;
  if (!aside) return Line::kWaiting;
  if (!by_priority_) return Line::kAside;
  return requests_[waiting_.front()].rank < requests_[aside_[next_aside]].rank ? Line::kWaiting : Line::kAside;
}

void VllmScheduler::admit_waiting(Pass& pass) {
  const bool pads = drafts_ > 0 && config_.traits.pads_single_tokens && !step_.empty() && !pass.prompt_scheduled;
  std::size_t next_aside = 0;
  passed_.clear();
  while (pass.budget > 0 && static_cast<std::int64_t>(running_.size()) < config_.max_num_seqs) {
    const Line line = better_line(next_aside);
    if (line == Line::kNone) break;
    const RequestIndex request = line == Line::kAside ? aside_[next_aside] : waiting_.front();
    const auto remove_head = [&] { line == Line::kAside ? void(++next_aside) : waiting_.pop_front(); };
    VllmRequest& r = requests_[request];

    if (r.state == VllmRequest::State::kLoading && r.loaded) {
      // What was pulled enters the cache only now. Of a whole prompt the last token is computed here, to have an output.
      r.loaded = false;
      enter_cache(r, r.computed);
      if (r.computed == r.known()) --r.computed;
      r.state = VllmRequest::State::kWaiting;
    }
    if (r.state == VllmRequest::State::kLoading || r.stale > 0) {
      remove_head();
      passed_.push_back(request);
      continue;
    }
    const Plan plan = plan_admission(r, pass, pads);
    if (plan.verdict == Plan::Verdict::kNoBlocks) decisions_.blocked = request;
    if (plan.verdict != Plan::Verdict::kGoes) break;
    remove_head();
    admit(request, plan, pass);
  }
  // Whoever was passed over stands before those that were not reached.
  passed_.insert(passed_.end(), aside_.begin() + static_cast<std::ptrdiff_t>(next_aside), aside_.end());
  aside_.swap(passed_);
  if (!pass.hold_prompts) left_over_ = !waiting_.empty();
}

// The longest run of cached blocks from the start, of which at least the last known token is left out. With drafts the
// last block that was found is computed again. Fills hits_; returns their tokens.
std::int64_t VllmScheduler::find_hits(const VllmRequest& r, ContentChain& chain) {
  hits_.clear();
  if (!config_.enable_prefix_caching) return 0;
  ContentChain before = chain;
  for (std::int64_t blocks = (r.known() - 1) / block_; blocks > 0; --blocks) {
    ContentChain next = chain;
    next.next_block(r.shared, r.rank.serial, block_);
    const std::optional<BlockIndex> block = pool_.find(next.hash());
    if (!block) break;
    hits_.push_back(*block);
    before = chain;
    chain = next;
  }
  if (drafts_ > 0 && !hits_.empty()) {
    hits_.pop_back();
    chain = before;
  }
  return static_cast<std::int64_t>(hits_.size()) * block_;
}

VllmScheduler::Plan VllmScheduler::plan_admission(const VllmRequest& r, const Pass& pass, bool pads) {
  Plan plan;
  hits_.clear();
  plan.computed = r.computed;
  if (r.computed == 0) {
    plan.cached = find_hits(r, plan.chain);
    plan.pulled = r.pulls ? r.prompt - plan.cached : 0;
    plan.computed = plan.cached + plan.pulled;
  }
  if (plan.pulled == 0) {
    plan.tokens = first_chunk(r, plan, pass, pads);
    if (plan.tokens <= 0) return plan;
  }

  // Checked, not reserved: only the blocks of the chunk and of the drafts behind it will be taken. A pull takes those of
  // the prompt.
  const bool ahead = plan.pulled == 0 && (r.computed > 0 || config_.traits.looks_ahead_at_first_chunk);
  const auto held = static_cast<std::int64_t>(r.blocks.size() + hits_.size());
  // Hits that nobody uses are free now and will not be.
  const std::int64_t besides = std::ranges::count_if(hits_, [&](BlockIndex b) { return pool_.is_free(b); }) +
                               (running_.empty() ? 0 : watermark_);
  const std::int64_t reserved = plan.pulled > 0 && config_.traits.reserves_for_loads ? blocks_of_half_done() : 0;
  const auto lacking = [&](std::int64_t slots) { return std::max<std::int64_t>(blocks_for(slots) - held, 0); };
  plan.new_blocks = lacking(plan.computed + plan.tokens + (ahead ? drafts_ : 0));
  plan.whole_prompt_lacks = config_.scheduler_reserve_full_isl && config_.traits.checks_whole_prompt &&
                            lacking(r.known()) + besides > pool_.free_blocks();
  const bool fits = !plan.whole_prompt_lacks && plan.new_blocks + besides <= pool_.free_blocks() - reserved;
  plan.verdict = fits ? Plan::Verdict::kGoes : Plan::Verdict::kNoBlocks;
  return plan;
}

// 0 or less: none in this step.
std::int64_t VllmScheduler::first_chunk(const VllmRequest& r, Plan& plan, const Pass& pass, bool pads) const {
  std::int64_t tokens = r.known() - plan.computed;
  if (pass.hold_prompts && tokens > 1) return 0;
  // Beside decodes a single token gets placeholder drafts, which keep the batch uniform.
  if (pads && tokens == 1) {
    plan.padded = true;
    tokens = 1 + drafts_;
    if (tokens > pass.budget || plan.computed + tokens > config_.max_model_len) return 0;
  }
  if (config_.long_prefill_token_threshold > 0) tokens = std::min(tokens, config_.long_prefill_token_threshold);
  if (!config_.enable_chunked_prefill && tokens > pass.budget) {
    plan.verdict = Plan::Verdict::kTooLong;
    return 0;
  }
  return without_short_tail(r, plan.computed, std::min(tokens, pass.budget));
}

void VllmScheduler::admit(RequestIndex request, const Plan& plan, Pass& pass) {
  VllmRequest& r = requests_[request];
  pool_.share(hits_);
  if (!hits_.empty()) {
    r.blocks.insert(r.blocks.end(), hits_.begin(), hits_.end());
    r.labelled = hits_.size();
    r.chain = plan.chain;
  }
  r.pulls = false;
  r.computed = plan.computed;
  if (plan.pulled > 0) {
    take_blocks(r, plan.new_blocks);
    r.state = VllmRequest::State::kLoading;
    set_half_done(request, true);
    passed_.push_back(request);
    decisions_.loads.push_back({request, plan.cached, plan.pulled, plan.new_blocks});
    return;
  }
  r.state = VllmRequest::State::kRunning;
  running_.push_back(request);
  put_into_step(request, plan.tokens, plan.new_blocks, plan.padded ? drafts_ : 0);
  enter_cache(r, std::min(r.computed + plan.tokens, r.known()));
  pass.budget -= plan.tokens;
  if (r.computed + plan.tokens < r.known()) set_half_done(request, true);
  decisions_.admitted.push_back({request, plan.cached, plan.computed - plan.cached, r.preemptions > 0, plan.padded});
}

}  // namespace ascendsim
