#include "strategies/prediction/predict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "strategies/deployment/words.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/rank_step.h"
#include "workloads/kernels.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

// Requests of one size share most of their gaps: a value and how often it occurs, instead of one entry per token.
struct Repeated {
  Duration value{};
  std::int64_t times = 1;
};

// Nearest-rank percentile of ascending values.
Duration percentile(const std::vector<Repeated>& sorted, std::int64_t total, int percent) {
  std::int64_t rank = std::max<std::int64_t>(1, ceil_div(total * percent, 100));
  for (const Repeated& r : sorted)
    if ((rank -= r.times) <= 0) return r.value;
  return sorted.back().value;
}

Percentiles percentiles(std::vector<Repeated> values) {
  if (values.empty()) return {};
  std::ranges::sort(values, {}, &Repeated::value);
  std::int64_t total = 0;
  __int128 sum = 0;  // a million requests of thousands of tokens exceed 64 bits of picoseconds
  for (const Repeated& r : values) {
    total += r.times;
    sum += static_cast<__int128>(r.value.count()) * r.times;
  }
  return {Duration(static_cast<std::int64_t>(sum / total)), percentile(values, total, 50),
          percentile(values, total, 90), percentile(values, total, 99)};
}

Percentiles percentiles(const std::vector<Duration>& values) {
  std::vector<Repeated> once;
  for (const Duration v : values) once.push_back({v});
  return percentiles(std::move(once));
}

HostFigures host_figures(const Deployment& d, const Stack& stack) {
  return {.before_step = stack.figures.duration(d.features.async_scheduling ? "async_step_gap" : "step_gap"),
          // A draft pass is a graph of its own; where steps are scheduled ahead, its launch overlaps what runs.
          .before_draft = d.features.async_scheduling ? Duration{} : stack.figures.duration("draft_gap"),
          .issue = stack.figures.duration("kernel_issue"),
          .eager_issue = stack.figures.duration(stack.figures.has_duration("eager_kernel_issue") ? "eager_kernel_issue"
                                                                                                 : "kernel_issue")};
}

std::int64_t prefill_capacity(const Deployment& d, const Workload& w) {
  const std::int64_t budget =
      chunk_tokens(d) > 0 ? std::min(chunk_tokens(d), d.limits.max_prefill_tokens) : d.limits.max_prefill_tokens;
  const std::int64_t by_tokens = std::max<std::int64_t>(1, budget / (w.input_tokens - w.prefix_hit));
  return d.layout.dp * std::min(d.limits.max_prefill_batch, by_tokens);
}

}  // namespace

std::int64_t prompts_kept(const Deployment& d, const Workload& w) {
  if (d.role != Role::kPrefill) return w.batch;
  return std::min(w.batch, 2 * std::min(prefill_capacity(d, w), w.batch));
}

namespace {

// Decode step times over the output, from three priced contexts.
struct DecodeCurve {
  std::array<std::int64_t, 3> context{};
  std::array<Duration, 3> time{};

