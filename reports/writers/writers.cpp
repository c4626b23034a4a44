#include "reports/writers/writers.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "reports/answers/findings.h"
#include "reports/answers/json_parts.h"
#include "reports/writers/diagnostics.h"

namespace ascendsim {

namespace {

std::string tables_of(const Answer& a, Format format) {
  switch (format) {
    case Format::kMarkdown:
      return markdown_of(a.tables);
    case Format::kCsv: {
      const std::string tables = csv_of(a.tables), series = csv_of(a.series);
      return tables + (tables.empty() || series.empty() ? "" : "\n") + series;
    }
    default:
      return text_of(a.tables);
  }
}

std::string document_of(Answer& a) {
  Json whole = {{"schema_version", 1}};
  const auto put = [&whole](Json members) {
    for (auto& [key, value] : members.items()) whole[key] = std::move(value);
  };
  if (a.json) {
    put(std::move(*a.json));
  } else {
    put(tables_json(a.tables));
    put(tables_json(a.series));
  }
  whole["diagnostics"] = findings(a.findings);
  return json_text(whole);
}

}  // namespace

Output write(Answer a, Format format, bool verbose) {
  if (!a.text.empty()) return {std::move(a.text), a.remark + warnings_text(a.findings)};
  if (format == Format::kJson) return {document_of(a), a.remark};
  if (format == Format::kVllmBench) return {json_text(*a.benchmark), a.remark + warnings_text(a.findings)};
  if (format == Format::kShort || format == Format::kGithub) return {findings_lines(a.findings, format), a.remark};
  if (!a.findings_first) {
    a.add(list_of(a.notes_title, "notes", notes(a.findings)));
    return {tables_of(a, format), a.remark + warnings_text(a.findings)};
  }
  const std::string said = findings_text(a.findings, verbose);
  if (format != Format::kTable) return {tables_of(a, format), a.remark + said};
  return {said + (said.empty() ? "" : "\n") + tables_of(a, format), a.remark};
}

Output write_refusal(const Diagnostics& diagnostics, Format format, bool verbose) {
  Output out{{}, findings_text(diagnostics, verbose)};
  if (format == Format::kJson) out.out = json_text({{"schema_version", 1}, {"diagnostics", findings(diagnostics)}});
  return out;
}

}  // namespace ascendsim
