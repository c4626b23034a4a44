#include "strategies/engines/launch/option_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sim/check.h"

namespace ascendsim {

namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// What stands before a separator; the text keeps what stands behind it.
std::string_view taken(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trimmed(part);
}

template <class T>
T named(std::string_view word, std::span<const std::pair<std::string_view, T>> names) {
  const auto at = std::ranges::find(names, word, &std::pair<std::string_view, T>::first);
  check(at != names.end(), fmt::format("'{}' is a word of option tables", word).c_str());
  return at->second;
}

OptionType type_of(std::string_view word) {
  using enum OptionType;
  static constexpr std::pair<std::string_view, OptionType> kTypes[] = {
      {"flag", kFlag},     {"switch", kSwitch}, {"integer", kInteger}, {"tokens", kTokens},
      {"length", kLength}, {"number", kNumber}, {"choice", kText},     {"text", kText},
      {"open", kOpen},     {"maybe", kMaybe},   {"json", kJson},       {"list", kList}};
  return named<OptionType>(word, kTypes);
}

KeyUse use_of(std::string_view word) {
  static constexpr std::pair<std::string_view, KeyUse> kUses[] = {{"used", KeyUse::kUsed},
                                                                  {"assumed", KeyUse::kAssumed},
                                                                  {"none", KeyUse::kNoEffect},
                                                                  {"effect", KeyUse::kEffectNotModelled}};
  return named<KeyUse>(word, kUses);
}

double number_of(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

VersionRange range_of(std::string_view text) {
  const std::size_t dots = text.find("..");
  return dots == std::string_view::npos ? VersionRange{} : VersionRange{text.substr(0, dots), text.substr(dots + 2)};
}

}  // namespace

std::span<const std::string_view> OptionFile::words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty())
    if (const std::string_view word = taken(text, ' '); !word.empty()) out.push_back(word);
  if (out.empty()) return {};
  return words_.emplace_back(std::move(out));
}

OptionFile::OptionFile(std::string_view text) {
  std::string_view section, option;
  while (!text.empty()) {
    std::string_view line = taken(text, '\n');
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with('[')) {  // [options], [environment], [keys additional-config lenient]
      line = line.substr(1, line.size() - 2);
      section = taken(line, ' ');
      option = taken(line, ' ');
      if (line == "lenient") lenient_.push_back(option);
      continue;
    }
    std::string_view names = taken(line, '|'), type = taken(line, '|'), use = taken(line, '|');
    const VersionRange versions = range_of(taken(line, '|'));
    const std::string_view usually = taken(line, '|'), remark = taken(line, '|'), source = taken(line, '|');
    const std::string_view name = taken(names, ' '), type_word = taken(type, ' '), use_word = taken(use, ' ');
    const auto choices = type_word == "choice" ? words(type) : std::span<const std::string_view>();
    if (section == "keys") {
      json_keys_.push_back({option, name, use_of(use_word), remark, choices, versions, usually});
    } else if (section == "environment") {
      environment_.push_back({name, use_of(use_word), remark, source, choices, versions});
    } else {
      EngineOption o{name, names, type_of(type_word), use_of(use_word), use, 0, 0, remark, source, choices};
      if (const VersionRange limits = range_of(type); !limits.until.empty()) {
        o.least = number_of(limits.from);
        o.most = number_of(limits.until);
      }
      o.versions = versions;
      o.usually = usually;
      options_.push_back(o);
    }
  }
}

}  // namespace ascendsim
