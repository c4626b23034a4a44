#include "strategies/serving/schedulers/sglang.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "sim/check.h"

namespace ascendsim {

std::string why_refused(const SglangConfig& c) {
  const auto below = [](std::int64_t value, std::int64_t least) { return value < least; };
  if (below(c.page_size, 1)) return "page_size must be at least 1";
  if (below(c.pool_tokens, c.page_size)) return "pool_tokens must hold at least one page";
  if (below(c.context_len, 1)) return "context_len must be at least 1";
  if (below(c.max_running_requests, 1)) return "max_running_requests must be at least 1";
  if (c.chunked_prefill_size == 0 || below(c.chunked_prefill_size, -1)) {
    return "chunked_prefill_size must be positive, or -1 for no chunks";
  }
  if (below(c.max_prefill_tokens, 1)) return "max_prefill_tokens must be at least 1";
  if (c.prefill_max_requests && below(*c.prefill_max_requests, 1)) return "prefill_max_requests must be at least 1";
  if (!(c.schedule_conservativeness >= 0)) return "schedule_conservativeness must not be negative";
  if (below(c.num_draft_tokens, 0)) return "num_draft_tokens must not be negative";
  if (below(c.num_reserved_decode_tokens, 0)) return "num_reserved_decode_tokens must not be negative";
  if (below(c.extra_slots, 0)) return "extra_slots must not be negative";
  if (below(c.new_token_ratio_decay_steps, 1)) return "SGLANG_NEW_TOKEN_RATIO_DECAY_STEPS must be at least 1";
  if (below(c.retract_decode_steps, 0)) return "SGLANG_RETRACT_DECODE_STEPS must not be negative";
  if (c.role == SglangRole::kDecode && (c.enable_priority_scheduling || c.schedule_policy != SglangPolicy::kFcfs)) {
    return "the decode side takes requests in the order of their arrival: policy fcfs, no priorities";
  }
  return {};
}

SglangScheduler::SglangScheduler(const SglangConfig& config)
    : config_(config),
      page_(config.page_size),
      pool_(config.pool_tokens / config.page_size * config.page_size),
      slots_(config.max_running_requests + (config.role == SglangRole::kDecode ? config.extra_slots : 0)),
      longest_request_(std::min(config.context_len, pool_) - 1),
      // The decode side has no prefix cache whatever the option says (server_args.py).
      radix_(!config.disable_radix_cache && config.role != SglangRole::kDecode),
      overlap_(!config.disable_overlap_schedule),
      chunked_(config.chunked_prefill_size > 0),
      mixed_(config.enable_mixed_chunk && chunked_ && config.num_draft_tokens == 0),
      preempts_(config.enable_priority_scheduling && !config.disable_priority_preemption),
      sign_(config.schedule_low_priority_values_first ? -1 : 1),
      ratio_start_(std::min(1.0, config.init_new_token_ratio * config.schedule_conservativeness)),
      ratio_floor_(std::min(1.0, ratio_start_ * config.min_new_token_ratio_factor)),
      ratio_step_((ratio_start_ - ratio_floor_) / static_cast<double>(config.new_token_ratio_decay_steps)),
      tree_(texts_, config.page_size, config.num_draft_tokens > 0),
      queue_tree_(texts_, 1, false),
      ratio_(ratio_start_),
      free_(pool_) {
  check(why_refused(config).empty(), "an SGLang scheduler is made of a configuration that is refused");
}

// ---- requests ---------------------------------------------------------------------------------------------------

// SGLang's own bounds: a request leaves room for one more token and five besides, and never outgrows the pool.
std::optional<RequestIndex> SglangScheduler::add(const Request& request, const SglangSampling& sampling) {
  const std::int64_t input = request.input_tokens;
  if (input >= longest_request_ - 5) return std::nullopt;
  if (unused_.empty()) {
    unused_.push_back(static_cast<RequestIndex>(requests_.size()));
    requests_.emplace_back();
  }
  const RequestIndex index = unused_.back();
  unused_.pop_back();
  const std::uint32_t epoch = requests_[index].epoch;
  Held& r = requests_[index] = {};
  const std::int64_t asked = sampling.max_new_tokens.value_or(request.output_tokens);
  r.input = input;
  r.max_new = std::max<std::int64_t>(0, std::min({asked, longest_request_ - input - 1, pool_ - up(input) - page_ - 1}));
  r.end_at = sampling.ignore_eos ? r.max_new : std::min(r.max_new, request.output_tokens);
  if (config_.role == SglangRole::kPrefill) r.max_new = r.end_at = 1;
  r.runs_to_limit = sampling.ignore_eos;
  r.priority = request.priority;
  r.text = texts_.add(request.shared, input);
  r.epoch = epoch;
  ++in_flight_;
  arrived_.push_back(index);
  return index;
}

void SglangScheduler::enter_queue(RequestIndex r) {
  requests_[r].entry = ++entries_;
  waiting_.push_back(r);
}

void SglangScheduler::send_back(RequestIndex index) {
  Held& r = requests_[index];
  give_back(r, false);
  ++r.epoch;
  ++r.returns;
  r.in_running = false;
}

void SglangScheduler::finish(RequestIndex index) {
  Held& r = requests_[index];
  give_back(r, true);
  texts_.release(r.text);
  ++r.epoch;
  r.finished = true;
  --in_flight_;
  pass_.finished.push_back(index);
  if (!r.in_running) leaving_.push_back(index);
}

std::int64_t SglangScheduler::reservation(const Held& r) const {
  return std::min(r.max_new, config_.clip_max_new_tokens_estimation);
}

std::int64_t SglangScheduler::still_to_come(const Held& r) const {
  return std::min(r.max_new - r.output, config_.clip_max_new_tokens_estimation);
}

// ---- memory -----------------------------------------------------------------------------------------------------

void SglangScheduler::make_room(std::int64_t tokens) {
  if (!radix_ || free_ >= tokens) return;
  const std::int64_t gone = tree_.evict(tokens - free_);
  free_ += gone;
  pass_.evicted += gone;
}

void SglangScheduler::take(std::int64_t tokens) {
  if (tokens > free_) {
    throw SglangStop(fmt::format("out of memory: {} tokens are needed, {} are free; {}", tokens, free_, state()));
  }
  free_ -= tokens;
}

// The first `tokens` tokens enter the tree; copies of what is there already are freed.
void SglangScheduler::remember(Held& r, std::int64_t tokens) {
  r.matched = tokens;
  if (!radix_) return;
  const auto [there, node] = tree_.insert(r.text, tokens);
  free_ += std::max<std::int64_t>(0, there - r.in_tree);
  tree_.release(r.node);
  tree_.hold(node);
  r.node = node;
  r.in_tree = tree_.keys(tokens);
}

// keep: what was computed stays in the tree. Otherwise only what was there before it.
void SglangScheduler::give_back(Held& r, bool keep) {
  std::int64_t in_tree = 0;
  if (radix_) {
    in_tree = tree_.keys(r.kv);
    const std::int64_t copies = keep ? tree_.insert(r.text, r.kv).length : in_tree;
    free_ += std::max<std::int64_t>(0, copies - r.in_tree);
    tree_.release(r.node);
  }
  free_ += up(r.allocated) - in_tree;
  r.kv = r.allocated = r.matched = r.in_tree = 0;
  r.node = PrefixTree::kRoot;
  if (r.has_slot) --held_slots_;
  r.has_slot = false;
}

std::int64_t SglangScheduler::accounted_tokens() const {
  std::int64_t tokens = free_ + tree_.size();
  for (const Held& r : requests_) tokens += r.has_slot ? up(r.allocated) - r.in_tree : 0;
  return tokens;
}

// ---- a pass -----------------------------------------------------------------------------------------------------

const ScheduledStep& SglangScheduler::schedule() {
  begin_pass();
  if (!form_prefill()) form_decode();
  return step_;
}

void SglangScheduler::complete(std::span<const std::int32_t> gained) {
  take_results(gained);
  end_pass();
}

void SglangScheduler::clear_pass() {
  pass_.kind = SglangPassKind::kIdle;
  pass_.evicted = 0;
  pass_.ratio_before = ratio_;
  for (auto* list : {&pass_.retracted, &pass_.preempted, &pass_.allocated, &pass_.finished}) list->clear();
  pass_.sent.clear();
  pass_.gained.clear();
  unused_.insert(unused_.end(), leaving_.begin(), leaving_.end());
  leaving_.clear();
}

void SglangScheduler::begin_pass() {
  clear_pass();
  step_.requests.clear();
  now_.kind = SglangPassKind::kIdle;
  now_.rows.clear();
  for (const RequestIndex r : arrived_) {
    switch (config_.role) {
      case SglangRole::kBoth:
        enter_queue(r);
        break;
      case SglangRole::kPrefill:
        bootstrap_.push_back(r);
        break;
      case SglangRole::kDecode:
        prealloc_.push_back(r);
        break;
    }
  }
  arrived_.clear();
  if (open_chunk_) remember(requests_[*open_chunk_], requests_[*open_chunk_].end);
  switch (config_.role) {
    case SglangRole::kBoth:
      merge_last_prefill();
      break;
    case SglangRole::kPrefill:
      leave_bootstrap();
      break;
    case SglangRole::kDecode:
      resume_retracted();
      preallocate();
      break;
  }
}

// The last prefill batch joins the running one. If it lost a request, or if it replaces an empty batch, the latch goes.
void SglangScheduler::merge_last_prefill() {
  if (last_.kind != SglangPassKind::kExtend && last_.kind != SglangPassKind::kMixed) return;
  const std::size_t before = running_.size();
  for (const SglangRow& row : last_.rows) {
    if (!awaited(row)) continue;
    requests_[row.request].in_running = true;
    running_.push_back(row.request);
  }
  const std::size_t joined = running_.size() - before;
  if (joined < last_.rows.size() || (before == 0 && joined > 0)) full_ = false;
}

void SglangScheduler::drop_finished() {
  std::erase_if(running_, [&](RequestIndex r) {
    if (!requests_[r].finished) return false;
    leaving_.push_back(r);
    return true;
  });
}

bool SglangScheduler::form_decode() {
  if (config_.role == SglangRole::kPrefill) return false;
  const std::size_t before = running_.size();
  drop_finished();
  if (running_.empty()) {
    if (before > 0) full_ = false;
    return false;
  }
  if (fits(running_)) {
    ratio_ = std::max(ratio_ - ratio_step_, ratio_floor_);
  } else {
    retract();
  }
  if (running_.size() < before) full_ = false;
  now_.kind = pass_.kind = SglangPassKind::kDecode;
  extend_decodes(running_);
  return true;
}

void SglangScheduler::form_idle() { now_.kind = pass_.kind = SglangPassKind::kIdleBatch; }

// Slots that a request holds in the next decode step. A verify wants two steps' worth of drafts beyond what counts, and
// never gives slots back.
std::int64_t SglangScheduler::slots_wanted(const Held& r) const {
  const std::int64_t drafts = config_.num_draft_tokens;
  return drafts > 0 ? std::max(r.allocated, up(r.kv + 2 * drafts)) : r.kv + 1;
}

bool SglangScheduler::fits(std::span<const RequestIndex> requests) {
  std::int64_t needed = 0;
  for (const RequestIndex r : requests) needed += growth(requests_[r]);
  make_room(needed);
  return free_ >= needed;
}

// Allocates for one decode step of these and writes it down. SGLang makes room for a page each, whoever needs one.
void SglangScheduler::extend_decodes(std::span<const RequestIndex> requests) {
  const std::int64_t drafts = config_.num_draft_tokens;
  const auto count = static_cast<std::int64_t>(requests.size());
  if (drafts == 0) {
    make_room(count * page_);
  } else {
    std::int64_t wanted = 0;
    for (const RequestIndex r : requests) wanted += slots_wanted(requests_[r]) - requests_[r].allocated;
    if (wanted > 0) make_room(wanted + (page_ > 1 ? count * page_ : 0));
  }
  for (const RequestIndex index : requests) {
    Held& r = requests_[index];
    take(growth(r));
    step_.requests.push_back({.request = index,
                              .context = r.kv,
                              .tokens = std::max<std::int64_t>(1, drafts),
                              .drafts = std::max<std::int64_t>(0, drafts - 1),
                              .samples = true});
    now_.rows.push_back({.request = index, .epoch = r.epoch, .whole = true});
    r.allocated = slots_wanted(r);
    if (drafts == 0) ++r.kv;
  }
}

// Takes requests off the device until the rest fits, at least one, never the last: least output first, among equals the
// longest prompt, before that the lowest priority if the policy says so. The ratio becomes what the rest has used up.
void SglangScheduler::retract() {
  stay_.assign(running_.begin(), running_.end());
  for (std::uint32_t place = 0; place < stay_.size(); ++place) requests_[stay_[place]].place = place;
  const bool by_priority = config_.retraction_policy == SglangRetraction::kPriority;
  std::ranges::sort(stay_, {}, [&](RequestIndex index) {
    const Held& r = requests_[index];
    return std::tuple(by_priority ? -sign_ * r.priority : 0, -r.output, r.input, r.place);
  });
  while (stay_.size() > 1 && (pass_.retracted.empty() || !fits(stay_))) {
    const RequestIndex r = stay_.back();
    stay_.pop_back();
    pass_.retracted.push_back(r);
    send_back(r);
    if (config_.role == SglangRole::kDecode) {
      retracted_.push_back(r);
    } else {
      make_room(static_cast<std::int64_t>(stay_.size()) * config_.retract_decode_steps);
      enter_queue(r);
    }
  }
  running_.swap(stay_);
  std::int64_t made = 0, asked = 1;
  for (const RequestIndex r : running_) {
    made += requests_[r].output + config_.retract_decode_steps;
    asked += requests_[r].max_new;
  }
  ratio_ = std::min(1.0, static_cast<double>(made) / static_cast<double>(asked));
}

// ---- results ----------------------------------------------------------------------------------------------------

std::span<const SglangRow> SglangScheduler::results_due() const { return overlap_ ? last_.rows : now_.rows; }

bool SglangScheduler::nothing_to_do() const {
  return now_.kind == SglangPassKind::kIdle && waiting_.empty() && running_.empty() && !open_chunk_ &&
         bootstrap_.empty() && inflight_.empty() && prealloc_.empty() && transfer_.empty() && retracted_.empty();
}

bool SglangScheduler::done() const {
  return in_flight_ == 0 && (last_.kind == SglangPassKind::kIdle || last_.kind == SglangPassKind::kIdleBatch);
}

// A rank that has nothing at all to do starts again with the first ratio.
void SglangScheduler::take_results(std::span<const std::int32_t> gained) {
  const Batch& due = overlap_ ? last_ : now_;
  if (due.kind != SglangPassKind::kIdle) {
    process(due, gained);
  } else if (nothing_to_do()) {
    ratio_ = ratio_start_;
  }
}

void SglangScheduler::process(const Batch& batch, std::span<const std::int32_t> gained) {
  if (config_.role == SglangRole::kPrefill) return process_prefill_side(batch);
  const bool verified = config_.num_draft_tokens > 0 && batch.kind == SglangPassKind::kDecode;
  check(!verified || gained.size() == batch.rows.size(), "every verified request says how many tokens it gained");
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const SglangRow& row = batch.rows[i];
    if (!awaited(row)) continue;
    Held& r = requests_[row.request];
    if (verified) {
      r.kv += gained[i];
      r.output += gained[i];
      pass_.gained.push_back({row.request, gained[i]});
    } else {
      ++r.output;
    }
    if (r.output >= r.end_at) {
      finish(row.request);
    } else if (row.prompt) {
      remember(r, row.end);
    }
  }
}

void SglangScheduler::end_pass() {
  if (config_.role == SglangRole::kPrefill) release_transferred();
  std::swap(now_, last_);
}

std::string SglangScheduler::state() const {
  std::string text = fmt::format("{} running, {} waiting", running_.size(), waiting_.size());
  const auto queue = [&](const char* name, const std::vector<RequestIndex>& list) {
    if (!list.empty()) text += fmt::format(", {} {}", list.size(), name);
  };
  queue("before the handshake", bootstrap_);
  queue("handed to the transfer", inflight_);
  queue("without memory", prealloc_);
  queue("in transfer", transfer_);
  queue("retracted to host memory", retracted_);
  text += fmt::format("; {} of {} tokens free, {} evictable, {} of {} slots free", free_, pool_, tree_.evictable(),
                      free_slots(), slots_);
  if (full_) text += ", batch is full";
  if (open_chunk_) text += ", a prompt is half prefilled";
  return text;
}

}  // namespace ascendsim
