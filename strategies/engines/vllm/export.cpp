// Scripts of vLLM-Ascend: one for each server, a proxy in front of a pair, a benchmark. Options:
// strategies/engines/vllm/options.cpp.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/engines/launch/json_text.h"
#include "strategies/engines/launch/script.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/engines/vllm/parts.h"

namespace ascendsim {

namespace {

// Ports and engine ids as in the tutorial "Long-Sequence Context Parallel (Deepseek)"; a user changes them like the
// addresses.
constexpr std::int64_t kPort = 8004, kProxyPort = 8000, kMasterPort = 7001, kRpcPort = 5980, kTransferPort = 30000;

class VllmScripts final : public ScriptWriter {
 public:
  VllmScripts(const ExportRequest& request, Diagnostics& diagnostics)
      : ScriptWriter(request, kVllmEngine, diagnostics) {}

 private:
  void add_others() override {
    if (pair())
      proxy();
    else if (const Question& q = request_.sides[0].question; q.deployment.role != Role::kHybrid)
      diagnostics_.note("A0151", {},
                        fmt::format("the other side of the pair is not known: kv_connector_extra_config gets the sizes "
                                    "of the {} side for both",
                                    word_of(q.deployment.role)));
    benchmark();
  }
  [[nodiscard]] static int fused_mc2(const Deployment& d) {
    return d.experts.communication == ExpertCommunication::kFusedMc2         ? 1
           : d.experts.communication == ExpertCommunication::kFusedMc2Decode ? 2
                                                                             : 0;
  }
  [[nodiscard]] bool has(const char* feature) const { return request_.versions.has(feature, request_.version); }

  LaunchScript script(const ExportSide& side, std::int64_t node) const override {
    const Question& q = side.question;
    const Deployment& d = q.deployment;
    const Layout& l = d.layout;
    LaunchScript s = begun(side, node);
    for (const auto& [name, value] : {std::pair{"OMP_NUM_THREADS", "1"},
                                      {"OMP_PROC_BIND", "false"},
                                      {"PYTORCH_NPU_ALLOC_CONF", "expandable_segments:True"},
                                      {"TASK_QUEUE_ENABLE", "1"}})
      s.environment.push_back({name, value});
    if (d.features.flashcomm1 && !has("flashcomm1_option"))
      s.environment.push_back({"VLLM_ASCEND_ENABLE_FLASHCOMM1", "1"});
    if (const int level = fused_mc2(d); level > 0 && !has("fused_mc2_option"))
      s.environment.push_back({"VLLM_ASCEND_ENABLE_FUSED_MC2", fmt::to_string(level)});
    if (d.role != Role::kHybrid && l.kv_shards() > 1 && has("context_parallel_environment"))
      s.environment.push_back({"VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL", "1"});
    s.program = "vllm serve \"$MODEL_PATH\"";
    s.add("host", "0.0.0.0");
    s.add("port", kPort);
    s.add("served-model-name", shell_quoted(d.model.name));
    s.add("trust-remote-code");
    layout(s, side, node);
    limits(s, q);
    if (q.quantisation != "float") s.add("quantization", "ascend");
    s.add("dtype", std::string(word_of(q.deployment.dtype)));
    options(s, side, node);
    return s;
  }

  void layout(LaunchScript& s, const ExportSide& side, std::int64_t node) const {
    const Layout& l = side.question.deployment.layout;
    s.add("tensor-parallel-size", l.tp);
    if (l.pp > 1) s.add("pipeline-parallel-size", l.pp);
    if (l.dp > 1) s.add("data-parallel-size", l.dp);
    if (l.cp > 1) s.add("prefill-context-parallel-size", l.cp);
    if (l.sp > 1) s.add("decode-context-parallel-size", l.sp);
    const std::int64_t interleave = side.question.deployment.limits.kv_interleave;
    if (l.kv_shards() > 1)
      s.add("cp-kv-cache-interleave-size", interleave == 0 ? side.question.deployment.limits.block_tokens : interleave);
    if (l.moe_ep > 1) s.add("enable-expert-parallel");
    if (const std::int64_t more = side.question.deployment.experts.redundant; more > 0) {
      if (has("redundant_experts_option")) {
        s.add("num-redundant-experts", more);
      } else {
        s.add("enable-eplb");
        s.add("eplb-config", fmt::format(R"('{{"num_redundant_experts": {}}}')", more));
      }
    }
    if (side.servers == 1) return;
    if (l.dp % side.servers == 0) {  // whole DP groups on each server
      const std::int64_t local = l.dp / side.servers;
      s.add("data-parallel-size-local", local);
      s.add("data-parallel-start-rank", local * node);
      s.add("data-parallel-address", "$master_ip");
      s.add("data-parallel-rpc-port", kRpcPort);
    } else {
      s.add("nnodes", side.servers);
      s.add("node-rank", node);
      s.add("master-addr", "$master_ip");
      s.add("master-port", kMasterPort);
    }
    if (node > 0) s.add("headless");
  }

