// Calls the application as a function, on configuration files in a folder that goes away with the test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "reports/command_line/cli.h"

namespace ascendsim {

// MindIE's page on context parallelism prints this fragment, with shorter limits.
inline std::string context_parallel_fragment(const std::string& sp = "8", const std::string& extra_key = "") {
  return R"("ModelDeployConfig" :
{
    "maxSeqLen" : 66560,
    "maxInputTokenLen" : 65536,
    "truncation" : false,
    "ModelConfig" : [
        {
            "modelInstanceType" : "Standard",
            "modelName" : "DeepSeek-R1_w8a8",
            "modelWeightPath" : "/data/weights/DeepSeek-R1_w8a8",
            "worldSize" : 16,
            "cpuMemSize" : 5,
            "npuMemSize" : -1,
            "backendType" : "atb",
            "trustRemoteCode" : false,
            "dp": 1,
            "cp": 2,
            "sp": )" +
         sp + R"(,
            "tp": 8,
            "moe_ep": 16,
)" + extra_key +
         R"(            "moe_tp": 1
        }
    ]
},
"ScheduleConfig" : { "maxPrefillTokens" : 65536, "maxPrefillBatchSize" : 1 }
)";
}

class ApplicationTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("ascendsim_" + std::string(test->name()) + "_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(folder_);  // so that messages name files without their folder
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

  static void write(const std::string& name, const std::string& text) { std::ofstream(name) << text; }
  static std::string read(const std::string& name) {
    std::ifstream file(name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  int run(std::vector<std::string> args) {
    out.clear();
    err.clear();
    return run_application(args, out, err);
  }
  // The fragment under `cp.json`, with the load that its limits are made for.
  int run_fragment(std::vector<std::string> more) {
    write("cp.json", context_parallel_fragment());
    std::vector<std::string> args{"run", "cp.json", "--hardware", "atlas-800i-a3", "--input", "64K", "--output", "1K"};
    args.insert(args.end(), more.begin(), more.end());
    return run(std::move(args));
  }

  std::string out, err;

 private:
  std::filesystem::path folder_, before_;
};

}  // namespace ascendsim
