#include "strategies/engines/launch/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

namespace ascendsim {

namespace {

bool needs_value(OptionType type) { return type != OptionType::kFlag && type != OptionType::kSwitch; }

// What argparse takes for an option and not for a value: a dash and no negative number.
bool looks_like_option(std::string_view text) {
  if (text.size() < 2 || text[0] != '-') return false;
  double ignored = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), ignored);
  return error != std::errc{} || rest != text.data() + text.size();
}

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && rest == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool is_automatic(std::string_view length) { return length == "auto" || length == "-1"; }

// Whether "option.key[0]" is that key, or is below it.
bool is_key(const JsonKeySpec& spec, std::string_view path) {
  const std::size_t dot = path.find('.');
  const std::string_view key = path.substr(dot + 1, path.find('[') - dot - 1);
  return spec.option == path.substr(0, dot) && key.starts_with(spec.key) &&
         (key.size() == spec.key.size() || key[spec.key.size()] == '.');
}

std::string shown(const std::vector<ShellWord>& values) {
  std::string out;
  for (const ShellWord& v : values) out += (out.empty() ? "" : " ") + v.text;
  std::ranges::replace(out, '\n', ' ');
  return out.size() > 60 ? out.substr(0, 57) + "..." : out;
}

}  // namespace

std::optional<std::int64_t> parse_human_integer(std::string_view text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::pair<char, std::int64_t> kUnits[] = {
      {'k', 1'000},     {'m', 1'000'000}, {'g', 1'000'000'000}, {'t', 1'000'000'000'000},
      {'K', 1LL << 10}, {'M', 1LL << 20}, {'G', 1LL << 30},     {'T', 1LL << 40}};
  const auto unit = std::ranges::find(kUnits, text.back(), &std::pair<char, std::int64_t>::first);
  if (unit == std::end(kUnits)) return whole_number<std::int64_t>(text);
  text.remove_suffix(1);
  const bool binary = unit->first < 'a';
  if (binary) {  // only whole ones
    const auto v = whole_number<std::int64_t>(text);
    if (!v || std::abs(static_cast<double>(*v)) * static_cast<double>(unit->second) > 9e18) return std::nullopt;
    return *v * unit->second;
  }
  const auto v = whole_number<double>(text);
  if (!v || !(std::abs(*v) * static_cast<double>(unit->second) < 9e18)) return std::nullopt;
  return std::llround(*v * static_cast<double>(unit->second));
}

std::vector<const OptionTable*> option_tables() {
  std::vector<const OptionTable*> out;
  for (const Engine* const e : engines())
    if (e->options != nullptr) out.push_back(&e->options());
  return out;
}

std::string_view option_of_field(const OptionTable& table, std::string_view field) {
  const auto at = std::ranges::find(table.options, field, &EngineOption::field);
  if (at != table.options.end()) return at->name;
  const auto word = std::ranges::find(table.words, field, &std::pair<std::string_view, std::string_view>::first);
  return word == table.words.end() ? std::string_view() : word->second;
}

std::string_view field_of_option(const OptionTable& table, std::string_view written) {
  std::string option(written.substr(std::min(written.find_first_not_of('-'), written.size())));
  std::ranges::replace(option, '_', '-');
  for (const EngineOption& o : table.options) {
    if (o.field.empty()) continue;
    bool same = o.name == option;
    for (std::size_t at = 0; at < o.aliases.size() && !same;) {  // "-tp --tensor-parallel"
      const std::size_t end = std::min(o.aliases.find(' ', at), o.aliases.size());
      const std::string_view alias = o.aliases.substr(at, end - at);
      same = alias.substr(std::min(alias.find_first_not_of('-'), alias.size())) == option;
      at = end + 1;
    }
    if (same) return o.field;
  }
  return {};
}

