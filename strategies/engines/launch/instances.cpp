#include "strategies/engines/launch/instances.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "strategies/deployment/field_text.h"
#include "strategies/programs/launching.h"

namespace ascendsim {

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

EngineVersion assumed_version(std::span<const LaunchedCommand> commands, const Defines& defines,
                              const EngineVersions& versions) {
  std::vector<OptionSet> all;
  Diagnostics said_by_the_reader;
  for (const LaunchedCommand& c : commands)
    if (c.kind == LaunchKind::kServer)
      all.emplace_back(c.engine->options(), c.words, c.variables, defines, said_by_the_reader);
  const auto unknown_to = [&](std::string_view version) {
    std::vector<std::string> out;
    for (const OptionSet& o : all)
      for (std::string& name : o.unknown_to(*parse_version(version))) out.push_back(std::move(name));
    return out;
  };
  const std::vector<std::string_view> by_preference = versions.by_preference();
  if (by_preference.empty()) return {};
  const std::vector<std::string> too_new = unknown_to(by_preference.front());
  std::string_view best = by_preference.front();
  std::size_t least = too_new.size();
  for (const std::string_view version : by_preference) {
    if (least == 0) break;
    if (const std::size_t unknown = unknown_to(version).size(); unknown < least) {
      least = unknown;
      best = version;
    }
  }
  if (best == by_preference.front()) return {std::string(best), "the newest release"};
  return {std::string(best), fmt::format("the newest that has {}", too_new.front())};
}

std::vector<LaunchedInstance> import_instances(const std::vector<LaunchedCommand>& commands,
                                               const LaunchContext& context, Diagnostics& diagnostics) {
  std::vector<LaunchedInstance> out;
  const LaunchedCommand* first_engine = nullptr;
  for (const LaunchedCommand& c : commands) {
    if (c.kind != LaunchKind::kServer) continue;
    if (first_engine != nullptr && !first_engine->engine->is(*c.engine)) {
      diagnostics.error(
          "E0436", c.where,
          fmt::format("two engines: {} here, {} in {}", c.program, first_engine->program, first_engine->file),
          "scripts of one call belong to one engine", "give them to separate calls");
      continue;
    }
    if (first_engine == nullptr) first_engine = &c;
    Diagnostics said;
    LaunchedNode node = c.engine->import_command(c, context, said);
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
    i.version.id = context.engine_version;
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

PickedExchange pick_exchange(const Deployment& d, Fabric fabric) {
  const Layout& l = d.layout;
  const std::int64_t ranks = l.world() / l.pp;
  if (l.moe_ep == 1) return {ExpertExchange::kAllGather, "without expert parallelism the experts are cut by columns"};
  if (d.experts.communication != ExpertCommunication::kAuto)
    return {d.experts.communication == ExpertCommunication::kAllGather ? ExpertExchange::kAllGather
                                                                       : ExpertExchange::kAllToAll,
            fmt::format("the scripts choose {}", word_of(d.experts.communication))};
  if (fabric == Fabric::kUnifiedBus)
    return {ExpertExchange::kAllToAll,
            fmt::format("A3: MC2 up to {} rows of a DP group, all-to-all-v above", mc2_capacity(d))};
  if (d.role == Role::kDecode && ranks >= 16)
    return {ExpertExchange::kAllToAll, "A2 with 16 ranks and more: MC2 in decode steps"};
  return {ExpertExchange::kAllGather, "A2: all-gather above the capacity of MC2, and below 16 ranks"};
}

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
  // Without chunked prefill what is longer than a step is refused (a rule says so).
  if (!q.named("limits.max_prefill_tokens"))
    m.max_prefill_tokens = d.traits().chunk_may_exceed_prompts && d.features.splitfuse
                               ? m.max_input_tokens
                               : std::max(m.max_batched_tokens, m.max_input_tokens);
  if (!q.named("limits.max_prefill_batch")) m.max_prefill_batch = std::max<std::int64_t>(1, m.max_batch);
  if (q.named("experts.exchange")) return;
  const ExpertCommunication asked = d.experts.communication;
  const bool fused = asked == ExpertCommunication::kFusedMc2 || asked == ExpertCommunication::kFusedMc2Decode;
  if (fused && d.traits().fused_mc2_needs_unified_bus && fabric != Fabric::kUnifiedBus) {
    diagnostics.note("A0135", file, "fused MC2 is for A3: rows reach experts as if nobody had asked for it");
    d.experts.communication = ExpertCommunication::kAuto;
  }
  const auto [exchange, why] = pick_exchange(d, fabric);
  d.set_exchange(exchange);
  diagnostics.note(
      "A0135", file,
      fmt::format("rows reach experts by {} ({}{})", word_of(exchange), why, d.engine->texts.carrier_source));
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
