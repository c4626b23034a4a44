#include "strategies/deployment/question.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "strategies/engines/sglang/import.h"
#include "strategies/engines/vllm/import.h"

namespace ascendsim {

namespace {

constexpr std::string_view kRoles[] = {"hybrid", "prefill", "decode"};
constexpr std::string_view kDtypes[] = {"float16", "bfloat16"};
constexpr std::string_view kExchanges[] = {"all-gather", "all-to-all-padded", "all-to-all"};
constexpr std::string_view kEpLevels[] = {"1", "2", "2"};
constexpr std::string_view kKvDtypes[] = {"16bit", "int8"};
constexpr std::string_view kPrefillAttention[] = {"tensor-parallel", "token-split"};
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
constexpr double kMaxRanks = 1 << 20, kMaxTokens = 1 << 24, kMaxBatch = 1 << 20, kMaxBlock = 4096;

// Where a field is kept. The template keeps the table below to a line a field.
template <auto Member>
auto& in_question(Question& q) {
  return q.*Member;
}
template <auto Member>
auto& in_deployment(Question& q) {
  return q.deployment.*Member;
}
template <auto Member>
auto& in_layout(Question& q) {
  return q.deployment.layout.*Member;
}
template <auto Member>
auto& in_limits(Question& q) {
  return q.deployment.limits.*Member;
}
template <auto Member>
auto& in_features(Question& q) {
  return q.deployment.features.*Member;
}
template <auto Member>
auto& in_experts(Question& q) {
  return q.deployment.experts.*Member;
}
template <auto Member>
auto& in_graph(Question& q) {
  return q.deployment.graph.*Member;
}
template <auto Member>
auto& in_transfer(Question& q) {
  return q.deployment.kv_transfer.*Member;
}
template <auto Member>
auto& in_hardware(Question& q) {
  return q.hardware.*Member;
}
template <auto Member>
auto& in_workload(Question& q) {
  return q.workload.*Member;
}

// Sources of the meanings: docs/deployment-file.md.
constexpr Field kFields[] = {
    {"stack", "",
     "software stack: an engine, or engine and version as in strategies/engines/stacks (cann-recipes-2026-08)",
     in_question<&Question::stack>},
    {"model", "modelName", "model of the library, or the path of a HuggingFace config.json",
     in_question<&Question::model>},
    {"quantisation", "",
     "weight scheme in workloads/quantisation: w8a8, w4a8, float; of the CANN recipes for V3.2 w8a8c8, w4a8c8",
     in_question<&Question::quantisation>},
    {"dtype", "torch_dtype", "16-bit type of activations and of what is not quantised", in_question<&Question::dtype>,
     0, 0, kDtypes},
    {"role", "", "hybrid does both phases; prefill or decode: one side of a disaggregated pair",
     in_question<&Question::role>, 0, 0, kRoles},
    {"world_size", "worldSize", "ranks of the instance, 0 = dp x cp x tp", in_question<&Question::declared_world>, 0,
     kMaxRanks},
    {"layout.dp", "dp", "attention data parallelism: groups with requests of their own", in_layout<&Layout::dp>, 1,
     kMaxRanks},
    {"layout.cp", "cp", "context parallelism: prompts cut over the ranks", in_layout<&Layout::cp>, 1, kMaxRanks},
    {"layout.cp_partition", "",
     "how cp cuts a prompt: zigzag = two chunks a rank, round-robin = token i on rank i mod cp",
     in_question<&Question::cp_partition>, 0, 0, kCpPartitions},
    {"layout.cp_exchange", "cp_exchange",
     "how the latent gets to the other cp ranks: all-gather, or ring = from neighbour to neighbour (a what-if)",
     in_question<&Question::cp_exchange>, 0, 0, kCpExchanges},
    {"layout.cp_cache", "", "cut = cp cuts the KV cache too, whole = every cp rank keeps all tokens (SGLang)",
     in_question<&Question::cp_cache>, 0, 0, kCpCaches},
    {"layout.sp", "sp",
     "sequence parallelism: KV cache cut over the TP group, or over parts of it (decode context parallelism)",
     in_layout<&Layout::sp>, 1, kMaxRanks},
    {"layout.tp", "tp", "tensor parallelism of attention and dense layers", in_layout<&Layout::tp>, 1, kMaxRanks},
    {"layout.pp", "pp", "pipeline parallelism: stages of layers", in_layout<&Layout::pp>, 1, kMaxRanks},
    {"layout.moe_ep", "moe_ep", "expert parallelism: ranks that share the experts", in_layout<&Layout::moe_ep>, 1,
     kMaxRanks},
    {"layout.moe_tp", "moe_tp", "tensor parallelism inside an expert", in_layout<&Layout::moe_tp>, 1, kMaxRanks},
    {"layout.o_proj_tp", "o_proj_local_tp", "local group of o_proj with tp 1, -1 = off",
     in_layout<&Layout::o_proj_local_tp>, -1, kMaxRanks},
    {"layout.lm_head_tp", "lm_head_local_tp", "local group of the LM head, -1 = cut over the world",
     in_layout<&Layout::lm_head_local_tp>, -1, kMaxRanks},
    {"layout.embedding_tp", "",
     "DP groups that share the embedding by vocabulary (vLLM-Ascend, fine-grained TP), -1 = off",
     in_layout<&Layout::embedding_local_tp>, -1, kMaxRanks},
    {"layout.mlp_tp", "", "DP groups that share the dense MLP with tp 1 (vLLM-Ascend, fine-grained TP), -1 = off",
     in_layout<&Layout::mlp_local_tp>, -1, kMaxRanks},
    {"experts.exchange", "ep_level",
     "how rows reach experts: all-gather (MindIE ep_level 1), all-to-all-padded (ep_level 2), all-to-all (real counts)",
     in_question<&Question::exchange>, 0, 0, kExchanges, kEpLevels},
    {"experts.communication", "",
     "vLLM-Ascend: what carries rows to experts; auto = chosen by phase, size and hardware; fused-mc2-decode: fused "
     "for few rows only",
     in_question<&Question::expert_communication>, 0, 0, kCommunications},
    {"experts.redundant", "", "replicas of experts over all moe_ep ranks together",
     in_experts<&ExpertOptions::redundant>, 0, kMaxRanks},
    {"experts.shared_ranks", "",
     "all-to-all: ranks of the moe_ep group that hold the shared expert and no routed one, 0 = every rank has a copy",
     in_experts<&ExpertOptions::shared_ranks>, 0, kMaxRanks},
    {"experts.imbalance", "",
     "load of the busiest rank of the moe_ep group against the mean, 1 = all alike; a seeded router spreads it",
     in_experts<&ExpertOptions::imbalance>, 1, kMaxRanks},
    {"experts.seed", "", "of that router", in_experts<&ExpertOptions::seed>, 1, 1'000'000'000},
    {"experts.loads", "",
     "instead: measured loads, one for each physical expert in the order of ranks, on any scale; empty = not measured",
     in_experts<&ExpertOptions::loads>},
    {"experts.init_routing_cutoff", "enable_init_routing_cutoff",
     "all-gather: allocate only topk_scaling_factor of the routed rows",
     in_deployment<&Deployment::init_routing_cutoff>},
    {"experts.topk_scaling_factor", "topk_scaling_factor", "share of the routed rows that is allocated",
     in_deployment<&Deployment::topk_scaling_factor>, 0.001, 1},
    {"experts.buffer_scale", "alltoall_ep_buffer_scale_factors",
     "all-to-all-padded: [[tokens at least, buffer factor], ...] in descending order of tokens; empty = the engine's "
     "formula",
     in_deployment<&Deployment::all_to_all_scale>},
    {"prefill.attention", "", "token-split: tokens outside attention, heads inside (cann-recipes SP-TP-SP)",
     in_question<&Question::prefill_attention>, 0, 0, kPrefillAttention},
    {"compute_skew", "", "stragglers: compute time of the slowest rank less that of the fastest, against the mean",
     in_deployment<&Deployment::compute_skew>, 0, 1},
    {"micro_batches", "", "2 = halves of a step's requests overlap on two lanes of streams",
     in_deployment<&Deployment::micro_batches>, 1, 2},
    {"kv_cache.dtype", "", "int8 = latent and index key in int8, rope key in 16 bit (C8)",
     in_question<&Question::kv_dtype>, 0, 0, kKvDtypes},
    {"kv_cache.block_tokens", "cacheBlockSize", "tokens of a KV block", in_limits<&Limits::block_tokens>, 1, kMaxBlock},
    {"kv_cache.interleave", "", "tokens in a row on one cache shard, 0 = whole blocks (cp-kv-cache-interleave-size)",
     in_limits<&Limits::kv_interleave>, 0, kMaxBlock},
    {"kv_cache.pool_tokens", "", "KV pool of a DP group fixed in tokens, 0 = what memory gives (max-total-tokens)",
     in_deployment<&Deployment::pool_tokens>, 0, 1LL << 40},
    {"kv_cache.memory", "npuMemSize", "KV memory per rank fixed by hand", in_deployment<&Deployment::kv_memory>},
    {"limits.max_seq_len", "maxSeqLen", "prompt and output together", in_limits<&Limits::max_seq_len>, 1, kMaxTokens},
    {"limits.max_input_tokens", "maxInputTokenLen", "longest prompt", in_limits<&Limits::max_input_tokens>, 1,
     kMaxTokens},
    {"limits.max_prefill_tokens", "maxPrefillTokens", "tokens of a prefill step per DP group",
     in_limits<&Limits::max_prefill_tokens>, 1, kMaxTokens},
    {"limits.max_prefill_batch", "maxPrefillBatchSize", "prompts of a prefill step per DP group",
     in_limits<&Limits::max_prefill_batch>, 1, kMaxBatch},
    {"limits.max_batch", "maxBatchSize", "requests of a decode step per DP group", in_limits<&Limits::max_batch>, 1,
     kMaxBatch},
    {"limits.max_batched_tokens", "",
     "tokens of any step per DP group, prompts and decodes together, 0 = max_prefill_tokens (max-num-batched-tokens)",
     in_limits<&Limits::max_batched_tokens>, 0, kMaxTokens},
    {"memory_fraction", "NPU_MEMORY_FRACTION",
     "share of the driver's memory for weights, KV cache, activations and buffers (gpu-memory-utilization)",
     in_deployment<&Deployment::memory_fraction>, 0.01, 1},
    {"features.speculative_tokens", "num_speculative_tokens", "MTP: draft tokens of a decode step",
     in_features<&Features::speculative_tokens>, 0, 16},
    {"features.prefix_cache", "", "prefix cache switched on", in_features<&Features::prefix_cache>},
    {"features.splitfuse", "", "chunked prefill mixed with decode", in_features<&Features::splitfuse>},
    {"features.kv_nz", "enable_nz", "NZ layout of the KV cache", in_features<&Features::kv_nz>},
    {"features.async_scheduling", "MINDIE_ASYNC_SCHEDULING_ENABLE", "the next step is scheduled while one runs",
     in_features<&Features::async_scheduling>},
    {"features.flashcomm1", "", "residual stream scattered over the TP group (vLLM-Ascend FlashComm1)",
     in_features<&Features::flashcomm1>},
    {"graph.mode", "", "how decode steps are launched: stack = as the stack's figures assume",
     in_question<&Question::graph_mode>, 0, 0, kGraphModes},
    {"graph.capture_sizes", "", "token counts of captured graphs; batches are padded to the next one",
     in_graph<&GraphOptions::capture_sizes>, 1, kMaxTokens},
    {"weights.kv_b_copies", "", "2 = kv_b is kept in absorbed form as well (vLLM-Ascend)",
     in_deployment<&Deployment::kv_b_copies>, 1, 2},
    {"weights.layer_sharding", "",
     "DSA-CP on a prefill node: weights of which a rank holds those of every n-th layer, broadcast ahead; all = both "
     "(vLLM-Ascend layer_sharding)",
     in_question<&Question::layer_sharding>, 0, 0, kLayerShardings},
    {"communication.buffer", "HCCL_BUFFSIZE", "buffer of every communicator, null = the stack's",
     in_deployment<&Deployment::communication_buffer>},
    {"communication.expansion", "HCCL_OP_EXPANSION_MODE",
     "who carries collectives out: aiv (vector cores, small ones), aicpu or host; auto = as HCCL by product and size",
     in_question<&Question::expansion>, 0, 0, kExpansions, kExpansionModes},
    {"kv_transfer.connector", "", "what moves a prompt's cache between the sides of a pair",
     in_transfer<&KvTransferOptions::connector>},
    {"kv_transfer.mode", "", "pull after prefill, or layer-wise: pushed while prefill runs",
     in_question<&Question::kv_transfer_mode>, 0, 0, kTransferModes},
    {"hardware.server", "", "server type of the catalogue", in_hardware<&HardwareChoice::server>},
    {"hardware.die", "", "bin of the die, empty = the server's usual one", in_hardware<&HardwareChoice::die>},
    {"hardware.servers", "", "servers, 0 = as many as the ranks need", in_hardware<&HardwareChoice::servers>, 0, 4096},
    {"workload.input_tokens", "", "tokens of a prompt, 0 = --input says", in_workload<&Workload::input_tokens>, 0,
     kMaxTokens},
    {"workload.output_tokens", "", "tokens generated for a request, 0 = --output says",
     in_workload<&Workload::output_tokens>, 0, kMaxTokens},
    {"workload.batch", "", "requests side by side", in_workload<&Workload::batch>, 1, kMaxBatch},
    {"workload.prefix_hit", "", "tokens of every prompt in the prefix cache", in_workload<&Workload::prefix_hit>, 0,
     kMaxTokens},
    {"workload.acceptance", "", "MTP: acceptance of draft i given that the ones before it were accepted",
     in_workload<&Workload::acceptance>, 0, 1},
};

// Token counts may be written as 64K.
[[nodiscard]] bool takes_suffix(const Field& f) {
  for (const std::string_view word : {"token", "seq_len", "prefix_hit"})
    if (f.path.find(word) != std::string_view::npos && f.most > kMaxBlock) return true;
  return false;
}
// "config.json:9", "--set tp=4", "assumed".
std::string origin_text(const Origin& origin) {
  if (origin.assumed) return "assumed default";
  const SourceLocation& where = origin.where;
  return where.line > 0 ? fmt::format("{}:{}", where.file, where.line) : where.file;
}

[[nodiscard]] bool limited(const Field& f) { return f.least != f.most; }

// "a.b" stands in map a under key b.
std::string_view section_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}
std::string_view key_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string number_text(double v) { return fmt::format("{}", v); }

// Reads one value into its field.
class Reading {
 public:
  // in_engine_words: named by the engine's key, whose values may be written differently.
  Reading(const Field& field, ConfigNode node, bool in_engine_words, Question& question, Diagnostics& diagnostics)
      : field_(field), node_(node), in_engine_words_(in_engine_words), question_(question), diagnostics_(diagnostics) {}

