#include "strategies/engines/launch/generator_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ascendsim {

namespace {

// As Python's float() reads it; "inf" as these tools spell it.
std::optional<double> read_number(std::string_view text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

}  // namespace

void GeneratorReader::wrong(std::string_view option, std::string_view what, const std::string& text) const {
  diagnostics_.error("E0422", options_.where(option), fmt::format("--{} must be {}, got '{}'", option, what, text));
}

std::optional<std::int64_t> GeneratorReader::count(std::string_view option) const {
  const auto text = options_.text(option);
  if (!text || *text == "None") return std::nullopt;
  const auto value = parse_human_integer(*text);
  if (!value) wrong(option, "a whole number", *text);
  return value;
}

void GeneratorReader::count(std::string_view option, std::int64_t& value) const {
  value = count(option).value_or(value);
}

void GeneratorReader::number(std::string_view option, double& value) const {
  const auto text = options_.text(option);
  if (!text) return;
  if (const auto read = read_number(*text))
    value = *read;
  else
    wrong(option, "a number", *text);
}

void GeneratorReader::text(std::string_view option, std::string& value) const {
  if (auto written = options_.text(option)) value = *std::move(written);
}

void GeneratorReader::ratio(std::string_view option, double& of_inputs, double& of_outputs) const {
  const auto text = options_.text(option);
  if (!text) return;
  if (const auto both = read_number(*text)) {
    of_inputs = of_outputs = *both;
    return;
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const bool numbers = json.is_object() && json.contains("input") && json.contains("output") &&
                       json["input"].is_number() && json["output"].is_number();
  if (!numbers) return wrong(option, R"(a number, or {"input": 0.5, "output": 0.5})", *text);
  of_inputs = json["input"].get<double>();
  of_outputs = json["output"].get<double>();
}

Slo GeneratorReader::goodput(std::string_view option) const {
  Slo slo;
  for (const std::string& text : options_.texts(option)) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    const auto at_most = read_number(std::string_view(text).substr(std::min(colon + 1, text.size())));
    const SloText one = parse_slo(fmt::format("{}={}ms", text.substr(0, colon), at_most.value_or(0)));
    if (!at_most || !one.slo) {
      wrong(option, "a list like ttft:250 tpot:25 of ttft, tpot and e2el in milliseconds", text);
      continue;
    }
    for (std::size_t i = 0; i < Slo::kMetrics; ++i)
      if (one.slo->limits[i]) slo.limits[i] = one.slo->limits[i];
  }
  return slo;
}

}  // namespace ascendsim
