#include "reports/command_line/cli.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include "reports/answers/findings.h"
#include "reports/answers/json.h"
#include "reports/command_line/written.h"
#include "reports/commands/commands.h"
#include "strategies/engines/launch/options.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMostServers = 4096, kMostRows = 1 << 20;
constexpr std::string_view kEnvironment[] = {"NPU_MEMORY_FRACTION", "MINDIE_ASYNC_SCHEDULING_ENABLE"};

// group 0: options of every command.
struct OptionSpec {
  const char* names;  // as CLI11 reads them; the first long one is the option's name
  const char* value;  // "" for a flag
  std::string Written::*text;
  bool Written::*flag;
  std::uint32_t group;
  const char* help;
};
constexpr OptionSpec kOptions[] = {
    {"--hardware", "NAME", &Written::hardware, nullptr, kDeploymentOptions | kCollectiveOptions,
     "server type, as `ascendsim list hardware` names it"},
    {"--input,--isl", "N", &Written::input, nullptr, kWorkloadOptions,
     "prompt tokens of a request: 65536, 64K (1024), 64k (1000)"},
    {"--output,--osl", "N", &Written::output, nullptr, kWorkloadOptions | kPlanOptions,
     "tokens that a request generates"},
    {"--batch", "N", &Written::batch, nullptr, kWorkloadOptions,
     "requests side by side, all DP groups together [default: 1]"},
    {"--servers", "N", &Written::servers, nullptr, kDeploymentOptions | kGraphOptions | kCollectiveOptions,
     "number of servers [default: as many as the ranks need]"},
    {"--die", "NAME", &Written::die, nullptr, kDeploymentOptions | kCollectiveOptions,
     "bin of the die [default: the server's own]"},
    {"--model", "NAME|PATH", &Written::model, nullptr, kDeploymentOptions,
     "model, or a HuggingFace config.json [default: from modelName]"},
    {"--quantisation,--quantization", "NAME", &Written::quantisation, nullptr, kDeploymentOptions,
     "scheme of the weights [default: from modelName]"},
    {"--role", "ROLE", &Written::role, nullptr, kDeploymentOptions,
     "hybrid, prefill or decode [default: from inferMode]"},
    {"--engine-version", "VERSION", &Written::engine_version, nullptr, kDeploymentOptions,
     "version of the software stack [default: the newest known]"},
    {"--from", "KIND", &Written::from, nullptr, kFileOptions,
     "{engines} or ascendsim: whose file it is [default: by its content]"},
    {"--launch", "COMMAND", &Written::launch, nullptr, kFileOptions,
     "a command line instead of a file: \"vllm serve MODEL --tensor-parallel-size 16 ...\""},
    {"--workload", "COMMAND", &Written::workload, nullptr, kWorkloadOptions,
     "the load as a benchmark's command line: \"vllm bench serve --random-input-len 65536 ...\""},
    {"--prefix-hit", "TOKENS", &Written::prefix_hit, nullptr, kWorkloadOptions,
     "tokens of every prompt that lie in the prefix cache [default: 0]"},
    {"--acceptance", "A,B,..", &Written::acceptance, nullptr, kWorkloadOptions,
     "MTP: acceptance of each draft token [default: the stack's]"},
    {"--prefill", "FILE", &Written::prefill, nullptr, kPairOptions, "prefill side of a disaggregated pair"},
    {"--decode", "FILE", &Written::decode, nullptr, kPairOptions, "decode side of a disaggregated pair"},
    {"--prefill-hardware", "NAME", &Written::prefill_hardware, nullptr, kPairOptions,
     "server type of the prefill side [default: --hardware]"},
    {"--decode-hardware", "NAME", &Written::decode_hardware, nullptr, kPairOptions,
     "server type of the decode side [default: --hardware]"},
    {"--prefill-servers", "N", &Written::prefill_servers, nullptr, kPairOptions,
     "servers of the prefill side [default: as many as its ranks need]"},
    {"--decode-servers", "N", &Written::decode_servers, nullptr, kPairOptions,
     "servers of the decode side [default: as many as its ranks need]"},
    {"--graph", "KIND", &Written::graph, nullptr, kGraphOptions,
     "dot or svg: a picture of the fabric of a server, or of a cluster with --servers"},
    {"--faults", "FILE", &Written::faults, nullptr, kFaultsOption, "links that are slow or down (docs/fabrics.md)"},
    {"--svg", "DIR", &Written::svg, nullptr, kCompareOptions,
     "write pictures there: stacked bars of the time, and each alternative's ranks with what each of them holds"},
    {"--context", "LIST", &Written::context, nullptr, kPlanOptions, "prompt tokens of a request: 8K,64K or 8K..128K"},
    {"--concurrency", "LIST", &Written::concurrency, nullptr, kPlanOptions, "requests side by side: 1,8,32"},
    {"--engine", "NAME", &Written::engine, nullptr, kPlanOptions,
     "software stack whose rules and programs count [default: {engine}]"},
    {"--ttft", "TIME", &Written::ttft, nullptr, kPlanOptions, "the slowest request's TTFT at most: 2s, 500ms"},
    {"--tpot", "TIME", &Written::tpot, nullptr, kPlanOptions, "mean TPOT at most: 50ms"},
    {"--schema", "", nullptr, &Written::schema, kSchemaOption, "print the JSON Schema of our deployment file"},
    {"--case", "ID", &Written::only_case, nullptr, kCaseOptions, "only this case, or the rows of this table"},
    {"--explain", "", nullptr, &Written::explain, kCaseOptions, "the breakdown behind each prediction"},
    {"--print-config", "", nullptr, &Written::print_config, kFileOptions,
     "print the effective configuration and where each value comes from"},
    {"--top", "N", &Written::top, nullptr, kTopOption, "operators shown per phase [default: 10]"},
    {"--layer", "", nullptr, &Written::layer, kRingOptions,
     "whole layers of the deployment in --config (or --prefill, --decode)"},
    {"--config", "FILE", &Written::config, nullptr, kRingOptions, "of --layer: a deployment file"},
    {"--scale", "NAME", &Written::scale, nullptr, kRingOptions, "of --layer: tiny, a model small enough to compute"},
    {"--seed", "N", &Written::seed, nullptr, kRingOptions, "of --layer: draws the lengths of prompts [default: 0]"},
    {"--strategy", "NAME", &Written::strategy, nullptr, kRingOptions,
     "ring, latent-ring, tp, mindie-cp, mindie-sp, vllm-pcp, vllm-dcp, vllm-pcp-dcp (both), sglang-cp; of "
     "DeepSeek-V3.2: sparse-tp, sparse-cp, dsa-cp"},
    {"--all", "", nullptr, &Written::all, kRingOptions, "all strategies, partitions and number types"},
    {"--partition", "NAME", &Written::partition, nullptr, kRingOptions,
     "of a ring: contiguous, zigzag or round-robin [default: zigzag]"},
    {"--ranks", "N", &Written::ranks, nullptr, kRingOptions | kCollectiveOptions,
     "ring: ranks that share a sequence; collective: ranks of the group, one a die, the first ones of each server"},
    {"--cp", "N", &Written::cp, nullptr, kRingOptions, "MindIE: ranks that share a sequence"},
    {"--pcp", "N", &Written::pcp, nullptr, kRingOptions, "vLLM-Ascend: ranks that share a sequence"},
    {"--tp", "N", &Written::tp, nullptr, kRingOptions, "ranks that share the heads"},
    {"--sp", "N", &Written::sp, nullptr, kRingOptions,
     "MindIE: of these, how many share cached tokens: all, as with --tp"},
    {"--dcp", "N", &Written::dcp, nullptr, kRingOptions, "vLLM-Ascend: of these, how many share cached tokens"},
    {"--tokens", "N,...", &Written::tokens, nullptr, kRingOptions,
     "length of each sequence [default: 512]; of --layer: of the shortest prompt"},
    {"--history", "N,...", &Written::history, nullptr, kRingOptions,
     "cached tokens before those of each sequence [default: 0]"},
    {"--heads", "N", &Written::heads, nullptr, kRingOptions, "attention heads [default: 8]"},
    {"--interleave", "N", &Written::interleave, nullptr, kRingOptions, "tokens a turn of vLLM's cache [default: 128]"},
    {"--dtype", "TYPE", &Written::dtype, nullptr, kRingOptions,
     "fp64, fp32, fp16 or bf16; of --layer fp64, fp16, bf16 or deployed [default: fp64]"},
    {"--lse-dtype", "TYPE", &Written::lse_dtype, nullptr, kRingOptions,
     "fp32, fp16 or bf16: of the log-sum-exp where it is merged [default: the engine's]"},
    {"--orders", "N", &Written::orders, nullptr, kRingOptions,
     "further runs in random legal orders of the streams [default: 2]"},
    {"--threads", "N", &Written::threads, nullptr, kRingOptions,
     "cases computed at a time [default: as many as cores]"},
    {"--what-if", "", nullptr, &Written::what_if, kRingOptions,
     "compute what the engine refuses: BF16 under MindIE's SP and CP"},
    {"--op", "NAME", &Written::op, nullptr, kCollectiveOptions,
     "all-gather, reduce-scatter, all-reduce, all-to-all, broadcast, shift, dispatch or combine"},
    {"--bytes", "SIZE", &Written::bytes, nullptr, kCollectiveOptions,
     "whole vector of an all-gather, reduce-scatter or all-reduce, local buffer of the others: 64MiB, 64M, 64 MB"},
    {"--sweep", "FROM:TO", &Written::sweep, nullptr, kCollectiveOptions,
     "a table of sizes as hccl_test prints it: 8K:2G, 8K:2G:4"},
    {"--compare", "FILE", &Written::compare, nullptr, kCollectiveOptions, "output of hccl_test: measured beside ours"},
    {"--per", "WHAT", &Written::per, nullptr, kCollectiveOptions,
     "total or rank: what sizes of gathers and scatters mean [default: total; older hccl_test: rank]"},
    {"--algorithm", "NAME", &Written::algorithm, nullptr, kCollectiveOptions,
     "as `ascendsim list collectives` names it [default: as HCCL selects]"},
    {"--expansion", "NAME", &Written::expansion, nullptr, kCollectiveOptions,
     "aiv, aicpu, host or fused, as HCCL_OP_EXPANSION_MODE [default: aiv up to its thresholds on A3, host on A2]"},
    {"--concurrent", "N", &Written::concurrent, nullptr, kCollectiveOptions,
     "equal collectives that share the links [default: 1]"},
    {"--top-k", "N", &Written::top_k, nullptr, kCollectiveOptions, "MoE: experts of a token [default: 8]"},
    {"--padding", "FACTOR", &Written::padding, nullptr, kCollectiveOptions,
     "MoE, padded: rows sent / rows routed [default: 1]"},
    {"--to", "ENGINE", &Written::to, nullptr, kExportOptions, "{targets}: whose launch files are written"},
    {"--base", "FILE", &Written::base, nullptr, kExportOptions,
     "launch file of your own, changed only where it must be [default: a new one]"},
    {"--strict", "", nullptr, &Written::strict, kDeploymentOptions, "warnings count as errors"},
    {"--format", "FORMAT", &Written::format, nullptr, 0, "table, json, md or csv [default: table]"},
    {"--json", "", nullptr, &Written::json, 0, "the same as --format json"},
    {"-o,--output-file", "FILE", &Written::output_file, nullptr, 0,
     "write the answer there instead of stdout; of export the folder (DIR) of the files"},
    {"-v,--verbose", "", nullptr, &Written::verbose, 0, "say more about notes"},
    {"-h,--help", "", nullptr, &Written::help, 0, "show this text"},
};
constexpr const char* kEnvNames = "--env";
constexpr const char* kEnvHelp =
    "environment of the engine, repeatable: NPU_MEMORY_FRACTION, MINDIE_ASYNC_SCHEDULING_ENABLE";
