// Data of a stack that is no figure.
#include "strategies/deployment/stack.h"

#include <sstream>

#include "tests/source_path.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

std::string shipped_text(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(source_path("strategies/engines/stacks/") + file).rdbuf();
  return text.str();
}

struct Read {
  Stack stack;
  std::string errors;
};
Read read_with(const std::string& fused) {
  std::string text = shipped_text("mindie-2026-04.yaml");
  text.insert(text.find("figures:"), fused);
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/mindie-2026-04.yaml") << text;
  Diagnostics diagnostics;
  Read r{StackLibrary(folder.path()).load("mindie", "", diagnostics), {}};
  r.errors = rendered(diagnostics, Severity::kError);
  return r;
}

TEST(FusedKernels, AreNamedWithTheirSource) {
  const Read none = read_with("");
  EXPECT_FALSE(none.stack.fused.add_rms_norm || none.stack.fused.add_rms_norm_cast);
  const Read both = read_with(
      "fused_kernels:\n  - {kernel: add_rms_norm, source: a file}\n  - {kernel: add_rms_norm_cast, source: another}\n");
  EXPECT_EQ(both.errors, "");
  EXPECT_TRUE(both.stack.fused.add_rms_norm && both.stack.fused.add_rms_norm_cast);
}

TEST(FusedKernels, UnknownOnesAndMissingSourcesAreErrors) {
  EXPECT_NE(read_with("fused_kernels:\n  - {kernel: add_norm, source: a file}\n")
                .errors.find("unknown fused kernel 'add_norm'"),
            std::string::npos);
  EXPECT_NE(read_with("fused_kernels:\n  - {kernel: add_rms_norm}\n").errors.find("source"), std::string::npos);
}

}  // namespace
}  // namespace ascendsim
