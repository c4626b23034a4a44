// Codes of this layer. Stable: tests, scripts and `ascendsim explain` refer to them.
//
//   E0101 no such file                        E0112 several documents, or text after the end of the only one
//   E0102 a directory instead of a file       E0113 the same key twice in one mapping
//   E0103 the file cannot be read             E0114 a key that is not plain text
//   E0104 empty, blank, only comments         E0115 a required key is missing
//   E0105 larger than the limit               E0116 another type than expected (a mapping, text, nothing, ...)
//   E0106 NUL or control characters: binary   E0117 a number in a form or of a size that is not accepted
//   E0107 not UTF-8                           E0118 a quantity without, or with the wrong, unit; negative
//   E0108 not valid YAML or JSON; cut off     E0119 a figure's kind is none of spec, measured, fitted, assumed
//   E0109 nested deeper than 64               E0120 a figure without a source
//   E0110 an unknown key                      E0121 a figure's range is malformed or excludes its value
//   E0111 YAML anchor, alias or tag
#include "sim/config.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <sstream>
#include <type_traits>
#include <utility>

#include "sim/source_text.h"

namespace ascendsim {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxDuplicates = 20;         // a file with more is not the file that was meant
constexpr std::size_t kMaxParsedBytes = 1u << 30;  // YAML::Mark counts in int
constexpr std::string_view kAliasRefused = "YAML aliases (*name) are not accepted";
constexpr std::string_view kAliasHelp = "write the value out";
constexpr std::uint32_t kNoNode = std::numeric_limits<std::uint32_t>::max();

struct TextSpan {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
};

struct Node {
  ConfigNode::Kind kind = ConfigNode::Kind::kNull;
  bool quoted = false;
  bool has_key = false;
  TextSpan text;  // in Tree::text
  TextSpan key;
  std::uint32_t offset = 0;  // in the source
  std::uint32_t key_offset = 0;
  std::uint32_t parent = kNoNode;
  std::uint32_t position = 0;     // among the children of its parent
  std::uint32_t first_child = 0;  // in Tree::children
  std::uint32_t size = 0;
};

struct Tree {
  std::vector<Node> nodes;  // the root first
  std::vector<std::uint32_t> children;
  std::string text;

  [[nodiscard]] std::string_view view(TextSpan span) const {
    return std::string_view(text).substr(span.begin, span.size);
  }
  TextSpan store(std::string_view s) {
    const TextSpan span{static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(s.size())};
    text += s;
    return span;
  }
  [[nodiscard]] std::string key_path(std::uint32_t index) const;
};

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string result(text.substr(0, kLongest));
  if (text.size() > kLongest) {
    while (!result.empty() && (static_cast<unsigned char>(text[result.size()]) & 0xC0u) == 0x80u) result.pop_back();
    result += "...";
  }
  std::replace_if(
      result.begin(), result.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20u; }, ' ');
  return result;
}

std::string Tree::key_path(std::uint32_t index) const {
  std::vector<std::uint32_t> way;
  for (; nodes[index].parent != kNoNode; index = nodes[index].parent) way.push_back(index);
  std::string path;
  for (auto i = way.rbegin(); i != way.rend(); ++i) {
    const Node& step = nodes[*i];
    if (!step.has_key)
      path += fmt::format("[{}]", step.position);
    else
      path += fmt::format("{}{}", path.empty() ? "" : ".", shown(view(step.key)));
  }
  return path;
}

