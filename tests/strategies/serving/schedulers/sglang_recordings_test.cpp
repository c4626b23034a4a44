// Differential: what the real scheduler of SGLang v0.5.18 decided (tests/data/schedules/sglang), decided again here. Every
// field of every pass, in its order.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "sim/config.h"
#include "strategies/serving/schedulers/sglang_recording.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

using Json = nlohmann::ordered_json;

const std::filesystem::path kFolder = source_path("tests/data/schedules/sglang");

constexpr auto kRecordings = std::to_array<const char*>({
    "a01-dp4",
    "a02-dp4-mtp",
    "a03-dp4-mtp-overlap",
    "a04-dp4-random-overlap",
    "a05-dp2-random-mtp",
    "a06-dp4-mtp-skip-sync",
    "d01-decode-slots",
    "d02-decode-extra-slots",
    "d03-decode-reserve",
    "d04-decode-reserve-512",
    "d05-decode-long-output-rule",
    "d06-decode-retraction",
    "d07-decode-retraction-overlap",
    "d08-decode-page128",
    "d09-decode-random-overlap",
    "d10-decode-random-page128",
    "h01-three-prompts-one-chunk",
    "h02-three-prompts-one-chunk-page128",
    "h03-long-prompt-starves-decode",
    "h04-mixed-chunk",
    "h05-mixed-chunk-page128",
    "h06-chunk-and-new-in-one-batch",
    "h07-page-rounding-of-budget",
    "h08-max-running-requests",
    "h09-batch-is-full-latch",
    "h10-reservation-ratio-0.7",
    "h11-reservation-conservativeness-0.3",
    "h12-reservation-conservativeness-2",
    "h13-reservation-staggered",
    "h14-clip-max-new-4096",
    "h15-retraction",
    "h16-retraction-tie-longest-input",
    "h17-retraction-page128",
    "h18-retraction-overlap",
    "h19-retraction-no-radix",
    "h20-retraction-priority-policy",
    "h21-radix-shared-prefix",
    "h22-radix-shared-prefix-page128",
    "h23-whole-prompt-hit",
    "h24-whole-prompt-hit-page128",
    "h25-fcfs-same-prefix-together",
    "h26-lpm-same-prefix-together",
    "h27-lpm-same-prefix-small-chunk",
    "h28-lpm-order",
    "h29-fcfs-order",
    "h30-lpm-129-waiting",
    "h31-lpm-128-waiting",
    "h32-lof",
    "h33-priority-preemption",
    "h34-priority-no-preemption",
    "h35-priority-low-first",
    "h36-priority-preemption-by-memory",
    "h37-ignore-eos-no-radix",
    "h38-ignore-eos-radix",
    "h39-ignore-eos-no-radix-staggered",
    "h40-prefill-max-requests",
    "h41-max-prefill-tokens",
    "h42-no-chunking",
    "h43-overlap-off",
    "h44-overlap-on",
    "h45-overlap-max-running",
    "h46-overlap-mixed",
    "h47-ratio-decay-and-idle-reset",
    "h48-eviction-lru",
    "h49-steady-arrivals-starve-decode",
    "h50-min-free-slots",
    "h51-chunk-when-pool-short",
    "h52-one-token-outputs",
    "h53-too-long",
    "h54-retracted-goes-to-the-end",
    "m01-mtp3-page1",
    "m02-mtp3-page1-overlap",
    "m03-mtp3-page128-overlap",
    "m04-mtp1-page128-overlap",
    "m05-mtp3-retraction",
    "m06-mtp3-retraction-page128-overlap",
    "m07-mtp3-radix",
    "m08-mtp3-radix-page128",
    "m09-mtp3-random-overlap-page128",
    "m10-mtp3-random-page1",
    "m11-mtp3-radix-page128-boundary",
    "p01-prefill-chunks",
    "p02-prefill-slow-transfer",
    "p03-prefill-slots",
    "p04-prefill-page128",
    "p05-prefill-overlap",
    "p06-prefill-prefix",
    "p07-prefill-random-overlap",
    "x01-random-page1",
    "x02-random-page1-radix",
    "x03-random-lpm",
    "x04-random-page128",
    "x05-random-page128-radix",
    "x06-random-retraction",
    "x07-random-retraction-overlap",
    "x08-random-mixed",
    "x09-random-mixed-overlap-page128",
    "x10-random-overlap-radix",
    "x11-random-max-new-large",
    "x12-random-priority",
    "x13-random-no-radix-page128",
    "x14-random-retraction-page128-overlap",
});

