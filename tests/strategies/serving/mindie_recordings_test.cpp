// Recordings of the real scheduler (tests/data/schedules/mindie/README.md): decided again, every field equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "strategies/serving/schedulers/mindie_recording.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::ordered_json;

const std::filesystem::path kFolder = source_path("tests/data/schedules/mindie");

constexpr std::array kRecordings = {
    "a01-async",
    "a02-async-exhausted",
    "b01-select-batch-8",
    "b02-select-batch-200",
    "b03-select-batch-waits",
    "b04-select-batch-ignores-delay",
    "b05-latency-policy",
    "b06-dynamic-batch",
    "d01-prefill-role",
    "d02-decode-role",
    "d03-decode-role-exhausted",
    "d04-decode-role-mtp",
    "d05-prefill-role-splitfuse",
    "g01-dp2-vote",
    "g02-dp4-one-prefill",
    "g03-dp4-two-prefill",
    "g04-dp4-round-robin",
    "g05-dp2-blocks",
    "g06-dp4-random",
    "m01-chunk-default",
    "m02-chunk-256",
    "m03-decode-beside-chunks",
    "m04-chunk-order",
    "m05-long-threshold",
    "m06-newest-chunk-first",
    "m07-kv-for-whole-prompt",
    "m08-kv-exhausted",
    "m09-max-batch",
    "m10-no-queue-delay",
    "p01-hit",
    "p02-full-hit",
    "p03-same-batch",
    "p04-budget-counts-uncached",
    "p05-admission-counts-cached",
    "p06-eviction",
    "p07-eviction-old",
    "p08-multi-turn",
    "p09-multi-turn-async",
    "p10-splitfuse",
    "p11-recompute-hits",
    "r01-random",
    "r02-random",
    "r03-random",
    "r04-random",
    "r05-random",
    "r06-random",
    "r07-random",
    "r08-random",
    "r09-random",
    "r10-random",
    "r11-random",
    "r12-random",
    "s01-prefill-first",
    "s02-idle-queue-delay",
    "s03-delay-50ms-batch-full",
    "s04-delay-5ms-batch-full",
    "s05-delay-500us",
    "s06-decode-runs-while-young",
    "s07-token-budget-is-the-larger",
    "s08-token-budget-exact",
    "s09-token-budget-crossed",
    "s10-prefill-batch-size",
    "s11-running-above-max-batch",
    "s12-max-batch-2x-window",
    "s13-ignored-too-long",
    "s14-blocks-limit-admission",
    "s15-five-percent-reserve",
    "s16-finished-keeps-blocks",
    "s17-exhausted-recompute",
    "s18-exhausted-swap",
    "s19-swap-without-host-memory",
    "s20-swap-count-per-round",
    "s21-first-token-wait",
    "s22-first-token-wait-swap",
    "s23-recomputed-behind-new",
    "s25-arrival-during-prefill",
    "s26-host-blocks-partly",
    "s27-first-token-wait-many",
    "s28-burst-decode-starves",
    "t01-mtp1-all",
    "t02-mtp1-none",
    "t03-mtp1-mixed",
    "t04-mtp3",
    "t05-mtp1-exhausted",
    "t06-mtp1-async",
    "x01-sp8-placement",
    "x02-sp8-decode",
    "x03-sp8-admission",
    "x04-sp8-exhausted",
    "x06-sp8-mtp1",
    "x07-cp2-sp8",
    "x08-sp8-prefix",
    "x09-sp2-blocks-grow",
    "x10-sp8-prefill-fill",
};

std::optional<std::string> replayed(const std::string& text, Diagnostics& diagnostics) {
  const auto document = Document::parse(text, "recording.json", diagnostics);
  return document ? replay_mindie_recording(document->root(), diagnostics) : std::nullopt;
}

Json json_of(const std::filesystem::path& path) { return Json::parse(std::ifstream(path)); }

// The first difference, the order of keys (the batch) included; empty when there is none.
std::string difference(const Json& want, const Json& got, const std::string& place = "") {
  if (want.is_object() && got.is_object()) {
    for (const auto& [key, value] : want.items()) {
      if (!got.contains(key)) return place + "/" + key + " is missing";
      if (std::string found = difference(value, got[key], place + "/" + key); !found.empty()) return found;
    }
    for (const auto& [key, value] : got.items())
      if (!want.contains(key)) return place + "/" + key + " is too much: " + value.dump();
    if (want.dump() == got.dump()) return {};
    return place + ": another order, " + got.dump();
  }
  if (want.is_array() && got.is_array() && want.size() == got.size()) {
    for (std::size_t i = 0; i < want.size(); ++i)
      if (std::string found = difference(want[i], got[i], place + "/" + std::to_string(i)); !found.empty())
        return found;
    return {};
  }
  return want == got ? std::string() : place + ": recorded " + want.dump() + ", decided " + got.dump();
}

class MindieRecordings : public testing::TestWithParam<const char*> {};

