#include "reports/headings.h"

#include <fmt/format.h>

#include "reports/steps.h"

namespace ascendsim {

namespace {

std::string counted(std::int64_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

std::string hardware(const Subject& s) {
  const Server& server = s.scenario->cluster.server();
  return fmt::format("{} ({}, die {}): {} / {} / {} (one rank = one die)", server.product, server.name, server.die.name,
                     counted(s.servers, "server"), counted(s.cards(), "card"), counted(s.dies(), "die"));
}

std::string layout(const Deployment& d) {
  const Layout& l = d.layout;
  std::string text =
      fmt::format("dp {}  cp {}  sp {}  tp {}  moe_ep {}  moe_tp {}", l.dp, l.cp, l.sp, l.tp, l.moe_ep, l.moe_tp);
  if (l.moe_ep > 1) text += fmt::format("  ep_level {}", l.ep_level);
  if (d.role != Role::kHybrid) text += fmt::format("  ({} side of a disaggregated pair)", to_text(d.role));
  return text;
}

}  // namespace

Table heading(const Subject& s) {
  const Deployment& d = s.deployment();
  const Workload& w = s.workload;
  Table t = facts("", "deployment");
  t.rows = {{"model", fmt::format("{}, {}, {}", d.model.name, d.quantisation.name, to_text(d.dtype))},
            {"engine", fmt::format("{} {}  ({})", d.engine, d.engine_version, s.file)},
            {"hardware", hardware(s)},
            {"layout", layout(d)},
            {"workload", fmt::format("{} tokens in, {} out, {} side by side", with_commas(w.input_tokens),
                                     with_commas(w.output_tokens), counted(w.batch, "request"))}};
  return t;
}

}  // namespace ascendsim