OptionSet::OptionSet(const OptionTable& table, std::span<const ShellWord> words, const ShellVariables& variables,
                     const Defines& defines, Diagnostics& diagnostics, OptionVersion version)
    : table_(table), variables_(variables), defines_(defines), diagnostics_(diagnostics), version_(std::move(version)) {
  if (!words.empty()) command_ = words.front().where;
  // The file is read first: what the command line says is the last word.
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].text == "--config" && i + 1 < words.size()) read_config(words[i + 1]);
    if (words[i].text.starts_with("--config=")) {
      ShellWord file = words[i];
      file.text.erase(0, std::string_view("--config=").size());
      read_config(file);
    }
  }
  read(words);
  for (Option& o : options_) check(o);
  report();
  report_environment();
}

const OptionSet::Option* OptionSet::find(std::string_view name) const {
  for (auto o = options_.rbegin(); o != options_.rend(); ++o)
    if (o->spec->name == name) return &*o;
  return nullptr;
}

SourceLocation OptionSet::where(std::string_view name) const {
  const Option* const o = find(name);
  return o == nullptr ? command_ : o->values.empty() ? o->where : o->values.back().where;
}

namespace {

// Whether a row is what is written, by its whole name or an alias; `off`: as --no-NAME.
bool is_written(const EngineOption& spec, std::string_view written, bool& off) {
  off = false;
  if (written.starts_with("--") && written.substr(2) == spec.name) return true;
  if (spec.type == OptionType::kSwitch && written.starts_with("--no-") && written.substr(5) == spec.name)
    return off = true;
  const std::size_t at = spec.aliases.find(written);  // between blanks
  return at != std::string_view::npos && (at == 0 || spec.aliases[at - 1] == ' ') &&
         (at + written.size() == spec.aliases.size() || spec.aliases[at + written.size()] == ' ');
}
// Whether it begins like it.
bool is_begun(const EngineOption& spec, std::string_view written, bool& off) {
  off = false;
  if (!written.starts_with("--")) return false;
  if (spec.name.starts_with(written.substr(2))) return true;
  return off = spec.type == OptionType::kSwitch && written.starts_with("--no-") &&
               spec.name.starts_with(written.substr(5));
}

}  // namespace

std::string OptionSet::has_no(std::string_view what, const VersionRange& range) const {
  return fmt::format("{} {} has no {}: it {}", table_.product, version_.text, what, range.text());
}

const EngineOption* OptionSet::look_up(const std::string& written, const SourceLocation& where, bool& off) {
  std::vector<std::string_view> known;
  std::vector<std::pair<const EngineOption*, bool>> begins;
  const EngineOption *found = nullptr, *of_another = nullptr;
  for (const EngineOption& spec : table_.options) {
    bool negated = false;
    const bool same = is_written(spec, written, negated);
    if (same) (version_.has(spec.versions) ? found : of_another) = &spec;
    if (same && found == &spec) off = negated;
    if (same || !version_.has(spec.versions)) continue;
    if (is_begun(spec, written, negated)) begins.emplace_back(&spec, negated);
    known.push_back(spec.name);
  }
  if (found != nullptr) return found;
  if (of_another != nullptr) {
    is_written(*of_another, written, off);
    diagnostics_.error("E0425", where, has_no(written, of_another->versions),
                       fmt::format("{}: unrecognized arguments end the start", table_.engine),
                       "--engine-version says which version is meant");
    return of_another;
  }
  if (begins.size() == 1) {
    off = begins.front().second;
    diagnostics_.warning("W0420", where,
                         fmt::format("{} stands for --{}{}", written, off ? "no-" : "", begins.front().first->name),
                         fmt::format("{}: argparse takes an unambiguous beginning of a name", table_.engine),
                         "write the whole name: the next version may have another option that begins like it");
    return begins.front().first;
  }
  const std::string_view bare =
      std::string_view(written).substr(std::min(written.find_first_not_of('-'), written.size()));
  const std::string_view near = nearest(bare, known);
  if (begins.size() > 1)
    diagnostics_.error("E0420", where,
                       fmt::format("{} may be --{} or --{}", written, begins[0].first->name, begins[1].first->name),
                       fmt::format("{}: an ambiguous option is refused", table_.engine), "write the whole name");
  else
    diagnostics_.error(
        "E0420", where, fmt::format("unknown option {}", written),
        fmt::format("{}: unrecognized arguments end the start", table_.engine),
        near.empty() ? "remove it: no version that is known here has it" : fmt::format("did you mean '--{}'?", near));
  return nullptr;
}

