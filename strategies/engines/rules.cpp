#include "strategies/engines/rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/deployment/words.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/pass_rows.h"

namespace ascendsim {

RuleBase::RuleBase(const RuleInput& in, Diagnostics& out) : input(in), diagnostics(out) {}

std::string RuleBase::name(std::string_view key) const {
  return diagnostics.says() ? key_name(d, input.own_file, key) : std::string();
}
std::string RuleBase::set(std::string_view key, std::int64_t value) const {
  return diagnostics.says() ? key_setting(d, input.own_file, key, value) : std::string();
}

void RuleBase::error(const char* code, std::string_view key, std::string message, std::string rule, std::string help) {
  diagnostics.error(code, diagnostics.says() ? at(key) : SourceLocation{}, std::move(message), std::move(rule),
                    std::move(help));
}
void RuleBase::warn(const char* code, std::string_view key, std::string message, std::string rule, std::string help) {
  if (diagnostics.says()) diagnostics.warning(code, at(key), std::move(message), std::move(rule), std::move(help));
}

void RuleBase::sequence_degree(const std::string& rule) {
  if (l.sp != 1 && l.sp != l.tp)
    error("E0301", "sp",
          text("{} must be 1 or equal to {}: {} is {}, {} is {}", name("sp"), name("tp"), name("sp"), l.sp, name("tp"),
               l.tp),
          rule, text("set {}, or 1 to switch sequence parallelism off", set("sp", l.tp)));
}

void RuleBase::world(const std::string& rule) {
  // Each stage of a pipeline holds all experts of its layers.
  const std::int64_t of_stage = ranks / l.pp;
  if (l.world() == ranks && l.moe_ep * l.moe_tp == of_stage) return;
  // Where the file does not say how many ranks there are, the degrees alone do.
  const std::string total = input.declared_world > 0 ? name("worldSize") : "dp x cp x tp";
  if (l.world() != ranks)
    error("E0305", "worldSize",
          text("{}dp x cp x tp must be {}: {}{} x {} x {} = {}, {} is {}", l.pp > 1 ? "pp x " : "", total,
               l.pp > 1 ? text("{} x ", l.pp) : "", l.dp, l.cp, l.tp, l.world(), total, ranks),
          rule.empty() ? rule : rule + ": tp * cp * dp == world_size",
          ranks % (l.cp * l.tp) == 0 ? text("set {}", set("dp", ranks / (l.cp * l.tp)))
                                     : text("set {}", set("worldSize", l.world())));
  const std::string part = l.pp > 1 ? total + " / pp" : total;
  if (l.moe_ep * l.moe_tp != of_stage)
    error("E0306", "moe_ep",
          text("moe_ep x moe_tp must be {}: {} x {} = {}, {} is {}", part, l.moe_ep, l.moe_tp, l.moe_ep * l.moe_tp,
               part, of_stage),
          rule.empty() ? rule : rule + ": moe_ep * moe_tp == world_size",
          of_stage % l.moe_tp == 0 ? text("set {}", set("moe_ep", of_stage / l.moe_tp))
                                   : text("set {}, {}", set("moe_tp", 1), set("moe_ep", of_stage)));
}

void RuleBase::all_to_all(const std::string& rule) {
  if (l.ep_level != 2 || l.moe_tp == 1) return;
  const std::string what = input.own_file ? "experts.exchange all-to-all" : "ep_level 2";
  error("E0307", "ep_level", text("{} needs {} = 1, got {} {}", what, name("moe_tp"), name("moe_tp"), l.moe_tp), rule,
        text("set {} and {}, or {}", set("moe_tp", 1), set("moe_ep", ranks),
             input.own_file ? "experts.exchange: all-gather" : "\"ep_level\": 1"));
}

void RuleBase::exchange() {
  if (l.moe_ep == 1 || !exchange_word(*d.engine, d.exchange()).empty()) return;
  std::vector<std::string_view> has;
  for (const ExpertExchange e :
       {ExpertExchange::kAllGather, ExpertExchange::kAllToAllPadded, ExpertExchange::kAllToAll})
    if (!exchange_word(*d.engine, e).empty()) has.push_back(word_of(e));
  error("E0370", "experts.exchange",
        fmt::format("{} does not offer experts.exchange: {}", d.engine->product, word_of(d.exchange())),
        "none of its settings says so", fmt::format("one of: {}; or name another stack", fmt::join(has, ", ")));
}

// Collectives are priced with the expansions that were measured on the product.
void RuleBase::expansion() {
  if (!d.expansion) return;
  const bool a3 = server.fabric == Fabric::kUnifiedBus;
  if (a3 && *d.expansion == Expansion::kHost)
    warn("W0331", "communication.expansion", "collectives are not expanded on the host on A3: AI CPUs are simulated",
         "CANN, HCCL_OP_EXPANSION_MODE: AI_CPU or AIV on A3", "HCCL_OP_EXPANSION_MODE=AIV");
  if (!a3 && *d.expansion != Expansion::kHost)
    warn("W0331", "communication.expansion",
         text("no measurement of HCCL_OP_EXPANSION_MODE={} on {} is known: HOST is simulated",
              *d.expansion == Expansion::kAiv ? "AIV" : "AI_CPU", server.product),
         "CANN, HCCL_OP_EXPANSION_MODE: HOST is the default on A2", "");
}

void RuleBase::placement(const std::string& rule) {
  expansion();
  const std::int64_t world = l.world(), dies = server.dies();
  if (world > dies * servers)
    error("E0326", "worldSize",
          text("{} ranks need {} servers of {} ({} dies each), there are {}", world, ceil_div(world, dies),
               server.product, dies, servers),
          "one rank is one die", text("--servers {}", ceil_div(world, dies)));
  else if (world % servers != 0)
    error("E0327", "worldSize", text("{} ranks cannot be spread evenly over {} servers", world, servers), rule,
          "choose --servers so that it divides the ranks");
}

void RuleBase::divisibility() {
  const Model& m = d.model;
  const auto even = [&](const char* key, const char* what, std::int64_t whole, std::int64_t parts) {
    if (parts > 0 && whole > 0 && whole % parts != 0)
      error("E0325", key, text("{} {} cannot be cut into {} equal parts", whole, what, parts),
            "weights are sharded evenly over the ranks", text("choose a divisor of {}", whole));
  };
  even("tp", "attention heads", m.heads, l.tp);
  even("tp", "columns of the dense MLP", m.dense_width, l.tp);
  even("tp", "columns of the embedding", m.hidden, l.tp);
  even("moe_ep", d.experts.redundant > 0 ? "routed experts with their replicas" : "routed experts",
       d.physical_experts(), l.moe_ep - d.experts.shared_ranks);
  even("moe_tp", "columns of an expert", m.expert_width, l.moe_tp);
  if (m.layers > 0 && l.pp > m.layers)
    error("E0325", "layout.pp", text("{} layers cannot be cut into {} stages", m.layers, l.pp),
          "every stage has a layer", text("at most {}", m.layers));
  if (l.ep_level == 1) even("worldSize", "columns of the shared expert", m.expert_width * m.shared_experts, l.world());
}

std::span<const LocalDegree> local_degrees() {
  static constexpr LocalDegree kDegrees[] = {
      {"o_proj_local_tp", "oproj_tensor_parallel_size", "attention heads", &Layout::o_proj_local_tp, &Model::heads},
      {"lm_head_local_tp", "lmhead_tensor_parallel_size", "columns of the LM head", &Layout::lm_head_local_tp,
       &Model::vocabulary},
      {"layout.embedding_tp", "embedding_tensor_parallel_size", "rows of the embedding", &Layout::embedding_local_tp,
       &Model::vocabulary},
      {"layout.mlp_tp", "mlp_tensor_parallel_size", "columns of the dense MLP", &Layout::mlp_local_tp,
       &Model::dense_width}};
  return kDegrees;
}

// Local groups are blocks of neighbours among `whole`.
void RuleBase::local_degree(const LocalDegree& degree, const std::string& called, std::int64_t whole,
                            const char* what) {
  const std::int64_t value = l.*degree.value, columns = d.model.*degree.columns;
  if (value == 0)
    error("E0316", degree.key, text("{} must be -1 or at least 1, got 0", called), "",
          text("set {} to switch it off", set(degree.key, -1)));
  if (value <= 0) return;
  if (whole % value != 0)
    error("E0329", degree.key, text("{} must divide the {} {}, got {}", called, whole, what, value),
          "local groups are blocks of neighbouring ranks", text("choose a divisor of {}", whole));
  else if (columns % value != 0)
    error("E0325", degree.key, text("{} {} cannot be cut into {} equal parts", columns, degree.what, value),
          "weights are sharded evenly over the ranks", text("choose a divisor of {}", columns));
}

// The shared expert on ranks of its own: rows reach it by the all-to-all, like any other expert.
void RuleBase::shared_ranks() {
  const std::int64_t holders = d.experts.shared_ranks;
  if (holders == 0) return;
  const auto refuse = [&](std::string what, std::string why, std::string help) {
    error("E0372", "experts.shared_ranks", std::move(what), std::move(why), std::move(help));
  };
  if (!d.experts.exact_all_to_all || l.ep_level != 2)
    refuse("the shared expert has ranks of its own only with experts.exchange: all-to-all", "rows must travel to them",
           "set experts.exchange: all-to-all, or experts.shared_ranks: 0");
  else if (holders >= l.moe_ep)
    refuse(text("{} ranks of the shared expert leave none of {} {} for routed ones", holders, name("moe_ep"), l.moe_ep),
           "a rank holds the shared expert or routed ones", "set fewer");
  else if (d.model.shared_experts == 0)
    refuse(text("{} has no shared expert", d.model.name), "its configuration says so", "set experts.shared_ranks: 0");
}

// No engine here hands latents on from neighbour to neighbour: a ring is a what-if, and sparse attention has none.
void RuleBase::ring() {
  if (l.cp == 1 || l.cp_exchange != LatentExchange::kRing) return;
  if (d.model.sparse())
    error("E0444", "layout.cp_exchange", "sparse attention cannot go round a ring of cp ranks",
          "a query picks among the keys of all ranks: npu_lightning_indexer returns neither scores nor lse to merge "
          "parts by, so latents and index keys are gathered (vllm-project/vllm-ascend#6588; SGLang nsa_indexer.py)",
          "layout.cp_exchange: all-gather");
  else
    diagnostics.note("A0142", at("layout.cp_exchange"),
                     text("a what-if: {} gathers the latent of a prompt, it has no ring", d.engine_name));
}

void RuleBase::expert_loads() {
  if (const std::string why = d.experts.shared_ranks < l.moe_ep && d.model.experts > 0 ? loads_refusal(d) : "";
      !why.empty())
    error("E0378", d.experts.loads.empty() ? "experts.imbalance" : "experts.loads", why,
          "strategies/programs/expert_loads.h",
          "a load for each of experts + experts.redundant, or a smaller imbalance");
}

// What no importer sets: token-split prefill, micro-batches.
void RuleBase::extensions() {
  shared_ranks();
  ring();
  expert_loads();
  if (d.layer_sharding.any() && d.micro_batches > 1)
    error("E0446", "weights.layer_sharding", text("layer sharding needs micro_batches: 1, got {}", d.micro_batches),
          "the windows that weights are broadcast into hold those of one layer and the next",
          "set micro_batches: 1, or weights.layer_sharding: none");
  if (!d.origin("experts.seed").assumed && d.compute_skew == 0 &&
      (d.experts.imbalance == 1 || !d.experts.loads.empty()))
    warn("W0336", "experts.seed", "experts.seed has no effect: nothing is drawn",
         "the seed orders ranks of unequal speed and experts of unequal load",
         "compute_skew or experts.imbalance, or leave the seed out");
  if (!d.token_split_prefill) return;
  const auto needs = [&](bool holds, const char* what, const std::string& got) {
    if (!holds)
      error("E0371", "prefill.attention", text("token-split prefill needs {}, got {}", what, got),
            "cann-recipes, prefill SP-TP-SP", text("set {}, or prefill.attention: tensor-parallel", what));
  };
  needs(d.role == Role::kPrefill, "role: prefill", d.role == Role::kHybrid ? "hybrid" : "decode");
  needs(l.sp == 1, "layout.sp: 1", fmt::to_string(l.sp));
  needs(l.cp == 1, "layout.cp: 1", fmt::to_string(l.cp));
  needs(l.moe_tp == 1, "layout.moe_tp: 1", fmt::to_string(l.moe_tp));
  needs(l.ep_level == 2, "experts.exchange: all-to-all", "all-gather");
}

void RuleBase::limits(const std::string& service, const std::string& effective) {
  const Limits& m = d.limits;
  if (m.max_prefill_tokens < m.max_input_tokens)
    error("E0323", "maxPrefillTokens",
          text("{} must be at least {}: {} < {}", name("maxPrefillTokens"), name("maxInputTokenLen"),
               m.max_prefill_tokens, m.max_input_tokens),
          text("{}: maxPrefillTokens >= maxInputTokenLen", service),
          text("set {}", set("maxPrefillTokens", m.max_input_tokens)));
  if (m.max_seq_len <= m.max_input_tokens)
    warn("W0324", "maxSeqLen",
         text("{} {} is not above {} {}: prompts are limited to {} tokens", name("maxSeqLen"), m.max_seq_len,
              name("maxInputTokenLen"), m.max_input_tokens, m.max_seq_len - 1),
         effective, text("raise {} by the output length", name("maxSeqLen")));
  if (m.max_prefill_batch > m.max_batch)
    error("E0328", "maxPrefillBatchSize",
          text("{} must be at most {}: {} > {}", name("maxPrefillBatchSize"), name("maxBatchSize"), m.max_prefill_batch,
               m.max_batch),
          text("{}: value range [1, maxBatchSize]", service), text("set {}", set("maxPrefillBatchSize", m.max_batch)));
}

void check_deployment(const RuleInput& input, Diagnostics& diagnostics) {
  input.deployment.engine->check(input, diagnostics);
}

void check_whole_decode_cache(const Deployment&, const Deployment& d, Diagnostics& diagnostics) {
  if (d.layout.kv_shards() > 1)
    diagnostics.error("E0313", d.origin(d.layout.cp > 1 ? "cp" : "sp").where,
                      "the decode side of a pair must hold whole caches: it has sp or cp above 1",
                      "every decode rank pulls a whole copy", "set layout.sp: 1 and layout.cp: 1 on the decode side");
}

namespace {

// Buffers of a program have fewer than 2^31 rows.
void check_sizes(const Deployment& d, const Workload& w, bool own_file, Diagnostics& diagnostics) {
  constexpr double kMostRows = 2147483647.0;
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const Layout& l = d.layout;
  const std::int64_t requests = ceil_div(w.batch, l.dp), context = w.input_tokens + w.output_tokens;
  if (number(requests) * number(ceil_div(context, l.kv_shards()) + d.limits.block_tokens) > kMostRows)
    diagnostics.error("E0344", d.origin("workload.batch").where,
                      fmt::format("{} requests of {} tokens on a DP group are more than 2^31 cached tokens on a rank",
                                  requests, context),
                      {}, "a smaller --batch");
  // Every row of a decode step goes to top_k experts, at most all of them on one rank.
  const std::int64_t rows = requests * (1 + d.features.speculative_tokens);
  if (d.role != Role::kPrefill &&
      number(rows + l.tp) * number(l.dp * l.cp) *
              number(std::max<std::int64_t>(d.model.top_k, l.ep_level == 2 ? l.moe_ep : 1)) >
          kMostRows)
    diagnostics.error(
        "E0345", d.origin("workload.batch").where,
        fmt::format("a decode step of {} rows on each of {} DP groups routes more than 2^31 rows", rows, l.dp), {},
        "a smaller --batch");
  if (d.role == Role::kDecode) return;
  double copies = number(l.dp * l.cp);
  for (const auto& [tokens, factor] : d.all_to_all_scale) copies = std::max(copies, factor);
  if (l.ep_level == 2) copies = std::max({copies, 3.0, std::sqrt(number(l.moe_ep))});  // the engine's own factors
  const std::int64_t tokens = std::max(d.limits.max_prefill_tokens, d.limits.max_input_tokens);
  if (number(tokens + 2 * l.cp * l.tp) * copies * number(d.model.top_k) > kMostRows)
    diagnostics.error(
        "E0345", d.origin("maxPrefillTokens").where,
        fmt::format("a prefill step of {} tokens on each of {} DP groups routes more than 2^31 rows", tokens, l.dp), {},
        fmt::format("lower {}", key_name(d, own_file, "maxPrefillTokens")));
}

// MindIE's own rule makes short prompts slow where rows travel in padded buffers.
void note_short_exchange(const Deployment& d, const Workload& w, Diagnostics& diagnostics) {
  const std::int64_t tokens = w.input_tokens - w.prefix_hit;
  if (d.role == Role::kDecode || tokens <= 0 || !d.all_to_all_scale.empty()) return;
  const GroupLoad prompts{.sequences = std::min({d.limits.max_prefill_batch, ceil_div(w.batch, d.layout.dp),
                                                 std::max<std::int64_t>(1, d.limits.max_prefill_tokens / tokens)}),
                          .new_tokens = tokens};
  const std::int64_t stream = attention_rows(d.layout, Phase::kPrefill, prompts), rows = ceil_div(stream, d.layout.tp),
                     ep = d.layout.moe_ep;
  if (rows == 0 || rows > kShortExchange) return;
  if (expert_carrier(d, Phase::kPrefill, stream, false) != ExpertCarrier::kPadded) return;
  diagnostics.note(
      "A0145", d.origin("experts.exchange").where,
      fmt::format("a prefill step of {} rows a rank exchanges buffers of 2 x moe_ep = {} times its copies; "
                  "beyond {} rows a rank {:.3g} times at most, so a longer prompt can be faster",
                  rows, 2 * ep, kShortExchange, std::max(3.0, std::sqrt(static_cast<double>(ep)))),
      "MindIE flash_causal_deepseekv2.py, get_all2all_buffer_factor");
}

}  // namespace

void check_workload(const Deployment& d, const Workload& asked, bool own_file, Diagnostics& diagnostics) {
  Workload w = asked;
  if (d.role == Role::kPrefill) w.output_tokens = 1;  // the other side generates the rest, and batches it
  const bool launched = !own_file && d.engine->words.has_options();
  const char* const kServicePage = launched   ? "limits of the engine's scheduler"
                                   : own_file ? "docs/deployment-file.md"
                                              : "MindIE documentation, Configuration Parameters (Service-Specific)";
  const Limits& m = d.limits;
  const auto name = [&](std::string_view key) { return key_name(d, own_file, key); };
  const auto set = [&](std::string_view key, std::int64_t value) { return key_setting(d, own_file, key, value); };
  const std::int64_t longest = std::min(m.max_input_tokens, m.max_seq_len - 1);
  if (w.input_tokens > longest)
    diagnostics.error(
        "E0340", d.origin(m.max_input_tokens <= m.max_seq_len - 1 ? "maxInputTokenLen" : "maxSeqLen").where,
        fmt::format("a prompt of {} tokens is longer than this deployment takes: {}", w.input_tokens, longest),
        launched ? fmt::format("{}: an input is shorter than {}", kServicePage, name("maxSeqLen"))
                 : fmt::format("{}: the effective input limit is min({}, {} - 1)", kServicePage,
                               name("maxInputTokenLen"), name("maxSeqLen")),
        // An engine's one limit of both together says the others too.
        launched ? fmt::format("set {}, or --input {}", set("maxSeqLen", w.input_tokens + w.output_tokens), longest)
                 : fmt::format("set {} (and {}, {} to match), or --input {}", set("maxInputTokenLen", w.input_tokens),
                               name("maxSeqLen"), name("maxPrefillTokens"), longest));
  else if (w.input_tokens + w.output_tokens > m.max_seq_len)
    diagnostics.error("E0341", d.origin("maxSeqLen").where,
                      fmt::format("{} tokens in and {} out are more than {} {}", w.input_tokens, w.output_tokens,
                                  name("maxSeqLen"), m.max_seq_len),
                      fmt::format("{}: {} limits input and output together", kServicePage, name("maxSeqLen")),
                      fmt::format("set {}, or --output {}", set("maxSeqLen", w.input_tokens + w.output_tokens),
                                  m.max_seq_len - w.input_tokens));
  const std::int64_t requests = ceil_div(w.batch, d.layout.dp);
  const std::int64_t counted = launched && d.engine->words.batch_of_all_groups ? d.layout.dp : 1;
  if (d.role != Role::kPrefill && w.batch > m.max_batch * d.layout.dp)
    diagnostics.error(
        "E0342", d.origin("maxBatchSize").where,
        fmt::format("{} requests side by side are more than {} {} x dp {}", w.batch, name("maxBatchSize"), m.max_batch,
                    d.layout.dp),
        fmt::format("{}: {} limits the decode batch of a DP group", kServicePage, name("maxBatchSize")),
        fmt::format("set {}, or --batch {}", set("maxBatchSize", requests * counted), m.max_batch * d.layout.dp));
  if (w.input_tokens + w.output_tokens > d.model.max_positions)
    diagnostics.error("E0343", {},
                      fmt::format("{} positions are more than the {} of {}", w.input_tokens + w.output_tokens,
                                  d.model.max_positions, d.model.name),
                      "max_position_embeddings of the model",
                      fmt::format("--input and --output together at most {}", d.model.max_positions));
  check_sizes(d, w, own_file, diagnostics);
  note_short_exchange(d, w, diagnostics);
}

}  // namespace ascendsim