  void operator()(std::int64_t& (*access)(Question&)) const {
    const auto v = token_count();
    if (v && in_range(static_cast<double>(*v))) access(question_) = *v;
  }
  void operator()(double& (*access)(Question&)) const {
    const auto v = node_.as_number(diagnostics_);
    if (v && in_range(*v)) access(question_) = *v;
  }
  void operator()(bool& (*access)(Question&)) const {
    if (const auto v = node_.as_bool(diagnostics_)) access(question_) = *v;
  }
  void operator()(std::string& (*access)(Question&)) const {
    auto v = node_.as_string(diagnostics_);
    if (v && in_engine_words_)
      if (const auto at = std::ranges::find(field_.alias_choices, *v); at != field_.alias_choices.end())
        v = field_.choices[static_cast<std::size_t>(at - field_.alias_choices.begin())];
    if (v && among_choices(*v)) access(question_) = *v;
  }
  void operator()(std::vector<double>& (*access)(Question&)) const {
    if (!node_.is_sequence()) {
      diagnostics_.error("E0360", node_.where(), fmt::format("{} must be a list of numbers", field_.path), {},
                         "for example [0.9, 0.7]");
      return;
    }
    std::vector<double> values;
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const auto v = node_.at(i).as_number(diagnostics_);
      if (!v || !in_range(*v)) return;
      values.push_back(*v);
    }
    access(question_) = std::move(values);
  }
  void operator()(std::vector<std::int64_t>& (*access)(Question&)) const {
    if (!node_.is_sequence()) {
      diagnostics_.error("E0360", node_.where(), fmt::format("{} must be a list of whole numbers", field_.path), {},
                         "for example [1, 2, 4]");
      return;
    }
    std::vector<std::int64_t> values;
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const auto v = node_.at(i).as_integer(diagnostics_);
      if (!v || !in_range(static_cast<double>(*v))) return;
      values.push_back(*v);
    }
    access(question_) = std::move(values);
  }
  void operator()(std::optional<Bytes>& (*access)(Question&)) const {
    if (node_.kind() == ConfigNode::Kind::kNull) {
      access(question_).reset();
    } else if (in_engine_words_) {  // MindIE's npuMemSize: GB, -1 = what is left; HCCL_BUFFSIZE: MB
      const auto v = node_.as_integer(diagnostics_);
      const int shift = field_.alias == "HCCL_BUFFSIZE" ? 20 : 30;
      if (v) access(question_) = *v > 0 && *v < 1 << 20 ? std::optional<Bytes>(Bytes(*v << shift)) : std::nullopt;
    } else if (const auto v = node_.as_quantity<Bytes>(diagnostics_)) {
      access(question_) = *v;
    }
  }
  void operator()(ScaleTable& (*access)(Question&)) const {
    ScaleTable table;
    const auto wrong = [&] {
      diagnostics_.error("E0367", node_.where(),
                         fmt::format("{} must be [[tokens, factor], ...] in descending order of tokens", field_.path));
    };
    if (!node_.is_sequence()) return wrong();
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const ConfigNode entry = node_.at(i);
      if (!entry.is_sequence() || entry.size() != 2) return wrong();
      const auto tokens = entry.at(0).as_integer(diagnostics_);
      const auto factor = entry.at(1).as_number(diagnostics_);
      if (!tokens || !factor) return;
      if (*tokens < 0 || *factor <= 0 || (!table.empty() && *tokens >= table.back().first)) return wrong();
      table.emplace_back(*tokens, *factor);
    }
    access(question_) = std::move(table);
  }

 private:
  [[nodiscard]] std::optional<std::int64_t> token_count() const {
    if (takes_suffix(field_) && node_.is_scalar() && !node_.text().empty() &&
        node_.text().find_first_of("kKmM") != std::string_view::npos)
      if (const auto v = parse_token_count(node_.text())) return v;
    return node_.as_integer(diagnostics_);
  }
  [[nodiscard]] bool in_range(double v) const {
    if (!limited(field_) || (v >= field_.least && v <= field_.most)) return true;
    diagnostics_.error("E0361", node_.where(),
                       fmt::format("{} must be in [{}, {}], got {}", field_.path, number_text(field_.least),
                                   number_text(field_.most), number_text(v)));
    return false;
  }
  [[nodiscard]] bool among_choices(std::string_view v) const {
    if (field_.choices.empty() || std::ranges::find(field_.choices, v) != field_.choices.end()) return true;
    const std::string_view near = nearest(v, field_.choices);
    diagnostics_.error("E0362", node_.where(), fmt::format("unknown {} '{}'", field_.path, v),
                       fmt::format("one of: {}", fmt::join(field_.choices, ", ")),
                       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    return false;
  }

  const Field& field_;
  ConfigNode node_;
  bool in_engine_words_;
  Question& question_;
  Diagnostics& diagnostics_;
};

