#include "reports/scenario.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "reports/answers/steps.h"
#include "sim/source_text.h"
#include "strategies/engines/rules.h"
#include "strategies/engines/simulated.h"
#include "strategies/prediction/disaggregated.h"
#include "strategies/search/variation.h"

namespace ascendsim {

namespace {

constexpr std::string_view kEngine = "mindie";
constexpr std::int64_t kMostServers = 4096;

std::string data_root() {
  const char* const set = std::getenv("ASCENDSIM_ROOT");
  return set != nullptr && *set != '\0' ? set : ASCENDSIM_SOURCE_ROOT;
}

// The longest sequence that the engine and the model take, prompt as long as may be.
Workload at_limits(const Deployment& d) {
  const std::int64_t longest = std::min(d.limits.max_seq_len, d.model.max_positions);
  const std::int64_t input = std::min(d.limits.max_input_tokens, longest - 1);
  return {.input_tokens = input, .output_tokens = longest - input, .batch = 1};
}

Workload workload_of(Load load, const Question& q) {
  const Deployment& d = q.deployment;
  const Workload& asked = q.workload;
  if (load == Load::kAsked) return asked;
  Workload w = at_limits(d);
  if (asked.input_tokens > 0) {
    w.input_tokens = asked.input_tokens;
    w.output_tokens = std::max<std::int64_t>(1, std::min(w.output_tokens, d.limits.max_seq_len - w.input_tokens));
  }
  if (asked.output_tokens > 0) {
    w.output_tokens = asked.output_tokens;
    if (asked.input_tokens == 0) w.input_tokens = std::min(w.input_tokens, d.limits.max_seq_len - w.output_tokens);
  }
  w.batch = asked.batch;
  w.prefix_hit = asked.prefix_hit;
  w.acceptance = asked.acceptance;
  return w;
}

bool possible(const Workload& w) { return w.input_tokens >= 1 && w.output_tokens >= 1 && w.batch >= 1; }

// Options are the last word, over the file and over --set.
void override_with(const Options& o, const FileChoice& choice, Question& q, Diagnostics& diagnostics) {
  const auto text = [&](const char* path, const std::string& value, const char* option) {
    if (!value.empty()) put<std::string>(q, path, value, fmt::format("{} {}", option, value));
  };
  const auto count = [&](const char* path, std::optional<std::int64_t> value, const char* option) {
    if (value) put<std::int64_t>(q, path, *value, fmt::format("{} {}", option, *value));
  };
  if (choice.load) {
    const std::string source = choice.load->where.line > 0 && !choice.load->where.file.starts_with("--")
                                   ? fmt::format("{}:{}", choice.load->where.file, choice.load->where.line)
                                   : "--workload";
    if (choice.load->input) put<std::int64_t>(q, "workload.input_tokens", *choice.load->input, source);
    if (choice.load->output) put<std::int64_t>(q, "workload.output_tokens", *choice.load->output, source);
    if (choice.load->batch) put<std::int64_t>(q, "workload.batch", *choice.load->batch, source);
  }
  if (!q.imported) {  // the importer has these already: it needs them to read names
    text("model", o.model, "--model");
    text("quantisation", o.quantisation, "--quantisation");
  }
  if (choice.role) text("role", std::string(to_text(*choice.role)), "--role");
  Diagnostics said_by_the_importer;
  if (!o.memory_fraction.empty())
    if (const auto v = parse_memory_fraction(o.memory_fraction, q.imported ? said_by_the_importer : diagnostics))
      put<double>(q, "memory_fraction", *v, "environment NPU_MEMORY_FRACTION");
  if (o.async_scheduling)
    put<bool>(q, "features.async_scheduling", *o.async_scheduling, "environment MINDIE_ASYNC_SCHEDULING_ENABLE");
  text("hardware.server", choice.hardware, "--hardware");
  text("hardware.die", o.die, "--die");
  count("hardware.servers", choice.servers, "--servers");
  count("workload.input_tokens", o.input, "--input");
  count("workload.output_tokens", o.output, "--output");
  count("workload.batch", o.batch, "--batch");
  count("workload.prefix_hit", o.prefix_hit, "--prefix-hit");
  if (!o.acceptance.empty()) put<std::vector<double>>(q, "workload.acceptance", o.acceptance, "--acceptance");
}

// Engines with a table of versions may run in one that has no figures of its own: the newest ones stand in, and a note
// says so.
Stack of_version(Stack newest, const std::string& version, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics said;
  const EngineVersions versions = libraries.versions(newest.engine, said);
  if (versions.engine.empty() || (versions.features.empty() && versions.defaults.empty()))
    return libraries.stacks.load(newest.engine, version, diagnostics);
  if (!parse_version(version))
    diagnostics.error("E0211", {}, fmt::format("'{}' is no version of {}", version, newest.engine), {},
                      "--engine-version 0.15.0rc1");
  else if (parse_version(version) != parse_version(newest.version))
    diagnostics.note(
        "A0137", {},
        fmt::format("no figures of {} {} are known: those of {} are used", newest.engine, version, newest.version));
  newest.version = version;
  return newest;
}

// `name`: an engine, or an engine with its version; --engine-version replaces the latter.
Stack load_stack(std::string_view name, const Options& options, const Libraries& libraries, Diagnostics& diagnostics) {
  const std::string& version = options.engine_version;
  Stack stack = libraries.stacks.load(name, "", diagnostics);
  if (stack.engine.empty() || version == stack.version) return stack;
  if (!version.empty()) return of_version(std::move(stack), version, libraries, diagnostics);
  if (name == stack.engine)
    diagnostics.note(
        "A0109", {},
        fmt::format("--engine-version is not set: {} {} assumed, the newest known", stack.engine, stack.version));
  return stack;
}

// What the file names, and what is assumed beside it.
std::vector<KeyReport> keys_of(const Question& q) {
  std::vector<KeyReport> keys;
  for (const Field& f : question_fields())
    keys.push_back({std::string(f.path), field_text(f, q), q.named(f.path) ? KeyUse::kUsed : KeyUse::kAssumed, {}});
  return keys;
}

bool is_own(const Document& document, const Options& options) {
  return options.from == FileKind::kOwn || (options.from == FileKind::kByContent && is_question(document.root()));
}

// --set. "decode.layout.sp=8" concerns that side of a pair; pcp and dcp are vLLM's names of two degrees.
void set_all(const FileChoice& choice, const Options& options, Question& q, Diagnostics& found) {
  static constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"pcp", "layout.cp"},
                                                                                  {"dcp", "layout.sp"}};
  const std::string role = choice.role ? std::string(to_text(*choice.role)) : q.role;
  for (const std::string& written : options.set) {
    std::string_view name = std::string_view(written).substr(0, written.find('='));
    const std::string value = written.substr(name.size());
    const bool is_path = std::ranges::any_of(question_fields(), [&](const Field& f) { return f.path == name; });
    std::string_view side;
    for (const std::string_view s : {"prefill.", "decode."})
      if (!is_path && name.starts_with(s)) side = s;
    name.remove_prefix(side.size());
    if (!side.empty()) side.remove_suffix(1);
    if (!side.empty() && role == "hybrid")
      found.error("E0365", {.file = fmt::format("--set {}", written)},
                  fmt::format("there is no {} side: the deployment does both phases", side), {},
                  fmt::format("--set {}{}", name, value));
    if (!side.empty() && role != side) continue;
    const auto other = std::ranges::find(kOtherNames, name, &std::pair<std::string_view, std::string_view>::first);
    set_field(fmt::format("{}{}", other == std::end(kOtherNames) ? name : other->second, value), q, found);
  }
}

