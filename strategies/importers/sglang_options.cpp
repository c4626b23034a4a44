// Options of `sglang.launch_server`. Source: sgl-project/sglang python/sglang/srt/server_args.py (0.5.x), its Ascend pages
// (docs/platforms/ascend), and pull requests 12207 (--cp-size) and 36230 (--enable-prefill-cp --cp-strategy).
#include "strategies/importers/sglang.h"

namespace ascendsim {

namespace {

constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;
constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kInteger, kTokens = OptionType::kTokens,
                     kNumber = OptionType::kNumber, kText = OptionType::kText, kJson = OptionType::kJson, kList = OptionType::kList;
constexpr double kMostRanks = 1 << 20, kMostTokens = 1 << 24;
constexpr std::string_view kArgs = "sglang/srt/server_args.py";
// Closed lists of words.
constexpr std::string_view kDtypes[] = {"auto", "half", "float16", "bfloat16", "float", "float32"};
constexpr std::string_view kCacheDtypes[] = {"auto", "bf16", "bfloat16", "int8", "fp8_e5m2", "fp8_e4m3", "fp4_e2m1"};
constexpr std::string_view kAllToAlls[] = {"none", "deepep", "mooncake", "mori", "nixl", "ascend_fuseep", "flashinfer"};
constexpr std::string_view kDeepEpModes[] = {"auto", "normal", "low_latency"};
constexpr std::string_view kSides[] = {"null", "prefill", "decode"};
constexpr std::string_view kTransfers[] = {"mooncake", "nixl", "ascend", "fake", "mori"};
constexpr std::string_view kSchedules[] = {"lpm", "random", "fcfs", "dfs-weight", "lof", "priority", "routing-key"};
constexpr std::string_view kDrafters[] = {"EAGLE", "EAGLE3", "NEXTN", "STANDALONE", "NGRAM"};
constexpr std::string_view kPhases[] = {"prefill", "decode"};
constexpr std::string_view kSampling[] = {"flashinfer", "pytorch", "ascend"};
constexpr std::string_view kGrammars[] = {"xgrammar", "outlines", "llguidance", "none"};
constexpr std::string_view kWrites[] = {"write_back", "write_through", "write_through_selective"};
constexpr std::string_view kAttention[] = {"ascend", "aiter", "cutlass_mla", "dual_chunk_flash_attn", "fa3", "fa4", "flashinfer", "flashmla", "flex_attention", "intel_amx",
                                           "intel_xpu", "nsa", "torch_native", "triton", "trtllm_mha", "trtllm_mla", "wave"};
constexpr std::string_view kExpansions[] = {"AIV", "AIV_ONLY", "AI_CPU", "HOST", "HOST_TS"};
constexpr std::string_view kQueues[] = {"0", "1", "2"};


constexpr EngineOption kOptions[] = {
    // layout
    {"tp-size", "--tp --tensor-parallel-size", kInt, kUsed, "", 1, kMostRanks, "all ranks of the instance", kArgs},
    {"dp-size", "--dp --data-parallel-size", kInt, kUsed, "", 1, kMostRanks, "with --enable-dp-attention inside tp-size", kArgs},
    {"enable-dp-attention", "", kFlag, kUsed, "", 0, 0, "", kArgs},
    {"cp-size", "--context-parallel-size", kInt, kUsed, "", 1, kMostRanks, "of pull request 12207 (closed): context parallelism inside tp-size", "sgl-project/sglang#12207"},
    {"attn-cp-size", "--attention-context-parallel-size", kInt, kUsed, "", 1, kMostRanks, "context parallelism inside tp-size", kArgs},
    {"enable-prefill-cp", "", kFlag, kUsed, "", 0, 0, "prefill context parallelism over tp-size / dp-size", "sgl-project/sglang#36230"},
    {"enable-nsa-prefill-context-parallel", "--enable-dsa-prefill-context-parallel --enable-prefill-context-parallel", kFlag, kUsed, "", 0, 0, "older name of --enable-prefill-cp", kArgs},
    {"cp-strategy", "--prefill-cp-mode --nsa-prefill-cp-mode --dsa-prefill-cp-mode", kText, kUsed, "", 0, 0, "zigzag or interleave", "sgl-project/sglang#36230"},
    {"pp-size", "--pp --pipeline-parallel-size", kInt, kUsed, "layout.pp", 1, kMostRanks, "", kArgs},
    {"ep-size", "--ep --expert-parallel-size", kInt, kUsed, "", 1, kMostRanks, "the rest of tp-size cuts experts by columns", kArgs},
    {"enable-ep-moe", "", kFlag, kUsed, "", 0, 0, "older form of --ep-size", kArgs},
    {"enable-deepep-moe", "", kFlag, kUsed, "", 0, 0, "older form of --moe-a2a-backend deepep", kArgs},
    {"moe-a2a-backend", "", kText, kUsed, "", 0, 0, "deepep: ep-size becomes tp-size", kArgs, kAllToAlls},
    {"deepep-mode", "", kText, kEffect, "", 0, 0, "normal for prefill and low latency for decode are simulated", kArgs, kDeepEpModes},
    {"moe-dense-tp-size", "", kInt, kEffect, "", 1, kMostRanks, "dense layers are cut over the attention TP group", kArgs},
    {"enable-dp-lm-head", "", kFlag, kEffect, "", 0, 0, "the LM head is cut over all ranks", kArgs},
    {"ep-num-redundant-experts", "", kInt, kUsed, "experts.redundant", 0, kMostRanks, "", kArgs},
    {"enable-eplb", "", kFlag, kEffect, "", 0, 0, "expert load is taken as even", kArgs},
    {"init-expert-location", "", kText, kEffect},
    {"ep-dispatch-algorithm", "", kText, kEffect},
    {"eplb-algorithm", "", kText, kEffect},
    {"eplb-rebalance-num-iterations", "", kInt, kEffect},
    {"enable-two-batch-overlap", "", kFlag, kEffect, "", 0, 0, "halves of a batch that overlap: --set micro_batches=2 on our own file", kArgs},
    {"enable-single-batch-overlap", "", kFlag, kEffect},
    {"nnodes", "", kInt, kUsed, "", 1, 4096, "servers of the instance", kArgs},
    {"node-rank", "", kInt, kNone, "", 0, 0, "which of the nodes does not matter", kArgs},
    {"dist-init-addr", "--nccl-init-addr", kText, kNone},
    {"load-balance-method", "", kText, kEffect, "", 0, 0, "requests are spread evenly", kArgs},
    {"base-gpu-id", "", kInt, kNone}, {"gpu-id-step", "", kInt, kNone},
    // limits
    {"context-length", "", kTokens, kUsed, "limits.max_seq_len", 1, kMostTokens, "prompt and output together", kArgs},
    {"max-total-tokens", "", kTokens, kUsed, "kv_cache.pool_tokens", 1, 1e12, "KV pool of a DP rank", kArgs},
    {"max-running-requests", "", kTokens, kUsed, "", 1, 1 << 20, "of all DP ranks together", kArgs},
    {"max-prefill-tokens", "", kTokens, kUsed, "", 1, kMostTokens, "tokens of a prefill batch", kArgs},
    {"chunked-prefill-size", "", kTokens, kUsed, "", -1, kMostTokens, "of all DP ranks together; -1 = off", kArgs},
    {"prefill-max-requests", "", kInt, kUsed, "limits.max_prefill_batch", 1, 1 << 20, "", kArgs},
    {"max-queued-requests", "", kInt, kEffect},
    {"page-size", "", kInt, kUsed, "kv_cache.block_tokens", 1, 4096, "128 on Ascend", kArgs},
    {"mem-fraction-static", "", kNumber, kUsed, "memory_fraction", 0.01, 1, "share for weights and KV pool", kArgs},
    {"kv-cache-dtype", "", kText, kUsed, "", 0, 0, "auto and bfloat16: 16 bit; int8: C8", kArgs, kCacheDtypes},
    {"swa-full-tokens-ratio", "", kNumber, kNone},
    {"cpu-offload-gb", "", kInt, kEffect}, {"enable-hierarchical-cache", "", kFlag, kEffect}, {"hicache-ratio", "", kNumber, kEffect},
    {"hicache-size", "", kInt, kEffect}, {"hicache-write-policy", "", kText, kEffect, "", 0, 0, "", "", kWrites}, {"hicache-storage-backend", "", kText, kEffect},
    // scheduler
    {"disable-radix-cache", "", kFlag, kUsed, "", 0, 0, "no prefix cache", kArgs},
    {"radix-eviction-policy", "", kText, kEffect},
    {"disable-overlap-schedule", "", kFlag, kUsed, "", 0, 0, "the next step is scheduled after the running one", kArgs},
    {"schedule-policy", "", kText, kEffect, "", 0, 0, "requests are alike here", kArgs, kSchedules},
    {"schedule-conservativeness", "", kNumber, kEffect},
    {"enable-mixed-chunk", "", kFlag, kEffect, "", 0, 0, "prefill and decode do not share steps here", kArgs},
    {"prefill-delayer-max-delay-passes", "", kInt, kEffect}, {"enable-prefill-delayer", "", kFlag, kEffect},
    {"num-continuous-decode-steps", "", kInt, kEffect}, {"stream-interval", "", kInt, kEffect}, {"stream-output", "", kFlag, kNone},
    {"disable-cuda-graph", "", kFlag, kUsed, "", 0, 0, "no graphs", kArgs},
    {"cuda-graph-bs", "", kList, kUsed, "", 0, 0, "requests of captured graphs", kArgs},
    {"cuda-graph-max-bs", "", kInt, kEffect},
    {"disable-cuda-graph-padding", "", kFlag, kEffect},
    {"enable-torch-compile", "", kFlag, kEffect}, {"torch-compile-max-bs", "", kInt, kEffect},
    {"enable-profile-cuda-graph", "", kFlag, kNone},
    // speculation
    {"speculative-algorithm", "--speculative-algo", kText, kUsed, "", 0, 0, "NEXTN and EAGLE: MTP", kArgs, kDrafters},
    {"speculative-num-steps", "", kInt, kUsed, "", 0, 16, "draft tokens", kArgs},
    {"speculative-num-draft-tokens", "", kInt, kUsed, "", 1, 64, "draft tokens and one", kArgs},
    {"speculative-eagle-topk", "", kInt, kUsed, "", 1, 64, "chains only", kArgs},
    {"speculative-draft-model-path", "--speculative-draft-model", kText, kNone}, {"speculative-draft-model-quantization", "", kText, kEffect},
    {"speculative-attention-mode", "", kText, kEffect, "", 0, 0, "", "", kPhases}, {"speculative-token-map", "", kText, kEffect},
    // disaggregation
    {"disaggregation-mode", "", kText, kUsed, "", 0, 0, "prefill or decode: one side of a pair", kArgs, kSides},
    {"disaggregation-transfer-backend", "", kText, kUsed, "kv_transfer.connector", 0, 0, "", kArgs, kTransfers},
    {"disaggregation-bootstrap-port", "", kInt, kNone}, {"disaggregation-ib-device", "", kText, kNone},
    {"disaggregation-decode-tp", "", kInt, kNone}, {"disaggregation-decode-dp", "", kInt, kNone}, {"disaggregation-prefill-pp", "", kInt, kNone},
    {"num-reserved-decode-tokens", "", kInt, kEffect}, {"disaggregation-decode-polling-interval", "", kInt, kNone},
    // model and kernels
    {"model-path", "--model", OptionType::kOpen, kUsed, "", 0, 0, "", kArgs},
    {"quantization", "", kText, kUsed, "", 0, 0, "w8a8_int8, modelslim", kArgs},
    {"dtype", "", kText, kUsed, "", 0, 0, "", kArgs, kDtypes},
    {"device", "", kText, kNone}, {"attention-backend", "", kText, kUsed, "", 0, 0, "ascend is simulated", kArgs, kAttention},
    {"sampling-backend", "", kText, kNone, "", 0, 0, "", "", kSampling}, {"grammar-backend", "", kText, kNone, "", 0, 0, "", "", kGrammars}, {"mm-attention-backend", "", kText, kNone},
    {"moe-runner-backend", "", kText, kNone}, {"prefill-attention-backend", "", kText, kNone, "", 0, 0, "", "", kAttention}, {"decode-attention-backend", "", kText, kNone, "", 0, 0, "", "", kAttention},
    {"disable-shared-experts-fusion", "", kFlag, kEffect}, {"disable-custom-all-reduce", "", kFlag, kNone}, {"enable-nccl-nvls", "", kFlag, kNone},
    {"json-model-override-args", "", kJson, kEffect, "", 0, 0, "shapes are those of the model library; --model takes a config.json", kArgs},
    {"tokenizer-path", "", kText, kNone}, {"tokenizer-mode", "", kText, kNone}, {"tokenizer-worker-num", "", kInt, kEffect}, {"skip-tokenizer-init", "", kFlag, kNone},
    {"load-format", "", kText, kNone}, {"model-loader-extra-config", "", kText, kNone}, {"trust-remote-code", "", kFlag, kNone}, {"revision", "", kText, kNone},
    {"served-model-name", "", kText, kNone}, {"chat-template", "", kText, kNone}, {"random-seed", "", kInt, kNone}, {"is-embedding", "", kFlag, kNone},
    {"enable-multimodal", "", kFlag, kNone}, {"reasoning-parser", "", kText, kNone}, {"tool-call-parser", "", kText, kNone}, {"download-dir", "", kText, kNone},
    {"enable-lora", "", kFlag, kEffect}, {"lora-paths", "", kList, kEffect}, {"max-loras-per-batch", "", kInt, kEffect},
    // server
    {"host", "", kText, kNone}, {"port", "", kText, kUsed, "", 0, 0, "compared between scripts", kArgs}, {"api-key", "", kText, kNone},
    {"watchdog-timeout", "", kNumber, kNone}, {"dist-timeout", "", kInt, kNone}, {"skip-server-warmup", "", kFlag, kNone}, {"warmups", "", kText, kNone},
    {"log-level", "", kText, kNone}, {"log-requests", "", kFlag, kNone}, {"enable-metrics", "", kFlag, kNone}, {"decode-log-interval", "", kInt, kNone},
    {"enable-cache-report", "", kFlag, kNone}, {"mm-enable-dp-encoder", "", kFlag, kNone}, {"enable-memory-saver", "", kFlag, kNone},
    {"allow-auto-truncate", "", kFlag, kNone}, {"sleep-on-idle", "", kFlag, kNone}, {"delete-ckpt-after-loading", "", kFlag, kNone},
};

constexpr EnvironmentSpec kEnvironment[] = {
    {"HCCL_BUFFSIZE", kUsed, "MB, input and output buffer of every communicator", "HCCL user guide"},
    {"HCCL_OP_EXPANSION_MODE", kUsed, "who carries collectives out", "CANN, HCCL_OP_EXPANSION_MODE", kExpansions},
    {"HCCL_IF_IP", kNone}, {"HCCL_SOCKET_IFNAME", kNone}, {"HCCL_CONNECT_TIMEOUT", kNone}, {"HCCL_EXEC_TIMEOUT", kNone},
    {"SGLANG_SET_CPU_AFFINITY", kNone}, {"SGLANG_NPU_USE_MLAPO", kEffect, "the fused prolog follows from the stack's figures"},
    {"SGLANG_USE_FIA_NZ", kNone}, {"SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK", kEffect}, {"SGLANG_DEEPEP_BF16_DISPATCH", kEffect},
    {"SGLANG_ENABLE_OVERLAP_PLAN_STREAM", kEffect}, {"SGLANG_ENABLE_SPEC_V2", kEffect}, {"SGLANG_SCHEDULER_SKIP_ALL_GATHER", kEffect},
    {"SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT", kNone}, {"SGLANG_DISAGGREGATION_WAITING_TIMEOUT", kNone}, {"SGLANG_DP_ROUND_ROBIN", kEffect},
    {"SGLANG_ENABLE_TORCH_COMPILE", kEffect}, {"SGLANG_PREFILL_DELAYER_MAX_DELAY_PASSES", kEffect},
    {"DEEPEP_NORMAL_LONG_SEQ_ROUND", kEffect}, {"DEEPEP_NORMAL_LONG_SEQ_PER_ROUND_TOKENS", kEffect}, {"DEEP_NORMAL_MODE_USE_INT8_QUANT", kEffect},
    {"ASCEND_MF_STORE_URL", kNone}, {"ASCEND_USE_FIA", kNone}, {"ASCEND_LAUNCH_BLOCKING", kEffect, "every kernel waits for the one before"},
    {"ASCEND_RT_VISIBLE_DEVICES", kNone}, {"ASCEND_MF_TRANSFER_PROTOCOL", kNone}, {"ASCEND_HOME_PATH", kNone}, {"TASK_QUEUE_ENABLE", kEffect, "how operators are issued in eager mode", "torch_npu, TASK_QUEUE_ENABLE", kQueues},
    {"STREAMS_PER_DEVICE", kNone}, {"PYTORCH_NPU_ALLOC_CONF", kNone}, {"GLOO_SOCKET_IFNAME", kNone}, {"OMP_NUM_THREADS", kNone},
};
constexpr std::string_view kPrefixes[] = {"SGLANG_", "HCCL_", "ASCEND_", "DEEPEP_"};
constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"layout.dp", "dp-size"},                      {"layout.cp", "attn-cp-size"},                  
    {"layout.moe_ep", "ep-size"},                  {"limits.max_batch", "max-running-requests"},    {"limits.max_batched_tokens", "max-prefill-tokens"},
    {"limits.max_input_tokens", "context-length"}, {"limits.max_prefill_tokens", "max-prefill-tokens"}, {"limits.max_prefill_batch", "max-running-requests"},
    {"kv_cache.block_tokens", "page-size"},        {"kv_cache.dtype", "kv-cache-dtype"},            {"role", "disaggregation-mode"},
    {"features.speculative_tokens", "speculative-num-steps"}, {"graph.capture_sizes", "cuda-graph-bs"}, {"model", "model-path"},
    {"quantisation", "quantization"},              {"hardware.servers", "nnodes"}};
constexpr OptionTable kTable{"SGLang", kOptions, {}, kEnvironment, kPrefixes, false, kWords};

}  // namespace

const OptionTable& sglang_options() { return kTable; }

}  // namespace ascendsim
