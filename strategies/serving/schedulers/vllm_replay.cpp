// The engine's loop around the vLLM scheduler, by ticks, with every decision written down.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <string_view>
#include <utility>

#include "strategies/serving/schedulers/vllm_recording.h"

namespace ascendsim {

namespace {

using Left = VllmDecisions::Left;

std::string_view word(Left left) {
  switch (left) {
    case Left::kNobody:
      break;
    case Left::kPreempted:
      return "preempted";
    case Left::kBlocks:
      return "kv";
    case Left::kSequences:
      return "seqs";
    case Left::kBudget:
      return "budget";
    case Left::kLoading:
      return "loading";
    case Left::kThrottle:
      return "throttle";
    case Left::kOther:
      return "other";
    case Left::kNoChunk:
      return "nochunk";
  }
  return {};
}

// One record of a recording: members of an object, in the order in which they are added.
class Record {
 public:
  void number(std::string_view key, std::int64_t value) { fmt::format_to(member(key), "{}", value); }
  void text(std::string_view key, std::string_view value) { fmt::format_to(member(key), "\"{}\"", value); }
  void null(std::string_view key) { fmt::format_to(member(key), "null"); }
  // [f(item), ...], where f gives JSON.
  template <class Items, class F>
  void list(std::string_view key, const Items& items, F&& f) {
    auto out = member(key);
    *out++ = '[';
    bool first = true;
    for (const auto& item : items) fmt::format_to(out, "{}{}", std::exchange(first, false) ? "" : ",", f(item));
    *out++ = ']';
  }
  template <class Items, class F>
  void list_if_any(std::string_view key, const Items& items, F&& f) {
    if (!std::empty(items)) list(key, items, f);
  }
  [[nodiscard]] std::string take() { return std::exchange(text_, "{") + "}"; }

 private:
  std::back_insert_iterator<std::string> member(std::string_view key) {
    fmt::format_to(std::back_inserter(text_), "{}\"{}\":", text_.size() > 1 ? "," : "", key);
    return std::back_inserter(text_);
  }
  std::string text_ = "{";
};

class VllmLoop {
 public:
  explicit VllmLoop(const VllmRecording& recording)
      : recording_(recording),
        config_(recording.config),
        scheduler_(config_),
        depth_(static_cast<std::size_t>(config_.batches_in_flight())),
        lives_(recording.requests.size()) {
    for (std::size_t i = 0; i < lives_.size(); ++i) order_.push_back(i);
    std::ranges::stable_sort(order_, {}, [&](std::size_t i) { return recording_.requests[i].arrival; });
    patience_ = patience();
  }

  // False when the scheduler stands still.
  bool run() {
    for (tick_ = 0; step(); ++tick_) {
      if (stands_still()) return false;
    }
    return true;
  }
  [[nodiscard]] VllmReplay result();
  [[nodiscard]] std::string state() const;

 private:
  struct Life {
    std::optional<std::int64_t> first, end;  // ticks of the first token and of its end
    std::size_t verified = 0;                // verifications so far
    std::int64_t preemptions = 0;
    bool rejected = false;
  };
  struct UnderWay {
    std::int64_t call = 0;
    std::vector<std::int64_t> emitted;
  };
  struct Transfer {
    std::int64_t due = 0;  // call with whose result it is told
    RequestIndex request = 0;
  };

  [[nodiscard]] std::size_t owner(RequestIndex request) const { return owner_[request]; }
  [[nodiscard]] std::int64_t id(RequestIndex request) const { return recording_.requests[owner(request)].id; }
  [[nodiscard]] std::int64_t patience() const;
  bool step();
  void arrive();
  bool call(Record& record);
  std::vector<std::int64_t> emissions();
  void process(Record& record, const UnderWay& step);
  std::vector<std::int64_t> take_due(std::vector<Transfer>& transfers, std::int64_t call, bool received);
  [[nodiscard]] bool stands_still();

