#include "strategies/engines/launch/instances.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "strategies/deployment/field_text.h"
#include "strategies/engines/sglang/import.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/programs/launching.h"

namespace ascendsim {

namespace {

// What starts which program: words that follow each other, with anything before them (nohup, numactl, env, python -m).
struct Program {
  LaunchKind kind;
  const char* first;
  const char* second;
  const char* third;
};
constexpr Program kPrograms[] = {
    {LaunchKind::kBenchmark, "vllm", "bench", "serve"},
    {LaunchKind::kBenchmark, "vllm", "bench", "latency"},
    {LaunchKind::kBenchmark, "vllm", "bench", "throughput"},
    {LaunchKind::kVllm, "vllm", "serve", ""},
    {LaunchKind::kVllm, "vllm.entrypoints.openai.api_server", "", ""},
    {LaunchKind::kBenchmark, "sglang.bench_serving", "", ""},
    {LaunchKind::kBenchmark, "ais_bench", "", ""},
    {LaunchKind::kSglang, "sglang.launch_server", "", ""},
    {LaunchKind::kSglang, "sglang", "serve", ""},
    {LaunchKind::kRouter, "sglang_router.launch_router", "", ""},
    {LaunchKind::kRouter, "sglang_router.launch_server", "", ""},
};

bool is_proxy(std::string_view word) { return word.ends_with(".py") && word.find("proxy") != std::string_view::npos; }

std::optional<LaunchedCommand> recognised(const ShellCommand& command, const std::string& file) {
  const auto& w = command.words;
  const auto is = [&](std::size_t i, std::string_view text) {
    if (text.empty()) return true;
    return i < w.size() && (w[i].text == text || (text == "vllm" && w[i].text.ends_with("/vllm")));
  };
  // What only prints or installs starts nothing.
  static constexpr std::string_view kHarmless[] = {"echo", "pip", "pip3", "cat", "grep", "pkill", "kill", "docker"};
  if (std::ranges::find(kHarmless, w.front().text) != std::end(kHarmless)) return std::nullopt;
  for (std::size_t i = 0; i < w.size(); ++i) {
    for (const Program& p : kPrograms) {
      if (!is(i, p.first) || !is(i + 1, p.second) || !is(i + 2, p.third)) continue;
      const std::size_t length = *p.second == '\0' ? 1 : *p.third == '\0' ? 2 : 3;
      std::string program = w[i].text;
      for (std::size_t k = 1; k < length; ++k) program += " " + w[i + k].text;
      LaunchedCommand out{p.kind,
                          file,
                          std::move(program),
                          {w.begin() + static_cast<std::ptrdiff_t>(i + length), w.end()},
                          command.variables,
                          w[i].where};
      // `env A=1 vllm serve`
      for (std::size_t k = 0; k < i; ++k)
        if (const std::size_t equals = w[k].text.find('=');
            equals != std::string::npos && equals > 0 && w[k].text[0] != '-')
          out.variables[w[k].text.substr(0, equals)] = {{w[k].text.substr(equals + 1), w[k].where, w[k].unresolved},
                                                        true};
      return out;
    }
    if (i < 4 && is_proxy(w[i].text))
      return LaunchedCommand{LaunchKind::kProxy, file,
                             w[i].text,          {w.begin() + static_cast<std::ptrdiff_t>(i + 1), w.end()},
                             command.variables,  w[i].where};
  }
  return std::nullopt;
}

// ---- YAML that holds options
// -------------------------------------------------------------------------------------------

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
  LaunchedCommand command{LaunchKind::kVllm, name, "vllm serve", {}, {}, test.where()};
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

void read_yaml(ConfigNode root, const std::string& name, const Defines& defines, std::vector<LaunchedCommand>& out,
               Diagnostics& diagnostics) {
  if (root.find("server_cmd")) return read_case(root, root, name, defines, out, diagnostics);
  for (const char* list : {"test_cases", "deployment"}) {
    const ConfigNode cases = root.find(list);
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (cases.at(i).find("server_cmd")) read_case(cases.at(i), root, name, defines, out, diagnostics);
  }
}

bool is_options_yaml(ConfigNode root) {
  if (!root.is_map() || root.find("ascendsim") || root.find("layout") || root.find("stack")) return false;
  return root.find("tensor-parallel-size") || root.find("tensor_parallel_size") || root.find("max-model-len") ||
         root.find("max_model_len");
}

std::shared_ptr<const Document> yaml_of(std::string_view text, Diagnostics& diagnostics) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] == '{' || text[first] == '"') return nullptr;
  return Document::parse(std::string(text), "launch", diagnostics, YamlAliases::kRead);
}