void read_field(const Field& field, ConfigNode node, bool in_engine_words, Question& question,
                Diagnostics& diagnostics) {
  std::visit(Reading(field, node, in_engine_words, question, diagnostics), field.access);
  set_origin(question, field, {node.where(), false});
}

std::vector<std::string_view> known_names() {
  std::vector<std::string_view> names;
  for (const Field& f : kFields) {
    names.push_back(f.path);
    if (!f.alias.empty()) names.push_back(f.alias);
  }
  return names;
}

// Every value of the file, by path; maps that are no section of ours are unknown keys.
void read_map(ConfigNode map, const std::string& prefix, Question& question, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < map.size(); ++i) {
    const ConfigNode child = map.at(i);
    const std::string path = prefix.empty() ? std::string(child.key()) : prefix + "." + std::string(child.key());
    const auto field = std::ranges::find(kFields, path, &Field::path);
    const bool section = std::ranges::any_of(kFields, [&](const Field& f) { return section_of(f.path) == path; });
    if (field != std::end(kFields)) {
      read_field(*field, child, false, question, diagnostics);
    } else if (section && child.is_map()) {
      read_map(child, path, question, diagnostics);
    } else if (path != "ascendsim") {
      const auto known = known_names();
      const std::string_view near = nearest(path, known);
      diagnostics.error("E0363", child.key_where(),
                        section ? fmt::format("{} must be a map", path) : fmt::format("unknown key '{}'", path), {},
                        near.empty() || section ? "`ascendsim explain file` lists all keys"
                                                : fmt::format("did you mean '{}'?", near));
    }
  }
}

