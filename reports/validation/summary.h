// Errors of many cases put together, and the bars that they are judged by.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reports/validation/cases.h"

namespace ascendsim {

// One value with its prediction. error = predicted / published - 1; empty where nothing was predicted.
struct Result {
  ValidationCase of;
  std::string family;
  double predicted = 0;
  std::optional<double> error;
};

struct Bar {
  std::string_view name;
  double median, within;  // of |error|; 90 % of the values lie within the second one
};
const Bar& bar_of(MetricGroup group);

enum class CaseVerdict : std::uint8_t { kMet, kMissed, kNotJudged };
struct SummaryRow {
  std::string name;  // "kernel time: gemm_int8"
  Split split = Split::kTest;
  std::string stack;  // of the table by stack
  const Bar* bar = nullptr;
  std::int64_t values = 0, tables = 0;
  double median = 0, share_within = 0;  // a table counts once: its rows weigh 1 / rows each
  CaseVerdict verdict = CaseVerdict::kNotJudged;
};
enum class SummaryBy : std::uint8_t { kMetric, kStack };
std::vector<SummaryRow> summarise(std::span<const Result> results, SummaryBy by);

// |error| at which half of the weight is reached. REQUIRES: not empty.
struct Weighted {
  double value, weight;
};
double weighted_median(std::vector<Weighted> values);

// Figures in data files of one kind: {catalogue, stacks}.
struct FigureCounts {
  std::int64_t fitted = 0, assumed = 0, all = 0;
};
FigureCounts count_figures(const std::string& folder);

}  // namespace ascendsim
