// The data-parallel ranks of a MindIE instance in the serving loop: one engine thread whose rounds they vote on.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "strategies/prediction/predict.h"
#include "strategies/serving/live_requests.h"
#include "strategies/serving/schedulers/mindie_ranks.h"

namespace ascendsim {

MindieConfig mindie_config(const Deployment& deployment, std::int64_t kv_blocks);

class MindieGroups {
 public:
  static constexpr bool kEmptyCallsHaveResults = false;
  static constexpr Duration kPoll = std::chrono::milliseconds(1);  // after a round without a step
  static constexpr bool kBothSidesAtOnce = false;

  MindieGroups(const MindieConfig& config, std::size_t groups, LiveRequests& live);

  [[nodiscard]] std::size_t size() const { return numbers_.size(); }
  [[nodiscard]] std::size_t depth() const { return ring_.size(); }
  [[nodiscard]] bool drafts() const { return config_.speculation_gamma > 0; }
  [[nodiscard]] std::int64_t kv_tokens() const { return config_.npu_blocks * config_.block_size * config_.ranks(); }

  [[nodiscard]] Rejection refusal(const Request& request) const;
  [[nodiscard]] std::size_t choose() const { return voting() ? engines_[0].next() : turn_; }
  void add(LivePlace& place, LiveIndex live);

  void arrived(const LivePlace& place) { rank(place.group).kv_arrived(place.number); }
  void fetched(const LivePlace& place) { rank(place.group).kv_pulled(place.number); }
  void reserved(const LivePlace&) {}
  template <class F>
  void for_each_pull(F&& f) const {
    for (const auto& [request, tokens] : pulls_) f(request, tokens);
  }
  template <class F>
  void for_each_sent(F&&) const {}

  bool call(Duration now);
  [[nodiscard]] const ScheduledStep& step(std::size_t group) const { return decided(group).batch; }
  [[nodiscard]] LiveIndex live(std::size_t group, RequestIndex request) const { return numbers_[group][request]; }
  template <class F>
  void for_each_preempted(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g) {
      for (const RequestIndex r : decided(g).recomputed) f(live(g, r));
      for (const RequestIndex r : decided(g).swapped_out) f(live(g, r));
    }
  }
  // Prompts that can never be computed; on a prefill or decode side also whoever is thrown out, as nobody computes it
  // again.
  template <class F>
  void for_each_refused(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g) {
      for (const RequestIndex r : decided(g).ignored) f(live(g, r));
      if (voting()) continue;
      for (const RequestIndex r : decided(g).recomputed) f(live(g, r));
    }
  }

  // The schedulers hear of results when the next round begins, after the transfers that have ended.
  template <class Told>
  void settle(Duration now, bool awaited, Told& told) {
    if (awaited) {
      UnderWay& oldest = ring_[oldest_];
      oldest_ = (oldest_ + 1) % ring_.size();
      --under_way_;
      results_.swap(oldest.results);
      for (std::size_t g = 0; g < size(); ++g)
        for (std::size_t i = 0; i < results_[g].size(); ++i) {
          const LiveIndex request = oldest.live[g][i];
          told.tokens(request, results_[g][i].tokens);
          if (results_[g][i].finished)
            told.ended(request);
          else if (config_.role == MindieRole::kPrefill)
            told.prefilled(request);
        }
    }
    if (voting()) hand_over_results(now);
  }

  [[nodiscard]] bool has_work() const;
  [[nodiscard]] std::size_t running(std::size_t group) const { return rank(group).running().size(); }
  template <class F>
  void for_each_running(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      for (std::size_t i = 0; i < rank(g).running().size(); ++i) f(live(g, rank(g).running()[i]));
  }
  [[nodiscard]] std::int64_t steady_steps(Duration& until) const {
    if (!voting()) return 0;
    const MindieRun run = engines_[0].decode_run();
    until = run.until;
    return run.steps;
  }
  void take_steady_steps(std::int64_t steps, Duration last_call);
  [[nodiscard]] std::string state() const;

 private:
  struct UnderWay {
    std::vector<std::vector<MindieResult>> results;
    std::vector<std::vector<LiveIndex>> live;
  };
  // Hybrid instances vote on each round; on a prefill or a decode side the ranks decide for themselves, as there is
  // nothing to vote on.
  [[nodiscard]] bool voting() const { return config_.role == MindieRole::kBoth; }
  [[nodiscard]] MindieScheduler& rank(std::size_t g) { return voting() ? engines_[0].rank(g) : engines_[g].rank(0); }
  [[nodiscard]] const MindieScheduler& rank(std::size_t g) const {
    return voting() ? engines_[0].rank(g) : engines_[g].rank(0);
  }
  [[nodiscard]] const MindieStep& decided(std::size_t g) const {
    return voting() ? engines_[0].step(g) : engines_[g].step(0);
  }
  [[nodiscard]] std::int64_t outputs_of(const Request& request) const;
  void hand_over_results(Duration now);
  void transfer(std::size_t group);
  void answer(std::size_t group, UnderWay& step);

  MindieConfig config_;
  LiveRequests& live_;
  std::vector<MindieRanks> engines_;
  std::size_t turn_ = 0;
  std::vector<LiveNumbers> numbers_;
  std::vector<std::vector<MindieResult>> results_;  // told, and not yet handed over
  std::vector<std::pair<LiveIndex, std::int64_t>> pulls_;
  std::vector<UnderWay> ring_;
  std::size_t oldest_ = 0, under_way_ = 0;
};

}  // namespace ascendsim
