// Recordings of SGLang replayed: the passes of the engine's loop.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <string_view>

#include "strategies/serving/schedulers/sglang_ranks.h"
#include "strategies/serving/schedulers/sglang_recording.h"

namespace ascendsim {

namespace {

using Json = nlohmann::ordered_json;

// A recording names the first few of a long waiting queue and counts the rest.
constexpr std::size_t kLongestListedQueue = 24;
constexpr std::size_t kListedOfLongerQueue = 6;

std::string_view name_of(SglangPassKind kind) {
  switch (kind) {
    case SglangPassKind::kIdle:
      return "idle";
    case SglangPassKind::kExtend:
      return "extend";
    case SglangPassKind::kDecode:
      return "decode";
    case SglangPassKind::kMixed:
      return "mixed";
    case SglangPassKind::kIdleBatch:
      return "idle-batch";
  }
  return "";
}

// Ratios are recorded with six decimals. The text is rounded from the exact value of the double.
double rounded(double ratio) { return std::stod(fmt::format("{:.6f}", ratio)); }

// One rank of a replay: which recorded request stands behind an index, what is under way outside of the scheduler, and
// the rank's part of a step.
class ReplayedRank {
 public:
  ReplayedRank(const SglangRecording& recording, SglangScheduler& scheduler)
      : recording_(recording), scheduler_(scheduler), verified_(recording.requests.size(), 0) {}

  // ---- the engine's pass, in pieces
  void begin(std::int64_t step, std::span<const std::size_t> arrivals, Json& rejected) {
    step_ = step;
    entry_ = Json::object();
    entry_["kind"] = "idle";
    Json arrived = Json::array();
    for (const std::size_t number : arrivals) {
      const SglangRecording::Load& r = recording_.requests[number];
      arrived.push_back(r.id);
      const auto index = scheduler_.add(r.request, r.sampling);
      if (!index) {
        rejected.push_back(r.id);
        continue;
      }
      if (*index >= numbers_.size()) numbers_.resize(*index + 1);
      numbers_[*index] = number;
      handshakes_.push_back({step + recording_.handshake_steps, *index});
    }
    list("arrived", std::move(arrived));
    for (; !handshakes_.empty() && handshakes_.front().first <= step; handshakes_.pop_front()) {
      scheduler_.handshake_done(handshakes_.front().second);
    }
    scheduler_.begin_pass();
    for (const RequestIndex r : scheduler_.pass().allocated)
      transfers_.push_back({step + recording_.transfer_steps, r});
    end_transfers();
  }

  // After the batch has been formed.
  void formed(bool several) {
    const SglangPass& pass = scheduler_.pass();
    entry_["kind"] = name_of(pass.kind);
    Json tokens = Json::object(), prefix = Json::object(), decodes = Json::array();
    for (const ScheduledRequest& r : scheduler_.step().requests) {
      tokens[id(r.request)] = r.tokens;
      if (r.prompt && r.context > 0) prefix[id(r.request)] = r.context;
      if (!r.prompt) decodes.push_back(id(r.request));
    }
    list("tokens", std::move(tokens));
    list("prefix", std::move(prefix));
    if (pass.kind == SglangPassKind::kMixed) list("decodes_in_mixed", std::move(decodes));
    list("retracted", ids(pass.retracted));
    list("prealloc_queue", ids(scheduler_.preallocating()));
    list("transfer_queue", ids(scheduler_.transferring()));
    list("retracted_queue", ids(scheduler_.retracted()));
    list("bootstrap_queue", ids(scheduler_.bootstrapping()));
    list("inflight_queue", ids(scheduler_.inflight()));
    if (pass.kind != SglangPassKind::kIdle && scheduler_.open_chunk()) entry_["chunked"] = id(*scheduler_.open_chunk());
    free_ = scheduler_.free_tokens();
    slots_free_ = scheduler_.free_slots();
    running_ = std::ssize(scheduler_.running());
    waiting_ = ids(scheduler_.waiting());
    const bool plain =
        !several && recording_.config.role == SglangRole::kBoth && recording_.config.num_draft_tokens == 0;
    if (plain && waiting_.size() > kLongestListedQueue) {
      const std::size_t more = waiting_.size() - kListedOfLongerQueue;
      waiting_.erase(waiting_.begin() + kListedOfLongerQueue, waiting_.end());
      waiting_.push_back(fmt::format("+{}", more));
    }
    full_ = scheduler_.batch_is_full() && recording_.config.role == SglangRole::kBoth;
  }

