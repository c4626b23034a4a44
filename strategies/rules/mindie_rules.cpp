#include "strategies/rules/mindie_rules.h"

#include <fmt/format.h>

namespace ascendsim {

namespace {

constexpr const char* kContextPage = "MindIE documentation, Context Parallelism";
constexpr const char* kSequencePage = "MindIE documentation, Sequence Parallelism";
constexpr const char* kTensorPage = "MindIE documentation, Tensor Parallelism";
constexpr const char* kMapping = "Ascend/MindIE-LLM, atb_llm/utils/mapping.py";
constexpr const char* kMtpPage = "MindIE documentation, MTP";
constexpr const char* kServicePage = "MindIE documentation, Configuration Parameters (Service-Specific)";

struct Rules {
  const Import& import;
  const Server& server;
  int servers;
  Diagnostics& diagnostics;
  const Deployment& d = import.deployment;
  const Layout& l = d.layout;

  [[nodiscard]] const SourceLocation& at(std::string_view key) const { return d.origin(key).where; }
  void error(const char* code, std::string_view key, std::string message, std::string rule, std::string help) {
    diagnostics.error(code, at(key), std::move(message), std::move(rule), std::move(help));
  }
  void warn(const char* code, std::string_view key, std::string message, std::string rule, std::string help) {
    diagnostics.warning(code, at(key), std::move(message), std::move(rule), std::move(help));
  }
  [[nodiscard]] bool splits_sequence() const { return l.sp > 1 || l.cp > 1; }
  [[nodiscard]] const char* splitting_key() const { return l.cp > 1 ? "cp" : "sp"; }
  [[nodiscard]] const char* splitting_page() const { return l.cp > 1 ? kContextPage : kSequencePage; }

