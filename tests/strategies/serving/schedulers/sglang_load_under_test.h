// Random loads for SGLang's scheduler, and an engine that runs them pass by pass or several passes at once.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "strategies/serving/schedulers/sglang_ranks.h"
#include "strategies/serving/schedulers/sglang_recording.h"

namespace ascendsim {

// A linear congruential generator with its upper bits mixed: the same loads everywhere.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::int64_t among(std::int64_t least, std::int64_t most) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t bits = (state_ ^ (state_ >> 29)) >> 20;
    return least + static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(most - least + 1));
  }
  bool percent(std::int64_t share) { return among(1, 100) <= share; }
  std::int64_t one_of(std::initializer_list<std::int64_t> values) {
    return values.begin()[among(0, static_cast<std::int64_t>(values.size()) - 1)];
  }

 private:
  std::uint64_t state_;
};

// All features in all combinations that exist; pools are small, so that memory is short now and then.
inline SglangRecording random_load(std::uint64_t seed) {
  Draws draw(seed);
  SglangRecording load;
  SglangConfig& c = load.config;
  c.page_size = draw.one_of({1, 1, 4, 16, 128});
  const bool large = c.page_size == 128;
  c.pool_tokens = large ? draw.one_of({2048, 2560, 4096}) : draw.one_of({320, 500, 800, 1500});
  c.chunked_prefill_size = large ? draw.one_of({256, 512, 1024, -1}) : draw.one_of({64, 96, 128, 256, -1});
  if (draw.percent(20)) c.max_prefill_tokens = draw.one_of({100, 300, 600});
  c.max_running_requests = draw.one_of({3, 5, 8, 48});
  c.disable_overlap_schedule = draw.percent(50);
  c.disable_radix_cache = draw.percent(25);
  c.schedule_conservativeness = static_cast<double>(draw.one_of({1, 6, 20, 40})) / 20;
  if (draw.percent(20)) c.prefill_max_requests = draw.among(1, 3);
  if (draw.percent(15)) c.min_free_slots = 2;
  if (draw.percent(15)) c.new_token_ratio_decay_steps = 20;
  c.role = static_cast<SglangRole>(draw.one_of({0, 0, 0, 0, 1, 2}));
  if (c.role != SglangRole::kDecode) {
    c.schedule_policy = static_cast<SglangPolicy>(draw.one_of({0, 0, 1, 2}));
    if (c.schedule_policy != SglangPolicy::kLongestPrefix && draw.percent(30)) {
      c.enable_priority_scheduling = true;
      c.schedule_low_priority_values_first = draw.percent(30);
      c.disable_priority_preemption = draw.percent(40);
      c.retraction_policy = static_cast<SglangRetraction>(draw.among(0, 1));
    }
  }
  c.num_reserved_decode_tokens = draw.one_of({5, 20, 60});
  c.extra_slots = draw.one_of({0, 2});
  load.handshake_steps = draw.among(0, 2);
  load.transfer_steps = draw.one_of({0, 1, 2, 5});
  if (draw.percent(20)) {
    c.num_draft_tokens = draw.one_of({2, 4});
    for (int i = 0; i < 5; ++i)
      load.accept_pattern.push_back(static_cast<std::int32_t>(draw.among(1, c.num_draft_tokens)));
  } else if (c.chunked_prefill_size > 0) {
    c.enable_mixed_chunk = draw.percent(30);
  }
  load.ranks = draw.percent(20) ? 3 : 1;
  load.skip_mlp_sync = draw.percent(30);
  const std::int64_t longest = large ? draw.one_of({300, 700}) : draw.one_of({60, 100, c.pool_tokens / 4});
  const std::int64_t most_output = draw.one_of({4, 30, 60});
  std::int64_t step = 0;
  for (std::int64_t i = draw.among(4, 20); i > 0; --i) {
    SglangRecording::Load r;
    r.arrival_step = step;
    r.rank = static_cast<std::size_t>(draw.among(0, static_cast<std::int64_t>(load.ranks) - 1));
    r.request.input_tokens = draw.among(5, longest);
    r.request.output_tokens = draw.among(1, most_output);
    r.request.priority = draw.one_of({0, 5, 12, 30});
    if (draw.percent(50)) {
      r.request.shared.push_back(
          {.tokens = draw.among(0, r.request.input_tokens), .content = static_cast<std::uint64_t>(draw.among(0, 2))});
    }
    r.sampling.max_new_tokens = r.request.output_tokens * draw.one_of({1, 1, 2, 3});
    if (draw.percent(20)) r.sampling = {.max_new_tokens = r.request.output_tokens, .ignore_eos = true};
    load.requests.push_back(std::move(r));
    step += draw.one_of({0, 0, 0, 1, 2, 6, 30});
  }
  return load;
}

