// Prefill and decode apart: every engine's pair serves whatever comes, each request's terms add up, caches share NICs.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/strategies/serving/service_under_test.h"

namespace ascendsim {
namespace {

struct Pair {
  const char* name;
  Subject (*subject)(const char* role);
};

Subject vllm(const char* role, const char* connector) {
  const bool prefill = std::string_view(role) == "prefill";
  return vllm_subject(fmt::format(R"(-tp 16 --kv-transfer-config '{{"kv_connector": "{}", "kv_role": "{}"}}')", connector,
                                  prefill ? "kv_producer" : "kv_consumer"));
}
Subject vllm_pull(const char* role) { return vllm(role, "MooncakeConnector"); }
Subject vllm_push(const char* role) { return vllm(role, "MooncakeLayerwiseConnector"); }
Subject sglang(const char* role) {
  return sglang_subject(
      fmt::format("--tp-size 16 --disaggregation-mode {} --disaggregation-transfer-backend ascend", role));
}
Subject sglang_groups(const char* role) {
  return sglang_subject(fmt::format("--tp-size 16 --dp-size 4 --enable-dp-attention --disaggregation-mode {} "
                                    "--disaggregation-transfer-backend ascend",
                                    role));
}
Subject mindie(const char*) { return mindie_subject(); }

class EveryPair : public testing::TestWithParam<Pair> {
 protected:
  struct Sides {
    Subject prefill, decode;
  };
  [[nodiscard]] static const Sides& sides() {
    static std::map<std::string, Sides> known;
    const auto at = known.find(GetParam().name);
    if (at != known.end()) return at->second;
    return known.emplace(GetParam().name, Sides{GetParam().subject("prefill"), GetParam().subject("decode")})
        .first->second;
  }
  [[nodiscard]] static ServiceSite site(std::int64_t prefill = 1, std::int64_t decode = 1) {
    return {.first = sides().prefill.scenario.get(),
            .decode = sides().decode.scenario.get(),
            .instances = prefill,
            .decode_instances = decode};
  }
};

INSTANTIATE_TEST_SUITE_P(Service, EveryPair,
                         testing::Values(Pair{"vllm_pull", vllm_pull}, Pair{"vllm_push", vllm_push},
                                         Pair{"sglang", sglang}, Pair{"sglang_groups", sglang_groups},
                                         Pair{"mindie", mindie}),
                         [](const auto& pair) { return std::string(pair.param.name); });

// Lengths that differ, in no order.
std::vector<Request> mixed_requests(std::int64_t count, Duration gap) {
  std::vector<Request> out;
  for (std::int64_t i = 0; i < count; ++i)
    out.push_back({.arrival = gap * i, .input_tokens = 1 + i * 997 % 4000, .output_tokens = 1 + i * 37 % 120});
  return out;
}

void expect_served(const ServedLoad& served, const std::vector<Request>& asked) {
  ASSERT_EQ(served.said, "");
  ASSERT_EQ(served.end.how, ServiceEnd::How::kDone);
  ASSERT_EQ(served.outcomes.size(), asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const RequestOutcome& o = served.outcomes[i];
    ASSERT_TRUE(o.completed()) << i;
    EXPECT_EQ(o.output_tokens, asked[i].output_tokens) << i;
    EXPECT_EQ(o.terms.sum(), o.first_token - o.sent) << i;
    for (const Duration t : {o.terms.admission, o.terms.queue, o.terms.prefill, o.terms.decode_between,
                             o.terms.transfer, o.terms.first_decode})
      EXPECT_GE(t, Duration{}) << i;
    EXPECT_GE(o.last_token, o.first_token);
  }
}

TEST_P(EveryPair, ServesARushAndATrickle) {
  for (const Duration gap : {Duration{}, Duration(std::chrono::milliseconds(20)), Duration(std::chrono::seconds(3))}) {
    const std::vector<Request> asked = mixed_requests(80, gap);
    expect_served(serve_listed(site(), asked), asked);
  }
}

TEST_P(EveryPair, ServesOnSeveralInstancesOfEachSide) {
  const std::vector<Request> asked = mixed_requests(90, std::chrono::milliseconds(50));
  const ServedLoad served = serve_listed(site(3, 2), asked);
  expect_served(served, asked);
  ASSERT_EQ(served.end.pools.size(), 2u);
  EXPECT_EQ(served.end.pools[0].instances, 3);
  EXPECT_EQ(served.end.pools[1].instances, 2);
  EXPECT_LT(served.end.duration, serve_listed(site(), asked).end.duration);
}

TEST_P(EveryPair, StepsTakenAtOnceAreTheSame) {
  const std::vector<Request> asked = mixed_requests(60, std::chrono::milliseconds(200));
  const ServedLoad at_once = serve_listed(site(2, 1), asked), each = serve_listed(site(2, 1), asked, {.coalesce = false});
  expect_served(at_once, asked);
  EXPECT_EQ(at_once.fingerprint, each.fingerprint);
  EXPECT_EQ(at_once.end.duration, each.end.duration);
  EXPECT_EQ(at_once.end.steps, each.end.steps);
}

// Prefill sides feed one decode side, whose NICs take what one of them sends: two at once take twice as long, four take four times,
// after the setup of each.
TEST(Service, CachesShareTheNicsOfTheDecodeSide) {
  const Subject prefill = vllm_pull("prefill"), decode = vllm_pull("decode");
  const auto longest = [&](std::int64_t sources) {
    const ServedLoad served = serve_listed(
        {.first = prefill.scenario.get(), .decode = decode.scenario.get(), .instances = sources, .decode_instances = 1},
        equal_requests(sources, 4096, 2));
    EXPECT_EQ(served.said, "");
    Duration out{};
    for (const RequestOutcome& o : served.outcomes) out = std::max(out, o.terms.transfer);
    return seconds(out);
  };
  const double setup = seconds(decode.scenario->cluster.server().collectives.duration("p2p_setup") +
                               decode.scenario->cluster.server().nic.latency.value);
  const double one = longest(1) - setup, two = longest(2) - setup, four = longest(4) - setup;
  EXPECT_NEAR(two, 2 * one, 1e-10) << one;
  EXPECT_NEAR(four, 4 * one, 1e-10) << one;
}

}  // namespace
}  // namespace ascendsim
