// MindIE deployments as the importer reads them from a config.json, and everything that prices them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "strategies/engines/mindie/import.h"
#include "strategies/engines/mindie/parts.h"
#include "strategies/engines/rules.h"
#include "strategies/prediction/predict.h"
#include "tests/source_path.h"
#include "tests/workloads/library_under_test.h"

namespace ascendsim {

inline std::string rendered(const Diagnostics& diagnostics, Severity severity) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == severity) text += render(d);
  return text;
}

// A weight folder NAME with the config.json of DeepSeek-V3's shapes.
class TemporaryWeights {
 public:
  TemporaryWeights(const std::string& name, const std::string& dtype) : path_(folder_.path() + "/" + name) {
    std::filesystem::create_directory(path_);
    std::ofstream(path_ + "/config.json") << R"({"hidden_size": 7168, "vocab_size": 129280, "num_hidden_layers": 61,
  "first_k_dense_replace": 3, "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512,
  "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "intermediate_size": 18432,
  "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
  "max_position_embeddings": 163840, "torch_dtype": ")"
                                          << dtype << "\"}\n";
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

inline const Stack& mindie_stack() {
  static const Stack stack = [] {
    Diagnostics diagnostics;
    Stack s = StackLibrary(source_path("strategies/engines/stacks")).load("mindie", "", diagnostics);
    EXPECT_EQ(rendered(diagnostics), "");
    return s;
  }();
  return stack;
}
inline Server shipped_server(std::string_view name) {
  Diagnostics diagnostics;
  Server server = Catalogue(source_path("hardware/catalogue")).server(name, {}, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return server;
}
inline const KernelTable& shipped_kernels() {
  static const KernelTable kernels = [] {
    Diagnostics diagnostics;
    KernelTable k = Catalogue(source_path("hardware/catalogue")).kernels(mindie_stack().kernels, diagnostics);
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
  const TemporaryFile file("config.json", text);
  Imported r;
  r.import = import_mindie(file.path(), options, mindie_stack(), shipped_models(), shipped_schemes(), r.diagnostics);
  r.errors = named(rendered(r.diagnostics, Severity::kError), file.path());
  r.warnings = named(rendered(r.diagnostics, Severity::kWarning), file.path());
  r.notes = named(rendered(r.diagnostics, Severity::kNote), file.path());
  return r;
}

inline void check_mindie(const Import& import, const Server& server, int servers, Diagnostics& diagnostics) {
  check_mindie({import.question.deployment, import.question.declared_world, server, servers, false}, diagnostics);
}
inline void check_workload(const Deployment& d, const Workload& w, Diagnostics& diagnostics) {
  check_workload(d, w, false, diagnostics);
}

// What the documents' two examples differ in, and what tests vary.
struct Example {
  std::int64_t dp = 1, cp = 1, sp = 1, tp = 1;
  std::int64_t moe_tp = 1, ep_level = 1;
  std::string model = "DeepSeek-R1_w8a8";
  std::int64_t input = 65'536;  // maxInputTokenLen and maxPrefillTokens; maxSeqLen is 1024 above
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
  const Imported r =
      import_text(config_json(e), {.model = {}, .quantisation = {}, .memory_fraction = memory_fraction, .role = {}});
  EXPECT_EQ(r.errors, "");
  return r.import.question.deployment;
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
