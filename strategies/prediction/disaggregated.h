// Prefill-decode disaggregation: one instance prefills, another decodes, the KV cache travels between them over RoCE.
// MindIE: the prefill side computes the first token; the decode side pulls the blocks of the whole prompt when the
// prefill is done and continues (which side returns the first token is not documented: assumed the prefill side, so the
// transfer lengthens the first gap, not TTFT). A prefill side with SP or CP holds shards; every decode rank pulls a
// whole copy. vLLM: the prefill side samples a token that nobody sees. The decode side recomputes the last prompt
// token, and what it samples is the client's first (vllm/v1/core/sched/scheduler.py, _update_waiting_for_remote_kv):
// TTFT has the transfer and that step in it. Caches are pulled after the prefill, or pushed layer by layer while it
// runs (kv_push.h).
#pragma once

#include <string>

#include "strategies/prediction/predict.h"

namespace ascendsim {

struct KvTransfer {
  Bytes per_decode_rank{};   // a request's whole prompt, all cached layers
  Bytes per_prefill_rank{};  // sent, for one request
  Bytes total{};             // one request, all decode ranks of its DP group
  std::int64_t blocks = 0;   // pulled by a decode rank, each of all layers
  std::int64_t sources = 0;  // prefill ranks that a decode rank pulls from
  std::string mapping;       // which ones
  BytesPerSecond rate{};     // of the slower NIC
  Duration time{};           // alone
  bool layer_wise = false;   // pushed while prefill runs, not pulled after it
  std::int64_t pieces = 0;   // (layer, run of blocks) that a decode rank gets; a source's blocks of a chunk are one run
  Duration exposed{};        // after the end of the prefill
  const char* plane = "RoCE";
};
KvTransfer kv_transfer(const Scenario& prefill, const Scenario& decode, const Workload& workload);

struct DisaggregatedPrediction {
  Prediction prefill, decode;  // of each side; their `memory` is per rank of that side
  Prediction requests;         // what clients see: ttft, tpot, itl, e2el, throughput
  KvTransfer transfer;         // of one request
  std::int64_t prefill_batch =
      0;             // prompts whose cache lies on the prefill side at once: a step's, and those being pulled
  Duration queue{};  // mean wait for earlier prefill steps
  bool decode_answers = false;  // the first token that the client sees is the decode side's
  Duration first_step{};  // of the decode side then: TTFT = queue + prefill step + exposed transfer + this; else queue
                          // + prefill step
};
DisaggregatedPrediction predict_disaggregated(const Scenario& prefill, const Scenario& decode,
                                              const Workload& workload);

// What two sides must agree on: model, cache format, MTP on both or neither.
void check_disaggregated(const Deployment& prefill, const Deployment& decode, Diagnostics& diagnostics);

}  // namespace ascendsim
