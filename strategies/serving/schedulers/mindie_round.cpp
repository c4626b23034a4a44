// After the decisions of a round: the queues, what is said of the step, and what the next round starts from.
#include <algorithm>

#include "sim/check.h"
#include "strategies/serving/schedulers/mindie.h"

namespace ascendsim {

void MindieScheduler::put_back() {
  const auto older = [this](RequestIndex a, RequestIndex b) { return sequences_[a].order < sequences_[b].order; };
  for (const RequestIndex request : step_.recomputed) {
    if (config_.role == MindieRole::kBoth)
      waiting_.push_back(request);
    else
      end(request);  // the coordinator starts it again elsewhere
  }
  const auto by_age = [&](const Part& a, const Part& b) { return older(a.request, b.request); };
  if (!std::ranges::is_sorted(decodes_, by_age)) std::ranges::sort(decodes_, by_age);
  for (const Part& part : decodes_) running_.push_back(part.request);
  for (const std::vector<Part>* parts : {&fresh_, &swapped_chunks_, &chunks_})
    for (const Part& part : *parts) {
      Sequence& s = sequences_[part.request];
      if (config_.role == MindieRole::kPrefill && (!config_.split_fuse || s.last_chunk)) {
        s.place = Place::kTransferring;
        ++transferring_;
      } else {
        running_.push_back(part.request);
      }
    }
  for (const RequestIndex request : step_.swapped_out) swapped_.push_back(request);

  // What was not reached goes back to the front of its queue, the oldest first.
  withdrawn_.insert(withdrawn_.end(), candidates_waiting_.begin(), candidates_waiting_.end());
  withdrawn_.insert(withdrawn_.end(), candidates_swapped_.begin(), candidates_swapped_.end());
  withdrawn_.insert(withdrawn_.end(), candidates_running_.begin() + static_cast<std::ptrdiff_t>(next_running_),
                    candidates_running_.end());
  if (!std::ranges::is_sorted(withdrawn_, older)) std::ranges::sort(withdrawn_, older);
  for (auto request = withdrawn_.rbegin(); request != withdrawn_.rend(); ++request) {
    const Place place = sequences_[*request].place;
    (place == Place::kWaiting ? waiting_ : place == Place::kSwapped ? swapped_ : running_).push_front(*request);
  }
}

void MindieScheduler::describe(Duration now) {
  step_.prefill = !fresh_.empty();
  const bool names_hits = config_.prefix_cache && (config_.split_fuse || step_.prefill);
  const std::int64_t block_size = config_.block_size;
  for (const std::vector<Part>* parts : {&decodes_, &fresh_, &swapped_chunks_, &chunks_})
    for (const Part& part : *parts) {
      const Sequence& s = sequences_[part.request];
      blocks_.access(part.request, now);
      std::int64_t cached = 0;
      if (names_hits)
        for (const std::int64_t hits : blocks_.hits(part.request, s.prefilling, s.computed)) {
          step_.hit_blocks.push_back(hits);
          cached += hits * block_size;
        }
      ScheduledRequest scheduled{.request = part.request, .prompt = s.prefilling};
      if (s.prefilling) {
        if (s.computed > 0) cached = 0;
        // A prompt that is cached as a whole has its last block computed again by the model.
        if (cached > 0 && cached >= part.tokens) cached -= block_size;
        scheduled.context = s.computed + cached;
        scheduled.tokens = part.tokens - cached;
        scheduled.samples = !config_.split_fuse || s.last_chunk;
      } else {
        const std::int64_t under_way = config_.speculation_gamma == 0 ? s.holes : config_.async_inference ? 1 : 0;
        scheduled.context = s.prompt + s.outputs + std::min(under_way, s.holes) - 1;
        scheduled.drafts = config_.drafts();
        scheduled.tokens = 1 + scheduled.drafts;
        scheduled.samples = true;
      }
      step_.batch.requests.push_back(scheduled);
      step_.handed.push_back(part.tokens);
    }
  blocks_.end_round();
}

// What the votes and the dynamic batch size look at.
void MindieScheduler::after_round() {
  seen_ = waiting_.size() + static_cast<std::size_t>(transferring_) + running_.size();
  if (config_.stage_policy == MindieStagePolicy::kLatency && !step_.empty()) {
    measured_prefill_ = step_.prefill && !config_.split_fuse;
    measured_decode_ = !step_.prefill && !config_.split_fuse;
    measured_tokens_ = budget_.used_tokens;
    measured_blocks_ = 0;
    for (const ScheduledRequest& r : step_.batch.requests) measured_blocks_ += blocks_.held(r.request);
  }
  if (!config_.dynamic_batch || config_.role != MindieRole::kBoth) return;
  MindieDynamicBatch::Sizes sizes{static_cast<std::uint64_t>(max_batch_),
                                  static_cast<std::uint64_t>(max_prefill_batch_)};
  const bool decode_mode = !config_.split_fuse && !step_.prefill;
  dynamic_batch_.after_round(step_.empty(), decode_mode, decode_mode ? step_.batch.requests.size() : 0, waiting_.size(),
                             running_.size() + swapped_.size(), sizes);
  max_batch_ = static_cast<std::int64_t>(sizes.max_batch);
  max_prefill_batch_ = static_cast<std::int64_t>(sizes.max_prefill_batch);
}

// The step is under way: what it computes counts as computed, and placeholders stand for what it will bring.
void MindieScheduler::prepare_next() {
  for (const std::vector<Part>* parts : {&decodes_, &fresh_, &swapped_chunks_, &chunks_})
    for (const Part& part : *parts) {
      Sequence& s = sequences_[part.request];
      s.computed += part.tokens;
      if (s.computed == s.length()) s.prefilling = false;
      if (!config_.split_fuse || s.last_chunk) add_holes(s);
    }
}

// With drafts a step may bring several tokens; no more than those of the steps under way and of one more are awaited.
void MindieScheduler::add_holes(Sequence& s) const {
  const std::int64_t of_a_step = 1 + config_.speculation_gamma;
  if (of_a_step == 1) {
    ++s.holes;
    return;
  }
  const std::int64_t most = (config_.async_inference ? 3 : 2) * of_a_step;
  s.holes += std::min(of_a_step, most - s.holes);
}

const MindieTransfer& MindieScheduler::transfer() {
  transfer_.pulls_started.clear();
  transfer_.released.clear();
  while (!arrived_.empty()) {
    const RequestIndex request = arrived_.pop_front();
    sequences_[request].place = Place::kRunning;
    running_.push_back(request);
    --transferring_;
  }
  while (!pulled_.empty()) {
    const RequestIndex request = pulled_.pop_front();
    check(sequences_[request].place == Place::kTransferring, "a cache is released that nobody was to pull");
    blocks_.release(request);
    sequences_[request].place = Place::kGone;
    free_numbers_.push_back(request);
    transfer_.released.push_back(request);
    --transferring_;
  }
  if (config_.role == MindieRole::kDecode) start_pulls();
  return transfer_;
}

// Blocks for the whole prompt are taken, a twentieth of them is left to decoding, and a token for each place of the
// batch.
void MindieScheduler::start_pulls() {
  budget_ = {.tokens = blocks_.free() * config_.block_size - max_batch_, .requests = max_prefill_batch_};
  chunked_ = false;
  pulls_blocked_ = true;
  while (budget_.tokens > 0 && !waiting_.empty()) {
    const RequestIndex request = waiting_.front();
    Sequence& s = sequences_[request];
    const MindieBlocks::Room room = blocks_.room_for(s.length());
    if (below_reserve()) return;
    if (room == MindieBlocks::Room::kTooLong) throw MindieStopped("a request is longer than the whole cache");
    if (room == MindieBlocks::Room::kLater) return;
    if (!budget_.admits(s.length())) {
      pulls_blocked_ = budget_.used_requests == 0;  // more may start in the next pass
      return;
    }
    waiting_.pop_front();
    blocks_.place(request, s.length());
    s.place = Place::kTransferring;
    ++transferring_;
    transfer_.pulls_started.push_back(request);
    budget_.use(s.length());
    s.computed = s.length();
    s.prefilling = false;
    if (config_.speculation_gamma > 0) add_holes(s);
  }
}

}  // namespace ascendsim