  const VllmRecording& recording_;
  const VllmConfig& config_;
  VllmScheduler scheduler_;
  std::size_t depth_;
  std::vector<Life> lives_;         // of the requests, in the order of the recording
  std::vector<std::size_t> order_;  // of their arrivals
  std::size_t arrived_ = 0;
  std::vector<std::size_t> owner_;  // by place in the scheduler
  std::deque<UnderWay> under_way_;
  std::vector<Transfer> loads_, sends_;
  std::int64_t tick_ = 0, call_ = -1, since_idle_ = 0;
  std::int64_t patience_ = 0, last_progress_ = 0, idle_calls_ = 0;
  bool scheduled_ = false;  // the last call scheduled something
  std::vector<std::string> steps_;
};

// Ticks without a token, an end or a transfer after which the same work must have been thrown away again and again. The
// oldest request needs a step for each chunk of it; ten times as many for all together leave room for preemptions.
std::int64_t VllmLoop::patience() const {
  std::int64_t chunk = config_.budget();
  if (config_.long_prefill_token_threshold > 0) chunk = std::min(chunk, config_.long_prefill_token_threshold);
  std::int64_t steps = 1000 + recording_.recv_delay + recording_.send_delay;
  for (const VllmRecording::Load& r : recording_.requests)
    steps += 10 * ((std::min(r.request.input_tokens, config_.max_model_len) +
                    std::min(r.request.output_tokens, config_.max_model_len)) /
                       chunk +
                   1);
  return steps * config_.prefill_schedule_interval;
}

void VllmLoop::arrive() {
  for (; arrived_ < order_.size() && recording_.requests[order_[arrived_]].arrival <= tick_; ++arrived_) {
    const std::size_t i = order_[arrived_];
    const VllmRecording::Load& load = recording_.requests[i];
    lives_[i].rejected = !scheduler_.accepts(load.request);
    if (lives_[i].rejected) continue;
    const RequestIndex request = scheduler_.add(load.request, load.transfer);
    if (request >= owner_.size()) owner_.resize(request + 1);
    owner_[request] = i;
    last_progress_ = tick_;
  }
}

// One tick; false when nothing is left to come.
bool VllmLoop::step() {
  arrive();
  scheduled_ = false;
  if (!scheduler_.has_work() && under_way_.empty()) {
    since_idle_ = 0;
    if (arrived_ == order_.size()) return false;
    last_progress_ = tick_ = recording_.requests[order_[arrived_]].arrival;
    arrive();
    if (!scheduler_.has_work()) return true;
  }
  Record record;
  record.number("t", tick_);
  bool awaits_result = true;
  if (scheduler_.has_work()) {
    awaits_result = call(record);
  } else {
    record.null("sched");
  }
  if (awaits_result) {
    const UnderWay step = std::move(under_way_.front());
    under_way_.pop_front();
    if (depth_ > 1) record.number("upd", step.call);
    process(record, step);
  }
  record.number("free_end", scheduler_.free_blocks());
  steps_.push_back(record.take());
  return true;
}

// True when a result is to be processed before the next call.
bool VllmLoop::call(Record& record) {
  const bool throttled = config_.traits.throttles_prefills && since_idle_ % config_.prefill_schedule_interval > 0;
  ++call_;
  ++since_idle_;
  if (throttled) record.number("thr", 1);
  const ScheduledStep& step = scheduler_.schedule({.prompts = throttled});
  const VllmDecisions& d = scheduler_.decisions();
  scheduled_ = !step.empty();
  const auto id_of = [&](RequestIndex request) { return id(request); };

  auto new_blocks = d.new_blocks.begin();
  record.list("sched", step.requests, [&](const ScheduledRequest& part) {
    return fmt::format("[{},{},{}]", id(part.request), part.tokens, *new_blocks++);
  });
  record.list_if_any("load", d.loads, [&](const VllmDecisions::Load& l) {
    return fmt::format("[{},{},{},{}]", id(l.request), l.cached, l.pulled, l.new_blocks);
  });
  record.list_if_any("adm", d.admitted, [&](const VllmDecisions::Admission& a) {
    return fmt::format("[{},{},{},{}]", id(a.request), a.cached, a.loaded, a.resumed ? 1 : 0);
  });
  std::vector<ScheduledRequest> verifying;
  std::ranges::copy_if(step.requests, std::back_inserter(verifying), [](const auto& part) { return part.drafts > 0; });
  record.list_if_any("spec", verifying, [&](const ScheduledRequest& part) {
    return fmt::format("[{},{}]", id(part.request), part.drafts);
  });
  record.list_if_any("preempt", d.preempted, id_of);
  record.list_if_any("recompute", d.recomputed, id_of);
  if (d.blocked) record.number("blocked", id(*d.blocked));
  record.number("run", std::ssize(scheduler_.running()));
  record.number("wait", static_cast<std::int64_t>(scheduler_.waiting()));
  record.number("free", scheduler_.free_blocks());
  if (d.left != Left::kNobody) record.text("stop", word(d.left));

  for (const VllmDecisions::Load& load : d.loads) loads_.push_back({call_ + recording_.recv_delay, load.request});
  for (const RequestIndex request : d.preempted) ++lives_[owner(request)].preemptions;
  under_way_.push_back({call_, emissions()});
  const bool more_to_come = !step.empty() || scheduler_.has_work() || !d.recomputed.empty();
  return depth_ == 1 || under_way_.size() == depth_ || !more_to_come;
}

// What the model will say of the step that was just decided: as many accepted drafts as the recording gives each
// request for its next verification. Placeholders of admitted requests are none.
std::vector<std::int64_t> VllmLoop::emissions() {
  const std::vector<VllmDecisions::Admission>& admitted = scheduler_.decisions().admitted;
  const std::vector<ScheduledRequest>& parts = scheduler_.step().requests;
  std::vector<std::int64_t> emitted;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const ScheduledRequest& part = parts[i];
    std::int64_t accepted = 0;
    if (part.samples && part.drafts > 0 && i + admitted.size() < parts.size()) {
      const std::vector<std::int64_t>& pattern = recording_.requests[owner(part.request)].accepted;
      std::size_t& verified = lives_[owner(part.request)].verified;
      if (!pattern.empty()) accepted = std::min(pattern[verified++ % pattern.size()], part.drafts);
    }
    emitted.push_back(1 + accepted);
  }
  return emitted;
}

void VllmLoop::process(Record& record, const UnderWay& step) {
  const VllmResult& result = scheduler_.complete(step.emitted);
  for (const VllmResult::Tokens& t : result.emitted) {
    std::optional<std::int64_t>& first = lives_[owner(t.request)].first;
    if (!first) first = tick_;
  }
  for (const VllmResult::End& e : result.ended) {
    lives_[owner(e.request)].end = tick_;
    if (e.sending) sends_.push_back({step.call + recording_.send_delay, e.request});
  }
  const std::vector<std::int64_t> received = take_due(loads_, step.call, true);
  const std::vector<std::int64_t> sent = take_due(sends_, step.call, false);
  const auto same = [](std::int64_t value) { return value; };
  record.list_if_any("recv", received, same);
  record.list_if_any("sent", sent, same);
  record.list("out", result.emitted,
              [&](const VllmResult::Tokens& t) { return fmt::format("[{},{}]", id(t.request), t.tokens); });
  record.list_if_any("fin", result.ended, [&](const VllmResult::End& e) { return id(e.request); });
  if (!result.emitted.empty() || !result.ended.empty() || !received.empty() || !sent.empty()) last_progress_ = tick_;
}

// Tells the scheduler of the transfers that are over, in the order of their ids, which are returned.
std::vector<std::int64_t> VllmLoop::take_due(std::vector<Transfer>& transfers, std::int64_t call, bool received) {
  const auto due = [&](const Transfer& t) { return t.due <= call; };
  std::vector<Transfer> over;
  std::ranges::copy_if(transfers, std::back_inserter(over), due);
  std::erase_if(transfers, due);
  std::ranges::sort(over, {}, [&](const Transfer& t) { return id(t.request); });
  std::vector<std::int64_t> ids;
  for (const Transfer& t : over) {
    ids.push_back(id(t.request));
    received ? scheduler_.kv_received(t.request) : scheduler_.kv_sent(t.request);
  }
  return ids;
}

// Nothing was scheduled, nothing is under way, and requests wait: nothing will ever change, newcomers stand behind. Some
// more calls are granted, as a throttle can let prompts wait. Or work goes on and nothing comes out of it.
bool VllmLoop::stands_still() {
  const bool left = scheduler_.waiting() > 0 || !scheduler_.running().empty();
  const bool idle = left && !scheduled_ && under_way_.empty() && loads_.empty() && sends_.empty();
  idle_calls_ = idle ? idle_calls_ + 1 : 0;
  return idle_calls_ > 2 * config_.prefill_schedule_interval + 8 || tick_ - last_progress_ > patience_;
}

std::string VllmLoop::state() const {
  std::string text =
      fmt::format("no progress at tick {}: {} requests run, {} wait, {} of {} blocks are free", tick_,
                  scheduler_.running().size(), scheduler_.waiting(), scheduler_.free_blocks(), config_.usable_blocks());
  constexpr std::size_t kShown = 8;
  std::size_t shown = 0;
  const auto describe = [&](std::string_view what, RequestIndex index) {
    if (++shown > kShown) return;
    const VllmRequest& r = scheduler_.request(index);
    fmt::format_to(std::back_inserter(text), "; request {} {}: {} of {} tokens computed, {} blocks", id(index), what,
                   r.computed, r.known(), r.blocks.size());
  };
  for (const RequestIndex request : scheduler_.running()) describe("runs", request);
  scheduler_.for_each_waiting([&](RequestIndex request) { describe("waits", request); });
  if (shown > kShown) fmt::format_to(std::back_inserter(text), "; and {} more", shown - kShown);
  return text;
}

VllmReplay VllmLoop::result() {
  VllmReplay replay{.steps = std::move(steps_)};
  const auto tick = [](const std::optional<std::int64_t>& t) {
    return t ? fmt::format("{}", *t) : std::string("null");
  };
  std::vector<std::string> finish, rejected;
  std::int64_t preemptions = 0;
  for (std::size_t i = 0; i < lives_.size(); ++i) {
    const std::int64_t request = recording_.requests[i].id;
    const Life& life = lives_[i];
    preemptions += life.preemptions;
    if (life.rejected) {
      rejected.push_back(fmt::format("{}", request));
    } else {
      finish.push_back(fmt::format("[{},{},{},{}]", request, tick(life.first), tick(life.end), life.preemptions));
    }
  }
  if (!rejected.empty()) replay.rejected = fmt::format("[{}]", fmt::join(rejected, ","));
  replay.summary = fmt::format(R"({{"steps":{},"preemptions":{},"all_finished":true,"finish":[{}]}})",
                               replay.steps.size(), preemptions, fmt::join(finish, ","));
  return replay;
}

}  // namespace

std::optional<VllmReplay> replay(const VllmRecording& recording, const SourceLocation& where,
                                 Diagnostics& diagnostics) {
  VllmLoop loop(recording);
  if (loop.run()) return loop.result();
  diagnostics.error(
      "E0523", where, loop.state(),
      "nothing can be scheduled and nothing is under way, or the same work is thrown away again and again",
      "the longest prompt must fit into the blocks, and into one step where chunked prefill is off");
  return std::nullopt;
}

}  // namespace ascendsim