constexpr const char* kDefineName = "--define";
constexpr const char* kDefineHelp = "value of a variable in a launch script, repeatable; over its own assignments";
constexpr const char* kSetName = "--set";
constexpr const char* kVaryName = "--vary";
constexpr const char* kVaryHelp =
    "alternatives of a key, repeatable: cp=1,2; the number of ranks stays, other degrees follow";
constexpr const char* kSetHelp = "override a key, repeatable: layout.tp=4, or the engine's own name";

std::string_view long_name(std::string_view names) {
  const std::size_t at = names.find("--");
  return names.substr(at, names.find(',', at) - at);
}

bool offers(const Command& command, const OptionSpec& option) {
  return option.group == 0 || (command.options & option.group) != 0;
}

bool is_required(const Command& command, std::string_view name) {
  const std::string_view required = command.required;
  const std::size_t at = required.find(name);
  return at != std::string_view::npos && (at + name.size() == required.size() || required[at + name.size()] == ' ');
}

template <class T>
std::vector<std::string_view> command_names(const T& commands) {
  std::vector<std::string_view> names;
  for (const Command& c : commands) names.emplace_back(c.name);
  return names;
}

std::vector<std::string_view> option_names(const Command* command) {
  std::vector<std::string_view> names{"--version"};
  for (const OptionSpec& o : kOptions)
    if (command == nullptr ? o.group == 0 : offers(*command, o)) names.push_back(long_name(o.names));
  if (command != nullptr && (command->options & kDeploymentOptions))
    names.insert(names.end(), {kEnvNames, kDefineName, kSetName});
  if (command != nullptr && (command->options & kCompareOptions)) names.emplace_back(kVaryName);
  return names;
}