  [[nodiscard]] Duration at(std::int64_t tokens) const {
    const std::size_t i = tokens >= context[1] && context[2] > context[1] ? 1 : 0;
    const std::int64_t span = context[i + 1] - context[i];
    if (span == 0) return time[i];
    const double part = static_cast<double>(tokens - context[i]) / static_cast<double>(span);
    return time[i] + Duration(static_cast<std::int64_t>(part * static_cast<double>((time[i + 1] - time[i]).count())));
  }
};

// `middle`: the step at the middle context, with all its parts.
DecodeCurve price_decode(const Scenario& s, const Workload& w, StepTime& middle) {
  // The first token comes from prefill; step i attends to the prompt and the i tokens generated so far.
  const std::int64_t first = w.input_tokens + 1, last = w.input_tokens + std::max<std::int64_t>(1, w.output_tokens - 1);
  const std::int64_t rows = 1 + s.deployment.features.speculative_tokens;
  DecodeCurve curve;
  curve.context = {first, first + (last - first) / 2, last};
  for (std::size_t i = 0; i < 3; ++i) {
    if (i > 0 && curve.context[i] == curve.context[i - 1]) {
      curve.time[i] = curve.time[i - 1];
      continue;
    }
    StepTime step = s.pricer.price(decode_step(s.deployment.layout, w.batch, w.input_tokens, curve.context[i], rows));
    curve.time[i] = step.total;
    if (i <= 1) middle = std::move(step);
  }
  return curve;
}

// What the host issues in the steps of a prediction.
struct IssuedSteps {
  bool replayed = false, by_kernel = false;  // graphs, or as the stack's figures say; kernels, or pieces between graphs
};
// The first step of each phase that the deployment runs.
std::vector<Step> first_steps(const Deployment& d, const Workload& w) {
  std::vector<Step> out;
  if (d.role != Role::kDecode)
    out.push_back(prefill_steps(d, std::min(prefill_capacity(d, w), w.batch), w.input_tokens, w.prefix_hit).front());
  if (d.role != Role::kPrefill)
    out.push_back(
        decode_step(d.layout, w.batch, w.input_tokens, w.input_tokens + 1, 1 + d.features.speculative_tokens));
  return out;
}
IssuedSteps issued_steps(const Deployment& d, const Workload& w) {
  using enum Launching::How;
  IssuedSteps out;
  for (const Step& step : first_steps(d, w)) {
    const Launching::How how = launching(d, step).how;
    (how == kStack || how == kGraph ? out.replayed : out.by_kernel) = true;
  }
  return out;
}

// Where fused MC2 was asked for: what each phase takes, and why.
void add_expert_carriers(const Scenario& s, const Workload& w, std::vector<std::string>& out) {
  const Deployment& d = s.deployment;
  const std::string refusal = fused_mc2_refusal(d);
  for (const Step& step : first_steps(d, w)) {
    const ExpertCarrier carrier = expert_carrier(d, step.phase, stream_rows(d, step.phase, step.load, 0).routed, false);
    const char* const phase = step.phase == Phase::kPrefill ? "prefill" : "decode";
    if (carrier == ExpertCarrier::kFusedMc2)
      out.push_back(
          fmt::format("{}: experts run in fused MC2; of exchange and products the shorter one hides {:.0f} % of itself "
                      "behind the other (stack fused_moe_overlap)",
                      phase, 100 * s.facts.fused_moe_overlap));
    else
      out.push_back(fmt::format("{}: fused MC2 was asked for, rows travel by {}: {}", phase, to_text(carrier),
                                refusal.empty() ? "the step has more rows than it takes" : refusal));
  }
}

// Whether a figure of the stack takes part in a prediction for this deployment.
bool plays_a_part(std::string_view figure, const Deployment& d, const IssuedSteps& issued) {
  const bool decodes = d.role != Role::kPrefill;
  if (figure == "memory_fraction") return d.origin("memory_fraction").assumed;
  if (figure == "step_gap") return !d.features.async_scheduling;
  if (figure == "draft_gap") return !d.features.async_scheduling && d.features.speculative_tokens > 0;
  if (figure == "async_step_gap") return d.features.async_scheduling;
  if (figure == "kernel_issue") return issued.replayed;
  if (figure == "eager_kernel_issue") return issued.by_kernel;
  if (figure == "fused_moe_overlap") return asks_for_fused_mc2(d) && fused_mc2_refusal(d).empty();
  if (figure == "mtp_acceptance") return decodes && d.features.speculative_tokens > 0;
  if (figure == "prolog_max_tokens") return decodes;
  if (figure.starts_with("lane_share")) return decodes && d.micro_batches > 1;
  if (figure == "moe_ep_buffer") return d.layout.moe_ep > 1;
  if (figure == "moe_tp_buffer") return d.layout.moe_tp > 1;
  return true;
}

// What a prediction rests on without evidence.
void add_if_assumed(std::vector<std::string>& out, const std::string& what, const auto& figure) {
  if (figure.kind == FigureKind::kAssumed)
    out.push_back(fmt::format("{} is an assumed figure: {}", what, figure.source));
}

}  // namespace

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

