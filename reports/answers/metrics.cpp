// Definitions follow vllm bench serve and AISBench where they agree.
#include "reports/answers/explanations.h"

namespace ascendsim {

namespace {

constexpr std::string_view kBench = "vllm bench serve and AISBench";
constexpr std::string_view kProgram = "docs/architecture.md: the step's program, priced and swept";
constexpr std::string_view kMemory = "docs/memory-model.md";

constexpr MetricText kMetrics[] = {
    {"ttft", "ttft_ms", "time to first token: from a request's arrival to its first token",
     "wait for earlier prefill steps + its own prefill step; client, tokeniser and network are not modelled", kBench},
    {"tpot", "tpot_ms", "time per output token after the first",
     "(last token - first token) / (output tokens - 1); with MTP the decode step / tokens_per_step", kBench},
    {"itl", "itl_ms", "inter-token latency: the gap between two chunks of a stream",
     "end of a decode step - end of the step before; with MTP a chunk has tokens_per_step tokens", kBench},
    {"e2el", "e2el_ms", "end-to-end latency of a request", "TTFT + all gaps after it", kBench},
    {"output_throughput", "output_throughput_tok_s", "output tokens of all requests in a second",
     "batch x output tokens / end of the last request, all requests arriving at once", kBench},
    {"output_throughput_per_card", "output_throughput_per_card_tok_s", "the same over the cards that are used",
     "output_throughput / cards; an A3 card has two dies, an A2 card one", kBench},
    {"request_throughput", "request_throughput_req_s", "requests done in a second", "batch / end of the last request",
     kBench},
    {"tokens_per_step", "tokens_per_step", "tokens that a decode step yields for a request, on average",
     "1 + a1 + a1 a2 + ..., a_i = acceptance of draft i when those before it were accepted; 1 without MTP",
     "strategies/deployment/deployment.cpp; vLLM's speculative decoding metrics"},
    {"acceptance", "acceptance", "share of MTP drafts at a position that the model accepts",
     "an input: --acceptance a1,a2", "default: mtp_acceptance of the stack in strategies/engines/stacks"},
    {"prefill_step", "prefill_step_ms", "one prefill step on the slowest rank",
     "attention + linear + moe + vector + exposed communication + host + idle", kProgram},
    {"decode_step", "decode_step_ms",
     "one decode step on the slowest rank, mean over the output; breakdown, operators and collectives are of the step "
     "at decode_context_tokens, in the middle of it",
     "the same parts; TPOT = decode_step / tokens_per_step", kProgram},
    {"exposed_communication", "exposed_communication_ms", "time of collectives under which nothing is computed",
     "communication - what overlaps with compute on the same rank", kProgram},
    {"communication", "communication_ms", "time of all collectives of a step, hidden or not",
     "sum over collectives of the named algorithm's time on the link graph",
     "strategies/collectives; figures in hardware/catalogue/servers"},
    {"host", "host_ms", "time in which the die waits for the host", "gap between steps + issuing kernels",
     "step_gap, async_step_gap, kernel_issue of the stack"},
    {"longest_wait", "longest_wait_ms",
     "how long the rank that waits most waits in collectives for ranks that compute longer",
     "0 where all ranks are alike; the breakdown itself is of the slowest rank, which waits least", kProgram},
    {"idle", "idle_ms", "time in which a rank waits for other ranks or streams",
     "step - computing - exposed communication - host", kProgram},
    {"speed_of_light", "speed_of_light", "what this placement's work takes at the die's peaks",
     "sum over operators of max(FLOP / cube peak, bytes / HBM bandwidth); no communication, no host",
     "peaks of hardware/catalogue/dies"},
    {"breakdown", "breakdown", "where the time of a step goes", "seven parts that sum to the step", kProgram},
    {"weights", "memory_per_rank_bytes.weights", "weights of one rank with their quantisation scales",
     "sum of the slices that the rank's operators use", kMemory},
    {"weights_without_scales", "memory_per_rank_bytes.weights_without_scales", "weights without scales and offsets",
     "sum over slices of elements x bits / 8", kMemory},
    {"kv_cache", "memory_per_rank_bytes.kv_cache", "KV cache of the load on the fullest rank",
     "sequences x blocks of a sequence x bytes of a block", kMemory},
    {"activations", "memory_per_rank_bytes.activations", "largest sum of buffers alive at once",
     "peak of buffer lifetimes over the warm-up prefill and the decode step", kMemory},
    {"runtime", "memory_per_rank_bytes.runtime", "what no tensor accounts for", "a figure of the stack", kMemory},
    {"peak", "memory_per_rank_bytes.peak", "what the load needs on one rank",
     "weights + kv_cache + activations + communication + runtime", kMemory},
    {"allowed", "memory_per_rank_bytes.allowed", "what the engine takes of the die", "capacity x memory_fraction",
     kMemory},
    {"capacity", "memory_per_rank_bytes.capacity", "device memory that the driver shows", "hbm_visible of the die",
     "hardware/catalogue/dies"},
    {"kv_capacity_tokens", "kv_capacity_tokens", "tokens of KV cache that fit, per DP group",
     "floor((allowed - everything else) / block) x tokens of a block x cp x sp", kMemory},
    {"kv_bytes_per_token", "kv_bytes_per_token_per_rank", "KV cache of one token on one rank, all layers",
     "layers x 2 bytes x (kv_rank + rope) / (cp x sp); one more layer with MTP", kMemory},
    {"smallest_memory_fraction", "smallest_memory_fraction", "the smallest NPU_MEMORY_FRACTION that starts this load",
     "peak / capacity, rounded up to 0.01", kMemory},
    {"redundant_flop", "flop.prefill.redundant", "compare: matrix work that is done more than once, or on padding",
     "performed on all ranks - the work of the same requests on one rank",
     "StepTime::performed and work_once in strategies/prediction/step_price.h"},
    {"crossover", "crossovers", "compare: the prompt length from which another alternative is the fastest",
     "bisection between two neighbouring lengths with different winners, down to one KV block",
     "docs/compare-and-plan.md"},
    {"standing", "points.standing", "compare: legal, what-if or cannot run",
     "what-if: the engine's rules refuse it, its programs can be built and are priced; cannot run: neither",
     "strategies/rules"},
    {"derived", "points.derived", "compare: what follows from a varied key",
     "the number of ranks stays: tp = ranks / (dp x cp) unless tp is varied, sp and the expert degrees follow",
     "strategies/search/variation.h"},
    {"headroom", "headroom_bytes", "plan: memory of a rank that stays free", "allowed - peak", kMemory},
    {"step_over_light", "step_over_light", "compare: how many times longer a step takes than its speed of light",
     "step / speed_of_light", kProgram},
    {"kv_transfer", "kv_transfer", "KV cache that travels from the prefill to the decode side, per request",
     "decode rank: blocks x block bytes; time = setup + latency + max(pulled, sent) / rate of the slower NIC",
     "strategies/prediction/disaggregated.h"},
    {"exposed_transfer", "kv_transfer.exposed_ms", "what of the KV transfer comes after the prefill",
     "pull: all of it; layer-wise push: a layer's blocks leave when its attention is done, one call after another, so "
     "the last ones "
     "are exposed, or what a slow network has not yet carried",
     "strategies/prediction/kv_push.h"},
    {"first_decode_step", "ttft_parts_ms.first_decode_step",
     "step of the decode side that recomputes the last prompt token (vLLM)",
     "its token is the first that the client sees: TTFT = queue + prefill + exposed transfer + this step",
     "strategies/prediction/disaggregated.h"},
    {"queue", "ttft_parts_ms.queue", "mean wait of a request for earlier prefill steps", "mean TTFT - prefill step",
     "strategies/prediction/disaggregated.h"},
};

}  // namespace

std::span<const MetricText> metric_texts() { return kMetrics; }

}  // namespace ascendsim
