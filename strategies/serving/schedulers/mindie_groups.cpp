#include "strategies/serving/schedulers/mindie_groups.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

MindieConfig mindie_config(const Deployment& d, std::int64_t kv_blocks) {
  MindieConfig c;
  c.block_size = d.limits.block_tokens;
  c.npu_blocks = kv_blocks;
  c.max_prefill_batch = d.limits.max_prefill_batch;
  c.max_batch = d.limits.max_batch;
  c.max_prefill_tokens = d.limits.max_prefill_tokens;
  c.max_seq_len = d.limits.max_seq_len;
  c.split_fuse = d.features.splitfuse && d.role != Role::kDecode;
  c.prefix_cache = d.features.prefix_cache && d.role != Role::kDecode;
  const std::int64_t drafts = d.role == Role::kPrefill ? 0 : d.features.speculative_tokens;
  c.speculation_gamma = drafts == 0 ? 0 : std::max(drafts, 2 * drafts - 2);
  c.async_inference = d.features.async_scheduling;
  c.sp = d.layout.sp;
  c.cp = d.layout.cp;
  c.role = d.role == Role::kPrefill  ? MindieRole::kPrefill
           : d.role == Role::kDecode ? MindieRole::kDecode
                                     : MindieRole::kBoth;
  return c;
}

MindieGroups::MindieGroups(const MindieConfig& config, std::size_t groups, LiveRequests& live)
    : config_(config),
      live_(live),
      numbers_(groups),
      results_(groups),
      ring_(config.async_inference ? 2 : 1) {
  if (voting())
    engines_.emplace_back(config, static_cast<std::int64_t>(groups));
  else
    for (std::size_t g = 0; g < groups; ++g) engines_.emplace_back(config, 1);
  for (UnderWay& u : ring_) {
    u.results.resize(groups);
    u.live.resize(groups);
  }
}

Rejection MindieGroups::refusal(const Request& request) const {
  if (request.input_tokens >= config_.max_seq_len) return Rejection::kLongerThanModel;
  const std::int64_t tokens = std::min(request.input_tokens + request.output_tokens, config_.max_seq_len);
  return tokens > kv_tokens() ? Rejection::kLongerThanCache : Rejection::kNone;
}

std::int64_t MindieGroups::outputs_of(const Request& request) const {
  return std::min(request.output_tokens, config_.max_seq_len - request.input_tokens);
}

// A decode side gets the prompt with the token that prefill has brought.
void MindieGroups::add(LivePlace& place, LiveIndex live) {
  const LiveRequest& r = live_[live];
  Request request = r.request;
  request.output_tokens = outputs_of(request);
  request.arrival = r.seen;
  if (config_.role == MindieRole::kDecode) {
    ++request.input_tokens;
    --request.output_tokens;
  }
  place.number = (voting() ? engines_[0] : engines_[place.group]).add(request);
  numbers_[place.group].put(place.number, live);
  turn_ = (place.group + 1) % size();
}

void MindieGroups::hand_over_results(Duration now) {
  for (std::size_t g = 0; g < size(); ++g) {
    rank(g).complete(results_[g], now);
    results_[g].clear();
  }
}

void MindieGroups::transfer(std::size_t group) {
  for (const RequestIndex r : rank(group).transfer().pulls_started) {
    const LiveIndex request = live(group, r);
    pulls_.emplace_back(request, live_[request].request.input_tokens);
  }
}

bool MindieGroups::call(Duration now) {
  if (!voting()) {
    pulls_.clear();
    for (std::size_t g = 0; g < size(); ++g) transfer(g);
    hand_over_results(now);
  }
  bool empty = true;
  for (MindieRanks& engine : engines_) empty = engine.schedule(now) && empty;
  if (empty) {
    if (!voting())
      for (std::size_t g = 0; g < size(); ++g) transfer(g);
    return false;
  }
  UnderWay& next = ring_[(oldest_ + under_way_++) % ring_.size()];
  next.results.resize(size());
  for (std::size_t g = 0; g < size(); ++g) answer(g, next);
  return true;
}

// What the step will bring. A request that ends with the results under way has no part in those of this step.
void MindieGroups::answer(std::size_t group, UnderWay& step) {
  step.results[group].clear();
  step.live[group].clear();
  for (const ScheduledRequest& part : decided(group).batch.requests) {
    if (!part.samples) continue;
    const LiveIndex index = live(group, part.request);
    LiveRequest& r = live_[index];
    const std::int64_t left = outputs_of(r.request) - r.promised;
    if (left <= 0) continue;
    std::int64_t tokens = 1;
    if (drafts() && !part.prompt) tokens += std::min(live_.accepted(index), config_.speculation_gamma);
    tokens = std::min(tokens, left);
    r.promised += tokens;
    step.results[group].push_back({part.request, tokens, tokens == left});
    step.live[group].push_back(index);
  }
}

bool MindieGroups::has_work() const {
  for (std::size_t g = 0; g < size(); ++g) {
    const MindieScheduler& one = this->rank(g);
    if (!one.waiting().empty() || !one.running().empty() || !one.swapped().empty() || one.transferring() > 0)
      return true;
  }
  return false;
}

void MindieGroups::take_steady_steps(std::int64_t steps, Duration last_call) {
  engines_[0].advance(steps, last_call);
  for_each_running([&](LiveIndex r) { live_[r].promised += steps; });
}

std::string MindieGroups::state() const {
  std::string text;
  for (std::size_t g = 0; g < size(); ++g) {
    const MindieScheduler& one = this->rank(g);
    text += fmt::format("{}{}{} requests wait, {} run, {} are swapped out, {} of {} blocks are free",
                        g > 0 ? "; " : "", size() > 1 ? fmt::format("DP rank {}: ", g) : "", one.waiting().size(),
                        one.running().size(), one.swapped().size(), one.blocks().free(),
                        one.blocks().per_rank() * one.blocks().ranks());
  }
  return text;
}

}  // namespace ascendsim