// Plain where YAML reads the same text back; file names may hold anything.
std::string yaml_text(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.' || c == '/';
  });
  if (plain && text.front() != '-' && text.front() != '.') return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

struct Text {
  Question& question;
  std::string operator()(std::int64_t& (*access)(Question&)) const { return fmt::to_string(access(question)); }
  std::string operator()(double& (*access)(Question&)) const { return number_text(access(question)); }
  std::string operator()(bool& (*access)(Question&)) const { return access(question) ? "true" : "false"; }
  std::string operator()(std::string& (*access)(Question&)) const { return yaml_text(access(question)); }
  std::string operator()(std::vector<double>& (*access)(Question&)) const {
    return fmt::format("[{}]", fmt::join(access(question), ", "));
  }
  std::string operator()(std::vector<std::int64_t>& (*access)(Question&)) const {
    return fmt::format("[{}]", fmt::join(access(question), ", "));
  }
  std::string operator()(std::optional<Bytes>& (*access)(Question&)) const {
    return access(question) ? fmt::format("{} B", access(question)->count()) : "null";
  }
  std::string operator()(ScaleTable& (*access)(Question&)) const {
    std::vector<std::string> entries;
    for (const auto& [tokens, factor] : access(question)) entries.push_back(fmt::format("[{}, {}]", tokens, factor));
    return fmt::format("[{}]", fmt::join(entries, ", "));
  }
};