  void complete() {
    std::vector<std::int32_t> gained;
    if (!recording_.accept_pattern.empty()) {
      for (const SglangRow& row : scheduler_.results_due()) {
        const bool verifies = scheduler_.awaited(row) && !row.prompt;
        gained.push_back(verifies ? gain_of(numbers_[row.request]) : 0);
      }
    }
    scheduler_.take_results(gained);
    for (const SglangSent& sent : scheduler_.pass().sent) {
      if (sent.last) transfers_.push_back({step_ + recording_.transfer_steps, sent.request});
    }
    end_transfers();
    scheduler_.end_pass();
  }

  // The rank's entry of the step. With several ranks it leaves out what a recording of those does not say.
  Json entry(bool several, Json& results) {
    const SglangPass& pass = scheduler_.pass();
    Json gained = Json::object(), sent = Json::array();
    for (const SglangGain& gain : pass.gained) gained[id(gain.request)] = gain.tokens;
    for (const SglangSent& s : pass.sent) sent.push_back(Json::array({id(s.request), s.tokens, s.pages}));
    list("accepted", std::move(gained));
    list("preempted", in_order_of_arrival(pass.preempted));
    list("sent", std::move(sent));
    if (!several && pass.evicted > 0) entry_["evicted"] = pass.evicted;
    entry_["ratio"] = Json::array({rounded(pass.ratio_before), rounded(scheduler_.new_token_ratio())});
    entry_["free"] = Json::array({free_, scheduler_.free_tokens()});
    entry_["evictable"] = scheduler_.evictable_tokens();
    if (recording_.config.role != SglangRole::kBoth) entry_["slots_free"] = slots_free_;
    entry_["running"] = running_;
    entry_["waiting"] = waiting_;
    if (!several && full_) entry_["full"] = true;
    for (const RequestIndex r : pass.finished) results[id(r)] = result(r);
    list("finished", in_order_of_arrival(pass.finished));
    return sorted_like_a_recording(entry_);
  }

 private:
  void list(const char* key, Json values) {
    if (!values.empty()) entry_[key] = std::move(values);
  }
  [[nodiscard]] const std::string& id(RequestIndex r) const { return recording_.requests[numbers_[r]].id; }
  [[nodiscard]] Json ids(std::span<const RequestIndex> requests) const {
    Json list = Json::array();
    for (const RequestIndex r : requests) list.push_back(id(r));
    return list;
  }
  [[nodiscard]] Json in_order_of_arrival(std::vector<RequestIndex> requests) const {
    std::ranges::sort(requests, {}, [&](RequestIndex r) { return numbers_[r]; });
    return ids(requests);
  }
  std::int32_t gain_of(std::size_t number) {
    return recording_.accept_pattern[verified_[number]++ % recording_.accept_pattern.size()];
  }
  void end_transfers() {
    for (; !transfers_.empty() && transfers_.front().first <= step_; transfers_.pop_front()) {
      scheduler_.transfer_done(transfers_.front().second);
    }
  }
  [[nodiscard]] Json result(RequestIndex r) const {
    const SglangRecording::Load& asked = recording_.requests[numbers_[r]];
    const std::int64_t made = scheduler_.output_tokens(r), most = scheduler_.max_new_tokens(r);
    const bool may_stop = !asked.sampling.ignore_eos && asked.request.output_tokens < *asked.sampling.max_new_tokens &&
                          recording_.config.role != SglangRole::kPrefill;
    const bool stops = may_stop && made >= asked.request.output_tokens;
    Json result = {{"output_tokens", std::min(made, stops ? asked.request.output_tokens : most)},
                   {"finish", stops ? "stop" : "length"},
                   {"retractions", scheduler_.retractions(r)}};
    if (recording_.ranks == 1) result["max_new_tokens_effective"] = most;
    return result;
  }

