#include "reports/writers/pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "reports/answers/comparison_tables.h"
#include "reports/answers/headings.h"
#include "reports/answers/steps.h"
#include "reports/writers/svg.h"
#include "strategies/programs/groups.h"

namespace ascendsim {

namespace {

constexpr std::string_view kInk = "#1f2933", kFaint = "#8a94a0", kGrid = "#e4e7eb", kEmpty = "#f3f4f6",
                           kLine = "#c3c9d0";
// In the order of parts_of(); told apart by lightness too.
constexpr std::array<std::string_view, 7> kPartColours{"#2b6cb0", "#63b3ed", "#dd6b20", "#f6ad55",
                                                       "#c53030", "#718096", "#cbd5e0"};
constexpr std::array<std::string_view, 8> kGroupColours{"#2b6cb0", "#dd6b20", "#2f855a", "#805ad5",
                                                        "#b83280", "#319795", "#975a16", "#4a5568"};
constexpr double kMargin = 24;

std::string slug(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool upper = c >= 'A' && c <= 'Z';
    if (plain || upper)
      out += static_cast<char>(upper ? c - 'A' + 'a' : c);
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

// 1, 2 or 5 times a power of ten: about four steps up to `most`.
double tick_of(double most) {
  const double quarter = std::max(most, 1e-9) / 4;
  double tick = 1;
  while (10 * tick <= quarter) tick *= 10;
  while (tick > quarter) tick /= 10;
  for (const double factor : {2.0, 2.5, 2.0})
    if (most / tick > 5) tick *= factor;
  return tick;
}

// One unit for all times of a panel, so that they can be compared at a glance; three digits, and never 3.1e+04.
struct TimeUnit {
  explicit TimeUnit(double most_ms) : in_seconds(most_ms >= 10'000) {}
  bool in_seconds;
  [[nodiscard]] std::string number(double ms) const {
    const double v = in_seconds ? ms / 1000 : ms;
    return fmt::format("{:.{}f}", v, v >= 99.95 || v == 0 ? 0 : v >= 9.995 ? 1 : 2);
  }
  [[nodiscard]] std::string operator()(double ms) const {
    return fmt::format("{} {}", number(ms), in_seconds ? "s" : "ms");
  }
};

// ---- stacked bars ---------------------------------------------------------------------------------------------------

struct Bar {
  std::string name;
  const StepTime* step;
};
struct Panel {
  std::string title;
  std::vector<Bar> bars;
};

constexpr double kBarHeight = 22, kBarGap = 8, kPanelHead = 30, kPanelFoot = 26, kBarsWide = 620;

double panel_height(const Panel& p) {
  return kPanelHead + static_cast<double>(p.bars.size()) * (kBarHeight + kBarGap) + kPanelFoot;
}

void draw_panel(Svg& svg, const Panel& panel, double left, double top) {
  double most = 0;
  for (const Bar& b : panel.bars) most = std::max(most, milliseconds(b.step->total));
  const double scale = kBarsWide / most, tick = tick_of(most);
  const TimeUnit unit(most);
  svg.text(kMargin, top + 16, panel.title, {.size = 13, .bold = true});
  const double first = top + kPanelHead, last = first + static_cast<double>(panel.bars.size()) * (kBarHeight + kBarGap);
  for (double at = 0; at <= most * 1.0001; at += tick) {
    svg.line(left + at * scale, first - 4, left + at * scale, last, kGrid);
    svg.text(left + at * scale, last + 14,
             fmt::format("{:.4g} {}", unit.in_seconds ? at / 1000 : at, unit.in_seconds ? "s" : "ms"),
             {.colour = kFaint, .size = 10, .anchor = Svg::Anchor::kMiddle});
  }
  double y = first;
  for (const Bar& b : panel.bars) {
    svg.text(left - 10, y + kBarHeight - 7, b.name, {.anchor = Svg::Anchor::kEnd});
    double x = left;
    const auto parts = parts_of(*b.step);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double ms = milliseconds(parts[i].time), width = ms * scale;
      if (width <= 0) continue;
      const std::string value = unit.number(ms);
      svg.rectangle(x, y, width, kBarHeight, kPartColours[i], "#ffffff", fmt::format("{} {}", parts[i].name, unit(ms)));
      if (text_width(value, 10) + 6 < width)
        svg.text(x + width / 2, y + kBarHeight - 7, value,
                 {.colour = i == 1 || i == 3 || i == 6 ? kInk : std::string_view("#ffffff"),
                  .size = 10,
                  .anchor = Svg::Anchor::kMiddle});
      x += width;
    }
    svg.text(x + 8, y + kBarHeight - 7, unit(milliseconds(b.step->total)), {.bold = true});
    y += kBarHeight + kBarGap;
  }
}

std::string bars(const Comparison& c, const char* phase, StepTime Prediction::*step, Role without) {
  std::vector<Panel> panels;
  double names = 40, height = 84;
  for (std::size_t i = 0; i < c.conditions.size(); ++i) {
    Panel panel;
    for (std::size_t a = 0; a < c.alternatives.size(); ++a) {
      const Point& p = c.at(i, a);
      if (!p.runs() || p.role() == without) continue;
      const Workload& w = p.subject.workload;
      panel.title = fmt::format("{} tokens, {} request{}", with_commas(w.input_tokens), with_commas(w.batch),
                                w.batch == 1 ? "" : "s");
      panel.bars.push_back(
          {label(c, a) + (p.standing == Standing::kWhatIf ? " (what-if)" : ""), &(p.prediction.*step)});
      names = std::max(names, text_width(panel.bars.back().name, 12));
    }
    if (panel.bars.empty()) continue;
    height += panel_height(panel);
    panels.push_back(std::move(panel));
  }
  if (panels.empty()) return {};
  const double left = kMargin + names + 12;
  Svg svg(left + kBarsWide + 110, height);
  const std::string title = fmt::format("Where the time of a {} step goes", phase);
  svg.text(kMargin, 32, title, {.size = 17, .bold = true});
  double x = kMargin;
  static const StepTime kNone;
  const auto parts = parts_of(kNone);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    svg.rectangle(x, 48, 12, 12, kPartColours[i]);
    svg.text(x + 17, 58, parts[i].name, {.size = 11});
    x += 17 + text_width(parts[i].name, 11) + 16;
  }
  double top = 76;
  for (const Panel& p : panels) {
    draw_panel(svg, p, left, top);
    top += panel_height(p);
  }
  return svg.take(title);
}

// ---- what each rank holds -------------------------------------------------------------------------------------------

constexpr std::int64_t kMostRows = 32;
constexpr double kRow = 18, kStrip = 190, kGap = 26, kRanksWide = 92;

// Cells of a strip, those that a rank holds filled.
void strip(Svg& svg, double x, double y, std::int64_t cells, const std::vector<std::int64_t>& held,
           std::string_view colour, const std::string& title) {
  const double width = kStrip / static_cast<double>(cells);
  svg.rectangle(x, y + 2, kStrip, kRow - 4, kEmpty, kLine);
  for (const std::int64_t h : held) {
    svg.rectangle(x + static_cast<double>(h) * width, y + 2, width, kRow - 4, colour, "#ffffff", title);
    const std::string name = fmt::to_string(h);
    // All cells have their numbers, or none has.
    if (text_width(fmt::to_string(cells - 1), 9) + 2 < width && cells > 1)
      svg.text(x + (static_cast<double>(h) + 0.5) * width, y + kRow - 5.5, name,
               {.colour = "#ffffff", .size = 9, .anchor = Svg::Anchor::kMiddle});
  }
}

struct Strategy {
  const Comparison& c;
  const Point& p;
  const Deployment& d = p.subject.deployment();
  const Layout& l = d.layout;

