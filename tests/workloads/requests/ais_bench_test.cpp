// AISBench against the numbers recorded from the tool itself.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/workloads/requests/recorded.h"
#include "workloads/requests/generators.h"

namespace ascendsim {
namespace {

const Json& record() {
  static const Json json = recorded("aisbench-generator.json");
  return json;
}

std::vector<Request> requests_of(const AisBenchOptions& options) {
  Diagnostics diagnostics;
  const std::unique_ptr<RequestSource> source = make_ais_bench(options, {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) ADD_FAILURE() << render(d);
  return source ? all_of(*source) : std::vector<Request>{};
}

std::string first_error(const AisBenchOptions& options) {
  Diagnostics diagnostics;
  EXPECT_EQ(make_ais_bench(options, {.file = "--workload"}, diagnostics), nullptr);
  if (diagnostics.all().empty()) return "";
  return diagnostics.all()[0].code + " " + diagnostics.all()[0].message;
}

TEST(AisBench, DefaultsAreTheTools) {
  const Json& d = record().at("defaults");
  const AisBenchOptions o;
  EXPECT_EQ(o.request_rate, d.at("request_rate"));
  EXPECT_EQ(o.max_out_len, d.at("max_out_len"));
  EXPECT_EQ(o.burstiness, d.at("burstiness"));
}

TEST(AisBench, PacingIsTheRecordedOne) {
  int paced_rows = 0, unpaced_rows = 0, with_sends = 0;
  for (const Json& row : record().at("arrivals")) {
    SCOPED_TRACE(row.dump().substr(0, 200));
    const Json& traffic = row.at("traffic_cfg");
    AisBenchOptions o;
    o.seed = row.at("seed");
    o.request_count = row.at("n");
    o.request_rate = row.at("request_rate");
    o.burstiness = traffic.value("burstiness", 1.0);
    if (traffic.contains("ramp_up_strategy")) {
      o.ramp_up_strategy = traffic.at("ramp_up_strategy") == "linear" ? RampUp::kLinear : RampUp::kExponential;
      o.ramp_up_start_rps = traffic.at("ramp_up_start_rps");
      o.ramp_up_end_rps = traffic.at("ramp_up_end_rps");
    }
    const std::vector<Request> requests = requests_of(o);
    ASSERT_EQ(requests.size(), row.at("n").get<std::size_t>());
    if (!row.at("paced").get<bool>()) {
      for (const Request& r : requests) EXPECT_EQ(r.arrival, Duration(0));
      ++unpaced_rows;
      continue;
    }
    ++paced_rows;
    // Every send is later than its cumulated delay by the first delay.
    const Json& delays = row.at("cumulated_delays_s");
    const double first = delays[0];
    for (std::size_t i = 0; i < delays.size(); ++i)
      EXPECT_NEAR(seconds(requests[i].arrival), delays[i].get<double>() + first, 2 * kOffset) << i;
    EXPECT_NEAR(seconds(requests.back().arrival), row.at("last").get<double>() + first, 2 * kOffset);
    if (!row.contains("send_times_s")) continue;
    expect_offsets(row.at("send_times_s"), row.at("send_times_s").back(), requests);
    ++with_sends;
  }
  EXPECT_EQ(paced_rows, 28);
  EXPECT_EQ(unpaced_rows, 8);
  EXPECT_EQ(with_sends, 14);
}

TEST(AisBench, SyntheticLengthsAreTheRecordedOnes) {
  for (const Json& row : record().at("synthetic_lengths")) {
    SCOPED_TRACE(row.dump().substr(0, 200));
    const Json& params = row.at("params");
    AisBenchLength length;
    length.method = row.at("method");
    length.min_value = params.at("MinValue");
    length.max_value = params.at("MaxValue");
    length.mean = params.value("Mean", 0.0);
    length.variance = params.value("Var", 0.0);
    length.alpha = params.value("Alpha", 1.5);
    NumpyRandomState random(row.at("seed").get<std::uint32_t>());
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < row.at("n"); ++i) values.push_back(draw(length, random));
    // The record rounds the two moments to four digits.
    Json six = row;
    double sum = 0, squares = 0;
    for (const std::int64_t v : values) sum += static_cast<double>(v);
    const double mean = sum / static_cast<double>(values.size());
    for (const std::int64_t v : values) squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_NEAR(mean, row.at("mean").get<double>(), 6e-5);
    EXPECT_NEAR(deviation, row.at("std").get<double>(), 6e-5);
    six["mean"] = mean;
    six["std"] = deviation;
    expect_values(six, values);
  }
}

// Input and output of a request are drawn one after the other: by hand from the recorded row of uniform 500..1500 with
// seed 0, whose values are 1048, 1215, 1102, 1044.
TEST(AisBench, InputsAndOutputsTakeTurns) {
  AisBenchOptions o;
  o.request_count = 2;
  o.input = o.output = {.method = "uniform", .min_value = 500, .max_value = 1500};
  o.tokenizer.special_tokens = 0;
  const std::vector<Request> requests = requests_of(o);
  EXPECT_EQ(requests[0].input_tokens, 1048);
  EXPECT_EQ(requests[0].output_tokens, 1215);
  EXPECT_EQ(requests[1].input_tokens, 1102);
  EXPECT_EQ(requests[1].output_tokens, 1044);
  EXPECT_EQ(requests[0].shared[0].content, requests[1].shared[0].content);  // the letter A again and again
}

TEST(AisBench, TokenIdsHaveOneLengthAndAPrefix) {
  AisBenchOptions o;
  o.type = "tokenid";
  o.request_count = 2;
  o.request_size = 4096;
  o.prefix_len = 1024;
  const std::vector<Request> requests = requests_of(o);
  for (const Request& r : requests) {
    EXPECT_EQ(r.input_tokens, 4097);  // and BOS
    EXPECT_EQ(r.output_tokens, 512);
    ASSERT_EQ(r.shared.size(), 2u);
    EXPECT_EQ(r.shared[1].tokens, 1024);
  }
}

class Instants : public RequestSource {
 public:
  explicit Instants(std::vector<double> at) : at_(std::move(at)) {}
  bool next(Request& request) override {
    if (index_ == at_.size()) return false;
    request.arrival = duration_from_seconds(at_[index_++]);
    return true;
  }

