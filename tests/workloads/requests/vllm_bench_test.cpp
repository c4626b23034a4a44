// `vllm bench serve` against the numbers recorded from the tool itself.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "tests/workloads/requests/recorded.h"
#include "workloads/requests/generators.h"

namespace ascendsim {
namespace {

const Json& record() {
  static const Json json = recorded("vllm-bench-serve-generator.json");
  return json;
}

std::vector<Request> requests_of(const VllmBenchOptions& options) {
  Diagnostics diagnostics;
  const std::unique_ptr<RequestSource> source = make_vllm_bench(options, {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) ADD_FAILURE() << render(d);
  return source ? all_of(*source) : std::vector<Request>{};
}

std::string first_error(const VllmBenchOptions& options) {
  Diagnostics diagnostics;
  EXPECT_EQ(make_vllm_bench(options, {.file = "--workload"}, diagnostics), nullptr);
  if (diagnostics.all().empty()) return "";
  return diagnostics.all()[0].code + " " + diagnostics.all()[0].message;
}

TEST(VllmBench, DefaultsAreTheTools) {
  const Json& d = record().at("defaults");
  const VllmBenchOptions o;
  EXPECT_EQ(o.seed, d.at("seed"));
  EXPECT_EQ(o.dataset_name, d.at("dataset_name"));
  EXPECT_EQ(o.num_prompts, d.at("num_prompts"));
  EXPECT_EQ(o.request_rate, number(d.at("request_rate")));
  EXPECT_EQ(o.burstiness, d.at("burstiness"));
  EXPECT_EQ(o.random_input_len, d.at("random_input_len"));
  EXPECT_EQ(o.random_output_len, d.at("random_output_len"));
  EXPECT_EQ(o.random_range_ratio_input, d.at("random_range_ratio"));
  EXPECT_EQ(o.random_prefix_len, d.at("random_prefix_len"));
  EXPECT_EQ(d.at("prefix_repetition"), "prefix 256, suffix 256, 10 prefixes, output 128");
}

void set_ratio(const Json& ratio, VllmBenchOptions& o) {
  o.random_range_ratio_input = ratio.is_object() ? ratio.at("input").get<double>() : ratio.get<double>();
  o.random_range_ratio_output = ratio.is_object() ? ratio.at("output").get<double>() : ratio.get<double>();
}

TEST(VllmBench, RandomLengthsAreTheRecordedOnes) {
  int compared = 0;
  for (const Json& row : record().at("lengths_random")) {
    SCOPED_TRACE(row.dump().substr(0, 150));
    VllmBenchOptions o;
    set_ratio(row.at("range_ratio"), o);
    if (row.contains("error")) {
      EXPECT_EQ(first_error(o).substr(0, 5), "E0602");
      continue;
    }
    o.seed = row.at("seed");
    o.random_input_len = row.at("input_len");
    o.random_output_len = row.at("output_len");
    o.random_prefix_len = row.value("prefix_len", 0);
    o.tokenizer.special_tokens = row.value("special_tokens", 0);
    for (const std::int64_t n : {2000, 20}) {
      const Json* expected = n == 2000 ? &row : row.contains("num_prompts_20") ? &row.at("num_prompts_20") : nullptr;
      if (expected == nullptr) continue;
      o.num_prompts = n;
      std::vector<std::int64_t> inputs, outputs;
      for (const Request& r : requests_of(o)) {
        // The record has what the tool counts; the server puts the special tokens back.
        inputs.push_back(r.input_tokens - o.tokenizer.special_tokens);
        outputs.push_back(r.output_tokens);
      }
      expect_values(expected->at("prompt_len"), inputs);
      expect_values(expected->at("output"), outputs);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 33);
}

// Four prompts of the tool, token by token: a prefix of six in common, then consecutive ids. The segments name the
// start of each run, of the 129,278 ids that are not special (0 and 1 are: number k is token k + 2).
TEST(VllmBench, PromptsAreTheRecordedRunsOfTokens) {
  VllmBenchOptions o;
  o.num_prompts = 4;
  o.random_input_len = 12;
  o.random_prefix_len = 6;
  o.tokenizer.special_tokens = 0;
  const std::vector<Request> requests = requests_of(o);
  const Json& prompts = record().at("prompt_tokens_prefix6_input12_seed0");
  ASSERT_EQ(requests.size(), prompts.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_EQ(requests[i].shared.size(), 2u);
    EXPECT_EQ(requests[i].shared[0], (PromptSegment{6, prompt_content(PromptContent::kPrefix, 0)}));
    const std::uint64_t first = prompts[i][6].get<std::uint64_t>() - 2;
    EXPECT_EQ(requests[i].shared[1], (PromptSegment{12, prompt_content(PromptContent::kRun, first)}));
  }
}

TEST(VllmBench, PrefixesComeInTheRecordedOrder) {
  for (const Json& row : record().at("prefix_repetition")) {
    VllmBenchOptions o;
    o.dataset_name = "prefix_repetition";
    o.num_prompts = row.at("num_prompts");
    o.prefix_repetition_prefix_len = row.at("prefix_len");
    o.prefix_repetition_suffix_len = row.at("suffix_len");
    o.prefix_repetition_num_prefixes = row.at("num_prefixes");
    o.prefix_repetition_output_len = row.at("output_len");
    o.tokenizer.special_tokens = 0;
    const std::vector<Request> requests = requests_of(o);
    EXPECT_EQ(requests.size(), row.at("requests").get<std::size_t>());
    std::vector<std::uint64_t> seen;  // the record numbers prefixes by first appearance
    std::vector<std::size_t> order;
    for (const Request& r : requests) {
      EXPECT_EQ(r.input_tokens, row.at("prompt_len")[0]);
      EXPECT_EQ(r.output_tokens, row.at("output")[0]);
      ASSERT_EQ(r.shared.size(), 1u);
      EXPECT_EQ(r.shared[0].tokens, row.at("prefix_len"));
      auto at = std::find(seen.begin(), seen.end(), r.shared[0].content);
      if (at == seen.end()) at = seen.insert(at, r.shared[0].content);
      order.push_back(static_cast<std::size_t>(at - seen.begin()));
    }
    EXPECT_EQ(seen.size(), row.at("distinct_prefixes").get<std::size_t>());
    order.resize(std::min<std::size_t>(order.size(), 40));
    EXPECT_EQ(order, row.at("prefix_order_first_40").get<std::vector<std::size_t>>());
  }
}

TEST(VllmBench, SendOffsetsAreTheRecordedOnes) {
  int compared = 0, refused = 0;
  for (const Json& row : record().at("arrivals")) {
    SCOPED_TRACE(row.dump().substr(0, 150));
    VllmBenchOptions o;
    o.request_rate = number(row.at("request_rate"));
    if (row.contains("n")) {
      o.seed = row.at("seed");
      o.num_prompts = row.at("n");
      o.burstiness = number(row.at("burstiness"));
    }
    if (row.contains("ramp_up_strategy")) {
      o.ramp_up_strategy = row.at("ramp_up_strategy") == "linear" ? RampUp::kLinear : RampUp::kExponential;
      o.ramp_up_start_rps = row.at("ramp_up_start_rps");
      o.ramp_up_end_rps = row.at("ramp_up_end_rps");
      // The record calls the function behind the option parser, which refuses a rate beside a ramp-up; the rate is not
      // used.
      o.request_rate = kAllAtOnce;
    }
    if (row.contains("error")) {
      EXPECT_EQ(first_error(o).substr(0, 5), "E0602");
      ++refused;
      continue;
    }
    const std::vector<Request> requests = requests_of(o);
    expect_offsets(row.at("offsets_s"), row.at("last_offset_s"), requests);
    expect_gaps(row.at("gap_mean"), row.at("gap_std"), requests);
    ++compared;
  }
  EXPECT_EQ(compared, 36);
  EXPECT_EQ(refused, 6);
}

// Derived with NumPy 1.24.2 by the rule "it draws from the same global generator as the gaps": seed(0); for each of 3
// prefixes randint(0, 129280, size=64) and 6 times randint(0, 129280, size=16); then 18 gaps of exponential(1 / 4),
// scaled to 4.5 s.
TEST(VllmBench, PrefixRepetitionDrawsItsTokensBeforeTheGaps) {
  VllmBenchOptions o;
  o.dataset_name = "prefix_repetition";
  o.num_prompts = 20;
  o.prefix_repetition_prefix_len = 64;
  o.prefix_repetition_suffix_len = 16;
  o.prefix_repetition_num_prefixes = 3;
  o.request_rate = 4;
  const std::vector<Request> requests = requests_of(o);
  ASSERT_EQ(requests.size(), 18u);
  EXPECT_NEAR(seconds(requests[0].arrival), 0.426004121159, 1e-9);
  EXPECT_NEAR(seconds(requests[1].arrival), 0.548936932211, 1e-9);
  EXPECT_EQ(seconds(requests.back().arrival), 4.5);
}

// By hand: up to 0.9.2 a request is sent and then the gap waited for, so the instants are the cumulated gaps one place
// later; the gaps of seed 0 are those of the scaled record divided by its factor: 0.192278189 * (500.0 / unscaled end).
TEST(VllmBench, OldVersionsSendTheFirstAtOnceAndDoNotScale) {
  VllmBenchOptions o;
  o.version = VllmBenchOptions::Version::kUpTo0_9_2;
  o.num_prompts = 3;
  o.request_rate = 4;
  const std::vector<Request> requests = requests_of(o);
  NumpyRandomState random(0);
  const double first = random.exponential(0.25), second = random.exponential(0.25);
  EXPECT_EQ(requests[0].arrival, Duration(0));
  EXPECT_NEAR(seconds(requests[1].arrival), first, 1e-12);
  EXPECT_NEAR(seconds(requests[2].arrival), first + second, 1e-12);
}

TEST(VllmBench, SpecialTokensComeBackAtTheServer) {
  VllmBenchOptions o;
  o.num_prompts = 2;
  const std::vector<Request> requests = requests_of(o);
  EXPECT_EQ(requests[0].input_tokens, 1024);  // 1023 drawn, BOS in front
  EXPECT_EQ(requests[0].shared[0], (PromptSegment{1, prompt_content(PromptContent::kSpecial, 0)}));
}

TEST(VllmBench, RefusesWhatTheToolRefuses) {
  VllmBenchOptions o;
  o.dataset_name = "sharegpt";
  EXPECT_EQ(first_error(o), "E0601 the data set sharegpt needs a download or texts with the model's tokenizer");
  o = {};
  o.request_rate = 4;
  o.ramp_up_strategy = RampUp::kLinear;
  o.ramp_up_start_rps = o.ramp_up_end_rps = 1;
  EXPECT_EQ(first_error(o), "E0602 a rate together with a ramp-up");
  o = {};
  o.seed = -1;
  EXPECT_EQ(first_error(o), "E0602 --seed is -1, NumPy takes seeds from 0 to 4294967295");
  o = {};
  o.burstiness = 0;
  EXPECT_EQ(first_error(o), "E0602 the burstiness is 0, it must be above 0");
  o = {};
  o.random_input_len = 0;
  EXPECT_NE(first_error(o).find("--random-input-len 0 is too small"), std::string::npos);
  o = {};
  o.request_rate = 1e-6;
  EXPECT_EQ(first_error(o), "E0602 the last request would be sent after 1e+09 s, more than 104 days");
  o = {};
  o.dataset_name = "prefix_repetition";
  o.num_prompts = 9;
  EXPECT_EQ(first_error(o), "E0602 9 prompts are fewer than 10 prefixes");
  o.num_prompts = 0;
  EXPECT_EQ(first_error(o), "E0602 --num-prompts is 0, it must be at least 1");
}

// A load that a user may ask for at the bars of speed: nothing is kept, whatever its size.
RC_GTEST_PROP(VllmBench, InstantsGoUpAndEndAtCountOverRate, ()) {
  VllmBenchOptions o;
  o.seed = *rc::gen::inRange(0, 1000);
  o.num_prompts = *rc::gen::inRange(1, 300);
  o.request_rate = *rc::gen::element(0.5, 4.0, 1000.0);
  o.burstiness = *rc::gen::element(0.1, 0.5, 1.0, 3.0, double(INFINITY));
  o.random_range_ratio_input = *rc::gen::element(0.0, 0.25, 0.9);
  o.random_range_ratio_output = o.random_range_ratio_input;
  const std::vector<Request> requests = requests_of(o);
  RC_ASSERT(static_cast<std::int64_t>(requests.size()) == o.num_prompts);
  Duration before{0};
  for (const Request& r : requests) {
    RC_ASSERT(r.arrival >= before);
    before = r.arrival;
    RC_ASSERT(r.output_tokens >= 1);
    std::int64_t shared = 0;
    for (const PromptSegment& s : r.shared) shared += s.tokens;
    RC_ASSERT(shared == r.input_tokens);
  }
  RC_ASSERT(std::abs(seconds(before) - static_cast<double>(o.num_prompts) / o.request_rate) < 1e-9);
  const std::vector<Request> again = requests_of(o);
  for (std::size_t i = 0; i < again.size(); ++i)
    RC_ASSERT(again[i].arrival == requests[i].arrival && again[i].input_tokens == requests[i].input_tokens &&
              again[i].output_tokens == requests[i].output_tokens && again[i].shared == requests[i].shared);
}

TEST(VllmBench, OtherSeedsGiveOtherLoads) {
  std::set<std::int64_t> first_lengths, first_instants;
  for (std::int64_t seed = 0; seed < 30; ++seed) {
    VllmBenchOptions o;
    o.seed = seed;
    o.num_prompts = 5;
    o.request_rate = 1;
    o.random_range_ratio_input = 0.5;
    const std::vector<Request> requests = requests_of(o);
    first_lengths.insert(requests[0].input_tokens);
    first_instants.insert(requests[0].arrival.count());
  }
  EXPECT_GT(first_lengths.size(), 25u);
  EXPECT_EQ(first_instants.size(), 30u);
}

}  // namespace
}  // namespace ascendsim
