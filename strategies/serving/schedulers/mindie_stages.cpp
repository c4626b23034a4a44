#include "strategies/serving/schedulers/mindie_stages.h"

#include <algorithm>
#include <cmath>

namespace ascendsim {

bool MindieSelectBatch::prefill_now(std::int64_t waiting, std::int64_t running, std::int64_t max_batch) {
  if (waiting == 0) {
    wasted_ms_ = 0;
    return false;
  }
  wasted_ms_ += decode_ms_ * std::max<std::int64_t>(0, max_batch - running);
  if (prefill_ms_ * running > wasted_ms_) return false;
  wasted_ms_ = 0;
  return true;
}

void RecentMean::add(std::int64_t value) {
  sum_ += value;
  if (ring_.size() < kWindow) {
    ring_.push_back(value);
    return;
  }
  sum_ -= ring_[next_];
  ring_[next_] = value;
  next_ = (next_ + 1) % kWindow;
}

double RecentMean::mean() const {
  return ring_.size() < kEnough ? 0 : static_cast<double>(sum_) / static_cast<double>(ring_.size());
}

// Least squares in running sums. A point that would turn slope or intercept negative is dropped, and two first points
// that do start anew.
void MindieTimes::measure_prefill(std::int64_t tokens, float ms) {
  const auto x = static_cast<float>(tokens);
  ++prefills_;
  if (prefills_ == 1) {
    sum_x_ += x;
    sum_y_ += ms;
    sum_xx_ = x * x;
    sum_xy_ = x * ms;
    return;
  }
  const auto n = static_cast<float>(prefills_);
  const float sx = sum_x_ + x, sy = sum_y_ + ms, sxx = sum_xx_ + x * x, sxy = sum_xy_ + x * ms;
  const float denominator = n * sxx - sx * sx;
  if (!(std::fabs(static_cast<double>(denominator)) > 1e-9)) return;
  const float slope = (n * sxy - sx * sy) / denominator, intercept = (sy * sxx - sx * sxy) / denominator;
  if (slope > 0 && intercept > 0) {
    slope_ = slope;
    intercept_ = intercept;
    sum_x_ = sx;
    sum_y_ = sy;
    sum_xx_ = sxx;
    sum_xy_ = sxy;
  } else if (prefills_ == 2) {
    prefills_ = 0;
    sum_x_ = sum_y_ = sum_xx_ = sum_xy_ = 0;
  } else {
    --prefills_;
  }
}

float MindieTimes::decode_ms(std::int64_t requests, std::int64_t blocks) const {
  double ms = 0;
  ms += plane_[0] * static_cast<double>(requests);
  ms += plane_[1] * static_cast<double>(blocks);
  ms += plane_[2];
  return static_cast<float>(ms);
}

void MindieTimes::measure_decode(std::int64_t requests, std::int64_t blocks, float ms) {
  constexpr std::int64_t kFitEvery = 400, kKept = 1000;
  if (decodes_ % kFitEvery == 0 && decodes_ != 0) fit_decode();
  const Row row = {static_cast<double>(requests), static_cast<double>(blocks), 1};
  if (decodes_ >= kKept) {
    const auto oldest = static_cast<std::size_t>(decodes_ % kKept);
    rows_[oldest] = row;
    times_[oldest] = static_cast<double>(ms);
  } else {
    rows_.push_back(row);
    times_.push_back(static_cast<double>(ms));
  }
  ++decodes_;
}

// Normal equations, solved by the inverse of the 3 x 3 matrix. Kept only if all three coefficients are positive.
void MindieTimes::fit_decode() {
  std::array<Row, 3> m{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (const Row& r : rows_) m[i][j] += r[i] * r[j];
  const double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                     m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                     m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  if (!(std::fabs(det) > 1e-9)) return;
  const std::array<Row, 3> inverse = {
      {{(m[1][1] * m[2][2] - m[1][2] * m[2][1]) / det, (m[2][1] * m[0][2] - m[0][1] * m[2][2]) / det,
        (m[0][1] * m[1][2] - m[0][2] * m[1][1]) / det},
       {(m[1][2] * m[2][0] - m[1][0] * m[2][2]) / det, (m[0][0] * m[2][2] - m[0][2] * m[2][0]) / det,
        (m[0][2] * m[1][0] - m[0][0] * m[1][2]) / det},
       {(m[1][0] * m[2][1] - m[1][1] * m[2][0]) / det, (m[0][1] * m[2][0] - m[0][0] * m[2][1]) / det,
        (m[0][0] * m[1][1] - m[0][1] * m[1][0]) / det}}};
  Row plane{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < rows_.size(); ++k) {
      double weight = 0;
      for (std::size_t j = 0; j < 3; ++j) weight += inverse[i][j] * rows_[k][j];
      plane[i] += weight * times_[k];
    }
  if (plane[0] > 0 && plane[1] > 0 && plane[2] > 0) plane_ = plane;
}

bool mindie_prefill_is_urgent(const MindieConfig& config, const MindieTimes& times, const MindieQueues& queues) {
  const auto laxity = [](std::int64_t deadline_ms, float wait_ms, float cost_ms) {
    const auto deadline = static_cast<float>(deadline_ms);
    return std::fabs(deadline) < 1e-6F ? 0 : (deadline - wait_ms - cost_ms) / deadline;
  };
  return laxity(config.prefill_expected_ms, static_cast<float>(queues.first_wait_ms),
                times.prefill_ms(queues.waiting_tokens)) <
         laxity(config.decode_expected_ms, 0, times.decode_ms(queues.decode_requests, queues.decode_blocks));
}

void MindieDynamicBatch::after_round(bool empty, bool decode_mode, std::uint64_t decoded, std::uint64_t waiting,
                                     std::uint64_t decoding, Sizes& sizes) {
  if (empty && sizes.max_prefill_batch != 0) return;
  if (decode_mode) decoded_before_ = true;
  if (decoded > 0) {
    if (batches_.size() < RecentMean::kWindow) {
      batches_.push_back(decoded);
    } else {
      batches_[next_batch_] = decoded;
      next_batch_ = (next_batch_ + 1) % RecentMean::kWindow;
    }
  }
  if (waiting == 0 && decoding == 0) return;
  const double latency_ms = latencies_.mean();
  const std::uint64_t batch = recent_batch();
  if (batch == 0 || std::fabs(latency_ms) < 1e-6 || !decoded_before_) {
    sizes.max_batch = kLowerBound;
    lower_ = upper_ = batch;
  }
  const bool searches = search_next_;
  search_next_ = !search_next_;
  if (searches) {
    search(decoding, latency_ms, batch, sizes);
  } else if (decoding != 0 && latency_ms > static_cast<double>(expected_ms_) + 5.0) {
    sizes = {decoding, 0};  // no prefill for one round
  }
}

// Counts are unsigned and may wrap around below zero, as there: the bounds catch them again.
void MindieDynamicBatch::search(std::uint64_t decoding, double latency_ms, std::uint64_t batch, Sizes& sizes) {
  constexpr double kToleranceMs = 5.0;
  const auto between = [](std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    return std::min(std::max(value, low), high);
  };
  const auto expected = static_cast<double>(expected_ms_);
  if (latency_ms > expected + kToleranceMs) {
    upper_ = std::max(batch, lower_ + 3);
    lower_ = std::max(lower_ - 2, kLowerBound);
  } else if (latency_ms < expected - kToleranceMs) {
    lower_ = std::min(batch, upper_ - 3);
    upper_ = std::min(upper_ + 2, upper_bound_);
  } else {
    upper_ = std::min(batch + 3, upper_bound_);
    lower_ = std::max(batch - 2, kLowerBound);
  }
  upper_ = between(upper_, kLowerBound, upper_bound_);
  lower_ = between(lower_, kLowerBound, upper_bound_);
  std::uint64_t max_batch = between((upper_ + lower_) / 2, sizes.max_batch - 2, sizes.max_batch + 2);
  max_batch = between(max_batch, decoding, upper_bound_);
  sizes = {max_batch, max_batch > decoding ? max_batch - decoding : 0};
}

// The newest batches as far as their requests add up to the window, each weighted with itself; the one that crosses it
// with what lies beyond.
std::uint64_t MindieDynamicBatch::recent_batch() const {
  std::uint64_t sum = 0, weighted = 0, weights = 0;
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    const std::uint64_t batch = batches_[(next_batch_ + batches_.size() - 1 - i) % batches_.size()];
    sum += batch;
    const std::uint64_t weight = sum > RecentMean::kWindow ? sum - RecentMean::kWindow : batch;
    weighted += batch * weight;
    weights += weight;
    if (sum >= RecentMean::kWindow) break;
  }
  return weights == 0 ? 0 : weighted / weights;
}

}  // namespace ascendsim
