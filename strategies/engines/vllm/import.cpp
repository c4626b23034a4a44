#include "strategies/engines/vllm/import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/engines/launch/reader.h"

namespace ascendsim {

namespace {

constexpr const char* kConnector = "vLLM, KVTransferConfig";
constexpr std::string_view kConnectors[] = {
    "MooncakeConnectorV1",       "MooncakeConnector",        "MooncakeLayerwiseConnector",
    "MooncakeHybridConnector",   "MooncakeConnectorStoreV1", "AscendStoreConnector",
    "LLMDataDistCMgrConnector",  "LMCacheAscendConnector",   "UCMConnector",
    "CPUOffloadingConnector",    "MultiConnector",           "NixlConnector",
    "P2pNcclConnector",          "LMCacheConnectorV1",       "LMCacheMPConnector",
    "SharedStorageConnector",    "ExampleConnector",         "OffloadingConnector",
    "SimpleCPUOffloadConnector", "DecodeBenchConnector",     "MoRIIOConnector"};

class VllmReader : LaunchReader {
 public:
  VllmReader(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics)
      : LaunchReader(command, context, diagnostics) {}

  LaunchedNode read() {
    question_.deployment.kv_b_copies =
        2;  // W_UK and W_UV for decode beside kv_b_proj for prefill, vllm_ascend/attention/mla_v1.py
    assumed_defaults();
    options_.apply(question_);
    read_model();
    read_experts();
    read_speculation();
    read_graph();
    read_cache();
    read_transfer();
    read_additional();
    read_nodes();
    return finish();
  }

 private:
  // vllm_ascend/utils.py, refresh_block_size (0.11 on): the size whenever prompts are cut or cached.
  static constexpr std::int64_t kBlock = 128;

  [[nodiscard]] bool has(std::string_view feature) const {
    return context_.versions.has(feature, context_.engine_version);
  }
  [[nodiscard]] bool on(std::string_view variable) {
    const auto text = options_.environment(variable);
    if (!text || *text == "0" || text->empty()) return false;
    if (*text == "1") return true;
    diagnostics_.error("E0422", options_.environment_where(variable),
                       fmt::format("{} must be 0 or 1, got '{}'", variable, *text),
                       "vllm_ascend/envs.py: bool(int(...))");
    return false;
  }

  void assumed_defaults() {
    Limits& m = question_.deployment.limits;
    integer_default("block-size", m.block_tokens);
    integer_default("max-num-seqs", m.max_batch);
    integer_default("max-num-batched-tokens", m.max_batched_tokens);
    question_.deployment.features.splitfuse = true;  // chunked prefill and the prefix cache are on by default in V1
    question_.deployment.features.prefix_cache = true;
    if (!options_.has("enable-chunked-prefill"))
      options_.assume("enable-chunked-prefill", "true", "on by default in vLLM V1");
    if (!options_.has("enable-prefix-caching"))
      options_.assume("enable-prefix-caching", "true", "on by default in vLLM V1");
    const std::string share(options_.usual("gpu-memory-utilization"));
    question_.deployment.memory_fraction = std::stod(share);
    if (!options_.has("gpu-memory-utilization"))
      options_.assume("gpu-memory-utilization", share, fmt::format("default of vLLM {}", context_.engine_version));
  }

  void read_model() {
    std::optional<ShellWord> word = options_.positional();
    if (const auto model = options_.word("model")) word = model;
    const WeightName name = read_model_name(word, "vllm serve MODEL");
    read_quantisation(name, word ? word->where : command_.where);
    read_dtype("dtype");
  }
  void read_quantisation(const WeightName& name, const SourceLocation& where) {
    if (asked_quantisation()) return;
    const auto written = options_.text("quantization");
    if (!written && !name.scheme.empty() && has("quantisation_from_files")) {
      quantisation_from_name(name, where, "quantization");
    } else if (!written) {
      question_.quantisation = "float";
      if (!name.scheme.empty())
        diagnostics_.warning(
            "W0430", where,
            fmt::format("the weights are named {}, but --quantization is not set: they are read as 16-bit weights",
                        name.scheme),
            "vLLM-Ascend, quantization: --quantization ascend", "--quantization ascend");
    } else if (*written != "ascend") {
      diagnostics_.error("E0422", options_.where("quantization"),
                         fmt::format("--quantization {} is not one of Ascend's", *written),
                         "vLLM-Ascend: --quantization ascend, the weights say how", "--quantization ascend");
    } else {
      quantisation_from_name(name, where, "quantization");
    }
  }

