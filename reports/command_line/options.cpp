#include "reports/command_line/options.h"

#include <algorithm>

namespace ascendsim {

namespace {

std::string bare(std::string_view name) {
  return std::string(name.substr(std::min(name.find_first_not_of('-'), name.size())));
}

}  // namespace

std::string_view Option::name() const {
  const std::string_view all = names;
  const std::size_t at = std::min(all.find("--"), all.size());
  return all.substr(at, all.find(',', at) - at);
}

Option& Options::add(std::string names, std::string value, std::string help) {
  return rows_.emplace_back(
      Option{.names = std::move(names), .value = std::move(value), .help = std::move(help), .heading = heading_});
}

void Options::wrong(std::string message, std::string help) {
  diagnostics_.error("E0004", {}, std::move(message), {}, std::move(help));
}

void Options::unknown(std::string_view option, std::string_view word, std::span<const std::string_view> known) {
  const std::string_view near = nearest(word, known);
  wrong(fmt::format("unknown {} '{}'", option, word),
        near.empty() ? fmt::format("one of: {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", near));
}

Option& Options::flag(std::string names, bool& target, std::string help) {
  Option& o = add(std::move(names), {}, std::move(help));
  o.read = [&target](const std::string&) { target = true; };
  return o;
}

Option& Options::text(std::string names, std::string value, std::string& target, std::string help) {
  Option& o = add(std::move(names), std::move(value), std::move(help));
  o.read = [&target](const std::string& text) { target = text; };
  return o;
}

Option& Options::texts(std::string names, std::string value, std::vector<std::string>& target, std::string help) {
  Option& o = add(std::move(names), std::move(value), std::move(help));
  o.repeats = true;
  o.read = [&target](const std::string& text) { target.push_back(text); };
  return o;
}

std::optional<std::int64_t> Options::whole(std::string_view name, const std::string& text, const Bounds& range) {
  const auto value = parse_token_count(text);
  if (value && *value >= range.least && *value <= range.most) return value;
  wrong(fmt::format("{} must be a whole number from {} to {}, got '{}'", name, range.least, with_commas(range.most),
                    text),
        fmt::format("for example {}", range.examples));
  return std::nullopt;
}

Option& Options::count(std::string names, std::int64_t& target, const Bounds& range, std::string help) {
  Option& o = add(std::move(names), "N", std::move(help));
  o.fallback = fmt::to_string(target);
  o.read = [this, &o, &target, range](const std::string& text) {
    target = whole(o.name(), text, range).value_or(target);
  };
  return o;
}

Option& Options::count(std::string names, std::optional<std::int64_t>& target, const Bounds& range, std::string help) {
  Option& o = add(std::move(names), "N", std::move(help));
  if (target) o.fallback = fmt::to_string(*target);
  o.read = [this, &o, &target, range](const std::string& text) { target = whole(o.name(), text, range); };
  return o;
}

Option& Options::counts(std::string names, std::vector<std::int64_t>& target, const Bounds& range, std::string help) {
  Option& o = add(std::move(names), "N,...", std::move(help));
  o.read = [this, &o, &target, range](const std::string& text) {
    std::vector<std::int64_t> out;
    for (const std::string& part : split_list(text)) {
      const auto value = parse_token_count(part);
      if (!value || *value < range.least || *value > range.most)
        return wrong(fmt::format("{} must be whole numbers from {} to {} with commas between, got '{}'", o.name(),
                                 range.least, with_commas(range.most), text),
                     fmt::format("for example {}", range.examples));
      out.push_back(*value);
    }
    target = std::move(out);
  };
  return o;
}

Option& Options::numbers(std::string names, NumberList& target, const Bounds& range, std::string help) {
  Option& o = add(std::move(names), "LIST", std::move(help));
  o.read = [this, &o, &target, range](const std::string& text) {
    std::string why;
    if (auto list = parse_number_list(text, range.most, why))
      target = *std::move(list);
    else
      wrong(fmt::format("{}: {}", o.name(), why), fmt::format("for example {}", range.examples));
  };
  return o;
}

Option& Options::names(std::string names, std::vector<std::string>& target, std::string help) {
  Option& o = add(std::move(names), "NAME,...", std::move(help));
  o.read = [this, &o, &target](const std::string& text) {
    target = split_list(text);
    if (std::ranges::any_of(target, &std::string::empty))
      wrong(fmt::format("{} must be names with commas between, got '{}'", o.name(), text),
            "no comma at an end, none twice");
  };
  return o;
}

Option& Options::time(std::string names, std::optional<Duration>& target, std::string help) {
  Option& o = add(std::move(names), "TIME", std::move(help));
  o.read = [this, &o, &target](const std::string& text) {
    const auto value = parse_quantity<Duration>(text);
    if (value && value->count() > 0)
      target = value;
    else
      wrong(fmt::format("{} must be a time above 0, got '{}'", o.name(), text), "for example 2s, 500ms");
  };
  return o;
}

Option& Options::custom(std::string names, std::string value, std::function<void(const std::string&)> read,
                        std::string help) {
  Option& o = add(std::move(names), std::move(value), std::move(help));
  o.read = std::move(read);
  return o;
}

void Options::read_given() {
  for (Option& o : rows_) {
    if (o.given.empty()) continue;
    const std::span<const std::string> all = o.given;
    for (const std::string& text : o.repeats ? all : all.last(1)) {
      if (text.empty() && !o.value.empty())
        diagnostics_.error("E0003", {}, fmt::format("{} needs a value", o.name()), {}, o.help);
      else
        o.read(text);
    }
  }
}

Option& Options::at(std::string_view name) { return *std::ranges::find(rows_, name, &Option::name); }
const Option& Options::at(std::string_view name) const { return *std::ranges::find(rows_, name, &Option::name); }

std::string Options::suggestion(std::string_view name) const {
  for (const Option& o : rows_)
    for (const OtherWord& other : o.others)
      if (bare(other.word) == bare(name))
        return other.hint.empty() ? fmt::format("here it is '{}'", o.name()) : other.hint;
  for (const Option& o : rows_)
    if (std::string hint = o.meant ? o.meant(name) : std::string(); !hint.empty()) return hint;
  std::vector<std::string_view> names{"--help", "--version"};
  for (const Option& o : rows_) names.push_back(o.name());
  const std::string_view near = nearest(name, names);
  return near.empty() ? std::string("ascendsim COMMAND --help lists the options")
                      : fmt::format("did you mean '{}'?", near);
}

void say_missing(const Option& option, Diagnostics& diagnostics) {
  diagnostics.error("E0003", {}, fmt::format("{} {} is missing", option.name(), option.value), {}, option.help);
}

}  // namespace ascendsim