// Leaves the parser after a diagnostic; never seen outside of build_tree().
struct StopParsing {};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const SourceText& source, std::size_t prefix_bytes, Tree& tree, Diagnostics& diagnostics)
      : source_(source), prefix_bytes_(prefix_bytes), tree_(tree), diagnostics_(diagnostics) {}

  [[nodiscard]] std::size_t offset_of(const YAML::Mark& mark) const {
    const std::size_t offset = static_cast<std::size_t>(std::max(mark.pos, 0));
    return std::min(offset - std::min(offset, prefix_bytes_), source_.text().size());
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (tree_.nodes.empty()) return;
    const bool separated = rest_at(mark).starts_with("---");
    stop("E0112", mark,
         separated ? "a second document starts here, expected only one" : "text after the end of the value",
         separated ? "split the file" : "");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_extras(mark, {}, anchor);
    if (expects_key()) stop("E0114", mark, "a key must be plain text, got nothing");
    const std::string_view rest = rest_at(mark);
    for (const std::string_view written : {"~", "null", "Null", "NULL"}) {
      if (rest.starts_with(written)) return add_scalar(ConfigNode::Kind::kNull, offset_of(mark), written, false);
    }
    // Nothing stands there, and the parser points at whatever comes next: the key is the better place.
    const bool under_key = !frames_.empty() && frames_.back().is_map;
    add_scalar(ConfigNode::Kind::kNull, under_key ? frames_.back().key_offset : offset_of(mark), {}, false);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    stop("E0111", mark, std::string(kAliasRefused), std::string(kAliasHelp));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_extras(mark, tag, anchor);
    if (!expects_key()) return add_scalar(ConfigNode::Kind::kScalar, offset_of(mark), value, tag == "!");
    Frame& frame = frames_.back();
    frame.has_key = true;
    frame.key = tree_.store(value);
    frame.key_offset = static_cast<std::uint32_t>(offset_of(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override {
    report_duplicates(close());
    if (duplicates_ >= kMaxDuplicates) throw StopParsing{};
  }

 private:
  struct Frame {
    std::uint32_t node = 0;
    std::size_t first_pending = 0;
    bool is_map = false;
    bool has_key = false;
    TextSpan key{};
    std::uint32_t key_offset = 0;
  };

  [[noreturn]] void stop(std::string code, const YAML::Mark& mark, std::string message, std::string help = {}) {
    diagnostics_.error(std::move(code), source_.locate(offset_of(mark)), std::move(message), {}, std::move(help));
    throw StopParsing{};
  }

  [[nodiscard]] std::string_view rest_at(const YAML::Mark& mark) const {
    return source_.text().substr(offset_of(mark));
  }

  [[nodiscard]] bool expects_key() const {
    return !frames_.empty() && frames_.back().is_map && !frames_.back().has_key;
  }

  void refuse_extras(const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) stop("E0111", mark, "YAML anchors (&name) are not accepted", "remove it");
    // The parser reports a lone `!` like a quoted string and drops tags of nothing: the text itself tells.
    const bool tagged = !tag.empty() && tag != "?" && tag != "!";
    if (tagged || rest_at(mark).starts_with('!'))
      stop("E0111", mark, "YAML tags (!name) are not accepted", "remove it");
  }

  Node& add_node(ConfigNode::Kind kind, std::size_t offset) {
    const auto index = static_cast<std::uint32_t>(tree_.nodes.size());
    Node& node = tree_.nodes.emplace_back();
    node.kind = kind;
    node.offset = static_cast<std::uint32_t>(offset);
    if (frames_.empty()) return node;
    Frame& frame = frames_.back();
    node.parent = frame.node;
    node.position = static_cast<std::uint32_t>(pending_.size() - frame.first_pending);
    node.has_key = std::exchange(frame.has_key, false);
    node.key = frame.key;
    node.key_offset = frame.key_offset;
    pending_.push_back(index);
    return node;
  }

  void add_scalar(ConfigNode::Kind kind, std::size_t offset, std::string_view text, bool quoted) {
    Node& node = add_node(kind, offset);
    node.text = tree_.store(text);
    node.quoted = quoted;
  }

  void open(ConfigNode::Kind kind, const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    refuse_extras(mark, tag, anchor);
    const bool is_map = kind == ConfigNode::Kind::kMap;
    if (expects_key())
      stop("E0114", mark, fmt::format("a key must be plain text, got a {}", is_map ? "mapping" : "sequence"));
    if (frames_.size() >= kMaxDepth) stop("E0109", mark, fmt::format("nested deeper than {} levels", kMaxDepth));
    add_node(kind, offset_of(mark));
    const auto index = static_cast<std::uint32_t>(tree_.nodes.size() - 1);
    frames_.push_back({.node = index, .first_pending = pending_.size(), .is_map = is_map});
  }

  // The children move to the tree only now, so that those of one node stand next to each other.
  const Node& close() {
    const Frame frame = frames_.back();
    frames_.pop_back();
    const auto first = pending_.begin() + static_cast<std::ptrdiff_t>(frame.first_pending);
    Node& node = tree_.nodes[frame.node];
    node.first_child = static_cast<std::uint32_t>(tree_.children.size());
    node.size = static_cast<std::uint32_t>(pending_.end() - first);
    tree_.children.insert(tree_.children.end(), first, pending_.end());
    pending_.erase(first, pending_.end());
    return node;
  }

  struct Duplicate {
    std::uint32_t again = 0;
    std::uint32_t before = 0;
    auto operator<=>(const Duplicate&) const = default;
  };

  // In file order. Sorting keeps a mapping of many thousand keys from taking quadratic time.
  std::vector<Duplicate> find_duplicates(const Node& map) {
    const auto first = tree_.children.begin() + static_cast<std::ptrdiff_t>(map.first_child);
    sorted_.assign(first, first + static_cast<std::ptrdiff_t>(map.size));
    const auto key = [this](std::uint32_t index) { return tree_.view(tree_.nodes[index].key); };
    std::sort(sorted_.begin(), sorted_.end(),
              [&](auto a, auto b) { return std::pair(key(a), a) < std::pair(key(b), b); });
    std::vector<Duplicate> found;
    for (std::size_t i = 1; i < sorted_.size(); ++i)
      if (key(sorted_[i]) == key(sorted_[i - 1])) found.push_back({sorted_[i], sorted_[i - 1]});
    std::sort(found.begin(), found.end());
    return found;
  }

  void report_duplicates(const Node& map) {
    for (const auto& [again, before] : find_duplicates(map)) {
      if (++duplicates_ > kMaxDuplicates) return;
      const Node& node = tree_.nodes[again];
      SourceLocation where = source_.locate(node.key_offset);
      where.key_path = tree_.key_path(again);
      const int first_line = source_.line_of(tree_.nodes[before].key_offset);
      diagnostics_.error(
          "E0113", where,
          fmt::format("duplicate key '{}' in lines {} and {}", shown(tree_.view(node.key)), first_line, where.line), {},
          "remove one of them");
    }
  }

  const SourceText& source_;
  std::size_t prefix_bytes_;
  Tree& tree_;
  Diagnostics& diagnostics_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> pending_;  // finished children of the nodes in frames_, outermost first
  std::vector<std::uint32_t> sorted_;
  std::size_t duplicates_ = 0;
};

// What the parser says most often, in words that name the mistake.
struct ParserMessage {
  std::string_view from, to, help;
};
const ParserMessage kParserMessages[] = {
    {YAML::ErrorMsg::END_OF_MAP, "not valid YAML: this does not belong to the mapping above",
     "check the indentation and the commas"},
    {YAML::ErrorMsg::END_OF_SEQ, "not valid YAML: this does not belong to the list above", "check the indentation"},
    {YAML::ErrorMsg::END_OF_MAP_FLOW, "expected ',' or '}' here", ""},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, "expected ',' or ']' here", ""},
    {YAML::ErrorMsg::FLOW_END, "this bracket closes nothing", ""},
    {YAML::ErrorMsg::MAP_VALUE, "a ':' cannot stand here", "check the indentation, or put the text into quotes"},
};

