# decode side of a pair, DP32 EP32 on four A2 servers as in vLLM-Ascend's page "Fine-grained TP"; the other three servers start with
# their own --data-parallel-start-rank
export HCCL_BUFFSIZE=512
export TASK_QUEUE_ENABLE=1
vllm serve /path_to_weight/DeepSeek-R1_w8a8 \
--host 0.0.0.0 \
--port 8004 \
--data-parallel-size 32 \
--data-parallel-size-local 8 \
--data-parallel-start-rank 0 \
--data-parallel-address 192.0.2.1 \
--data-parallel-rpc-port 5980 \
--tensor-parallel-size 1 \
--enable-expert-parallel \
--quantization ascend \
--no-enable-prefix-caching \
--max-model-len 8192 \
--max-num-batched-tokens 64 \
--max-num-seqs 24 \
--trust-remote-code \
--gpu-memory-utilization 0.9 \
--compilation-config '{"cudagraph_mode": "FULL_DECODE_ONLY"}' \
--additional-config '{"finegrained_tp_config": {"oproj_tensor_parallel_size": 8, "lmhead_tensor_parallel_size": 8, "embedding_tensor_parallel_size": 8, "mlp_tensor_parallel_size": 8}}' \
--kv-transfer-config '{"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_consumer", "kv_port": "30200", "engine_id": "1"}'
