// One instance of a service: the engine's loop around its scheduler. A call of the scheduler forms a step, the device runs
// the steps one after the other, a result ends each; where the engine schedules ahead, a call is made while a step runs,
// and results are one step late. Written for any of the *_groups.h, without a virtual call.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "strategies/serving/live_requests.h"
#include "strategies/serving/step_times.h"

namespace ascendsim {

template <class Groups>
class Instance {
 public:
  struct Flight {  // a step that was called and whose result has not been looked at
    Duration start{}, end{};
  };

  // number: among those of its side.
  Instance(Groups groups, StepTimes& times, LiveRequests& live, bool coalesce, bool decode_side, std::uint32_t number)
      : groups_(std::move(groups)),
        times_(times),
        live_(live),
        coalesce_(coalesce),
        decode_side_(decode_side),
        number_(number),
        shapes_(groups_.size()) {}

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] bool decode_side() const { return decode_side_; }
  [[nodiscard]] LivePlace& place(LiveIndex request) const {
    return decode_side_ ? live_[request].decode : live_[request].first;
  }

  [[nodiscard]] Duration next() const { return at_; }  // when something happens here; max: nothing by itself
  [[nodiscard]] Groups& groups() { return groups_; }
  [[nodiscard]] const Groups& groups() const { return groups_; }
  [[nodiscard]] const PoolUse& use() const { return use_; }
  [[nodiscard]] std::int64_t under_way() const { return under_way_; }  // requests that were submitted and not left

  // The request reaches the engine: its scheduler knows it from its next call on.
  void submit(LiveIndex request, Duration now) {
    place(request).instance = number_;
    inbox_.push_back(request);
    ++under_way_;
    wake(now);
  }
  // Something has changed from outside that the next call may care for.
  void wake(Duration now) {
    touched_ = true;
    idle_calls_ = polls_ = 0;
    if (at_ == Duration::max()) at_ = now;
  }
  void left() { --under_way_; }
  // News of a request that its scheduler hears before its next call.
  enum class News : std::uint8_t { kArrived, kFetched, kReserved };
  void tell(LiveIndex request, News news, Duration now) {
    // One that is still on its way in has no place in a scheduler yet.
    if (std::ranges::find(inbox_, request) == inbox_.end())
      news_.emplace_back(place(request), news);
    else
      early_news_.emplace_back(request, news);
    wake(now);
  }

  // What happens at next(). Owner is told:
  //   entered   a request is about to be given to the scheduler
  //   tokens    of one request; steady: one each of many
  //   prefilled, left, ended, refused
  //   called, settled   after a call of the scheduler, and after what followed it
  template <class Owner>
  void event(Owner& owner) {
    const Duration now = at_;
    if (std::exchange(awaits_, false)) complete(owner, now);
    while (turn(owner, now)) {
    }
  }

 private:
  struct Run {
    bool on = false;
    std::int64_t steps = 0, taken = 0, batch = 0;
    Duration until{}, last_call{}, longest_gap{};
    StepTimes::DecodeLine* line = nullptr;
  };
  template <class Owner>
  struct Told {
    Instance& instance;
    Owner& owner;
    Duration now;
    Flight flight;
    void tokens(LiveIndex request, std::int64_t tokens) {
      ++instance.told_;
      owner.tokens(instance, request, tokens, now, flight);
    }
    void prefilled(LiveIndex request) {
      instance.ends_ = true;
      owner.prefilled(instance, request, now);
    }
    void left(LiveIndex) {
      instance.ends_ = true;
      instance.left();
    }
    void ended(LiveIndex request) {
      instance.ends_ = true;
      owner.ended(instance, request, now);
    }
  };

  // One call of the scheduler; true when another one follows at once.
  template <class Owner>
  bool turn(Owner& owner, Duration now) {
    bool launched = true;
    if (run_.on && (touched_ || run_.taken == run_.steps || now >= run_.until)) end_run();
    if (run_.on) {
      run_call(now);
    } else {
      take_inbox(owner, now);
      if (start_run(now)) return true;
      launched = call(owner, now);
    }
    // The queue of steps is filled before a result is awaited; with nothing to fill it all results are.
    bool awaited = false;
    while (!flights_.empty() && (flights_.size() >= groups_.depth() || !launched)) {
      if (flights_.front().end > now) {
        at_ = flights_.front().end;
        awaits_ = true;
        return false;
      }
      complete(owner, now);
      awaited = true;
    }
    if (!awaited) {
      Told<Owner> told{*this, owner, now, {}};
      groups_.settle(now, false, told);
      owner.settled(*this, now);
    }
    return launched || !rests(now);
  }

  // Nothing was formed. False when a further call may.
  bool rests(Duration now) {
    constexpr std::int64_t kMostIdleCalls = 8, kMostPolls = 5000;
    if (!touched_ && groups_.has_work()) {
      if (Groups::kPoll == Duration{}) {
        if (++idle_calls_ <= kMostIdleCalls) return false;
      } else if (++polls_ <= kMostPolls) {
        at_ = now + Groups::kPoll;
        return true;
      }
    } else if (touched_) {
      return false;
    }
    at_ = Duration::max();
    return true;
  }

  template <class Owner>
  void take_inbox(Owner& owner, Duration now) {
    touched_ = false;
    for (const auto& [where, news] : news_) hear(where, news);
    news_.clear();
    for (const LiveIndex request : inbox_) {
      LivePlace& where = place(request);
      where.group = static_cast<std::uint32_t>(groups_.choose());
      owner.entered(*this, request, now);
      groups_.add(where, request);
    }
    inbox_.clear();
    for (const auto& [request, news] : early_news_) hear(place(request), news);
    early_news_.clear();
  }
  void hear(const LivePlace& where, News news) {
    if (news == News::kArrived) groups_.arrived(where);
    if (news == News::kFetched) groups_.fetched(where);
    if (news == News::kReserved) groups_.reserved(where);
  }

