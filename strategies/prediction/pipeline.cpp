#include "strategies/prediction/pipeline.h"

#include <algorithm>

#include "strategies/collectives/collective_cost.h"
#include "strategies/programs/pass_rows.h"
#include "strategies/programs/placement.h"

namespace ascendsim {

namespace {

// Ranks of a stage in each server: whole blocks of cp x tp, of which pp lie one after another for each dp.
Cluster cluster_of_stage(const Cluster& whole, const Layout& l) {
  const std::int64_t block = l.cp * l.tp, in_server = whole.ranks_per_server();
  if (l.pp == 1) return whole;
  const std::int64_t ranks =
      in_server >= l.pp * block ? in_server / (l.pp * block) * block : std::min(in_server, block);
  return {whole.server(), static_cast<int>(ceil_div(l.world() / l.pp, ranks)), static_cast<int>(ranks)};
}

void follow(StepTime& sum, const StepTime& next) {
  for (Duration StepTime::*part :
       {&StepTime::total, &StepTime::computing, &StepTime::attention, &StepTime::linear, &StepTime::moe,
        &StepTime::vector, &StepTime::communication, &StepTime::exposed_communication, &StepTime::waiting,
        &StepTime::longest_wait, &StepTime::host, &StepTime::idle, &StepTime::speed_of_light})
    sum.*part += next.*part;
  sum.operators += next.operators;
  sum.kernels |= next.kernels;
  sum.flops.bits16 += next.flops.bits16;
  sum.flops.int8 += next.flops.int8;
  sum.flops.fp32 += next.flops.fp32;
  for (const OperatorRow& row : next.operator_rows) {
    const auto known = std::ranges::find_if(
        sum.operator_rows, [&](const OperatorRow& r) { return r.label == row.label && r.category == row.category; });
    if (known == sum.operator_rows.end()) {
      sum.operator_rows.push_back(row);
      continue;
    }
    known->count += row.count;
    known->time += row.time;
    known->flops += row.flops;
    known->bytes += row.bytes;
  }
  for (const CollectiveRow& row : next.collective_rows) {
    const auto known = std::ranges::find_if(sum.collective_rows, [&](const CollectiveRow& r) {
      return r.label == row.label && r.group == row.group && r.bytes == row.bytes;
    });
    if (known == sum.collective_rows.end()) {
      sum.collective_rows.push_back(row);
      continue;
    }
    known->count += row.count;
    known->sent += row.sent;
    known->time += row.time;
  }
}

}  // namespace

std::vector<Deployment> stages_of(const Deployment& d) {
  const std::int64_t pp = d.layout.pp, each = d.model.layers / pp, left = d.model.layers % pp;
  if (pp == 1) return {d};
  std::vector<Deployment> out;
  std::int64_t first = 0;
  for (std::int64_t s = 0; s < pp; ++s) {
    const std::int64_t from_last = pp - 1 - s, layers = each + (from_last >= 1 && from_last <= left ? 1 : 0);
    Deployment& stage = out.emplace_back(d);
    stage.layout.pp = 1;
    stage.stage = {first, first + layers};
    first += layers;
  }
  return out;
}

HandOver hand_over(const Deployment& stage, const Step& step) {
  const StreamRows rows = stream_rows(stage, step.phase, step.load, 0);
  const Bytes row(stage.model.hidden * bits(stage.dtype) / 8), whole = row * rows.padded;
  const std::int64_t tp = stage.layout.tp;
  if (scatters_rows(stage, step.phase)) return {.sent = row * rows.scattered};
  return tp == 1 ? HandOver{.sent = whole} : HandOver{.sent = whole / tp, .whole = whole};
}

std::int64_t chunk_tokens(const Deployment& d) {
  return d.features.splitfuse && d.role != Role::kDecode ? d.limits.max_batched_tokens : 0;
}

std::vector<Step> prefill_steps(const Deployment& d, std::int64_t sequences, std::int64_t tokens,
                                std::int64_t history) {
  const std::int64_t chunk = chunk_tokens(d), each = ceil_div(sequences, d.layout.dp);
  if (chunk == 0 || each * (tokens - history) <= chunk) return {prefill_step(d.layout, sequences, tokens, history)};
  std::vector<Step> out;
  // Prompts that do not fit into a step together are cut alike, so that their chunks do.
  const std::int64_t of_prompt = std::max<std::int64_t>(1, chunk / each);
  for (std::int64_t done = history; done < tokens; done += of_prompt)
    out.push_back(prefill_step(d.layout, sequences, std::min(tokens, done + of_prompt), done));
  return out;
}

PipelinePricer::PipelinePricer(const Deployment& deployment, const KernelFacts& facts, const Cluster& cluster,
                               const KernelCost& kernels, SharedKernels shared, HostFigures host)
    : cluster_(cluster), neighbour_(deployment.layout.cp * deployment.layout.tp) {
  if (deployment.layout.pp == 1) {
    whole_ = std::make_unique<StepPricer>(deployment, facts, cluster, kernels, shared, host);
    return;
  }
  for (Deployment& d : stages_of(deployment))
    stages_.push_back(std::make_unique<Stage>(std::move(d), cluster_of_stage(cluster, deployment.layout), facts,
                                              kernels, shared, host));
}

// vLLM hands on hidden states and the residual beside them, whose sum is the residual stream (IntermediateTensors of
// deepseek_v2.py).
void PipelinePricer::add_hand_over(const Step& step, Steps& out) const {
  out.hand_over.emplace_back();
  out.handed_over.emplace_back();
  if (stages() == 1) return;
  constexpr std::int64_t kTensors = 2;
  const Deployment& d = stages_[0]->deployment;
  const Layout& l = d.layout;
  const HandOver one = hand_over(d, step);
  const Bytes own = one.sent * kTensors;
  const int neighbours[] = {0, static_cast<int>(neighbour_)};
  out.handed_over.back() = own;
  out.hand_over.back() =
      collective_time({.primitive = Primitive::kShift, .bytes = own, .span = cluster_.span_of(neighbours)},
                      cluster_.server())
          .time;
  if (one.whole == Bytes{}) return;
  std::vector<int> tp;
  for (int r = 0; r < static_cast<int>(l.tp); ++r) tp.push_back(r);
  out.hand_over.back() +=
      collective_time({.primitive = Primitive::kAllGather, .bytes = one.whole * kTensors, .span = cluster_.span_of(tp)},
                      cluster_.server())
          .time;
}

PipelinePricer::Steps PipelinePricer::price_each(std::span<const Step> steps, bool fold, bool repeat_layers) const {
  Steps out;
  for (const Step& step : steps) {
    std::vector<StepTime>& times = out.times.emplace_back();
    if (whole_) times.push_back(whole_->price(step, fold, repeat_layers));
    for (const auto& stage : stages_) times.push_back(stage->pricer.price(step, fold, repeat_layers));
    add_hand_over(step, out);
  }
  return out;
}

Duration PipelinePricer::play(const Steps& steps, std::vector<Duration>& busy_until,
                              std::vector<std::vector<Duration>>* ended) {
  const std::size_t stages = steps.times.front().size();
  busy_until.resize(stages);
  for (std::size_t c = 0; c < steps.times.size(); ++c) {
    for (std::size_t s = 0; s < stages; ++s) {
      const Duration arrives = s == 0 ? Duration{} : busy_until[s - 1] + steps.hand_over[c];
      busy_until[s] = std::max(busy_until[s], arrives) + steps.times[c][s].total;
    }
    if (ended != nullptr) ended->push_back(busy_until);
  }
  return busy_until.back();
}

StepTime PipelinePricer::together(const Steps& steps) const {
  if (steps.times.size() == 1 && stages() == 1) return steps.times[0][0];
  std::vector<Duration> idle_pipeline;
  const Duration total = play(steps, idle_pipeline);
  std::vector<StepTime> of_stage;
  Flops performed{};
  for (std::size_t s = 0; s < stages(); ++s) {
    StepTime& sum = of_stage.emplace_back(steps.times[0][s]);
    for (std::size_t c = 1; c < steps.times.size(); ++c) {
      follow(sum, steps.times[c][s]);
      sum.performed += steps.times[c][s].performed;
    }
    performed += sum.performed;
  }
  StepTime out =
      std::move(*std::ranges::max_element(of_stage, {}, [](const StepTime& t) { return t.total - t.waiting; }));
  out.idle += total - out.total;
  out.total = total;
  out.performed = performed;
  if (stages() > 1)
    for (std::size_t c = 0; c < steps.times.size(); ++c) {
      StepTime handed;
      handed.collective_rows.push_back({"stage_hand_over", "send", "pp", "neighbour", 1, steps.handed_over[c],
                                        steps.handed_over[c], steps.hand_over[c]});
      follow(out, handed);
    }
  std::ranges::stable_sort(out.operator_rows, [](const auto& a, const auto& b) { return a.time > b.time; });
  return out;
}

StepTime PipelinePricer::price(const Step& step, bool fold, bool repeat_layers) const {
  return together(price_each({&step, 1}, fold, repeat_layers));
}

PipelineTimer::PipelineTimer(const PipelinePricer& pricer) : pricer_(pricer) {
  if (pricer.whole_) stages_.emplace_back(*pricer.whole_);
  for (const auto& stage : pricer.stages_) stages_.emplace_back(stage->pricer);
}

Duration PipelineTimer::time(const Step& step) {
  Duration total = stages_.front().time(step);
  if (stages_.size() == 1) return total;
  PipelinePricer::Steps handed;
  pricer_.add_hand_over(step, handed);
  for (std::size_t s = 1; s < stages_.size(); ++s) total += handed.hand_over.front() + stages_[s].time(step);
  return total;
}

}  // namespace ascendsim
