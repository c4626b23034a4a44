// Any bytes as a launch script: read, imported, ruled upon; what comes out is diagnostics and questions, never a crash.
#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/engines/launch/instances.h"
#include "strategies/engines/rules.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

struct Libraries {
  ModelLibrary models{source_path("workloads/models")};
  QuantisationLibrary schemes{source_path("workloads/quantisation")};
  EngineVersions versions;
  Server server;
  Libraries() {
    Diagnostics diagnostics;
    versions = load_versions(source_path("strategies/engines/versions"), "vllm-ascend", diagnostics);
    server = Catalogue(source_path("hardware/catalogue")).server("atlas-800i-a3", "", diagnostics);
    check(!diagnostics.has_errors(), "the shipped data is read");
  }
};

void import(std::string text) {
  static const Libraries libraries;
  static const ImportOptions options{"DeepSeek-R1", "w8a8", {}, {}};
  static const Defines defines{{"TP", "8"}};
  if (text.find("--config") != std::string::npos) return;  // names files of this machine
  Diagnostics diagnostics;
  is_launch_text(text);
  const auto commands = read_launch(std::move(text), "script", defines, diagnostics);
  read_benchmark(commands, defines, diagnostics);
  for (LaunchedInstance& i :
       import_instances(commands, {options, defines, libraries.models, libraries.schemes, libraries.versions, "0.15"},
                        diagnostics)) {
    Question& q = i.question;
    if (diagnostics.has_errors() || i.diagnostics.has_errors()) continue;
    q.deployment.set_engine(q.stack);
    derive_layout(q);
    resolve(q, libraries.models, libraries.schemes, diagnostics);
    complete_launch(q, libraries.server.fabric, diagnostics);
    check_deployment({q.deployment, 0, libraries.server, 1, false, &libraries.versions}, diagnostics);
    to_yaml(q, YamlComments::kOrigin);
  }
}

}  // namespace
}  // namespace ascendsim

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ascendsim::import({reinterpret_cast<const char*>(data), size});
  return 0;
}