std::vector<std::string> OptionSet::unknown_to(const Version& version) const {
  std::vector<std::string> out;
  const auto note = [&](const auto& rows, std::string name, const auto& is_it) {
    bool anywhere = false;
    for (const auto& row : rows) {
      if (!is_it(row)) continue;
      if (row.versions.has(version)) return;
      anywhere = true;
    }
    if (anywhere) out.push_back(std::move(name));
  };
  for (const std::string& written : written_)
    note(table_.options, written, [&](const EngineOption& o) {
      bool off = false;
      return is_written(o, written, off);
    });
  for (const auto& [path, leaf] : json_)
    note(table_.json_keys, fmt::format("--{}", path), [&](const JsonKeySpec& k) { return is_key(k, path); });
  for (const auto& [name, variable] : variables_)
    if (variable.exported)
      note(table_.environment, name,
           [&](const EnvironmentSpec& e) { return e.name == name && e.use != KeyUse::kNoEffect; });
  return out;
}

std::string_view OptionSet::usual(std::string_view name) const {
  std::string_view found;  // of the newest row
  for (const EngineOption& o : table_.options)
    if (o.name == name && version_.has(o.versions)) found = o.usually;
  return found;
}

void OptionSet::read(std::span<const ShellWord> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const ShellWord& word = words[i];
    if (!looks_like_option(word.text)) {
      if (positional_)
        diagnostics_.error("E0421", word.where, fmt::format("'{}' belongs to no option", word.text),
                           fmt::format("{}: unrecognized arguments end the start", table_.engine));
      else
        positional_ = word;
      continue;
    }
    std::string name = word.text.substr(0, word.text.find('='));
    std::optional<ShellWord> inline_value;
    if (name.size() < word.text.size()) {
      inline_value = word;
      inline_value->text.erase(0, name.size() + 1);
    }
    std::string key;  // of --option.key
    if (const std::size_t dot = name.find('.'); dot != std::string::npos) {
      key = name.substr(dot + 1);
      name.resize(dot);
    }
    if (table_.underscores) std::ranges::replace(name, '_', '-');
    if (name.starts_with("-O") && name.size() > 2 && !inline_value) {  // -O3
      inline_value = word;
      inline_value->text.erase(0, 2);
      name = "-O";
    }
    if (name == "--config") {
      if (!inline_value) ++i;
      keys_.push_back({"--config",
                       inline_value       ? inline_value->text
                       : i < words.size() ? words[i].text
                                          : "",
                       KeyUse::kUsed, ""});
      continue;
    }
    bool off = false;
    const EngineOption* const spec = look_up(name, word.where, off);
    written_.push_back(name);
    Option option{spec, {}, off, true, word.where};
    option.where.key_path = spec == nullptr ? "" : fmt::format("--{}", spec->name);
    const bool wants = spec == nullptr || needs_value(spec->type);
    if (inline_value) {
      if (!wants && spec != nullptr) {
        diagnostics_.error(
            "E0422", word.where, fmt::format("{} takes no value", name), fmt::format("{}", table_.engine),
            spec->type == OptionType::kSwitch ? fmt::format("--{} or --no-{}", spec->name, spec->name) : "remove it");
        option.usable = false;
      }
      option.values.push_back(*inline_value);
    } else if (wants) {
      const bool list = spec == nullptr || spec->type == OptionType::kList;
      while (i + 1 < words.size() && !looks_like_option(words[i + 1].text)) {
        option.values.push_back(words[++i]);
        if (!list) break;
      }
      if (option.values.empty() && spec != nullptr && spec->type != OptionType::kMaybe) {
        diagnostics_.error("E0422", word.where, fmt::format("--{} needs a value", spec->name),
                           fmt::format("{}", table_.engine));
        option.usable = false;
      }
    }
    if (spec == nullptr) {
      keys_.push_back({name, shown(option.values), KeyUse::kUnknown, ""});
      continue;
    }
    for (ShellWord& v : option.values) v.where.key_path = option.where.key_path;
    if (spec->type == OptionType::kJson && option.usable && !option.values.empty()) {
      // -O3 before optimisation levels had an option of their own: the level inside the JSON.
      if (name == "-O" && key.empty() && whole_number<std::int64_t>(option.values.front().text)) key = "level";
      if (!key.empty()) {
        const bool append = key.ends_with('+');
        if (append) key.pop_back();
        add_leaf(*spec, append ? key + "[0]" : key,
                 {option.values.front().text, option.values.front().where, option.values.front().unresolved});
      } else {
        add_json(option, option.values.front());
      }
    } else if (!key.empty()) {
      diagnostics_.error("E0422", word.where, fmt::format("--{} takes no keys, got '.{}'", spec->name, key),
                         std::string(table_.engine));
      option.usable = false;
    }
    options_.push_back(std::move(option));
  }
}

