#!/bin/bash
# DeepSeek-V3.2 on one Atlas 800I A3 as vLLM-Ascend's nightly test starts it (tests/e2e/nightly/single_node/models/configs/
# DeepSeek-V3.2-W8A8.yaml): with FlashComm1 the TP group splits tokens in attention too (DSA-CP).
export VLLM_ASCEND_ENABLE_FLASHCOMM1=1
export HCCL_OP_EXPANSION_MODE=AIV
vllm serve /weights/DeepSeek-V3.2-W8A8 \
  --served-model-name deepseek-v3.2 \
  --data-parallel-size 2 \
  --tensor-parallel-size 8 \
  --enable-expert-parallel \
  --quantization ascend \
  --max-num-seqs 8 \
  --max-model-len 8192 \
  --max-num-batched-tokens 8192 \
  --gpu-memory-utilization 0.92 \
  --no-enable-prefix-caching \
  --async-scheduling \
  --speculative-config '{"num_speculative_tokens": 3, "method": "mtp"}' \
  --compilation-config '{"cudagraph_mode": "FULL_DECODE_ONLY"}'
