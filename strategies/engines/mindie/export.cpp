// MindIE Server's config.json, its environment, and AISBench's data. Keys: strategies/engines/mindie/keys.cpp; the
// file written anew has the keys of the Server's own conf/config.json.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "strategies/engines/launch/json_text.h"
#include "strategies/engines/launch/script.h"
#include "strategies/engines/mindie/parts.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kPort = 1025;

// The Server's own file with TLS switched off; what depends on the deployment is set afterwards.
constexpr const char* kTemplate = R"({
    "Version": "1.0.0",
    "ServerConfig": {
        "ipAddress": "127.0.0.1",
        "managementIpAddress": "127.0.0.2",
        "port": 1025,
        "managementPort": 1026,
        "metricsPort": 1027,
        "allowAllZeroIpListening": false,
        "maxLinkNum": 1000,
        "httpsEnabled": false,
        "fullTextEnabled": false,
        "inferMode": "standard",
        "interCommTLSEnabled": false,
        "interCommPort": 1121,
        "openAiSupport": "vllm",
        "tokenTimeout": 600,
        "e2eTimeout": 600,
        "distDPServerEnabled": false
    },
    "BackendConfig": {
        "backendName": "mindieservice_llm_engine",
        "modelInstanceNumber": 1,
        "npuDeviceIds": [[0]],
        "tokenizerProcessNumber": 8,
        "multiNodesInferEnabled": false,
        "multiNodesInferPort": 1120,
        "interNodeTLSEnabled": false,
        "ModelDeployConfig": {
            "maxSeqLen": 0,
            "maxInputTokenLen": 0,
            "truncation": false,
            "ModelConfig": [
                {
                    "modelInstanceType": "Standard",
                    "modelName": "",
                    "modelWeightPath": "",
                    "worldSize": 0,
                    "cpuMemSize": 0,
                    "npuMemSize": -1,
                    "backendType": "atb",
                    "trustRemoteCode": false
                }
            ]
        },
        "ScheduleConfig": {
            "templateType": "Standard",
            "templateName": "Standard_LLM",
            "cacheBlockSize": 128,
            "maxPrefillBatchSize": 1,
            "maxPrefillTokens": 0,
            "prefillTimeMsPerReq": 150,
            "prefillPolicyType": 0,
            "decodeTimeMsPerReq": 50,
            "decodePolicyType": 0,
            "maxBatchSize": 1,
            "maxIterTimes": 0,
            "maxPreemptCount": 0,
            "supportSelectBatch": false,
            "maxQueueDelayMicroseconds": 5000
        }
    }
}
)";

class MindieFile {
 public:
  MindieFile(const ExportSide& side, const BaseFile* base)
      : side_(side), fresh_(base == nullptr), text_(base == nullptr ? std::string(kTemplate) : base->text) {}

  // False when a base has no place for some key.
  bool write() {
    const Question& q = side_.question;
    const Deployment& d = q.deployment;
    const Layout& l = d.layout;
    const Limits& m = d.limits;
    if (fresh_) {
      model("modelName", json_quoted(weight_name(q)));
      model("modelWeightPath", json_quoted(weight_folder(q)));
      std::vector<std::int64_t> ids(static_cast<std::size_t>(std::max<std::int64_t>(1, l.world() / side_.servers)));
      std::iota(ids.begin(), ids.end(), 0);
      backend("npuDeviceIds", fmt::format("[[{}]]", fmt::join(ids, ", ")));
      schedule("maxIterTimes", m.max_seq_len);
    }
    optional({"ServerConfig", "inferMode"}, json_quoted(d.role == Role::kHybrid ? "standard" : "dmi"),
             d.role == Role::kHybrid);
    optional(in_backend({"multiNodesInferEnabled"}), side_.servers > 1 ? "true" : "false", side_.servers == 1);
    deploy("maxSeqLen", m.max_seq_len);
    deploy("maxInputTokenLen", m.max_input_tokens);
    model("worldSize", fmt::to_string(l.world()));
    for (const auto& [key, degree] :
         {std::pair{"dp", l.dp}, {"cp", l.cp}, {"sp", l.sp}, {"tp", l.tp}, {"moe_ep", l.moe_ep}, {"moe_tp", l.moe_tp}})
      model(key, fmt::to_string(degree));
    if (l.pp > 1 || has_model("pp")) model("pp", fmt::to_string(l.pp));
    optional(in_model({"npuMemSize"}),
             d.kv_memory ? fmt::to_string(std::max<std::int64_t>(1, d.kv_memory->count() >> 30)) : "-1", !d.kv_memory);
    plugins();
    deepseek();
    schedule("cacheBlockSize", m.block_tokens);
    schedule("maxPrefillTokens", std::max(m.max_prefill_tokens, m.max_input_tokens));
    schedule("maxPrefillBatchSize", std::min(m.max_prefill_batch, m.max_batch));
    schedule("maxBatchSize", m.max_batch);
    return placed_;
  }
  [[nodiscard]] const std::string& text() const { return text_.text(); }

