#include "strategies/serving/schedulers/mindie.h"

#include <algorithm>
#include <numeric>

#include "sim/check.h"

namespace ascendsim {

std::string unsupported(const MindieConfig& c) {
  const bool ring = c.ranks() > 1;
  if (ring && c.max_preempt_count > 0) return "MindIE cannot swap when sp x cp is above 1: maxPreemptCount must be 0";
  if (c.role == MindieRole::kDecode && c.prefix_cache) return "MindIE has no prefix cache on decode nodes";
  if (c.role == MindieRole::kDecode && c.split_fuse) return "SplitFuse is about prompts, a decode node has none";
  return {};
}

MindieScheduler::MindieScheduler(const MindieConfig& config)
    : config_(config),
      blocks_(config),
      select_batch_(config),
      dynamic_batch_(config),
      max_batch_(config.max_batch),
      max_prefill_batch_(config.max_prefill_batch) {
  check(unsupported(config).empty(), "a configuration that the MindIE scheduler does not support");
}

RequestIndex MindieScheduler::add(const Request& request) {
  RequestIndex number = 0;
  if (free_numbers_.empty()) {
    number = static_cast<RequestIndex>(sequences_.size());
    sequences_.emplace_back();
  } else {
    number = free_numbers_.back();
    free_numbers_.pop_back();
  }
  sequences_[number] = {.order = arrivals_++,
                        .arrival = request.arrival,
                        .input = request.input_tokens,
                        .limit = request.output_tokens,
                        .prompt = request.input_tokens};
  blocks_.enter(number, request);
  waiting_.push_back(number);
  pulls_blocked_ = false;
  return number;
}

std::int64_t MindieScheduler::known_outputs(RequestIndex request) const {
  const Sequence& s = sequences_[request];
  return s.outputs + s.prompt - s.input + s.pending;
}

void MindieScheduler::complete(std::span<const MindieResult> results, Duration now) {
  if (config_.measures_times) measure(results, now);
  for (const MindieResult& result : results) {
    Sequence& s = sequences_[result.request];
    // Answers are thrown away while the request is in the middle of a prompt, those that come late among them.
    if (!config_.split_fuse || s.last_chunk) s.pending += result.tokens;
    s.finished = s.finished || result.finished;
    if (s.finished && s.place == Place::kTransferring && config_.role == MindieRole::kPrefill) {
      pulled_.push_back(result.request);  // nobody will pull it
      s.finished = false;
    }
  }
}

void MindieScheduler::measure(std::span<const MindieResult> results, Duration now) {
  const auto whole_ms = [](Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); };
  if (config_.stage_policy == MindieStagePolicy::kLatency && !results.empty()) {
    const auto ms = static_cast<float>(whole_ms(now - started_));
    if (measured_prefill_) times_.measure_prefill(measured_tokens_, ms);
    if (measured_decode_) times_.measure_decode(measured_tokens_, measured_blocks_, ms);
  }
  if (!config_.dynamic_batch || config_.split_fuse) return;
  for (const MindieResult& result : results) {
    Sequence& s = sequences_[result.request];
    if (++s.answers > 1 && result.tokens > 0) {
      const float per_token = static_cast<float>(whole_ms(now - s.last_answer)) / static_cast<float>(result.tokens);
      for (std::int64_t i = 0; i < result.tokens; ++i)
        dynamic_batch_.measure_token(static_cast<std::int64_t>(per_token));
    }
    s.last_answer = now;
  }
}

