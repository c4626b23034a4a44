// YAML that vLLM is started from: files of --config, and the nightly test files of vllm-ascend (tests/e2e/nightly).
#include "sim/config.h"
#include "strategies/engines/launch/commands.h"
#include "strategies/engines/vllm/parts.h"

namespace ascendsim {

namespace {

constexpr std::string_view kYamlKeys[] = {"server_cmd", "test_cases", "deployment"};

// A list inside the list is an alias of a common part.
void add_words(ConfigNode node, std::vector<ShellWord>& words) {
  for (std::size_t i = 0; i < node.size(); ++i)
    if (node.at(i).is_sequence())
      add_words(node.at(i), words);
    else
      words.push_back({std::string(node.at(i).text()), node.at(i).where(), {}});
}

// server_cmd: a list of options, or a whole command line in one string; envs beside it, env_common for all of a file.
void read_case(ConfigNode test, ConfigNode file, const std::string& name, const Defines& defines,
               std::vector<LaunchedCommand>& out, Diagnostics& diagnostics) {
  LaunchedCommand command{LaunchKind::kServer, &kVllmEngine, nullptr, name, "vllm serve", {}, {}, test.where()};
  for (const ConfigNode envs : {file.find("env_common"), test.find("env_common"), test.find("envs")})
    for (std::size_t i = 0; i < envs.size(); ++i)
      command.variables[std::string(envs.at(i).key())] = {{std::string(envs.at(i).text()), envs.at(i).where(), {}},
                                                          true};
  // The harness chooses ports.
  const auto resolve = [&](ShellWord& word) {
    if (!word.text.starts_with('$')) return;
    const std::string variable = word.text.substr(1);
    if (const auto at = command.variables.find(variable); at != command.variables.end())
      word.text = at->second.value.text;
    else if (const auto defined = defines.find(variable); defined != defines.end())
      word.text = defined->second;
    else
      word.unresolved = {variable};
  };
  if (const ConfigNode model = test.find("model"))
    command.words.push_back({std::string(model.text()), model.where(), {}});
  const ConfigNode line = test.find("server_cmd");
  if (line.is_scalar()) {
    Defines all = defines;
    for (const auto& [key, variable] : command.variables) all.emplace(key, variable.value.text);
    Diagnostics inside;
    // The harness splits it into words: ends of lines, with a backslash before them or without, are blanks.
    std::string one_line(line.text());
    for (std::size_t at = 0; (at = one_line.find('\n', at)) != std::string::npos;) {
      one_line[at] = ' ';
      if (at > 0 && one_line[at - 1] == '\\') one_line[at - 1] = ' ';
    }
    for (const ShellCommand& c : read_shell(std::move(one_line), name, all, inside))
      if (auto found = recognised(c, name)) {
        for (ShellWord& w : found->words) w.where = line.where();
        found->where = line.where();
        found->variables.insert(command.variables.begin(), command.variables.end());
        out.push_back(std::move(*found));
      }
    for (Diagnostic d : inside.all()) {
      d.where = line.where();
      diagnostics.add(std::move(d));
    }
    return;
  }
  add_words(line, command.words);
  add_words(test.find("server_cmd_extra"), command.words);
  for (ShellWord& w : command.words) resolve(w);
  out.push_back(std::move(command));
}

}  // namespace

void read_vllm_commands(ConfigNode root, const std::string& name, const Defines& defines,
                        std::vector<LaunchedCommand>& out, Diagnostics& diagnostics) {
  if (root.find("server_cmd")) return read_case(root, root, name, defines, out, diagnostics);
  for (const char* list : {"test_cases", "deployment"}) {
    const ConfigNode cases = root.find(list);
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (cases.at(i).find("server_cmd")) read_case(cases.at(i), root, name, defines, out, diagnostics);
  }
}

bool holds_vllm_options(ConfigNode root) {
  if (!root.is_map() || root.find("ascendsim") || root.find("layout") || root.find("stack")) return false;
  return root.find("tensor-parallel-size") || root.find("tensor_parallel_size") || root.find("max-model-len") ||
         root.find("max_model_len");
}

// A line `server_cmd:`, `test_cases:` ... makes it the nightly YAML, whatever else may be wrong with it.
bool holds_vllm_commands(std::string_view text) {
  for (const std::string_view key : kYamlKeys)
    for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
      const bool begins = at == 0 || text[at - 1] == '\n';
      if (begins && text.substr(at + key.size()).starts_with(":"))
        return text.find("server_cmd") != std::string_view::npos;
    }
  return false;
}

}  // namespace ascendsim