void OptionSet::read_config(const ShellWord& file) {
  if (in_config_ || !resolved(file, "--config", true)) return;
  // Beside the script, or where the program was called.
  std::filesystem::path path(file.text);
  std::error_code ignored;
  if (path.is_relative() && !std::filesystem::exists(path, ignored))
    path = std::filesystem::path(file.where.file).parent_path() / path;
  const auto document = Document::load(path.string(), diagnostics_);
  if (!document) return;
  std::vector<ShellWord> words;
  const ConfigNode root = document->root();
  for (std::size_t i = 0; i < root.size(); ++i) {
    const ConfigNode node = root.at(i);
    const auto add = [&](const std::string& text) { words.push_back({text, node.where(), {}}); };
    const std::string name = fmt::format("--{}", node.key());
    if (node.text() == "false" && !node.is_quoted()) continue;  // vLLM leaves out what is false
    if (node.key() == "model" || node.key() == "model_tag") {
      positional_ = ShellWord{std::string(node.text()), node.where(), {}};
      keys_.push_back({"model", std::string(node.text()), KeyUse::kUsed, ""});
      continue;
    }
    add(name);
    if (node.text() == "true" && !node.is_quoted()) continue;
    if (node.is_sequence())
      for (std::size_t k = 0; k < node.size(); ++k) add(std::string(node.at(k).text()));
    else if (node.is_map())
      diagnostics_.error("E0422", node.where(), fmt::format("{} must be a value, or JSON in quotes", node.key()),
                         std::string(table_.engine));
    else
      add(std::string(node.text()));
  }
  in_config_ = true;
  const std::optional<ShellWord> model = positional_;
  read(words);
  positional_.reset();
  if (model) positional_ = model;
  in_config_ = false;
}

namespace {

void flatten(ConfigNode node, const std::string& path, std::vector<std::pair<std::string, std::string>>& out) {
  if (node.is_map()) {
    for (std::size_t i = 0; i < node.size(); ++i) {
      const ConfigNode child = node.at(i);
      flatten(child, path.empty() ? std::string(child.key()) : fmt::format("{}.{}", path, child.key()), out);
    }
  } else if (node.is_sequence()) {
    for (std::size_t i = 0; i < node.size(); ++i) flatten(node.at(i), fmt::format("{}[{}]", path, i), out);
  } else {
    out.emplace_back(path, node.text());
  }
}

}  // namespace

