// Options of vLLM's load generators: vllm/benchmarks/serve.py, latency.py, throughput.py, datasets.py (0.11 to 0.15).
#include <algorithm>

#include "strategies/engines/launch/generator_reader.h"
#include "strategies/engines/launch/instances.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/engines/vllm/parts.h"

namespace ascendsim {

namespace {

constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kTokens, kText = OptionType::kOpen,
                     kList = OptionType::kList;
constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;

constexpr std::string_view kRamps[] = {"linear", "exponential"};
constexpr std::string_view kVllmData[] = {
    "sharegpt",  "burstgpt",          "sonnet",     "random",      "random-mm",  "random-rerank", "hf", "custom",
    "custom_mm", "prefix_repetition", "spec_bench", "timed_trace", "speed_bench"};

constexpr EngineOption kServe[] = {
    {"random-input-len", "", kInt, kUsed},
    {"random-output-len", "", kInt, kUsed},
    {"input-len", "", kInt, kUsed},
    {"output-len", "", kInt, kUsed},
    {"max-concurrency", "", kInt, kUsed},
    {"num-prompts", "", kInt, kUsed},
    {"request-rate", "", kText, kUsed},
    {"burstiness", "", kText, kUsed},
    {"random-range-ratio", "", kText, kUsed},
    {"random-prefix-len", "", kInt, kUsed},
    {"dataset-name", "", OptionType::kText, kUsed, "", 0, 0, "", "", kVllmData},
    {"dataset-path", "", kText, kEffect},
    {"ramp-up-strategy", "", OptionType::kText, kUsed, "", 0, 0, "", "", kRamps},
    {"ramp-up-start-rps", "", kText, kUsed},
    {"ramp-up-end-rps", "", kText, kUsed},
    {"prefix-repetition-prefix-len", "", kInt, kUsed},
    {"prefix-repetition-suffix-len", "", kInt, kUsed},
    {"prefix-repetition-num-prefixes", "", kInt, kUsed},
    {"prefix-repetition-output-len", "", kInt, kUsed},
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
    {"seed", "", kInt, kUsed},
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
    {"goodput", "", kList, kUsed},
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
    {"chat-template-kwargs", "", kText, kNone},
    {"skip-tokenizer-init", "", kFlag, kNone},
    {"probe-request-rate", "", kText, kEffect},
    {"self-timed", "", kFlag, kEffect},
    {"timed-trace-chunk-hash-size", "", kInt, kEffect},
    {"timed-trace-sec-multiplier", "", kText, kEffect},
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
  static constexpr OptionTable kTable{"vllm bench serve", kServe, {}, {}, {}, true, {}, read_vllm_generator};
  return kTable;
}
const OptionTable& vllm_offline_options() {
  static const OptionTable kTable{"vllm bench", offline_options(), {}, {}, {}, true};
  return kTable;
}

void read_vllm_generator(const OptionSet& options, BenchmarkLoad& load, Diagnostics& diagnostics) {
  const GeneratorReader read(options, diagnostics);
  VllmBenchOptions o;
  read.text("dataset-name", o.dataset_name);
  read.count("seed", o.seed);
  read.count("num-prompts", o.num_prompts);
  read.count("random-input-len", o.random_input_len);
  read.count("random-output-len", o.random_output_len);
  // The general names overwrite those of the data set (datasets.py).
  read.count("input-len", o.random_input_len);
  read.count("output-len", o.random_output_len);
  read.count("random-prefix-len", o.random_prefix_len);
  read.ratio("random-range-ratio", o.random_range_ratio_input, o.random_range_ratio_output);
  read.count("prefix-repetition-prefix-len", o.prefix_repetition_prefix_len);
  read.count("prefix-repetition-suffix-len", o.prefix_repetition_suffix_len);
  read.count("prefix-repetition-num-prefixes", o.prefix_repetition_num_prefixes);
  read.count("prefix-repetition-output-len", o.prefix_repetition_output_len);
  read.number("request-rate", o.request_rate);
  read.number("burstiness", o.burstiness);
  if (const auto ramp = options.text("ramp-up-strategy"))
    o.ramp_up_strategy = *ramp == "exponential" ? RampUp::kExponential : RampUp::kLinear;
  read.number("ramp-up-start-rps", o.ramp_up_start_rps);
  read.number("ramp-up-end-rps", o.ramp_up_end_rps);
  load.max_concurrency = read.count("max-concurrency");
  load.slo = read.goodput("goodput");
  const bool repeats = o.dataset_name == "prefix_repetition";
  load.input = repeats ? o.prefix_repetition_prefix_len + o.prefix_repetition_suffix_len
                       : o.random_prefix_len + o.random_input_len;
  load.output = repeats ? o.prefix_repetition_output_len : o.random_output_len;
  load.generator = std::move(o);
}

}  // namespace ascendsim
