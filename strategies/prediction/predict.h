// The whole answer for one deployment, workload and hardware: TTFT, TPOT, memory per rank, and why.
//   TTFT of a request = its place in the queue of prefill steps (prefills go first, maxPrefillBatchSize prompts a step
//   and DP group) ends + nothing else: client, tokeniser and network are not modelled. TPOT = (last token - first
//   token) / (output - 1), as vllm bench serve and AISBench define it. ITL = gap between tokens. The decode step is
//   priced at the first, middle and last context; between them it is linear in the context. With MTP a step yields
//   tokens_per_step tokens at once: ITL is the gap between such chunks, TPOT counts tokens.
#pragma once

#include <string>
#include <vector>

#include "strategies/prediction/kv_push.h"
#include "strategies/prediction/memory.h"

namespace ascendsim {

struct Percentiles {
  Duration mean{}, p50{}, p90{}, p99{};
};

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

// Everything a question needs, loaded and checked. Non-copyable: the parts point at each other.
struct Scenario {
  Scenario(Deployment deployment, Stack stack, KernelTable kernels, Cluster cluster);
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  Deployment deployment;
  Stack stack;
  KernelTable kernels;
  Cluster cluster;
  KernelFacts facts;
  KernelCost cost, shared_attention, shared_experts, half_vector;
  PipelinePricer pricer;

  [[nodiscard]] Bytes capacity() const { return cluster.server().die.hbm_visible.value; }
  // A prefill side keeps the prompts of a step and those that are being pulled, not the whole load.
  [[nodiscard]] MemoryPerRank memory(const Workload& w) const;
};

// Prompts whose cache lies on an instance at once: of a prefill side two steps of them, elsewhere the whole load.
std::int64_t prompts_kept(const Deployment& deployment, const Workload& workload);

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
std::vector<std::string> assumptions(const Scenario& scenario, const Workload& workload);
void add_assumptions_of_steps(Prediction& prediction,
                              const Scenario& scenario);  // how they are cut and launched, kernels without evidence

}  // namespace ascendsim
