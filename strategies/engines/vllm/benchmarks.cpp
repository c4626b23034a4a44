// Options of vLLM's load generators: vllm/benchmarks/serve.py, latency.py, throughput.py, datasets.py (0.11 to 0.15).
#include <algorithm>

#include "strategies/engines/launch/options.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/engines/vllm/parts.h"

namespace ascendsim {

namespace {

constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kTokens, kText = OptionType::kOpen,
                     kList = OptionType::kList;
constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;

constexpr std::string_view kVllmData[] = {"sharegpt",  "burstgpt",          "sonnet",    "random",
                                          "random-mm", "random-rerank",     "hf",        "custom",
                                          "custom_mm", "prefix_repetition", "spec_bench"};

constexpr EngineOption kServe[] = {
    {"random-input-len", "", kInt, kUsed},
    {"random-output-len", "", kInt, kUsed},
    {"input-len", "", kInt, kUsed},
    {"output-len", "", kInt, kUsed},
    {"max-concurrency", "", kInt, kEffect},
    {"num-prompts", "", kInt, kEffect},
    {"request-rate", "", kText, kEffect},
    {"burstiness", "", kText, kEffect},
    {"random-range-ratio", "", kText, kEffect},
    {"random-prefix-len", "", kInt, kEffect},
    {"dataset-name", "", OptionType::kText, kUsed, "", 0, 0, "", "", kVllmData},
    {"dataset-path", "", kText, kEffect},
    {"ramp-up-strategy", "", kText, kEffect},
    {"ramp-up-start-rps", "", kText, kEffect},
    {"ramp-up-end-rps", "", kText, kEffect},
    {"prefix-repetition-prefix-len", "", kInt, kEffect},
    {"prefix-repetition-suffix-len", "", kInt, kEffect},
    {"prefix-repetition-num-prefixes", "", kInt, kEffect},
    {"prefix-repetition-output-len", "", kInt, kEffect},
    {"sonnet-input-len", "", kInt, kEffect},
    {"sonnet-output-len", "", kInt, kEffect},
    {"sonnet-prefix-len", "", kInt, kEffect},
    {"sharegpt-output-len", "", kInt, kEffect},
    {"custom-output-len", "", kInt, kEffect},
    {"hf-output-len", "", kInt, kEffect},
    {"spec-bench-output-len", "", kInt, kEffect},
    {"spec-bench-category", "", kText, kEffect},
    {"blazedit-min-distance", "", kText, kEffect},
    {"blazedit-max-distance", "", kText, kEffect},
    {"random-batch-size", "", kInt, kEffect},
    {"random-mm-base-items-per-request", "", kText, kNone},
    {"random-mm-num-mm-items-range-ratio", "", kText, kNone},
    {"random-mm-limit-mm-per-prompt", "", kText, kNone},
    {"random-mm-bucket-config", "", kText, kNone},
    {"hf-subset", "", kText, kNone},
    {"hf-split", "", kText, kNone},
    {"hf-name", "", kText, kNone},
    {"no-oversample", "", kFlag, kNone},
    {"no-reranker", "", kFlag, kNone},
    {"no-stream", "", kFlag, kNone},
    {"skip-chat-template", "", kFlag, kNone},
    {"disable-shuffle", "", kFlag, kNone},
    {"seed", "", kText, kNone},
    {"label", "", kText, kNone},
    {"backend", "", kText, kNone},
    {"endpoint-type", "", kText, kNone},
    {"base-url", "", kText, kNone},
    {"host", "", kText, kNone},
    {"port", "", kText, kNone},
    {"endpoint", "", kText, kNone},
    {"header", "", kList, kNone},
    {"model", "", kText, kNone},
    {"served-model-name", "", kText, kNone},
    {"tokenizer", "", kText, kNone},
    {"tokenizer-mode", "", kText, kNone},
    {"use-beam-search", "", kFlag, kNone},
    {"best-of", "", kText, kNone},
    {"n", "", kText, kNone},
    {"logprobs", "", kText, kNone},
    {"trust-remote-code", "", kFlag, kNone},
    {"disable-tqdm", "", kFlag, kNone},
    {"num-warmups", "", kText, kNone},
    {"profile", "", kFlag, kNone},
    {"save-result", "", kFlag, kNone},
    {"save-detailed", "", kFlag, kNone},
    {"append-result", "", kFlag, kNone},
    {"metadata", "", kList, kNone},
    {"result-dir", "", kText, kNone},
    {"result-filename", "", kText, kNone},
    {"ignore-eos", "", kFlag, kNone},
    {"percentile-metrics", "", kText, kNone},
    {"metric-percentiles", "", kText, kNone},
    {"goodput", "", kList, kNone},
    {"request-id-prefix", "", kText, kNone},
    {"top-p", "", kText, kNone},
    {"top-k", "", kText, kNone},
    {"min-p", "", kText, kNone},
    {"temperature", "", kText, kNone},
    {"frequency-penalty", "", kText, kNone},
    {"presence-penalty", "", kText, kNone},
    {"repetition-penalty", "", kText, kNone},
    {"lora-modules", "", kList, kEffect},
    {"lora-assignment", "", kText, kEffect},
    {"extra-body", "", kText, kNone},
    {"insecure", "", kFlag, kNone},
    {"ready-check-timeout-sec", "", kText, kNone},
    {"plot-timeline", "", kFlag, kNone},
    {"plot-dataset-stats", "", kFlag, kNone},
    {"timeline-itl-thresholds", "", kText, kNone},
    {"enable-multimodal-chat", "", kFlag, kNone},
};
constexpr EngineOption kOffline[] = {
    {"input-len", "", kInt, kUsed},
    {"output-len", "", kInt, kUsed},
    {"batch-size", "", kInt, kUsed},
    {"num-prompts", "", kInt, kEffect},
    {"random-input-len", "", kInt, kUsed},
    {"random-output-len", "", kInt, kUsed},
    {"random-range-ratio", "", kText, kEffect},
    {"random-prefix-len", "", kInt, kEffect},
    {"prefix-len", "", kInt, kEffect},
    {"num-iters", "", kText, kNone},
    {"num-iters-warmup", "", kText, kNone},
    {"n", "", kText, kNone},
    {"use-beam-search", "", kFlag, kNone},
    {"profile", "", kFlag, kNone},
    {"output-json", "", kText, kNone},
    {"disable-detokenize", "", kFlag, kNone},
    {"backend", "", kText, kNone},
    {"dataset", "", kText, kEffect},
    {"dataset-name", "", OptionType::kText, kUsed, "", 0, 0, "", "", kVllmData},
    {"dataset-path", "", kText, kEffect},
    {"hf-max-batch-size", "", kText, kNone},
    {"hf-subset", "", kText, kNone},
    {"hf-split", "", kText, kNone},
    {"async-engine", "", kFlag, kNone},
    {"lora-path", "", kText, kEffect},
    {"warmup-requests", "", kText, kNone},
};

// vllm bench latency and throughput start an engine of their own: its options are theirs too.
const std::vector<EngineOption>& offline_options() {
  static const std::vector<EngineOption> all = [] {
    std::vector<EngineOption> out(std::begin(kOffline), std::end(kOffline));
    for (const EngineOption& o : vllm_options().options)
      if (std::ranges::find(kOffline, o.name, &EngineOption::name) == std::end(kOffline)) out.push_back(o);
    return out;
  }();
  return all;
}

}  // namespace

const OptionTable& vllm_serving_options() {
  static constexpr OptionTable kTable{"vllm bench serve", kServe, {}, {}, {}, true};
  return kTable;
}
const OptionTable& vllm_offline_options() {
  static const OptionTable kTable{"vllm bench", offline_options(), {}, {}, {}, true};
  return kTable;
}

}  // namespace ascendsim