void OptionSet::add_json(Option& option, const ShellWord& value) {
  // {"a": $B} is read once B is known.
  if (!resolved(value, fmt::format("--{}", option.spec->name), option.spec->use == KeyUse::kUsed)) {
    option.usable = false;
    return;
  }
  std::erase_if(json_, [&](const auto& e) { return e.first.starts_with(fmt::format("{}.", option.spec->name)); });
  Diagnostics inside;
  const auto document = Document::parse(value.text, fmt::format("--{}", option.spec->name), inside);
  if (!document || !document->root().is_map()) {
    std::string why;
    for (const Diagnostic& d : inside.all())
      if (why.empty()) why = fmt::format(": {}", d.message);
    diagnostics_.error("E0422", value.where, fmt::format("--{} must be a JSON object{}", option.spec->name, why),
                       std::string(table_.engine),
                       fmt::format("--{} '{{\"key\": value}}', in single quotes", option.spec->name));
    option.usable = false;
    return;
  }
  // Python's json.loads is stricter than our reader.
  for (const Document::Leniency& l : document->beyond_strict_json())
    diagnostics_.error("E0422", value.where,
                       fmt::format("--{} is no JSON: {} in line {}, column {} of the value", option.spec->name, l.what,
                                   l.where.line, l.where.column),
                       std::string(table_.engine), "remove it");
  std::vector<std::pair<std::string, std::string>> leaves;
  flatten(document->root(), "", leaves);
  for (auto& [key, text] : leaves) add_leaf(*option.spec, key, {text, value.where, {}});
}

void OptionSet::add_leaf(const EngineOption& spec, const std::string& key, Leaf leaf) {
  leaf.where.key_path = fmt::format("--{}.{}", spec.name, key);
  json_.insert_or_assign(fmt::format("{}.{}", spec.name, key), std::move(leaf));
}

bool OptionSet::resolved(const ShellWord& word, std::string_view what, bool needed) const {
  if (word.unresolved.empty()) return true;
  if (!needed) return false;
  const std::string& name = word.unresolved.front();
  const bool substitution = name.starts_with("$(");
  diagnostics_.error("E0423", word.where,
                     fmt::format("{} needs the value of {}, which the script does not set", what, name),
                     "scripts are read, not run",
                     substitution ? "write the value into the script" : fmt::format("--define {}=VALUE", name));
  return false;
}

bool OptionSet::among(std::string_view what, const ShellWord& word, std::span<const std::string_view> choices,
                      std::string_view source) {
  if (choices.empty() || !word.unresolved.empty() || std::ranges::find(choices, word.text) != choices.end())
    return true;
  const std::string_view near = nearest(word.text, choices);
  const std::string known = fmt::format("one of: {}", fmt::join(choices, ", "));
  diagnostics_.error("E0426", word.where, fmt::format("{} has no '{}'", what, word.text),
                     fmt::format("{}{}{}: {}", table_.engine, source.empty() ? "" : ", ", source, known),
                     near.empty() ? known : fmt::format("did you mean '{}'?", near));
  return false;
}

