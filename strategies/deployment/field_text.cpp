#include "strategies/deployment/field_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/deployment/field_parts.h"

namespace ascendsim {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// "config.json:9", "--set tp=4", "assumed".
std::string origin_text(const Origin& origin) {
  if (origin.assumed) return "assumed default";
  const SourceLocation& where = origin.where;
  std::string text = where.line > 0 ? fmt::format("{}:{}", where.file, where.line) : where.file;
  std::ranges::replace_if(
      text, [](char c) { return is_control(c); }, ' ');  // a comment ends where its line does
  return text;
}

// Plain where YAML reads the same text back; file names may hold anything.
std::string yaml_text(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.' || c == '/';
  });
  if (plain && text.front() != '-' && text.front() != '.') return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (is_control(c))
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));  // a file has none (E0106)
    else
      quoted += c;
  }
  return quoted + "\"";
}

struct Text {
  const Field& field;
  const Question& question;
  std::string operator()(const FieldKey<std::int64_t>& key) const { return fmt::to_string(key.get(question)); }
  std::string operator()(const FieldKey<double>& key) const { return number_text(key.get(question)); }
  std::string operator()(const FieldKey<bool>& key) const { return key.get(question) ? "true" : "false"; }
  std::string operator()(const FieldKey<std::string>& key) const { return yaml_text(key.get(question)); }
  std::string operator()(const ChoiceAccess& choice) const {
    return yaml_text(std::string(field.choices[choice.get(question)]));
  }
  std::string operator()(const FieldKey<std::vector<double>>& key) const {
    return fmt::format("[{}]", fmt::join(key.get(question), ", "));
  }
  std::string operator()(const FieldKey<std::vector<std::int64_t>>& key) const {
    return fmt::format("[{}]", fmt::join(key.get(question), ", "));
  }
  std::string operator()(const FieldKey<std::optional<Bytes>>& key) const {
    return key.get(question) ? fmt::format("{} B", key.get(question)->count()) : "null";
  }
  std::string operator()(const FieldKey<ScaleTable>& key) const {
    std::vector<std::string> entries;
    for (const auto& [tokens, factor] : key.get(question)) entries.push_back(fmt::format("[{}, {}]", tokens, factor));
    return fmt::format("[{}]", fmt::join(entries, ", "));
  }
};

struct SchemaType {
  const Field& field;
  std::string operator()(const FieldKey<std::int64_t>&) const {
    return takes_suffix(field) ? R"("type": ["integer", "string"])" : R"("type": "integer")" + range();
  }
  std::string operator()(const FieldKey<double>&) const { return R"("type": "number")" + range(); }
  std::string operator()(const FieldKey<bool>&) const { return R"("type": "boolean")"; }
  std::string operator()(const FieldKey<std::string>&) const { return R"("type": "string")"; }
  std::string operator()(const ChoiceAccess&) const {
    return fmt::format(R"("enum": ["{}"])", fmt::join(field.choices, R"(", ")"));
  }
  std::string operator()(const FieldKey<std::vector<double>>&) const {
    return R"("type": "array", "items": {"type": "number"})";
  }
  std::string operator()(const FieldKey<std::vector<std::int64_t>>&) const {
    return R"("type": "array", "items": {"type": "integer"})";
  }
  std::string operator()(const FieldKey<std::optional<Bytes>>&) const { return R"("type": ["string", "null"])"; }
  std::string operator()(const FieldKey<ScaleTable>&) const {
    return R"("type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})";
  }
  [[nodiscard]] std::string range() const {
    return limited(field) ? fmt::format(R"(, "minimum": {}, "maximum": {})", field.least, field.most) : "";
  }
};

}  // namespace

std::string field_text(const Field& field, const Question& question) {
  return std::visit(Text{field, question}, field.access);
}

std::string to_yaml(const Question& question, YamlComments comments) {
  std::string out = "ascendsim: 1   # version of this format; `ascendsim explain KEY` says more of each key\n";
  std::string_view section;
  for (const Field& f : question_fields()) {
    const std::string_view now = section_of(f.path);
    if (now != section && !now.empty()) out += fmt::format("{}:\n", now);
    section = now;
    const std::string line = fmt::format("{}{}: {}", now.empty() ? "" : "  ", key_of(f.path), field_text(f, question));
    out += fmt::format(
        "{:<40} # {}\n", line,
        comments == YamlComments::kMeaning ? std::string(f.meaning) : origin_text(question.deployment.origin(f.path)));
  }
  return out;
}

std::string question_schema() {
  std::string out =
      R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ascendsim deployment file", "type": "object",
 "additionalProperties": false, "properties": {
  "ascendsim": {"type": "integer"})";
  std::string_view section;
  for (const Field& f : question_fields()) {
    const std::string_view now = section_of(f.path);
    if (now != section) {
      if (!section.empty()) out += "}}";
      if (!now.empty())
        out += fmt::format(",\n  \"{}\": {{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {{\n",
                           now);
      section = now;
      if (now.empty()) out += ",\n";
    } else {
      out += ",\n";
    }
    out += fmt::format(R"(  "{}": {{{}, "description": "{}"}})", key_of(f.path), std::visit(SchemaType{f}, f.access),
                       f.meaning);
  }
  if (!section.empty()) out += "}}";
  return out + "}}\n";
}

}  // namespace ascendsim
