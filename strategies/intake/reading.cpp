#include "strategies/intake/reading.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/deployment/field_text.h"
#include "strategies/deployment/words.h"
#include "strategies/engines/import.h"
#include "strategies/engines/rules.h"

namespace ascendsim {

namespace {

// Settings are the last word, over the file and over --set.
void override_with(const Settings& s, const FileChoice& choice, Question& q, Diagnostics& diagnostics) {
  const auto text = [&](const FieldKey<std::string>& key, const std::string& value, const char* option) {
    if (!value.empty()) put(q, key, value, fmt::format("{} {}", option, value));
  };
  const auto count = [&](const FieldKey<std::int64_t>& key, std::optional<std::int64_t> value, const char* option) {
    if (value) put(q, key, *value, fmt::format("{} {}", option, *value));
  };
  if (choice.load) {
    const std::string source = choice.load->where.line > 0 && !choice.load->where.file.starts_with("--")
                                   ? fmt::format("{}:{}", choice.load->where.file, choice.load->where.line)
                                   : "--workload";
    if (choice.load->input) put(q, field::kInputTokens, *choice.load->input, source);
    if (choice.load->output) put(q, field::kOutputTokens, *choice.load->output, source);
    if (choice.load->batch) put(q, field::kBatch, *choice.load->batch, source);
    if (choice.load->drives_a_server() && choice.load->input && !s.service.simulated)
      say_one_request(*choice.load, diagnostics);
  }
  if (!q.imported) {  // the importer has these already: it needs them to read names
    text(field::kModel, s.model, "--model");
    text(field::kQuantisation, s.quantisation, "--quantisation");
  }
  if (choice.role) put(q, field::kRole, *choice.role, fmt::format("--role {}", word_of(*choice.role)));
  Diagnostics said_by_the_importer;
  if (!s.memory_fraction.empty())
    if (const auto v = parse_memory_fraction(s.memory_fraction, q.imported ? said_by_the_importer : diagnostics))
      put(q, field::kMemoryFraction, *v, "environment NPU_MEMORY_FRACTION");
  if (s.async_scheduling)
    put(q, field::kAsyncScheduling, *s.async_scheduling, "environment MINDIE_ASYNC_SCHEDULING_ENABLE");
  text(field::kServer, choice.hardware, "--hardware");
  text(field::kDie, s.die, "--die");
  count(field::kServers, choice.servers, "--servers");
  count(field::kInputTokens, s.input, "--input");
  count(field::kOutputTokens, s.output, "--output");
  count(field::kBatch, s.batch, "--batch");
  count(field::kPrefixHit, s.prefix_hit, "--prefix-hit");
  if (!s.acceptance.empty()) put(q, field::kAcceptance, s.acceptance, "--acceptance");
}

// Engines with a list of releases may run in one that has no figures of its own: the nearest ones stand in, and a note
// says so.
Stack of_version(Stack nearest, const std::string& written, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics said;
  const EngineVersions& versions = libraries.versions(nearest.engine, said);
  if (versions.releases.empty()) return libraries.stacks.load(nearest.engine, written, diagnostics);
  const std::string version = versions.release(written);
  const auto parsed = parse_version(version);
  if (!parsed) {
    diagnostics.error("E0211", {}, fmt::format("'{}' is no version of {}", written, nearest.engine),
                      fmt::format("releases: {}", fmt::join(versions.releases, ", ")), "--engine-version 0.15.0rc1");
  } else if (!VersionRange{nearest.version, nearest.version}.has(*parsed)) {
    nearest.figures_of = nearest.version;
    diagnostics.note(
        "A0137", {},
        fmt::format("no figures of {} {} are known: those of {} are used", nearest.engine, version, nearest.version));
  }
  nearest.version = version;
  return nearest;
}

bool is_own(const Document& document, const Settings& settings) {
  return settings.from.own || (settings.from.by_content() && is_question(document.root()));
}

// --set. "decode.layout.sp=8" concerns that side of a pair; pcp and dcp are vLLM's names of two degrees.
void set_all(const FileChoice& choice, const Settings& settings, Question& q, Diagnostics& found) {
  static constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"pcp", "layout.cp"},
                                                                                  {"dcp", "layout.sp"}};
  const Role role = choice.role.value_or(q.deployment.role);
  for (const std::string& written : settings.set) {
    std::string_view name = std::string_view(written).substr(0, written.find('='));
    const std::string value = written.substr(name.size());
    const bool is_path = std::ranges::any_of(question_fields(), [&](const Field& f) { return f.path == name; });
    std::string_view side;
    for (const std::string_view s : {"prefill.", "decode."})
      if (!is_path && name.starts_with(s)) side = s;
    name.remove_prefix(side.size());
    if (!side.empty()) side.remove_suffix(1);
    if (!side.empty() && role == Role::kHybrid)
      found.error("E0365", {.file = fmt::format("--set {}", written)},
                  fmt::format("there is no {} side: the deployment does both phases", side), {},
                  fmt::format("--set {}{}", name, value));
    if (!side.empty() && word_of(role) != side) continue;
    const auto other = std::ranges::find(kOtherNames, name, &std::pair<std::string_view, std::string_view>::first);
    set_field(fmt::format("{}{}", other == std::end(kOtherNames) ? name : other->second, value), q, found);
  }
}