Json recorded(const std::string& name) {
  std::ifstream file(kFolder / (name + ".json"));
  return Json::parse(file);
}

// The recording decided again; what is said instead where it is not.
std::string replayed(const std::string& text, const std::string& name = "recording.json") {
  Diagnostics diagnostics;
  const auto document = Document::parse(text, name, diagnostics);
  std::optional<std::string> out;
  if (document) out = replay_sglang_recording(document->root(), diagnostics);
  std::string said;
  for (const Diagnostic& d : diagnostics.all()) said += render_short(d) + '\n';
  EXPECT_EQ(out.has_value(), said.empty()) << said;
  return out.value_or(said);
}

class SglangRecordings : public testing::TestWithParam<const char*> {};

TEST_P(SglangRecordings, AreDecidedAgainWithoutADifference) {
  const Json want = recorded(GetParam());
  const Json got = Json::parse(replayed(want.dump(), GetParam()));
  ASSERT_TRUE(got.is_object());
  // Keys and their order: `tokens` and `prefix` are in the order of admission.
  for (std::size_t i = 0; i < std::min(want["steps"].size(), got["steps"].size()); ++i) {
    ASSERT_EQ(want["steps"][i].dump(), got["steps"][i].dump());
  }
  EXPECT_EQ(want["steps"].size(), got["steps"].size());
  EXPECT_EQ(want["results"].dump(), got["results"].dump());
  EXPECT_EQ(want.dump(), got.dump());
}

std::string name_of(const testing::TestParamInfo<const char*>& file) {
  std::string name = file.param;
  std::ranges::replace(name, '-', '_');
  std::ranges::replace(name, '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Files, SglangRecordings, testing::ValuesIn(kRecordings), name_of);

TEST(SglangRecordingFiles, NoneIsLeftOut) {
  std::vector<std::string> there;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") there.push_back(entry.path().stem().string());
  }
  std::ranges::sort(there);
  EXPECT_EQ(there, std::vector<std::string>(kRecordings.begin(), kRecordings.end()));
}

TEST(SglangRecordingFiles, AreWrittenAsTheyWereRead) {
  for (const char* name :
       {"h53-too-long", "m02-mtp3-page1-overlap", "a05-dp2-random-mtp", "p07-prefill-random-overlap"}) {
    std::ifstream file(kFolder / (std::string(name) + ".json"));
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), replayed(text.str())) << name;
  }
}

// ---- recordings that are none -------------------------------------------------------------------------------------

constexpr std::string_view kSmall = R"({"config":{
"page_size":1,"pool_tokens":100,
"max_running_requests":8,"chunked_prefill_size":64},
"requests":[
{"id":"a","arrival_step":0,"input_len":30,"output_len":2,"max_new_tokens":2}]}
)";

std::string changed(std::string_view from, std::string_view to) {
  std::string text(kSmall);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return replayed(text.replace(at, from.size(), to));
}

TEST(SglangRecording, NeedsOnlyWhatTheSchedulerNeeds) {
  const Json got = Json::parse(replayed(std::string(kSmall)));
  // By hand: the prompt; a decode whose token ends the request, noticed one pass later with overlap, which is on unless
  // it is disabled; and a decode in between that is one too many.
  std::vector<std::string> kinds;
  for (const Json& step : got["steps"]) kinds.push_back(step["kind"]);
  EXPECT_EQ(kinds, (std::vector<std::string>{"extend", "decode", "decode", "idle"}));
  EXPECT_EQ(got["results"]["a"]["output_tokens"], 2);
}

