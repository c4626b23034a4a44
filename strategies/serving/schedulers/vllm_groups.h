// The data-parallel groups of a vLLM instance in the serving loop: each an engine core with a scheduler of its own. They
// run their steps together; one without work runs a dummy batch beside the others (vllm/v1/engine/core.py,
// DPEngineCoreProc.run_busy_loop).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "strategies/prediction/predict.h"
#include "strategies/serving/live_requests.h"
#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim {

// What the deployment says to the scheduler; kv_blocks: of a rank, the null block among them.
VllmConfig vllm_config(const Deployment& deployment, std::int64_t kv_blocks);

class VllmGroups {
 public:
  static constexpr bool kEmptyCallsHaveResults = true;
  static constexpr Duration kPoll{};  // what time alone changes: nothing
  // The proxy turns to the decode side when the prefill side has answered.
  static constexpr bool kBothSidesAtOnce = false;

  VllmGroups(const VllmConfig& config, std::size_t groups, LiveRequests& live);

  [[nodiscard]] std::size_t size() const { return schedulers_.size(); }
  [[nodiscard]] std::size_t depth() const { return depth_; }  // steps under way while the next call waits for a result
  [[nodiscard]] bool drafts() const { return config_.num_speculative_tokens > 0; }
  [[nodiscard]] std::int64_t kv_tokens() const { return config_.usable_blocks() * config_.block_tokens(); }

  [[nodiscard]] Rejection refusal(const Request& request) const;
  // The group to which the front end gives the next request: that with fewest, those that wait counting four times
  // (vllm/v1/engine/core_client.py, DPLBAsyncMPClient.get_core_engine_for_request).
  [[nodiscard]] std::size_t choose() const;
  // Gives it a number in the place.
  void add(LivePlace& place, LiveIndex live);

  // Pairs. Decode side: the cache of a request is there; prefill side: it has been fetched. Told before a call.
  void arrived(const LivePlace& place) { schedulers_[place.group].kv_received(place.number); }
  void fetched(const LivePlace& place) { schedulers_[place.group].kv_sent(place.number); }
  void reserved(const LivePlace&) {}
  // After a call, f(request, tokens): the decode side has memory for so many, the transfer may begin.
  template <class F>
  void for_each_pull(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      if (called_[g])
        for (const VllmDecisions::Load& l : schedulers_[g].decisions().loads) f(live(g, l.request), l.pulled);
  }
  // After a result, f(request, tokens, last): the prefill side may send so many.
  template <class F>
  void for_each_sent(F&&) const {}

  // One call of every scheduler that has work. False: nothing is to run.
  bool call(Duration now);
  [[nodiscard]] const ScheduledStep& step(std::size_t group) const {
    return called_[group] ? schedulers_[group].step() : nothing_;
  }
  [[nodiscard]] LiveIndex live(std::size_t group, RequestIndex request) const { return numbers_[group][request]; }
  template <class F>
  void for_each_preempted(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      if (called_[g])
        for (const RequestIndex r : schedulers_[g].decisions().preempted) f(live(g, r));
  }
  template <class F>
  void for_each_refused(F&&) const {}

  // After every call. awaited: with the result of the oldest one under way, which is now there.
  template <class Told>
  void settle(Duration now, bool awaited, Told& told) {
    static_cast<void>(now);
    if (!awaited) return;
    UnderWay& oldest = ring_[oldest_];
    oldest_ = (oldest_ + 1) % ring_.size();
    --under_way_;
    for (std::size_t g = 0; g < size(); ++g) {
      if (!oldest.called[g]) continue;
      std::vector<std::int64_t>& emitted = oldest.emitted[g];
      if (!drafts()) emitted.assign(schedulers_[g].size_of_next_result(), 1);
      const VllmResult& result = schedulers_[g].complete(emitted);
      for (const VllmResult::Tokens& t : result.emitted) told.tokens(live(g, t.request), t.tokens);
      for (const VllmResult::End& e : result.ended)
        e.sending ? told.prefilled(live(g, e.request)) : told.ended(live(g, e.request));
    }
  }

  [[nodiscard]] bool has_work() const;
  [[nodiscard]] std::size_t running(std::size_t group) const { return schedulers_[group].running().size(); }
  template <class F>
  void for_each_running(F&& f) const {
    for (std::size_t g = 0; g < size(); ++g)
      for (const RequestIndex r : schedulers_[g].running()) f(live(g, r));
  }
  // Following steps that cannot decide anything new, and the time by which the last one has to be called.
  [[nodiscard]] std::int64_t steady_steps(Duration& until);
  void take_steady_steps(std::int64_t steps, Duration last_call);
  [[nodiscard]] std::string state() const;

 private:
  struct UnderWay {
    std::vector<char> called;
    std::vector<std::vector<std::int64_t>> emitted;  // with drafts
  };
  void decide_acceptance(std::size_t group, std::vector<std::int64_t>& emitted);

  VllmConfig config_;
  std::size_t depth_;
  LiveRequests& live_;
  std::vector<VllmScheduler> schedulers_;
  std::vector<LiveNumbers> numbers_;
  std::vector<char> called_;  // in the last call
  std::vector<UnderWay> ring_;
  std::size_t oldest_ = 0, under_way_ = 0;
  ScheduledStep nothing_;
};

}  // namespace ascendsim
