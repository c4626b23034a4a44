// Answers of `collective`: keys, exit codes, rules, hccl_test read back.
#include <nlohmann/json.hpp>

#include "reports/commands/hccl_measurements.h"
#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;

class Collective : public ApplicationTest {
 protected:
  int ask(std::vector<std::string> more) {
    std::vector<std::string> args{"collective", "--op", "all-gather", "--ranks", "16", "--hardware", "atlas-800i-a3"};
    args.insert(args.end(), more.begin(), more.end());
    return run(std::move(args));
  }
  [[nodiscard]] bool says(const std::string& text) const { return err.find(text) != std::string::npos; }
};

// 64 MiB on 16 dies: 80 us + 60 MiB x 14/15 over the UB port / (196 GB/s x 0.976) = 80 + 306.96 us.
TEST_F(Collective, JsonHasStableKeys) {
  ASSERT_EQ(ask({"--bytes", "64MiB", "--json"}), kDone) << err;
  const Json j = Json::parse(out);
  EXPECT_EQ(j["op"], "all-gather");
  EXPECT_EQ(j["ranks"], 16);
  EXPECT_EQ(j["bytes"], 67108864);
  EXPECT_EQ(j["bytes_per_rank"], 4194304);
  EXPECT_EQ(j["algorithm"], "mesh");
  EXPECT_EQ(j["expansion"], "AI CPU");
  EXPECT_EQ(j["steps"], 1);
  const double us = 80 + 14 * 4194304 / (196e9 * 0.976) * 1e6;
  EXPECT_NEAR(j["time_us"].get<double>(), us, 0.01);
  EXPECT_NEAR(j["flow_time_us"].get<double>(), us, 0.01);
  EXPECT_NEAR(j["algorithm_bandwidth_gb_s"].get<double>(), 67108864 / us / 1e3, 0.01);
  EXPECT_NEAR(j["bus_bandwidth_gb_s"].get<double>(), 15.0 / 16 * 67108864 / us / 1e3, 0.01);
  EXPECT_EQ(j["messages"], 16 * 15);
}

