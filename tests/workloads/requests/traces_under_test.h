// Traces of a few lines, and what their reader says.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/workloads/requests/recorded.h"
#include "workloads/requests/traces.h"

namespace ascendsim {

struct ReadTrace {
  std::vector<Request> requests;
  Diagnostics diagnostics;

  [[nodiscard]] std::vector<double> arrivals() const {
    std::vector<double> result;
    for (const Request& r : requests) result.push_back(seconds(r.arrival));
    return result;
  }
  [[nodiscard]] std::vector<std::int64_t> inputs() const {
    std::vector<std::int64_t> result;
    for (const Request& r : requests) result.push_back(r.input_tokens);
    return result;
  }
  // "E0613 2:8 input is x, which is no number", one a diagnostic.
  [[nodiscard]] std::vector<std::string> said() const {
    std::vector<std::string> result;
    for (const Diagnostic& d : diagnostics.all())
      result.push_back(fmt::format("{} {}:{} {}", d.code, d.where.line, d.where.column, d.message));
    return result;
  }
};

inline ReadTrace read(const std::string& text, const TraceOptions& options = {}) {
  ReadTrace result;
  if (const auto source = read_trace(text, "trace", options, result.diagnostics)) result.requests = all_of(*source);
  return result;
}

inline ReadTrace read_file_trace(const std::string& path, const TraceOptions& options = {}) {
  ReadTrace result;
  if (const auto source = open_trace(path, options, result.diagnostics)) result.requests = all_of(*source);
  return result;
}

inline void expect_equal(const std::vector<Request>& a, const std::vector<Request>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].arrival, b[i].arrival) << i;
    EXPECT_EQ(a[i].input_tokens, b[i].input_tokens) << i;
    EXPECT_EQ(a[i].output_tokens, b[i].output_tokens) << i;
    EXPECT_EQ(a[i].shared, b[i].shared) << i;
  }
}

}  // namespace ascendsim