MindieStage MindieScheduler::choose(Duration now) {
  if (config_.role == MindieRole::kDecode) return MindieStage::kDecode;
  if (config_.split_fuse) return MindieStage::kMixed;
  if (config_.role == MindieRole::kPrefill) return MindieStage::kPrefill;
  if (last_round_empty_ && !running_.empty()) return MindieStage::kDecode;
  const auto stage = [](bool prefill) { return prefill ? MindieStage::kPrefill : MindieStage::kDecode; };
  if (config_.stage_policy == MindieStagePolicy::kSelectBatch)
    return stage(select_batch_.prefill_now(static_cast<std::int64_t>(waiting_.size()),
                                           static_cast<std::int64_t>(running_.size()), max_batch_));
  if (config_.stage_policy == MindieStagePolicy::kLatency) {
    if (running_.empty()) return MindieStage::kPrefill;
    if (waiting_.empty() || max_prefill_batch_ == 0) return MindieStage::kDecode;
    MindieQueues queues;
    const auto first = [this](const RingQueue<RequestIndex>& queue) {
      return std::min(queue.size(), static_cast<std::size_t>(max_batch_));
    };
    queues.first_wait_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - sequences_[waiting_.front()].arrival).count();
    for (std::size_t i = 0; i < first(waiting_); ++i) {
      const Sequence& s = sequences_[waiting_[i]];
      const std::int64_t cached = blocks_.cached_tokens(waiting_[i], s.length(), 0);
      queues.waiting_tokens += std::max<std::int64_t>(1, s.length() - cached);
    }
    queues.decode_requests = static_cast<std::int64_t>(first(running_) + first(swapped_));
    for (std::size_t i = 0; i < first(running_); ++i) queues.decode_blocks += blocks_.held(running_[i]);
    for (std::size_t i = 0; i < first(swapped_); ++i)
      queues.decode_blocks += ceil_div(sequences_[swapped_[i]].length(), config_.block_size);
    return stage(mindie_prefill_is_urgent(config_, times_, queues));
  }
  if (waiting_.empty() || !swapped_.empty() || below_reserve()) return MindieStage::kDecode;
  return stage(batch_is_full() || now - sequences_[waiting_.front()].arrival >= config_.max_queue_delay);
}

// A twentieth of the blocks is left to decoding.
bool MindieScheduler::below_reserve() const {
  constexpr float kReserve = 0.05F;  // in single precision, as there
  return blocks_.free() < static_cast<std::int64_t>(kReserve * static_cast<float>(blocks_.per_rank()));
}

// A full batch starts before the delay is over, but only where the delay is set above its default.
bool MindieScheduler::batch_is_full() const {
  constexpr Duration kDefaultDelay = std::chrono::microseconds(5000);
  return config_.max_queue_delay > kDefaultDelay && static_cast<std::int64_t>(waiting_.size()) >= max_prefill_batch_;
}

const MindieStep& MindieScheduler::schedule(Duration now, MindieStage stage) {
  begin_round(stage);
  take_candidates(stage);
  if (stage != MindieStage::kPrefill) {
    run_pass();
    if (config_.role != MindieRole::kPrefill && step_.recomputed.empty() && step_.swapped_out.empty()) swap_in_pass();
  }
  if (stage != MindieStage::kDecode) admit_pass(now);
  put_back();
  describe(now);
  after_round();
  started_ = now;
  if (!step_.empty()) prepare_next();
  last_round_empty_ = step_.empty();
  return step_;
}

void MindieScheduler::begin_round(MindieStage stage) {
  step_.batch.requests.clear();
  step_.prefill = false;
  step_.handed.clear();
  step_.hit_blocks.clear();
  step_.recomputed.clear();
  step_.swapped_out.clear();
  step_.swapped_in.clear();
  step_.ignored.clear();
  step_.left.clear();
  step_.blocks_swapped_out = step_.blocks_swapped_in = 0;
  decodes_.clear();
  fresh_.clear();
  swapped_chunks_.clear();
  chunks_.clear();
  withdrawn_.clear();
  chunked_ = config_.split_fuse;
  budget_ = chunked_ ? Budget{.tokens = config_.max_prefill_tokens, .requests = max_batch_}
                     : Budget{.tokens = std::max(config_.max_seq_len, config_.max_prefill_tokens),
                              .requests = stage == MindieStage::kPrefill ? max_prefill_batch_ : max_batch_};
}

// The first requests of the queues, up to twice what the round may take.
void MindieScheduler::take_candidates(MindieStage stage) {
  candidates_waiting_.clear();
  candidates_running_.clear();
  candidates_swapped_.clear();
  next_running_ = 0;
  const auto window = static_cast<std::size_t>(2 * budget_.requests);
  if (stage == MindieStage::kPrefill) {
    if (config_.role == MindieRole::kPrefill)
      take(waiting_, candidates_waiting_, window);
    else
      take_waiting_new_first(window);
    return;
  }
  if (config_.role == MindieRole::kPrefill) {
    take(waiting_, candidates_waiting_, window);
    take(running_, candidates_running_, window - candidates_waiting_.size());
    return;
  }
  take(running_, candidates_running_, window);
  if (stage == MindieStage::kMixed) take(waiting_, candidates_waiting_, window - candidates_running_.size());
  take(swapped_, candidates_swapped_, window - candidates_running_.size() - candidates_waiting_.size());
}

