// Decode passes in which no decision can change, taken at once.
#include <algorithm>

#include "sim/check.h"
#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

// 0 as well if one has ended already and is about to leave the batch.
std::int64_t SglangScheduler::passes_to_first_end() const {
  std::int64_t passes = config_.context_len;
  for (const RequestIndex index : running_) {
    const Held& r = requests_[index];
    if (r.finished) return 0;
    passes = std::min(passes, r.end_at - r.output - 1);
  }
  return passes;
}

// Nothing enters or leaves a queue in the next pass for another reason than memory that comes free.
bool SglangScheduler::queues_are_steady() const {
  if (!arrived_.empty() || open_chunk_) return false;
  const auto transferred = [&](RequestIndex r) { return requests_[r].transferred; };
  switch (config_.role) {
    case SglangRole::kBoth:
      return tries_no_admission() && (waiting_.empty() || !preempts_);
    case SglangRole::kPrefill:
      return waiting_.empty() && std::ranges::none_of(inflight_, transferred) &&
             std::ranges::none_of(bootstrap_, [&](RequestIndex r) { return requests_[r].handshaken; });
    case SglangRole::kDecode:
      return (waiting_.empty() || std::ssize(running_) >= config_.max_running_requests) &&
             (!retracted_.empty() || std::ranges::none_of(transfer_, transferred));
  }
  return false;
}

// A request takes a page in the pass in which it stands at the end of one, and every page_size passes after that.
void SglangScheduler::count_page_ends() const {
  page_ends_.assign(static_cast<std::size_t>(page_), 0);
  for (const RequestIndex r : running_)
    ++page_ends_[static_cast<std::size_t>((page_ - requests_[r].kv % page_) % page_)];
}

std::int64_t SglangScheduler::next_growth(std::int64_t pass) const {
  return page_ends_[static_cast<std::size_t>(pass % page_)] * page_;
}

std::int64_t SglangScheduler::steady_passes() const {
  if (config_.num_draft_tokens > 0 || last_.kind != SglangPassKind::kDecode || running_.empty()) return 0;
  const std::int64_t most = passes_to_first_end();
  if (most <= 0 || !queues_are_steady()) return 0;

  // Decode side: room for a retracted request only shrinks while the others decode, whereas what is asked of a new one
  // shrinks as well, so it is compared pass by pass.
  if (!retracted_.empty() &&
      may_resume(requests_[retracted_.front()], free_ - config_.num_reserved_decode_tokens * active())) {
    return 0;
  }
  const Held* next = nullptr;
  if (retracted_.empty()) {
    const auto found = std::ranges::find_if(prealloc_, [&](RequestIndex r) { return requests_[r].handshaken; });
    if (found != prealloc_.end()) next = &requests_[*found];
  }
  PreallocationLimits limits;
  if (next != nullptr) limits = preallocation_limits();

  // Eviction moves tokens from evictable to free: their sum decides whether a step fits.
  count_page_ends();
  std::int64_t left = available();
  for (std::int64_t pass = 0; pass < most; ++pass) {
    if (next != nullptr && may_preallocate(*next, limits, left)) return pass;
    const std::int64_t needed = next_growth(pass);
    if (needed > left) return pass;
    left -= needed;
    limits.held += std::ssize(running_);
  }
  return most;
}

void SglangScheduler::advance(std::int64_t passes) {
  if (passes <= 0) return;
  check(last_.kind == SglangPassKind::kDecode && config_.num_draft_tokens == 0,
        "only plain decode passes are taken at once");
  clear_pass();
  pass_.kind = SglangPassKind::kDecode;
  if (preempts_) full_ = false;
  count_page_ends();
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    pass_.evicted = 0;
    pass_.ratio_before = ratio_;
    ratio_ = std::max(ratio_ - ratio_step_, ratio_floor_);
    const std::int64_t needed = next_growth(pass);
    make_room(needed);
    make_room(std::ssize(running_) * page_);
    take(needed);
  }
  for (const RequestIndex index : running_) {
    Held& r = requests_[index];
    r.output += passes;
    r.kv += passes;
    r.allocated = r.kv;
  }
  for (ScheduledRequest& row : step_.requests) row.context += passes;
}

bool SglangScheduler::rests() const {
  return running_.empty() && waiting_.empty() && retracted_.empty() && queues_are_steady() &&
         (last_.kind == SglangPassKind::kIdle || last_.kind == SglangPassKind::kIdleBatch) &&
         std::ranges::none_of(prealloc_, [&](RequestIndex r) { return requests_[r].handshaken; });
}

}  // namespace ascendsim
