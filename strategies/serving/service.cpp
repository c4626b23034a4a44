#include "strategies/serving/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "sim/check.h"
#include "strategies/serving/instance.h"
#include "strategies/serving/schedulers/served.h"
#include "strategies/serving/transfers.h"

namespace ascendsim {

namespace {

// KV blocks of a rank, and tokens of a data-parallel group, beside everything else that lives there.
MemoryPerRank memory_of(const Scenario& s) {
  const Limits& l = s.deployment.limits;
  Workload w;
  w.input_tokens = std::max<std::int64_t>(1, std::min(l.max_input_tokens, l.max_seq_len - 1));
  w.output_tokens = 1;
  w.batch = s.deployment.layout.dp;
  return s.memory(w);
}

double tokens_per_step(const std::vector<double>& acceptance) {
  Workload w;
  w.acceptance = acceptance;
  return w.tokens_per_step();
}

template <class Groups>
class Service {
 public:
  Service(const ServiceSite& site, const ServiceLoad& load, ServiceListener& listener)
      : site_(site),
        load_(load),
        listener_(listener),
        live_(tokens_per_step(load.acceptance)),
        first_{.router = {site.routing, static_cast<std::size_t>(site.instances)}},
        decode_{.router = {site.decode_routing, static_cast<std::size_t>(site.decode_instances)}} {
    build(first_, *site.first, site.instances, site.decode != nullptr ? "prefill" : "hybrid");
    if (site.decode != nullptr) {
      build(decode_, *site.decode, site.decode_instances, "decode");
      transfers_ = std::make_unique<Transfers>(*site.first, *site.decode, site.instances, site.decode_instances);
      decode_answers_ = site.decode->deployment.traits().decode_answers;
      pushes_layers_ = site.first->deployment.kv_transfer.layer_wise;
    }
    more_ = load_.requests->next(next_);
  }

  ServiceEnd run(Diagnostics& diagnostics) {
    ServiceEnd end;
    std::string stopped;
    try {
      end.how = loop();
    } catch (const std::runtime_error& reason) {
      stopped = reason.what();
    }
    if (!stopped.empty()) end.how = ServiceEnd::How::kNoProgress;
    if (end.how == ServiceEnd::How::kNoProgress)
      diagnostics.error("E0523", {}, state(),
                        stopped.empty() ? "requests wait, nothing is under way, and nothing can be admitted"
                                        : fmt::format("the engine stops here itself: {}", stopped),
                        "a larger cache, fewer requests side by side, or shorter ones");
    flush();
    end.duration = last_token_;
    end.sent = sent_;
    end.finished = finished_;
    for (const Pool* pool : {&first_, &decode_}) {
      if (pool->instances.empty()) continue;
      end.pools.push_back(use_of(*pool));
      end.steps += end.pools.back().steps;
      end.priced_steps += pool->times->priced();
    }
    return end;
  }

