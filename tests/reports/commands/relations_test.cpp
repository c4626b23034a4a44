// The same setting gives the same answer by every command: each field of the table, varied by `compare` and set by
// `run`, on a config.json of MindIE, launch scripts of vLLM and SGLang, and a file of our own.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::json;
using Args = std::vector<std::string>;

struct Example {
  const char* name;
  Args files;  // and what else both commands need
};

Args operator+(Args a, const Args& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Of a side of a pair `run` says under its role what `compare` says of a point.
const Json& of_one_side(const Json& value) {
  for (const char* role : {"prefill", "decode"})
    if (value.is_object() && value.size() == 1 && value.contains(role) && !value.at(role).contains("attention_ms"))
      return value.at(role);
  return value;
}

class Between : public ApplicationTest {
 protected:
  static inline const std::string kFolder = source_path("examples/");

  Json answer(Args args) {
    exit = run(std::move(args));
    if (exit == kOurBug) ADD_FAILURE() << err;
    return out.empty() ? Json() : Json::parse(out);
  }
  int exit = 0;
};
class Relations : public Between, public testing::WithParamInterface<Example> {};

// Two values or more, the field's own among them where it has one; none for what cannot be chosen freely.
std::vector<std::string> values_of(const Field& f, const Question& base) {
  if (!f.choices.empty()) return {f.choices.begin(), f.choices.end()};
  if (std::holds_alternative<FieldKey<bool>>(f.access)) return {"true", "false"};
  if (const auto* key = std::get_if<FieldKey<std::int64_t>>(&f.access)) {
    const std::int64_t now = key->get(base);
    for (const std::int64_t other : {2 * now, now + 1, now - 1, std::int64_t{2}})
      if (other != now && static_cast<double>(other) >= f.least && static_cast<double>(other) <= f.most)
        return {fmt::to_string(now), fmt::to_string(other)};
    return {};
  }
  if (const auto* key = std::get_if<FieldKey<double>>(&f.access)) {
    const double now = key->get(base), other = now < f.most ? now + (std::min(f.most, now + 1) - now) / 2 : now * 0.75;
    return {fmt::to_string(now), fmt::to_string(other)};
  }
  if (std::holds_alternative<FieldKey<std::optional<Bytes>>>(f.access)) return {"1 GiB", "2 GiB"};
  if (f.path == field::kModel.path) return {"deepseek-r1", "deepseek-v3.2"};
  if (f.path == field::kQuantisation.path) return {"w8a8", "w4a8", "float"};
  if (f.path == field::kConnector.path) return {"MooncakeConnectorV1", "MooncakeLayerwiseConnector"};
  if (f.path == field::kCaptureSizes.path) return {"[1, 2, 4, 8, 16]", "[32]"};
  if (f.path == field::kAcceptance.path) return {"[0.9]", "[0.5]"};
  if (f.path == field::kBufferScale.path) return {"[[0, 1.5]]", "[[0, 3]]"};
  return {};  // stack (tested apart), die, loads
}

TEST_P(Relations, ComparedIsWhatRunSays) {
  const Example& e = GetParam();
  const Args load{"--input", "2048", "--output", "64", "--batch", "8", "--json"};
  const Args files = e.files;
  ASSERT_EQ(run(Args{"run"} + files + load + Args{"--print-config"}), kDone) << err;
  Question base;
  {
    Diagnostics said;
    const auto document = Document::parse(out, "printed", said);
    ASSERT_NE(document, nullptr);
    read_question(document->root(), base, said);
    ASSERT_FALSE(said.has_errors());
  }
  int compared = 0, legal = 0;
  for (const Field& f : question_fields()) {
    // Options and --vary of the same say it twice (E0398).
    if (f.path == field::kServer.path || f.path == field::kInputTokens.path || f.path == field::kOutputTokens.path ||
        f.path == field::kBatch.path)
      continue;
    const std::vector<std::string> values = values_of(f, base);
    if (values.size() < 2) continue;
    const Json all =
        answer(Args{"compare"} + files + load + Args{"--vary", fmt::format("{}={}", f.path, fmt::join(values, ","))});
    ASSERT_TRUE(all.contains("points")) << f.path << "\n" << err;
    ASSERT_EQ(all.at("points").size(), values.size()) << f.path;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Json& p = all.at("points").at(i);
      Args more{"--set", fmt::format("{}={}", f.path, values[i])};
      for (const Json& followed : p.at("derived")) {  // "tp 16", "--max-num-seqs 8"
        const std::string text = followed.get<std::string>();
        const std::size_t blank = text.rfind(' ');
        std::string value = text.substr(blank + 1);
        std::erase(value, ',');
        more = more + Args{"--set", fmt::format("{}={}", text.substr(0, blank), value)};
      }
      const Json alone = answer(Args{"run"} + files + load + more);
      const std::string what = fmt::format("{} {} = {}\n{}", e.name, f.path, values[i], err);
      const std::string standing = p.at("standing").get<std::string>();
      EXPECT_EQ(standing == "legal", exit == kDone || exit == kAnswerIsNo) << what;
      if (standing != "legal" || (exit != kDone && exit != kAnswerIsNo)) continue;
      ++legal;
      for (const char* key : {"ttft_ms", "tpot_ms", "breakdown", "memory_per_rank_bytes", "fits"})
        EXPECT_EQ(p.at(key), of_one_side(alone.at(key))) << key << " of " << what;
    }
    ++compared;
  }
  // Of the 67 fields: not stack, die, loads, and three or four of the load; most values of half of them are legal.
  EXPECT_GE(compared, 55);
  EXPECT_GE(legal, 60);
}

