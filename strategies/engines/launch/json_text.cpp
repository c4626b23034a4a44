#include "strategies/engines/launch/json_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::size_t JsonText::skip_blank(std::size_t at) const {
  while (at < text_.size()) {
    const bool comment = text_[at] == '#' || text_.compare(at, 2, "//") == 0;
    if (comment)
      at = std::min(text_.find('\n', at), text_.size());
    else if (text_[at] == ' ' || text_[at] == '\t' || text_[at] == '\n' || text_[at] == '\r' || text_[at] == ',')
      ++at;
    else
      break;
  }
  return at;
}

std::size_t JsonText::end_of_value(std::size_t at) const {
  if (at >= text_.size()) return at;
  if (text_[at] == '"') {
    for (std::size_t i = at + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\')
        ++i;
      else if (text_[i] == '"')
        return i + 1;
    }
    return text_.size();
  }
  if (text_[at] == '{' || text_[at] == '[') {
    int depth = 0;
    for (std::size_t i = at; i < text_.size();) {
      const char c = text_[i];
      if (c == '"') {
        i = end_of_value(i);
        continue;
      }
      if (c == '#' || text_.compare(i, 2, "//") == 0) {
        i = std::min(text_.find('\n', i), text_.size());
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++i;
      if (depth == 0) return i;
    }
    return text_.size();
  }
  return std::min(text_.find_first_of(",}]\n\r \t", at), text_.size());
}

JsonText::Container JsonText::members(std::size_t from, std::size_t to) const {
  Container out;
  for (std::size_t at = skip_blank(from); at < to; at = skip_blank(at)) {
    Member m;
    m.key_begin = at;
    std::size_t value = at;
    const std::size_t end = end_of_value(at), colon = skip_blank(end);
    if (text_[at] == '"' && colon < to && text_[colon] == ':') {
      m.key = text_.substr(at + 1, end - at - 2);
      value = skip_blank(colon + 1);
      out.is_object = true;
    }
    m.value = {value, end_of_value(value)};
    if (m.value.end <= at) break;  // not JSON: nothing more to find
    out.members.push_back(m);
    at = m.value.end;
  }
  out.open = from;
  out.close = to;
  return out;
}

JsonText::Container JsonText::container(std::size_t at) const {
  const std::size_t end = end_of_value(at);
  Container out = members(at + 1, end - 1);
  out.is_object = text_[at] == '{';
  out.open = at;
  out.close = end - 1;
  return out;
}

JsonText::Container JsonText::root() const {
  const std::size_t at = skip_blank(0);
  if (at < text_.size() && text_[at] == '{') return container(at);
  Container out = members(0, text_.size());
  out.is_object = true;
  out.braced = false;
  return out;
}

JsonText::Span JsonText::find(const Path& path) const {
  Container now = root();
  Span found;
  for (std::size_t i = 0; i < path.size(); ++i) {
    found = {};
    for (std::size_t m = 0; m < now.members.size(); ++m)
      if (now.is_object ? now.members[m].key == path[i] : fmt::format("[{}]", m) == path[i])
        found = now.members[m].value;
    if (!found.found()) return {};
    const bool holds = text_[found.begin] == '{' || text_[found.begin] == '[';
    if (i + 1 < path.size() && !holds) return {};
    if (holds) now = container(found.begin);
  }
  return found;
}

bool JsonText::has(const Path& path) const { return find(path).found(); }

std::string JsonText::value(const Path& path) const {
  const Span at = find(path);
  return at.found() ? text_.substr(at.begin, at.end - at.begin) : std::string();
}

// Behind the last member, on a line of its own where members have lines of their own.
void JsonText::insert(const Container& into, const std::string& key, const std::string& literal) {
  const std::string member = fmt::format("{}: {}", json_quoted(key), literal);
  if (into.members.empty()) {
    text_.insert(into.braced ? into.open + 1 : into.open, fmt::format(" {} ", member));
    return;
  }
  const Member& last = into.members.back();
  const std::size_t line = text_.rfind('\n', last.key_begin) + 1;  // npos + 1 = 0
  const std::size_t first = text_.find_first_not_of(" \t", line);
  const bool own_line = first == last.key_begin && (line > into.open || !into.braced);
  text_.insert(last.value.end, own_line ? fmt::format(",\n{}{}", text_.substr(line, first - line), member)
                                        : fmt::format(", {}", member));
}

bool JsonText::set(const Path& path, const std::string& literal) {
  if (const Span at = find(path); at.found()) {
    text_.replace(at.begin, at.end - at.begin, literal);
    return true;
  }
  // The deepest container that is there; what lacks below it is made at once.
  for (std::size_t depth = path.size(); depth-- > 0;) {
    const Path parent(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(depth));
    const Span at = find(parent);
    if (depth > 0 && !at.found()) continue;
    if (depth > 0 && text_[at.begin] != '{') return false;
    std::string nested = literal;
    for (std::size_t i = path.size(); --i > depth;) nested = fmt::format("{{ {}: {} }}", json_quoted(path[i]), nested);
    insert(depth == 0 ? root() : container(at.begin), path[depth], nested);
    return true;
  }
  return false;
}

}  // namespace ascendsim
