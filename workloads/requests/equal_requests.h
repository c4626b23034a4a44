// Requests of one length that arrive by a rate: what `run --rate` asks about.
#pragma once

#include <cstdint>
#include <memory>

#include "workloads/requests/pacing.h"
#include "workloads/requests/request_source.h"

namespace ascendsim {

// Instants are those of `vllm bench serve` with the same rate, burstiness, number and seed. Prompts have their first
// `common_tokens` tokens in common and nothing else: a generator that draws token ids makes some pairs alike by chance.
struct EqualRequestsOptions {
  std::int64_t requests = 1, input_tokens = 1, output_tokens = 1, common_tokens = 0;
  Pacing pacing{};
  std::uint32_t seed = 0;
};
// Constant memory. REQUIRES: requests, input_tokens, output_tokens >= 1; 0 <= common_tokens <= input_tokens; rate and
// burstiness above 0.
std::unique_ptr<RequestSource> make_equal_requests(const EqualRequestsOptions& options);

// The requests of `source` that are sent before `end`.
std::unique_ptr<RequestSource> sent_before(std::unique_ptr<RequestSource> source, Duration end);

}  // namespace ascendsim
