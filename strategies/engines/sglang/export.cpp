// Scripts of SGLang on Ascend: one for each server, a router in front of a pair, a benchmark. Options:
// strategies/engines/sglang/options.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/engines/launch/script.h"
#include "strategies/engines/sglang/import.h"
#include "strategies/engines/sglang/parts.h"

namespace ascendsim {

namespace {

// A user changes them like the addresses.
constexpr std::int64_t kPort = 30000, kRouterPort = 8000, kInitPort = 5000;

class SglangScripts final : public ScriptWriter {
 public:
  SglangScripts(const ExportRequest& request, Diagnostics& diagnostics)
      : ScriptWriter(request, kSglangEngine, diagnostics) {}

 private:
  void add_others() override {
    if (pair()) router();
    benchmark();
  }

  LaunchScript script(const ExportSide& side, std::int64_t node) const override {
    const Question& q = side.question;
    const Deployment& d = q.deployment;
    LaunchScript s = begun(side, node);
    for (const auto& [name, value] :
         {std::pair{"PYTORCH_NPU_ALLOC_CONF", "expandable_segments:True"}, {"STREAMS_PER_DEVICE", "32"}})
      s.environment.push_back({name, value});
    s.program = "python3 -m sglang.launch_server --model-path \"$MODEL_PATH\"";
    s.add("host", "0.0.0.0");
    s.add("port", kPort);
    s.add("served-model-name", shell_quoted(d.model.name));
    s.add("trust-remote-code");
    s.add("device", "npu");
    s.add("attention-backend", "ascend");
    // Scales of W8A8 weights are known to SGLang; other schemes are read from what ModelSlim wrote beside the weights.
    if (q.quantisation == "w8a8")
      s.add("quantization", "w8a8_int8");
    else if (q.quantisation != "float")
      s.add("quantization", "modelslim");
    s.add("dtype", std::string(word_of(q.deployment.dtype)));
    layout(s, side, node);
    limits(s, d);
    rest(s, d);
    return s;
  }

  void layout(LaunchScript& s, const ExportSide& side, std::int64_t node) const {
    const Question& q = side.question;
    const Layout& l = q.deployment.layout;
    const std::int64_t ranks = l.dp * l.cp * l.tp;
    s.add("tp-size", ranks);
    if (l.pp > 1) s.add("pp-size", l.pp);
    if (l.dp > 1) {
      s.add("dp-size", l.dp);
      s.add("enable-dp-attention");
    }
    if (l.cp > 1) s.add("attn-cp-size", l.cp);
    if (l.cp > 1 && l.cp_partition == PromptPartition::kRoundRobin) s.add("cp-strategy", "interleave");
    const bool travels = l.moe_ep == ranks && l.moe_ep > 1 && q.deployment.exchange() != ExpertExchange::kAllGather;
    if (travels)
      s.add("moe-a2a-backend",
            q.deployment.experts.communication == ExpertCommunication::kFusedMc2 ? "ascend_fuseep" : "deepep");
    if (travels && q.deployment.experts.communication != ExpertCommunication::kFusedMc2) s.add("deepep-mode", "auto");
    if (l.moe_ep > 1) s.add("ep-size", l.moe_ep);
    if (const std::int64_t more = q.deployment.experts.redundant; more > 0) s.add("ep-num-redundant-experts", more);
    if (side.servers == 1) return;
    s.add("nnodes", side.servers);
    s.add("node-rank", node);
    s.add("dist-init-addr", fmt::format("$master_ip:{}", kInitPort + (q.deployment.role == Role::kDecode ? 1 : 0)));
  }

  void limits(LaunchScript& s, const Deployment& d) const {
    const Limits& m = d.limits;
    const std::int64_t tokens = m.max_batched_tokens > 0 ? m.max_batched_tokens : m.max_prefill_tokens;
    s.add("context-length", m.max_seq_len);
    s.add("max-running-requests", m.max_batch * d.layout.dp);
    s.add("max-prefill-tokens", tokens);
    s.add("chunked-prefill-size", d.features.splitfuse ? tokens * d.layout.dp : -1);
    s.add("page-size", m.block_tokens);
    if (d.pool_tokens > 0) s.add("max-total-tokens", d.pool_tokens);
    // Elsewhere the fraction is of all memory and covers activations too: it would leave them nothing.
    if (d.traits().fraction_of == FractionOf::kWeightsAndCache)
      s.add("mem-fraction-static", fmt::format("{}", d.memory_fraction));
  }