bool mentions_program(std::string_view text) {
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  return has("vllm serve") || has("vllm bench") || has("vllm.entrypoints") || has("sglang.") || has("sglang serve") ||
         has("sglang_router") || has("ais_bench") || (has("proxy") && has(".py"));
}

// A line `server_cmd:`, `test_cases:` ... makes it the nightly YAML, whatever else may be wrong with it.
bool nightly(std::string_view text) {
  for (const std::string_view key : kYamlKeys)
    for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
      const bool begins = at == 0 || text[at - 1] == '\n';
      if (begins && text.substr(at + key.size()).starts_with(":"))
        return text.find("server_cmd") != std::string_view::npos;
    }
  return false;
}

}  // namespace

bool is_launch_text(std::string_view text) {
  if (nightly(text)) return true;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] == '{' || text[first] == '"') return false;
  Diagnostics ignored;
  if (const auto document = yaml_of(text, ignored); document && document->root().is_map())
    return is_options_yaml(document->root());
  return text.substr(first).starts_with("#!") || mentions_program(text);
}

std::vector<LaunchedCommand> read_launch(std::string text, const std::string& name, const Defines& defines,
                                         Diagnostics& diagnostics) {
  std::vector<LaunchedCommand> out;
  Diagnostics ignored;
  if (nightly(text)) {
    if (const auto document = Document::parse(std::move(text), name, diagnostics, YamlAliases::kRead))
      read_yaml(document->root(), name, defines, out, diagnostics);
    return out;
  }
  if (const auto probe = yaml_of(text, ignored); probe && is_options_yaml(probe->root())) {
    LaunchedCommand command{LaunchKind::kVllm, name, "vllm serve", {{"--config", {}, {}}, {name, {}, {}}}, {}, {}};
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
    diagnostics.error("E0430", where, "nothing in this script starts an engine, a proxy or a benchmark", {},
                      "vllm serve MODEL ..., python -m sglang.launch_server ...");
  }
  return out;
}

// ---- instances
// ---------------------------------------------------------------------------------------------------------

namespace {

// Programs that only pass requests on: their hosts and ports must be those of the scripts.
void check_proxies(const std::vector<LaunchedCommand>& commands, const std::vector<LaunchedInstance>& instances,
                   Diagnostics& diagnostics) {
  std::vector<std::pair<std::string, std::int64_t>> served;
  bool all_known = true;
  for (const LaunchedInstance& i : instances)
    for (const LaunchedNode& n : i.nodes) {
      all_known = all_known && !n.host.empty() && n.port;
      if (n.port) served.emplace_back(n.host, *n.port);
    }
  if (!all_known || served.empty()) return;
  for (const LaunchedCommand& c : commands) {
    if (c.kind != LaunchKind::kProxy) continue;
    std::vector<ShellWord> hosts, ports;
    for (const char* side : {"--prefiller", "--decoder"}) {
      std::vector<ShellWord>* into = nullptr;
      for (const ShellWord& w : c.words) {
        if (w.text.starts_with("-"))
          into = w.text == fmt::format("{}-hosts", side)   ? &hosts
                 : w.text == fmt::format("{}-ports", side) ? &ports
                                                           : nullptr;
        else if (into != nullptr)
          into->push_back(w);
      }
    }
    if (hosts.size() != ports.size()) {
      diagnostics.error("E0431", c.where,
                        fmt::format("the proxy names {} hosts and {} ports", hosts.size(), ports.size()),
                        "one port for each host");
      continue;
    }
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (!hosts[i].unresolved.empty() || !ports[i].unresolved.empty()) continue;
      const bool known = std::ranges::any_of(
          served, [&](const auto& s) { return s.first == hosts[i].text && fmt::to_string(s.second) == ports[i].text; });
      if (!known)
        diagnostics.warning(
            "W0431", hosts[i].where,
            fmt::format("the proxy sends to {}:{}, where none of the scripts serves", hosts[i].text, ports[i].text),
            "hosts are those of HCCL_IF_IP, ports those of --port", "compare the addresses");
    }
  }
}