const Example kExamples[] = {
    {"mindie",
     {source_path("examples/mindie-context-parallel/config.json"), "--hardware", "atlas-800i-a3", "--set",
      "memory_fraction=0.92"}},
    {"vllm", {source_path("examples/deepseek-v3.2/serve.sh"), "--hardware", "atlas-800i-a3"}},
    {"sglang", {source_path("examples/sglang-cp32/decode.sh"), "--hardware", "atlas-800i-a3"}},
    {"own", {source_path("examples/own-file/expert-parallel-decode.yaml"), "--hardware", "cloudmatrix384"}}};
INSTANTIATE_TEST_SUITE_P(Files, Relations, testing::ValuesIn(kExamples),
                         [](const testing::TestParamInfo<Example>& i) { return std::string(i.param.name); });

// What `convert` writes of a file answers as the file does; and what it writes of that is the same text.
TEST_P(Relations, ConvertedIsWhatRunSays) {
  const Args files = GetParam().files, load{"--input", "2048", "--output", "64", "--batch", "8", "--json"};
  ASSERT_EQ(run(Args{"convert"} + files), kDone) << err;
  const std::string text = out;
  write("converted.yaml", text);
  const Json original = answer(Args{"run"} + files + load), converted = answer(Args{"run", "converted.yaml"} + load);
  for (const char* key : {"ttft_ms", "tpot_ms", "breakdown", "operators", "memory_per_rank_bytes", "kv_capacity_tokens",
                          "fits", "layout", "output_throughput_tok_s"}) {
    ASSERT_EQ(original.contains(key), converted.contains(key)) << key;
    if (original.contains(key)) {
      EXPECT_EQ(original.at(key), converted.at(key)) << key;
    }
  }
  ASSERT_EQ(run({"convert", "converted.yaml"}), kDone) << err;
  EXPECT_EQ(out, text);
}

// A file of an engine belongs to it; our own takes any stack, the same in both commands.
TEST_F(Between, AStackIsThatOfTheFile) {
  const std::string mindie = std::string(kFolder) + "mindie-context-parallel/config.json";
  const Args load{"--hardware", "atlas-800i-a3", "--input", "2048", "--output", "64"};
  EXPECT_EQ(run(Args{"run", mindie, "--set", "stack=vllm-ascend"} + load), kWrongInput);
  EXPECT_NE(err.find("E0379"), std::string::npos) << err;
  EXPECT_EQ(run(Args{"compare", mindie, "--vary", "stack=mindie,vllm-ascend"} + load), kWrongInput);
  EXPECT_NE(err.find("E0379"), std::string::npos) << err;
}

// What the engine picks by the fabric, and limits that follow from others, do not depend on which server comes first.
TEST_F(Between, TheOrderOfAListChangesNothing) {
  const std::string serve =
      "vllm serve /data/DeepSeek-R1_w8a8 -tp 2 -dp 8 --enable-expert-parallel --quantization ascend --max-model-len "
      "16K";
  const auto points = [&](const char* hardware) {
    std::map<std::string, Json> of;
    const Json all = answer({"compare", "--launch", serve, "--hardware", hardware, "--input", "8192", "--output", "64",
                             "--batch", "8", "--json"});
    for (const Json& p : all.at("points")) of[p.at("hardware").get<std::string>()] = p;
    return of;
  };
  const auto a = points("atlas-800i-a2,atlas-800i-a3"), b = points("atlas-800i-a3,atlas-800i-a2");
  for (const auto& [server, p] : a)
    for (const char* key : {"ttft_ms", "tpot_ms", "memory_per_rank_bytes"}) EXPECT_EQ(p.at(key), b.at(server).at(key));
}

