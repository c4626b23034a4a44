// Command lines of load generators as loads: those of engines, and AISBench, which drives servers of any
// (AISBench/benchmark ais_bench/benchmark/cli, 2026-08).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "strategies/engines/launch/instances.h"

namespace ascendsim {

namespace {

constexpr OptionType kFlag = OptionType::kFlag, kInt = OptionType::kTokens, kText = OptionType::kOpen,
                     kList = OptionType::kList;
constexpr KeyUse kUsed = KeyUse::kUsed, kNone = KeyUse::kNoEffect, kEffect = KeyUse::kEffectNotModelled;

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

// As the fields of a deployment file (workload.input_tokens): what is outside is no load at all.
bool possible_lengths(const BenchmarkLoad& load, Diagnostics& diagnostics) {
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;
  bool possible = true;
  for (const auto& [value, what] : {std::pair{load.input, "prompts"}, {load.output, "outputs"}})
    if (value && (*value < 1 || *value > kMostTokens)) {
      diagnostics.error(
          "E0422", load.where,
          fmt::format("{} of {} must have 1 to {} tokens, got {}", what, load.program, kMostTokens, *value));
      possible = false;
    }
  return possible;
}

void assume_length(std::optional<std::int64_t>& value, std::int64_t usual, const char* what, const LaunchedCommand& c,
                   Diagnostics& diagnostics) {
  if (value) return;
  value = usual;
  diagnostics.note("A0100", c.where,
                   fmt::format("{} of the benchmark is not set: {} assumed (the tool's default)", what, usual));
}

// A tool that drives a server. What is typed is its load, a line of a script only says lengths.
std::optional<BenchmarkLoad> read_serving(const LaunchedCommand& c, const OptionSet& options, bool typed,
                                          BenchmarkLoad load, Diagnostics& diagnostics) {
  Diagnostics wrong;
  c.benchmark->options().read_generator(options, load, wrong);
  load.batch = 1;
  const bool says_lengths = std::visit(
      [](const auto& generator) {
        if constexpr (requires { generator.dataset_name; }) return draws_lengths(generator);
        return false;
      },
      load.generator);
  if (typed) {
    diagnostics.append(wrong);
  } else {
    load.generator = {};
    load.max_concurrency = {};
    load.slo = {};
  }
  if (!says_lengths) {
    load.input = load.output = std::nullopt;
    diagnostics.note("A0133", c.where,
                     fmt::format("{} takes lengths from the prompts of '{}': --input and --output say them", c.program,
                                 options.text("dataset-name").value_or("a data set")));
    return load;
  }
  if (!possible_lengths(load, diagnostics) || wrong.has_errors()) return std::nullopt;
  if (!typed) say_one_request(load, diagnostics);
  return load;
}

}  // namespace

std::optional<BenchmarkLoad> read_benchmark(const std::vector<LaunchedCommand>& commands, const Defines& defines,
                                            Diagnostics& diagnostics) {
  const auto at = std::ranges::find(commands, LaunchKind::kBenchmark, &LaunchedCommand::kind);
  if (at == commands.end()) return std::nullopt;
  const LaunchedCommand& c = *at;
  static constexpr OptionTable kOfAisBench{"AISBench", kAisBench, {}, {}, {}, true};
  const OptionTable& table = c.benchmark == nullptr ? kOfAisBench : c.benchmark->options();
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
  const bool ais = c.benchmark == nullptr;
  if (typed && !ais && options.positional())
    diagnostics.error("E0421", options.positional()->where,
                      fmt::format("'{}' belongs to no option", options.positional()->text),
                      fmt::format("{} takes options only", table.engine));
  BenchmarkLoad load;
  load.where = c.where;
  load.program = c.program;
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
  if (table.read_generator != nullptr) return read_serving(c, options, typed, std::move(load), diagnostics);
  const auto first = [&](std::initializer_list<const char*> names) -> std::optional<std::int64_t> {
    for (const char* n : names)
      if (const auto v = options.integer(n)) return v;
    return std::nullopt;
  };
  load.input = first({"random-input-len", "input-len"});
  load.output = first({"random-output-len", "output-len"});
  if (!possible_lengths(load, diagnostics)) return std::nullopt;
  assume_length(load.input, c.benchmark->input_tokens, "the input length", c, diagnostics);
  assume_length(load.output, c.benchmark->output_tokens, "the output length", c, diagnostics);
  load.batch = c.benchmark->batch > 0 ? first({"batch-size"}).value_or(c.benchmark->batch) : 1;
  if (c.benchmark->batch == 0) say_one_request(load, diagnostics);
  return load;
}

void say_one_request(const BenchmarkLoad& load, Diagnostics& diagnostics) {
  diagnostics.note("A0134", load.where,
                   fmt::format("{} is read as one request of {} tokens in and {} out, its longest: arrivals and "
                               "concurrency count with `run --workload`",
                               load.program, *load.input, *load.output));
}

}  // namespace ascendsim
