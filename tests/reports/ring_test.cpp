// Answers of `ring`: keys, exit codes, rules.
#include <nlohmann/json.hpp>

#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;
using Ring = ApplicationTest;

TEST_F(Ring, JsonHasStableKeys) {
  EXPECT_EQ(run({"ring", "--strategy", "ring", "--ranks", "3", "--tokens", "50", "--heads", "2", "--json"}), kDone);
  const Json cases = Json::parse(out)["cases"];
  ASSERT_EQ(cases.size(), 1U);
  EXPECT_EQ(cases[0]["strategy"], "ring");
  EXPECT_EQ(cases[0]["partition"], "zigzag");
  EXPECT_EQ(cases[0]["dtype"], "fp64");
  EXPECT_LT(cases[0]["max_abs_error"], 1e-12);
  EXPECT_LT(cases[0]["max_lse_error"], 1e-12);
  EXPECT_EQ(cases[0]["flops_performed"], cases[0]["flops_charged"]);
  EXPECT_EQ(cases[0]["bytes_moved"], cases[0]["bytes_charged"]);
  EXPECT_EQ(cases[0]["ok"], true);
}

TEST_F(Ring, ABrokenToleranceIsANo) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-sp", "--lse-dtype", "bf16", "--json"}), kAnswerIsNo);
  EXPECT_EQ(Json::parse(out)["cases"][0]["ok"], false);
}

TEST_F(Ring, ImpossibleShapesNameTheRule) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-cp", "--cp", "3", "--sp", "3"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0004]: mindie-cp: 8 heads are not divisible by 3 ranks\n"
            "  = help: choose a shape that the strategy can divide\n"
            "error[E0004]: mindie-cp: MindIE knows cp 1 and 2, not 3\n"
            "  = help: choose a shape that the strategy can divide\n2 errors\n");
  EXPECT_EQ(out, "");
}

TEST_F(Ring, RefusesWhatDoesNotFitWithTheEstimate) {
  EXPECT_EQ(run({"ring", "--strategy", "ring", "--tokens", "1000000"}), kWrongInput);
  EXPECT_EQ(err.find("error[E0004]: the calculation needs about "), 0U) << err;
}

TEST_F(Ring, NeedsAStrategy) {
  EXPECT_EQ(run({"ring"}), kWrongInput);
  EXPECT_EQ(run({"ring", "--strategy", "rng"}), kWrongInput);
  EXPECT_EQ(err.find("error[E0004]: unknown strategy 'rng'\n  = help: did you mean 'ring'?"), 0U) << err;
}

}  // namespace
}  // namespace ascendsim
