// Prefill-decode disaggregation: one instance prefills, another decodes, the KV cache travels between them over RoCE.
// MindIE: the prefill side computes the first token; the decode side pulls the blocks of the whole prompt when the prefill
// is done and continues (which side returns the first token is not documented: assumed the prefill side, so the transfer
// lengthens the first gap, not TTFT). A prefill side with SP or CP holds shards; every decode rank pulls a whole copy.
#pragma once

#include <string>

#include "strategies/predict.h"

namespace ascendsim {

struct KvTransfer {
  Bytes per_decode_rank{};             // a request's whole prompt, all cached layers
  Bytes per_prefill_rank{};            // sent, for one request
  Bytes total{};                       // one request, all decode ranks of its DP group
  std::int64_t blocks = 0;             // pulled by a decode rank, each of all layers
  std::int64_t sources = 0;            // prefill ranks that a decode rank pulls from
  std::string mapping;                 // which ones
  BytesPerSecond rate{};               // of the slower NIC
  Duration time{};
  const char* plane = "RoCE";
};
KvTransfer kv_transfer(const Scenario& prefill, const Scenario& decode, const Workload& workload);

struct DisaggregatedPrediction {
  Prediction prefill, decode;          // of each side; their `memory` is per rank of that side
  Prediction requests;                 // what clients see: ttft, tpot, itl, e2el, throughput
  KvTransfer transfer;                 // of one request
  std::int64_t prefill_batch = 0;      // prompts whose cache lies on the prefill side at once: a step's, and those being pulled
  Duration queue{};                    // mean wait for earlier prefill steps; TTFT = queue + prefill step
};
DisaggregatedPrediction predict_disaggregated(const Scenario& prefill, const Scenario& decode, const Workload& workload);

// What two sides must agree on: model, cache format, MTP on both or neither.
void check_disaggregated(const Deployment& prefill, const Deployment& decode, Diagnostics& diagnostics);

}  // namespace ascendsim
