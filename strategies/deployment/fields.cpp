#include "strategies/deployment/fields.h"

#include <algorithm>

#include "sim/check.h"

namespace ascendsim {

namespace {

constexpr std::string_view kRoles[] = {"hybrid", "prefill", "decode"};
constexpr std::string_view kDtypes[] = {"float16", "bfloat16"};
constexpr std::string_view kExchanges[] = {"all-gather", "all-to-all-padded", "all-to-all"};
constexpr std::string_view kEpLevels[] = {"1", "2", "2"};
constexpr std::string_view kKvDtypes[] = {"16bit", "int8"};
constexpr std::string_view kPrefillAttentions[] = {"tensor-parallel", "token-split"};
constexpr std::string_view kGraphModes[] = {"stack", "eager", "piecewise", "full-decode"};
constexpr std::string_view kCommunications[] = {"auto", "all-gather", "all-to-all",
                                                "mc2",  "fused-mc2",  "fused-mc2-decode"};
constexpr std::string_view kTransferModes[] = {"pull", "layer-wise"};
constexpr std::string_view kLayerShardings[] = {"none", "o_proj", "q_b_proj", "all"};
constexpr std::string_view kCpPartitions[] = {"zigzag", "round-robin"};
constexpr std::string_view kCpExchanges[] = {"all-gather", "ring"};
constexpr std::string_view kCpCaches[] = {"cut", "whole"};
constexpr std::string_view kExpansions[] = {"auto", "aiv", "aicpu", "host"};
constexpr std::string_view kExpansionModes[] = {"", "AIV", "AI_CPU", "HOST"};

}  // namespace

template <>
std::span<const std::string_view> words_of<Role>() {
  return kRoles;
}
template <>
std::span<const std::string_view> words_of<Dtype>() {
  return kDtypes;
}
template <>
std::span<const std::string_view> words_of<ExpertExchange>() {
  return kExchanges;
}
template <>
std::span<const std::string_view> words_of<ExpertCommunication>() {
  return kCommunications;
}
template <>
std::span<const std::string_view> words_of<GraphMode>() {
  return kGraphModes;
}
template <>
std::span<const std::string_view> words_of<PromptPartition>() {
  return kCpPartitions;
}
template <>
std::span<const std::string_view> words_of<LatentExchange>() {
  return kCpExchanges;
}
template <>
std::span<const std::string_view> words_of<CacheDtype>() {
  return kKvDtypes;
}
template <>
std::span<const std::string_view> words_of<PrefillAttention>() {
  return kPrefillAttentions;
}
template <>
std::span<const std::string_view> words_of<CpCache>() {
  return kCpCaches;
}
template <>
std::span<const std::string_view> words_of<KvTransferMode>() {
  return kTransferModes;
}
template <>
std::span<const std::string_view> words_of<ShardedLayers>() {
  return kLayerShardings;
}
template <>
std::span<const std::string_view> words_of<ExpansionChoice>() {
  return kExpansions;
}

namespace {

constexpr double kMaxRanks = 1 << 20, kMaxTokens = 1 << 24, kMaxBatch = 1 << 20, kMaxBlock = 4096;

template <const auto& Key>
Field row(std::string_view alias, std::string_view meaning, double least = 0, double most = 0) {
  using T = typename std::remove_cvref_t<decltype(Key)>::Value;
  if constexpr (std::is_enum_v<T>)
    return {Key.path,
            alias,
            meaning,
            ChoiceAccess{[](const Question& q) { return static_cast<std::size_t>(Key.get(q)); },
                         [](Question& q, std::size_t choice) { Key.set(q, static_cast<T>(choice)); }},
            0,
            0,
            words_of<T>()};
  else
    return {Key.path, alias, meaning, Key, least, most};
}
// Where the engine writes other words than ours.
template <const auto& Key>
Field row(std::string_view alias, std::string_view meaning, std::span<const std::string_view> alias_choices) {
  Field f = row<Key>(alias, meaning);
  f.alias_choices = alias_choices;
  return f;
}

// Sources of the meanings: docs/deployment-file.md.
const Field kFields[] = {
    row<field::kStack>(
        "", "software stack: an engine, or engine and version as in strategies/engines/stacks (cann-recipes-2026-08)"),
    row<field::kModel>("modelName", "model of the library, or the path of a HuggingFace config.json"),
    row<field::kQuantisation>(
        "", "weight scheme in workloads/quantisation: w8a8, w4a8, float; of the CANN recipes for V3.2 w8a8c8, w4a8c8"),
    row<field::kDtype>("torch_dtype", "16-bit type of activations and of what is not quantised"),
    row<field::kRole>("", "hybrid does both phases; prefill or decode: one side of a disaggregated pair"),
    row<field::kWorldSize>("worldSize", "ranks of the instance, 0 = dp x cp x tp", 0, kMaxRanks),
    row<field::kDp>("dp", "attention data parallelism: groups with requests of their own", 1, kMaxRanks),
    row<field::kCp>("cp", "context parallelism: prompts cut over the ranks", 1, kMaxRanks),
    row<field::kCpPartition>(
        "", "how cp cuts a prompt: zigzag = two chunks a rank, round-robin = token i on rank i mod cp"),
    row<field::kCpExchange>(
        "cp_exchange",
        "how the latent gets to the other cp ranks: all-gather, or ring = from neighbour to neighbour (a what-if)"),
    row<field::kCpCache>("", "cut = cp cuts the KV cache too, whole = every cp rank keeps all tokens (SGLang)"),
    row<field::kSp>(
        "sp", "sequence parallelism: KV cache cut over the TP group, or over parts of it (decode context parallelism)",
        1, kMaxRanks),
    row<field::kTp>("tp", "tensor parallelism of attention and dense layers", 1, kMaxRanks),
    row<field::kPp>("pp", "pipeline parallelism: stages of layers", 1, kMaxRanks),
    row<field::kMoeEp>("moe_ep", "expert parallelism: ranks that share the experts", 1, kMaxRanks),
    row<field::kMoeTp>("moe_tp", "tensor parallelism inside an expert", 1, kMaxRanks),
    row<field::kOProjTp>("o_proj_local_tp", "local group of o_proj with tp 1, -1 = off", -1, kMaxRanks),
    row<field::kLmHeadTp>("lm_head_local_tp", "local group of the LM head, -1 = cut over the world", -1, kMaxRanks),
    row<field::kEmbeddingTp>(
        "", "DP groups that share the embedding by vocabulary (vLLM-Ascend, fine-grained TP), -1 = off", -1, kMaxRanks),
    row<field::kMlpTp>("", "DP groups that share the dense MLP with tp 1 (vLLM-Ascend, fine-grained TP), -1 = off", -1,
                       kMaxRanks),
    row<field::kExchange>("ep_level",
                          "how rows reach experts: all-gather (MindIE ep_level 1), all-to-all-padded (ep_level 2), "
                          "all-to-all (real counts)",
                          kEpLevels),
    row<field::kCommunication>(
        "",
        "vLLM-Ascend: what carries rows to experts; auto = chosen by phase, size and hardware; fused-mc2-decode: fused "
        "for few rows only"),
    row<field::kRedundant>("", "replicas of experts over all moe_ep ranks together", 0, kMaxRanks),
    row<field::kSharedRanks>("",
                             "all-to-all: ranks of the moe_ep group that hold the shared expert and no routed one, 0 = "
                             "every rank has a copy",
                             0, kMaxRanks),
    row<field::kImbalance>(
        "", "load of the busiest rank of the moe_ep group against the mean, 1 = all alike; a seeded router spreads it",
        1, kMaxRanks),
    row<field::kExpertSeed>("", "of that router", 1, 1'000'000'000),
    row<field::kExpertLoads>("",
                             "instead: measured loads, one for each physical expert in the order of ranks, on any "
                             "scale; empty = not measured"),
    row<field::kRoutingCutoff>("enable_init_routing_cutoff",
                               "all-gather: allocate only topk_scaling_factor of the routed rows"),
    row<field::kTopkScaling>("topk_scaling_factor", "share of the routed rows that is allocated", 0.001, 1),
    row<field::kBufferScale>("alltoall_ep_buffer_scale_factors",
                             "all-to-all-padded: [[tokens at least, buffer factor], ...] in descending order of "
                             "tokens; empty = the engine's "
                             "formula"),
    row<field::kPrefillAttention>("", "token-split: tokens outside attention, heads inside (cann-recipes SP-TP-SP)"),
    row<field::kComputeSkew>(
        "", "stragglers: compute time of the slowest rank less that of the fastest, against the mean", 0, 1),
    row<field::kMicroBatches>("", "2 = halves of a step's requests overlap on two lanes of streams", 1, 2),
    row<field::kKvDtype>("", "int8 = latent and index key in int8, rope key in 16 bit (C8)"),
    row<field::kBlockTokens>("cacheBlockSize", "tokens of a KV block", 1, kMaxBlock),
    row<field::kKvInterleave>("", "tokens in a row on one cache shard, 0 = whole blocks (cp-kv-cache-interleave-size)",
                              0, kMaxBlock),
    row<field::kPoolTokens>("", "KV pool of a DP group fixed in tokens, 0 = what memory gives (max-total-tokens)", 0,
                            1LL << 40),
    row<field::kKvMemory>("npuMemSize", "KV memory per rank fixed by hand"),
    row<field::kMaxSeqLen>("maxSeqLen", "prompt and output together", 1, kMaxTokens),
    row<field::kMaxInputTokens>("maxInputTokenLen", "longest prompt", 1, kMaxTokens),
    row<field::kMaxPrefillTokens>("maxPrefillTokens", "tokens of a prefill step per DP group", 1, kMaxTokens),
    row<field::kMaxPrefillBatch>("maxPrefillBatchSize", "prompts of a prefill step per DP group", 1, kMaxBatch),
    row<field::kMaxBatch>("maxBatchSize", "requests of a decode step per DP group", 1, kMaxBatch),
    row<field::kMaxBatchedTokens>("",
                                  "tokens of any step per DP group, prompts and decodes together, 0 = "
                                  "max_prefill_tokens (max-num-batched-tokens)",
                                  0, kMaxTokens),
    row<field::kMemoryFraction>(
        "NPU_MEMORY_FRACTION",
        "share of the driver's memory for weights, KV cache, activations and buffers (gpu-memory-utilization)", 0.01,
        1),
    row<field::kSpeculativeTokens>("num_speculative_tokens", "MTP: draft tokens of a decode step", 0, 16),
    row<field::kPrefixCache>("", "prefix cache switched on"),
    row<field::kSplitfuse>("", "chunked prefill mixed with decode"),
    row<field::kKvNz>("enable_nz", "NZ layout of the KV cache"),
    row<field::kAsyncScheduling>("MINDIE_ASYNC_SCHEDULING_ENABLE", "the next step is scheduled while one runs"),
    row<field::kFlashcomm1>("", "residual stream scattered over the TP group (vLLM-Ascend FlashComm1)"),
    row<field::kGraphMode>("", "how decode steps are launched: stack = as the stack's figures assume"),
    row<field::kCaptureSizes>("", "token counts of captured graphs; batches are padded to the next one", 1, kMaxTokens),
    row<field::kKvBCopies>("", "2 = kv_b is kept in absorbed form as well (vLLM-Ascend)", 1, 2),
    row<field::kLayerSharding>("",
                               "DSA-CP on a prefill node: weights of which a rank holds those of every n-th layer, "
                               "broadcast ahead; all = both "
                               "(vLLM-Ascend layer_sharding)"),
    row<field::kCommunicationBuffer>("HCCL_BUFFSIZE", "buffer of every communicator, null = the stack's"),
    row<field::kExpansion>("HCCL_OP_EXPANSION_MODE",
                           "who carries collectives out: aiv (vector cores, small ones), aicpu or host; auto = as HCCL "
                           "by product and size",
                           kExpansionModes),
    row<field::kConnector>("", "what moves a prompt's cache between the sides of a pair"),
    row<field::kTransferMode>("", "pull after prefill, or layer-wise: pushed while prefill runs"),
    row<field::kServer>("", "server type of the catalogue"),
    row<field::kDie>("", "bin of the die, empty = the server's usual one"),
    row<field::kServers>("", "servers, 0 = as many as the ranks need", 0, 4096),
    row<field::kInputTokens>("", "tokens of a prompt, 0 = --input says", 0, kMaxTokens),
    row<field::kOutputTokens>("", "tokens generated for a request, 0 = --output says", 0, kMaxTokens),
    row<field::kBatch>("", "requests side by side", 1, kMaxBatch),
    row<field::kPrefixHit>("", "tokens of every prompt in the prefix cache", 0, kMaxTokens),
    row<field::kAcceptance>("", "MTP: acceptance of draft i given that the ones before it were accepted", 0, 1),
};

}  // namespace

std::span<const Field> question_fields() { return kFields; }

const Field* find_field(std::string_view name, std::string_view stack) {
  const Field* found = nullptr;
  for (const Field& f : kFields) {
    if (f.path == name || (!f.alias.empty() && f.alias == name)) return &f;
    const auto ends = [&](std::string_view known) {
      return !known.empty() && name.ends_with(known) && name[name.size() - known.size() - 1] == '.';
    };
    if (name.size() > f.path.size() && ends(f.path)) found = &f;
    if (name.size() > f.alias.size() && ends(f.alias)) found = &f;
  }
  if (found != nullptr) return found;
  const auto field_of = engine_of(stack).words.field_of;
  const std::string_view path = field_of == nullptr ? std::string_view() : field_of(name);
  return path.empty() ? nullptr : find_field(path);
}

const Field& field_at(std::string_view path) {
  const auto at = std::ranges::find(kFields, path, &Field::path);
  check(at != std::end(kFields), "a field of that path is in the table");
  return *at;
}

void set_origin(Question& question, const Field& field, const Origin& origin) {
  question.deployment.origins[std::string(field.path)] = origin;
  if (!field.alias.empty()) question.deployment.origins[std::string(field.alias)] = origin;
}

}  // namespace ascendsim