void MindieScheduler::take(RingQueue<RequestIndex>& queue, std::vector<RequestIndex>& to, std::size_t most) {
  while (!queue.empty() && to.size() < most) {
    const RequestIndex request = queue.pop_front();
    settle(sequences_[request]);
    if (sequences_[request].finished)
      end(request);
    else
      to.push_back(request);
  }
}

// Requests that are computed again are looked at after all new ones of the round.
void MindieScheduler::take_waiting_new_first(std::size_t most) {
  std::vector<RequestIndex>& again = candidates_swapped_;  // not needed by a prefill round
  while (!waiting_.empty() && candidates_waiting_.size() < most) {
    const RequestIndex request = waiting_.pop_front();
    settle(sequences_[request]);
    if (sequences_[request].finished)
      end(request);
    else
      (sequences_[request].outputs > 0 ? again : candidates_waiting_).push_back(request);
  }
  candidates_waiting_.insert(candidates_waiting_.end(), again.begin(), again.end());
  again.clear();
}

// Tokens that came back take the place of placeholders.
void MindieScheduler::settle(Sequence& s) const {
  if (config_.split_fuse && !s.last_chunk) return;
  if (s.prefilling) {  // recomputed: the placeholders are gone already
    s.outputs += s.pending;
    s.pending = 0;
    if (config_.split_fuse) {
      s.prompt += s.outputs;
      s.outputs = 0;
    }
    return;
  }
  if (s.outputs + s.holes == 0) return;
  // Asynchronous: the answer of a step that came only after the request had been preempted and prefilled again.
  if (s.pending > s.holes) throw MindieStopped("more tokens came back than placeholders stand for");
  s.outputs += s.pending;
  s.holes -= s.pending;
  s.pending = 0;
}

// The request leaves, and so do its blocks.
void MindieScheduler::end(RequestIndex request) {
  blocks_.release(request);
  sequences_[request].place = Place::kGone;
  free_numbers_.push_back(request);
  step_.left.push_back(request);
}

bool MindieScheduler::is_long(const Sequence& s) const {
  return s.prefilling && s.length() - s.computed > config_.long_prefill_threshold;
}

// What a request has to compute in this round, a chunk of it under SplitFuse.
MindieScheduler::Tokens MindieScheduler::tokens_to_compute(RequestIndex request) {
  const Sequence& s = sequences_[request];
  Tokens tokens{.uncached = 1};
  if (s.prefilling) {
    tokens.uncached = s.length() - s.computed;
    if (config_.prefix_cache && config_.ranks() == 1) {
      tokens.cached = std::max<std::int64_t>(0, blocks_.cached_tokens(request, s.length(), s.computed) - s.computed);
      tokens.uncached -= tokens.cached;
    }
    if (tokens.uncached == 0 && tokens.cached > 0) {  // the last token is computed in any case
      tokens.uncached = 1;
      --tokens.cached;
    }
  }
  if (chunked_) {
    const std::int64_t left = std::max<std::int64_t>(0, budget_.tokens - budget_.used_tokens);
    const std::int64_t chunk = config_.prefill_chunk != 0 ? config_.prefill_chunk : config_.max_prefill_tokens;
    tokens.uncached = std::min({tokens.uncached, left, chunk});
  }
  return tokens;
}

void MindieScheduler::set_chunk(Sequence& s, std::int64_t tokens) const {
  if (chunked_) s.last_chunk = s.computed + tokens >= s.prompt;
}

void MindieScheduler::run_pass() {
  long_partial_prefills_ =
      std::ranges::count_if(candidates_running_, [this](RequestIndex request) { return is_long(sequences_[request]); });
  while (next_running_ < candidates_running_.size()) {
    const RequestIndex request = candidates_running_[next_running_];
    const std::int64_t tokens = tokens_to_compute(request).uncached;
    if (!budget_.admits(tokens)) break;
    ++next_running_;
    bool stays = true;
    // The youngest makes room, in the end the one that asks.
    while (stays && (new_request_first_ || !blocks_.can_append(request, sequences_[request].length()))) {
      stays = next_running_ < candidates_running_.size();
      if (stays) {
        preempt(candidates_running_.back());
        candidates_running_.pop_back();
      } else {
        preempt(request);
      }
      new_request_first_ = false;
    }
    if (!stays) continue;
    Sequence& s = sequences_[request];
    blocks_.append(request, s.length(), s.holes);
    set_chunk(s, tokens);
    if (s.prefilling)
      chunks_.push_back({request, tokens});
    else
      decodes_.push_back({request, 1});
    budget_.use(tokens);
  }
}