  // ---- what instances tell
  using One = Instance<Groups>;
  void entered(One& instance, LiveIndex request, Duration now) {
    if (!instance.decode_side()) live_[request].seen = now;
  }
  void called(One& instance, Duration now) {
    ++barren_;
    if (!instance.decode_side()) return;
    instance.groups().for_each_pull([&](LiveIndex request, std::int64_t tokens) { reserve(request, tokens, now); });
  }
  void settled(One& instance, Duration now) {
    if (!transfers_ || instance.decode_side()) return;
    instance.groups().for_each_sent([&](LiveIndex request, std::int64_t tokens, bool last) {
      LiveRequest& r = live_[request];
      send_piece(request, transfers_->bytes_of(tokens), now);
      r.sent_all = last;
      if (last) r.prefilled = now;
    });
  }
  void steady(Duration at, Duration gap, std::int64_t requests) {
    barren_ = 0;
    chunk(at, gap, 1, requests);
  }
  void tokens(One& instance, LiveIndex request, std::int64_t tokens, Duration now, const typename One::Flight& flight) {
    LiveRequest& r = live_[request];
    tokens = std::min(tokens, r.request.output_tokens - r.tokens);
    if (tokens <= 0) return;
    barren_ = 0;
    if (transfers_ && !instance.decode_side()) {
      note_scheduled(r, flight);
      r.last_step = flight.end - flight.start;
      if (decode_answers_) return;  // nobody sees it
    }
    if (r.tokens == 0) {
      first_token(r, now, flight);
    } else {
      const Duration gap = now - r.last_chunk;
      r.outcome.longest_stall = std::max(r.outcome.longest_stall, gap);
      chunk(now, gap, tokens, 1);
    }
    r.tokens += tokens;
    r.last_chunk = now;
  }
  // The prefill side has the whole prompt.
  void prefilled(One& instance, LiveIndex request, Duration now) {
    LiveRequest& r = live_[request];
    r.prefilled = now;
    instance.left();
    One& next = route(decode_, r.request);
    next.submit(request, now);
  }
  void ended(One& instance, LiveIndex request, Duration now) {
    LiveRequest& r = live_[request];
    instance.left();
    r.outcome.last_token = r.last_chunk;
    r.outcome.output_tokens = r.tokens;
    if (r.tokens == 0) r.outcome.rejection = Rejection::kLongerThanCache;
    finish(request, now);
  }
  void refused(One& instance, LiveIndex request, Duration now) {
    instance.left();
    live_[request].outcome.rejection = Rejection::kLongerThanCache;
    finish(request, now);
  }

 private:
  struct Pool {
    std::string name{};
    std::unique_ptr<StepTimes> times{};
    std::deque<One> instances{};
    Router router;
  };

  void build(Pool& pool, const Scenario& scenario, std::int64_t instances, std::string name) {
    pool.name = std::move(name);
    pool.times = std::make_unique<StepTimes>(scenario, load_.lengths);
    const MemoryPerRank memory = memory_of(scenario);
    const auto config = Maker<Groups>::config(scenario, memory);
    for (std::int64_t i = 0; i < instances; ++i)
      pool.instances.emplace_back(Groups(config, static_cast<std::size_t>(scenario.deployment.layout.dp), live_),
                                  *pool.times, live_, load_.coalesce, &pool == &decode_, static_cast<std::uint32_t>(i));
  }

  ServiceEnd::How loop() {
    constexpr std::int64_t kAskEvery = 1 << 14, kMostBarren = 1 << 20;
    for (std::int64_t event = 1;; ++event) {
      const Duration send_at = next_send(), transfer_at = transfers_ ? transfers_->next() : Duration::max();
      One* one = &first_.instances.front();
      for (Pool* pool : {&first_, &decode_})
        for (One& other : pool->instances)
          if (other.next() < one->next()) one = &other;
      const Duration at = std::min({send_at, transfer_at, one->next()});
      if (at == Duration::max()) return live_.size() > 0 ? ServiceEnd::How::kNoProgress : ServiceEnd::How::kDone;
      now_ = at;
      // What comes at the moment of a call is known to it.
      if (transfer_at == at)
        for (const LiveIndex request : transfers_->advance(at)) arrive(request);
      else if (send_at == at)
        send();
      else
        one->event(*this);
      if (barren_ > kMostBarren) return ServiceEnd::How::kNoProgress;
      if (event % kAskEvery == 0 && !listener_.go_on(now_, finished_)) return ServiceEnd::How::kStopped;
    }
  }

  // ---- from prefill to decode
  // The decode side has memory for a request: its cache may travel.
  void reserve(LiveIndex request, std::int64_t tokens, Duration now) {
    LiveRequest& r = live_[request];
    r.pull_started = now;
    if (Groups::kBothSidesAtOnce) {
      first_.instances[r.first.instance].tell(request, One::News::kReserved, now);
      return;
    }
    Bytes bytes = transfers_->bytes_of(tokens);
    if (pushes_layers_) bytes = transfers_->left_of_push(bytes, r.last_step);
    r.sent_all = true;
    send_piece(request, bytes, now);
  }
  void send_piece(LiveIndex request, Bytes bytes, Duration now) {
    LiveRequest& r = live_[request];
    ++r.pieces;
    transfers_->start(request, r.first, r.decode, bytes, now);
  }
  void arrive(LiveIndex request) {
    LiveRequest& r = live_[request];
    if (--r.pieces > 0 || !r.sent_all) return;
    r.received = now_;
    barren_ = 0;
    first_.instances[r.first.instance].tell(request, One::News::kFetched, now_);
    decode_.instances[r.decode.instance].tell(request, One::News::kArrived, now_);
  }

