// What an operator of MindIE-LLM can set of its scheduler. Names follow this program; the words of config.json stand in
// the readers. Defaults are those of the recordings (tests/data/schedules/mindie/README.md), which are MindIE's own
// where it has any.
//
// Source of every rule of the mindie_*.h files beside this one: MindIE-LLM, src/scheduler, src/block_manager,
// src/sequence and src/engine/llm_engine.cpp, commit 8b4871ad (2026-04-23; strategies/engines/stacks), checked against
// recordings of commit 0695772e (2026-05-30), whose scheduler differs in no decision.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "sim/units.h"

namespace ascendsim {

enum class MindieRole : unsigned char { kBoth, kPrefill, kDecode };  // PnD, P, D

// Who decides between a prefill and a decode round.
enum class MindieStagePolicy : unsigned char { kPrefillFirst, kSelectBatch, kLatency };

struct MindieConfig {
  std::int64_t block_size = 128;   // tokens
  std::int64_t npu_blocks = 1000;  // of each rank of the ring of sp x cp
  std::int64_t host_blocks = 0;    // to swap to
  std::int64_t max_prefill_batch = 50, max_batch = 200;
  std::int64_t max_prefill_tokens = 8192, max_seq_len = 2560;  // a round takes the larger of both in tokens
  Duration max_queue_delay = std::chrono::milliseconds(5);
  Duration max_first_token_wait = std::chrono::milliseconds(2500);
  std::int64_t max_preempt_count = 0;  // requests that a round may swap out; further ones are recomputed

  MindieStagePolicy stage_policy = MindieStagePolicy::kPrefillFirst;
  std::int64_t prefill_ms_per_request = 150, decode_ms_per_request = 50;  // select batch
  std::int64_t prefill_expected_ms = 1500, decode_expected_ms = 50;       // latency policy and dynamic batch
  bool dynamic_batch = false;

  bool split_fuse = false;
  std::int64_t prefill_chunk = 0;  // tokens; 0: as many as max_prefill_tokens
  std::int64_t long_prefill_threshold = 1024, max_long_partial_prefills = 8;

  bool prefix_cache = false;
  std::int64_t speculation_gamma = 0;  // max(n, 2n - 2) for n draft tokens
  bool async_inference = false;        // results of a batch arrive with the answer of the next
  std::int64_t sp = 1, cp = 1;
  MindieRole role = MindieRole::kBoth;

  // Whether the latency policy and the dynamic batch learn from measured times. The recordings were made without.
  bool measures_times = true;

  [[nodiscard]] std::int64_t ranks() const { return sp * cp; }  // over which the cache of a request is spread
  [[nodiscard]] std::int64_t drafts() const {
    return speculation_gamma <= 2 ? speculation_gamma : speculation_gamma / 2 + 1;
  }
};

// Empty when this scheduler can follow the configuration; otherwise why not, without a full stop.
std::string unsupported(const MindieConfig& config);

// Where MindIE itself raises an error and stops serving: a request that outgrew the whole pool, swapping without room.
struct MindieStopped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace ascendsim
