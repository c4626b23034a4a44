// vLLM-Ascend: what its start-up checks and its guides demand, of an instance and of a pair.
#include "strategies/engines/launch/rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "strategies/engines/vllm/parts.h"
#include "strategies/programs/expert_carriers.h"

namespace ascendsim {

namespace {

constexpr const char* kGuide = "vLLM-Ascend, Long-Sequence Context Parallel";
constexpr const char* kContext =
    "vllm_ascend 0.15, context parallel: docs/source/developer_guide/feature_guide/context_parallel.md";
constexpr const char* kParallelConfig = "vllm/config/parallel.py";
constexpr const char* kSchedulerConfig = "vllm/config/scheduler.py";

class VllmRules : LaunchRules {
 public:
  using LaunchRules::LaunchRules;
  void check() {
    context_parallelism();
    degrees(fmt::format("{}: world size = pp x dp x pcp x tp", kParallelConfig));
    whole_or_cut_experts();
    idle_dies();
    cache();
    scheduler();
    graphs();
    options();
  }

 private:
  [[nodiscard]] std::string tp() const { return name("tp"); }

  // For a model of grouped-query attention vLLM asks for dcp <= tp / KV heads. Models here have latent attention, one
  // KV head, so that is dcp <= tp; others are refused when their config.json is read.
  void context_parallelism() {
    if (l.sp > l.tp || l.tp % l.sp != 0)
      error("E0410", "sp", fmt::format("{} must divide {}: {} and {}", name("sp"), tp(), l.sp, l.tp),
            fmt::format("{}: tensor-parallel-size needs to be divisible by decode-context-parallel-size, which must be "
                        "at most it",
                        kGuide),
            fmt::format("set {}", set("sp", l.sp > l.tp ? l.tp : std::gcd(l.sp, l.tp))));
    if (l.cp > 1 && l.pp > 1 && !d.kv_transfer.connector.empty())
      error("E0412", "cp",
            fmt::format("{} and {} cannot both be above 1 with a connector: {} and {}", name("cp"), name("pp"), l.cp,
                        l.pp),
            "vllm_ascend mooncake_connector.py: pcp and pp are not used together", fmt::format("set {}", set("pp", 1)));
    lacks("pcp", l.cp > 1, "cp", "prefill context parallelism");
    if (l.cp > 1 && l.dp > 1 && input.versions != nullptr &&
        input.versions->has("pcp_without_data_parallelism", d.engine_version))
      error("E0447", "cp",
            text("{} and {} cannot both be above 1 in vLLM-Ascend {}: {} and {}", name("cp"), name("dp"),
                 d.engine_version, l.cp, l.dp),
            input.versions->feature("pcp_without_data_parallelism")->source, text("set {}", set("dp", 1)));
    if (l.cp > 1 && d.model.sparse() && input.versions != nullptr && input.versions->has("pcp", d.engine_version) &&
        input.versions->has("pcp_with_sparse_attention", d.engine_version)) {
      const VersionedFeature& f = *input.versions->feature("pcp_with_sparse_attention");
      warn("W0427", "cp", text("{} {} with sparse attention starts, but may answer wrongly", name("cp"), l.cp),
           f.source, f.note);
    }
    lacks("dcp", l.sp > 1, "sp", "decode context parallelism");
    lacks("pcp_with_sparse_attention", d.model.sparse() && l.cp > 1, "cp",
          "prefill context parallelism with sparse attention");
    lacks("dcp_with_sparse_attention", d.model.sparse() && l.sp > 1, "sp",
          "decode context parallelism with sparse attention");
    if (l.kv_shards() > 1 && server.fabric != Fabric::kUnifiedBus && input.versions != nullptr &&
        !input.versions->has("context_parallel_on_a2", d.engine_version))
      error(
          "E0416", l.cp > 1 ? "cp" : "sp",
          fmt::format("context parallelism is not supported on {} by vLLM-Ascend {}", server.product, d.engine_version),
          fmt::format("{}: only supported on Atlas A3, and will be on Atlas A2 in the future", kGuide),
          "--hardware atlas-800t-a3, or a later version");
  }

  void whole_or_cut_experts() {
    if (l.moe_ep > 1 && l.moe_tp > 1)
      error(
          "E0411", "moe_ep",
          fmt::format("experts are cut by EP alone or by TP alone: moe_ep is {}, moe_tp is {}", l.moe_ep, l.moe_tp),
          fmt::format("{}: vLLM does not support a mixed approach of ETP and EP; MoE can either use pure EP or pure TP",
                      kGuide),
          "--enable-expert-parallel, or not");
  }

