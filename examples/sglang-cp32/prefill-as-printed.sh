# PREFILL LAUNCH COMMEND
IPs=('x.x.x.x')  # ONE PREFILL NODES
export p0=x.x.x.x  # IP
export d0=x.x.x.x  # IP
nnodes=${#IPs[@]}
tp_size=`expr 16 \* ${nnodes}`
export ASCEND_MF_STORE_URL=tcp://${p0}:24667

python3 -m sglang.launch_server --model-path ${MODEL_PATH} \
--tp $tp_size \
--cp-size 8 --mem-fraction-static 0.9 \
--max-total-tokens 10240 \
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
--context-length 66000 --chunked-prefill-size 327680 --max-prefill-tokens 66000 \
--dist-init-addr ${p0}:10000 2>&1 | tee launch.log &