void OptionSet::check(Option& o) {
  const EngineOption& spec = *o.spec;
  if (!o.usable || !needs_value(spec.type) || spec.type == OptionType::kJson) return;
  const auto wrong = [&](std::string message, std::string help = {}) {
    diagnostics_.error("E0422", o.values.empty() ? o.where : o.values.front().where, std::move(message),
                       fmt::format("{}{}{}", table_.engine, spec.source.empty() ? "" : ": ", spec.source),
                       std::move(help));
    o.usable = false;
  };
  for (const ShellWord& v : o.values) {
    if (!resolved(v, fmt::format("--{}", spec.name), spec.use == KeyUse::kUsed && spec.type != OptionType::kOpen)) {
      o.usable = false;
      return;
    }
    if (!among(fmt::format("--{}", spec.name), v, spec.choices, spec.source)) {
      o.usable = false;
      return;
    }
    std::optional<double> value;
    switch (spec.type) {
      case OptionType::kInteger:
      case OptionType::kTokens:
      case OptionType::kLength: {
        if (spec.type == OptionType::kLength && is_automatic(v.text)) break;
        const bool units = spec.type != OptionType::kInteger;
        const auto n = units ? parse_human_integer(v.text) : whole_number<std::int64_t>(v.text);
        if (!n)
          return wrong(fmt::format("--{} must be an integer, got '{}'", spec.name, v.text),
                       units ? "for example 65536, 64K (1024) or 64k (1000)" : "");
        value = static_cast<double>(*n);
        break;
      }
      case OptionType::kNumber:
        value = whole_number<double>(v.text);
        if (!value || !std::isfinite(*value))
          return wrong(fmt::format("--{} must be a number, got '{}'", spec.name, v.text));
        break;
      default:
        break;
    }
    if (value && spec.least != spec.most && !(*value >= spec.least && *value <= spec.most))
      return wrong(fmt::format("--{} must be in [{}, {}], got {}", spec.name, spec.least, spec.most, v.text));
  }
}

void OptionSet::report() {
  for (const Option& o : options_) {
    const EngineOption& spec = *o.spec;
    keys_.push_back(
        {fmt::format("--{}{}", o.off ? "no-" : "", spec.name), shown(o.values), spec.use, std::string(spec.remark)});
    if (spec.use == KeyUse::kEffectNotModelled)
      diagnostics_.note("A0101", o.where,
                        fmt::format("--{} is ignored here although it has an effect in {}{}", spec.name, table_.engine,
                                    spec.remark.empty() ? "" : fmt::format(" ({})", spec.remark)));
  }
  for (const auto& [path, leaf] : json_) {
    const std::size_t dot = path.find('.');
    const std::string_view option = std::string_view(path).substr(0, dot);
    std::string key = path.substr(dot + 1);
    std::vector<std::string_view> known;
    const JsonKeySpec *found = nullptr, *of_another = nullptr;
    bool open = true;
    for (const JsonKeySpec& s : table_.json_keys) {
      if (s.option != option) continue;
      open = false;
      const bool here = version_.has(s.versions);
      if (here) known.push_back(s.key);
      const JsonKeySpec*& best = here ? found : of_another;
      if (is_key(s, path) && (best == nullptr || best->key.size() < s.key.size())) best = &s;
    }
    if (open) continue;  // an option whose inside nobody looks at
    const bool lenient = std::ranges::find(table_.lenient, option) != table_.lenient.end();
    KeyReport report{fmt::format("--{}", path), leaf.text, KeyUse::kUnknown, ""};
    if (found != nullptr) {
      report.use = found->use;
      report.remark = found->remark;
      among(fmt::format("\"{}\" of --{}", key, option), {leaf.text, leaf.where, leaf.unresolved}, found->choices, "");
      if (found->use == KeyUse::kEffectNotModelled)
        diagnostics_.note("A0101", leaf.where,
                          fmt::format("{} is ignored here although it has an effect in {}{}", key, table_.engine,
                                      found->remark.empty() ? "" : fmt::format(" ({})", found->remark)));
    } else if (of_another != nullptr) {
      report.remark = has_no(fmt::format("\"{}\" in --{}", key, option), of_another->versions);
      report.use = lenient ? KeyUse::kNoEffect : KeyUse::kUnknown;
      if (!lenient)
        diagnostics_.error("E0425", leaf.where, report.remark, "unknown keys end the start",
                           "--engine-version says which version is meant");
      else if (of_another->use != KeyUse::kNoEffect)
        diagnostics_.warning("W0425", leaf.where, report.remark, "keys that the engine does not know have no effect");
    } else {
      const std::string_view near = nearest(key, known);
      if (!near.empty()) report.remark = fmt::format("did you mean \"{}\"?", near);
      // A key that is nearly another one is a mistake; any other may belong to another version.
      const std::string message = fmt::format("unknown key \"{}\" in --{}", key, option);
      const std::string rule = fmt::format("{}: not among the keys that are known here", table_.engine);
      if (near.empty())
        diagnostics_.warning("W0330", leaf.where, message, rule, "remove it");
      else
        diagnostics_.error("E0426", leaf.where, message, rule, report.remark);
    }
    keys_.push_back(std::move(report));
  }
}

