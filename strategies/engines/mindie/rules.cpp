// MindIE: what its documentation and its mapping.py demand.
#include "strategies/engines/rules.h"

#include <fmt/format.h>

#include "strategies/engines/mindie/parts.h"

namespace ascendsim {

namespace {

constexpr const char* kContextPage = "MindIE documentation, Context Parallelism";
constexpr const char* kSequencePage = "MindIE documentation, Sequence Parallelism";
constexpr const char* kTensorPage = "MindIE documentation, Tensor Parallelism";
constexpr const char* kMapping = "Ascend/MindIE-LLM, atb_llm/utils/mapping.py";
constexpr const char* kMtpPage = "MindIE documentation, MTP";
constexpr const char* kServicePage = "MindIE documentation, Configuration Parameters (Service-Specific)";

class MindieRules : RuleBase {
 public:
  using RuleBase::RuleBase;
  void check();

 private:
  [[nodiscard]] bool splits_sequence() const { return l.sp > 1 || l.cp > 1; }
  [[nodiscard]] const char* splitting_key() const { return l.cp > 1 ? "cp" : "sp"; }
  [[nodiscard]] const char* splitting_page() const { return l.cp > 1 ? kContextPage : kSequencePage; }

  void context_parallelism();
  void derived_dp();
  void tensor_parallelism();
  void several_servers();
  void sequence_and_context();
  void local_tp(const char* key, std::int64_t value);
  void plugins();
  void not_offered();
};

void MindieRules::context_parallelism() {
  if (l.cp > 2)
    error("E0302", "cp", text("cp must be 1 or 2, got {}", l.cp), text("{}: value range [1, 2]", kContextPage),
          "set \"cp\": 2");
  if (l.cp > 1 && l.sp == 1)
    error("E0303", "cp", text("context parallelism needs sequence parallelism: sp is 1, tp is {}", l.tp),
          text("{}: to enable CP, SP must be enabled at the same time, with SP equal to TP", kContextPage),
          l.tp > 1 ? text("set \"sp\": {}", l.tp) : "set \"tp\" and \"sp\" to the same number above 1");
  if (l.cp > 1 && l.dp > 1)
    error("E0304", "cp", text("context parallelism needs dp = 1, got dp {}", l.dp),
          text("{}: when CP is enabled, the value of DP must be 1", kContextPage), "set \"dp\": 1");
}

void MindieRules::derived_dp() {
  if (d.origin("dp").assumed && l.dp > 1 && d.origin("tp").assumed == false)
    warn("W0308", "dp",
         text("dp is derived as {} here, but mapping.py refuses the file as written: tp {} alone does not fill "
              "worldSize {}",
              l.dp, l.tp, ranks),
         text("{}: tp * cp * dp == world_size", kMapping), text("write \"dp\": {}", l.dp));
}

void MindieRules::tensor_parallelism() {
  const std::int64_t world = l.world(), per_server = world % servers == 0 ? world / servers : server.dies();
  if (l.tp > per_server && l.tp != world)
    error("E0309", "tp",
          text("tp must be at most the {} ranks of one server, or all {}: got {}", per_server, world, l.tp),
          text("{}: tp <= ranks per node, or tp == world_size", kMapping), text("set \"tp\": {}", per_server));
  if (l.moe_tp > per_server && l.moe_tp != world)
    error("E0310", "moe_tp",
          text("moe_tp must be at most the {} ranks of one server, or all {}: got {}", per_server, world, l.moe_tp),
          text("{}: moe_tp <= ranks per node, or moe_tp == world_size", kMapping), "set \"moe_tp\": 1");
}

void MindieRules::several_servers() {
  if (!d.one_server || (servers == 1 && l.world() <= server.dies())) return;
  error("E0318", "multiNodesInferEnabled",
        servers == 1 ? fmt::format("{} ranks are more than the {} dies of one {}, and multiNodesInferEnabled is false",
                                   l.world(), server.dies(), server.product)
                     : fmt::format("{} ranks on {} servers, and multiNodesInferEnabled is false", l.world(), servers),
        fmt::format("{}: multiNodesInferEnabled, inference over several servers", kServicePage),
        "set \"multiNodesInferEnabled\": true, with a rank table of all servers");
}

void MindieRules::sequence_and_context() {
  if (!splits_sequence()) return;
  if (d.dtype != Dtype::kFp16)
    error("E0311", splitting_key(),
          text("{} works only in float16: {} says {}", splitting_key(), d.origin("dtype").where.file, to_text(d.dtype)),
          text("{}: this feature supports only FP16 and does not support BF16", splitting_page()),
          "set \"torch_dtype\": \"float16\" in the config.json of the weight folder");
  const std::string& model = d.model.name;
  if (model.empty()) return;  // unknown, and said so
  const std::string& scheme = d.quantisation.name;
  const bool r1 = model == "DeepSeek-R1", v3 = model == "DeepSeek-V3" || model == "DeepSeek-V3.1";
  const bool named = (r1 && (scheme == "W8A8" || scheme == "W4A8")) || (v3 && scheme == "W4A8");
  if (!named && !scheme.empty())  // an unknown model or scheme was reported as such
    warn("W0312", splitting_key(),
         text("{} with {} {} is not among the combinations that the page names", splitting_key(), model, scheme),
         text("{}: only W8A8 of DeepSeek-R1 and W4A8 of DeepSeek-R1, DeepSeek-V3 and DeepSeek-V3.1; the MindIE "
              "DeepSeek tuning "
              "guide names W8A8 of V3, R1 and V3.1 as well",
              splitting_page()),
         "the two pages disagree: try it before you rely on it");
  if (d.role == Role::kDecode)
    error("E0313", splitting_key(),
          text("{} can be enabled on prefill nodes only when prefill and decode are disaggregated", splitting_key()),
          text("{}: in the prefill-decode disaggregation scenario on prefill nodes only", splitting_page()),
          text("remove \"{}\" from the decode node's file", splitting_key()));
  if (d.role == Role::kHybrid && d.features.speculative_tokens > 1)
    error("E0314", "plugin_params",
          text("with {} in a prefill-decode hybrid deployment MTP must be 1, got {} speculative tokens",
               splitting_key(), d.features.speculative_tokens),
          text("{}: in scenarios where MTP equals 1", splitting_page()), "set \"num_speculative_tokens\": 1");
}

void MindieRules::local_tp(const char* key, std::int64_t value) {
  if (value == -1) return;
  const std::int64_t most = l.world() / servers;
  const bool output = std::string_view(key) == "o_proj_local_tp";
  const bool in_range = value >= 1 && value <= most;
  if (!in_range)
    error("E0316", key, text("{} must be in [1, {}] or -1, got {}", key, most, value),
          text("{}: value range [1, worldSize / number of nodes]", kTensorPage),
          text("set \"{}\": -1 to switch it off", key));
  if (l.tp > 1 && value >= 1 && output)
    error("E0317", key, text("{} cannot be used with tp > 1, tp is {}", key, l.tp),
          text("{}: if TP exceeds 1, this feature cannot be enabled together with local TP splitting of the O "
               "project matrix",
               kTensorPage),
          text("set \"{}\": -1, or \"tp\": 1", key));
  if (l.tp > 1 && value >= 1 && !output)
    warn("W0318", key, text("{} is not advised with tp > 1, tp is {}; mapping.py refuses it", key, l.tp),
         text("{}: you are not advised to enable it together with TP; {}: attention tp must be 1", kTensorPage,
              kMapping),
         text("set \"{}\": -1, or \"tp\": 1", key));
  if (in_range) local_degree(local_degrees()[output ? 0 : 1], name(key), l.world(), "ranks of the instance");
  const std::string& model = d.model.name;
  if (value >= 1 && model != "DeepSeek-R1" && model != "DeepSeek-V3" && model != "DeepSeek-V3.1")
    error("E0319", key, text("{} is not supported for {}", key, model),
          text("{}: only the DeepSeek-R1, DeepSeek-V3, and DeepSeek-V3.1 models support this feature", kTensorPage),
          text("set \"{}\": -1", key));
}

void MindieRules::plugins() {
  const Features& f = d.features;
  if (f.splitfuse && f.speculative_tokens > 0)
    error("E0320", "plugin_params", "SplitFuse cannot be combined with MTP", text("{}: not with SplitFuse", kMtpPage),
          "drop one of the two");
  if (f.splitfuse && splits_sequence())
    error("E0321", "plugin_params", text("SplitFuse cannot be combined with {}", splitting_key()),
          "MindIE documentation, SplitFuse: not with long-sequence features", "drop one of the two");
  if (f.splitfuse && f.speculative_tokens == 0 && !splits_sequence())
    warn("W0331", "plugin_params", "chunked prefill (SplitFuse) is not modelled: prompts are prefilled whole", "", "");
  if (f.prefix_cache && !f.kv_nz)
    error("E0322", "plugin_params", "the prefix cache of DeepSeek models needs the NZ layout of the KV cache",
          "MindIE documentation, Prefix Cache: enable_nz must be true for DeepSeek",
          R"(set "models": {"deepseekv2": {"kv_cache_options": {"enable_nz": true}}})");
}

// Our own file can ask for what the engine has no key for.
void MindieRules::not_offered() {
  const std::pair<const char*, bool> extensions_of_others[] = {{"prefill.attention", d.token_split_prefill},
                                                               {"micro_batches", d.micro_batches > 1},
                                                               {"kv_cache.dtype", d.kv_int8},
                                                               {"experts.redundant", d.experts.redundant > 0},
                                                               {"experts.shared_ranks", d.experts.shared_ranks > 0},
                                                               {"layout.embedding_tp", l.embedding_parts() > 1},
                                                               {"layout.mlp_tp", l.mlp_parts() > 1}};
  for (const auto& [path, used] : extensions_of_others)
    if (used)
      error("E0370", path, text("MindIE does not offer this {}", path), "none of its configuration keys says so",
            "remove it, or name another stack");
}

void MindieRules::check() {
  sequence_degree(text("{}: the value of SP must be equal to that of TP", kSequencePage));
  context_parallelism();
  world(kMapping);
  all_to_all("MindIE documentation, Expert Parallelism: ep_level 2 allows only moe_tp = 1");
  derived_dp();
  placement(text("{}: world_size % nodes == 0", kMapping));
  several_servers();
  tensor_parallelism();
  divisibility();
  sequence_and_context();
  local_tp("lm_head_local_tp", l.lm_head_local_tp);
  local_tp("o_proj_local_tp", l.o_proj_local_tp);
  plugins();
  not_offered();
  exchange();
  expert_loads();
  ring();
  limits(kServicePage, text("{}: the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)", kServicePage));
}

}  // namespace

void check_mindie(const RuleInput& input, Diagnostics& diagnostics) { MindieRules(input, diagnostics).check(); }

}  // namespace ascendsim