void read_engine_file(const Document& document, const FileChoice& choice, const Libraries& libraries,
                      const Settings& settings, AskedQuestion& out, Diagnostics& found) {
  const Engine& engine = usual_engine();
  out.stack = load_stack(engine.name, libraries, settings, found);
  out.question.imported = true;
  // Without the stack there is nothing to import with; its own diagnostics say why.
  if (out.stack.engine.empty()) return;
  const bool twice = found.has_errors();
  Diagnostics said;
  Import import = engine.import_document(
      document,
      {settings.model, settings.quantisation, settings.memory_fraction, choice.role, settings.shell_memory_fraction},
      out.stack, libraries.models, libraries.schemes, said);
  for (const Document::Leniency& l : document.beyond_strict_json())
    found.warning(
        "W0335", l.where, fmt::format("{} is no JSON: it is read over here", l.what),
        "RFC 8259; nlohmann::json, which C++ servers such as MindIE's parse with, refuses it unless told otherwise",
        "remove it");
  const Question before = out.question = std::move(import.question);
  out.keys = std::move(import.keys);
  // A degree that is written twice has been refused: rules about either value would only add to that.
  out.has_layout = before.deployment.origins.contains("tp") && !twice;
  Diagnostics set;
  // --env: variables that scripts export and MindIE's file does not know.
  for (const char* const variable : {"HCCL_BUFFSIZE", "HCCL_OP_EXPANSION_MODE"})
    if (const auto at = settings.defines.find(variable); at != settings.defines.end())
      set_field(fmt::format("{}={}", variable, at->second), out.question, set);
  set_all(choice, settings, out.question, set);
  say_foreign_stack(before, out.question, set);
  derive_layout(out.question);
  found.append(with_current_assumptions(said, before, out.question));
  found.append(set);
}

void say_assumed(std::string_view engine, const EngineVersion& version, Diagnostics& diagnostics) {
  diagnostics.note("A0109", {},
                   fmt::format("--engine-version is not set: {} {} assumed, {}", engine, version.id, version.why));
}

Stack load_launch_stack(const std::string& engine, const EngineVersion& version, const Libraries& libraries,
                        Diagnostics& diagnostics) {
  Stack stack = libraries.stacks.load(engine, "", diagnostics);
  if (stack.engine.empty()) return stack;
  if (!version.why.empty()) say_assumed(engine, version, diagnostics);
  return of_version(std::move(stack), version.id, libraries, diagnostics);
}

void read_launched(const FileChoice& choice, const Libraries& libraries, const Settings& settings, AskedQuestion& out,
                   Diagnostics& found) {
  const LaunchedInstance& launched = *choice.launched;
  const Question before = out.question = launched.question;
  out.keys = launched.keys;
  out.has_layout = true;
  out.stack = load_launch_stack(before.stack, launched.version, libraries, found);
  Diagnostics set;
  set_all(choice, settings, out.question, set);
  say_foreign_stack(before, out.question, set);
  if (follow_cut_cache(out.question, before.deployment.layout.kv_shards() > 1))
    set.note("A0143", out.question.deployment.origin("layout.sp").where,
             fmt::format("{} {} is assumed: an option cuts the cache, and the connector moves whole blocks",
                         key_name(out.question.deployment, "kv_cache.interleave"),
                         out.question.deployment.limits.kv_interleave));
  found.append(with_current_assumptions(launched.diagnostics, before, out.question));
  found.append(set);
}