  // ---- the client
  [[nodiscard]] Duration next_send() const {
    if (!more_ || (load_.max_in_flight > 0 && in_flight_ >= load_.max_in_flight)) return Duration::max();
    return std::max(next_.arrival, now_);
  }

  void send() {
    const LiveIndex index = live_.add();
    LiveRequest& r = live_[index];
    std::swap(r.request, next_);
    r.outcome.id = sent_++;
    r.outcome.arrival = r.request.arrival;
    r.outcome.sent = now_;
    r.outcome.input_tokens = r.request.input_tokens;
    ++in_flight_;
    listener_.sent(now_);
    more_ = load_.requests->next(next_);
    One& instance = route(first_, r.request);
    One* decode = nullptr;
    if (r.request.input_tokens < 1 || r.request.output_tokens < 1)
      r.outcome.rejection = Rejection::kNoTokens;
    else
      r.outcome.rejection = instance.groups().refusal(r.request);
    if (Groups::kBothSidesAtOnce && transfers_) decode = &route(decode_, r.request);
    if (transfers_ && r.outcome.rejection == Rejection::kNone)
      r.outcome.rejection = decode_.instances.front().groups().refusal(r.request);
    if (r.outcome.rejection != Rejection::kNone) {
      finish(index, now_);
      return;
    }
    instance.submit(index, now_);
    if (decode != nullptr) decode->submit(index, now_);
  }

  One& route(Pool& pool, const Request& request) {
    loads_.clear();
    for (const One& instance : pool.instances) loads_.push_back(instance.under_way());
    return pool.instances[pool.router.choose(request, loads_)];
  }

  // All but the last token of the prompt was cached: its step is that of a decode.
  void note_scheduled(LiveRequest& r, const typename One::Flight& flight) {
    if (r.scheduled) return;
    r.scheduled = true;
    r.outcome.first_scheduled = flight.start;
    r.outcome.cached_tokens = r.request.input_tokens - 1;
    r.outcome.terms.prefill = flight.end - flight.start;
  }

  void first_token(LiveRequest& r, Duration now, const typename One::Flight& flight) {
    note_scheduled(r, flight);
    RequestOutcome& o = r.outcome;
    o.first_token = now;
    o.terms.admission = r.seen - o.sent;
    o.terms.queue = o.first_scheduled - r.seen;
    const bool from_decode = transfers_ && decode_answers_;
    o.terms.decode_between = (from_decode ? r.prefilled : now) - o.first_scheduled - o.terms.prefill;
    if (!from_decode) return;
    o.terms.transfer = r.received - r.pull_started;
    o.terms.first_decode = (r.pull_started - r.prefilled) + (now - r.received);
  }

  void finish(LiveIndex request, Duration now) {
    LiveRequest& r = live_[request];
    if (r.outcome.completed()) last_token_ = std::max(last_token_, now);
    barren_ = 0;
    --in_flight_;
    ++finished_;
    listener_.finished(r.outcome);
    live_.remove(request);
  }

  // ---- what is told to the listener, many at a time
  void chunk(Duration at, Duration gap, std::int64_t tokens, std::int64_t count) {
    constexpr std::size_t kMany = 4096;
    if (!chunks_.empty()) {
      TokenChunks& last = chunks_.back();
      if (last.at == at && last.gap == gap && last.tokens == tokens) {
        last.count += count;
        return;
      }
    }
    chunks_.push_back({at, gap, tokens, count});
    if (chunks_.size() == kMany) flush();
  }
  void flush() {
    if (!chunks_.empty()) listener_.chunks(chunks_);
    chunks_.clear();
  }