  void cache() {
    const Limits& m = d.limits;
    const std::int64_t interleave = m.kv_interleave == 0 ? m.block_tokens : m.kv_interleave;
    if (l.kv_shards() == 1) return;
    if (m.block_tokens % interleave != 0)
      error("E0413", "kv_cache.interleave",
            fmt::format("{} must be a multiple of {}: {} and {}", name("kv_cache.block_tokens"),
                        name("kv_cache.interleave"), m.block_tokens, interleave),
            fmt::format("{}; vllm/config/vllm.py: block_size must be a multiple of the interleave size", kContext),
            fmt::format("set {}", set("kv_cache.interleave", m.block_tokens)));
    else if (!d.kv_transfer.connector.empty() && m.block_tokens != interleave)
      error("E0413", "kv_cache.interleave",
            fmt::format("with a connector {} must equal {}: {} and {}", name("kv_cache.interleave"),
                        name("kv_cache.block_tokens"), interleave, m.block_tokens),
            fmt::format("{}: whole blocks travel between the sides", kContext),
            fmt::format("set {}", set("kv_cache.interleave", m.block_tokens)));
  }

  void scheduler() {
    const Limits& m = d.limits;
    const std::int64_t batched = m.max_batched_tokens == 0 ? m.max_prefill_tokens : m.max_batched_tokens;
    const bool written = m.max_batched_tokens > 0;
    if (written && batched < m.max_batch)
      error("E0414", "limits.max_batched_tokens",
            fmt::format("{} must be at least {}: {} < {}", name("limits.max_batched_tokens"), name("maxBatchSize"),
                        batched, m.max_batch),
            fmt::format("{}: max_num_batched_tokens must be at least max_num_seqs", kSchedulerConfig),
            fmt::format("set {}", set("limits.max_batched_tokens", m.max_batch)));
    if (written && !d.features.splitfuse && batched < m.max_seq_len)
      error("E0415", "limits.max_batched_tokens",
            fmt::format("without chunked prefill {} must be at least {}: {} < {}", name("limits.max_batched_tokens"),
                        name("maxSeqLen"), batched, m.max_seq_len),
            fmt::format("{}: max_num_batched_tokens is smaller than max_model_len", kSchedulerConfig),
            fmt::format("set {}, or --enable-chunked-prefill", set("limits.max_batched_tokens", m.max_seq_len)));
    // Requests above the limit wait; that time counts into TTFT.
    if (d.role == Role::kDecode && d.features.speculative_tokens > 0 &&
        batched < m.max_batch * (1 + d.features.speculative_tokens))
      warn("W0411", "limits.max_batched_tokens",
           fmt::format("{} requests with {} drafts are {} tokens a step, more than {} {}", m.max_batch,
                       d.features.speculative_tokens, m.max_batch * (1 + d.features.speculative_tokens),
                       name("limits.max_batched_tokens"), batched),
           fmt::format("{}: a step schedules at most max_num_batched_tokens", kSchedulerConfig),
           fmt::format("set {}", set("limits.max_batched_tokens", m.max_batch * (1 + d.features.speculative_tokens))));
  }

  // A decode batch of b requests is b x (1 + drafts) tokens; above the largest size it is launched kernel by kernel.
  void graphs() {
    const auto& sizes = d.graph.capture_sizes;
    if (sizes.empty() || d.graph.mode == GraphMode::kEager || d.role == Role::kPrefill) return;
    const std::int64_t tokens = 1 + d.features.speculative_tokens, most = std::ranges::max(sizes);
    const std::int64_t captured = std::min(d.limits.max_batch, most / tokens), left = d.limits.max_batch - captured;
    if (left > 0) {
      std::vector<std::string> which, sums;
      for (std::int64_t b = captured + 1; b <= d.limits.max_batch && which.size() < 4; ++b) {
        which.push_back(fmt::to_string(b));
        sums.push_back(fmt::to_string(b * tokens));
      }
      const char* const more = left > 4 ? ", ..." : "";
      warn("W0412", "graph.capture_sizes",
           fmt::format("capture sizes end at {} tokens: decode batches of {}{} requests ({}{} tokens with {} draft{}) "
                       "run without a graph",
                       most, fmt::join(which, ", "), more, fmt::join(sums, ", "), more, tokens - 1,
                       tokens == 2 ? "" : "s"),
           fmt::format("{}: inputs between sizes are padded to the next one; larger ones are not captured. Sizes count "
                       "tokens: requests x (1 + drafts)",
                       kGuide),
           fmt::format("add {} to cudagraph_capture_sizes, or leave them out", d.limits.max_batch * tokens));
    }
    if (d.features.flashcomm1 && l.tp > 1 && std::ranges::any_of(sizes, [&](std::int64_t s) { return s % l.tp != 0; }))
      warn("W0413", "graph.capture_sizes",
           fmt::format("with FlashComm1 captured sizes are multiples of {} {}: others are rounded up", tp(), l.tp),
           "vllm_ascend/utils.py, update_aclgraph_sizes", fmt::format("sizes that are multiples of {}", l.tp));
  }

  void layer_sharding();

