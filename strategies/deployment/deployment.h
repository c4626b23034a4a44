// One deployment of one model instance, engine-neutral: what importers produce, rules check and programs are built
// from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/diagnostics.h"
#include "sim/units.h"
#include "strategies/collectives/expansion.h"
#include "strategies/deployment/engine.h"
#include "strategies/deployment/partitions.h"
#include "workloads/model.h"
#include "workloads/quantisation.h"
#include "workloads/workload.h"

namespace ascendsim {

enum class Phase : std::uint8_t { kPrefill, kDecode };

// Prefill-decode hybrid (one instance does both) or one side of a disaggregated pair.
enum class Role : std::uint8_t { kHybrid, kPrefill, kDecode };

// How context-parallel ranks get the latent of the tokens that they do not have. kRing: handed on from neighbour to
// neighbour, block attention meanwhile; no engine here does that for MLA.
enum class LatentExchange : std::uint8_t { kAllGather, kRing };

// Degrees of parallelism; world = pp * dp * cp * tp ranks. sp splits only the KV cache, inside the tp group.
// vLLM-Ascend: cp is its prefill context parallelism (PCP), sp its decode context parallelism (DCP).
struct Layout {
  std::int64_t dp = 1, cp = 1, sp = 1, tp = 1, pp = 1;
  PromptPartition cp_partition = PromptPartition::kZigzag;
  LatentExchange cp_exchange = LatentExchange::kAllGather;
  bool cp_whole_cache = false;  // SGLang: every cp rank keeps all tokens; else cp cuts the cache as sp does
  std::int64_t moe_ep = 1, moe_tp = 1;
  std::int64_t ep_level = 1;  // MindIE: 1 all-gather EP, 2 all-to-all EP
  std::int64_t lm_head_local_tp = -1, o_proj_local_tp = -1;
  std::int64_t embedding_local_tp = -1, mlp_local_tp = -1;  // over DP groups (vLLM-Ascend, fine-grained TP)
  [[nodiscard]] std::int64_t world() const { return pp * dp * cp * tp; }
  [[nodiscard]] std::int64_t kv_shards() const { return (cp_whole_cache ? 1 : cp) * sp; }
  [[nodiscard]] std::int64_t cache_copies() const { return cp * tp / kv_shards(); }  // of a sequence, in a DP group
  // Ranks over which o_proj is cut besides tp, and the LM head when it is not cut over the world.
  [[nodiscard]] std::int64_t o_proj_parts() const { return o_proj_local_tp > 0 ? o_proj_local_tp : 1; }
  [[nodiscard]] bool local_head() const { return lm_head_local_tp > 0; }
  [[nodiscard]] std::int64_t lm_head_parts() const { return local_head() ? lm_head_local_tp : 1; }
  // DP groups that share the embedding, and those that share the dense MLP.
  [[nodiscard]] std::int64_t embedding_parts() const { return embedding_local_tp > 0 ? embedding_local_tp : 1; }
  [[nodiscard]] std::int64_t mlp_parts() const { return mlp_local_tp > 0 ? mlp_local_tp : 1; }
};

// Who picks how rows reach experts in a step. kAuto: the engine, by phase, size and hardware. vLLM-Ascend's fused MC2
// is one kernel for steps of any size (dispatch_ffn_combine), or one for few rows alone (dispatch_gmm_combine_decode).
enum class ExpertCommunication : std::uint8_t { kAuto, kAllGather, kAllToAll, kMc2, kFusedMc2, kFusedMc2Decode };

// How rows reach experts: every rank sees all rows (MindIE ep_level 1), padded buffers of 16-bit rows (ep_level 2), or
// int8 rows and real counts.
enum class ExpertExchange : std::uint8_t { kAllGather, kAllToAllPadded, kAllToAll };

// How experts are placed and reached, beyond what the layout says. The defaults are MindIE's.
struct ExpertOptions {
  ExpertCommunication communication = ExpertCommunication::kAuto;
  std::int64_t redundant = 0;  // replicas of experts over all moe_ep ranks together
  // The first ranks of the moe_ep group hold the shared expert and no routed one, the others no shared one (CANN
  // MoeDistributeDispatch, sharedExpertRankNum); 0 = every rank computes its own rows in a copy of its own.
  std::int64_t shared_ranks = 0;
  // How unequally experts are loaded: measured loads, one for each physical expert in the order of ranks, on any scale;
  // or the busiest rank's load against the mean, spread by a seeded router (expert_loads.h).
  std::vector<double> loads{};
  double imbalance = 1;
  std::int64_t seed = 1;
  std::vector<std::int64_t> rank_loads{};  // what follows from these (routed_loads()); empty = all alike
  bool exact_all_to_all = false;  // ep_level 2 prefill: int8 rows and real counts instead of padded 16-bit buffers
};

// Limits of the engine's scheduler; counts are per DP group.
struct Limits {
  std::int64_t max_seq_len = 0, max_input_tokens = 0;
  std::int64_t max_prefill_tokens = 0, max_prefill_batch = 0, max_batch = 0;
  std::int64_t block_tokens = 128;
  std::int64_t kv_interleave = 0;  // tokens in a row on one of the cp x sp cache shards; 0 = a whole block
  std::int64_t max_batched_tokens =
      0;  // vLLM: tokens of any step, prompts and decodes together; 0 = max_prefill_tokens
};

// kStack: as the stack's figures assume. The others are vLLM's words.
enum class GraphMode : std::uint8_t { kStack, kEager, kPiecewise, kFullDecode };

// Captured graphs: a decode batch is padded to the next size, larger ones are launched kernel by kernel.
struct GraphOptions {
  GraphMode mode = GraphMode::kStack;
  std::vector<std::int64_t> capture_sizes{};  // in tokens; empty = the engine's own
};

// How a prompt's cache gets from the prefill to the decode side.
struct KvTransferOptions {
  std::string connector{};  // MooncakeConnectorV1, ...; empty = none, or the engine's only one
  bool layer_wise = false;  // pushed layer by layer while prefill runs, instead of pulled after it
};

// What else the engine was asked to do; rules need to know it.
struct Features {
  std::int64_t speculative_tokens = 0;  // MTP
  bool async_scheduling = false;        // the next step is scheduled while one runs
  bool prefix_cache = false, splitfuse = false, kv_nz = false;
  bool flashcomm1 = false;  // vLLM-Ascend: the residual stream stays scattered over the tp group
};

// Layers of one stage of a pipeline, [first, end); end = 0: all.
struct StageLayers {
  std::int64_t first = 0, end = 0;
};

// Where a value of the deployment was written, or that it was not and is assumed.
struct Origin {
  SourceLocation where;
  bool assumed = true;
};

// vLLM-Ascend additional_config layer_sharding: weights of which a rank holds those of a few layers, and which are
// broadcast ahead.
struct LayerSharding {
  bool o_proj = false, q_b = false;
  [[nodiscard]] bool any() const { return o_proj || q_b; }
};

struct Deployment {
  const Engine* engine = &kGenericEngine;         // never null
  std::string engine_name, engine_version, file;  // of the stack, which may have no engine of its own
  bool one_server = false;                        // its file says that no second server takes part
  bool own_words = false;                         // the file is ours: messages name its keys as it does
  Role role = Role::kHybrid;
  Model model;
  Quantisation quantisation;
  Dtype dtype = Dtype::kFp16;
  Layout layout;
  StageLayers stage;  // of what `layout` says with pp = 1 (pipeline.h)
  ExpertOptions experts;
  // Prefill "SP-TP-SP" of cann-recipes: outside attention every TP rank keeps its own tokens and whole o_proj weights.
  bool token_split_prefill = false;
  bool kv_int8 = false;            // "C8": int8 latent, 16-bit rope columns, int8 index key in the cache
  std::int64_t micro_batches = 1;  // 1 or 2: halves of the batch that overlap on two lanes of streams
  Limits limits;
  Features features;
  GraphOptions graph;
  KvTransferOptions kv_transfer;
  LayerSharding layer_sharding;
  std::int64_t kv_b_copies = 1;               // 2: kv_b is kept once more in absorbed form (vLLM-Ascend)
  std::optional<Bytes> communication_buffer;  // HCCL_BUFFSIZE of every communicator; empty = the stack's
  std::optional<Expansion> expansion;         // HCCL_OP_EXPANSION_MODE; empty = HCCL's choice by product and size
  std::int64_t pool_tokens = 0;               // SGLang max-total-tokens: KV tokens of a DP group; 0 = what memory gives
  double memory_fraction = 0;        // of the memory the driver shows: weights, KV, activations, buffers, runtime
  std::optional<Bytes> kv_memory;    // npuMemSize: KV memory fixed by hand instead
  bool init_routing_cutoff = false;  // ep_level 1: rows allocated = top_k * topk_scaling_factor * tokens
  double topk_scaling_factor = 1;
  double compute_skew = 0;  // compute time of the slowest rank less that of the fastest, against the mean
  // ep_level 2, padded all-to-all: (tokens on the rank at least, factor), descending; empty = the engine's formula.
  std::vector<std::pair<std::int64_t, double>> all_to_all_scale;
  std::map<std::string, Origin, std::less<>> origins;  // by the engine's own key: "tp", "maxInputTokenLen"
  [[nodiscard]] const EngineTraits& traits() const { return engine->traits; }
  // As the stack names it; empty while it is not known.
  void set_engine(std::string name, std::string version = {});
  [[nodiscard]] ExpertExchange exchange() const {
    return layout.ep_level == 1       ? ExpertExchange::kAllGather
           : experts.exact_all_to_all ? ExpertExchange::kAllToAll
                                      : ExpertExchange::kAllToAllPadded;
  }
  void set_exchange(ExpertExchange exchange) {
    layout.ep_level = exchange == ExpertExchange::kAllGather ? 1 : 2;
    experts.exact_all_to_all = exchange == ExpertExchange::kAllToAll;
  }
  [[nodiscard]] std::int64_t first_layer() const { return stage.first; }
  [[nodiscard]] std::int64_t end_layer() const { return stage.end > 0 ? stage.end : model.layers; }
  [[nodiscard]] bool first_stage() const { return stage.first == 0; }
  [[nodiscard]] bool last_stage() const {
    return end_layer() == model.layers;
  }  // with the head, and the layer that drafts
  [[nodiscard]] std::int64_t physical_experts() const { return model.experts + experts.redundant; }
  // Of a rank that holds routed ones.
  [[nodiscard]] std::int64_t experts_per_rank() const {
    return ceil_div(physical_experts(), layout.moe_ep - experts.shared_ranks);
  }
  // Rows that a token sends to experts on other ranks, or on its own.
  [[nodiscard]] std::int64_t copies_per_token() const { return model.top_k + (experts.shared_ranks > 0 ? 1 : 0); }
  // One token in one layer's KV cache: the latent and the rope key, and for sparse attention the index key.
  [[nodiscard]] Bytes cached_token_layer() const { return cached_latent() + cached_index_key(); }
  [[nodiscard]] Bytes cached_latent() const;
  [[nodiscard]] Bytes cached_index_key() const;
  // Layers with a KV cache: one more for MTP, however many tokens it drafts (MindIE kvcache_settings.py).
  [[nodiscard]] std::int64_t cached_layers() const {
    return end_layer() - first_layer() + (last_stage() && features.speculative_tokens > 0 ? 1 : 0);
  }
  [[nodiscard]] const Origin& origin(std::string_view key) const;
};

}  // namespace ascendsim
