// The format of cases, the arithmetic of the summary, and the command on a file of one's own.
#include <gtest/gtest.h>

#include "reports/validation/summary.h"
#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

constexpr const char* kCase = R"(cases:
  - id: add
    source: "notebook"
    split: test
    stack: none
    metric: kernel_time
    definition: "the kernel alone"
    kernel: {operator: vector, name: add, m: 1, die: a3-376t}
    value: 3 us
)";

class ValidationTest : public ApplicationTest {
 protected:
  static std::string with(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  }
};

TEST_F(ValidationTest, OwnFileIsPredicted) {
  write("own.yaml", kCase);
  ASSERT_EQ(run({"validate", "own.yaml", "--format", "csv"}), kDone) << err;
  EXPECT_NE(out.find("add,none,test,kernel_time,0.003,0.00"), std::string::npos) << out;
}

TEST_F(ValidationTest, WrongUnit) {
  write("own.yaml", with(kCase, "3 us", "3 GB"));
  EXPECT_EQ(run({"validate", "own.yaml"}), kWrongInput);
  EXPECT_EQ(out, "");
  EXPECT_EQ(err,
            "error[E0382]: '3 GB' is no value of kernel_time\n"
            " --> own.yaml:9:12  cases[0].value\n"
            "  |\n"
            "9 |     value: 3 GB\n"
            "  |            ^\n"
            "  = help: a positive number with a unit: a duration such as 35 us\n"
            "1 error\n");
}

TEST_F(ValidationTest, EveryMistakeIsSaid) {
  std::string text = with(kCase, "    source: \"notebook\"\n", "");
  text = with(text, "    definition: \"the kernel alone\"\n", "");
  text = with(text, "stack: none", "stack: cann-recipe-2026-08");
  text = with(text, "split: test", "split: tset");
  write("own.yaml", text);
  EXPECT_EQ(run({"validate", "own.yaml"}), kWrongInput);
  for (const char* said : {"error[E0380]: a case without a source", "error[E0380]: a case without a definition",
                           "error[E0381]: unknown stack 'cann-recipe-2026-08'", "did you mean 'cann-recipes-2026-08'?",
                           "error[E0381]: unknown split 'tset'", "own.yaml:4:12", "4 errors"})
    EXPECT_NE(err.find(said), std::string::npos) << said << "\n" << err;
}

TEST_F(ValidationTest, UnknownKeyOfAKernel) {
  write("own.yaml", with(kCase, "m: 1", "rows: 1"));
  EXPECT_EQ(run({"validate", "own.yaml"}), kWrongInput);
  EXPECT_NE(err.find("vector"), std::string::npos) << err;
  EXPECT_NE(err.find("kernel of case add needs 'm'"), std::string::npos) << err;
  EXPECT_NE(err.find("unknown key 'rows' of a kernel"), std::string::npos) << err;
}

TEST_F(ValidationTest, OneCaseIsExplained) {
  write("own.yaml", kCase);
  ASSERT_EQ(run({"validate", "own.yaml", "--case", "add", "--explain"}), kDone) << err;
  EXPECT_NE(out.find("add: Operators"), std::string::npos) << out;
  EXPECT_EQ(run({"validate", "own.yaml", "--case", "ad"}), kWrongInput);
  EXPECT_NE(err.find("did you mean 'add'?"), std::string::npos) << err;
}

TEST_F(ValidationTest, WhatIsNotBuiltIsShown) {
  write("own.yaml",
        with(kCase, "    kernel: {operator: vector, name: add, m: 1, die: a3-376t}\n", "    needs: serving\n"));
  ASSERT_EQ(run({"validate", "own.yaml"}), kDone) << err;
  EXPECT_NE(out.find("Not predicted yet, and what they need"), std::string::npos) << out;
}

Result result(const Metric& metric, std::string id, double error, std::int64_t table_rows = 1) {
  Result r;
  r.of.id = std::move(id);
  r.of.stack = "none";
  r.of.metric = &metric;
  r.of.table_rows = table_rows;
  r.error = error;
  return r;
}

TEST(Summary, ATableCountsOnce) {
  const Metric metric{"tpot", MetricGroup::kDecode, Unit::kTime};
  // A table of four rows at 20 % and two values at 1 % and 5 %: weights 1, 1, 1.
  std::vector<Result> results;
  for (const char* id : {"t/1", "t/2", "t/3", "t/4"}) results.push_back(result(metric, id, 0.20, 4));
  results.push_back(result(metric, "a", -0.01));
  results.push_back(result(metric, "b", 0.05));
  const auto rows = summarise(results, SummaryBy::kMetric);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].values, 6);
  EXPECT_EQ(rows[0].tables, 3);
  EXPECT_DOUBLE_EQ(rows[0].median, 0.05);
  EXPECT_DOUBLE_EQ(rows[0].share_within, 2.0 / 3);
  EXPECT_EQ(rows[0].verdict, Verdict::kMissed);
}

TEST(Summary, FourValuesAreNotJudged) {
  const Metric metric{"tpot", MetricGroup::kDecode, Unit::kTime};
  std::vector<Result> results;
  for (const char* id : {"a", "b", "c", "d"}) results.push_back(result(metric, id, 0.01));
  EXPECT_EQ(summarise(results, SummaryBy::kMetric)[0].verdict, Verdict::kNotJudged);
  results.push_back(result(metric, "e", 0.02));
  EXPECT_EQ(summarise(results, SummaryBy::kMetric)[0].verdict, Verdict::kMet);
}

TEST(Summary, Median) {
  EXPECT_DOUBLE_EQ(weighted_median({{0.1, 1}, {0.3, 1}}), 0.2);
  EXPECT_DOUBLE_EQ(weighted_median({{0.3, 1}, {0.1, 1}, {0.2, 1}}), 0.2);
  EXPECT_DOUBLE_EQ(weighted_median({{0.1, 0.25}, {0.1, 0.25}, {0.9, 1}}), 0.9);
}

}  // namespace
}  // namespace ascendsim
