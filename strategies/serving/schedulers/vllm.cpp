#include "strategies/serving/schedulers/vllm.h"

#include <algorithm>
#include <utility>

#include "sim/check.h"

namespace ascendsim {

namespace {

const VllmConfig& checked(const VllmConfig& config) {
  check(!vllm_config_problem(config), "a vLLM scheduler with settings that cannot be run");
  return config;
}

}  // namespace

VllmScheduler::VllmScheduler(const VllmConfig& config)
    : config_(checked(config)),
      block_(config.block_tokens()),
      drafts_(config.num_speculative_tokens),
      budget_(config.budget()),
      watermark_(config.traits.watermark
                     ? static_cast<std::int64_t>(config.watermark * static_cast<double>(config.num_gpu_blocks))
                     : 0),
      module_tail_(config.traits.keeps_module_tail && config.mtp_modules > 1 && drafts_ > 1 ? drafts_ : 0),
      by_priority_(config.policy == VllmPolicy::kPriority),
      parks_(config.traits.parks_blocks_in_flight && config.batches_in_flight() > 1 &&
             (config.kv_role == VllmRole::kConsumer || config.kv_role == VllmRole::kBoth)),
      pool_(config.usable_blocks(), config.traits.unhashed_blocks_first),
      waiting_(by_priority_),
      ring_(static_cast<std::size_t>(config.batches_in_flight())) {}

RequestIndex VllmScheduler::add(const Request& request, VllmTransfer transfer) {
  check(accepts(request) && request.input_tokens > 0 && request.output_tokens > 0,
        "a request that cannot be scheduled");
  RequestIndex index = 0;
  if (unused_.empty()) {
    index = static_cast<RequestIndex>(requests_.size());
    requests_.emplace_back();
  } else {
    index = unused_.back();
    unused_.pop_back();
  }
  VllmRequest& r = requests_[index];
  std::vector<PromptSegment> segments = std::move(r.shared);
  segments.clear();
  r = VllmRequest{};
  std::int64_t left = request.input_tokens;
  for (const PromptSegment& segment : request.shared) {
    const std::int64_t tokens = std::min(segment.tokens, left);
    if (tokens > 0) segments.push_back({tokens, segment.content});
    left -= tokens;
  }
  r.shared = std::move(segments);
  r.prompt = request.input_tokens;
  r.limit = request.output_tokens;
  r.rank = {request.priority, added_++};
  r.pulls = transfer == VllmTransfer::kPull;
  r.sends = transfer == VllmTransfer::kSend;
  r.state = VllmRequest::State::kWaiting;
  waiting_.push_back(index, r.rank);
  return index;
}

bool VllmScheduler::has_work() const {
  return waiting() > 0 || !running_.empty() || untold_ends_ || (sending_ > 0 && config_.traits.steps_while_sending);
}

void VllmScheduler::kv_received(RequestIndex request) {
  VllmRequest& r = requests_[request];
  check(r.state == VllmRequest::State::kLoading && !r.loaded, "KV arrived for a request that does not wait for it");
  r.loaded = true;
}

void VllmScheduler::kv_sent(RequestIndex request) {
  VllmRequest& r = requests_[request];
  check(r.sending, "KV was sent of a request that has none to send");
  r.sending = false;
  --sending_;
  release(r);
  if (r.under_way == 0) leave(request);
}

// ---- Blocks and cache ----------------------------------------------------------------------------------------------

std::int64_t VllmScheduler::blocks_for(std::int64_t slots) const {
  return (std::min(slots, config_.max_model_len) + block_ - 1) / block_;
}

void VllmScheduler::take_blocks(VllmRequest& r, std::int64_t count) {
  if (r.blocks.capacity() == 0 && !spare_.empty()) {
    r.blocks = std::move(spare_.back());
    spare_.pop_back();
  }
  pool_.take(count, r.blocks);
}

// Whole blocks within the first `tokens` enter the cache, before they are computed: requests of the same beginning that
// come together find each other's blocks.
void VllmScheduler::enter_cache(VllmRequest& r, std::int64_t tokens) {
  if (!config_.enable_prefix_caching) return;
  const std::int64_t whole = (tokens - std::max<std::int64_t>(module_tail_ - 1, 0)) / block_;
  while (static_cast<std::int64_t>(r.labelled) < whole) {
    r.chain.next_block(r.shared, r.rank.serial, block_);
    pool_.label(r.blocks[r.labelled++], r.chain.hash());
  }
}

void VllmScheduler::give_back(std::vector<BlockIndex>&& blocks) {
  pool_.give_back(blocks);
  blocks.clear();
  spare_.push_back(std::move(blocks));
}

void VllmScheduler::release(VllmRequest& r) {
  std::vector<BlockIndex> blocks = std::exchange(r.blocks, {});
  r.labelled = 0;
  r.chain = {};
  if (blocks.empty()) return;
  if (parks_ && r.last_step > processed_) {
    parked_.push_back({launched_, std::move(blocks)});
  } else {
    give_back(std::move(blocks));
  }
}

void VllmScheduler::set_half_done(RequestIndex request, bool on) {
  VllmRequest& r = requests_[request];
  if (on == (r.half_done != 0)) return;
  if (on) {
    half_done_.push_back(request);
    r.half_done = half_done_.size();
    return;
  }
  const std::size_t place = std::exchange(r.half_done, 0);
  const RequestIndex last = half_done_.back();
  half_done_.pop_back();
  if (last == request) return;
  half_done_[place - 1] = last;
  requests_[last].half_done = place;
}

std::int64_t VllmScheduler::blocks_of_half_done() const {
  std::int64_t blocks = 0;
  for (const RequestIndex request : half_done_) {
    const VllmRequest& r = requests_[request];
    blocks += std::max<std::int64_t>(blocks_for(r.known()) - static_cast<std::int64_t>(r.blocks.size()), 0);
  }
  return blocks;
}

// A chunk is shortened where it would leave so little of the prompt that not all MTP modules find a token in it.
std::int64_t VllmScheduler::without_short_tail(const VllmRequest& r, std::int64_t computed, std::int64_t tokens) const {
  const std::int64_t tail = r.known() - computed - tokens;
  return tail > 0 && tail < module_tail_ ? tokens - (module_tail_ - tail) : tokens;
}

std::uint64_t VllmScheduler::fingerprint() const {
  ContentHash state;
  const auto absorb = [&](auto... values) { (state.absorb(static_cast<std::uint64_t>(values)), ...); };
  const auto absorb_list = [&](const auto& list) {
    absorb(list.size());
    for (const auto& value : list) absorb(value);
  };
  for (const VllmRequest& r : requests_) {
    absorb(r.state, r.under_way, r.sending);
    if (r.state == VllmRequest::State::kEnded && r.under_way == 0 && !r.sending) continue;
    absorb(r.prompt, r.limit, r.rank.priority, r.rank.serial, r.output, r.computed, r.drafts, r.placeholders, r.stale,
           r.preemptions, r.last_step, r.in_prompt, r.pulls, r.sends, r.loaded, r.labelled, r.half_done != 0,
           r.chain.hash().low, r.chain.hash().high);
    absorb_list(r.blocks);
    for (const PromptSegment& s : r.shared) absorb(s.tokens, s.content);
  }
  absorb_list(running_);
  absorb(waiting_.size());
  waiting_.for_each(absorb);
  absorb_list(aside_);
  absorb(added_, sending_, untold_ends_, left_over_, launched_, processed_, under_way_, parked_.size());
  for (std::size_t i = 0; i < under_way_; ++i) {
    const UnderWay& step = ring_[(oldest_ + i) % ring_.size()];
    absorb_list(step.recomputed);
    absorb(step.parts.size());
    for (const UnderWay::Part& p : step.parts) absorb(p.request, p.tokens, p.drafts, p.samples, p.padded);
  }
  for (const Parked& parked : parked_) {
    absorb(parked.until);
    absorb_list(parked.blocks);
  }
  pool_.absorb_into(state);
  return state.low ^ state.high;
}

}  // namespace ascendsim
