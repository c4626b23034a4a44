// One step of the vLLM scheduler: the running pass, preemption, and what a result changes.
#include <algorithm>
#include <utility>

#include "sim/check.h"
#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {

const ScheduledStep& VllmScheduler::schedule(VllmHold hold) {
  step_.requests.clear();
  decisions_.new_blocks.clear();
  decisions_.admitted.clear();
  decisions_.loads.clear();
  decisions_.preempted.clear();
  decisions_.recomputed.clear();
  decisions_.blocked.reset();
  untold_ends_ = false;

  const bool throttled = hold.prompts && config_.traits.throttles_prefills;
  // Prompts are held back only in favour of a decode, and not when the last step that took them left some over.
  Pass pass{.budget = budget_};
  pass.hold_prompts = throttled && !left_over_ &&
                      std::ranges::any_of(running_, [&](RequestIndex r) { return !requests_[r].in_prompt; });
  schedule_running(pass);
  // Whoever was thrown out lacked blocks: nobody is admitted beside.
  if (decisions_.preempted.empty() && decisions_.recomputed.empty() && !hold.admissions) admit_waiting(pass);
  decisions_.left = why_left(throttled);
  launch();
  return step_;
}

// ---- The running pass ----------------------------------------------------------------------------------------------

void VllmScheduler::schedule_running(Pass& pass) {
  for (std::size_t position = 0; position < running_.size() && pass.budget > 0;) {
    const RequestIndex request = running_[position];
    VllmRequest& r = requests_[request];
    const std::int64_t tokens = wanted_tokens(r, pass.budget);
    if (tokens <= 0 || (pass.hold_prompts && r.in_prompt)) {
      ++position;
      continue;
    }
    const std::int64_t new_blocks = std::max<std::int64_t>(
        blocks_for(r.computed + tokens + drafts_) - static_cast<std::int64_t>(r.blocks.size()), 0);
    if (!make_room(position, new_blocks, pass)) break;
    // Drafts come last: those that the step has no tokens for are lost.
    const std::int64_t drafts =
        std::clamp<std::int64_t>(r.computed + tokens - r.known() - r.placeholders, 0, std::exchange(r.drafts, 0));
    pass.prompt_scheduled |= r.in_prompt;
    put_into_step(request, tokens, new_blocks, drafts);
    enter_cache(r, std::min(r.computed + tokens, r.known()));
    pass.budget -= tokens;
    ++position;
  }
}

// Tokens for a running request, 0 or less when it is passed over.
std::int64_t VllmScheduler::wanted_tokens(const VllmRequest& r, std::int64_t budget) const {
  // With its outputs under way it may have reached its length already.
  if (r.placeholders > 0 && r.computed + 2 - r.placeholders >= r.prompt + r.limit) return 0;
  std::int64_t tokens = r.known() + r.drafts + r.placeholders - r.computed;
  if (config_.long_prefill_token_threshold > 0) tokens = std::min(tokens, config_.long_prefill_token_threshold);
  tokens = std::min({tokens, budget, config_.max_model_len - 1 - r.computed});
  return without_short_tail(r, r.computed, tokens);
}

// Throws out running requests until so many blocks are free for the one at `position`, which moves when requests before
// it leave. False when that one was thrown out itself, the last that could be.
bool VllmScheduler::make_room(std::size_t& position, std::int64_t blocks, Pass& pass) {
  const RequestIndex request = running_[position];
  while (blocks > pool_.free_blocks()) {
    // The least preferred of all by priority, whatever it got in this step; else the one admitted last. Only the latter
    // is known to vLLM-Ascend's recompute scheduler.
    auto victim = std::prev(running_.end());
    if (by_priority_ && !config_.recompute_scheduler)
      victim = std::ranges::max_element(running_, {}, [&](RequestIndex r) { return requests_[r].rank; });
    const RequestIndex thrown = *victim;
    const auto place = static_cast<std::size_t>(victim - running_.begin());
    running_.erase(victim);
    const auto part = std::ranges::find(step_.requests, thrown, &ScheduledRequest::request);
    const bool scheduled = part != step_.requests.end();
    if (scheduled) {
      pass.budget += part->tokens;
      decisions_.new_blocks.erase(decisions_.new_blocks.begin() + (part - step_.requests.begin()));
      step_.requests.erase(part);
    }
    if (place < position && (scheduled || !config_.traits.skips_after_victim)) --position;
    throw_out(thrown);
    if (thrown == request) return false;
  }
  return true;
}

void VllmScheduler::throw_out(RequestIndex victim) {
  VllmRequest& r = requests_[victim];
  release(r);
  set_half_done(victim, false);
  if (config_.recompute_scheduler) {
    r.state = VllmRequest::State::kEnded;
    decisions_.recomputed.push_back(victim);
    return;
  }
  // Its outputs are kept and count as prompt when it comes back.
  r.state = VllmRequest::State::kWaiting;
  r.computed = r.drafts = r.placeholders = 0;
  r.stale = r.under_way;
  ++r.preemptions;
  waiting_.push_front(victim, r.rank);
  decisions_.preempted.push_back(victim);
}

// ---- The step ------------------------------------------------------------------------------------------------------

void VllmScheduler::put_into_step(RequestIndex request, std::int64_t tokens, std::int64_t new_blocks,
                                  std::int64_t drafts) {
  VllmRequest& r = requests_[request];
  step_.requests.push_back({.request = request,
                            .context = r.computed,
                            .tokens = tokens,
                            .drafts = drafts,
                            .prompt = r.computed + 1 < r.known() + r.placeholders});
  decisions_.new_blocks.push_back(new_blocks);
  take_blocks(r, new_blocks);
}

