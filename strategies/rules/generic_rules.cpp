// Stacks without rules of their own: what every engine must satisfy, and what the programs need to be built.
#include <fmt/format.h>

#include <numeric>

#include "strategies/rules/rules.h"

namespace ascendsim {

namespace {

constexpr const char* kOwn = "docs/deployment-file.md";

class GenericRules : RuleBase {
 public:
  using RuleBase::RuleBase;
  void check() {
    if (l.tp % l.sp != 0)
      error("E0410", "sp", fmt::format("{} must divide {}: {} and {}", name("sp"), name("tp"), l.sp, l.tp),
            "cache shards lie on neighbouring ranks of the TP group", fmt::format("set {}", set("sp", std::gcd(l.sp, l.tp))));
    world(kOwn);
    all_to_all("rows travel to ranks that hold whole experts");
    placement("every server gets the same number of ranks");
    divisibility();
    local("o_proj_local_tp", l.o_proj_local_tp, per_server(), "a server");
    local("lm_head_local_tp", l.lm_head_local_tp, l.world(), "the instance");
    if (l.tp > 1 && l.o_proj_local_tp >= 1)
      error("E0317", "o_proj_local_tp",
            fmt::format("{} cannot be used with {} > 1, it is {}", name("o_proj_local_tp"), name("tp"), l.tp),
            "o_proj is cut by heads already", fmt::format("set {}, or {}", set("o_proj_local_tp", -1), set("tp", 1)));
    extensions();
    if (d.features.splitfuse && d.limits.max_batched_tokens == 0)
      warn("W0331", "features.splitfuse", "prompts are prefilled whole: nobody says how large a chunk is", kOwn, "limits.max_batched_tokens: 8192");
    limits(kOwn, "a prompt needs room for one output token");
  }

 private:
  [[nodiscard]] std::int64_t per_server() const { return ranks % servers == 0 ? ranks / servers : server.dies(); }
  void local(const char* key, std::int64_t value, std::int64_t whole, const char* what) {
    if (value == 0)
      error("E0316", key, fmt::format("{} must be -1 or at least 1, got 0", name(key)), "",
            fmt::format("set {} to switch it off", set(key, -1)));
    if (value > 0) local_degree(key, value, whole, what);
  }
};

}  // namespace

void check_generic(const RuleInput& input, Diagnostics& diagnostics) { GenericRules(input, diagnostics).check(); }

}  // namespace ascendsim