  void limits(LaunchScript& s, const Question& q) const {
    const Limits& m = q.deployment.limits;
    const Features& f = q.deployment.features;
    // Without chunks a step must take a longest request (vllm/config/scheduler.py).
    std::int64_t tokens = m.max_batched_tokens > 0 ? m.max_batched_tokens : m.max_prefill_tokens;
    if (m.max_batched_tokens == 0)
      tokens = std::max({tokens, m.max_batch * (1 + f.speculative_tokens), f.splitfuse ? 0 : m.max_seq_len});
    s.add("max-model-len", m.max_seq_len);
    s.add("max-num-batched-tokens", tokens);
    s.add("max-num-seqs", m.max_batch);
    s.add("block-size", m.block_tokens);
    // Another kind of fraction would be of something else.
    if (q.deployment.traits().fraction_of == FractionOf::kAllMemory)
      s.add("gpu-memory-utilization", fmt::format("{}", q.deployment.memory_fraction));
    if (q.deployment.kv_memory) s.add("kv-cache-memory-bytes", q.deployment.kv_memory->count());
    s.add(f.splitfuse ? "enable-chunked-prefill" : "no-enable-chunked-prefill");
    s.add(f.prefix_cache ? "enable-prefix-caching" : "no-enable-prefix-caching");
    if (f.async_scheduling) s.add("async-scheduling");
  }

  void options(LaunchScript& s, const ExportSide& side, std::int64_t node) const {
    const Question& q = side.question;
    const Deployment& d = q.deployment;
    if (d.features.speculative_tokens > 0)
      s.add("speculative-config", fmt::format(R"('{{"num_speculative_tokens": {}, "method": "deepseek_mtp"}}')",
                                              d.features.speculative_tokens));
    std::vector<std::string> graph;
    if (d.graph.mode == GraphMode::kPiecewise) graph.emplace_back(R"("cudagraph_mode": "PIECEWISE")");
    if (d.graph.mode == GraphMode::kFullDecode) graph.emplace_back(R"("cudagraph_mode": "FULL_DECODE_ONLY")");
    if (!d.graph.capture_sizes.empty())
      graph.push_back(fmt::format(R"("cudagraph_capture_sizes": [{}])", fmt::join(d.graph.capture_sizes, ", ")));
    if (!graph.empty()) s.add("compilation-config", fmt::format("'{{{}}}'", fmt::join(graph, ", ")));
    if (d.graph.mode == GraphMode::kEager) s.add("enforce-eager");
    std::vector<std::string> more, fine;
    if (d.features.flashcomm1 && has("flashcomm1_option")) more.emplace_back(R"("enable_flashcomm1": true)");
    if (d.layer_sharding.any())
      more.push_back(fmt::format(R"("layer_sharding": [{}])", d.layer_sharding.o_proj && d.layer_sharding.q_b
                                                                  ? R"("q_b_proj", "o_proj")"
                                                              : d.layer_sharding.o_proj ? R"("o_proj")"
                                                                                        : R"("q_b_proj")"));
    if (d.features.kv_nz) more.emplace_back(R"("enable_kv_nz": true)");
    if (const int level = fused_mc2(d); level > 0 && has("fused_mc2_option"))
      more.push_back(fmt::format(R"("enable_fused_mc2": {})", level));
    for (const auto& [key, size] : {std::pair{"oproj", d.layout.o_proj_local_tp},
                                    {"lmhead", d.layout.lm_head_local_tp},
                                    {"embedding", d.layout.embedding_local_tp},
                                    {"mlp", d.layout.mlp_local_tp}})
      if (size > 0) fine.push_back(fmt::format(R"("{}_tensor_parallel_size": {})", key, size));
    if (!fine.empty()) more.push_back(fmt::format(R"("finegrained_tp_config": {{{}}})", fmt::join(fine, ", ")));
    if (!more.empty()) s.add("additional-config", fmt::format("'{{{}}}'", fmt::join(more, ", ")));
    if (d.role != Role::kHybrid) transfer(s, side, node);
  }

