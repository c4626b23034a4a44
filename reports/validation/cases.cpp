#include "reports/validation/cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace ascendsim {

namespace {

constexpr std::array<std::string_view, 3> kSplits = {"test", "fit", "weak"};
constexpr std::array<std::string_view, 4> kSubjects = {"kernel", "collective", "copy", "deployment"};

constexpr std::array<Metric, 17> kMetrics = {{
    {"kernel_time", MetricGroup::kKernel, Unit::kTime},
    {"kernel_rate", MetricGroup::kKernel, Unit::kFlopRate},
    {"kernel_bandwidth", MetricGroup::kKernel, Unit::kByteRate},
    {"collective_time", MetricGroup::kCollective, Unit::kTime},
    {"collective_bandwidth", MetricGroup::kCollective, Unit::kByteRate},
    {"copy_bandwidth", MetricGroup::kCollective, Unit::kByteRate},
    {"weights", MetricGroup::kMemory, Unit::kBytes},
    {"memory_peak", MetricGroup::kMemory, Unit::kBytes},
    {"weights_saved", MetricGroup::kMemory, Unit::kBytes},
    {"kv_cache_per_token", MetricGroup::kMemory, Unit::kBytes},
    {"decode_step", MetricGroup::kDecode, Unit::kTime},
    {"tpot", MetricGroup::kDecode, Unit::kTime},
    {"prefill_step", MetricGroup::kPrefill, Unit::kTime},
    {"ttft", MetricGroup::kPrefill, Unit::kTime},
    {"output_throughput", MetricGroup::kThroughput, Unit::kTokenRate},
    {"request_throughput", MetricGroup::kThroughput, Unit::kRequestRate},
    {"other", MetricGroup::kOther, Unit::kText},
}};

std::string_view subject_of(const Metric& m) {
  switch (m.group) {
    case MetricGroup::kKernel:
      return "kernel";
    case MetricGroup::kCollective:
      return m.name.starts_with("copy") ? "copy" : "collective";
    case MetricGroup::kMemory:
    case MetricGroup::kDecode:
    case MetricGroup::kPrefill:
    case MetricGroup::kThroughput:
      return "deployment";
    case MetricGroup::kOther:
      return "";
  }
  return "";
}

template <class Q>
std::optional<double> base_units(const std::string& text) {
  const auto q = parse_quantity<Q>(text);
  if (!q) return std::nullopt;
  if constexpr (std::is_same_v<Q, Duration>)
    return seconds(*q);
  else
    return static_cast<double>(q->count());
}

std::string_view expected(Unit unit) {
  switch (unit) {
    case Unit::kTime:
      return expected_unit<Duration>();
    case Unit::kBytes:
      return expected_unit<Bytes>();
    case Unit::kFlopRate:
      return expected_unit<FlopsPerSecond>();
    case Unit::kByteRate:
      return expected_unit<BytesPerSecond>();
    case Unit::kTokenRate:
      return "tok/s";
    case Unit::kRequestRate:
      return "req/s";
    case Unit::kText:
      return "";
  }
  return "";
}

// "192.05 tok/s"
std::optional<double> parse_rate(std::string_view text, std::string_view unit) {
  if (!text.ends_with(unit)) return std::nullopt;
  text.remove_suffix(unit.size());
  while (text.ends_with(' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (wrong != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> parse_value(Unit unit, const std::string& text) {
  switch (unit) {
    case Unit::kTokenRate:
    case Unit::kRequestRate:
      return parse_rate(text, expected(unit));
    case Unit::kTime:
      return base_units<Duration>(text);
    case Unit::kBytes:
      return base_units<Bytes>(text);
    case Unit::kFlopRate:
      return base_units<FlopsPerSecond>(text);
    case Unit::kByteRate:
      return base_units<BytesPerSecond>(text);
    case Unit::kText:
      return 0.0;
  }
  return std::nullopt;
}

class CaseReader {
 public:
  CaseReader(const StackLibrary& stacks, Diagnostics& diagnostics, CaseFile& file)
      : stacks_(stacks.names()), diagnostics_(diagnostics), out_(file.cases), misread_(file.misread) {}

  void read(ConfigNode node) {
    const auto before = count_errors();
    ValidationCase c;
    c.where = node.where();
    Section section(node, diagnostics_);
    if (!node.is_map()) return;
    c.id = section.required<std::string>("id");
    const ConfigNode aka = section.node("aka");
    for (std::size_t i = 0; i < aka.size(); ++i) c.aka.emplace_back(aka.at(i).text());
    c.source = text(section, "source", "where was it published?");
    c.definition = text(section, "definition", "what was measured, from where to where?");
    c.stack = section.required<std::string>("stack");
    c.needs = section.optional<std::string>("needs", {});
    c.note = section.optional<std::string>("note", {});
    check_stack(c.stack, section.node("stack"));
    c.split = static_cast<Split>(choice(section, "split", kSplits));
    const ConfigNode cited = section.node("cited_by");
    for (std::size_t i = 0; i < cited.size(); ++i) c.cited_by.emplace_back(cited.at(i).text());
    if (cited && c.split != Split::kFit)
      diagnostics_.error("E0384", cited.where(), "a case that a figure cites is no test of it", {}, "split: fit");
    read_metric(section, c);
    read_subject(section, c);
    const ConfigNode value = section.node("value"), table = section.node("table");
    section.finish();
    const std::size_t first = out_.size();
    if (std::ranges::find(ids_, c.id) != ids_.end())
      diagnostics_.error("E0385", node.find("id").where(), fmt::format("two cases with the id '{}'", c.id));
    ids_.push_back(c.id);
    if (static_cast<bool>(value) == static_cast<bool>(table))
      diagnostics_.error("E0384", c.where, "a case has either a value or a table of values");
    else if (value)
      add(c, value);
    else
      add_table(c, table);
    // What a misread case would predict says nothing.
    if (count_errors() == before) return;
    out_.resize(first);
    const bool known_stack = c.stack == "none" || std::ranges::find(stacks_, c.stack) != stacks_.end();
    if (c.metric == nullptr || !c.subject.is_map() || c.what != subject_of(*c.metric) || table ||
        (c.what == "deployment" && !known_stack))
      return;
    if (!known_stack) c.stack = "none";
    misread_.push_back(std::move(c));
  }

 private:
  [[nodiscard]] std::ptrdiff_t count_errors() const {
    return std::ranges::count(diagnostics_.all(), Severity::kError, &Diagnostic::severity);
  }

  std::string text(Section& section, std::string_view key, const char* question) {
    const ConfigNode node = section.node(key);
    if (node.is_scalar() && !node.text().empty()) return std::string(node.text());
    const ConfigNode self = section.self();
    diagnostics_.error("E0380", node ? node.where() : self.where(), fmt::format("a case without a {}", key), {},
                       question);
    return {};
  }

  template <std::size_t N>
  std::size_t choice(Section& section, std::string_view key, const std::array<std::string_view, N>& known) {
    const std::string word = section.required<std::string>(key);
    const auto at = std::ranges::find(known, word);
    if (at != known.end()) return static_cast<std::size_t>(at - known.begin());
    if (!word.empty()) unknown(section.node(key), key, word, known);
    return 0;
  }

  void unknown(ConfigNode node, std::string_view key, std::string_view word, std::span<const std::string_view> known) {
    const std::string_view near = nearest(word, known);
    diagnostics_.error("E0381", node.where(), fmt::format("unknown {} '{}'", key, word),
                       fmt::format("one of: {}", fmt::join(known, ", ")),
                       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  }

  void check_stack(const std::string& stack, ConfigNode node) {
    if (stack.empty() || stack == "none") return;
    std::vector<std::string_view> known(stacks_.begin(), stacks_.end());
    known.push_back("none");
    if (std::ranges::find(known, stack) == known.end()) unknown(node, "stack", stack, known);
  }

  void read_metric(Section& section, ValidationCase& c) {
    const std::string word = section.required<std::string>("metric");
    const auto at = std::ranges::find(kMetrics, word, &Metric::name);
    if (at != kMetrics.end()) {
      c.metric = &*at;
    } else if (!word.empty()) {
      std::vector<std::string_view> known;
      for (const Metric& m : kMetrics) known.push_back(m.name);
      unknown(section.node("metric"), "metric", word, known);
    }
  }

  void read_subject(Section& section, ValidationCase& c) {
    for (const std::string_view what : kSubjects)
      if (const ConfigNode node = section.node(what)) {
        if (!c.what.empty())
          diagnostics_.error("E0384", node.where(), fmt::format("a case predicts one thing: {} or {}", c.what, what));
        c.what = what;
        c.subject = node;
        if (!node.is_map()) diagnostics_.error("E0384", node.where(), fmt::format("{} must be a map", what));
      }
    const std::string_view from = c.metric == nullptr ? "" : subject_of(*c.metric);
    if (!from.empty() && !c.what.empty() && c.what != from)
      diagnostics_.error("E0384", c.subject.where(),
                         fmt::format("{} is predicted from a {}, not from a {}", c.metric->name, from, c.what), {},
                         fmt::format("{}: {{...}}", from));
    if (c.what.empty() && c.needs.empty())
      diagnostics_.error("E0384", c.where, "a case says what to predict, or what it needs", {},
                         "kernel, collective, copy or deployment; or needs: serving");
    const ConfigNode before = section.node("instead_of");
    for (std::size_t i = 0; i < before.size(); ++i)
      c.instead_of.push_back(fmt::format("{}={}", before.at(i).key(), before.at(i).text()));
  }

  void add(ValidationCase c, ConfigNode value) {
    c.value_text = value.text();
    c.where = value.where();
    if (c.metric == nullptr) return;
    const auto parsed = value.is_scalar() ? parse_value(c.metric->unit, c.value_text) : std::nullopt;
    if (!parsed || (c.metric->unit != Unit::kText && *parsed <= 0)) {
      diagnostics_.error("E0382", value.where(), fmt::format("'{}' is no value of {}", c.value_text, c.metric->name),
                         {}, fmt::format("a positive number with a unit: {}", expected(c.metric->unit)));
      return;
    }
    c.published = *parsed;
    out_.push_back(std::move(c));
  }

  // {columns: [m, value], rows: [[1, 50 us], ...]}
  void add_table(const ValidationCase& c, ConfigNode table) {
    Section section(table, diagnostics_);
    const ConfigNode columns = section.node("columns"), rows = section.node("rows");
    section.finish();
    if (!columns.is_sequence() || columns.size() < 1 || columns.at(columns.size() - 1).text() != "value" ||
        !rows.is_sequence()) {
      diagnostics_.error("E0383", table.where(), "a table has columns, the last one `value`, and rows", {},
                         "table: {columns: [m, value], rows: [[1, 50 us]]}");
      return;
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const ConfigNode cells = rows.at(r);
      if (!cells.is_sequence() || cells.size() != columns.size()) {
        diagnostics_.error("E0383", cells.where(), fmt::format("a row of {} cells is needed", columns.size()));
        continue;
      }
      ValidationCase of_row = c;
      of_row.table_rows = static_cast<std::int64_t>(rows.size());
      std::vector<std::string> words;
      for (std::size_t i = 0; i + 1 < columns.size(); ++i) {
        of_row.row.emplace_back(columns.at(i).text(), cells.at(i));
        words.emplace_back(cells.at(i).text());
      }
      of_row.id = fmt::format("{}/{}", c.id, fmt::join(words, "-"));
      add(std::move(of_row), cells.at(cells.size() - 1));
    }
  }

  std::vector<std::string> stacks_, ids_;
  Diagnostics& diagnostics_;
  std::vector<ValidationCase>&out_, &misread_;
};

}  // namespace

std::string_view to_text(Split split) { return kSplits[static_cast<std::size_t>(split)]; }

CaseFile load_cases(const std::string& path, const StackLibrary& stacks, Diagnostics& diagnostics) {
  CaseFile file;
  file.document = Document::load(path, diagnostics);
  if (!file.document) return file;
  Section root(file.document->root(), diagnostics);
  const ConfigNode cases = root.node("cases"), findings = root.node("findings");
  root.finish();
  if (!cases.is_sequence())
    diagnostics.error("E0383", file.document->root().where(), "a file of cases has a list `cases`", {},
                      "docs/validation-cases.md shows one");
  else if (cases.size() == 0)
    diagnostics.error("E0383", cases.where(), "the list `cases` is empty", {}, "docs/validation-cases.md shows a case");
  CaseReader reader(stacks, diagnostics, file);
  for (std::size_t i = 0; i < cases.size(); ++i) reader.read(cases.at(i));
  for (std::size_t i = 0; i < findings.size(); ++i) file.findings.emplace_back(findings.at(i).text());
  return file;
}

Parameters::Parameters(const ValidationCase& c, Diagnostics& diagnostics) : case_(c), diagnostics_(diagnostics) {}

ConfigNode Parameters::find(std::string_view name) {
  asked_.emplace_back(name);
  for (const auto& [column, cell] : case_.row)
    if (column == name) return cell;
  return case_.subject.find(name);
}

void Parameters::missing(std::string_view name) {
  diagnostics_.error("E0386", case_.subject.where(),
                     fmt::format("{} of case {} needs '{}'", case_.what, case_.id, name));
}

std::int64_t Parameters::count(std::string_view name, std::optional<std::int64_t> fallback) {
  const ConfigNode node = find(name);
  if (!node) {
    if (!fallback) missing(name);
    return fallback.value_or(1);
  }
  const auto parsed = node.is_scalar() ? parse_token_count(node.text()) : std::nullopt;
  constexpr std::int64_t kMost = 1 << 24;
  if (parsed && *parsed >= 1 && *parsed <= kMost) return *parsed;
  diagnostics_.error("E0386", node.where(),
                     fmt::format("{} must be a whole number from 1 to {}, got '{}'", name, kMost, node.text()));
  return 1;
}

std::string Parameters::word(std::string_view name, std::string_view fallback) {
  const ConfigNode node = find(name);
  if (!node && fallback.empty()) missing(name);
  return std::string(node ? node.text() : fallback);
}

Bytes Parameters::bytes(std::string_view name) {
  const ConfigNode node = find(name);
  if (!node) missing(name);
  const auto parsed = node ? node.as_quantity<Bytes>(diagnostics_) : std::nullopt;
  return parsed.value_or(Bytes(1));
}

void Parameters::finish() {
  std::vector<std::string_view> known(asked_.begin(), asked_.end());
  const auto check_key = [&](std::string_view key, SourceLocation where) {
    if (std::ranges::find(known, key) != known.end()) return;
    const std::string_view near = nearest(key, known);
    diagnostics_.error("E0386", std::move(where), fmt::format("unknown key '{}' of a {}", key, case_.what),
                       fmt::format("known: {}", fmt::join(known, ", ")),
                       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
  };
  for (std::size_t i = 0; i < case_.subject.size(); ++i)
    check_key(case_.subject.at(i).key(), case_.subject.at(i).key_where());
  for (const auto& [column, cell] : case_.row) check_key(column, cell.where());
}

void Parameters::error(std::string message, std::string help) {
  diagnostics_.error("E0386", case_.subject.where(), std::move(message), {}, std::move(help));
}

}  // namespace ascendsim