bool is_tab_indented(std::string_view line) {
  const std::string_view indent = line.substr(0, line.find_first_not_of(" \t"));
  return indent.find('\t') != std::string_view::npos;
}

void report_syntax_error(const YAML::Exception& error, SourceLocation where, Diagnostics& diagnostics) {
  if (error.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR)
    return diagnostics.error("E0111", std::move(where), std::string(kAliasRefused), {}, std::string(kAliasHelp));
  if (is_tab_indented(where.excerpt))
    return diagnostics.error("E0108", std::move(where), "YAML cannot be indented with tabs", {}, "use spaces");
  for (const auto& [from, to, help] : kParserMessages)
    if (error.msg == from) return diagnostics.error("E0108", std::move(where), std::string(to), {}, std::string(help));
  diagnostics.error("E0108", std::move(where), fmt::format("not valid YAML: {}", error.msg));
}

bool run_parser(const SourceText& source, CleanedText& cleaned, Tree& tree, Diagnostics& diagnostics) {
  TreeBuilder builder(source, cleaned.prefix_bytes, tree, diagnostics);
  std::istringstream stream(std::move(cleaned.text));
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      diagnostics.error("E0104", source.whole(), "file has no content, only comments");
      return false;
    }
    parser.HandleNextDocument(builder);
    return true;
  } catch (const YAML::Exception& error) {
    report_syntax_error(error, source.locate(builder.offset_of(error.mark)), diagnostics);
  } catch (const StopParsing&) {
    return false;
  }
  return false;
}

