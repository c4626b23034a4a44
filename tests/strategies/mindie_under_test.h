// MindIE deployments as the importer reads them from a config.json, and everything that prices them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "strategies/importers/mindie.h"
#include "strategies/predict.h"
#include "strategies/rules/rules.h"

namespace ascendsim {

inline std::string rendered(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render(d);
  return text;
}

inline std::string rendered(const Diagnostics& diagnostics, Severity severity) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == severity) text += render(d);
  return text;
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A file that exists for one test; messages are compared with its name put back to "config.json".
class TemporaryConfig {
 public:
  explicit TemporaryConfig(const std::string& content) : path_(testing::TempDir() + "ascendsim_strategies_config.json") {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryConfig() { std::remove(path_.c_str()); }
  TemporaryConfig(const TemporaryConfig&) = delete;
  TemporaryConfig& operator=(const TemporaryConfig&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string named(std::string text) const {
    for (std::size_t at; (at = text.find(path_)) != std::string::npos;) text.replace(at, path_.size(), "config.json");
    return text;
  }

 private:
  std::string path_;
};

inline const QuantisationLibrary& shipped_schemes() {
  static const QuantisationLibrary schemes(ASCENDSIM_SOURCE_ROOT "/workloads/quantisation");
  return schemes;
}
inline const ModelLibrary& shipped_models() {
  static const ModelLibrary models(ASCENDSIM_SOURCE_ROOT "/workloads/models");
  return models;
}
inline const Stack& mindie_stack() {
  static const Stack stack = [] {
    Diagnostics diagnostics;
    Stack s = StackLibrary(ASCENDSIM_SOURCE_ROOT "/strategies/stacks").load("mindie", "", diagnostics);
    EXPECT_EQ(rendered(diagnostics), "");
    return s;
  }();
  return stack;
}
inline Server shipped_server(std::string_view name) {
  Diagnostics diagnostics;
  Server server = Catalogue(ASCENDSIM_SOURCE_ROOT "/hardware/catalogue").server(name, {}, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return server;
}
inline const KernelTable& shipped_kernels() {
  static const KernelTable kernels = [] {
    Diagnostics diagnostics;
    KernelTable k = Catalogue(ASCENDSIM_SOURCE_ROOT "/hardware/catalogue").kernels(mindie_stack().kernels, diagnostics);
    EXPECT_EQ(rendered(diagnostics), "");
    return k;
  }();
  return kernels;
}

// An import together with what was said, under the name "config.json".
struct Imported {
  Import import;
  Diagnostics diagnostics;
  std::string errors, warnings, notes;
};

inline Imported import_text(const std::string& text, const ImportOptions& options = {}) {
  const TemporaryConfig file(text);
  Imported r;
  r.import = import_mindie(file.path(), options, mindie_stack(), shipped_models(), shipped_schemes(), r.diagnostics);
  r.errors = file.named(rendered(r.diagnostics, Severity::kError));
  r.warnings = file.named(rendered(r.diagnostics, Severity::kWarning));
  r.notes = file.named(rendered(r.diagnostics, Severity::kNote));
  return r;
}

// What the documents' two examples differ in, and what tests vary.
struct Example {
  std::int64_t dp = 1, cp = 1, sp = 1, tp = 1;
  std::int64_t moe_tp = 1, ep_level = 1;
  std::string model = "DeepSeek-R1_w8a8";
  std::int64_t input = 65'536;           // maxInputTokenLen and maxPrefillTokens; maxSeqLen is 1024 above
  [[nodiscard]] std::int64_t world() const { return dp * cp * tp; }
};
inline const Example kContextExample{.cp = 2, .sp = 8, .tp = 8};
inline const Example kSequenceExample{.dp = 2, .sp = 8, .tp = 8};

inline std::string config_json(const Example& e) {
  return fmt::format(R"({{
  "ModelDeployConfig" : {{
    "maxSeqLen" : {},
    "maxInputTokenLen" : {},
    "truncation" : false,
    "ModelConfig" : [ {{
      "modelInstanceType" : "Standard",
      "modelName" : "{}",
      "modelWeightPath" : "/data/weights/{}",
      "worldSize" : {},
      "cpuMemSize" : 5,
      "npuMemSize" : -1,
      "backendType" : "atb",
      "trustRemoteCode" : false,
      "dp" : {},
      "cp" : {},
      "sp" : {},
      "tp" : {},
      "moe_ep" : {},
      "moe_tp" : {},
      "models" : {{ "deepseekv2" : {{ "ep_level" : {} }} }}
    }} ]
  }},
  "ScheduleConfig" : {{
    "maxPrefillTokens" : {},
    "maxPrefillBatchSize" : 1
  }}
}}
)",
                     e.input + 1024, e.input, e.model, e.model, e.world(), e.dp, e.cp, e.sp, e.tp, e.world() / e.moe_tp,
                     e.moe_tp, e.ep_level, e.input);
}

inline Deployment deployment(const Example& e, const std::string& memory_fraction = "0.92") {
  const Imported r = import_text(config_json(e), {.model = {}, .quantisation = {}, .memory_fraction = memory_fraction, .role = {}});
  EXPECT_EQ(r.errors, "");
  return r.import.deployment;
}

// On Atlas 800I A3 unless another server is named.
inline std::unique_ptr<Scenario> scenario(Deployment d, std::string_view server = "atlas-800i-a3") {
  const Server s = shipped_server(server);
  const int servers = static_cast<int>(ceil_div(d.layout.world(), s.dies()));
  return std::make_unique<Scenario>(std::move(d), mindie_stack(), shipped_kernels(), Cluster(s, servers));
}
inline std::unique_ptr<Scenario> scenario(const Example& e) { return scenario(deployment(e)); }

// A step's figures by label.
inline std::int64_t flops(const StepTime& step, std::initializer_list<std::string_view> labels) {
  std::int64_t sum = 0;
  for (const OperatorRow& r : step.operator_rows)
    for (const std::string_view label : labels)
      if (r.label == label) sum += r.flops.count();
  return sum;
}

inline const CollectiveRow& collective(const StepTime& step, std::string_view label) {
  for (const CollectiveRow& r : step.collective_rows)
    if (r.label == label) return r;
  ADD_FAILURE() << "no collective " << label;
  static const CollectiveRow kNone;
  return kNone;
}
inline std::int64_t sent_once(const StepTime& step, std::string_view label) {
  const CollectiveRow& r = collective(step, label);
  return r.sent.count() / std::max<std::int64_t>(1, r.count);
}

}  // namespace ascendsim