std::vector<std::string> assumptions(const Scenario& s, const Workload& w) {
  const Layout& l = s.deployment.layout;
  std::vector<std::string> out;
  const ExpertOptions& experts = s.deployment.experts;
  out.push_back(experts.rank_loads.empty()
                    ? "experts are hit uniformly; collectives contend only for the ports of their own ranks"
                    : fmt::format("the busiest rank's experts get {:.2f} times the mean ({}); collectives contend only "
                                  "for the ports of their own ranks",
                                  static_cast<double>(std::ranges::max(experts.rank_loads)) / RoutedRows::kEven,
                                  experts.loads.empty() ? fmt::format("a router drawn with seed {}", experts.seed)
                                                        : "experts.loads"));
  if (s.deployment.compute_skew > 0)
    out.push_back(
        fmt::format("stragglers: ranks compute evenly spread from {:.3g} to {:.3g} times the mean time, in an order "
                    "drawn with seed {}",
                    1 - s.deployment.compute_skew / 2, 1 + s.deployment.compute_skew / 2, experts.seed));
  if (s.deployment.role != Role::kDecode)
    out.push_back(fmt::format("activations are those of a warm-up prefill of {} = {} tokens on every DP group",
                              key_name(s.deployment, profiles_batched_tokens(s.deployment) ? "limits.max_batched_tokens"
                                                                                           : "maxPrefillTokens"),
                              with_commas(warm_up_tokens(s.deployment))));
  if (s.cluster.server().fabric == Fabric::kUnifiedBus &&
      s.deployment.expansion.value_or(Expansion::kAiv) == Expansion::kAiv)
    out.push_back("HCCL_OP_EXPANSION_MODE=AIV: small collectives run on vector cores, large ones on copy engines");
  if (w.batch % l.dp != 0)
    out.push_back(fmt::format(
        "{} requests on {} DP groups: idle groups take part in every collective with padded rows and compute no "
        "expert FLOPs for them",
        w.batch, l.dp));
  if (l.pp > 1)
    out.push_back(fmt::format(
        "{} stages of layers; chunks follow one another through them, a decode step passes them one after another",
        l.pp));
  if (l.cp > 1) {
    if (s.deployment.role != Role::kPrefill)
      out.push_back("decode rows are replicated over the CP ranks; the experts compute all copies");
    if (s.deployment.role != Role::kDecode && l.cp_exchange == LatentExchange::kAllGather)
      out.push_back(
          fmt::format("context parallelism gathers the latent once (all-gather) and expands it on every CP rank{}",
                      s.deployment.engine->texts.context_gather));
  }
  if (s.deployment.micro_batches > 1) {
    // Halves of what every DP group has.
    const auto unsplit = [&](const char* phase, std::int64_t sequences) {
      if (sequences < 2 * l.dp)
        out.push_back(fmt::format(
            "micro_batches {}: a {} step has {} request{} on {} DP group{}, and stays whole: every group needs two",
            s.deployment.micro_batches, phase, sequences, sequences == 1 ? "" : "s", l.dp, l.dp == 1 ? "" : "s"));
    };
    if (s.deployment.role != Role::kDecode) unsplit("prefill", std::min(prefill_capacity(s.deployment, w), w.batch));
    if (s.deployment.role != Role::kPrefill) unsplit("decode", w.batch);
  }
  if (!w.acceptance.empty())
    out.push_back(fmt::format("MTP acceptance by draft position {:.2f}: {:.3f} tokens a step",
                              fmt::join(w.acceptance, ", "), w.tokens_per_step()));
  if (w.prefix_hit > 0)
    out.push_back(fmt::format("{} tokens of every prompt lie in the prefix cache", with_commas(w.prefix_hit)));
  if (asks_for_fused_mc2(s.deployment)) add_expert_carriers(s, w, out);
  const IssuedSteps issued = issued_steps(s.deployment, w);
  if (const std::string_view variable = s.deployment.engine->texts.issue_variable;
      issued.by_kernel && !variable.empty())
    out.push_back(fmt::format(
        "a kernel that the host issues takes it {} (stack eager_kernel_issue) whatever {} says: its level in that "
        "measurement is not published, nor what the levels save",
        to_text(s.stack.figures.duration("eager_kernel_issue")), variable));
  if (s.deployment.features.splitfuse && s.deployment.role == Role::kHybrid)
    out.push_back(
        w.batch == 1
            ? "steps that mix chunks of prompts with decode rows of other requests do not arise: there is one request"
            : "no step mixes chunks of prompts with decode rows of other requests, as the engine's do: prompts go "
              "first, so a "
              "request's tokens wait for the prompts behind it in one piece");
  s.stack.figures.for_each([&](const std::string& name, const auto& f) {
    if (plays_a_part(name, s.deployment, issued)) add_if_assumed(out, "stack " + name, f);
  });
  return out;
}

