#include "strategies/serving/service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "tests/strategies/serving/service_under_test.h"
#include "workloads/requests/generators.h"

namespace ascendsim {
namespace {

struct ServedEngine {
  const char* name;
  Subject (*subject)();
};
Subject vllm() { return vllm_subject(); }
Subject vllm_async() { return vllm_subject("-tp 16 --async-scheduling"); }
Subject vllm_groups() { return vllm_subject("-tp 4 -dp 4 --async-scheduling"); }
Subject vllm_drafts() {
  return vllm_subject(
      R"(-tp 16 --async-scheduling --speculative-config '{"num_speculative_tokens": 1, "method": "mtp"}')");
}
Subject sglang() { return sglang_subject(); }
Subject sglang_plain() { return sglang_subject("--tp-size 16 --disable-overlap-schedule"); }
Subject sglang_groups() { return sglang_subject("--tp-size 16 --dp-size 4 --enable-dp-attention"); }
Subject mindie() { return mindie_subject(); }
Subject mindie_async() {
  return mindie_subject(R"("tp": 16, "dp": 1, "moe_ep": 16, "moe_tp": 1)", {"features.async_scheduling=true"});
}
Subject mindie_groups() { return mindie_subject(R"("tp": 4, "dp": 4, "moe_ep": 16, "moe_tp": 1)"); }

class EveryEngine : public testing::TestWithParam<ServedEngine> {
 protected:
  [[nodiscard]] static const Subject& subject() {
    static std::map<std::string, Subject> known;
    const auto at = known.find(GetParam().name);
    if (at != known.end()) return at->second;
    return known.emplace(GetParam().name, GetParam().subject()).first->second;
  }
  [[nodiscard]] static ServiceSite site() { return {.first = subject().scenario.get()}; }
};

INSTANTIATE_TEST_SUITE_P(Service, EveryEngine,
                         testing::Values(ServedEngine{"vllm", vllm}, ServedEngine{"vllm_async", vllm_async},
                                         ServedEngine{"vllm_groups", vllm_groups},
                                         ServedEngine{"vllm_drafts", vllm_drafts}, ServedEngine{"sglang", sglang},
                                         ServedEngine{"sglang_plain", sglang_plain},
                                         ServedEngine{"sglang_groups", sglang_groups}, ServedEngine{"mindie", mindie},
                                         ServedEngine{"mindie_async", mindie_async},
                                         ServedEngine{"mindie_groups", mindie_groups}),
                         [](const auto& engine) { return std::string(engine.param.name); });

// Poisson arrivals, lengths that differ.
std::vector<Request> random_requests(std::uint64_t seed, std::int64_t count, double rate) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  std::vector<Request> out;
  double at = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    at -= std::log(1 - uniform()) / rate;
    out.push_back({.arrival = duration_from_seconds(at),
                   .input_tokens = 1 + static_cast<std::int64_t>(uniform() * 4000),
                   .output_tokens = 1 + static_cast<std::int64_t>(uniform() * 300)});
  }
  return out;
}

// Every request ends, with the tokens that it asked for; its terms add up; nobody is served before he comes.
void expect_conserved(const ServedLoad& served, const std::vector<Request>& asked) {
  ASSERT_EQ(served.said, "");
  ASSERT_EQ(served.outcomes.size(), asked.size());
  std::int64_t later = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const RequestOutcome& o = served.outcomes[i];
    ASSERT_TRUE(o.completed()) << i;
    EXPECT_EQ(o.id, static_cast<std::int64_t>(i));
    EXPECT_EQ(o.input_tokens, asked[i].input_tokens);
    EXPECT_EQ(o.output_tokens, asked[i].output_tokens);
    EXPECT_EQ(o.arrival, asked[i].arrival);
    EXPECT_GE(o.sent, o.arrival);
    EXPECT_GE(o.first_scheduled, o.sent);
    EXPECT_GT(o.first_token, o.first_scheduled);
    EXPECT_GE(o.last_token, o.first_token);
    EXPECT_EQ(o.terms.sum(), o.first_token - o.sent) << i;
    for (const Duration t : {o.terms.admission, o.terms.queue, o.terms.decode_between}) EXPECT_GE(t, Duration{}) << i;
    EXPECT_GT(o.terms.prefill, Duration{});
    later += o.output_tokens;
  }
  EXPECT_EQ(served.end.finished, static_cast<std::int64_t>(asked.size()));
}

