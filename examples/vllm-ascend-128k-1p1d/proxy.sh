# in front of both sides, as the tutorial "Long-Sequence Context Parallel (Deepseek)" of vLLM-Ascend 0.15 prints it
python load_balance_proxy_server_example.py \
--port 8005 \
--host 192.0.0.1 \
--prefiller-hosts \
192.0.0.1 \
--prefiller-ports \
8004 \
--decoder-hosts \
192.0.0.3 \
--decoder-ports \
8004
