// Command lines of load generators as loads. Options: vllm/benchmarks/serve.py, latency.py, throughput.py, datasets.py
// (0.11 to 0.15); sglang/bench_serving.py (0.5.x); AISBench/benchmark ais_bench/benchmark/cli (2026-08).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "strategies/engines/launch/instances.h"
#include "strategies/engines/vllm/import.h"

namespace ascendsim {

namespace {

constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kTokens, kText = OptionType::kOpen,
                     kList = OptionType::kList;
constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;

constexpr std::string_view kVllmData[] = {"sharegpt",  "burstgpt",          "sonnet",    "random",
                                          "random-mm", "random-rerank",     "hf",        "custom",
                                          "custom_mm", "prefix_repetition", "spec_bench"};
constexpr std::string_view kSglangData[] = {"sharegpt", "random",      "random-ids", "generated-shared-prefix",
                                            "mmmu",     "image",       "mooncake",   "custom",
                                            "openai",   "longbench_v2"};

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
constexpr EngineOption kAisBench[] = {
    {"models", "", kList, kNone},
    {"datasets", "", kList, kUsed},
    {"custom-dataset-path", "", kText, kUsed},
    {"custom-dataset-meta-path", "", kText, kNone},
    {"custom-dataset-data-type", "", kText, kNone},
    {"custom-dataset-infer-method", "", kText, kNone},
    {"summarizer", "", kText, kNone},
    {"mode", "-m", kText, kNone},
    {"reuse", "-r", kText, kNone},
    {"work-dir", "-w", kText, kNone},
    {"config-dir", "", kText, kNone},
    {"max-num-workers", "", kText, kNone},
    {"max-workers-per-gpu", "", kText, kNone},
    {"num-prompts", "", kInt, kEffect},
    {"num-warmups", "", kText, kNone},
    {"pressure", "", kFlag, kEffect},
    {"pressure-time", "", kText, kEffect},
    {"merge-ds", "", kFlag, kNone},
    {"dump-eval-details", "", kText, kNone},
    {"dump-extract-rate", "", kText, kNone},
    {"debug", "", kFlag, kNone},
    {"dry-run", "", kFlag, kNone},
    {"search", "-s", kFlag, kNone},
    {"disable-cb", "", kFlag, kNone},
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

OptionTable table_of(std::string_view program) {
  if (program == "ais_bench") return {"AISBench", kAisBench, {}, {}, {}, true};
  if (program.starts_with("sglang")) return {"sglang.bench_serving", kSglangServing, {}, {}, {}, false};
  if (program.ends_with("serve")) return {"vllm bench serve", kServe, {}, {}, {}, true};
  return {"vllm bench", offline_options(), {}, {}, {}, true};
}

// Data sets of vllm-ascend's nightly runs say their length: "GSM8K-in3500-bs2800".
std::optional<std::int64_t> length_in_name(std::string_view name) {
  for (std::size_t at = name.find("-in"); at != std::string_view::npos; at = name.find("-in", at + 1)) {
    std::int64_t tokens = 0;
    const char* const first = name.data() + at + 3;
    const auto [rest, error] = std::from_chars(first, name.data() + name.size(), tokens);
    if (error == std::errc{} && rest != first && tokens > 0) return tokens;
  }
  return std::nullopt;
}

}  // namespace

std::optional<BenchmarkLoad> read_benchmark(const std::vector<LaunchedCommand>& commands, const Defines& defines,
                                            Diagnostics& diagnostics) {
  const auto at = std::ranges::find(commands, LaunchKind::kBenchmark, &LaunchedCommand::kind);
  if (at == commands.end()) return std::nullopt;
  const LaunchedCommand& c = *at;
  const OptionTable table = table_of(c.program);
  // What is typed here is meant; a line of somebody's script may be of another version of the tool.
  const bool typed = c.file == "--workload";
  Diagnostics said;
  const OptionSet options(table, c.words, c.variables, defines, said);
  for (Diagnostic d : said.all()) {
    if (d.severity == Severity::kNote) continue;
    const bool unknown = d.code == "E0420" || d.code == "E0421";
    if (unknown && !typed) d.severity = Severity::kWarning, d.code = "W0330";
    diagnostics.add(std::move(d));
  }
  const bool ais = c.program == "ais_bench";
  if (typed && !ais && options.positional())
    diagnostics.error("E0421", options.positional()->where,
                      fmt::format("'{}' belongs to no option", options.positional()->text),
                      fmt::format("{} takes options only", table.engine));
  BenchmarkLoad load;
  load.where = c.where;
  if (ais) {
    for (std::size_t i = 0; i < c.words.size() && !load.input; ++i) load.input = length_in_name(c.words[i].text);
    if (load.input)
      diagnostics.note(
          "A0134", c.where,
          fmt::format("ais_bench is read as one request of {} tokens in, which the name of the data set says: "
                      "arrivals, concurrency and queues are not simulated yet; --output says the rest",
                      *load.input));
    else
      diagnostics.note(
          "A0133", c.where,
          "ais_bench keeps lengths and concurrency in its configuration files: --input and --output say them");
    return load;
  }
  const auto first = [&](std::initializer_list<const char*> names) -> std::optional<std::int64_t> {
    for (const char* n : names)
      if (const auto v = options.integer(n)) return v;
    return std::nullopt;
  };
  load.input = first({"random-input-len", "input-len"});
  load.output = first({"random-output-len", "output-len"});
  // Defaults of lengths are those of random prompts; other data sets bring their own.
  const auto data = options.text("dataset-name");
  if (data && !data->starts_with("random") && (!load.input || !load.output)) {
    load.batch = 1;
    diagnostics.note(
        "A0133", c.where,
        fmt::format("{} takes lengths from the prompts of '{}': --input and --output say them", c.program, *data));
    return load;
  }
  // vllm/benchmarks/datasets.py: 1024 in, 128 out; vllm/benchmarks/latency.py: 32 in, 128 out, batch 8.
  // sglang/bench_serving.py: 1024, 1024.
  const bool latency = c.program.ends_with("latency"), sglang = c.program.starts_with("sglang");
  const auto fill = [&](std::optional<std::int64_t>& value, std::int64_t usual, const char* what) {
    if (value) return;
    value = usual;
    diagnostics.note("A0100", c.where,
                     fmt::format("{} of the benchmark is not set: {} assumed (the tool's default)", what, usual));
  };
  fill(load.input, latency ? 32 : 1024, "the input length");
  fill(load.output, sglang ? 1024 : 128, "the output length");
  if (latency) {
    load.batch = first({"batch-size"}).value_or(8);
    return load;
  }
  load.batch = 1;
  diagnostics.note("A0134", c.where,
                   fmt::format("{} is read as one request of {} tokens in and {} out: arrivals, concurrency and queues "
                               "are not simulated yet",
                               c.program, *load.input, *load.output));
  return load;
}

}  // namespace ascendsim
