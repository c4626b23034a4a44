#include "strategies/deployment/words.h"

#include <fmt/format.h>

namespace ascendsim {

DegreeWords degree_words(std::string_view engine) {
  return engine == "vllm-ascend" ? DegreeWords::kVllm : DegreeWords::kOurs;
}

std::string layout_words(const Layout& l, DegreeWords words, Degrees which, std::string_view between) {
  const bool vllm = words == DegreeWords::kVllm;
  std::string out;
  const auto add = [&](const char* name, std::int64_t degree, bool always) {
    if (degree == 1 && !always) return;
    out += fmt::format("{}{} {}", out.empty() ? "" : between, name, degree);
  };
  const bool all = which == Degrees::kAll;
  add("pp", l.pp, false);
  add("dp", l.dp, all);
  add(vllm ? "pcp" : "cp", l.cp, all);
  add(vllm ? "dcp" : "sp", l.sp, all);
  add("tp", l.tp, all);
  add("moe_ep", l.moe_ep, all);
  add("moe_tp", l.moe_tp, all);
  return out;
}

}  // namespace ascendsim
