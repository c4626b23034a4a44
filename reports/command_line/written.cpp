#include "reports/command_line/written.h"

#include <algorithm>

#include "reports/writers/table.h"

namespace ascendsim {

void ValueReader::wrong(std::string message, std::string help) {
  diagnostics_.error("E0004", {}, std::move(message), {}, std::move(help));
}

std::optional<std::int64_t> ValueReader::count(const char* name, const std::string& text, std::int64_t most,
                                               const char* examples, std::int64_t least) {
  if (text.empty()) return std::nullopt;
  const auto value = parse_token_count(text);
  if (value && *value >= least && *value <= most) return value;
  wrong(fmt::format("{} must be a whole number from {} to {}, got '{}'", name, least, with_commas(most), text),
        fmt::format("for example {}", examples));
  return std::nullopt;
}

// Token counts of sequences, with commas between.
std::vector<std::int64_t> ValueReader::counts(const char* name, const std::string& text, std::int64_t least,
                                              std::int64_t most, const char* examples) {
  std::vector<std::int64_t> out;
  for (std::size_t at = 0; !text.empty() && at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const auto value = parse_token_count(text.substr(at, comma - at));
    if (!value || *value < least || *value > most) {
      wrong(fmt::format("{} must be whole numbers from {} to {} with commas between, got '{}'", name, least,
                        with_commas(most), text),
            fmt::format("for example {}", examples));
      return {};
    }
    out.push_back(*value);
    at = comma + 1;
  }
  return out;
}

NumberList ValueReader::numbers(const char* name, const std::string& text, std::int64_t most, const char* example) {
  if (text.empty()) return {};
  std::string why;
  if (auto list = parse_number_list(text, most, why)) return *std::move(list);
  wrong(fmt::format("{}: {}", name, why), fmt::format("for example {}", example));
  return {};
}

std::optional<Duration> ValueReader::at_most(const char* name, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto value = parse_quantity<Duration>(text);
  if (value && value->count() > 0) return value;
  wrong(fmt::format("{} must be a time above 0, got '{}'", name, text), "for example 2s, 500ms");
  return std::nullopt;
}

// Whoever compares says what is wrong with a text that has no values, beside all else.
std::vector<Varied> ValueReader::vary(const std::vector<std::string>& written) {
  std::vector<Varied> out;
  for (const std::string& text : written) {
    const std::size_t equals = std::min(text.find('='), text.size());
    out.push_back(
        {text.substr(0, equals), split_list(std::string_view(text).substr(std::min(equals + 1, text.size())))});
  }
  return out;
}

std::vector<std::string> ValueReader::names(const char* name, const std::string& text) {
  std::vector<std::string> out = split_list(text);
  if (std::ranges::any_of(out, &std::string::empty))
    wrong(fmt::format("{} must be names with commas between, got '{}'", name, text), "no comma at an end, none twice");
  return out;
}

}  // namespace ascendsim
