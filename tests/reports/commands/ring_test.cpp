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

// Of sparse attention the choice of keys stands beside the output; a query attends to a quarter of the longest
// sequence.
TEST_F(Ring, SparseAttentionHasKeysInsteadOfALogSumExp) {
  EXPECT_EQ(run({"ring", "--strategy", "sparse-cp", "--cp", "3", "--tp", "2", "--partition", "round-robin", "--tokens",
                 "50,9", "--history", "10", "--json"}),
            kDone)
      << err;
  const Json c = Json::parse(out)["cases"][0];
  EXPECT_EQ(c["top_k"], 15);
  EXPECT_EQ(c["max_key_gap"], 0);
  EXPECT_LT(c["max_abs_error"], 1e-12);
  EXPECT_EQ(c["ok"], true);
  EXPECT_EQ(run({"ring", "--strategy", "dsa-cp", "--tp", "3", "--tokens", "50", "--format", "csv"}), kDone) << err;
  EXPECT_NE(out.find("dsa-cp,own,1,3,1,fp64,-,"), std::string::npos) << out;
}

TEST_F(Ring, ABrokenToleranceIsANo) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-sp", "--lse-dtype", "bf16", "--json"}), kAnswerIsNo);
  EXPECT_EQ(Json::parse(out)["cases"][0]["ok"], false);
  EXPECT_EQ(run({"ring", "--strategy", "mindie-sp", "--dtype", "fp16", "--json"}), kDone);
}

TEST_F(Ring, RunsInFurtherOrdersOfTheStreams) {
  const std::vector<std::string> args{"ring", "--strategy", "ring", "--tokens", "40", "--heads", "1", "--json"};
  EXPECT_EQ(run(args), kDone);
  EXPECT_EQ(Json::parse(out)["cases"][0]["orders"], 2);
  EXPECT_EQ(Json::parse(out)["cases"][0]["orders_that_differ"], 0);
  std::vector<std::string> more = args;
  more.insert(more.end(), {"--orders", "8"});
  EXPECT_EQ(run(more), kDone);
  EXPECT_EQ(Json::parse(out)["cases"][0]["orders"], 8);
  EXPECT_NE(err.find("in 8 random orders of them"), std::string::npos) << err;
}

TEST_F(Ring, AnswersTheSameOnAnyNumberOfThreads) {
  const auto output = [&](const char* threads) {
    EXPECT_EQ(run({"ring", "--all", "--tokens", "60,9", "--heads", "4", "--threads", threads, "--format", "csv"}),
              kDone);
    return out;
  };
  const std::string one = output("1");
  EXPECT_EQ(output("2"), one);
  EXPECT_EQ(output("3"), one);
}

// What an engine refuses is no case of --all.
TEST_F(Ring, AllHasWhatEnginesOffer) {
  const auto cases = [&](std::vector<std::string> more) {
    std::vector<std::string> args{"ring", "--all", "--tokens", "40", "--heads", "4", "--orders", "0", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    EXPECT_EQ(run(args), kDone);
    return Json::parse(out)["cases"];
  };
  // ring and latent-ring under 3 partitions, sglang-cp under 2, 5 other strategies; further degrees: latent-ring 1 for
  // each partition, vllm-pcp 2, sglang-cp 1 for each, vllm-dcp 3; sparse: heads over TP, CP under 2 partitions with 1
  // more for each, DSA-CP with 1 more; fp64, fp16, bf16, the last not for MindIE's two.
  constexpr std::size_t kDense = 6 + 2 + 5 + 3 + 2 + 2 + 3, kSparse = 1 + 2 * 2 + 2;
  EXPECT_EQ(cases({}).size(), (kDense + kSparse) * 3 - 2);
  EXPECT_EQ(cases({"--what-if"}).size(), (kDense + kSparse) * 3);
}

TEST_F(Ring, ImpossibleShapesNameTheRule) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-cp", "--cp", "3", "--sp", "3"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0396]: mindie-cp: 8 heads are not divisible by 3 ranks\n"
            "  = help: choose a shape that the strategy can divide\n"
            "error[E0396]: mindie-cp: MindIE knows cp 1 and 2, not 3\n"
            "  = rule: MindIE documentation, Context Parallelism\n"
            "  = help: choose a shape that the strategy can divide\n2 errors\n");
  EXPECT_EQ(out, "");
  const auto refusal = [&](std::vector<std::string> args) {
    args.insert(args.begin(), "ring");
    EXPECT_EQ(run(args), kWrongInput);
    return err.substr(0, err.find('\n'));
  };
  EXPECT_EQ(refusal({"--strategy", "ring", "--ranks", "9", "--tokens", "100,8"}),
            "error[E0396]: ring: 9 ranks are more than 8 tokens");
  EXPECT_EQ(refusal({"--strategy", "vllm-dcp", "--interleave", "100"}),
            "error[E0396]: vllm-dcp: a block of 128 tokens is no multiple of the interleave size 100");
  EXPECT_EQ(refusal({"--strategy", "vllm-dcp", "--tp", "4", "--dcp", "3"}),
            "error[E0396]: vllm-dcp: tp 4 is not divisible by dcp 3");
  EXPECT_EQ(refusal({"--strategy", "mindie-sp", "--tp", "4", "--sp", "2"}),
            "error[E0396]: mindie-sp: MindIE's sp is tp where it is switched on, got sp 2 and tp 4");
  EXPECT_EQ(refusal({"--strategy", "mindie-cp", "--history", "100"}),
            "error[E0396]: mindie-cp: a history of 100 tokens is no multiple of the block of 128: with CP it can only "
            "come from "
            "the prefix cache");
  EXPECT_EQ(refusal({"--strategy", "tp", "--tokens", "1000000", "--history", "1000000"}),
            "error[E0396]: tp: a sequence of 2000000 tokens is too long: fewer than 1048576 are possible");
}

