#include "reports/commands/hccl_measurements.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "sim/source_text.h"

namespace ascendsim {

namespace {

constexpr const char* kCode = "E0391";
constexpr std::string_view kColumns[] = {"data_size", "aveg_time", "alg_bandwidth", "check_result"};
constexpr const char* kExample = "8192 | 12.50 | 0.65536 | success";
constexpr std::size_t kMostOfAFile = 10u << 20;
// hccl_test rounds the time to 0.01 us and the bandwidth to five decimals.
constexpr double kTimeRounding = 0.005 * 1.001, kRateRounding = 0.000005 * 1.001;

struct Field {
  std::string_view text;
  std::size_t offset = 0;
};

std::vector<Field> fields_of(std::string_view line, std::size_t offset) {
  constexpr std::string_view kBetween = " \t\r|";
  std::vector<Field> fields;
  for (std::size_t at = line.find_first_not_of(kBetween); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBetween, at), line.size());
    fields.push_back({line.substr(at, end - at), offset + at});
    at = line.find_first_not_of(kBetween, end);
  }
  return fields;
}

// mpirun tags lines with who printed them: "[1,0]<stdout>:" (Open MPI --tag-output), "[0] " (MPICH -prepend-rank).
std::size_t tag_of(std::string_view line) {
  const std::size_t close = line.find(']');
  if (!line.starts_with('[') || close == std::string_view::npos || close == 1 ||
      line.find_first_not_of("0123456789,", 1) != close)
    return 0;
  constexpr std::string_view kStream = "<stdout>:";
  return close + 1 + (line.substr(close + 1).starts_with(kStream) ? kStream.size() : 0);
}

bool is_header(const std::vector<Field>& fields) {
  if (fields.size() != std::size(kColumns)) return false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const bool spelt_right = i == 1 && fields[i].text.starts_with("avg_time");
    if (!fields[i].text.starts_with(kColumns[i]) && !spelt_right) return false;
  }
  return true;
}

template <class T>
std::optional<T> positive(std::string_view text) {
  T value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || !(value > 0)) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(value)) return std::nullopt;
  return value;
}

class Parser {
 public:
  Parser(const SourceText& source, Diagnostics& diagnostics) : source_(source), diagnostics_(diagnostics) {}

  std::vector<HcclTestRow> parse() {
    const std::string_view text = source_.text();
    bool in_table = false;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      const std::size_t tag = tag_of(line);
      const auto fields = fields_of(line.substr(tag), begin + tag);
      if (!fields.empty()) {
        if (is_header(fields))
          in_table = true;  // hccl_test may have run several times
        else if (in_table)
          row(fields);
      }
      begin = end + 1;
    }
    if (!in_table)
      diagnostics_.error(kCode, source_.whole(), "no table of hccl_test in this file",
                         "hccl_test, result description (CANN)",
                         "its header is: data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s): | check_result:");
    else if (rows_.empty() && !diagnostics_.has_errors())
      diagnostics_.error(kCode, source_.whole(), "the table of hccl_test has no rows", {}, kExample);
    return std::move(rows_);
  }

 private:
  void wrong(const Field& f, std::string message) {
    diagnostics_.error(kCode, source_.locate(f.offset), std::move(message), {}, kExample);
  }

  void row(const std::vector<Field>& fields) {
    if (fields.size() != std::size(kColumns))
      return wrong(fields[0], fmt::format("a row has {} values, this line has {}", std::size(kColumns), fields.size()));
    const auto size = positive<std::int64_t>(fields[0].text);
    const auto time = positive<double>(fields[1].text), rate = positive<double>(fields[2].text);
    const std::string_view verdict = fields[3].text;
    if (!size) wrong(fields[0], fmt::format("data_size must be a whole number of bytes, got '{}'", fields[0].text));
    if (!time || *time > 1e12)
      wrong(fields[1], fmt::format("aveg_time must be a time in us, got '{}'", fields[1].text));
    if (!rate) wrong(fields[2], fmt::format("alg_bandwidth must be a rate in GB/s, got '{}'", fields[2].text));
    if (verdict != "success" && verdict != "failed" && verdict != "NULL")
      wrong(fields[3], fmt::format("check_result must be success, failed or NULL, got '{}'", verdict));
    if (!size || !time || *time > 1e12 || !rate) return;
    const double bytes = static_cast<double>(*size) / 1e3;  // GB/s x us = kB
    const double most = bytes / std::max(1e-9, *time - kTimeRounding) + kRateRounding,
                 least = bytes / (*time + kTimeRounding) - kRateRounding;
    if (*rate > most * 1.001 || *rate < least * 0.999)
      wrong(fields[2], fmt::format("{} GB/s is not {} B / {} us = {:.5f} GB/s", fields[2].text, *size, fields[1].text,
                                   bytes / *time));
    rows_.push_back({Bytes(*size), duration_from_seconds(*time * 1e-6), verdict == "failed"});
  }

  const SourceText& source_;
  Diagnostics& diagnostics_;
  std::vector<HcclTestRow> rows_;
};

}  // namespace

std::vector<HcclTestRow> parse_hccl_test(std::string text, const std::string& name, Diagnostics& diagnostics) {
  if (!is_text(text, name, diagnostics)) return {};
  return Parser(SourceText(std::move(text), name), diagnostics).parse();
}

std::vector<HcclTestRow> read_hccl_test(const std::string& path, Diagnostics& diagnostics) {
  auto text = read_file(path, kMostOfAFile, diagnostics);
  return text ? parse_hccl_test(std::move(*text), path, diagnostics) : std::vector<HcclTestRow>{};
}

}  // namespace ascendsim