  [[nodiscard]] static std::string_view colour(std::int64_t i) {
    return kGroupColours[static_cast<std::size_t>(i) % kGroupColours.size()];
  }

  void rows(Svg& svg, double top) const {
    const std::int64_t shown = std::min(l.world(), kMostRows);
    const std::array<double, 4> x{kMargin + kRanksWide, kMargin + kRanksWide + (kStrip + kGap),
                                  kMargin + kRanksWide + 2 * (kStrip + kGap),
                                  kMargin + kRanksWide + 3 * (kStrip + kGap)};
    const bool prefills = d.role != Role::kDecode;
    const bool round_robin = l.cp_partition == PromptPartition::kRoundRobin;
    const std::int64_t chunks = l.cp > 1 && prefills ? (round_robin ? l.cp : 2 * l.cp) : 1;
    const auto heading = [&](std::size_t i, const std::string& first, const std::string& second) {
      svg.text(x[i], top - 24, first, {.size = 12, .bold = true});
      svg.text(x[i], top - 9, second, {.colour = kFaint, .size = 10});
    };
    heading(0, "tokens",
            l.cp > 1 && prefills ? (round_robin ? fmt::format("every {}th token of a prompt", l.cp)
                                                : fmt::format("{} zigzag chunks of a prompt", chunks))
                                 : fmt::format("requests of {} DP group{}", l.dp, l.dp == 1 ? "" : "s"));
    heading(1, "attention heads", fmt::format("{} of {} a rank", d.model.heads / l.tp, d.model.heads));
    heading(2, "KV cache",
            l.kv_shards() > 1 ? fmt::format("1 of {} shards of each sequence", l.kv_shards())
                              : "whole sequences of the group");
    heading(3, "experts",
            fmt::format("{} of {} a rank{}", ceil_div(d.physical_experts(), l.moe_ep), d.physical_experts(),
                        l.moe_tp > 1 ? fmt::format(", 1/{} of each", l.moe_tp) : ""));
    for (std::int64_t rank = 0; rank < shown; ++rank) {
      const double y = top + static_cast<double>(rank) * kRow;
      const RankCoordinates at = coordinates(l, rank);
      const auto ink = colour(at.dp * l.cp + at.cp);
      svg.text(kMargin, y + kRow - 5, fmt::format("rank {}", rank), {.size = 11});
      svg.rectangle(kMargin + kRanksWide - 16, y, 8, kRow, ink);
      if (l.cp > 1 && prefills)
        strip(svg, x[0], y, chunks,
              round_robin ? std::vector<std::int64_t>{at.cp} : std::vector<std::int64_t>{at.cp, chunks - 1 - at.cp},
              ink, "chunks of the prompt");
      else
        strip(svg, x[0], y, l.dp, {at.dp}, ink, "requests of this DP group");
      strip(svg, x[1], y, l.tp, {at.tp}, ink,
            fmt::format("heads {} to {}", at.tp * d.model.heads / l.tp, (at.tp + 1) * d.model.heads / l.tp - 1));
      strip(svg, x[2], y, l.kv_shards(), {at.kv_shard(l)}, ink, "shard of the KV cache");
      strip(svg, x[3], y, l.moe_ep, {at.moe_ep}, ink, "experts");
    }
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const double middle = top + static_cast<double>(shown) * kRow / 2;
      svg.arrow(x[i] + kStrip + 5, middle, x[i + 1] - 5, kLine);
    }
    if (shown < l.world())
      svg.text(kMargin, top + static_cast<double>(shown) * kRow + 14,
               fmt::format("and {} more ranks in the same pattern", l.world() - shown), {.colour = kFaint, .size = 11});
  }