  void read_experts() {
    // Pure EP over every rank, or pure TP: moe_ep or moe_tp follows from the ranks.
    const bool ep = options_.flag("enable-expert-parallel").value_or(false);
    const SourceLocation where = options_.where("enable-expert-parallel");
    set(ep ? field::kMoeTp : field::kMoeEp, 1, where);
  }

  void read_speculation() {
    auto drafts = options_.json_integer("speculative-config", "num_speculative_tokens");
    auto method = options_.json("speculative-config", "method");
    SourceLocation where = options_.where("speculative-config");
    if (const auto tokens = options_.integer("spec-tokens")) {
      drafts = tokens;
      method = options_.text("spec-method");
      where = options_.where("spec-tokens");
    }
    static constexpr std::string_view kMtp[] = {"mtp", "deepseek_mtp"};
    if (method && std::ranges::find(kMtp, *method) == std::end(kMtp))
      diagnostics_.warning(
          "W0331", where,
          fmt::format("speculative method {} is not modelled: drafts cost what those of MTP cost", *method));
    if (!drafts) return;
    if (*drafts < 1 || *drafts > 16)
      diagnostics_.error("E0422", where, fmt::format("num_speculative_tokens must be in [1, 16], got {}", *drafts),
                         "vllm/config/speculative.py");
    else
      set(field::kSpeculativeTokens, *drafts, where);
  }

  void read_graph() {
    const SourceLocation where = options_.where("compilation-config");
    if (const auto mode = options_.json("compilation-config", "cudagraph_mode")) {
      static constexpr std::pair<std::string_view, GraphMode> kModes[] = {
          {"NONE", GraphMode::kEager},
          {"PIECEWISE", GraphMode::kPiecewise},
          {"FULL_DECODE_ONLY", GraphMode::kFullDecode},
          {"FULL", GraphMode::kFullDecode},
          {"FULL_AND_PIECEWISE", GraphMode::kFullDecode}};
      const auto known = std::ranges::find(kModes, *mode, &std::pair<std::string_view, GraphMode>::first);
      if (known == std::end(kModes))
        diagnostics_.error("E0422", where, fmt::format("unknown cudagraph_mode '{}'", *mode),
                           "vllm/config/compilation.py CUDAGraphMode", "NONE, PIECEWISE, FULL_DECODE_ONLY");
      else
        set(field::kGraphMode, known->second, where);
    }
    std::vector<std::int64_t> sizes = options_.json_integers("compilation-config", "cudagraph_capture_sizes");
    for (const char* option : {"cudagraph-capture-sizes", "cuda-graph-sizes"})
      if (auto listed = options_.integers(option); !listed.empty()) sizes = std::move(listed);
    if (!sizes.empty()) {
      std::ranges::sort(sizes);
      sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
      if (sizes.front() < 1)
        diagnostics_.error("E0422", where, "cudagraph_capture_sizes must be positive", "vllm/config/compilation.py");
      else
        set(field::kCaptureSizes, std::move(sizes), where);
    }
    if (options_.flag("enforce-eager").value_or(false))
      set(field::kGraphMode, GraphMode::kEager, options_.where("enforce-eager"));
  }

  void read_cache() {
    const SourceLocation where = options_.where("kv-cache-dtype");
    if (const auto dtype = options_.text("kv-cache-dtype");
        dtype && *dtype != "auto" && *dtype != "bfloat16" && *dtype != "float16") {
      diagnostics_.error("E0422", where, fmt::format("--kv-cache-dtype {} is not simulated", *dtype),
                         "vLLM on Ascend: auto, bfloat16, float16; an 8-bit cache comes with the weights",
                         "--kv-cache-dtype auto");
    }
    if (const auto bytes = options_.integer("kv-cache-memory-bytes"))
      set(field::kKvMemory, Bytes(*bytes), options_.where("kv-cache-memory-bytes"));
    if (const auto older = options_.integer("dcp-kv-cache-interleave-size"))
      set(field::kKvInterleave, *older, options_.where("dcp-kv-cache-interleave-size"));
    Limits& m = question_.deployment.limits;
    const Layout& l = question_.deployment.layout;
    const Features& f = question_.deployment.features;
    if ((f.splitfuse || f.prefix_cache) && m.block_tokens != kBlock) {
      diagnostics_.warning("W0426", options_.where("block-size"),
                           fmt::format("--block-size {} is replaced by {}, because {} is on", m.block_tokens, kBlock,
                                       f.splitfuse ? "chunked prefill" : "prefix caching"),
                           "vllm_ascend/utils.py, refresh_block_size", fmt::format("--block-size {}", kBlock));
      set(field::kBlockTokens, kBlock, options_.where("block-size"));
    }
    if (m.kv_interleave == 0) m.kv_interleave = 1;
    if (l.kv_shards() > 1 && !question_.named("kv_cache.interleave"))
      options_.assume("cp-kv-cache-interleave-size", "1", "default of vLLM");
    read_collectives();
  }

