// Data-parallel ranks of MindIE in one process: each has its own scheduler, and before every round they vote on whether
// all of them prefill or all of them decode.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/serving/schedulers/mindie.h"

namespace ascendsim {

class MindieRanks {
 public:
  // REQUIRES: ranks >= 1; role kBoth and no dynamic batch if there are several.
  MindieRanks(const MindieConfig& config, std::int64_t ranks);

  // Requests go to the ranks in turn, whatever their length or load. The rank that the next one goes to.
  [[nodiscard]] std::size_t next() const { return next_; }
  RequestIndex add(const Request& request);

  // A round of all ranks; step(i) of each is what it decided. True if nothing is to be executed on any of them.
  bool schedule(Duration now);
  [[nodiscard]] MindieRun decode_run() const;
  // As MindieScheduler::advance; tokens by rank, and left out where each step brings one.
  void advance(std::int64_t n, Duration last, std::span<const std::vector<std::int64_t>> tokens = {});

  [[nodiscard]] std::size_t size() const { return ranks_.size(); }
  [[nodiscard]] MindieScheduler& rank(std::size_t i) { return ranks_[i]; }
  [[nodiscard]] const MindieScheduler& rank(std::size_t i) const { return ranks_[i]; }
  [[nodiscard]] const MindieStep& step(std::size_t i) const { return *steps_[i]; }

 private:
  [[nodiscard]] static bool idle(const MindieScheduler& rank) { return rank.running().empty(); }
  std::vector<MindieScheduler> ranks_;
  std::vector<const MindieStep*> steps_;
  std::size_t next_ = 0;
};

}  // namespace ascendsim
