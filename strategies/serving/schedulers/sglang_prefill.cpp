// Which prompts are computed next: the order of the queue, the budgets of a prefill batch, preemption.
#include <algorithm>
#include <tuple>

#include "sim/check.h"
#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

namespace {
// SGLang v0.5.18, schedule_policy.py: with more waiting requests the longest prefix is not looked for.
constexpr std::size_t kLongestSortedQueue = 128;
}  // namespace

std::int64_t SglangScheduler::room_for_new() const {
  return std::min(config_.max_running_requests - static_cast<std::int64_t>(running_.size()), free_slots());
}

bool SglangScheduler::form_prefill() {
  if (config_.role == SglangRole::kDecode) {
    take_transferred();
    join_running();
    return false;
  }
  // The latch is not for the prefill side; where requests may be preempted each pass tries again.
  if (preempts_ || config_.role == SglangRole::kPrefill) full_ = false;
  if (tries_no_admission()) return false;
  if (!open_chunk_ && room_for_new() <= 0 && !preempts_) {
    full_ = true;
    return false;
  }
  sort_queue();
  const auto riders = mixed_ ? static_cast<std::int64_t>(running_.size()) : 0;
  budget_ = {.chunk = config_.chunked_prefill_size - riders,
             .prefill = config_.max_prefill_tokens - riders,
             .reserved = 0,
             .taken = riders,
             .looked_ahead = false};
  for (const RequestIndex r : running_) budget_.reserved += static_cast<double>(still_to_come(requests_[r])) * ratio_;
  budget_.reserved += static_cast<double>(riders);
  batch_.clear();
  victims_.clear();
  future_ends_.clear();
  if (open_chunk_) continue_chunk();
  admit_from_queue();
  for (const RequestIndex r : victims_) enter_queue(r);
  if (batch_.empty()) return false;
  launch_prefill();
  return true;
}

// Not even tried: the latch is set or nothing waits, or new requests wait for more free slots.
bool SglangScheduler::tries_no_admission() const {
  if (open_chunk_) return false;
  if (full_ || waiting_.empty()) return true;
  return config_.min_free_slots.value_or(0) > 0 && !running_.empty() &&
         room_for_new() < std::min(*config_.min_free_slots, slots_);
}

// ---- order of the queue -----------------------------------------------------------------------------------------

void SglangScheduler::sort_queue() {
  if (config_.schedule_policy == SglangPolicy::kLongestPrefix && radix_) {
    if (waiting_.size() <= kLongestSortedQueue) sort_by_longest_prefix();
    return;
  }
  const bool by_priority = config_.enable_priority_scheduling;
  if (config_.schedule_policy == SglangPolicy::kLongestOutput) {
    for (std::uint32_t place = 0; place < waiting_.size(); ++place) requests_[waiting_[place]].place = place;
    std::ranges::sort(waiting_, {}, [&](RequestIndex index) {
      const Held& r = requests_[index];
      return std::tuple(by_priority ? -sign_ * r.priority : 0, -r.max_new, r.place);
    });
  } else if (by_priority) {
    std::ranges::sort(waiting_, {}, [&](RequestIndex index) {
      return std::tuple(-sign_ * requests_[index].priority, requests_[index].entry);
    });
  }
}

// Most tokens in the tree first. One that finds few but shares many with a request before it in the queue goes last:
// it will find them once that one has been computed.
void SglangScheduler::sort_by_longest_prefix() {
  queue_tree_.clear();
  std::uint32_t place = 0;
  for (const RequestIndex index : waiting_) {
    Held& r = requests_[index];
    r.place = place++;
    r.behind = false;
    const std::int64_t found = tree_.match(r.text, r.size()).length;
    r.hit = std::min(found, r.size() - 1);
    if (found > config_.in_batch_prefix_caching_check_threshold) continue;
    r.behind = queue_tree_.match(r.text, r.size()).length >= config_.in_batch_prefix_caching_deprioritize_threshold;
    if (!r.behind) queue_tree_.insert(r.text, r.size());
  }
  std::ranges::sort(waiting_, {}, [&](RequestIndex index) {
    const Held& r = requests_[index];
    return std::tuple(r.behind, r.behind ? 0 : -r.hit, r.place);
  });
}

// ---- budgets ----------------------------------------------------------------------------------------------------

// The piece in whole pages, one page for its ragged end, and what the request may still put out.
void SglangScheduler::charge(std::int64_t tokens, std::int64_t future) {
  tokens = up(tokens);
  budget_.reserved += static_cast<double>(tokens + future + page_);
  budget_.taken += tokens + page_;
  budget_.prefill -= tokens;
  budget_.chunk -= tokens;
}