// False after diagnostics, unless they only were about duplicate keys: those leave a usable tree.
bool build_tree(const SourceText& source, Tree& tree, Diagnostics& diagnostics) {
  CleanedText cleaned = clean_for_yaml(source.text(), kMaxDepth);
  if (cleaned.too_deep) {
    diagnostics.error("E0109", source.locate(*cleaned.too_deep),
                      fmt::format("nested deeper than {} levels", kMaxDepth));
    return false;
  }
  Diagnostics found;
  const bool usable = run_parser(source, cleaned, tree, found);
  if (usable || !cleaned.unclosed) {
    diagnostics.append(found);
    return usable;
  }
  // The parser stumbles at the end of the text or even starts to guess; where it began to go wrong helps more.
  diagnostics.error("E0108", source.locate(*cleaned.unclosed),
                    fmt::format("this {} is never closed", source.text()[*cleaned.unclosed]), {},
                    "is the file cut off?");
  return false;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What a plain scalar looks like to somebody who wanted a number.
enum class Look { kInteger, kFraction, kExponent, kLeadingZero, kHexadecimal, kOctal, kNotFinite, kBoolean, kText };

std::size_t digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - at;
}

Look look_of_unsigned(std::string_view text) {
  const std::size_t whole = digits_at(text, 0);
  if (text.starts_with("0x") || text.starts_with("0X")) return Look::kHexadecimal;
  if (text.starts_with("0o")) return Look::kOctal;
  if (whole == 0) return Look::kText;
  if (whole > 1 && text[0] == '0') return whole == text.size() ? Look::kLeadingZero : Look::kText;
  if (whole == text.size()) return Look::kInteger;
  std::size_t at = whole;
  if (text[at] == '.') {
    const std::size_t fraction = digits_at(text, at + 1);
    if (fraction == 0) return Look::kText;
    at += 1 + fraction;
    if (at == text.size()) return Look::kFraction;
  }
  if (text[at] != 'e' && text[at] != 'E') return Look::kText;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const std::size_t exponent = digits_at(text, at);
  return exponent > 0 && at + exponent == text.size() ? Look::kExponent : Look::kText;
}

