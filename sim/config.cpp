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
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <type_traits>
#include <utility>

#include "sim/config_values.h"
#include "sim/source_text.h"

namespace ascendsim {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxDuplicates = 20;         // a file with more is not the file that was meant
constexpr std::size_t kMaxParsedBytes = 1u << 30;  // YAML::Mark counts in int
constexpr std::string_view kAliasRefused = "YAML aliases (*name) are not accepted";
constexpr std::string_view kAliasHelp = "write the value out";
constexpr std::size_t kMaxCopied = 1u << 20;  // nodes of a file with aliases: they can double with every line
constexpr std::uint32_t kNoNode = std::numeric_limits<std::uint32_t>::max();

struct TextSpan {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
};

struct ConfigItem {
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
  std::vector<ConfigItem> nodes;  // the root first
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

std::string Tree::key_path(std::uint32_t index) const {
  std::vector<std::uint32_t> way;
  for (; nodes[index].parent != kNoNode; index = nodes[index].parent) way.push_back(index);
  std::string path;
  for (auto i = way.rbegin(); i != way.rend(); ++i) {
    const ConfigItem& step = nodes[*i];
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
  TreeBuilder(const SourceText& source, std::size_t prefix_bytes, YamlAliases aliases, Tree& tree,
              Diagnostics& diagnostics)
      : source_(source), prefix_bytes_(prefix_bytes), aliases_(aliases), tree_(tree), diagnostics_(diagnostics) {}

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
      if (rest.starts_with(written))
        return add_scalar(ConfigNode::Kind::kNull, offset_of(mark), written, false, anchor);
    }
    // Nothing stands there, and the parser points at whatever comes next: the key is the better place.
    const bool under_key = !frames_.empty() && frames_.back().is_map;
    add_scalar(ConfigNode::Kind::kNull, under_key ? frames_.back().key_offset : offset_of(mark), {}, false, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (aliases_ == YamlAliases::kRefused) stop("E0111", mark, std::string(kAliasRefused), std::string(kAliasHelp));
    if (expects_key()) stop("E0114", mark, "a key must be plain text, got an alias");
    const auto original = anchors_.find(anchor);
    if (original == anchors_.end()) stop("E0111", mark, "an alias cannot stand inside what it names");
    const std::uint32_t from = original->second;
    add_node(tree_.nodes[from].kind, tree_.nodes[from].offset);
    copy_content(mark, static_cast<std::uint32_t>(tree_.nodes.size() - 1), from, frames_.size());
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_extras(mark, tag, anchor);
    if (!expects_key()) return add_scalar(ConfigNode::Kind::kScalar, offset_of(mark), value, tag == "!", anchor);
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
    if (aliases_ == YamlAliases::kRead) merge();
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
    YAML::anchor_t anchor = YAML::NullAnchor;
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
    if (anchor != YAML::NullAnchor && aliases_ == YamlAliases::kRefused)
      stop("E0111", mark, "YAML anchors (&name) are not accepted", "remove it");
    // The parser reports a lone `!` like a quoted string and drops tags of nothing: the text itself tells.
    const bool tagged = !tag.empty() && tag != "?" && tag != "!";
    if (tagged || rest_at(mark).starts_with('!'))
      stop("E0111", mark, "YAML tags (!name) are not accepted", "remove it");
  }

  ConfigItem& add_node(ConfigNode::Kind kind, std::size_t offset) {
    const auto index = static_cast<std::uint32_t>(tree_.nodes.size());
    ConfigItem& node = tree_.nodes.emplace_back();
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

  void add_scalar(ConfigNode::Kind kind, std::size_t offset, std::string_view text, bool quoted,
                  YAML::anchor_t anchor) {
    ConfigItem& node = add_node(kind, offset);
    node.text = tree_.store(text);
    node.quoted = quoted;
    if (anchor != YAML::NullAnchor) anchors_[anchor] = static_cast<std::uint32_t>(tree_.nodes.size() - 1);
  }

  // Value and children of `from`; place in its parent and key of `to` stay.
  void copy_content(const YAML::Mark& mark, std::uint32_t to, std::uint32_t from, std::size_t depth) {
    if (depth >= kMaxDepth) stop("E0109", mark, fmt::format("nested deeper than {} levels", kMaxDepth));
    if (tree_.nodes.size() > kMaxCopied)
      stop("E0111", mark, fmt::format("aliases make more than {} values of this file", kMaxCopied));
    const ConfigItem original = tree_.nodes[from];
    std::vector<std::uint32_t> children;
    for (std::uint32_t i = 0; i < original.size; ++i) {
      const std::uint32_t child = tree_.children[original.first_child + i];
      children.push_back(copy_child(mark, child, to, depth));
    }
    ConfigItem& copy = tree_.nodes[to];
    copy.text = original.text;
    copy.quoted = original.quoted;
    copy.size = original.size;
    copy.first_child = static_cast<std::uint32_t>(tree_.children.size());
    tree_.children.insert(tree_.children.end(), children.begin(), children.end());
  }
  std::uint32_t copy_child(const YAML::Mark& mark, std::uint32_t child, std::uint32_t parent, std::size_t depth) {
    const auto index = static_cast<std::uint32_t>(tree_.nodes.size());
    const ConfigItem original = tree_.nodes[child];
    tree_.nodes.push_back(original);
    tree_.nodes.back().parent = parent;
    copy_content(mark, index, child, depth + 1);
    return index;
  }

  // `<<: *a` or `<<: [*a, *b]`: keys that the map does not have itself, the first one counts.
  void merge() {
    const Frame& frame = frames_.back();
    std::vector<std::uint32_t> own, merged;
    std::set<std::string_view> keys;
    for (std::size_t i = frame.first_pending; i < pending_.size(); ++i) {
      const std::uint32_t index = pending_[i];
      const ConfigItem& node = tree_.nodes[index];
      const bool is_merge = tree_.view(node.key) == "<<" && node.kind != ConfigNode::Kind::kScalar;
      if (is_merge && node.kind == ConfigNode::Kind::kMap)
        merged.push_back(index);
      else if (is_merge)
        merged.insert(merged.end(), tree_.children.begin() + node.first_child,
                      tree_.children.begin() + node.first_child + node.size);
      else
        keys.insert(tree_.view(node.key)), own.push_back(index);
    }
    if (merged.empty()) return;
    const YAML::Mark nowhere;
    for (const std::uint32_t map : merged) {
      if (tree_.nodes[map].kind != ConfigNode::Kind::kMap) continue;
      for (std::uint32_t i = 0; i < tree_.nodes[map].size; ++i) {
        const std::uint32_t child = tree_.children[tree_.nodes[map].first_child + i];
        if (keys.insert(tree_.view(tree_.nodes[child].key)).second)
          own.push_back(copy_child(nowhere, child, frame.node, frames_.size()));
      }
    }
    pending_.resize(frame.first_pending);
    for (const std::uint32_t index : own) {
      tree_.nodes[index].position = static_cast<std::uint32_t>(pending_.size() - frame.first_pending);
      pending_.push_back(index);
    }
  }

  void open(ConfigNode::Kind kind, const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    refuse_extras(mark, tag, anchor);
    const bool is_map = kind == ConfigNode::Kind::kMap;
    if (expects_key())
      stop("E0114", mark, fmt::format("a key must be plain text, got a {}", is_map ? "mapping" : "sequence"));
    if (frames_.size() >= kMaxDepth) stop("E0109", mark, fmt::format("nested deeper than {} levels", kMaxDepth));
    add_node(kind, offset_of(mark));
    const auto index = static_cast<std::uint32_t>(tree_.nodes.size() - 1);
    frames_.push_back({.node = index, .first_pending = pending_.size(), .is_map = is_map, .anchor = anchor});
  }

  // The children move to the tree only now, so that those of one node stand next to each other.
  const ConfigItem& close() {
    const Frame frame = frames_.back();
    frames_.pop_back();
    if (frame.anchor != YAML::NullAnchor) anchors_[frame.anchor] = frame.node;
    const auto first = pending_.begin() + static_cast<std::ptrdiff_t>(frame.first_pending);
    ConfigItem& node = tree_.nodes[frame.node];
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
  std::vector<Duplicate> find_duplicates(const ConfigItem& map) {
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

  void report_duplicates(const ConfigItem& map) {
    for (const auto& [again, before] : find_duplicates(map)) {
      if (++duplicates_ > kMaxDuplicates) return;
      const ConfigItem& node = tree_.nodes[again];
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
  YamlAliases aliases_;
  std::map<YAML::anchor_t, std::uint32_t> anchors_;  // of finished values
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

bool run_parser(const SourceText& source, CleanedText& cleaned, YamlAliases aliases, Tree& tree,
                Diagnostics& diagnostics) {
  TreeBuilder builder(source, cleaned.prefix_bytes, aliases, tree, diagnostics);
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
bool build_tree(const SourceText& source, YamlAliases aliases, Tree& tree, Diagnostics& diagnostics) {
  CleanedText cleaned = clean_for_yaml(source.text(), kMaxDepth);
  if (cleaned.too_deep) {
    diagnostics.error("E0109", source.locate(*cleaned.too_deep),
                      fmt::format("nested deeper than {} levels", kMaxDepth));
    return false;
  }
  Diagnostics found;
  const bool usable = run_parser(source, cleaned, aliases, tree, found);
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
}  // namespace

struct Document::Impl {
  explicit Impl(SourceText text) : source(std::move(text)) {}
  SourceText source;
  Tree tree;

  [[nodiscard]] const ConfigItem& node(std::uint32_t index) const { return tree.nodes[index]; }
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

std::shared_ptr<const Document> Document::parse(std::string text, std::string name, Diagnostics& diagnostics,
                                                YamlAliases aliases) {
  check(text.size() <= kMaxParsedBytes, "a configuration text above 1 GiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (!is_text(text, name, diagnostics)) return nullptr;
  std::shared_ptr<Document> document(new Document);
  document->impl_ = std::make_unique<Impl>(SourceText(std::move(text), std::move(name)));
  if (!build_tree(document->impl_->source, aliases, document->impl_->tree, diagnostics)) return nullptr;
  return document;
}

ConfigNode Document::root() const { return {this, 0}; }

std::vector<Document::Leniency> Document::beyond_strict_json() const {
  std::vector<Leniency> found;
  const SourceText& source = impl_->source;
  const std::string_view text = source.text();
  std::optional<std::size_t> comma;  // the last one, as long as only blanks and comments follow
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto skip_to = [&](std::string_view end, std::size_t from) {
      const std::size_t at = text.find(end, from);
      i = at == std::string_view::npos ? text.size() : at + end.size() - 1;
    };
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
      comma.reset();
    } else if (c == '#' || text.substr(i, 2) == "//") {
      found.push_back({source.locate(i), "a comment"});
      skip_to("\n", i);
    } else if (text.substr(i, 2) == "/*") {
      found.push_back({source.locate(i), "a comment"});
      skip_to("*/", i + 2);
    } else if (c == ',') {
      comma = i;
    } else if (c == '}' || c == ']') {
      if (comma) found.push_back({source.locate(*comma), "a comma before a closing bracket"});
      comma.reset();
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      comma.reset();
    }
  }
  return found;
}
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
  const ConfigItem& node = document_->impl_->node(index_);
  return document_->impl_->where(index_, node.has_key ? node.key_offset : node.offset);
}

std::vector<std::string> document_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code unreadable;  // an empty list then
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace ascendsim