void read_own(ConfigNode root, const FileChoice& choice, const Libraries& libraries, const Options& options,
              LoadedQuestion& out, Diagnostics& found) {
  Question& q = out.question;
  q.deployment.file = root.where().file;
  q.deployment.own_words = true;
  read_question(root, q, found);
  out.has_layout = !found.has_errors();
  set_all(choice, options, q, found);
  if (q.stack.empty())
    found.error("E0369", root.where(), "no software stack is named", {},
                fmt::format("stack: cann-recipes; known: {}", fmt::join(libraries.stacks.names(), ", ")));
  else
    out.stack = load_stack(q.stack, options, libraries, found);
}

void read_engine_file(const Document& document, const FileChoice& choice, const Libraries& libraries,
                      const Options& options, LoadedQuestion& out, Diagnostics& found) {
  out.stack = load_stack(kEngine, options, libraries, found);
  out.question.imported = true;
  // Without the stack there is nothing to import with; its own diagnostics say why.
  if (out.stack.engine.empty()) return;
  const bool twice = found.has_errors();
  Diagnostics said;
  const Import import =
      import_mindie(document, {options.model, options.quantisation, options.memory_fraction, choice.role}, out.stack,
                    libraries.models, libraries.schemes, said);
  for (const Document::Leniency& l : document.beyond_strict_json())
    found.warning(
        "W0335", l.where, fmt::format("{} is no JSON: it is read over here", l.what),
        "RFC 8259; nlohmann::json, which C++ servers such as MindIE's parse with, refuses it unless told otherwise",
        "remove it");
  const Question before = out.question = from_import(import);
  out.keys = import.keys;
  // A degree that is written twice has been refused: rules about either value would only add to that.
  out.has_layout = import.deployment.origins.contains("tp") && !twice;
  Diagnostics set;
  // --env: variables that scripts export and MindIE's file does not know.
  for (const char* const variable : {"HCCL_BUFFSIZE", "HCCL_OP_EXPANSION_MODE"})
    if (const auto at = options.defines.find(variable); at != options.defines.end())
      set_field(fmt::format("{}={}", variable, at->second), out.question, set);
  set_all(choice, options, out.question, set);
  derive_layout(out.question);
  found.append(with_current_assumptions(said, before, out.question));
  found.append(set);
}