// Options that hold one value elsewhere and several here.
bool takes_list(const Command& c, const OptionSpec& o) {
  if (c.options & kCompareOptions)
    return o.text == &Written::input || o.text == &Written::batch || o.text == &Written::model ||
           o.text == &Written::hardware;
  return (c.options & kPlanOptions) && o.text == &Written::hardware;
}
const char* list_example(const OptionSpec& o) {
  return o.text == &Written::input   ? "16384,65536 or 4K..128K"
         : o.text == &Written::batch ? "1,8,32"
         : o.text == &Written::model ? "deepseek-r1,deepseek-v3.1"
                                     : "atlas-800i-a2,atlas-800i-a3";
}

std::vector<std::string_view> engines_with_files() {
  std::vector<std::string_view> out;
  for (const Engine* const e : engines())
    if (!e->called.empty()) out.push_back(e->called);
  return out;
}

// Texts of options name engines as the list of them does.
std::string with_engines(std::string text) {
  const std::vector<std::string_view> all = engines_with_files();
  const auto put = [&](std::string_view mark, const std::string& words) {
    if (const std::size_t at = text.find(mark); at != std::string::npos) text.replace(at, mark.size(), words);
  };
  put("{engines}", fmt::format("{}", fmt::join(all, ", ")));
  put("{targets}", fmt::format("{} or {}", fmt::join(std::span(all).first(all.size() - 1), ", "), all.back()));
  put("{engine}", std::string(usual_engine().name));
  return text;
}