// Tokens count as computed from here on, so that the next call can go on before the result is there.
void VllmScheduler::launch() {
  check(under_way_ < ring_.size(), "more steps under way than the engine keeps");
  UnderWay& step = ring_[(oldest_ + under_way_++) % ring_.size()];
  step.parts.clear();
  step.recomputed.assign(decisions_.recomputed.begin(), decisions_.recomputed.end());
  if (parks_ && !step_.empty()) ++launched_;
  auto admission = decisions_.admitted.begin();
  for (ScheduledRequest& part : step_.requests) {
    VllmRequest& r = requests_[part.request];
    r.computed += part.tokens;
    r.under_way += part.tokens;
    r.last_step = launched_;
    r.in_prompt = r.computed < r.known() + r.placeholders;
    part.samples = !r.in_prompt;
    if (part.samples) {
      set_half_done(part.request, false);
      if (config_.async_scheduling) {
        r.placeholders += 1 + part.drafts;
        r.drafts = drafts_;
      }
    }
    // Admitted requests stand last in the step, in the order of their admission.
    bool padded = false;
    if (admission != decisions_.admitted.end() && admission->request == part.request) padded = (admission++)->padded;
    step.parts.push_back({part.request, part.tokens, part.drafts, part.samples, padded});
  }
}

VllmDecisions::Left VllmScheduler::why_left(bool throttled) const {
  using enum VllmDecisions::Left;
  if (waiting() == 0) return kNobody;
  if (!decisions_.preempted.empty() || !decisions_.recomputed.empty()) return kPreempted;
  if (decisions_.blocked) return kBlocks;
  if (static_cast<std::int64_t>(running_.size()) >= config_.max_num_seqs) return kSequences;
  std::int64_t tokens = 0;
  for (const ScheduledRequest& part : step_.requests) tokens += part.tokens;
  if (tokens >= budget_) return kBudget;
  const auto loads = [&](RequestIndex r) { return requests_[r].state == VllmRequest::State::kLoading; };
  if (waiting_.empty() && std::ranges::all_of(aside_, loads)) return kLoading;
  if (throttled) return kThrottle;
  return config_.enable_chunked_prefill ? kOther : kNoChunk;
}

// ---- Results -------------------------------------------------------------------------------------------------------

const VllmResult& VllmScheduler::complete(std::span<const std::int64_t> emitted) {
  check(under_way_ > 0, "a result without a step under way");
  UnderWay& step = ring_[oldest_];
  oldest_ = (oldest_ + 1) % ring_.size();
  --under_way_;
  check(emitted.size() == step.parts.size(), "a result for other requests than those of the step");
  result_.emitted.clear();
  result_.ended.clear();

  if (parks_ && !step.parts.empty()) {
    ++processed_;
    while (!parked_.empty() && parked_.front().until <= processed_) {
      give_back(std::move(parked_.front().blocks));
      parked_.pop_front();
    }
  }
  for (const RequestIndex request : step.recomputed) {
    result_.ended.push_back({.request = request, .recomputed = true});
    leave(request);  // its earlier steps have been processed, and in this one it had no part
  }
  for (std::size_t i = 0; i < step.parts.size(); ++i) process(step.parts[i], emitted[i]);

  const auto has_ended = [&](RequestIndex r) { return requests_[r].state == VllmRequest::State::kEnded; };
  if (result_.ended.size() > step.recomputed.size()) std::erase_if(running_, has_ended);
  untold_ends_ |= !result_.ended.empty();
  return result_;
}

void VllmScheduler::process(const UnderWay::Part& part, std::int64_t told) {
  VllmRequest& r = requests_[part.request];
  r.under_way -= part.tokens;
  const bool stale = r.stale > 0;
  if (stale) r.stale -= part.tokens;
  if (r.state == VllmRequest::State::kEnded) {
    if (r.end_told && r.under_way == 0 && !r.sending) leave(part.request);
    return;
  }
  if (part.samples) {
    const std::int64_t out = part.padded ? 1 : told;
    check(out >= 1 && out <= 1 + part.drafts, "a result with more tokens than the step could bring");
    if (!stale) {
      // What was scheduled for drafts that were rejected is not computed after all.
      const std::int64_t rejected = 1 + part.drafts - out;
      if (r.computed > 0) r.computed -= rejected;
      if (r.placeholders > 0) r.placeholders -= rejected;
    }
    const std::int64_t kept =
        std::max<std::int64_t>(1, std::min({out, r.limit - r.output, config_.max_model_len - r.known()}));
    r.output += kept;
    if (config_.async_scheduling) {
      if (!stale) r.placeholders -= kept;
      if (r.state == VllmRequest::State::kRunning) enter_cache(r, r.computed - r.placeholders);
    }
    result_.emitted.push_back({part.request, kept});
    if (r.output >= r.limit || r.known() >= config_.max_model_len) return end(part.request);
  }
  if (!config_.async_scheduling && r.state == VllmRequest::State::kRunning) r.drafts = r.in_prompt ? 0 : drafts_;
}

void VllmScheduler::end(RequestIndex request) {
  VllmRequest& r = requests_[request];
  if (r.state == VllmRequest::State::kWaiting && !waiting_.erase(request)) std::erase(aside_, request);
  r.state = VllmRequest::State::kEnded;  // complete() takes it off the running list
  r.end_told = true;
  set_half_done(request, false);
  r.sending = r.sends && !r.blocks.empty();
  if (r.sending) {
    ++sending_;
  } else {
    release(r);
    if (r.under_way == 0) leave(request);
  }
  result_.ended.push_back({.request = request, .sending = r.sending});
}

// Its place is used again by a request that is added later; until then its figures can be read.
void VllmScheduler::leave(RequestIndex request) { unused_.push_back(request); }

}  // namespace ascendsim
