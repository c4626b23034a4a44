// `sglang.bench_serving` against the numbers recorded from the tool itself.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/workloads/requests/recorded.h"
#include "workloads/requests/generators.h"

namespace ascendsim {
namespace {

const Json& record() {
  static const Json json = recorded("sglang-bench-serving-generator.json");
  return json;
}

std::vector<Request> requests_of(const SglangBenchOptions& options) {
  Diagnostics diagnostics;
  const std::unique_ptr<RequestSource> source = make_sglang_bench(options, {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) ADD_FAILURE() << render(d);
  return source ? all_of(*source) : std::vector<Request>{};
}

std::string first_error(const SglangBenchOptions& options) {
  Diagnostics diagnostics;
  EXPECT_EQ(make_sglang_bench(options, {.file = "--workload"}, diagnostics), nullptr);
  if (diagnostics.all().empty()) return "";
  return diagnostics.all()[0].code + " " + diagnostics.all()[0].message;
}

SglangBenchOptions random_ids() {
  SglangBenchOptions o;
  o.dataset_name = "random-ids";
  o.tokenizer.special_tokens = 0;
  return o;
}

TEST(SglangBench, DefaultsAreTheTools) {
  const Json& d = record().at("defaults");
  const SglangBenchOptions o;
  EXPECT_EQ(o.dataset_name, d.at("dataset_name"));
  EXPECT_EQ(o.num_prompts, d.at("num_prompts"));
  EXPECT_EQ(o.random_input_len, d.at("random_input_len"));
  EXPECT_EQ(o.random_output_len, d.at("random_output_len"));
  EXPECT_EQ(o.random_range_ratio, d.at("random_range_ratio"));
  EXPECT_EQ(o.request_rate, number(d.at("request_rate")));
  EXPECT_EQ(d.at("gsp"), "64 groups of 16 prompts, system 2048, question 128, output 256");
  EXPECT_EQ(d.at("seed"), 42);
}

void expect_random_row(const Json& row, SglangBenchOptions o) {
  SCOPED_TRACE(row.dump().substr(0, 200));
  ASSERT_EQ(row.at("dataset"), "random-ids");
  o.dataset_name = "random-ids";
  o.seed = row.at("seed");
  o.num_prompts = row.at("num_prompts");
  o.random_input_len = row.at("input_len");
  o.random_output_len = row.at("output_len");
  o.random_range_ratio = row.at("range_ratio");
  o.tokenize_prompt = row.at("tokenize_prompt");
  o.tokenizer.special_tokens = row.at("special_tokens");
  o.request_rate = 4;
  if (row.contains("error")) {
    EXPECT_EQ(first_error(o).substr(0, 5), "E0602");
    return;
  }
  const std::vector<Request> requests = requests_of(o);
  std::vector<std::int64_t> inputs, outputs;
  for (const Request& r : requests) {
    // The record has what the tool counts; the server puts the special tokens back.
    inputs.push_back(r.input_tokens - (o.tokenize_prompt ? 0 : o.tokenizer.special_tokens));
    outputs.push_back(r.output_tokens);
  }
  expect_values(row.at("prompt_len"), inputs);
  expect_values(row.at("output"), outputs);
  if (!row.contains("then_offsets_at_rate_4")) return;
  const Json& offsets = row.at("then_offsets_at_rate_4");
  expect_offsets(offsets.at("first"), offsets.at("last"), requests);
  expect_gaps(offsets.at("gap_mean"), offsets.at("gap_std"), requests);
}

TEST(SglangBench, RandomIdsAreTheRecordedOnes) {
  for (const Json& row : record().at("random_ids")) expect_random_row(row, {});
}

TEST(SglangBench, OldOutputsMayBeEmpty) {
  SglangBenchOptions o;
  o.version = SglangBenchOptions::Version::k0_5_2;
  for (const Json& row : record().at("outputs_0_5_2")) expect_random_row(row, o);
}

TEST(SglangBench, SeedsOfTheVersions) {
  for (const auto& [version, seed] : {std::pair{SglangBenchOptions::Version::k0_5_2, 1},
                                      {SglangBenchOptions::Version::k0_5_9, 1},
                                      {SglangBenchOptions::Version::k0_5_18, 42}}) {
    SglangBenchOptions unsaid = random_ids();
    unsaid.version = version;
    unsaid.num_prompts = 30;
    SglangBenchOptions said = unsaid;
    said.seed = seed;
    const std::vector<Request> a = requests_of(unsaid), b = requests_of(said);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].input_tokens, b[i].input_tokens);
  }
}

// With one length each and rate given, nothing is drawn before the gaps but the offsets of random-ids; the data set
// `random` draws no offsets, so its gaps are those that the record has with nothing drawn before.
TEST(SglangBench, SendOffsetsAloneAreTheRecordedOnes) {
  for (const Json& row : record().at("arrivals_alone")) {
    SCOPED_TRACE(row.dump().substr(0, 100));
    SglangBenchOptions o;
    o.dataset_name = "random";
    o.random_range_ratio = 1;
    o.seed = row.at("seed");
    o.num_prompts = row.at("n");
    o.request_rate = number(row.at("request_rate"));
    const std::vector<Request> requests = requests_of(o);
    expect_offsets(row.at("offsets_s"), row.at("last_offset_s"), requests);
    expect_gaps(row.at("gap_mean"), row.at("gap_std"), requests);
  }
}

TEST(SglangBench, GroupsOfSharedPrefixesAreTheRecordedOnes) {
  int compared = 0, refused = 0;
  for (const Json& row : record().at("generated_shared_prefix")) {
    SCOPED_TRACE(row.dump().substr(0, 200));
    SglangBenchOptions o;
    o.dataset_name = "generated-shared-prefix";
    o.seed = row.at("seed");
    o.gsp_num_groups = row.at("num_groups");
    o.gsp_prompts_per_group = row.at("prompts_per_group");
    o.gsp_system_prompt_len = row.at("system_prompt_len");
    o.gsp_question_len = row.at("question_len");
    o.gsp_output_len = row.at("output_len");
    o.gsp_range_ratio = row.at("range_ratio");
    o.gsp_ordered = row.value("ordered", false);
    o.gsp_num_turns = row.value("num_turns", 1);
    o.gsp_group_distribution = row.value("group_distribution", "uniform");
    if (row.contains("zipf_alpha")) o.gsp_zipf_alpha = row.at("zipf_alpha").get<double>();
    o.tokenizer.special_tokens = 0;
    if (o.gsp_num_turns > 1) {
      EXPECT_EQ(first_error(o).substr(0, 5), "E0601");
      ++refused;
      continue;
    }
    std::vector<std::int64_t> inputs, outputs;
    std::vector<std::uint64_t> seen;  // the record numbers groups by first appearance
    std::vector<std::size_t> groups;
    for (const Request& r : requests_of(o)) {
      inputs.push_back(r.input_tokens);
      outputs.push_back(r.output_tokens);
      ASSERT_EQ(r.shared.size(), 1u);
      auto at = std::find(seen.begin(), seen.end(), r.shared[0].content);
      if (at == seen.end()) at = seen.insert(at, r.shared[0].content);
      groups.push_back(static_cast<std::size_t>(at - seen.begin()));
    }
    expect_values(row.at("prompt_len"), inputs);
    expect_values(row.at("output"), outputs);
    EXPECT_EQ(groups, row.at("group_of_request").get<std::vector<std::size_t>>());
    ++compared;
  }
  EXPECT_EQ(compared, 4);
  EXPECT_EQ(refused, 1);
}

TEST(SglangBench, ASharedPrefixIsTheSystemPromptOfTheGroup) {
  SglangBenchOptions o;
  o.dataset_name = "generated-shared-prefix";
  o.gsp_num_groups = 2;
  o.gsp_prompts_per_group = 3;
  for (const Request& r : requests_of(o)) {
    EXPECT_EQ(r.input_tokens, 1 + 2048 + 128);  // BOS, system prompt, question
    ASSERT_EQ(r.shared.size(), 2u);
    EXPECT_EQ(r.shared[0].tokens, 1);
    EXPECT_EQ(r.shared[1].tokens, 2048);
  }
}

TEST(SglangBench, RefusesWhatTheToolRefuses) {
  EXPECT_EQ(first_error({}), "E0601 the data set sharegpt needs a download or texts with the model's tokenizer");
  SglangBenchOptions o = random_ids();
  o.request_rate = 0;
  EXPECT_EQ(first_error(o), "E0602 the request rate is 0, it must be above 0");
  o = random_ids();
  o.random_range_ratio = 1.5;
  EXPECT_EQ(first_error(o), "E0602 --random-range-ratio is 1.5, it must be within [0, 1]");
  o = random_ids();
  o.num_prompts = 0;
  EXPECT_EQ(first_error(o), "E0602 --num-prompts is 0, it must be at least 1");
  o = {};
  o.dataset_name = "generated-shared-prefix";
  o.gsp_group_distribution = "zipf";
  EXPECT_EQ(first_error(o), "E0602 zipf needs --gsp-zipf-alpha, a number above 0");
  o.gsp_group_distribution = "uniform";
  o.gsp_zipf_alpha = 1.2;
  EXPECT_EQ(first_error(o), "E0602 --gsp-zipf-alpha without --gsp-group-distribution zipf");
}

// Exponential gaps of mean 1 / rate: the mean of n within six standard errors, 6 / (rate sqrt(n)).
RC_GTEST_PROP(SglangBench, InstantsStartAtZeroAndKeepTheRate, ()) {
  SglangBenchOptions o = random_ids();
  o.seed = *rc::gen::inRange(0, 1'000'000);
  o.num_prompts = 2000;
  o.request_rate = *rc::gen::element(0.25, 8.0, 500.0);
  o.random_range_ratio = *rc::gen::element(0.0, 0.5, 1.0);
  const std::vector<Request> requests = requests_of(o);
  RC_ASSERT(requests.front().arrival == Duration(0));
  Duration before{0};
  for (const Request& r : requests) {
    RC_ASSERT(r.arrival >= before);
    before = r.arrival;
    RC_ASSERT(1 <= r.input_tokens && r.input_tokens <= o.random_input_len);
    RC_ASSERT(1 <= r.output_tokens && r.output_tokens <= o.random_output_len);
  }
  const double mean = seconds(before) / 1999;
  RC_ASSERT(std::abs(mean * o.request_rate - 1) < 6 / std::sqrt(1999.0));
}

}  // namespace
}  // namespace ascendsim
