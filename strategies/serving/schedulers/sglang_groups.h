// The data-parallel ranks of an SGLang instance in the serving loop.
#pragma once

#include <string>
#include <vector>

#include "strategies/prediction/predict.h"
#include "strategies/serving/live_requests.h"
#include "strategies/serving/schedulers/sglang_ranks.h"

namespace ascendsim {

SglangConfig sglang_config(const Deployment& deployment, std::int64_t pool_tokens);

class SglangGroups {
 public:
  static constexpr bool kEmptyCallsHaveResults = false;
  static constexpr Duration kPoll{};
  // The router gives a request to both sides, which shake hands.
  static constexpr bool kBothSidesAtOnce = true;

  SglangGroups(const SglangConfig& config, std::size_t groups, LiveRequests& live)
      : config_(config), live_(live), ranks_(config, groups), numbers_(groups) {}

  [[nodiscard]] std::size_t size() const { return ranks_.size(); }
  [[nodiscard]] std::size_t depth() const { return config_.disable_overlap_schedule ? 1 : 2; }
  [[nodiscard]] bool drafts() const { return config_.num_draft_tokens > 0; }
  [[nodiscard]] std::int64_t kv_tokens() const { return ranks_.rank(0).pool_tokens(); }

  [[nodiscard]] Rejection refusal(const Request& request) const;
  // In turn (sglang/srt/managers/data_parallel_controller.py, round_robin_scheduler).
  [[nodiscard]] std::size_t choose() const { return next_; }
  void add(LivePlace& place, LiveIndex live);

  void arrived(const LivePlace& place) { ranks_.rank(place.group).transfer_done(place.number); }
  void fetched(const LivePlace& place) { ranks_.rank(place.group).transfer_done(place.number); }
  // Prefill side: the decode side has memory for the request.
  void reserved(const LivePlace& place) { ranks_.rank(place.group).handshake_done(place.number); }
  template <class F>
  void for_each_pull(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      for (const RequestIndex r : ranks_.rank(g).pass().allocated) f(live(g, r), 0);
  }
  template <class F>
  void for_each_sent(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      for (const SglangSent& s : ranks_.rank(g).pass().sent) f(live(g, s.request), s.tokens, s.last);
  }

  bool call(Duration now) {
    static_cast<void>(now);
    ranks_.schedule();
    return ranks_.launched();
  }
  [[nodiscard]] const ScheduledStep& step(std::size_t group) const { return ranks_.rank(group).step(); }
  [[nodiscard]] LiveIndex live(std::size_t group, RequestIndex request) const { return numbers_[group][request]; }
  template <class F>
  void for_each_preempted(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g) {
      for (const RequestIndex r : ranks_.rank(g).pass().retracted) f(live(g, r));
      for (const RequestIndex r : ranks_.rank(g).pass().preempted) f(live(g, r));
    }
  }
  template <class F>
  void for_each_refused(F&&) const {}

  // The end of a pass: the results that are due are those of the oldest step under way, or none.
  template <class Told>
  void settle(Duration now, bool awaited, Told& told) {
    static_cast<void>(now);
    static_cast<void>(awaited);
    for (std::size_t g = 0; g < size(); ++g) {
      SglangScheduler& rank = ranks_.rank(g);
      told_.clear();
      gained_.clear();
      for (const SglangRow& row : rank.results_due()) {
        const bool counts = rank.awaited(row);
        std::int64_t tokens = counts ? 1 : 0;
        if (counts && drafts() && !row.prompt)
          tokens += std::min(live_.accepted(live(g, row.request)), config_.num_draft_tokens - 1);
        if (drafts()) gained_.push_back(static_cast<std::int32_t>(row.prompt ? 0 : tokens));
        if (counts) told_.push_back({row.request, tokens});
      }
      rank.complete(gained_);
      for (const SglangGain& t : told_) told.tokens(live(g, t.request), t.tokens);
      const bool prefills = config_.role == SglangRole::kPrefill;
      for (const RequestIndex r : rank.pass().finished) prefills ? told.left(live(g, r)) : told.ended(live(g, r));
    }
  }

  [[nodiscard]] bool has_work() const { return !ranks_.done(); }
  [[nodiscard]] std::size_t running(std::size_t group) const { return ranks_.rank(group).running().size(); }
  template <class F>
  void for_each_running(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      for (const RequestIndex r : ranks_.rank(g).running()) f(live(g, r));
  }
  [[nodiscard]] std::int64_t steady_steps(Duration& until) const {
    until = Duration::max();
    return ranks_.steady_passes();
  }
  void take_steady_steps(std::int64_t steps, Duration last_call) {
    static_cast<void>(last_call);
    ranks_.advance(steps);
  }
  [[nodiscard]] std::string state() const;

 private:
  SglangConfig config_;
  LiveRequests& live_;
  SglangRanks ranks_;
  std::vector<LiveNumbers> numbers_;
  std::size_t next_ = 0;
  std::vector<SglangGain> told_;
  std::vector<std::int32_t> gained_;
};

}  // namespace ascendsim
