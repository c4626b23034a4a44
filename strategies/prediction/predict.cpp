#include "strategies/prediction/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "strategies/prediction/assumptions.h"

namespace ascendsim {

std::vector<Duration> first_tokens(std::int64_t requests, std::int64_t at_once, const PipelinePricer::Steps& whole,
                                   const PipelinePricer::Steps& last) {
  std::vector<Duration> out, busy_until;
  for (std::int64_t done = 0; done < requests; done += at_once) {
    const std::int64_t now = std::min(at_once, requests - done);
    out.insert(out.end(), static_cast<std::size_t>(now),
               PipelinePricer::play(now == at_once ? whole : last, busy_until));
  }
  return out;
}

Duration DecodeCurve::at(std::int64_t tokens) const {
  const std::size_t i = tokens >= context[1] && context[2] > context[1] ? 1 : 0;
  const std::int64_t span = context[i + 1] - context[i];
  if (span == 0) return time[i];
  const double part = static_cast<double>(tokens - context[i]) / static_cast<double>(span);
  return time[i] + Duration(static_cast<std::int64_t>(part * static_cast<double>((time[i + 1] - time[i]).count())));
}

namespace {

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

}  // namespace

PrefillRun run_prefill(const Scenario& s, const Workload& w) {
  PrefillRun run;
  run.sequences = prompts_at_once(s.deployment, w);
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
    static_cast<void>(PipelinePricer::play(usual, idle_pipeline, &ended));
    run.pieces = cached_pieces(steps(run.sequences), usual, ended);
  }
  const std::int64_t left = w.batch % run.sequences;
  run.first_token = first_tokens(w.batch, run.sequences, usual, left > 0 ? price(left) : PipelinePricer::Steps{});
  run.end = run.first_token.back();
  return run;
}

DecodeRun decode_along(const DecodeCurve& curve, const Workload& w) {
  DecodeRun run;
  run.context = curve.context[1];
  run.tokens_per_step = w.tokens_per_step();
  const double tokens_to_go = static_cast<double>(std::max<std::int64_t>(0, w.output_tokens - 1));
  const auto steps = static_cast<std::int64_t>(std::ceil(tokens_to_go / run.tokens_per_step - 1e-9));
  if (steps == 0) return run;
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto yielded = static_cast<std::int64_t>(static_cast<double>(i) * run.tokens_per_step);
    run.gaps.push_back(curve.at(w.input_tokens + 1 + yielded));
    run.duration += run.gaps.back();
  }
  run.mean_step = run.duration / steps;
  // The expected length, not the whole number of steps: the last step is shared with what would come after.
  run.duration =
      Duration(std::llround(static_cast<double>(run.mean_step.count()) * tokens_to_go / run.tokens_per_step));
  return run;
}

DecodeRun run_decode(const Scenario& s, const Workload& w) {
  StepTime middle;
  DecodeRun run = decode_along(price_decode(s, w, middle), w);
  run.step = std::move(middle);
  return run;
}

DecodeRun run_decode_at_least(const Scenario& s, const Workload& w) {
  const std::int64_t first = w.input_tokens + 1;
  Step step =
      decode_step(s.deployment.layout, w.batch, w.input_tokens, first, 1 + s.deployment.features.speculative_tokens);
  if (splits_into_micro_batches(s.deployment, step)) return run_decode(s, w);
  step.writes_cache = false;
  StepTime time = s.pricer.price(step);
  DecodeRun run = decode_along({.context = {first, first, first}, .time = {time.total, time.total, time.total}}, w);
  run.step = std::move(time);
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
