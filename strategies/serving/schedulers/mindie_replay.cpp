// MindIE's engine thread on a virtual clock: fetch what came back, schedule, execute or sleep for a millisecond.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "strategies/serving/schedulers/mindie_ranks.h"
#include "strategies/serving/schedulers/mindie_recording.h"

namespace ascendsim {

namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

double in_ms(Duration d) { return static_cast<double>(d.count()) / 1e9; }

class Replay {
 public:
  explicit Replay(const MindieRecording& recording)
      : recording_(recording), ranks_(recording.config, recording.dp), states_(recording.requests.size()) {
    for (std::size_t i = 0; i < states_.size(); ++i) queue_.push_back(i);
    std::ranges::stable_sort(queue_, {}, [&](std::size_t i) { return recording_.requests[i].request.arrival; });
    numbers_.resize(ranks_.size());
    back_.resize(ranks_.size());
    late_.resize(ranks_.size());
    unfinished_ = states_.size();
  }

  // False when the engine stands still: state() says how.
  bool run() {
    // Longer than any delay that ends by itself.
    const std::int64_t patience = 5000 + (recording_.config.max_queue_delay + recording_.pull) / milliseconds(1) * 2;
    while (goes_on() && std::ssize(steps_) < recording_.max_steps) {
      try {
        if (!pass()) break;
      } catch (const MindieStopped& reason) {
        stopped(reason.what());
        return true;
      }
      if (empty_rounds_ > patience) return false;
    }
    if (std::ssize(steps_) >= recording_.max_steps) error_ = "stopped at max_steps";
    return true;
  }

  Json take() {
    Json out;
    out["steps"] = std::move(steps_);
    if (!recording_.by_rank) out["result"] = result();
    if (!error_.empty()) out["error"] = error_;
    return out;
  }

  [[nodiscard]] std::string state() const {
    std::string text = fmt::format("no progress from {} ms on", in_ms(last_progress_));
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      const MindieScheduler& rank = ranks_.rank(k);
      text += fmt::format("; {}waiting [{}], running [{}], swapped [{}], {} of {} blocks free",
                          ranks_.size() > 1 ? fmt::format("rank {}: ", k) : "", fmt::join(ids(k, rank.waiting()), " "),
                          fmt::join(ids(k, rank.running()), " "), fmt::join(ids(k, rank.swapped()), " "),
                          rank.blocks().free(), rank.blocks().per_rank() * rank.blocks().ranks());
    }
    return text;
  }

 private:
  struct State {  // of a request, as the model and the user see it
    std::int64_t produced = 0, decodes = 0;
    std::optional<Duration> first, end;
    bool left = false;      // ended, ignored or sent away
    bool notified = false;  // its cache was pulled
  };
  struct Due {
    Duration at;
    std::size_t number;
    RequestIndex request;
  };

