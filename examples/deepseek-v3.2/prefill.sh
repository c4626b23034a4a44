#!/bin/bash
# Prefill node of a pair on one Atlas 800T A3: DSA-CP keeps q_b and o_proj whole on every rank, layer sharding leaves each rank those of
# every 16th layer (vLLM-Ascend, Layer Sharding Linear Guide). The decode side is not described here.
export VLLM_ASCEND_ENABLE_FLASHCOMM1=1
export HCCL_OP_EXPANSION_MODE=AIV
vllm serve /weights/DeepSeek-V3.2-W8A8 \
  --served-model-name deepseek-v3.2 \
  --tensor-parallel-size 16 \
  --enable-expert-parallel \
  --quantization ascend \
  --max-num-seqs 8 \
  --max-model-len 33000 \
  --max-num-batched-tokens 33000 \
  --gpu-memory-utilization 0.92 \
  --no-enable-prefix-caching \
  --enforce-eager \
  --kv-transfer-config '{"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_producer", "kv_port": "30000"}' \
  --additional-config '{"layer_sharding": ["q_b_proj", "o_proj"]}'