  void rest(LaunchScript& s, const Deployment& d) const {
    if (!d.features.prefix_cache) s.add("disable-radix-cache");
    if (!d.features.async_scheduling) s.add("disable-overlap-schedule");
    if (d.graph.mode == GraphMode::kEager) s.add("disable-cuda-graph");
    if (const std::int64_t drafts = d.features.speculative_tokens; drafts > 0) {
      s.add("speculative-algorithm", "NEXTN");
      s.add("speculative-num-steps", drafts);
      s.add("speculative-eagle-topk", 1);
      s.add("speculative-num-draft-tokens", drafts + 1);
    }
    if (d.role == Role::kHybrid) return;
    s.add("disaggregation-mode", d.role == Role::kPrefill ? "prefill" : "decode");
    s.add("disaggregation-transfer-backend",
          d.engine->is(kSglangEngine) && !d.kv_transfer.connector.empty() ? d.kv_transfer.connector : "ascend");
  }

  void router() {
    out_.files.push_back(
        {"router.sh",
         fmt::format("#!/bin/sh\n# In front of both sides.\npython3 -m sglang_router.launch_router --pd-disaggregation "
                     "\\\n  --prefill http://{}:{} \\\n  --decode http://{}:{} \\\n"
                     "  --policy cache_aware --host 0.0.0.0 --port {}\n",
                     host_of(0), kPort, host_of(1), kPort, kRouterPort),
         0});
  }

  void benchmark() {
    const ExportSide& last = request_.sides.back();
    const Workload w = benchmark_load(last.question);
    out_.files.push_back(
        {"benchmark.sh",
         fmt::format("#!/bin/sh\nMODEL_PATH=${{MODEL_PATH:-{}}}\npython3 -m sglang.bench_serving --backend sglang "
                     "--model \"$MODEL_PATH\" \\\n  --host {} --port {} \\\n"
                     "  --dataset-name random --random-input-len {} --random-output-len {} --random-range-ratio 1 \\\n "
                     " --num-prompts {} --max-concurrency {}\n",
                     weight_folder(last.question), address(0), pair() ? kRouterPort : kPort, w.input_tokens,
                     w.output_tokens, 4 * w.batch, w.batch),
         0, false});
  }
};

constexpr Limitation kLimitations[] = {
    {"layout.cp_exchange", "a what-if: no engine has a ring of latents"},
    {"layout.cp_cache", "SGLang: every cp rank keeps the whole cache"},
    {"kv_cache.dtype", "SGLang on Ascend: an 8-bit cache comes with the weights, no option asks for it"},
    {"layout.sp", "SGLang does not cut the KV cache over the TP group"},
    {"memory_fraction",
     "SGLang: --mem-fraction-static is the share for weights and KV pool alone, other engines' fraction covers "
     "activations too; left at SGLang's default"},
    {"limits.max_input_tokens",
     "SGLang: --context-length limits prompt and output together, prompts have no limit of their own"},
    {"limits.max_prefill_batch", "SGLang: --max-running-requests limits prompts and decodes alike"},
    {"graph.mode", "SGLang: graphs are on, or off with --disable-cuda-graph"},
    {"graph.capture_sizes", "SGLang: --cuda-graph-bs counts requests, not tokens"},
    {"features.flashcomm1", "of vLLM-Ascend"},
    {"weights.layer_sharding", "of vLLM-Ascend"},
    {"experts.communication", "SGLang: deepep, ascend_fuseep, or none (all-gather)"},
    {"layout.o_proj_tp", "SGLang has no local group of o_proj"},
    {"layout.lm_head_tp", "SGLang has no local group of the LM head"},
    {"layout.embedding_tp", "SGLang has no local group of the embedding"},
    {"layout.mlp_tp", "of vLLM-Ascend: a dense MLP shared by DP groups"},
};

}  // namespace

Export write_sglang(const ExportRequest& request, Diagnostics& diagnostics) {
  return SglangScripts(request, diagnostics).write();
}

std::span<const Limitation> sglang_limitations() { return kLimitations; }

}  // namespace ascendsim