std::int64_t SglangScheduler::refuse_for_memory() {
  full_ = true;
  return 0;
}

// The open chunk goes first, and always: where nothing is left of the pool it still gets the chunk budget.
void SglangScheduler::continue_chunk() {
  Held& r = requests_[*open_chunk_];
  const std::int64_t rest = r.size() - r.matched;
  auto limit = std::min(budget_.chunk, static_cast<std::int64_t>(static_cast<double>(available()) - budget_.reserved));
  if (limit <= 0) limit = budget_.chunk;
  if (limit <= 0) throw SglangStop("the running requests of a mixed batch leave nothing of the chunk; " + state());
  r.start = r.matched;
  r.end = r.matched + std::min(rest, limit);
  batch_.push_back(*open_chunk_);
  charge(r.end - r.start, rest <= limit ? reservation(r) : 0);
  if (rest <= limit) open_chunk_.reset();
}

// In the order of the queue; the first one that is refused ends the batch.
void SglangScheduler::admit_from_queue() {
  std::size_t admitted = 0;
  while (admitted < waiting_.size()) {
    const RequestIndex index = waiting_[admitted];
    Held& r = requests_[index];
    if (static_cast<std::int64_t>(batch_.size()) >= room_for_new()) full_ = true;
    if (full_ && !(preempts_ && preempt_for(r))) break;
    const PrefixTree::Match hit = radix_ ? tree_.match(r.text, r.size() - 1) : PrefixTree::Match{};
    r.matched = r.in_tree = hit.length;
    if (config_.prefill_max_requests && static_cast<std::int64_t>(batch_.size()) >= *config_.prefill_max_requests)
      break;
    const std::int64_t tokens = r.runs_to_limit && !radix_ ? piece_by_look_ahead(r) : piece(r, hit);
    if (tokens == 0) break;
    r.start = hit.length;
    r.end = hit.length + tokens;
    batch_.push_back(index);
    ++admitted;
    if (r.end < r.size()) open_chunk_ = index;
    charge(tokens, r.end < r.size() ? 0 : reservation(r));
    const auto pool = static_cast<double>(available());
    if (pool <= budget_.reserved || available() <= budget_.taken) {
      full_ = true;
      break;
    }
    if (budget_.prefill <= 0 || (chunked_ && budget_.chunk <= 0)) break;
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(admitted));
}

// Tokens of the prompt that are computed now; 0 refuses it. The prefix found is held from here on, and is not counted as
// evictable any more.
std::int64_t SglangScheduler::piece(Held& r, PrefixTree::Match hit) {
  const std::int64_t rest = r.size() - hit.length;
  const auto needed = static_cast<double>(rest + std::max<std::int64_t>(0, still_to_come(r)) + page_);
  const auto short_of_memory = [&] { return needed >= static_cast<double>(available()) - budget_.reserved; };
  if (short_of_memory()) return refuse_for_memory();
  if (!chunked_ && !batch_.empty() && up(rest) >= budget_.prefill) return 0;
  tree_.hold(hit.node);
  std::int64_t tokens = 0;
  if (short_of_memory()) {
    full_ = true;
  } else if (!chunked_ || up(rest) <= budget_.chunk) {
    tokens = rest;
  } else {
    // A piece that is cut off ends with a page.
    const std::int64_t end = (hit.length + budget_.chunk / page_ * page_) / page_ * page_;
    tokens = std::max<std::int64_t>(0, end - hit.length);
  }
  if (tokens == 0) {
    tree_.release(hit.node);
  } else {
    r.node = hit.node;
  }
  return tokens;
}