namespace {

Deployment with_rank_loads(Deployment d) {
  d.experts.rank_loads = routed_loads(d);
  return d;
}

}  // namespace

Scenario::Scenario(Deployment d, Stack st, KernelTable k, Cluster c)
    : deployment(with_rank_loads(std::move(d))),
      stack(std::move(st)),
      kernels(std::move(k)),
      cluster(std::move(c)),
      facts(kernel_facts(stack, kernels)),
      cost(cluster.server().die, kernels, kKernelNames),
      shared_attention(cluster.server().die, kernels, kKernelNames,
                       stack.figures.ratio("lane_share_attention").count()),
      shared_experts(cluster.server().die, kernels, kKernelNames, stack.figures.ratio("lane_share_moe").count()),
      half_vector(cluster.server().die, kernels, kKernelNames, 1, 0.5),
      pricer(deployment, facts, cluster, cost, {shared_attention, shared_experts, half_vector},
             host_figures(deployment, stack)) {}

MemoryPerRank Scenario::memory(const Workload& w) const {
  Workload kept = w;
  kept.batch = prompts_kept(deployment, w);
  return memory_per_rank(deployment, kept, stack, facts, capacity());
}

PrefillRun run_prefill(const Scenario& s, const Workload& w) {
  PrefillRun run;
  run.sequences = std::min(prefill_capacity(s.deployment, w), w.batch);
  const auto steps = [&](std::int64_t sequences) {
    return prefill_steps(s.deployment, sequences, w.input_tokens, w.prefix_hit);
  };
  const auto price = [&](std::int64_t sequences) { return s.pricer.price_each(steps(sequences)); };
  const PipelinePricer::Steps usual = price(run.sequences);
  run.step = s.pricer.together(usual);
  run.chunks = static_cast<std::int64_t>(usual.times.size());
  if (s.deployment.kv_transfer.layer_wise) {
    std::vector<Duration> idle_pipeline;
    std::vector<std::vector<Duration>> ended;
    static_cast<void>(s.pricer.play(usual, idle_pipeline, &ended));
    run.pieces = cached_pieces(steps(run.sequences), usual, ended);
  }
  // Prefill steps one after another until every request has its first token.
  std::vector<Duration> busy_until;
  for (std::int64_t done = 0; done < w.batch;) {
    const std::int64_t now = std::min(run.sequences, w.batch - done);
    run.end = s.pricer.play(now == run.sequences ? usual : price(now), busy_until);
    run.first_token.insert(run.first_token.end(), static_cast<std::size_t>(now), run.end);
    done += now;
  }
  return run;
}