// The newest stack of the engine stands in for a version without figures of its own.
Stack load_launch_stack(const std::string& engine, const Options& options, const Libraries& libraries,
                        Diagnostics& diagnostics) {
  Stack stack = libraries.stacks.load(engine, "", diagnostics);
  if (stack.engine.empty()) return stack;
  if (!options.engine_version.empty())
    return of_version(std::move(stack), options.engine_version, libraries, diagnostics);
  diagnostics.note(
      "A0109", {},
      fmt::format("--engine-version is not set: {} {} assumed, the newest known", stack.engine, stack.version));
  return stack;
}

void read_launched(const FileChoice& choice, const Libraries& libraries, const Options& options, LoadedQuestion& out,
                   Diagnostics& found) {
  const LaunchedInstance& launched = *choice.launched;
  const Question before = out.question = launched.question;
  out.keys = launched.keys;
  out.has_layout = true;
  out.stack = load_launch_stack(before.stack, options, libraries, found);
  Diagnostics set;
  set_all(choice, options, out.question, set);
  if (follow_cut_cache(out.question, before.deployment.layout.kv_shards() > 1))
    set.note("A0143", out.question.deployment.origin("layout.sp").where,
             fmt::format("{} {} is assumed: an option cuts the cache, and the connector moves whole blocks",
                         key_name(out.question.deployment, "kv_cache.interleave"),
                         out.question.deployment.limits.kv_interleave));
  found.append(with_current_assumptions(launched.diagnostics, before, out.question));
  found.append(set);
}

Server load_server(const Question& q, Load load, const Libraries& libraries, Diagnostics& diagnostics) {
  const std::string_view name = q.hardware.server.empty() ? kUsualServer : std::string_view(q.hardware.server);
  if (q.hardware.server.empty() && load == Load::kLimitsIfAny)
    diagnostics.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  return libraries.catalogue.server(name, q.hardware.die, diagnostics);
}

Fabric fabric_of(const Question& q, const Libraries& libraries) {
  Diagnostics said_later;
  return libraries.catalogue
      .server(q.hardware.server.empty() ? kUsualServer : std::string_view(q.hardware.server), "", said_later)
      .fabric;
}