 private:
  using Path = JsonText::Path;
  // A base may be the whole file or its ModelDeployConfig part.
  [[nodiscard]] Path in_backend(Path rest) const {
    if (text_.has({"BackendConfig"})) rest.insert(rest.begin(), "BackendConfig");
    return rest;
  }
  [[nodiscard]] Path in_model(Path rest) const {
    Path path = in_backend({"ModelDeployConfig", "ModelConfig"});
    if (text_.value(path).starts_with("[")) path.emplace_back("[0]");
    path.insert(path.end(), rest.begin(), rest.end());
    return path;
  }
  // What stands there already in other words (`8` beside `8`) keeps its form.
  void set(const Path& path, const std::string& literal) {
    if (text_.value(path) != literal) placed_ = text_.set(path, literal) && placed_;
  }
  void optional(const Path& path, const std::string& literal, bool is_default) {
    if (!is_default || text_.has(path)) set(path, literal);
  }
  void backend(const char* key, const std::string& literal) { set(in_backend({key}), literal); }
  void deploy(const char* key, std::int64_t value) {
    set(in_backend({"ModelDeployConfig", key}), fmt::to_string(value));
  }
  void schedule(const char* key, std::int64_t value) {
    set(in_backend({"ScheduleConfig", key}), fmt::to_string(value));
  }
  [[nodiscard]] bool has_model(const char* key) const { return text_.has(in_model({key})); }
  void model(const char* key, const std::string& literal) { set(in_model({key}), literal); }

  void plugins() {
    const Features& f = side_.question.deployment.features;
    std::vector<std::string> types;
    if (f.speculative_tokens > 0) types.emplace_back("mtp");
    if (f.prefix_cache) types.emplace_back("prefix_cache");
    if (chunks()) types.emplace_back("splitfuse");
    std::string inner;
    if (!types.empty())
      inner = fmt::format(
          R"({{"plugin_type":"{}"{}}})", fmt::join(types, ","),
          f.speculative_tokens > 0 ? fmt::format(R"(,"num_speculative_tokens":{})", f.speculative_tokens) : "");
    optional(in_model({"plugin_params"}), json_quoted(inner), types.empty());
    optional(in_backend({"ScheduleConfig", "templateType"}), json_quoted(chunks() ? "Mix" : "Standard"), !chunks());
  }
  // SplitFuse goes with neither MTP nor a cut sequence; where chunks are only an engine's default they are left out.
  [[nodiscard]] bool chunks() const {
    const Deployment& d = side_.question.deployment;
    const bool refused = d.features.speculative_tokens > 0 || d.layout.cp > 1 || d.layout.sp > 1;
    return d.features.splitfuse &&
           (d.engine->is(kMindieEngine) || (!refused && side_.question.named("features.splitfuse")));
  }

  void deepseek() {
    const Deployment& d = side_.question.deployment;
    const Layout& l = d.layout;
    const auto at = [&](Path rest) {
      Path path = in_model({"models", "deepseekv2"});
      path.insert(path.end(), rest.begin(), rest.end());
      return path;
    };
    optional(at({"ep_level"}), fmt::to_string(l.ep_level), l.moe_ep == 1 && l.ep_level == 1);
    optional(at({"enable_init_routing_cutoff"}), d.init_routing_cutoff ? "true" : "false", !d.init_routing_cutoff);
    optional(at({"topk_scaling_factor"}), fmt::format("{}", d.topk_scaling_factor), d.topk_scaling_factor == 1);
    std::vector<std::string> scale;
    for (const auto& [tokens, factor] : d.all_to_all_scale) scale.push_back(fmt::format("[{}, {}]", tokens, factor));
    optional(at({"alltoall_ep_buffer_scale_factors"}), fmt::format("[{}]", fmt::join(scale, ", ")), scale.empty());
    for (const auto& [key, degree] :
         {std::pair{"lm_head_local_tp", l.lm_head_local_tp}, {"o_proj_local_tp", l.o_proj_local_tp}}) {
      const Path outside = at({key});
      optional(text_.has(outside) ? outside : at({"parallel_options", key}), fmt::to_string(degree), degree == -1);
    }
    const bool nz =
        d.features.kv_nz || (d.features.prefix_cache && !d.engine->is(kMindieEngine));  // the prefix cache needs it
    const char* const options = text_.has(at({"kv_cache_option"})) ? "kv_cache_option" : "kv_cache_options";
    optional(at({options, "enable_nz"}), nz ? "true" : "false", !nz);
  }

  const ExportSide& side_;
  const bool fresh_;
  JsonText text_;
  bool placed_ = true;
};