// A pair is one prefill and one decode instance. Two of a kind are seldom meant: nodes that do not name the same first
// node, or a role that was copied.
void check_sides(const std::vector<LaunchedInstance>& instances, Diagnostics& diagnostics) {
  for (const Role role : {Role::kPrefill, Role::kDecode}) {
    std::vector<std::string> names;
    for (const LaunchedInstance& i : instances)
      if (i.question.deployment.role == role) names.push_back(i.name);
    if (names.size() < 2) continue;
    diagnostics.warning(
        "W0432", {.file = names[1]},
        fmt::format("{} {} sides: {}", names.size(), word_of(role), fmt::join(names, "; ")),
        "a pair is one prefill and one decode instance; scripts with the same address of the first node "
        "are nodes of one instance",
        "compare --master-addr, --data-parallel-address or --dist-init-addr, and the roles; run takes one of each");
  }
}

// SGLang's scripts listen on 0.0.0.0 and say no host of their own: ports alone can be compared.
void check_routers(const std::vector<LaunchedCommand>& commands, const std::vector<LaunchedInstance>& instances,
                   Diagnostics& diagnostics) {
  std::vector<std::string> served;
  for (const LaunchedInstance& i : instances)
    for (const LaunchedNode& n : i.nodes)
      if (n.port) served.push_back(fmt::to_string(*n.port));
  if (served.empty()) return;
  for (const LaunchedCommand& c : commands) {
    if (c.kind != LaunchKind::kRouter) continue;
    bool sends = false;
    for (const ShellWord& w : c.words) {
      if (w.text.starts_with("-")) {
        sends = w.text == "--prefill" || w.text == "--decode" || w.text == "--worker-urls";
        continue;
      }
      if (!sends || !w.text.starts_with("http") || !w.unresolved.empty()) continue;
      const std::string port = w.text.substr(w.text.rfind(':') + 1);
      if (std::ranges::find(served, port) == served.end())
        diagnostics.warning("W0431", w.where,
                            fmt::format("the router sends to {}, but none of the scripts serves on that port", w.text),
                            fmt::format("ports are those of --port: {}", fmt::join(served, ", ")),
                            "compare the addresses");
    }
  }
}

// kv_port to kv_port + chips are taken on a host; engine ids name sides of transfers.
void check_connectors(std::vector<LaunchedInstance>& instances) {
  constexpr const char* kGuide =
      "vLLM-Ascend, Long-Sequence Context Parallel: each node occupies the ports kv_port to kv_port + chips, and its "
      "engine_id is unique";
  struct Seen {
    const LaunchedNode* node;
    std::int64_t chips;
  };
  std::vector<Seen> seen;
  for (LaunchedInstance& i : instances)
    for (const LaunchedNode& n : i.nodes) {
      Diagnostics& diagnostics = i.diagnostics;
      const std::int64_t chips =
          std::max<std::int64_t>(1, n.question.deployment.layout.world() / std::max<std::int64_t>(1, n.nodes));
      if (n.kv_port && (*n.kv_port < 1 || *n.kv_port + chips > 65535))
        diagnostics.error("E0432", n.where,
                          fmt::format("ports {} to {} are not all ports", *n.kv_port, *n.kv_port + chips), kGuide,
                          "a lower kv_port");
      for (const Seen& s : seen) {
        if (!n.engine_id.empty() && n.engine_id == s.node->engine_id)
          diagnostics.error("E0433", n.where,
                            fmt::format("engine_id \"{}\" is that of {} too", n.engine_id, s.node->file), kGuide,
                            "give every node its own");
        if (n.kv_port && s.node->kv_port && !n.host.empty() && n.host == s.node->host &&
            *n.kv_port < *s.node->kv_port + s.chips && *s.node->kv_port < *n.kv_port + chips)
          diagnostics.error("E0432", n.where,
                            fmt::format("kv_port {} with {} chips overlaps kv_port {} of {} on the same host {}",
                                        *n.kv_port, chips, *s.node->kv_port, s.node->file, n.host),
                            kGuide, fmt::format("kv_port {}", *s.node->kv_port + s.chips));
      }
      seen.push_back({&n, chips});
    }
}

