// Stacks without rules of their own: what every engine must satisfy, and what the programs need to be built.
#include "strategies/engines/rules.h"

#include <fmt/format.h>

#include <numeric>

namespace ascendsim {

namespace {

constexpr const char* kOwn = "docs/deployment-file.md";

class GenericRules : RuleBase {
 public:
  using RuleBase::RuleBase;
  void check() {
    if (l.tp % l.sp != 0)
      error("E0410", "sp", text("{} must divide {}: {} and {}", name("sp"), name("tp"), l.sp, l.tp),
            "cache shards lie on neighbouring ranks of the TP group", text("set {}", set("sp", std::gcd(l.sp, l.tp))));
    world(kOwn);
    all_to_all("rows travel to ranks that hold whole experts");
    placement("every server gets the same number of ranks");
    divisibility();
    local_groups();
    extensions();
    if (d.features.splitfuse && d.limits.max_batched_tokens == 0)
      warn("W0331", "features.splitfuse", "prompts are prefilled whole: nobody says how large a chunk is", kOwn,
           "limits.max_batched_tokens: 8192");
    limits(kOwn, "a prompt needs room for one output token");
  }

 private:
  [[nodiscard]] std::int64_t per_server() const { return ranks % servers == 0 ? ranks / servers : server.dies(); }
  void local_groups() {
    for (const LocalDegree& g : local_degrees()) {
      if (g.value == &Layout::o_proj_local_tp)
        local_degree(g, name(g.key), per_server(), "ranks of a server");
      else if (g.value == &Layout::lm_head_local_tp)
        local_degree(g, name(g.key), l.world(), "ranks of the instance");
      else
        local_degree(g, name(g.key), l.dp, "DP groups");
    }
    const auto needs_tp_1 = [&](const char* key, std::int64_t value, const char* why) {
      if (l.tp > 1 && value >= 1)
        error("E0317", key, text("{} cannot be used with {} > 1, it is {}", name(key), name("tp"), l.tp), why,
              text("set {}, or {}", set(key, -1), set("tp", 1)));
    };
    needs_tp_1("o_proj_local_tp", l.o_proj_local_tp, "o_proj is cut by heads already");
    needs_tp_1("layout.mlp_tp", l.mlp_local_tp, "the dense MLP is cut by columns already");
  }
};

}  // namespace

void check_generic(const RuleInput& input, Diagnostics& diagnostics) { GenericRules(input, diagnostics).check(); }

}  // namespace ascendsim