// Degrees, names and limits that follow from what was read.
void finish(LoadedQuestion& out, const Libraries& libraries, Diagnostics& found) {
  derive_layout(out.question);
  Deployment& d = out.question.deployment;
  d.engine = out.stack.engine;
  d.engine_version = out.stack.version;
  resolve(out.question, libraries.models, libraries.schemes, found);
  if (out.question.launched) complete_launch(out.question, fabric_of(out.question, libraries), found);
  if (!out.question.imported && !out.stack.engine.empty()) complete(out.question, out.stack, found);
  if (!out.question.imported) out.keys = keys_of(out.question);
}

// Rules and limits; the scenario when nothing is wrong.
Subject judge(LoadedQuestion loaded, const std::string& file, Load load, const Libraries& libraries,
              const Diagnostics& of_file, Diagnostics& diagnostics) {
  Diagnostics found;
  Subject subject{file, std::move(loaded.keys), std::move(loaded.question), {}, nullptr};
  const Question& q = subject.question;
  const Deployment& d = q.deployment;
  const bool own = !q.imported;
  Diagnostics of_platform;
  KernelTable kernels;
  if (!loaded.stack.engine.empty()) kernels = libraries.catalogue.kernels(loaded.stack.kernels, of_platform);
  const Server server = load_server(q, load, libraries, of_platform);
  const bool usable = !of_platform.has_errors() && !loaded.stack.engine.empty();
  int servers = 1;
  if (loaded.has_layout && usable) {
    servers = server_count(q, server, found);
    const EngineVersions versions = libraries.versions(d.engine, found);
    check_deployment({d, q.declared_world, server, servers, own, &versions}, found);
  }
  if (loaded.readable) {
    subject.workload = workload_of(load, q);
    if (possible(subject.workload)) complete_workload(d, loaded.stack, subject.workload, found);
    if (load != Load::kLimitsIfAny || possible(subject.workload)) check_workload(d, subject.workload, own, found);
    if (!possible(subject.workload) && load == Load::kLimits)
      found.error("E0008", d.origin("maxSeqLen").where,
                  "this deployment leaves no room for a prompt and an output token", {},
                  fmt::format("raise {}, or lower --output", key_name(d, "maxSeqLen")));
  }
  std::optional<Deployment> programs_run;
  if (loaded.readable && loaded.has_layout && usable && !found.has_errors())
    programs_run = simulated(d, load == Load::kLimitsIfAny ? Severity::kWarning : Severity::kError, found);
  diagnostics.append(of_platform);
  diagnostics.append(of_file);
  diagnostics.append(found);
  if (programs_run) {
    const auto ranks = static_cast<int>(programs_run->layout.world() / servers);
    subject.scenario = std::make_unique<Scenario>(std::move(*programs_run), std::move(loaded.stack), std::move(kernels),
                                                  Cluster(server, servers, ranks));
  }
  return subject;
}

}  // namespace

int server_count(const Question& q, const Server& server, Diagnostics& diagnostics) {
  const std::int64_t most = server.max_servers > 0 ? server.max_servers : kMostServers;
  const std::int64_t wanted =
      q.hardware.servers > 0 ? q.hardware.servers : ceil_div(q.deployment.layout.world(), server.dies());
  if (q.hardware.servers > most)
    diagnostics.error("E0007", q.deployment.origin("hardware.servers").where,
                      fmt::format("--servers must be at most {} for {}, got {}", most, server.product, wanted));
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most));
}

std::string data_folder(std::string_view name) { return fmt::format("{}/{}", data_root(), name); }

Libraries::Libraries()
    : catalogue(data_folder("hardware/catalogue")),
      models(data_folder("workloads/models")),
      schemes(data_folder("workloads/quantisation")),
      stacks(data_folder("strategies/engines/stacks")) {}

EngineVersions Libraries::versions(const std::string& engine, Diagnostics& diagnostics) {
  return load_versions(data_folder("strategies/engines/versions"), engine, diagnostics);
}

