// vLLM with vLLM-Ascend, 0.15 (v0.15.0rc1) where nothing else is said; features that came and went with a version:
// strategies/engines/versions/vllm-ascend.yaml.
#include <algorithm>

#include "strategies/deployment/deployment.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/engines/vllm/parts.h"
#include "strategies/programs/context.h"

namespace ascendsim {

namespace {

// vllm_ascend/worker/pcp_utils.py (v0.15.0rc1): keys without mask are split into lists of 16K for npu_ring_mla.
constexpr std::int64_t kUnmaskedSegment = 16'384;

// vllm/v1/attention/backends/mla/common.py, determine_chunked_prefill_workspace_size: eight longest requests or four
// blocks a request, at most 64K tokens; at least a block a request.
std::int64_t chunked_prefill_workspace(const Limits& m) {
  constexpr std::int64_t kMost = 64 * 1024;
  const std::int64_t wanted = std::max(8 * m.max_seq_len, 4 * m.max_batch * m.block_tokens);
  return std::max(std::min(wanted, kMost), m.max_batch * m.block_tokens);
}

// vllm_ascend/attention/context_parallel/mla_cp.py, common_cp.py (v0.15.0rc1).
void context(const Deployment& d, ContextScheme& s) {
  if (s.cache.turn == 0) s.cache.turn = d.limits.block_tokens;
  s.unmasked_segment = kUnmaskedSegment;
  s.history_workspace = chunked_prefill_workspace(d.limits);
  s.history_in_two_gathers = s.merges_in_32_bit = s.head_gathers_by_group = true;
}

std::string_view field_of(std::string_view option) { return field_of_option(vllm_options(), option); }
std::string_view option_of(std::string_view field) { return option_of_field(vllm_options(), field); }

constexpr ProgramWords kServers[] = {{{"vllm", "serve"}, true}, {{"vllm.entrypoints.openai.api_server"}}};
// Lengths when none are set: vllm/benchmarks/datasets.py 1024 in, 128 out; latency.py 32 in, 128 out, a batch of 8.
constexpr BenchmarkProgram kBenchmarks[] = {{{{"vllm", "bench", "serve"}, true}, vllm_serving_options, 1024, 128},
                                            {{{"vllm", "bench", "latency"}, true}, vllm_offline_options, 32, 128, 8},
                                            {{{"vllm", "bench", "throughput"}, true}, vllm_offline_options, 1024, 128}};
constexpr std::string_view kMentions[] = {"vllm serve", "vllm bench", "vllm.entrypoints"};

}  // namespace

constinit const Engine kVllmEngine{
    .name = "vllm-ascend",
    .product = "vLLM-Ascend",
    .called = "vllm",
    .scheduler = "vllm",
    // vllm_ascend/ascend_forward_context.py, MoECommType: nothing is padded.
    .words = {.degrees = {.cp = "pcp", .sp = "dcp"},
              .field_of = field_of,
              .option_of = option_of,
              .exchanges = {"all-gather", "", "all-to-all"}},
    .traits =
        {
            .context = context,
            // vllm/model_executor/layers/vocab_parallel_embedding.py, ParallelLMHead: cut over the TP group, which
            // computes the logits of its own requests.
            .head_over_tp_group = true,
            // vllm_ascend/ops/fused_moe/prepare_finalize.py, fused_moe.py: each TP rank takes its share of the rows for
            // the exchange and gathers the results; the shared expert is summed by an all-reduce of its own.
            .whole_rows_for_experts = true,
            // vllm_ascend/ascend_forward_context.py, select_moe_comm_method and set_mc2_tokens_capacity: by rows.
            .carrier_choice = CarrierChoice::kByRows,
            // The same: dispatch_gmm_combine_decode serves few rows, dispatch_ffn_combine steps of any size; both are
            // for Atlas A3.
            .fused_mc2 = FusedMc2::kAnyRows,
            .fused_mc2_needs_unified_bus = true,
            // vllm/model_executor/models/deepseek_v2.py: the gate is a linear layer in the model's type; its correction
            // bias is FP32.
            .gate_in_activation_type = true,
            // vllm/v1/worker/gpu_model_runner.py, profile_run: a dummy step of max_num_batched_tokens.
            .profiles_largest_step = true,
            // No such option.
            .cuts_initial_routing = false,
            // vllm/v1/core/sched/scheduler.py, _update_waiting_for_remote_kv: the last prompt token is computed again,
            // and what it samples is the first token that the client sees.
            .decode_answers = true,
        },
    .texts =
        {
            .carrier_source = "; vllm_ascend/ascend_forward_context.py select_moe_comm_method",
            // vLLM-Ascend sets TASK_QUEUE_ENABLE; no measurement of its levels is published.
            .issue_variable = "TASK_QUEUE_ENABLE",
            .pool_of_longest_request = {.who = "vLLM",
                                        .source = "vllm/v1/core/kv_cache_utils.py: max_model_len must fit into the KV "
                                                  "cache",
                                        .remedy = "a lower --max-model-len, or a higher --gpu-memory-utilization"},
        },
    .launch =
        {
            .servers = kServers,
            .benchmarks = kBenchmarks,
            .mentions = kMentions,
            .usage = "vllm serve MODEL ...",
            .options_program = "vllm serve",
            .holds_options = holds_vllm_options,
            .holds_commands = holds_vllm_commands,
            .read_commands = read_vllm_commands,
        },
    .import_command = import_vllm,
    .options = vllm_options,
    .check = check_vllm,
    .check_pair = check_vllm_pair,
    .write = write_vllm,
    .limitations = vllm_limitations,
};

}  // namespace ascendsim