class EngineUnderTest {
 public:
  explicit EngineUnderTest(const SglangRecording& load)
      : load_(load),
        ranks_(load.config, load.ranks, load.skip_mlp_sync),
        numbers_(load.ranks),
        under_way_(load.ranks),
        verified_(load.requests.size(), 0) {}

  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] bool done() const { return step_ > 0 && next_ == load_.requests.size() && ranks_.done(); }
  SglangRanks& ranks() { return ranks_; }
  [[nodiscard]] std::size_t number(std::size_t rank, RequestIndex r) const { return numbers_[rank][r]; }

  void pass() {
    begin();
    ranks_.form();
    for (std::size_t i = 0; i < ranks_.size(); ++i) complete(i);
    ++step_;
  }

  // Of the next passes: steady, and nothing comes from outside.
  std::int64_t steady_passes() {
    std::int64_t until = ranks_.steady_passes();
    if (next_ < load_.requests.size()) until = std::min(until, load_.requests[next_].arrival_step - step_);
    for (const auto& list : under_way_) {
      for (const Event& e : list) until = std::min(until, e.step - step_);
    }
    return std::max<std::int64_t>(0, until);
  }
  void advance(std::int64_t passes) {
    ranks_.advance(passes);
    step_ += passes;
  }

  // All that can be seen of the engine.
  std::vector<std::int64_t> seen() {
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      const SglangScheduler& s = ranks_.rank(i);
      const SglangPass& pass = s.pass();
      all.insert(all.end(),
                 {s.free_tokens(), s.evictable_tokens(), s.free_slots(), s.in_flight(),
                  std::bit_cast<std::int64_t>(s.new_token_ratio()), s.batch_is_full() ? 1 : 0,
                  static_cast<std::int64_t>(pass.kind), pass.evicted, std::bit_cast<std::int64_t>(pass.ratio_before)});
      for (const auto queue :
           {s.running(), s.waiting(), s.bootstrapping(), s.inflight(), s.preallocating(), s.transferring(),
            s.retracted(), std::span<const RequestIndex>(pass.retracted), std::span<const RequestIndex>(pass.preempted),
            std::span<const RequestIndex>(pass.finished), std::span<const RequestIndex>(pass.allocated)}) {
        all.push_back(-1);
        for (const RequestIndex r : queue) {
          all.push_back(static_cast<std::int64_t>(number(i, r)));
          all.push_back(s.output_tokens(r));
        }
      }
      for (const ScheduledRequest& r : s.step().requests) all.insert(all.end(), {r.request, r.context, r.tokens});
    }
    return all;
  }

 private:
  struct Event {
    std::int64_t step = 0;
    RequestIndex request = 0;
    bool handshake = false;
  };

  void begin() {
    for (; next_ < load_.requests.size() && load_.requests[next_].arrival_step <= step_; ++next_) {
      const SglangRecording::Load& r = load_.requests[next_];
      if (const auto index = ranks_.rank(r.rank).add(r.request, r.sampling)) {
        auto& numbers = numbers_[r.rank];
        if (*index >= numbers.size()) numbers.resize(*index + 1);
        numbers[*index] = next_;
        if (load_.config.role != SglangRole::kBoth) {
          under_way_[r.rank].push_back({step_ + load_.handshake_steps, *index, true});
        }
      }
    }
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      tell(i);
      ranks_.rank(i).begin_pass();
      for (const RequestIndex r : ranks_.rank(i).pass().allocated) {
        under_way_[i].push_back({step_ + load_.transfer_steps, r, false});
      }
      tell(i);
    }
  }

  void complete(std::size_t i) {
    SglangScheduler& rank = ranks_.rank(i);
    std::vector<std::int32_t> gained;
    if (!load_.accept_pattern.empty()) {
      for (const SglangRow& row : rank.results_due()) {
        const bool verifies = rank.awaited(row) && !row.prompt;
        gained.push_back(
            verifies ? load_.accept_pattern[verified_[number(i, row.request)]++ % load_.accept_pattern.size()] : 0);
      }
    }
    rank.take_results(gained);
    for (const SglangSent& sent : rank.pass().sent) {
      if (sent.last) under_way_[i].push_back({step_ + load_.transfer_steps, sent.request, false});
    }
    tell(i);
    rank.end_pass();
  }

  void tell(std::size_t i) {
    std::erase_if(under_way_[i], [&](const Event& e) {
      if (e.step > step_) return false;
      e.handshake ? ranks_.rank(i).handshake_done(e.request) : ranks_.rank(i).transfer_done(e.request);
      return true;
    });
  }

  const SglangRecording& load_;
  SglangRanks ranks_;
  std::vector<std::vector<std::size_t>> numbers_;
  std::vector<std::vector<Event>> under_way_;
  std::vector<std::size_t> verified_;
  std::size_t next_ = 0;
  std::int64_t step_ = 0;
};

}  // namespace ascendsim
