// The recorded decisions of the real schedulers, decided again: tests/data/schedules/vllm/README.md says where they come
// from and what the fields are.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "strategies/serving/schedulers/vllm_recording.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

const std::string kFolder = source_path("tests/data/schedules/vllm");

constexpr const char* kRecordings[] = {"a01-chunk-three",
                                       "a02-chunk-boundary",
                                       "a03-nochunk-three",
                                       "a04-nochunk-mixed",
                                       "a05-long-then-short",
                                       "a06-budget-exact",
                                       "a07-max-num-seqs",
                                       "a08-long-prefill-threshold",
                                       "a09-threshold-decodes",
                                       "a10-tiny-budget",
                                       "a11-one-token-prompt",
                                       "a12-block-edge",
                                       "b01-preempt-last",
                                       "b02-preempt-last-prefix",
                                       "b03-preempt-many",
                                       "b04-preempt-self",
                                       "b05-preempt-no-admit",
                                       "b06-admit-full-prompt",
                                       "b07-admit-first-chunk",
                                       "b08-admit-not-reserved",
                                       "b09-watermark",
                                       "b10-head-of-line",
                                       "b11-exact-fit",
                                       "b13-preempt-prefill",
                                       "b14-resume-order",
                                       "b15-preempt-cascade",
                                       "c01-full-hit",
                                       "c02-same-step-hit",
                                       "c03-chunked-hit",
                                       "c04-partial-block",
                                       "c05-evict-lru",
                                       "c06-hit-after-preemption",
                                       "c07-output-cached",
                                       "c08-hit-counts-free",
                                       "c09-mtp-drop-block",
                                       "d01-mtp1",
                                       "d02-mtp3",
                                       "d03-mtp3-lookahead",
                                       "d04-mtp3-budget",
                                       "d05-mtp3-model-len",
                                       "d06-mtp3-preempt",
                                       "d07-mtp3-chunks",
                                       "d08-mtp-multi-module",
                                       "e01-max-model-len",
                                       "e02-too-long",
                                       "f01-priority-order",
                                       "f02-priority-preempt",
                                       "f03-priority-no-preempt",
                                       "f04-priority-victim-scheduled",
                                       "g01-async-three",
                                       "g02-async-arrivals",
                                       "g03-async-preempt",
                                       "g04-async-mtp1",
                                       "g05-async-mtp3",
                                       "g06-async-mtp3-preempt",
                                       "g07-async-prefix",
                                       "h01-pd-prefill",
                                       "h02-pd-prefill-full",
                                       "h03-pd-decode",
                                       "h04-pd-decode-block-edge",
                                       "h05-pd-decode-mtp3",
                                       "h06-pd-decode-full",
                                       "h07-pd-decode-prefix",
                                       "h08-pd-decode-async",
                                       "h09-pd-decode-async-mtp3",
                                       "h10-pd-decode-async-avalanche",
                                       "h11-pd-decode-sync-same",
                                       "h12-pd-load-reserve",
                                       "h13-plain-no-reserve",
                                       "i01-pp2",
                                       "i02-dcp2",
                                       "i03-prefill-interval",
                                       "q27-press",
                                       "q28-press-prefix",
                                       "q29-press-shared",
                                       "q30-press-first-chunk",
                                       "q31-press-watermark",
                                       "q32-press-threshold",
                                       "q33-press-mtp1",
                                       "q34-press-mtp3",
                                       "q35-press-priority",
                                       "q36-press-async",
                                       "q37-press-async-mtp3",
                                       "q38-press-async-priority",
                                       "q39-press-pd-decode",
                                       "q40-press-pd-decode-async",
                                       "q41-press-pp2",
                                       "q42-press-nochunk",
                                       "r01-plain",
                                       "r02-plain-tight",
                                       "r03-tight16",
                                       "r04-prefix",
                                       "r05-prefix16",
                                       "r06-prefix16-burst",
                                       "r07-seqs",
                                       "r08-threshold",
                                       "r09-nochunk",
                                       "r10-first-chunk",
                                       "r11-watermark",
                                       "r12-priority",
                                       "r13-priority-prefix",
                                       "r14-mtp1",
                                       "r15-mtp3",
                                       "r16-mtp3-prefix",
                                       "r17-mtp3-budget",
                                       "r18-async",
                                       "r19-async-mtp1",
                                       "r20-async-mtp3",
                                       "r21-async-priority",
                                       "r22-pd-decode",
                                       "r23-pd-decode-mtp1",
                                       "r24-pd-prefill",
                                       "r25-pp2",
                                       "r26-burst",
                                       "v01-ascend-recompute",
                                       "v02-ascend-recompute-async",
                                       "v03-ascend-recompute-same-sync",
                                       "v04-ascend-recompute-priority",
                                       "v0.23.0/c05-evict-lru",
                                       "v0.23.0/g06-async-mtp3-preempt",
                                       "v0.23.0/h05-pd-decode-mtp3",
                                       "v0.23.0/h08-pd-decode-async",
                                       "v0.23.0/h09-pd-decode-async-mtp3",
                                       "v0.23.0/h10-pd-decode-async-avalanche",
                                       "v0.23.0/q34-press-mtp3",
                                       "v0.23.0/q40-press-pd-decode-async",
                                       "v0.23.0/r08-threshold",
                                       "v0.23.0/r17-mtp3-budget",
                                       "v0.18/b06-admit-full-prompt",
                                       "v0.18/b08-admit-not-reserved",
                                       "v0.18/b11-exact-fit",
                                       "v0.18/c05-evict-lru",
                                       "v0.18/c09-mtp-drop-block",
                                       "v0.18/g06-async-mtp3-preempt",
                                       "v0.18/h05-pd-decode-mtp3",
                                       "v0.18/h08-pd-decode-async",
                                       "v0.18/h10-pd-decode-async-avalanche",
                                       "v0.18/h12-pd-load-reserve",
                                       "v0.18/h13-plain-no-reserve",
                                       "v0.18/r03-tight16",
                                       "v0.18/r15-mtp3",
                                       "v0.18/r24-pd-prefill"};

