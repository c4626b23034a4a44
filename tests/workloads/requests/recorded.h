// Recorded numbers of tests/data/loads, and how values of a load are compared with them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/source_path.h"
#include "workloads/requests/request_source.h"

namespace ascendsim {

using Json = nlohmann::json;

inline Json recorded(const std::string& name) {
  std::ifstream file(source_path("tests/data/loads/") + name);
  return Json::parse(file);
}

inline std::vector<Request> all_of(RequestSource& source) {
  std::vector<Request> requests;
  for (Request r; source.next(r);) requests.push_back(r);
  return requests;
}

// A number, or "inf".
inline double number(const Json& value) { return value.is_string() ? INFINITY : value.get<double>(); }

// {first, n, mean, std, min, max, last}, or the values themselves.
inline void expect_values(const Json& row, const std::vector<std::int64_t>& values) {
  if (row.is_array()) {
    EXPECT_EQ(values, row.get<std::vector<std::int64_t>>());
    return;
  }
  ASSERT_EQ(values.size(), row.at("n").get<std::size_t>());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i < row.at("first").size()) {
      EXPECT_EQ(values[i], row.at("first")[i].get<std::int64_t>()) << "value " << i;
    }
    sum += static_cast<double>(values[i]);
  }
  const auto n = static_cast<double>(values.size());
  for (const std::int64_t v : values) squares += std::pow(static_cast<double>(v) - sum / n, 2);
  EXPECT_NEAR(sum / n, row.at("mean").get<double>(), 1e-6);
  EXPECT_NEAR(std::sqrt(squares / n), row.at("std").get<double>(), 1e-6);
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), row.at("min").get<double>());
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), row.at("max").get<double>());
  if (row.contains("last")) {
    EXPECT_EQ(values.back(), row.at("last").get<double>());
  }
}

// Offsets are recorded to 1e-9 s; ours are rounded to a picosecond.
inline constexpr double kOffset = 0.6e-9;

inline void expect_offsets(const Json& first, const Json& last, const std::vector<Request>& requests) {
  ASSERT_GE(requests.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i)
    EXPECT_NEAR(seconds(requests[i].arrival), first[i].get<double>(), kOffset) << "request " << i;
  EXPECT_NEAR(seconds(requests.back().arrival), last.get<double>(), kOffset);
}

// Of the gaps behind the first request (numpy.diff), over the population, to six digits.
inline void expect_gaps(const Json& mean, const Json& deviation, const std::vector<Request>& requests) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < requests.size(); ++i)
    gaps.push_back(seconds(requests[i].arrival) - seconds(requests[i - 1].arrival));
  double sum = 0, squares = 0;
  for (const double g : gaps) sum += g;
  const double average = sum / static_cast<double>(gaps.size());
  for (const double g : gaps) squares += (g - average) * (g - average);
  EXPECT_NEAR(average, mean.get<double>(), 1e-6);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(gaps.size())), deviation.get<double>(), 1e-6);
}

}  // namespace ascendsim