struct SchemaType {
  const Field& field;
  std::string operator()(std::int64_t& (*)(Question&)) const {
    return takes_suffix(field) ? R"("type": ["integer", "string"])" : R"("type": "integer")" + range();
  }
  std::string operator()(double& (*)(Question&)) const { return R"("type": "number")" + range(); }
  std::string operator()(bool& (*)(Question&)) const { return R"("type": "boolean")"; }
  std::string operator()(std::string& (*)(Question&)) const {
    return field.choices.empty() ? R"("type": "string")"
                                 : fmt::format(R"("enum": ["{}"])", fmt::join(field.choices, R"(", ")"));
  }
  std::string operator()(std::vector<double>& (*)(Question&)) const {
    return R"("type": "array", "items": {"type": "number"})";
  }
  std::string operator()(std::vector<std::int64_t>& (*)(Question&)) const {
    return R"("type": "array", "items": {"type": "integer"})";
  }
  std::string operator()(std::optional<Bytes>& (*)(Question&)) const { return R"("type": ["string", "null"])"; }
  std::string operator()(ScaleTable& (*)(Question&)) const {
    return R"("type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})";
  }
  [[nodiscard]] std::string range() const {
    return limited(field) ? fmt::format(R"(, "minimum": {}, "maximum": {})", field.least, field.most) : "";
  }
};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

}  // namespace

std::span<const Field> question_fields() { return kFields; }

namespace {

// Of scripts; whoever names no other engine writes vLLM's words ("dcp").
const Field* field_of_option(std::string_view name, std::string_view stack) {
  if (stack.starts_with("mindie")) return nullptr;
  const OptionTable& table = stack.starts_with("sglang") ? sglang_options() : vllm_options();
  std::string option(name.substr(std::min(name.find_first_not_of('-'), name.size())));
  std::ranges::replace(option, '_', '-');
  for (const EngineOption& o : table.options) {
    if (o.field.empty()) continue;
    bool same = o.name == option;
    for (std::size_t at = 0; at < o.aliases.size() && !same;) {  // "-tp --tensor-parallel"
      const std::size_t end = std::min(o.aliases.find(' ', at), o.aliases.size());
      const std::string_view alias = o.aliases.substr(at, end - at);
      same = alias.substr(std::min(alias.find_first_not_of('-'), alias.size())) == option;
      at = end + 1;
    }
    if (same) return find_field(o.field);
  }
  return nullptr;
}

}  // namespace

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
  return found != nullptr ? found : field_of_option(name, stack);
}

bool is_question(ConfigNode root) {
  if (root.find("ascendsim")) return true;
  return (root.find("layout") || root.find("stack")) && !root.find("ModelDeployConfig") && !root.find("BackendConfig");
}

void set_origin(Question& question, const Field& field, const Origin& origin) {
  question.deployment.origins[std::string(field.path)] = origin;
  if (!field.alias.empty()) question.deployment.origins[std::string(field.alias)] = origin;
}

void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics) {
  if (!root.is_map()) {
    diagnostics.error("E0364", root.where(), "a deployment file is a map of keys", {},
                      "`ascendsim convert FILE` prints one");
    return;
  }
  if (const ConfigNode version = root.find("ascendsim")) {
    const auto v = version.as_integer(diagnostics);
    if (v && *v != 1)
      diagnostics.error("E0368", version.where(), fmt::format("version {} of the deployment file is not known", *v), {},
                        "this program reads version 1");
  }
  read_map(root, "", question, diagnostics);
}

namespace {

// "prefil.dcp": a side of a pair that is misspelt. "layout.dcp": an option of the engine in a section of ours. Else the
// nearest name.
std::string suggested_key(std::string_view name, std::string_view stack) {
  static constexpr std::string_view kSides[] = {"prefill", "decode"};
  const std::size_t dot = name.find('.');
  if (dot != std::string_view::npos) {
    const std::string_view head = name.substr(0, dot), tail = name.substr(dot + 1), side = nearest(head, kSides);
    if (!side.empty() && find_field(tail, stack) != nullptr) return fmt::format("{}.{}", side, tail);
    const std::string_view last = name.substr(name.rfind('.') + 1);
    if (find_field(last, stack) != nullptr)
      return !side.empty() && tail != last ? fmt::format("{}.{}", side, last) : std::string(last);
  }
  const auto known = known_names();
  return std::string(nearest(name, known));
}

}  // namespace