namespace {

std::string path_of(const std::string& file) { return file == "-" ? "/dev/stdin" : file; }

FileChoice choice_of(const Options& options, std::string file) {
  return {std::move(file), options.hardware, options.servers, options.role};
}

// Which side of a pair a text in our own format is.
std::optional<Role> side_of(const std::string& text) {
  Diagnostics said_later;
  const auto document = Document::parse(text, "", said_later);
  if (!document || !is_question(document->root())) return std::nullopt;
  const auto role = document->root().find("role");
  if (!role.is_scalar()) return std::nullopt;
  const auto word = role.as_string(said_later);
  return word == "prefill"  ? std::optional(Role::kPrefill)
         : word == "decode" ? std::optional(Role::kDecode)
                            : std::nullopt;
}

// YAML documents of a text, each with as many empty lines before it as there are lines of others: places stay where
// they were.
std::vector<std::string> documents_of(const std::string& text) {
  std::vector<std::string> out;
  std::size_t lines = 0;
  bool anything = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (line.starts_with("---") && (anything || out.empty())) {
      if (anything || out.empty()) out.emplace_back(std::string(lines, '\n'));
      anything = false;
      out.back() += '\n';
    } else {
      if (out.empty()) out.emplace_back();
      out.back() += line;
      anything = anything || (line.find_first_not_of(" \t\r\n") != std::string_view::npos &&
                              line[line.find_first_not_of(" \t\r\n")] != '#');
    }
    ++lines;
    at = end;
  }
  return out;
}

// The two sides of a pair in one file, as `convert` writes them; empty when it is something else.
std::vector<std::string> sides_of(const std::string& text) {
  if (text.find("\n---") == std::string::npos) return {};
  std::vector<std::string> documents = documents_of(text);
  if (documents.size() != 2) return {};
  const auto first = side_of(documents[0]), second = side_of(documents[1]);
  return first && second && *first != *second ? documents : std::vector<std::string>{};
}

}  // namespace

namespace {

// `texts`: of each file, empty when it could not be read: whoever loads it says why.
std::vector<FileChoice> gather(std::vector<std::pair<std::string, std::optional<std::string>>> texts,
                               const Libraries& libraries, const Options& options, Diagnostics& diagnostics) {
  std::vector<FileChoice> out;
  std::vector<LaunchedCommand> commands;
  const bool given = !texts.empty();
  const bool insists = options.from == FileKind::kVllm || options.from == FileKind::kSglang,
             other = options.from != FileKind::kByContent && !insists;
  const auto add = [&](std::string text, const std::string& name) {
    for (LaunchedCommand& c : read_launch(std::move(text), name, options.defines, diagnostics))
      commands.push_back(std::move(c));
  };
  for (auto& [file, text] : texts) {
    if (text && !other && (insists || is_launch_text(*text))) {
      add(std::move(*text), path_of(file));
      continue;
    }
    std::vector<std::string> parts = text && !other ? sides_of(*text) : std::vector<std::string>{};
    const bool may_be_side = !parts.empty() || texts.size() == 2;
    if (parts.empty() && text) parts.push_back(std::move(*text));
    if (parts.empty()) out.push_back(choice_of(options, file));
    for (std::string& part : parts) {
      FileChoice& choice = out.emplace_back(choice_of(options, file));
      if (may_be_side) choice.side = side_of(part);
      choice.text = std::make_shared<const std::string>(std::move(part));
    }
  }
  if (!options.launch.empty()) add(options.launch, "--launch");
  // A load that is asked for goes before the benchmark lines of scripts.
  const auto load = read_benchmark(
      options.workload.empty() ? commands : read_launch(options.workload, "--workload", options.defines, diagnostics),
      options.defines, diagnostics);
  const auto engine = std::ranges::find_if(
      commands, [](const LaunchedCommand& c) { return c.kind == LaunchKind::kVllm || c.kind == LaunchKind::kSglang; });
  if (engine != commands.end()) {
    const std::string name = engine->kind == LaunchKind::kVllm ? "vllm-ascend" : "sglang";
    const EngineVersions versions = libraries.versions(name, diagnostics);
    Diagnostics said_later;
    const std::string version =
        options.engine_version.empty() ? libraries.stacks.load(name, "", said_later).version : options.engine_version;
    const ImportOptions import{options.model, options.quantisation, {}, {}};
    Diagnostics between;
    for (LaunchedInstance& i : import_instances(
             commands, {import, options.defines, libraries.models, libraries.schemes, versions, version}, between)) {
      FileChoice& choice = out.emplace_back(choice_of(options, i.name));
      choice.launched = std::make_shared<const LaunchedInstance>(std::move(i));
    }
    diagnostics.append(between);
  } else if (!commands.empty() && options.workload.empty() && given && out.empty()) {
    diagnostics.note(
        "A0138", commands.front().where,
        fmt::format("{} starts no engine: it is only compared with the scripts of engines", commands.front().program));
  }
  for (FileChoice& c : out) c.load = load;
  return out;
}

}  // namespace

