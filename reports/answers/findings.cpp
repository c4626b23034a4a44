#include "reports/answers/findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace ascendsim {

namespace {

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
