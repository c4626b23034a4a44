#include "strategies/engines/launch/reader.h"

#include <fmt/format.h>

#include <filesystem>

namespace ascendsim {

namespace {

SourceLocation option_place(const char* option, const std::string& value) {
  SourceLocation where;
  where.file = fmt::format("{} {}", option, value);
  return where;
}

}  // namespace

LaunchReader::LaunchReader(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics)
    : command_(command),
      context_(context),
      diagnostics_(diagnostics),
      options_(command.engine->options(), command.words, command.variables, context.defines, diagnostics,
               OptionVersion(context.engine_version)) {
  question_.deployment.file = node_.file = command.file;
  question_.imported = question_.launched = true;
  question_.stack = command.engine->name;
  node_.where = command.where;
}

LaunchedNode LaunchReader::finish() {
  node_.keys = options_.keys();
  node_.question = std::move(question_);
  return std::move(node_);
}

WeightName LaunchReader::read_model_name(const std::optional<ShellWord>& word, const char* usage) {
  const bool asked = !context_.options.model.empty();
  WeightName name;
  if (word && word->unresolved.empty()) {
    name = split_weight_name(word->text, context_.schemes.names());
    std::error_code ignored;
    const std::string config = (std::filesystem::path(word->text) / "config.json").string();
    if (std::filesystem::is_regular_file(config, ignored)) name.model = config;
  } else if (word && !asked) {
    const std::string& variable = word->unresolved.front();
    diagnostics_.error("E0423", word->where,
                       fmt::format("the model is the value of {}, which the script does not set", variable),
                       "scripts are read, not run", fmt::format("--define {}=VALUE, or --model DeepSeek-R1", variable));
  } else if (!word && !asked) {
    diagnostics_.error("E0245", command_.where, "the command names no model", usage, "--model DeepSeek-R1");
  }
  if (asked) {
    set(field::kModel, context_.options.model, option_place("--model", context_.options.model));
  } else if (!name.model.empty()) {
    set(field::kModel, name.model, word->where);
    diagnostics_.note("A0105", word->where,
                      fmt::format("model {} is taken from the name '{}'", name.model, word->text));
  }
  return name;
}

bool LaunchReader::asked_quantisation() {
  const std::string& asked = context_.options.quantisation;
  if (!asked.empty()) set(field::kQuantisation, asked, option_place("--quantisation", asked));
  return !asked.empty();
}

void LaunchReader::quantisation_from_name(const WeightName& name, const SourceLocation& where, const char* option) {
  if (!name.scheme.empty()) {
    set(field::kQuantisation, name.scheme, where);
    diagnostics_.note("A0104", where,
                      fmt::format("quantisation {} is taken from the name of the weights", name.scheme));
    return;
  }
  question_.quantisation = "w8a8";
  diagnostics_.note("A0104", options_.where(option),
                    fmt::format("--{} does not say the scheme, nor does the name of the weights: w8a8 assumed; "
                                "--quantisation w4a8 says otherwise",
                                option));
}

void LaunchReader::read_dtype(const char* option) {
  const auto dtype = options_.text(option);
  if (!dtype || *dtype == "auto") {
    question_.deployment.dtype = Dtype::kBf16;
    diagnostics_.note(
        "A0106", command_.where,
        fmt::format("dtype bfloat16 is assumed: --{} auto takes it from the weights' config.json", option));
    return;
  }
  const bool half = *dtype == "float16" || *dtype == "half";
  if (!half && *dtype != "bfloat16")
    diagnostics_.error("E0422", options_.where(option), fmt::format("--{} {} is not simulated", option, *dtype),
                       "auto, half, float16, bfloat16", fmt::format("--{} bfloat16", option));
  set(field::kDtype, half ? Dtype::kFp16 : Dtype::kBf16, options_.where(option));
}

void LaunchReader::read_collectives() {
  static constexpr std::pair<std::string_view, ExpansionChoice> kExpansions[] = {{"AIV", ExpansionChoice::kAiv},
                                                                                 {"AIV_ONLY", ExpansionChoice::kAiv},
                                                                                 {"AI_CPU", ExpansionChoice::kAiCpu},
                                                                                 {"HOST", ExpansionChoice::kHost},
                                                                                 {"HOST_TS", ExpansionChoice::kHost}};
  const auto mode = options_.environment("HCCL_OP_EXPANSION_MODE");
  for (const auto& [word, expansion] : kExpansions)  // the table has refused any other word
    if (mode == word) set(field::kExpansion, expansion, options_.environment_where("HCCL_OP_EXPANSION_MODE"));
  const auto mb = options_.environment("HCCL_BUFFSIZE");
  if (!mb) return;
  const SourceLocation where = options_.environment_where("HCCL_BUFFSIZE");
  const auto value = parse_human_integer(*mb);
  if (!value || *value < 1 || *value > 1 << 16)
    diagnostics_.error("E0422", where, fmt::format("HCCL_BUFFSIZE must be a number of MB, got '{}'", *mb),
                       "HCCL user guide", "HCCL_BUFFSIZE=200");
  else
    set(field::kCommunicationBuffer, Bytes(*value << 20), where);
}

void LaunchReader::read_host(std::initializer_list<const char*> variables) {
  for (const char* variable : variables)
    if (const auto at = command_.variables.find(variable);
        node_.host.empty() && at != command_.variables.end() && at->second.value.unresolved.empty())
      node_.host = at->second.value.text;
}

void LaunchReader::integer_default(const char* option, std::int64_t& member) {
  const std::string usual(options_.usual(option));
  member = parse_human_integer(usual).value_or(member);
  if (!options_.has(option))
    options_.assume(option, usual, fmt::format("default of {} {}", question_.stack, context_.engine_version));
}

}  // namespace ascendsim
