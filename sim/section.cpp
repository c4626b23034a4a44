// Strict reading of mappings and figures.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "sim/config_values.h"

namespace ascendsim {

namespace {

std::optional<int> read_int(const ConfigNode& node, Diagnostics& diagnostics) {
  const auto value = node.as_integer(diagnostics);
  if (value && !std::in_range<int>(*value)) {
    report_does_not_fit(node, "an integer", "32 bits", diagnostics);
    return std::nullopt;
  }
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

template <class T>
std::optional<T> read(const ConfigNode& node, Diagnostics& diagnostics) {
  if constexpr (std::is_same_v<T, std::int64_t>)
    return node.as_integer(diagnostics);
  else if constexpr (std::is_same_v<T, int>)
    return read_int(node, diagnostics);
  else if constexpr (std::is_same_v<T, double>)
    return node.as_number(diagnostics);
  else if constexpr (std::is_same_v<T, bool>)
    return node.as_bool(diagnostics);
  else if constexpr (std::is_same_v<T, std::string>)
    return node.as_string(diagnostics);
  else
    return node.as_quantity<T>(diagnostics);
}

// `key: null` says "not set" in JSON; a key with nothing behind it is a mistake.
bool is_set(const ConfigNode& node) {
  return node && !(node.kind() == ConfigNode::Kind::kNull && !node.text().empty());
}

constexpr std::array<std::pair<std::string_view, FigureKind>, 4> kFigureKinds{{{"spec", FigureKind::kSpec},
                                                                               {"measured", FigureKind::kMeasured},
                                                                               {"fitted", FigureKind::kFitted},
                                                                               {"assumed", FigureKind::kAssumed}}};

FigureKind read_figure_kind(Section& figure, Diagnostics& diagnostics) {
  const ConfigNode node = figure.node("kind");
  const auto word = figure.required<std::string>("kind");
  for (const auto& [name, kind] : kFigureKinds)
    if (word == name) return kind;
  if (node.is_scalar())
    diagnostics.error("E0119", node.where(), fmt::format("unknown kind '{}'", shown(word)), {},
                      "one of spec, measured, fitted, assumed");
  return FigureKind::kAssumed;
}

std::string read_figure_source(Section& figure, Diagnostics& diagnostics) {
  const ConfigNode node = figure.node("source");
  auto source = figure.required<std::string>("source");
  if (node.is_scalar() && source.find_first_not_of(" \t\n") == std::string::npos)
    diagnostics.error("E0120", node.where(), "the source of a figure is empty", {},
                      "say where the number can be checked");
  return source;
}

template <class Q>
std::optional<std::pair<Q, Q>> read_figure_range(const ConfigNode& node, const ConfigNode& value_node,
                                                 std::optional<Q> value, Diagnostics& diagnostics) {
  if (!is_set(node)) return std::nullopt;
  if (!node.is_sequence() || node.size() != 2) {
    diagnostics.error("E0121", node.where(), "expected a range [low, high]");
    return std::nullopt;
  }
  const auto low = node.at(0).as_quantity<Q>(diagnostics);
  const auto high = node.at(1).as_quantity<Q>(diagnostics);
  if (!low || !high) return std::nullopt;
  if (*high < *low) {
    diagnostics.error("E0121", node.where(),
                      fmt::format("range [{}, {}] is upside down", node.at(0).text(), node.at(1).text()));
  } else if (value && (*value < *low || *high < *value)) {
    diagnostics.error("E0121", node.where(),
                      fmt::format("range [{}, {}] does not contain the value {}", node.at(0).text(), node.at(1).text(),
                                  value_node.text()));
  }
  return std::pair(*low, *high);
}

template <class Q>
Figure<Q> read_figure(const ConfigNode& node, Diagnostics& diagnostics) {
  Figure<Q> figure;
  figure.name = node.key();
  if (!node.is_map()) {
    diagnostics.error("E0116", node.where(),
                      fmt::format("expected a figure with value, kind and source, got {}", got(node)), {},
                      "write {value: ..., kind: spec, source: \"...\"}");
    return figure;
  }
  Section section(node, diagnostics);
  const ConfigNode value_node = section.node("value");
  const std::size_t before = diagnostics.all().size();
  figure.value = section.required<Q>("value");
  const bool valid = diagnostics.all().size() == before;
  figure.kind = read_figure_kind(section, diagnostics);
  figure.source = read_figure_source(section, diagnostics);
  figure.range = read_figure_range<Q>(section.node("range"), value_node,
                                      valid ? std::optional(figure.value) : std::nullopt, diagnostics);
  section.finish();
  return figure;
}

}  // namespace
std::string_view to_text(FigureKind kind) {
  for (const auto& [name, value] : kFigureKinds)
    if (value == kind) return name;
  return {};
}

Section::Section(ConfigNode node, Diagnostics& diagnostics) : node_(node), diagnostics_(&diagnostics) {
  if (!node_.is_map()) report_unexpected(node_, "a mapping", diagnostics);
}

ConfigNode Section::node(std::string_view key) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  return node_.find(key);
}

ConfigNode Section::required_node(std::string_view key) {
  const ConfigNode result = node(key);
  if (result || !node_.is_map()) return result;  // a section that is no mapping has been reported as such
  SourceLocation where = node_.key_where();
  if (where.key_path.empty()) where = {.file = where.file};  // the root: any line of it would mislead
  diagnostics_->error("E0115", std::move(where), fmt::format("missing key '{}'", key));
  return result;
}

template <class T>
T Section::required(std::string_view key) {
  const ConfigNode child = required_node(key);
  if (!child) return T{};
  return read<T>(child, *diagnostics_).value_or(T{});
}

template <class T>
std::optional<T> Section::optional(std::string_view key) {
  const ConfigNode child = node(key);
  return is_set(child) ? read<T>(child, *diagnostics_) : std::nullopt;
}

template <class Q>
Figure<Q> Section::figure(std::string_view key) {
  if (const ConfigNode child = required_node(key)) return read_figure<Q>(child, *diagnostics_);
  Figure<Q> nothing;
  nothing.name = key;
  return nothing;
}

template <class Q>
std::optional<Figure<Q>> Section::optional_figure(std::string_view key) {
  const ConfigNode child = node(key);
  return is_set(child) ? std::optional(read_figure<Q>(child, *diagnostics_)) : std::nullopt;
}

Section Section::section(std::string_view key) {
  const ConfigNode child = required_node(key);
  return child ? Section(child, *diagnostics_) : Section(*diagnostics_);
}

void Section::finish() {
  if (!node_.is_map()) return;
  const std::vector<std::string_view> known(asked_.begin(), asked_.end());
  for (std::size_t i = 0; i < node_.size(); ++i) {
    const ConfigNode child = node_.at(i);
    if (std::find(known.begin(), known.end(), child.key()) != known.end()) continue;
    const std::string_view near = nearest(child.key(), known);
    diagnostics_->error("E0110", child.key_where(), fmt::format("unknown key '{}'", shown(child.key())), {},
                        near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  }
}

// Everything a Section can read; a type that is missing here fails to link.
template std::int64_t Section::required(std::string_view);
template int Section::required(std::string_view);
template double Section::required(std::string_view);
template bool Section::required(std::string_view);
template std::string Section::required(std::string_view);
template Duration Section::required(std::string_view);
template Bytes Section::required(std::string_view);
template BytesPerSecond Section::required(std::string_view);
template Flops Section::required(std::string_view);
template FlopsPerSecond Section::required(std::string_view);
template Hertz Section::required(std::string_view);
template Watts Section::required(std::string_view);
template Ratio Section::required(std::string_view);
template Count Section::required(std::string_view);
template std::optional<std::int64_t> Section::optional(std::string_view);
template std::optional<int> Section::optional(std::string_view);
template std::optional<double> Section::optional(std::string_view);
template std::optional<bool> Section::optional(std::string_view);
template std::optional<std::string> Section::optional(std::string_view);
template std::optional<Duration> Section::optional(std::string_view);
template std::optional<Bytes> Section::optional(std::string_view);
template std::optional<BytesPerSecond> Section::optional(std::string_view);
template std::optional<Flops> Section::optional(std::string_view);
template std::optional<FlopsPerSecond> Section::optional(std::string_view);
template std::optional<Hertz> Section::optional(std::string_view);
template std::optional<Watts> Section::optional(std::string_view);
template std::optional<Ratio> Section::optional(std::string_view);
template std::optional<Count> Section::optional(std::string_view);
template Figure<Duration> Section::figure(std::string_view);
template Figure<Bytes> Section::figure(std::string_view);
template Figure<BytesPerSecond> Section::figure(std::string_view);
template Figure<Flops> Section::figure(std::string_view);
template Figure<FlopsPerSecond> Section::figure(std::string_view);
template Figure<Hertz> Section::figure(std::string_view);
template Figure<Watts> Section::figure(std::string_view);
template Figure<Ratio> Section::figure(std::string_view);
template Figure<Count> Section::figure(std::string_view);
template std::optional<Figure<Duration>> Section::optional_figure(std::string_view);
template std::optional<Figure<Bytes>> Section::optional_figure(std::string_view);
template std::optional<Figure<BytesPerSecond>> Section::optional_figure(std::string_view);
template std::optional<Figure<Flops>> Section::optional_figure(std::string_view);
template std::optional<Figure<FlopsPerSecond>> Section::optional_figure(std::string_view);
template std::optional<Figure<Hertz>> Section::optional_figure(std::string_view);
template std::optional<Figure<Watts>> Section::optional_figure(std::string_view);
template std::optional<Figure<Ratio>> Section::optional_figure(std::string_view);
template std::optional<Figure<Count>> Section::optional_figure(std::string_view);

}  // namespace ascendsim