void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics) {
  const std::size_t equals = assignment.find('=');
  SourceLocation where;
  where.file = fmt::format("--set {}", assignment);
  if (equals == std::string_view::npos || equals == 0) {
    diagnostics.error("E0365", where, "--set needs key.path=value", {}, "--set layout.tp=4");
    return;
  }
  const std::string_view name = assignment.substr(0, equals);
  const Field* field = find_field(name, question.stack);
  if (field == nullptr) {
    const std::string near = suggested_key(name, question.stack);
    diagnostics.error(
        "E0363", where, fmt::format("unknown key '{}'", name), {},
        near.empty() ? "`ascendsim explain file` lists all keys" : fmt::format("did you mean '{}'?", near));
    return;
  }
  // What is wrong with the value is said about the option, not about a line of a text that nobody wrote.
  Diagnostics inside;
  const auto document = Document::parse(fmt::format("value: {}\n", assignment.substr(equals + 1)), where.file, inside);
  const ConfigNode value = document ? document->root().find("value") : ConfigNode();
  if (value) read_field(*field, value, !name.ends_with(field->path), question, inside);
  for (Diagnostic d : inside.all()) {
    d.where = where;
    diagnostics.add(std::move(d));
  }
  set_origin(question, *field, {where, false});
}

std::string field_text(const Field& field, const Question& question) {
  // The accessors are shared with reading, hence not const; nothing is written here.
  return std::visit(Text{const_cast<Question&>(question)}, field.access);
}

std::string to_yaml(const Question& question, YamlComments comments) {
  std::string out = "ascendsim: 1   # version of this format; `ascendsim explain KEY` says more of each key\n";
  std::string_view section;
  for (const Field& f : kFields) {
    const std::string_view now = section_of(f.path);
    if (now != section && !now.empty()) out += fmt::format("{}:\n", now);
    section = now;
    const std::string line = fmt::format("{}{}: {}", now.empty() ? "" : "  ", key_of(f.path), field_text(f, question));
    out += fmt::format(
        "{:<40} # {}\n", line,
        comments == YamlComments::kMeaning ? std::string(f.meaning) : origin_text(question.deployment.origin(f.path)));
  }
  return out;
}

std::string question_schema() {
  std::string out =
      R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ascendsim deployment file", "type": "object",
 "additionalProperties": false, "properties": {
  "ascendsim": {"type": "integer"})";
  std::string_view section;
  for (const Field& f : kFields) {
    const std::string_view now = section_of(f.path);
    if (now != section) {
      if (!section.empty()) out += "}}";
      if (!now.empty())
        out += fmt::format(",\n  \"{}\": {{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {{\n",
                           now);
      section = now;
      if (now.empty()) out += ",\n";
    } else {
      out += ",\n";
    }
    out += fmt::format(R"(  "{}": {{{}, "description": "{}"}})", key_of(f.path), std::visit(SchemaType{f}, f.access),
                       f.meaning);
  }
  if (!section.empty()) out += "}}";
  return out + "}}\n";
}

Question from_import(const Import& import) {
  Question q;
  q.imported = true;
  q.deployment = import.deployment;
  const Deployment& d = q.deployment;
  q.stack = d.engine.empty() ? "" : fmt::format("{}-{}", d.engine, d.engine_version);
  // A model that was read from a config.json is known by that file's path only.
  q.model = d.model.dtype ? d.model.origin : d.model.name;
  q.quantisation = lower(d.quantisation.name == "16-bit" ? "float" : d.quantisation.name);
  q.dtype = std::string(to_text(d.dtype));
  q.role = kRoles[static_cast<std::size_t>(d.role)];
  q.exchange = d.layout.ep_level == 1 ? "all-gather" : d.experts.exact_all_to_all ? "all-to-all" : "all-to-all-padded";
  q.kv_dtype = d.kv_int8 ? "int8" : "16bit";
  q.prefill_attention = kPrefillAttention[d.token_split_prefill ? 1 : 0];
  q.cp_partition = kCpPartitions[d.layout.cp_partition == PromptPartition::kZigzag ? 0 : 1];
  q.cp_exchange = kCpExchanges[d.layout.cp_exchange == LatentExchange::kAllGather ? 0 : 1];
  q.cp_cache = kCpCaches[d.layout.cp_whole_cache ? 1 : 0];
  q.declared_world = import.declared_world;
  static constexpr std::pair<std::string_view, std::string_view> kWrittenElsewhere[] = {
      {"quantisation", "modelName"},
      {"role", "inferMode"},
      {"features.prefix_cache", "plugin_params"},
      {"features.splitfuse", "plugin_params"}};
  auto& origins = q.deployment.origins;
  for (const Field& f : kFields)
    if (const auto at = origins.find(f.alias); at != origins.end()) origins[std::string(f.path)] = at->second;
  for (const auto& [path, key] : kWrittenElsewhere)
    if (const auto at = origins.find(key); at != origins.end()) origins[std::string(path)] = at->second;
  if (q.declared_world == 0)
    origins["world_size"].assumed = true;  // MindIE does not read it with multiNodesInferEnabled
  return q;
}

void derive_layout(Question& q) {
  Layout& l = q.deployment.layout;
  const auto parts = [](std::int64_t whole, std::int64_t part) { return std::max<std::int64_t>(1, whole / part); };
  if (q.named("world_size") && q.declared_world > 0) {
    if (!q.named("layout.tp")) l.tp = parts(q.declared_world, l.pp * l.cp * (q.named("layout.dp") ? l.dp : 1));
    if (!q.named("layout.dp")) l.dp = parts(q.declared_world, l.pp * l.cp * l.tp);
  } else {
    q.declared_world = 0;
  }
  // Experts are spread over the ranks of a pipeline stage.
  const std::int64_t ranks = parts(q.declared_world > 0 ? q.declared_world : l.world(), l.pp);
  // MindIE shards every expert when nothing is said; other stacks give every rank whole experts.
  if (!q.named("layout.moe_ep")) {
    const bool mindie = q.stack.starts_with("mindie");
    l.moe_ep = q.named("layout.moe_tp") ? parts(ranks, l.moe_tp) : mindie ? 1 : ranks;
  }
  if (!q.named("layout.moe_tp")) l.moe_tp = parts(ranks, l.moe_ep);
}

