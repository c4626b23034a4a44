#include "reports/command_line/lists.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/units.h"

namespace ascendsim {

namespace {

constexpr std::size_t kMostValues = 1000;

class NumberReader {
 public:
  NumberReader(std::int64_t most, std::string& why) : most_(most), why_(why) {}

  bool part(std::string_view text) {
    const std::size_t dots = text.find("..");
    if (dots == std::string_view::npos) {
      const auto value = number(text);
      if (value) add(*value);
      return value.has_value();
    }
    const auto first = number(text.substr(0, dots)), last = first ? number(text.substr(dots + 2)) : std::nullopt;
    if (!last) return false;
    if (*first > *last) {
      why_ = fmt::format("a range goes upwards, got '{}'", text);
      return false;
    }
    for (std::int64_t v = *first; v < *last; v *= 2) add(v);
    add(*last);
    return true;
  }

  NumberList list;

 private:
  std::optional<std::int64_t> number(std::string_view text) {
    const auto value = parse_token_count(text);
    if (value && *value >= 1 && *value <= most_) return value;
    why_ = fmt::format("whole numbers from 1 to {} with commas between, or a range A..B, got '{}'", with_commas(most_),
                       text);
    return std::nullopt;
  }
  void add(std::int64_t v) {
    if (std::ranges::find(list.values, v) == list.values.end()) list.values.push_back(v);
  }

  std::int64_t most_;
  std::string& why_;
};

}  // namespace

std::optional<NumberList> parse_number_list(std::string_view text, std::int64_t most, std::string& why) {
  NumberReader reader(most, why);
  for (const std::string& part : split_list(text)) {
    if (!reader.part(part)) return std::nullopt;
    if (reader.list.values.size() > kMostValues) {
      why = fmt::format("more than {} values", kMostValues);
      return std::nullopt;
    }
  }
  return std::move(reader.list);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  if (text.empty()) return out;
  int depth = 0;
  bool quoted = false;
  std::string part;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == ',' && depth == 0 && !quoted) {
      out.push_back(std::move(part));
      part.clear();
    } else {
      part += c;
    }
  }
  out.push_back(std::move(part));
  return out;
}

}  // namespace ascendsim