std::vector<FileChoice> read_inputs(const std::vector<std::string>& files, const Libraries& libraries,
                                    const Options& options, Diagnostics& diagnostics) {
  std::vector<std::pair<std::string, std::optional<std::string>>> texts;
  Diagnostics said_later;
  for (const std::string& file : files)
    texts.emplace_back(file, read_file(path_of(file), Document::kMaxBytes, said_later));
  return gather(std::move(texts), libraries, options, diagnostics);
}

std::vector<FileChoice> read_texts(std::vector<InputText> texts, const Libraries& libraries, const Options& options,
                                   Diagnostics& diagnostics) {
  std::vector<std::pair<std::string, std::optional<std::string>>> named;
  for (InputText& t : texts) named.emplace_back(std::move(t.name), std::move(t.text));
  return gather(std::move(named), libraries, options, diagnostics);
}

PairChoice pair_among(const std::vector<FileChoice>& choices) {
  PairChoice pair;
  if (choices.size() != 2) return pair;
  for (const FileChoice& c : choices) {
    const bool prefill = c.launched ? c.launched->question.role == "prefill" : c.side == Role::kPrefill;
    const bool decode = c.launched ? c.launched->question.role == "decode" : c.side == Role::kDecode;
    if (!prefill && !decode) return {};
    (prefill ? pair.prefill : pair.decode) = &c;
  }
  return pair.prefill != nullptr && pair.decode != nullptr ? pair : PairChoice{};
}

void check_pair(const FileChoice& prefill_choice, const Subject& prefill, const FileChoice& decode_choice,
                const Subject& decode, Diagnostics& diagnostics) {
  check_disaggregated(prefill.question.deployment, decode.question.deployment, diagnostics);
  if (prefill_choice.launched && decode_choice.launched)
    check_pair_of_scripts(*prefill_choice.launched, *decode_choice.launched, diagnostics);
}

LoadedQuestion load_question(const FileChoice& choice, const Libraries& libraries, const Options& options,
                             Diagnostics& diagnostics) {
  LoadedQuestion out;
  Diagnostics found;
  std::shared_ptr<const Document> document;
  if (choice.launched)
    read_launched(choice, libraries, options, out, found);
  else if (choice.text)
    document = Document::parse(*choice.text, path_of(choice.file), found);
  else
    document = Document::load(path_of(choice.file), found);
  if (document) {
    if (is_own(*document, options))
      read_own(document->root(), choice, libraries, options, out, found);
    else
      read_engine_file(*document, choice, libraries, options, out, found);
  }
  // Also without a document: what the options say is not missing.
  override_with(options, choice, out.question, found);
  // The guides that launch scripts come from are written for Atlas A3.
  if (choice.launched && out.question.hardware.server.empty()) {
    out.question.hardware.server = kUsualServer;
    found.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  }
  const bool read = document || choice.launched;
  if (choice.launched) derive_layout(out.question);
  if (read) finish(out, libraries, found);
  out.readable = read && !found.has_errors();
  diagnostics.append(found);
  return out;
}

