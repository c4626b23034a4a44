#include "strategies/intake/inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/source_text.h"

namespace ascendsim {

std::string path_of(const std::string& file) { return file == "-" ? "/dev/stdin" : file; }

namespace {

FileChoice choice_of(const Settings& settings, std::string file) {
  return {std::move(file), settings.hardware, settings.servers, settings.role};
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

// `texts`: of each file, empty when it could not be read: whoever loads it says why.
std::vector<FileChoice> gather(std::vector<std::pair<std::string, std::optional<std::string>>> texts,
                               const Libraries& libraries, const Settings& settings, Diagnostics& diagnostics) {
  std::vector<FileChoice> out;
  std::vector<LaunchedCommand> commands;
  const bool given = !texts.empty();
  const bool insists = settings.from.engine && settings.from.engine->import_command,
             other = !settings.from.by_content() && !insists;
  const auto add = [&](std::string text, const std::string& name) {
    for (LaunchedCommand& c : read_launch(std::move(text), name, settings.defines, diagnostics))
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
    if (parts.empty()) out.push_back(choice_of(settings, file));
    for (std::string& part : parts) {
      FileChoice& choice = out.emplace_back(choice_of(settings, file));
      if (may_be_side) choice.side = side_of(part);
      choice.text = std::make_shared<const std::string>(std::move(part));
    }
  }
  if (!settings.launch.empty()) add(settings.launch, "--launch");
  // A load that is asked for goes before the benchmark lines of scripts.
  const auto load = read_benchmark(settings.workload.empty()
                                       ? commands
                                       : read_launch(settings.workload, "--workload", settings.defines, diagnostics),
                                   settings.defines, diagnostics);
  const auto server =
      std::ranges::find_if(commands, [](const LaunchedCommand& c) { return c.kind == LaunchKind::kServer; });
  if (server != commands.end()) {
    const std::string name(server->engine->name);
    const EngineVersions versions = libraries.versions(name, diagnostics);
    const EngineVersion version = settings.engine_version.empty()
                                      ? assumed_version(commands, settings.defines, versions)
                                      : EngineVersion{versions.release(settings.engine_version)};
    const ImportOptions import{
        .model = settings.model, .quantisation = settings.quantisation, .memory_fraction = {}, .role = {}};
    Diagnostics between;
    for (LaunchedInstance& i : import_instances(
             commands, {import, settings.defines, libraries.models, libraries.schemes, versions, version.id},
             between)) {
      i.version = version;
      FileChoice& choice = out.emplace_back(choice_of(settings, i.name));
      choice.launched = std::make_shared<const LaunchedInstance>(std::move(i));
    }
    diagnostics.append(between);
  } else if (!commands.empty() && settings.workload.empty() && given && out.empty()) {
    diagnostics.note(
        "A0138", commands.front().where,
        fmt::format("{} starts no engine: it is only compared with the scripts of engines", commands.front().program));
  }
  for (FileChoice& c : out) c.load = load;
  return out;
}

}  // namespace

std::vector<FileChoice> read_inputs(const std::vector<std::string>& files, const Libraries& libraries,
                                    const Settings& settings, Diagnostics& diagnostics) {
  std::vector<std::pair<std::string, std::optional<std::string>>> texts;
  Diagnostics said_later;
  for (const std::string& file : files)
    texts.emplace_back(file, read_file(path_of(file), Document::kMaxBytes, said_later));
  return gather(std::move(texts), libraries, settings, diagnostics);
}

std::vector<FileChoice> read_texts(std::vector<InputText> texts, const Libraries& libraries, const Settings& settings,
                                   Diagnostics& diagnostics) {
  std::vector<std::pair<std::string, std::optional<std::string>>> named;
  for (InputText& t : texts) named.emplace_back(std::move(t.name), std::move(t.text));
  return gather(std::move(named), libraries, settings, diagnostics);
}

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

}  // namespace ascendsim