namespace {

void play(DecodeRun& run, const DecodeCurve& curve, const Workload& w) {
  run.context = curve.context[1];
  run.tokens_per_step = w.tokens_per_step();
  const double tokens_to_go = static_cast<double>(std::max<std::int64_t>(0, w.output_tokens - 1));
  const auto steps = static_cast<std::int64_t>(std::ceil(tokens_to_go / run.tokens_per_step - 1e-9));
  if (steps == 0) return;
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto yielded = static_cast<std::int64_t>(static_cast<double>(i) * run.tokens_per_step);
    run.gaps.push_back(curve.at(w.input_tokens + 1 + yielded));
    run.duration += run.gaps.back();
  }
  run.mean_step = run.duration / steps;
  // The expected length, not the whole number of steps: the last step is shared with what would come after.
  run.duration =
      Duration(std::llround(static_cast<double>(run.mean_step.count()) * tokens_to_go / run.tokens_per_step));
}

}  // namespace

DecodeRun run_decode(const Scenario& s, const Workload& w) {
  DecodeRun run;
  play(run, price_decode(s, w, run.step), w);
  return run;
}

DecodeRun run_decode_at_least(const Scenario& s, const Workload& w) {
  DecodeRun run;
  const std::int64_t first = w.input_tokens + 1;
  Step step =
      decode_step(s.deployment.layout, w.batch, w.input_tokens, first, 1 + s.deployment.features.speculative_tokens);
  if (splits_into_micro_batches(s.deployment, step)) return run_decode(s, w);
  step.writes_cache = false;
  run.step = s.pricer.price(step);
  play(run, {.context = {first, first, first}, .time = {run.step.total, run.step.total, run.step.total}}, w);
  return run;
}

void add_requests(Prediction& p, const PrefillRun& prefill, const DecodeRun& decode, const Workload& w,
                  Duration before_decode, bool wait_for_all) {
  std::vector<Duration> per_token, whole;
  std::vector<Repeated> gaps;
  Duration end{};
  for (const Duration first : prefill.first_token) {
    const Duration pause = before_decode + (wait_for_all ? prefill.end - first : Duration{});
    const Duration last = first + pause + decode.duration;
    end = std::max(end, last);
    whole.push_back(last);
    if (w.output_tokens > 1) per_token.push_back((last - first) / (w.output_tokens - 1));
    if (!decode.gaps.empty()) gaps.push_back({decode.gaps[0] + pause});
  }
  for (std::size_t i = 1; i < decode.gaps.size(); ++i)
    gaps.push_back({decode.gaps[i], static_cast<std::int64_t>(prefill.first_token.size())});
  p.ttft = percentiles(prefill.first_token);
  p.tpot = percentiles(per_token);
  p.itl = percentiles(std::move(gaps));
  p.e2el = percentiles(whole);
  p.tokens_per_step = decode.tokens_per_step;
  p.decode_step = decode.mean_step;
  if (end.count() == 0) return;
  p.output_tokens_per_second = static_cast<double>(w.batch * w.output_tokens) / seconds(end);
  p.requests_per_second = static_cast<double>(w.batch) / seconds(end);
}

Prediction predict(const Scenario& s, const Workload& w) {
  Prediction p;
  p.memory = s.memory(w);
  PrefillRun prefill;
  DecodeRun decode;
  if (s.deployment.role != Role::kDecode)
    prefill = run_prefill(s, w);
  else
    prefill.first_token.assign(static_cast<std::size_t>(w.batch), Duration{});  // came from the prefill side
  if (s.deployment.role != Role::kPrefill) decode = run_decode(s, w);
  // Prefills go first, so decoding starts for all when the last prompt is done: earlier requests wait in between. From
  // a prefill side each leaves with its first token.
  add_requests(p, prefill, decode, w, Duration{}, s.deployment.role != Role::kPrefill);
  p.prefill_sequences = prefill.sequences;
  p.prefill_chunks = prefill.chunks;
  p.decode_context = decode.context;
  p.prefill = std::move(prefill.step);
  p.decode = std::move(decode.step);
  p.assumptions = assumptions(s, w);
  add_assumptions_of_steps(p, s);
  if (s.deployment.role == Role::kPrefill)
    p.assumptions.push_back(
        fmt::format("the prefill side keeps the cache of {} prompts: those of a step and those that are being pulled",
                    prompts_kept(s.deployment, w)));
  return p;
}

}  // namespace ascendsim
