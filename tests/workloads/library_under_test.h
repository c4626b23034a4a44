// The models and schemes of the source tree, and files that exist for one test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/source_path.h"
#include "workloads/model.h"
#include "workloads/quantisation.h"

namespace ascendsim {

inline std::string rendered(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render(d);
  return text;
}

inline ModelLibrary shipped_models() { return ModelLibrary(source_path("workloads/models")); }
inline QuantisationLibrary shipped_schemes() { return QuantisationLibrary(source_path("workloads/quantisation")); }

inline Model shipped_model(std::string_view name) {
  Diagnostics diagnostics;
  Model model = shipped_models().load(name, {}, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return model;
}

// A folder of its own for one object of one process: tests may run side by side.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = testing::TempDir() + "ascendsim_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& content) : path_(folder_.path() + "/" + name) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

// Messages are compared with a stable name in place of a temporary path.
inline std::string named(std::string text, const std::string& path, const std::string& name = "config.json") {
  for (std::size_t at; (at = text.find(path)) != std::string::npos;) text.replace(at, path.size(), name);
  return text;
}

// A part of `text` changed; the part must be there.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

}  // namespace ascendsim
