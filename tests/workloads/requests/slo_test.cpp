#include "workloads/requests/slo.h"

#include <gtest/gtest.h>

namespace ascendsim {

namespace {

Duration ms(std::int64_t n) { return std::chrono::milliseconds(n); }

TEST(Slo, LimitsWithTheirStatistic) {
  const SloText text = parse_slo("ttft=2s,tpot=50ms:p95,e2el=1.5 s:mean");
  ASSERT_TRUE(text.slo) << text.wrong;
  EXPECT_EQ(text.slo->of(Slo::Metric::kTtft), (Slo::Limit{ms(2000), Statistic::kP99})) << "p99 unless said otherwise";
  EXPECT_EQ(text.slo->of(Slo::Metric::kTpot), (Slo::Limit{ms(50), Statistic::kP95}));
  EXPECT_EQ(text.slo->of(Slo::Metric::kE2el), (Slo::Limit{ms(1500), Statistic::kMean}));
  EXPECT_TRUE(text.slo->any());
  EXPECT_FALSE(Slo{}.any());
}

TEST(Slo, SaysWhatIsWrongAndWhatWouldBeRight) {
  const auto wrong = [](const char* text) {
    const SloText said = parse_slo(text);
    EXPECT_FALSE(said.slo) << text;
    return said.wrong + " | " + said.help;
  };
  EXPECT_EQ(wrong("tfft=2s"), "unknown metric 'tfft' | did you mean 'ttft'?");
  EXPECT_EQ(wrong("latency=2s"), "unknown metric 'latency' | one of: ttft, tpot, e2el");
  EXPECT_EQ(wrong("itl=20ms"), "unknown metric 'itl' | gaps between chunks are no figure of a request: tpot");
  EXPECT_EQ(wrong("ttft"), "'ttft' has no limit | for example ttft=2s,tpot=50ms:p95");
  EXPECT_EQ(wrong("ttft=2"), "the limit of ttft must be a time above 0, got '2' | for example 2s, 500ms");
  EXPECT_EQ(wrong("ttft=-2s"), "the limit of ttft must be a time above 0, got '-2s' | for example 2s, 500ms");
  EXPECT_EQ(wrong("ttft=2s:p98"), "unknown statistic 'p98' of ttft | did you mean 'p90'?");
  EXPECT_EQ(wrong("ttft=2s,ttft=3s"), "ttft has two limits | one is enough");
  EXPECT_EQ(wrong("ttft=2s,"), "'' has no limit | for example ttft=2s,tpot=50ms:p95");
  EXPECT_EQ(wrong(""), "'' has no limit | for example ttft=2s,tpot=50ms:p95");
}

}  // namespace

}  // namespace ascendsim