TEST_F(Ring, KnowsTheWordsOfEachEngine) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-cp", "--pcp", "2"}), kWrongInput);
  EXPECT_EQ(err, "error[E0395]: mindie-cp has no --pcp\n  = help: its degrees are --cp, --sp, --tp\n1 error\n");
  EXPECT_EQ(run({"ring", "--strategy", "ring", "--cp", "2", "--dcp", "2"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0395]: ring has no --cp\n  = help: its degrees are --ranks, --tp\n"
            "error[E0395]: ring has no --dcp\n  = help: its degrees are --ranks, --tp\n2 errors\n");
  EXPECT_EQ(run({"ring", "--strategy", "tp", "--ranks", "2"}), kWrongInput);
  const auto shape = [&](std::vector<std::string> args) {
    std::vector<std::string> all{"ring", "--tokens", "40", "--orders", "0", "--json", "--strategy"};
    all.insert(all.end(), args.begin(), args.end());
    EXPECT_EQ(run(all), kDone) << err;
    const Json c = Json::parse(out)["cases"][0];
    return std::vector<int>{c["cp"], c["tp"], c["dcp"]};
  };
  using Shape = std::vector<int>;
  EXPECT_EQ(shape({"ring", "--ranks", "3"}), (Shape{3, 1, 1}));
  EXPECT_EQ(shape({"tp", "--tp", "2"}), (Shape{1, 2, 1}));
  EXPECT_EQ(shape({"mindie-cp", "--cp", "1", "--sp", "2"}), (Shape{1, 2, 2}));
  EXPECT_EQ(shape({"mindie-sp", "--tp", "8"}), (Shape{2, 8, 8}));
  EXPECT_EQ(shape({"vllm-pcp", "--pcp", "3", "--tp", "2"}), (Shape{3, 2, 1}));
  EXPECT_EQ(shape({"vllm-dcp", "--pcp", "1", "--dcp", "2", "--tp", "8"}), (Shape{1, 8, 2}));
  EXPECT_EQ(shape({"vllm-pcp-dcp", "--pcp", "2", "--dcp", "4"}), (Shape{2, 4, 4}));
}

TEST_F(Ring, MindieRunsInFp16Only) {
  EXPECT_EQ(run({"ring", "--strategy", "mindie-sp", "--dtype", "bf16"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0311]: mindie-sp works only in float16\n"
            "  = rule: MindIE documentation, Sequence Parallelism: this feature supports only FP16 and does not "
            "support BF16\n"
            "  = help: --what-if computes it all the same\n1 error\n");
  EXPECT_EQ(run({"ring", "--strategy", "mindie-sp", "--dtype", "bf16", "--what-if", "--json"}), kDone);
  EXPECT_EQ(Json::parse(out)["cases"][0]["lse_dtype"], "bfloat16");
}

TEST_F(Ring, TakesABatchWithHistory) {
  EXPECT_EQ(run({"ring", "--strategy", "vllm-pcp", "--tokens", "50,7", "--history", "0,200", "--heads", "4", "--json"}),
            kDone)
      << err;
  EXPECT_EQ(Json::parse(out)["cases"][0]["history"], (std::vector<int>{0, 200}));
  // A decode step caches whatever came before.
  EXPECT_EQ(run({"ring", "--strategy", "vllm-dcp", "--tokens", "50,7", "--history", "0,200", "--heads", "4", "--json"}),
            kDone)
      << err;
  EXPECT_EQ(Json::parse(out)["cases"][0]["tokens"], (std::vector<int>{50, 207}));
  EXPECT_EQ(run({"ring", "--strategy", "vllm-pcp", "--tokens", "50", "--history", "0,200"}), kWrongInput);
  EXPECT_EQ(err.find("error[E0004]: --history names 2 sequences, --tokens 1\n"), 0U) << err;
  EXPECT_EQ(run({"ring", "--strategy", "vllm-pcp", "--tokens", "50,,7"}), kWrongInput);
  EXPECT_EQ(
      err.find("error[E0004]: --tokens must be whole numbers from 1 to 1,048,575 with commas between, got '50,,7'\n"),
      0U)
      << err;
}

TEST_F(Ring, RefusesWhatDoesNotFitWithTheEstimate) {
  EXPECT_EQ(run({"ring", "--strategy", "ring", "--tokens", "1000000"}), kWrongInput);
  EXPECT_EQ(err.find("error[E0397]: the calculation needs about "), 0U) << err;
}

TEST_F(Ring, NeedsAStrategy) {
  EXPECT_EQ(run({"ring"}), kWrongInput);
  EXPECT_EQ(run({"ring", "--all", "--strategy", "ring"}), kWrongInput);
  EXPECT_EQ(err, "error[E0004]: --all and --strategy exclude each other\n  = help: one of them\n1 error\n");
  EXPECT_EQ(run({"ring", "--strategy", "rng"}), kWrongInput);
  EXPECT_EQ(err.find("error[E0004]: unknown strategy 'rng'\n  = help: did you mean 'ring'?"), 0U) << err;
}

}  // namespace
}  // namespace ascendsim