void OptionSet::report_environment() {
  std::vector<std::string_view> known;
  for (const EnvironmentSpec& e : table_.environment)
    if (version_.has(e.versions)) known.push_back(e.name);
  for (const auto& [name, variable] : variables_) {
    const auto spec = std::ranges::find(table_.environment, name, &EnvironmentSpec::name);
    const bool engines =
        std::ranges::any_of(table_.own_prefixes, [&, &n = name](std::string_view p) { return n.starts_with(p); });
    KeyReport report{fmt::format("env {}", name), shown({variable.value}), KeyUse::kUnknown, ""};
    if (spec == table_.environment.end()) {
      if (!engines || !variable.exported) continue;  // the script's own business
      const std::string_view near = nearest(name, known);
      if (!near.empty()) report.remark = fmt::format("did you mean \"{}\"?", near);
      diagnostics_.warning("W0330", variable.value.where, fmt::format("unknown environment variable {}", name),
                           fmt::format("{} ignores variables that it does not know without a message", table_.engine),
                           near.empty() ? "remove it" : report.remark);
    } else if (!variable.exported) {
      if (spec->use == KeyUse::kNoEffect) continue;
      report.use = KeyUse::kNoEffect;
      report.remark = "assigned but not exported: the engine does not see it";
      diagnostics_.warning("W0421", variable.value.where,
                           fmt::format("{} is assigned but not exported: {} does not see it", name, table_.engine),
                           "a shell hands only exported variables to commands",
                           fmt::format("export {}={}", name, variable.value.text));
    } else if (!version_.has(spec->versions)) {
      report.use = KeyUse::kNoEffect;
      report.remark =
          fmt::format("{} has no effect in {} {}: it {}", name, table_.product, version_.text, spec->versions.text());
      // Nothing is lost where it has none in any version.
      if (spec->use != KeyUse::kNoEffect)
        diagnostics_.warning("W0425", variable.value.where, report.remark, std::string(spec->source));
    } else {
      report.use = spec->use;
      report.remark = spec->remark;
      among(name, variable.value, spec->choices, spec->source);
      if (spec->use == KeyUse::kEffectNotModelled)
        diagnostics_.note("A0101", variable.value.where,
                          fmt::format("{} is ignored here although it has an effect in {}{}", name, table_.engine,
                                      spec->remark.empty() ? "" : fmt::format(" ({})", spec->remark)));
    }
    keys_.push_back(std::move(report));
  }
}

std::optional<std::int64_t> OptionSet::integer(std::string_view name) const {
  const Option* const o = find(name);
  if (o == nullptr || !o->usable || o->values.empty()) return std::nullopt;
  const std::string& text = o->values.back().text;
  if (o->spec->type == OptionType::kLength && is_automatic(text)) return std::nullopt;
  return o->spec->type == OptionType::kInteger ? whole_number<std::int64_t>(text) : parse_human_integer(text);
}
std::optional<double> OptionSet::number(std::string_view name) const {
  const Option* const o = find(name);
  return o == nullptr || !o->usable || o->values.empty() ? std::nullopt : whole_number<double>(o->values.back().text);
}
std::optional<std::string> OptionSet::text(std::string_view name) const {
  const Option* const o = find(name);
  return o == nullptr || !o->usable || o->values.empty() ? std::nullopt : std::optional(o->values.back().text);
}
std::vector<std::string> OptionSet::texts(std::string_view name) const {
  std::vector<std::string> out;
  if (const Option* const o = find(name); o != nullptr && o->usable)
    for (const ShellWord& v : o->values) out.push_back(v.text);
  return out;
}
std::vector<std::int64_t> OptionSet::integers(std::string_view name) const {
  std::vector<std::int64_t> out;
  for (const std::string& text : texts(name)) {
    const auto value = whole_number<std::int64_t>(text);
    if (value)
      out.push_back(*value);
    else
      diagnostics_.error("E0422", where(name), fmt::format("--{} must be integers, got '{}'", name, text),
                         std::string(table_.engine));
  }
  return out;
}
std::optional<ShellWord> OptionSet::word(std::string_view name) const {
  const Option* const o = find(name);
  return o == nullptr || o->values.empty() ? std::nullopt : std::optional(o->values.back());
}
std::optional<bool> OptionSet::flag(std::string_view name) const {
  const Option* const o = find(name);
  return o == nullptr || !o->usable ? std::nullopt : std::optional(!o->off);
}

