// A small serving loop around MindIE's scheduler, and random loads for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "strategies/serving/schedulers/mindie_ranks.h"

namespace ascendsim::mindie_test {

inline Duration ms(std::int64_t n) { return std::chrono::milliseconds(n); }

inline Request request(std::int64_t input, std::int64_t output, Duration arrival = {},
                       std::vector<PromptSegment> shared = {}) {
  return {.arrival = arrival, .input_tokens = input, .output_tokens = output, .shared = std::move(shared)};
}

struct Load {
  MindieConfig config{};
  std::int64_t dp = 1;
  std::vector<Request> requests{};  // in order of arrival
  Duration prefill = ms(12), decode = ms(20);
};

// Numbers from a seed alone: SplitMix64.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  std::int64_t number(std::int64_t least, std::int64_t most) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return least + static_cast<std::int64_t>((z ^ (z >> 31)) % static_cast<std::uint64_t>(most - least + 1));
  }
  bool one_in(std::int64_t n) { return number(1, n) == 1; }

 private:
  std::uint64_t state_;
};

inline Load random_load(std::uint64_t seed) {
  Draw draw(seed);
  Load load;
  MindieConfig& c = load.config;
  c.block_size = draw.one_in(3) ? 16 : 128;
  c.max_batch = draw.number(2, 12);
  c.max_prefill_batch = draw.number(1, 6);
  c.max_seq_len = c.max_prefill_tokens = 1500;
  c.max_queue_delay = ms(draw.one_in(3) ? 30 : 5);
  c.max_first_token_wait = ms(draw.one_in(3) ? 150 : 60'000);
  switch (draw.number(0, 7)) {
    case 0:
      c.split_fuse = true;
      c.max_prefill_tokens = draw.number(64, 512);
      c.prefill_chunk = draw.one_in(2) ? 0 : 128;
      break;
    case 1:
      c.stage_policy = MindieStagePolicy::kSelectBatch;
      break;
    case 2:
      c.max_preempt_count = draw.number(1, 2);
      c.host_blocks = draw.number(0, 600);
      break;
    case 3:
      c.sp = draw.number(2, 8);
      break;
    case 4:
      load.dp = draw.number(2, 4);
      break;
    default:
      break;
  }
  if (draw.one_in(4) && c.max_preempt_count == 0) c.speculation_gamma = draw.number(1, 4);
  c.async_inference = draw.one_in(4);
  c.prefix_cache = draw.one_in(4) && c.speculation_gamma == 0;
  // From a cache that is always large enough to one in which few requests fit beside each other.
  const std::int64_t longest = draw.number(60, 900);
  const std::int64_t of_one = ceil_div(longest + 80, c.block_size) + 3;
  const std::int64_t most = draw.one_in(3) ? 40 * of_one : 3 * of_one;
  c.npu_blocks = draw.number(of_one, most);
  Duration at{};
  for (std::int64_t n = draw.number(4, 14); n > 0; --n) {
    at += ms(draw.number(0, draw.one_in(4) ? 900 : 40));
    const std::int64_t input = draw.number(1, longest), output = draw.number(1, 60);
    Request r = request(input, output, at);
    if (c.prefix_cache && draw.one_in(2)) r.shared = {{std::min(r.input_tokens, draw.number(1, 500)), 7}};
    load.requests.push_back(std::move(r));
  }
  return load;
}

// Serves a load: each pass is one round, or (coalesced) as many decode steps as may be taken at once.
class Loop {
 public:
  struct Served {
    std::int64_t produced = 0, decodes = 0;
    std::optional<Duration> first, end;
    bool left = false;
  };

  explicit Loop(const Load& load) : load_(load), ranks_(load.config, load.dp), served_(load.requests.size()) {
    numbers_.resize(ranks_.size());
    late_.resize(ranks_.size());
  }

  [[nodiscard]] bool done() const {
    return next_ == load_.requests.size() && std::ranges::all_of(served_, [](const Served& s) { return s.left; });
  }
  // MindIE does so itself on some loads: nothing is scheduled any more, or SplitFuse preempts for ever.
  [[nodiscard]] bool gets_nowhere() const { return empty_rounds_ > 2000 || rounds_ > 20'000; }
  [[nodiscard]] Duration now() const { return now_; }
  [[nodiscard]] const MindieRanks& ranks() const { return ranks_; }
  [[nodiscard]] const std::vector<Served>& served() const { return served_; }
  [[nodiscard]] std::size_t number(std::size_t rank, RequestIndex r) const { return numbers_[rank][r]; }
  [[nodiscard]] std::int64_t rounds() const { return rounds_; }

  void pass() {
    arrivals();
    ++rounds_;
    const bool empty = ranks_.schedule(now_);
    for (std::size_t k = 0; k < ranks_.size(); ++k)
      for (const RequestIndex r : ranks_.step(k).left) served_[number(k, r)].left = true;
    if (empty) {
      ++empty_rounds_;
      now_ += ms(1);
      return;
    }
    empty_rounds_ = 0;
    bool prompts = false;
    for (std::size_t k = 0; k < ranks_.size(); ++k)
      for (const ScheduledRequest& r : ranks_.step(k).batch.requests) prompts = prompts || r.prompt;
    now_ += prompts ? load_.prefill : load_.decode;
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      std::vector<MindieResult> results;
      for (const ScheduledRequest& r : ranks_.step(k).batch.requests)
        if (r.samples) answer(k, r.request, !r.prompt, results);
      if (load_.config.async_inference) std::swap(results, late_[k]);
      ranks_.rank(k).complete(results, now_);
    }
  }

  // Rounds that were taken, 1 where the next one had to be decided.
  std::int64_t pass_coalesced() {
    arrivals();
    const MindieRun run = ranks_.decode_run();
    std::int64_t n = 0;
    while (n < run.steps && now_ + n * load_.decode < run.until &&
           (next_ == load_.requests.size() || load_.requests[next_].arrival > now_ + n * load_.decode))
      ++n;
    if (n == 0) {
      pass();
      return 1;
    }
    const bool async = load_.config.async_inference;
    std::vector<std::vector<std::int64_t>> tokens(ranks_.size());
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      const auto& running = ranks_.rank(k).running();
      for (std::int64_t step = 0; step < n; ++step) {
        std::vector<MindieResult> results;
        const Duration before = std::exchange(now_, now_ + (step + 1) * load_.decode);
        for (std::size_t i = 0; i < running.size(); ++i) answer(k, running[i], true, results);
        now_ = before;
        if (async) std::swap(results, late_[k]);
        for (std::size_t i = 0; i < running.size(); ++i) {
          const auto of = std::ranges::find(results, running[i], &MindieResult::request);
          tokens[k].push_back(of == results.end() ? 0 : of->tokens);
        }
      }
    }
    const Duration last = now_ + (n - 1) * load_.decode;
    if (load_.config.speculation_gamma > 0)
      ranks_.advance(n, last, tokens);
    else
      ranks_.advance(n, last);
    now_ += n * load_.decode;
    rounds_ += n;
    return n;
  }

  // All that can be seen of the schedulers.
  [[nodiscard]] std::vector<std::int64_t> state() const {
    std::vector<std::int64_t> out = {now_.count()};
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      const MindieScheduler& rank = ranks_.rank(k);
      out.push_back(rank.new_request_first() ? 1 : 0);
      out.push_back(static_cast<std::int64_t>(rank.seen()));
      for (std::int64_t i = 0; i < rank.blocks().ranks(); ++i) out.push_back(rank.blocks().free_on(i));
      for (const RingQueue<RequestIndex>* queue : {&rank.waiting(), &rank.running(), &rank.swapped()}) {
        out.push_back(-1);
        for (std::size_t i = 0; i < queue->size(); ++i) {
          const RequestIndex r = (*queue)[i];
          out.push_back(static_cast<std::int64_t>(number(k, r)));
          out.push_back(rank.known_outputs(r));
          for (std::int64_t j = 0; j < rank.blocks().ranks(); ++j) {
            out.push_back(rank.blocks().held_on(r, j));
            out.push_back(rank.blocks().tokens_on(r, j));
          }
          out.push_back(rank.blocks().append_rank(r));
        }
      }
    }
    return out;
  }

 private:
  void arrivals() {
    if (idle() && next_ < load_.requests.size()) now_ = std::max(now_, load_.requests[next_].arrival);
    for (; next_ < load_.requests.size() && load_.requests[next_].arrival <= now_; ++next_) {
      const std::size_t rank = ranks_.next();
      const RequestIndex r = ranks_.add(load_.requests[next_]);
      if (r >= numbers_[rank].size()) numbers_[rank].resize(r + 1);
      numbers_[rank][r] = next_;
    }
  }
  [[nodiscard]] bool idle() const {
    for (std::size_t k = 0; k < ranks_.size(); ++k) {
      const MindieScheduler& rank = ranks_.rank(k);
      if (!rank.waiting().empty() || !rank.running().empty() || !rank.swapped().empty()) return false;
    }
    return true;
  }
  void answer(std::size_t rank, RequestIndex r, bool decode, std::vector<MindieResult>& results) {
    const std::size_t n = number(rank, r);
    Served& s = served_[n];
    if (s.end) return;
    std::int64_t tokens = 1;
    if (decode) tokens += static_cast<std::int64_t>(n + 3) * ++s.decodes % (load_.config.speculation_gamma + 1);
    tokens = std::min(tokens, load_.requests[n].output_tokens - s.produced);
    s.produced += tokens;
    if (!s.first) s.first = now_;
    const bool finished = s.produced == load_.requests[n].output_tokens;
    if (finished) s.end = now_;
    results.push_back({r, tokens, finished});
  }

  Load load_;
  MindieRanks ranks_;
  std::vector<Served> served_;
  std::vector<std::vector<std::size_t>> numbers_;
  std::vector<std::vector<MindieResult>> late_;
  std::size_t next_ = 0;
  Duration now_{};
  std::int64_t rounds_ = 0, empty_rounds_ = 0;
};

}  // namespace ascendsim::mindie_test