std::string recorded(const std::string& name) {
  std::ifstream file(kFolder + "/" + name + ".json");
  return {std::istreambuf_iterator<char>(file), {}};
}

// What is said about a text, "" when it can be replayed; `replayed` is the answer.
std::string complaint(const std::string& text, std::string* replayed = nullptr) {
  Diagnostics diagnostics;
  const auto document = Document::parse(text, "recording.json", diagnostics);
  const auto answer = document ? replay_vllm_recording(document->root(), diagnostics) : std::nullopt;
  if (answer && replayed != nullptr) *replayed = *answer;
  if (answer.has_value() == diagnostics.has_errors()) return "an answer with errors, or none without";
  std::string all;
  for (const Diagnostic& d : diagnostics.all()) all += render_short(d) + "\n";
  return all;
}

TEST(VllmRecordings, AreAllListed) {
  std::set<std::string> there;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    const std::filesystem::path file = std::filesystem::relative(entry.path(), kFolder);
    if (file.extension() == ".json") there.insert((file.parent_path() / file.stem()).generic_string());
  }
  EXPECT_EQ(there, std::set<std::string>(std::begin(kRecordings), std::end(kRecordings)));
}

class RecordingOfVllm : public testing::TestWithParam<const char*> {};

TEST_P(RecordingOfVllm, IsDecidedTheSame) {
  const std::string wanted = recorded(GetParam());
  std::string decided;
  ASSERT_EQ(complaint(wanted, &decided), "");
  // Line by line, as each step is one: the first that differs says enough. All fields, in the same form.
  std::istringstream a(decided), b(wanted);
  for (std::string x, y; std::getline(a, x) && std::getline(b, y);) ASSERT_EQ(x, y);
  EXPECT_EQ(decided, wanted);
}

INSTANTIATE_TEST_SUITE_P(All, RecordingOfVllm, testing::ValuesIn(kRecordings), [](const auto& name) {
  std::string word = name.param;
  std::ranges::replace_if(
      word, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return word;
});

// ---- Reading -------------------------------------------------------------------------------------------------------

// A load that can be replayed, with one thing changed.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = R"({
"vllm": "cdc4824a21ea",
"config": {"max_num_batched_tokens": 64, "max_num_seqs": 4, "max_model_len": 128, "block_size": 16, "num_gpu_blocks": 9},
"requests": [
{"id": 0, "arrival": 0, "prompt": 20, "output": 2},
{"id": 1, "arrival": 1, "prompt": 30, "output": 2}]
})";
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(VllmRecordingText, GoesRoundWithWhatItDecided) {
  std::string text;
  EXPECT_EQ(complaint(changed("\"vllm\": \"cdc4824a21ea\",", ""), &text), "");
  // Two prompts of 20 and 30 tokens take 2 blocks each. Each request emits a token with its prompt and one more; a call
  // of nothing tells the workers of the last end.
  EXPECT_EQ(text, R"({
"config":{"max_num_batched_tokens":64,"max_num_seqs":4,"max_model_len":128,"block_size":16,"num_gpu_blocks":9},
"requests":[
{"id":0,"arrival":0,"prompt":20,"output":2},
{"id":1,"arrival":1,"prompt":30,"output":2}],
"steps":[
{"t":0,"sched":[[0,20,2]],"adm":[[0,0,0,0]],"run":1,"wait":0,"free":6,"out":[[0,1]],"free_end":6},
{"t":1,"sched":[[0,1,0],[1,30,2]],"adm":[[1,0,0,0]],"run":2,"wait":0,"free":4,"out":[[0,1],[1,1]],"fin":[0],"free_end":6},
{"t":2,"sched":[[1,1,0]],"run":1,"wait":0,"free":6,"out":[[1,1]],"fin":[1],"free_end":8},
{"t":3,"sched":[],"run":0,"wait":0,"free":8,"out":[],"free_end":8}],
"summary":{"steps":4,"preemptions":0,"all_finished":true,"finish":[[0,0,1,0],[1,1,2,0]]}
}
)");
}