std::vector<EnvironmentValue> environment(const Deployment& d) {
  std::vector<EnvironmentValue> out{{"NPU_MEMORY_FRACTION", fmt::format("{}", d.memory_fraction)}};
  if (d.traits().fraction_of == FractionOf::kWeightsAndCache) out.clear();
  if (d.features.async_scheduling) out.push_back({"MINDIE_ASYNC_SCHEDULING_ENABLE", "1"});
  for (EnvironmentValue& v : collective_environment(d)) out.push_back(std::move(v));
  return out;
}

std::string environment_text(const std::vector<EnvironmentValue>& values) {
  std::string out = "# To be sourced before mindieservice_daemon starts.\n";
  for (const auto& [name, value] : values) out += fmt::format("export {}={}\n", name, value);
  return out;
}

constexpr Limitation kLimitations[] = {
    {"layout.cp_partition", "MindIE cuts prompts in zigzag"},
    {"layout.cp_exchange", "a what-if: no engine has a ring of latents"},
    {"layout.cp_cache", "MindIE: cp cuts the cache as sp does"},
    {"dtype", "MindIE takes torch_dtype from the config.json of the weight folder"},
    {"memory_fraction",
     "SGLang's fraction is of weights and KV pool alone, NPU_MEMORY_FRACTION of everything; left at MindIE's default"},
    {"experts.exchange", "MindIE: ep_level 1 gathers rows, ep_level 2 sends them in padded buffers"},
    {"features.splitfuse", "MindIE: SplitFuse goes with neither MTP nor sp or cp"},
    {"features.flashcomm1", "of vLLM-Ascend"},
    {"weights.layer_sharding", "of vLLM-Ascend"},
    {"layout.embedding_tp", "of vLLM-Ascend: an embedding shared by DP groups"},
    {"layout.mlp_tp", "of vLLM-Ascend: a dense MLP shared by DP groups"},
    {"graph.mode", "MindIE's graphs are not a matter of its configuration"},
    {"graph.capture_sizes", "MindIE's graphs are not a matter of its configuration"},
    {"limits.max_batched_tokens", "MindIE: maxPrefillTokens limits prefill steps, maxBatchSize decode steps"},
    {"kv_cache.dtype", "none of MindIE's keys says so"},
    {"kv_transfer.connector", "MindIE has a transfer of its own"},
};

}  // namespace

Export write_mindie(const ExportRequest& request, Diagnostics& diagnostics) {
  Export out;
  for (std::size_t i = 0; i < request.sides.size(); ++i) {
    const ExportSide& side = request.sides[i];
    const Role role = side.question.deployment.role;
    const std::string folder = request.sides.size() == 1 ? "" : role == Role::kPrefill ? "prefill/" : "decode/";
    MindieFile file(side, request.base);
    if (!file.write()) {
      SourceLocation where;
      where.file = request.base->name;
      diagnostics.error("E0452", where, "the base has no place for the model's keys",
                        "MindIE: BackendConfig.ModelDeployConfig.ModelConfig[0]",
                        "give a Server's conf/config.json, or leave --base out");
    }
    out.files.push_back({folder + "config.json", file.text(), i});
    out.environment.push_back(environment(side.question.deployment));
    out.files.push_back({folder + "env.sh", environment_text(out.environment.back()), i, false});
  }
  const Question& q = request.sides.back().question;
  const Workload w = benchmark_load(q);
  out.files.push_back(
      {"synthetic_config.py",
       fmt::format(
           "# AISBench: ais_bench/datasets/synthetic/synthetic_config.py\nsynthetic_config = {{\n    \"Type\": "
           "\"string\",\n    \"RequestCount\": {},\n    \"StringConfig\": {{\n"
           "        \"Input\": {{\"Method\": \"uniform\", \"Params\": {{\"MinValue\": {}, \"MaxValue\": {}}}}},\n"
           "        \"Output\": {{\"Method\": \"uniform\", \"Params\": {{\"MinValue\": {}, \"MaxValue\": {}}}}},\n    "
           "}},\n}}\n",
           4 * w.batch, w.input_tokens, w.input_tokens, w.output_tokens, w.output_tokens),
       0, false});
  out.files.push_back(
      {"benchmark.sh",
       fmt::format("#!/bin/sh\n# batch_size = {} (requests side by side), max_out_len = {}, host_port = {} belong into "
                   "AISBench's model file vllm_api_stream_chat.py;\n"
                   "# synthetic_config.py beside this file says the lengths.\nais_bench --models vllm_api_stream_chat "
                   "--datasets synthetic_gen --mode perf --summarizer default_perf\n",
                   w.batch, w.output_tokens, kPort),
       0, false});
  return out;
}

std::span<const Limitation> mindie_limitations() { return kLimitations; }

}  // namespace ascendsim
