// Small random loads for the vLLM scheduler, and the engine's loop around it in two forms: one step at a time, and steady
// runs at once.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "strategies/serving/schedulers/vllm.h"

namespace ascendsim::vllm_loads {

// SplitMix64 (public domain, Sebastiano Vigna).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::int64_t within(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool chance(int percent) { return within(1, 100) <= percent; }

 private:
  std::uint64_t state_;
};

struct Item {
  std::int64_t step = 0;  // of the engine, before which it is added
  Request request{};
  VllmTransfer transfer = VllmTransfer::kNone;
  std::vector<std::int64_t> accepted{0};
};

struct Load {
  VllmConfig config{};
  std::int64_t transfer_steps = 3;
  std::vector<Item> items{};
};

inline constexpr const char* kKinds[] = {"plain",       "tight",     "prefix",    "threshold", "nochunk",
                                         "first-chunk", "watermark", "priority",  "mtp",       "mtp1",
                                         "async",       "async-mtp", "prefill",   "decode",    "decode-async",
                                         "throttle",    "pipeline",  "recompute", "v0.23.0",   "v0.18"};

inline VllmConfig config_of(const std::string& kind) {
  VllmConfig c;
  c.block_size = 16;
  c.max_model_len = 400;
  c.max_num_batched_tokens = 256;
  c.num_gpu_blocks = 60;
  if (kind == "plain") c.num_gpu_blocks = 400;
  if (kind == "tight") c.num_gpu_blocks = 30;
  if (kind == "threshold") c.long_prefill_token_threshold = 50, c.max_num_batched_tokens = 96, c.max_num_seqs = 8;
  if (kind == "nochunk") c.enable_chunked_prefill = false;
  if (kind == "first-chunk") c.scheduler_reserve_full_isl = false, c.max_num_batched_tokens = 64;
  if (kind == "watermark") c.watermark = 0.08, c.num_gpu_blocks = 46;
  if (kind == "priority") c.policy = VllmPolicy::kPriority, c.num_gpu_blocks = 40;
  if (kind == "mtp") c.num_speculative_tokens = 3;
  if (kind == "mtp1") c.num_speculative_tokens = 1, c.mtp_modules = 1, c.block_size = 4, c.num_gpu_blocks = 200;
  if (kind == "async") c.async_scheduling = true, c.num_gpu_blocks = 40;
  if (kind == "async-mtp") c.async_scheduling = true, c.num_speculative_tokens = 3;
  if (kind == "prefill") c.kv_role = VllmRole::kProducer;
  if (kind == "decode") c.kv_role = VllmRole::kConsumer;
  if (kind == "decode-async") c.kv_role = VllmRole::kConsumer, c.async_scheduling = true;
  if (kind == "throttle") c.prefill_schedule_interval = 4;
  if (kind == "pipeline") c.pipeline_parallel_size = 2;
  if (kind == "recompute") c.kv_role = VllmRole::kConsumer, c.recompute_scheduler = true, c.num_gpu_blocks = 40;
  if (const VllmTraits* version = find_vllm_version(kind)) {
    c.traits = *version;
    c.num_speculative_tokens = 3;
    c.async_scheduling = true;
  }
  return c;
}

inline Load random_load(const std::string& kind, std::uint64_t seed) {
  Random random(seed);
  Load load{.config = config_of(kind), .transfer_steps = random.within(1, 6)};
  if (random.chance(20)) load.config.enable_prefix_caching = false;
  std::int64_t step = 0;
  for (std::int64_t left = random.within(2, 14); left > 0; --left) {
    step += random.chance(50) ? 0 : random.within(0, 30);
    Item item{.step = step};
    item.request.input_tokens = random.chance(50) ? random.within(1, 200) : random.within(1, 40);
    item.request.output_tokens = load.config.kv_role == VllmRole::kProducer ? 1 : random.within(1, 90);
    if (load.config.policy == VllmPolicy::kPriority) item.request.priority = random.within(0, 2);
    if (random.chance(50))
      item.request.shared = {{random.within(1, 100), static_cast<std::uint64_t>(random.within(0, 1))},
                             {random.within(1, 100), 7}};
    if (load.config.kv_role == VllmRole::kProducer && random.chance(80)) item.transfer = VllmTransfer::kSend;
    if (load.config.kv_role == VllmRole::kConsumer && random.chance(80)) item.transfer = VllmTransfer::kPull;
    item.accepted.clear();
    for (std::int64_t n = random.within(1, 4); n > 0; --n)
      item.accepted.push_back(random.within(0, load.config.num_speculative_tokens));
    load.items.push_back(std::move(item));
  }
  return load;
}

// One instance that serves a load. step() and jump() count the engine's steps alike.
class Service {
 public:
  explicit Service(const Load& load)
      : scheduler(load.config), outputs(load.items.size()), load_(load), verified_(load.items.size()) {}