  void read_transfer() {
    const SourceLocation where = options_.where("kv-transfer-config");
    const auto json = [&](const char* key) { return options_.json("kv-transfer-config", key); };
    const auto number = [&](const std::string& key) { return options_.json_integer("kv-transfer-config", key); };
    if (const auto connector = json("kv_connector")) {
      if (std::ranges::find(kConnectors, *connector) == std::end(kConnectors) && !json("kv_connector_module_path")) {
        const std::string_view near = nearest(*connector, kConnectors);
        diagnostics_.error("E0426", where, fmt::format("unknown kv_connector '{}'", *connector),
                           "vllm/distributed/kv_transfer/kv_connector/factory.py, vllm_ascend/distributed: an "
                           "unregistered connector needs kv_connector_module_path",
                           near.empty() ? fmt::format("one of: {}", fmt::join(kConnectors, ", "))
                                        : fmt::format("did you mean '{}'?", near));
      }
      set(field::kConnector, *connector, where);
      // Layerwise connectors push while prefill runs; the others are pulled from.
      if (connector->find("Layerwise") != std::string::npos || connector->find("LayerWise") != std::string::npos)
        set(field::kTransferMode, KvTransferMode::kLayerWise, where);
    }
    const auto role = json("kv_role");
    static constexpr std::pair<std::string_view, Role> kRoles[] = {
        {"kv_producer", Role::kPrefill}, {"kv_consumer", Role::kDecode}, {"kv_both", Role::kHybrid}};
    if (role) {
      for (const auto& [word, side] : kRoles)  // the table has refused any other word
        if (*role == word) set(field::kRole, side, where);
    } else if (options_.has("kv-transfer-config") && options_.flag("kv-transfer-config")) {
      diagnostics_.error("E0422", where, "--kv-transfer-config needs a kv_role", kConnector,
                         R"("kv_role": "kv_producer" or "kv_consumer")");
    }
    node_.kv_port = number("kv_port");
    node_.engine_id = json("engine_id").value_or("");
    for (int side = 0; side < 2; ++side) {
      const std::string prefix = fmt::format("kv_connector_extra_config.{}.", side == 0 ? "prefill" : "decode");
      node_.peer_tp[side] = number(prefix + "tp_size");
      node_.peer_dp[side] = number(prefix + "dp_size");
    }
    const bool pair = question_.deployment.role != Role::kHybrid;
    const bool shards = question_.deployment.layout.kv_shards() > 1;
    const bool enabled = on("VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL") ||
                         options_.json("additional-config", "enable_context_parallel").value_or("false") != "false";
    if (pair && shards && !enabled && has("context_parallel_environment"))
      diagnostics_.error(
          "E0424",
          options_.where(question_.deployment.layout.cp > 1 ? "prefill-context-parallel-size"
                                                            : "decode-context-parallel-size"),
          "context parallelism in one side of a pair needs VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL=1",
          "vLLM-Ascend, Long-Sequence Context Parallel: this variable is required in the PD architecture",
          "export VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL=1");
  }