std::string usage_line(const Command& c) {
  std::string text = fmt::format("Usage: ascendsim {} {}", c.name, c.words);
  for (const OptionSpec& o : kOptions)
    if (is_required(c, long_name(o.names))) text += fmt::format(" {} {}", long_name(o.names), o.value);
  return text + " [options]\n";
}

std::string top_help() {
  std::string text =
      "Predicts how a deployment of DeepSeek-R1, V3, V3.1 or V3.2 performs on Ascend hardware, and why.\n\nUsage: "
      "ascendsim "
      "COMMAND [options]\n\nCommands:\n";
  for (const Command& c : builtin_commands()) text += fmt::format("  {:10} {}\n", c.name, c.summary);
  return text +
         "\nOptional arguments:\n  -h, --help      show this text, or that of a command\n  -V, --version   show the "
         "version\n\nExamples:\n  " +
         builtin_commands()[0].example + "\n";
}

std::string command_help(const Command& c) {
  std::string required = fmt::format("  {:26} {}\n", c.words, c.words_help), optional;
  const auto add = [&](std::string_view names, std::string_view value, std::string_view help) {
    const std::string_view name = long_name(names);
    const std::string left =
        fmt::format("{}{}{}{}", names.starts_with("--") ? "" : fmt::format("{}, ", names.substr(0, 2)), name,
                    value.empty() ? "" : " ", value);
    (is_required(c, name) ? required : optional) += fmt::format("  {:26} {}\n", left, help);
  };
  for (const OptionSpec& o : kOptions) {
    if (!offers(c, o)) continue;
    const bool more_formats = std::string_view(o.names) == "--format" && (c.options & kDiagnosticFormats);
    const std::string help = more_formats       ? "table, json, md, csv, short or github [default: table]"
                             : takes_list(c, o) ? fmt::format("{}; or a list: {}", o.help, list_example(o))
                                                : with_engines(o.help);
    add(o.names, o.value, help);
  }
  if (c.options & kCompareOptions) add(kVaryName, "KEY=A,B,..", kVaryHelp);
  if (c.options & kDeploymentOptions) {
    add(kEnvNames, "KEY=VALUE", kEnvHelp);
    add(kDefineName, "NAME=VALUE", kDefineHelp);
    add(kSetName, "KEY=VALUE", kSetHelp);
  }
  return fmt::format("{}.\n\n{}\n{}:\n{}\nOptional arguments:\n{}\nExamples:\n  {}\n\nOutput: {}\n", c.summary,
                     usage_line(c), c.least_words > 0 ? "Required arguments" : "Arguments", required, optional,
                     c.example, c.output);
}

