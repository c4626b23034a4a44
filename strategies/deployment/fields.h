// Every part of a question by name. One table (question_fields) says for every field its path, its words, its range,
// what it means and where it is kept; reading our own YAML file, writing it (convert), --set, --vary, --print-config,
// `explain KEY` and the JSON Schema are all printed from that table. A field with choices is an enum behind its words.
// Code names fields by the constants of namespace `field`: path and type are checked by the compiler.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "sim/config.h"
#include "strategies/deployment/question.h"

namespace ascendsim {

// ---- fields that are kept as a flag or in two places, seen as one choice ----

enum class CacheDtype : std::uint8_t { k16Bit, kInt8 };
enum class PrefillAttention : std::uint8_t { kTensorParallel, kTokenSplit };
enum class CpCache : std::uint8_t { kCut, kWhole };
enum class KvTransferMode : std::uint8_t { kPull, kLayerWise };
enum class ShardedLayers : std::uint8_t { kNone, kOProj, kQB, kBoth };
enum class ExpansionChoice : std::uint8_t { kAuto, kAiv, kAiCpu, kHost };

// The words of an enum, in its order.
template <class E>
std::span<const std::string_view> words_of();
template <>
std::span<const std::string_view> words_of<Role>();
template <>
std::span<const std::string_view> words_of<Dtype>();  // the two of activations: float16, bfloat16
template <>
std::span<const std::string_view> words_of<ExpertExchange>();
template <>
std::span<const std::string_view> words_of<ExpertCommunication>();
template <>
std::span<const std::string_view> words_of<GraphMode>();
template <>
std::span<const std::string_view> words_of<PromptPartition>();
template <>
std::span<const std::string_view> words_of<LatentExchange>();
template <>
std::span<const std::string_view> words_of<CacheDtype>();
template <>
std::span<const std::string_view> words_of<PrefillAttention>();
template <>
std::span<const std::string_view> words_of<CpCache>();
template <>
std::span<const std::string_view> words_of<KvTransferMode>();
template <>
std::span<const std::string_view> words_of<ShardedLayers>();
template <>
std::span<const std::string_view> words_of<ExpansionChoice>();

template <class E>
std::string_view word_of(E value) {
  return words_of<E>()[static_cast<std::size_t>(value)];
}

// ---- access ----

// A field of type T: T is a number, a flag, a text, a list, or an enum that has words.
template <class T>
struct FieldKey {
  using Value = T;
  using Read = std::conditional_t<std::is_arithmetic_v<T> || std::is_enum_v<T>, T, const T&>;
  std::string_view path;
  Read (*get)(const Question&);
  void (*set)(Question&, T);
};

// The same of any enum, by the number of the choice.
struct ChoiceAccess {
  std::size_t (*get)(const Question&);
  void (*set)(Question&, std::size_t);
};

using ScaleTable = std::vector<std::pair<std::int64_t, double>>;
using FieldAccess = std::variant<FieldKey<std::int64_t>, FieldKey<double>, FieldKey<bool>, FieldKey<std::string>,
                                 FieldKey<std::vector<double>>, FieldKey<std::vector<std::int64_t>>,
                                 FieldKey<std::optional<Bytes>>, FieldKey<ScaleTable>, ChoiceAccess>;

struct Field {
  std::string_view path;   // "layout.tp"
  std::string_view alias;  // the engine's own key ("tp", "maxSeqLen"); empty when it has none
  std::string_view meaning;
  FieldAccess access;
  double least = 0, most = 0;  // of numbers; equal = no limit
  std::span<const std::string_view> choices{};
  std::span<const std::string_view> alias_choices{};  // what the engine writes for each choice
};
std::span<const Field> question_fields();
// By path, by alias, or by the last parts of either ("parallel_options.o_proj_local_tp"), or by an option of that
// stack's engine
// ("tensor_parallel_size", "--max-model-len", "dcp"); null when none fits.
const Field* find_field(std::string_view name, std::string_view stack = {});
// Our bug when there is none of that path.
const Field& field_at(std::string_view path);

namespace field {

template <auto First, auto... Rest, class Object>
constexpr auto& along(Object& object) {
  if constexpr (sizeof...(Rest) == 0)
    return object.*First;
  else
    return along<Rest...>(object.*First);
}
template <auto... Path>
constexpr auto kept_in(std::string_view path) {
  using T = std::remove_cvref_t<decltype(along<Path...>(std::declval<Question&>()))>;
  return FieldKey<T>{path, [](const Question& q) -> typename FieldKey<T>::Read { return along<Path...>(q); },
                     [](Question& q, T value) { along<Path...>(q) = std::move(value); }};
}
template <auto... Path>
constexpr auto in_deployment(std::string_view path) {
  return kept_in<&Question::deployment, Path...>(path);
}
template <auto Member>
constexpr auto in_layout(std::string_view path) {
  return in_deployment<&Deployment::layout, Member>(path);
}
template <auto Member>
constexpr auto in_limits(std::string_view path) {
  return in_deployment<&Deployment::limits, Member>(path);
}
template <auto Member>
constexpr auto in_features(std::string_view path) {
  return in_deployment<&Deployment::features, Member>(path);
}
template <auto Member>
constexpr auto in_experts(std::string_view path) {
  return in_deployment<&Deployment::experts, Member>(path);
}
template <auto Member>
constexpr auto in_workload(std::string_view path) {
  return kept_in<&Question::workload, Member>(path);
}
// A flag of the deployment as an enum of two.
template <class E, auto... Path>
constexpr FieldKey<E> flag_in(std::string_view path) {
  return {path, [](const Question& q) { return along<&Question::deployment, Path...>(q) ? E{1} : E{0}; },
          [](Question& q, E value) { along<&Question::deployment, Path...>(q) = value == E{1}; }};
}

inline constexpr auto kStack = kept_in<&Question::stack>("stack");
inline constexpr auto kModel = kept_in<&Question::model>("model");
inline constexpr auto kQuantisation = kept_in<&Question::quantisation>("quantisation");
inline constexpr auto kDtype = in_deployment<&Deployment::dtype>("dtype");
inline constexpr auto kRole = in_deployment<&Deployment::role>("role");
inline constexpr auto kWorldSize = kept_in<&Question::declared_world>("world_size");

inline constexpr auto kDp = in_layout<&Layout::dp>("layout.dp");
inline constexpr auto kCp = in_layout<&Layout::cp>("layout.cp");
inline constexpr auto kCpPartition = in_layout<&Layout::cp_partition>("layout.cp_partition");
inline constexpr auto kCpExchange = in_layout<&Layout::cp_exchange>("layout.cp_exchange");
inline constexpr auto kCpCache = flag_in<CpCache, &Deployment::layout, &Layout::cp_whole_cache>("layout.cp_cache");
inline constexpr auto kSp = in_layout<&Layout::sp>("layout.sp");
inline constexpr auto kTp = in_layout<&Layout::tp>("layout.tp");
inline constexpr auto kPp = in_layout<&Layout::pp>("layout.pp");
inline constexpr auto kMoeEp = in_layout<&Layout::moe_ep>("layout.moe_ep");
inline constexpr auto kMoeTp = in_layout<&Layout::moe_tp>("layout.moe_tp");
inline constexpr auto kOProjTp = in_layout<&Layout::o_proj_local_tp>("layout.o_proj_tp");
inline constexpr auto kLmHeadTp = in_layout<&Layout::lm_head_local_tp>("layout.lm_head_tp");
inline constexpr auto kEmbeddingTp = in_layout<&Layout::embedding_local_tp>("layout.embedding_tp");
inline constexpr auto kMlpTp = in_layout<&Layout::mlp_local_tp>("layout.mlp_tp");

inline constexpr FieldKey<ExpertExchange> kExchange{
    "experts.exchange", [](const Question& q) { return q.deployment.exchange(); },
    [](Question& q, ExpertExchange value) { q.deployment.set_exchange(value); }};
inline constexpr auto kCommunication = in_experts<&ExpertOptions::communication>("experts.communication");
inline constexpr auto kRedundant = in_experts<&ExpertOptions::redundant>("experts.redundant");
inline constexpr auto kSharedRanks = in_experts<&ExpertOptions::shared_ranks>("experts.shared_ranks");
inline constexpr auto kImbalance = in_experts<&ExpertOptions::imbalance>("experts.imbalance");
inline constexpr auto kExpertSeed = in_experts<&ExpertOptions::seed>("experts.seed");
inline constexpr auto kExpertLoads = in_experts<&ExpertOptions::loads>("experts.loads");
inline constexpr auto kRoutingCutoff = in_deployment<&Deployment::init_routing_cutoff>("experts.init_routing_cutoff");
inline constexpr auto kTopkScaling = in_deployment<&Deployment::topk_scaling_factor>("experts.topk_scaling_factor");
inline constexpr auto kBufferScale = in_deployment<&Deployment::all_to_all_scale>("experts.buffer_scale");
inline constexpr auto kPrefillAttention =
    flag_in<PrefillAttention, &Deployment::token_split_prefill>("prefill.attention");
inline constexpr auto kComputeSkew = in_deployment<&Deployment::compute_skew>("compute_skew");
inline constexpr auto kMicroBatches = in_deployment<&Deployment::micro_batches>("micro_batches");

inline constexpr auto kKvDtype = flag_in<CacheDtype, &Deployment::kv_int8>("kv_cache.dtype");
inline constexpr auto kBlockTokens = in_limits<&Limits::block_tokens>("kv_cache.block_tokens");
inline constexpr auto kKvInterleave = in_limits<&Limits::kv_interleave>("kv_cache.interleave");
inline constexpr auto kPoolTokens = in_deployment<&Deployment::pool_tokens>("kv_cache.pool_tokens");
inline constexpr auto kKvMemory = in_deployment<&Deployment::kv_memory>("kv_cache.memory");
inline constexpr auto kMaxSeqLen = in_limits<&Limits::max_seq_len>("limits.max_seq_len");
inline constexpr auto kMaxInputTokens = in_limits<&Limits::max_input_tokens>("limits.max_input_tokens");
inline constexpr auto kMaxPrefillTokens = in_limits<&Limits::max_prefill_tokens>("limits.max_prefill_tokens");
inline constexpr auto kMaxPrefillBatch = in_limits<&Limits::max_prefill_batch>("limits.max_prefill_batch");
inline constexpr auto kMaxBatch = in_limits<&Limits::max_batch>("limits.max_batch");
inline constexpr auto kMaxBatchedTokens = in_limits<&Limits::max_batched_tokens>("limits.max_batched_tokens");
inline constexpr auto kMemoryFraction = in_deployment<&Deployment::memory_fraction>("memory_fraction");

inline constexpr auto kSpeculativeTokens = in_features<&Features::speculative_tokens>("features.speculative_tokens");
inline constexpr auto kPrefixCache = in_features<&Features::prefix_cache>("features.prefix_cache");
inline constexpr auto kSplitfuse = in_features<&Features::splitfuse>("features.splitfuse");
inline constexpr auto kKvNz = in_features<&Features::kv_nz>("features.kv_nz");
inline constexpr auto kAsyncScheduling = in_features<&Features::async_scheduling>("features.async_scheduling");
inline constexpr auto kFlashcomm1 = in_features<&Features::flashcomm1>("features.flashcomm1");
inline constexpr auto kGraphMode = in_deployment<&Deployment::graph, &GraphOptions::mode>("graph.mode");
inline constexpr auto kCaptureSizes =
    in_deployment<&Deployment::graph, &GraphOptions::capture_sizes>("graph.capture_sizes");
inline constexpr auto kKvBCopies = in_deployment<&Deployment::kv_b_copies>("weights.kv_b_copies");
inline constexpr FieldKey<ShardedLayers> kLayerSharding{
    "weights.layer_sharding",
    [](const Question& q) {
      const LayerSharding& s = q.deployment.layer_sharding;
      return s.o_proj && s.q_b ? ShardedLayers::kBoth
             : s.o_proj        ? ShardedLayers::kOProj
             : s.q_b           ? ShardedLayers::kQB
                               : ShardedLayers::kNone;
    },
    [](Question& q, ShardedLayers value) {
      q.deployment.layer_sharding = {.o_proj = value == ShardedLayers::kOProj || value == ShardedLayers::kBoth,
                                     .q_b = value == ShardedLayers::kQB || value == ShardedLayers::kBoth};
    }};
inline constexpr auto kCommunicationBuffer = in_deployment<&Deployment::communication_buffer>("communication.buffer");
inline constexpr FieldKey<ExpansionChoice> kExpansion{
    "communication.expansion",
    [](const Question& q) {
      // The order of Expansion, after `auto`; kFused is no setting of HCCL.
      const std::optional<Expansion>& e = q.deployment.expansion;
      return e ? static_cast<ExpansionChoice>(1 + static_cast<int>(*e)) : ExpansionChoice::kAuto;
    },
    [](Question& q, ExpansionChoice value) {
      if (value == ExpansionChoice::kAuto)
        q.deployment.expansion.reset();
      else
        q.deployment.expansion = static_cast<Expansion>(static_cast<int>(value) - 1);
    }};
inline constexpr auto kConnector =
    in_deployment<&Deployment::kv_transfer, &KvTransferOptions::connector>("kv_transfer.connector");
inline constexpr auto kTransferMode =
    flag_in<KvTransferMode, &Deployment::kv_transfer, &KvTransferOptions::layer_wise>("kv_transfer.mode");

inline constexpr auto kServer = kept_in<&Question::hardware, &HardwareChoice::server>("hardware.server");
inline constexpr auto kDie = kept_in<&Question::hardware, &HardwareChoice::die>("hardware.die");
inline constexpr auto kServers = kept_in<&Question::hardware, &HardwareChoice::servers>("hardware.servers");
inline constexpr auto kInputTokens = in_workload<&Workload::input_tokens>("workload.input_tokens");
inline constexpr auto kOutputTokens = in_workload<&Workload::output_tokens>("workload.output_tokens");
inline constexpr auto kBatch = in_workload<&Workload::batch>("workload.batch");
inline constexpr auto kPrefixHit = in_workload<&Workload::prefix_hit>("workload.prefix_hit");
inline constexpr auto kAcceptance = in_workload<&Workload::acceptance>("workload.acceptance");

}  // namespace field

// ---- reading ----

// Our own file is told from an engine's by its content: it says `ascendsim`, or has a layout or a stack.
bool is_question(ConfigNode root);
// Diagnoses unknown keys, types and ranges. What the file names gets an origin, by path and by alias.
void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics);
// "layout.tp=4"; the value is read as YAML.
void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics);

void set_origin(Question& question, const Field& field, const Origin& origin);
// A value that a reader has found, with the place where it is written ...
template <class T>
void put(Question& question, const FieldKey<T>& key, std::type_identity_t<T> value, SourceLocation where) {
  key.set(question, std::move(value));
  set_origin(question, field_at(key.path), {std::move(where), false});
}
// ... or with the option or variable that says it.
template <class T>
void put(Question& question, const FieldKey<T>& key, std::type_identity_t<T> value, std::string source) {
  SourceLocation where;
  where.file = std::move(source);
  put(question, key, std::move(value), std::move(where));
}

}  // namespace ascendsim
