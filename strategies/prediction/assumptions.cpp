#include "strategies/prediction/assumptions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "strategies/deployment/words.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/pass_rows.h"
#include "workloads/kernels.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

// The first step of each phase that the deployment runs.
std::vector<Step> first_steps(const Deployment& d, const Workload& w) {
  std::vector<Step> out;
  if (d.role != Role::kDecode)
    out.push_back(prefill_steps(d, prompts_at_once(d, w), w.input_tokens, w.prefix_hit).front());
  if (d.role != Role::kPrefill)
    out.push_back(
        decode_step(d.layout, w.batch, w.input_tokens, w.input_tokens + 1, 1 + d.features.speculative_tokens));
  return out;
}

// What the host issues in them.
struct IssuedSteps {
  bool replayed = false, by_kernel = false;  // graphs, or as the stack's figures say; kernels, or pieces between graphs
};
IssuedSteps issued_steps(const Deployment& d, std::span<const Step> steps) {
  using enum Launching::How;
  IssuedSteps out;
  for (const Step& step : steps) {
    const Launching::How how = launching(d, step).how;
    (how == kStack || how == kGraph ? out.replayed : out.by_kernel) = true;
  }
  return out;
}

struct Subject {
  const Scenario& scenario;
  const Workload& w;
  std::vector<Step> steps;
  IssuedSteps issued;
  const Deployment& d = scenario.deployment;
  const Layout& l = d.layout;
};
using Sentences = std::vector<std::string>;

// ---- figures ----

bool always(const Subject&) { return true; }
bool decodes(const Subject& s) { return s.d.role != Role::kPrefill; }
bool two_lanes(const Subject& s) { return decodes(s) && s.d.micro_batches > 1; }

// Every figure of a stack, and whether it takes part in a prediction.
struct FigureUse {
  std::string_view figure;
  bool (*takes_part)(const Subject&);
};
constexpr FigureUse kFigureUses[] = {
    {"memory_fraction", [](const Subject& s) { return s.d.origin("memory_fraction").assumed; }},
    {"group_buffer", always},
    {"moe_ep_buffer", [](const Subject& s) { return s.l.moe_ep > 1; }},
    {"moe_tp_buffer", [](const Subject& s) { return s.l.moe_tp > 1; }},
    {"buffers_per_group", always},
    {"runtime", always},
    {"prolog_max_tokens", decodes},
    {"step_gap", [](const Subject& s) { return !s.d.features.async_scheduling; }},
    {"async_step_gap", [](const Subject& s) { return s.d.features.async_scheduling; }},
    {"draft_gap",
     [](const Subject& s) { return !s.d.features.async_scheduling && s.d.features.speculative_tokens > 0; }},
    {"kernel_issue", [](const Subject& s) { return s.issued.replayed; }},
    {"eager_kernel_issue", [](const Subject& s) { return s.issued.by_kernel; }},
    {"kernel_gap", always},
    {"mtp_acceptance", [](const Subject& s) { return decodes(s) && s.d.features.speculative_tokens > 0; }},
    {"fused_moe_overlap", [](const Subject& s) { return asks_for_fused_mc2(s.d) && fused_mc2_refusal(s.d).empty(); }},
    {"lane_share_attention", two_lanes},
    {"lane_share_moe", two_lanes}};

void add_if_assumed(Sentences& out, const std::string& what, const auto& figure) {
  if (figure.kind == FigureKind::kAssumed)
    out.push_back(fmt::format("{} is an assumed figure: {}", what, figure.source));
}

void figures(const Subject& s, Sentences& out) {
  s.scenario.stack.figures.for_each([&](const std::string& name, const auto& figure) {
    const auto* const use = std::ranges::find(kFigureUses, std::string_view(name), &FigureUse::figure);
    check(use != std::ranges::end(kFigureUses), "a figure of a stack has no line here");
    if (use->takes_part(s)) add_if_assumed(out, "stack " + name, figure);
  });
}

// ---- sentences, a subject each ----

void unequal_ranks(const Subject& s, Sentences& out) {
  const ExpertOptions& experts = s.d.experts;
  out.push_back(experts.rank_loads.empty()
                    ? "experts are hit uniformly; collectives contend only for the ports of their own ranks"
                    : fmt::format("the busiest rank's experts get {:.2f} times the mean ({}); collectives contend only "
                                  "for the ports of their own ranks",
                                  static_cast<double>(std::ranges::max(experts.rank_loads)) / RoutedRows::kEven,
                                  experts.loads.empty() ? fmt::format("a router drawn with seed {}", experts.seed)
                                                        : "experts.loads"));
  if (s.d.compute_skew > 0)
    out.push_back(
        fmt::format("stragglers: ranks compute evenly spread from {:.3g} to {:.3g} times the mean time, in an order "
                    "drawn with seed {}",
                    1 - s.d.compute_skew / 2, 1 + s.d.compute_skew / 2, experts.seed));
}

void warm_up(const Subject& s, Sentences& out) {
  if (s.d.role != Role::kDecode)
    out.push_back(
        fmt::format("activations are those of a warm-up prefill of {} = {} tokens on every DP group",
                    key_name(s.d, profiles_batched_tokens(s.d) ? "limits.max_batched_tokens" : "maxPrefillTokens"),
                    with_commas(warm_up_tokens(s.d))));
}

void expansion(const Subject& s, Sentences& out) {
  if (s.scenario.cluster.server().fabric == Fabric::kUnifiedBus &&
      s.d.expansion.value_or(Expansion::kAiv) == Expansion::kAiv)
    out.push_back("HCCL_OP_EXPANSION_MODE=AIV: small collectives run on vector cores, large ones on copy engines");
}