// What is compared with nothing is what `run` says: pipeline stages, degrees that do not fit, loads that do not.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  template <class T>
  T of(std::initializer_list<T> values) {
    return *(values.begin() + engine_() % values.size());
  }
  bool rarely() { return engine_() % 8 == 0; }

 private:
  std::minstd_rand engine_;  // the same numbers in every library
};

std::string small_deployment(Random& r) {
  const int dp = r.of({1, 1, 2, 4}), cp = r.of({1, 1, 1, 2}), tp = r.of({1, 2, 4, 8, 16}), pp = r.of({1, 1, 1, 2});
  const int stage = dp * cp * tp, moe_tp = r.of({1, 1, 1, 2}), moe_ep = r.rarely() ? 8 : std::max(1, stage / moe_tp);
  const int sp = r.of({1, 1, tp, tp, 2});
  const std::string stack = r.of<std::string>({"mindie", "vllm-ascend", "sglang", "cann-recipes"});
  std::string text = fmt::format(
      "stack: {}\nmodel: {}\nquantisation: {}\nrole: {}\nlayout: {{pp: {}, dp: {}, cp: {}, sp: {}, tp: {}, moe_ep: {}, "
      "moe_tp: {}}}\nhardware: {{server: {}}}\n",
      stack, r.of<std::string>({"deepseek-r1", "deepseek-v3.2"}), r.of<std::string>({"w8a8", "w4a8"}),
      r.of<std::string>({"hybrid", "hybrid", "prefill", "decode"}), pp, dp, cp, sp, tp, moe_ep, moe_tp,
      r.of<std::string>({"atlas-800i-a3", "atlas-800i-a2"}));
  text +=
      fmt::format("experts: {{exchange: {}}}\n", r.of<std::string>({"all-gather", "all-to-all", "all-to-all-padded"}));
  text += fmt::format("features: {{speculative_tokens: {}, flashcomm1: {}}}\n", r.of({0, 0, 1, 2}),
                      r.rarely() ? "true" : "false");
  text += fmt::format("limits: {{max_seq_len: {}, max_batch: {}}}\n", r.of({4096, 8192}), r.of({4, 32}));
  text += fmt::format("workload: {{input_tokens: {}, output_tokens: {}, batch: {}}}\n", r.of({100, 1000, 4000}),
                      r.of({1, 2, 64}), r.of({1, 3, 16}));
  return text;
}

class RandomDeployments : public Between, public testing::WithParamInterface<unsigned> {};

TEST_P(RandomDeployments, ComparedWithNothingAreWhatRunSays) {
  // Limits that the load exceeds are raised by `compare`, and it says so.
  const std::set<std::string> raised{"E0340", "E0341", "E0342"};
  int legal = 0, refused = 0;
  for (unsigned seed = 100 * GetParam(); seed < 100 * GetParam() + 100; ++seed) {
    Random random(seed + 1);
    const std::string text = small_deployment(random);
    write("small.yaml", text);
    const Json alone = answer({"run", "small.yaml", "--json"});
    const int code = exit;
    std::set<std::string> errors;
    for (const Json& d : alone.at("diagnostics"))
      if (d.at("severity") == "error") errors.insert(d.at("code").get<std::string>());
    if (std::ranges::any_of(errors, [&](const std::string& e) { return raised.contains(e); })) continue;
    const Json all = answer({"compare", "small.yaml", "--json"});
    const std::string what = fmt::format("seed {}\n{}\n{}", seed, text, err);
    if (code == kWrongInput) {
      ++refused;
      if (!all.contains("points")) continue;  // refused as it is read
      EXPECT_NE(all.at("points").at(0).at("standing"), "legal") << what;
      std::set<std::string> broken;
      for (const Json& d : all.at("points").at(0).at("refused")) broken.insert(d.at("code").get<std::string>());
      EXPECT_EQ(broken, errors) << what;
      continue;
    }
    ++legal;
    ASSERT_TRUE(all.contains("points")) << what;
    const Json& p = all.at("points").at(0);
    EXPECT_EQ(p.at("standing"), "legal") << what;
    for (const char* key : {"ttft_ms", "tpot_ms", "breakdown", "memory_per_rank_bytes", "fits"})
      EXPECT_EQ(p.at(key), of_one_side(alone.at(key))) << key << " of " << what;
  }
  EXPECT_GE(legal, 10);
  EXPECT_GE(refused, 10);
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomDeployments, testing::Values(0u, 1u));

}  // namespace
}  // namespace ascendsim