// Turns what was written into Options; every mistake is a diagnostic, the first is not the last.
class Reader : ValueReader {
 public:
  Reader(const Command& command, const Written& written, Diagnostics& diagnostics)
      : ValueReader(diagnostics), command_(command), written_(written), diagnostics_(diagnostics) {}

  Options read() {
    Options o;
    o.words = written_.words;
    o.launch = written_.launch;
    o.workload = written_.workload;
    read_defines(o);
    o.hardware = written_.hardware;
    o.die = written_.die;
    o.model = written_.model;
    o.output_file = written_.output_file;
    o.engine_version = written_.engine_version;
    o.set = written_.set;
    o.print_config = written_.print_config;
    o.schema = written_.schema;
    o.only_case = written_.only_case;
    o.faults_file = written_.faults;
    if (!written_.graph.empty()) o.graph = choice("--graph", written_.graph, kGraphKinds).value_or(o.graph);
    o.explain = written_.explain;
    o.export_to = written_.to;
    o.base_file = written_.base;
    o.prefill.file = written_.prefill;
    o.decode.file = written_.decode;
    o.prefill.hardware = written_.prefill_hardware;
    o.decode.hardware = written_.decode_hardware;
    o.strict = written_.strict;
    o.verbose = written_.verbose;
    o.quantisation = written_.quantisation;
    std::ranges::transform(o.quantisation, o.quantisation.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (command_.options & (kCompareOptions | kPlanOptions)) {
      o.lists = read_list_options(written_, (command_.options & kCompareOptions) != 0, *this);
      // The first value of each list also stands where commands look that want one.
      if (!o.lists.inputs.values.empty()) o.input = o.lists.inputs.values.front();
      if (!o.lists.batches.values.empty()) o.batch = o.lists.batches.values.front();
      if (!o.lists.hardware.empty()) o.hardware = o.lists.hardware.front();
      if (!o.lists.models.empty()) o.model = o.lists.models.front();
    }
    const bool one_load = !(command_.options & kCompareOptions);
    if (one_load) o.input = count("--input", written_.input, kMostTokens, "65536, 64K, 64k");
    o.output = count("--output", written_.output, kMostTokens, "1024, 1K, 1k");
    if (one_load) o.batch = count("--batch", written_.batch, kMostRequests, "16");
    o.servers = count("--servers", written_.servers, kMostServers, "2");
    if (command_.options & kRingOptions) o.ring = read_ring_options(written_, *this);
    if (command_.options & kCollectiveOptions) o.collective = read_collective_options(written_, *this);
    o.prefill.servers = count("--prefill-servers", written_.prefill_servers, kMostServers, "2");
    o.decode.servers = count("--decode-servers", written_.decode_servers, kMostServers, "2");
    if (written_.prefix_hit == "0")
      o.prefix_hit = 0;
    else
      o.prefix_hit = count("--prefix-hit", written_.prefix_hit, kMostTokens, "32768, 32K, 32k");
    read_acceptance(o);
    read_from(o);
    o.top = count("--top", written_.top, kMostRows, "10").value_or(o.top);
    read_role(o);
    read_format(o);
    read_env(o);
    check_required();
    return o;
  }

 private:
  static constexpr std::pair<std::string_view, GraphKind> kGraphKinds[] = {{"dot", GraphKind::kDot},
                                                                           {"svg", GraphKind::kSvg}};
  void read_from(Options& o) {
    std::vector<std::pair<std::string_view, FileKind>> kinds;
    for (const std::string_view name : engines_with_files()) kinds.push_back({name, {.engine = engine_called(name)}});
    kinds.push_back({"ascendsim", {.own = true}});
    if (!written_.from.empty())
      o.from = choice("--from", written_.from, std::span<const std::pair<std::string_view, FileKind>>(kinds))
                   .value_or(o.from);
  }

  void read_defines(Options& o) {
    for (const std::string& setting : written_.define) {
      const std::size_t equals = setting.find('=');
      if (equals == std::string::npos || equals == 0)
        wrong(fmt::format("--define needs NAME=VALUE, got '{}'", setting),
              "--define MODEL_PATH=/data/DeepSeek-R1_w8a8");
      else
        o.defines.insert_or_assign(setting.substr(0, equals), setting.substr(equals + 1));
    }
  }

  void read_acceptance(Options& o) {
    const std::string& text = written_.acceptance;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      double value = 0;
      const auto [rest, error] = std::from_chars(text.data() + at, text.data() + comma, value);
      if (error != std::errc{} || rest != text.data() + comma || !(value >= 0 && value <= 1))
        return wrong(fmt::format("--acceptance must be numbers from 0 to 1 with commas between, got '{}'", text),
                     "--acceptance 0.9,0.7");
      o.acceptance.push_back(value);
      at = comma + 1;
    }
  }