Look look_of(std::string_view text) {
  std::string lower(text.substr(0, 16));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "true" || lower == "false") return Look::kBoolean;
  const bool has_sign = !lower.empty() && (lower[0] == '-' || lower[0] == '+');
  const std::string_view name = std::string_view(lower).substr(has_sign ? 1 : 0);
  for (const std::string_view not_finite : {".inf", "inf", "infinity", ".nan", "nan"})
    if (name == not_finite) return Look::kNotFinite;
  if (text.starts_with('-')) text.remove_prefix(1);
  return look_of_unsigned(text);
}

std::string_view describe(Look look) {
  switch (look) {
    case Look::kInteger:
      return "an integer";
    case Look::kFraction:
      return "a fraction";
    case Look::kExponent:
      return "an exponent";
    case Look::kLeadingZero:
      return "a leading zero";
    case Look::kHexadecimal:
      return "hexadecimal";
    case Look::kOctal:
      return "octal";
    case Look::kNotFinite:
      return "not a finite number";
    case Look::kBoolean:
      return "a boolean";
    default:
      return "text";
  }
}

bool is_number(Look look) { return look == Look::kInteger || look == Look::kFraction || look == Look::kExponent; }

std::string got(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::kMap:
      return "a mapping";
    case ConfigNode::Kind::kSequence:
      return "a sequence";
    case ConfigNode::Kind::kScalar:
      break;
    default:
      return node.text().empty() ? "nothing" : "null";
  }
  if (node.is_quoted()) return fmt::format("\"{}\" (a string)", shown(node.text()));
  return fmt::format("{} ({})", shown(node.text()), describe(look_of(node.text())));
}

void report_unexpected(const ConfigNode& node, std::string_view expected, Diagnostics& diagnostics) {
  const bool number = node.is_scalar() && !node.is_quoted() && look_of(node.text()) != Look::kText &&
                      look_of(node.text()) != Look::kBoolean;
  const bool number_wanted = expected == "an integer" || expected == "a number";
  diagnostics.error(number && number_wanted ? "E0117" : "E0116", node.where(),
                    fmt::format("expected {}, got {}", expected, got(node)));
}

void report_does_not_fit(const ConfigNode& node, std::string_view expected, std::string_view where,
                         Diagnostics& diagnostics) {
  diagnostics.error(
      "E0117", node.where(),
      fmt::format("expected {}, got {}, which does not fit into {}", expected, shown(node.text()), where));
}

