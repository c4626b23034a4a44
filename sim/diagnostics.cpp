#include "sim/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <iterator>

namespace ascendsim {
namespace {

std::string_view to_text(Severity severity) {
  switch (severity) {
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
    default:
      return "error";
  }
}

std::string headline(const Diagnostic& d) {
  const std::string code = d.code.empty() ? std::string() : fmt::format("[{}]", d.code);
  return fmt::format("{}{}: {}", to_text(d.severity), code, d.message);
}

std::string place(const SourceLocation& where) {
  if (where.line == 0) return where.file;
  return fmt::format("{}:{}:{}", where.file, where.line, where.column);
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

// Terminals draw Chinese, Japanese and Korean characters two columns wide; nearly all of them start with these bytes.
bool is_wide(char first_byte) {
  const auto byte = static_cast<unsigned char>(first_byte);
  return byte >= 0xE3u && byte <= 0xEDu;
}

// The blank text in front of the caret. Tabs are kept, so the caret stands right for any tab width.
std::string caret_indent(std::string_view excerpt, int column) {
  std::string indent;
  int characters = 1;
  for (const char c : excerpt) {
    if (continues_character(c)) continue;
    if (characters++ >= column) break;
    indent += c == '\t' ? "\t" : is_wide(c) ? "  " : " ";
  }
  return indent;
}

std::string normalised(std::string_view word) {
  std::string result(word);
  for (char& c : result) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Optimal string alignment: insertion, deletion, substitution and the swap of two neighbours count one each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substituted});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

}  // namespace

Diagnostics Diagnostics::only_whether() {
  Diagnostics d;
  d.says_ = false;
  return d;
}

void Diagnostics::add(Diagnostic d) {
  if (!says_) {
    if (d.severity == Severity::kError && refused_.empty()) refused_ = std::move(d.code);
    return;
  }
  for (std::string* text : {&d.message, &d.rule, &d.help, &d.where.key_path})
    std::ranges::replace_if(
        *text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  all_.push_back(std::move(d));
}

void Diagnostics::error(std::string code, SourceLocation where, std::string message, std::string rule,
                        std::string help) {
  add({Severity::kError, std::move(code), std::move(message), std::move(where), std::move(rule), std::move(help)});
}

void Diagnostics::warning(std::string code, SourceLocation where, std::string message, std::string rule,
                          std::string help) {
  add({Severity::kWarning, std::move(code), std::move(message), std::move(where), std::move(rule), std::move(help)});
}

void Diagnostics::note(std::string code, SourceLocation where, std::string message, std::string rule,
                       std::string help) {
  add({Severity::kNote, std::move(code), std::move(message), std::move(where), std::move(rule), std::move(help)});
}

bool Diagnostics::has_errors() const {
  return !refused_.empty() ||
         std::any_of(all_.begin(), all_.end(), [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

std::string Diagnostics::first_error() const {
  const auto error = std::ranges::find(all_, Severity::kError, &Diagnostic::severity);
  return error == all_.end() ? refused_ : error->code;
}

void Diagnostics::throw_if_errors() const {
  if (has_errors()) throw ConfigError(*this);
}

void Diagnostics::append(const Diagnostics& other) {
  const std::size_t count = other.all_.size();  // fixed beforehand: `other` may be *this
  all_.reserve(all_.size() + count);
  for (std::size_t i = 0; i < count; ++i) all_.push_back(other.all_[i]);
  if (refused_.empty()) refused_ = other.refused_;
}

std::string render(const Diagnostic& d) {
  const SourceLocation& where = d.where;
  const std::string number = where.line > 0 ? std::to_string(where.line) : std::string();
  const std::string gutter(std::max<std::size_t>(number.size(), 1), ' ');
  const auto out_to = [](std::string& text) { return std::back_inserter(text); };

  std::string text = headline(d) + "\n";
  if (!where.file.empty() || !where.key_path.empty()) {
    const std::string file = where.file.empty() ? std::string() : place(where);
    const std::string_view separator = file.empty() || where.key_path.empty() ? "" : "  ";
    fmt::format_to(out_to(text), "{}--> {}{}{}\n", gutter, file, separator, where.key_path);
  }
  if (where.line > 0 && !where.excerpt.empty()) {
    fmt::format_to(out_to(text), "{0} |\n{1} | {2}\n{0} | {3}^\n", gutter, number, where.excerpt,
                   caret_indent(where.excerpt, where.column));
  }
  if (!d.rule.empty()) fmt::format_to(out_to(text), "{} = rule: {}\n", gutter, d.rule);
  if (!d.help.empty()) fmt::format_to(out_to(text), "{} = help: {}\n", gutter, d.help);
  return text;
}

std::string render_short(const Diagnostic& d) {
  if (d.where.file.empty()) return headline(d);
  return fmt::format("{}: {}", place(d.where), headline(d));
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string wanted = normalised(word);
  std::size_t smallest = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string_view result;
  for (const std::string_view candidate : candidates) {
    const std::size_t difference = std::max(candidate.size(), word.size()) - std::min(candidate.size(), word.size());
    if (difference >= smallest) continue;
    const std::size_t distance = edit_distance(wanted, normalised(candidate));
    if (distance >= smallest) continue;
    smallest = distance;
    result = candidate;
  }
  return result;
}

}  // namespace ascendsim
