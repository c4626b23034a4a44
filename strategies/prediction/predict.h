// The whole answer for one deployment, workload and hardware: TTFT, TPOT, memory per rank, and why.
//   TTFT of a request = its place in the queue of prefill steps (prefills go first, maxPrefillBatchSize prompts a step
//   and DP group) ends + nothing else: client, tokeniser and network are not modelled. TPOT = (last token - first
//   token) / (output - 1), as vllm bench serve and AISBench define it. ITL = gap between tokens. The decode step is
//   priced at the first, middle and last context; between them it is linear in the context. With MTP a step yields
//   tokens_per_step tokens at once: ITL is the gap between such chunks, TPOT counts tokens.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "strategies/prediction/kv_push.h"
#include "strategies/prediction/percentiles.h"
#include "strategies/prediction/scenario.h"

namespace ascendsim {

struct Prediction {
  Percentiles ttft, tpot, itl, e2el;
  Duration decode_step{};  // mean over the output; TPOT = decode_step / tokens_per_step
  double output_tokens_per_second = 0, requests_per_second = 0;
  double tokens_per_step = 1;
  StepTime prefill, decode;            // one step each; decode at the middle context
  std::int64_t prefill_sequences = 0;  // in the priced prefill step, all DP groups together
  std::int64_t prefill_chunks = 1;     // that step is so many, one after another
  std::int64_t decode_context = 0;     // tokens that the priced decode step attends to
  MemoryPerRank memory;
  std::vector<std::string> assumptions;
};

// By the deployment's role: a prefill side has no decode step, and the other way round.
Prediction predict(const Scenario& scenario, const Workload& workload);

// The parts, for those who put them together differently (prefill-decode disaggregation).
struct PrefillRun {
  StepTime step;                      // all chunks of it
  std::int64_t sequences = 0;         // prompts of one step, all DP groups together
  std::int64_t chunks = 1;            // in which they are prefilled
  std::vector<Duration> first_token;  // of every request, from the moment all have arrived
  Duration end{};
  std::vector<CachedPiece> pieces;  // of a step alone, where caches are pushed layer by layer
};
struct DecodeRun {
  StepTime step;  // at the middle context
  std::int64_t context = 0;
  double tokens_per_step = 1;
  std::vector<Duration> gaps;        // one a step
  Duration mean_step{}, duration{};  // duration: the expected time for all tokens but the first
};
// When each of `requests` has its first token: prefill steps of `at_once` prompts follow one another, the last takes
// those that are left. REQUIRES: as many in `last`, which is not looked at where none are left.
std::vector<Duration> first_tokens(std::int64_t requests, std::int64_t at_once, const PipelinePricer::Steps& whole,
                                   const PipelinePricer::Steps& last);
// Decode step times over the output, from three priced contexts, in ascending order.
struct DecodeCurve {
  std::array<std::int64_t, 3> context{};
  std::array<Duration, 3> time{};
  // A straight line between two of them, rounded towards the first.
  [[nodiscard]] Duration at(std::int64_t tokens) const;
};
// The steps of one request along a curve; all but `step`.
DecodeRun decode_along(const DecodeCurve& curve, const Workload& workload);
PrefillRun run_prefill(const Scenario& scenario, const Workload& workload);
DecodeRun run_decode(const Scenario& scenario, const Workload& workload);
// As if every step took as long as the first without its writes to the cache: none takes less. Rows and kernels of a
// decode step are the same at every context, each rank reads no fewer tokens of a longer one, and nothing overlaps by
// chance. Two micro-batches do, so they are priced in full. A third of the work otherwise, for who compares many.
DecodeRun run_decode_at_least(const Scenario& scenario, const Workload& workload);
// TTFT, TPOT, ITL and throughput of all requests. before_decode: between a request's first token and its decoding;
// wait_for_all: decoding starts when the last prefill is done.
void add_requests(Prediction& prediction, const PrefillRun& prefill, const DecodeRun& decode, const Workload& workload,
                  Duration before_decode, bool wait_for_all);

}  // namespace ascendsim
