// Options of SGLang's load generator: sglang/bench_serving.py (0.5.x).
#include "strategies/engines/launch/generator_reader.h"
#include "strategies/engines/launch/instances.h"
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
    {"max-concurrency", "", kInt, kUsed},
    {"num-prompts", "--num-prompt", kInt, kUsed},
    {"request-rate", "", kText, kUsed},
    {"random-range-ratio", "", kText, kUsed},
    {"dataset-name", "", OptionType::kText, kUsed, "", 0, 0, "", "", kSglangData},
    {"dataset-path", "", kText, kEffect},
    {"sharegpt-output-len", "", kInt, kEffect},
    {"sharegpt-context-len", "", kInt, kEffect},
    {"use-trace-timestamps", "", kFlag, kEffect},
    {"mooncake-slowdown-factor", "", kText, kEffect},
    {"mooncake-num-rounds", "", kText, kEffect},
    {"mooncake-workload", "", kText, kEffect},
    {"gsp-num-groups", "", kInt, kUsed},
    {"gsp-prompts-per-group", "", kInt, kUsed},
    {"gsp-system-prompt-len", "", kInt, kUsed},
    {"gsp-question-len", "", kInt, kUsed},
    {"gsp-output-len", "", kInt, kUsed},
    {"gsp-range-ratio", "", kText, kUsed},
    {"gsp-fast-prepare", "", kFlag, kNone},
    {"gsp-send-routing-key", "", kFlag, kNone},
    {"gsp-num-turns", "", kInt, kUsed},
    {"gsp-ordered", "", kFlag, kUsed},
    {"gsp-group-distribution", "", kText, kUsed},
    {"gsp-zipf-alpha", "", kText, kUsed},
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
    {"seed", "", kInt, kUsed},
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
    {"tokenize-prompt", "", kFlag, kUsed},
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
  static constexpr OptionTable kTable{"sglang.bench_serving", kSglangServing, {}, {}, {}, false, {},
                                      read_sglang_generator};
  return kTable;
}

void read_sglang_generator(const OptionSet& options, BenchmarkLoad& load, Diagnostics& diagnostics) {
  const GeneratorReader read(options, diagnostics);
  SglangBenchOptions o;
  read.text("dataset-name", o.dataset_name);
  o.seed = read.count("seed");
  read.count("num-prompts", o.num_prompts);
  read.count("random-input-len", o.random_input_len);
  read.count("random-output-len", o.random_output_len);
  read.number("random-range-ratio", o.random_range_ratio);
  o.tokenize_prompt = read.flag("tokenize-prompt");
  read.count("gsp-num-groups", o.gsp_num_groups);
  read.count("gsp-prompts-per-group", o.gsp_prompts_per_group);
  read.count("gsp-system-prompt-len", o.gsp_system_prompt_len);
  read.count("gsp-question-len", o.gsp_question_len);
  read.count("gsp-output-len", o.gsp_output_len);
  read.count("gsp-num-turns", o.gsp_num_turns);
  read.number("gsp-range-ratio", o.gsp_range_ratio);
  o.gsp_ordered = read.flag("gsp-ordered");
  read.text("gsp-group-distribution", o.gsp_group_distribution);
  if (options.has("gsp-zipf-alpha")) read.number("gsp-zipf-alpha", o.gsp_zipf_alpha.emplace());
  read.number("request-rate", o.request_rate);
  load.max_concurrency = read.count("max-concurrency");
  const bool shared = o.dataset_name == "generated-shared-prefix";
  load.input = shared ? o.gsp_system_prompt_len + o.gsp_question_len : o.random_input_len;
  load.output = shared ? o.gsp_output_len : o.random_output_len;
  load.generator = std::move(o);
}

}  // namespace ascendsim
