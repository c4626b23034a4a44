// Two micro-batches take turns: attention of one beside the feed-forward part of the other.
#include <gtest/gtest.h>

#include "tests/source_path.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

// DeepSeek-R1 decoding on one Atlas 800I A3: dp 1, tp 16, moe_ep 16.
struct Decode {
  explicit Decode(std::int64_t micro_batches) {
    Diagnostics diagnostics;
    Stack stack = StackLibrary(source_path("strategies/engines/stacks")).load("xdeepserve", "", diagnostics);
    Deployment d;
    d.set_engine(stack.engine);
    d.model = ModelLibrary(source_path("workloads/models")).load("DeepSeek-R1", {}, diagnostics);
    d.dtype = Dtype::kBf16;
    d.quantisation = QuantisationLibrary(source_path("workloads/quantisation")).load("w8a8", d.dtype, diagnostics);
    d.role = Role::kDecode;
    d.layout = {.tp = 16, .moe_ep = 16};
    d.micro_batches = micro_batches;
    EXPECT_EQ(rendered(diagnostics), "");
    scenario = std::make_unique<Scenario>(std::move(d), std::move(stack), shipped_kernels(),
                                          Cluster(shipped_server("atlas-800i-a3"), 1));
  }
  [[nodiscard]] StepTime price(std::int64_t requests) const {
    return scenario->pricer.price(decode_step(scenario->deployment.layout, requests, 4096, 4104));
  }
  std::unique_ptr<Scenario> scenario;
};

// Halves of 16 and 17 requests: with lanes that began together the equal ones kept step, computed side by side on more
// cores than there are and then waited for their exchanges side by side; the unequal ones took turns and were faster.
TEST(MicroBatches, OfOneMoreRequestAreNotFaster) {
  const Decode two(2);
  std::vector<Duration> times;
  for (std::int64_t requests = 2; requests <= 64; ++requests) times.push_back(two.price(requests).total);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i], times[i - 1]) << i + 2 << " requests";
}

}  // namespace
}  // namespace ascendsim
