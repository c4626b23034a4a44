// A whole question: deployment, hardware and workload. What has choices is an enum or a flag from the reader on; only
// what names a data file (stack, model, quantisation, server, die) stays text. fields.h names every part of it.
#pragma once

#include <string>
#include <string_view>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

struct HardwareChoice {
  std::string server, die;   // empty: not said; the server's own die
  std::int64_t servers = 0;  // 0: as many as the ranks need
};

struct Question {
  Deployment deployment;  // its model and quantisation are loaded by resolve() from the names below
  std::string stack, model, quantisation = "w8a8";
  HardwareChoice hardware;
  Workload workload;
  std::int64_t declared_world = 0;  // as written, or dp x cp x tp
  bool imported = false;            // from an engine's own file
  bool launched = false;            // ... which is a launch script: limits that follow from others are still to be set

  // Whether somebody named the field (by its path), be it a file, --set or an option.
  [[nodiscard]] bool named(std::string_view path) const { return !deployment.origin(path).assumed; }
};

}  // namespace ascendsim
