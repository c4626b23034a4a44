#include "strategies/deployment/words.h"

#include <fmt/format.h>

#include "strategies/deployment/fields.h"

namespace ascendsim {

std::string layout_words(const Layout& l, const DegreeWords& words, Degrees which, std::string_view between) {
  std::string out;
  const auto add = [&](std::string_view name, std::int64_t degree, bool always) {
    if (degree == 1 && !always) return;
    out += fmt::format("{}{} {}", out.empty() ? "" : between, name, degree);
  };
  const bool all = which == Degrees::kAll;
  add("pp", l.pp, false);
  add("dp", l.dp, all);
  add(words.cp, l.cp, all);
  add(words.sp, l.sp, all);
  add("tp", l.tp, all);
  add("moe_ep", l.moe_ep, all);
  add("moe_tp", l.moe_tp, all);
  return out;
}

std::string key_name(const Deployment& d, bool own_words, std::string_view key) {
  const Field* const field = find_field(key);
  if (field == nullptr) return std::string(key);
  if (own_words) return std::string(field->path);
  const EngineWords& words = d.engine->words;
  if (!words.has_options()) return std::string(field->alias.empty() ? key : field->alias);
  const std::string_view option = words.option_of(field->path);
  return option.empty() ? std::string(field->path) : fmt::format("--{}", option);
}
std::string key_name(const Deployment& d, std::string_view key) { return key_name(d, d.own_words, key); }

std::string key_setting(const Deployment& d, bool own_words, std::string_view key, std::int64_t value) {
  const std::string name = key_name(d, own_words, key);
  if (own_words) return fmt::format("{}: {}", name, value);
  if (!d.engine->words.has_options()) return fmt::format("\"{}\": {}", name, value);
  return fmt::format("{}{}{}", name, name.starts_with("--") ? " " : "=", value);
}
std::string key_setting(const Deployment& d, std::string_view key, std::int64_t value) {
  return key_setting(d, d.own_words, key, value);
}

std::string_view exchange_word(const Engine& engine, ExpertExchange exchange) {
  return engine.words.exchanges[static_cast<std::size_t>(exchange)];
}

}  // namespace ascendsim
