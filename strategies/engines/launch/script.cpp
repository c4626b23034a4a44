#include "strategies/engines/launch/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "strategies/engines/launch/instances.h"
#include "strategies/engines/launch/json_text.h"

namespace ascendsim {

std::string shell_quoted(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
  });
  return plain ? text : fmt::format("'{}'", text);
}

std::string to_text(const LaunchScript& s) {
  std::string out = "#!/bin/sh\n";
  for (const std::string& line : s.comments) out += fmt::format("# {}\n", line);
  for (const auto& [name, value] : s.variables) out += fmt::format("{}={}\n", name, value);
  for (const auto& [name, value] : s.environment) out += fmt::format("export {}={}\n", name, value);
  out += "\n" + s.program;
  for (const LaunchScript::Option& o : s.options)
    out += fmt::format(" \\\n  --{}{}", o.name, o.value ? " " + *o.value : "");
  return out + "\n";
}

std::string address(std::size_t host) { return fmt::format("192.0.2.{}", host + 1); }

void add_addresses(LaunchScript& s, std::size_t host) {
  s.variables.push_back({"nic_name", "eth0"});
  s.variables.push_back({"local_ip", address(host)});
  for (const char* name : {"GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "HCCL_SOCKET_IFNAME"})
    s.environment.push_back({name, "$nic_name"});
  s.environment.push_back({"HCCL_IF_IP", "$local_ip"});
}

std::vector<EnvironmentValue> collective_environment(const Deployment& d) {
  std::vector<EnvironmentValue> out;
  if (d.communication_buffer) out.push_back({"HCCL_BUFFSIZE", std::to_string(d.communication_buffer->count() >> 20)});
  if (d.expansion)
    out.push_back({"HCCL_OP_EXPANSION_MODE", *d.expansion == Expansion::kAiv    ? "AIV"
                                             : *d.expansion == Expansion::kHost ? "HOST"
                                                                                : "AI_CPU"});
  return out;
}

namespace {

// Where a command ends: a line end or an operator outside of quotes.
std::size_t end_of_command(const std::string& text, std::size_t at) {
  char quote = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quote != '\'')
      ++at;
    else if (quote != 0)
      quote = c == quote ? 0 : quote;
    else if (c == '"' || c == '\'')
      quote = c;
    else if (c == '\n' || c == ';' || c == '|' || c == '&' || c == '>' || c == '<')
      break;
  }
  if (at < text.size() && (text[at] == '>') && text[at - 1] == '2') --at;  // 2>&1
  return std::min(at, text.size());
}

// Words as they stand there, quotes and all.
std::vector<std::string> raw_words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  char quote = 0;
  const auto finish = [&] {
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote == 0 && i + 1 < text.size() && (text[i + 1] == '\n' || text[i + 1] == '\r')) {
      finish();
      ++i;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += c;
      word += text[++i];
    } else if (quote != 0) {
      word += c;
      if (c == quote) quote = 0;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      finish();
    } else {
      if (c == '"' || c == '\'') quote = c;
      word += c;
    }
  }
  finish();
  return out;
}

const EngineOption* spec_of(const OptionTable& table, std::string name) {
  if (table.underscores) std::ranges::replace(name, '_', '-');
  for (const EngineOption& o : table.options) {
    if (fmt::format("--{}", o.name) == name ||
        (o.type == OptionType::kSwitch && fmt::format("--no-{}", o.name) == name))
      return &o;
    const std::string all = fmt::format(" {} ", o.aliases);
    if (!o.aliases.empty() && all.find(fmt::format(" {} ", name)) != std::string::npos) return &o;
  }
  return nullptr;
}

// What decides about the deployment is ours to say; where it listens and what it loads is the base's.
bool is_ours(const EngineOption& spec) {
  static constexpr std::string_view kTheirs[] = {"model", "model-path", "port"};
  return spec.use == KeyUse::kUsed && std::ranges::find(kTheirs, spec.name) == std::end(kTheirs);
}

