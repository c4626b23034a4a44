#include "strategies/engines/launch/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "sim/config.h"

namespace ascendsim {

namespace {

// AISBench drives servers of any engine.
constexpr std::string_view kAisBenchCommand = "ais_bench";

bool is_proxy(std::string_view word) { return word.ends_with(".py") && word.find("proxy") != std::string_view::npos; }

// Whether the words of a program stand in a command from word i on, with anything before them (nohup, numactl, env,
// python -m); how many words that are, 0 = they do not.
std::size_t words_of(const ProgramWords& program, const ShellCommand& command, std::size_t i) {
  std::size_t length = 0;
  for (const std::string_view word : program.words) {
    if (word.empty()) break;
    if (i + length >= command.words.size()) return 0;
    const std::string& text = command.words[i + length].text;
    const bool by_path = program.by_path && text.size() > word.size() && text.ends_with(word) &&
                         text[text.size() - word.size() - 1] == '/';
    if (text != word && !by_path) return 0;
    ++length;
  }
  return length;
}

// The program that stands at word i; `length`: in words, 0 = none that is known.
struct Found {
  LaunchKind kind = LaunchKind::kServer;
  const Engine* engine = nullptr;
  const BenchmarkProgram* benchmark = nullptr;
  std::size_t length = 0;
};
Found program_at(const ShellCommand& command, std::size_t i) {
  for (const Engine* const e : engines()) {
    for (const ProgramWords& p : e->launch.servers)
      if (const std::size_t n = words_of(p, command, i); n > 0) return {LaunchKind::kServer, e, nullptr, n};
    for (const BenchmarkProgram& b : e->launch.benchmarks)
      if (const std::size_t n = words_of(b.program, command, i); n > 0) return {LaunchKind::kBenchmark, e, &b, n};
    for (const ProgramWords& p : e->launch.routers)
      if (const std::size_t n = words_of(p, command, i); n > 0) return {LaunchKind::kRouter, e, nullptr, n};
  }
  if (command.words[i].text == kAisBenchCommand) return {LaunchKind::kBenchmark, nullptr, nullptr, 1};
  return {};
}

// An engine whose YAML of options or of command lines the text is; null when it is neither.
const Engine* engine_of_commands(std::string_view text) {
  for (const Engine* const e : engines())
    if (e->launch.holds_commands != nullptr && e->launch.holds_commands(text)) return e;
  return nullptr;
}
const Engine* engine_of_options(ConfigNode root) {
  for (const Engine* const e : engines())
    if (e->launch.holds_options != nullptr && e->launch.holds_options(root)) return e;
  return nullptr;
}

std::shared_ptr<const Document> yaml_of(std::string_view text, Diagnostics& diagnostics) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] == '{' || text[first] == '"') return nullptr;
  return Document::parse(std::string(text), "launch", diagnostics, YamlAliases::kRead);
}

bool mentions_program(std::string_view text) {
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  for (const Engine* const e : engines())
    if (std::ranges::any_of(e->launch.mentions, has)) return true;
  return has(kAisBenchCommand) || (has("proxy") && has(".py"));
}

}  // namespace

std::optional<LaunchedCommand> recognised(const ShellCommand& command, const std::string& file) {
  const auto& w = command.words;
  // What only prints or installs starts nothing.
  static constexpr std::string_view kHarmless[] = {"echo", "pip", "pip3", "cat", "grep", "pkill", "kill", "docker"};
  if (std::ranges::find(kHarmless, w.front().text) != std::end(kHarmless)) return std::nullopt;
  for (std::size_t i = 0; i < w.size(); ++i) {
    Found found = program_at(command, i);
    if (found.length == 0 && i < 4 && is_proxy(w[i].text)) found = {LaunchKind::kProxy, nullptr, nullptr, 1};
    if (found.length == 0) continue;
    std::string program = w[i].text;
    for (std::size_t k = 1; k < found.length; ++k) program += " " + w[i + k].text;
    LaunchedCommand out{found.kind,         found.engine,
                        found.benchmark,    file,
                        std::move(program), {w.begin() + static_cast<std::ptrdiff_t>(i + found.length), w.end()},
                        command.variables,  w[i].where};
    // `env A=1 vllm serve`
    for (std::size_t k = 0; k < i && found.kind != LaunchKind::kProxy; ++k)
      if (const std::size_t equals = w[k].text.find('=');
          equals != std::string::npos && equals > 0 && w[k].text[0] != '-')
        out.variables[w[k].text.substr(0, equals)] = {{w[k].text.substr(equals + 1), w[k].where, w[k].unresolved},
                                                      true};
    return out;
  }
  return std::nullopt;
}

bool is_launch_text(std::string_view text) {
  if (engine_of_commands(text) != nullptr) return true;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] == '{' || text[first] == '"') return false;
  Diagnostics ignored;
  if (const auto document = yaml_of(text, ignored); document && document->root().is_map())
    return engine_of_options(document->root()) != nullptr;
  return text.substr(first).starts_with("#!") || mentions_program(text);
}

std::vector<LaunchedCommand> read_launch(std::string text, const std::string& name, const Defines& defines,
                                         Diagnostics& diagnostics) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // editors put it there; YAML and JSON skip it too
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::vector<LaunchedCommand> out;
  Diagnostics ignored;
  if (const Engine* const e = engine_of_commands(text)) {
    if (const auto document = Document::parse(std::move(text), name, diagnostics, YamlAliases::kRead))
      e->launch.read_commands(document->root(), name, defines, out, diagnostics);
    return out;
  }
  if (const auto probe = yaml_of(text, ignored))
    if (const Engine* const e = engine_of_options(probe->root())) {
      LaunchedCommand command{LaunchKind::kServer,
                              e,
                              nullptr,
                              name,
                              std::string(e->launch.options_program),
                              {{"--config", {}, {}}, {name, {}, {}}},
                              {},
                              {}};
      command.where.file = name;
      out.push_back(std::move(command));
      return out;
    }
  const std::size_t before = diagnostics.all().size();
  for (const ShellCommand& c : read_shell(std::move(text), name, defines, diagnostics))
    if (auto found = recognised(c, name)) out.push_back(std::move(*found));
  if (out.empty() && diagnostics.all().size() == before) {
    SourceLocation where;
    where.file = name;
    std::vector<std::string_view> usages;
    for (const Engine* const e : engines())
      if (!e->launch.usage.empty()) usages.push_back(e->launch.usage);
    diagnostics.error("E0430", where, "nothing in this script starts an engine, a proxy or a benchmark", {},
                      fmt::format("{}", fmt::join(usages, ", ")));
  }
  return out;
}

}  // namespace ascendsim
