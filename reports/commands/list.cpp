#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "hardware/cluster_network.h"
#include "hardware/faults.h"
#include "reports/commands/commands.h"
#include "reports/writers/fabric_picture.h"
#include "strategies/collectives/collective_cost.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

namespace {

constexpr std::string_view kTopics[] = {"hardware", "models", "engines", "collectives"};

// A value for people and the same in base units for machines.
struct Shown {
  std::string text;
  double value;
  const char* unit;
};
Shown show(Bytes b) { return {to_text(b), static_cast<double>(b.count()), "B"}; }
Shown show(BytesPerSecond r) { return {to_text(r), r.count(), "B/s"}; }
Shown show(Duration d) { return {to_text(d), seconds(d), "s"}; }
Shown show(FlopsPerSecond r) { return {scaled_text(r.count(), "FLOP/s"), r.count(), "FLOP/s"}; }
Shown show(Hertz f) { return {scaled_text(f.count(), "Hz"), f.count(), "Hz"}; }
Shown show(Watts w) { return {scaled_text(w.count(), "W"), w.count(), "W"}; }
Shown show(Ratio r) { return {fmt::format("{:g}", r.count()), r.count(), ""}; }
Shown show(Count c) { return {fmt::to_string(c.count()), static_cast<double>(c.count()), ""}; }

class FigureRows {
 public:
  FigureRows()
      : table_{"",
               "figures",
               Table::Shape::kGrid,
               {{"part", "part"},
                {"figure", "figure"},
                {"value", "value", true},
                {"unit", "unit"},
                {"kind", "kind"},
                {"range", "range"},
                {"source", "source"}},
               {}} {}

  template <class Q>
  void add(const std::string& part, const std::string& name, const Figure<Q>& f) {
    const Shown shown = show(f.value);
    const std::size_t space = std::min(shown.text.find(' '), shown.text.size());
    const std::string unit = space < shown.text.size() ? shown.text.substr(space + 1) : "";
    const std::string range =
        f.range ? fmt::format("{} to {}", show(f.range->first).text, show(f.range->second).text) : "";
    // CSV and JSON carry base units, so the unit beside them is the base unit there.
    Cell unit_cell(unit);
    unit_cell.raw = shown.unit;
    table_.rows.push_back({part, name, Cell(shown.text.substr(0, space), fmt::to_string(shown.value)),
                           std::move(unit_cell), to_text(f.kind), range, f.source});
  }
  Table take(std::string title) {
    table_.title = std::move(title);
    return std::move(table_);
  }

