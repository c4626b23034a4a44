# Prefill with context parallelism over 32 dies. After the launch command of sgl-project/sglang pull request 12207, with five changes:
# a model path, which the pull request leaves to the environment; two addresses instead of one (the measurement is of two prefill
# nodes); --cp-size 32; a context of 66,560 tokens; and a pool of as many instead of 10,240, which served an accuracy test with short
# prompts and is too small for 64K.
export MODEL_PATH=/data/DeepSeek-V3.1-w8a8
IPs=('192.0.2.1' '192.0.2.2')  # TWO PREFILL NODES
export p0=192.0.2.1  # IP
export d0=192.0.2.3  # IP
nnodes=${#IPs[@]}
tp_size=`expr 16 \* ${nnodes}`
export ASCEND_MF_STORE_URL=tcp://${p0}:24667

python3 -m sglang.launch_server --model-path ${MODEL_PATH} \
--tp $tp_size \
--cp-size 32 --mem-fraction-static 0.9 \
--max-total-tokens 66560 \
--trust-remote-code \
--attention-backend ascend \
--device npu \
--watchdog-timeout 9000 \
--host 0.0.0.0 --port 30002 \
--disable-radix-cache \
--max-running-requests 16 \
--disable-overlap-schedule \
--nnodes $nnodes --node-rank $VC_TASK_INDEX \
--disable-cuda-graph \
--skip-server-warmup \
--quantization w8a8_int8 \
--disaggregation-transfer-backend ascend \
--disaggregation-mode prefill \
--moe-a2a-backend deepep --deepep-mode auto \
--context-length 66560 --chunked-prefill-size 327680 --max-prefill-tokens 66000 \
--dist-init-addr ${p0}:10000 2>&1 | tee launch.log &
