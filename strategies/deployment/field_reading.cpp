#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/deployment/field_parts.h"

namespace ascendsim {

namespace {

// Reads one value into its field.
class Reading {
 public:
  // in_engine_words: named by the engine's key, whose values may be written differently.
  Reading(const Field& field, ConfigNode node, bool in_engine_words, Question& question, Diagnostics& diagnostics)
      : field_(field), node_(node), in_engine_words_(in_engine_words), question_(question), diagnostics_(diagnostics) {}

  void operator()(const FieldKey<std::int64_t>& key) const {
    const auto v = token_count();
    if (v && in_range(static_cast<double>(*v))) key.set(question_, *v);
  }
  void operator()(const FieldKey<double>& key) const {
    const auto v = node_.as_number(diagnostics_);
    if (v && in_range(*v)) key.set(question_, *v);
  }
  void operator()(const FieldKey<bool>& key) const {
    if (const auto v = node_.as_bool(diagnostics_)) key.set(question_, *v);
  }
  void operator()(const FieldKey<std::string>& key) const {
    if (auto v = node_.as_string(diagnostics_)) key.set(question_, std::move(*v));
  }
  void operator()(const ChoiceAccess& access) const {
    const auto v = node_.as_string(diagnostics_);
    if (!v) return;
    const auto among = [&](std::span<const std::string_view> words) {
      return static_cast<std::size_t>(std::ranges::find(words, *v) - words.begin());
    };
    std::size_t choice = in_engine_words_ ? among(field_.alias_choices) : field_.choices.size();
    if (choice >= field_.alias_choices.size()) choice = among(field_.choices);
    if (choice < field_.choices.size())
      access.set(question_, choice);
    else
      say_unknown(*v);
  }
  void operator()(const FieldKey<std::vector<double>>& key) const {
    if (!node_.is_sequence()) {
      diagnostics_.error("E0360", node_.where(), fmt::format("{} must be a list of numbers", field_.path), {},
                         "for example [0.9, 0.7]");
      return;
    }
    std::vector<double> values;
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const auto v = node_.at(i).as_number(diagnostics_);
      if (!v || !in_range(*v)) return;
      values.push_back(*v);
    }
    key.set(question_, std::move(values));
  }
  void operator()(const FieldKey<std::vector<std::int64_t>>& key) const {
    if (!node_.is_sequence()) {
      diagnostics_.error("E0360", node_.where(), fmt::format("{} must be a list of whole numbers", field_.path), {},
                         "for example [1, 2, 4]");
      return;
    }
    std::vector<std::int64_t> values;
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const auto v = node_.at(i).as_integer(diagnostics_);
      if (!v || !in_range(static_cast<double>(*v))) return;
      values.push_back(*v);
    }
    key.set(question_, std::move(values));
  }
  void operator()(const FieldKey<std::optional<Bytes>>& key) const {
    if (node_.kind() == ConfigNode::Kind::kNull) {
      key.set(question_, std::nullopt);
    } else if (in_engine_words_) {  // MindIE's npuMemSize: GB, -1 = what is left; HCCL_BUFFSIZE: MB
      const auto v = node_.as_integer(diagnostics_);
      const int shift = field_.alias == "HCCL_BUFFSIZE" ? 20 : 30;
      if (v) key.set(question_, *v > 0 && *v < 1 << 20 ? std::optional<Bytes>(Bytes(*v << shift)) : std::nullopt);
    } else if (const auto v = node_.as_quantity<Bytes>(diagnostics_)) {
      constexpr Bytes kMost(std::int64_t{1} << 40);  // more than any die has
      if (*v > Bytes(0) && *v <= kMost)
        key.set(question_, *v);
      else
        diagnostics_.error("E0361", node_.where(), fmt::format("{} must be above 0 and at most 1 TiB", field_.path));
    }
  }
  void operator()(const FieldKey<ScaleTable>& key) const {
    ScaleTable table;
    const auto wrong = [&] {
      diagnostics_.error("E0367", node_.where(),
                         fmt::format("{} must be [[tokens, factor], ...] in descending order of tokens", field_.path));
    };
    if (!node_.is_sequence()) return wrong();
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const ConfigNode entry = node_.at(i);
      if (!entry.is_sequence() || entry.size() != 2) return wrong();
      const auto tokens = entry.at(0).as_integer(diagnostics_);
      const auto factor = entry.at(1).as_number(diagnostics_);
      if (!tokens || !factor) return;
      if (*tokens < 0 || *factor <= 0 || (!table.empty() && *tokens >= table.back().first)) return wrong();
      table.emplace_back(*tokens, *factor);
    }
    key.set(question_, std::move(table));
  }

 private:
  [[nodiscard]] std::optional<std::int64_t> token_count() const {
    if (takes_suffix(field_) && node_.is_scalar() && !node_.text().empty() &&
        node_.text().find_first_of("kKmM") != std::string_view::npos)
      if (const auto v = parse_token_count(node_.text())) return v;
    return node_.as_integer(diagnostics_);
  }
  [[nodiscard]] bool in_range(double v) const {
    if (!limited(field_) || (v >= field_.least && v <= field_.most)) return true;
    diagnostics_.error("E0361", node_.where(),
                       fmt::format("{} must be in [{}, {}], got {}", field_.path, number_text(field_.least),
                                   number_text(field_.most), number_text(v)));
    return false;
  }
  void say_unknown(std::string_view v) const {
    const std::string_view near = nearest(v, field_.choices);
    diagnostics_.error("E0362", node_.where(), fmt::format("unknown {} '{}'", field_.path, v),
                       fmt::format("one of: {}", fmt::join(field_.choices, ", ")),
                       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  }

  const Field& field_;
  ConfigNode node_;
  bool in_engine_words_;
  Question& question_;
  Diagnostics& diagnostics_;
};