std::size_t offset_of(const std::string& text, int line, int column) {
  std::size_t at = 0;
  for (int i = 1; i < line; ++i) at = std::min(text.find('\n', at), text.size() - 1) + 1;
  for (int i = 1; i < column && at < text.size(); ++i)  // columns count characters
    do ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U);
  return at;
}

void set_environment(std::string& text, std::size_t before, const EnvironmentValue& v) {
  const std::string begins = fmt::format("export {}=", v.name);
  for (std::size_t at = 0; (at = text.find(begins, at)) != std::string::npos && at < before; at += begins.size()) {
    const std::size_t line = text.rfind('\n', at) + 1;
    if (text.find_first_not_of(" \t", line) != at) continue;
    const std::size_t value = at + begins.size(), end = std::min(text.find_first_of(" \t\n;#", value), text.size());
    const std::string_view now = std::string_view(text).substr(value, end - value);
    const bool quoted = now.size() > 1 && (now.front() == '"' || now.front() == '\'') && now.back() == now.front();
    if ((quoted ? now.substr(1, now.size() - 2) : now) != v.value) text.replace(value, end - value, v.value);
    return;
  }
  const std::size_t line = text.rfind('\n', before) + 1;
  text.insert(line, fmt::format("{}{}\n", begins, v.value));
}

}  // namespace

std::string patched(const BaseFile& base, const LaunchScript& script, const Engine& engine, Diagnostics& diagnostics) {
  const OptionTable& table = engine.options();
  Diagnostics said_by_the_reader;
  const std::vector<LaunchedCommand> commands = read_launch(base.text, base.name, {}, said_by_the_reader);
  const auto command = std::ranges::find_if(
      commands, [&](const LaunchedCommand& c) { return c.kind == LaunchKind::kServer && c.engine->is(engine); });
  if (command == commands.end() || command->where.line == 0 || command->words.empty()) {
    SourceLocation where;
    where.file = base.name;
    diagnostics.error("E0452", where, fmt::format("the base starts no {}", table.engine),
                      "--base is a launch file of the engine that --to names", "leave --base out for a new file");
    return {};
  }
  std::string text = base.text;
  const std::size_t program = offset_of(text, command->where.line, command->where.column);
  const std::size_t end = end_of_command(text, program);
  const std::size_t begin =
      std::min(offset_of(text, command->words.front().where.line, command->words.front().where.column), end);
  // The word's own quote stands in front of its first character.
  const std::size_t start = begin > program && (text[begin - 1] == '"' || text[begin - 1] == '\'') ? begin - 1 : begin;

  std::string kept, positional;
  std::vector<std::pair<std::string, std::string>> json;  // JSON options of the base
  const std::vector<std::string> words = raw_words(std::string_view(text).substr(start, end - start));
  for (std::size_t i = 0; i < words.size();) {
    const bool is_option = words[i].starts_with('-');
    std::string whole = words[i];
    const std::string name = words[i].substr(0, words[i].find('='));
    std::string value = name.size() < words[i].size() ? words[i].substr(name.size() + 1) : "";
    for (++i; is_option && i < words.size() && !words[i].starts_with('-'); ++i) {
      whole += " " + words[i];
      value += (value.empty() ? "" : " ") + words[i];
    }
    const EngineOption* const spec = is_option ? spec_of(table, name.substr(0, name.find('.'))) : nullptr;
    if (!is_option)
      positional += (positional.empty() ? "" : " ") + whole;
    else if (spec == nullptr || !is_ours(*spec))
      kept += fmt::format(" \\\n  {}", whole);
    else if (spec->type == OptionType::kJson)
      json.emplace_back(spec->name, value);
  }
  std::string ours;
  for (const LaunchScript::Option& o : script.options) {
    const EngineOption* const spec = spec_of(table, fmt::format("--{}", o.name));
    if (spec == nullptr || !is_ours(*spec)) continue;
    std::string value = o.value.value_or("");
    const auto of_base = std::ranges::find(json, o.name, &std::pair<std::string, std::string>::first);
    const auto bare = [](const std::string& s) {
      return s.size() > 1 && s.front() == '\'' && s.find('\'', 1) == s.size() - 1;
    };
    if (of_base != json.end() && bare(of_base->second) && bare(value)) {
      JsonText merged(of_base->second.substr(1, of_base->second.size() - 2));
      const std::string mine = value.substr(1, value.size() - 2);
      Diagnostics ignored;
      if (const auto document = Document::parse(mine, "option", ignored))
        for (std::size_t k = 0; k < document->root().size(); ++k) {
          const std::string key(document->root().at(k).key());
          // Ports and names that the other side's file speaks of.
          if ((key == "engine_id" || key == "kv_port") && merged.has({key})) continue;
          merged.set({key}, JsonText(mine).value({key}));
        }
      value = fmt::format("'{}'", merged.text());
    }
    ours += fmt::format(" \\\n  --{}{}{}", o.name, value.empty() ? "" : " ", value);
  }
  // Of JSON options that ours does not have, what decides nothing would be lost with the rest: they stay.
  for (const auto& [name, value] : json)
    if (std::ranges::none_of(script.options, [&, &n = name](const LaunchScript::Option& o) { return o.name == n; }) &&
        name == "additional-config")
      kept += fmt::format(" \\\n  --{} {}", name, value);
  std::string command_text = text.substr(program, start - program);
  while (!command_text.empty() &&
         (command_text.back() == ' ' || command_text.back() == '\n' || command_text.back() == '\\'))
    command_text.pop_back();
  const bool spaced = end < text.size() && text[end] != '\n';
  text.replace(program, end - program,
               fmt::format("{}{}{}{}{}{}", command_text, positional.empty() ? "" : " ", positional, kept, ours,
                           spaced ? " " : ""));
  for (const EnvironmentValue& v : script.environment) {
    const auto spec = std::ranges::find(table.environment, v.name, &EnvironmentSpec::name);
    if (spec == table.environment.end() || spec->use != KeyUse::kUsed) continue;
    set_environment(text, std::min(program, text.size()), v);
  }
  return text;
}

