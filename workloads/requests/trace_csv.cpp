// Comma separated values, RFC 4180 but for one thing: a quoted field ends on its line.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "workloads/requests/trace_rows.h"

namespace ascendsim {
namespace {

struct Field {
  std::string_view text;   // without quotes and the blanks around
  std::size_t offset = 0;  // of the text in the line
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return text.substr(text.size());
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// False after a quote without its end or text behind one. "" inside quotes stays as it is: no number has one.
bool split(std::string_view line, std::vector<Field>& fields, std::size_t& fault) {
  fields.clear();
  std::size_t at = 0;
  for (;;) {
    std::size_t end = std::min(line.find(',', at), line.size());
    std::string_view text = trimmed(line.substr(at, end - at));
    if (text.starts_with('"')) {
      const std::size_t open = static_cast<std::size_t>(text.data() - line.data());
      std::size_t close = open;
      do close = line.find('"', close + 1);
      while (close != std::string_view::npos && close + 1 < line.size() && line[close + 1] == '"' && ++close);
      end = close == std::string_view::npos ? close : line.find_first_not_of(" \t", close + 1);
      if (close == std::string_view::npos || (end != std::string_view::npos && line[end] != ',')) {
        fault = close == std::string_view::npos ? open : end;
        return false;
      }
      end = std::min(end, line.size());
      text = trimmed(line.substr(open + 1, close - open - 1));
    }
    fields.push_back({text, static_cast<std::size_t>(text.data() - line.data())});
    if (end == line.size()) return true;
    at = end + 1;
  }
}

class CsvRows : public TraceRows {
 public:
  CsvRows(TraceLines& lines, TraceProblems& problems) : lines_(lines), problems_(problems) {}

  bool read_header(const TraceOptions& options) {
    if (!read_fields()) return false;
    columns_ = fields_.size();
    std::vector<std::string> has;
    for (const Field& f : fields_) has.emplace_back(f.text);
    const bool numbers = std::any_of(has.begin(), has.end(), [](const std::string& name) {
      return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.';
      });
    });
    if (numbers) {
      problems_.error("E0610", lines_.number(), lines_.text(), 0, "the first line has numbers and no names of columns",
                      {}, "put a header in front, for instance: arrival_s,input,output");
      return false;
    }
    const auto choice = choose_names(has, "column", options, lines_, problems_);
    if (!choice) return false;
    choice_ = *choice;
    time_ = column(choice_.time_name);
    input_ = column(choice_.names.input);
    output_ = column(choice_.names.output);
    priority_ = column(choice_.names.priority);
    return !problems_.any();
  }

  Got next(TraceRow& row) override {
    if (!lines_.next()) return Got::kEnd;
    if (!read_fields()) return Got::kWrong;
    if (fields_.size() != columns_) {
      problems_.error("E0620", lines_.number(), lines_.text(), lines_.text().size(),
                      fmt::format("{} fields, the header has {}", fields_.size(), columns_), {},
                      lines_.ended() ? "complete or remove the line" : "the file seems to be cut in this line");
      return Got::kWrong;
    }
    row.line = lines_.number();
    row.request.shared.clear();
    row.time = 0;
    const auto time = time_
                          ? read_time(at(time_), choice_.clock, choice_.time_name, at_offset(time_), lines_, problems_)
                          : std::optional<TraceTime>(0);
    const auto input = read_tokens(at(input_), choice_.names.input, at_offset(input_), lines_, problems_);
    const auto output = read_tokens(at(output_), choice_.names.output, at_offset(output_), lines_, problems_);
    const auto priority =
        priority_ ? read_priority(at(priority_), choice_.names.priority, at_offset(priority_), lines_, problems_)
                  : std::optional<std::int64_t>(0);
    if (!time || !input || !output || !priority) return Got::kWrong;
    row.time = *time;
    row.time_offset = time_ ? at_offset(time_) : 0;
    row.input_offset = at_offset(input_);
    row.request.input_tokens = *input;
    row.request.output_tokens = *output;
    row.request.priority = *priority;
    return Got::kRow;
  }

 private:
  using Column = std::optional<std::size_t>;

  [[nodiscard]] std::string_view at(Column c) const { return fields_[*c].text; }
  [[nodiscard]] std::size_t at_offset(Column c) const { return fields_[*c].offset; }

  bool read_fields() {
    std::size_t fault = 0;
    if (split(lines_.text(), fields_, fault)) return true;
    problems_.error("E0620", lines_.number(), lines_.text(), fault,
                    lines_.text()[fault] == '"' ? "the quote is not closed on its line" : "text behind a closing quote",
                    "RFC 4180", "double the quotes inside a quoted field, and keep it on one line");
    return false;
  }

  Column column(std::string_view name) {
    if (name.empty()) return {};
    Column found;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (!same_name(fields_[i].text, name)) continue;
      if (found)
        problems_.error("E0622", lines_.number(), lines_.text(), fields_[i].offset,
                        fmt::format("the column {} stands twice", name), {}, "remove or rename one of them");
      found = i;
    }
    return found;
  }

  TraceLines& lines_;
  TraceProblems& problems_;
  TraceChoice choice_;
  std::vector<Field> fields_;
  std::size_t columns_ = 0;
  Column time_, input_, output_, priority_;
};

}  // namespace

std::unique_ptr<TraceRows> read_csv(TraceLines& lines, const TraceOptions& options, TraceProblems& problems) {
  auto rows = std::make_unique<CsvRows>(lines, problems);
  return rows->read_header(options) ? std::move(rows) : nullptr;
}

}  // namespace ascendsim