// Requests that ignore their end token, without a prefix cache: when each ends is known, so SGLang looks ahead whether
// memory lasts until then, request by request in the order of their ends.
std::int64_t SglangScheduler::piece_by_look_ahead(const Held& r) {
  const std::int64_t rest = r.size();
  const double reserved = std::max(static_cast<double>(budget_.taken), budget_.reserved);
  if (static_cast<double>(up(rest)) > static_cast<double>(available()) - reserved) return refuse_for_memory();
  const auto future = [&](const Held& x) {
    return FutureEnd{static_cast<double>(x.max_new) * (x.runs_to_limit ? 1.0 : ratio_) - static_cast<double>(x.output),
                     x.size()};
  };
  if (!budget_.looked_ahead) {
    budget_.looked_ahead = true;
    const auto add = [&](const Held& x) {
      if (const FutureEnd end = future(x); end.left > 0) future_ends_.push_back(end);
    };
    add(r);
    for (const RequestIndex index : running_) add(requests_[index]);
    for (const RequestIndex index : batch_) add(requests_[index]);
    // Few of them, and equal ones keep their order.
    for (auto end = future_ends_.begin(); end != future_ends_.end(); ++end) {
      std::rotate(std::ranges::upper_bound(future_ends_.begin(), end, end->left, {}, &FutureEnd::left), end, end + 1);
    }
  } else if (const FutureEnd end = future(r); end.left > 0) {
    // SGLang's search stops at the last entry, so one that ends after all others is put before the last.
    auto place = std::ranges::find_if(future_ends_, [&](const FutureEnd& e) { return end.left <= e.left; });
    if (place == future_ends_.end() && !future_ends_.empty()) --place;
    future_ends_.insert(place, end);
  }
  const auto room = static_cast<double>(available() - budget_.taken - up(rest));
  std::int64_t freed = 0;
  auto left = static_cast<std::int64_t>(future_ends_.size());
  for (const FutureEnd& end : future_ends_) {
    const auto count = static_cast<double>(left--);
    if (room + static_cast<double>(freed) - end.left * count <= count) return refuse_for_memory();
    freed += end.held;
  }
  if (!chunked_ || rest <= budget_.chunk) return rest;
  return std::max<std::int64_t>(0, budget_.chunk);
}

// ---- preemption -------------------------------------------------------------------------------------------------

// Takes running requests off the device whose priority is lower by more than the threshold, the lowest and of these the
// latest first, until what the request may need is covered. Nobody is taken if all of them would not do.
bool SglangScheduler::preempt_for(const Held& r) {
  double needed = static_cast<double>(r.size() - r.matched + reservation(r)) -
                  (static_cast<double>(available()) - budget_.reserved);
  stay_.clear();
  for (const RequestIndex v : running_) {
    if (!requests_[v].finished) stay_.push_back(v);
  }
  std::ranges::sort(stay_, [&](RequestIndex a, RequestIndex b) {
    const Held &x = requests_[a], &y = requests_[b];
    return std::tuple(sign_ * x.priority, y.entry) < std::tuple(sign_ * y.priority, x.entry);
  });
  std::size_t taken = 0;
  while (taken < stay_.size()) {
    const Held& v = requests_[stay_[taken]];
    if (sign_ * (r.priority - v.priority) <= config_.priority_scheduling_preemption_threshold) break;
    ++taken;
    needed -= static_cast<double>(still_to_come(v)) * ratio_;
    if (needed <= 0) break;
  }
  if (taken == 0 || needed > 0) return false;
  const std::span<const RequestIndex> chosen = std::span(stay_).first(taken);
  auto left = static_cast<std::int64_t>(running_.size());
  std::erase_if(running_, [&](RequestIndex v) {
    if (std::ranges::find(chosen, v) == chosen.end()) return false;
    budget_.reserved -= static_cast<double>(still_to_come(requests_[v])) * ratio_;
    send_back(v);
    make_room(--left * config_.retract_decode_steps);
    return true;
  });
  victims_.insert(victims_.end(), chosen.begin(), chosen.end());
  pass_.preempted.insert(pass_.preempted.end(), chosen.begin(), chosen.end());
  return true;
}

// ---- launch -----------------------------------------------------------------------------------------------------

// Mixed: the running requests ride along, behind the prompts, and the batch is all there is.
void SglangScheduler::launch_prefill() {
  std::int64_t total = page_ > 1 ? static_cast<std::int64_t>(batch_.size()) * page_ : 0;
  for (const RequestIndex r : batch_) total += requests_[r].end - requests_[r].start;
  make_room(total);
  for (const RequestIndex index : batch_) {
    Held& r = requests_[index];
    take(up(r.end) - up(r.start));
    r.kv = r.allocated = r.end;
    if (!r.has_slot) ++held_slots_;
    r.has_slot = true;
    const bool whole = index != open_chunk_;
    step_.requests.push_back(
        {.request = index, .context = r.start, .tokens = r.end - r.start, .prompt = true, .samples = whole});
    now_.rows.push_back({.request = index, .epoch = r.epoch, .prompt = true, .whole = whole, .end = r.end});
  }
  now_.kind = pass_.kind = SglangPassKind::kExtend;
  if (!mixed_ || running_.empty()) return;
  drop_finished();
  if (!running_.empty()) {
    now_.kind = pass_.kind = SglangPassKind::kMixed;
    make_room(static_cast<std::int64_t>(running_.size()) * page_);
    extend_decodes(running_);
  }
  for (const RequestIndex r : running_) requests_[r].in_running = false;
  running_.clear();
}

}  // namespace ascendsim
