#include "reports/command_line/setting_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "strategies/engines/launch/options.h"
#include "strategies/intake/subject.h"
#include "workloads/requests/slo.h"

namespace ascendsim {

namespace {

constexpr std::string_view kMemoryFraction = "NPU_MEMORY_FRACTION", kAsyncScheduling = "MINDIE_ASYNC_SCHEDULING_ENABLE";
constexpr std::string_view kEnvironment[] = {kMemoryFraction, kAsyncScheduling};

std::string names_of(const Needed& needed) { return std::string(needed.option); }

bool of_launch_scripts(std::string_view name) {
  return std::ranges::any_of(option_tables(), [&](const OptionTable* table) {
    return std::ranges::find(table->environment, name, &EnvironmentSpec::name) != table->environment.end();
  });
}

void read_environment(const std::string& setting, Settings& s, Options& options) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    return options.wrong(fmt::format("--env needs KEY=VALUE, got '{}'", setting), "--env NPU_MEMORY_FRACTION=0.92");
  const std::string name = setting.substr(0, equals), value = setting.substr(equals + 1);
  if (name == kMemoryFraction) {
    s.memory_fraction = value;
    if (value.empty()) options.wrong("NPU_MEMORY_FRACTION has no value", "--env NPU_MEMORY_FRACTION=0.92");
  } else if (name == kAsyncScheduling) {
    const bool on = value == "1" || value == "true";
    if (on || value == "0" || value == "false")
      s.async_scheduling = on;
    else
      options.wrong(fmt::format("{} must be 0, 1, true or false, got '{}'", name, value),
                    fmt::format("--env {}=1", name));
  } else if (of_launch_scripts(name)) {
    s.defines.insert_or_assign(name, value);
  } else {
    const std::string_view near = nearest(name, kEnvironment);
    options.diagnostics().warning(
        "W0006", {}, fmt::format("environment variable {} has no effect here", name), {},
        near.empty() ? fmt::format("known: {}", fmt::join(kEnvironment, ", ")) : fmt::format("did you mean {}?", near));
  }
}

void read_define(const std::string& setting, Settings& s, Options& options) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    options.wrong(fmt::format("--define needs NAME=VALUE, got '{}'", setting),
                  "--define MODEL_PATH=/data/DeepSeek-R1_w8a8");
  else
    s.defines.insert_or_assign(setting.substr(0, equals), setting.substr(equals + 1));
}

void read_acceptance(const std::string& text, Settings& s, Options& options) {
  std::vector<double> out;
  for (const std::string& part : split_list(text)) {
    double value = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || rest != part.data() + part.size() || !(value >= 0 && value <= 1))
      return options.wrong(fmt::format("--acceptance must be numbers from 0 to 1 with commas between, got '{}'", text),
                           "--acceptance 0.9,0.7");
    out.push_back(value);
  }
  s.acceptance = std::move(out);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

constexpr const char* kExperts =
    "a key of the deployment: --set layout.moe_ep=N; in vLLM's command the switch --enable-expert-parallel";

constexpr const char* kArrivals = "a load generator's option: --workload \"vllm bench serve --request-rate 4 ...\"";

// An option of an engine's command, written to us.
std::string as_key(std::string_view name) {
  for (const OptionTable* const table : option_tables())
    if (const std::string_view field = field_of_option(*table, name); !field.empty())
      return fmt::format("a key of the deployment: --set {}=VALUE", field);
  return {};
}

}  // namespace

Option& hardware_row(Options& o, std::string& target) {
  return o.text(names_of(kNeededHardware), "NAME", target, std::string(kNeededHardware.meaning))
      .also({{"--server"}, {"--machine"}, {"--system"}, {"--npu"}, {"--gpu"}, {"--device"}});
}

Option& input_row(Options& o, std::optional<std::int64_t>& target) {
  return o
      .count("--input,--isl", target, {.most = kMostTokens, .examples = "65536, 64K, 64k"},
             std::string(kNeededInput.meaning))
      .also({{"--context"}, {"--input-len"}, {"--random-input-len"}, {"--input-length"}, {"--prompt-tokens"}});
}