TEST_P(MindieRecordings, IsDecidedAgainFieldByField) {
  const std::filesystem::path path = kFolder / (std::string(GetParam()) + ".json");
  ASSERT_TRUE(std::filesystem::exists(path)) << path;
  const Json want = json_of(path);
  Diagnostics diagnostics;
  const auto document = Document::load(path.string(), diagnostics);
  ASSERT_TRUE(document);
  const auto text = replay_mindie_recording(document->root(), diagnostics);
  ASSERT_TRUE(text) << (diagnostics.all().empty() ? "" : render(diagnostics.all()[0]));
  const Json got = Json::parse(*text);
  for (const char* part : {"name", "about", "config", "requests", "steps", "result", "error"}) {
    ASSERT_EQ(want.contains(part), got.contains(part)) << part;
    if (want.contains(part)) {
      EXPECT_EQ(difference(want[part], got[part]), "") << part;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MindieRecordings, testing::ValuesIn(kRecordings), [](const auto& recording) {
  std::string name = recording.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(MindieRecordingFiles, AreAllListed) {
  std::set<std::string> there;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder))
    if (entry.path().extension() == ".json") there.insert(entry.path().stem().string());
  EXPECT_EQ(there, std::set<std::string>(kRecordings.begin(), kRecordings.end()));
}

TEST(MindieRecordingFiles, DifferencesAreSeen) {
  // The comparison itself: another value, another order, a field too many.
  const Json one = Json::parse(R"({"tokens":{"A":1,"B":1},"free":3})");
  EXPECT_EQ(difference(one, one), "");
  EXPECT_NE(difference(one, Json::parse(R"({"tokens":{"B":1,"A":1},"free":3})")), "");
  EXPECT_NE(difference(one, Json::parse(R"({"tokens":{"A":1,"B":1},"free":4})")), "");
  EXPECT_NE(difference(one, Json::parse(R"({"tokens":{"A":1,"B":1},"free":3,"more":[]})")), "");
}

std::string first_error(const std::string& text) {
  Diagnostics diagnostics;
  EXPECT_FALSE(replayed(text, diagnostics));
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::kError) return render_short(d);
  return "no error";
}

std::string one_request(const std::string& config, const std::string& request = R"("id":"A","input":100,"output":2)") {
  return "{\"config\":{" + config + "},\n \"requests\":[{" + request + ",\"arrival_ms\":0}]}";
}

TEST(MindieRecordingErrors, NameThePlaceAndTheRule) {
  EXPECT_EQ(first_error(one_request(R"("maxBatchSize":0)")),
            "recording.json:1:27: error[E0520]: maxBatchSize is 0, outside 1 to 1000000000");
  EXPECT_EQ(first_error(one_request("", R"("id":"A","input":0,"output":2)")),
            "recording.json:2:32: error[E0520]: input is 0, outside 1 to 1000000000");
  EXPECT_EQ(first_error(one_request("", R"("id":"A","input":9,"output":2,"continues":"B")")),
            "recording.json:2:57: error[E0520]: A continues B, which does not stand before it");
  EXPECT_EQ(first_error(one_request(R"("role":"X")")),
            "recording.json:1:19: error[E0520]: role is X; it is PnD, P or D");
  EXPECT_EQ(first_error(one_request(R"("stageSelectPolicy":3)")),
            "recording.json:1:32: error[E0520]: stageSelectPolicy is 3, outside 0 to 2");
  EXPECT_EQ(first_error(R"({"config":{},"requests":[]})"),
            "recording.json:1:25: error[E0520]: a recording needs a list of requests");
  EXPECT_EQ(first_error(one_request(R"("maxBatchsize":5)")),
            "recording.json:1:12: error[E0110]: unknown key 'maxBatchsize'");
}

TEST(MindieRecordingErrors, SayWhatTheEngineDoesNotSupport) {
  EXPECT_NE(first_error(one_request(R"("sp":8,"maxPreemptCount":1)")).find("error[E0522]: MindIE cannot swap"),
            std::string::npos);
  EXPECT_NE(first_error(one_request(R"("role":"D","prefixcache":true)")).find("error[E0522]"), std::string::npos);
  EXPECT_NE(first_error(one_request(R"("role":"D","splitfuse":true)")).find("error[E0522]"), std::string::npos);
  EXPECT_NE(first_error(one_request(R"("role":"P","dp":2)")).find("error[E0522]"), std::string::npos);
  EXPECT_NE(first_error(one_request(R"("dynamicBatchSizeEnable":true,"dp":2)")).find("error[E0522]"),
            std::string::npos);
}

TEST(MindieRecordingErrors, NoProgressSaysTheStateOfTheQueues) {
  // By hand: of 4 blocks A holds one and B three. The token of B that wants a fourth one preempts B itself, and when A
  // has ended, B needs exactly as many blocks as are free, which MindIE never gives to a recomputed request (rule 9).
  const std::string error = first_error(
      R"({"config":{"npuBlockNum":4,"max_steps":1000},"requests":[{"id":"A","input":10,"output":50,"arrival_ms":0},
          {"id":"B","input":380,"output":20,"arrival_ms":0}]})");
  EXPECT_NE(error.find("error[E0523]: no progress from "), std::string::npos) << error;
  EXPECT_NE(error.find("waiting [B], running [], swapped [], 4 of 4 blocks free"), std::string::npos) << error;
}

TEST(MindieRecordingErrors, WhereMindieRaisesTheRecordingEnds) {
  Diagnostics diagnostics;
  const auto text = replayed(one_request(R"("npuBlockNum":3)", R"("id":"A","input":400,"output":2)"), diagnostics);
  ASSERT_TRUE(text);
  const Json got = Json::parse(*text);
  EXPECT_EQ(got["steps"].back()["kind"], "exception");
  EXPECT_EQ(got["error"], "a request is longer than the whole cache");
}

}  // namespace
}  // namespace ascendsim
