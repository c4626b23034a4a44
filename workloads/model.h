// Model shapes. A model file (workloads/models/*.yaml, or a HuggingFace config.json) uses HuggingFace's own key names.
// Source of the shapes: deepseek-ai/DeepSeek-V3 inference/configs/config_671B.json and README_WEIGHTS.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.h"
#include "sim/program.h"

namespace ascendsim {

struct Model {
  std::string name;    // "DeepSeek-R1"
  std::string origin;  // the file it was read from
  std::int64_t hidden = 0, vocabulary = 0, layers = 0, dense_layers = 0;
  std::int64_t heads = 0, q_rank = 0, kv_rank = 0, nope = 0, rope = 0, value = 0;  // MLA widths
  std::int64_t dense_width = 0, expert_width = 0;
  std::int64_t experts = 0, shared_experts = 0, top_k = 0;
  std::int64_t expert_groups = 0, kept_groups = 0;  // the router keeps the best groups, then takes the best experts
  double routed_scale = 2.5;                        // routed_scaling_factor
  // DeepSeek sparse attention: an indexer of `index_heads` heads of `index_width` columns chooses `index_top_k` keys
  // for every query (DeepSeek-V3.2-Exp, inference/model.py). All three 0: every query attends to all keys.
  std::int64_t index_heads = 0, index_width = 0, index_top_k = 0;
  std::int64_t mtp_layers = 0;  // next-token-prediction layers in the checkpoint
  std::int64_t max_positions = 0;
  std::optional<Dtype> dtype;  // torch_dtype, when the file says

  [[nodiscard]] std::int64_t moe_layers() const { return layers - dense_layers; }
  [[nodiscard]] std::int64_t qk_width() const { return nope + rope; }
  [[nodiscard]] bool sparse() const { return index_top_k > 0; }
  [[nodiscard]] std::int64_t cache_width() const { return kv_rank + rope; }  // columns a token of the KV cache
};

// Exact parameter counts, by module instance and in total.
struct ParameterCounts {
  std::int64_t indexer_layer;  // 0 without sparse attention; not part of attention_layer
  std::int64_t attention_layer, dense_mlp, gate, expert, shared_expert, moe_layer, embedding, lm_head;
  std::int64_t main;        // all layers, embedding, final norm, LM head
  std::int64_t active;      // touched by one token, embedding table included
  std::int64_t mtp_unique;  // of one MTP layer, without its copies of embedding and head
  std::int64_t checkpoint;  // with the MTP layers as stored
};
ParameterCounts count_parameters(const Model& model);

// FLOPs of prefilling one prompt, all causal pairs exact, nothing redundant; one row of logits. Sparse attention runs
// in the absorbed form: kv_b is then W_UK on the queries and W_UV on the outputs, as many FLOPs as expanding keys.
struct PrefillFlops {
  Flops attention_core, attention_linear, kv_b, dense, routed, shared, gate, head, index_scores, index_linear;
  [[nodiscard]] Flops total() const;
};
PrefillFlops prefill_flops(const Model& model, std::int64_t tokens);

class ModelLibrary {
 public:
  explicit ModelLibrary(std::string folder);             // workloads/models
  [[nodiscard]] std::vector<std::string> names() const;  // "DeepSeek-R1", ... sorted
  // name: of a library model, in any spelling of case and separators, with or without a release date ("-0528"); unknown
  // names are diagnosed with the list.
  [[nodiscard]] Model load(std::string_view name, const SourceLocation& where, Diagnostics&) const;
  // The library's own spelling ("deepseek_r1" -> "DeepSeek-R1"); `name` itself when it is none of the library.
  [[nodiscard]] std::string proper_name(std::string_view name) const;

 private:
  std::string folder_;
};

// A HuggingFace config.json (or one of our model files). Models that are not DeepSeek-V3-like are diagnosed.
Model read_model(const std::string& path, Diagnostics&);

}  // namespace ascendsim