Option& output_row(Options& o, std::optional<std::int64_t>& target) {
  return o
      .count("--output,--osl", target, {.most = kMostTokens, .examples = "1024, 1K, 1k"},
             std::string(kNeededOutput.meaning))
      .also({{"--output-len"}, {"--random-output-len"}, {"--output-length"}, {"--max-tokens"}, {"--max-new-tokens"}});
}

Option& batch_row(Options& o, std::optional<std::int64_t>& target) {
  return o
      .count("--batch", target, {.most = kMostRequests, .examples = "16"},
             "requests side by side, all DP groups together")
      .also({{"--concurrency"}, {"--max-concurrency"}, {"--batch-size"}, {"--requests"}, {"--users"}});
}

Option& servers_row(Options& o, std::optional<std::int64_t>& target) {
  return o.count("--servers", target, {.most = kMostServers, .examples = "2"}, "number of servers")
      .also({{"--nodes"}, {"--nnodes"}, {"--num-nodes"}});
}

Option& die_row(Options& o, std::string& target) {
  return o.text("--die", "NAME", target, "bin of the die").or_else("the server's own");
}

Option& print_config_row(Options& o, bool& target) {
  o.heading("Output");
  return o.flag("--print-config", target, "print the effective configuration and where each value comes from");
}

Option& model_row(Options& o, std::string& target) {
  o.heading("Engine");
  return o.text("--model", "NAME|PATH", target, "model, or a HuggingFace config.json")
      .or_else("as the file names it")
      .also({{"--model-path"}, {"--model-name"}, {"--served-model-name"}});
}

Option& faults_row(Options& o, std::string& target) {
  return o.text("--faults", "FILE", target, "links that are slow or down (docs/fabrics.md)");
}

void load_rows(Options& o, Settings& s, Asks asks) {
  o.heading("Load");
  Option &input = input_row(o, s.input), &output = output_row(o, s.output);
  if (asks == Asks::kNeeds) input.must_unless_in_file(), output.must_unless_in_file();
  batch_row(o, s.batch).or_else("1");
  further_load_rows(o, s);
}

void further_load_rows(Options& o, Settings& s) {
  o.heading("Load");
  o.count("--prefix-hit", s.prefix_hit, {.least = 0, .most = kMostTokens, .examples = "32768, 32K, 32k"},
          "tokens of every prompt that lie in the prefix cache")
      .or_else("0");
  o.custom(
       "--acceptance", "A,B,..", [&](const std::string& text) { read_acceptance(text, s, o); },
       "MTP: acceptance of each draft token")
      .or_else("the stack's");
  o.text("--workload", "COMMAND", s.workload,
         "the load as a benchmark's command line: \"vllm bench serve --random-input-len 65536 ...\"")
      .also({{"--rate", kArrivals}, {"--request-rate", kArrivals}, {"--qps", kArrivals}, {"--num-prompts", kArrivals}});
}

namespace {

// A number above 0; "inf" where that means something.
void above_zero(Options& o, const char* name, std::optional<double>& target, bool may_be_infinite, const char* example,
                const std::string& text) {
  constexpr double kMostASecond = 1e6;
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool number = error == std::errc{} && rest == text.data() + text.size() && value > 0;
  if (number && (value <= kMostASecond || (may_be_infinite && std::isinf(value)))) return void(target = value);
  o.wrong(fmt::format("{} must be a number above 0{}, got '{}'", name, may_be_infinite ? ", or inf" : "", text),
          fmt::format("for example {}", example));
}

// "prefill=3,decode=1", or a number.
void read_instances(const std::string& text, ServiceSettings& s, Options& o) {
  constexpr std::int64_t kMostInstances = 4096;
  static constexpr const char* kExamples = "prefill=3,decode=1, or 2 of a deployment without roles";
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string term = text.substr(at, comma - at);
    const std::size_t equals = term.find('=');
    const std::string role = equals == std::string::npos ? "" : term.substr(0, equals);
    std::optional<std::int64_t>* const target = role.empty()        ? &s.instances
                                                : role == "prefill" ? &s.prefill_instances
                                                : role == "decode"  ? &s.decode_instances
                                                                    : nullptr;
    if (target == nullptr || *target)
      o.wrong(fmt::format("--instances: {} '{}'", target == nullptr ? "unknown side" : "said twice:", term),
              fmt::format("for example {}", kExamples));
    else
      *target = o.whole("--instances", role.empty() ? term : term.substr(equals + 1),
                        {.most = kMostInstances, .examples = kExamples});
    at = comma + 1;
  }
}

}  // namespace