  VllmScheduler scheduler;
  std::vector<std::int64_t> outputs;         // tokens that came out, by item
  std::vector<std::size_t> admitted, ended;  // items, in the order in which they did so
  std::int64_t now = 0;

  [[nodiscard]] bool has_ended() const {
    return next_ == load_.items.size() && !scheduler.has_work() && rows_.empty() && transfers_.empty();
  }

  // Steps until the scheduler is told something from outside.
  [[nodiscard]] std::int64_t until_told() const {
    std::int64_t at = next_ < load_.items.size() ? load_.items[next_].step : INT64_MAX;
    for (const Transfer& t : transfers_) at = std::min(at, t.due);
    return at - now;
  }

  void step() {
    tell();
    ++now;
    if (scheduler.has_work()) {
      schedule();
      const bool more = !scheduler.step().empty() || scheduler.has_work() || !scheduler.decisions().recomputed.empty();
      if (std::ssize(rows_) < load_.config.batches_in_flight() && more) return;
    } else {
      busy_steps_ = 0;
    }
    if (!rows_.empty()) complete();
  }

  // REQUIRES: 0 < steps <= min(scheduler.steady_steps(), until_told()).
  void jump(std::int64_t steps) {
    now += steps;
    busy_steps_ += steps;
    // A row of results for each step, after that of the step that is under way, if one is.
    const std::span<const RequestIndex> batch = scheduler.running();
    std::vector<std::int64_t> rows;
    if (!rows_.empty()) rows = rows_.front();
    for (std::int64_t step = 0; step < steps; ++step)
      for (const RequestIndex r : batch) rows.push_back(1 + accepted(r, load_.config.num_speculative_tokens));
    if (!rows_.empty()) rows_.front().assign(rows.end() - std::ssize(batch), rows.end());
    rows.resize(static_cast<std::size_t>(steps) * batch.size());
    for (std::size_t i = 0; i < rows.size(); ++i) outputs[items_[batch[i % batch.size()]]] += rows[i];
    const bool single = std::ranges::all_of(rows, [](std::int64_t tokens) { return tokens == 1; });
    scheduler.take_steady_steps(steps, single ? std::span<const std::int64_t>{} : rows);
  }

 private:
  struct Transfer {
    std::int64_t due = 0;
    RequestIndex request = 0;
    bool pull = false;
  };

  void tell() {
    for (; next_ < load_.items.size() && load_.items[next_].step <= now; ++next_) {
      const RequestIndex request = scheduler.add(load_.items[next_].request, load_.items[next_].transfer);
      items_.resize(std::max<std::size_t>(items_.size(), request + 1));
      items_[request] = next_;
    }
    for (const Transfer& t : transfers_) {
      if (t.due <= now) t.pull ? scheduler.kv_received(t.request) : scheduler.kv_sent(t.request);
    }
    std::erase_if(transfers_, [&](const Transfer& t) { return t.due <= now; });
  }

  void schedule() {
    scheduler.schedule({.prompts = busy_steps_++ % load_.config.prefill_schedule_interval > 0});
    const VllmDecisions& d = scheduler.decisions();
    for (const auto& l : d.loads) transfers_.push_back({now + load_.transfer_steps, l.request, true});
    for (const auto& a : d.admitted) admitted.push_back(items_[a.request]);
    // Drafts of admitted requests, who stand last, are placeholders.
    std::vector<std::int64_t> row;
    const std::size_t old = scheduler.step().requests.size() - d.admitted.size();
    for (const ScheduledRequest& part : scheduler.step().requests) {
      const bool verifies = part.samples && part.drafts > 0 && row.size() < old;
      row.push_back(1 + (verifies ? accepted(part.request, part.drafts) : 0));
    }
    rows_.push_back(std::move(row));
  }

  void complete() {
    const VllmResult& result = scheduler.complete(rows_.front());
    rows_.pop_front();
    for (const auto& t : result.emitted) outputs[items_[t.request]] += t.tokens;
    for (const auto& e : result.ended) {
      ended.push_back(items_[e.request]);
      if (e.sending) transfers_.push_back({now + load_.transfer_steps, e.request, false});
    }
  }

  std::int64_t accepted(RequestIndex request, std::int64_t drafts) {
    const std::size_t item = items_[request];
    const std::vector<std::int64_t>& pattern = load_.items[item].accepted;
    return std::min(pattern[verified_[item]++ % pattern.size()], drafts);
  }

  const Load& load_;
  std::size_t next_ = 0;                        // item to arrive
  std::vector<std::size_t> items_;              // by place in the scheduler
  std::vector<std::size_t> verified_;           // verifications so far, by item
  std::deque<std::vector<std::int64_t>> rows_;  // results of the steps under way
  std::vector<Transfer> transfers_;
  std::int64_t busy_steps_ = 0;
};

}  // namespace ascendsim::vllm_loads