namespace {

std::string file_name(const ExportSide& side, std::int64_t node) {
  const Role role = side.question.deployment.role;
  const char* const name = role == Role::kPrefill ? "prefill" : role == Role::kDecode ? "decode" : "serve";
  return side.servers > 1 ? fmt::format("{}{}.sh", name, node) : fmt::format("{}.sh", name);
}

}  // namespace

Export ScriptWriter::write() {
  for (std::size_t i = 0; i < request_.sides.size(); ++i) {
    const ExportSide& side = request_.sides[i];
    if (request_.base != nullptr) {
      out_.files.push_back({std::filesystem::path(request_.base->name).filename().string(),
                            patched(*request_.base, script(side, 0), engine_, diagnostics_), i});
      break;
    }
    for (std::int64_t node = 0; node < side.servers; ++node)
      out_.files.push_back({file_name(side, node), to_text(script(side, node)), i});
    first_host_ += static_cast<std::size_t>(side.servers);
  }
  add_others();
  return std::move(out_);
}

LaunchScript ScriptWriter::begun(const ExportSide& side, std::int64_t node) const {
  const Question& q = side.question;
  LaunchScript s;
  s.comments = {fmt::format("{} {}: {} {}, server {} of {}. Addresses, network card and model path are yours to set.",
                            engine_.product, request_.version, q.deployment.model.name, word_of(q.deployment.role),
                            node + 1, side.servers)};
  s.variables.push_back({"MODEL_PATH", fmt::format("${{MODEL_PATH:-{}}}", weight_folder(q))});
  add_addresses(s, first_host_ + static_cast<std::size_t>(node));
  if (side.servers > 1) s.variables.push_back({"master_ip", address(first_host_)});
  for (const EnvironmentValue& v : collective_environment(q.deployment)) s.environment.push_back(v);
  return s;
}

std::string ScriptWriter::host_of(std::size_t side) const {
  return address(side == 0 ? 0 : static_cast<std::size_t>(request_.sides[0].servers));
}

}  // namespace ascendsim
