#include "reports/answers/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ascendsim {

namespace {

// GitHub's workflow commands: '%' and line breaks are escaped, in properties ':' and ',' too.
std::string github_escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ',')))
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else
      out += c;
  }
  return out;
}

std::string github_line(const Diagnostic& d) {
  const char* const level = d.severity == Severity::kError     ? "error"
                            : d.severity == Severity::kWarning ? "warning"
                                                               : "notice";
  std::string properties;
  if (!d.where.file.empty()) properties += fmt::format("file={},", github_escaped(d.where.file, true));
  if (d.where.line > 0) properties += fmt::format("line={},col={},", d.where.line, d.where.column);
  properties += fmt::format("title={}", github_escaped(d.code, true));
  std::string message = d.message;
  if (!d.rule.empty()) message += fmt::format("\nrule: {}", d.rule);
  if (!d.help.empty()) message += fmt::format("\nhelp: {}", d.help);
  return fmt::format("::{} {}::{}\n", level, properties, github_escaped(message, false));
}

std::string plural(std::ptrdiff_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

}  // namespace

std::string_view to_text(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    default:
      return "note";
  }
}

std::string findings_text(const Diagnostics& diagnostics, bool verbose) {
  std::string out;
  for (const Severity severity : {Severity::kError, Severity::kWarning, Severity::kNote})
    for (const Diagnostic& d : diagnostics.all())
      if (d.severity == severity) out += severity == Severity::kNote && !verbose ? render_short(d) + "\n" : render(d);
  return out;
}

std::string warnings_text(const Diagnostics& diagnostics) {
  std::string out;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::kWarning) out += render(d);
  return out;
}

std::string findings_lines(const Diagnostics& diagnostics, Format format) {
  std::string out;
  for (const Diagnostic& d : diagnostics.all())
    out += format == Format::kGithub ? github_line(d) : render_short(d) + "\n";
  return out;
}

std::string count_in_words(const Diagnostics& diagnostics) {
  const auto count = [&](Severity s) { return std::ranges::count(diagnostics.all(), s, &Diagnostic::severity); };
  const auto errors = count(Severity::kError), warnings = count(Severity::kWarning);
  if (errors > 0 && warnings > 0) return plural(errors, "error") + ", " + plural(warnings, "warning");
  return errors > 0 ? plural(errors, "error") : warnings > 0 ? plural(warnings, "warning") : std::string();
}

std::vector<std::string> notes(const Diagnostics& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.severity != Severity::kNote) continue;
    if (d.where.file.empty())
      out.push_back(d.message);
    else if (d.where.line == 0)
      out.push_back(fmt::format("{} ({})", d.message, d.where.file));
    else
      out.push_back(fmt::format("{} ({}:{})", d.message, d.where.file, d.where.line));
  }
  return out;
}

}  // namespace ascendsim
