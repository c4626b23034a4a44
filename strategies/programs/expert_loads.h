// Unequal ranks: how much more than the mean the experts of a rank have to do, and how fast a rank computes. What is
// unequal costs time by waiting: the step simulates each rank with its own load, and who is done first waits at the
// next collective.
//
// A seeded router: experts are as popular as 1 / k of a random order k (Zipf), over an even base that is as large as
// the wanted imbalance of ranks asks for. Without libm, so the same everywhere.
#pragma once

#include <string>
#include <vector>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

// Load of each place of the moe_ep group against the mean of those that hold routed experts, in 1 / RoutedRows::kEven;
// 1 for those that hold the shared one. Empty when all are alike. REQUIRES: no refusal.
std::vector<std::int64_t> routed_loads(const Deployment& deployment);
// Why the loads cannot be, as a rule; empty when they can.
std::string loads_refusal(const Deployment& deployment);
// Of a rank, from deployment.experts.rank_loads.
std::int64_t routed_load(const Deployment& deployment, std::int64_t rank);

// Time of a rank's computation against the mean: evenly spaced between 1 - skew / 2 and 1 + skew / 2, in a random order
// of ranks.
std::vector<double> compute_slowness(std::int64_t ranks, double skew, std::int64_t seed);

}  // namespace ascendsim