  static Json sorted_like_a_recording(Json& entry) {
    Json sorted = Json::object();
    for (const char* key : {"kind",
                            "arrived",
                            "tokens",
                            "prefix",
                            "decodes_in_mixed",
                            "retracted",
                            "accepted",
                            "preempted",
                            "prealloc_queue",
                            "transfer_queue",
                            "retracted_queue",
                            "bootstrap_queue",
                            "inflight_queue",
                            "sent",
                            "chunked",
                            "evicted",
                            "ratio",
                            "free",
                            "evictable",
                            "slots_free",
                            "running",
                            "waiting",
                            "full",
                            "finished"}) {
      if (entry.contains(key)) sorted[key] = std::move(entry[key]);
    }
    return sorted;
  }

  using Timer = std::pair<std::int64_t, RequestIndex>;  // the pass in which it ends
  const SglangRecording& recording_;
  SglangScheduler& scheduler_;
  std::vector<std::size_t> numbers_;   // by index: which request of the recording
  std::vector<std::size_t> verified_;  // by request: verifies so far
  std::deque<Timer> handshakes_, transfers_;
  std::int64_t step_ = 0;
  Json entry_;
  Json waiting_;
  std::int64_t free_ = 0, slots_free_ = 0, running_ = 0;
  bool full_ = false;
};

class SglangLoop {
 public:
  explicit SglangLoop(const SglangRecording& recording)
      : recording_(recording),
        ranks_(recording.config, recording.ranks, recording.skip_mlp_sync),
        arrivals_(recording.ranks) {
    for (std::size_t i = 0; i < recording.ranks; ++i) replayed_.emplace_back(recording, ranks_.rank(i));
  }

  SglangReplay run() {
    // One more pass after the last end shows that nothing is left; a PD side has none.
    for (bool ended = false; !ended;) {
      ended = step_ > 0 && next_ == recording_.requests.size() && ranks_.done();
      if (ended && recording_.config.role != SglangRole::kBoth) break;
      run_pass();
      if (!ended) stop_if_nothing_goes_on();
      ++step_;
    }
    cut_trailing_idle_passes();
    sort_results();
    return std::move(replay_);
  }

 private:
  [[nodiscard]] bool several() const { return recording_.ranks > 1; }

  void run_pass() {
    for (auto& list : arrivals_) list.clear();
    for (; next_ < recording_.requests.size() && recording_.requests[next_].arrival_step <= step_; ++next_) {
      arrivals_[recording_.requests[next_].rank].push_back(next_);
    }
    for (std::size_t i = 0; i < recording_.ranks; ++i) replayed_[i].begin(step_, arrivals_[i], replay_.rejected);
    ranks_.form();
    for (ReplayedRank& rank : replayed_) rank.formed(several());
    for (ReplayedRank& rank : replayed_) rank.complete();
    Json step = {{"step", step_}};
    if (!several()) {
      step.update(replayed_.front().entry(false, replay_.results));
    } else {
      Json entries = Json::array(), tokens = Json::array();
      for (std::size_t i = 0; i < recording_.ranks; ++i) {
        entries.push_back(replayed_[i].entry(true, replay_.results));
        tokens.push_back(ranks_.gathered_tokens(i));
      }
      step["ranks"] = std::move(entries);
      if (ranks_.launched()) {
        step["global_num_tokens"] = std::move(tokens);
        step["is_extend_in_batch"] = ranks_.prefills();
      }
    }
    replay_.steps.push_back(std::move(step));
  }