TEST_F(Collective, SizesAreThoseOfTheWholeUnlessOfARank) {
  ASSERT_EQ(ask({"--bytes", "4M", "--per", "rank", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out)["bytes"], 67108864);
}

TEST_F(Collective, SizesHaveUnitsUpToPebibytes) {
  ASSERT_EQ(ask({"--bytes", "1PiB", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out)["bytes"], std::int64_t{1} << 50);
  ASSERT_EQ(ask({"--bytes", "1P", "--json"}), kDone) << err;
  EXPECT_EQ(Json::parse(out)["bytes"], std::int64_t{1} << 50);
}

TEST_F(Collective, SaysWhatASizeIsOf) {
  ASSERT_EQ(
      run({"collective", "--op", "all-to-all", "--ranks", "16", "--hardware", "atlas-800i-a3", "--bytes", "64MiB"}),
      kDone)
      << err;
  EXPECT_NE(out.find("64 MiB, the buffer of a rank: 4 MiB for each peer"), std::string::npos) << out;
  ASSERT_EQ(
      run({"collective", "--op", "all-reduce", "--ranks", "8", "--hardware", "atlas-800i-a2", "--sweep", "1M:2M"}),
      kDone)
      << err;
  EXPECT_NE(out.find("vector of every rank"), std::string::npos) << out;
}

TEST_F(Collective, RefusesOptionsThatPlayNoPart) {
  EXPECT_EQ(ask({"--bytes", "1M", "--top-k", "4"}), kWrongInput);
  EXPECT_TRUE(says("--top-k plays no part in all-gather")) << err;
  EXPECT_EQ(ask({"--bytes", "1M", "--padding", "2"}), kWrongInput);
  EXPECT_TRUE(says("--padding plays no part without --algorithm padded")) << err;
  EXPECT_EQ(run({"collective", "--op", "all-reduce", "--ranks", "8", "--hardware", "atlas-800i-a2", "--bytes", "1M",
                 "--per", "rank"}),
            kWrongInput);
  EXPECT_TRUE(says("--per rank plays no part in all-reduce")) << err;
}

TEST_F(Collective, SaysThatAnExpansionFellBackAndWhatIsLeftOut) {
  ASSERT_EQ(ask({"--bytes", "64MiB", "--expansion", "aiv"}), kDone) << err;
  EXPECT_NE(out.find("AIV asked for, but above its threshold HCCL falls back to AI CPUs"), std::string::npos) << out;
  ASSERT_EQ(
      run({"collective", "--op", "dispatch", "--ranks", "768", "--hardware", "cloudmatrix384", "--bytes", "8MiB"}),
      kDone)
      << err;
  EXPECT_NE(out.find("left out, links too: more than 1,048,576 messages"), std::string::npos) << out;
}

TEST_F(Collective, ConcurrentOnesAreSlowerButShareOneSetup) {
  ASSERT_EQ(ask({"--bytes", "64MiB", "--concurrent", "4", "--json"}), kDone) << err;
  const double us = 80 + 4 * 14 * 4194304 / (196e9 * 0.976) * 1e6;
  EXPECT_NEAR(Json::parse(out)["time_us"].get<double>(), us, 0.05);
}

TEST_F(Collective, SweepNamesBothSizes) {
  ASSERT_EQ(ask({"--sweep", "8K:64K", "--json"}), kDone) << err;
  const Json sizes = Json::parse(out)["sizes"];
  ASSERT_EQ(sizes.size(), 4U);  // 8, 16, 32, 64 KiB
  EXPECT_EQ(sizes[0]["bytes"], 8192);
  EXPECT_EQ(sizes[0]["bytes_per_rank"], 512);
  EXPECT_EQ(sizes[3]["bytes"], 65536);
  EXPECT_EQ(sizes[0]["expansion"], "AIV");
  ASSERT_EQ(ask({"--sweep", "8K:1M:4", "--format", "csv"}), kDone) << err;
  EXPECT_EQ(out.find("# sizes\nbytes,bytes_per_rank,time_us"), 0U) << out;
}

TEST_F(Collective, ComparesWithAnOutputOfHcclTest) {
  write("hccl.txt",
        "mpirun says something\n[1,0]<stdout>:data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s): | "
        "check_result:\n[1,0]<stdout>:67108864 | 400.00 | 167.77216 | success\n"
        "134217728 | 700.00 | 191.73961 | failed\n");
  ASSERT_EQ(ask({"--compare", "hccl.txt", "--json"}), kDone) << err;
  const Json sizes = Json::parse(out)["sizes"];
  ASSERT_EQ(sizes.size(), 2U);
  EXPECT_NEAR(sizes[0]["measured_us"].get<double>(), 400, 1e-9);
  EXPECT_NEAR(sizes[0]["error"].get<double>(), sizes[0]["time_us"].get<double>() / 400 - 1, 1e-9);
  EXPECT_NE(out.find("hccl_test found wrong results at 134217728 B"),
            std::string::npos);  // findings are part of the document
}

TEST_F(Collective, SaysTheRuleThatIsBroken) {
  EXPECT_EQ(run({"collective", "--op", "all-reduce", "--ranks", "6", "--bytes", "1M", "--hardware", "atlas-800i-a2",
                 "--algorithm", "halving-doubling"}),
            kWrongInput);
  EXPECT_TRUE(
      says("error[E0390]: 'halving-doubling' is not defined for 6 ranks on 1 server: ranks are a power of two\n"))
      << err;
  EXPECT_EQ(run({"collective", "--op", "dispatch", "--ranks", "24", "--bytes", "1M", "--hardware", "atlas-800i-a2",
                 "--algorithm", "layered"}),
            kWrongInput);
  EXPECT_TRUE(says("on A2 16, 32 or 64 ranks")) << err;
}

TEST_F(Collective, WrongOptionsAreSaidTogether) {
  EXPECT_EQ(run({"collective", "--op", "allgather", "--ranks", "16", "--hardware", "atlas-800i-a4", "--bytes", "1M",
                 "--algorithm", "rng"}),
            kWrongInput);
  EXPECT_TRUE(says("unknown --op 'allgather'") && says("did you mean 'all-gather'?")) << err;
  EXPECT_TRUE(says("unknown --algorithm 'rng'") && says("did you mean 'ring'?")) << err;
  EXPECT_TRUE(says("unknown server 'atlas-800i-a4'")) << err;
  EXPECT_EQ(ask({}), kWrongInput);
  EXPECT_TRUE(says("error[E0003]: --bytes SIZE is missing")) << err;
  EXPECT_EQ(ask({"--bytes", "64Q"}), kWrongInput);
  EXPECT_TRUE(says("error[E0004]: --bytes must be a size, got '64Q'")) << err;
  EXPECT_EQ(ask({"--sweep", "2G:8K"}), kWrongInput);
  EXPECT_TRUE(says("goes from 2 GiB down to 8 KiB")) << err;
  EXPECT_EQ(ask({"--bytes", "1M", "--servers", "3"}), kWrongInput);
  EXPECT_TRUE(says("error[E0327]: 16 ranks cannot be spread evenly over 3 servers")) << err;
  EXPECT_EQ(
      run({"collective", "--op", "all-gather", "--ranks", "1000", "--bytes", "1M", "--hardware", "cloudmatrix384"}),
      kWrongInput);
  EXPECT_TRUE(says("error[E0007]: 63 servers are more than the 48 of CloudMatrix384")) << err;
}

TEST_F(Collective, BytesTimesRanksDoNotOverflow) {
  EXPECT_EQ(run({"collective", "--op", "all-gather", "--ranks", "768", "--bytes", "8000000TiB", "--hardware",
                 "cloudmatrix384"}),
            kWrongInput);
  EXPECT_TRUE(says("error[E0392]: --bytes of ")) << err;
}

std::string first_complaint(const std::string& text) {
  Diagnostics diagnostics;
  const auto rows = parse_hccl_test(text, "t.txt", diagnostics);
  return diagnostics.all().empty() ? std::to_string(rows.size()) + " rows" : render_short(diagnostics.all()[0]);
}

TEST(HcclTest, IsReadStrictly) {
  const std::string header = "data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s): | check_result:\n";
  EXPECT_EQ(first_complaint(header + "8192 | 12.50 | 0.65536 | success\n16384 | 13.00 | 1.26031 | NULL\n"), "2 rows");
  EXPECT_EQ(first_complaint("data_size(Bytes): | avg_time(us): | alg_bandwidth(GB/s): | check_result:\n8192 | 12.50 | "
                            "0.65536 | success\n"),
            "1 rows");
  EXPECT_EQ(first_complaint("nothing\n"), "t.txt: error[E0391]: no table of hccl_test in this file");
  EXPECT_EQ(first_complaint(header), "t.txt: error[E0391]: the table of hccl_test has no rows");
  EXPECT_EQ(first_complaint(header + "8192 | 12.50 | 0.65536\n"),
            "t.txt:2:1: error[E0391]: a row has 4 values, this line has 3");
  EXPECT_EQ(first_complaint(header + "8192 | fast | 0.65536 | success\n"),
            "t.txt:2:8: error[E0391]: aveg_time must be a time in us, got 'fast'");
  EXPECT_EQ(first_complaint(header + "8192 | -12.5 | 0.65536 | success\n"),
            "t.txt:2:8: error[E0391]: aveg_time must be a time in us, got '-12.5'");
  EXPECT_EQ(first_complaint(header + "8K | 12.50 | 0.65536 | success\n"),
            "t.txt:2:1: error[E0391]: data_size must be a whole number of bytes, got '8K'");
  EXPECT_EQ(first_complaint(header + "8192 | 12.50 | 0.65536 | fine\n"),
            "t.txt:2:26: error[E0391]: check_result must be success, failed or NULL, got 'fine'");
  EXPECT_EQ(first_complaint(header + "8192 | 12.50 | 6.5536 | success\n"),
            "t.txt:2:16: error[E0391]: 6.5536 GB/s is not 8192 B / 12.50 us = 0.65536 GB/s");
}

}  // namespace
}  // namespace ascendsim
