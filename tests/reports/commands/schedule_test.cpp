// `schedule` prints a recording again, decided here; the recordings themselves are compared field by field in
// tests/strategies/serving.
#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

class Schedule : public ApplicationTest {
 protected:
  static std::string recording(const char* name) { return source_path("tests/data/schedules/") + name; }
};

TEST_F(Schedule, OfEachEngineComesBackAsItWasRecorded) {
  for (const char* name : {"vllm/a01-chunk-three.json", "vllm/v0.23.0/c05-evict-lru.json",
                           "sglang/h01-three-prompts-one-chunk.json", "mindie/s01-prefill-first.json"}) {
    ASSERT_EQ(run({"schedule", recording(name)}), kDone) << name << "\n" << err;
    // MindIE's says no more where it comes from: it was decided here.
    std::string recorded = read(recording(name));
    if (const std::size_t at = recorded.find(" \"source\": {");
        at != std::string::npos && out.find("\"source\": {") == std::string::npos)
      recorded.erase(at, recorded.find('\n', at) + 1 - at);
    EXPECT_EQ(out, recorded) << name;
  }
}

TEST_F(Schedule, WhatIsNoRecordingIsSaid) {
  write("no.json", R"({"config": {}, "requests": []})");
  EXPECT_EQ(run({"schedule", "no.json"}), kWrongInput);
  EXPECT_NE(err.find("error[E0524]: this is no recording"), std::string::npos) << err;
  EXPECT_NE(err.find("no.json"), std::string::npos) << err;
  EXPECT_EQ(run({"schedule", "absent.json"}), kWrongInput);
}

}  // namespace
}  // namespace ascendsim