namespace {

// Sets what nobody named and says so.
class Completion {
 public:
  Completion(Question& question, Diagnostics& diagnostics) : question_(question), diagnostics_(diagnostics) {}

  template <class T>
  void assume(std::string_view path, T value, std::string_view why) {
    if (question_.named(path)) return;
    std::get<T& (*)(Question&)>(find_field(path)->access)(question_) = value;
    diagnostics_.note("A0110", file(), fmt::format("{} is not set: {} assumed ({})", path, value, why));
    said_.push_back(path);
  }
  // Everything else that is not named, in one note.
  void rest() {
    std::vector<std::string> defaults;
    for (const Field& f : kFields)
      if (!question_.named(f.path) && std::ranges::find(said_, f.path) == said_.end() &&
          !f.path.starts_with("hardware") && !f.path.starts_with("workload"))
        defaults.push_back(fmt::format("{} {}", f.path, field_text(f, question_)));
    if (!defaults.empty())
      diagnostics_.note("A0111", file(), fmt::format("not set, at their defaults: {}", fmt::join(defaults, ", ")));
  }

 private:
  [[nodiscard]] SourceLocation file() const {
    SourceLocation where;
    where.file = question_.deployment.file;
    return where;
  }
  Question& question_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> said_;
};

}  // namespace

void complete(Question& q, const Stack& stack, Diagnostics& diagnostics) {
  const Workload& w = q.workload;
  const Limits& m = q.deployment.limits;
  Completion c(q, diagnostics);
  constexpr std::int64_t kUsualPrefill = 8192, kUsualPrompts = 50;  // MindIE's defaults
  if (w.input_tokens > 0) {
    c.assume("limits.max_seq_len", w.input_tokens + std::max<std::int64_t>(1, w.output_tokens),
             "the workload's prompt and output");
    c.assume("limits.max_input_tokens", std::min(w.input_tokens, m.max_seq_len), "the workload's prompt");
  } else {
    c.assume("limits.max_seq_len", q.deployment.model.max_positions, "what the model takes");
    c.assume("limits.max_input_tokens", std::max<std::int64_t>(1, m.max_seq_len - 1),
             "limits.max_seq_len and one token");
  }
  c.assume("limits.max_prefill_tokens", std::max(kUsualPrefill, m.max_input_tokens), "8192, or one longest prompt");
  c.assume("limits.max_batch", ceil_div(std::max<std::int64_t>(1, w.batch), q.deployment.layout.dp),
           "the workload's requests");
  c.assume("limits.max_prefill_batch", std::min(kUsualPrompts, m.max_batch), "50, or limits.max_batch");
  c.assume("memory_fraction", stack.figures.ratio("memory_fraction").count(), "the stack's default");
  c.rest();
}

void complete_workload(const Deployment& d, const Stack& stack, Workload& w, Diagnostics& diagnostics) {
  const auto at = [&](std::string_view path) { return d.origin(path).where; };
  if (w.prefix_hit > 0 && w.prefix_hit >= w.input_tokens)
    diagnostics.error("E0376", at("workload.prefix_hit"),
                      fmt::format("a prefix hit of {} tokens leaves nothing of a prompt of {} tokens to compute",
                                  w.prefix_hit, w.input_tokens),
                      "the engine computes at least one token of a prompt",
                      fmt::format("at most {}", w.input_tokens - 1));
  if (const std::int64_t partial = w.prefix_hit % d.limits.block_tokens; partial > 0) {
    diagnostics.note("A0113", at("workload.prefix_hit"),
                     fmt::format("a prefix hit of {} tokens counts as {}: whole blocks of {} tokens", w.prefix_hit,
                                 w.prefix_hit - partial, d.limits.block_tokens));
    w.prefix_hit -= partial;
  }
  if (w.prefix_hit > 0 && !d.features.prefix_cache && d.role != Role::kDecode) {
    diagnostics.warning("W0333", at("workload.prefix_hit"),
                        "prefix hits are asked for, but the prefix cache is not switched on: none are counted",
                        d.engine == "mindie" ? "MindIE documentation, Prefix Cache: plugin_type prefix_cache" : "",
                        "--set features.prefix_cache=true, or in the file");
    w.prefix_hit = 0;
  }
  const std::int64_t drafts = d.role == Role::kPrefill ? 0 : d.features.speculative_tokens;
  const auto given = static_cast<std::int64_t>(w.acceptance.size());
  if (given > 0 && d.role == Role::kPrefill) {
    w.acceptance.clear();  // a prefill side verifies no drafts
  } else if (given > 0 && drafts == 0) {
    diagnostics.warning("W0334", at("workload.acceptance"), "an acceptance is given, but MTP is not switched on", {},
                        "--set features.speculative_tokens=1, or in the file");
    w.acceptance.clear();
  } else if (given > 0 && given != drafts) {
    diagnostics.error("E0377", at("workload.acceptance"),
                      fmt::format("an acceptance is needed for each of {} draft tokens, got {}", drafts, given), {},
                      "one number for each draft position, for example --acceptance 0.9,0.7");
  } else if (given == 0 && drafts > 0) {
    const double usual = stack.figures.ratio("mtp_acceptance").count();
    w.acceptance.assign(static_cast<std::size_t>(drafts), usual);
    diagnostics.note("A0112", {},
                     fmt::format("--acceptance is not set: {} assumed for each of {} draft tokens (the stack's figure)",
                                 usual, drafts));
  }
}

