// The models and schemes of the source tree, and files that exist for one test.
#pragma once

#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "workloads/model.h"
#include "workloads/quantisation.h"

namespace ascendsim {

inline std::string rendered(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render(d);
  return text;
}

inline ModelLibrary shipped_models() { return ModelLibrary(ASCENDSIM_SOURCE_ROOT "/workloads/models"); }
inline QuantisationLibrary shipped_schemes() { return QuantisationLibrary(ASCENDSIM_SOURCE_ROOT "/workloads/quantisation"); }

inline Model shipped_model(std::string_view name) {
  Diagnostics diagnostics;
  Model model = shipped_models().load(name, {}, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return model;
}

class TemporaryFile {
 public:
  // Tests run side by side: each process has files of its own.
  TemporaryFile(const std::string& name, const std::string& content) : path_(folder() + name) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  static std::string folder() {
    const std::string own = testing::TempDir() + "ascendsim_" + std::to_string(::getpid()) + "/";
    std::filesystem::create_directories(own);
    return own;
  }
  ~TemporaryFile() {
    std::filesystem::remove(path_);
    std::error_code not_empty;
    std::filesystem::remove(folder(), not_empty);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ascendsim