TEST(SglangRecording, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(changed(R"("pool_tokens":100,)", ""), "recording.json:1:2: error[E0115]: missing key 'pool_tokens'\n");
  EXPECT_EQ(changed(R"("page_size":1)", R"("page_size":0)"),
            "recording.json:2:13: error[E0520]: page_size is 0, outside 1 to 1073741824\n");
  EXPECT_EQ(changed("64", "0"),
            "recording.json:1:11: error[E0522]: chunked_prefill_size must be positive, or -1 for no chunks\n");
  EXPECT_EQ(changed(R"("input_len":30)", R"("input_len":-30)"),
            "recording.json:5:40: error[E0520]: input_len is -30, outside 1 to 1073741824\n");
  EXPECT_EQ(changed(R"("id":"a")", R"("id":"a","rank":1)"),
            "recording.json:5:18: error[E0520]: rank is 1, outside 0 to 0\n");
  EXPECT_EQ(changed(R"("id":"a")", R"("id":"a","prefix_group":0,"prefix_len":31)"),
            "recording.json:5:41: error[E0520]: prefix_len is 31, outside 0 to 30\n");
  EXPECT_EQ(changed("requests\":[", "requests\":7,\"steps\":["),
            "recording.json:4:12: error[E0520]: a recording needs a list of requests\n");
  EXPECT_EQ(changed("[\n{", R"([
{"id":"a","arrival_step":0,"input_len":1,"output_len":2,"max_new_tokens":2},{)"),
            "recording.json:5:83: error[E0520]: a second request is called \"a\"\n");
}

TEST(SglangRecording, SaysWhatItDoesNotReproduce) {
  EXPECT_EQ(changed(R"("page_size")", R"("schedule_policy":"dfs-weight","page_size")"),
            "recording.json:2:19: error[E0522]: schedule_policy \"dfs-weight\" is not reproduced\n");
  EXPECT_EQ(changed(R"("page_size")", R"("schedule_policy":"lof","disaggregation_mode":"decode","page_size")"),
            "recording.json:1:11: error[E0522]: the decode side takes requests in the order of their arrival: policy "
            "fcfs, no priorities\n");
  EXPECT_EQ(changed(R"("page_size")", R"("environment":{"SGLANG_RADIX_FORCE_MISS":"1"},"page_size")"),
            "recording.json:2:42: error[E0522]: what SGLANG_RADIX_FORCE_MISS changes is not reproduced\n");
  EXPECT_EQ(changed(R"("page_size")", R"("num_steps":3,"accept_pattern":[5],"page_size")"),
            "recording.json:2:33: error[E0520]: a verify of 4 tokens gains 1 to 4, not 5\n");
  EXPECT_NE(changed(R"("page_size")", R"("pagesize":4,"page_size")").find("'pagesize'"), std::string::npos);
}

// By hand: three quarters of the pool are asked to stay free, so the prompt never gets memory on the decode side; without
// an end of the wait this would go on for ever.
TEST(SglangRecording, NoProgressEndsWithTheStateOfTheQueues) {
  EXPECT_EQ(changed(R"("page_size")", R"("disaggregation_mode":"decode","num_reserved_decode_tokens":75,"page_size")"),
            "recording.json:1:1: error[E0523]: no progress at step 6: 1 requests unfinished; 0 running, 0 waiting, 1 "
            "without memory; 100 of 100 tokens free, 0 evictable, 8 of 8 slots free\n");
  // A chunk of less than a page holds no piece of a prompt that is longer than it.
  EXPECT_EQ(changed(R"("page_size":1,"pool_tokens":100)", R"("page_size":128,"pool_tokens":512)"),
            "recording.json:1:1: error[E0523]: no progress at step 6: 1 requests unfinished; 0 running, 1 waiting; 512 "
            "of 512 tokens free, 0 evictable, 8 of 8 slots free\n");
}

// A transfer may be over in the pass in which it begins: no other recording does that.
TEST(SglangRecording, TransfersOfNoPasses) {
  const Json decode = Json::parse(changed(
      R"("page_size")",
      R"("disaggregation_mode":"decode","handshake_steps":0,"transfer_steps":0,"disable_overlap_schedule":true,"num_reserved_decode_tokens":5,"page_size")"));
  EXPECT_EQ(decode["steps"][0]["kind"], "decode");
  EXPECT_EQ(decode["steps"][0]["finished"], Json::array({"a"}));
  const Json prefill = Json::parse(changed(
      R"("page_size")",
      R"("disaggregation_mode":"prefill","handshake_steps":0,"transfer_steps":0,"disable_overlap_schedule":true,"page_size")"));
  EXPECT_EQ(prefill["steps"][0]["sent"], Json::parse(R"([["a",30,30]])"));
  EXPECT_EQ(prefill["steps"][0]["finished"], Json::array({"a"}));
}

}  // namespace
}  // namespace ascendsim
