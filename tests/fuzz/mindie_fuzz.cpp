// Any bytes as MindIE's config.json: read, imported, ruled upon; never a crash.
#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/engines/mindie/import.h"
#include "strategies/engines/rules.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

void import(std::string text) {
  static const ModelLibrary models(source_path("workloads/models"));
  static const QuantisationLibrary schemes(source_path("workloads/quantisation"));
  static const Stack stack = [] {
    Diagnostics diagnostics;
    return StackLibrary(source_path("strategies/engines/stacks")).load("mindie", "", diagnostics);
  }();
  static const Server server = [] {
    Diagnostics diagnostics;
    return Catalogue(source_path("hardware/catalogue")).server("atlas-800i-a3", "", diagnostics);
  }();
  Diagnostics diagnostics;
  const auto document = Document::parse(std::move(text), "config.json", diagnostics);
  if (!document) return;
  const ImportOptions options{"DeepSeek-R1", "w8a8", {}, {}};
  Question q = import_mindie(*document, options, stack, models, schemes, diagnostics).question;
  if (diagnostics.has_errors()) return;
  derive_layout(q);
  check_deployment({q.deployment, q.declared_world, server, 1, false}, diagnostics);
  to_yaml(q, YamlComments::kOrigin);
}

}  // namespace
}  // namespace ascendsim

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ascendsim::import({reinterpret_cast<const char*>(data), size});
  return 0;
}