  // Every pass that computes computes a token, so one that makes no output computes a prompt: more such passes in a row
  // than there are tokens mean that the engine goes round in circles. A pass that launches nothing and in which nobody
  // gets memory or ends is fine while a handshake or a transfer is waited for, and only then.
  void stop_if_nothing_goes_on() {
    std::int64_t tokens = 0;
    bool moves = next_ < recording_.requests.size();
    bool launched = false;
    for (std::size_t i = 0; i < recording_.ranks; ++i) {
      const SglangPass& pass = ranks_.rank(i).pass();
      launched |= pass.kind == SglangPassKind::kExtend || pass.kind == SglangPassKind::kDecode ||
                  pass.kind == SglangPassKind::kMixed;
      moves |= !pass.finished.empty() || !pass.allocated.empty() || !arrivals_[i].empty();
      for (const ScheduledRequest& r : ranks_.rank(i).step().requests) tokens += r.samples ? 1 : 0;
    }
    quiet_ = launched || moves ? 0 : quiet_ + 1;
    barren_ = tokens > 0 || moves ? 0 : barren_ + 1;
    const std::int64_t patience = 2 + recording_.handshake_steps + recording_.transfer_steps;
    if (quiet_ <= patience && barren_ <= patience + all_tokens()) return;
    if (ranks_.done()) return;
    std::string queues;
    for (std::size_t i = 0; i < recording_.ranks; ++i) {
      queues += several() ? fmt::format("; rank {}: ", i) : "; ";
      queues += ranks_.rank(i).state();
    }
    throw SglangStop(fmt::format("no progress at step {}: {} requests unfinished{}", step_, unfinished(), queues));
  }

  [[nodiscard]] std::int64_t all_tokens() const {
    std::int64_t tokens = 0;
    for (const SglangRecording::Load& r : recording_.requests)
      tokens += r.request.input_tokens + *r.sampling.max_new_tokens;
    return tokens;
  }
  [[nodiscard]] std::int64_t unfinished() const {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < recording_.ranks; ++i) count += ranks_.rank(i).in_flight();
    return count;
  }

  // One idle pass at the end tells that all is done; more tell nothing. On a PD side the pass after the last end tells
  // nothing either, unless it is that end.
  void cut_trailing_idle_passes() {
    const auto idle = [&](const Json& entry) { return entry["kind"] == "idle"; };
    const auto bare = [&](const Json& entry) {
      return idle(entry) && std::ranges::none_of(std::initializer_list<const char*>{"arrived", "finished", "accepted",
                                                                                    "transfer_queue", "inflight_queue"},
                                                 [&](const char* key) { return entry.contains(key); });
    };
    const auto all_ranks = [&](const Json& step, auto&& test) {
      return several() ? std::ranges::all_of(step["ranks"], test) : test(step);
    };
    Json& steps = replay_.steps;
    while (steps.size() > 1) {
      const Json& before = steps[steps.size() - 2];
      if (!all_ranks(steps.back(), bare) || !all_ranks(before, idle)) return;
      if (recording_.config.role != SglangRole::kBoth && before.contains("finished")) return;
      steps.erase(steps.size() - 1);
    }
  }

  // By rank, in the order of arrival.
  void sort_results() {
    Json sorted = Json::object();
    for (std::size_t rank = 0; rank < recording_.ranks; ++rank) {
      for (const SglangRecording::Load& r : recording_.requests) {
        if (r.rank != rank) continue;
        if (replay_.results.contains(r.id)) {
          sorted[r.id] = std::move(replay_.results[r.id]);
        } else {
          sorted[r.id] = {{"output_tokens", 0}, {"finish", nullptr}, {"retractions", 0}};  // refused
          if (!several()) sorted[r.id]["max_new_tokens_effective"] = 0;
        }
      }
    }
    replay_.results = std::move(sorted);
  }

  const SglangRecording& recording_;
  SglangRanks ranks_;
  std::vector<ReplayedRank> replayed_;
  std::vector<std::vector<std::size_t>> arrivals_;  // of this pass, by rank
  std::size_t next_ = 0;
  std::int64_t step_ = 0;
  std::int64_t quiet_ = 0;   // passes in a row in which nothing happened
  std::int64_t barren_ = 0;  // passes in a row without an output token
  SglangReplay replay_;
};

}  // namespace

std::optional<SglangReplay> replay(const SglangRecording& recording, const SourceLocation& where,
                                   Diagnostics& diagnostics) {
  SglangLoop loop(recording);
  try {
    return loop.run();
  } catch (const SglangStop& stop) {
    diagnostics.error("E0523", where, stop.what(), "SGLang would hang or stop here as well",
                      "a larger pool, or fewer tokens kept free for what may come");
    return std::nullopt;
  }
}

}  // namespace ascendsim