void layout(const Subject& s, Sentences& out) {
  if (s.w.batch % s.l.dp != 0)
    out.push_back(fmt::format(
        "{} requests on {} DP groups: idle groups take part in every collective with padded rows and compute no "
        "expert FLOPs for them",
        s.w.batch, s.l.dp));
  if (s.l.pp > 1)
    out.push_back(fmt::format(
        "{} stages of layers; chunks follow one another through them, a decode step passes them one after another",
        s.l.pp));
  if (s.l.cp == 1) return;
  if (s.d.role != Role::kPrefill)
    out.push_back("decode rows are replicated over the CP ranks; the experts compute all copies");
  if (s.d.role != Role::kDecode && s.l.cp_exchange == LatentExchange::kAllGather)
    out.push_back(
        fmt::format("context parallelism gathers the latent once (all-gather) and expands it on every CP rank{}",
                    s.d.engine->texts.context_gather));
}

void micro_batches(const Subject& s, Sentences& out) {
  if (s.d.micro_batches <= 1) return;
  // Halves of what every DP group has.
  const auto unsplit = [&](const char* phase, std::int64_t sequences) {
    if (sequences < 2 * s.l.dp)
      out.push_back(fmt::format(
          "micro_batches {}: a {} step has {} request{} on {} DP group{}, and stays whole: every group needs two",
          s.d.micro_batches, phase, sequences, sequences == 1 ? "" : "s", s.l.dp, s.l.dp == 1 ? "" : "s"));
  };
  if (s.d.role != Role::kDecode) unsplit("prefill", prompts_at_once(s.d, s.w));
  if (s.d.role != Role::kPrefill) unsplit("decode", s.w.batch);
}

void requests(const Subject& s, Sentences& out) {
  if (!s.w.acceptance.empty())
    out.push_back(fmt::format("MTP acceptance by draft position {:.2f}: {:.3f} tokens a step",
                              fmt::join(s.w.acceptance, ", "), s.w.tokens_per_step()));
  if (s.w.prefix_hit > 0)
    out.push_back(fmt::format("{} tokens of every prompt lie in the prefix cache", with_commas(s.w.prefix_hit)));
}

// Where fused MC2 was asked for: what each phase takes, and why.
void carriers(const Subject& s, Sentences& out) {
  if (!asks_for_fused_mc2(s.d)) return;
  const std::string refusal = fused_mc2_refusal(s.d);
  for (const Step& step : s.steps) {
    const ExpertCarrier carrier =
        expert_carrier(s.d, step.phase, stream_rows(s.d, step.phase, step.load, 0).routed, false);
    const char* const phase = step.phase == Phase::kPrefill ? "prefill" : "decode";
    if (carrier == ExpertCarrier::kFusedMc2)
      out.push_back(
          fmt::format("{}: experts run in fused MC2; of exchange and products the shorter one hides {:.0f} % of itself "
                      "behind the other (stack fused_moe_overlap)",
                      phase, 100 * s.scenario.facts.fused_moe_overlap));
    else
      out.push_back(fmt::format("{}: fused MC2 was asked for, rows travel by {}: {}", phase, to_text(carrier),
                                refusal.empty() ? "the step has more rows than it takes" : refusal));
  }
}

void issue(const Subject& s, Sentences& out) {
  if (const std::string_view variable = s.d.engine->texts.issue_variable; s.issued.by_kernel && !variable.empty())
    out.push_back(fmt::format(
        "a kernel that the host issues takes it {} (stack eager_kernel_issue) whatever {} says: its level in that "
        "measurement is not published, nor what the levels save",
        to_text(s.scenario.stack.figures.duration("eager_kernel_issue")), variable));
}

void mixed_steps(const Subject& s, Sentences& out) {
  if (s.d.features.splitfuse && s.d.role == Role::kHybrid)
    out.push_back(
        s.w.batch == 1
            ? "steps that mix chunks of prompts with decode rows of other requests do not arise: there is one request"
            : "no step mixes chunks of prompts with decode rows of other requests, as the engine's do: prompts go "
              "first, so a "
              "request's tokens wait for the prompts behind it in one piece");
}

}  // namespace

std::vector<std::string> assumptions(const Scenario& scenario, const Workload& w) {
  std::vector<Step> steps = first_steps(scenario.deployment, w);
  const IssuedSteps issued = issued_steps(scenario.deployment, steps);
  const Subject s{scenario, w, std::move(steps), issued};
  Sentences out;
  for (const auto say :
       {unequal_ranks, warm_up, expansion, layout, micro_batches, requests, carriers, issue, mixed_steps, figures})
    say(s, out);
  return out;
}

void add_assumptions_of_steps(Prediction& p, const Scenario& s) {
  if (p.prefill_chunks > 1)
    p.assumptions.push_back(
        fmt::format("prompts are prefilled in {} chunks of limits.max_batched_tokens, each attending to the cache of "
                    "those before it",
                    p.prefill_chunks));
  if (!p.prefill.launched.empty()) p.assumptions.push_back("prefill: " + p.prefill.launched);
  if (!p.decode.launched.empty()) p.assumptions.push_back("decode: " + p.decode.launched);
  const auto used = p.prefill.kernels | p.decode.kernels;
  for (const KernelFamily& f : s.kernels.families) {
    const auto name = std::ranges::find(kKernelNames, f.name);
    if (name == kKernelNames.end() || !used.test(static_cast<std::size_t>(name - kKernelNames.begin()))) continue;
    add_if_assumed(p.assumptions, fmt::format("kernel {} t0 {}", f.name, to_text(f.t0.value)), f.t0);
  }
}

}  // namespace ascendsim