template <class T>
std::optional<T> parse_whole_text(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

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

struct Document::Impl {
  explicit Impl(SourceText text) : source(std::move(text)) {}
  SourceText source;
  Tree tree;

  [[nodiscard]] const Node& node(std::uint32_t index) const { return tree.nodes[index]; }
  [[nodiscard]] SourceLocation where(std::uint32_t index, std::uint32_t offset) const;
};

SourceLocation Document::Impl::where(std::uint32_t index, std::uint32_t offset) const {
  SourceLocation result = source.locate(offset);
  result.key_path = tree.key_path(index);
  return result;
}

Document::Document() = default;
Document::~Document() = default;

std::shared_ptr<const Document> Document::load(const std::string& path, Diagnostics& diagnostics,
                                               std::size_t max_bytes) {
  auto text = read_file(path, std::min(max_bytes, kMaxParsedBytes), diagnostics);
  return text ? parse(std::move(*text), path, diagnostics) : nullptr;
}

std::shared_ptr<const Document> Document::parse(std::string text, std::string name, Diagnostics& diagnostics) {
  check(text.size() <= kMaxParsedBytes, "a configuration text above 1 GiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (!is_text(text, name, diagnostics)) return nullptr;
  std::shared_ptr<Document> document(new Document);
  document->impl_ = std::make_unique<Impl>(SourceText(std::move(text), std::move(name)));
  if (!build_tree(document->impl_->source, document->impl_->tree, diagnostics)) return nullptr;
  return document;
}

ConfigNode Document::root() const { return {this, 0}; }
const std::string& Document::name() const { return impl_->source.name(); }

ConfigNode::Kind ConfigNode::kind() const {
  return document_ == nullptr ? Kind::kAbsent : document_->impl_->node(index_).kind;
}

bool ConfigNode::is_quoted() const { return document_ != nullptr && document_->impl_->node(index_).quoted; }

std::string_view ConfigNode::text() const {
  if (document_ == nullptr) return {};
  return document_->impl_->tree.view(document_->impl_->node(index_).text);
}

std::string_view ConfigNode::key() const {
  if (document_ == nullptr) return {};
  return document_->impl_->tree.view(document_->impl_->node(index_).key);
}

std::size_t ConfigNode::size() const { return document_ == nullptr ? 0 : document_->impl_->node(index_).size; }

ConfigNode ConfigNode::at(std::size_t index) const {
  check(index < size(), "child index of a configuration node out of range");
  const std::uint32_t first = document_->impl_->node(index_).first_child;
  return {document_, document_->impl_->tree.children[first + index]};
}

ConfigNode ConfigNode::find(std::string_view key) const {
  if (!is_map()) return {};
  for (std::size_t i = 0; i < size(); ++i) {
    const ConfigNode child = at(i);
    if (child.key() == key) return child;
  }
  return {};
}

SourceLocation ConfigNode::where() const {
  if (document_ == nullptr) return {};
  return document_->impl_->where(index_, document_->impl_->node(index_).offset);
}

SourceLocation ConfigNode::key_where() const {
  if (document_ == nullptr) return {};
  const Node& node = document_->impl_->node(index_);
  return document_->impl_->where(index_, node.has_key ? node.key_offset : node.offset);
}

std::optional<std::int64_t> ConfigNode::as_integer(Diagnostics& diagnostics) const {
  if (!is_scalar() || is_quoted() || look_of(text()) != Look::kInteger) {
    report_unexpected(*this, "an integer", diagnostics);
    return std::nullopt;
  }
  const auto value = parse_whole_text<std::int64_t>(text());
  if (!value) report_does_not_fit(*this, "an integer", "64 bits", diagnostics);
  return value;
}

std::optional<double> ConfigNode::as_number(Diagnostics& diagnostics) const {
  if (!is_scalar() || is_quoted() || !is_number(look_of(text()))) {
    report_unexpected(*this, "a number", diagnostics);
    return std::nullopt;
  }
  const auto value = parse_whole_text<double>(text());
  if (!value) report_does_not_fit(*this, "a number", "a double", diagnostics);
  return value;
}

std::optional<bool> ConfigNode::as_bool(Diagnostics& diagnostics) const {
  if (is_scalar() && !is_quoted() && (text() == "true" || text() == "false")) return text() == "true";
  report_unexpected(*this, "true or false", diagnostics);
  return std::nullopt;
}

std::optional<std::string> ConfigNode::as_string(Diagnostics& diagnostics) const {
  if (is_scalar()) return std::string(text());
  report_unexpected(*this, "a string", diagnostics);
  return std::nullopt;
}

template <class Q>
std::optional<Q> ConfigNode::as_quantity(Diagnostics& diagnostics) const {
  if (!is_scalar()) {
    report_unexpected(*this, expected_unit<Q>(), diagnostics);
    return std::nullopt;
  }
  const auto value = parse_quantity<Q>(text());
  if (!value) {
    const bool bare = is_number(look_of(text()));
    const std::string_view hint = text().starts_with('-')                                          ? " (negative)"
                                  : bare && !std::is_same_v<Q, Count> && !std::is_same_v<Q, Ratio> ? " (no unit)"
                                                                                                   : "";
    diagnostics.error("E0118", where(), fmt::format("expected {}, got {}{}", expected_unit<Q>(), shown(text()), hint));
  }
  return value;
}

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
template std::optional<Duration> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Bytes> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<BytesPerSecond> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Flops> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<FlopsPerSecond> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Hertz> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Watts> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Ratio> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Count> ConfigNode::as_quantity(Diagnostics&) const;

}  // namespace ascendsim