  void read_role(Options& o) {
    static constexpr std::pair<std::string_view, Role> kRoles[] = {
        {"hybrid", Role::kHybrid}, {"prefill", Role::kPrefill}, {"decode", Role::kDecode}};
    if (!written_.role.empty()) o.role = choice("--role", written_.role, kRoles);
  }

  void read_format(Options& o) {
    static constexpr std::pair<std::string_view, Format> kFormats[] = {
        {"table", Format::kTable}, {"json", Format::kJson}, {"md", Format::kMarkdown}, {"csv", Format::kCsv}};
    static constexpr std::pair<std::string_view, Format> kAllFormats[] = {
        {"table", Format::kTable}, {"json", Format::kJson},   {"md", Format::kMarkdown},
        {"csv", Format::kCsv},     {"short", Format::kShort}, {"github", Format::kGithub}};
    if (!written_.format.empty()) {
      const auto format = command_.options & kDiagnosticFormats ? choice("--format", written_.format, kAllFormats)
                                                                : choice("--format", written_.format, kFormats);
      o.format = format.value_or(o.format);
    }
    if (written_.json) o.format = Format::kJson;
  }

  void read_env(Options& o) {
    for (const std::string& setting : written_.env) {
      const std::size_t equals = setting.find('=');
      const std::string name = setting.substr(0, equals);
      if (equals == std::string::npos || equals == 0) {
        wrong(fmt::format("--env needs KEY=VALUE, got '{}'", setting), "--env NPU_MEMORY_FRACTION=0.92");
      } else if (name == kEnvironment[0]) {
        o.memory_fraction = setting.substr(equals + 1);
        if (o.memory_fraction.empty()) wrong("NPU_MEMORY_FRACTION has no value", "--env NPU_MEMORY_FRACTION=0.92");
      } else if (name == kEnvironment[1]) {
        const std::string value = setting.substr(equals + 1);
        const bool on = value == "1" || value == "true";
        if (on || value == "0" || value == "false")
          o.async_scheduling = on;
        else
          wrong(fmt::format("{} must be 0, 1, true or false, got '{}'", name, value), fmt::format("--env {}=1", name));
      } else if (of_launch_scripts(name)) {
        o.defines.insert_or_assign(name, setting.substr(equals + 1));
      } else {
        const std::string_view near = nearest(name, kEnvironment);
        diagnostics_.warning("W0006", {}, fmt::format("environment variable {} has no effect here", name), {},
                             near.empty() ? fmt::format("known: {}", fmt::join(kEnvironment, ", "))
                                          : fmt::format("did you mean {}?", near));
      }
    }
  }

  static bool of_launch_scripts(std::string_view name) {
    for (const OptionTable* const table : option_tables())
      if (std::ranges::find(table->environment, name, &EnvironmentSpec::name) != table->environment.end()) return true;
    return false;
  }