  // Collectives in the order in which a layer runs them; those outside layers last.
  void collectives(Svg& svg, double top, double width, const StepTime& step, const char* phase) const {
    svg.text(kMargin, top,
             fmt::format("Collectives of a {} step: {} in all, {} of them exposed", phase, to_text(step.communication),
                         to_text(step.exposed_communication)),
             {.size = 13, .bold = true});
    constexpr double kBox = 156, kHigh = 67, kBetween = 20;
    double x = kMargin, y = top + 14;
    for (const CollectiveSum& s : collectives_of(step)) {
      if (x + kBox > width - kMargin) {
        x = kMargin;
        y += kHigh + 14;
      }
      if (x > kMargin) svg.arrow(x - kBetween + 3, y + kHigh / 2, x - 3, kFaint);
      svg.rectangle(x, y, kBox, kHigh, "#fff5f5", "#c53030", fmt::format("{} B a call", s.bytes.count()), 6);
      svg.text(x + 9, y + 18, s.primitive, {.colour = "#9b2c2c", .size = 12, .bold = true});
      svg.text(x + 9, y + 33, fmt::format("over {}, {} times", s.group, s.count), {.size = 10});
      svg.text(x + 9, y + 46, fmt::format("{} a call", to_text(s.bytes)), {.size = 10});
      svg.text(x + 9, y + 58, fmt::format("sends {}, {}", to_text(s.sent), to_text(s.time)), {.size = 10});
      x += kBox + kBetween;
    }
  }

  [[nodiscard]] static double collectives_height(const StepTime& step, double width) {
    const double per_row = std::floor((width - 2 * kMargin + 20) / 176);
    return 40 + 81 * std::ceil(static_cast<double>(collectives_of(step).size()) / per_row);
  }

  [[nodiscard]] std::string draw() const {
    const double width = 2 * kMargin + kRanksWide + 4 * kStrip + 3 * kGap;
    const std::int64_t shown = std::min(l.world(), kMostRows);
    const double table = 112, below = table + static_cast<double>(shown) * kRow + 44;
    std::vector<std::pair<const char*, const StepTime*>> phases;
    for (const PhaseStep& s : phases_of(d.role, p.prediction)) phases.emplace_back(s.name, s.step);
    double height = below;
    for (const auto& [name, step] : phases) height += collectives_height(*step, width);
    Svg svg(width, height + 12);
    const std::string title = fmt::format("{}: what each rank holds", label(c, p.alternative));
    svg.text(kMargin, 32, title, {.size = 17, .bold = true});
    svg.text(
        kMargin, 52,
        fmt::format("{};  {} tokens;  colour: DP group and CP rank{}",
                    layout_words(l, degree_words(p.subject.question)), with_commas(p.subject.workload.input_tokens),
                    p.standing == Standing::kWhatIf ? ";  what-if: the engine refuses it" : ""),
        {.colour = kFaint, .size = 11});
    rows(svg, table);
    double y = below;
    for (const auto& [name, step] : phases) {
      collectives(svg, y, width, *step, name);
      y += collectives_height(*step, width);
    }
    return svg.take(title);
  }
};

}  // namespace

std::vector<Picture> pictures_of(const Comparison& c) {
  std::vector<Picture> out;
  const auto add = [&](std::string file, std::string svg) {
    if (!svg.empty()) out.push_back({std::move(file), std::move(svg)});
  };
  add("prefill-time.svg", bars(c, "prefill", &Prediction::prefill, Role::kDecode));
  add("decode-time.svg", bars(c, "decode", &Prediction::decode, Role::kPrefill));
  for (std::size_t a = 0; a < c.alternatives.size(); ++a) {
    const Point& p = c.at(c.conditions.size() - 1, a);
    if (p.runs()) add(fmt::format("strategy-{}.svg", slug(label(c, a))), Strategy{c, p}.draw());
  }
  return out;
}

}  // namespace ascendsim