  void degrees();
  void world();
  void placement();
  void divisibility();
  void sequence_and_context();
  void local_tp(const char* key, std::int64_t value);
  void plugins();
  void limits();
};

void Rules::degrees() {
  if (l.sp != 1 && l.sp != l.tp)
    error("E0301", "sp", fmt::format("sp must be 1 or equal to tp: sp is {}, tp is {}", l.sp, l.tp),
          fmt::format("{}: the value of SP must be equal to that of TP", kSequencePage),
          fmt::format("set \"sp\": {}, or 1 to switch sequence parallelism off", l.tp));
  if (l.cp > 2)
    error("E0302", "cp", fmt::format("cp must be 1 or 2, got {}", l.cp),
          fmt::format("{}: value range [1, 2]", kContextPage), "set \"cp\": 2");
  if (l.cp > 1 && l.sp == 1)
    error("E0303", "cp", fmt::format("context parallelism needs sequence parallelism: sp is 1, tp is {}", l.tp),
          fmt::format("{}: to enable CP, SP must be enabled at the same time, with SP equal to TP", kContextPage),
          l.tp > 1 ? fmt::format("set \"sp\": {}", l.tp) : "set \"tp\" and \"sp\" to the same number above 1");
  if (l.cp > 1 && l.dp > 1)
    error("E0304", "cp", fmt::format("context parallelism needs dp = 1, got dp {}", l.dp),
          fmt::format("{}: when CP is enabled, the value of DP must be 1", kContextPage), "set \"dp\": 1");
}

void Rules::world() {
  // With multiNodesInferEnabled worldSize does not count: the degrees alone say how many ranks there are.
  const bool declared = import.declared_world > 0;
  const std::int64_t ranks = declared ? import.declared_world : l.world();
  const char* const what = declared ? "worldSize" : "dp x cp x tp";
  if (l.world() != ranks)
    error("E0305", "worldSize", fmt::format("dp x cp x tp must be worldSize: {} x {} x {} = {}, worldSize is {}", l.dp, l.cp, l.tp, l.world(), ranks),
          fmt::format("{}: tp * cp * dp == world_size", kMapping),
          ranks % (l.cp * l.tp) == 0 ? fmt::format("set \"dp\": {}", ranks / (l.cp * l.tp)) : fmt::format("set \"worldSize\": {}", l.world()));
  if (l.moe_ep * l.moe_tp != ranks)
    error("E0306", "moe_ep", fmt::format("moe_ep x moe_tp must be {}: {} x {} = {}, {} is {}", what, l.moe_ep, l.moe_tp, l.moe_ep * l.moe_tp, what, ranks),
          fmt::format("{}: moe_ep * moe_tp == world_size", kMapping),
          ranks % l.moe_tp == 0 ? fmt::format("set \"moe_ep\": {}", ranks / l.moe_tp) : fmt::format("set \"moe_tp\": 1, \"moe_ep\": {}", ranks));
  if (l.ep_level == 2 && l.moe_tp > 1)
    error("E0307", "ep_level", fmt::format("ep_level 2 needs moe_tp = 1, got moe_tp {}", l.moe_tp),
          "MindIE documentation, Expert Parallelism: ep_level 2 allows only moe_tp = 1",
          fmt::format("set \"moe_tp\": 1 and \"moe_ep\": {}, or \"ep_level\": 1", ranks));
  if (d.origin("dp").assumed && l.dp > 1 && d.origin("tp").assumed == false)
    warn("W0308", "dp", fmt::format("dp is derived as {} here, but mapping.py refuses the file as written: tp {} alone does not fill worldSize {}", l.dp, l.tp, ranks),
         fmt::format("{}: tp * cp * dp == world_size", kMapping), fmt::format("write \"dp\": {}", l.dp));
}

void Rules::placement() {
  const std::int64_t ranks = l.world(), dies = server.dies();
  const std::int64_t available = dies * servers;
  if (ranks > available)
    error("E0326", "worldSize", fmt::format("{} ranks need {} servers of {} ({} dies each), there are {}", ranks, ceil_div(ranks, dies), server.product, dies, servers),
          "one rank is one die", fmt::format("--servers {}", ceil_div(ranks, dies)));
  else if (ranks % servers != 0)
    error("E0327", "worldSize", fmt::format("{} ranks cannot be spread evenly over {} servers", ranks, servers),
          fmt::format("{}: world_size % nodes == 0", kMapping), "choose --servers so that it divides the ranks");
  const std::int64_t per_server = ranks % servers == 0 ? ranks / servers : dies;
  if (l.tp > per_server && l.tp != ranks)
    error("E0309", "tp", fmt::format("tp must be at most the {} ranks of one server, or all {}: got {}", per_server, ranks, l.tp),
          fmt::format("{}: tp <= ranks per node, or tp == world_size", kMapping), fmt::format("set \"tp\": {}", per_server));
  if (l.moe_tp > per_server && l.moe_tp != ranks)
    error("E0310", "moe_tp", fmt::format("moe_tp must be at most the {} ranks of one server, or all {}: got {}", per_server, ranks, l.moe_tp),
          fmt::format("{}: moe_tp <= ranks per node, or moe_tp == world_size", kMapping), "set \"moe_tp\": 1");
}

void Rules::divisibility() {
  const Model& m = d.model;
  const auto even = [&](const char* key, const char* what, std::int64_t whole, std::int64_t parts) {
    if (parts > 0 && whole > 0 && whole % parts != 0)
      error("E0325", key, fmt::format("{} {} cannot be cut into {} equal parts", whole, what, parts),
            "weights are sharded evenly over the ranks", fmt::format("choose a divisor of {}", whole));
  };
  even("tp", "attention heads", m.heads, l.tp);
  even("tp", "columns of the dense MLP", m.dense_width, l.tp);
  even("tp", "columns of the embedding", m.hidden, l.tp);
  even("moe_ep", "routed experts", m.experts, l.moe_ep);
  even("moe_tp", "columns of an expert", m.expert_width, l.moe_tp);
  if (l.ep_level == 1) even("worldSize", "columns of the shared expert", m.expert_width * m.shared_experts, l.world());
}

void Rules::sequence_and_context() {
  if (!splits_sequence()) return;
  if (d.dtype != Dtype::kFp16)
    error("E0311", splitting_key(), fmt::format("{} works only in float16: {} says {}", splitting_key(), d.origin("dtype").where.file, to_text(d.dtype)),
          fmt::format("{}: this feature supports only FP16 and does not support BF16", splitting_page()),
          "set \"torch_dtype\": \"float16\" in the config.json of the weight folder");
  const std::string& model = d.model.name;
  if (model.empty()) return;   // unknown, and said so
  const std::string& scheme = d.quantisation.name;
  const bool r1 = model == "DeepSeek-R1", v3 = model == "DeepSeek-V3" || model == "DeepSeek-V3.1";
  const bool named = (r1 && (scheme == "W8A8" || scheme == "W4A8")) || (v3 && scheme == "W4A8");
  if (!named && !model.empty())   // an unknown model was reported as such
    warn("W0312", splitting_key(), fmt::format("{} with {} {} is not among the combinations that the page names", splitting_key(), model, scheme),
         fmt::format("{}: only W8A8 of DeepSeek-R1 and W4A8 of DeepSeek-R1, DeepSeek-V3 and DeepSeek-V3.1; the MindIE DeepSeek tuning "
                     "guide names W8A8 of V3, R1 and V3.1 as well", splitting_page()),
         "the two pages disagree: try it before you rely on it");
  if (d.role == Role::kDecode)
    error("E0313", splitting_key(), fmt::format("{} can be enabled on prefill nodes only when prefill and decode are disaggregated", splitting_key()),
          fmt::format("{}: in the prefill-decode disaggregation scenario on prefill nodes only", splitting_page()),
          fmt::format("remove \"{}\" from the decode node's file", splitting_key()));
  if (d.role == Role::kHybrid && d.features.speculative_tokens > 1)
    error("E0314", "plugin_params", fmt::format("with {} in a prefill-decode hybrid deployment MTP must be 1, got {} speculative tokens", splitting_key(), d.features.speculative_tokens),
          fmt::format("{}: in scenarios where MTP equals 1", splitting_page()), "set \"num_speculative_tokens\": 1");
}

void Rules::local_tp(const char* key, std::int64_t value) {
  if (value == -1) return;
  const std::int64_t most = l.world() / servers;
  const bool output = std::string_view(key) == "o_proj_local_tp";
  if (value < 1 || value > most)
    error("E0316", key, fmt::format("{} must be in [1, {}] or -1, got {}", key, most, value),
          fmt::format("{}: value range [1, worldSize / number of nodes]", kTensorPage), fmt::format("set \"{}\": -1 to switch it off", key));
  if (l.tp > 1 && value >= 1 && output)
    error("E0317", key, fmt::format("{} cannot be used with tp > 1, tp is {}", key, l.tp),
          fmt::format("{}: if TP exceeds 1, this feature cannot be enabled together with local TP splitting of the O project matrix", kTensorPage),
          fmt::format("set \"{}\": -1, or \"tp\": 1", key));
  if (l.tp > 1 && value >= 1 && !output)
    warn("W0318", key, fmt::format("{} is not advised with tp > 1, tp is {}; mapping.py refuses it", key, l.tp),
         fmt::format("{}: you are not advised to enable it together with TP; {}: attention tp must be 1", kTensorPage, kMapping),
         fmt::format("set \"{}\": -1, or \"tp\": 1", key));
  const std::string& model = d.model.name;
  if (value >= 1 && model != "DeepSeek-R1" && model != "DeepSeek-V3" && model != "DeepSeek-V3.1")
    error("E0319", key, fmt::format("{} is not supported for {}", key, model),
          fmt::format("{}: only the DeepSeek-R1, DeepSeek-V3, and DeepSeek-V3.1 models support this feature", kTensorPage),
          fmt::format("set \"{}\": -1", key));
  if (value > 1)
    warn("W0331", key, fmt::format("{} is not modelled yet: weights and times are those without it", key), "", "");
}

void Rules::plugins() {
  const Features& f = d.features;
  if (f.splitfuse && f.speculative_tokens > 0)
    error("E0320", "plugin_params", "SplitFuse cannot be combined with MTP", fmt::format("{}: not with SplitFuse", kMtpPage), "drop one of the two");
  if (f.splitfuse && splits_sequence())
    error("E0321", "plugin_params", fmt::format("SplitFuse cannot be combined with {}", splitting_key()),
          "MindIE documentation, SplitFuse: not with long-sequence features", "drop one of the two");
  if (f.prefix_cache && !f.kv_nz)
    error("E0322", "plugin_params", "the prefix cache of DeepSeek models needs the NZ layout of the KV cache",
          "MindIE documentation, Prefix Cache: enable_nz must be true for DeepSeek",
          R"(set "models": {"deepseekv2": {"kv_cache_options": {"enable_nz": true}}})");
}

void Rules::limits() {
  const Limits& m = d.limits;
  if (m.max_prefill_tokens < m.max_input_tokens)
    error("E0323", "maxPrefillTokens", fmt::format("maxPrefillTokens must be at least maxInputTokenLen: {} < {}", m.max_prefill_tokens, m.max_input_tokens),
          fmt::format("{}: maxPrefillTokens >= maxInputTokenLen", kServicePage), fmt::format("set \"maxPrefillTokens\": {}", m.max_input_tokens));
  if (m.max_seq_len <= m.max_input_tokens)
    warn("W0324", "maxSeqLen", fmt::format("maxSeqLen {} is not above maxInputTokenLen {}: prompts are limited to {} tokens", m.max_seq_len, m.max_input_tokens, m.max_seq_len - 1),
         fmt::format("{}: the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)", kServicePage), "raise maxSeqLen by the output length");
  if (m.max_prefill_batch > m.max_batch)
    error("E0328", "maxPrefillBatchSize", fmt::format("maxPrefillBatchSize must be at most maxBatchSize: {} > {}", m.max_prefill_batch, m.max_batch),
          fmt::format("{}: value range [1, maxBatchSize]", kServicePage), fmt::format("set \"maxPrefillBatchSize\": {}", m.max_batch));
}

}  // namespace

void check_mindie(const Import& import, const Server& server, int servers, Diagnostics& diagnostics) {
  Rules rules{import, server, servers, diagnostics};
  rules.degrees();
  rules.world();
  rules.placement();
  rules.divisibility();
  rules.sequence_and_context();
  rules.local_tp("lm_head_local_tp", rules.l.lm_head_local_tp);
  rules.local_tp("o_proj_local_tp", rules.l.o_proj_local_tp);
  rules.plugins();
  rules.limits();
}

void check_workload(const Deployment& d, const Workload& w, Diagnostics& diagnostics) {
  const Limits& m = d.limits;
  const std::int64_t longest = std::min(m.max_input_tokens, m.max_seq_len - 1);
  if (w.input_tokens > longest)
    diagnostics.error("E0340", d.origin(m.max_input_tokens <= m.max_seq_len - 1 ? "maxInputTokenLen" : "maxSeqLen").where,
                      fmt::format("a prompt of {} tokens is longer than this deployment takes: {}", w.input_tokens, longest),
                      fmt::format("{}: the effective input limit is min(maxInputTokenLen, maxSeqLen - 1)", kServicePage),
                      fmt::format("set \"maxInputTokenLen\": {} (and maxSeqLen, maxPrefillTokens to match), or --input {}", w.input_tokens, longest));
  else if (w.input_tokens + w.output_tokens > m.max_seq_len)
    diagnostics.error("E0341", d.origin("maxSeqLen").where,
                      fmt::format("{} tokens in and {} out are more than maxSeqLen {}", w.input_tokens, w.output_tokens, m.max_seq_len),
                      fmt::format("{}: maxSeqLen limits input and output together", kServicePage),
                      fmt::format("set \"maxSeqLen\": {}, or --output {}", w.input_tokens + w.output_tokens, m.max_seq_len - w.input_tokens));
  if (w.batch > m.max_batch * d.layout.dp)
    diagnostics.error("E0342", d.origin("maxBatchSize").where,
                      fmt::format("{} requests side by side are more than maxBatchSize {} x dp {}", w.batch, m.max_batch, d.layout.dp),
                      fmt::format("{}: maxBatchSize limits the decode batch of a DP group", kServicePage),
                      fmt::format("set \"maxBatchSize\": {}, or --batch {}", ceil_div(w.batch, d.layout.dp), m.max_batch * d.layout.dp));
  if (w.input_tokens + w.output_tokens > d.model.max_positions)
    diagnostics.error("E0343", {}, fmt::format("{} positions are more than the {} of {}", w.input_tokens + w.output_tokens, d.model.max_positions, d.model.name),
                      "max_position_embeddings of the model", fmt::format("--input and --output together at most {}", d.model.max_positions));
}

}  // namespace ascendsim