void service_rows(Options& o, ServiceSettings& s) {
  constexpr std::int64_t kMostOfALoad = 1'000'000'000, kMostSeed = 0xFFFF'FFFF;
  s.simulated = true;
  o.at("--workload").others.clear();  // arrivals have rows here
  o.heading("Load over time");
  o.custom(
       "--rate", "R",
       [&](const std::string& text) { above_zero(o, "--rate", s.rate, true, "4, 0.2, inf (all at once)", text); },
       "requests a second over time, or inf: queues and percentiles as the engine makes them")
      .also({{"--request-rate"}, {"--qps"}, {"--arrival-rate"}});
  o.custom(
       "--burstiness", "B",
       [&](const std::string& text) {
         above_zero(o, "--burstiness", s.burstiness, true, "1 (Poisson), 0.5 (bursts), inf (evenly)", text);
       },
       "shape of the gaps between requests: 1 Poisson, below 1 bursts, inf evenly")
      .or_else("1");
  o.count("--max-concurrency", s.max_concurrency, {.most = kMostRequests, .examples = "64"},
          "requests that the client keeps in flight at most")
      .or_else("any number");
  o.count("--requests,--num-prompts", s.requests, {.most = kMostOfALoad, .examples = "1000, 10k"},
          "requests of the load")
      .or_else("1000; of a trace all");
  o.count("--seed", s.seed, {.least = 0, .most = kMostSeed, .examples = "0, 42"}, "of the instants that are drawn")
      .or_else("0");
  o.time("--duration", s.duration, "nothing is sent after it: 60s").or_else("no end");
  o.text("--trace", "FILE", s.trace,
         "a trace instead of a rate: Mooncake, Azure, BurstGPT or our own (docs/loads.md); - is standard input");
  o.custom(
       "--time-scale", "X",
       [&](const std::string& text) {
         above_zero(o, "--time-scale", s.time_scale, false, "0.5 (twice as fast)", text);
       },
       "the times of a trace are multiplied by it: 0.5 sends twice as fast")
      .or_else("1");
  o.custom(
       "--slo", "LIMITS",
       [&](const std::string& text) {
         const SloText slo = parse_slo(text);
         if (slo.slo)
           s.slo = *slo.slo;
         else
           o.wrong(fmt::format("--slo: {}", slo.wrong), slo.help);
       },
       "ttft=2s,tpot=50ms:p95: limits of ttft, tpot, e2el and the statistic judged, p99 where none is named")
      .or_else("no target");
  o.custom(
       "--instances", "N", [&](const std::string& text) { read_instances(text, s, o); },
       "equal instances behind one router: 2, or of a pair prefill=3,decode=1")
      .or_else("1");
}

void machine_rows(Options& o, Settings& s, Asks asks) {
  o.heading("Machine");
  Option& hardware = hardware_row(o, s.hardware);
  if (asks == Asks::kNeeds)
    hardware.must_unless_in_file();
  else
    hardware.or_else(std::string(kUsualServer));
  servers_row(o, s.servers).or_else("as many as the ranks need");
  die_row(o, s.die);
}

