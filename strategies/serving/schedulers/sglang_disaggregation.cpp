// Prefill and decode on different instances: the queues of both sides.
#include <algorithm>

#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

namespace {
// SGLang v0.5.18, scheduler.py: buffers for what is under way on either side, in multiples of max_running_requests.
constexpr std::int64_t kUnderWay = 2;
}  // namespace

// ---- prefill side -----------------------------------------------------------------------------------------------

// Requests whose handshake is done enter the queue. Without overlap the open chunk is handed over here, with overlap
// together with its result.
void SglangScheduler::leave_bootstrap() {
  std::erase_if(bootstrap_, [&](RequestIndex r) {
    if (!requests_[r].handshaken || past_handshake_ >= kUnderWay * config_.max_running_requests) return false;
    ++past_handshake_;
    enter_queue(r);
    return true;
  });
  if (open_chunk_ && !overlap_) send(*open_chunk_, requests_[*open_chunk_].end / page_ * page_, false);
}

void SglangScheduler::send(RequestIndex index, std::int64_t end, bool last) {
  Held& r = requests_[index];
  if (end <= r.sent) return;
  pass_.sent.push_back(
      {.request = index, .tokens = end - r.sent, .pages = (end - r.sent + page_ - 1) / page_, .last = last});
  r.sent = end;
}

// A prompt that is computed keeps its memory and its slot until the decode side has everything.
void SglangScheduler::process_prefill_side(const Batch& batch) {
  for (const SglangRow& row : batch.rows) {
    Held& r = requests_[row.request];
    if (row.whole) {
      ++r.output;
      remember(r, row.end);
      inflight_.push_back(row.request);
      send(row.request, r.input, true);
    } else if (overlap_) {
      send(row.request, row.end / page_ * page_, false);
    }
  }
}

void SglangScheduler::release_transferred() {
  std::erase_if(inflight_, [&](RequestIndex r) {
    if (!requests_[r].transferred) return false;
    --past_handshake_;
    finish(r);
    return true;
  });
}

// ---- decode side ------------------------------------------------------------------------------------------------

std::int64_t SglangScheduler::active() const {
  return static_cast<std::int64_t>(running_.size() + transfer_.size() + waiting_.size());
}

// Keys and values of a retracted request: of everything but its last token.
std::int64_t SglangScheduler::kept(const Held& r) const { return r.input + std::max<std::int64_t>(0, r.output - 1); }

bool SglangScheduler::may_resume(const Held& r, std::int64_t room) const {
  return free_slots() > 0 && up(kept(r)) + config_.num_reserved_decode_tokens <= room;
}

// Retracted requests come back in order from host memory, before anybody new gets memory.
void SglangScheduler::resume_retracted() {
  std::int64_t room = free_ - config_.num_reserved_decode_tokens * active();
  auto next = retracted_.begin();
  for (; next != retracted_.end() && may_resume(requests_[*next], room); ++next) {
    Held& r = requests_[*next];
    room -= up(kept(r)) + config_.num_reserved_decode_tokens;
    occupy(r, kept(r));
  }
  waiting_.insert(waiting_.end(), retracted_.begin(), next);
  retracted_.erase(retracted_.begin(), next);
}

void SglangScheduler::occupy(Held& r, std::int64_t tokens) {
  take(up(tokens));
  r.kv = r.allocated = tokens;
  r.has_slot = true;
  ++held_slots_;
}

SglangScheduler::PreallocationLimits SglangScheduler::preallocation_limits() const {
  PreallocationLimits limits;
  for (const RequestIndex r : running_) limits.held += requests_[r].size();
  for (const RequestIndex r : running_) {
    limits.longest = std::max(limits.longest, reservation(requests_[r]) + requests_[r].input);
  }
  return limits;
}

// Two ways to guess what those before it may still take, and the request must fit beside the larger one: a reserve for
// each active request, or the longest of the running ones run to its end while the others give up what they hold.
bool SglangScheduler::may_preallocate(const Held& r, const PreallocationLimits& limits, std::int64_t free) const {
  if (free_slots() <= 0 || std::ssize(transfer_) >= kUnderWay * config_.max_running_requests) return false;
  const std::int64_t reserve = config_.num_reserved_decode_tokens;
  const std::int64_t room = free - std::max(reserve * active(), running_.empty() ? 0 : limits.longest - limits.held);
  return std::max(r.input + reserve, r.input + reservation(r) - limits.held) <= room;
}

// Requests whose handshake is done get memory for their prompt, in the order of their arrival; the first that does not
// fit ends it.
void SglangScheduler::preallocate() {
  if (!retracted_.empty()) return;
  const PreallocationLimits limits = preallocation_limits();
  bool fits = true;
  std::erase_if(prealloc_, [&](RequestIndex index) {
    Held& r = requests_[index];
    if (!fits || !r.handshaken) return false;
    fits = may_preallocate(r, limits, free_);
    if (!fits) return false;
    occupy(r, r.input);
    transfer_.push_back(index);
    pass_.allocated.push_back(index);
    return true;
  });
}

// Not looked at while somebody waits in host memory. The first token came from the prefill side.
void SglangScheduler::take_transferred() {
  if (!retracted_.empty()) return;
  std::erase_if(transfer_, [&](RequestIndex r) {
    if (!requests_[r].transferred) return false;
    ++requests_[r].output;
    waiting_.push_back(r);
    return true;
  });
}

void SglangScheduler::join_running() {
  const std::int64_t room = config_.max_running_requests - static_cast<std::int64_t>(running_.size());
  const auto count = static_cast<std::ptrdiff_t>(std::clamp<std::int64_t>(room, 0, std::ssize(waiting_)));
  for (auto next = waiting_.begin(); next != waiting_.begin() + count; ++next) {
    Held& r = requests_[*next];
    if (r.output >= r.end_at) {
      finish(*next);
    } else {
      r.in_running = true;
      running_.push_back(*next);
    }
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
}

}  // namespace ascendsim