void read_own(ConfigNode root, const FileChoice& choice, const Libraries& libraries, const Settings& settings,
              AskedQuestion& out, Diagnostics& found) {
  Question& q = out.question;
  q.deployment.file = root.where().file;
  q.deployment.own_words = true;
  read_question(root, q, found);
  out.has_layout = !found.has_errors();
  set_all(choice, settings, q, found);
  if (q.stack.empty())
    found.error("E0369", root.where(), "no software stack is named", {},
                fmt::format("stack: cann-recipes; known: {}", fmt::join(libraries.stacks.names(), ", ")));
  else
    out.stack = load_stack(q.stack, libraries, settings, found);
}

// Words in messages are those of the engine.
void name_engine(AskedQuestion& asked) {
  asked.question.deployment.set_engine(asked.stack.engine, asked.stack.version);
}

}  // namespace

// `name`: an engine, or an engine with its version; --engine-version replaces the latter.
Stack load_stack(std::string_view name, const Libraries& libraries, const Settings& settings,
                 Diagnostics& diagnostics) {
  const std::string& version = settings.engine_version;
  Stack stack = libraries.stacks.load(name, "", diagnostics);
  if (stack.engine.empty() || version == stack.version) return stack;
  if (!version.empty()) return of_version(std::move(stack), version, libraries, diagnostics);
  if (name.size() > stack.engine.size()) return stack;  // with its version
  Diagnostics said;
  const std::vector<std::string_view> releases = libraries.versions(stack.engine, said).by_preference();
  if (releases.empty()) {
    say_assumed(stack.engine, {stack.version, "the newest known"}, diagnostics);
    return stack;
  }
  const std::string newest(releases.front());
  say_assumed(stack.engine, {newest, "the newest release"}, diagnostics);
  return of_version(std::move(stack), newest, libraries, diagnostics);
}

// A file belongs to one engine; our own names any.
void say_foreign_stack(const Question& before, const Question& q, Diagnostics& diagnostics) {
  if (q.stack == before.stack) return;
  diagnostics.error("E0379", q.deployment.origin("stack").where,
                    fmt::format("stack {} is not that of the file, which is {}'s", q.stack, before.stack),
                    "keys and options of an engine's own file have the meaning that this engine gives them",
                    "`ascendsim convert FILE` writes it as our own file, which takes any stack");
}

AskedQuestion read_own(ConfigNode root, const Libraries& libraries, const Settings& settings,
                       Diagnostics& diagnostics) {
  AskedQuestion out;
  Diagnostics found;
  read_own(root, {}, libraries, settings, out, found);
  name_engine(out);
  out.readable = !found.has_errors();
  diagnostics.append(found);
  return out;
}

AskedQuestion read_asked(const FileChoice& choice, const Libraries& libraries, const Settings& settings,
                         Diagnostics& diagnostics) {
  AskedQuestion out;
  Diagnostics found;
  std::shared_ptr<const Document> document;
  if (choice.launched)
    read_launched(choice, libraries, settings, out, found);
  else if (choice.text)
    document = Document::parse(*choice.text, path_of(choice.file), found);
  else
    document = Document::load(path_of(choice.file), found);
  if (document) {
    if (is_own(*document, settings))
      read_own(document->root(), choice, libraries, settings, out, found);
    else
      read_engine_file(*document, choice, libraries, settings, out, found);
  }
  // Also without a document: what the settings say is not missing.
  override_with(settings, choice, out.question, found);
  // The guides that launch scripts come from are written for Atlas A3.
  if (choice.launched && out.question.hardware.server.empty()) {
    out.question.hardware.server = kUsualServer;
    found.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  }
  name_engine(out);
  out.readable = (document || choice.launched) && !found.has_errors();
  diagnostics.append(found);
  return out;
}

AskedQuestion asked_of_settings(std::string_view stack, const std::string& server, const Libraries& libraries,
                                const Settings& settings, Diagnostics& diagnostics) {
  AskedQuestion out;
  Diagnostics found;
  Question& q = out.question;
  q.deployment.file = "the command line";
  q.deployment.own_words = true;
  q.stack = stack;
  for (const std::string& assignment : settings.set) set_field(assignment, q, found);
  out.stack = load_stack(q.stack, libraries, settings, found);
  override_with(settings, {q.deployment.file, server, std::nullopt, settings.role}, q, found);
  name_engine(out);
  out.readable = !found.has_errors();
  diagnostics.append(found);
  return out;
}

}  // namespace ascendsim
