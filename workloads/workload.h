// A load of equal requests that arrive at once: what a single answer is about. Requests of a service: requests/.
#pragma once

#include <cstdint>
#include <vector>

namespace ascendsim {

struct Workload {
  std::int64_t input_tokens = 0, output_tokens = 0;
  std::int64_t batch = 1;            // requests side by side, all of the same size
  std::int64_t prefix_hit = 0;       // tokens of every prompt that lie in the prefix cache
  std::vector<double> acceptance{};  // MTP: of draft i, given that the ones before it were accepted
  // Tokens that one decode step yields on average: 1 + sum_i prod_{j<=i} a_j.
  [[nodiscard]] double tokens_per_step() const;
};

}  // namespace ascendsim
