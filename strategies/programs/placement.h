// Which collective stands where in a decoder layer: MindIE's general rule over *streams*, the number of distinct token
// partitions before, inside and after the feed-forward part (Ascend/MindIE-LLM decoder_layer.cpp,
// CalculateDataPartition and CalculateCommType). Or, where rows stay scattered, vLLM-Ascend's FlashComm1.
#pragma once

#include "strategies/deployment/deployment.h"

namespace ascendsim {

struct Placement {
  bool attention_all_reduce = false, attention_reduce_scatter = false, attention_all_gather = false;
  bool ffn_all_reduce = false, ffn_reduce_scatter = false, ffn_all_gather = false;
  bool ffn_within_tp = false;  // gather before it and scatter after it: over the TP group, not the world
};
Placement place_collectives(const Layout& layout, bool moe_layer, bool last_layer);

// vLLM-Ascend's FlashComm1 (VLLM_ASCEND_ENABLE_FLASHCOMM1): the residual stream stays cut by rows over the TP group
// from the embedding to the LM head. Attention gathers its compressed queries and latents instead of hidden rows, 2,112
// columns for 7,168; the dense MLP gathers and scatters; experts take a rank's own rows. Models with experts and tp > 1
// only, in every step whatever its size (vllm_ascend/ascend_forward_context.py, v0.15.0rc1).
bool runs_flashcomm(const Deployment& deployment);
Placement place_flashcomm(const Layout& layout, bool moe_layer);
// vLLM-Ascend without it, where rows travel to experts: the residual stream is whole on every rank of a TP group, which
// takes its share of rows for the exchange and gathers the results; the shared expert is cut over the TP group and
// summed by an all-reduce of its own (vllm_ascend/ops/fused_moe/prepare_finalize.py, fused_moe.py, v0.15.0rc1).
bool shares_rows_for_experts(const Deployment& deployment);
Placement place_whole_rows(const Layout& layout, bool moe_layer);
// Whether a rank keeps only its own rows of the residual stream between layers: FlashComm1, or the token split of
// prefill.
bool scatters_rows(const Deployment& deployment, Phase phase);

}  // namespace ascendsim
