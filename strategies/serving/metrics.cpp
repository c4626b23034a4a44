#include "strategies/serving/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/check.h"

namespace ascendsim {

namespace {

double per_second(std::int64_t count, double duration_s) {
  return duration_s > 0 ? static_cast<double>(count) / duration_s : 0;
}

double share(__int128 part, __int128 whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

ServiceReport::Pool share_of(const PoolUse& use, Duration duration) {
  const __int128 time = static_cast<__int128>(duration.count()) * use.instances;
  const __int128 whole_cache = time * use.kv_capacity;
  return {use.name,
          use.instances,
          share(use.busy.count(), time),
          share(use.kv_time, whole_cache),
          share(use.kv_peak, use.kv_capacity),
          share(use.running_time, duration.count()),
          share(use.waiting_time, duration.count())};
}

}  // namespace

std::string_view to_text(Verdict verdict) {
  constexpr std::string_view kTexts[] = {"stable", "backlogged", "overloaded"};
  return kTexts[static_cast<std::size_t>(verdict)];
}

double Spread::of(Statistic statistic) const {
  switch (statistic) {
    case Statistic::kMean:
      return mean_ms;
    case Statistic::kP50:
      return p50_ms;
    case Statistic::kP90:
      return p90_ms;
    case Statistic::kP95:
      return p95_ms;
    case Statistic::kP99:
      return p99_ms;
    case Statistic::kMax:
      return max_ms;
  }
  return 0;
}

std::int64_t ServiceReport::rejections() const {
  return std::accumulate(rejected.begin() + 1, rejected.end(), std::int64_t{0});
}

WaitsOverTime::Part& WaitsOverTime::Part::operator+=(const Part& other) {
  count += other.count;
  arrivals += other.arrivals;
  waits += other.waits;
  waits_since_sent += other.waits_since_sent;
  latencies += other.latencies;
  return *this;
}

void WaitsOverTime::add(std::int64_t id, Duration arrival, Duration wait, Duration wait_since_sent, Duration latency) {
  for (; id / width_ >= kParts; width_ *= 2) {
    for (std::size_t i = 0; i < kParts / 2; ++i) {
      parts_[i] = parts_[2 * i];
      parts_[i] += parts_[2 * i + 1];
    }
    std::fill(parts_.begin() + kParts / 2, parts_.end(), Part{});
  }
  parts_[static_cast<std::size_t>(id / width_)] +=
      Part{1, arrival.count(), wait.count(), wait_since_sent.count(), latency.count()};
  most_ = std::max(most_, id);
  first_arrival_ = std::min(first_arrival_, arrival);
  last_arrival_ = std::max(last_arrival_, arrival);
}

WaitsOverTime::Part WaitsOverTime::between(std::int64_t first, std::int64_t end) const {
  Part sum;
  for (std::int64_t i = first; i < end; ++i) sum += parts_[static_cast<std::size_t>(i)];
  return sum;
}

Verdict WaitsOverTime::verdict() const {
  if (most_ < 0) return Verdict::kStable;
  const std::int64_t parts = most_ / width_ + 1;
  const auto mean = [](__int128 sum, std::int64_t count) {
    return static_cast<double>(sum) / static_cast<double>(count);
  };
  const auto span = static_cast<double>((last_arrival_ - first_arrival_).count());
  std::array<Part, 4> quarters;
  for (std::int64_t i = 0; i < 4; ++i)
    quarters[static_cast<std::size_t>(i)] = between(parts * i / 4, parts * (i + 1) / 4);
  if (span > 0 && std::ranges::all_of(quarters, [](const Part& p) { return p.count > 0; })) {
    std::array<double, 4> wait{};
    std::ranges::transform(quarters, wait.begin(), [&](const Part& p) { return mean(p.waits, p.count); });
    const double time = mean(quarters[3].arrivals, quarters[3].count) - mean(quarters[1].arrivals, quarters[1].count);
    const double noise = 1 / std::sqrt(static_cast<double>(between(0, parts).count));
    if (wait[0] < wait[1] && wait[1] < wait[2] && wait[2] < wait[3] && wait[3] - wait[1] > (kGrowth + noise) * time)
      return Verdict::kOverloaded;
  }
  constexpr std::int64_t kLast = 16;
  Part last;
  for (std::int64_t first = parts - ceil_div(parts, kLast); last.count == 0; --first) last = between(first, parts);
  const double latency = std::max(span, mean(last.latencies, last.count));
  return mean(last.waits_since_sent, last.count) > kGrowth * latency ? Verdict::kBacklogged : Verdict::kStable;
}

void ServiceMetrics::spread_over_tokens(Duration at, Duration gap, std::int64_t tokens, std::int64_t count) {
  if (tokens == 0) return;
  itl_.add(gap / tokens, tokens * count);
  for (std::int64_t i = 1; i <= tokens; ++i) in_second(at - gap * (tokens - i) / tokens).chunks += count;
}

bool ServiceMetrics::meets_limits(const RequestOutcome& outcome, std::optional<Duration> tpot, Duration e2el) const {
  const auto meets = [&](Slo::Metric m, Duration value) { return !slo_.of(m) || value <= slo_.of(m)->at_most; };
  return meets(Slo::Metric::kTtft, outcome.ttft()) && meets(Slo::Metric::kTpot, tpot.value_or(Duration{})) &&
         meets(Slo::Metric::kE2el, e2el);
}

void ServiceMetrics::finished(const RequestOutcome& outcome) {
  if (!outcome.completed()) {
    ++rejected_[static_cast<std::size_t>(outcome.rejection)];
    return;
  }
  check(outcome.terms.sum() == outcome.ttft(), "the terms of a TTFT add up to it");
  const bool ais = tool_ == BenchmarkTool::kAisBench;
  const bool closes = ais ? outcome.closing_chunk : tool_ == BenchmarkTool::kSglangBench;
  Duration end = outcome.last_token;
  if (closes) end += outcome.closing;
  const Duration e2el = end - outcome.sent, after_first = end - outcome.first_token;
  std::optional<Duration> tpot;
  if (outcome.output_tokens > 1) {
    const std::int64_t gaps = outcome.output_tokens - 1;
    tpot = Duration((after_first.count() + gaps / 2) / gaps);
  } else if (ais && closes) {
    tpot = Duration{};
  }
  if (ais && closes) itl_.add(outcome.closing);

  ++completed_;
  ttft_.add(outcome.ttft());
  if (tpot) tpot_.add(*tpot);
  e2el_.add(e2el);
  queue_.add(outcome.terms.queue);
  stall_.add(outcome.longest_stall);
  const auto terms = outcome.terms.in_order();
  for (std::size_t i = 0; i < terms.size(); ++i) terms_[i] += terms[i].count();
  if (slo_.any() && meets_limits(outcome, tpot, e2el)) ++good_;
  input_tokens_ += outcome.input_tokens;
  output_tokens_ += outcome.output_tokens;
  cached_tokens_ += outcome.cached_tokens;
  preemptions_ += outcome.preemptions;
  if (outcome.preemptions > 0) ++preempted_;

  first_start_ = std::min(first_start_, outcome.sent);
  last_end_ = std::max(last_end_, end);
  ++in_second(outcome.first_token).chunks;
  ++in_second(outcome.sent).requests;
  --in_second(end + std::chrono::seconds(1)).requests;
  waits_.add(outcome.id, outcome.arrival, outcome.first_scheduled - outcome.arrival,
             outcome.first_scheduled - outcome.sent, e2el);
}

Spread ServiceMetrics::spread(const Sample& sample) const {
  // To the nearest tenth. What lies in the middle goes down: the tool's doubles are mostly a little below it.
  const auto tenths = [&](double ms) {
    constexpr double kTenths = 10;
    return tool_ == BenchmarkTool::kAisBench ? std::ceil(ms * kTenths - 0.5) / kTenths : ms;
  };
  const auto at = [&](int per_mille) { return tenths(milliseconds(sample.percentile(per_mille))); };
  return {sample.count(), tenths(sample.mean_ms()),          tenths(sample.deviation_ms()), at(500), at(900), at(950),
          at(990),        tenths(milliseconds(sample.max()))};
}

void ServiceMetrics::judge(ServiceReport& report) const {
  const std::array<const Spread*, Slo::kMetrics> spreads{&report.ttft, &report.tpot, &report.e2el};
  for (std::size_t i = 0; i < Slo::kMetrics; ++i) {
    const auto& limit = slo_.limits[i];
    // A load of which nothing was completed meets no limit.
    if (limit && (completed_ == 0 || spreads[i]->of(limit->judged_by) > milliseconds(limit->at_most)))
      report.missed.push_back(static_cast<Slo::Metric>(i));
  }
}

ServiceReport ServiceMetrics::report(Duration duration, std::span<const PoolUse> pools) const {
  ServiceReport r;
  r.tool = tool_;
  r.ttft = spread(ttft_);
  r.tpot = spread(tpot_);
  r.itl = spread(itl_);
  r.e2el = spread(e2el_);
  r.queue = spread(queue_);
  r.stall = spread(stall_);
  constexpr double kPicosecondsPerMillisecond = 1e9;
  for (std::size_t i = 0; i < terms_.size(); ++i)
    r.ttft_terms_ms[i] = share(terms_[i], completed_) / kPicosecondsPerMillisecond;
  r.sent = sent_;
  r.completed = completed_;
  r.rejected = rejected_;
  r.input_tokens = input_tokens_;
  r.output_tokens = output_tokens_;
  r.cached_tokens = cached_tokens_;
  const Duration counted = tool_ != BenchmarkTool::kAisBench ? duration
                           : completed_ > 0                  ? last_end_ - first_start_
                                                             : Duration{};
  r.duration_s = seconds(counted);
  r.requests_per_second = per_second(completed_, r.duration_s);
  r.output_tokens_per_second = per_second(output_tokens_, r.duration_s);
  r.input_tokens_per_second = per_second(input_tokens_, r.duration_s);
  r.good = good_;
  r.goodput_per_second = per_second(good_, r.duration_s);
  r.attainment = share(good_, sent_);
  r.preemptions = preemptions_;
  r.preempted_requests = preempted_;
  r.prefix_hit_rate = share(cached_tokens_, input_tokens_);
  r.in_flight = share(e2el_.sum(), counted.count());
  r.waiting = share(queue_.sum(), counted.count());
  std::int64_t running = 0;
  for (const Second& s : seconds_) {
    r.most_tokens_in_a_second = std::max(r.most_tokens_in_a_second, s.chunks);
    running += s.requests;
    r.most_requests_in_a_second = std::max(r.most_requests_in_a_second, running);
  }
  r.verdict = waits_.verdict();
  for (const PoolUse& p : pools) r.pools.push_back(share_of(p, duration));
  judge(r);
  return r;
}

}  // namespace ascendsim