void MindieScheduler::preempt(RequestIndex victim) {
  Sequence& s = sequences_[victim];
  if (static_cast<std::int64_t>(step_.swapped_out.size()) < config_.max_preempt_count &&
      blocks_.can_swap_out(s.length())) {
    step_.blocks_swapped_out += blocks_.held(victim);
    blocks_.swap_out(victim);
    s.place = Place::kSwapped;
    step_.swapped_out.push_back(victim);
    return;
  }
  blocks_.release(victim);
  s.holes = s.computed = 0;
  s.prefilling = true;
  s.place = Place::kWaiting;
  step_.recomputed.push_back(victim);
}

void MindieScheduler::swap_in_pass() {
  for (std::size_t i = 0; i < candidates_swapped_.size(); ++i) {
    const RequestIndex request = candidates_swapped_[i];
    Sequence& s = sequences_[request];
    const MindieBlocks::Room room = blocks_.room_to_swap_in(s.length());
    if (room == MindieBlocks::Room::kTooLong) throw MindieStopped("a swapped request is longer than the whole cache");
    const Tokens tokens = tokens_to_compute(request);
    if (room == MindieBlocks::Room::kLater || tokens.uncached == 0 || !budget_.admits(tokens.uncached)) {
      candidates_swapped_.erase(candidates_swapped_.begin(),
                                candidates_swapped_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    step_.blocks_swapped_in += blocks_.held(request);
    step_.swapped_in.push_back(request);
    blocks_.swap_in(request);
    blocks_.append(request, s.length(), s.holes);
    s.place = Place::kRunning;
    const std::int64_t handed = s.prefilling ? tokens.uncached + tokens.cached : 1;
    set_chunk(s, handed);
    (s.prefilling ? swapped_chunks_ : decodes_).push_back({request, handed});
    budget_.used_tokens += tokens.uncached;  // the place in the batch is not counted, as there
  }
  candidates_swapped_.clear();
}

void MindieScheduler::admit_pass(Duration now) {
  const std::int64_t longest = chunked_ ? config_.max_seq_len : std::min(config_.max_seq_len, budget_.tokens);
  std::size_t next = 0;
  for (; next < candidates_waiting_.size(); ++next) {
    const RequestIndex request = candidates_waiting_[next];
    Sequence& s = sequences_[request];
    if (s.outputs > 0 && ceil_div(s.length(), config_.block_size) == blocks_.free()) break;
    if (chunked_ && is_long(s) && long_partial_prefills_ >= config_.max_long_partial_prefills) {
      withdrawn_.push_back(request);  // others may pass it
      continue;
    }
    const Tokens tokens = tokens_to_compute(request);
    if (s.outputs == 0 && tokens.uncached + tokens.cached > longest) {
      step_.ignored.push_back(request);
      end(request);
      continue;
    }
    const MindieBlocks::Room room = blocks_.room_for(s.length());
    if (room == MindieBlocks::Room::kTooLong) throw MindieStopped("a request is longer than the whole cache");
    if (room == MindieBlocks::Room::kLater) {
      const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - s.arrival);
      if (s.outputs == 0 && waited > config_.max_first_token_wait) new_request_first_ = true;
      break;
    }
    if (tokens.uncached == 0 || !budget_.admits(tokens.uncached)) break;
    blocks_.place(request, s.length());
    s.place = Place::kRunning;
    if (chunked_ && is_long(s)) ++long_partial_prefills_;
    set_chunk(s, tokens.uncached + tokens.cached);
    fresh_.push_back({request, tokens.uncached + tokens.cached});
    budget_.use(tokens.uncached);
  }
  candidates_waiting_.erase(candidates_waiting_.begin(),
                            candidates_waiting_.begin() + static_cast<std::ptrdiff_t>(next));
}

}  // namespace ascendsim