void read_field(const Field& field, ConfigNode node, bool in_engine_words, Question& question,
                Diagnostics& diagnostics) {
  std::visit(Reading(field, node, in_engine_words, question, diagnostics), field.access);
  set_origin(question, field, {node.where(), false});
}

std::vector<std::string_view> known_names() {
  std::vector<std::string_view> names;
  for (const Field& f : question_fields()) {
    names.push_back(f.path);
    if (!f.alias.empty()) names.push_back(f.alias);
  }
  return names;
}

// Every value of the file, by path; maps that are no section of ours are unknown keys.
void read_map(ConfigNode map, const std::string& prefix, Question& question, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < map.size(); ++i) {
    const ConfigNode child = map.at(i);
    const std::string path = prefix.empty() ? std::string(child.key()) : prefix + "." + std::string(child.key());
    const auto field = std::ranges::find(question_fields(), path, &Field::path);
    const bool section =
        std::ranges::any_of(question_fields(), [&](const Field& f) { return section_of(f.path) == path; });
    if (field != question_fields().end()) {
      read_field(*field, child, false, question, diagnostics);
    } else if (section && child.is_map()) {
      read_map(child, path, question, diagnostics);
    } else if (path != "ascendsim") {
      const auto known = known_names();
      const std::string_view near = nearest(path, known);
      diagnostics.error("E0363", child.key_where(),
                        section ? fmt::format("{} must be a map", path) : fmt::format("unknown key '{}'", path), {},
                        near.empty() || section ? "`ascendsim explain file` lists all keys"
                                                : fmt::format("did you mean '{}'?", near));
    }
  }
}

}  // namespace

bool is_question(ConfigNode root) {
  if (root.find("ascendsim")) return true;
  return (root.find("layout") || root.find("stack")) && !root.find("ModelDeployConfig") && !root.find("BackendConfig");
}

void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics) {
  if (!root.is_map()) {
    diagnostics.error("E0364", root.where(), "a deployment file is a map of keys", {},
                      "`ascendsim convert FILE` prints one");
    return;
  }
  if (const ConfigNode version = root.find("ascendsim")) {
    const auto v = version.as_integer(diagnostics);
    if (v && *v != 1)
      diagnostics.error("E0368", version.where(), fmt::format("version {} of the deployment file is not known", *v), {},
                        "this program reads version 1");
  }
  read_map(root, "", question, diagnostics);
}

namespace {

// "prefil.dcp": a side of a pair that is misspelt. "layout.dcp": an option of the engine in a section of ours. Else the
// nearest name.
std::string suggested_key(std::string_view name, std::string_view stack) {
  static constexpr std::string_view kSides[] = {"prefill", "decode"};
  const std::size_t dot = name.find('.');
  if (dot != std::string_view::npos) {
    const std::string_view head = name.substr(0, dot), tail = name.substr(dot + 1), side = nearest(head, kSides);
    if (!side.empty() && find_field(tail, stack) != nullptr) return fmt::format("{}.{}", side, tail);
    const std::string_view last = name.substr(name.rfind('.') + 1);
    if (find_field(last, stack) != nullptr)
      return !side.empty() && tail != last ? fmt::format("{}.{}", side, last) : std::string(last);
  }
  const auto known = known_names();
  return std::string(nearest(name, known));
}

}  // namespace

void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics) {
  const std::size_t equals = assignment.find('=');
  SourceLocation where;
  where.file = fmt::format("--set {}", assignment);
  if (equals == std::string_view::npos || equals == 0) {
    diagnostics.error("E0365", where, "--set needs key.path=value", {}, "--set layout.tp=4");
    return;
  }
  const std::string_view name = assignment.substr(0, equals);
  const Field* field = find_field(name, question.stack);
  if (field == nullptr) {
    const std::string near = suggested_key(name, question.stack);
    diagnostics.error(
        "E0363", where, fmt::format("unknown key '{}'", name), {},
        near.empty() ? "`ascendsim explain file` lists all keys" : fmt::format("did you mean '{}'?", near));
    return;
  }
  // What is wrong with the value is said about the option, not about a line of a text that nobody wrote.
  Diagnostics inside;
  const auto document = Document::parse(fmt::format("value: {}\n", assignment.substr(equals + 1)), where.file, inside);
  const ConfigNode value = document ? document->root().find("value") : ConfigNode();
  if (value) read_field(*field, value, !name.ends_with(field->path), question, inside);
  for (Diagnostic d : inside.all()) {
    d.where = where;
    diagnostics.add(std::move(d));
  }
  set_origin(question, *field, {where, false});
}

}  // namespace ascendsim
