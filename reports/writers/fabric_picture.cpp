#include "reports/writers/fabric_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "hardware/link_graph_storage.h"
#include "reports/writers/svg.h"

namespace ascendsim {

namespace {

constexpr int kMostDrawn = 4;         // servers for themselves; the others stand for their likes
constexpr int kMostDrawnHealthy = 2;  // where nothing is broken

struct Look {
  const char* name;
  const char* colour;
};
Look look(LinkKind kind) {
  switch (kind) {
    case LinkKind::kHccs:
      return {"HCCS", "#c2410c"};
    case LinkKind::kSio:
      return {"SIO", "#7e22ce"};
    case LinkKind::kUbPlane:
      return {"UB plane", "#1d4ed8"};
    case LinkKind::kRoce:
      return {"RoCE", "#15803d"};
    case LinkKind::kHostLink:
      return {"host link", "#64748b"};
  }
  return {"", ""};
}
constexpr std::string_view kBroken = "#dc2626", kSlow = "7 3", kDown = "2 4";

struct Shown {
  int server = 0;
  int alike = 1;  // servers that look the same, this one included
};

std::vector<Shown> shown_servers(const Cluster& cluster) {
  std::set<int> faulty;
  for (const LinkFault& f : cluster.faults())
    if (f.kind != LinkKind::kRoce || f.first >= 0) faulty.insert(f.server);
  const bool all = cluster.servers() <= (faulty.empty() ? kMostDrawnHealthy : kMostDrawn);
  std::vector<Shown> shown;
  int healthy = -1;  // the one that stands for all of them
  for (int s = 0; s < cluster.servers(); ++s) {
    const bool own = all || (faulty.contains(s) && static_cast<int>(shown.size()) < kMostDrawn);
    if (own) {
      shown.push_back({s, 1});
    } else if (healthy < 0) {
      healthy = static_cast<int>(shown.size());
      shown.push_back({s, 1});
    } else {
      ++shown[static_cast<std::size_t>(healthy)].alike;
    }
  }
  return shown;
}

// Vertices by what they are, and the links between them.
class FabricDrawing {
 public:
  explicit FabricDrawing(const Cluster& cluster) : cluster_(cluster), graph_(cluster.graph()) {
    for (std::size_t v = 0; v < boost::num_vertices(graph_); ++v)
      at_[{graph_[v].kind, graph_[v].server, graph_[v].index}] = v;
  }
  [[nodiscard]] std::optional<Link> link(const Vertex& a, const Vertex& b) const {
    const auto from = at_.find({a.kind, a.server, a.index}), to = at_.find({b.kind, b.server, b.index});
    if (from == at_.end() || to == at_.end()) return std::nullopt;
    const auto [edge, found] = boost::edge(from->second, to->second, graph_);
    return found ? std::optional(graph_[edge]) : std::nullopt;
  }
  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const Server& server() const { return cluster_.server(); }
  [[nodiscard]] bool planes() const { return server().fabric == Fabric::kUnifiedBus; }

