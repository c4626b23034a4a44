// When load generators send: gaps drawn from a gamma distribution around a rate that is constant or ramps up, then
// cumulated, and in some tools scaled. Sources: generators.h.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "sim/units.h"
#include "workloads/requests/numpy_random.h"

namespace ascendsim {

enum class RampUp : std::uint8_t { kLinear, kExponential };

// The words of the tools: rates in requests a second; burstiness is the shape of the gamma distribution (1: Poisson
// arrivals, infinity: equal gaps). A ramp takes the place of the rate and goes from start to end over the requests.
struct Pacing {
  double request_rate = std::numeric_limits<double>::infinity();  // infinity: everything at once
  double burstiness = 1;
  std::optional<RampUp> ramp_up_strategy{};
  double ramp_up_start_rps = 0, ramp_up_end_rps = 0;
  bool first_at_zero = false;    // the first request does not wait; the gap after the last is drawn and not used
  bool scaled = true;            // without a ramp: the last request is sent exactly at count / request_rate
  bool first_gap_twice = false;  // every send is later by the first gap
};

class SendInstants {
 public:
  // Runs through all `count` gaps once to know their sum; nothing is kept. `gaps`: the generator as the tool has it
  // when it draws the first gap. REQUIRES: count >= 1, burstiness > 0, rates >= 0.
  SendInstants(const Pacing& pacing, std::int64_t count, const NumpyRandomState& gaps);

  // After the start of the run; at most `count` calls. Never goes back.
  Duration next();
  [[nodiscard]] double last_seconds() const { return last_; }

 private:
  double gap();
  double seconds();

  Pacing pacing_;
  std::int64_t count_ = 0, sent_ = 0;
  NumpyRandomState gaps_;
  double cumulated_ = 0, factor_ = 1, shift_ = 0, last_ = 0;
};

}  // namespace ascendsim