TEST_P(EveryEngine, OneRequestTakesWhatPredictSays) {
  const Scenario& s = *subject().scenario;
  const std::int64_t drafts = s.deployment.features.speculative_tokens;
  Workload w{.input_tokens = 1000, .output_tokens = 200};
  if (drafts > 0) w.acceptance = {0.7};
  const Prediction predicted = predict(s, w);
  const ServedLoad served = serve_listed(site(), equal_requests(1, 1000, 200),
                                         {.lengths = EqualLengths{1000, 200}, .acceptance = w.acceptance});
  expect_conserved(served, equal_requests(1, 1000, 200));
  const RequestOutcome& o = served.outcomes.at(0);
  // MindIE waits for company: maxQueueDelayMicroseconds, 5000 by default.
  // Where groups vote, the first round with a prompt goes at once.
  const bool waits = s.deployment.engine->scheduler == "mindie" && s.deployment.layout.dp == 1;
  EXPECT_EQ(o.ttft() - (waits ? std::chrono::milliseconds(5) : Duration{}), predicted.ttft.mean);
  EXPECT_EQ(o.terms.prefill, predicted.ttft.mean);
  const Duration tpot = (o.last_token - o.first_token) / 199;
  if (drafts == 0) {
    EXPECT_EQ(tpot, predicted.tpot.mean);
  } else {
    // predict counts the expected number of steps, a fraction; a service makes whole ones.
    EXPECT_NEAR(static_cast<double>(tpot.count()), static_cast<double>(predicted.tpot.mean.count()),
                static_cast<double>(predicted.decode_step.count()) / 199);
  }
}

TEST_P(EveryEngine, NoRequestAndNoTokenIsLost) {
  for (const double rate : {0.5, 5.0, 50.0}) {
    const std::vector<Request> asked = random_requests(7, 120, rate);
    const ServedLoad served = serve_listed(site(), asked);
    expect_conserved(served, asked);
    std::int64_t tokens = 0;
    __int128 spans = 0;
    for (const RequestOutcome& o : served.outcomes) {
      tokens += o.output_tokens - 1;
      spans += (o.last_token - o.first_token).count();
    }
    // The first token comes with the first chunk; what was said of the others makes up the rest, in tokens and in time.
    EXPECT_GE(served.later_tokens, tokens - (served.outcomes[0].output_tokens > 0 ? 0 : 1));
    EXPECT_LE(served.later_tokens, tokens);
    EXPECT_EQ(served.gaps, spans);
  }
}

bool same(const RequestOutcome& a, const RequestOutcome& b) {
  return a.id == b.id && a.sent == b.sent && a.first_scheduled == b.first_scheduled && a.first_token == b.first_token &&
         a.last_token == b.last_token && a.output_tokens == b.output_tokens && a.cached_tokens == b.cached_tokens &&
         a.longest_stall == b.longest_stall && a.preemptions == b.preemptions && a.rejection == b.rejection &&
         a.terms.sum() == b.terms.sum() && a.terms.prefill == b.terms.prefill && a.terms.queue == b.terms.queue;
}

TEST_P(EveryEngine, StepsTakenAtOnceAreTheSame) {
  for (const double rate : {0.3, 4.0, 40.0}) {
    for (const std::int64_t most : {0, 5}) {
      const std::vector<Request> asked = random_requests(11, 60, rate);
      const ServedLoad at_once = serve_listed(site(), asked, {.max_in_flight = most});
      const ServedLoad one_by_one = serve_listed(site(), asked, {.max_in_flight = most, .coalesce = false});
      ASSERT_EQ(at_once.outcomes.size(), one_by_one.outcomes.size());
      for (std::size_t i = 0; i < asked.size(); ++i)
        ASSERT_TRUE(same(at_once.outcomes[i], one_by_one.outcomes[i])) << rate << " " << most << " " << i;
      EXPECT_EQ(at_once.fingerprint, one_by_one.fingerprint);
      EXPECT_EQ(at_once.later_tokens, one_by_one.later_tokens);
      EXPECT_EQ(at_once.end.duration, one_by_one.end.duration);
      const PoolUse &a = at_once.end.pools[0], &b = one_by_one.end.pools[0];
      EXPECT_EQ(a.busy, b.busy);
      EXPECT_EQ(a.steps, b.steps);
      EXPECT_TRUE(a.kv_time == b.kv_time && a.running_time == b.running_time && a.waiting_time == b.waiting_time);
      EXPECT_EQ(a.kv_peak, b.kv_peak);
    }
  }
}

