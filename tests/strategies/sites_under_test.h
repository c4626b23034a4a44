// Sites for the planner: an engine, a model, some settings, on Atlas 800I A3.
#pragma once

#include <initializer_list>
#include <string>

#include "strategies/search/planning.h"
#include "tests/source_path.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {

inline PlanSite site_of(const char* stack, const char* model, Role role, std::initializer_list<std::string> set = {}) {
  PlanSite s;
  Diagnostics diagnostics;
  s.question.stack = stack;
  s.question.model = model;
  s.question.deployment.role = role;
  put(s.question, field::kMemoryFraction, 0.92, "test");
  for (const std::string& assignment : set) set_field(assignment, s.question, diagnostics);
  s.stack = StackLibrary(source_path("strategies/engines/stacks")).load(stack, "", diagnostics);
  s.question.deployment.set_engine(s.stack.engine, s.stack.version);
  s.versions = load_versions(source_path("strategies/engines/versions"), s.stack.engine, diagnostics);
  resolve(s.question, shipped_models(), shipped_schemes(), diagnostics);
  s.kernels = Catalogue(source_path("hardware/catalogue")).kernels(s.stack.kernels, diagnostics);
  s.server = shipped_server("atlas-800i-a3");
  EXPECT_EQ(rendered(diagnostics, Severity::kError), "");
  return s;
}

inline bool is_legal(const LayoutChoice& layout, const PlanSite& s, int servers) {
  Question q = s.question;
  choose(q, s, layout);
  return is_legal(q, s, servers);
}

}  // namespace ascendsim