void engine_rows(Options& o, Settings& s) {
  // What the shell has is not the engine's; whoever set it there hears so.
  if (const char* const value = std::getenv(std::string(kMemoryFraction).c_str())) s.shell_memory_fraction = value;
  o.heading("Engine");
  o.custom(
       "--quantisation,--quantization", "NAME", [&s](const std::string& text) { s.quantisation = lower(text); },
       "scheme of the weights")
      .or_else("as the file names it, or its model");
  o.choice<Role>("--role", "ROLE", s.role,
                 {{"hybrid", Role::kHybrid}, {"prefill", Role::kPrefill}, {"decode", Role::kDecode}},
                 "hybrid, prefill or decode")
      .or_else("as the file says, else hybrid");
  o.text("--engine-version", "VERSION", s.engine_version, "version of the software stack").or_else("the newest known");
  o.custom(
       "--env", "KEY=VALUE", [&](const std::string& text) { read_environment(text, s, o); },
       fmt::format("environment of the engine, repeatable: {}", fmt::join(kEnvironment, ", ")))
      .repeats = true;
  Option& set =
      o.texts("--set", "KEY=VALUE", s.set, "override a key, repeatable: layout.tp=4, or the engine's own name");
  set.also({{"--ep", kExperts}, {"--ep-size", kExperts}, {"--expert-parallel-size", kExperts}});
  set.meant = as_key;
  o.flag("--strict", s.strict, "warnings count as errors");
}

void file_rows(Options& o, Settings& s) {
  o.heading("Engine");
  std::vector<std::pair<std::string_view, FileKind>> kinds;
  std::vector<std::string_view> words;
  for (const Engine* const e : engines())
    if (!e->called.empty()) kinds.push_back({e->called, {.engine = e}}), words.push_back(e->called);
  kinds.push_back({"ascendsim", {.own = true}});
  o.choice<FileKind>("--from", "KIND", s.from, std::move(kinds),
                     fmt::format("{} or ascendsim: whose file it is", fmt::join(words, ", ")))
      .or_else("by its content");
  o.text("--launch", "COMMAND", s.launch,
         "a command line instead of a file: \"vllm serve MODEL --tensor-parallel-size 16 ...\"");
  o.custom(
       "--define", "NAME=VALUE", [&](const std::string& text) { read_define(text, s, o); },
       "value of a variable in a launch script, repeatable; over its own assignments")
      .repeats = true;
}

void pair_rows(Options& o, Settings& s) {
  o.heading("Prefill and decode on instances of their own");
  const auto needed = [&](const Needed& n, std::string& target) {
    return &o.text(names_of(n), std::string(n.value), target, std::string(n.meaning));
  };
  o.text("--prefill", "FILE", s.prefill.file, "prefill side of a disaggregated pair");
  o.text("--decode", "FILE", s.decode.file, "decode side of a disaggregated pair");
  needed(kNeededPrefillHardware, s.prefill.hardware);
  needed(kNeededDecodeHardware, s.decode.hardware);
  o.count("--prefill-servers", s.prefill.servers, {.most = kMostServers, .examples = "2"},
          "servers of the prefill side")
      .or_else("as many as its ranks need");
  o.count("--decode-servers", s.decode.servers, {.most = kMostServers, .examples = "2"}, "servers of the decode side")
      .or_else("as many as its ranks need");
}

void output_rows(Options& o, OutputSettings& output, Formats formats) {
  o.heading("Output");
  std::vector<std::pair<std::string_view, Format>> known{
      {"table", Format::kTable}, {"json", Format::kJson}, {"md", Format::kMarkdown}, {"csv", Format::kCsv}};
  const bool findings = formats == Formats::kOfFindingsToo;
  if (findings) known.insert(known.end(), {{"short", Format::kShort}, {"github", Format::kGithub}});
  const bool benchmarks = formats == Formats::kOfBenchmarksToo;
  if (benchmarks) known.emplace_back("vllm-bench", Format::kVllmBench);
  o.choice<Format>("--format", "FORMAT", output.format, std::move(known),
                   findings     ? "table, json, md, csv, short or github"
                   : benchmarks ? "table, json, md, csv or vllm-bench, the result file of that tool"
                                : "table, json, md or csv")
      .or_else("table");
  o.custom(
      "--json", "", [&output](const std::string&) { output.format = Format::kJson; }, "the same as --format json");
  o.text("-o,--output-file", "FILE", output.file, "write the answer there instead of stdout")
      .also({{"--out"}, {"--save"}});
  o.flag("-v,--verbose", output.verbose, "say more about notes");
}

}  // namespace ascendsim
