// SGLang: what its start-up checks and its guides demand.
#include "strategies/engines/launch/rules.h"

#include <fmt/format.h>

#include "strategies/engines/sglang/parts.h"

namespace ascendsim {

namespace {

class SglangRules : LaunchRules {
 public:
  using LaunchRules::LaunchRules;
  void check() {
    constexpr const char* kPull = "sgl-project/sglang#12207";
    if (l.cp > 1 && l.dp > 1)
      error("E0441", "cp", text("one of context and data parallelism: cp is {}, dp is {}", l.cp, l.dp),
            text("{}: only one of CP or DP can be selected in prefill", kPull), "--dp-size 1");
    if (l.cp > 1 && d.role != Role::kPrefill)
      error("E0442", "cp", "context parallelism is for prefill instances of a pair only",
            text("{}: only for prefill instances, and only with PD disaggregation", kPull),
            "--disaggregation-mode prefill");
    lacks("cp_with_sparse_attention", d.model.sparse() && l.cp > 1, "cp", "context parallelism with sparse attention");
    if (d.model.sparse() && l.cp > 1 && l.cp_partition == PromptPartition::kRoundRobin)
      warn(
          "W0418", "layout.cp_partition",
          "SGLang's indexer on Ascend takes the two chunks of a zigzag: round-robin prompts are simulated, not "
          "supported",
          "sglang/srt/layers/attention/nsa/nsa_indexer.py: do_npu_cp_balance_indexer splits queries into head and tail",
          "--cp-strategy zigzag");
    degrees("SGLang: tp-size = dp x cp x attention TP");
    idle_dies();
    if (l.sp > 1)
      error("E0443", "sp", "SGLang does not cut the KV cache over the TP group",
            text("{}: use the full kv buffer", kPull), "set layout.sp: 1");
    exchange();
    extensions();
  }
};

}  // namespace

void check_sglang(const RuleInput& input, Diagnostics& diagnostics) { SglangRules(input, diagnostics).check(); }

}  // namespace ascendsim