  void check_required() {
    const std::size_t words = written_.words.size() + (written_.launch.empty() ? 0 : 1);
    const bool pair = !written_.prefill.empty() || !written_.decode.empty();
    if (pair) return check_pair();
    if (written_.schema) return;
    // A file may carry its hardware and load: whether they are missing shows when it is read.
    for (const OptionSpec& o : kOptions)
      if (words == 0 && o.text != nullptr && offers(command_, o) && is_required(command_, long_name(o.names)) &&
          (written_.*o.text).empty())
        say_missing_option(long_name(o.names), diagnostics_);
    const std::string_view all = command_.words, one = all.substr(0, all.find("..."));
    if (words < command_.least_words)
      diagnostics_.error("E0003", {}, fmt::format("{} is missing", one), {}, command_.words_help);
    if (words > command_.most_words)
      diagnostics_.error(
          "E0003", {},
          command_.most_words == 0
              ? fmt::format("{} takes options only, got: {}", command_.name, fmt::join(written_.words, " "))
              : fmt::format("{} takes {} {}, got {}: {}", command_.name, command_.most_words, command_.words, words,
                            fmt::join(written_.words, " ")));
  }

  void check_pair() {
    if (written_.prefill.empty()) say_missing_option("--prefill", diagnostics_);
    if (written_.decode.empty()) say_missing_option("--decode", diagnostics_);
    if (!written_.words.empty())
      diagnostics_.error("E0003", {},
                         fmt::format("--prefill and --decode name the files of a pair: {} is one too many",
                                     fmt::join(written_.words, " ")));
    for (const auto& [option, text] : {std::pair{"--role", &written_.role}, {"--servers", &written_.servers}})
      if (!text->empty())
        wrong(fmt::format("{} does not say which side of the pair it means", option),
              "--prefill-servers and --decode-servers; roles follow from --prefill and --decode");
  }

  const Command& command_;
  const Written& written_;
  Diagnostics& diagnostics_;
};

// One command line: CLI11 splits it, nothing in it decides what is right (2.1.2 swallows unknown options as words).
class Application {
 public:
  Application(std::span<const std::string> args, std::string& out, std::string& err)
      : args_(args), out_(out), err_(err) {
    app_.set_help_flag();
    app_.require_subcommand(0, 1);
    app_.allow_extras();
    app_.add_flag("-h,--help", written_.help);
    app_.add_flag("-V,--version", written_.version);
    for (const Command& c : builtin_commands()) add_command(c);
  }

  int run() {
    const std::string what = parse();
    const Command* const command = chosen();
    if (what.empty() && written_.version) return say(kDone, fmt::format("ascendsim {}\n", ASCENDSIM_VERSION));
    if (what.empty() && written_.help) return say(kDone, command ? command_help(*command) : top_help());
    Diagnostics diagnostics;
    if (!what.empty()) diagnostics.error("E0003", {}, what);
    report_unknown(command, diagnostics);
    if (command == nullptr && !diagnostics.has_errors()) {
      err_ += top_help();
      diagnostics.error("E0001", {}, "a command is missing", {},
                        fmt::format("one of: {}", fmt::join(command_names(builtin_commands()), ", ")));
    }
    if (diagnostics.has_errors()) return refuse(diagnostics, command);
    const Options options = Reader(*command, written_, diagnostics).read();
    if (diagnostics.has_errors()) return refuse(diagnostics, command);
    return answer(*command, options, diagnostics);
  }

