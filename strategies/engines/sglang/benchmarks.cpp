// Options of SGLang's load generator: sglang/bench_serving.py (0.5.x).
#include "strategies/engines/launch/options.h"
#include "strategies/engines/sglang/parts.h"

namespace ascendsim {

namespace {

constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kTokens, kText = OptionType::kOpen,
                     kList = OptionType::kList;
constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;

constexpr std::string_view kSglangData[] = {"sharegpt", "random",      "random-ids", "generated-shared-prefix",
                                            "mmmu",     "image",       "mooncake",   "custom",
                                            "openai",   "longbench_v2"};

constexpr EngineOption kSglangServing[] = {
    {"random-input-len", "--random-input", kInt, kUsed},
    {"random-output-len", "--random-output", kInt, kUsed},
    {"max-concurrency", "", kInt, kEffect},
    {"num-prompts", "--num-prompt", kInt, kEffect},
    {"request-rate", "", kText, kEffect},
    {"random-range-ratio", "", kText, kEffect},
    {"dataset-name", "", OptionType::kText, kUsed, "", 0, 0, "", "", kSglangData},
    {"dataset-path", "", kText, kEffect},
    {"sharegpt-output-len", "", kInt, kEffect},
    {"sharegpt-context-len", "", kInt, kEffect},
    {"use-trace-timestamps", "", kFlag, kEffect},
    {"mooncake-slowdown-factor", "", kText, kEffect},
    {"mooncake-num-rounds", "", kText, kEffect},
    {"mooncake-workload", "", kText, kEffect},
    {"gsp-num-groups", "", kInt, kEffect},
    {"gsp-prompts-per-group", "", kInt, kEffect},
    {"gsp-system-prompt-len", "", kInt, kEffect},
    {"gsp-question-len", "", kInt, kEffect},
    {"gsp-output-len", "", kInt, kEffect},
    {"gsp-range-ratio", "", kText, kEffect},
    {"gsp-fast-prepare", "", kFlag, kNone},
    {"gsp-send-routing-key", "", kFlag, kNone},
    {"gsp-num-turns", "", kInt, kEffect},
    {"gsp-ordered", "", kFlag, kEffect},
    {"backend", "", kText, kNone},
    {"base-url", "", kText, kNone},
    {"host", "", kText, kNone},
    {"port", "", kText, kNone},
    {"model", "", kText, kNone},
    {"served-model-name", "", kText, kNone},
    {"tokenizer", "", kText, kNone},
    {"output-file", "", kText, kNone},
    {"output-details", "", kFlag, kNone},
    {"print-requests", "", kFlag, kNone},
    {"disable-tqdm", "", kFlag, kNone},
    {"disable-stream", "", kFlag, kNone},
    {"return-logprob", "", kFlag, kNone},
    {"return-routed-experts", "", kFlag, kNone},
    {"seed", "", kText, kNone},
    {"disable-ignore-eos", "", kFlag, kNone},
    {"extra-request-body", "", kText, kNone},
    {"apply-chat-template", "", kFlag, kNone},
    {"profile", "", kFlag, kNone},
    {"profile-activities", "", kList, kNone},
    {"profile-num-steps", "", kText, kNone},
    {"profile-by-stage", "", kFlag, kNone},
    {"profile-stages", "", kList, kNone},
    {"profile-output-dir", "", kText, kNone},
    {"profile-prefix", "", kText, kNone},
    {"profile-prefill-url", "", kList, kNone},
    {"profile-decode-url", "", kList, kNone},
    {"pd-separated", "", kFlag, kNone},
    {"lora-name", "", kList, kEffect},
    {"lora-request-distribution", "", kText, kEffect},
    {"lora-zipf-alpha", "", kText, kEffect},
    {"prompt-suffix", "", kText, kNone},
    {"flush-cache", "", kFlag, kNone},
    {"warmup-requests", "", kText, kNone},
    {"tokenize-prompt", "", kFlag, kNone},
    {"tag", "", kText, kNone},
    {"header", "", kList, kNone},
    {"ready-check-timeout-sec", "", kText, kNone},
    {"plot-throughput", "", kFlag, kNone},
    {"image-count", "", kText, kEffect},
    {"image-resolution", "", kText, kEffect},
    {"image-format", "", kText, kNone},
    {"image-content", "", kText, kNone},
    {"random-image-count", "", kFlag, kEffect},
};

}  // namespace

const OptionTable& sglang_serving_options() {
  static constexpr OptionTable kTable{"sglang.bench_serving", kSglangServing, {}, {}, {}, false};
  return kTable;
}

}  // namespace ascendsim