std::optional<std::string> OptionSet::json(std::string_view option, std::string_view key) const {
  const auto at = json_.find(fmt::format("{}.{}", option, key));
  if (at == json_.end()) return std::nullopt;
  const Leaf& leaf = at->second;
  return resolved({leaf.text, leaf.where, leaf.unresolved}, leaf.where.key_path, true) ? std::optional(leaf.text)
                                                                                       : std::nullopt;
}
std::optional<std::int64_t> OptionSet::json_integer(std::string_view option, std::string_view key) const {
  const auto text = json(option, key);
  if (!text) return std::nullopt;
  const auto value = whole_number<std::int64_t>(*text);
  if (!value)
    diagnostics_.error("E0422", json_.find(fmt::format("{}.{}", option, key))->second.where,
                       fmt::format("{} must be an integer, got '{}'", key, *text), std::string(table_.engine));
  return value;
}
std::vector<std::int64_t> OptionSet::json_integers(std::string_view option, std::string_view key) const {
  std::vector<std::int64_t> out;
  while (const auto v = json_integer(option, fmt::format("{}[{}]", key, out.size()))) out.push_back(*v);
  return out;
}

std::optional<std::string> OptionSet::environment(std::string_view name) const {
  const auto at = variables_.find(name);
  if (at == variables_.end()) {
    const auto defined = defines_.find(name);
    return defined == defines_.end() ? std::nullopt : std::optional(defined->second);
  }
  if (!at->second.exported || !resolved(at->second.value, name, true)) return std::nullopt;
  return at->second.value.text;
}
SourceLocation OptionSet::environment_where(std::string_view name) const {
  const auto at = variables_.find(name);
  return at == variables_.end() ? command_ : at->second.value.where;
}

void OptionSet::apply(Question& question) const {
  for (const Option& o : options_) {  // the last one wins
    if (o.spec->field.empty() || !o.usable) continue;
    const Field& field = *find_field(o.spec->field);
    const bool set = std::visit(
        [&]<class Access>(const Access& key) {
          const auto put = [&](const auto& value) {
            if (value) key.set(question, *value);
            return value.has_value();
          };
          if constexpr (std::is_same_v<Access, FieldKey<bool>>) return put(std::optional(!o.off));
          if constexpr (std::is_same_v<Access, FieldKey<std::int64_t>>) return put(integer(o.spec->name));
          if constexpr (std::is_same_v<Access, FieldKey<double>>) return put(number(o.spec->name));
          if constexpr (std::is_same_v<Access, FieldKey<std::string>>) return put(text(o.spec->name));
          return false;
        },
        field.access);
    if (set) set_origin(question, field, {where(o.spec->name), false});
  }
}

void OptionSet::assume(std::string_view name, const std::string& value, std::string_view why) {
  diagnostics_.note("A0100", command_, fmt::format("--{} is not set: {} assumed ({})", name, value, why));
  keys_.push_back({fmt::format("--{}", name), value, KeyUse::kAssumed, std::string(why)});
}

}  // namespace ascendsim