 private:
  const Cluster& cluster_;
  const LinkGraphStorage& graph_;
  std::map<std::tuple<VertexKind, int, int>, std::size_t> at_;
};

std::string title(const Cluster& cluster) {
  return fmt::format("{}: {} server{}, {} dies{}", cluster.server().product, cluster.servers(),
                     cluster.servers() == 1 ? "" : "s", cluster.servers() * cluster.server().dies(),
                     cluster.faults().empty() ? "" : fmt::format(", {} faults", cluster.faults().size()));
}

std::string server_label(const Shown& s) {
  return s.alike == 1 ? fmt::format("server {}", s.server)
                      : fmt::format("server {}, one of {} alike", s.server, s.alike);
}

std::string node_name(const Vertex& v) {
  switch (v.kind) {
    case VertexKind::kDie:
      return fmt::format("die_{}_{}", v.server, v.index);
    case VertexKind::kHost:
      return fmt::format("host_{}", v.server);
    case VertexKind::kUbSwitchL1:
      return fmt::format("l1_{}_{}", v.server, v.index);
    case VertexKind::kUbSwitchL2:
      return fmt::format("l2_{}", v.index);
    case VertexKind::kNic:
      return fmt::format("nic_{}_{}", v.server, v.index);
    case VertexKind::kRoceLeaf:
      return fmt::format("leaf_{}", v.index);
    case VertexKind::kRoceSpine:
      return "spine";
  }
  return "";
}

std::string node_label(const Vertex& v) {
  switch (v.kind) {
    case VertexKind::kDie:
      return fmt::format("die {}", v.index);
    case VertexKind::kHost:
      return "host";
    case VertexKind::kUbSwitchL1:
      return fmt::format("L1 {}", v.index);
    case VertexKind::kUbSwitchL2:
      return fmt::format("L2 plane {}", v.index);
    case VertexKind::kNic:
      return fmt::format("NIC {}", v.index);
    case VertexKind::kRoceLeaf:
      return fmt::format("leaf {}", v.index);
    case VertexKind::kRoceSpine:
      return "spine";
  }
  return "";
}

bool belongs_to_server(VertexKind kind) {
  return kind == VertexKind::kDie || kind == VertexKind::kHost || kind == VertexKind::kUbSwitchL1 ||
         kind == VertexKind::kNic;
}

// Leaf switches that the drawn servers use, the first of each drawn server's, and how many dies of all servers they
// serve.
std::vector<int> shown_leaves(const Cluster& cluster, const std::vector<Shown>& servers) {
  std::set<int> leaves;
  for (const Shown& s : servers)
    for (int d = 0; d < cluster.server().dies(); ++d)
      leaves.insert(cluster.leaf_of_die(s.server * cluster.server().dies() + d));
  return {leaves.begin(), leaves.end()};
}

constexpr Svg::Anchor kStart = Svg::Anchor::kStart, kMiddle = Svg::Anchor::kMiddle;

class Drawing {
 public:
  explicit Drawing(const Cluster& cluster) : fabric_(cluster), servers_(shown_servers(cluster)) {}
  std::string draw();

 private:
  static constexpr double kMargin = 28, kDie = 40, kDieHeight = 34, kSio = 16, kPad = 6, kGap = 12, kPanelPad = 18;
  static constexpr double kSwitch = 64, kSwitchHeight = 26, kMesh = 150, kNic = 26, kNicHeight = 16;

  [[nodiscard]] double package_width() const {
    const int dies = fabric_.server().dies_per_card;
    return dies * kDie + (dies - 1) * kSio + 2 * kPad;
  }
  [[nodiscard]] double panel_width() const {
    return fabric_.server().cards * (package_width() + kGap) - kGap + 2 * kPanelPad;
  }
  [[nodiscard]] double panel_x(std::size_t i) const { return kMargin + static_cast<double>(i) * (panel_width() + 34); }
  [[nodiscard]] double die_x(std::size_t panel, int die) const {  // its middle
    const int per_card = fabric_.server().dies_per_card, card = die / per_card;
    return panel_x(panel) + kPanelPad + card * (package_width() + kGap) + kPad + (die % per_card) * (kDie + kSio) +
           kDie / 2;
  }
  [[nodiscard]] double plane_x(std::size_t panel, int plane) const {
    const double width = panel_width() - 2 * kPanelPad, step = width / fabric_.server().die_links;
    return panel_x(panel) + kPanelPad + (plane + 0.5) * step;
  }
  [[nodiscard]] bool has_l2() const { return fabric_.planes() && fabric_.cluster().servers() > 1; }

  // A link in its colour; slow or down: dashed, red, and with a note.
  void connect(double x1, double y1, double x2, double y2, const Vertex& a, const Vertex& b, LinkKind kind,
               double width, double opacity, BytesPerSecond nominal);
  void note(double x, double y, const std::optional<Link>& link, BytesPerSecond nominal);
  void mesh(std::size_t panel, int server);
  void planes(std::size_t panel, int server);
  void dies(std::size_t panel, int server);
  void frame(std::size_t panel);
  void panel(std::size_t panel);
  void roce();
  void legend();
  void legend_row(LinkKind kind, const LinkType& type, BytesPerSecond bandwidth, std::string_view what);