  void options() {
    if (d.features.flashcomm1 && l.tp == 1)
      error("E0417", "features.flashcomm1", fmt::format("FlashComm1 needs {} > 1", tp()),
            fmt::format("{}: only supported for MoE in scenarios where tensor-parallel-size > 1", kGuide),
            "VLLM_ASCEND_ENABLE_FLASHCOMM1=0");
    layer_sharding();
    fine_grained();
    if (const std::string why = fused_mc2_refusal(d); !why.empty())
      warn("W0415", "experts.communication", fmt::format("fused MC2 is asked for and not taken: {}", why),
           "vllm_ascend/ascend_forward_context.py: select_moe_comm_method", "");
    exchange();
    extensions();
  }

  // Groups lie along the DP axis, so they need it; o_proj and, from some version on, the dense MLP also need that every
  // step has as many rows on every rank, which captured graphs of a decode side alone guarantee.
  void fine_grained() {
    constexpr const char* kPage = "vLLM-Ascend, Fine-grained TP";
    for (const LocalDegree& g : local_degrees()) {
      const std::int64_t value = l.*g.value;
      if (value <= 1 && value != 0) continue;
      local_degree(g, g.option, l.dp, "DP groups");
      const bool output = g.value == &Layout::o_proj_local_tp, mlp = g.value == &Layout::mlp_local_tp;
      if (!output && !mlp) continue;
      if (l.tp > 1)
        error("E0317", g.key, fmt::format("{} cannot be used with {} > 1, it is {}", g.option, tp(), l.tp),
              fmt::format("{}: it needs tensor-parallel-size 1", kPage), "remove it");
      if (mlp && input.versions != nullptr && !input.versions->has("mlp_tp_on_decode_sides_only", d.engine_version))
        continue;
      if (d.role != Role::kDecode)
        error("E0418", g.key, fmt::format("{} is for the decode side of a pair only", g.option),
              fmt::format("{}; vllm_ascend/ascend_config.py: it can only be used on a kv_consumer", kPage),
              "remove it");
      if (d.graph.mode == GraphMode::kEager)
        error("E0418", g.key, fmt::format("{} needs captured graphs", g.option),
              fmt::format("{}: graph mode during decode", kPage), "remove --enforce-eager, or it");
    }
  }
};

void VllmRules::layer_sharding() {
  if (!d.layer_sharding.any()) return;
  constexpr const char* kKey = "weights.layer_sharding";
  if (d.role != Role::kPrefill &&
      (input.versions == nullptr || input.versions->has("layer_sharding_on_prefill_nodes_only", d.engine_version)))
    error("E0445", kKey, "layer sharding is for the prefill node of a pair only",
          "vllm_ascend/platform.py: additional_config.layer_sharding can only be enabled in PD-disaggregated's P node",
          "kv_role kv_producer, or leave layer_sharding out");
  else if (d.role != Role::kPrefill || !d.model.sparse() || !d.features.flashcomm1)
    warn("W0417", kKey,
         "layer sharding has no effect here: without DSA-CP on a prefill node q_b and o_proj are cut over the TP group",
         "vllm_ascend/utils.py, enable_dsa_cp_with_layer_shard: an indexer, FlashComm1 and kv_role kv_producer",
         "leave layer_sharding out");
}

}  // namespace

void check_vllm(const RuleInput& input, Diagnostics& diagnostics) { VllmRules(input, diagnostics).check(); }

void check_vllm_pair(const Deployment& p, const Deployment& d, Diagnostics& diagnostics) {
  constexpr const char* kMooncake =
      "vllm_ascend/distributed/mooncake_connector.py: every decode rank pulls from whole prefill ranks";
  if (p.layout.tp < d.layout.tp || p.layout.tp % d.layout.tp != 0)
    diagnostics.error("E0354", d.origin("tp").where,
                      fmt::format("tensor-parallel-size of prefill must be a multiple of that of decode: {} and {}",
                                  p.layout.tp, d.layout.tp),
                      kMooncake, fmt::format("--tensor-parallel-size {} on the decode side", p.layout.tp));
  if (p.kv_transfer.layer_wise != d.kv_transfer.layer_wise)
    diagnostics.error(
        "E0355", d.origin("kv_transfer.mode").where,
        fmt::format("the prefill side {} caches, the decode side {}", p.kv_transfer.layer_wise ? "pushes" : "keeps",
                    d.kv_transfer.layer_wise ? "waits for them to be pushed" : "pulls them"),
        "vllm_ascend/distributed: a layer-wise connector talks to its like", "the same kv_connector on both sides");
  if (p.layout.kv_shards() % d.layout.kv_shards() != 0)
    diagnostics.error("E0354", d.origin("sp").where,
                      fmt::format("pcp x dcp of prefill must be a multiple of that of decode: {} and {}",
                                  p.layout.kv_shards(), d.layout.kv_shards()),
                      kMooncake, "");
  if (p.layout.kv_shards() > 1 && d.layout.kv_shards() > 1 && p.limits.kv_interleave != d.limits.kv_interleave)
    diagnostics.error("E0354", d.origin("kv_cache.interleave").where,
                      fmt::format("cp-kv-cache-interleave-size must be the same on both sides: {} and {}",
                                  p.limits.kv_interleave, d.limits.kv_interleave),
                      kMooncake, "");
}

}  // namespace ascendsim