TEST_P(EveryEngine, NoMoreThanTheLimitAreUnderWay) {
  const ServedLoad served = serve_listed(site(), equal_requests(40, 500, 50), {.max_in_flight = 7});
  expect_conserved(served, equal_requests(40, 500, 50));
  for (const RequestOutcome& o : served.outcomes) {
    const auto under_way = std::ranges::count_if(served.outcomes, [&](const RequestOutcome& other) {
      return other.sent <= o.sent && other.last_token > o.sent;
    });
    EXPECT_LE(under_way, 7);
  }
  // The last one is sent when the seventh from the end at the latest has ended: the client keeps its slots full.
  EXPECT_EQ(std::ranges::count_if(served.outcomes, [](const RequestOutcome& o) { return o.sent == Duration{}; }), 7);
}

// Little's law: the mean number of requests in the system, sampled as an integral, is rate x mean time in it. Both sides
// from different sums.
TEST_P(EveryEngine, LittlesLawHolds) {
  const std::vector<Request> asked = random_requests(23, 200, 6);
  const ServedLoad served = serve_listed(site(), asked);
  std::vector<std::pair<Duration, int>> events;
  __int128 latencies = 0;
  for (const RequestOutcome& o : served.outcomes) {
    events.emplace_back(o.sent, 1);
    events.emplace_back(o.last_token, -1);
    latencies += (o.last_token - o.sent).count();
  }
  std::ranges::sort(events);
  __int128 area = 0;
  std::int64_t in_system = 0;
  Duration before{};
  for (const auto& [at, change] : events) {
    area += static_cast<__int128>(in_system) * (at - before).count();
    in_system += change;
    before = at;
  }
  EXPECT_EQ(in_system, 0);
  EXPECT_TRUE(area == latencies);
  // Steps do not overlap. (An engine that schedules ahead may have one under way when the last token is out.)
  if (!subject().deployment().features.async_scheduling) {
    EXPECT_LE(served.end.pools[0].busy, served.end.duration);
  }
}

TEST_P(EveryEngine, HigherRatesWaitLonger) {
  double before = 0;
  for (const double rate : {0.2, 2.0, 20.0}) {
    std::vector<Request> asked = random_requests(5, 150, 1);
    for (Request& r : asked) r.arrival = duration_from_seconds(seconds(r.arrival) / rate);
    const ServedLoad served = serve_listed(site(), asked);
    double ttft = 0;
    for (const RequestOutcome& o : served.outcomes) ttft += seconds(o.ttft());
    EXPECT_GE(ttft, before) << rate;
    before = ttft;
  }
}

// One at a time, whatever waits: with one output token the service time is that of the prefill step.
Subject one_at_a_time() { return vllm_subject("-tp 16 --max-num-seqs 1 --no-enable-prefix-caching"); }

TEST(Service, ManyAtOnceOnAOneAtATimePrefillWaitForThoseBefore) {
  const Subject subject = one_at_a_time();
  const std::int64_t n = 9;
  const ServedLoad served =
      serve_listed({.first = subject.scenario.get()}, equal_requests(n, 2000, 1), {.lengths = EqualLengths{2000, 1}});
  const Duration p = predict(*subject.scenario, {.input_tokens = 2000, .output_tokens = 1}).ttft.mean;
  Duration sum{};
  for (const RequestOutcome& o : served.outcomes) sum += o.ttft();
  // P + 2P + ... + nP = P n (n + 1) / 2
  EXPECT_EQ(sum, p * (n * (n + 1) / 2));
}