Diagnostics with_current_assumptions(const Diagnostics& notes, const Question& before, const Question& after) {
  static constexpr std::pair<std::string_view, std::string_view> kSubjects[] = {{"A0102", "role"},
                                                                                {"A0103", "memory_fraction"},
                                                                                {"A0104", "quantisation"},
                                                                                {"A0105", "model"},
                                                                                {"A0106", "dtype"}};
  Diagnostics out;
  for (const Diagnostic& d : notes.all()) {
    const auto subject = std::ranges::find(kSubjects, d.code, &std::pair<std::string_view, std::string_view>::first);
    const bool is_assumption = d.code == "A0100";
    const auto field = std::ranges::find_if(kFields, [&](const Field& f) {
      if (is_assumption) return !f.alias.empty() && d.message.starts_with(fmt::format("{} is not set:", f.alias));
      return subject != std::end(kSubjects) && f.path == subject->second;
    });
    const bool changed = field != std::end(kFields) && field_text(*field, before) != field_text(*field, after);
    const bool overridden = field != std::end(kFields) && after.named(field->path) && !before.named(field->path);
    if (is_assumption && changed && !overridden)
      out.note("A0100", d.where,
               fmt::format("{} is not set: {} assumed (follows from the other degrees)", field->alias,
                           field_text(*field, after)));
    else if (!overridden && !(changed && subject != std::end(kSubjects)))
      out.add(d);
  }
  return out;
}

void resolve(Question& q, const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics) {
  Deployment& d = q.deployment;
  const auto at = [&](std::string_view path) { return d.origin(path).where; };
  std::error_code ignored;
  if (q.model.empty() && !q.imported)  // an import that failed has said which name it does not know
    diagnostics.error("E0366", at("model"), "no model is named", {}, "model: DeepSeek-R1");
  else if (q.model.empty())
    d.model = {};
  else if (d.model.name != q.model && d.model.origin != q.model)
    d.model = std::filesystem::is_regular_file(q.model, ignored) ? read_model(q.model, diagnostics)
                                                                 : models.load(q.model, at("model"), diagnostics);
  if (d.model.dtype && !q.named("dtype")) q.dtype = std::string(to_text(*d.model.dtype));
  d.dtype = q.dtype == "bfloat16" ? Dtype::kBf16 : Dtype::kFp16;
  const auto known = schemes.names();
  const bool refused = q.imported && q.quantisation.empty();  // the import has said that it does not know the scheme
  if (!refused && std::ranges::find(known, lower(q.quantisation)) == known.end())
    diagnostics.error("E0244", at("quantisation"), fmt::format("unknown quantisation '{}'", q.quantisation), {},
                      fmt::format("one of: {}", fmt::join(known, ", ")));
  else if (!refused)
    d.quantisation = schemes.load(lower(q.quantisation), d.dtype, diagnostics);
  // vLLM multiplies the router in the model's 16-bit type and keeps an FP32 correction bias, 4 B an expert; MindIE
  // casts up.
  if (d.engine == "vllm-ascend" && !refused)
    d.quantisation.modules[static_cast<std::size_t>(Module::kGate)] = {.weight = d.dtype,
                                                                       .scale_per_channel = Bytes(2)};
  d.role = static_cast<Role>(std::ranges::find(kRoles, q.role) - std::begin(kRoles));
  d.layout.ep_level = q.exchange == "all-gather" ? 1 : 2;
  d.experts.exact_all_to_all = q.exchange == "all-to-all";
  d.kv_int8 = q.kv_dtype == "int8";
  d.token_split_prefill = q.prefill_attention == "token-split";
  d.graph.mode = static_cast<GraphMode>(std::ranges::find(kGraphModes, q.graph_mode) - std::begin(kGraphModes));
  d.experts.communication = static_cast<ExpertCommunication>(
      std::ranges::find(kCommunications, q.expert_communication) - std::begin(kCommunications));
  // SGLang's prefill writes what it has gathered to the cache of every rank.
  if (d.engine == "sglang" && !q.named("layout.cp_cache")) q.cp_cache = kCpCaches[1];
  d.layout.cp_partition = q.cp_partition == kCpPartitions[0] ? PromptPartition::kZigzag : PromptPartition::kRoundRobin;
  d.layout.cp_exchange = q.cp_exchange == kCpExchanges[0] ? LatentExchange::kAllGather : LatentExchange::kRing;
  d.layout.cp_whole_cache = q.cp_cache == kCpCaches[1];
  d.kv_transfer.layer_wise = q.kv_transfer_mode == "layer-wise";
  d.layer_sharding = {.o_proj = q.layer_sharding == kLayerShardings[1] || q.layer_sharding == kLayerShardings[3],
                      .q_b = q.layer_sharding == kLayerShardings[2] || q.layer_sharding == kLayerShardings[3]};
  static constexpr std::optional<Expansion> kOf[] = {std::nullopt, Expansion::kAiv, Expansion::kAiCpu,
                                                     Expansion::kHost};
  d.expansion = kOf[std::ranges::find(kExpansions, q.expansion) - std::begin(kExpansions)];
}

}  // namespace ascendsim
