#include "strategies/serving/schedulers/sglang_groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/check.h"

namespace ascendsim {

SglangConfig sglang_config(const Deployment& d, std::int64_t pool_tokens) {
  SglangConfig c;
  c.page_size = d.limits.block_tokens;
  c.pool_tokens = pool_tokens;
  c.context_len = d.limits.max_seq_len;
  c.max_running_requests = d.limits.max_batch;
  const std::int64_t tokens =
      d.limits.max_batched_tokens > 0 ? d.limits.max_batched_tokens : d.limits.max_prefill_tokens;
  c.chunked_prefill_size = d.features.splitfuse ? tokens : -1;
  c.max_prefill_tokens = std::max(tokens, d.limits.max_prefill_tokens);
  if (d.limits.max_prefill_batch > 0 && d.limits.max_prefill_batch < d.limits.max_batch &&
      !d.origin("prefill-max-requests").assumed)
    c.prefill_max_requests = d.limits.max_prefill_batch;
  c.disable_radix_cache = !d.features.prefix_cache;
  c.disable_overlap_schedule = !d.features.async_scheduling;
  if (d.features.speculative_tokens > 0 && d.role != Role::kPrefill)
    c.num_draft_tokens = d.features.speculative_tokens + 1;
  c.role = d.role == Role::kPrefill  ? SglangRole::kPrefill
           : d.role == Role::kDecode ? SglangRole::kDecode
                                     : SglangRole::kBoth;
  return c;
}

// As SglangScheduler::add: room for one more token and five besides.
Rejection SglangGroups::refusal(const Request& request) const {
  const std::int64_t pool = kv_tokens(), longest = std::min(config_.context_len, pool) - 1;
  if (request.input_tokens < longest - 5) return Rejection::kNone;
  return pool < config_.context_len ? Rejection::kLongerThanCache : Rejection::kLongerThanModel;
}

void SglangGroups::add(LivePlace& place, LiveIndex live) {
  SglangScheduler& rank = ranks_.rank(place.group);
  const auto number = rank.add(live_[live].request);
  check(number.has_value(), "SGLang refuses a request that was not refused before");
  place.number = *number;
  numbers_[place.group].put(*number, live);
  next_ = (place.group + 1) % size();
  // The prefill side answers at once; its own handshake waits for memory on the decode side.
  if (config_.role == SglangRole::kDecode) rank.handshake_done(*number);
}

std::string SglangGroups::state() const {
  std::string text;
  for (std::size_t g = 0; g < size(); ++g)
    text += fmt::format("{}{}{}", g > 0 ? "; " : "", size() > 1 ? fmt::format("DP rank {}: ", g) : "",
                        ranks_.rank(g).state());
  return text;
}

}  // namespace ascendsim