 private:
  void add_command(const Command& c) {
    CLI::App* const sub = app_.add_subcommand(c.name);
    sub->set_help_flag();
    sub->allow_extras();
    sub->add_option("words", written_.words);
    sub->add_flag("-V,--version", written_.version);
    for (const OptionSpec& o : kOptions) {
      if (!offers(c, o)) continue;
      if (o.flag != nullptr)
        sub->add_flag(o.names, written_.*o.flag);
      else
        sub->add_option(o.names, written_.*o.text)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    if (c.options & kDeploymentOptions) {
      sub->add_option(kEnvNames, written_.env)->allow_extra_args(false);
      sub->add_option(kDefineName, written_.define)->allow_extra_args(false);
      sub->add_option(kSetName, written_.set)->allow_extra_args(false);
    }
    if (c.options & kCompareOptions) sub->add_option(kVaryName, written_.vary)->allow_extra_args(false);
  }

  // What CLI11 says is wrong; empty when it could split everything.
  std::string parse() {
    try {
      app_.parse(std::vector<std::string>(args_.rbegin(), args_.rend()));
      return {};
    } catch (const CLI::ArgumentMismatch& e) {
      const std::string_view what = e.what();
      return fmt::format("{} needs a value", what.substr(0, what.find(':')));
    } catch (const CLI::ParseError& e) {
      return e.what();
    }
  }

  const Command* chosen() const {
    for (const Command& c : builtin_commands())
      if (app_.got_subcommand(c.name)) return &c;
    return nullptr;
  }

  void report_unknown(const Command* command, Diagnostics& diagnostics) const {
    std::vector<std::string> left = app_.remaining();
    if (command != nullptr)
      for (const std::string& s : app_.get_subcommand(command->name)->remaining()) left.push_back(s);
    const auto names = option_names(command);
    const auto commands = command_names(builtin_commands());
    for (const std::string& s : left) {
      const bool is_option = s.size() > 1 && s[0] == '-';
      if (!is_option && command != nullptr) continue;
      const std::string name = s.substr(0, s.find('='));
      const std::string_view near = is_option ? nearest(name, names) : nearest(name, commands);
      diagnostics.error(is_option ? "E0002" : "E0001", {},
                        fmt::format("unknown {} '{}'", is_option ? "option" : "command", name), {},
                        !near.empty() ? fmt::format("did you mean '{}'?", near)
                        : is_option   ? std::string("ascendsim --help lists the options of a command")
                                      : fmt::format("one of: {}", fmt::join(commands, ", ")));
      if (!is_option) return;
    }
  }

  int say(int code, const std::string& text) {
    out_ += text;
    return code;
  }

  [[nodiscard]] bool wants_json() const {
    return written_.json || written_.format == "json" || std::ranges::find(args_, "--json") != args_.end();
  }

  int refuse(const Diagnostics& diagnostics, const Command* usage_of) {
    err_ += findings_text(diagnostics, written_.verbose);
    if (usage_of != nullptr) err_ += usage_line(*usage_of);
    if (wants_json()) out_ += diagnostics_json(diagnostics);
    return kWrongInput;
  }

  int answer(const Command& command, const Options& options, Diagnostics& diagnostics) {
    Reply reply;
    try {
      reply = command.answer(options, diagnostics);
    } catch (const ConfigError& e) {
      err_ += findings_text(e.diagnostics, options.verbose);
      err_ += count_in_words(e.diagnostics) + "\n";
      if (options.format == Format::kJson) out_ += diagnostics_json(e.diagnostics);
      return kWrongInput;
    }
    err_ += reply.err;
    // What export writes there are its files.
    if (options.output_file.empty() || (command.options & kExportOptions)) return say(reply.exit_code, reply.out);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(options.output_file.c_str(), "wb"),
                                                               &std::fclose);
    if (file && std::fwrite(reply.out.data(), 1, reply.out.size(), file.get()) == reply.out.size() &&
        std::fflush(file.get()) == 0)
      return reply.exit_code;
    diagnostics.error("E0005", {}, fmt::format("cannot write '{}'", options.output_file), {}, "choose another -o FILE");
    return refuse(diagnostics, nullptr);
  }

  std::span<const std::string> args_;
  std::string& out_;
  std::string& err_;
  Written written_;
  CLI::App app_{"", "ascendsim"};
};

}  // namespace

void say_missing_option(std::string_view option, Diagnostics& diagnostics) {
  const auto& spec = *std::ranges::find_if(kOptions, [&](const OptionSpec& o) { return long_name(o.names) == option; });
  diagnostics.error("E0003", {}, fmt::format("{} {} is missing", option, spec.value), {}, with_engines(spec.help));
}

int run_application(std::span<const std::string> args, std::string& out, std::string& err) {
  try {
    return Application(args, out, err).run();
  } catch (const std::exception& e) {
    err += fmt::format("this is a bug in ascendsim: {}\n", e.what());
    return kOurBug;
  }
}

}  // namespace ascendsim
