#include "strategies/serving/schedulers/vllm_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "strategies/deployment/versions.h"

namespace ascendsim {

namespace {

// The newest version known that is not above the deployment's; the oldest where all are. Without a version: the newest.
const VllmTraits& traits_of(std::string_view engine_version) {
  const auto asked = parse_version(engine_version);
  if (!asked) return vllm_versions().front();
  for (const VllmTraits& v : vllm_versions()) {
    const auto known = parse_version(v.version);
    if (known && *known <= *asked) return v;
  }
  return vllm_versions().back();
}

}  // namespace

VllmConfig vllm_config(const Deployment& d, std::int64_t kv_blocks) {
  VllmConfig c;
  c.traits = traits_of(d.engine_version);
  c.max_num_batched_tokens = d.limits.max_batched_tokens > 0 ? d.limits.max_batched_tokens : d.limits.max_prefill_tokens;
  c.max_num_seqs = d.limits.max_batch;
  c.max_model_len = d.limits.max_seq_len;
  c.block_size = d.limits.block_tokens;
  c.num_gpu_blocks = kv_blocks;
  c.enable_chunked_prefill = d.features.splitfuse;
  c.enable_prefix_caching = d.features.prefix_cache;
  c.async_scheduling = d.features.async_scheduling;
  c.pipeline_parallel_size = d.layout.pp;
  c.decode_context_parallel_size = d.layout.kv_shards();
  c.num_speculative_tokens = d.role == Role::kPrefill ? 0 : d.features.speculative_tokens;
  c.kv_role = d.role == Role::kPrefill  ? VllmRole::kProducer
              : d.role == Role::kDecode ? VllmRole::kConsumer
                                        : VllmRole::kNone;
  return c;
}

VllmGroups::VllmGroups(const VllmConfig& config, std::size_t groups, LiveRequests& live)
    : config_(config),
      depth_(static_cast<std::size_t>(config.batches_in_flight())),
      live_(live),
      numbers_(groups),
      called_(groups, 0),
      ring_(depth_) {
  for (std::size_t g = 0; g < groups; ++g) schedulers_.emplace_back(config);
  for (UnderWay& u : ring_) {
    u.called.assign(groups, 0);
    u.emitted.resize(groups);
  }
}

Rejection VllmGroups::refusal(const Request& request) const {
  if (!schedulers_[0].accepts(request)) return Rejection::kLongerThanModel;
  const std::int64_t tokens = std::min(request.input_tokens + request.output_tokens, config_.max_model_len);
  return tokens > kv_tokens() ? Rejection::kLongerThanCache : Rejection::kNone;
}

std::size_t VllmGroups::choose() const {
  std::size_t best = 0, least = std::numeric_limits<std::size_t>::max();
  for (std::size_t g = 0; g < size(); ++g) {
    const std::size_t score = 4 * schedulers_[g].waiting() + schedulers_[g].running().size();
    if (score < least) {
      least = score;
      best = g;
    }
  }
  return best;
}

void VllmGroups::add(LivePlace& place, LiveIndex live) {
  Request& request = live_[live].request;
  const std::int64_t outputs = request.output_tokens;
  const bool sends = config_.kv_role == VllmRole::kProducer, pulls = config_.kv_role == VllmRole::kConsumer;
  if (sends) request.output_tokens = 1;  // max_tokens that the proxy asks the prefill side for
  place.number = schedulers_[place.group].add(request, sends   ? VllmTransfer::kSend
                                                       : pulls ? VllmTransfer::kPull
                                                               : VllmTransfer::kNone);
  request.output_tokens = outputs;
  numbers_[place.group].put(place.number, live);
}

bool VllmGroups::call(Duration) {
  UnderWay& next = ring_[(oldest_ + under_way_++) % ring_.size()];
  bool runs = false;
  for (std::size_t g = 0; g < size(); ++g) {
    called_[g] = schedulers_[g].has_work();
    if (called_[g]) {
      runs |= !schedulers_[g].schedule().empty();
      if (drafts()) decide_acceptance(g, next.emitted[g]);
    }
    next.called[g] = called_[g];
  }
  return runs;
}

// Admitted requests stand last in a step; drafts that pad them are never accepted.
void VllmGroups::decide_acceptance(std::size_t group, std::vector<std::int64_t>& emitted) {
  const std::vector<ScheduledRequest>& parts = schedulers_[group].step().requests;
  const std::size_t old = parts.size() - schedulers_[group].decisions().admitted.size();
  emitted.assign(parts.size(), 1);
  for (std::size_t i = 0; i < old; ++i) {
    const ScheduledRequest& part = parts[i];
    if (part.samples && part.drafts > 0)
      emitted[i] += std::min(live_.accepted(live(group, part.request)), part.drafts);
  }
}

bool VllmGroups::has_work() const { return std::ranges::any_of(schedulers_, &VllmScheduler::has_work); }

std::int64_t VllmGroups::steady_steps(Duration& until) {
  until = Duration::max();
  std::int64_t steps = std::numeric_limits<std::int64_t>::max();
  for (VllmScheduler& s : schedulers_) {
    if (!s.has_work() && s.steps_under_way() == 0) continue;
    steps = std::min(steps, s.steady_steps());
    if (steps == 0) return 0;
  }
  return steps;
}

void VllmGroups::take_steady_steps(std::int64_t steps, Duration) {
  for (VllmScheduler& s : schedulers_)
    if (!s.running().empty()) s.take_steady_steps(steps);
}

std::string VllmGroups::state() const {
  std::string text;
  for (std::size_t g = 0; g < size(); ++g) {
    const VllmScheduler& s = schedulers_[g];
    text += fmt::format("{}{}{} requests run, {} wait, {} of {} blocks are free", g > 0 ? "; " : "",
                        size() > 1 ? fmt::format("DP rank {}: ", g) : "", s.running().size(), s.waiting(),
                        s.free_blocks(), config_.usable_blocks());
  }
  return text;
}

}  // namespace ascendsim
