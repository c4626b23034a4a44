// Whole layers under test: tiny deployments, and programs with a mistake.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/check.h"
#include "strategies/reference/layer_check.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"
#include "workloads/operators/attention.h"

namespace ascendsim {

inline KernelFacts facts() { return kernel_facts(mindie_stack(), shipped_kernels()); }
inline KernelFacts without_prolog() {
  KernelFacts f = facts();
  f.prolog_max_tokens = 0;
  return f;
}

inline Deployment tiny(const Example& e) {
  std::vector<std::string> rules;
  return tiny_deployment(deployment(e), rules);
}
inline Deployment level_2(Deployment d) {
  d.layout.ep_level = 2;
  return d;
}

inline constexpr Phase kBoth[] = {Phase::kPrefill, Phase::kDecode};

inline void expect_exact(const char* what, const Deployment& d, const Step& step, const KernelFacts& f) {
  const LayerReport r = check_layers(d, step, f, LayerType::kFp64);
  EXPECT_TRUE(r.close()) << what << ": hidden " << r.error.hidden << ", logits " << r.error.logits << ", cache "
                         << r.error.cache;
  EXPECT_EQ(r.flops_performed, r.flops_charged) << what;
  EXPECT_EQ(r.bytes_moved, r.bytes_charged) << what;
  EXPECT_GE(r.routed_flops_performed, r.routed_flops_charged) << what;
  EXPECT_LE(r.routed_flops_performed - r.routed_flops_charged, r.routed_roundings) << what;
  EXPECT_GT(r.rows_compared, 0) << what;
}
inline void expect_exact(const char* what, const Deployment& d, const KernelFacts& f = facts()) {
  for (const Phase phase : kBoth) {
    SCOPED_TRACE(phase == Phase::kPrefill ? "prefill" : "decode");
    for (const std::uint64_t seed : {0, 1}) expect_exact(what, d, tiny_step(d, phase, 0, seed), f);
  }
}

// Either the numbers are far off, or the verifier or the calculator stops.
inline void expect_caught(const char* what, const Deployment& d, Phase phase, const LayerMutation& mutation) {
  const Step step = tiny_step(d, phase, 13, 0);
  ASSERT_TRUE(check_layers(d, step, without_prolog(), LayerType::kFp64).ok()) << what;
  try {
    EXPECT_FALSE(check_layers(d, step, without_prolog(), LayerType::kFp64, mutation).close()) << what;
  } catch (const InternalError&) {
  }
}

template <class Change>
LayerMutation on(std::string_view label, Change change) {
  return [=](std::vector<Program>& programs) {
    bool found = false;
    for (Program& p : programs)
      for (Operator& op : p.operators)
        if (op.label == label) {
          change(p, op);
          found = true;
        }
    EXPECT_TRUE(found) << label;
  };
}
// Layers share lists of rows: changed once a program.
template <class Change>
LayerMutation on_moves(std::string_view label, Change change) {
  return [=](std::vector<Program>& programs) {
    bool found = false;
    for (Program& p : programs)
      for (const Operator& op : p.operators)
        if (op.label == label && op.move_list > 0) {
          const Program::MoveList& list = p.move_lists[op.move_list - 1];
          change(std::span(p.moves).subspan(list.first, list.count));
          found = true;
          break;
        }
    EXPECT_TRUE(found) << label;
  };
}
inline constexpr auto kSkip = [](Program&, Operator& op) {
  static constexpr OperatorType kNothing{"nothing", [](const OperatorView&) { return Work{.launches = 0}; }};
  op = Operator{};
  op.type = &kNothing;
};
inline AttentionBlock* blocks_of(Program& p, const Operator& op) {
  return reinterpret_cast<AttentionBlock*>(p.params.data() + op.params + OperatorView::words<PrefillCore>());
}

}  // namespace ascendsim
