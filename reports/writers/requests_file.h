// One row a request, written as requests end: CSV, or JSONL where the file's name ends in .jsonl.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "strategies/serving/outcome.h"

namespace ascendsim {

class RequestsFile {
 public:
  explicit RequestsFile(const std::string& path);
  [[nodiscard]] bool good() const { return file_ != nullptr && !failed_; }
  void write(const RequestOutcome& outcome);
  // What was written is in the file; false when it could not be.
  [[nodiscard]] bool close();

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  File file_;
  bool json_ = false, failed_ = false;
  std::string line_;
};

}  // namespace ascendsim