  FabricDrawing fabric_;
  std::vector<Shown> servers_;
  Svg svg_{0, 0};  // its size is known at the end
  struct Note {
    double x, y;
    std::string words;
  };
  std::vector<Note> notes_;  // on faults, above everything else
  double top_ = 0, l2_y_ = 0, l1_y_ = 0, die_y_ = 0, nic_y_ = 0, bottom_ = 0, leaf_y_ = 0, spine_y_ = 0, legend_y_ = 0;
};

void Drawing::connect(double x1, double y1, double x2, double y2, const Vertex& a, const Vertex& b, LinkKind kind,
                      double width, double opacity, BytesPerSecond nominal) {
  const auto link = fabric_.link(a, b);
  const bool slow = link && link->bandwidth < nominal * Ratio(0.999);
  if (link && !slow)
    return svg_.line(x1, y1, x2, y2, {.colour = look(kind).colour, .width = width, .opacity = opacity});
  svg_.line(x1, y1, x2, y2, {.colour = kBroken, .width = std::max(width, 1.6), .dashes = slow ? kSlow : kDown});
  note((x1 + x2) / 2, (y1 + y2) / 2 - (kind == LinkKind::kSio ? kDieHeight / 2 + 10 : 0), link, nominal);
}

void Drawing::note(double x, double y, const std::optional<Link>& link, BytesPerSecond nominal) {
  notes_.push_back({x, y, link ? fmt::format("{:.0f} %", 100 * link->bandwidth.count() / nominal.count()) : "down"});
}

void Drawing::mesh(std::size_t panel, int server) {
  const int dies = fabric_.server().dies();
  const BytesPerSecond nominal = fabric_.server().die_link.bandwidth.value;
  for (int a = 0; a < dies; ++a) {
    for (int b = a + 1; b < dies; ++b) {
      const double x1 = die_x(panel, a) - 12 + 24.0 * b / dies, x2 = die_x(panel, b) - 12 + 24.0 * a / dies;
      const double height = 1.28 * (kMesh - 26) * (b - a) / (dies - 1);
      const auto link = fabric_.link({VertexKind::kDie, server, a}, {VertexKind::kDie, server, b});
      const bool whole = link && link->bandwidth >= nominal * Ratio(0.999);
      svg_.arc(x1, x2, die_y_, height,
               whole ? Svg::Pen{.colour = look(LinkKind::kHccs).colour, .width = 1.6, .opacity = 0.75}
                     : Svg::Pen{.colour = kBroken, .width = 2.4, .dashes = link ? kSlow : kDown});
      if (whole) continue;
      note((x1 + x2) / 2, die_y_ - 0.75 * height, link, nominal);  // where the curve is highest
    }
  }
}

void Drawing::planes(std::size_t panel, int server) {
  const Server& s = fabric_.server();
  const BytesPerSecond plane = s.die_link.bandwidth.value / s.die_links;
  const BytesPerSecond up = plane * s.dies() / s.uplink_oversubscription.value.count();
  for (int p = 0; p < s.die_links; ++p) {
    const Vertex l1{VertexKind::kUbSwitchL1, server, p};
    for (int d = 0; d < s.dies(); ++d)
      connect(plane_x(panel, p), l1_y_ + kSwitchHeight, die_x(panel, d), die_y_, l1, {VertexKind::kDie, server, d},
              LinkKind::kUbPlane, 0.9, 0.35, plane);
    if (has_l2()) {
      const double middle = (panel_x(0) + panel_x(servers_.size() - 1) + panel_width()) / 2;
      const double x = servers_.size() == 1 ? plane_x(0, p) : middle + (p - (s.die_links - 1) / 2.0) * (kSwitch + 40);
      connect(x, l2_y_ + kSwitchHeight, plane_x(panel, p), l1_y_, {VertexKind::kUbSwitchL2, 0, p}, l1,
              LinkKind::kUbPlane, 4, 0.8, up);
    }
  }
  for (int p = 0; p < s.die_links; ++p) {
    svg_.rectangle(plane_x(panel, p) - kSwitch / 2, l1_y_, kSwitch, kSwitchHeight, "#dbeafe", "#1d4ed8", {}, 5);
    svg_.text(plane_x(panel, p), l1_y_ + 17, fmt::format("L1 {}", p),
              {.colour = "#1e3a8a", .size = 12, .anchor = kMiddle});
  }
}

void Drawing::dies(std::size_t panel, int server) {
  const Server& s = fabric_.server();
  for (int c = 0; c < s.cards; ++c) {
    const double x = die_x(panel, c * s.dies_per_card) - kDie / 2 - kPad;
    if (s.dies_per_card > 1) {
      svg_.rectangle(x, die_y_ - kPad, package_width(), kDieHeight + 2 * kPad + 12, "#f8fafc", "#94a3b8", {}, 6);
      svg_.text(x + package_width() / 2, die_y_ + kDieHeight + 13, fmt::format("card {}", c),
                {.colour = "#64748b", .size = 9, .anchor = kMiddle});
    }
    for (int d = c * s.dies_per_card; d + 1 < (c + 1) * s.dies_per_card; ++d)
      connect(die_x(panel, d) + kDie / 2, die_y_ + kDieHeight / 2, die_x(panel, d + 1) - kDie / 2,
              die_y_ + kDieHeight / 2, {VertexKind::kDie, server, d}, {VertexKind::kDie, server, d + 1}, LinkKind::kSio,
              7, 0.85, s.package_link->bandwidth.value);
  }
  for (int d = 0; d < s.dies(); ++d) {
    connect(die_x(panel, d), die_y_ + kDieHeight, die_x(panel, d), nic_y_, {VertexKind::kDie, server, d},
            {VertexKind::kNic, server, d}, LinkKind::kRoce, 2, 0.9, s.nic.bandwidth.value);
    svg_.rectangle(die_x(panel, d) - kDie / 2, die_y_, kDie, kDieHeight, "#fef3c7", "#b45309", {}, 5);
    svg_.text(die_x(panel, d), die_y_ + 21, fmt::format("die {}", d),
              {.colour = "#78350f", .size = 11, .anchor = kMiddle});
    svg_.rectangle(die_x(panel, d) - kNic / 2, nic_y_, kNic, kNicHeight, "#dcfce7", "#15803d", {}, 3);
    svg_.text(die_x(panel, d), nic_y_ + 11.5, "NIC", {.colour = "#14532d", .size = 9, .anchor = kMiddle});
  }
}

void Drawing::frame(std::size_t i) {
  const double x = panel_x(i), height = bottom_ - top_;
  for (int back = std::min(servers_[i].alike - 1, 2); back >= 1; --back)
    svg_.rectangle(x + 5.0 * back, top_ - 5.0 * back, panel_width(), height, "#f1f5f9", "#cbd5e1", {}, 8);
  svg_.rectangle(x, top_, panel_width(), height, "white", "#64748b", {}, 8);
}

void Drawing::panel(std::size_t i) {
  const double x = panel_x(i);
  if (fabric_.planes())
    planes(i, servers_[i].server);
  else
    mesh(i, servers_[i].server);
  dies(i, servers_[i].server);
  svg_.text(x + 10, top_ + 18, server_label(servers_[i]),  // links pass behind it
            {.colour = "#0f172a", .size = 13, .anchor = kStart, .bold = true, .halo = true});
  if (servers_[i].alike == 1) return;
  svg_.rectangle(x + panel_width() - 66, top_ + 6, 56, 22, "#0f172a", {}, {}, 11);
  svg_.text(x + panel_width() - 38, top_ + 21.5, fmt::format("x {}", servers_[i].alike),
            {.colour = "white", .size = 13, .anchor = kMiddle, .bold = true});
}

void Drawing::roce() {
  const Cluster& cluster = fabric_.cluster();
  const Server& s = cluster.server();
  const std::vector<int> leaves = shown_leaves(cluster, servers_);
  const double left = panel_x(0), right = panel_x(servers_.size() - 1) + panel_width();
  const double step = (right - left + 12) / static_cast<double>(leaves.size());  // 12 between two leaves
  const auto leaf_x = [&](int leaf) {                                            // its left edge
    return left + step * static_cast<double>(std::ranges::find(leaves, leaf) - leaves.begin());
  };
  for (std::size_t i = 0; i < servers_.size(); ++i)
    for (int d = 0; d < s.dies(); ++d) {
      const int leaf = cluster.leaf_of_die(servers_[i].server * s.dies() + d);
      const double inside = std::clamp(die_x(i, d), leaf_x(leaf) + 12, leaf_x(leaf) + step - 24);
      svg_.line(die_x(i, d), nic_y_ + kNicHeight, inside, leaf_y_,
                {.colour = look(LinkKind::kRoce).colour, .width = 1.6, .opacity = 0.8});
    }
  const auto per_leaf = s.roce.dies_per_leaf.value.count();
  const BytesPerSecond up =
      s.nic.bandwidth.value * static_cast<double>(per_leaf) / s.roce.oversubscription.value.count();
  for (const int leaf : leaves) {
    const double x = leaf_x(leaf), width = step - 12;
    const auto served = std::min<std::int64_t>(per_leaf, cluster.servers() * s.dies() - leaf * per_leaf);
    if (cluster.leaves() > 1)
      connect(x + width / 2, leaf_y_ + kSwitchHeight, x + width / 2, spine_y_, {VertexKind::kRoceLeaf, 0, leaf},
              {VertexKind::kRoceSpine, 0, 0}, LinkKind::kRoce, 6, 0.8, up);
    svg_.rectangle(x, leaf_y_, width, kSwitchHeight, "#dcfce7", "#15803d", {}, 5);
    svg_.text(
        x + width / 2, leaf_y_ + 17,
        fmt::format(
            "RoCE leaf {}: {} x {}{}", leaf, served, to_text(s.nic.bandwidth.value),
            cluster.leaves() > static_cast<int>(leaves.size()) ? fmt::format(" ({} leaves)", cluster.leaves()) : ""),
        {.colour = "#14532d", .size = 12, .anchor = kMiddle});
  }
  if (cluster.leaves() == 1) return;
  svg_.rectangle(left, spine_y_, right - left, kSwitchHeight, "#bbf7d0", "#15803d", {}, 5);
  svg_.text((left + right) / 2, spine_y_ + 17,
            fmt::format("RoCE spine: {} from each of {} leaves, oversubscription {:g} : 1 ({})", to_text(up),
                        cluster.leaves(), s.roce.oversubscription.value.count(), to_text(s.roce.oversubscription.kind)),
            {.colour = "#14532d", .size = 12, .anchor = kMiddle});
}

void Drawing::legend_row(LinkKind kind, const LinkType& type, BytesPerSecond bandwidth, std::string_view what) {
  svg_.line(kMargin, legend_y_ - 4, kMargin + 34, legend_y_ - 4, {.colour = look(kind).colour, .width = 4});
  svg_.text(kMargin + 44, legend_y_, look(kind).name,
            {.colour = "#0f172a", .size = 12, .anchor = kStart, .bold = true});
  svg_.text(kMargin + 118, legend_y_,
            fmt::format("{}: {} each way, of which transfers reach {:.0f} %, {}", what, to_text(bandwidth),
                        100 * type.efficiency.value.count(), to_text(type.latency.value)),
            {.colour = "#334155", .size = 12, .anchor = kStart});
  legend_y_ += 19;
}

void Drawing::legend() {
  const Server& s = fabric_.server();
  if (!fabric_.planes()) {
    legend_row(LinkKind::kHccs, s.die_link, s.die_link.bandwidth.value, "between every two dies of a server");
  } else {
    const BytesPerSecond plane = s.die_link.bandwidth.value / s.die_links;
    if (s.package_link)
      legend_row(LinkKind::kSio, *s.package_link, s.package_link->bandwidth.value, "between the dies of a card");
    legend_row(LinkKind::kUbPlane, s.die_link, plane, fmt::format("every die to each of {} switches", s.die_links));
    if (has_l2())
      svg_.text(kMargin + 118, legend_y_,
                fmt::format("L1 to L2: {} each way and plane (the switches of a plane are drawn as one)",
                            to_text(plane * s.dies() / s.uplink_oversubscription.value.count())),
                {.colour = "#334155", .size = 12, .anchor = kStart}),
          legend_y_ += 19;
  }
  legend_row(LinkKind::kRoce, s.nic, s.nic.bandwidth.value, "a NIC for each die");
  legend_row(LinkKind::kHostLink, s.host_link, s.host_link.bandwidth.value, "each die to its host, not drawn");
  if (!fabric_.cluster().faults().empty()) {
    svg_.line(kMargin, legend_y_ - 4, kMargin + 34, legend_y_ - 4, {.colour = kBroken, .width = 2.4, .dashes = kDown});
    svg_.text(kMargin + 44, legend_y_, "fault: down, or the share of bandwidth that is left",
              {.colour = "#dc2626", .size = 12, .anchor = kStart});
    legend_y_ += 19;
  }
}

std::string Drawing::draw() {
  const bool l2 = has_l2();
  l2_y_ = 60;
  top_ = l2 ? 150 : 62;
  l1_y_ = top_ + 34;
  die_y_ = fabric_.planes() ? l1_y_ + 150 : top_ + 20 + kMesh;
  nic_y_ = die_y_ + kDieHeight + 40;
  bottom_ = nic_y_ + kNicHeight + 14;
  leaf_y_ = bottom_ + 44;
  spine_y_ = leaf_y_ + 66;
  legend_y_ = (fabric_.cluster().leaves() > 1 ? spine_y_ : leaf_y_) + 62;
  const double width = std::max(panel_x(servers_.size() - 1) + panel_width() + kMargin, 780.0);
  svg_.text(kMargin, 34, title(fabric_.cluster()), {.colour = "#0f172a", .size = 18, .anchor = kStart, .bold = true});
  for (std::size_t i = 0; i < servers_.size(); ++i) frame(i);
  for (std::size_t i = 0; i < servers_.size(); ++i) panel(i);
  if (l2) {
    const int count = fabric_.server().die_links;
    const double middle = (panel_x(0) + panel_x(servers_.size() - 1) + panel_width()) / 2;
    for (int p = 0; p < count; ++p) {
      const double x = servers_.size() == 1 ? plane_x(0, p) : middle + (p - (count - 1) / 2.0) * (kSwitch + 40);
      svg_.rectangle(x - kSwitch / 2 - 6, l2_y_, kSwitch + 12, kSwitchHeight, "#bfdbfe", "#1d4ed8", {}, 5);
      svg_.text(x, l2_y_ + 17, fmt::format("L2 plane {}", p), {.colour = "#1e3a8a", .size = 12, .anchor = kMiddle});
    }
  }
  roce();
  for (const Note& n : notes_) {
    svg_.rectangle(n.x - 17, n.y - 8, 34, 15, "white", "#dc2626", {}, 4);
    svg_.text(n.x, n.y + 3.5, n.words, {.colour = "#dc2626", .size = 10, .anchor = kMiddle, .bold = true});
  }
  legend();
  svg_.resize(width, legend_y_ + 10);
  return svg_.take(title(fabric_.cluster()));
}

}  // namespace

std::string fabric_svg(const Cluster& cluster) { return Drawing(cluster).draw(); }

std::string fabric_dot(const Cluster& cluster) {
  const LinkGraphStorage& graph = cluster.graph();
  const std::vector<Shown> servers = shown_servers(cluster);
  const std::vector<int> leaves = shown_leaves(cluster, servers);
  const auto is_shown = [&](const Vertex& v) {
    if (v.kind == VertexKind::kRoceLeaf) return std::ranges::find(leaves, v.index) != leaves.end();
    return !belongs_to_server(v.kind) || std::ranges::find(servers, v.server, &Shown::server) != servers.end();
  };
  std::string text =
      fmt::format("graph fabric {{\n  label=\"{}\";\n  node [shape=box, style=rounded];\n", title(cluster));
  for (const Shown& s : servers) {
    text += fmt::format("  subgraph cluster_{} {{\n    label=\"{}\";\n", s.server, server_label(s));
    for (std::size_t v = 0; v < boost::num_vertices(graph); ++v)
      if (belongs_to_server(graph[v].kind) && graph[v].server == s.server)
        text += fmt::format("    {} [label=\"{}\"];\n", node_name(graph[v]), node_label(graph[v]));
    text += "  }\n";
  }
  for (std::size_t v = 0; v < boost::num_vertices(graph); ++v)
    if (!belongs_to_server(graph[v].kind) && is_shown(graph[v]))
      text += fmt::format("  {} [label=\"{}\"];\n", node_name(graph[v]), node_label(graph[v]));
  const auto [first, last] = boost::edges(graph);
  for (auto edge = first; edge != last; ++edge) {
    const std::size_t a = boost::source(*edge, graph), b = boost::target(*edge, graph);
    if (a > b || !is_shown(graph[a]) || !is_shown(graph[b])) continue;  // both directions are one line
    text += fmt::format("  {} -- {} [label=\"{}\", color=\"{}\", tooltip=\"{}\"];\n", node_name(graph[a]),
                        node_name(graph[b]), to_text(graph[*edge].bandwidth), look(graph[*edge].kind).colour,
                        look(graph[*edge].kind).name);
  }
  return text + "}\n";
}

}  // namespace ascendsim
