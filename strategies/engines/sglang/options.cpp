// Options of `sglang.launch_server` and the environment that SGLang reads: options.txt.
#include "strategies/engines/launch/option_file.h"
#include "strategies/engines/sglang/import.h"
#include "strategies/engines/sglang/parts.h"

namespace ascendsim {

namespace {

constexpr std::string_view kPrefixes[] = {"SGLANG_", "HCCL_", "ASCEND_", "DEEPEP_"};
constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"layout.dp", "dp-size"},
    {"layout.cp", "attn-cp-size"},
    {"layout.moe_ep", "ep-size"},
    {"limits.max_batch", "max-running-requests"},
    {"limits.max_batched_tokens", "max-prefill-tokens"},
    {"limits.max_input_tokens", "context-length"},
    {"limits.max_prefill_tokens", "max-prefill-tokens"},
    {"limits.max_prefill_batch", "max-running-requests"},
    {"kv_cache.block_tokens", "page-size"},
    {"kv_cache.dtype", "kv-cache-dtype"},
    {"role", "disaggregation-mode"},
    {"features.speculative_tokens", "speculative-num-steps"},
    {"graph.capture_sizes", "cuda-graph-bs"},
    {"model", "model-path"},
    {"quantisation", "quantization"},
    {"hardware.servers", "nnodes"}};
}  // namespace

const OptionTable& sglang_options() {
  static const OptionFile file(sglang_option_text());
  static const OptionTable table{.engine = "SGLang",
                                 .options = file.options(),
                                 .environment = file.environment(),
                                 .own_prefixes = kPrefixes,
                                 .words = kWords,
                                 .product = "SGLang"};
  return table;
}

}  // namespace ascendsim