  void transfer(LaunchScript& s, const ExportSide& side, std::int64_t node) const {
    const Deployment& d = side.question.deployment;
    const bool prefill = d.role == Role::kPrefill;
    const char* const usual = d.kv_transfer.layer_wise ? "MooncakeLayerwiseConnector" : "MooncakeConnectorV1";
    const bool vllms = d.engine->is(kVllmEngine) && !d.kv_transfer.connector.empty();
    // Each side is told the sizes of both; alone it knows only its own.
    const Layout &first = request_.sides.front().question.deployment.layout,
                 &last = request_.sides.back().question.deployment.layout;
    const auto sizes = [](const Layout& l) { return fmt::format(R"({{"dp_size": {}, "tp_size": {}}})", l.dp, l.tp); };
    s.add(
        "kv-transfer-config",
        fmt::format(
            R"('{{"kv_connector": "{}", "kv_role": "{}", "kv_port": "{}", "engine_id": "{}", "kv_connector_extra_config": {{"prefill": {}, "decode": {}}}}}')",
            vllms ? d.kv_transfer.connector : usual, prefill ? "kv_producer" : "kv_consumer",
            kTransferPort + (prefill ? 0 : 200), first_host_ + static_cast<std::size_t>(node), sizes(first),
            sizes(last)));
  }

  void proxy() {
    out_.files.push_back(
        {"proxy.sh",
         fmt::format(
             "#!/bin/sh\n# In front of both sides: examples/disaggregated_prefill_v1 of vLLM-Ascend has this program.\n"
             "python load_balance_proxy_server_example.py \\\n  --host 0.0.0.0 --port {} \\\n  --prefiller-hosts {} "
             "--prefiller-ports {} \\\n"
             "  --decoder-hosts {} --decoder-ports {}\n",
             kProxyPort, host_of(0), kPort, host_of(1), kPort),
         0});
  }

  void benchmark() {
    const ExportSide& last = request_.sides.back();
    const Workload w = benchmark_load(last.question);
    out_.files.push_back(
        {"benchmark.sh",
         fmt::format("#!/bin/sh\nMODEL_PATH=${{MODEL_PATH:-{}}}\nvllm bench serve --model \"$MODEL_PATH\" "
                     "--served-model-name {} \\\n  --host {} --port {} \\\n"
                     "  --dataset-name random --random-input-len {} --random-output-len {} \\\n  --num-prompts {} "
                     "--max-concurrency {} --request-rate inf --ignore-eos\n",
                     weight_folder(last.question), shell_quoted(last.question.deployment.model.name), address(0),
                     pair() ? kProxyPort : kPort, w.input_tokens, w.output_tokens, 4 * w.batch, w.batch),
         0, false});
  }
};

constexpr Limitation kLimitations[] = {
    {"layout.cp_partition", "vLLM-Ascend cuts prompts into head and tail"},
    {"layout.cp_exchange", "a what-if: no engine has a ring of latents"},
    {"layout.cp_cache", "vLLM-Ascend: pcp cuts the cache as dcp does"},
    {"layout.moe_ep", "vLLM: MoE is cut by pure EP over all ranks of the instance, or by pure TP"},
    {"layout.moe_tp", "vLLM: MoE is cut by pure EP over all ranks of the instance, or by pure TP"},
    {"limits.max_input_tokens",
     "vLLM: --max-model-len limits prompt and output together, prompts have no limit of their own"},
    {"limits.max_prefill_tokens",
     "vLLM: --max-num-batched-tokens limits every step; without chunked prefill it must reach --max-model-len"},
    {"limits.max_prefill_batch", "vLLM: --max-num-seqs limits prompts and decodes alike"},
    {"kv_cache.dtype", "vLLM-Ascend: an 8-bit cache comes with the weights, no option asks for it"},
    {"kv_cache.pool_tokens", "vLLM has no limit in tokens: --kv-cache-memory-bytes"},
    {"experts.exchange", "vLLM-Ascend chooses by phase, size and hardware"},
    {"experts.communication", "vLLM-Ascend chooses by phase, size and hardware; only fused MC2 can be asked for"},
    {"memory_fraction",
     "SGLang's fraction is of weights and KV pool alone, --gpu-memory-utilization of everything; left at vLLM's "
     "default"},
};

}  // namespace

Export write_vllm(const ExportRequest& request, Diagnostics& diagnostics) {
  return VllmScripts(request, diagnostics).write();
}

std::span<const Limitation> vllm_limitations() { return kLimitations; }

}  // namespace ascendsim
