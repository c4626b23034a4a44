#include "reports/writers/diagnostics.h"

#include <fmt/format.h>

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

}  // namespace

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

}  // namespace ascendsim
