// The models and schemes of the source tree, and files that exist for one test.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
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
  TemporaryFile(const std::string& name, const std::string& content) : path_(testing::TempDir() + name) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ascendsim
