// Typed readings of one value: what was expected, and what stands there instead.
#include "sim/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <type_traits>
#include <utility>

namespace ascendsim {

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string result(text.substr(0, kLongest));
  if (text.size() > kLongest) {
    while (!result.empty() && (static_cast<unsigned char>(text[result.size()]) & 0xC0u) == 0x80u) result.pop_back();
    result += "...";
  }
  std::replace_if(
      result.begin(), result.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20u; }, ' ');
  return result;
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What a plain scalar looks like to somebody who wanted a number.
enum class Look { kInteger, kFraction, kExponent, kLeadingZero, kHexadecimal, kOctal, kNotFinite, kBoolean, kText };

std::size_t digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - at;
}

Look look_of_unsigned(std::string_view text) {
  const std::size_t whole = digits_at(text, 0);
  if (text.starts_with("0x") || text.starts_with("0X")) return Look::kHexadecimal;
  if (text.starts_with("0o")) return Look::kOctal;
  if (whole == 0) return Look::kText;
  if (whole > 1 && text[0] == '0') return whole == text.size() ? Look::kLeadingZero : Look::kText;
  if (whole == text.size()) return Look::kInteger;
  std::size_t at = whole;
  if (text[at] == '.') {
    const std::size_t fraction = digits_at(text, at + 1);
    if (fraction == 0) return Look::kText;
    at += 1 + fraction;
    if (at == text.size()) return Look::kFraction;
  }
  if (text[at] != 'e' && text[at] != 'E') return Look::kText;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const std::size_t exponent = digits_at(text, at);
  return exponent > 0 && at + exponent == text.size() ? Look::kExponent : Look::kText;
}

Look look_of(std::string_view text) {
  std::string lower(text.substr(0, 16));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "true" || lower == "false") return Look::kBoolean;
  const bool has_sign = !lower.empty() && (lower[0] == '-' || lower[0] == '+');
  const std::string_view name = std::string_view(lower).substr(has_sign ? 1 : 0);
  for (const std::string_view not_finite : {".inf", "inf", "infinity", ".nan", "nan"})
    if (name == not_finite) return Look::kNotFinite;
  if (text.starts_with('-')) text.remove_prefix(1);
  return look_of_unsigned(text);
}

std::string_view describe(Look look) {
  switch (look) {
    case Look::kInteger:
      return "an integer";
    case Look::kFraction:
      return "a fraction";
    case Look::kExponent:
      return "an exponent";
    case Look::kLeadingZero:
      return "a leading zero";
    case Look::kHexadecimal:
      return "hexadecimal";
    case Look::kOctal:
      return "octal";
    case Look::kNotFinite:
      return "not a finite number";
    case Look::kBoolean:
      return "a boolean";
    default:
      return "text";
  }
}

bool is_number(Look look) { return look == Look::kInteger || look == Look::kFraction || look == Look::kExponent; }

template <class T>
std::optional<T> parse_whole_text(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string got(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::kMap:
      return "a mapping";
    case ConfigNode::Kind::kSequence:
      return "a sequence";
    case ConfigNode::Kind::kScalar:
      break;
    default:
      return node.text().empty() ? "nothing" : "null";
  }
  if (node.is_quoted()) return fmt::format("\"{}\" (a string)", shown(node.text()));
  return fmt::format("{} ({})", shown(node.text()), describe(look_of(node.text())));
}

void report_unexpected(const ConfigNode& node, std::string_view expected, Diagnostics& diagnostics) {
  const bool number = node.is_scalar() && !node.is_quoted() && look_of(node.text()) != Look::kText &&
                      look_of(node.text()) != Look::kBoolean;
  const bool number_wanted = expected == "an integer" || expected == "a number";
  diagnostics.error(number && number_wanted ? "E0117" : "E0116", node.where(),
                    fmt::format("expected {}, got {}", expected, got(node)));
}

void report_does_not_fit(const ConfigNode& node, std::string_view expected, std::string_view where,
                         Diagnostics& diagnostics) {
  diagnostics.error(
      "E0117", node.where(),
      fmt::format("expected {}, got {}, which does not fit into {}", expected, shown(node.text()), where));
}

std::optional<std::int64_t> ConfigNode::as_integer(Diagnostics& diagnostics) const {
  if (!is_scalar() || is_quoted() || look_of(text()) != Look::kInteger) {
    report_unexpected(*this, "an integer", diagnostics);
    return std::nullopt;
  }
  const auto value = parse_whole_text<std::int64_t>(text());
  if (!value) report_does_not_fit(*this, "an integer", "64 bits", diagnostics);
  return value;
}

std::optional<double> ConfigNode::as_number(Diagnostics& diagnostics) const {
  if (!is_scalar() || is_quoted() || !is_number(look_of(text()))) {
    report_unexpected(*this, "a number", diagnostics);
    return std::nullopt;
  }
  const auto value = parse_whole_text<double>(text());
  if (!value) report_does_not_fit(*this, "a number", "a double", diagnostics);
  return value;
}

std::optional<bool> ConfigNode::as_bool(Diagnostics& diagnostics) const {
  if (is_scalar() && !is_quoted() && (text() == "true" || text() == "false")) return text() == "true";
  report_unexpected(*this, "true or false", diagnostics);
  return std::nullopt;
}

std::optional<std::string> ConfigNode::as_string(Diagnostics& diagnostics) const {
  if (is_scalar()) return std::string(text());
  report_unexpected(*this, "a string", diagnostics);
  return std::nullopt;
}

template <class Q>
std::optional<Q> ConfigNode::as_quantity(Diagnostics& diagnostics) const {
  if (!is_scalar()) {
    report_unexpected(*this, expected_unit<Q>(), diagnostics);
    return std::nullopt;
  }
  const auto value = parse_quantity<Q>(text());
  if (!value) {
    const bool bare = is_number(look_of(text()));
    const std::string_view hint = text().starts_with('-')                                          ? " (negative)"
                                  : bare && !std::is_same_v<Q, Count> && !std::is_same_v<Q, Ratio> ? " (no unit)"
                                                                                                   : "";
    diagnostics.error("E0118", where(), fmt::format("expected {}, got {}{}", expected_unit<Q>(), shown(text()), hint));
  }
  return value;
}

template std::optional<Duration> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Bytes> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<BytesPerSecond> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Flops> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<FlopsPerSecond> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Hertz> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Watts> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Ratio> ConfigNode::as_quantity(Diagnostics&) const;
template std::optional<Count> ConfigNode::as_quantity(Diagnostics&) const;

}  // namespace ascendsim