TEST(VllmRecordingText, OfTheKindIsRefusedWithItsPlace) {
  const auto has = [](const std::string& said, const std::string& part) {
    EXPECT_NE(said.find(part), std::string::npos) << said;
  };
  has(complaint(changed("cdc4824a21ea", "0123456")),
      "recording.json:2:9: error[E0521]: unknown version of vLLM \"0123456\"");
  has(complaint(changed("\"block_size\": 16", "\"block_size\": 0")),
      "recording.json:3:97: error[E0520]: block_size is 0");
  has(complaint(changed("\"block_size\": 16, ", "")), "recording.json:3:1: error[E0115]");
  has(complaint(changed("\"block_size\"", "\"policy\": \"fcsf\", \"block_size\"")),
      "recording.json:3:93: error[E0521]: unknown policy \"fcsf\"");
  has(complaint(changed("\"block_size\"", "\"sliding_window\": 8, \"block_size\"")), "error[E0110]");
  has(complaint(changed("\"num_gpu_blocks\": 9", "\"num_gpu_blocks\": 9, \"usable_blocks\": 9")),
      "not num_gpu_blocks - 1 = 8");
  has(complaint(changed("\"num_gpu_blocks\": 9",
                        "\"num_gpu_blocks\": 9, \"pipeline_parallel_size\": 2, \"num_speculative_tokens\": 1")),
      "error[E0522]: pipeline stages together with drafts");
  has(complaint(changed("\"prompt\": 30", "\"prompt\": 0")), "recording.json:6:35: error[E0520]: prompt is 0");
  has(complaint(changed("\"prompt\": 30", "\"prompt\": 1.5")), "recording.json:6:35: error[E0117]");
  has(complaint(changed("\"id\": 1", "\"id\": 0")), "recording.json:6:8: error[E0520]: id 0 after id 0");
  has(complaint(changed("\"output\": 2}]", "\"output\": 2, \"pd\": \"decode\"}]")),
      "pd of a request on an instance without kv_role");
  has(complaint(changed("\"requests\"", "\"request\"")), "a recording needs a list of requests");
  has(complaint("[]"), "recording.json:1:1: error[");
  has(complaint("{"), "recording.json:1:1: error[E0108]");
}

// A prompt of 8 blocks where there are 7: it waits for ever, and what came before it ends.
TEST(VllmRecordingText, EndsWhereNothingCanBeScheduled) {
  std::string text = changed("\"num_gpu_blocks\": 9", "\"num_gpu_blocks\": 8");
  text.replace(text.find("\"prompt\": 30"), 12, "\"prompt\": 127");
  const std::string said = complaint(text);
  EXPECT_NE(said.find("error[E0523]: no progress at tick "), std::string::npos) << said;
  EXPECT_NE(
      said.find("0 requests run, 1 wait, 7 of 7 blocks are free; request 1 waits: 0 of 127 tokens computed, 0 blocks"),
      std::string::npos)
      << said;
}

// Without the check of the whole prompt its chunks are taken until the blocks are gone; it throws itself out, again and again.
TEST(VllmRecordingText, EndsWhereTheSameWorkIsThrownAwayForEver) {
  std::string text = changed("\"num_gpu_blocks\": 9}", "\"num_gpu_blocks\": 7, \"scheduler_reserve_full_isl\": false}");
  text.replace(text.find("\"prompt\": 30"), 12, "\"prompt\": 127");
  const std::string said = complaint(text);
  EXPECT_NE(said.find("error[E0523]: no progress at tick "), std::string::npos) << said;
}

}  // namespace
}  // namespace ascendsim
