#include "strategies/engines/sglang/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "strategies/engines/launch/reader.h"

namespace ascendsim {

namespace {

class SglangReader : LaunchReader {
 public:
  SglangReader(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics)
      : LaunchReader(command, context, diagnostics) {}

  LaunchedNode read() {
    options_.apply(question_);
    read_model();
    if (const auto attention = options_.text("attention-backend"); attention && *attention != "ascend")
      diagnostics_.warning("W0331", options_.where("attention-backend"),
                           fmt::format("--attention-backend {} is not for Ascend: ascend is simulated", *attention),
                           "SGLang on Ascend: ascend", "--attention-backend ascend");
    read_layout();
    read_experts();
    read_limits();
    read_rest();
    read_nodes();
    return finish();
  }

 private:
  [[nodiscard]] bool on(std::string_view flag) const { return options_.has(flag); }
  [[nodiscard]] bool has(std::string_view feature) const {
    return context_.versions.has(feature, context_.engine_version);
  }

  void read_model() {
    const WeightName name = read_model_name(options_.word("model-path"), "--model-path PATH");
    const SourceLocation where = options_.where("quantization");
    if (!asked_quantisation()) {
      const auto written = options_.text("quantization");
      if (!written && !name.scheme.empty() && has("quantisation_from_files"))
        quantisation_from_name(name, where, "quantization");
      else if (!written)
        question_.quantisation = "float";
      else if (*written == "w8a8_int8")
        set(field::kQuantisation, "w8a8", where);
      else if (*written == "modelslim")
        quantisation_from_name(name, where, "quantization");
      else
        diagnostics_.error("E0422", where, fmt::format("--quantization {} is not one of Ascend's", *written),
                           "SGLang on Ascend: w8a8_int8, modelslim");
    }
    read_dtype("dtype");
  }

  void read_layout() {
    Layout& l = question_.deployment.layout;
    const std::int64_t ranks = options_.integer("tp-size").value_or(1), dp = options_.integer("dp-size").value_or(1);
    const bool attention = on("enable-dp-attention");
    const std::int64_t groups = attention ? dp : 1;
    std::int64_t cp = 1;
    const char* cp_option = "tp-size";
    for (const char* option : {"cp-size", "attn-cp-size"})
      if (const auto v = options_.integer(option)) {
        cp = *v;
        cp_option = option;
      }
    for (const char* flag : {"enable-prefill-cp", "enable-prefill-context-parallel",
                             "enable-dsa-prefill-context-parallel", "enable-nsa-prefill-context-parallel"})
      if (on(flag) && cp == 1) {
        cp = std::max<std::int64_t>(1, ranks / groups);
        cp_option = flag;
      }
    for (const char* option : {"nsa-prefill-cp-mode", "dsa-prefill-cp-mode", "prefill-cp-mode", "cp-strategy"}) {
      const auto strategy = options_.text(option);
      if (!strategy) continue;
      const SourceLocation where = options_.where(option);
      const bool zigzag = *strategy == "zigzag" || *strategy == "in-seq-split";
      if (zigzag || *strategy == "interleave" || *strategy == "round-robin-split")
        set(field::kCpPartition, zigzag ? PromptPartition::kZigzag : PromptPartition::kRoundRobin, where);
      else
        diagnostics_.error("E0422", where, fmt::format("unknown --{} '{}'", option, *strategy),
                           "SGLang: zigzag (in-seq-split), interleave (round-robin-split)", "--cp-strategy zigzag");
    }
    if (dp > 1 && !attention)
      diagnostics_.warning(
          "W0331", options_.where("dp-size"),
          fmt::format("--dp-size {} without --enable-dp-attention: whole replicas; one of them is simulated", dp),
          "sglang/srt/server_args.py", "--enable-dp-attention for data parallelism inside the instance");
    if (ranks % (groups * cp) != 0)
      diagnostics_.error("E0440", options_.where(cp > 1 ? cp_option : "dp-size"),
                         fmt::format("tp-size {} must be a multiple of dp {} x cp {}", ranks, groups, cp),
                         "SGLang: attention TP = tp / (dp x cp)", "");
    if (cp > 1 && dp > 1)
      diagnostics_.error("E0441", options_.where(cp_option),
                         fmt::format("one of context and data parallelism: cp is {}, dp-size is {}", cp, dp),
                         "sgl-project/sglang#12207: CP reuses the DP communication domain, and only one of CP or DP "
                         "can be selected in prefill",
                         "--dp-size 1");
    if (cp > 1 && on("cp-size"))
      diagnostics_.note("A0140", options_.where("cp-size"),
                        "--cp-size is from pull request 12207, which was closed: SGLang itself has --enable-prefill-cp "
                        "--cp-strategy");
    set(field::kDp, groups, options_.where("dp-size"));
    set(field::kCp, cp, options_.where(cp_option));
    set(field::kTp, std::max<std::int64_t>(1, ranks / (groups * cp)), options_.where("tp-size"));
    l.sp = 1;
    ranks_ = l.dp * l.cp * l.tp;
  }