 private:
  Table table_;
};

void add_die(FigureRows& rows, const Die& d) {
  const std::string part = "die " + d.name;
  const auto add = [&](const auto& f) { rows.add(part, f.name, f); };
  add(d.cube_cores), add(d.vector_cores), add(d.clock), add(d.matrix_16bit), add(d.matrix_int8), add(d.vector_fp16),
      add(d.vector_fp32);
  add(d.hbm_capacity), add(d.hbm_visible), add(d.hbm_bandwidth), add(d.l2_capacity), add(d.l2_bandwidth), add(d.power);
  for (const auto& f : d.core_memories) add(f);
}

void add_link(FigureRows& rows, const char* role, const LinkType& l) {
  const std::string part = fmt::format("{} {}", role, l.name);
  rows.add(part, "bandwidth", l.bandwidth);
  rows.add(part, "efficiency", l.efficiency);
  rows.add(part, "latency", l.latency);
  l.transfers.for_each([&](const std::string& name, const auto& f) { rows.add(part, name, f); });
}

Table server_figures(const Server& s) {
  FigureRows rows;
  add_die(rows, s.die);
  add_link(rows, "die link", s.die_link);
  if (s.package_link) add_link(rows, "package link", *s.package_link);
  if (s.fabric == Fabric::kUnifiedBus) rows.add("L1 switch", s.uplink_oversubscription.name, s.uplink_oversubscription);
  add_link(rows, "NIC", s.nic);
  rows.add("RoCE network", s.roce.dies_per_leaf.name, s.roce.dies_per_leaf);
  rows.add("RoCE network", s.roce.oversubscription.name, s.roce.oversubscription);
  rows.add("RoCE network", s.roce.spine_latency.name, s.roce.spine_latency);
  add_link(rows, "host link", s.host_link);
  s.collectives.for_each([&](const std::string& name, const auto& f) { rows.add("collectives", name, f); });
  return rows.take(fmt::format("{} ({}): {} cards, {} dies", s.product, s.name, s.cards, s.dies()));
}

Table hardware_table(const Catalogue& catalogue, Diagnostics& diagnostics) {
  Table t{"Hardware (--hardware NAME)",
          "hardware",
          Table::Shape::kGrid,
          {{"name", "name"},
           {"product", "product"},
           {"cards", "cards", true},
           {"dies", "dies", true},
           {"die", "die"},
           {"HBM a die", "hbm_visible_bytes", true},
           {"HBM bandwidth", "hbm_bandwidth_bytes_per_second", true},
           {"16-bit peak", "matrix_16bit_flops_per_second", true},
           {"INT8 peak", "matrix_int8_flops_per_second", true},
           {"alias of", "alias_of"}},
          {}};
  const auto rate = [](const Shown& s) { return Cell(s.text, fmt::to_string(s.value)); };
  for (const std::string& name : catalogue.server_names()) {
    const Server s = catalogue.server(name, "", diagnostics);
    t.rows.push_back({s.name, s.product, count_cell(s.cards), count_cell(s.dies()), s.die.name,
                      bytes_cell(s.die.hbm_visible.value), rate(show(s.die.hbm_bandwidth.value)),
                      rate(show(s.die.matrix_16bit.value)), rate(show(s.die.matrix_int8.value)), s.alias_of});
  }
  return t;
}

// only: a model's name in any spelling, empty for all.
Table model_table(const ModelLibrary& models, const std::string& only, Diagnostics& diagnostics) {
  Table t{"Models (--model NAME)",
          "models",
          Table::Shape::kGrid,
          {{"name", "name"},
           {"layers", "layers", true},
           {"hidden", "hidden", true},
           {"heads", "heads", true},
           {"experts", "experts", true},
           {"top-k", "top_k", true},
           {"parameters", "parameters", true},
           {"active", "active_parameters", true},
           {"positions", "max_positions", true}},
          {}};
  const std::vector<std::string> names = only.empty() ? models.names() : std::vector<std::string>{only};
  for (const std::string& name : names) {
    const Model m = models.load(name, {}, diagnostics);
    if (m.layers == 0) continue;  // unknown, and said so
    const ParameterCounts counts = count_parameters(m);
    const auto parameters = [](std::int64_t n) {
      return Cell(scaled_text(static_cast<double>(n), ""), fmt::to_string(n));
    };
    t.rows.push_back({m.name, count_cell(m.layers), count_cell(m.hidden), count_cell(m.heads), count_cell(m.experts),
                      count_cell(m.top_k), parameters(counts.main), parameters(counts.active),
                      count_cell(m.max_positions)});
  }
  return t;
}

Table engine_table(const StackLibrary& stacks, Diagnostics& diagnostics) {
  Table t{
      "Engines",
      "engines",
      Table::Shape::kGrid,
      {{"name", "name"}, {"engine", "engine"}, {"version", "version"}, {"kernels", "kernels"}, {"source", "source"}},
      {}};
  for (const std::string& name : stacks.names()) {
    const Stack s = stacks.load(name, "", diagnostics);
    t.rows.push_back({name, s.engine, s.version, s.kernels, s.source});
  }
  return t;
}

Table collective_table() {
  Table t{"Collective algorithms (--algorithm NAME)",
          "collectives",
          Table::Shape::kGrid,
          {{"name", "name"}, {"for", "operators"}, {"defined for", "rule"}, {"", "summary"}},
          {}};
  for (const CollectiveAlgorithm& a : builtin_collectives()) {
    std::vector<std::string_view> operators;
    for (const Primitive p :
         {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce, Primitive::kAllToAll,
          Primitive::kBroadcast, Primitive::kShift, Primitive::kDispatch, Primitive::kCombine})
      if (a.covers(p)) operators.push_back(to_text(p));
    t.rows.push_back({a.name, fmt::format("{}", fmt::join(operators, ", ")), a.rule, a.summary});
  }
  return t;
}

// A server, or a die on its own.
Table named_hardware(const Catalogue& catalogue, const std::string& name, Diagnostics& diagnostics) {
  const auto dies = catalogue.die_names();
  if (std::ranges::find(dies, name) == dies.end()) {
    const Server server = catalogue.server(name, "", diagnostics);
    diagnostics.throw_if_errors();
    return server_figures(server);
  }
  const Die die = catalogue.die(name, diagnostics);
  diagnostics.throw_if_errors();
  FigureRows rows;
  add_die(rows, die);
  return rows.take(fmt::format("{} ({})", die.product, die.name));
}

Table named_engine(const StackLibrary& stacks, const std::string& name, Diagnostics& diagnostics) {
  const Stack stack = stacks.load(name, "", diagnostics);
  diagnostics.throw_if_errors();
  FigureRows rows;
  stack.figures.for_each([&](const std::string& figure, const auto& f) { rows.add("stack", figure, f); });
  return rows.take(fmt::format("{} {}", stack.engine, stack.version));
}

// A picture of the fabric in place of tables.
enum class GraphKind : std::uint8_t { kNone, kDot, kSvg };

struct GraphOptions {
  GraphKind kind = GraphKind::kNone;
  std::optional<std::int64_t> servers;
  std::string faults_file;
};

// A server, or a cluster of them, as a picture.
std::string graph_of(const Catalogue& catalogue, const std::string& name, const GraphOptions& options,
                     Diagnostics& diagnostics) {
  const Server server = catalogue.server(name, "", diagnostics);
  diagnostics.throw_if_errors();
  const int servers = static_cast<int>(options.servers.value_or(1));
  if (server.max_servers > 0 && servers > server.max_servers)
    diagnostics.error("E0004", {}, fmt::format("{} has at most {} servers", server.product, server.max_servers), {},
                      fmt::format("--servers {}", server.max_servers));
  diagnostics.throw_if_errors();
  const Cluster healthy(server, servers);
  std::vector<LinkFault> faults;
  if (!options.faults_file.empty()) faults = read_faults(options.faults_file, healthy, diagnostics);
  diagnostics.throw_if_errors();
  const Cluster cluster(server, servers, server.dies(), std::move(faults));
  ClusterNetwork network(cluster);
  say_disconnected(cluster, network, {.file = options.faults_file}, diagnostics);
  diagnostics.throw_if_errors();
  return options.kind == GraphKind::kSvg ? fabric_svg(cluster) : fabric_dot(cluster);
}

void refuse_unknown_topic(const std::string& topic, Diagnostics& diagnostics) {
  if (std::ranges::find(kTopics, topic) != std::end(kTopics)) return;
  const std::string_view near = nearest(topic, kTopics);
  diagnostics.error(
      "E0009", {}, fmt::format("there is no list of '{}'", topic), {},
      near.empty() ? fmt::format("one of: {}", fmt::join(kTopics, ", ")) : fmt::format("did you mean '{}'?", near));
  diagnostics.throw_if_errors();
}

class ListCall final : public Call {
 public:
  void declare(Options& o) override {
    o.heading("Picture");
    o.choice<GraphKind>("--graph", "KIND", graph_.kind, {{"dot", GraphKind::kDot}, {"svg", GraphKind::kSvg}},
                        "dot or svg: a picture of the fabric of a server, or of a cluster with --servers");
    servers_row(o, graph_.servers).or_else("1");
    faults_row(o, graph_.faults_file);
  }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  GraphOptions graph_;
};

Answer ListCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  const std::string topic = words.empty() ? "" : words[0];
  if (!topic.empty()) refuse_unknown_topic(topic, diagnostics);
  const bool named = words.size() == 2;
  if (graph_.kind != GraphKind::kNone || graph_.servers || !graph_.faults_file.empty()) {
    if (graph_.kind == GraphKind::kNone)
      diagnostics.error("E0004", {}, "--servers and --faults are for a picture", {}, "--graph svg");
    if (!named || topic != "hardware")
      diagnostics.error("E0004", {}, "--graph draws a server that is named", {},
                        "ascendsim list hardware atlas-800i-a2 --graph svg");
    diagnostics.throw_if_errors();
    return {.text = graph_of(libraries.catalogue, words[1], graph_, diagnostics)};
  }
  std::vector<Table> tables;
  if (named && topic == "hardware") {
    tables.push_back(named_hardware(libraries.catalogue, words[1], diagnostics));
  } else if (named && topic == "engines") {
    tables.push_back(named_engine(libraries.stacks, words[1], diagnostics));
  } else {
    if (topic.empty() || topic == "hardware") tables.push_back(hardware_table(libraries.catalogue, diagnostics));
    if (topic.empty() || topic == "models")
      tables.push_back(model_table(libraries.models, named ? words[1] : "", diagnostics));
    if (topic.empty() || topic == "engines") tables.push_back(engine_table(libraries.stacks, diagnostics));
    if (topic.empty() || topic == "collectives") tables.push_back(collective_table());
  }
  diagnostics.throw_if_errors();
  return {.tables = std::move(tables)};
}

}  // namespace

constinit const Command kListCommand{
    .name = "list",
    .summary = "what is known",
    .words = "[hardware|models|engines|collectives [NAME]]",
    .words_help = "what to list, everything by default; with the name of a server or die every figure with its source",
    .least_words = 0,
    .most_words = 2,
    .example =
        "ascendsim list hardware atlas-800i-a3\n  ascendsim list hardware cloudmatrix384 --servers 48 --graph svg -o "
        "fabric.svg",
    .output = "tables, or a picture, on stdout; exit 0",
    .make = make_call<ListCall>};

}  // namespace ascendsim
