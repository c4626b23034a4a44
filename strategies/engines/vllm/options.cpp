// Options of `vllm serve`, keys of its JSON options, and the environment that vLLM-Ascend reads: options.txt.
#include "strategies/engines/launch/option_file.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/engines/vllm/parts.h"

namespace ascendsim {

namespace {

constexpr std::string_view kPrefixes[] = {"VLLM_", "HCCL_", "ASCEND_"};

constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"limits.max_input_tokens", "max-model-len"},
    {"limits.max_prefill_tokens", "max-num-batched-tokens"},
    {"limits.max_prefill_batch", "max-num-seqs"},
    {"layout.moe_ep", "enable-expert-parallel"},
    {"layout.moe_tp", "enable-expert-parallel"},
    {"kv_cache.memory", "kv-cache-memory-bytes"},
    {"kv_cache.dtype", "kv-cache-dtype"},
    {"role", "kv-transfer-config"},
    {"features.speculative_tokens", "speculative-config"},
    {"graph.capture_sizes", "compilation-config"},
    {"model", "model"},
    {"quantisation", "quantization"},
    {"hardware.servers", "nnodes"}};

}  // namespace

const OptionTable& vllm_options() {
  static const OptionFile file(vllm_option_text());
  static const OptionTable table{.engine = "vLLM",
                                 .options = file.options(),
                                 .json_keys = file.json_keys(),
                                 .environment = file.environment(),
                                 .own_prefixes = kPrefixes,
                                 .underscores = true,
                                 .words = kWords,
                                 .product = "vLLM-Ascend",
                                 .lenient = file.lenient()};
  return table;
}

}  // namespace ascendsim