  void read_experts() {
    const std::string backend = options_.text("moe-a2a-backend").value_or(on("enable-deepep-moe") ? "deepep" : "none");
    std::int64_t ep = options_.integer("ep-size").value_or(1);
    if (on("enable-ep-moe")) ep = ranks_;
    if (backend != "none") {
      ep = ranks_;  // deepep: ep-size = tp-size
      set(field::kCommunication,
          backend == "ascend_fuseep" ? ExpertCommunication::kFusedMc2 : ExpertCommunication::kAllToAll,
          options_.where("moe-a2a-backend"));
      if (backend != "deepep" && backend != "ascend_fuseep")
        diagnostics_.warning("W0331", options_.where("moe-a2a-backend"),
                             fmt::format("--moe-a2a-backend {} is not modelled: rows travel as with deepep", backend));
    } else {
      set(field::kCommunication, ExpertCommunication::kAllGather, options_.where("moe-a2a-backend"));
    }
    if (ranks_ % ep != 0)
      diagnostics_.error("E0440", options_.where("ep-size"),
                         fmt::format("tp-size {} must be a multiple of ep-size {}", ranks_, ep),
                         "SGLang: MoE TP = tp / ep", "");
    set(field::kMoeEp, ep, options_.where(options_.has("ep-size") ? "ep-size" : "moe-a2a-backend"));
  }

  void read_limits() {
    Limits& m = question_.deployment.limits;
    const std::int64_t dp = question_.deployment.layout.dp;
    integer_default("page-size", m.block_tokens);
    if (const auto v = options_.integer("page-size")) m.block_tokens = *v;
    // Of all DP ranks there, of one here; the default is of one.
    const auto running = options_.integer("max-running-requests");
    integer_default("max-running-requests", m.max_batch);
    set(field::kMaxBatch, running ? std::max<std::int64_t>(1, *running / dp) : m.max_batch,
        options_.where("max-running-requests"));
    if (running && dp > 1)
      diagnostics_.note(
          "A0141", options_.where("max-running-requests"),
          fmt::format("--max-running-requests {} is of all DP ranks: {} for each of {}", *running, m.max_batch, dp));
    std::int64_t prefill = 0, chunk = 0;
    integer_default("max-prefill-tokens", prefill);
    integer_default("chunked-prefill-size", chunk);
    prefill = options_.integer("max-prefill-tokens").value_or(prefill);
    chunk = options_.integer("chunked-prefill-size").value_or(chunk);
    question_.deployment.features.splitfuse = chunk > 0;
    // Chunks alone cut a prompt: max-prefill-tokens does not where it is the first of its batch
    // (sglang/srt/managers/schedule_policy.py, PrefillAdder).
    if (chunk > 0) {
      if (dp > 1)
        diagnostics_.note(
            "A0141", options_.where("chunked-prefill-size"),
            fmt::format("--chunked-prefill-size {} is of all DP ranks: {} for each of {}", chunk, chunk / dp, dp));
      prefill = std::max<std::int64_t>(1, chunk / dp);
    }
    set(field::kMaxBatchedTokens, prefill, options_.where("max-prefill-tokens"));
    if (!options_.has("mem-fraction-static")) assume_memory_fraction(chunk, running);
    const SourceLocation where = options_.where("kv-cache-dtype");
    if (const auto dtype = options_.text("kv-cache-dtype");
        dtype && *dtype != "auto" && *dtype != "bfloat16" && *dtype != "bf16") {
      diagnostics_.error("E0422", where, fmt::format("--kv-cache-dtype {} is not simulated", *dtype),
                         "auto, bfloat16; an 8-bit cache comes with the weights", "--kv-cache-dtype auto");
    }
  }

  // Requests of the largest decode graph.
  [[nodiscard]] std::int64_t largest_graph() const {
    for (const char* option : {"cuda-graph-bs-decode", "cuda-graph-bs"})
      if (const auto sizes = options_.integers(option); !sizes.empty()) return std::ranges::max(sizes);
    for (const char* option : {"cuda-graph-max-bs-decode", "cuda-graph-max-bs"})
      if (const auto most = options_.integer(option)) return *most;
    const auto usual = parse_human_integer(options_.usual("cuda-graph-max-bs")).value_or(0);
    constexpr std::int64_t kFewRanks = 4, kOfFewRanks = 64;  // server_args.py, dies of 64 GB
    return ranks_ < kFewRanks ? std::min(usual, kOfFewRanks) : usual;
  }

