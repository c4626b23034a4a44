#include "workloads/requests/pacing.h"

#include <algorithm>
#include <cmath>

#include "sim/check.h"
#include "sim/elementary.h"

namespace ascendsim {
namespace {

double rate_of(const Pacing& p, std::int64_t index, std::int64_t count) {
  if (!p.ramp_up_strategy) return p.request_rate;
  const double progress = static_cast<double>(index) / static_cast<double>(std::max<std::int64_t>(count - 1, 1));
  if (*p.ramp_up_strategy == RampUp::kLinear)
    return p.ramp_up_start_rps + (p.ramp_up_end_rps - p.ramp_up_start_rps) * progress;
  if (p.ramp_up_start_rps <= 0) return p.ramp_up_end_rps;
  return p.ramp_up_start_rps * portable_pow(p.ramp_up_end_rps / p.ramp_up_start_rps, progress);
}

}  // namespace

SendInstants::SendInstants(const Pacing& pacing, std::int64_t count, const NumpyRandomState& gaps)
    : pacing_(pacing), count_(count), gaps_(gaps) {
  check(count >= 1 && pacing.burstiness > 0, "a load has requests and a burstiness");
  SendInstants dry = *this;
  const double first = dry.seconds();
  double last = first;
  while (dry.sent_ < count_) last = dry.seconds();
  if (pacing_.scaled && !pacing_.ramp_up_strategy && last > 0)
    factor_ = static_cast<double>(count_) / pacing_.request_rate / last;
  if (pacing_.first_gap_twice) shift_ = first * factor_;
  last_ = last * factor_ + shift_;
}

Duration SendInstants::next() {
  check(sent_ < count_, "a load has so many requests");
  return duration_from_seconds(seconds() * factor_ + shift_);
}

double SendInstants::gap() {
  constexpr double kNone = 1e-9;  // AISBench: a ramp that starts at 0 sends its first request at once
  const double rate = rate_of(pacing_, sent_, count_);
  if (rate < kNone || std::isinf(rate)) return 0;
  if (std::isinf(pacing_.burstiness)) return 1.0 / rate;
  return gaps_.gamma(pacing_.burstiness, 1.0 / (rate * pacing_.burstiness));
}

double SendInstants::seconds() {
  const double before = cumulated_;
  cumulated_ += gap();
  ++sent_;
  return pacing_.first_at_zero ? before : cumulated_;
}

}  // namespace ascendsim
