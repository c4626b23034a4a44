// What decides how vLLM V1 schedules: its settings, under the names that vLLM gives them, and where its versions differ.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ascendsim {

// Where one version of vLLM decides unlike another. Each flag says what that version does; the newest has them all but
// `skips_after_victim`. Files are those below vllm/v1/core.
struct VllmTraits {
  std::string_view version;  // "v0.23.0"
  std::string_view commit;   // of vLLM, with which the version was observed
  std::string_view date;     // of the commit; empty when not known
  // block_pool.py, free_blocks: released blocks without content go to the front of the free list; else all to its end.
  bool unhashed_blocks_first = true;
  // sched/scheduler.py: a request that needs one token joins decodes with as many placeholder drafts as they verify.
  bool pads_single_tokens = true;
  // sched/scheduler.py: where KV is pulled from other instances, blocks of a request whose step is still under way come
  // back only with the result of that step.
  bool parks_blocks_in_flight = true;
  // kv_cache_manager.py: a share of the blocks stays free when waiting requests are admitted beside running ones.
  bool watermark = true;
  // sched/scheduler.py and the engine of data-parallel ranks: prefill_schedule_interval.
  bool throttles_prefills = true;
  // Several MTP modules: a chunk leaves no prompt tail shorter than their number, and the tail stays out of the cache.
  bool keeps_module_tail = true;
  // kv_cache_manager.py: scheduler_reserve_full_isl, the whole prompt must fit before the first chunk is taken.
  bool checks_whole_prompt = true;
  // Lookahead slots for drafts are asked for at the admission of a request of which nothing is computed yet.
  bool looks_ahead_at_first_chunk = true;
  // A load over the network leaves alone the blocks that half-done prefills and other loads still need.
  bool reserves_for_loads = true;
  // An engine without requests goes on stepping while blocks wait to be sent.
  bool steps_while_sending = true;
  // Priority: a victim that stands before the current request and got nothing in this step makes the running pass leave
  // out the request after the current one. A slip of older versions, repaired in August 2026.
  bool skips_after_victim = false;
};

// Newest first.
[[nodiscard]] std::span<const VllmTraits> vllm_versions();
// By the name of a version, or a text that begins with its commit. Null when it is not known.
[[nodiscard]] const VllmTraits* find_vllm_version(std::string_view name_or_commit);

enum class VllmPolicy : std::uint8_t { kFcfs, kPriority };
// The part an instance plays where prefill and decode are apart: a producer sends KV, a consumer pulls it.
enum class VllmRole : std::uint8_t { kNone, kProducer, kConsumer, kBoth };

struct VllmConfig {
  VllmTraits traits = vllm_versions().front();

  std::int64_t max_num_batched_tokens = 2048;
  std::int64_t max_num_scheduled_tokens = 0;  // budget of a step; 0: max_num_batched_tokens
  std::int64_t max_num_seqs = 256;            // running requests
  std::int64_t max_model_len = 8192;          // prompt and output together
  std::int64_t block_size = 128;              // tokens of a KV block on one rank
  std::int64_t num_gpu_blocks = 0;            // the null block, which holds nothing, included
  bool enable_chunked_prefill = true;
  std::int64_t long_prefill_token_threshold = 0;  // longest chunk; 0: no limit of its own
  bool enable_prefix_caching = true;
  VllmPolicy policy = VllmPolicy::kFcfs;
  bool scheduler_reserve_full_isl = true;
  double watermark = 0.0;                      // share of num_gpu_blocks
  std::int64_t prefill_schedule_interval = 1;  // 1: no throttle
  bool async_scheduling = false;
  std::int64_t pipeline_parallel_size = 1;
  std::int64_t decode_context_parallel_size = 1;
  std::int64_t num_speculative_tokens = 0;  // drafts of a decode step
  std::int64_t mtp_modules = 1;             // MTP layers with weights of their own
  VllmRole kv_role = VllmRole::kNone;
  // vLLM-Ascend, core/recompute_scheduler.py (recompute_scheduler_enable): instead of being preempted, a request ends
  // and goes back to the proxy.
  bool recompute_scheduler = false;

  [[nodiscard]] std::int64_t budget() const {
    return max_num_scheduled_tokens > 0 ? max_num_scheduled_tokens : max_num_batched_tokens;
  }
  [[nodiscard]] std::int64_t usable_blocks() const { return num_gpu_blocks - 1; }
  // Tokens of a block over all ranks that share its context.
  [[nodiscard]] std::int64_t block_tokens() const { return block_size * decode_context_parallel_size; }
  // Steps that the engine keeps under way: a result is awaited only when there are as many.
  [[nodiscard]] std::int64_t batches_in_flight() const {
    return async_scheduling && pipeline_parallel_size == 1 ? 2 : pipeline_parallel_size;
  }
};

// Why the scheduler cannot be run with these settings.
struct VllmConfigProblem {
  std::string_view key;         // the setting that is to blame
  std::string message;          // without a full stop
  bool never_observed = false;  // they make sense, but nobody has seen how vLLM decides with them
};
[[nodiscard]] std::optional<VllmConfigProblem> vllm_config_problem(const VllmConfig& config);

}  // namespace ascendsim