  template <class Owner>
  bool call(Owner& owner, Duration now) {
    const bool launched = groups_.call(now);
    groups_.for_each_preempted([&](LiveIndex request) { ++live_[request].outcome.preemptions; });
    groups_.for_each_refused([&](LiveIndex request) { owner.refused(*this, request, now); });
    owner.called(*this, now);
    if (launched) {
      idle_calls_ = polls_ = 0;
      form(now);
    } else if (Groups::kEmptyCallsHaveResults) {
      const Duration end = std::max(now, device_free_);
      flights_.push_back({end, end});
    }
    return launched;
  }

  // What the step computes, how long it takes, and whose prompts are in it.
  void form(Duration now) {
    prompts_.clear();
    only_decodes_ = true;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      GroupRows& rows = shapes_[g] = {};
      for (const ScheduledRequest& part : groups_.step(g).requests) {
        rows.add(part);
        if (part.prompt) prompts_.push_back({groups_.live(g, part.request), part.context});
      }
      only_decodes_ = only_decodes_ && rows.prompts == 0;
    }
    const Flight flight = launch(now, times_.time(shapes_));
    for (const auto& [request, context] : prompts_) {
      LiveRequest& r = live_[request];
      if (!r.scheduled) {
        r.scheduled = true;
        r.outcome.first_scheduled = flight.start;
        r.outcome.cached_tokens = context;
        use_.waiting_time += (flight.start - r.outcome.sent).count();
      }
      if (r.tokens == 0) r.outcome.terms.prefill += flight.end - flight.start;
    }
  }

  Flight launch(Duration now, Duration takes) {
    const Duration start = std::max(now, device_free_);
    device_free_ = start + takes;
    flights_.push_back({start, device_free_});
    std::int64_t requests = 0, tokens = 0;
    for (const GroupRows& g : shapes_) {
      requests += g.prompts + g.sequences;
      tokens += g.cached + g.prompt_rows + g.context;
    }
    ++use_.steps;
    use_.busy += takes;
    use_.kv_peak = std::max(use_.kv_peak, tokens);
    use_.kv_time += static_cast<__int128>(tokens) * takes.count();
    use_.running_time += static_cast<__int128>(requests) * takes.count();
    return flights_.back();
  }

  template <class Owner>
  void complete(Owner& owner, Duration now) {
    const Flight flight = flights_.front();
    flights_.pop_front();
    if (run_.on) {
      const Duration gap = now - completed_;
      run_.longest_gap = std::max(run_.longest_gap, gap);
      owner.steady(now, gap, run_.batch);
    } else {
      told_ = 0;
      ends_ = false;
      Told<Owner> told{*this, owner, now, flight};
      groups_.settle(now, true, told);
      owner.settled(*this, now);
    }
    completed_ = now;
  }

  // ---- Runs of decode steps in which no decision can change: the scheduler hears of them afterwards.

  // Requires that all who run got tokens with the last result and stand in the last step: what follows is then alike.
  bool start_run(Duration now) {
    if (!coalesce_ || groups_.drafts() || !only_decodes_ || ends_ || told_ == 0) return false;
    if (flights_.size() + 1 != groups_.depth()) return false;
    std::int64_t batch = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto running = static_cast<std::int64_t>(groups_.running(g));
      if (shapes_[g].sequences != running) return false;
      batch += running;
    }
    if (batch != told_) return false;
    run_.steps = groups_.steady_steps(run_.until);
    if (run_.steps < 2 || now >= run_.until) return false;
    run_.on = true;
    run_.taken = 0;
    run_.batch = batch;
    run_.longest_gap = {};
    run_.line = &times_.decode_line(shapes_);
    return true;
  }

  void run_call(Duration now) {
    std::int64_t context = 0;
    for (GroupRows& g : shapes_) {
      g.context += g.sequences;
      context = std::max(context, g.context);
    }
    launch(now, times_.at(*run_.line, context));
    ++run_.taken;
    run_.last_call = now;
  }

  void end_run() {
    run_.on = false;
    if (run_.taken == 0) return;
    groups_.take_steady_steps(run_.taken, run_.last_call);
    groups_.for_each_running([&](LiveIndex request) {
      LiveRequest& r = live_[request];
      r.tokens += run_.taken;
      r.last_chunk = completed_;
      r.outcome.longest_stall = std::max(r.outcome.longest_stall, run_.longest_gap);
    });
  }

  Groups groups_;
  StepTimes& times_;
  LiveRequests& live_;
  bool coalesce_, decode_side_;
  std::uint32_t number_;
  std::vector<GroupRows> shapes_;  // of the last step
  std::vector<std::pair<LiveIndex, std::int64_t>> prompts_;
  std::vector<LiveIndex> inbox_;
  std::vector<std::pair<LivePlace, News>> news_;
  std::vector<std::pair<LiveIndex, News>> early_news_;  // of requests in the inbox
  std::deque<Flight> flights_;
  Duration at_ = Duration::max(), device_free_{}, completed_{};
  bool awaits_ = false;   // at_ is the end of the oldest flight
  bool touched_ = false;  // something has come from outside since the last call
  bool only_decodes_ = false, ends_ = false;
  std::int64_t told_ = 0;  // requests that got tokens with the last result
  std::int64_t idle_calls_ = 0, polls_ = 0, under_way_ = 0;
  Run run_;
  PoolUse use_;
};

}  // namespace ascendsim
