# Decode on one server, with a model path. After the launch command of sgl-project/sglang pull request 12207; context and pool hold one request of 65,536 + 1,024
# tokens, the pool as printed only 10,240.
export MODEL_PATH=/data/DeepSeek-V3.1-w8a8
IPs=('192.0.2.3')  # ONE DECODE NODES
export p0=192.0.2.1  # IP
export d0=192.0.2.3  # IP
nnodes=${#IPs[@]}
tp_size=`expr 16 \* ${nnodes}`
export ASCEND_MF_STORE_URL=tcp://${p0}:24667

python3 -m sglang.launch_server --model-path ${MODEL_PATH} \
--tp $tp_size \
--mem-fraction-static 0.8 \
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
--disaggregation-transfer-backend ascend \
--disaggregation-mode decode \
--context-length 66560 --chunked-prefill-size 327680 --max-prefill-tokens 66000 \
--quantization w8a8_int8 | tee launch.log &
