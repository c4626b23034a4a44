// How MindIE chooses between a prefill and a decode round where config.json names a stage policy, and how it changes
// the batch sizes while serving.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "strategies/serving/schedulers/mindie_config.h"

namespace ascendsim {

// Select batch: a prefill holds up the running requests, a decode step wastes the free places of the batch.
class MindieSelectBatch {
 public:
  explicit MindieSelectBatch(const MindieConfig& config)
      : prefill_ms_(config.prefill_ms_per_request), decode_ms_(config.decode_ms_per_request) {}
  bool prefill_now(std::int64_t waiting, std::int64_t running, std::int64_t max_batch);
  void nobody_waits() { wasted_ms_ = 0; }

 private:
  std::int64_t prefill_ms_, decode_ms_, wasted_ms_ = 0;
};

// Mean of the newest values, as far as there are enough of them.
class RecentMean {
 public:
  static constexpr std::size_t kWindow = 20'000, kEnough = 2'000;
  void add(std::int64_t value);
  [[nodiscard]] double mean() const;  // 0 below kEnough values

 private:
  std::vector<std::int64_t> ring_{};
  std::size_t next_ = 0;
  std::int64_t sum_ = 0;
};

// Times of batches in milliseconds: a line through prefills, a plane through decode steps. Until enough is measured,
// MindIE's own numbers hold.
class MindieTimes {
 public:
  void measure_prefill(std::int64_t tokens, float ms);
  void measure_decode(std::int64_t requests, std::int64_t blocks, float ms);
  [[nodiscard]] float prefill_ms(std::int64_t tokens) const { return slope_ * static_cast<float>(tokens) + intercept_; }
  [[nodiscard]] float decode_ms(std::int64_t requests, std::int64_t blocks) const;

 private:
  using Row = std::array<double, 3>;
  void fit_decode();
  float slope_ = 0.1317F, intercept_ = 25.797F;  // in single precision, as there
  float sum_x_ = 0, sum_y_ = 0, sum_xx_ = 0, sum_xy_ = 0;
  int prefills_ = 0;
  Row plane_ = {0.2181, 0, 29.961};
  std::vector<Row> rows_{};
  std::vector<double> times_{};
  std::int64_t decodes_ = 0;
};

// What the latency policy looks at: the first max_batch requests of each queue.
struct MindieQueues {
  std::int64_t waiting_tokens = 0;  // to compute
  std::int64_t first_wait_ms = 0;   // of the first waiting request
  std::int64_t decode_requests = 0, decode_blocks = 0;
};
// Latency: prefill when it has the smaller share of its time left.
bool mindie_prefill_is_urgent(const MindieConfig& config, const MindieTimes& times, const MindieQueues& queues);

// Dynamic batch size: searches the batch at which a decode step takes decode_expected_ms.
class MindieDynamicBatch {
 public:
  explicit MindieDynamicBatch(const MindieConfig& config)
      : expected_ms_(config.decode_expected_ms),
        upper_bound_(static_cast<std::uint64_t>(config.max_batch)),
        upper_(upper_bound_) {}
  struct Sizes {
    std::uint64_t max_batch, max_prefill_batch;
  };
  // After a round. decoded: requests of a decode batch, 0 for another one.
  void after_round(bool empty, bool decode_mode, std::uint64_t decoded, std::uint64_t waiting, std::uint64_t decoding,
                   Sizes& sizes);
  void measure_token(std::int64_t ms) { latencies_.add(ms); }

 private:
  [[nodiscard]] std::uint64_t recent_batch() const;
  void search(std::uint64_t decoding, double latency_ms, std::uint64_t batch, Sizes& sizes);
  static constexpr std::uint64_t kLowerBound = 3;

  std::int64_t expected_ms_;
  std::uint64_t upper_bound_, upper_, lower_ = kLowerBound;
  bool decoded_before_ = false, search_next_ = false;
  RecentMean latencies_{};
  std::vector<std::uint64_t> batches_{};  // of the newest decode rounds, as a ring
  std::size_t next_batch_ = 0;
};

}  // namespace ascendsim
