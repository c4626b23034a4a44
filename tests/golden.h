// Long expected texts lie in tests/data/expected/, one file each. With ASCENDSIM_UPDATE=1 in the environment a test
// rewrites its file instead: look at the difference before it is committed.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/source_path.h"

namespace ascendsim {

inline void expect_golden(const std::string& name, const std::string& actual) {
  const std::filesystem::path path = std::filesystem::path(source_path("tests/data/expected")) / name;
  const char* const update = std::getenv("ASCENDSIM_UPDATE");
  if (update != nullptr && std::string(update) == "1") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing; if the text is right: ASCENDSIM_UPDATE=1 ctest -R TEST";
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(actual, expected) << "differs from " << path << "; if it is right: ASCENDSIM_UPDATE=1 ctest -R TEST";
}

}  // namespace ascendsim
