#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "reports/commands/commands.h"
#include "reports/validation/evaluate.h"
#include "reports/validation/summary.h"

namespace ascendsim {

namespace {

struct Suite {
  std::vector<CaseFile> files;
  std::vector<Result> results;  // in the order of the files
};

std::vector<std::string> files_of(const std::vector<std::string>& words) {
  if (!words.empty()) return words;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder("reports/validation")))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

// By its id, the beginning of it, or another name.
bool asked_for(const ValidationCase& c, const std::string& wanted) {
  return c.id.starts_with(wanted) || std::ranges::find(c.aka, wanted) != c.aka.end();
}

// The answer to "why" before the tables that it rests on.
Table reasons(const ValidationCase& c, const Outcome& outcome) {
  const Bar& bar = bar_of(c.metric->group);
  const double error = outcome.predicted / c.published - 1;
  const bool missed = bar.within > 0 && std::abs(error) > bar.within;
  std::vector<Term> largest = outcome.terms;
  std::ranges::stable_sort(largest, std::greater{}, &Term::time);
  constexpr std::size_t kShown = 3;
  if (largest.size() > kShown) largest.resize(kShown);
  std::vector<std::string> words;
  for (const Term& t : largest) words.push_back(fmt::format("{} {}", t.what, to_text(t.time)));
  Table t = facts("Why", "why");
  t.rows.push_back({"error", bar.within == 0
                                 ? fmt::format("{:+.1f} %, no bar was set", 100 * error)
                                 : fmt::format("{:+.1f} %, {} {:.0f} %", 100 * error,
                                               missed ? "MISSED: outside of" : "within", 100 * bar.within)});
  if (!words.empty()) t.rows.push_back({"largest terms", fmt::format("{}", fmt::join(words, "; "))});
  if (missed) t.rows.push_back({"suspected cause", c.note.empty() ? "none written: give the case a note" : c.note});
  return t;
}

// A library knows no file of cases.
Diagnostic in_case(Diagnostic d, const ValidationCase& c) {
  if (d.where.line == 0 && d.severity == Severity::kError) d.where = c.subject.where();
  return d;
}

std::optional<Outcome> predicted(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics found;
  auto outcome = evaluate(c, libraries, found);
  for (const Diagnostic& d : found.all())  // what a deployment leaves to defaults is no news here
    if (d.severity != Severity::kNote) diagnostics.add(in_case(d, c));
  return outcome;
}

Result result_of(const ValidationCase& c, const Libraries& libraries, std::vector<Table>* breakdown,
                 Diagnostics& diagnostics) {
  Result r;
  r.of = c;
  if (!c.needs.empty() || c.what.empty()) return r;
  const auto outcome = predicted(c, libraries, diagnostics);
  if (!outcome) return r;
  r.predicted = outcome->predicted;
  r.family = outcome->family;
  r.error = outcome->predicted / c.published - 1;
  if (breakdown == nullptr) return r;
  std::vector<Table> tables{reasons(c, *outcome)};
  tables.insert(tables.end(), outcome->breakdown.begin(), outcome->breakdown.end());
  for (Table& t : tables) {
    t.title = fmt::format("{}: {}", c.id, t.title);
    t.key = fmt::format("{}: {}", c.id, t.key);
    breakdown->push_back(std::move(t));
  }
  return r;
}

void unknown_case(const std::string& wanted, const std::vector<CaseFile>& files, Diagnostics& diagnostics) {
  std::vector<std::string_view> ids;
  for (const CaseFile& f : files)
    for (const ValidationCase& c : f.cases) ids.push_back(c.id);
  const std::string_view near = nearest(wanted, ids);
  diagnostics.error("E0387", {}, fmt::format("no case '{}'", wanted), {},
                    near.empty() ? "`ascendsim validate` lists them" : fmt::format("did you mean '{}'?", near));
}

std::string value_text(const Metric& metric, double value) {
  switch (metric.unit) {
    case Unit::kTime:
      return to_text(duration_from_seconds(value));
    case Unit::kBytes:
      return to_text(Bytes(std::llround(value)));
    case Unit::kFlopRate:
      return scaled_text(value, "FLOP/s");
    case Unit::kByteRate:
      return to_text(BytesPerSecond(value));
    case Unit::kTokenRate:
      return fmt::format("{:.4g} tok/s", value);
    case Unit::kRequestRate:
      return fmt::format("{:.4g} req/s", value);
    case Unit::kText:
      return "";
  }
  return "";
}

// Base units of JSON and CSV: ms, bytes, FLOP/s, B/s, tok/s, req/s.
double base_value(const Metric& metric, double value) { return metric.unit == Unit::kTime ? value * 1e3 : value; }

Cell value_cell(const ValidationCase& c, double value) {
  if (c.metric->unit == Unit::kText) return c.value_text;
  return {value_text(*c.metric, value), fmt::to_string(base_value(*c.metric, value))};
}

Cell percent_cell(double share) { return {fmt::format("{:+.1f} %", 100 * share), fmt::to_string(share)}; }
Cell share_text(double share) { return {fmt::format("{:.1f} %", 100 * share), fmt::to_string(share)}; }

Cell bar_text(double bar) { return bar == 0 ? Cell("") : share_text(bar); }

Table case_table(std::string title, std::string key) {
  return {std::move(title),
          std::move(key),
          Table::Shape::kGrid,
          {{"id", "id"},
           {"stack", "stack"},
           {"split", "split"},
           {"metric", "metric"},
           {"published", "published", true},
           {"predicted", "predicted", true},
           {"error", "error", true},
           {"needs", "needs"},
           {"definition", "definition"},
           {"source", "source"},
           {"note", "note"}},
          {}};
}

std::vector<Cell> case_row(const Result& r) {
  const ValidationCase& c = r.of;
  return {c.id,
          c.stack,
          to_text(c.split),
          c.metric->name,
          value_cell(c, c.published),
          r.error ? value_cell(c, r.predicted) : Cell(""),
          r.error ? percent_cell(*r.error) : Cell(""),
          c.needs,
          c.definition,
          c.source,
          c.note};
}

double distance(const Result& r) { return r.error ? std::abs(*r.error) : 0; }

// Misses first: the largest error first.
Table predicted_table(const std::vector<Result>& results, Split split, const char* title, const char* key) {
  std::vector<const Result*> of_split;
  for (const Result& r : results)
    if (r.error && r.of.split == split) of_split.push_back(&r);
  std::ranges::stable_sort(of_split, std::greater{}, [](const Result* r) { return distance(*r); });
  Table t = case_table(title, key);
  for (const Result* r : of_split) t.rows.push_back(case_row(*r));
  return t;
}

Table waiting_table(const std::vector<Result>& results) {
  Table t = case_table("Not predicted yet, and what they need", "not_predicted");
  for (const Result& r : results)
    if (!r.error) t.rows.push_back(case_row(r));
  return t;
}

const char* verdict_text(CaseVerdict v) {
  return v == CaseVerdict::kMet ? "met" : v == CaseVerdict::kMissed ? "MISSED" : "not judged";
}

Table summary_table(const std::vector<Result>& results, SummaryBy by) {
  const bool by_stack = by == SummaryBy::kStack;
  Table t{by_stack ? "Summary by stack" : "Summary",
          by_stack ? "summary_by_stack" : "summary",
          Table::Shape::kGrid,
          {{"metric", "metric"},
           {"stack", "stack"},
           {"split", "split"},
           {"values", "values", true},
           {"tables", "tables", true},
           {"median error", "median_error", true},
           {"bar", "median_bar", true},
           {"within", "within", true},
           {"share within", "share_within", true},
           {"verdict", "verdict"}},
          {}};
  for (const SummaryRow& r : summarise(results, by))
    t.rows.push_back({r.name, r.stack, to_text(r.split), count_cell(r.values), count_cell(r.tables),
                      share_text(r.median), bar_text(r.bar->median), bar_text(r.bar->within),
                      r.bar->within == 0 ? Cell("") : share_text(r.share_within), verdict_text(r.verdict)});
  return t;
}

Table honesty_table(const std::vector<Result>& results) {
  Table t = facts("What was fitted", "fitted");
  const auto count_split = [&](Split s) {
    return fmt::to_string(std::ranges::count_if(results, [&](const Result& r) { return r.error && r.of.split == s; }));
  };
  const FigureCounts catalogue = count_figures(data_folder("hardware/catalogue"));
  const FigureCounts stacks = count_figures(data_folder("strategies/engines/stacks"));
  const auto figures = [](const FigureCounts& c) {
    return fmt::format("{} fitted, {} assumed, of {}", c.fitted, c.assumed, c.all);
  };
  t.rows.push_back({"figures of the catalogue", figures(catalogue)});
  t.rows.push_back({"figures of the stacks", figures(stacks)});
  t.rows.push_back({"values that figures cite (fit)", count_split(Split::kFit)});
  t.rows.push_back({"values that no figure cites (test)", count_split(Split::kTest)});
  t.rows.push_back({"values shown, not scored (weak)", count_split(Split::kWeak)});
  t.rows.push_back({"factors of single cases", "none"});
  return t;
}

Table about() {
  return list_of(
      "About", "about",
      {"Written by `ascendsim validate --format md`; a test keeps it current. error = predicted / published - 1.",
       "A bar is met when the median |error| and 90 % of the values lie within it; judged from five test values up.",
       "A table counts once: its rows weigh 1 / rows each, in the median and in the share.",
       "fit: a figure of the catalogue or of a stack cites the value. weak: ambiguous sources, not scored."});
}

Table for_readers(Table t, Readers readers) {
  t.readers = readers;
  return t;
}

// People see the cases by split, misses first; machines one list of them, in the order of the files.
std::vector<Table> tables_of(const Suite& suite, bool whole) {
  std::vector<std::string> findings;
  if (whole)
    for (const CaseFile& f : suite.files) findings.insert(findings.end(), f.findings.begin(), f.findings.end());
  Table cases = case_table("Cases", "cases");
  for (const Result& r : suite.results) cases.rows.push_back(case_row(r));
  const std::vector<Result>& results = suite.results;
  return {for_readers(about(), Readers::kPeople),
          for_readers(std::move(cases), Readers::kMachines),
          summary_table(results, SummaryBy::kMetric),
          summary_table(results, SummaryBy::kStack),
          honesty_table(results),
          for_readers(list_of("What we think is missing", "findings", std::move(findings)), Readers::kPeople),
          for_readers(predicted_table(results, Split::kTest, "Test cases, misses first", "test"), Readers::kPeople),
          for_readers(predicted_table(results, Split::kFit, "Fit cases", "fit"), Readers::kPeople),
          for_readers(predicted_table(results, Split::kWeak, "Weak cases", "weak"), Readers::kPeople),
          for_readers(waiting_table(results), Readers::kPeople)};
}

Suite run_suite(const std::vector<std::string>& words, const std::string& only_case, std::vector<Table>* breakdown,
                Diagnostics& diagnostics) {
  const Libraries libraries;
  Suite suite;
  for (const std::string& file : files_of(words))
    suite.files.push_back(load_cases(file, libraries.stacks, diagnostics));
  for (const CaseFile& f : suite.files)  // cases that could not be read are not among them
    for (const ValidationCase& c : f.cases)
      if (asked_for(c, only_case)) suite.results.push_back(result_of(c, libraries, breakdown, diagnostics));
  for (const CaseFile& f : suite.files)
    for (const ValidationCase& c : f.misread)
      if (c.needs.empty()) predicted(c, libraries, diagnostics);
  if (suite.results.empty() && !only_case.empty() && !diagnostics.has_errors())
    unknown_case(only_case, suite.files, diagnostics);
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  return suite;
}

class ValidateCall final : public Call {
 public:
  void declare(Options& o) override {
    o.heading("Cases");
    o.text("--case", "ID", only_case_, "only this case, or the rows of this table");
    o.flag("--explain", explain_, "the breakdown behind each prediction");
  }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  std::string only_case_;
  bool explain_ = false;
};

Answer ValidateCall::answer(Diagnostics& diagnostics) {
  std::vector<Table> breakdown;
  const Suite suite = run_suite(words, only_case_, explain_ ? &breakdown : nullptr, diagnostics);
  const auto bars = summarise(suite.results, SummaryBy::kMetric);
  const bool missed = std::ranges::any_of(bars, [](const SummaryRow& r) { return r.verdict == CaseVerdict::kMissed; });
  Answer answer{.exit = missed ? Exit::kNo : Exit::kYes, .tables = tables_of(suite, only_case_.empty())};
  for (Table& t : breakdown) answer.add(std::move(t));
  return answer;
}

}  // namespace

constinit const Command kValidateCommand{
    .name = "validate",
    .summary = "predictions against published measurements: errors, medians, bars",
    .words = "[FILE...]",
    .words_help = "cases as docs/validation-cases.md describes them; those of the project by default",
    .least_words = 0,
    .most_words = SIZE_MAX,
    .example = "ascendsim validate --case cm384-decode-4k-8 --explain",
    .output = "tables on stdout; exit 0, 1 when a judged bar is missed, 2 on a wrong case file",
    .make = make_call<ValidateCall>};

}  // namespace ascendsim