 private:
  std::vector<double> at_;
  std::size_t index_ = 0;
};

TEST(AisBench, TimestampsAreSentLaterByTheFirst) {
  const std::unique_ptr<RequestSource> source =
      with_ais_bench_timestamps(std::make_unique<Instants>(std::vector<double>{2, 2, 5}));
  std::vector<double> sent;
  for (const Request& r : all_of(*source)) sent.push_back(seconds(r.arrival));
  EXPECT_EQ(sent, record().at("time_stamps_2_2_5_s_sent_at").get<std::vector<double>>());
}

TEST(AisBench, LengthsOfAFileTakeTheInstantsOfAGenerator) {
  Pacing equal;
  equal.request_rate = 2;
  equal.burstiness = INFINITY;
  const std::unique_ptr<RequestSource> source =
      paced(std::make_unique<Instants>(std::vector<double>(5)), SendInstants(equal, 3, NumpyRandomState(0)), 3);
  std::vector<double> sent;
  for (const Request& r : all_of(*source)) sent.push_back(seconds(r.arrival));
  EXPECT_EQ(sent, (std::vector<double>{0.5, 1, 1.5}));
}

TEST(AisBench, RefusesWhatTheToolRefuses) {
  AisBenchOptions o;
  o.type = "gsm8k";
  EXPECT_EQ(first_error(o), "E0601 the data set gsm8k needs its file and the model's tokenizer");
  o = {};
  o.request_count = 1 << 21;
  EXPECT_EQ(first_error(o), "E0602 RequestCount is 2097152, it must be within [1, 1048576]");
  o = {};
  o.input.min_value = 7;
  EXPECT_EQ(first_error(o), "E0602 Input: lengths from 7 to 1; 1 <= MinValue <= MaxValue <= 1048576 is needed");
  o = {};
  o.output.method = "zipf";
  o.output.alpha = 1;
  EXPECT_EQ(first_error(o), "E0602 Output: Alpha is 1, it must be within (1, 10]");
  o = {};
  o.request_rate = 64001;
  EXPECT_EQ(first_error(o), "E0602 request_rate is 64001, it must be within [0, 64000]");
}

RC_GTEST_PROP(AisBench, InstantsGoUpFromTwiceTheFirstGap, ()) {
  AisBenchOptions o;
  o.seed = *rc::gen::inRange(0, 1'000'000);
  o.request_count = *rc::gen::inRange(1, 300);
  o.request_rate = *rc::gen::element(0.0, 0.05, 4.0, 64000.0);
  o.burstiness = *rc::gen::element(0.0, 0.5, 1.0, 4.0);
  Duration before{0};
  const std::vector<Request> requests = requests_of(o);
  for (const Request& r : requests) {
    RC_ASSERT(r.arrival >= before);
    before = r.arrival;
  }
  if (o.request_rate > 0) {  // the last delay is count / rate, and the first comes on top
    const double first = seconds(requests.front().arrival) / 2;
    RC_ASSERT(std::abs(seconds(before) - first - static_cast<double>(o.request_count) / o.request_rate) < 1e-9);
  }
}

}  // namespace
}  // namespace ascendsim
