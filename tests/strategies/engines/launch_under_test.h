// Launch scripts given as text, imported as the command line would.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/engines/launch/instances.h"
#include "strategies/engines/rules.h"
#include "tests/source_path.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {

struct LaunchedUnderTest {
  std::vector<LaunchedInstance> instances;
  std::string said;  // errors and warnings, one a line
  std::string notes;
  [[nodiscard]] const Question& question() const { return instances.at(0).question; }
  [[nodiscard]] std::string use(const std::string& path) const {
    for (const KeyReport& k : instances.at(0).keys)
      if (k.path == path) return std::string(to_text(k.use));
    return "not reported";
  }
};

struct LaunchOptions {
  Defines defines{};
  std::string model{}, version = "0.15";
};

inline LaunchedUnderTest launch(const std::vector<std::pair<std::string, std::string>>& scripts,
                                const LaunchOptions& o = {}) {
  LaunchedUnderTest out;
  Diagnostics diagnostics;
  std::vector<LaunchedCommand> commands;
  for (const auto& [name, text] : scripts)
    for (LaunchedCommand& c : read_launch(text, name, o.defines, diagnostics)) commands.push_back(std::move(c));
  const bool known = !commands.empty() && commands.front().kind == LaunchKind::kServer;
  const EngineVersions versions =
      load_versions(source_path("strategies/engines/versions"),
                    known ? std::string(commands.front().engine->name) : "vllm-ascend", diagnostics);
  const ImportOptions options{o.model, {}, {}, {}};
  const ModelLibrary models = shipped_models();
  const QuantisationLibrary schemes = shipped_schemes();
  out.instances = import_instances(commands, {options, o.defines, models, schemes, versions, o.version}, diagnostics);
  for (const LaunchedInstance& i : out.instances) diagnostics.append(i.diagnostics);
  for (const Diagnostic& d : diagnostics.all())
    (d.severity == Severity::kNote ? out.notes : out.said) += render_short(d) + "\n";
  return out;
}
inline LaunchedUnderTest launch(const std::string& text, const LaunchOptions& o = {}) {
  return launch(std::vector<std::pair<std::string, std::string>>{{"s.sh", text}}, o);
}

// What the engine's rules say of the first instance.
inline std::string ruled(const LaunchedUnderTest& l, const char* server = "atlas-800t-a3",
                         const std::string& version = "0.15") {
  Diagnostics diagnostics;
  Question q = l.question();
  q.deployment.set_engine(q.stack, version);
  derive_layout(q);
  resolve(q, shipped_models(), shipped_schemes(), diagnostics);
  const Server s = shipped_server(server);
  complete_launch(q, s.fabric, diagnostics);
  const EngineVersions versions = load_versions(source_path("strategies/engines/versions"), q.stack, diagnostics);
  const int servers =
      static_cast<int>(std::max<std::int64_t>(q.hardware.servers, ceil_div(q.deployment.layout.world(), s.dies())));
  check_deployment({q.deployment, 0, s, servers, false, &versions}, diagnostics);
  std::string said;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity != Severity::kNote) said += render_short(d) + "\n";
  return said;
}

}  // namespace ascendsim