  [[nodiscard]] MindieRole role() const { return recording_.config.role; }
  [[nodiscard]] bool goes_on() const {
    const MindieScheduler& first = ranks_.rank(0);  // recordings with several ranks end with the first one
    return unfinished_ > 0 || !first.running().empty() || first.transferring() > 0;
  }
  std::size_t& number(std::size_t rank, RequestIndex request) { return numbers_[rank][request]; }
  [[nodiscard]] std::size_t number(std::size_t rank, RequestIndex request) const { return numbers_[rank][request]; }
  [[nodiscard]] const std::string& id(std::size_t rank, RequestIndex request) const {
    return recording_.requests[number(rank, request)].id;
  }
  [[nodiscard]] std::vector<std::string> ids(std::size_t rank, const RingQueue<RequestIndex>& queue) const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < queue.size(); ++i) out.push_back(id(rank, queue[i]));
    return out;
  }
  [[nodiscard]] Json ids_in_file_order(std::size_t rank, std::vector<RequestIndex> requests) const {
    std::ranges::sort(requests, {}, [&](RequestIndex r) { return number(rank, r); });
    return ids_of(rank, requests);
  }
  [[nodiscard]] Json ids_of(std::size_t rank, const std::vector<RequestIndex>& requests) const {
    Json out = Json::array();
    for (const RequestIndex r : requests) out.push_back(id(rank, r));
    return out;
  }

  void arrivals() {
    while (!queue_.empty() && recording_.requests[queue_.front()].request.arrival <= now_) {
      const std::size_t n = queue_.front();
      queue_.pop_front();
      const std::size_t rank = ranks_.next();
      const RequestIndex request = ranks_.add(recording_.requests[n].request);
      if (request >= numbers_[rank].size()) numbers_[rank].resize(request + 1);
      number(rank, request) = n;
      arrived_.emplace_back(n, rank);
    }
  }

  // One pass of the engine's loop. False when nothing can ever happen again.
  bool pass() {
    arrivals();
    Json step;
    step["step"] = steps_.size();
    step["t_ms"] = in_ms(now_);
    note_arrivals(step);
    step["kind"] = "";
    if (role() != MindieRole::kBoth) hand_over(step);
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      ranks_.rank(k).complete(back_[k], now_);
      back_[k].clear();
    }
    std::vector<bool> first;
    for (std::size_t k = 0; k < ranks_.size(); ++k) first.push_back(ranks_.rank(k).new_request_first());
    const bool empty = ranks_.schedule(now_);
    describe(step, first);
    count_those_who_left();
    if (!empty) {
      execute(step);
      steps_.push_back(std::move(step));
      empty_rounds_ = 0;
      last_progress_ = now_;
      return true;
    }
    ++empty_rounds_;
    if (Json* before = same_round_before(step))
      (*before)["rounds"] = (*before)["rounds"].get<std::int64_t>() + 1;
    else
      (step["rounds"] = 1, steps_.push_back(std::move(step)));
    return sleep();
  }

  bool sleep() {
    if (role() != MindieRole::kBoth) {  // caches are handed over in the sleeping pass as well
      Json pulls = started_pulls(ranks_.rank(0).transfer());
      if (!pulls.empty())
        steps_.push_back(
            {{"step", steps_.size()}, {"t_ms", in_ms(now_)}, {"kind", "transfer"}, {"pull_started", pulls}});
    }
    bool busy = false;
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      const MindieScheduler& rank = ranks_.rank(k);
      busy = busy || !rank.waiting().empty() || !rank.running().empty() || !rank.swapped().empty() ||
             rank.transferring() > 0;
    }
    const bool idle = !busy && !queue_.empty();
    // The recordings skip idle time; with ranks that vote, after one more round.
    if (recording_.by_rank || !idle) now_ += milliseconds(1);
    if (idle) {
      now_ = std::max(now_, recording_.requests[queue_.front()].request.arrival);
      empty_rounds_ = 0;
    }
    return true;
  }

  void note_arrivals(Json& step) {
    for (const auto& [n, rank] : arrived_) {
      const std::string& name = recording_.requests[n].id;
      if (recording_.by_rank)
        step["arrived_to_dp"][name] = rank;
      else
        step["arrived"].push_back(name);
    }
    arrived_.clear();
  }

  Json started_pulls(const MindieTransfer& transfer) {
    for (const RequestIndex r : transfer.pulls_started) due_.push_back({now_ + recording_.pull, number(0, r), r});
    return ids_of(0, transfer.pulls_started);
  }

  void hand_over(Json& step) {
    MindieScheduler& rank = ranks_.rank(0);
    while (!due_.empty() && due_.front().at <= now_) {
      if (role() == MindieRole::kPrefill)
        rank.kv_pulled(due_.front().request);
      else
        rank.kv_arrived(due_.front().request);
      states_[due_.front().number].notified = true;
      due_.pop_front();
    }
    const MindieTransfer& transfer = rank.transfer();
    Json pulls = started_pulls(transfer);
    if (!pulls.empty()) step["pull_started"] = std::move(pulls);
    for (const RequestIndex r : transfer.released)
      if (states_[number(0, r)].notified) step["kv_released"].push_back(id(0, r));
  }

  void count_those_who_left() {
    for (std::size_t k = 0; k < ranks_.size(); ++k)
      for (const RequestIndex r : ranks_.step(k).left) {
        State& state = states_[number(k, r)];
        if (!state.left) --unfinished_;
        state.left = true;
      }
  }

  // The model: how long the step takes, and which tokens it brings.
  void execute(Json& step) {
    Duration took{};
    for (std::size_t k = 0; k < ranks_.size(); ++k) took = std::max(took, time_of(ranks_.step(k)));
    now_ += took;
    arrivals();
    Json finished = Json::array();
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      std::vector<MindieResult> results;
      for (const ScheduledRequest& r : ranks_.step(k).batch.requests)
        if (r.samples) answer(k, r, results, finished);
      if (recording_.config.async_inference) std::swap(results, late_[k]);
      back_[k] = std::move(results);
    }
    if (!finished.empty()) step["finished_after"] = std::move(finished);
    step["step_ms"] = in_ms(took);
  }

  [[nodiscard]] Duration time_of(const MindieStep& decided) const {
    std::int64_t prompt = 0, decodes = 0;
    const MindieConfig& c = recording_.config;
    for (std::size_t i = 0; i < decided.batch.requests.size(); ++i) {
      const ScheduledRequest& r = decided.batch.requests[i];
      if (!r.prompt) {
        ++decodes;
        continue;
      }
      // Hits count in the first chunk only. A prompt that is cached as a whole costs one token, with SplitFuse all.
      const std::int64_t handed = decided.handed[i], cached = hit_tokens(decided, i);
      if (!c.split_fuse)
        prompt += std::max<std::int64_t>(1, handed - cached);
      else
        prompt += r.tokens < handed && cached < handed ? handed - cached : handed;
    }
    Duration took{};
    if (prompt > 0) took = recording_.prefill_fixed + prompt * recording_.prefill_per_token;
    if (decodes > 0) took += (prompt > 0 ? Duration{} : recording_.decode) + decodes * recording_.decode_per_request;
    return took;
  }

  [[nodiscard]] std::int64_t hit_tokens(const MindieStep& decided, std::size_t place) const {
    if (decided.hit_blocks.empty()) return 0;
    const auto ranks = static_cast<std::size_t>(recording_.config.ranks());
    std::int64_t blocks = 0;
    for (std::size_t k = 0; k < ranks; ++k) blocks += decided.hit_blocks[place * ranks + k];
    return blocks * recording_.config.block_size;
  }

  void answer(std::size_t rank, const ScheduledRequest& scheduled, std::vector<MindieResult>& results, Json& finished) {
    const MindieRecording::Submitted& submitted = recording_.requests[number(rank, scheduled.request)];
    State& state = states_[number(rank, scheduled.request)];
    if (state.end) return;  // the step too many of asynchronous inference
    const bool decodes = !scheduled.prompt || (recording_.config.split_fuse && state.produced > 0);
    std::int64_t tokens = 1;
    if (decodes && recording_.config.speculation_gamma > 0) {
      const auto nth = static_cast<std::size_t>(state.decodes++);
      tokens += submitted.accepted.empty() ? recording_.config.speculation_gamma
                                           : submitted.accepted[nth % submitted.accepted.size()];
    }
    tokens = std::min(tokens, submitted.request.output_tokens - state.produced);
    state.produced += tokens;
    if (!state.first) state.first = now_;
    const bool done = state.produced >= submitted.request.output_tokens;
    const bool prefilled = role() == MindieRole::kPrefill && !done;
    results.push_back({scheduled.request, tokens, done});
    if (prefilled) due_.push_back({now_ + recording_.pull, number(rank, scheduled.request), scheduled.request});
    if (!done && !prefilled) return;
    finished.push_back(submitted.id + (prefilled ? " (prefilled)" : ""));
    state.end = now_;
    if (!state.left) --unfinished_;
    state.left = true;
  }

  void describe(Json& step, const std::vector<bool>& first_before) {
    bool scheduled = false, prefill = false;
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      scheduled = scheduled || !ranks_.step(k).batch.empty();
      prefill = prefill || ranks_.step(k).prefill;
    }
    step["kind"] = !scheduled ? "empty" : recording_.config.split_fuse ? "mixed" : prefill ? "prefill" : "decode";
    if (recording_.by_rank) {
      step["ranks"] = Json::array();
      for (std::size_t k = 0; k < ranks_.size(); ++k) step["ranks"].push_back(rank_part(k));
    } else {
      describe_single(step, first_before[0]);
    }
  }

  [[nodiscard]] Json tokens_of(std::size_t k) const {
    Json tokens = Json::object();
    const MindieStep& decided = ranks_.step(k);
    for (std::size_t i = 0; i < decided.handed.size(); ++i)
      tokens[id(k, decided.batch.requests[i].request)] = decided.handed[i];
    return tokens;
  }

  [[nodiscard]] Json rank_part(std::size_t k) const {
    const MindieScheduler& rank = ranks_.rank(k);
    Json part = {{"dp", k}, {"tokens", tokens_of(k)}};
    if (!ranks_.step(k).recomputed.empty()) part["preempted"] = ids_of(k, ranks_.step(k).recomputed);
    if (!ranks_.step(k).ignored.empty()) part["ignored"] = ids_of(k, ranks_.step(k).ignored);
    part["free_blocks"] = rank.blocks().free();
    part["waiting"] = rank.waiting().size();
    part["running"] = rank.running().size();
    return part;
  }

  void describe_single(Json& step, bool first_before) {
    const MindieScheduler& rank = ranks_.rank(0);
    const MindieStep& decided = ranks_.step(0);
    const MindieBlocks& blocks = rank.blocks();
    step["tokens"] = tokens_of(0);
    describe_blocks(step);
    if (!decided.recomputed.empty()) step["preempted"] = ids_of(0, decided.recomputed);
    if (!decided.swapped_out.empty()) {
      step["swapped_out"] = ids_in_file_order(0, decided.swapped_out);
      step["blocks_swapped_out"] = decided.blocks_swapped_out;
    }
    if (!decided.swapped_in.empty()) {
      step["swapped_in"] = ids_in_file_order(0, decided.swapped_in);
      step["blocks_swapped_in"] = decided.blocks_swapped_in;
    }
    if (!decided.ignored.empty()) step["ignored"] = ids_in_file_order(0, decided.ignored);
    step["free_blocks"] = blocks.free();
    if (blocks.ranks() > 1)
      for (std::int64_t k = 0; k < blocks.ranks(); ++k) step["free_blocks_per_rank"].push_back(blocks.free_on(k));
    step["waiting"] = rank.waiting().size();
    step["running"] = rank.running().size();
    step["swapped"] = rank.swapped().size();
    if (role() != MindieRole::kBoth) step["transferring"] = rank.transferring();
    step["running_queue"] = ids(0, rank.running());
    step["waiting_queue"] = ids(0, rank.waiting());
    if (rank.new_request_first() != first_before) step["new_request_first"] = rank.new_request_first();
    if (recording_.config.dynamic_batch) {
      step["maxBatchSize_now"] = rank.max_batch();
      step["maxPrefillBatchSize_now"] = rank.max_prefill_batch();
    }
  }

  // What each scheduled request holds, by rank of the ring if there is one.
  void describe_blocks(Json& step) const {
    const MindieBlocks& blocks = ranks_.rank(0).blocks();
    const MindieStep& decided = ranks_.step(0);
    const std::int64_t ring = blocks.ranks();
    Json cached = Json::object(), held = Json::object(), places = Json::object();
    for (std::size_t i = 0; i < decided.batch.requests.size(); ++i) {
      const RequestIndex r = decided.batch.requests[i].request;
      if (hit_tokens(decided, i) > 0) {
        Json& hits = cached[id(0, r)];
        for (std::int64_t k = 0; k < ring; ++k)
          hits.push_back(decided.hit_blocks[i * static_cast<std::size_t>(ring) + static_cast<std::size_t>(k)]);
        if (ring == 1) hits = Json(hits[0]);
      }
      if (ring == 1) {
        held[id(0, r)] = blocks.held(r);
        continue;
      }
      Json& place = places[id(0, r)];
      place["append_rank"] = blocks.append_rank(r);
      for (std::int64_t k = 0; k < ring; ++k) {
        held[id(0, r)].push_back(blocks.held_on(r, k));
        place["tokens_per_rank"].push_back(blocks.tokens_on(r, k));
      }
    }
    if (!cached.empty()) step["cached_blocks"] = std::move(cached);
    step["blocks"] = std::move(held);
    if (!places.empty()) step["sp"] = std::move(places);
  }

  // Equal empty rounds are one step: the last one, if this one brings no news.
  Json* same_round_before(const Json& step) {
    if (steps_.empty() || steps_.back()["kind"] != "empty") return nullptr;
    for (const char* news :
         {"arrived", "arrived_to_dp", "new_request_first", "preempted", "ignored", "pull_started", "kv_released"})
      if (step.contains(news)) return nullptr;
    const Json& before = steps_.back();
    for (const auto& [key, value] : step.items())
      if (key != "step" && key != "t_ms" && (!before.contains(key) || before[key] != value)) return nullptr;
    return &steps_.back();
  }

  // MindIE raises here and serves no more.
  void stopped(const char* reason) {
    steps_.push_back({{"step", steps_.size()}, {"t_ms", in_ms(now_)}, {"kind", "exception"}});
    error_ = reason;
  }

  [[nodiscard]] Json result() const {
    Json result = Json::object();
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const State& state = states_[i];
      Json& of = result[recording_.requests[i].id];
      of["produced"] = state.produced;
      if (state.first) of["first_token_ms"] = in_ms(*state.first);
      if (state.end) of["end_ms"] = in_ms(*state.end);
      of["state"] = state.left ? "ended" : state.first ? "running" : "waiting";
    }
    return result;
  }

  const MindieRecording& recording_;
  MindieRanks ranks_;
  std::vector<State> states_;
  std::vector<std::vector<std::size_t>> numbers_;       // of the recording, by rank and number in its scheduler
  std::vector<std::vector<MindieResult>> back_, late_;  // by rank: to be handed over, and one batch later
  std::deque<std::size_t> queue_;                       // not arrived yet
  std::deque<Due> due_;                                 // caches on their way
  std::vector<std::pair<std::size_t, std::size_t>> arrived_;
  std::size_t unfinished_ = 0;
  Duration now_{}, last_progress_{};
  std::int64_t empty_rounds_ = 0;
  Json steps_ = Json::array();
  std::string error_;
};

}  // namespace

std::optional<Json> replay_mindie(const MindieRecording& recording, const SourceLocation& where,
                                  Diagnostics& diagnostics) {
  Replay replay(recording);
  if (replay.run()) return replay.take();
  diagnostics.error("E0523", where, replay.state(), "MindIE would go on in empty rounds for ever");
  return std::nullopt;
}

}  // namespace ascendsim