// The nodes of one instance must say the same.
void check_nodes(LaunchedInstance& instance, Diagnostics& diagnostics) {
  LaunchedNode& first = instance.nodes.front();
  std::vector<std::int64_t> ranks;
  for (LaunchedNode& n : instance.nodes) {
    for (const Field& f : question_fields()) {
      const std::string here = field_text(f, n.question), there = field_text(f, first.question);
      if (here != there)
        diagnostics.error(
            "E0434",
            n.question.deployment.origin(f.path).where.line > 0 ? n.question.deployment.origin(f.path).where : n.where,
            fmt::format("{} is {} here and {} in {}: the nodes of one instance must agree", f.path, here, there,
                        first.file),
            "the nodes have the same master or data-parallel address", "make the scripts say the same");
    }
    if (n.node_rank && std::ranges::find(ranks, *n.node_rank) != ranks.end())
      diagnostics.error("E0435", n.where, fmt::format("node rank {} is taken twice", *n.node_rank),
                        "every node of an instance has a rank of its own", "");
    if (n.node_rank) ranks.push_back(*n.node_rank);
  }
  const auto count = static_cast<std::int64_t>(instance.nodes.size());
  if (count > first.nodes)
    diagnostics.error("E0435", instance.nodes.back().where,
                      fmt::format("{} scripts for an instance of {} nodes", count, first.nodes), "--nnodes", "");
  else if (count < first.nodes)
    diagnostics.note(
        "A0132", first.where,
        fmt::format("the instance has {} nodes and {} given: the others are taken to run with the same options",
                    first.nodes, count == 1 ? "one script is" : fmt::format("{} scripts are", count)));
}

}  // namespace

std::vector<LaunchedInstance> import_instances(const std::vector<LaunchedCommand>& commands,
                                               const LaunchContext& context, Diagnostics& diagnostics) {
  std::vector<LaunchedInstance> out;
  const LaunchedCommand* first_engine = nullptr;
  for (const LaunchedCommand& c : commands) {
    const bool vllm = c.kind == LaunchKind::kVllm;
    if (!vllm && c.kind != LaunchKind::kSglang) continue;
    if (first_engine != nullptr && first_engine->kind != c.kind) {
      diagnostics.error(
          "E0436", c.where,
          fmt::format("two engines: {} here, {} in {}", c.program, first_engine->program, first_engine->file),
          "scripts of one call belong to one engine", "give them to separate calls");
      continue;
    }
    if (first_engine == nullptr) first_engine = &c;
    Diagnostics said;
    LaunchedNode node = vllm ? import_vllm(c, context, said) : import_sglang(c, context, said);
    const auto same = std::ranges::find_if(out, [&](const LaunchedInstance& i) {
      const LaunchedNode& n = i.nodes.front();
      return !node.address.empty() && n.address == node.address &&
             n.question.deployment.role == node.question.deployment.role && n.nodes > 1;
    });
    if (same != out.end()) {
      same->name += " + " + node.file;
      same->nodes.push_back(std::move(node));
      for (const Diagnostic& d : said.all())  // its notes are those of the first node
        if (d.severity != Severity::kNote) same->diagnostics.add(d);
    } else {
      LaunchedInstance& i = out.emplace_back();
      i.name = node.file;
      i.nodes.push_back(std::move(node));
      i.diagnostics = std::move(said);
    }
  }
  for (LaunchedInstance& i : out) {
    check_nodes(i, i.diagnostics);
    i.question = i.nodes.front().question;
    i.keys = i.nodes.front().keys;
  }
  check_connectors(out);
  check_proxies(commands, out, diagnostics);
  check_routers(commands, out, diagnostics);
  check_sides(out, diagnostics);
  return out;
}

// ---- what follows
// ------------------------------------------------------------------------------------------------------

