#include "reports/answers/headings.h"

#include <fmt/format.h>

#include "reports/answers/steps.h"

namespace ascendsim {

namespace {

std::string counted(std::int64_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

std::string hardware(const Subject& s) {
  const Server& server = s.scenario->cluster.server();
  return fmt::format("{} ({}, die {}): {} / {} / {} (one rank = one die)", server.product, server.name, server.die.name,
                     counted(s.servers(), "server"), counted(s.cards(), "card"), counted(s.dies(), "die"));
}

// Of which version they are, where that is another one.
std::string figures(const Subject& s) {
  const std::string& version = s.scenario->stack.figures_of;
  return version.empty() ? "" : fmt::format(", figures of {}", version);
}

// In the words of the file at hand: MindIE's keys, vLLM's short names, or our own.
std::string layout(const Subject& s) {
  const Deployment& d = s.deployment();
  const bool own = !s.question.imported || s.question.launched;
  const Layout& l = d.layout;
  std::string text = layout_words(l, degree_words(s.question));
  if (l.moe_ep > 1)
    text += own ? fmt::format("  exchange {}", word_of(s.question.deployment.exchange()))
                : fmt::format("  ep_level {}", l.ep_level);
  if (l.o_proj_local_tp > 0) text += fmt::format("  o_proj_{}tp {}", own ? "" : "local_", l.o_proj_local_tp);
  if (l.lm_head_local_tp > 0) text += fmt::format("  lm_head_{}tp {}", own ? "" : "local_", l.lm_head_local_tp);
  if (l.embedding_parts() > 1) text += fmt::format("  embedding_tp {}", l.embedding_local_tp);
  if (l.mlp_parts() > 1) text += fmt::format("  mlp_tp {}", l.mlp_local_tp);
  if (d.token_split_prefill) text += "  token-split prefill";
  if (d.micro_batches > 1) text += fmt::format("  {} micro-batches", d.micro_batches);
  if (d.experts.redundant > 0) text += fmt::format("  {} redundant experts", d.experts.redundant);
  if (d.experts.shared_ranks > 0) text += fmt::format("  shared expert on {} ranks", d.experts.shared_ranks);
  if (d.features.speculative_tokens > 0) text += fmt::format("  MTP {}", d.features.speculative_tokens);
  if (d.role != Role::kHybrid) text += fmt::format("  ({} side of a disaggregated pair)", to_text(d.role));
  return text;
}

std::vector<std::vector<Cell>> deployment_rows(const Subject& s, const std::string& side) {
  const Deployment& d = s.deployment();
  return {{side + "model", fmt::format("{}, {}, {}", d.model.name, d.quantisation.name, to_text(d.dtype))},
          {side + "engine", fmt::format("{} {}{}  ({})", d.engine_name, d.engine_version, figures(s), s.file)},
          {side + "hardware", hardware(s)},
          {side + "layout", layout(s)}};
}

std::string load(const Workload& w) {
  std::string text = fmt::format("{} tokens in, {} out, {} side by side", with_commas(w.input_tokens),
                                 with_commas(w.output_tokens), counted(w.batch, "request"));
  if (w.prefix_hit > 0) text += fmt::format(", {} of each prompt in the prefix cache", with_commas(w.prefix_hit));
  return text;
}

}  // namespace

DegreeWords degree_words(const Question& q) { return q.launched ? q.deployment.engine->words.degrees : DegreeWords{}; }

Table heading(const Subject& s) {
  Table t = facts("", "deployment");
  t.rows = deployment_rows(s, "");
  t.rows.push_back({"workload", load(s.workload)});
  return t;
}

Table heading(const Subject& prefill, const Subject& decode) {
  Table t = facts("", "deployment");
  t.rows = deployment_rows(prefill, "prefill ");
  for (auto& row : deployment_rows(decode, "decode ")) t.rows.push_back(std::move(row));
  t.rows.push_back({"workload", load(decode.workload)});
  return t;
}

}  // namespace ascendsim