  // server_args.py: the share that is left when what is neither weights nor KV pool has its own, in MiB. Of a die of
  // 64 GB, which is what NPUs of these servers have.
  void assume_memory_fraction(std::int64_t chunk, std::optional<std::int64_t> running) {
    constexpr double kDie = 62'740, kLeast = 10'240, kBase = 512, kOfRow = 1.5, kOfGraph = 2, kOfRank = 128;
    constexpr double kOfDpGraph = 3, kOfLargeDpGraph = 1.5, kDrafts = 2048, kDispatch = 2048;
    constexpr std::int64_t kFewestRows = 2048, kLargeGraph = 300;
    const auto mode = options_.text("disaggregation-mode").value_or("null");
    const bool lean = has("lean_decode_reserve"), graphs_run = mode != "prefill" || !lean;
    const std::int64_t dp = on("enable-dp-attention") ? options_.integer("dp-size").value_or(1) : 0;
    const std::int64_t drafts = options_.integer("speculative-num-draft-tokens").value_or(1);
    const std::int64_t rows = lean && mode == "decode" && running ? *running * drafts : chunk;
    const auto graph = static_cast<double>(graphs_run && !on("disable-cuda-graph") ? largest_graph() : 0);
    double reserved = kBase + kOfRow * static_cast<double>(std::max(rows, kFewestRows)) + kOfGraph * graph +
                      kOfRank * static_cast<double>(ranks_ * options_.integer("pp-size").value_or(1));
    reserved += (kOfDpGraph + (graph > kLargeGraph ? kOfLargeDpGraph : 0)) * graph * static_cast<double>(dp);
    reserved = std::max(reserved, kLeast) + (options_.has("speculative-algorithm") ? kDrafts : 0);
    if (lean && graph > 0 && options_.text("moe-a2a-backend") == "deepep") reserved += kDispatch;
    constexpr double kDigits = 1000;
    const double share = std::round((1 - reserved / kDie) * kDigits) / kDigits;
    question_.deployment.memory_fraction = std::max(share, 1 / kDigits);
    options_.assume(
        "mem-fraction-static", fmt::format("{}", question_.deployment.memory_fraction),
        fmt::format("worked out from chunk, graphs and ranks: {:.0f} MiB of a die of 64 GB are kept", reserved));
  }

  // In requests; full decode graphs serve tokens of whole requests.
  void read_captured_sizes() {
    for (const char* option : {"cuda-graph-bs", "cuda-graph-bs-decode"}) {
      std::vector<std::int64_t> sizes = options_.integers(option);
      if (sizes.empty()) continue;
      const std::int64_t tokens =
          options_.has("speculative-algorithm") ? options_.integer("speculative-num-draft-tokens").value_or(1) : 1;
      for (std::int64_t& s : sizes) s *= tokens;
      std::ranges::sort(sizes);
      sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
      if (sizes.front() < 1) {
        diagnostics_.error("E0422", options_.where(option), fmt::format("--{} must be positive", option),
                           "sglang/srt/server_args.py");
        continue;
      }
      set(field::kCaptureSizes, std::move(sizes), options_.where(option));
      set(field::kGraphMode, GraphMode::kFullDecode, options_.where(option));
    }
  }

  void read_rest() {
    Features& f = question_.deployment.features;
    f.prefix_cache = !on("disable-radix-cache");
    if (on("disable-radix-cache")) set(field::kPrefixCache, false, options_.where("disable-radix-cache"));
    set(field::kAsyncScheduling, !on("disable-overlap-schedule"), options_.where("disable-overlap-schedule"));
    read_captured_sizes();
    if (on("disable-cuda-graph")) set(field::kGraphMode, GraphMode::kEager, options_.where("disable-cuda-graph"));
    const auto algorithm = options_.text("speculative-algorithm");
    if (algorithm) {
      const SourceLocation where = options_.where("speculative-algorithm");
      if (*algorithm != "NEXTN" && *algorithm != "EAGLE")
        diagnostics_.warning(
            "W0331", where,
            fmt::format("--speculative-algorithm {} is not modelled: drafts cost what those of MTP cost", *algorithm));
      const std::int64_t tokens = options_.integer("speculative-num-draft-tokens").value_or(0);
      const std::int64_t steps =
          options_.integer("speculative-num-steps").value_or(std::max<std::int64_t>(1, tokens - 1));
      set(field::kSpeculativeTokens, steps,
          options_.where(options_.has("speculative-num-steps") ? "speculative-num-steps" : "speculative-algorithm"));
      if (options_.integer("speculative-eagle-topk").value_or(1) > 1)
        diagnostics_.warning("W0331", options_.where("speculative-eagle-topk"),
                             "trees of drafts are not modelled: one chain is simulated");
    }
    read_collectives();
    const auto mode = options_.text("disaggregation-mode");
    if (mode && *mode != "null")
      set(field::kRole, *mode == "prefill" ? Role::kPrefill : Role::kDecode, options_.where("disaggregation-mode"));
  }

  void read_nodes() {
    node_.nodes = options_.integer("nnodes").value_or(1);
    node_.node_rank = options_.integer("node-rank");
    node_.port = options_.integer("port");
    if (node_.nodes > 1) {
      node_.address = options_.text("dist-init-addr").value_or("");
      set(field::kServers, node_.nodes, options_.where("nnodes"));
    }
  }

  std::int64_t ranks_ = 1;
};

}  // namespace

LaunchedNode import_sglang(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics) {
  return SglangReader(command, context, diagnostics).read();
}

}  // namespace ascendsim