  void read_additional() {
    const auto json = [&](const char* key) { return options_.json("additional-config", key); };
    const auto yes = [&](const char* key) {
      return json(key).value_or("false") == "true" || json(key).value_or("0") == "1";
    };
    const SourceLocation where = options_.where("additional-config");
    for (const char* variable : {"VLLM_ASCEND_ENABLE_FLASHCOMM1", "VLLM_ASCEND_ENABLE_FLASHCOMM"}) {
      if (!on(variable)) continue;
      set(field::kFlashcomm1, true, options_.environment_where(variable));
    }
    if (yes("enable_flashcomm1")) {
      set(field::kFlashcomm1, true, where);
    }
    if (yes("enable_shared_expert_dp")) {
      const Layout& l = question_.deployment.layout;
      const bool counts = options_.flag("enable-expert-parallel").value_or(false) && l.tp > 1;
      diagnostics_.note(
          "A0144", where,
          counts ? "enable_shared_expert_dp turns FlashComm1 on, with which every rank has the whole shared expert"
                 : "enable_shared_expert_dp has no effect without --enable-expert-parallel and a "
                   "--tensor-parallel-size above 1");
      if (counts) set(field::kFlashcomm1, true, where);
    }
    if (yes("enable_kv_nz")) set(field::kKvNz, true, where);
    constexpr const char* kFused = "VLLM_ASCEND_ENABLE_FUSED_MC2";
    if (const auto level = options_.environment(kFused))
      read_fused_mc2(*level, kFused, options_.environment_where(kFused));
    if (const auto level = json("enable_fused_mc2")) {
      read_fused_mc2(*level, "enable_fused_mc2", where);
    }
    const auto degree = [&](const FieldKey<std::int64_t>& path, std::initializer_list<const char*> keys) {
      for (const char* key : keys)
        if (const auto v = options_.json_integer("additional-config", key); v && *v > 0) set(path, *v, where);
    };
    degree(field::kOProjTp, {"oproj_tensor_parallel_size", "finegrained_tp_config.oproj_tensor_parallel_size"});
    degree(field::kLmHeadTp, {"lmhead_tensor_parallel_size", "finegrained_tp_config.lmhead_tensor_parallel_size"});
    read_layer_sharding(where);
    degree(field::kEmbeddingTp, {"finegrained_tp_config.embedding_tensor_parallel_size"});
    degree(field::kMlpTp, {"finegrained_tp_config.mlp_tensor_parallel_size"});
    degree(field::kRedundant, {"eplb_config.num_redundant_experts"});
    if (const auto v = options_.json_integer("eplb-config", "num_redundant_experts"); v && *v > 0)
      set(field::kRedundant, *v, options_.where("eplb-config"));
  }
  void read_layer_sharding(const SourceLocation& where) {
    std::vector<std::string> names;
    while (auto name = options_.json("additional-config", fmt::format("layer_sharding[{}]", names.size())))
      names.push_back(std::move(*name));
    if (names.empty()) return;
    for (const std::string& name : names)
      if (name != "o_proj" && name != "q_b_proj")
        diagnostics_.error("E0426", where, fmt::format("unknown layer_sharding '{}'", name),
                           "vllm_ascend/attention/sfa_v1.py: linear layers of attention, by their names",
                           "o_proj, q_b_proj");
    const auto has = [&](const char* name) { return std::ranges::find(names, name) != names.end(); };
    set(field::kLayerSharding,
        has("o_proj") && has("q_b_proj") ? ShardedLayers::kBoth
        : has("o_proj")                  ? ShardedLayers::kOProj
                                         : ShardedLayers::kQB,
        where);
  }
  // 1: dispatch_ffn_combine, 2: dispatch_gmm_combine_decode.
  void read_fused_mc2(std::string_view level, const char* name, const SourceLocation& where) {
    if (level == "1" || level == "true")
      set(field::kCommunication, ExpertCommunication::kFusedMc2, where);
    else if (level == "2")
      set(field::kCommunication, ExpertCommunication::kFusedMc2Decode, where);
    else if (level != "0" && level != "false" && !level.empty())
      diagnostics_.error("E0422", where, fmt::format("{} must be 0, 1 or 2, got '{}'", name, level),
                         "vllm_ascend/envs.py: int(...)");
  }

  void read_nodes() {
    const Layout& l = question_.deployment.layout;
    if (const auto nodes = options_.integer("nnodes")) node_.nodes = *nodes;
    node_.node_rank = options_.integer("node-rank");
    const auto local = options_.integer("data-parallel-size-local");
    if (node_.nodes == 1 && local && *local > 0 && *local < l.dp) {
      if (l.dp % *local != 0)
        diagnostics_.error(
            "E0422", options_.where("data-parallel-size-local"),
            fmt::format("--data-parallel-size-local {} does not divide --data-parallel-size {}", *local, l.dp),
            "vllm/config/parallel.py");
      node_.nodes = ceil_div(l.dp, *local);
      if (const auto start = options_.integer("data-parallel-start-rank")) node_.node_rank = *start / *local;
    }
    if (node_.nodes > 1) {
      node_.address = options_.text("master-addr").value_or(options_.text("data-parallel-address").value_or(""));
      set(field::kServers, node_.nodes, options_.where(options_.has("nnodes") ? "nnodes" : "data-parallel-size-local"));
    }
    if (node_.node_rank && (*node_.node_rank < 0 || *node_.node_rank >= node_.nodes))
      diagnostics_.error("E0422", options_.where("node-rank"),
                         fmt::format("node rank {} is not below the {} nodes", *node_.node_rank, node_.nodes),
                         "vllm/config/parallel.py");
    node_.port = options_.integer("port");
    read_host({"HCCL_IF_IP", "VLLM_HOST_IP"});
  }
};

}  // namespace

LaunchedNode import_vllm(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics) {
  return VllmReader(command, context, diagnostics).read();
}

}  // namespace ascendsim
