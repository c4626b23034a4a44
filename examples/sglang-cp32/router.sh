# In front of both sides, as sgl-project/sglang pull request 12207 prints it.
# on the prefill node
export p0=192.0.2.1  # IP
export d0=192.0.2.3  # IP
python3 -m sglang_router.launch_router --decode http://${d0}:30002 --prefill http://${p0}:30002 --pd-disaggregation --policy cache_aware --mini-lb --host 0.0.0.0 --port 8000