LoadedQuestion question_of_options(std::string_view stack, const std::string& server, const Libraries& libraries,
                                   const Options& options, Diagnostics& diagnostics) {
  LoadedQuestion out;
  Diagnostics found;
  Question& q = out.question;
  q.deployment.file = "the command line";
  q.deployment.own_words = true;
  q.stack = stack;
  for (const std::string& assignment : options.set) set_field(assignment, q, found);
  out.stack = load_stack(q.stack, options, libraries, found);
  override_with(options, {q.deployment.file, server, std::nullopt, options.role}, q, found);
  q.deployment.engine = out.stack.engine;
  q.deployment.engine_version = out.stack.version;
  resolve(q, libraries.models, libraries.schemes, found);
  out.readable = !found.has_errors();
  diagnostics.append(found);
  return out;
}

Subject load_subject(const FileChoice& choice, Load load, const Libraries& libraries, const Options& options,
                     Diagnostics& diagnostics) {
  Diagnostics of_file;
  LoadedQuestion loaded = load_question(choice, libraries, options, of_file);
  return judge(std::move(loaded), choice.file, load, libraries, of_file, diagnostics);
}

Subject load_subject(ConfigNode deployment, Load load, const Libraries& libraries, const Options& options,
                     Diagnostics& diagnostics) {
  Diagnostics of_file;
  LoadedQuestion loaded;
  read_own(deployment, {}, libraries, options, loaded, of_file);
  finish(loaded, libraries, of_file);
  loaded.readable = !of_file.has_errors();
  return judge(std::move(loaded), deployment.where().file, load, libraries, of_file, diagnostics);
}

namespace {

// What neither the file nor an option says.
void require(const Question& q, Load load, Diagnostics& diagnostics) {
  if (q.hardware.server.empty()) say_missing("--hardware", diagnostics);
  if (load != Load::kAsked) return;
  if (q.workload.input_tokens == 0) say_missing("--input", diagnostics);
  if (q.workload.output_tokens == 0) say_missing("--output", diagnostics);
}

}  // namespace

const FileChoice& only_choice(const std::vector<FileChoice>& choices, Diagnostics& diagnostics) {
  std::vector<std::string> names;
  for (const FileChoice& c : choices) names.push_back(c.file);
  if (choices.size() > 1)
    diagnostics.error("E0003", {},
                      fmt::format("one deployment is needed, got {}: {}", choices.size(), fmt::join(names, ", ")), {},
                      "the files of one instance, or of a prefill and a decode instance");
  else if (choices.empty() && !diagnostics.has_errors())
    diagnostics.error("E0003", {}, "no deployment is given", {}, "a file, or --launch COMMAND");
  if (choices.size() != 1) throw ConfigError(diagnostics);
  return choices.front();
}

Subject load_single(Load load, const Libraries& libraries, const Options& options, Diagnostics& diagnostics) {
  return load_single(read_inputs(options.words, libraries, options, diagnostics), load, libraries, options,
                     diagnostics);
}

Subject load_single(const std::vector<FileChoice>& choices, Load load, const Libraries& libraries,
                    const Options& options, Diagnostics& diagnostics) {
  Subject subject = load_subject(only_choice(choices, diagnostics), load, libraries, options, diagnostics);
  if (!options.print_config) require(subject.question, load, diagnostics);
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  check(subject.scenario != nullptr, "a subject without errors has a scenario");
  return subject;
}

std::string effective_configuration(const Subject& subject) {
  Question q = subject.question;
  q.workload = subject.workload;
  q.hardware.servers = subject.servers();
  q.hardware.server = subject.scenario->cluster.server().name;
  q.hardware.die = subject.scenario->cluster.server().die.name;
  return to_yaml(q, YamlComments::kOrigin);
}

bool refused(const Diagnostics& diagnostics, bool strict) {
  return diagnostics.has_errors() || (strict && std::ranges::any_of(diagnostics.all(), [](const Diagnostic& d) {
                                        return d.severity == Severity::kWarning;
                                      }));
}

}  // namespace ascendsim
