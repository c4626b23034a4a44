#include "strategies/engines/mindie/keys.h"

namespace ascendsim {

namespace {

constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;
constexpr KeyType kInt = KeyType::kInteger, kBool = KeyType::kBool, kText = KeyType::kString, kAny = KeyType::kAny;
constexpr std::int64_t kMaxTokens = 4194304;  // documented upper limit of maxInputTokenLen and maxPrefillTokens

constexpr KeySpec kTop[] = {
    {"Version", kNone, kText},    {"ServerConfig", kUsed},   {"BackendConfig", kUsed},
    {"LogConfig", kNone, kAny},   {"LogParam", kNone, kAny}, {"EnableDynamicAdjustTimeoutConfig", kNone, kAny},
    {"ModelDeployConfig", kUsed}, {"ScheduleConfig", kUsed}, {"DynamicAdjustTimeoutConfig", kNone, kAny},
};

constexpr KeySpec kServer[] = {
    {"inferMode", kUsed, kText},
    {"maxLinkNum", kEffect, kInt, 1, 4096,
     "limits client concurrency; queueing in front of the scheduler is not modelled"},
    {"ipAddress"},
    {"managementIpAddress"},
    {"port"},
    {"managementPort"},
    {"metricsPort"},
    {"allowAllZeroIpListening"},
    {"httpsEnabled"},
    {"fullTextEnabled"},
    {"tlsCaPath"},
    {"tlsCaFile"},
    {"tlsCert"},
    {"tlsPk"},
    {"tlsPkPwd"},
    {"tlsCrlPath"},
    {"tlsCrlFiles"},
    {"managementTlsCaFile"},
    {"managementTlsCert"},
    {"managementTlsPk"},
    {"managementTlsPkPwd"},
    {"managementTlsCrlPath"},
    {"managementTlsCrlFiles"},
    {"metricsTlsCaFile"},
    {"metricsTlsCert"},
    {"metricsTlsPk"},
    {"metricsTlsPkPwd"},
    {"metricsTlsCrlPath"},
    {"metricsTlsCrlFiles"},
    {"kmcKsfMaster"},
    {"kmcKsfStandby"},
    {"interCommTLSEnabled"},
    {"interCommPort"},
    {"interCommTlsCaPath"},
    {"interCommTlsCaFile"},
    {"interCommTlsCaFiles"},
    {"interCommTlsCert"},
    {"interCommPk"},
    {"interCommPkPwd"},
    {"interCommTlsCrlPath"},
    {"interCommTlsCrlFiles"},
    {"openAiSupport"},
    {"tokenTimeout"},
    {"e2eTimeout"},
    {"distDPServerEnabled"},
    {"layerwiseDisaggregated"},
};

constexpr KeySpec kBackend[] = {
    {"ModelDeployConfig", kUsed},
    {"ScheduleConfig", kUsed},
    {"modelInstanceNumber", kEffect, kInt, 1, 10, "one instance is simulated"},
    {"npuDeviceIds", kUsed, kAny, INT64_MIN, INT64_MAX, "how many; which ones does not matter"},
    {"multiNodesInferEnabled", kUsed, kBool},
    {"tokenizerProcessNumber", kEffect, kInt, 1, 32, "host-side tokenising is not modelled"},
    {"backendName"},
    {"multiNodesInferPort"},
    {"interNodeTLSEnabled"},
    {"interNodeTlsCaPath"},
    {"interNodeTlsCaFile"},
    {"interNodeTlsCaFiles"},
    {"interNodeTlsCert"},
    {"interNodeTlsPk"},
    {"interNodeTlsPkPwd"},
    {"interNodeTlsCrlPath"},
    {"interNodeTlsCrlFiles"},
    {"interNodeKmcKsfMaster"},
    {"interNodeKmcKsfStandby"},
    {"kvPoolConfig", kEffect, kAny},
};

constexpr KeySpec kDeploy[] = {
    {"maxSeqLen", kUsed, kInt, 1},
    {"maxInputTokenLen", kUsed, kInt, 1, kMaxTokens},
    {"truncation", kNone, kAny, -1, 1, "over-long prompts are refused here, not cut"},
    {"ModelConfig", kUsed},
    {"LoraModules", kEffect, kAny},
    {"speculationGamma", kEffect, kInt},
};

constexpr KeySpec kModel[] = {
    {"modelName", kUsed, kText},
    {"modelWeightPath", kUsed, kText},
    {"worldSize", kUsed, kInt, 1, 1 << 20},
    {"modelInstanceType", kNone, kText, INT64_MIN, INT64_MAX, "Standard and StandardMock differ only in tests"},
    {"cpuMemSize", kEffect, kInt, 0, INT64_MAX, "KV blocks swapped to the host: preemption is not modelled"},
    {"npuMemSize", kUsed, kInt, -1, 1 << 20},
    {"backendType", kNone, kText, INT64_MIN, INT64_MAX, "the ATB back end is simulated"},
    {"trustRemoteCode", kNone, kBool},
    {"tp", kUsed, kInt, 1, 1 << 20},
    {"dp", kUsed, kInt, 1, 1 << 20},
    {"cp", kUsed, kInt, 1, 1 << 20},
    {"sp", kUsed, kInt, 1, 1 << 20},
    {"moe_tp", kUsed, kInt, 1, 1 << 20},
    {"moe_ep", kUsed, kInt, 1, 1 << 20},
    {"pp", kUsed, kInt, 1, 1 << 20},
    {"plugin_params", kUsed, kAny},
    {"models", kUsed},
    {"async_scheduler_wait_time"},
    {"kv_trans_timeout"},
    {"kv_link_timeout"},
    {"useLora", kEffect, kBool},
    {"maxLoras", kEffect, kInt},
    {"maxLoraRank", kEffect, kInt},
    {"ParallelParams", kEffect, kAny},
};

constexpr KeySpec kDeepseek[] = {
    {"ep_level", kUsed, kInt, 1, 2},
    {"enable_init_routing_cutoff", kUsed, kBool},
    {"topk_scaling_factor", kUsed, kAny},
    {"alltoall_ep_buffer_scale_factors", kUsed, kAny},
    {"parallel_options", kUsed},
    {"kv_cache_options", kUsed},
    {"kv_cache_option", kUsed},
    {"lm_head_local_tp", kUsed, kInt},
    {"o_proj_local_tp", kUsed, kInt},
    {"enable_mlapo_prefetch", kEffect, kBool, INT64_MIN, INT64_MAX, "weight prefetch is not modelled"},
    {"enable_qkvdown_dp", kEffect, kBool, INT64_MIN, INT64_MAX, "the all-gather stays in front of q_a / kv_a"},
    {"enable_shared_expert_dp", kEffect, kBool},
    {"enable_gatingdp", kEffect, kBool},
    {"enable_gating_dp", kEffect, kBool},
    {"enable_lcoc_tp", kEffect, kBool},
    {"enable_lcoc_all2all", kEffect, kBool},
    {"enable_mc2", kEffect, kBool},
    {"enable_dp_partition_up", kEffect, kBool},
    {"enable_swiglu_quant_for_shared_experts", kEffect, kBool},
    {"enable_oproj_prefetch", kEffect, kBool},
    {"eplb", kEffect, kAny},
    {"communication_backend", kEffect, kAny},
    {"h3p", kEffect, kAny},
    {"ccl", kEffect, kAny},
    {"attn_mla", kEffect, kAny},
    {"num_dangling_shared_experts", kEffect, kInt},
};

constexpr KeySpec kParallel[] = {
    {"lm_head_local_tp", kUsed, kInt},     {"o_proj_local_tp", kUsed, kInt},      {"hccl_buffer", kEffect, kAny},
    {"hccl_moe_ep_buffer", kEffect, kAny}, {"hccl_moe_tp_buffer", kEffect, kAny},
};

constexpr KeySpec kKvCache[] = {{"enable_nz", kUsed, kBool}};

constexpr KeySpec kSchedule[] = {
    {"templateType", kUsed, kText},
    {"cacheBlockSize", kUsed, kInt, 1, 128},
    {"maxPrefillBatchSize", kUsed, kInt, 0, 819200},
    {"maxPrefillTokens", kUsed, kInt, 1, kMaxTokens},
    {"maxBatchSize", kUsed, kInt, 1, 819200},
    {"maxIterTimes", kUsed, kInt, 1},
    {"templateName"},
    {"prefillTimeMsPerReq", kEffect, kInt, 0, 1000},
    {"decodeTimeMsPerReq", kEffect, kInt, 0, 1000},
    {"supportSelectBatch", kEffect, kBool},
    {"maxQueueDelayMicroseconds", kEffect, kInt, 500, 1000000},
    {"maxFirstTokenWaitTime", kEffect, kInt},
    {"maxPreemptCount", kEffect, kInt, 0},
    {"prefillPolicyType", kEffect, kInt},
    {"decodePolicyType", kEffect, kInt},
    {"prefillChunkSize", kEffect, kInt},
    {"maxNumPartialPrefills", kEffect, kInt},
    {"longPrefillTokenThreshold", kEffect, kInt},
    {"maxLongPartialPrefills", kEffect, kInt},
    {"stageSelectPolicy", kEffect, kInt},
    {"dynamicBatchSizeEnable", kEffect, kBool},
    {"prefillExpectedTime", kEffect, kAny},
    {"decodeExpectedTime", kEffect, kAny},
    {"bufferResponseEnabled", kEffect, kBool},
    {"enablePrefixCache", kEffect, kBool},
    {"enableSplit", kEffect, kBool},
    {"enablChunkedPrefill", kEffect, kBool},
    {"policyType", kEffect, kInt},
    {"splitType", kEffect, kBool},
    {"splitStartType", kEffect, kBool},
    {"splitChunkTokens", kEffect, kInt},
    {"splitStartBatchSize", kEffect, kInt},
    {"distributedEnable", kEffect, kBool},
    {"maxN", kEffect, kInt},
};

constexpr KeySpec kPlugin[] = {
    {"plugin_type", kUsed, kText},     {"num_speculative_tokens", kUsed, kInt, 0, 16},
    {"level", kEffect, kInt},          {"window", kEffect, kInt},
    {"guess_set_size", kEffect, kInt}, {"decoding_length", kEffect, kInt},
    {"dynamic_algo", kEffect, kBool},
};

}  // namespace

const MindieSections& mindie_sections() {
  static constexpr MindieSections kSections{kTop,      kServer,   kBackend, kDeploy,   kModel,
                                            kDeepseek, kParallel, kKvCache, kSchedule, kPlugin};
  return kSections;
}

std::span<const KeySection> mindie_keys() {
  static constexpr KeySection kKeys[] = {{"top level", kTop},
                                         {"ServerConfig", kServer},
                                         {"BackendConfig", kBackend},
                                         {"ModelDeployConfig", kDeploy},
                                         {"ModelConfig", kModel},
                                         {"models.deepseekv2", kDeepseek},
                                         {"parallel_options", kParallel},
                                         {"kv_cache_options", kKvCache},
                                         {"ScheduleConfig", kSchedule},
                                         {"plugin_params", kPlugin}};
  return kKeys;
}

}  // namespace ascendsim