  [[nodiscard]] PoolUse use_of(const Pool& pool) const {
    PoolUse out{.name = pool.name, .instances = static_cast<std::int64_t>(pool.instances.size())};
    for (const One& i : pool.instances) {
      const PoolUse& u = i.use();
      out.busy += u.busy;
      out.steps += u.steps;
      out.kv_capacity = i.groups().kv_tokens() * static_cast<std::int64_t>(i.groups().size());
      out.kv_peak = std::max(out.kv_peak, u.kv_peak);
      out.kv_time += u.kv_time;
      out.running_time += u.running_time;
      out.waiting_time += u.waiting_time;
    }
    return out;
  }

  [[nodiscard]] std::string state() const {
    std::string text =
        fmt::format("no progress from {:.6g} s on: {} requests are unfinished", seconds(now_), in_flight_);
    for (const Pool* pool : {&first_, &decode_})
      for (std::size_t i = 0; i < pool->instances.size(); ++i)
        text += fmt::format("; {}{}",
                            first_.instances.size() + decode_.instances.size() > 1
                                ? fmt::format("{} instance {}: ", pool->name, i)
                                : "",
                            pool->instances[i].groups().state());
    return text;
  }

  ServiceSite site_;
  ServiceLoad load_;
  ServiceListener& listener_;
  LiveRequests live_;
  Pool first_, decode_;
  std::unique_ptr<Transfers> transfers_;
  bool decode_answers_ = false, pushes_layers_ = false;
  Request next_{};
  bool more_ = false;
  Duration now_{}, last_token_{};
  std::int64_t sent_ = 0, finished_ = 0, in_flight_ = 0;
  std::int64_t barren_ = 0;  // calls in a row that brought no token and no end
  std::vector<TokenChunks> chunks_;
  std::vector<std::int64_t> loads_;
};

template <class Groups>
ServiceEnd serve_with(const ServiceSite& site, const ServiceLoad& load, ServiceListener& listener,
                      Diagnostics& diagnostics) {
  return Service<Groups>(site, load, listener).run(diagnostics);
}

template <class Groups>
bool check_side(const Scenario& s, Diagnostics& diagnostics) {
  const Deployment& d = s.deployment;
  const MemoryPerRank memory = memory_of(s);
  if (memory.kv_blocks < 2) {
    diagnostics.error("E0531", {}, "no KV cache fits beside weights, activations and buffers: nothing can be served",
                      "memory per rank", "see `mem`");
    return false;
  }
  std::string problem = Maker<Groups>::problem(Maker<Groups>::config(s, memory));
  if (d.layout.pp > 1) problem = "stages of a pipeline are not simulated under load";
  if (problem.empty()) return true;
  diagnostics.error("E0530", {}, fmt::format("this deployment cannot be served: {}", problem),
                    "docs/serving.md has what is simulated");
  return false;
}

}  // namespace

bool can_be_served(const ServiceSite& site, Diagnostics& diagnostics) {
  return with_groups(site.first->deployment, [&]<class Groups>() {
    bool good = check_side<Groups>(*site.first, diagnostics);
    if (site.decode != nullptr) good = check_side<Groups>(*site.decode, diagnostics) && good;
    return good;
  });
}

ServiceEnd serve(const ServiceSite& site, const ServiceLoad& load, ServiceListener& listener,
                 Diagnostics& diagnostics) {
  check(load.requests != nullptr && site.instances > 0, "a service without requests or instances");
  ServiceEnd end = with_groups(site.first->deployment,
                               [&]<class Groups>() { return serve_with<Groups>(site, load, listener, diagnostics); });
  if (site.first->deployment.engine->scheduler.empty())
    end.notes.emplace_back("this stack has no scheduler of its own here: requests are scheduled as vLLM does");
  return end;
}

}  // namespace ascendsim