void complete_launch(Question& q, Fabric fabric, Diagnostics& diagnostics) {
  Deployment& d = q.deployment;
  Limits& m = d.limits;
  SourceLocation file;
  file.file = d.file;
  const std::int64_t most = std::max<std::int64_t>(2, d.model.max_positions);
  if (m.max_seq_len == 0) {
    m.max_seq_len = most;
    diagnostics.note(
        "A0100", file,
        fmt::format("the longest sequence is not set: {} assumed (max_position_embeddings of the model)", most));
  }
  if (!q.named("limits.max_input_tokens")) m.max_input_tokens = std::max<std::int64_t>(1, m.max_seq_len - 1);
  // vLLM without chunked prefill refuses what is longer than a step (a rule says so). A chunk of SGLang may exceed
  // every prompt.
  if (!q.named("limits.max_prefill_tokens"))
    m.max_prefill_tokens = d.engine == "sglang" && d.features.splitfuse
                               ? m.max_input_tokens
                               : std::max(m.max_batched_tokens, m.max_input_tokens);
  if (!q.named("limits.max_prefill_batch")) m.max_prefill_batch = std::max<std::int64_t>(1, m.max_batch);
  if (q.named("experts.exchange")) return;
  const Layout& l = d.layout;
  const bool ep = l.moe_ep > 1;
  const std::int64_t ranks = l.world() / l.pp;
  const ExpertCommunication asked = d.experts.communication;
  const bool fused = asked == ExpertCommunication::kFusedMc2 || asked == ExpertCommunication::kFusedMc2Decode;
  if (fused && d.engine == "vllm-ascend" && fabric != Fabric::kUnifiedBus) {
    diagnostics.note("A0135", file, "fused MC2 is for A3: rows reach experts as if nobody had asked for it");
    d.experts.communication = ExpertCommunication::kAuto;
  }
  ExpertExchange exchange = ExpertExchange::kAllGather;
  std::string why = "without expert parallelism the experts are cut by columns";
  if (ep && d.experts.communication != ExpertCommunication::kAuto) {
    if (d.experts.communication != ExpertCommunication::kAllGather) exchange = ExpertExchange::kAllToAll;
    why = fmt::format("the scripts choose {}", word_of(d.experts.communication));
  } else if (ep && fabric == Fabric::kUnifiedBus) {
    exchange = ExpertExchange::kAllToAll;
    why = fmt::format("A3: MC2 up to {} rows of a DP group, all-to-all-v above", mc2_capacity(d));
  } else if (ep && d.role == Role::kDecode && ranks >= 16) {
    exchange = ExpertExchange::kAllToAll;
    why = "A2 with 16 ranks and more: MC2 in decode steps";
  } else if (ep) {
    why = "A2: all-gather above the capacity of MC2, and below 16 ranks";
  }
  d.set_exchange(exchange);
  const char* const source =
      q.stack.starts_with("vllm") ? "; vllm_ascend/ascend_forward_context.py select_moe_comm_method" : "";
  diagnostics.note("A0135", file, fmt::format("rows reach experts by {} ({}{})", word_of(exchange), why, source));
}

void check_pair_of_scripts(const LaunchedInstance& prefill, const LaunchedInstance& decode, Diagnostics& diagnostics) {
  constexpr const char* kConfig = "kv_connector_extra_config describes both sides on both sides";
  const Layout* const layouts[] = {&prefill.question.deployment.layout, &decode.question.deployment.layout};
  for (const LaunchedInstance* i : {&prefill, &decode})
    for (const LaunchedNode& n : i->nodes)
      for (int side = 0; side < 2; ++side) {
        const char* const name = side == 0 ? "prefill" : "decode";
        if (n.peer_tp[side] && *n.peer_tp[side] != layouts[side]->tp)
          diagnostics.error("E0437", n.where,
                            fmt::format("{} believes that the {} side has tp_size {}, it is {}", n.file, name,
                                        *n.peer_tp[side], layouts[side]->tp),
                            kConfig, fmt::format("\"tp_size\": {}", layouts[side]->tp));
        if (n.peer_dp[side] && *n.peer_dp[side] != layouts[side]->dp)
          diagnostics.error("E0437", n.where,
                            fmt::format("{} believes that the {} side has dp_size {}, it is {}", n.file, name,
                                        *n.peer_dp[side], layouts[side]->dp),
                            kConfig, fmt::format("\"dp_size\": {}", layouts[side]->dp));
      }
}

}  // namespace ascendsim