// A server with constant service time D and Poisson arrivals: mean wait rho D / (2 (1 - rho)) (Pollaczek-Khinchine).
TEST(Service, PoissonArrivalsWaitAsTheMD1QueueSays) {
  const Subject subject = one_at_a_time();
  const double d = seconds(predict(*subject.scenario, {.input_tokens = 2000, .output_tokens = 1}).ttft.mean);
  for (const double rho : {0.5, 0.8}) {
    const std::int64_t count = 400'000;
    Diagnostics diagnostics;
    VllmBenchOptions options{
        .num_prompts = count, .random_input_len = 2000, .random_output_len = 1, .request_rate = rho / d};
    options.tokenizer.special_tokens = 0;
    const auto source = make_vllm_bench(options, {}, diagnostics);
    struct Waits : ServiceListener {
      double sum = 0;
      std::int64_t count = 0;
      void sent(Duration) override {}
      void chunks(std::span<const TokenChunks>) override {}
      void finished(const RequestOutcome& o) override {
        sum += seconds(o.first_scheduled - o.sent);
        ++count;
      }
    } waits;
    serve({.first = subject.scenario.get()}, {.requests = source.get(), .lengths = EqualLengths{2000, 1}}, waits,
          diagnostics);
    EXPECT_EQ(waits.count, count);
    const double expected = rho * d / (2 * (1 - rho));
    EXPECT_NEAR(waits.sum / static_cast<double>(count), expected, 0.02 * expected) << rho;
  }
}

TEST(Service, ARequestBeyondTheModelIsRejectedAndTheOthersAreServed) {
  for (const ServedEngine engine :
       {ServedEngine{"vllm", vllm}, ServedEngine{"sglang", sglang}, ServedEngine{"mindie", mindie}}) {
    const Subject subject = engine.subject();
    std::vector<Request> asked = equal_requests(5, 1000, 10);
    asked[2].input_tokens = 20'000;  // of 16,384
    const ServedLoad served = serve_listed({.first = subject.scenario.get()}, asked);
    ASSERT_EQ(served.outcomes.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i)
      EXPECT_EQ(served.outcomes[i].rejection, i == 2 ? Rejection::kLongerThanModel : Rejection::kNone) << engine.name;
  }
}

// Where experts join the groups, the prompts of one group stall the decodes of all others (prediction-gaps, vLLM-Ascend
// without balance scheduling).
TEST(Service, APromptOfOneGroupStallsTheDecodesOfTheOthers) {
  const Subject subject = vllm_subject("-tp 4 -dp 4 --async-scheduling");
  std::vector<Request> asked = equal_requests(1, 200, 300);
  const ServedLoad alone = serve_listed({.first = subject.scenario.get()}, asked);
  asked.push_back({.arrival = alone.outcomes[0].first_token + std::chrono::milliseconds(200),
                   .input_tokens = 1500,
                   .output_tokens = 1});
  const ServedLoad beside = serve_listed({.first = subject.scenario.get()}, asked);
  // It went to another group and has one prefill step there, for which the first request waits.
  EXPECT_GE(beside.outcomes[0].longest_stall, beside.outcomes[1].terms.prefill);
  EXPECT_GT(beside.outcomes[0].longest_stall, 3 * alone.outcomes[0].longest_stall);
}

TEST(Service, SeveralInstancesShareTheLoad) {
  const Subject subject = vllm();
  const std::vector<Request> asked = random_requests(3, 200, 20);
  const ServedLoad one = serve_listed({.first = subject.scenario.get()}, asked);
  for (const RoutingPolicy routing : {RoutingPolicy::kRoundRobin, RoutingPolicy::kLeastLoaded}) {
    const ServedLoad four = serve_listed({.first = subject.scenario.get(), .instances = 4, .routing = routing}, asked);
    expect_conserved(four, asked);
    EXPECT_LT(four.end.duration, one.end.duration);
    const ServedLoad again =
        serve_listed({.first = subject.scenario.get(), .instances = 4, .routing = routing}, asked, {.coalesce = false});
    EXPECT_EQ(four.fingerprint, again.fingerprint);
  }
}

}  // namespace
}  // namespace ascendsim
